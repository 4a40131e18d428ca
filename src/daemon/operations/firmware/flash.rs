//! Has the router flashed: sysupgrade saves the settings, and procd ends everything, us too, before it writes.

use super::super::ground::memory;
use super::{RESERVE, Step, failure, too_large, validate};
use crate::agent::requests::Outcome;
use crate::usp::fault::Fault;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The script of every OpenWrt.
const SYSUPGRADE: &str = "/sbin/sysupgrade";
/// What it says, for BootFailureLog.
const LOG: &str = "sysupgrade.log";
/// Between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(200);
/// How long it may take until procd ends us.
const PATIENCE: Duration = Duration::from_secs(240);
/// How long the end may take to reach us after sysupgrade's own.
const GRACE: Duration = Duration::from_secs(3);
/// Characters of its last words.
const MAX_TOLD: usize = 400;

/// Comes back only where the router was not flashed.
pub(super) async fn run(step: &Step) -> Outcome {
    if !step.file().is_file() {
        return Err(failure("the image is gone; download it again"));
    }
    validate::check_image(step).await?;
    if let Some(free) = memory(&step.ground.root).filter(|free| *free < RESERVE) {
        let needed = RESERVE / 1024;
        return Err(too_large(format!("{} KiB of memory are free, and {needed} KiB are needed to flash", free / 1024)));
    }
    let child = start(step).map_err(|error| failure(format!("{SYSUPGRADE} cannot be started: {error}")))?;
    log::warn!("firmware=flashing pid={}", child.id());
    Err(ended(step, child).await)
}

/// Starts it so that it outlives us.
fn start(step: &Step) -> io::Result<Child> {
    let log = File::create(step.folder().join(LOG))?;
    let mut command = Command::new(step.ground.place(SYSUPGRADE));
    command.arg(step.file()).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.process_group(0).spawn()
}

async fn ended(step: &Step, mut child: Child) -> Fault {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < deadline => sleep(LOOK).await,
            Ok(None) => return failure("sysupgrade does not come to an end"),
            Ok(Some(status)) => {
                sleep(GRACE).await;
                return failure(format!("sysupgrade ended ({status}): {}", last_words(step)));
            }
            Err(error) => return failure(format!("sysupgrade is lost sight of: {error}")),
        }
    }
}

fn last_words(step: &Step) -> String {
    let said = std::fs::read(step.folder().join(LOG)).unwrap_or_default();
    let from = said.len().saturating_sub(MAX_TOLD);
    let words = String::from_utf8_lossy(said.get(from..).unwrap_or_default()).trim().replace(['\n', '\r'], "; ");
    if words.is_empty() { "it said nothing".into() } else { words }
}
