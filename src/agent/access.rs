//! Who may do what: the roles of a controller, compiled into a [`Permit`].
//!
//! Within a role the permission of highest Order that names an element decides all its sixteen bits;
//! the roles are OR-ed (TR-181 `ControllerTrust.Role.{i}.Permission.{i}.`). What no permission names is
//! forbidden. Targets with a search expression would need values: they match nothing, with a warning,
//! so that a mistake forbids and never allows.

use super::pattern::Pattern;
use super::settings::{Controller, Role, Settings};
use crate::model::{Permit, Rights};
use std::cell::RefCell;
use std::collections::HashMap;

/// Objects whose rights are remembered.
const CACHE: usize = 1024;

/// What the members of some roles may do.
#[derive(Debug, Default)]
pub struct Access {
    /// Per role its rules, the highest Order first.
    roles: Vec<Vec<Rule>>,
    secured: bool,
    by_element: bool,
    cache: RefCell<HashMap<Box<str>, Rights>>,
}

#[derive(Debug)]
struct Rule {
    targets: Vec<Pattern>,
    rights: Rights,
}

impl Access {
    /// What `controller` may do on a link that is encrypted or not.
    ///
    /// Without encryption nobody knows who sends: the untrusted role only, unless the owner allowed it.
    pub fn of(settings: &Settings, controller: &Controller, encrypted: bool) -> Self {
        if (encrypted || controller.allow_unencrypted) && !controller.roles.is_empty() {
            return Self::of_roles(settings, &controller.roles);
        }
        log::debug!("controller={} access={}", controller.section, settings.untrusted_role);
        Self::of_roles(settings, std::slice::from_ref(&settings.untrusted_role))
    }

    /// What the members of these roles (sections or Names) may do.
    pub fn of_roles(settings: &Settings, names: &[Box<str>]) -> Self {
        let is_named = |role: &&Role| names.iter().any(|n| *n == role.section || *n == role.name);
        let roles: Vec<&Role> = settings.roles.iter().filter(|r| r.enable).filter(is_named).collect();
        let secured = |role: &&Role| settings.secured_roles.iter().any(|n| *n == role.section || *n == role.name);
        let rules: Vec<Vec<Rule>> = roles.iter().map(|r| compile(r)).collect();
        Self {
            secured: roles.iter().any(secured),
            by_element: rules.iter().flatten().flat_map(|r| &r.targets).any(|t| t.leaf().is_some()),
            roles: rules,
            cache: RefCell::default(),
        }
    }

    fn decide(&self, matches: impl Fn(&Pattern) -> bool) -> Rights {
        let of_role = |rules: &Vec<Rule>| rules.iter().find(|r| r.targets.iter().any(&matches)).map(|r| r.rights);
        self.roles.iter().filter_map(of_role).fold(Rights::default(), |all, rights| all | rights)
    }
}

impl Permit for Access {
    fn object(&self, path: &str) -> Rights {
        if let Some(&rights) = self.cache.borrow().get(path) {
            return rights;
        }
        let rights = self.decide(|target| target.leaf().is_none() && target.covers(path));
        let mut cache = self.cache.borrow_mut();
        if cache.len() >= CACHE {
            cache.clear();
        }
        cache.insert(path.into(), rights);
        rights
    }

    fn element(&self, object: &str, name: &str) -> Rights {
        if !self.by_element(object) {
            return self.object(object);
        }
        self.decide(|target| target.covers_element(object, name))
    }

    fn by_element(&self, object: &str) -> bool {
        let here = |target: &Pattern| target.leaf().is_some() && target.is(object);
        self.by_element && self.roles.iter().flatten().flat_map(|r| &r.targets).any(here)
    }

    fn secured(&self) -> bool {
        self.secured
    }
}

fn compile(role: &Role) -> Vec<Rule> {
    let rule = |p: &super::settings::Permission| Rule {
        targets: p.targets.iter().filter_map(|t| target(&role.section, t)).collect(),
        rights: p.rights,
    };
    role.permissions.iter().map(rule).collect()
}

fn target(role: &str, text: &str) -> Option<Pattern> {
    match Pattern::parse(text) {
        Some(pattern) if !pattern.needs_values() => Some(pattern),
        Some(_) => {
            log::warn!("role={role} target={text} ignored: search expressions are not supported in Targets");
            None
        }
        None => {
            log::warn!("role={role} target={text} ignored: not a path");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::package;
    use super::*;

    const ROLES: &str = "
        role full; permission a role=full Enable=1 Order=1 Targets=Device. Param=rwxn Obj=rwxn InstantiatedObj=rwxn CommandEvent=rwxn;
        permission b role=full Enable=1 Order=5 Targets=Device.WiFi.,Device.IP.Interface.*.Stats. Param=r---;
        role guest Name=Guest; permission c role=guest Enable=1 Order=1 Targets=Device.WiFi.Radio.1. Obj=r---;
        permission d role=guest Enable=1 Order=2 Targets=Device.DeviceInfo.UpTime Param=r---;
        permission e role=guest Enable=1 Order=3 Targets=Device.Users.User.[Enable==true]. Param=rwxn;
        role off Enable=0; permission f role=off Enable=1 Targets=Device. Param=rwxn;
        localagent t UntrustedRole=guest SecuredRoles=full;
        controller lab EndpointID=a role=full AllowUnencrypted=1; controller acs EndpointID=b role=full";

    fn access(names: &[&str]) -> Access {
        let names: Vec<Box<str>> = names.iter().map(|&n| n.into()).collect();
        Access::of_roles(&Settings::from_package(&package(ROLES)), &names)
    }

    #[test]
    fn the_highest_order_replaces_all_bits() {
        let full = access(&["full"]);
        assert_eq!(full.object("Device.IP.Interface.1."), Rights::ALL);
        assert_eq!(full.object("Device.WiFi.Radio.1."), Rights::PARAM_READ);
        assert_eq!(full.object("Device.IP.Interface.4.Stats."), Rights::PARAM_READ);
        assert!(full.secured());
    }

    #[test]
    fn roles_are_united() {
        let both = access(&["full", "Guest"]);
        assert_eq!(both.object("Device.WiFi.Radio.1."), Rights::PARAM_READ | Rights::OBJECT_READ);
        assert_eq!(both.object("Device.WiFi.Radio.2."), Rights::PARAM_READ);
    }

    #[test]
    fn what_nobody_names_is_forbidden() {
        assert_eq!(access(&["guest"]).object("Device.IP."), Rights::default());
        assert_eq!(access(&["off", "unknown"]).object("Device."), Rights::default());
        assert_eq!(access(&["guest"]).object("Device.Users.User.1."), Rights::default());
    }

    #[test]
    fn a_target_may_be_one_parameter() {
        let guest = access(&["guest"]);
        assert!(guest.by_element("Device.DeviceInfo.") && !guest.by_element("Device.WiFi."));
        assert_eq!(guest.element("Device.DeviceInfo.", "UpTime"), Rights::PARAM_READ);
        assert_eq!(guest.element("Device.DeviceInfo.", "SerialNumber"), Rights::default());
    }

    #[test]
    fn without_encryption_only_the_untrusted_role_is_left() {
        let settings = Settings::from_package(&package(ROLES));
        let acs = settings.controller("acs").unwrap();
        assert_eq!(Access::of(&settings, acs, true).object("Device."), Rights::ALL);
        assert_eq!(Access::of(&settings, acs, false).object("Device."), Rights::default());
        let lab = settings.controller("lab").unwrap();
        assert_eq!(Access::of(&settings, lab, false).object("Device."), Rights::ALL);
    }
}
