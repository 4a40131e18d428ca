//! `check`: reads the configuration and the data model as `run` would, and names whatever is wrong. Mapping files named
//! on the command line are read as drop-ins after the installed ones.

use super::{Arguments, CONFIG_DIR, Exit, Flag, ROOT, complain, mapping, print};
use crate::backend::uci;
use crate::config;
use std::fs;
use std::path::{Path, PathBuf};

pub(super) const FLAGS: &[Flag] = &[
    CONFIG_DIR,
    ROOT,
    Flag { name: "print-options", value: None, doc: "print every option of /etc/config/usp-agent, as Markdown" },
];

pub(super) fn run(given: &Arguments) -> Exit {
    if given.has("print-options") {
        return print(&config::markdown());
    }
    let folder = given.value("config-dir").unwrap_or("/etc/config");
    let mut findings = configuration(&Path::new(folder).join(config::PACKAGE));
    findings.extend(mapping::installed(Path::new(given.value("root").unwrap_or("/"))).1);
    findings.extend(mapping::files(&given.words.iter().map(PathBuf::from).collect::<Vec<_>>()));
    for finding in &findings {
        complain(finding);
    }
    if findings.is_empty() {
        return print("configuration and data model: nothing to complain of\n");
    }
    Exit::Findings
}

pub(super) fn configuration(file: &Path) -> Vec<String> {
    let named = file.display();
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) => return vec![format!("{named}: {error}; the agent would run without any controller")],
    };
    match uci::parse::parse(config::PACKAGE, &bytes) {
        Err(error) => vec![format!("{named}: {error}; nothing of the file counts until that is repaired")],
        Ok(package) => {
            let (_, unused) = config::links::links(&package, config::own_id(&package).unwrap_or(config::UNKNOWN_ID));
            let warnings = config::check(&package).into_iter().chain(unused);
            warnings.map(|warning| format!("{named}:{warning}")).collect()
        }
    }
}
