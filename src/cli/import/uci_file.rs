//! /etc/config/obuspa: sections of the same types, but for the controller, which holds its one link, and names of files
//! in a section of their own.

use super::Import;
use crate::backend::uci::{Opt, OptValue, Section, parse};
use crate::config::options::{Form, kind};

/// Options of obuspa's controller that belong to its link here.
const OF_LINK: &[&str] = &["Protocol", "Topic", "Host", "Port", "Path", "EnableEncryption", "stomp", "Destination"];
/// Names of obuspa's roles; what it calls otherwise is a role of its own.
const ROLES: &[(&str, &str)] = &[("full_access", "full"), ("Full Access", "full"), ("untrusted", "untrusted")];
/// Options of the global section that name files.
const FILES: &[(&str, &[&str])] = &[("trust_cert", &["ca_file"]), ("client_cert", &["certificate", "key"])];

pub(super) fn read(text: &str, import: &mut Import) {
    let package = match parse::parse("obuspa", text.as_bytes()) {
        Ok(package) => package,
        Err(error) => {
            import.remark(0, error.to_string());
            import.broken = true;
            return;
        }
    };
    // A link of a controller refers to an MTP, wherever that stands.
    let (controllers, others): (Vec<_>, Vec<_>) =
        package.sections.iter().partition(|section| &*section.kind == "controller");
    for section in others.into_iter().chain(controllers) {
        for option in &section.options {
            for value in values(option) {
                let done = take(import, section, &option.name, value);
                done.unwrap_or_else(|what| import.remark(line(option), format!("{}: {what}", option.name)));
            }
        }
    }
    import.warn_of_plain_links();
}

fn line(option: &Opt) -> usize {
    usize::try_from(option.line).unwrap_or_default()
}

fn values(option: &Opt) -> Vec<&str> {
    match &option.value {
        OptValue::One(text) => vec![text],
        OptValue::List(items) => items.iter().map(|item| &**item).collect(),
    }
}

fn take(import: &mut Import, section: &Section, option: &str, value: &str) -> Result<(), String> {
    let name = &*section.name;
    match (&*section.kind, option) {
        ("obuspa", option) => {
            let (_, options) = FILES.iter().find(|(file, _)| *file == option).ok_or("it is not taken over")?;
            let own = import.own.clone();
            options.iter().try_for_each(|option| import.put_named("localagent", &own, option, value))
        }
        ("localagent", option) => {
            let own = import.own.clone();
            import.put_named("localagent", &own, option, value)
        }
        ("controller", "assigned_role_name") => {
            let role = ROLES.iter().find(|(known, _)| *known == value);
            let (_, role) = role.ok_or_else(|| format!("the role {value} is not known here: give `list role`"))?;
            import.put_named("controller", name, "role", role)
        }
        ("controller", "ParameterName") => {
            let boot = import.package.of_kind("boot_parameter").count();
            let row = format!("{name}_boot_{}", boot + 1);
            import.put_named("boot_parameter", &row, "controller", name)?;
            import.put_named("boot_parameter", &row, "ParameterName", value)
        }
        ("controller", "mqtt") => {
            let mtp = import.mtp_of("mqtt", value).ok_or_else(|| format!("no mtp goes through {value}"))?;
            link(import, name, "mtp", &mtp)
        }
        ("controller", option) if OF_LINK.contains(&option) => link(import, name, option, value),
        (kind_name, option) => {
            let row = kind(kind_name).and_then(|kind| kind.option(option)).ok_or("it is not taken over")?;
            match row.form {
                Form::Section("role") => Err(format!("the role {value} is not known here: give `list role`")),
                _ => import.put_named(kind_name, name, option, value),
            }
        }
    }
}

fn link(import: &mut Import, controller: &str, option: &str, value: &str) -> Result<(), String> {
    let section = format!("{controller}_link");
    import.put_named("controller_mtp", &section, option, value)?;
    if import.package.section(&section).is_some_and(|link| link.get("controller").is_none()) {
        import.put_named("controller_mtp", &section, "controller", controller)?;
    }
    Ok(())
}
