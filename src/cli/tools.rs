//! `coverage` and `record-fixtures`: for those who work on the mapping.

use super::coverage::NoSource;
use super::record_fixtures as recording;
use super::{Arguments, CONFIG_DIR, Exit, Flag, ROOT, UBUS, complain, coverage, logger, mapping, print, usage};
use crate::backend::live::{Live, Place};
use crate::model::built_in;
use crate::model::digest::Digest;
use crate::task::{block_on, spawn};
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;

pub(super) const COVERAGE_FLAGS: &[Flag] = &[
    ROOT,
    Flag {
        name: "objects",
        value: None,
        doc: "a line for each object instead of each top-level one, with why the rest is not mapped",
    },
    Flag { name: "missing", value: None, doc: "what the router profile wants and the model has not, with the reason" },
];

pub(super) const RECORD_FLAGS: &[Flag] = &[CONFIG_DIR, UBUS, ROOT];

/// Counts what is mapped against the whole standard.
pub(super) fn coverage(given: &Arguments) -> Exit {
    let (schema, refused) = mapping::installed(Path::new(given.value("root").unwrap_or("/")));
    refused.iter().for_each(|refusal| complain(refusal));
    let text = built_in::whole_digest();
    let digest = Digest::parse(&text);
    let reasons = built_in::no_source();
    let no_source = NoSource::parse(&reasons);
    if given.has("missing") {
        let missing = coverage::missing(&schema, &digest, &no_source);
        let line = |(path, reason): (String, Option<&str>)| match reason {
            Some(reason) => format!("{path}  {reason}\n"),
            None => format!("{path}\n"),
        };
        return print(&missing.into_iter().map(line).collect::<String>());
    }
    let lines = coverage::coverage(&schema, &digest, &no_source);
    let objects = given.has("objects");
    print(&coverage::table(&if objects { lines } else { coverage::by_top(&lines) }, objects))
}

/// Asks the router everything that a mapping asks.
pub(super) fn record_fixtures(given: &Arguments) -> Exit {
    let [folder] = given.words.as_slice() else {
        return usage("record-fixtures needs one folder: usp-agent record-fixtures DIR");
    };
    logger::start(log::LevelFilter::Warn);
    let mut place = Place::below(Path::new(given.value("root").unwrap_or("/")));
    place.socket = given.value("ubus").map_or(place.socket, Into::into);
    if let Some(config_dir) = given.value("config-dir") {
        place.confdir = config_dir.into();
        place.overrides = None;
    }
    place.deadline = Duration::from_secs(30);
    match record(place, Path::new(folder)) {
        Ok(unanswered) => {
            for question in &unanswered {
                complain(&format!("not recorded: {question}"));
            }
            print(&format!(
                "recorded into {folder}; secrets are masked, names and addresses are not: look before you share\n"
            ))
        }
        Err(error) => {
            complain(&format!("{folder}: {error}; give a folder that can be written"));
            Exit::Failure
        }
    }
}

fn record(place: Place, folder: &Path) -> std::io::Result<Vec<String>> {
    block_on(async {
        let (tell, _changes) = mpsc::channel(1);
        let (router, driver) = Live::new(place, tell);
        spawn(driver.run());
        let wanted = recording::Wanted::of(&router).await;
        recording::record(&router, &wanted, folder).await
    })?
}
