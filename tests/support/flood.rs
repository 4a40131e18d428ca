//! Somebody who floods one link of the agent as fast as it takes, from a thread of its own.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;
use usp_agent::usp::endpoint_id::EndpointId;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Records for another endpoint, over the agent's WebSocket.
    Strangers,
    /// What is no record, through a broker.
    Rubbish,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Strangers, Self::Rubbish];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Strangers => "records for another flooding",
            Self::Rubbish => "rubbish flooding",
        }
    }
}

pub(crate) struct Flood {
    on: Arc<AtomicBool>,
    sent: Arc<AtomicU32>,
}

impl Flood {
    /// Configuration for the agent, and the flood, which has not begun.
    pub(crate) fn new(kind: Kind) -> (String, Self) {
        let flood = Self { on: Arc::default(), sent: Arc::default() };
        let (on, sent) = (flood.on.clone(), flood.sent.clone());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let section = "\nconfig controller 'noise'\n\toption EndpointID 'self::noise'\n";
        if kind == Kind::Rubbish {
            thread::spawn(move || pour(&mut broker(&listener), &publish(), &on, &sent));
            return (
                format!("{section}\toption url 'mqtt://127.0.0.1:{port}'\n\toption ProtocolVersion '3.1.1'\n"),
                flood,
            );
        }
        drop(listener);
        let frame = frame(&stranger());
        thread::spawn(move || pour(&mut guest(port), &frame, &on, &sent));
        (format!("{section}\toption url 'listen ws://127.0.0.1:{port}/usp'\n"), flood)
    }

    pub(crate) fn begin(&self) {
        self.on.store(true, Ordering::Relaxed);
    }

    pub(crate) fn pause(&self) {
        self.on.store(false, Ordering::Relaxed);
    }

    /// Hundreds of packets sent.
    pub(crate) fn sent(&self) -> u32 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// Writes a packet over and over while it is on; what comes back is read and thrown away.
fn pour(stream: &mut TcpStream, packet: &[u8], on: &AtomicBool, sent: &AtomicU32) {
    let mut back = stream.try_clone().unwrap();
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while back.read(&mut bytes).is_ok_and(|read| read > 0) {}
    });
    let hundred = packet.repeat(100);
    loop {
        if !on.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(5));
        } else if stream.write_all(&hundred).is_err() {
            return;
        } else {
            sent.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A session on the agent's WebSocket.
fn guest(port: u16) -> TcpStream {
    let mut stream = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    };
    let request = "GET /usp?eid=self::noise HTTP/1.1\r\nHost: agent\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: v1.usp\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = [0; 1024];
    let read = stream.read(&mut answer).unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 101"));
    stream
}

/// The agent at a broker that grants whatever it asks.
fn broker(listener: &TcpListener) -> TcpStream {
    let mut stream = listener.accept().unwrap().0;
    let mut packet = [0; 1024];
    let _ = stream.read(&mut packet).unwrap();
    stream.write_all(&[0x20, 2, 0, 0]).unwrap();
    let _ = stream.read(&mut packet).unwrap();
    stream.write_all(&[0x90, 3, packet[2], packet[3], 0]).unwrap();
    stream
}

/// A masked frame with a payload below 126 bytes; its mask is zero.
fn frame(payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126);
    [&[0x82, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

/// A PUBLISH of QoS 0 with rubbish in it.
fn publish() -> Vec<u8> {
    let (topic, payload) = (b"usp/agent/bench", [0xff; 64]);
    let length = u8::try_from(2 + topic.len() + payload.len()).unwrap();
    [&[0x30, length, 0, 15], &topic[..], &payload].concat()
}

/// A record for somebody else.
fn stranger() -> Vec<u8> {
    let (agent, noise) = (EndpointId::parse("self::nobody").unwrap(), EndpointId::parse("self::noise").unwrap());
    usp_agent::usp::record::no_session_context(&noise, &agent, vec![1; 16].into()).to_vec()
}
