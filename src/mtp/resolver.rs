//! The addresses of a name: from the hosts file and the router's DNS servers, as musl looks them up, but without a thread
//! and within the time there is. A name that the C library looks up takes a thread of its own until it has an answer.
//!
//! A server's answer that was cut for its length counts as far as it goes; what a server does not answer for one kind of
//! address does not keep back the other kind.

use super::dns::{self, Kind, Name};
use super::stream::Family;
use crate::order;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

const RESOLV_CONF: &str = "/etc/resolv.conf";
const HOSTS: &str = "/etc/hosts";
/// Bytes of either file that are read; lists of what to block are long.
const MAX_FILE: u64 = 8 << 20;
/// Servers and domains of resolv.conf that count, as in musl and elsewhere.
const MAX_SERVERS: usize = 3;
const MAX_DOMAINS: usize = 6;
/// Addresses of one name.
const MAX_ADDRESSES: usize = 16;
/// How long the other kind of address is waited for where one is known.
const GRACE: Duration = Duration::from_secs(1);

/// Why a name has no address.
#[derive(Debug)]
pub(crate) enum NameFault {
    /// There is no such name, or none with an address of the kind asked for.
    Unknown,
    /// None of these servers answered, or none can.
    NoAnswer(Vec<SocketAddr>),
    /// There is no socket to ask with.
    Socket(io::Error),
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no such name, or no address of the kind asked for"),
            Self::NoAnswer(servers) => {
                f.write_str("no DNS server answers, of")?;
                servers.iter().try_for_each(|server| write!(f, " {}", server.ip()))
            }
            Self::Socket(error) => error.fmt(f),
        }
    }
}

/// Where names are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolver {
    /// The servers, all of which are asked.
    pub(crate) servers: Vec<SocketAddr>,
    /// The domains a short name may belong to.
    pub(crate) domains: Vec<String>,
    hosts: PathBuf,
    /// A name with so many dots is a whole one.
    dots: usize,
    timeout: Duration,
    attempts: u32,
}

impl Resolver {
    /// That of the router. Read anew each time: it changes with the WAN.
    pub(crate) fn of_router() -> Self {
        let mut text = Vec::new();
        let _ = File::open(RESOLV_CONF).and_then(|file| file.take(MAX_FILE).read_to_end(&mut text));
        Self::parse(&String::from_utf8_lossy(&text))
    }

    /// What a resolv.conf says.
    pub(crate) fn parse(resolv_conf: &str) -> Self {
        let mut resolver = Self {
            servers: Vec::new(),
            domains: Vec::new(),
            hosts: HOSTS.into(),
            dots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        };
        for line in resolv_conf.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server = words.next().and_then(numeric);
                    resolver.servers.extend(server.map(|server| with_port(server, 53)));
                }
                Some("search" | "domain") => {
                    resolver.domains = words.take(MAX_DOMAINS).map(str::to_owned).collect();
                }
                Some("options") => words.for_each(|option| resolver.option(option)),
                _ => {}
            }
        }
        resolver.servers.truncate(MAX_SERVERS);
        if resolver.servers.is_empty() {
            resolver.servers.push((Ipv4Addr::LOCALHOST, 53).into());
        }
        resolver
    }

    fn option(&mut self, option: &str) {
        let Some((name, Ok(number))) = option.split_once(':').map(|(name, number)| (name, number.parse::<u32>()))
        else {
            return;
        };
        match name {
            "ndots" => self.dots = number.min(15) as usize,
            "timeout" => self.timeout = Duration::from_secs(number.clamp(1, 60).into()),
            "attempts" => self.attempts = number.clamp(1, 10),
            _ => {}
        }
    }

    /// The addresses of a name, those that can be reached first; port 0. An address is its own.
    ///
    /// # Errors
    /// [`NameFault`]; it takes as long as resolv.conf says, 5 seconds by itself.
    pub(crate) async fn look_up(&self, host: &str, family: Family) -> Result<Vec<SocketAddr>, NameFault> {
        let mut found = numeric(host).map_or_else(|| self.known(host), |address| vec![address]);
        if found.is_empty() && !ends_with(host, "invalid") {
            let kinds: &[Kind] = match family {
                Family::Any => &[Kind::A, Kind::Aaaa],
                Family::V4 => &[Kind::A],
                Family::V6 => &[Kind::Aaaa],
            };
            for name in self.names(host) {
                found = self.ask(&name, kinds).await?;
                if !found.is_empty() {
                    break;
                }
            }
        }
        found.retain(|address| match family {
            Family::Any => true,
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        });
        found.truncate(MAX_ADDRESSES);
        order::sort_by_key(&mut found, rank);
        if found.is_empty() { Err(NameFault::Unknown) } else { Ok(found) }
    }

    /// What nobody need be asked for: names of the hosts file, and this machine's own.
    fn known(&self, host: &str) -> Vec<SocketAddr> {
        let host = host.strip_suffix('.').unwrap_or(host);
        let lines = File::open(&self.hosts).map(|file| BufReader::new(file.take(MAX_FILE)).split(b'\n'));
        let lines = lines.into_iter().flatten().map_while(Result::ok);
        let address = |line: Vec<u8>| {
            // A comment may be of any encoding.
            let line = String::from_utf8_lossy(&line);
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let address = words.next()?;
            words.any(|name| name.eq_ignore_ascii_case(host)).then(|| numeric(address)).flatten()
        };
        let found: Vec<_> = lines.filter_map(address).take(MAX_ADDRESSES).collect();
        if found.is_empty() && ends_with(host, "localhost") {
            return vec![(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()];
        }
        found
    }

    /// What a name may stand for, in the order in which it is tried.
    fn names(&self, host: &str) -> Vec<Name> {
        let is_short = !host.ends_with('.') && host.matches('.').count() < self.dots;
        let domains = self.domains.iter().filter(|_| is_short);
        let longer = domains.map(|domain| format!("{host}.{domain}"));
        longer.chain([host.to_owned()]).filter_map(|name| Name::parse(&name)).collect()
    }

    /// Asks all servers at once; the first that knows counts. Empty where there is no such name.
    async fn ask(&self, name: &Name, kinds: &[Kind]) -> Result<Vec<SocketAddr>, NameFault> {
        let socket = self.socket().await.map_err(NameFault::Socket)?;
        let mut questions: Vec<Question> = kinds.iter().map(|kind| Question::new(*kind)).collect();
        let (mut found, mut known_by) = (Vec::new(), None);
        for attempt in 1..=self.attempts {
            if self.send(&socket, name, &questions).await.is_err() {
                return Err(self.no_answer());
            }
            let until = Instant::now() + self.timeout / self.attempts;
            let mut buffer = [0; dns::MAX_ANSWER];
            while questions.iter().any(|question| question.is_open) {
                let soon = known_by.map_or(until, |known_by| until.min(known_by + GRACE));
                let Ok(received) = timeout_at(soon, socket.recv_from(&mut buffer)).await else { break };
                let (length, from) = match received {
                    Ok(received) => received,
                    Err(_) if found.is_empty() => return Err(self.no_answer()),
                    Err(_) => break,
                };
                let message = buffer.get(..length).filter(|_| self.servers.iter().any(|server| is_same(*server, from)));
                for question in questions.iter_mut().filter(|question| question.is_open) {
                    let answer = message.and_then(|message| dns::answer(message, question.id, name, question.kind));
                    let Some(answer) = answer else { continue };
                    match answer.code {
                        0 | 3 => (question.is_open, question.is_known) = (false, true),
                        _ => question.refused += 1,
                    }
                    question.is_open &= question.refused < self.servers.len();
                    found.extend(answer.addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
                }
                known_by = known_by.or((!found.is_empty()).then(Instant::now));
            }
            if !found.is_empty() || attempt == self.attempts || questions.iter().all(|question| !question.is_open) {
                break;
            }
        }
        match found.is_empty() && !questions.iter().all(|question| question.is_known) {
            true => Err(self.no_answer()),
            false => Ok(found),
        }
    }

    fn no_answer(&self) -> NameFault {
        NameFault::NoAnswer(self.servers.clone())
    }

    /// One for all servers: of IPv6, which reaches IPv4 too, where one of them is.
    async fn socket(&self) -> io::Result<UdpSocket> {
        let six = self.servers.iter().any(SocketAddr::is_ipv6);
        let any: IpAddr = if six { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let socket = match UdpSocket::bind(SocketAddr::new(any, 0)).await {
            Err(_) if six => UdpSocket::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))).await?,
            socket => socket?,
        };
        if let [server] = self.servers[..] {
            socket.connect(server).await?;
        }
        Ok(socket)
    }

    /// Fails where there is one server only, and nobody there: of that a socket knows that speaks to nobody else.
    async fn send(&self, socket: &UdpSocket, name: &Name, questions: &[Question]) -> io::Result<()> {
        let six = socket.local_addr().is_ok_and(|address| address.is_ipv6());
        for question in questions.iter().filter(|question| question.is_open) {
            let message = dns::question(question.id, name, question.kind);
            for server in &self.servers {
                let to = match server {
                    SocketAddr::V4(v4) if six => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
                    server => *server,
                };
                let sent = socket.send_to(&message, to).await;
                if self.servers.len() == 1 {
                    sent?;
                }
            }
        }
        Ok(())
    }
}

/// A question, and how far it is answered.
struct Question {
    kind: Kind,
    id: u16,
    is_open: bool,
    /// A server said what there is, or that there is nothing.
    is_known: bool,
    /// Servers that said they cannot tell.
    refused: usize,
}

impl Question {
    fn new(kind: Kind) -> Self {
        Self { kind, id: dns::new_id(), is_open: true, is_known: false, refused: 0 }
    }
}

fn is_same(server: SocketAddr, from: SocketAddr) -> bool {
    server.ip() == from.ip().to_canonical() && server.port() == from.port()
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

/// Whether a name is this one or within it.
fn ends_with(host: &str, domain: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case(domain))
}

/// An address as it is written; one of a link may name its device: `fe80::1%br-lan`.
fn numeric(text: &str) -> Option<SocketAddr> {
    let Some((address, device)) = text.split_once('%') else {
        return text.parse().ok().map(|address| SocketAddr::new(address, 0));
    };
    let index = || fs::read_to_string(format!("/sys/class/net/{device}/ifindex")).ok()?.trim().parse().ok();
    let scope = if device.contains('/') { None } else { device.parse().ok().or_else(index) };
    Some(SocketAddrV6::new(address.parse().ok()?, 0, 0, scope?).into())
}

/// The smaller, the sooner it is tried (of RFC 6724 what matters to a router): what there is a route to, from an address
/// as global as it is itself, IPv6 first.
fn rank(address: &SocketAddr) -> (bool, bool, bool) {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let source = std::net::UdpSocket::bind(SocketAddr::new(any, 0)).and_then(|socket| {
        socket.connect(with_port(*address, 53))?;
        socket.local_addr()
    });
    let is_global = |address: &SocketAddr| match address {
        SocketAddr::V4(_) => true,
        SocketAddr::V6(v6) => v6.ip().segments()[0] & 0xe000 == 0x2000,
    };
    let fits = source.as_ref().is_ok_and(|source| is_global(source) || !is_global(address));
    (source.is_err(), !fits, address.is_ipv4())
}

#[cfg(test)]
mod tests;
