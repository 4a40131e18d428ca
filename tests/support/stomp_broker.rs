//! A STOMP 1.2 server of our own over TCP or TLS. Scripted: a test reads what the agent sends, frame by frame, and
//! answers as it likes. Or routing, as a real one does: what is sent to a destination goes to whoever subscribed to it,
//! and everything that came is kept with its time. Its encoder and decoder are its own, so that they check the agent's.
#![allow(dead_code, unreachable_pub)]

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

const PATIENCE: Duration = Duration::from_secs(5);

/// A frame as it came, or is to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    pub command: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Frame {
    pub fn new(command: &str, headers: &[(&str, &str)], body: &[u8]) -> Frame {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Frame { command: command.to_owned(), headers, body: body.to_vec() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    pub fn encoded(&self) -> Vec<u8> {
        let mut bytes = format!("{}\n", self.command);
        for (name, value) in &self.headers {
            let value = if self.command == "CONNECTED" { value.clone() } else { escaped(value) };
            bytes += &format!("{name}:{value}\n");
        }
        let mut bytes = (bytes + "\n").into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes.push(0);
        bytes
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\r', "\\r").replace('\n', "\\n").replace(':', "\\c")
}

fn unescaped(value: &str) -> String {
    let mut text = String::new();
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        text.push(match letter {
            '\\' => match letters.next() {
                Some('c') => ':',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('\\') => '\\',
                other => panic!("escape \\{other:?} in {value}"),
            },
            ':' => panic!("a colon that is not escaped in {value}"),
            other => other,
        });
    }
    text
}

pub trait Both: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Both for S {}

/// What is read from the agent.
#[derive(Debug, Clone)]
pub enum Read {
    Frame(Frame),
    Beat,
    End,
}

pub struct Reader {
    half: ReadHalf<Box<dyn Both>>,
    buffer: Vec<u8>,
}

impl Reader {
    async fn more(&mut self) -> bool {
        self.half.read_buf(&mut self.buffer).await.is_ok_and(|read| read > 0)
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=at).collect();
                return Some(String::from_utf8(line[..at].to_vec()).unwrap());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// The next frame, heart-beat, or end of the connection.
    pub async fn next(&mut self) -> Read {
        self.read().await.unwrap_or(Read::End)
    }

    async fn read(&mut self) -> Option<Read> {
        let command = self.line().await?;
        if command.is_empty() {
            return Some(Read::Beat);
        }
        let mut frame = Frame { command, ..Frame::default() };
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').expect("a header without colon");
            frame.headers.push((unescaped(name), unescaped(value)));
        }
        let length = frame.header("content-length").map(|length| length.parse::<usize>().unwrap());
        loop {
            let end = match length {
                Some(length) => (self.buffer.len() > length).then_some(length),
                None => self.buffer.iter().position(|byte| *byte == 0),
            };
            if let Some(end) = end {
                frame.body = self.buffer.drain(..end).collect();
                assert_eq!(self.buffer.remove(0), 0, "the body is longer than its content-length");
                return Some(Read::Frame(frame));
            }
            if !self.more().await {
                return None;
            }
        }
    }
}

/// A connection of the agent in the hands of a test.
pub struct Connection {
    pub reader: Reader,
    pub writer: WriteHalf<Box<dyn Both>>,
}

impl Connection {
    pub fn new(stream: Box<dyn Both>) -> Connection {
        let (half, writer) = split(stream);
        Connection { reader: Reader { half, buffer: Vec::new() }, writer }
    }

    pub async fn next(&mut self) -> Read {
        timeout(PATIENCE, self.reader.next()).await.expect("the agent sends nothing")
    }

    /// The next frame, which must be this one; heart-beats are passed over.
    pub async fn frame(&mut self, command: &str) -> Frame {
        loop {
            match self.next().await {
                Read::Frame(frame) => {
                    assert_eq!(frame.command, command, "{frame:?}");
                    return frame;
                }
                Read::Beat => {}
                Read::End => panic!("the agent closed the connection where {command} was expected"),
            }
        }
    }

    pub async fn ended(&mut self) {
        loop {
            match self.next().await {
                Read::End => return,
                Read::Beat => {}
                Read::Frame(frame) => panic!("a frame where the connection should end: {frame:?}"),
            }
        }
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).await.unwrap();
    }

    pub async fn send(&mut self, command: &str, headers: &[(&str, &str)], body: &[u8]) {
        self.write(&Frame::new(command, headers, body).encoded()).await;
    }

    /// A MESSAGE with a record.
    pub async fn message(&mut self, headers: &[(&str, &str)], body: &[u8]) {
        let length = body.len().to_string();
        let mut all =
            vec![("subscription", "1"), ("message-id", "m"), ("destination", "d"), ("content-length", &length)];
        all.extend_from_slice(headers);
        self.send("MESSAGE", &all, body).await;
    }

    /// Answers the RECEIPT a frame asks for.
    pub async fn receipt(&mut self, frame: &Frame) {
        if let Some(receipt) = frame.header("receipt") {
            self.send("RECEIPT", &[("receipt-id", receipt)], b"").await;
        }
    }
}

/// A server in the hands of a test.
pub struct Broker {
    pub listener: TcpListener,
    pub port: u16,
}

impl Broker {
    pub async fn new() -> Broker {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Broker { listener, port }
    }

    pub async fn accept(&self) -> Connection {
        self.accept_within(PATIENCE).await
    }

    pub async fn accept_within(&self, patience: Duration) -> Connection {
        let (tcp, _) = timeout(patience, self.listener.accept()).await.expect("nobody connects").unwrap();
        tcp.set_nodelay(true).unwrap();
        Connection::new(Box::new(tcp))
    }

    /// Accepts, answers STOMP with CONNECTED of version 1.2 and these headers, and SUBSCRIBE with RECEIPT.
    pub async fn subscribed(&self, connected: &[(&str, &str)]) -> (Connection, Frame, Frame) {
        let mut connection = self.accept().await;
        let stomp = connection.frame("STOMP").await;
        let mut headers = vec![("version", "1.2")];
        headers.extend_from_slice(connected);
        connection.send("CONNECTED", &headers, b"").await;
        let subscribe = connection.frame("SUBSCRIBE").await;
        connection.receipt(&subscribe).await;
        (connection, stomp, subscribe)
    }
}

/// What a routing server saw of one client.
#[derive(Debug, Clone)]
pub struct Seen {
    pub at: Instant,
    /// Counts up with every connection.
    pub client: u32,
    /// The `endpoint-id` of its STOMP frame.
    pub endpoint_id: String,
    pub what: Read,
}

#[derive(Default)]
struct State {
    /// `subscribe-dest` for a client by its endpoint id.
    named: HashMap<String, String>,
    heart_beat: String,
    closed: bool,
    seen: Vec<Seen>,
    clients: HashMap<u32, UnboundedSender<Vec<u8>>>,
    /// Client, subscription id, destination.
    subscriptions: Vec<(u32, String, String)>,
    messages: u32,
}

/// A server that routes.
#[derive(Clone)]
pub struct Server {
    pub port: u16,
    state: Arc<Mutex<State>>,
    _running: Arc<Running>,
}

struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Server {
    /// Serves on a port of its own.
    pub fn start(tls: Option<TlsAcceptor>) -> Server {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State { heart_beat: "0,0".into(), ..State::default() }));
        let task = tokio::spawn(serve(listener, tls, state.clone()));
        Server { port, state, _running: Arc::new(Running(task)) }
    }

    /// Names a client's destination from its next connection on; None: no longer.
    pub fn name_destination(&self, endpoint_id: &str, destination: Option<&str>) {
        let named = &mut self.state.lock().unwrap().named;
        match destination {
            Some(destination) => named.insert(endpoint_id.into(), destination.into()),
            None => named.remove(endpoint_id),
        };
    }

    /// What CONNECTED says of heart-beats; the server itself sends none.
    pub fn heart_beat(&self, value: &str) {
        self.state.lock().unwrap().heart_beat = value.into();
    }

    /// Drops every connection of this endpoint and takes none while `closed`.
    pub fn close(&self, closed: bool) {
        let mut state = self.state.lock().unwrap();
        state.closed = closed;
        if closed {
            state.clients.clear();
        }
    }

    /// Everything this endpoint sent so far.
    pub fn seen(&self, endpoint_id: &str) -> Vec<Seen> {
        let state = self.state.lock().unwrap();
        state.seen.iter().filter(|seen| seen.endpoint_id == endpoint_id).cloned().collect()
    }

    /// Times at which somebody connected while the server was closed; an endpoint that is refused has no id.
    pub fn refused(&self) -> Vec<Instant> {
        self.seen("").into_iter().map(|seen| seen.at).collect()
    }
}

/// TLS by the PEM files of a certificate and its key, without certificates of clients.
pub fn acceptor(certificate: &Path, key: &Path) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(certificate).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap()).into()
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<Mutex<State>>) {
    let mut client = 0;
    loop {
        let Ok((tcp, _)) = listener.accept().await else { continue };
        client += 1;
        let (tls, state) = (tls.clone(), state.clone());
        if state.lock().unwrap().closed {
            note(&state, client, "", Read::End);
            continue;
        }
        tokio::spawn(async move {
            if let Some(stream) = secured(tcp, tls).await {
                attend(client, stream, &state).await;
                let mut state = state.lock().unwrap();
                state.clients.remove(&client);
                state.subscriptions.retain(|(of, ..)| *of != client);
            }
        });
    }
}

async fn secured(tcp: TcpStream, tls: Option<TlsAcceptor>) -> Option<Box<dyn Both>> {
    tcp.set_nodelay(true).ok()?;
    match tls {
        Some(tls) => Some(Box::new(tls.accept(tcp).await.ok()?)),
        None => Some(Box::new(tcp)),
    }
}

fn note(state: &Mutex<State>, client: u32, endpoint_id: &str, what: Read) {
    let seen = Seen { at: Instant::now(), client, endpoint_id: endpoint_id.into(), what };
    state.lock().unwrap().seen.push(seen);
}

async fn attend(client: u32, stream: Box<dyn Both>, state: &Mutex<State>) {
    let Connection { mut reader, mut writer } = Connection::new(stream);
    let (sender, mut outgoing) = unbounded_channel::<Vec<u8>>();
    state.lock().unwrap().clients.insert(client, sender);
    let mut endpoint_id = String::new();
    loop {
        tokio::select! {
            bytes = outgoing.recv() => match bytes {
                Some(bytes) => if writer.write_all(&bytes).await.is_err() { break },
                None => break,
            },
            read = reader.next() => {
                if let Read::Frame(frame) = &read {
                    if frame.command == "STOMP" {
                        endpoint_id = frame.header("endpoint-id").unwrap_or_default().to_owned();
                    }
                    answer(client, &endpoint_id, frame, &mut state.lock().unwrap());
                }
                let ended = matches!(read, Read::End);
                note(state, client, &endpoint_id, read);
                if ended {
                    break;
                }
            }
        }
    }
}

/// Does what a frame asks for.
fn answer(client: u32, endpoint_id: &str, frame: &Frame, state: &mut State) {
    let header = |name: &str| frame.header(name).unwrap_or_default().to_owned();
    let tell = |state: &State, client: u32, frame: Frame| {
        if let Some(to) = state.clients.get(&client) {
            let _ = to.send(frame.encoded());
        }
    };
    match &*frame.command {
        "STOMP" => {
            let heart_beat = state.heart_beat.clone();
            let mut connected = Frame::new("CONNECTED", &[("version", "1.2"), ("heart-beat", &heart_beat)], b"");
            if let Some(named) = state.named.get(endpoint_id) {
                connected.headers.push(("subscribe-dest".into(), named.clone()));
            }
            tell(state, client, connected);
        }
        "SUBSCRIBE" => state.subscriptions.push((client, header("id"), header("destination"))),
        "UNSUBSCRIBE" => state.subscriptions.retain(|(of, id, _)| (*of, id) != (client, &header("id"))),
        "SEND" => {
            let destination = header("destination");
            let to: Vec<_> = state.subscriptions.iter().filter(|(.., known)| *known == destination).cloned().collect();
            for (subscriber, subscription, _) in to {
                state.messages += 1;
                let mut message = Frame { command: "MESSAGE".into(), ..frame.clone() };
                message.headers.push(("subscription".into(), subscription));
                message.headers.push(("message-id".into(), state.messages.to_string()));
                tell(state, subscriber, message);
            }
        }
        "DISCONNECT" => {}
        other => panic!("the agent must not send {other}"),
    }
    if let Some(receipt) = frame.header("receipt") {
        tell(state, client, Frame::new("RECEIPT", &[("receipt-id", receipt)], b""));
    }
}
