//! `Device.IP.Diagnostics.TraceRoute()`: ICMP echoes that live one hop longer each time, over IPv4 or IPv6.
//!
//! Needs a raw socket: routers on the way answer with errors. One echo at a time is under way; dropping the future
//! cancels it.

use super::arguments::{Arguments, Named, Version, milliseconds, push_row};
use super::icmp::{self, Kind, MAX_IP_HEADER};
use super::socket::{is_unreachable, resolve};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// A name or an address.
    pub host: String,
    /// Which addresses of the name count.
    pub version: Version,
    /// The network device to send through; any where None.
    pub device: Option<String>,
    /// Echoes per hop.
    pub tries: u32,
    /// How long each is waited for.
    pub timeout: Duration,
    /// Data bytes of each.
    pub size: u16,
    /// DiffServ codepoint, 0 to 63.
    pub dscp: u8,
    /// The most hops.
    pub max_hops: u8,
}

words! {
    /// How it ended; the names are those of the parameter Status.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[allow(missing_docs, non_camel_case_types)]
    pub enum Status {
        Complete,
        Error_CannotResolveHostName,
        Error_NoRouteToHost,
        Error_MaxHopCountExceeded,
        Error_Internal,
    }
}

/// One hop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hop {
    /// Who answered last; None where nobody did.
    pub address: Option<IpAddr>,
    /// The code of its ICMP error; 0 for an answer.
    pub code: u8,
    /// Round trips; None for an echo that was not answered.
    pub times: Vec<Option<Duration>>,
}

/// The result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How it ended.
    pub status: Status,
    /// The address that was traced.
    pub address: Option<IpAddr>,
    /// The hops, nearest first.
    pub hops: Vec<Hop>,
}

impl Request {
    /// Reads the arguments of the command, with TR-181's defaults for those that are not given.
    pub fn from_input(input: &[(String, String)], device: Option<String>) -> Self {
        let given = Arguments(input);
        Self {
            host: given.text("Host").to_owned(),
            version: Version::parse(given.text("ProtocolVersion")),
            device,
            tries: given.number("NumberOfTries", 3),
            timeout: given.milliseconds("Timeout", 5000),
            size: u16::try_from(given.number("DataBlockSize", 38)).unwrap_or(u16::MAX),
            dscp: given.dscp(),
            max_hops: u8::try_from(given.number("MaxHopCount", 30)).unwrap_or(u8::MAX),
        }
    }
}

impl Report {
    /// The output arguments of the command. Nobody is asked for the names of the hops: Host is their address then.
    pub fn output(&self) -> Named {
        // 0 says that there was no answer: a shorter one is rounded up.
        let milliseconds = |time: &Option<Duration>| {
            time.map_or_else(|| "0".into(), |time| milliseconds(time.max(Duration::from_millis(1))))
        };
        let last = self.hops.last().filter(|_| self.status == Status::Complete);
        let answered: Vec<Duration> = last.into_iter().flat_map(|hop| &hop.times).flatten().copied().collect();
        let average = answered.iter().sum::<Duration>().checked_div(u32::try_from(answered.len()).unwrap_or(0));
        let mut output = vec![
            ("Status".to_owned(), self.status.word().to_owned()),
            ("IPAddressUsed".to_owned(), self.address.map(|address| address.to_string()).unwrap_or_default()),
            ("ResponseTime".to_owned(), milliseconds(&average)),
        ];
        for (number, hop) in (1..).zip(&self.hops) {
            let times: Vec<String> = hop.times.iter().map(milliseconds).collect();
            let members = [
                ("Host", hop.address.map(|address| address.to_string()).unwrap_or_default()),
                ("HostAddress", String::new()),
                ("ErrorCode", hop.code.to_string()),
                ("RTTimes", times.join(",")),
            ];
            push_row(&mut output, "RouteHops", number, members);
        }
        output
    }
}

/// Performs the test.
pub async fn run(request: &Request) -> Report {
    let mut report = Report { status: Status::Error_CannotResolveHostName, address: None, hops: Vec::new() };
    let Some(address) = resolve(&request.host, request.version).await else { return report };
    report.address = Some(address);
    report.status = match Trace::open(address, request) {
        Ok(mut trace) => trace.follow(request, &mut report.hops).await,
        Err(error) => {
            log::warn!("operation=TraceRoute socket=refused cause=\"{error}\" check=CAP_NET_RAW");
            Status::Error_Internal
        }
    };
    report
}

/// A socket that sends echoes to one address, and hears what becomes of them.
struct Trace {
    socket: UdpSocket,
    target: IpAddr,
    identifier: u16,
    sequence: u16,
    size: usize,
}

/// What became of an echo.
#[derive(Debug, PartialEq, Eq)]
struct Fate {
    /// The way ends here: the target answered, or somebody says that there is no way.
    ends: bool,
    code: u8,
}

impl Trace {
    fn open(target: IpAddr, request: &Request) -> io::Result<Self> {
        let socket = icmp::socket(Kind::Raw, target, request.device.as_deref(), request.dscp)?;
        Ok(Self { socket, target, identifier: icmp::identifier(), sequence: 0, size: request.size.into() })
    }

    async fn follow(&mut self, request: &Request, hops: &mut Vec<Hop>) -> Status {
        for limit in 1..=request.max_hops {
            let mut hop = Hop::default();
            let mut ends = false;
            for _ in 0..request.tries {
                match self.once(limit, request.timeout).await {
                    Ok(Some((from, fate, time))) => {
                        hop.address = Some(from);
                        hop.code = fate.code;
                        hop.times.push(Some(time));
                        ends |= fate.ends;
                    }
                    Ok(None) => hop.times.push(None),
                    Err(error) if is_unreachable(&error) => return Status::Error_NoRouteToHost,
                    Err(error) => {
                        log::debug!("operation=TraceRoute sent=no cause=\"{error}\"");
                        hop.times.push(None);
                    }
                }
            }
            let reached = hop.address == Some(self.target);
            hops.push(hop);
            if ends {
                return if reached { Status::Complete } else { Status::Error_NoRouteToHost };
            }
        }
        Status::Error_MaxHopCountExceeded
    }

    /// One echo that lives `limit` hops: who answered, how, and when; None where nobody did in time.
    async fn once(&mut self, limit: u8, timeout: Duration) -> io::Result<Option<(IpAddr, Fate, Duration)>> {
        let v4 = self.target.is_ipv4();
        match v4 {
            true => self.socket.set_ttl(limit.into())?,
            false => sockopt::set_ipv6_unicast_hops(&self.socket, Some(limit))?,
        }
        self.sequence = self.sequence.wrapping_add(1);
        let message = icmp::echo(v4, self.identifier, self.sequence.to_be_bytes(), self.size);
        let sent = Instant::now();
        self.socket.send_to(&message, SocketAddr::new(self.target, 0)).await?;
        let mut buffer = vec![0; MAX_IP_HEADER + 2 * icmp::HEADER + MAX_IP_HEADER + self.size];
        while let Ok(received) = timeout_at(sent + timeout, self.socket.recv_from(&mut buffer)).await {
            let (length, from) = received?;
            let time = sent.elapsed();
            if let Some(fate) = self.fate(buffer.get(..length).unwrap_or_default(), from.ip()) {
                return Ok(Some((from.ip(), fate, time)));
            }
        }
        Ok(None)
    }

    /// What a received packet says of the last echo; None for any other packet.
    fn fate(&self, packet: &[u8], from: IpAddr) -> Option<Fate> {
        let v4 = self.target.is_ipv4();
        let icmp = icmp::behind_ip_header(v4, packet)?;
        let [kind, code, ..] = *icmp else { return None };
        let (answer, unreachable, exceeded, ip_header) = if v4 { (0, 3, 11, 20) } else { (129, 1, 3, 40) };
        if kind == answer {
            return (from == self.target && self.is_ours(icmp)).then_some(Fate { ends: true, code: 0 });
        }
        if kind != unreachable && kind != exceeded {
            return None;
        }
        // Behind an error stands the head of what it is about: an IP header, and our echo.
        let about = icmp.get(icmp::HEADER..)?;
        let echo = if v4 { icmp::behind_ip_header(true, about)? } else { about.get(ip_header..)? };
        let sent = if v4 { 8 } else { 128 };
        (echo.first() == Some(&sent) && self.is_ours(echo)).then_some(Fate { ends: kind == unreachable, code })
    }

    fn is_ours(&self, echo: &[u8]) -> bool {
        let expected = [self.identifier.to_be_bytes(), self.sequence.to_be_bytes()].concat();
        echo.get(4..icmp::HEADER) == Some(&expected[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(host: &str, more: &[(&str, &str)]) -> Request {
        let mut input = vec![("Host".to_owned(), host.to_owned()), ("ProtocolVersion".to_owned(), "Any".to_owned())];
        input.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Request::from_input(&input, None)
    }

    fn run_now(request: &Request) -> Report {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(request))
    }

    /// Raw sockets are for root.
    fn may_open() -> bool {
        let _runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = _runtime.enter();
        icmp::socket(Kind::Raw, IpAddr::from([127, 0, 0, 1]), None, 0).is_ok()
    }

    #[test]
    fn what_is_not_given_is_the_standards_default() {
        let request = request("h", &[]);
        assert_eq!((request.tries, request.timeout, request.size), (3, Duration::from_millis(5000), 38));
        assert_eq!((request.dscp, request.max_hops), (0, 30));
    }

    #[test]
    fn the_loopback_is_one_hop_away() {
        if !may_open() {
            return assert_eq!(run_now(&request("127.0.0.1", &[])).status, Status::Error_Internal);
        }
        let mut hosts = vec!["127.0.0.1"];
        hosts.extend(std::net::UdpSocket::bind("[::1]:0").map(|_| "::1"));
        for host in hosts {
            let report = run_now(&request(host, &[("NumberOfTries", "2")]));
            assert_eq!((report.status, report.hops.len()), (Status::Complete, 1), "{report:?}");
            assert_eq!(report.hops[0].address.map(|address| address.to_string()).as_deref(), Some(host));
            let output = report.output();
            let value = |name: &str| output.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
            assert_eq!((value("Status"), value("RouteHops.1.Host")), (Some("Complete"), Some(host)));
            assert_eq!(value("RouteHops.1.ErrorCode"), Some("0"));
            let times = value("RouteHops.1.RTTimes").unwrap_or_default().split(',');
            assert_eq!(
                times.filter(|time| time.parse().is_ok_and(|ms| (1..5000).contains(&ms))).count(),
                2,
                "{output:?}"
            );
        }
    }

    #[test]
    fn silence_ends_at_the_most_hops() {
        if may_open() {
            let more = [("Timeout", "10"), ("MaxHopCount", "2"), ("NumberOfTries", "1")];
            let lost = Request { device: Some("lo".into()), ..request("192.0.2.1", &more) };
            let report = run_now(&lost);
            assert_eq!(report.status, Status::Error_MaxHopCountExceeded);
            assert_eq!(
                report.hops,
                [Hop { times: vec![None], ..Hop::default() }, Hop { times: vec![None], ..Hop::default() }]
            );
        }
    }

    #[test]
    fn errors_on_the_way_are_told_from_those_about_others() {
        if !may_open() {
            return;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        let router = IpAddr::from([10, 0, 0, 1]);
        for (v4, target) in
            [(true, IpAddr::from([192, 0, 2, 1])), (false, IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]))]
        {
            let Ok(mut trace) = Trace::open(target, &request("h", &[])) else { continue };
            trace.sequence = 7;
            let ip = if v4 { vec![0x45; 20] } else { vec![0x60; 40] };
            let error = |kind: u8, code: u8, identifier: u16| {
                let echo = icmp::echo(v4, identifier, [0, 7], 0);
                let icmp = [&[kind, code, 0, 0, 0, 0, 0, 0][..], &ip, &echo].concat();
                if v4 { [&ip[..], &icmp].concat() } else { icmp }
            };
            let (unreachable, exceeded) = if v4 { (3, 11) } else { (1, 3) };
            let own = trace.identifier;
            assert_eq!(trace.fate(&error(exceeded, 0, own), router), Some(Fate { ends: false, code: 0 }));
            assert_eq!(trace.fate(&error(unreachable, 13, own), router), Some(Fate { ends: true, code: 13 }));
            assert_eq!(trace.fate(&error(exceeded, 0, own ^ 1), router), None);
            let whole = error(exceeded, 0, own);
            (0..whole.len()).for_each(|end| assert_eq!(trace.fate(&whole[..end], router), None, "cut at {end}"));
        }
    }
}
