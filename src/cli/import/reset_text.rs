//! The factory-reset text of obuspa: a path and a value per line, the value perhaps in quotes.

use super::Import;
use crate::config::options::{Form, KINDS, Kind, Row};

/// The roles that obuspa has from the start.
const ROLES: &[(&str, &str)] =
    &[("Device.LocalAgent.ControllerTrust.Role.1", "full"), ("Device.LocalAgent.ControllerTrust.Role.2", "untrusted")];
/// Where obuspa says which MQTT client reaches a controller; TR-181 names the agent's MTP instead.
const CLIENT: &str = "MQTT.Reference";

pub(super) fn read(text: &str, import: &mut Import) {
    let mut clients = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let (number, line) = (number + 1, line.trim());
        if line.is_empty() || line.starts_with('#') || line.starts_with("Internal.") {
            continue;
        }
        let Some((path, value)) = divided(line) else {
            import.remark(number, "not a path and its value".to_owned());
            import.broken = true;
            continue;
        };
        match found(path) {
            Some((kind, numbers, Leaf::Row(row))) => take(import, number, (kind, &numbers, row), value),
            Some((kind, numbers, Leaf::Client)) => clients.push((number, name(kind, &numbers, import), value)),
            None => import.remark(number, format!("{path} is not taken over")),
        }
    }
    for (number, section, client) in clients {
        let mtp = referred(client, "mqtt").and_then(|client| import.mtp_of("mqtt", &client));
        let done = match mtp {
            Some(mtp) => import.put_named("controller_mtp", &section, "mtp", &mtp),
            None => Err(format!("no MTP of the agent goes through {client}")),
        };
        done.unwrap_or_else(|what| import.remark(number, what));
    }
    import.warn_of_plain_links();
}

fn divided(line: &str) -> Option<(&str, &str)> {
    let (path, value) = line.split_once(char::is_whitespace)?;
    let value = value.trim();
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?,
        None => value,
    };
    path.starts_with("Device.").then_some((path, value))
}

enum Leaf {
    Row(&'static Row),
    Client,
}

/// The section type, the numbers of the row, and the option behind a path.
fn found(path: &str) -> Option<(&'static Kind, Vec<&str>, Leaf)> {
    KINDS.iter().filter(|kind| !kind.object.is_empty()).find_map(|kind| {
        if let Some(row) = kind.options.iter().find(|row| row.parameter == path) {
            return Some((kind, Vec::new(), Leaf::Row(row)));
        }
        let (numbers, leaf) = numbered(kind.object, path)?;
        let row = kind.options.iter().find(|row| row.parameter == leaf).map(Leaf::Row);
        let client = (kind.name == "controller_mtp" && leaf == CLIENT).then_some(Leaf::Client);
        Some((kind, numbers, row.or(client)?))
    })
}

/// The instance numbers of a path along an object of the supported model, and what is left of it.
fn numbered<'p>(object: &str, path: &'p str) -> Option<(Vec<&'p str>, &'p str)> {
    let (mut numbers, mut rest) = (Vec::new(), path);
    for step in object.split_terminator('.') {
        let (name, after) = rest.split_once('.').unwrap_or((rest, ""));
        match step {
            "{i}" if name.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty() => numbers.push(name),
            step if step == name => {}
            _ => return None,
        }
        rest = after;
    }
    Some((numbers, rest))
}

fn name(kind: &Kind, numbers: &[&str], import: &Import) -> String {
    match numbers {
        [] => import.own.to_string(),
        numbers => format!("{}_{}", kind.name, numbers.join("_")),
    }
}

/// The section that a path refers to, of this type.
fn referred(path: &str, kind: &str) -> Option<String> {
    let kind = KINDS.iter().find(|known| known.name == kind)?;
    let (numbers, rest) = numbered(kind.object, path.trim_end_matches('.'))?;
    (rest.is_empty() && !numbers.is_empty()).then(|| format!("{}_{}", kind.name, numbers.join("_")))
}

fn take(import: &mut Import, line: usize, (kind, numbers, row): (&Kind, &[&str], &Row), value: &str) {
    let section = name(kind, numbers, import);
    let mut done = Ok(());
    // A row in a row says in which.
    let parent = kind.options.iter().find(|row| row.required && row.parameter.is_empty());
    if let (Some((parent, Form::Section(of))), [above, _], None) =
        (parent.map(|row| (row, row.form)), numbers, import.package.section(&section))
    {
        done = import.put(kind, &section, parent, &format!("{of}_{above}"));
    }
    let mut set = |value: &str| match row.form {
        Form::Section("role") => match ROLES.iter().find(|(path, _)| *path == value.trim_end_matches('.')) {
            Some((_, role)) => import.put(kind, &section, row, role),
            None => Err(format!("{value} is not one of the roles that obuspa has from the start: give `list role`")),
        },
        Form::Section(of) => match referred(value, of) {
            Some(name) => import.put(kind, &section, row, &name),
            None => Err(format!("{value} is no row of a table that is taken over")),
        },
        _ => import.put(kind, &section, row, value),
    };
    for value in if row.list { value.split(',').collect() } else { vec![value] } {
        if !value.trim().is_empty() {
            done = done.and_then(|()| set(value.trim()));
        }
    }
    done.unwrap_or_else(|what| import.remark(line, what));
}
