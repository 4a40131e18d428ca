//! `Device.PacketCaptureDiagnostics()`: tcpdump, held to a time and a size, and its file brought where it is wanted.
//!
//! tcpdump writes into a pipe; this takes whole packets out of it until enough is there, so a file never grows over its
//! limit and never ends within a packet. One capture at a time: the file is in memory. Dropping the future ends tcpdump.

use super::arguments::{Arguments, Named, TimeOfDay, named, push_row};
use super::upload;
use crate::mtp::http::{Client, HttpFault, Url};
use crate::usp::fault::{Code, Fault};
use pcap::{Pcap, Step};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::time::{Instant, timeout, timeout_at};

mod pcap;
#[cfg(test)]
mod tests;

/// Bytes of a file at most, whatever ByteCount says: `/tmp` is memory, of which small routers have 64 MiB.
pub const MAX_BYTES: u64 = 8 << 20;
/// How long a capture takes that has no Duration.
pub const DURATION: Duration = Duration::from_secs(60);
/// Bytes of a packet that are kept.
const MAX_PACKET: u32 = 65_535;
/// Where the file lies until the next capture, or the next start of the router.
const FILE: &str = "/tmp/usp-agent-capture.pcap";
/// Bytes that are read at once.
const PIECE: usize = 16 * 1024;
/// Bytes of tcpdump's own words that are told.
const MAX_WORDS: usize = 256;

/// A capture runs.
static RUNS: AtomicBool = AtomicBool::new(false);

/// What is asked for.
pub struct Request {
    /// The network device; all where None.
    device: Option<String>,
    duration: Duration,
    /// Packets at most.
    packets: u32,
    /// Bytes of the file at most.
    bytes: u64,
    /// An expression of BPF; empty for everything.
    filter: String,
    /// Where the file goes; None: it stays where it is.
    target: Option<Url>,
    /// FileTarget as it was given.
    location: String,
    client: Client,
    program: PathBuf,
    file: PathBuf,
}

impl Request {
    /// Reads the arguments of the command; `client` has its Username and Password.
    ///
    /// # Errors
    /// The format is not tcpdump's, or FileTarget none of HTTP.
    pub fn from_input(input: &[(String, String)], device: Option<String>, client: Client) -> Result<Self, Fault> {
        let given = Arguments(input);
        let wrong = |why: String| Fault::new(Code::InvalidCommandArguments, why);
        if given.text("Format") == "pcapng" {
            return Err(wrong("Format: tcpdump writes libpcap".into()));
        }
        let location = given.text("FileTarget").to_owned();
        let target = Some(&location).filter(|location| !location.is_empty()).map(|location| Url::parse(location));
        let limit = |name: &str| Some(given.number(name, 0)).filter(|limit| *limit > 0);
        Ok(Self {
            device,
            duration: limit("Duration").map_or(DURATION, |seconds| Duration::from_secs(seconds.into())),
            packets: limit("PacketCount").unwrap_or(u32::MAX),
            bytes: limit("ByteCount").map_or(MAX_BYTES, |bytes| MAX_BYTES.min(bytes.into())),
            filter: given.text("FilterExpression").to_owned(),
            target: target.transpose().map_err(|why| wrong(format!("FileTarget: {why}")))?,
            location,
            client,
            program: "tcpdump".into(),
            file: FILE.into(),
        })
    }

    fn start(&self) -> io::Result<Tcpdump> {
        let mut command = Command::new(&self.program);
        command.args(["-i", self.device.as_deref().unwrap_or("any"), "-n", "-U", "-w", "-"]);
        command.args(["-s", &MAX_PACKET.to_string()]);
        // Whatever the expression begins with, it is no option.
        command.arg("--").arg(&self.filter);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map(Tcpdump)
    }
}

/// Performs the capture; the output arguments of the command.
///
/// # Errors
/// Another capture runs, there is no tcpdump, or it refuses.
pub async fn run(request: &Request) -> Result<Named, Fault> {
    let _only = Only::take().ok_or_else(|| Fault::new(Code::ResourcesExceeded, "another capture runs"))?;
    let time_of_day = TimeOfDay::now();
    let started = Instant::now();
    let captured = capture(request).await?;
    let mut output = named([("Status", "Complete".to_owned())]);
    let mut location = format!("file://{}", request.file.display());
    if let Some(target) = &request.target {
        match bring(request, target).await {
            Ok(()) => {
                location.clone_from(&request.location);
                let _ = std::fs::remove_file(&request.file);
            }
            Err(why) => {
                log::info!("operation=PacketCaptureDiagnostics upload=failed cause=\"{why}\"");
                output = named([("Status", "Error_Other".to_owned())]);
            }
        }
    }
    let members = [
        ("FileLocation", location),
        ("StartTime", time_of_day.at(started)),
        ("EndTime", time_of_day.at(captured.ended)),
        ("Count", captured.packets.to_string()),
    ];
    push_row(&mut output, "PacketCaptureResult", 1, members);
    Ok(output)
}

struct Captured {
    packets: u32,
    ended: Instant,
}

/// Lets tcpdump run until one of the limits is reached, or it ends.
async fn capture(request: &Request) -> Result<Captured, Fault> {
    let failed = |why: String| Fault::new(Code::CommandFailure, why);
    let unwritable = |error: io::Error| failed(format!("{}: {error}", request.file.display()));
    let until = Instant::now() + request.duration;
    let mut tcpdump = request.start().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => failed("there is no tcpdump: install the package tcpdump or tcpdump-mini".into()),
        _ => failed(format!("tcpdump does not start: {error}")),
    })?;
    let pipes = tcpdump.pipes().map_err(|error| failed(format!("tcpdump cannot be read: {error}")))?;
    let (mut packets, mut words) = pipes;
    // What the last capture left goes; a link that somebody laid there is not followed.
    let _ = std::fs::remove_file(&request.file);
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&request.file).map_err(unwritable)?;
    let mut pcap = Pcap::new(MAX_PACKET, request.packets, request.bytes);
    let mut piece = vec![0; PIECE];
    loop {
        let Ok(read) = timeout_at(until, packets.read(&mut piece)).await else { break };
        let read = read.map_err(|error| failed(format!("tcpdump cannot be read: {error}")))?;
        match pcap.push(piece.get(..read).unwrap_or_default(), &mut file).map_err(unwritable)? {
            Step::More if read > 0 => {}
            Step::More if pcap.has_begun() => break,
            Step::Enough => break,
            Step::More => return Err(failed(format!("tcpdump refuses: {}", told(&mut words).await))),
            Step::Wrong => return Err(failed("tcpdump writes something else than libpcap".into())),
        }
    }
    Ok(Captured { packets: pcap.count(), ended: Instant::now() })
}

/// What tcpdump says against it.
async fn told(words: &mut Receiver) -> String {
    let mut text = vec![0; MAX_WORDS];
    // It has ended: what it said is there.
    let read = timeout(Duration::from_millis(500), words.read(&mut text)).await;
    text.truncate(read.ok().and_then(Result::ok).unwrap_or(0));
    String::from_utf8_lossy(&text).trim().replace(char::is_control, " ")
}

/// Brings the file to the server.
async fn bring(request: &Request, target: &Url) -> Result<(), HttpFault> {
    let broken = |error: io::Error| HttpFault::Broken(format!("{}: {error}", request.file.display()));
    let mut file = File::open(&request.file).map_err(broken)?;
    let size = file.metadata().map_err(broken)?.len();
    upload::put(&request.client, target, "application/vnd.tcpdump.pcap", size, &mut file).await
}

/// A running tcpdump, which ends with this.
struct Tcpdump(Child);

impl Tcpdump {
    /// Packets, and words against them.
    fn pipes(&mut self) -> io::Result<(Receiver, Receiver)> {
        let missing = || io::Error::from(io::ErrorKind::BrokenPipe);
        let packets = OwnedFd::from(self.0.stdout.take().ok_or_else(missing)?);
        let words = OwnedFd::from(self.0.stderr.take().ok_or_else(missing)?);
        Ok((Receiver::from_owned_fd(packets)?, Receiver::from_owned_fd(words)?))
    }
}

impl Drop for Tcpdump {
    fn drop(&mut self) {
        let _ = self.0.kill();
        // Killed, it is gone at once.
        let _ = self.0.wait();
    }
}

/// Held by the one capture that runs.
struct Only;

impl Only {
    fn take() -> Option<Self> {
        (!RUNS.swap(true, Ordering::Relaxed)).then_some(Self)
    }
}

impl Drop for Only {
    fn drop(&mut self) {
        RUNS.store(false, Ordering::Relaxed);
    }
}

/// Writes a whole packet.
fn put(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)
}
