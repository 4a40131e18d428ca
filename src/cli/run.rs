//! `run`: the agent, until SIGTERM.

use super::{Arguments, CONFIG_DIR, Exit, Flag, ROOT, STATE_DIR, UBUS, complain, logger, usage};
use crate::daemon::{self, Failure, Options};

pub(super) const FLAGS: &[Flag] = &[
    CONFIG_DIR,
    STATE_DIR,
    UBUS,
    ROOT,
    Flag { name: "fixtures", value: Some("DIR"), doc: "recorded answers instead of a router" },
    Flag {
        name: "log-level",
        value: Some("LEVEL"),
        doc: "error, warn, info, debug or trace; before the configuration's",
    },
];

pub(super) fn run(given: &Arguments) -> Exit {
    let level = given.value("log-level").map(str::parse);
    let Ok(log_level) = level.transpose() else {
        return usage("--log-level takes error, warn, info, debug or trace");
    };
    logger::start(log_level.unwrap_or(log::LevelFilter::Info));
    let path = |name| given.value(name).map(Into::into);
    let options = Options {
        config_dir: path("config-dir"),
        state_dir: path("state-dir"),
        ubus: path("ubus"),
        root: path("root"),
        fixtures: path("fixtures"),
        log_level,
    };
    match daemon::run_blocking(options) {
        Ok(()) => Exit::Success,
        Err(failure) => {
            complain(&failure.to_string());
            match failure {
                Failure::Running(_) => Exit::Running,
                _ => Exit::Failure,
            }
        }
    }
}
