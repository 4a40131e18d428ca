//! DNS-SD: services that umdns heard of, and those it tells of.

use super::time;
use crate::backend::{Table, Value};
use crate::calendar::unix_time;
use crate::model::eval::Scope;
use crate::model::value::date_time;

/// Services others offer: `item` is what umdns knows of one, with `name`, `application` and `transport`.
pub(super) fn found(scope: &Scope<'_>) -> Vec<(String, Value)> {
    instances(scope.ubus("umdns", "browse", &Table::default().with("array", true)))
}

/// Services the router offers.
pub(super) fn announced(scope: &Scope<'_>) -> Vec<(String, Value)> {
    instances(scope.ubus("umdns", "announcements", &Table::default()))
}

/// From a table of services with a table of instances each; a service may stand there several times.
fn instances(answer: Option<&Table>) -> Vec<(String, Value)> {
    let mut rows = Vec::new();
    for (service, instances) in answer.into_iter().flat_map(|Table(services)| services) {
        let (Some((application, transport)), Some(Table(instances))) = (protocols(service), instances.as_table())
        else {
            continue;
        };
        for (name, details) in instances {
            let Some(Table(details)) = details.as_table() else { continue };
            let mut item = Table::default()
                .with("name", &**name)
                .with("application", application)
                .with("transport", &*transport.to_ascii_uppercase());
            item.0.extend(details.iter().cloned());
            rows.push((format!("{name}.{service}"), Value::Table(item)));
        }
    }
    rows
}

/// `_http._tcp.local` is http over tcp.
fn protocols(service: &str) -> Option<(&str, &str)> {
    let (application, rest) = service.strip_prefix('_')?.split_once("._")?;
    let transport = rest.split('.').next()?;
    matches!(transport, "tcp" | "udp").then_some((application, transport))
}

/// umdns tells the local time, and writes it as if it were UTC.
pub(super) fn utc(scope: &Scope<'_>, local: &str) -> Option<String> {
    Some(date_time(unix_time(local)? - time::offset(scope)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_two_protocols() {
        assert_eq!(protocols("_http._tcp.local"), Some(("http", "tcp")));
        assert_eq!(protocols("_sleep-proxy._udp"), Some(("sleep-proxy", "udp")));
        assert_eq!(protocols("_tcp"), None);
        assert_eq!(protocols("_printer._sub._http._tcp"), None);
    }
}
