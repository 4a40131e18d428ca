//! A scripted MQTT broker over raw TCP: a test reads what the agent sends, byte by byte, and answers
//! as it likes. Its encoder and decoder are its own, so that they check those of the agent.
#![allow(dead_code, unreachable_pub)]

use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(5);

pub struct Broker {
    listener: TcpListener,
    pub port: u16,
}

impl Broker {
    pub async fn new() -> Broker {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Broker { listener, port }
    }

    pub async fn accept(&self) -> Connection {
        Connection::on(self.accept_tcp(PATIENCE).await)
    }

    pub async fn accept_tcp(&self, within: Duration) -> TcpStream {
        let (tcp, _) = timeout(within, self.listener.accept()).await.expect("nobody connects").unwrap();
        tcp.set_nodelay(true).unwrap();
        tcp
    }

    /// Accepts, answers CONNECT with the given CONNACK properties and grants every filter.
    pub async fn subscribed(&self, connack: &[Property]) -> (Connection, Connect, Subscribe) {
        let mut connection = self.accept().await;
        let connect = connection.connect().await;
        connection.connack(0, connack).await;
        let subscribe = connection.subscribe().await;
        connection.suback(subscribe.id, &vec![1; subscribe.filters.len()]).await;
        (connection, connect, subscribe)
    }
}

/// TCP or TLS.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

pub struct Connection {
    pub tcp: Box<dyn Io>,
    pub level: u8,
}

/// A packet as it came: the first byte and what follows the length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub first: u8,
    pub body: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Property {
    Byte(u8, u8),
    Two(u8, u16),
    Four(u8, u32),
    Text(u8, String),
    Pair(String, String),
}

#[derive(Debug, Default)]
pub struct Connect {
    pub level: u8,
    pub flags: u8,
    pub keep_alive: u16,
    pub properties: Vec<Property>,
    pub client_id: String,
    pub will: Option<(String, String)>,
    pub username: Option<String>,
    pub password: Option<String>,
}

#[derive(Debug)]
pub struct Subscribe {
    pub id: u16,
    pub filters: Vec<(String, u8)>,
}

#[derive(Debug)]
pub struct Publish {
    pub qos: u8,
    pub retain: bool,
    pub dup: bool,
    pub topic: String,
    pub id: u16,
    pub properties: Vec<Property>,
    pub payload: Vec<u8>,
}

impl Connection {
    pub fn on(io: impl Io + 'static) -> Connection {
        Connection { tcp: Box::new(io), level: 0 }
    }

    pub async fn read(&mut self) -> Option<Packet> {
        timeout(PATIENCE, self.read_patiently()).await.expect("the agent sends nothing")
    }

    /// The next packet, however long it takes; None where the connection ends. Not cancel safe.
    pub async fn read_patiently(&mut self) -> Option<Packet> {
        let first = self.tcp.read_u8().await.ok()?;
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let byte = self.tcp.read_u8().await.ok()?;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.tcp.read_exact(&mut body).await.ok()?;
        Some(Packet { first, body })
    }

    async fn expect(&mut self, kind: u8) -> Packet {
        let packet = self.read().await.expect("the agent closed the connection");
        assert_eq!(packet.first >> 4, kind, "{packet:?}");
        packet
    }

    pub async fn connect(&mut self) -> Connect {
        let packet = self.expect(1).await;
        let mut reader = Reader(&packet.body);
        assert_eq!(reader.text(), "MQTT");
        let mut connect = Connect { level: reader.byte(), flags: reader.byte(), ..Connect::default() };
        self.level = connect.level;
        connect.keep_alive = reader.two();
        connect.properties = reader.properties(connect.level);
        connect.client_id = reader.text();
        if connect.flags & 4 != 0 {
            reader.properties(connect.level);
            connect.will = Some((reader.text(), reader.text()));
        }
        connect.username = (connect.flags & 0x80 != 0).then(|| reader.text());
        connect.password = (connect.flags & 0x40 != 0).then(|| reader.text());
        assert!(reader.0.is_empty(), "bytes beyond the packet: {:?}", reader.0);
        connect
    }

    pub async fn subscribe(&mut self) -> Subscribe {
        let packet = self.expect(8).await;
        self.subscription(&packet)
    }

    /// What a SUBSCRIBE says.
    pub fn subscription(&self, packet: &Packet) -> Subscribe {
        assert_eq!(packet.first, 0x82);
        let mut reader = Reader(&packet.body);
        let id = reader.two();
        assert_eq!(reader.properties(self.level), []);
        let mut filters = Vec::new();
        while !reader.0.is_empty() {
            filters.push((reader.text(), reader.byte()));
        }
        Subscribe { id, filters }
    }

    pub async fn unsubscribe(&mut self) -> (u16, Vec<String>) {
        let packet = self.expect(10).await;
        self.unsubscription(&packet)
    }

    /// What an UNSUBSCRIBE says.
    pub fn unsubscription(&self, packet: &Packet) -> (u16, Vec<String>) {
        assert_eq!(packet.first, 0xa2);
        let mut reader = Reader(&packet.body);
        let id = reader.two();
        reader.properties(self.level);
        let mut filters = Vec::new();
        while !reader.0.is_empty() {
            filters.push(reader.text());
        }
        (id, filters)
    }

    pub async fn publish(&mut self) -> Publish {
        let packet = self.expect(3).await;
        self.published(&packet)
    }

    /// What a PUBLISH says.
    pub fn published(&self, packet: &Packet) -> Publish {
        assert_eq!(packet.first >> 4, 3, "{packet:?}");
        let qos = packet.first >> 1 & 3;
        let mut reader = Reader(&packet.body);
        let topic = reader.text();
        let id = if qos > 0 { reader.two() } else { 0 };
        let properties = reader.properties(self.level);
        let payload = reader.0.to_vec();
        Publish { qos, retain: packet.first & 1 != 0, dup: packet.first & 8 != 0, topic, id, properties, payload }
    }

    /// PINGREQs are answered and passed over.
    pub async fn quietly(&mut self) -> Option<Packet> {
        loop {
            match self.read().await {
                Some(Packet { first: 0xc0, .. }) => self.write(&[0xd0, 0]).await,
                other => return other,
            }
        }
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.tcp.write_all(bytes).await.unwrap();
    }

    pub async fn packet(&mut self, first: u8, body: &[u8]) {
        let mut bytes = vec![first];
        length(body.len(), &mut bytes);
        bytes.extend_from_slice(body);
        self.write(&bytes).await;
    }

    pub async fn connack(&mut self, code: u8, properties: &[Property]) {
        self.connack_with(false, code, properties).await;
    }

    pub async fn connack_with(&mut self, session_present: bool, code: u8, properties: &[Property]) {
        let mut body = vec![session_present.into(), code];
        if self.level == 5 {
            body.extend(encode(properties));
        }
        self.packet(0x20, &body).await;
    }

    pub async fn suback(&mut self, id: u16, codes: &[u8]) {
        let mut body = id.to_be_bytes().to_vec();
        if self.level == 5 {
            body.push(0);
        }
        body.extend_from_slice(codes);
        self.packet(0x90, &body).await;
    }

    pub async fn unsuback(&mut self, id: u16, filters: usize) {
        let mut body = id.to_be_bytes().to_vec();
        if self.level == 5 {
            body.push(0);
            body.resize(body.len() + filters, 0);
        }
        self.packet(0xb0, &body).await;
    }

    /// A server's DISCONNECT; MQTT 3.1.1 has none.
    pub async fn disconnect(&mut self, code: u8) {
        assert_eq!(self.level, 5);
        self.packet(0xe0, &[code, 0]).await;
    }

    /// PUBACK, PUBREC, PUBREL or PUBCOMP by their first byte.
    pub async fn ack(&mut self, first: u8, id: u16) {
        self.packet(first, &id.to_be_bytes()).await;
    }

    pub async fn send(&mut self, qos: u8, id: u16, topic: &str, properties: &[Property], payload: &[u8]) {
        let mut body = Vec::new();
        text(topic, &mut body);
        if qos > 0 {
            body.extend(id.to_be_bytes());
        }
        if self.level == 5 {
            body.extend(encode(properties));
        }
        body.extend_from_slice(payload);
        self.packet(0x30 | qos << 1, &body).await;
    }
}

fn encode(properties: &[Property]) -> Vec<u8> {
    let mut body = Vec::new();
    for property in properties {
        match property {
            Property::Byte(id, value) => body.extend([*id, *value]),
            Property::Two(id, value) => {
                body.push(*id);
                body.extend(value.to_be_bytes());
            }
            Property::Four(id, value) => {
                body.push(*id);
                body.extend(value.to_be_bytes());
            }
            Property::Text(id, value) => {
                body.push(*id);
                text(value, &mut body);
            }
            Property::Pair(name, value) => {
                body.push(38);
                text(name, &mut body);
                text(value, &mut body);
            }
        }
    }
    let mut bytes = Vec::new();
    length(body.len(), &mut bytes);
    bytes.extend(body);
    bytes
}

fn text(text: &str, bytes: &mut Vec<u8>) {
    bytes.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn length(mut length: usize, bytes: &mut Vec<u8>) {
    loop {
        let more = if length > 127 { 0x80 } else { 0 };
        bytes.push(u8::try_from(length & 0x7f).unwrap() | more);
        length >>= 7;
        if length == 0 {
            return;
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> u8 {
        let byte = self.0[0];
        self.0 = &self.0[1..];
        byte
    }

    fn two(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn four(&mut self) -> u32 {
        u32::from(self.two()) << 16 | u32::from(self.two())
    }

    fn text(&mut self) -> String {
        let length = usize::from(self.two());
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        String::from_utf8(text.to_vec()).unwrap()
    }

    fn properties(&mut self, level: u8) -> Vec<Property> {
        if level != 5 {
            return Vec::new();
        }
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let byte = self.byte();
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let (own, rest) = self.0.split_at(length);
        self.0 = rest;
        let mut own = Reader(own);
        let mut properties = Vec::new();
        while !own.0.is_empty() {
            let id = own.byte();
            properties.push(match id {
                1 | 23 | 25 | 36 | 37 | 40..=42 => Property::Byte(id, own.byte()),
                19 | 33..=35 => Property::Two(id, own.two()),
                2 | 17 | 24 | 39 => Property::Four(id, own.four()),
                38 => Property::Pair(own.text(), own.text()),
                _ => Property::Text(id, own.text()),
            });
        }
        properties
    }
}

/// Ids of the properties the tests name.
pub mod id {
    pub const CONTENT_TYPE: u8 = 3;
    pub const RESPONSE_TOPIC: u8 = 8;
    pub const SESSION_EXPIRY: u8 = 17;
    pub const ASSIGNED_CLIENT_ID: u8 = 18;
    pub const SERVER_KEEP_ALIVE: u8 = 19;
    pub const REQUEST_RESPONSE_INFO: u8 = 25;
    pub const RESPONSE_INFO: u8 = 26;
    pub const REASON: u8 = 31;
    pub const RECEIVE_MAX: u8 = 33;
    pub const MAX_QOS: u8 = 36;
    pub const RETAIN_AVAILABLE: u8 = 37;
    pub const MAX_PACKET: u8 = 39;
}
