//! The mapping against recorded routers: every file in `tests/mapping/<object>/` is a case, told step by step.
//!
//! A step stands at the beginning of a line, what it must lead to below it, indented:
//!
//! ```text
//! fixture ax-home                            the router of the following steps, fresh
//! uci system.@system[0].hostname             removes the option first; `= TEXT` sets it
//! file /proc/x = TEXT                        as if the router had this file; without `= TEXT` it is gone
//! answer hostapd.x get_clients {"json":1}    likewise an answer; without JSON nobody answers
//! fact mtp acs_mtp Status Up                 what the agent knows of itself; `-` is the empty key
//! get PATH                                   then all `path = value`, or the fault
//! peek PATH                                  the same for a reader who may not see passwords
//! calls PATH                                 then the ubus calls a get of it makes
//! set PATH = VALUE                           then what is committed, or the fault; `and PATH = VALUE` joins the message
//! add TABLE                                  `with NAME = VALUE` joins; then the new path, its keys, what is committed
//! delete PATH                                then what is committed, or the fault
//! command PATH                               then the ubus call it makes, or who performs it
//! ```
//!
//! `MAPPING_BLESS=1 cargo test --test mapping` writes what comes out into the cases: read the difference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "mapping/case.rs"]
mod case;
#[path = "mapping/forbidden.rs"]
mod forbidden;
#[path = "mapping/play.rs"]
mod play;

use case::Case;
use play::Player;
use std::collections::BTreeSet;
use std::path::Path;
use usp_agent::config::{check, options};
use usp_agent::model::native;
use usp_agent::model::schema::{Access, ParamSource, Schema};
use usp_agent::model::source::{Filter, Source};

fn schema() -> Schema {
    Schema::built_in(&native::writes).unwrap()
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for folder in std::fs::read_dir("tests/mapping").unwrap().flatten().filter(|e| e.path().is_dir()) {
        for file in std::fs::read_dir(folder.path()).unwrap().flatten() {
            cases.push(Case::read(&file.path()));
        }
    }
    cases.sort_by(|a, b| a.file.cmp(&b.file));
    cases
}

#[test]
fn every_case_comes_out_as_told() {
    let bless = std::env::var_os("MAPPING_BLESS").is_some();
    let mut wrong = Vec::new();
    for mut case in cases() {
        let differences = Player::play(&mut case);
        if bless && !differences.is_empty() {
            case.write();
        } else if !differences.is_empty() {
            wrong.push(format!("{}:\n{}", case.file.display(), differences.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// A question is asked once, however many parameters it serves.
#[test]
fn a_get_of_everything_asks_each_question_once() {
    for fixture in ["ax-home", "wired-2305"] {
        let mut player = Player::new(fixture);
        let journal = player.journal_of_get("Device.");
        let mut seen = BTreeSet::new();
        let twice: Vec<&String> = journal.iter().filter(|line| !seen.insert(line.as_str())).collect();
        assert!(twice.is_empty(), "{fixture} was asked twice: {twice:?}");
        assert!(journal.iter().any(|line| line.starts_with("call network.interface dump")), "{fixture}");
    }
}

/// The names `native` rows give are names of functions.
#[test]
fn every_native_name_is_known() {
    let mut unknown = BTreeSet::new();
    for file in std::fs::read_dir("data-model").unwrap().flatten() {
        let path = file.path();
        if path.extension().is_none_or(|e| e != "dm") {
            continue;
        }
        for line in std::fs::read_to_string(&path).unwrap().lines().filter(|l| !l.trim_start().starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let named = words.windows(2).filter(|w| w[0] == "native").map(|w| w[1].to_string());
            unknown.extend(named.filter(|name| !native::known(name)));
        }
    }
    assert!(unknown.is_empty(), "no function for {unknown:?}");
}

/// No object without a case that reads it, none that can be written without a case that writes it.
#[test]
fn every_object_has_its_case() {
    let text: String = cases().iter().map(|case| case.text()).collect();
    let template = |path: &str| -> String {
        let names = path
            .split('.')
            .map(|name| if name.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty() { "{i}" } else { name });
        names.collect::<Vec<_>>().join(".")
    };
    let templates = |step: &'static [&'static str]| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|l| step.iter().find_map(|s| l.strip_prefix(s)));
        let paths = lines.map(|l| template(l.split(" = ").next().unwrap().trim()));
        paths.map(|path| path.rsplit_once('.').map_or(String::new(), |(object, _)| format!("{object}."))).collect()
    };
    let (read, written) = (templates(&["    Device"]), templates(&["set Device", "and Device"]));
    let full = |short: &BTreeSet<String>, path: &str| short.contains(path.strip_prefix("Device").unwrap());
    let mut missing = Vec::new();
    for object in &schema().objects {
        let params = || object.params.iter().filter(|p| p.name != "Alias");
        if params().next().is_some() && !full(&read, object.path) {
            missing.push(format!("no case reads {}", object.path));
        }
        if params().any(|p| p.access == Access::ReadWrite) && !full(&written, object.path) {
            missing.push(format!("no case sets anything in {}", object.path));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// Options that no row shows, because the agent does not do yet what the parameter promises.
const NOT_SHOWN: &[&str] = &["EnableMDNS"];

/// What the option table says of a parameter is what the mapping does: the same option, the same default.
#[test]
fn the_agents_own_options_are_shown_as_the_table_has_them() {
    let schema = schema();
    let mut wrong = Vec::new();
    for kind in options::KINDS {
        for row in kind.options.iter().filter(|row| !row.parameter.is_empty() && !NOT_SHOWN.contains(&row.parameter)) {
            let path = match row.parameter.strip_prefix("Device.") {
                Some(_) => row.parameter.to_string(),
                None => format!("{}{}", kind.object, row.parameter),
            };
            let (object, name) = path.rsplit_once('.').unwrap();
            let object = schema.find(&format!("{object}."));
            let Some(param) = object.and_then(|object| schema[object].param(name)) else {
                wrong.push(format!("{path} is not mapped"));
                continue;
            };
            let ParamSource::Mapped(alternatives) = &param.source else { continue };
            let first = &alternatives[0];
            let shown = match &first.source {
                Source::Option { option, .. } | Source::Uci { option, .. } => option,
                // The agent's own names: the Alias that is never empty, the endpoint id that is made of the hardware.
                _ => continue,
            };
            let default =
                first.filters.iter().find_map(|f| if let Filter::Default(text) = f { Some(&**text) } else { None });
            let standard = param.default.as_deref();
            if **shown != *row.name {
                wrong.push(format!("{path} shows option {shown}, the table says {}", row.name));
            } else if !row.default.is_empty()
                && default.or(standard).unwrap_or_default() != row.default
                && name != "PeriodicNotifTime"
            {
                wrong.push(format!("{path} defaults to {default:?}, the table says {}", row.default));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The recorded routers' own configuration is one the agent understands.
#[test]
fn recorded_configurations_are_understood() {
    let text = std::fs::read("tests/fixtures/ax-home/uci/usp-agent").unwrap();
    let package = usp_agent::backend::uci::parse::parse("usp-agent", &text).unwrap();
    assert_eq!(check(&package), []);
}

/// Files that end up elsewhere would never run.
#[test]
fn cases_lie_in_folders_of_their_object() {
    let stray = std::fs::read_dir("tests/mapping").unwrap().flatten().map(|e| e.path());
    let stray: Vec<_> = stray.filter(|p| p.is_file() && p.extension() != Some("rs".as_ref())).collect();
    assert!(stray.is_empty(), "{stray:?}");
    assert!(Path::new("tests/mapping/device-info").is_dir());
}
