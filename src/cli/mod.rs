//! The command line: one file per verb.
//!
//! Errors go to stderr, say what to do next, and end with one of the [`Exit`] codes.

use crate::mtp::{CLASSES, Class};
use arguments::{Arguments, Flag};
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

mod add;
mod approve;
mod arguments;
mod bus;
mod check;
mod completion;
mod confirm;
mod connect;
pub mod coverage;
mod del;
#[cfg(feature = "demo")]
mod demo;
mod diag;
mod doctor;
mod get;
mod identity;
mod import;
mod logger;
pub mod mapping;
mod operate;
pub mod record_fixtures;
mod reload;
mod run;
mod set;
mod status;
mod subs;
mod table;
mod tools;
mod trace;
mod tree;
mod watch;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Success,
    /// It failed; stderr says why.
    Failure,
    /// The command line is not understood.
    Usage,
    /// `check` found something.
    Findings,
    /// `run`: another agent runs on this state folder.
    Running,
    /// The agent is not running.
    NotRunning,
    /// The agent, or ubusd, refuses what was asked.
    Refused,
    /// ubusd cannot be reached.
    NoBus,
    /// No answer in time.
    Timeout,
    /// `doctor`: what keeps a controller from being reached.
    Fault(Class),
}

impl Exit {
    /// The number the shell gets.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Findings => 3,
            Self::Running => 4,
            Self::NotRunning => 5,
            Self::Refused => 6,
            Self::NoBus => 7,
            Self::Timeout => 8,
            Self::Fault(class) => class.code(),
        }
    }
}

/// The codes a script may go by, with their names.
const EXITS: &[(Exit, &str, &str)] = &[
    (Exit::Success, "success", "done"),
    (Exit::Failure, "failure", "failed, stderr says why"),
    (Exit::Usage, "usage", "the command line is not understood"),
    (Exit::Findings, "findings", "`check` found something"),
    (Exit::Running, "running", "`run`: another agent runs already"),
    (Exit::NotRunning, "not-running", "the agent is not running"),
    (Exit::Refused, "refused", "the agent refuses, stderr says why"),
    (Exit::NoBus, "no-bus", "ubusd cannot be reached"),
    (Exit::Timeout, "timeout", "no answer in time, or too busy"),
];

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// One command.
struct Verb {
    name: &'static str,
    /// What follows its options, for the help.
    words: &'static str,
    doc: &'static str,
    flags: &'static [Flag],
    run: fn(&Arguments) -> Exit,
}

/// Where a router keeps its things; `run` and the verbs that look at a router take these.
const CONFIG_DIR: Flag = Flag { name: "config-dir", value: Some("DIR"), doc: "UCI packages (default /etc/config)" };
const STATE_DIR: Flag =
    Flag { name: "state-dir", value: Some("DIR"), doc: "what must survive a reboot (default /etc/usp-agent)" };
const UBUS: Flag =
    Flag { name: "ubus", value: Some("SOCKET"), doc: "the socket of ubusd (default /var/run/ubus/ubus.sock)" };
const ROOT: Flag = Flag { name: "root", value: Some("DIR"), doc: "the router's file system (default /)" };

const VERBS: &[Verb] = &[
    Verb { name: "run", words: "", doc: "run the agent in the foreground", flags: run::FLAGS, run: run::run },
    verb("connect", "URL", "add a controller and see whether it is reached", connect::FLAGS, connect::run),
    verb("status", "", "how the controllers are reached, and why not", status::FLAGS, status::run),
    verb("doctor", "[CONTROLLER]", "walk the way to the controllers, name the fault", doctor::FLAGS, doctor::run),
    verb("get", "PATH...", "values", get::FLAGS, get::run),
    verb("set", "PATH=VALUE...", "change values, all or none", set::FLAGS, set::run),
    verb("add", "PATH [NAME=VALUE...]", "add a row", add::FLAGS, add::run),
    verb("del", "PATH...", "remove rows", del::FLAGS, del::run),
    verb("operate", "PATH [NAME=VALUE...]", "run a command and wait for its end", operate::FLAGS, operate::run),
    verb("tree", "[PATH]", "what is supported, with types", tree::FLAGS, tree::run),
    verb("watch", "PATH...", "changes as they come", watch::FLAGS, watch::run),
    verb("subs", "", "who is told of what", subs::FLAGS, subs::run),
    verb("trace", "", "records in and out as they come", trace::FLAGS, trace::run),
    verb("approve", "ID", "give a controller a role", approve::FLAGS, approve::run),
    verb("confirm", "", "keep a change on trial", confirm::FLAGS, confirm::confirm),
    verb("revert", "", "undo a change on trial", confirm::FLAGS, confirm::revert),
    verb("reload", "", "read the configuration again", confirm::FLAGS, reload::run),
    verb("diag", "[FILE]", "one archive to attach to a report", diag::FLAGS, diag::run),
    verb("import", "FILE", "take over the configuration of an obuspa", import::FLAGS, import::run),
    #[cfg(feature = "demo")]
    Verb {
        name: "demo",
        words: "",
        doc: "show everything at work on a simulated router, in seconds",
        flags: demo::FLAGS,
        run: demo::run,
    },
    Verb {
        name: "check",
        words: "[FILE.dm]...",
        doc: "read configuration and data model, name whatever is wrong",
        flags: check::FLAGS,
        run: check::run,
    },
    Verb {
        name: "coverage",
        words: "",
        doc: "how much of TR-181 is mapped",
        flags: tools::COVERAGE_FLAGS,
        run: tools::coverage,
    },
    Verb {
        name: "record-fixtures",
        words: "DIR",
        doc: "write what this router answers into a folder, for tests",
        flags: tools::RECORD_FLAGS,
        run: tools::record_fixtures,
    },
    verb("completion", "bash", "completion for the shell", &[], completion::run),
    verb("identity", "", "print the endpoint id of this router", identity::FLAGS, identity::identity),
    Verb { name: "version", words: "", doc: "print the version", flags: &[], run: |_| print(&version()) },
    Verb { name: "help", words: "[COMMAND]", doc: "print this, or the options of a command", flags: &[], run: help },
];

const fn verb(
    name: &'static str,
    words: &'static str,
    doc: &'static str,
    flags: &'static [Flag],
    run: fn(&Arguments) -> Exit,
) -> Verb {
    Verb { name, words, doc, flags, run }
}

/// Runs one command line, without the program's name.
pub fn run(args: Vec<OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let first = args.next().map(|first| first.to_string_lossy().into_owned()).unwrap_or_default();
    let name = match first.as_str() {
        "--version" | "-V" => "version",
        "--help" | "-h" => "help",
        name => name,
    };
    let Some(verb) = VERBS.iter().find(|verb| verb.name == name) else {
        let complaint = if name.is_empty() { "a command is missing".into() } else { format!("{name} is no command") };
        return usage(&format!("{complaint}; `usp-agent help` lists them")).into();
    };
    let args: Vec<_> = args.collect();
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        return print(&help_of(verb)).into();
    }
    match Arguments::parse(args, verb.flags) {
        Ok(given) if given.words.is_empty() || !verb.words.is_empty() => (verb.run)(&given).into(),
        Ok(given) => {
            usage(&format!("{} takes no `{}`; see `usp-agent help {0}`", verb.name, given.words.join(" "))).into()
        }
        Err(what) => usage(&format!("{what}; see `usp-agent help {}`", verb.name)).into(),
    }
}

/// `usp-agent 0.1.0`, as package tests compare it.
fn version() -> String {
    format!("usp-agent {}\n", env!("CARGO_PKG_VERSION"))
}

fn help(given: &Arguments) -> Exit {
    match given.words.first() {
        None => print(&overview()),
        Some(name) => match VERBS.iter().find(|verb| verb.name == name.as_str()) {
            Some(verb) => print(&help_of(verb)),
            None => usage(&format!("{name} is no command; `usp-agent help` lists them")),
        },
    }
}

fn overview() -> String {
    let mut text = String::from("usp-agent: a USP (TR-369) agent for OpenWrt and prplOS routers\n\n");
    for verb in VERBS {
        let usage = format!("{} {}", verb.name, verb.words);
        text += &format!("  usp-agent {usage:<30} {}\n", verb.doc);
    }
    text += "\n`usp-agent COMMAND --help` explains the options of a command. It ends with\n\n";
    for (exit, name, doc) in EXITS {
        text += &format!("  {}  {name:<11}  {doc}\n", exit.code());
    }
    text + "\n`doctor` has a code for each kind of fault: `usp-agent doctor --help`.\n"
}

fn help_of(verb: &Verb) -> String {
    let mut text = format!(
        "usp-agent {} {}{}\n{}\n",
        verb.name,
        if verb.flags.is_empty() { "" } else { "[OPTIONS] " },
        verb.words,
        verb.doc
    );
    for flag in verb.flags {
        let usage = flag.value.map_or(format!("--{}", flag.name), |value| format!("--{} {value}", flag.name));
        text += &format!("\n  {usage:<22} {}", flag.doc);
    }
    if !verb.flags.is_empty() {
        text.push('\n');
    }
    if verb.name == "doctor" {
        text += "\nIt ends with 0, or with the code of the first fault:\n\n";
        for class in CLASSES {
            let (name, remedy) = class.texts();
            text += &format!("  {}  {name:<19} {remedy}\n", class.code());
        }
    }
    text
}

/// Writes to stdout; a reader that went away (`| head`) is no failure.
fn print(text: &str) -> Exit {
    printed(text);
    Exit::Success
}

/// Writes to stdout; false where nobody reads any more.
fn printed(text: &str) -> bool {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
}

/// Writes one line to stderr.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "usp-agent: {text}");
}

fn usage(text: &str) -> Exit {
    complain(text);
    Exit::Usage
}

#[cfg(test)]
mod tests;
