//! `identity`: the endpoint id of this router, for who enters it at a controller and for `uci-defaults`.

use super::{Arguments, CONFIG_DIR, Exit, Flag, ROOT, STATE_DIR, UBUS, complain, logger, print};
use crate::daemon::{self, Options};

pub(super) const FLAGS: &[Flag] = &[CONFIG_DIR, STATE_DIR, UBUS, ROOT];

pub(super) fn identity(given: &Arguments) -> Exit {
    logger::start(log::LevelFilter::Error);
    let path = |name| given.value(name).map(Into::into);
    let options = Options {
        config_dir: path("config-dir"),
        state_dir: path("state-dir"),
        ubus: path("ubus"),
        root: path("root"),
        ..Options::default()
    };
    match daemon::identity_blocking(&options) {
        Ok(id) => print(&format!("{id}\n")),
        Err(failure) => {
            complain(&failure.to_string());
            Exit::Failure
        }
    }
}
