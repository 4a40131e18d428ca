//! What `/etc/config/usp-agent` says to the agent: controllers, roles, subscriptions.
//!
//! Read from the package after its short forms were expanded, and read again after every change.
//! Links, brokers and transports are for `config`; unknown options are reported there.

use super::threshold::Threshold;
use super::transfers::Transfers;
use super::trust::Trust;
use crate::backend::uci::{Package, Section};
use crate::calendar;
use crate::model::Rights;
use crate::model::mount::{MAX_MOUNTS, can_be_mounted};
use crate::order;
use crate::usp::endpoint_id::EndpointId;
use std::rc::Rc;

/// Subscriptions that are looked at; further ones are left out with a warning.
pub const MAX_SUBSCRIPTIONS: usize = 2000;
/// Controllers that are looked at.
pub const MAX_CONTROLLERS: usize = 64;

/// Everything of the package that the agent decides by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// `config controller`, in file order.
    pub controllers: Vec<Controller>,
    /// The sections of all controllers, finished or not.
    pub sections: Vec<Box<str>>,
    /// `config role` with its `config permission` sections.
    pub roles: Vec<Role>,
    /// Roles whose members may read secured parameters.
    pub secured_roles: Vec<Box<str>>,
    /// Who is trusted with what.
    pub trust: Trust,
    /// `config subscription`, in file order.
    pub subscriptions: Vec<Subscription>,
    /// Root objects that plugins answer for (`config mount`), each once.
    pub mounts: Vec<Box<str>>,
    /// Enabled thresholds.
    pub thresholds: Vec<Threshold>,
    /// Seconds after which a change that cut off the controllers is undone; 0 for never.
    pub confirm_window: u32,
    /// Backup() and Restore() may go over plain http (for a lab).
    pub plain_backup: bool,
}

/// A controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controller {
    /// Its section, the name by which the agent knows it.
    pub section: Rc<str>,
    /// Its Endpoint ID.
    pub endpoint_id: EndpointId,
    /// It may send and gets notifications.
    pub enable: bool,
    /// The sections of its roles.
    pub roles: Vec<Box<str>>,
    /// The sections of certificates it may present.
    pub credentials: Vec<Box<str>>,
    /// Seconds between Periodic! events.
    pub periodic_interval: u32,
    /// A moment that fixes the phase of Periodic!, seconds since 1970.
    pub periodic_time: Option<i64>,
    /// How notifications are repeated.
    pub retry: Retry,
    /// Its roles hold without encryption too (for a lab).
    pub allow_unencrypted: bool,
    /// Paths whose values go into Boot!.
    pub boot_parameters: Vec<Box<str>>,
    /// The controller has taken the agent in; no OnBoardRequest at start.
    pub on_boarded: bool,
    /// Which ends of transfers it wants to hear of.
    pub transfers: Transfers,
    /// Seconds after an answered OnBoardRequest until the next while not on-boarded; 0 for none.
    pub on_boarding_restart: u32,
    /// Connect records are sent to it (some controllers crash on them).
    pub connect_record: bool,
    /// Its console takes the supported model for what is there, and shows nothing of an object when it is not.
    pub walks: bool,
    /// Seconds after which an answer is dropped rather than sent; 0 for never.
    pub answer_deadline: u32,
    /// Notifications wait on a new channel until the controller asked something, or this many seconds.
    pub hold_notify: u32,
}

/// The retry parameters of `Controller.{i}.`: wait between m(k/1000)^(n-1) and m(k/1000)^n seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// USPNotifRetryMinimumWaitInterval, m, in seconds.
    pub minimum: u32,
    /// USPNotifRetryIntervalMultiplier, k.
    pub multiplier: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self { minimum: 5, multiplier: 2000 }
    }
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its section.
    pub section: Box<str>,
    /// Its Name, by which a controller may refer to it too.
    pub name: Box<str>,
    /// It counts.
    pub enable: bool,
    /// Its enabled permissions, the highest Order first.
    pub permissions: Vec<Permission>,
}

/// A permission of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// Higher wins.
    pub order: u32,
    /// The paths it speaks of.
    pub targets: Vec<Box<str>>,
    /// All 16 bits.
    pub rights: Rights,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its section.
    pub section: Rc<str>,
    /// Enable.
    pub enable: bool,
    /// ID, unique per recipient.
    pub id: Box<str>,
    /// The section of the controller that gets the notifications.
    pub recipient: Rc<str>,
    /// NotifType; None where it is missing or unknown.
    pub kind: Option<Kind>,
    /// ReferenceList.
    pub references: Vec<Box<str>>,
    /// It outlives a restart.
    pub persistent: bool,
    /// TimeToLive in seconds, 0 for ever.
    pub time_to_live: u32,
    /// CreationDate, seconds since 1970.
    pub created: Option<i64>,
    /// Notifications are repeated until they are answered.
    pub retry: bool,
    /// NotifExpiration in seconds, 0 for never.
    pub expiration: u32,
    /// A Notify goes out.
    pub notify: bool,
    /// TriggerConfigSettings are applied: `Path=Value` each.
    pub trigger: Vec<Box<str>>,
}

/// NotifType.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    ValueChange,
    ObjectCreation,
    ObjectDeletion,
    OperationComplete,
    Event,
}

impl Kind {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "ValueChange" => Self::ValueChange,
            "ObjectCreation" => Self::ObjectCreation,
            "ObjectDeletion" => Self::ObjectDeletion,
            "OperationComplete" => Self::OperationComplete,
            "Event" => Self::Event,
            _ => return None,
        })
    }
}

/// Seconds a change has to be confirmed where the package names none.
const CONFIRM_WINDOW: u32 = 120;
/// Seconds between Periodic! events where the controller names none.
const PERIODIC_INTERVAL: u32 = 86_400;
/// Seconds that notifications to an Oktopus controller wait for its first request: it takes whatever comes
/// before its answer for the answer, and crashes.
const OKTOPUS_HOLD: u32 = 10;
/// Seconds in which an Oktopus controller is answered. It waits for ten, and takes what comes later for the answer to
/// its next request; one is for the way.
const OKTOPUS_ANSWER: u32 = 9;

impl Settings {
    /// Reads the package. What is missing or wrong takes its default; `config` warns of it.
    pub fn from_package(package: &Package) -> Self {
        let global = package.sections.iter().find(|s| &*s.kind == "localagent");
        let trust = Trust::from_package(package);
        let controllers = package.of_kind("controller").take(MAX_CONTROLLERS);
        let mut controllers: Vec<_> = controllers.filter_map(|s| Controller::from_section(s, package)).collect();
        // Nothing is taken from who is banned, and nothing sent to him (TR-181 BannedRole).
        controllers.iter_mut().for_each(|controller| controller.enable &= !trust.is_banned(controller));
        Self {
            controllers,
            sections: package.of_kind("controller").map(|s| s.name.clone()).collect(),
            roles: package.of_kind("role").map(|s| Role::from_section(s, package)).collect(),
            secured_roles: global.map(|s| words(s, "SecuredRoles")).unwrap_or_default(),
            trust,
            mounts: mounts(package),
            confirm_window: global.and_then(|s| number(s, "ConfirmWindow")).unwrap_or(CONFIRM_WINDOW),
            plain_backup: global.is_some_and(|s| truth(s, "AllowUnencryptedBackup", false)),
            subscriptions: package
                .of_kind("subscription")
                .take(MAX_SUBSCRIPTIONS)
                .map(Subscription::from_section)
                .collect(),
            thresholds: Threshold::all(package),
        }
    }

    /// The controller of this Endpoint ID.
    pub fn controller_by_id(&self, endpoint_id: &str) -> Option<&Controller> {
        self.controllers.iter().find(|c| c.endpoint_id.as_str() == endpoint_id)
    }

    /// The controller of this section.
    pub fn controller(&self, section: &str) -> Option<&Controller> {
        self.controllers.iter().find(|c| &*c.section == section)
    }

    /// The subscription of this section.
    pub fn subscription(&self, section: &str) -> Option<&Subscription> {
        self.subscriptions.iter().find(|s| &*s.section == section)
    }
}

impl Controller {
    /// None where there is no Endpoint ID: such a row is not finished yet.
    fn from_section(section: &Section, package: &Package) -> Option<Self> {
        let oktopus = section.text("preset") == Some("oktopus");
        Some(Self {
            section: (&*section.name).into(),
            endpoint_id: EndpointId::lenient(section.text("EndpointID")?).ok()?,
            enable: truth(section, "Enable", true),
            roles: words(section, "role"),
            credentials: words(section, "Credential"),
            periodic_interval: number(section, "PeriodicNotifInterval").filter(|&n| n > 0).unwrap_or(PERIODIC_INTERVAL),
            periodic_time: section.text("PeriodicNotifTime").and_then(calendar::unix_time),
            retry: Retry::from_section(section),
            allow_unencrypted: truth(section, "AllowUnencrypted", false),
            boot_parameters: boot_parameters(package, &section.name),
            on_boarded: truth(section, "OnBoardingComplete", true),
            transfers: Transfers::parse(section.text("ResultTypeFilter").unwrap_or_default()),
            on_boarding_restart: number(section, "OnBoardingRestartTime").unwrap_or(0),
            connect_record: !oktopus,
            walks: oktopus,
            answer_deadline: number(section, "AnswerDeadline").unwrap_or(if oktopus { OKTOPUS_ANSWER } else { 0 }),
            hold_notify: if oktopus { OKTOPUS_HOLD } else { 0 },
        })
    }
}

impl Retry {
    fn from_section(section: &Section) -> Self {
        let usual = Self::default();
        let within = |option, low| number(section, option).filter(|n| (low..=65_535).contains(n));
        Self {
            minimum: within("USPNotifRetryMinimumWaitInterval", 1).unwrap_or(usual.minimum),
            multiplier: within("USPNotifRetryIntervalMultiplier", 1000).unwrap_or(usual.multiplier),
        }
    }
}

impl Role {
    fn from_section(section: &Section, package: &Package) -> Self {
        let mut permissions: Vec<_> = package
            .of_kind("permission")
            .filter(|p| p.text("role") == Some(&section.name) && truth(p, "Enable", true))
            .map(Permission::from_section)
            .collect();
        order::sort_by_key(&mut permissions, |p| std::cmp::Reverse(p.order));
        Self {
            section: section.name.clone(),
            name: section.text("Name").unwrap_or(&section.name).into(),
            enable: truth(section, "Enable", true),
            permissions,
        }
    }
}

impl Permission {
    fn from_section(section: &Section) -> Self {
        let nibble = |option: &str, shift: u16| rights(section.text(option).unwrap_or_default()) << shift;
        let bits = nibble("Param", 0) | nibble("Obj", 4) | nibble("InstantiatedObj", 8) | nibble("CommandEvent", 12);
        Self { order: number(section, "Order").unwrap_or(0), targets: words(section, "Targets"), rights: Rights(bits) }
    }
}

impl Subscription {
    /// Nothing, for nobody.
    pub(super) fn of_nobody() -> Self {
        Self::from_section(&Section {
            name: "".into(),
            kind: "".into(),
            anonymous: false,
            options: Vec::new(),
            line: 0,
        })
    }

    fn from_section(section: &Section) -> Self {
        let action = section.text("TriggerAction").unwrap_or("Notify");
        let configures = matches!(action, "Config" | "NotifyAndConfig");
        Self {
            section: (&*section.name).into(),
            enable: truth(section, "Enable", true),
            id: section.text("ID").unwrap_or_default().into(),
            recipient: section.text("controller").unwrap_or_default().into(),
            kind: section.text("NotifType").and_then(Kind::parse),
            references: words(section, "ReferenceList"),
            persistent: truth(section, "Persistent", false),
            time_to_live: number(section, "TimeToLive").unwrap_or(0),
            created: section.text("CreationDate").and_then(calendar::unix_time),
            retry: truth(section, "NotifRetry", false),
            expiration: number(section, "NotifExpiration").unwrap_or(0),
            notify: action != "Config",
            trigger: if configures { triggers(section) } else { Vec::new() },
        }
    }
}

fn mounts(package: &Package) -> Vec<Box<str>> {
    let mut mounts: Vec<Box<str>> = Vec::new();
    for section in package.of_kind("mount") {
        let object = section.text("object").unwrap_or_default();
        if !can_be_mounted(object) || mounts.len() >= MAX_MOUNTS {
            log::warn!("mount={} object=\"{object}\" effect=ignored check=not-an-object-to-mount", section.name);
        } else if !mounts.iter().any(|known| **known == *object) {
            mounts.push(object.into());
        }
    }
    mounts
}

/// The letters r, w, x, n of a permission as bits 0 to 3.
fn rights(letters: &str) -> u16 {
    "rwxn".chars().enumerate().filter(|(_, c)| letters.contains(*c)).map(|(bit, _)| 1 << bit).sum()
}

fn boot_parameters(package: &Package, controller: &str) -> Vec<Box<str>> {
    package
        .of_kind("boot_parameter")
        .filter(|s| s.text("controller") == Some(controller) && truth(s, "Enable", true))
        .filter_map(|s| s.text("ParameterName").map(Into::into))
        .collect()
}

/// A list option; an option that holds commas is a list too. Commas within brackets or quotes divide nothing.
pub(super) fn words(section: &Section, option: &str) -> Vec<Box<str>> {
    section.list(option).iter().flat_map(|text| split(text)).collect()
}

/// Settings have values that may hold blanks and commas in quotes.
fn triggers(section: &Section) -> Vec<Box<str>> {
    words(section, "TriggerConfigSettings").into_iter().take(16).collect()
}

fn split(text: &str) -> Vec<Box<str>> {
    let (mut depth, mut quoted) = (0u32, false);
    let divide = |c: char| {
        match c {
            '"' => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => return true,
            _ => {}
        }
        false
    };
    text.split(divide).map(str::trim).filter(|part| !part.is_empty()).map(Into::into).collect()
}

pub(super) fn truth(section: &Section, option: &str, missing: bool) -> bool {
    match section.text(option) {
        None => missing,
        Some(text) => matches!(text, "1" | "on" | "true" | "yes" | "enabled"),
    }
}

pub(super) fn number(section: &Section, option: &str) -> Option<u32> {
    section.text(option)?.trim().parse().ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::backend::uci::{Opt, OptValue};

    /// A package from `kind name option=value option=value;...`, for the tests of this room.
    pub(crate) fn package(text: &str) -> Package {
        let sections = text.split(';').filter(|s| !s.trim().is_empty()).map(section).collect();
        Package { name: "usp-agent".into(), sections }
    }

    fn section(text: &str) -> Section {
        let mut words = text.split_whitespace();
        let (kind, name) = (words.next().unwrap(), words.next().unwrap());
        let options = words.filter_map(|w| w.split_once('=')).map(|(name, value)| Opt {
            name: name.into(),
            value: OptValue::One(value.replace('_', " ").replace("~", "_").into()),
            line: 0,
        });
        Section { name: name.into(), kind: kind.into(), anonymous: false, options: options.collect(), line: 0 }
    }

    #[test]
    fn a_controller_and_its_roles_are_read() {
        let settings = Settings::from_package(&package(
            "controller acs EndpointID=proto::acs role=full,guest PeriodicNotifInterval=60;
             role full Name=Full;
             permission p1 role=full Enable=1 Order=1 Targets=Device. Param=rw-n Obj=---- InstantiatedObj=r--- CommandEvent=--x-;
             permission p2 role=full Enable=1 Order=9 Targets=Device.X.;
             permission p3 role=full Enable=0;
             boot_parameter b controller=acs Enable=1 ParameterName=Device.DeviceInfo.",
        ));
        let controller = settings.controller_by_id("proto::acs").unwrap();
        assert_eq!(controller.roles, ["full".into(), "guest".into()]);
        assert_eq!((controller.periodic_interval, controller.retry), (60, Retry::default()));
        assert_eq!(controller.boot_parameters, ["Device.DeviceInfo.".into()]);
        let permissions = &settings.roles[0].permissions;
        assert_eq!(permissions.iter().map(|p| p.order).collect::<Vec<_>>(), [9, 1]);
        let expected = Rights::PARAM_READ
            | Rights::PARAM_WRITE
            | Rights::PARAM_NOTIFY
            | Rights::INSTANCE_READ
            | Rights::COMMAND_EXECUTE;
        assert_eq!(permissions[1].rights, expected);
    }

    #[test]
    fn a_subscription_is_read() {
        let settings = Settings::from_package(&package(
            "subscription s Enable=1 ID=x controller=acs NotifType=ValueChange NotifRetry=1 NotifExpiration=9 \
             ReferenceList=Device.A.[B==\"x,y\"].C,Device.D. TriggerAction=Config TriggerConfigSettings=Device.E=\"a,b\"",
        ));
        let subscription = &settings.subscriptions[0];
        assert_eq!(subscription.kind, Some(Kind::ValueChange));
        assert_eq!(subscription.references, ["Device.A.[B==\"x,y\"].C".into(), "Device.D.".into()]);
        assert!(subscription.retry && !subscription.notify && !subscription.persistent);
        assert_eq!(subscription.trigger, ["Device.E=\"a,b\"".into()]);
    }

    #[test]
    fn nonsense_takes_the_default() {
        let settings = Settings::from_package(&package(
            "controller c EndpointID=x USPNotifRetryMinimumWaitInterval=0 USPNotifRetryIntervalMultiplier=9 \
             PeriodicNotifInterval=-1; subscription s NotifType=Foo TimeToLive=x",
        ));
        assert_eq!(settings.controllers[0].retry, Retry::default());
        assert_eq!(settings.controllers[0].periodic_interval, 86_400);
        assert_eq!((settings.subscriptions[0].kind, settings.subscriptions[0].time_to_live), (None, 0));
    }
}
