//! The byte stream under every transport: TCP, TLS over TCP, or a UNIX socket, with a deadline on each step.

use super::class::{Class, Why};
use super::resolver::Resolver;
use super::tls;
use super::tls::Standing;
use super::{Peer, tls::TlsFault};
use bytes::Bytes;
use rustix::net::sockopt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::time::{Instant, Sleep, sleep, timeout};

/// Addresses of one name that are tried in turn.
const ADDRESSES_TRIED: usize = 6;
/// Bytes of a peer that goes on talking which are read away before its connection is dropped.
const LINGER_BYTES: usize = 4 * super::MAX_RECORD;

/// How long a link that brings more than the agent can take reads nothing, so that others are heard meanwhile.
const REST: Duration = Duration::from_millis(100);

/// Times that bound what a peer can do by doing nothing.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the name look-up to the end of the transport's own handshake.
    pub handshake: Duration,
    /// The peer takes not one byte of what waits for it.
    pub stall: Duration,
    /// A goodbye is answered, or the connection is dropped.
    pub goodbye: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            handshake: Duration::from_secs(10),
            stall: Duration::from_secs(20),
            goodbye: Duration::from_millis(1500),
        }
    }
}

enum Inner {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::TlsStream<TcpStream>>, Standing),
    Local(UnixStream),
}

/// A connection, plain or encrypted, which counts what the peer took.
pub(crate) struct Stream {
    inner: Inner,
    taken: u64,
    rest: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    fn new(inner: Inner) -> Self {
        Stream { inner, taken: 0, rest: None }
    }

    /// Reads nothing for a while; writing goes on.
    pub(crate) fn rest(&mut self) {
        self.rest.get_or_insert_with(|| Box::pin(sleep(REST)));
    }

    pub(crate) fn plain(tcp: TcpStream) -> Self {
        Self::new(Inner::Plain(tcp))
    }

    pub(crate) fn encrypted((tls, standing): (impl Into<tokio_rustls::TlsStream<TcpStream>>, Standing)) -> Self {
        Self::new(Inner::Tls(Box::new(tls.into()), standing))
    }

    pub(crate) fn local(unix: UnixStream) -> Self {
        Self::new(Inner::Local(unix))
    }

    /// Bytes the network took so far: a measure of progress.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// What the connection itself tells of the other side.
    pub(crate) fn peer(&self) -> Peer {
        let (tcp, certificate) = match &self.inner {
            Inner::Plain(tcp) => (tcp, None),
            Inner::Tls(tls, _) => (tls.get_ref().0, peer_certificate(tls)),
            Inner::Local(_) => return Peer { local: true, ..Peer::default() },
        };
        let certificate_ids = certificate.as_deref().map(tls::endpoint_ids).unwrap_or_default();
        Peer {
            encrypted: matches!(self.inner, Inner::Tls(..)),
            certificate_ids,
            certificate,
            standing: match &self.inner {
                Inner::Tls(_, standing) => standing.clone(),
                Inner::Plain(_) | Inner::Local(_) => Standing::default(),
            },
            address: tcp.peer_addr().map(|a| a.to_string()).unwrap_or_default().into(),
            ..Peer::default()
        }
    }

    /// Ends our side and reads away what the peer still sends, so that it sees our last words
    /// rather than a reset. Bounded by the caller's deadline and [`LINGER_BYTES`].
    pub(crate) async fn linger(&mut self) {
        if self.shutdown().await.is_err() {
            return;
        }
        let mut sink = [0u8; 2048];
        let mut left = LINGER_BYTES;
        while let Ok(read @ 1..) = self.read(&mut sink).await {
            left = left.saturating_sub(read);
            if left == 0 {
                return;
            }
        }
    }
}

fn peer_certificate(tls: &tokio_rustls::TlsStream<TcpStream>) -> Option<Bytes> {
    let chain = tls.get_ref().1.peer_certificates()?;
    chain.first().map(|der| Bytes::copy_from_slice(der.as_ref()))
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(rest) = &mut self.rest {
            ready!(rest.as_mut().poll(cx));
            self.rest = None;
        }
        match &mut self.inner {
            Inner::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Inner::Tls(tls, _) => Pin::new(tls).poll_read(cx, buf),
            Inner::Local(unix) => Pin::new(unix).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = match &mut self.inner {
            Inner::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Inner::Tls(tls, _) => Pin::new(tls).poll_write(cx, buf),
            Inner::Local(unix) => Pin::new(unix).poll_write(cx, buf),
        };
        if let Poll::Ready(Ok(count)) = &written {
            self.taken = self.taken.wrapping_add(u64::try_from(*count).unwrap_or(u64::MAX));
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Inner::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Inner::Tls(tls, _) => Pin::new(tls).poll_flush(cx),
            Inner::Local(unix) => Pin::new(unix).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Inner::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Inner::Tls(tls, _) => Pin::new(tls).poll_shutdown(cx),
            Inner::Local(unix) => Pin::new(unix).poll_shutdown(cx),
        }
    }
}

/// Which way a connection takes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Way {
    /// The network device to go through (`wan`); whichever the routes name where None.
    pub device: Option<Box<str>>,
    /// Which addresses of a name count.
    pub family: Family,
    /// DiffServ codepoint, 0 to 63.
    pub dscp: u8,
}

/// Which addresses of a name count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Family {
    /// All, in turn.
    #[default]
    Any,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// A connection, and how it came about.
pub(crate) struct Dialed {
    pub(crate) stream: Stream,
    pub(crate) address: SocketAddr,
    /// The SYN to `address` went out.
    pub(crate) opening: Instant,
    /// It was answered.
    pub(crate) open: Instant,
}

/// Looks the host up, connects to the first of its addresses that answers, and encrypts where asked.
///
/// # Errors
/// One sentence that names the step which failed and what to check.
pub(crate) async fn dial(
    host: &str,
    port: u16,
    tls: Option<&tls::ClientTls>,
    deadline: Instant,
) -> Result<Stream, Why> {
    Ok(dial_by(&Way::default(), host, port, tls, deadline).await?.stream)
}

/// [`dial`] on a way of the caller's choice.
///
/// # Errors
/// The step that failed, and a sentence as that of [`dial`].
pub(crate) async fn dial_by(
    way: &Way,
    host: &str,
    port: u16,
    tls: Option<&tls::ClientTls>,
    deadline: Instant,
) -> Result<Dialed, Why> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let connector = tls.map(|settings| settings.connector(host)).transpose();
    let connector = connector.map_err(Why::from)?;
    let addresses = look_up(way.family, host, port, deadline).await.map_err(|why| Why::new(Class::Name, why))?;
    let (tcp, address, opening) = connect(way, host, port, &addresses, deadline).await?;
    let open = Instant::now();
    // Answers are small and awaited; Nagle would hold them back.
    let _ = tcp.set_nodelay(true);
    let stream = match connector {
        None => Stream::plain(tcp),
        Some(connector) => match tokio::time::timeout_at(deadline, connector.connect(tcp)).await {
            Ok(Ok(tls)) => Stream::encrypted(tls),
            Ok(Err(fault)) => return Err(Why::from(fault).map(|why| format!("{host}:{port}: {why}"))),
            Err(_) => {
                let why = format!("{host}:{port} does not answer the TLS handshake: does that port speak TLS?");
                return Err(Why::new(Class::TlsSilent, why));
            }
        },
    };
    Ok(Dialed { stream, address, opening, open })
}

async fn look_up(family: Family, host: &str, port: u16, deadline: Instant) -> Result<Vec<SocketAddr>, String> {
    let resolver = Resolver::of_router();
    match tokio::time::timeout_at(deadline, resolver.look_up(host, family)).await {
        Err(_) => Err(format!("the name {host} was not resolved in time: check the router's DNS servers")),
        Ok(Err(fault)) => {
            Err(format!("the name {host} cannot be resolved: {fault}: check the name and the router's DNS"))
        }
        Ok(Ok(mut addresses)) => {
            addresses.iter_mut().for_each(|address| address.set_port(port));
            Ok(spread(addresses))
        }
    }
}

/// The first addresses of both families in turn, so that one dead family does not use up the tries.
fn spread(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|a| a.is_ipv6() == first_is_v6);
    let longest = first.len().max(second.len());
    let pairs = (0..longest).flat_map(|i| [first.get(i), second.get(i)]);
    pairs.flatten().take(ADDRESSES_TRIED).copied().collect()
}

/// The connection, the address it goes to, and when it was begun.
async fn connect(
    way: &Way,
    host: &str,
    port: u16,
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<(TcpStream, SocketAddr, Instant), Why> {
    let mut why = Why::new(Class::Name, format!("the name {host} has no address"));
    for (tried, address) in addresses.iter().enumerate() {
        let opening = Instant::now();
        let share = u32::try_from(addresses.len() - tried).unwrap_or(1).min(3);
        let left = deadline.saturating_duration_since(opening) / share;
        let told = |error: &dyn std::fmt::Display| format!("no connection to {host}:{port} ({address}): {error}");
        why = match timeout(left, open(way, *address)).await {
            Ok(Ok(tcp)) => return Ok((tcp, *address, opening)),
            Ok(Err(error)) => Why::new(class_of(&error), told(&error)),
            Err(_) => Why::new(Class::Unreached, told(&"no answer")),
        };
    }
    Err(why)
}

async fn open(way: &Way, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(device) = &way.device {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    match address {
        _ if way.dscp == 0 => {}
        SocketAddr::V4(_) => sockopt::set_ip_tos(&socket, way.dscp << 2)?,
        SocketAddr::V6(_) => sockopt::set_ipv6_tclass(&socket, u32::from(way.dscp << 2))?,
    }
    socket.connect(address).await
}

fn class_of(error: &io::Error) -> Class {
    match error.kind() {
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Class::Route,
        io::ErrorKind::ConnectionRefused => Class::Refused,
        _ => Class::Unreached,
    }
}

/// A sentence for an I/O error of an established connection, TLS alerts included.
pub(crate) fn explain_io(error: &io::Error) -> Why {
    match TlsFault::of_io(error) {
        Some(fault) => fault.into(),
        None if error.kind() == io::ErrorKind::UnexpectedEof => "the peer closed the connection".into(),
        None => format!("the connection broke: {error}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_take_turns() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (v6, v4) = (["[::1]:1", "[::2]:1", "[::3]:1"], ["1.1.1.1:1"]);
        let given = v6.iter().chain(&v4).map(|text| address(text)).collect();
        let order = spread(given);
        assert_eq!(order, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"].map(address));
    }

    #[test]
    fn what_the_kernel_says_is_told_apart() {
        let class = |errno: rustix::io::Errno| class_of(&errno.into());
        assert_eq!(class(rustix::io::Errno::NETUNREACH), Class::Route);
        assert_eq!(class(rustix::io::Errno::HOSTUNREACH), Class::Route);
        assert_eq!(class(rustix::io::Errno::CONNREFUSED), Class::Refused);
        assert_eq!(class(rustix::io::Errno::TIMEDOUT), Class::Unreached);
    }

    #[tokio::test]
    async fn a_closed_port_is_named() {
        let deadline = Instant::now() + Duration::from_secs(2);
        let why = dial("127.0.0.1", 1, None, deadline).await.err().unwrap().text;
        assert!(why.contains("127.0.0.1:1") && why.contains("refused"), "{why}");
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_named() {
        let deadline = Instant::now() + Duration::from_secs(2);
        let why = dial("no-such-host.invalid", 1, None, deadline).await.err().unwrap().text;
        assert!(why.contains("no-such-host.invalid"), "{why}");
    }
}
