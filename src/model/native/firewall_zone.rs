//! What a zone of /etc/config/firewall does for its networks: pings, silence, forged addresses, helpers of connections.

use super::ethernet::set_of_device;
use super::firewall_rule::refused;
use crate::backend::Value;
use crate::backend::uci::{OptValue, Package, Section};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::model::value::truth;
use crate::usp::fault::Fault;

const HELPERS: &str = "/usr/share/firewall4/helpers";

/// The zone behind the row.
fn zone<'a>(scope: &Scope<'a>) -> Option<(&'a Package, &'a Section)> {
    let firewall = scope.uci("firewall")?;
    Some((firewall, firewall.section(&scope.let_text("zone")?)?))
}

fn on(section: &Section, option: &str, default: bool) -> bool {
    section.text(option).and_then(truth).unwrap_or(default)
}

/// What is dropped gets no answer, what is rejected does.
pub(super) fn stealth(_: &Scope<'_>, policy: &str) -> Option<String> {
    Some(u8::from(policy.eq_ignore_ascii_case("DROP")).to_string())
}

/// A zone that accepts has nothing to hide, and is not closed by the way.
pub(super) fn set_stealth(_: &Scope<'_>, old: &str, value: &str) -> Option<String> {
    let policy = old.to_ascii_uppercase();
    match (value, &*policy) {
        ("0", "DROP") => Some("REJECT".to_string()),
        ("1", "ACCEPT") => None,
        ("1", _) => Some("DROP".to_string()),
        _ => Some(policy),
    }
}

/// netifd's `rpfilter` of the device, else what the kernel does.
pub(super) fn rp_filter(scope: &Scope<'_>) -> Option<Value> {
    let device = scope.let_text("dev")?;
    let mut sections = scope.uci("network")?.of_kind("device");
    let stated = sections.find(|s| s.text("name") == Some(&device)).and_then(|s| s.text("rpfilter"));
    let path = format!("/proc/sys/net/ipv4/conf/{device}/rp_filter");
    let mode = stated.or_else(|| scope.file(&path).map(str::trim))?;
    Some(Value::from(matches!(mode, "1" | "strict")))
}

pub(super) fn set_rp_filter(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let device = scope.let_text("dev").ok_or_else(|| refused("the interface has no device now"))?;
    set_of_device(scope, &device, "rpfilter", value, staging);
    Ok(())
}

/// Pings that come in from a zone.
#[derive(Clone, Copy)]
pub(super) struct Echo {
    /// Of ICMPv6.
    six: bool,
    /// To what is behind the router, not to itself.
    through: bool,
}

pub(super) const ECHO4: Echo = Echo { six: false, through: false };
pub(super) const ECHO6: Echo = Echo { six: true, through: false };
pub(super) const ECHO6_THROUGH: Echo = Echo { six: true, through: true };

impl Echo {
    /// The rule is about all pings of this kind from the zone.
    fn is_meant(self, rule: &Section, zone: &str) -> bool {
        let is = |option, wanted: &[&str]| rule.text(option).is_some_and(|text| wanted.contains(&text));
        let family = rule.get("family").is_none() || is("family", &["any", if self.six { "ipv6" } else { "ipv4" }]);
        let mut protocols = rule.list("proto").iter().flat_map(|text| text.split_whitespace());
        let icmp = |name: &str| {
            matches!(name, "icmp" | "all" | "any" | "*")
                || name == if self.six { "58" } else { "1" }
                || self.six && matches!(name, "icmpv6" | "ipv6-icmp")
        };
        let types = rule.list("icmp_type");
        let some = ["src_ip", "dest_ip", "src_mac", "ipset", "helper", "mark", "dscp", "device"];
        is("src", &[zone, "*"])
            && rule.get("dest").is_some() == self.through
            && family
            && protocols.any(icmp)
            && (types.is_empty() || types.iter().any(|kind| self.is_echo(kind)))
            && some.iter().all(|option| rule.get(option).is_none())
            && ["ACCEPT", "DROP", "REJECT"].contains(&&*target(rule))
    }

    fn is_echo(self, kind: &str) -> bool {
        kind == "echo-request" || kind.split('/').next() == Some(if self.six { "128" } else { "8" })
    }

    /// Whether the zone lets pings in that no rule is about.
    fn policy(self, firewall: &Package, zone: &Section) -> bool {
        let name = zone.text("name");
        let forwards = |f: &Section| f.text("src") == name && on(f, "enabled", true);
        let option = if self.through { "forward" } else { "input" };
        let defaults = || firewall.of_kind("defaults").next().and_then(|d| d.text(option));
        let accepts = zone.text(option).or_else(defaults).is_some_and(|policy| policy.eq_ignore_ascii_case("ACCEPT"));
        accepts || self.through && firewall.of_kind("forwarding").any(forwards)
    }

    pub(super) fn read(self, scope: &Scope<'_>) -> Option<Value> {
        let (firewall, zone) = zone(scope)?;
        let name = zone.text("name")?;
        let mut rules = firewall.of_kind("rule").filter(|rule| on(rule, "enabled", true) && self.is_meant(rule, name));
        Some(Value::from(rules.next().map_or_else(|| self.policy(firewall, zone), |rule| target(rule) == "ACCEPT")))
    }

    /// Switches off what says otherwise, on what says so; where nothing does, there is a rule more.
    pub(super) fn write(self, scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
        let (firewall, zone) = zone(scope).ok_or_else(|| refused("the interface is in no zone"))?;
        let name = zone.text("name").unwrap_or_default();
        let wanted = truth(value) == Some(true);
        let (same, other): (Vec<&Section>, Vec<&Section>) = firewall
            .of_kind("rule")
            .filter(|rule| self.is_meant(rule, name))
            .partition(|rule| (target(rule) == "ACCEPT") == wanted);
        for rule in other.into_iter().filter(|rule| on(rule, "enabled", true)) {
            self.leave_out(rule, staging);
        }
        if self.policy(firewall, zone) == wanted || same.iter().any(|rule| on(rule, "enabled", true)) {
            return Ok(());
        }
        let set = |staging: &mut Staging, rule: &str, option: &str, value: &str| {
            staging.set("firewall", rule, option, Some(OptValue::One(value.into())));
        };
        if let Some(rule) = same.first() {
            set(staging, &rule.name, "enabled", "1");
            return Ok(());
        }
        let (family, digit) = if self.six { ("ipv6", "6") } else { ("ipv4", "4") };
        let rule = ["ping", digit, if self.through { "through" } else { "" }, "_", name].concat();
        let rule: String = rule.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        staging.add("firewall", &rule, "rule");
        set(staging, &rule, "src", name);
        if self.through {
            set(staging, &rule, "dest", "*");
        }
        for (option, value) in [("proto", "icmp"), ("icmp_type", "echo-request"), ("family", family)] {
            set(staging, &rule, option, value);
        }
        set(staging, &rule, "target", if wanted { "ACCEPT" } else { "DROP" });
        Ok(())
    }

    /// Takes pings out of a rule for more than pings, or switches off one for pings alone.
    fn leave_out(self, rule: &Section, staging: &mut Staging) {
        let rest: Vec<Box<str>> = rule.list("icmp_type").iter().filter(|kind| !self.is_echo(kind)).cloned().collect();
        match rest.is_empty() {
            true => staging.set("firewall", &rule.name, "enabled", Some(OptValue::One("0".into()))),
            false => staging.set("firewall", &rule.name, "icmp_type", Some(OptValue::List(rest))),
        }
    }
}

fn target(rule: &Section) -> String {
    rule.text("target").unwrap_or_default().to_ascii_uppercase()
}

/// fw4's names of the helpers behind an object of TR-181: `ftp` of `Device.Firewall.ConnectionTracking.FTP.`
fn names(scope: &Scope<'_>) -> Vec<String> {
    match scope.schema().path.trim_end_matches('.').rsplit('.').next().unwrap_or_default() {
        "H323" => vec!["RAS".to_string(), "Q.931".to_string()],
        name => vec![name.to_ascii_lowercase()],
    }
}

/// The helpers whose modules are loaded.
fn available(scope: &Scope<'_>) -> Vec<Box<str>> {
    let modules = scope.list("/sys/module").unwrap_or_default();
    let word = |line: &str, option: &str| Some(line.trim().strip_prefix(option)?.trim().trim_matches('\'').to_string());
    let (mut name, mut all) = (String::new(), Vec::new());
    for line in scope.file(HELPERS).unwrap_or_default().lines() {
        if let Some(stated) = word(line, "option name ") {
            name = stated;
        } else if word(line, "option module ").is_some_and(|module| modules.contains(&module)) {
            all.push(name.as_str().into());
        }
    }
    all
}

/// The helpers of a zone: those it names, else all where it does not masquerade.
fn helpers(scope: &Scope<'_>, firewall: &Package, zone: &Section) -> Vec<Box<str>> {
    let stated = zone.list("helper");
    let automatic = || {
        let by_default = firewall.of_kind("defaults").next().is_none_or(|defaults| on(defaults, "auto_helper", true));
        by_default && on(zone, "auto_helper", true) && !on(zone, "masq", false) && !on(zone, "masq6", false)
    };
    if stated.is_empty() && automatic() { available(scope) } else { stated.to_vec() }
}

/// Some zone has the helper.
pub(super) fn helper(scope: &Scope<'_>) -> Option<Value> {
    let firewall = scope.uci("firewall")?;
    let names = names(scope);
    let has =
        |zone: &Section| helpers(scope, firewall, zone).iter().any(|helper| names.iter().any(|n| **n == **helper));
    Some(Value::from(firewall.of_kind("zone").any(has)))
}

/// Gives the helper to the zones that do not masquerade, or takes it from all. What a zone has without naming it is
/// named then.
pub(super) fn set_helper(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let firewall = scope.uci("firewall").ok_or_else(|| refused("there is no firewall"))?;
    let (names, wanted) = (names(scope), truth(value) == Some(true));
    for zone in firewall.of_kind("zone") {
        let mut all = helpers(scope, firewall, zone);
        let before = all.len();
        all.retain(|helper| !names.iter().any(|name| **name == **helper));
        let had = all.len() < before;
        if had == wanted || wanted && on(zone, "masq", false) {
            continue;
        }
        if wanted {
            all.extend(names.iter().map(|name| name.as_str().into()));
        } else if all.is_empty() {
            staging.set("firewall", &zone.name, "auto_helper", Some(OptValue::One("0".into())));
        }
        staging.set("firewall", &zone.name, "helper", (!all.is_empty()).then_some(OptValue::List(all)));
    }
    Ok(())
}
