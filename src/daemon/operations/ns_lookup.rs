//! `Device.DNS.Diagnostics.NSLookupDiagnostics()`: asks a name server for the addresses of a name, itself and over UDP.
//!
//! Both kinds of addresses are asked for at once. Without a server named, those of the interface are asked in turn, or
//! those of resolv.conf: the next where one is silent or cannot help. Dropping the future cancels it.

use super::arguments::{Arguments, Named, Version, milliseconds, named, push_row};
use super::interface::Through;
use super::socket::{is_not_there, resolve, udp};
use crate::mtp::dns::{self, Kind, Name};
use crate::mtp::resolver::Resolver;
use crate::usp::fault::{Code, Fault};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, timeout_at};

/// Time between two look-ups: a test is no flood.
pub const PAUSE: Duration = Duration::from_millis(50);
/// Look-ups of one command; each has a row in the result, which one message holds.
pub const MAX_REPETITIONS: u32 = 256;
/// Name servers that are asked in turn, as the resolver does.
pub const MAX_SERVERS: usize = 3;
/// Addresses that are told of a look-up: what IPAddresses holds.
pub const MAX_ADDRESSES: usize = 10;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The whole name.
    pub name: String,
    /// A name or an address; `defaults` where None.
    pub server: Option<String>,
    /// The servers that are asked otherwise.
    pub defaults: Vec<IpAddr>,
    /// Where servers listen.
    pub port: u16,
    /// The network device to send through; any where None.
    pub device: Option<String>,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// How many look-ups.
    pub repetitions: u32,
}

words! {
    /// How it ended; the names are those of the parameter Status.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[allow(missing_docs, non_camel_case_types)]
    pub enum Status {
        Complete,
        Error_DNSServerNotResolved,
        Error_Internal,
        Error_Other,
    }
}

words! {
    /// How one look-up ended; the names are those of the parameter Result.{i}.Status.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[allow(missing_docs, non_camel_case_types)]
    pub enum Found {
        Success,
        Error_DNSServerNotAvailable,
        Error_HostNameNotResolved,
        Error_Timeout,
        Error_Other,
    }
}

/// One look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// How it ended.
    pub found: Found,
    /// The server knows it first hand.
    pub authoritative: bool,
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// Who was asked last.
    pub server: IpAddr,
    /// When the first answer came; 0 where none did.
    pub time: Duration,
}

/// The result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How it ended.
    pub status: Status,
    /// What was looked up.
    pub name: String,
    /// Each look-up.
    pub lookups: Vec<Lookup>,
}

impl Request {
    /// Reads the arguments of the command. `resolver` is the text of resolv.conf.
    ///
    /// # Errors
    /// HostName is none that DNS could know, or more look-ups are asked for than a result holds.
    pub fn from_input(input: &[(String, String)], through: Through, resolver: &str) -> Result<Self, Fault> {
        let given = Arguments(input);
        let wrong = |why: String| Fault::new(Code::InvalidCommandArguments, why);
        let resolver = Resolver::parse(resolver);
        let mut name = given.text("HostName").to_owned();
        // TR-181: the domain belongs to a name that is not fully qualified.
        if let Some(domain) = resolver.domains.first().filter(|_| !name.contains('.')) {
            name = format!("{name}.{domain}");
        }
        let name = name.trim_end_matches('.').to_owned();
        Name::parse(&name).ok_or_else(|| wrong(format!("HostName: {name} is no name that DNS could know")))?;
        // The standard has no facet for it: none is one.
        let repetitions = given.number("NumberOfRepetitions", 1).max(1);
        if repetitions > MAX_REPETITIONS {
            return Err(wrong(format!("NumberOfRepetitions: at most {MAX_REPETITIONS}")));
        }
        let mut defaults = through.dns_servers;
        if defaults.is_empty() {
            defaults = resolver.servers.iter().map(SocketAddr::ip).collect();
        }
        defaults.truncate(MAX_SERVERS);
        Ok(Self {
            name,
            server: Some(given.text("DNSServer").to_owned()).filter(|server| !server.is_empty()),
            defaults,
            port: 53,
            device: through.device,
            timeout: given.milliseconds("Timeout", 1000),
            repetitions,
        })
    }
}

impl Report {
    /// The output arguments of the command.
    pub fn output(&self) -> Named {
        let count = self.lookups.iter().filter(|lookup| lookup.found == Found::Success).count();
        let mut output = named([("Status", self.status.word().to_owned()), ("SuccessCount", count.to_string())]);
        for (number, lookup) in (1..).zip(&self.lookups) {
            let has_answer = lookup.found == Found::Success;
            let kind = match (has_answer, lookup.authoritative) {
                (false, _) => "None",
                (true, true) => "Authoritative",
                (true, false) => "NonAuthoritative",
            };
            let addresses: Vec<String> = lookup.addresses.iter().map(IpAddr::to_string).collect();
            let members = [
                ("Status", lookup.found.word().to_owned()),
                ("AnswerType", kind.to_owned()),
                ("HostNameReturned", if has_answer { self.name.clone() } else { String::new() }),
                ("IPAddresses", addresses.join(",")),
                ("DNSServerIP", lookup.server.to_string()),
                ("ResponseTime", milliseconds(lookup.time)),
            ];
            push_row(&mut output, "Result", number, members);
        }
        output
    }
}

/// Performs the test.
pub async fn run(request: &Request) -> Report {
    let mut report = Report { status: Status::Error_Internal, name: request.name.clone(), lookups: Vec::new() };
    let servers = match &request.server {
        None => request.defaults.clone(),
        Some(server) => resolve(server, Version::Any).await.into_iter().collect(),
    };
    if servers.is_empty() {
        report.status = Status::Error_DNSServerNotResolved;
        return report;
    }
    let Some(name) = Name::parse(&request.name) else { return report };
    for number in 1..=request.repetitions {
        match lookup(request, &name, &servers).await {
            Ok(lookup) => report.lookups.push(lookup),
            Err(error) => {
                log::warn!("operation=NSLookupDiagnostics socket=refused cause=\"{error}\"");
                return report;
            }
        }
        if number < request.repetitions {
            sleep(PAUSE).await;
        }
    }
    let any = report.lookups.iter().any(|lookup| lookup.found == Found::Success);
    report.status = if any { Status::Complete } else { Status::Error_Other };
    report
}

/// Asks one server after the other, until one knows.
async fn lookup(request: &Request, name: &Name, servers: &[IpAddr]) -> io::Result<Lookup> {
    let mut last = Err(io::ErrorKind::NotFound.into());
    for server in servers {
        let lookup = ask(request, name, *server).await?;
        let knows = matches!(lookup.found, Found::Success | Found::Error_HostNameNotResolved);
        last = Ok(lookup);
        if knows {
            break;
        }
    }
    last
}

/// Asks one server.
async fn ask(request: &Request, name: &Name, server: IpAddr) -> io::Result<Lookup> {
    let begun = Instant::now();
    let mut lookup = Lookup {
        found: Found::Error_Timeout,
        authoritative: false,
        addresses: Vec::new(),
        server,
        time: Duration::ZERO,
    };
    let socket = match udp(SocketAddr::new(server, request.port), request.device.as_deref(), 0).await {
        Ok(socket) => socket,
        Err(error) if is_not_there(&error) => {
            lookup.found = Found::Error_DNSServerNotAvailable;
            return Ok(lookup);
        }
        Err(error) => return Err(error),
    };
    let mut pending = [Pending::new(Kind::A), Pending::new(Kind::Aaaa)];
    let exchange = exchange(&socket, name, &mut pending, begun + request.timeout, |answered, at| {
        lookup.time = if lookup.time.is_zero() { at - begun } else { lookup.time };
        lookup.authoritative |= answered.authoritative && !answered.addresses.is_empty();
        lookup.addresses.extend(answered.addresses);
        if lookup.found != Found::Error_HostNameNotResolved {
            // 0 without an address, or 3: there is no such name, or none with addresses.
            let knows = matches!(answered.code, 0 | 3);
            lookup.found = if knows { Found::Error_HostNameNotResolved } else { Found::Error_Other };
        }
    });
    if let Err(error) = exchange.await {
        log::debug!("operation=NSLookupDiagnostics server={server} cause=\"{error}\"");
        if lookup.found == Found::Error_Timeout {
            lookup.found = Found::Error_DNSServerNotAvailable;
        }
    }
    lookup.addresses.truncate(MAX_ADDRESSES);
    if !lookup.addresses.is_empty() {
        lookup.found = Found::Success;
    }
    Ok(lookup)
}

/// A question that is not answered yet.
struct Pending {
    kind: Kind,
    /// None where it is answered.
    id: Option<u16>,
}

impl Pending {
    fn new(kind: Kind) -> Self {
        Self { kind, id: Some(dns::new_id()) }
    }
}

/// Asks all questions and hands on the answers, until none is open or the time is over. Whatever else comes in, also
/// from somebody who guesses, is passed over.
async fn exchange(
    socket: &UdpSocket,
    name: &Name,
    pending: &mut [Pending],
    until: Instant,
    mut answered: impl FnMut(dns::Answer, Instant),
) -> io::Result<()> {
    for question in &*pending {
        socket.send(&dns::question(question.id.unwrap_or(0), name, question.kind)).await?;
    }
    let mut buffer = [0; dns::MAX_ANSWER];
    while pending.iter().any(|question| question.id.is_some()) {
        let Ok(received) = timeout_at(until, socket.recv(&mut buffer)).await else { break };
        let message = buffer.get(..received?).unwrap_or_default();
        for question in &mut *pending {
            let Some(id) = question.id else { continue };
            if let Some(answer) = dns::answer(message, id, name, question.kind) {
                question.id = None;
                answered(answer, Instant::now());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
