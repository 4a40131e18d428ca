//! `import FILE`: what an obuspa was configured with, as sections of /etc/config/usp-agent.
//!
//! FILE is a factory-reset text (`Device.LocalAgent.EndpointID "..."`, a line each) or an /etc/config/obuspa. The whole
//! file is read before anything is written; what is not taken over is named with its line.

mod reset_text;
mod uci_file;

use super::{Arguments, CONFIG_DIR, Exit, Flag, complain, print, usage};
use crate::backend::uci::store::Store;
use crate::backend::uci::{Edit, OptValue, Package, PackageEdits, parse, write::write};
use crate::config::options::{Form, Kind, Row, kind};
use crate::config::{self, PACKAGE};
use crate::task::block_on;
use std::fs;
use std::path::Path;
use std::rc::Rc;

pub(super) const FLAGS: &[Flag] = &[
    CONFIG_DIR,
    Flag { name: "state-dir", value: Some("DIR"), doc: "the agent's state (default /etc/usp-agent)" },
    Flag { name: "dry-run", value: None, doc: "print the sections and write nothing" },
];

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;
/// The section of the agent itself where the configuration has none.
const OWN: &str = "localagent";

pub(super) fn run(given: &Arguments) -> Exit {
    let [file] = given.words.as_slice() else {
        return usage("import needs a file: usp-agent import /etc/config/obuspa --dry-run");
    };
    let text = match read(Path::new(file)) {
        Ok(text) => text,
        Err(error) => return failed(&format!("{file}: {error}")),
    };
    let folder = Path::new(given.value("config-dir").unwrap_or("/etc/config"));
    let present = fs::read(folder.join(PACKAGE)).unwrap_or_default();
    let Ok(present) = parse::parse(PACKAGE, &present) else {
        return failed("/etc/config/usp-agent cannot be read; see `usp-agent check`");
    };
    let mut import = Import::beside(&present);
    match text.lines().map(str::trim_start).any(|line| line.starts_with("config ")) {
        true => uci_file::read(&text, &mut import),
        false => reset_text::read(&text, &mut import),
    }
    for (line, what) in &import.remarks {
        complain(&format!("{file}:{line}: {what}"));
    }
    if import.broken || import.package.sections.is_empty() {
        return failed("nothing was imported");
    }
    for warning in config::check(&import.package) {
        complain(&format!("{}: {}", warning.section, warning.what));
    }
    if given.has("dry-run") {
        return print(&String::from_utf8_lossy(&write(&import.package)));
    }
    let state = Path::new(given.value("state-dir").unwrap_or("/etc/usp-agent"));
    match store(folder, state, present, &import.package) {
        Ok(()) => print("imported; `usp-agent check` reads it, `usp-agent status` shows whether it works\n"),
        Err(why) => failed(&why),
    }
}

fn failed(why: &str) -> Exit {
    complain(why);
    Exit::Failure
}

fn read(file: &Path) -> std::io::Result<String> {
    if fs::metadata(file)?.len() > MAX_FILE {
        return Err(std::io::Error::other("over 1 MiB: not a configuration"));
    }
    fs::read_to_string(file)
}

/// Adds the sections to the file that is there; one that it has already is a conflict.
fn store(folder: &Path, state: &Path, present: Package, sections: &Package) -> Result<(), String> {
    let mut edits = Vec::new();
    for section in &sections.sections {
        match present.section(&section.name) {
            None => edits.push(Edit::Add { section: section.name.clone(), kind: section.kind.clone() }),
            Some(_) if &*section.kind == OWN => {}
            Some(_) => {
                return Err(format!(
                    "section {} is there already: remove it, or import by hand from --dry-run",
                    section.name
                ));
            }
        }
        edits.extend(section.options.iter().map(|option| Edit::Set {
            section: section.name.clone(),
            option: option.name.clone(),
            value: Some(option.value.clone()),
        }));
    }
    let store = Store::new(folder.into(), None, state);
    let edits = [PackageEdits { base: Rc::new(present), edits }];
    let committed = block_on(store.commit(&edits)).map_err(|error| error.to_string())?;
    committed.map(drop).map_err(|error| format!("/etc/config/usp-agent: {error}"))
}

/// What was read so far.
struct Import {
    package: Package,
    /// The name of the agent's own section.
    own: Box<str>,
    /// What a person should know, with the line.
    remarks: Vec<(usize, String)>,
    /// Something is not a line of such a file: nothing of it counts.
    broken: bool,
}

impl Import {
    fn beside(present: &Package) -> Self {
        let own = present.of_kind(OWN).next().map_or(OWN, |section| &section.name).into();
        let package = Package { name: PACKAGE.into(), sections: Vec::new() };
        Self { package, own, remarks: Vec::new(), broken: false }
    }

    fn remark(&mut self, line: usize, what: String) {
        self.remarks.push((line, what));
    }

    /// Sets an option, of a section that may not be there yet; Err says why its value cannot be.
    fn put(&mut self, kind: &Kind, section: &str, row: &Row, value: &str) -> Result<(), String> {
        let value = match row.form {
            _ if value.is_empty() => return Ok(()),
            Form::Bool => (if matches!(value, "1" | "true" | "on" | "yes") { "1" } else { "0" }).to_owned(),
            // obuspa takes it with and without.
            _ if row.name == "Path" && !value.starts_with('/') => format!("/{value}"),
            _ => value.to_owned(),
        };
        if self.package.section(section).is_none() {
            let add = Edit::Add { section: section.into(), kind: kind.name.into() };
            self.package.apply(&add).map_err(|error| error.to_string())?;
        }
        let value = match (row.list, self.package.section(section)) {
            (true, Some(there)) => OptValue::List([there.list(row.name), &[value.into()]].concat()),
            _ => OptValue::One(value.into()),
        };
        let set = Edit::Set { section: section.into(), option: row.name.into(), value: Some(value) };
        self.package.apply(&set).map_err(|error| error.to_string())
    }

    /// The same by the names of type and option, which are known.
    fn put_named(&mut self, kind_name: &str, section: &str, option: &str, value: &str) -> Result<(), String> {
        let found = kind(kind_name).and_then(|kind| Some((kind, kind.option(option)?)));
        let (kind, row) = found.ok_or_else(|| format!("{option} has no counterpart"))?;
        self.put(kind, section, row, value)
    }

    /// The `mtp` sections that go through this MQTT client or STOMP connection.
    fn mtp_of(&self, option: &str, section: &str) -> Option<Box<str>> {
        let mut mtps = self.package.of_kind("mtp");
        mtps.find(|mtp| mtp.text(option) == Some(section)).map(|mtp| mtp.name.clone())
    }

    /// Without TLS a role does not count.
    fn warn_of_plain_links(&mut self) {
        let plain = |section: &crate::backend::uci::Section| match &*section.kind {
            "mqtt" => config::value(section, "TransportProtocol") != "TLS",
            "stomp" | "controller_mtp" => config::value(section, "EnableEncryption") == "0",
            _ => false,
        };
        if self.package.sections.iter().any(plain) {
            let what = "a link without TLS leaves a controller the role `untrusted`, unless its section says \
                        `option AllowUnencrypted '1'`";
            self.remark(0, what.to_owned());
        }
    }
}
