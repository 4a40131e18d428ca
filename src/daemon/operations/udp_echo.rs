//! `Device.IP.Diagnostics.UDPEchoDiagnostics()`: packets that a server sends back (RFC 862), with the fields of
//! UDPEchoPlus (TR-143, A.1.4) as far as the data block holds them.
//!
//! Packets go out by the clock, whether those before are answered or not. Dropping the future cancels it.

use super::arguments::{Arguments, Named, TimeOfDay, Times, Version, milliseconds, named, push_row};
use super::socket::{resolve, udp};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Rows of IndividualPacketResult: what one message holds. UDPEchoDiagnosticsMaxResults tells it.
pub const MAX_RESULTS: usize = 256;
/// Packets that wait for their answer; where there are more, the oldest counts as lost.
pub const MAX_WAITING: usize = 256;
/// The port of the echo service.
pub const PORT: u16 = 7;
/// Bytes of the fields of UDPEchoPlus: six of them.
pub const FIELDS: usize = 24;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// A name or an address.
    pub host: String,
    /// Where the server listens.
    pub port: u16,
    /// Which addresses of the name count.
    pub version: Version,
    /// The network device to send through; any where None.
    pub device: Option<String>,
    /// How many packets.
    pub repetitions: u32,
    /// How long the answer to each is waited for.
    pub timeout: Duration,
    /// Data bytes of each.
    pub size: usize,
    /// DiffServ codepoint, 0 to 63.
    pub dscp: u8,
    /// Time from one packet to the next.
    pub interval: Duration,
    /// What became of each packet is told.
    pub individual: bool,
}

words! {
    /// How it ended; the names are those of the parameter Status.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[allow(missing_docs, non_camel_case_types)]
    pub enum Status {
        Complete,
        Error_CannotResolveHostName,
        Error_Internal,
        Error_Other,
    }
}

/// What became of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// TestGenSN.
    pub number: u32,
    /// When it went out.
    pub sent: Instant,
    /// When it came back, and what the server wrote into it; None where it did not.
    pub back: Option<(Instant, Written)>,
}

/// TestRespSN, TestRespRecvTimeStamp, TestRespReplyTimeStamp and TestRespReplyFailureCount of an answer; zeros where
/// the server, or the packet, has none.
pub type Written = [u32; 4];

/// The result.
#[derive(Debug, Clone)]
pub struct Report {
    /// How it ended.
    pub status: Status,
    /// The address that was sent to.
    pub address: Option<IpAddr>,
    /// Round trip of each packet that came back.
    pub answered: Times,
    /// Packets that did not.
    pub failures: u32,
    /// Each packet, where that was asked for.
    pub packets: Vec<Packet>,
    time_of_day: TimeOfDay,
}

impl Request {
    /// Reads the arguments of the command, with TR-181's defaults for those that are not given.
    pub fn from_input(input: &[(String, String)], device: Option<String>) -> Self {
        let given = Arguments(input);
        Self {
            host: given.text("Host").to_owned(),
            port: u16::try_from(given.number("Port", PORT.into())).unwrap_or(PORT),
            version: Version::parse(given.text("ProtocolVersion")),
            device,
            repetitions: given.number("NumberOfRepetitions", 1),
            timeout: given.milliseconds("Timeout", 5000),
            size: usize::try_from(given.number("DataBlockSize", 24)).unwrap_or(FIELDS),
            dscp: given.dscp(),
            interval: given.milliseconds("InterTransmissionTime", 1000),
            individual: given.truth("EnableIndividualPacketResults"),
        }
    }
}

impl Report {
    fn new(status: Status, address: Option<IpAddr>) -> Self {
        let (answered, packets, time_of_day) = (Times::default(), Vec::new(), TimeOfDay::now());
        Self { status, address, answered, failures: 0, packets, time_of_day }
    }

    /// The output arguments of the command.
    pub fn output(&self) -> Named {
        let mut output = named([
            ("Status", self.status.word().to_owned()),
            ("IPAddressUsed", self.address.map(|address| address.to_string()).unwrap_or_default()),
            ("SuccessCount", self.answered.count.to_string()),
            ("FailureCount", self.failures.to_string()),
            ("AverageResponseTime", milliseconds(self.answered.average())),
            ("MinimumResponseTime", milliseconds(self.answered.least)),
            ("MaximumResponseTime", milliseconds(self.answered.most)),
        ]);
        for (row, packet) in (1..).zip(&self.packets) {
            let (received, written) = packet.back.unzip();
            let [number, came, left, failures] = written.unwrap_or_default();
            let members = [
                ("PacketSuccess", received.is_some().to_string()),
                ("PacketSendTime", self.time_of_day.at(packet.sent)),
                ("PacketReceiveTime", self.time_of_day.at_or_unknown(received)),
                ("TestGenSN", packet.number.to_string()),
                ("TestRespSN", number.to_string()),
                ("TestRespRcvTimeStamp", came.to_string()),
                ("TestRespReplyTimeStamp", left.to_string()),
                ("TestRespReplyFailureCount", failures.to_string()),
            ];
            push_row(&mut output, "IndividualPacketResult", row, members);
        }
        output
    }
}

/// Performs the test.
pub async fn run(request: &Request) -> Report {
    let Some(address) = resolve(&request.host, request.version).await else {
        return Report::new(Status::Error_CannotResolveHostName, None);
    };
    let mut report = Report::new(Status::Complete, Some(address));
    let to = SocketAddr::new(address, request.port);
    match udp(to, request.device.as_deref(), request.dscp).await {
        Ok(socket) => Test { socket, request, waiting: VecDeque::new(), sent: 0, report: &mut report }.run().await,
        Err(error) => {
            log::warn!("operation=UDPEchoDiagnostics socket=refused cause=\"{error}\"");
            report.status = Status::Error_Internal;
        }
    }
    report
}

/// One packet and its answer: the round trip, None where it did not come back in time.
pub async fn once(socket: &UdpSocket, number: u32, size: usize, timeout: Duration) -> io::Result<Option<Duration>> {
    let sent = Instant::now();
    socket.send(&packet(number, size)).await?;
    let mut buffer = vec![0; size + 1];
    while let Ok(received) = timeout_at(sent + timeout, socket.recv(&mut buffer)).await {
        if answers(buffer.get(..received?).unwrap_or_default(), number, size) {
            return Ok(Some(sent.elapsed()));
        }
    }
    Ok(None)
}

struct Test<'a> {
    socket: UdpSocket,
    request: &'a Request,
    /// Packets on their way, oldest first, and their rows in the report.
    waiting: VecDeque<(u32, Instant, Option<usize>)>,
    sent: u32,
    report: &'a mut Report,
}

impl Test<'_> {
    async fn run(&mut self) {
        let begun = Instant::now();
        // One byte more shows what is too long.
        let mut buffer = vec![0; self.request.size + 1];
        loop {
            let next = (self.sent < self.request.repetitions).then(|| begun + self.request.interval * self.sent);
            let lost = self.waiting.front().map(|(_, sent, _)| *sent + self.request.timeout);
            let Some(until) = next.into_iter().chain(lost).min() else { return };
            tokio::select! {
                // The clock first: whoever floods us cannot make the test longer.
                biased;
                () = sleep_until(until) => {
                    if lost == Some(until) {
                        self.lose();
                    } else {
                        self.send().await;
                    }
                }
                received = self.socket.recv(&mut buffer) => match received {
                    Ok(length) => self.receive(buffer.get(..length).unwrap_or_default()),
                    // ICMP says that nobody is there, of one packet: its time runs out.
                    Err(error) => log::debug!("operation=UDPEchoDiagnostics received=no cause=\"{error}\""),
                },
            }
        }
    }

    async fn send(&mut self) {
        self.sent += 1;
        let number = self.sent;
        if self.waiting.len() >= MAX_WAITING {
            self.lose();
        }
        let sent = Instant::now();
        if let Err(error) = self.socket.send(&packet(number, self.request.size)).await {
            log::debug!("operation=UDPEchoDiagnostics sent=no cause=\"{error}\"");
        }
        let has_row = self.request.individual && self.report.packets.len() < MAX_RESULTS;
        let row = has_row.then(|| {
            self.report.packets.push(Packet { number, sent, back: None });
            self.report.packets.len() - 1
        });
        self.waiting.push_back((number, sent, row));
    }

    fn lose(&mut self) {
        if self.waiting.pop_front().is_some() {
            self.report.failures += 1;
        }
    }

    fn receive(&mut self, packet: &[u8]) {
        let now = Instant::now();
        let size = self.request.size;
        let Some(at) = self.waiting.iter().position(|(number, ..)| answers(packet, *number, size)) else { return };
        let Some((_, sent, row)) = self.waiting.remove(at) else { return };
        self.report.answered.add(now - sent);
        if let Some(packet_of_row) = row.and_then(|row| self.report.packets.get_mut(row)) {
            packet_of_row.back = Some((now, written(packet)));
        }
    }
}

/// A packet with the fields of UDPEchoPlus, as many as it holds: TestGenSN, what the server fills in, and
/// TestIterationNumber.
fn packet(number: u32, size: usize) -> Vec<u8> {
    let mut data = leading(number, size);
    data.extend([0; 16]);
    data.extend(number.to_be_bytes());
    data.extend((data.len()..size).map(|at| b'a' + (at % 23) as u8));
    data.truncate(size);
    data
}

/// What an answer must begin with: TestGenSN, or its last bytes where the data block holds no more.
fn leading(number: u32, size: usize) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    bytes.get(4_usize.saturating_sub(size)..).unwrap_or_default().to_vec()
}

fn answers(packet: &[u8], number: u32, size: usize) -> bool {
    packet.len() == size && packet.starts_with(&leading(number, size))
}

fn written(packet: &[u8]) -> Written {
    let field =
        |at: usize| packet.get(at..at + 4).and_then(|field| field.try_into().ok()).map_or(0, u32::from_be_bytes);
    if packet.len() < FIELDS - 4 { Written::default() } else { [4, 8, 12, 16].map(field) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn run_now<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
    }

    /// A server that answers a packet with those that `script` makes of it.
    pub(in crate::daemon::operations) async fn server(
        address: IpAddr,
        script: impl Fn(Vec<u8>) -> Vec<Vec<u8>> + 'static + Send,
    ) -> io::Result<SocketAddr> {
        let socket = UdpSocket::bind((address, 0)).await?;
        let at = socket.local_addr()?;
        tokio::spawn(async move {
            let mut buffer = vec![0; 65536];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                for message in script(buffer[..length].to_vec()) {
                    socket.send_to(&message, from).await.unwrap();
                }
            }
        });
        Ok(at)
    }

    fn request(at: SocketAddr, more: &[(&str, &str)]) -> Request {
        let (host, port) = (at.ip().to_string(), at.port().to_string());
        let usual = [("Host", &*host), ("Port", &*port), ("Timeout", "2000"), ("InterTransmissionTime", "1")];
        let mut input: Named = usual.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        for (name, value) in more {
            input.retain(|(given, _)| given != name);
            input.push(((*name).into(), (*value).into()));
        }
        Request::from_input(&input, None)
    }

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn value<'a>(output: &'a Named, name: &str) -> &'a str {
        output.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value.as_str())
    }

    #[test]
    fn what_is_not_given_is_the_standards_default() {
        let input = [("Host".to_owned(), "h".to_owned()), ("Timeout".to_owned(), "10".to_owned())];
        let request = Request::from_input(&input, None);
        assert_eq!((request.port, request.repetitions, request.size, request.dscp), (7, 1, 24, 0));
        assert_eq!((request.interval, request.individual), (Duration::from_millis(1000), false));
    }

    #[test]
    fn every_packet_comes_back_whatever_its_size() {
        run_now(async {
            for here in [HERE, Ipv6Addr::LOCALHOST.into()] {
                let Ok(echo) = server(here, |packet| vec![packet]).await else { continue };
                for size in ["1", "3", "4", "23", "24", "1400"] {
                    let more = [("NumberOfRepetitions", "3"), ("DataBlockSize", size)];
                    let report = run(&request(echo, &more)).await;
                    assert_eq!(
                        (report.status, report.answered.count, report.failures),
                        (Status::Complete, 3, 0),
                        "{size}"
                    );
                    assert_eq!((report.address, report.packets.len()), (Some(here), 0));
                }
            }
        });
    }

    #[test]
    fn what_a_plus_server_writes_is_told() {
        run_now(async {
            let plus = server(HERE, |mut packet| {
                assert_eq!(packet.len(), 24);
                assert_eq!(
                    (&packet[..4], &packet[4..20], &packet[20..]),
                    (&[0, 0, 0, 1][..], &[0; 16][..], &[0, 0, 0, 1][..])
                );
                for (at, value) in [(4, 77_u32), (8, 1_000_000), (12, 1_000_250), (16, 4_000_000_000)] {
                    packet[at..at + 4].copy_from_slice(&value.to_be_bytes());
                }
                vec![packet]
            });
            let report = run(&request(plus.await.unwrap(), &[("EnableIndividualPacketResults", "true")])).await;
            let output = report.output();
            let value = |name: &str| value(&output, &format!("IndividualPacketResult.1.{name}")).to_owned();
            assert_eq!(
                (value("PacketSuccess"), value("TestGenSN"), value("TestRespSN")),
                ("true".into(), "1".into(), "77".into())
            );
            assert_eq!(
                (value("TestRespRcvTimeStamp"), value("TestRespReplyTimeStamp")),
                ("1000000".into(), "1000250".into())
            );
            assert_eq!(value("TestRespReplyFailureCount"), "4000000000");
            let (sent, back) = (value("PacketSendTime"), value("PacketReceiveTime"));
            assert!(sent < back && sent.len() == "2026-11-25T00:00:00.000000Z".len(), "{sent} {back}");
        });
    }

    #[test]
    fn what_is_late_or_lost_or_not_ours_has_failed() {
        run_now(async {
            // The first is lost, the second answered late: with the third, and twice.
            let odd = server(HERE, |packet| match packet[3] {
                1 => vec![vec![0; 24], vec![0, 0, 0, 1], vec![], vec![0; 4000]],
                2 => vec![],
                _ => {
                    let mut late = packet.clone();
                    late[3] = 2;
                    vec![late, packet.clone(), packet]
                }
            });
            let more = [
                ("NumberOfRepetitions", "3"),
                ("InterTransmissionTime", "350"),
                ("Timeout", "300"),
                ("EnableIndividualPacketResults", "1"),
            ];
            let report = run(&request(odd.await.unwrap(), &more)).await;
            assert_eq!((report.answered.count, report.failures), (1, 2));
            let output = report.output();
            let success =
                |row: usize| value(&output, &format!("IndividualPacketResult.{row}.PacketSuccess")).to_owned();
            assert_eq!([1, 2, 3].map(success), ["false", "false", "true"]);
            assert_eq!(value(&output, "IndividualPacketResult.1.PacketReceiveTime"), "0001-01-01T00:00:00Z");
            assert_eq!(value(&output, "IndividualPacketResult.1.TestGenSN"), "1");
        });
    }

    #[test]
    fn answers_may_come_in_another_order() {
        run_now(async {
            let held = std::sync::Mutex::new(Vec::new());
            let swapped = server(HERE, move |packet| {
                let mut held = held.lock().unwrap();
                held.push(packet);
                if held.len() < 4 { vec![] } else { held.drain(..).rev().collect() }
            });
            let report = run(&request(swapped.await.unwrap(), &[("NumberOfRepetitions", "4")])).await;
            assert_eq!((report.answered.count, report.failures), (4, 0));
        });
    }

    #[test]
    fn rows_and_packets_on_their_way_are_bounded() {
        run_now(async {
            let silent = server(HERE, |_| vec![]).await.unwrap();
            let count = (MAX_WAITING + 50).to_string();
            let more = [
                ("NumberOfRepetitions", count.as_str()),
                ("EnableIndividualPacketResults", "true"),
                ("Timeout", "400"),
            ];
            let report = run(&Request { interval: Duration::ZERO, ..request(silent, &more) }).await;
            assert_eq!((report.packets.len(), report.failures.to_string()), (MAX_RESULTS, count));
        });
    }

    #[test]
    fn nobody_there_ends_in_time() {
        run_now(async {
            let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
            let report = run(&request(nobody, &[("Timeout", "50"), ("NumberOfRepetitions", "2")])).await;
            assert_eq!((report.status, report.answered.count, report.failures), (Status::Complete, 0, 2));
            let unknown = Request { host: "no.such.invalid.".into(), ..request(nobody, &[]) };
            assert_eq!(run(&unknown).await.status, Status::Error_CannotResolveHostName);
            let missing = Request { device: Some("no-such-device".into()), ..request(nobody, &[]) };
            assert_eq!(run(&missing).await.status, Status::Error_Internal);
        });
    }
}
