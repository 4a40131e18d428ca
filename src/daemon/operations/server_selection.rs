//! `Device.IP.Diagnostics.ServerSelectionDiagnostics()`: which of several hosts answers fastest, over ICMP or UDP Echo.
//!
//! One echo at a time is under way: the next goes out when the last is answered or its time is over.

use super::arguments::{Arguments, Named, Times, Version, milliseconds, named};
use super::socket::{resolve, udp};
use super::{ip_ping, udp_echo};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::sleep;

/// Data bytes of each echo: what ping sends where nobody says more.
const SIZE: u16 = 56;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Names or addresses; at most 10, which the standard has checked.
    pub hosts: Vec<String>,
    /// UDP Echo instead of ICMP: where the servers listen.
    pub udp: Option<u16>,
    /// Which addresses of a name count.
    pub version: Version,
    /// The network device to send through; any where None.
    pub device: Option<String>,
    /// How many echoes for each host.
    pub repetitions: u32,
    /// How long each is waited for.
    pub timeout: Duration,
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

/// The result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How it ended.
    pub status: Status,
    /// The host that answers fastest, its address and its round trips.
    pub fastest: Option<(String, IpAddr, Times)>,
}

impl Request {
    /// Reads the arguments of the command.
    pub fn from_input(input: &[(String, String)], device: Option<String>) -> Self {
        let given = Arguments(input);
        let hosts = given.text("HostList").split(',').map(str::trim).filter(|host| !host.is_empty());
        Self {
            hosts: hosts.map(str::to_owned).collect(),
            udp: (given.text("Protocol") == "UDP Echo").then_some(udp_echo::PORT),
            version: Version::parse(given.text("ProtocolVersion")),
            device,
            repetitions: given.number("NumberOfRepetitions", 1),
            timeout: given.milliseconds("Timeout", 1000),
        }
    }

    fn ping(&self) -> ip_ping::Request {
        ip_ping::Request {
            host: String::new(),
            version: self.version,
            device: self.device.clone(),
            repetitions: self.repetitions,
            timeout: self.timeout,
            size: SIZE,
            dscp: 0,
        }
    }
}

impl Report {
    /// The output arguments of the command.
    pub fn output(&self) -> Named {
        let (host, address, times) = match &self.fastest {
            Some((host, address, times)) => (host.clone(), address.to_string(), *times),
            None => Default::default(),
        };
        named([
            ("Status", self.status.word().to_owned()),
            ("FastestHost", host),
            ("MinimumResponseTime", milliseconds(times.least)),
            ("AverageResponseTime", milliseconds(times.average())),
            ("MaximumResponseTime", milliseconds(times.most)),
            ("IPAddressUsed", address),
        ])
    }
}

/// Performs the test. A host without an address is passed over; the test fails where none has one.
pub async fn run(request: &Request) -> Report {
    let mut report = Report { status: Status::Error_CannotResolveHostName, fastest: None };
    for host in &request.hosts {
        let Some(address) = resolve(host, request.version).await else { continue };
        let times = match Echo::open(address, request).await {
            Ok(echo) => echo.times(request).await,
            Err(error) => {
                log::warn!("operation=ServerSelectionDiagnostics socket=refused cause=\"{error}\"");
                report.status = Status::Error_Internal;
                return report;
            }
        };
        report.status = Status::Complete;
        let is_faster = |(_, _, other): &(_, _, Times)| times.average() < other.average();
        if times.count > 0 && report.fastest.as_ref().is_none_or(is_faster) {
            report.fastest = Some((host.clone(), address, times));
        }
    }
    report
}

enum Echo {
    Icmp(ip_ping::Echo),
    Udp(UdpSocket),
}

impl Echo {
    async fn open(address: IpAddr, request: &Request) -> io::Result<Self> {
        Ok(match request.udp {
            Some(port) => Self::Udp(udp(SocketAddr::new(address, port), request.device.as_deref(), 0).await?),
            None => Self::Icmp(ip_ping::Echo::open(address, &request.ping())?),
        })
    }

    async fn times(&self, request: &Request) -> Times {
        let mut times = Times::default();
        for number in 1..=request.repetitions {
            let time = match self {
                Self::Icmp(echo) => echo.once(number, request.timeout).await,
                Self::Udp(socket) => udp_echo::once(socket, number, SIZE.into(), request.timeout).await,
            };
            match time {
                Ok(time) => time.into_iter().for_each(|time| times.add(time)),
                Err(error) => log::debug!("operation=ServerSelectionDiagnostics answered=no cause=\"{error}\""),
            }
            if number < request.repetitions {
                sleep(ip_ping::PAUSE).await;
            }
        }
        times
    }
}

#[cfg(test)]
mod tests {
    use super::super::udp_echo::tests::server;
    use super::*;

    fn run_now<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
    }

    fn request(hosts: &str, protocol: &str) -> Request {
        let input = [
            ("HostList", hosts),
            ("Protocol", protocol),
            ("ProtocolVersion", "Any"),
            ("NumberOfRepetitions", "2"),
            ("Timeout", "300"),
        ];
        let input: Named = input.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Request::from_input(&input, None)
    }

    fn value<'a>(output: &'a Named, name: &str) -> &'a str {
        output.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value.as_str())
    }

    #[test]
    fn the_host_that_answers_is_the_fastest() {
        run_now(async {
            let echo = server(IpAddr::from([127, 0, 0, 2]), |packet| vec![packet]).await.unwrap();
            let mut asked = request("127.0.0.1, no.such.invalid., 127.0.0.2", "UDP Echo");
            assert_eq!(asked.udp, Some(7));
            asked.udp = Some(echo.port());
            let output = run(&asked).await.output();
            assert_eq!((value(&output, "Status"), value(&output, "FastestHost")), ("Complete", "127.0.0.2"));
            assert_eq!(value(&output, "IPAddressUsed"), "127.0.0.2");
            assert!(value(&output, "MaximumResponseTime").parse::<u32>().unwrap() < 300);
        });
    }

    #[test]
    fn a_slow_host_is_not_the_fastest() {
        run_now(async {
            let quick = server(IpAddr::from([127, 0, 0, 3]), |packet| vec![packet]).await.unwrap();
            let slow = UdpSocket::bind(("127.0.0.2", quick.port())).await.unwrap();
            tokio::spawn(async move {
                let mut buffer = [0; 100];
                while let Ok((length, from)) = slow.recv_from(&mut buffer).await {
                    sleep(Duration::from_millis(40)).await;
                    slow.send_to(&buffer[..length], from).await.unwrap();
                }
            });
            for hosts in ["127.0.0.2,127.0.0.3", "127.0.0.3,127.0.0.2"] {
                let report = run(&Request { udp: Some(quick.port()), ..request(hosts, "UDP Echo") }).await;
                assert_eq!(report.fastest.unwrap().0, "127.0.0.3", "of {hosts}");
            }
        });
    }

    #[test]
    fn over_icmp_the_loopback_answers() {
        let output = run_now(run(&request("127.0.0.1", "ICMP"))).output();
        assert_eq!((value(&output, "Status"), value(&output, "FastestHost")), ("Complete", "127.0.0.1"));
    }

    #[test]
    fn silence_has_no_winner_and_no_name_is_an_error() {
        run_now(async {
            let silent = server(IpAddr::from([127, 0, 0, 1]), |_| vec![]).await.unwrap();
            let asked = Request { udp: Some(silent.port()), repetitions: 1, ..request("127.0.0.1", "UDP Echo") };
            let output = run(&Request { timeout: Duration::from_millis(30), ..asked }).await.output();
            assert_eq!((value(&output, "Status"), value(&output, "FastestHost")), ("Complete", ""));
            assert_eq!((value(&output, "AverageResponseTime"), value(&output, "IPAddressUsed")), ("0", ""));
            assert_eq!(run(&request("no.such.invalid.", "ICMP")).await.status, Status::Error_CannotResolveHostName);
        });
    }
}
