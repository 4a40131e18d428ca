//! `Device.IP.Diagnostics.UDPEchoConfig.`: a server that sends back what one address sends (RFC 862), with the fields of
//! UDPEchoPlus (TR-143, A.1.4). It is there while it is enabled and somebody may use it.

use super::operations::arguments::TimeOfDay;
use super::operations::interface::Interface;
use super::operations::udp_echo::PORT;
use crate::backend::Router;
use crate::config::UdpEcho;
use crate::model::Facts;
use crate::task::spawn;
use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The longest packet that is sent back, in bytes: a jumbo frame.
const LONGEST: usize = 9000;
/// Answers in a second at most: enough for every test, and not for a flood in the name of that address.
const PER_SECOND: u32 = 2000;
/// Bytes that what UDPEchoPlus fills in ends at.
const FILLED: usize = 20;
/// A packet's UDP header, which counts as received and sent.
const HEADER: u32 = 8;
/// Character generator: it answers whatever comes, as echo does.
const CHARGEN: u16 = 19;

/// The server, running or not, and what it has counted since it was enabled.
#[derive(Debug, Default)]
pub(super) struct Echo {
    wanted: Option<UdpEcho>,
    counted: Rc<Counted>,
    again: Rc<Notify>,
    server: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counted {
    /// Something is not told yet.
    news: Cell<bool>,
    received: Cell<[u32; 2]>,
    responded: Cell<[u32; 2]>,
    failures: Cell<u32>,
    first: Cell<Option<Instant>>,
    last: Cell<Option<Instant>>,
}

impl Echo {
    /// Starts, changes or ends the server.
    pub(super) fn follow(&mut self, wanted: Option<UdpEcho>, router: &Router) {
        if wanted == self.wanted {
            return;
        }
        if let Some(server) = self.server.take() {
            server.abort();
        }
        if self.wanted.is_none() {
            // "When enabled from a disabled state all related timestamps, statistics and UDP Echo Plus counters are cleared."
            self.counted = Rc::default();
            self.counted.news.set(true);
        }
        self.wanted.clone_from(&wanted);
        // A recorded router has no network.
        let (Some(wanted), Router::Live(live)) = (wanted, router) else { return };
        let interface = match &*wanted.interface {
            "" => Interface::Any,
            name => Interface::Logical { path: name.to_owned(), name: name.to_owned(), bus: live.bus().clone() },
        };
        let (counted, again) = (self.counted.clone(), self.again.clone());
        self.server = Some(spawn(async move {
            loop {
                tokio::select! {
                    Err(why) = serve(&wanted, interface.clone(), &counted) => {
                        let port = wanted.port;
                        log::warn!("udp-echo=stopped port={port} cause=\"{why}\" check=Interface,UDPPort next-try=ifup,reload");
                        again.notified().await;
                    }
                    () = again.notified() => {}
                }
            }
        }));
    }

    /// An interface came up, or the operator wants it tried: the device may be another one.
    pub(super) fn try_now(&self) {
        if self.server.is_some() {
            self.again.notify_one();
        }
    }

    /// Before somebody looks at the counters.
    pub(super) fn show(&self, facts: &mut Facts) {
        let counted = &self.counted;
        if !counted.news.take() {
            return;
        }
        let ([packets, bytes], [answers, sent]) = (counted.received.get(), counted.responded.get());
        for (name, count) in [
            ("PacketsReceived", packets),
            ("PacketsResponded", answers),
            ("BytesReceived", bytes),
            ("BytesResponded", sent),
        ] {
            facts.count("udp_echo", "", name, count);
        }
        let clock = TimeOfDay::now();
        facts.set("udp_echo", "", "TimeFirstPacketReceived", clock.at_or_unknown(counted.first.get()));
        facts.set("udp_echo", "", "TimeLastPacketReceived", clock.at_or_unknown(counted.last.get()));
    }
}

async fn serve(wanted: &UdpEcho, interface: Interface, counted: &Counted) -> Result<(), String> {
    let through = interface.find().await.map_err(|fault| fault.to_string())?;
    let text = |error: io::Error| error.to_string();
    let any: IpAddr = if wanted.source.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, wanted.port)).await.map_err(text)?;
    if let Some(device) = &through.device {
        socket.bind_device(Some(device.as_bytes())).map_err(text)?;
    }
    log::info!("udp-echo=started port={} for={}", wanted.port, wanted.source);
    let begun = Instant::now();
    // One byte more shows what is too long.
    let mut buffer = vec![0; LONGEST + 1];
    let mut limit = Limit { second: begun, answers: 0 };
    loop {
        let (length, from) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            // ICMP says of an answer that nobody heard it.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            Err(error) => return Err(error.to_string()),
        };
        let came = Instant::now();
        let Some(packet) = buffer.get_mut(..length).filter(|packet| packet.len() <= LONGEST) else { continue };
        if !may_ask(from, wanted) {
            continue;
        }
        counted.received(length, came);
        if wanted.plus {
            let microseconds = |moment: Instant| moment.duration_since(begun).as_micros() as u32;
            fill(packet, counted, microseconds(came), microseconds(Instant::now()));
        }
        counted.responded(limit.allows(came) && socket.send_to(packet, from).await.is_ok(), length);
    }
}

/// Answers in the second that began then.
struct Limit {
    second: Instant,
    answers: u32,
}

impl Limit {
    fn allows(&mut self, now: Instant) -> bool {
        if now.duration_since(self.second) >= Duration::from_secs(1) {
            *self = Self { second: now, answers: 0 };
        }
        self.answers = self.answers.saturating_add(1);
        self.answers <= PER_SECOND
    }
}

/// Whether a packet is sent back. Never to a service that would answer, and be answered, for ever: the packet is one in its
/// name.
fn may_ask(from: SocketAddr, wanted: &UdpEcho) -> bool {
    let answers_too = [PORT, CHARGEN, wanted.port, 0].contains(&from.port());
    from.ip() == wanted.source && !answers_too
}

/// TestRespSN, TestRespRecvTimeStamp, TestRespReplyTimeStamp and TestRespReplyFailureCount, behind TestGenSN; in what is
/// too short for them nothing is written.
fn fill(packet: &mut [u8], counted: &Counted, came: u32, leaves: u32) {
    let [answers, _] = counted.responded.get();
    if let Some(fields) = packet.get_mut(4..FILLED) {
        for (field, value) in fields.chunks_exact_mut(4).zip([answers, came, leaves, counted.failures.get()]) {
            field.copy_from_slice(&value.to_be_bytes());
        }
    }
}

impl Counted {
    fn received(&self, length: usize, came: Instant) {
        self.received.set(with(self.received.get(), length));
        self.first.set(self.first.get().or(Some(came)));
        self.last.set(Some(came));
        self.news.set(true);
    }

    fn responded(&self, sent: bool, length: usize) {
        match sent {
            true => self.responded.set(with(self.responded.get(), length)),
            false => self.failures.set(self.failures.get().wrapping_add(1)),
        }
    }
}

/// Packets and bytes with one more, from 0 on again after 2^32.
fn with([packets, bytes]: [u32; 2], length: usize) -> [u32; 2] {
    [packets.wrapping_add(1), bytes.wrapping_add(HEADER).wrapping_add(length as u32)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_not_sent_back() {
        let begun = Instant::now();
        let mut limit = Limit { second: begun, answers: 0 };
        for second in [0, 1, 5] {
            let answered =
                (0..5000).filter(|n| limit.allows(begun + Duration::from_micros(second * 1_000_000 + n * 100)));
            assert_eq!(answered.count(), PER_SECOND as usize);
        }
    }

    /// Else two of them answer each other for ever, once somebody has sent a packet in the name of one.
    #[test]
    fn who_would_answer_too_is_not_answered() {
        let source = Ipv4Addr::new(192, 0, 2, 7).into();
        let wanted = UdpEcho { interface: "".into(), source, port: 5007, plus: true };
        assert!([6, 8, 5006, 5008].iter().all(|port| may_ask((source, *port).into(), &wanted)));
        assert!([0, 7, 19, 5007].iter().all(|port| !may_ask((source, *port).into(), &wanted)));
        assert!(!may_ask((Ipv4Addr::new(192, 0, 2, 8), 5006).into(), &wanted));
    }
}
