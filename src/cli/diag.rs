//! `diag`: one archive to attach to a report: status, configuration, log and versions, secrets masked.

use super::record_fixtures::masked_package;
use super::{Arguments, CONFIG_DIR, Exit, Flag, UBUS, bus, complain, print, usage};
use crate::backend::ubus::json;
use crate::backend::uci::{parse, write::write};
use crate::backend::{CallError, Table};
use crate::config::PACKAGE;
use crate::daemon::control::OBJECT;
use archive::Archive;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

mod archive;

pub(super) const FLAGS: &[Flag] = &[UBUS, CONFIG_DIR];

/// Where it goes where nothing is said.
const FILE: &str = "/tmp/usp-agent-diag.tar.gz";
/// Bytes of the log that are kept, the last ones.
const MAX_LOG: usize = 256 * 1024;
/// What the agent, and the router, say of themselves.
const ASKED: &[(&str, &str, &str)] = &[
    ("status.json", OBJECT, "status"),
    ("metrics.json", OBJECT, "metrics"),
    ("board.json", "system", "board"),
    ("info.json", "system", "info"),
];

pub(super) fn run(given: &Arguments) -> Exit {
    let file = match given.words.as_slice() {
        [] => FILE,
        [file] => file,
        _ => return usage("diag takes one file: usp-agent diag /tmp/report.tar.gz"),
    };
    let mut archive = Archive::default();
    archive.add("version.txt", super::version().as_bytes());
    archive.add("config.txt", configuration(given.value("config-dir").unwrap_or("/etc/config")).as_bytes());
    archive.add("log.txt", &log());
    // Without a bus the rest is still worth something.
    let _ = bus::converse(given, async |bus, _| {
        for (name, object, method) in ASKED {
            let answer = bus.ask(object, method, &Table::default(), Duration::from_secs(5)).await;
            archive.add(name, said(answer).as_bytes());
        }
        Ok(())
    });
    match fs::write(file, archive.finish()) {
        Ok(()) => print(&format!("{file}: secrets are masked, names and addresses are not: look before you share\n")),
        Err(error) => {
            complain(&format!("{file}: {error}; name a file that can be written"));
            Exit::Failure
        }
    }
}

fn said(answer: Result<(u32, Table), CallError>) -> String {
    match answer {
        Ok((_, data)) => format!("{:#}\n", json::table_to_json(&data)),
        Err(error) => format!("{error}\n"),
    }
}

fn configuration(folder: &str) -> String {
    match fs::read(Path::new(folder).join(PACKAGE)).map(|bytes| parse::parse(PACKAGE, &bytes)) {
        Ok(Ok(package)) => String::from_utf8_lossy(&write(&masked_package(&package))).into_owned(),
        Ok(Err(error)) => format!("{error}\n"),
        Err(error) => format!("{error}\n"),
    }
}

fn log() -> Vec<u8> {
    match Command::new("logread").args(["-e", OBJECT]).output() {
        Ok(output) => {
            let from = output.stdout.len().saturating_sub(MAX_LOG);
            output.stdout.get(from..).unwrap_or_default().to_vec()
        }
        Err(error) => format!("logread: {error}\n").into_bytes(),
    }
}
