//! A WebSocket peer over raw bytes: a test sees the handshake and every frame, and sends what it likes. Its handshake and
//! frames are its own, so that they check those of the agent.
#![allow(dead_code, unreachable_pub)]

use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);
/// What a client's key is answered with (RFC 6455, 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

pub mod opcode {
    pub const CONTINUATION: u8 = 0;
    pub const TEXT: u8 = 1;
    pub const BINARY: u8 = 2;
    pub const CLOSE: u8 = 8;
    pub const PING: u8 = 9;
    pub const PONG: u8 = 10;
}

/// TCP or TLS.
pub trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// The head of an HTTP message.
#[derive(Debug, Clone, Default)]
pub struct Head {
    pub line: String,
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The value of a header; its name counts whatever its case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    async fn read(io: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(io.read_u8().await.ok()?);
            assert!(bytes.len() < 16 * 1024, "an endless head");
        }
        let text = String::from_utf8(bytes).expect("a head of UTF-8");
        let mut lines = text.trim_end().split("\r\n");
        let line = lines.next()?.to_owned();
        let header = |line: &str| line.split_once(':').map(|(n, v)| (n.trim().to_owned(), v.trim().to_owned()));
        Some(Self { line, headers: lines.filter_map(header).collect() })
    }
}

/// A connection that has asked for a WebSocket.
pub struct Asked {
    pub request: Head,
    io: Box<dyn Io>,
}

impl Asked {
    pub async fn read(io: impl Io + 'static) -> Asked {
        let mut io: Box<dyn Io> = Box::new(io);
        let request = timeout(PATIENCE, Head::read(&mut io)).await.expect("no request").expect("a whole request");
        Asked { request, io }
    }

    /// 101, with these headers beside the necessary ones.
    pub async fn switch(mut self, headers: &[(&str, &str)]) -> Socket {
        let key = self.request.get("Sec-WebSocket-Key").expect("a key").to_owned();
        let mut text = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n",
            accept_of(&key)
        );
        headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
        self.io.write_all(format!("{text}\r\n").as_bytes()).await.expect("the answer is taken");
        Socket { io: self.io, is_client: false, records: 0 }
    }

    /// As a USP controller answers.
    pub async fn accept(self) -> Socket {
        self.switch(&[("Sec-WebSocket-Protocol", "v1.usp")]).await
    }

    /// 503.
    pub async fn refuse(mut self) {
        let _ = self.io.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
    }
}

/// Asks for a WebSocket; None where the peer ends the connection without an answer.
pub async fn ask(io: impl Io + 'static, path: &str, headers: &[(&str, &str)]) -> Option<(Head, Socket)> {
    let mut io: Box<dyn Io> = Box::new(io);
    let key = base64(b"the sample nonce");
    let mut text = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
    );
    headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
    io.write_all(format!("{text}\r\n").as_bytes()).await.ok()?;
    let head = timeout(PATIENCE, Head::read(&mut io)).await.expect("no answer to the handshake")?;
    if head.line.split(' ').nth(1) == Some("101") {
        assert_eq!(head.get("Sec-WebSocket-Accept"), Some(&*accept_of(&key)), "{head:?}");
    }
    Some((head, Socket { io, is_client: true, records: 0 }))
}

/// An open WebSocket.
pub struct Socket {
    io: Box<dyn Io>,
    is_client: bool,
    /// Binary messages received.
    pub records: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub fin: bool,
    pub opcode: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The status code of a close frame.
    pub fn code(&self) -> Option<u16> {
        Some(u16::from_be_bytes([*self.payload.first()?, *self.payload.get(1)?]))
    }
}

impl Socket {
    pub async fn send(&mut self, fin: bool, opcode: u8, payload: &[u8]) {
        let mut bytes = vec![u8::from(fin) << 7 | opcode];
        let mask = if self.is_client { 0x80 } else { 0 };
        match payload.len() {
            short @ ..=125 => bytes.push(mask | u8::try_from(short).unwrap()),
            middle @ ..=0xffff => {
                bytes.push(mask | 126);
                bytes.extend(u16::try_from(middle).unwrap().to_be_bytes());
            }
            long => {
                bytes.push(mask | 127);
                bytes.extend(u64::try_from(long).unwrap().to_be_bytes());
            }
        }
        if self.is_client {
            let key = [0x37, 0xfa, 0x21, 0x3d];
            bytes.extend(key);
            bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        } else {
            bytes.extend_from_slice(payload);
        }
        let _ = self.io.write_all(&bytes).await;
        let _ = self.io.flush().await;
    }

    pub async fn send_record(&mut self, record: &[u8]) {
        self.send(true, opcode::BINARY, record).await;
    }

    /// Bytes that need not be a frame.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        let _ = self.io.write_all(bytes).await;
    }

    /// The next frame of any kind; None where the connection ended.
    pub async fn frame(&mut self, within: Duration) -> Option<Frame> {
        timeout(within, self.read_frame()).await.expect("no frame in time")
    }

    async fn read_frame(&mut self) -> Option<Frame> {
        let first = self.io.read_u8().await.ok()?;
        let second = self.io.read_u8().await.ok()?;
        assert_eq!(first & 0x70, 0, "reserved bits without an extension");
        // RFC 6455, 5.1: a client masks, a server never does.
        assert_eq!(second & 0x80 != 0, !self.is_client, "masking");
        let length = match second & 0x7f {
            126 => usize::from(self.io.read_u16().await.ok()?),
            127 => usize::try_from(self.io.read_u64().await.ok()?).unwrap(),
            short => usize::from(short),
        };
        let mut key = [0; 4];
        if !self.is_client {
            self.io.read_exact(&mut key).await.ok()?;
        }
        let mut payload = vec![0; length];
        self.io.read_exact(&mut payload).await.ok()?;
        payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        Some(Frame { fin: first & 0x80 != 0, opcode: first & 0x0f, payload })
    }

    /// The next record; pings are answered, and a record in pieces or in a text frame fails the test.
    pub async fn record(&mut self, within: Duration) -> Option<Vec<u8>> {
        let read = async {
            loop {
                let frame = self.read_frame().await?;
                match frame.opcode {
                    opcode::PING => self.send(true, opcode::PONG, &frame.payload).await,
                    opcode::PONG => {}
                    opcode::CLOSE => return None,
                    kind => {
                        assert!(kind == opcode::BINARY && frame.fin, "R-WS.14, R-WS.14a: {frame:?}");
                        self.records += 1;
                        return Some(frame.payload);
                    }
                }
            }
        };
        timeout(within, read).await.expect("no record in time")
    }

    /// The close frame, after whatever comes before it.
    pub async fn close_frame(&mut self, within: Duration) -> Frame {
        let read = async {
            loop {
                let frame = self.read_frame().await.expect("the connection ends without a Close frame");
                if frame.opcode == opcode::CLOSE {
                    return frame;
                }
            }
        };
        timeout(within, read).await.expect("no Close frame in time")
    }

    /// Whether the peer ends the TCP connection, whatever it says before.
    pub async fn ends(&mut self, within: Duration) -> bool {
        timeout(within, async { while self.read_frame().await.is_some() {} }).await.is_ok()
    }
}

fn accept_of(key: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    base64(digest.as_ref())
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        let letter = |at: usize| match at <= chunk.len() {
            true => char::from(LETTERS[(bits >> (18 - 6 * at) & 63) as usize]),
            false => '=',
        };
        (0..4).map(letter).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}
