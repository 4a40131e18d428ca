//! `Device.IP.Diagnostics.IPPing()`: ICMP echo, over IPv4 or IPv6.
//!
//! Uses the kernel's ICMP datagram sockets, and raw ones where `net.ipv4.ping_group_range` forbids those. Echoes go out
//! one after the other: the next when the last is answered or its time is over. Dropping the future cancels it.

use super::arguments::{Arguments, Named, Times, Version, microseconds, milliseconds, named};
use super::icmp::{self, HEADER, Kind, MAX_IP_HEADER};
use super::socket::{is_unreachable, resolve};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustix::net::{SocketType, sockopt};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, timeout_at};

/// Time between an answer and the next echo: a test is no flood.
pub const PAUSE: Duration = Duration::from_millis(50);

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// A name or an address.
    pub host: String,
    /// Which addresses of the name count.
    pub version: Version,
    /// The network device to send through (`br-lan`); any where None.
    pub device: Option<String>,
    /// How many echoes.
    pub repetitions: u32,
    /// How long each is waited for.
    pub timeout: Duration,
    /// Data bytes of each.
    pub size: u16,
    /// DiffServ codepoint, 0 to 63.
    pub dscp: u8,
}

words! {
    /// How it ended; the names are those of the parameter Status.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[allow(missing_docs, non_camel_case_types)]
    pub enum Status {
        Complete,
        Error_CannotResolveHostName,
        Error_NoRouteToHost,
        Error_Internal,
    }
}

/// The result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How it ended.
    pub status: Status,
    /// The address that was sent to.
    pub address: Option<IpAddr>,
    /// Round trip of each answered echo.
    pub answered: Times,
    /// Echoes without an answer.
    pub failures: u32,
}

impl Request {
    /// Reads the arguments of the command; they were checked against the standard before. `device` is what the
    /// argument Interface stands for.
    pub fn from_input(input: &[(String, String)], device: Option<String>) -> Self {
        let given = Arguments(input);
        Self {
            host: given.text("Host").to_owned(),
            version: Version::parse(given.text("ProtocolVersion")),
            device,
            repetitions: given.number("NumberOfRepetitions", 1),
            timeout: given.milliseconds("Timeout", 1000),
            size: u16::try_from(given.number("DataBlockSize", 32)).unwrap_or(u16::MAX),
            dscp: given.dscp(),
        }
    }
}

impl Report {
    fn failed(status: Status, address: Option<IpAddr>) -> Self {
        Self { status, address, answered: Times::default(), failures: 0 }
    }

    /// The output arguments of the command.
    pub fn output(&self) -> Named {
        let [average, least, most] = [self.answered.average(), self.answered.least, self.answered.most];
        named([
            ("Status", self.status.word().to_owned()),
            ("IPAddressUsed", self.address.map(|address| address.to_string()).unwrap_or_default()),
            ("SuccessCount", self.answered.count.to_string()),
            ("FailureCount", self.failures.to_string()),
            ("AverageResponseTime", milliseconds(average)),
            ("MinimumResponseTime", milliseconds(least)),
            ("MaximumResponseTime", milliseconds(most)),
            ("AverageResponseTimeDetailed", microseconds(average)),
            ("MinimumResponseTimeDetailed", microseconds(least)),
            ("MaximumResponseTimeDetailed", microseconds(most)),
        ])
    }
}

/// Performs the test.
pub async fn run(request: &Request) -> Report {
    let Some(address) = resolve(&request.host, request.version).await else {
        return Report::failed(Status::Error_CannotResolveHostName, None);
    };
    let echo = match Echo::open(address, request) {
        Ok(echo) => echo,
        Err(error) => {
            log::warn!("operation=IPPing socket=refused cause=\"{error}\" check=net.ipv4.ping_group_range");
            return Report::failed(Status::Error_Internal, Some(address));
        }
    };
    let mut report = Report::failed(Status::Complete, Some(address));
    for sequence in 1..=request.repetitions {
        match echo.once(sequence, request.timeout).await {
            Ok(Some(time)) => report.answered.add(time),
            Ok(None) => report.failures += 1,
            Err(error) if is_unreachable(&error) => {
                report.failures += request.repetitions - sequence + 1;
                report.status = Status::Error_NoRouteToHost;
                return report;
            }
            Err(error) => {
                log::debug!("operation=IPPing sent=no cause=\"{error}\"");
                report.failures += 1;
            }
        }
        if sequence < request.repetitions {
            sleep(PAUSE).await;
        }
    }
    report
}

/// A socket that sends echoes to one address.
pub struct Echo {
    /// An ICMP socket; tokio's type for datagrams does for it.
    socket: UdpSocket,
    target: SocketAddr,
    /// Raw sockets see everybody's answers; this tells ours.
    identifier: u16,
    size: usize,
}

impl Echo {
    /// As the request says, but for its host.
    pub fn open(address: IpAddr, request: &Request) -> io::Result<Self> {
        let socket = icmp::socket(Kind::Echo, address, request.device.as_deref(), request.dscp)?;
        let (target, identifier) = (SocketAddr::new(address, 0), icmp::identifier());
        Ok(Self { socket, target, identifier, size: request.size.into() })
    }

    /// One echo: its round trip, None where no answer came in time.
    pub async fn once(&self, sequence: u32, timeout: Duration) -> io::Result<Option<Duration>> {
        let [.., high, low] = sequence.to_be_bytes();
        let sequence = [high, low];
        let message = icmp::echo(self.target.is_ipv4(), self.identifier, sequence, self.size);
        let sent = Instant::now();
        self.socket.send_to(&message, self.target).await?;
        let mut buffer = vec![0; MAX_IP_HEADER + HEADER + self.size];
        while let Ok(received) = timeout_at(sent + timeout, self.socket.recv_from(&mut buffer)).await {
            let (length, from) = received?;
            let time = sent.elapsed();
            let is_answer =
                from.ip() == self.target.ip() && self.answers(buffer.get(..length).unwrap_or_default(), sequence);
            if is_answer {
                return Ok(Some(time));
            }
        }
        Ok(None)
    }

    /// Whether a received packet answers the echo of this sequence number. The kernel gave a datagram socket an
    /// identifier of its own and delivers only what carries it, so there the data alone is compared.
    fn answers(&self, packet: &[u8], sequence: [u8; 2]) -> bool {
        let icmp = icmp::behind_ip_header(self.target.is_ipv4(), packet);
        let Some([kind, 0, _, _, id_high, id_low, high, low, data @ ..]) = icmp else { return false };
        let raw = self.is_raw();
        let ours = !raw || [*id_high, *id_low] == self.identifier.to_be_bytes();
        *kind == if self.target.is_ipv4() { 0 } else { 129 }
            && [*high, *low] == sequence
            && ours
            && data.len() == self.size
    }

    fn is_raw(&self) -> bool {
        sockopt::socket_type(&self.socket).is_ok_and(|kind| kind == SocketType::RAW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn run_now(request: &Request) -> Report {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(request))
    }

    fn request(host: &str) -> Request {
        let input = [("Host", host), ("ProtocolVersion", "Any"), ("NumberOfRepetitions", "3"), ("Timeout", "1000")];
        let mut input: Vec<_> = input.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        input.push(("DataBlockSize".into(), "56".into()));
        Request::from_input(&input, None)
    }

    fn output<'a>(outputs: &'a [(String, String)], name: &str) -> &'a str {
        outputs.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str()).unwrap()
    }

    #[test]
    fn the_loopback_answers_every_echo() {
        let report = run_now(&request("127.0.0.1"));
        let outputs = report.output();
        assert_eq!(output(&outputs, "Status"), "Complete");
        assert_eq!((output(&outputs, "SuccessCount"), output(&outputs, "FailureCount")), ("3", "0"));
        assert_eq!(output(&outputs, "IPAddressUsed"), "127.0.0.1");
        let micros = |name: &str| output(&outputs, name).parse::<u32>().unwrap();
        let [least, average, most] =
            ["Minimum", "Average", "Maximum"].map(|which| micros(&format!("{which}ResponseTimeDetailed")));
        assert!(0 < least && least <= average && average <= most && most < 1_000_000, "{least} {average} {most}");
    }

    #[test]
    fn large_echoes_and_a_device_and_a_codepoint() {
        let large = Request { size: 9000, device: Some("lo".into()), dscp: 46, repetitions: 1, ..request("127.0.0.1") };
        assert_eq!(run_now(&large).answered.count, 1);
    }

    #[test]
    fn over_ipv6_where_there_is_any() {
        if std::net::UdpSocket::bind("[::1]:0").is_ok() {
            assert_eq!(run_now(&request("::1")).answered.count, 3);
        }
    }

    #[test]
    fn a_name_is_resolved_to_the_version_asked_for() {
        let v4 = Request { version: Version::IPv4, repetitions: 1, ..request("localhost") };
        assert_eq!(run_now(&v4).address, Some(Ipv4Addr::LOCALHOST.into()));
        let never = Request { version: Version::IPv6, ..request("127.0.0.1") };
        assert_eq!(run_now(&never).status, Status::Error_CannotResolveHostName);
    }

    #[test]
    fn silence_is_a_failure_and_times_are_zero() {
        // A network that is documentation only, through a device that leads nowhere.
        let lost = Request { device: Some("lo".into()), timeout: Duration::from_millis(20), ..request("192.0.2.1") };
        let report = run_now(&lost);
        assert_eq!((report.answered, report.failures), (Times::default(), 3));
        assert_eq!(output(&report.output(), "AverageResponseTime"), "0");
    }
}
