//! Which services procd would reload for a change of packages.

use crate::backend::ubus::Client;
use crate::backend::{Table, Value};

/// What a rehearsed change would do to services: `reloads`, or `reloads_unknown` where procd does not answer.
pub(super) async fn reloaded(bus: &Client, packages: &[(Box<str>, Vec<String>)]) -> Vec<(&'static str, Value)> {
    if packages.is_empty() {
        return vec![("reloads", Value::Array(Vec::new()))];
    }
    match bus.call("service", "list", &Table::default().with("verbose", true)).await {
        Ok(services) => {
            let names = packages.iter().flat_map(|(package, _)| triggered(&services, package));
            let mut reloads: Vec<Value> = Vec::new();
            names.map(Value::from).for_each(|name| {
                if !reloads.contains(&name) {
                    reloads.push(name);
                }
            });
            vec![("reloads", Value::Array(reloads))]
        }
        Err(why) => {
            log::warn!("services=unknown cause=\"{why}\" check=procd");
            vec![("reloads_unknown", true.into())]
        }
    }
}

/// The services with a trigger on `config.change` of this package, by the answer of `service list`.
fn triggered<'a>(services: &'a Table, package: &str) -> Vec<&'a str> {
    let reloads = |service: &Value| {
        let triggers = service.as_table().and_then(|service| service.get("triggers"));
        let mut triggers = triggers.and_then(Value::as_array).unwrap_or_default().iter().filter_map(Value::as_array);
        triggers.any(|trigger| {
            let [event, rule, ..] = trigger else { return false };
            event.as_str() == Some("config.change") && names(rule, package)
        })
    };
    services.0.iter().filter(|(_, service)| reloads(service)).map(|(name, _)| &**name).collect()
}

/// `["if", ["eq", "package", NAME], ["run_script", ...]]`, alone or in a list of such.
fn names(rule: &Value, package: &str) -> bool {
    let Some(words) = rule.as_array() else { return false };
    match words {
        [word, field, value] if word.as_str() == Some("eq") && field.as_str() == Some("package") => {
            value.as_str() == Some(package)
        }
        words => words.iter().any(|word| names(word, package)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::ubus::json::table_from_json;
    use serde_json::json;

    #[test]
    fn triggers_are_read_as_procd_lists_them() {
        let rule = |package: &str| json!(["if", ["eq", "package", package], ["run_script", "/etc/init.d/x", "reload"]]);
        let services = table_from_json(&json!({
            "network": {"triggers": [["config.change", rule("network"), 1000], ["config.change", rule("wireless"), 1000]]},
            "odhcpd": {"triggers": [["config.change", rule("dhcp"), 1000], ["interface.*", rule("network"), 1000]]},
            "dnsmasq": {"triggers": [["config.change", [rule("dhcp"), rule("network")], 1000]]},
            "quiet": {"instances": {}},
        }))
        .unwrap();
        let names = |package: &str| triggered(&services, package);
        assert_eq!(names("network"), ["dnsmasq", "network"]);
        assert_eq!(names("dhcp"), ["dnsmasq", "odhcpd"]);
        assert_eq!(names("system"), [""; 0]);
    }
}
