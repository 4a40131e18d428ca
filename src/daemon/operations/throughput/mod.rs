//! `Device.IP.Diagnostics.DownloadDiagnostics()` and `UploadDiagnostics()`: how fast files come and go (TR-143), over
//! HTTP and several connections at once.
//!
//! A downloaded file is kept nowhere, an uploaded one is made up on the way. Dropping the future cancels the test.

use super::arguments::{Arguments, Named, TimeOfDay, Version, microseconds, named, push_row};
use crate::mtp::http::{Client, HttpFault, Url};
use crate::mtp::{Family, Way};
use crate::usp::fault::{Code, Fault};
use meter::{Meter, Sample};
use std::time::Duration;
use tokio::time::{Instant, timeout};

mod connection;
mod meter;
#[cfg(test)]
mod tests;

/// Connections of one test: DownloadDiagnosticMaxConnections and UploadDiagnosticsMaxConnections tell it.
pub const MAX_CONNECTIONS: u32 = 8;
/// How long a test may take that has no duration of its own.
pub const MAX_TIME: Duration = Duration::from_secs(3600);

words! {
    /// Which way the file goes.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[allow(missing_docs)]
    pub enum Direction {
        Download,
        Upload,
    }
}

/// What is asked for. EthernetPriority has no effect: it is where VLANs are made that it is set.
#[derive(Clone)]
pub struct Request {
    /// Which way the file goes.
    pub direction: Direction,
    /// Where from, or where to.
    pub url: Url,
    /// Who asks; its way is the device, the version and the codepoint asked for. No login: TR-143 has none.
    pub client: Client,
    /// How many connections.
    pub connections: u32,
    /// What became of each connection is told.
    pub individual: bool,
    /// How long the test takes; None: as long as the file.
    pub duration: Option<Duration>,
    /// What moved is told for every such time.
    pub interval: Option<Duration>,
    /// How long after the begin the first of these times begins.
    pub offset: Duration,
    /// Bytes to send over each connection, where there is no duration.
    pub length: u64,
}

words! {
    /// How it ended; the names are those of the parameter Status.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[allow(missing_docs, non_camel_case_types)]
    pub enum Status {
        Complete,
        Error_CannotResolveHostName,
        Error_NoRouteToHost,
        Error_InitConnectionFailed,
        Error_NoResponse,
        Error_TransferFailed,
        Error_LoginFailed,
        Error_IncorrectSize,
        Error_NoTransferComplete,
        Error_Timeout,
        Error_Internal,
    }
}

impl Request {
    /// Reads the arguments of a command.
    ///
    /// # Errors
    /// The URL is none of HTTP, or there are more connections than one test has.
    pub fn from_input(
        direction: Direction,
        input: &[(String, String)],
        device: Option<String>,
        client: Client,
    ) -> Result<Self, Fault> {
        let given = Arguments(input);
        let wrong = |why: String| Fault::new(Code::InvalidCommandArguments, why);
        let url = match direction {
            Direction::Download => "DownloadURL",
            Direction::Upload => "UploadURL",
        };
        if given.text(url).get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("ftp:")) {
            return Err(wrong(format!("{url}: FTP is not supported, only HTTP is")));
        }
        let url = Url::parse(given.text(url)).map_err(|why| wrong(format!("{url}: {why}")))?;
        let connections = given.number("NumberOfConnections", 1);
        if connections > MAX_CONNECTIONS {
            return Err(wrong(format!("NumberOfConnections: at most {MAX_CONNECTIONS}")));
        }
        let family = match Version::parse(given.text("ProtocolVersion")) {
            Version::Any => Family::Any,
            Version::IPv4 => Family::V4,
            Version::IPv6 => Family::V6,
        };
        let way = Way { device: device.map(Into::into), family, dscp: given.dscp() };
        let seconds = |name: &str| Duration::from_secs(given.number(name, 0).into());
        let some = |time: Duration| Some(time).filter(|time| !time.is_zero());
        let duration = some(seconds("TimeBasedTestDuration"));
        Ok(Self {
            direction,
            url,
            client: Client { way, login: None, ..client },
            connections,
            individual: given.truth("EnablePerConnectionResults"),
            duration,
            interval: duration.and(some(seconds("TimeBasedTestMeasurementInterval"))),
            offset: seconds("TimeBasedTestMeasurementOffset"),
            length: given.text("TestFileLength").parse().unwrap_or(0),
        })
    }
}

impl Status {
    fn of(direction: Direction, fault: &HttpFault) -> Self {
        match fault {
            HttpFault::Name(_) => Self::Error_CannotResolveHostName,
            HttpFault::Route(_) => Self::Error_NoRouteToHost,
            HttpFault::Connect(_) | HttpFault::Tls(_) => Self::Error_InitConnectionFailed,
            HttpFault::NoAnswer(_) => Self::Error_NoResponse,
            HttpFault::Status { code: 401 | 403, .. } => Self::Error_LoginFailed,
            HttpFault::Stalled(_) => Self::Error_Timeout,
            HttpFault::Size | HttpFault::Url(_) => Self::Error_Internal,
            _ if direction == Direction::Upload => Self::Error_NoTransferComplete,
            HttpFault::Cut => Self::Error_IncorrectSize,
            _ => Self::Error_TransferFailed,
        }
    }
}

/// Performs the test; the output arguments of the command.
pub async fn run(request: &Request) -> Named {
    let time_of_day = TimeOfDay::now();
    let mut meter = Meter::new(request);
    let status = match timeout(MAX_TIME, connection::run_all(request, &meter)).await {
        Ok(Ok(())) => Status::Complete,
        Ok(Err(fault)) => {
            log::info!("operation={}Diagnostics failed cause=\"{fault}\"", request.direction.word());
            Status::of(request.direction, &fault)
        }
        Err(_) => Status::Error_Timeout,
    };
    let mut output = named([("Status", status.word().to_owned())]);
    if status == Status::Complete {
        tell(request, &meter.result(), &time_of_day, &mut output);
    }
    output
}

/// What moved between two moments.
fn between(from: Option<Sample>, to: Option<Sample>) -> [String; 2] {
    let moved = |of: fn(&Sample) -> u64| match (&from, &to) {
        (Some(from), Some(to)) => of(to).saturating_sub(of(from)),
        _ => 0,
    };
    [moved(|sample| sample.received), moved(|sample| sample.sent)].map(|bytes| bytes.to_string())
}

fn tell(request: &Request, result: &meter::Result, time: &TimeOfDay, output: &mut Named) {
    let connections = &result.connections;
    let at = |moment: Option<Instant>| time.at_or_unknown(moment);
    let first = connections.iter().filter_map(|one| one.begun).min_by_key(|sample| sample.at);
    let last = connections.iter().filter_map(|one| one.ended).max_by_key(|sample| sample.at);
    let test_bytes = match request.direction {
        Direction::Download => "TestBytesReceived",
        Direction::Upload => "TestBytesSent",
    };
    let [received, sent] = between(first, last);
    let [full_received, full_sent] = between(result.full[0], result.full[1]);
    let full_time = match result.full {
        [Some(from), Some(to)] => to.at.saturating_duration_since(from.at),
        _ => Duration::ZERO,
    };
    let full_bytes = result.full[1].map_or(0, |sample| result.under_full(sample.bytes));
    let times = || connections.iter().filter_map(|one| one.times);
    let totals = [
        ("IPAddressUsed", connections.iter().find_map(|one| one.address).map(|a| a.to_string()).unwrap_or_default()),
        ("ROMTime", at(times().map(|times| times.request).min())),
        ("BOMTime", at(first.map(|sample| sample.at))),
        ("EOMTime", at(last.map(|sample| sample.at))),
        (test_bytes, connections.iter().map(|one| one.bytes).sum::<u64>().to_string()),
        ("TotalBytesReceived", received),
        ("TotalBytesSent", sent),
        (&format!("{test_bytes}UnderFullLoading"), full_bytes.to_string()),
        ("TotalBytesReceivedUnderFullLoading", full_received),
        ("TotalBytesSentUnderFullLoading", full_sent),
        ("PeriodOfFullLoading", microseconds(full_time)),
        ("TCPOpenRequestTime", at(times().map(|times| times.opening).max())),
        ("TCPOpenResponseTime", at(times().map(|times| times.open).max())),
    ];
    output.extend(named(totals));
    let individual = connections.iter().filter(|_| request.individual);
    for (number, one) in (1..).zip(individual) {
        let [received, sent] = between(one.begun, one.ended);
        let members = [
            ("ROMTime", at(one.times.map(|times| times.request))),
            ("BOMTime", at(one.begun.map(|sample| sample.at))),
            ("EOMTime", at(one.ended.map(|sample| sample.at))),
            (test_bytes, one.bytes.to_string()),
            ("TotalBytesReceived", received),
            ("TotalBytesSent", sent),
            ("TCPOpenRequestTime", at(one.times.map(|times| times.opening))),
            ("TCPOpenResponseTime", at(one.times.map(|times| times.open))),
        ];
        push_row(output, "PerConnectionResult", number, members);
    }
    for (number, (from, to)) in (1..).zip(result.ticks.iter().zip(result.ticks.iter().skip(1))) {
        let [received, sent] = between(Some(*from), Some(*to));
        let bytes = result.under_full(to.bytes).saturating_sub(result.under_full(from.bytes));
        let members = [
            (test_bytes, bytes.to_string()),
            ("TotalBytesReceived", received),
            ("TotalBytesSent", sent),
            ("StartTime", at(Some(from.at))),
            ("EndTime", at(Some(to.at))),
        ];
        push_row(output, "IncrementalResult", number, members);
    }
}
