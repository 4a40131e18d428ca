//! Fetches the image: goes on where the connection broke, as long as there is room for it.

use super::super::ground::{memory, room};
use super::{RESERVE, Step, failure, too_large};
use crate::agent::requests::Outcome;
use crate::mtp::http::{Answer, HttpFault, Url};
use crate::usp::fault::Fault;
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Bytes read at once.
const PIECE: usize = 16 * 1024;
/// Bytes between two looks at the room that is left, and two lines of log.
const STRIDE: u64 = 1024 * 1024;
/// Tries in a row that bring less than [`PROGRESS`] before the download is given up.
const TRIES: u32 = 8;
/// Bytes that make a try count as none.
const PROGRESS: u64 = 64 * 1024;
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The longest a download takes in all.
const DEADLINE: Duration = Duration::from_secs(6 * 3600);

/// Why a try ended.
enum End {
    /// Trying again may help.
    Http(HttpFault),
    /// It will not.
    Final(Fault),
}

impl From<HttpFault> for End {
    fn from(fault: HttpFault) -> Self {
        Self::Http(fault)
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Final(failure(format!("the image cannot be written: {error}")))
    }
}

/// The file as far as it came; it goes with this unless it is whole.
struct Partial {
    path: PathBuf,
    file: File,
    size: u64,
    /// What tells this version of the file from another.
    validator: Option<String>,
    whole: bool,
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.whole {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Partial {
    fn new(step: &Step) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(step.folder())?;
        let path = step.file();
        // A link that somebody else laid there is not followed.
        let _ = std::fs::remove_file(&path);
        let file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { path, file, size: 0, validator: None, whole: false })
    }

    fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        io::Seek::rewind(&mut self.file)?;
        self.size = 0;
        Ok(())
    }
}

pub(super) async fn run(step: &Step) -> Outcome {
    let url = Url::parse(step.given("URL")).map_err(|fault| failure(fault.to_string()))?;
    let mut partial = Partial::new(step).map_err(|error| failure(format!("{}: {error}", step.folder().display())))?;
    let hint = step.given("FileSize").parse().unwrap_or(0);
    must_fit(step, hint)?;
    let deadline = Instant::now() + DEADLINE;
    let mut failed = 0;
    loop {
        let before = partial.size;
        let fault = match fetch(step, &url, &mut partial).await {
            Ok(()) => break,
            Err(End::Final(fault)) => return Err(fault),
            Err(End::Http(fault)) => fault,
        };
        failed = if partial.size >= before + PROGRESS { cost(&fault) } else { failed + cost(&fault) };
        if failed >= TRIES || Instant::now() > deadline {
            return Err(failure(fault.to_string()));
        }
        let wait = Duration::from_secs(1 << failed.saturating_sub(1).min(5)).min(LONGEST_WAIT);
        log::info!("firmware=interrupted bytes={} cause=\"{fault}\" again-in={}s", partial.size, wait.as_secs());
        sleep(wait).await;
    }
    log::info!("firmware=downloaded bytes={}", partial.size);
    partial.whole = true;
    Ok(Vec::new())
}

/// How many tries a fault counts for; [`TRIES`] where another would end the same way.
fn cost(fault: &HttpFault) -> u32 {
    match fault {
        HttpFault::Status { code: 408 | 425 | 429 | 500 | 502 | 503 | 504, .. } => 1,
        HttpFault::Status { .. } | HttpFault::Url(_) | HttpFault::Redirect(_) | HttpFault::Size => TRIES,
        // A connection may break within the handshake; a wrong certificate stays wrong.
        HttpFault::Tls(_) | HttpFault::Protocol(_) => TRIES / 2,
        _ => 1,
    }
}

/// One try, from where the last one ended.
async fn fetch(step: &Step, url: &Url, partial: &mut Partial) -> Result<(), End> {
    let mut answer = match partial.validator.clone().filter(|_| partial.size > 0) {
        Some(validator) => {
            let range = format!("bytes={}-", partial.size);
            step.http.ask("GET", url, &[("Range", &range), ("If-Range", &validator)]).await?
        }
        None => step.http.ask("GET", url, &[]).await?,
    };
    if answer.status == 416 {
        partial.validator = None;
        return Err(HttpFault::Cut.into());
    }
    answer = answer.successful()?;
    if answer.status != 206 || answer.offset != partial.size {
        partial.restart()?;
    }
    if answer.status == 206 && answer.offset != partial.size {
        return Err(HttpFault::Protocol("it sends another part of the file than was asked for".into()).into());
    }
    partial.validator = answer.validator.take();
    if let Some(size) = answer.size {
        must_fit(step, size.saturating_sub(partial.size)).map_err(End::Final)?;
    }
    receive(step, &mut answer, partial).await
}

async fn receive(step: &Step, answer: &mut Answer, partial: &mut Partial) -> Result<(), End> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = answer.read(&mut piece).await?;
        if read == 0 {
            break;
        }
        partial.file.write_all(piece.get(..read).unwrap_or_default())?;
        let before = partial.size;
        partial.size += u64::try_from(read).unwrap_or(0);
        if partial.size / STRIDE != before / STRIDE {
            let of = answer.size.map_or("unknown".to_owned(), |size| size.to_string());
            log::info!("firmware=downloading bytes={} of={of}", partial.size);
            must_fit(step, STRIDE).map_err(End::Final)?;
        }
    }
    match answer.size {
        Some(size) if size != partial.size => Err(HttpFault::Cut.into()),
        _ => Ok(()),
    }
}

/// There is room for so many bytes more, and what the router needs beside them.
fn must_fit(step: &Step, size: u64) -> Result<(), Fault> {
    let free = room(&step.folder()).into_iter().chain(memory(&step.ground.root)).min();
    match free {
        Some(free) if free < size.saturating_add(RESERVE) => {
            let (free, reserve) = (free / 1024, RESERVE / 1024);
            Err(too_large(format!("{} KiB more and {reserve} KiB to flash do not fit into {free} KiB", size / 1024)))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_fail_again_is_not_tried_again() {
        let status = |code| HttpFault::Status { code, reason: String::new() };
        assert!([status(404), status(401), HttpFault::Url("")].iter().all(|fault| cost(fault) == TRIES));
        assert!([status(503), HttpFault::Cut, HttpFault::Stalled(1)].iter().all(|fault| cost(fault) == 1));
    }
}
