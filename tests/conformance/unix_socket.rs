//! TR-369, UNIX Domain Socket Binding, frame by frame: a case for every requirement that binds an agent, as client and
//! as server. R-UDS.23a and 23b are of TLS, which is optional and not there.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, sleep, timeout};
use usp_agent::usp::wire::record::record::RecordType;

use crate::bench::Bench;
use crate::cases::{Case, case};
use crate::eut::Scene;
use crate::place::{Transport, UNIX_SOCKET};
use crate::tester::PATIENCE;
use crate::wire::{Ids, Wire, get, value_of, values};

const CLIENT: &[Transport] = &[Transport::UnixSocketClient];
const SERVER: &[Transport] = &[Transport::UnixSocketServer];

#[rustfmt::skip]
pub const CASES: &[Case] = &[
    case!("R-UDS.1", "The sockets are in the data model, and the MTPs refer to them", data_model, on: UNIX_SOCKET),
    case!("R-UDS.2", "The agent as server listens at its socket", wire listens, on: SERVER),
    case!("R-UDS.3", "The agent as server takes more than one connection", wire takes_connections, on: SERVER),
    case!("R-UDS.4", "The agent as client connects to a stream socket", wire connects, on: CLIENT),
    case!("R-UDS.5", "A closed connection comes back within 1 to 5 seconds", wire comes_back, on: CLIENT, waits: true),
    case!("R-UDS.5/refused", "A connection that fails is tried again within 1 to 5 seconds", wire tries_again, on: CLIENT, waits: true),
    case!("R-UDS.6", "Frames have a header and at least one field", wire header_and_fields, on: UNIX_SOCKET),
    case!("R-UDS.6/empty", "A frame without a field is none", wire empty_frame, on: UNIX_SOCKET),
    case!("R-UDS.7", "The header is synchronization and length", wire header, on: UNIX_SOCKET),
    case!("R-UDS.8", "The synchronization is _USP", wire synchronization, on: UNIX_SOCKET),
    case!("R-UDS.9", "The header's length is that of the rest, in network byte order", wire length, on: UNIX_SOCKET),
    case!("R-UDS.10", "The type of a field is one byte", wire field_type, on: UNIX_SOCKET),
    case!("R-UDS.11", "The length of a field is four bytes, in network byte order", wire field_length, on: UNIX_SOCKET),
    case!("R-UDS.12", "A handshake is of type 1", wire handshake_type, on: UNIX_SOCKET),
    case!("R-UDS.13", "An error is of type 2", wire error_type, on: UNIX_SOCKET),
    case!("R-UDS.14", "A record is of type 3", wire record_type, on: UNIX_SOCKET),
    case!("R-UDS.15", "Fields of unknown types are ignored", wire unknown_fields, on: UNIX_SOCKET),
    case!("R-UDS.16", "The client begins with a handshake that holds its endpoint id", wire client_handshake, on: CLIENT),
    case!("R-UDS.17", "The server answers the client's handshake with its own", wire server_handshake, on: SERVER),
    case!("R-UDS.18", "Without an answer to its handshake the client leaves after 30 seconds", wire no_handshake, on: CLIENT, waits: true),
    case!("R-UDS.19", "A handshake that is not expected is ignored", wire second_handshake, on: UNIX_SOCKET),
    case!("R-UDS.20", "Records before the handshake are ignored", wire early_records, on: UNIX_SOCKET),
    case!("R-UDS.21", "A handshake that cannot be processed is answered with an error", wire broken_handshake, on: UNIX_SOCKET, waits: true),
    case!("R-UDS.22", "Records travel in fields of type 3, each a whole protocol buffer", wire records, on: UNIX_SOCKET),
    case!("R-UDS.23", "A record that cannot be extracted is answered with an error, and the connection ends", wire broken_record, on: UNIX_SOCKET, waits: true),
    case!("R-UDS.24", "A frame that cannot be parsed is answered with an error, and the connection ends", wire broken_frames, on: UNIX_SOCKET, waits: true),
    case!("R-UDS.25", "An error ends the connection", wire error_ends, on: UNIX_SOCKET, waits: true),
    case!("R-MTP.6/uds", "A UDSConnect record is the first on every new connection", wire connect_record, on: UNIX_SOCKET, waits: true),
    case!("R-MTP.7/uds", "A Disconnect record takes leave before the agent goes", wire disconnect_record, on: UNIX_SOCKET),
];

const HANDSHAKE: u8 = 1;
const ERROR: u8 = 2;
const RECORD: u8 = 3;
const DEVICE_INFO: &str = "Device.DeviceInfo.";
const SOON: Duration = Duration::from_secs(10);
/// What the connection must not show is looked for this long.
const A_WHILE: Duration = Duration::from_millis(300);

/// One field of a frame.
fn field(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).expect("a short value").to_be_bytes();
    [&[kind][..], &length, value].concat()
}

fn frame(fields: &[Vec<u8>]) -> Vec<u8> {
    let body = fields.concat();
    let length = u32::try_from(body.len()).expect("a short frame").to_be_bytes();
    [&b"_USP"[..], &length, &body].concat()
}

/// The controller's end of a connection.
struct Peer {
    stream: UnixStream,
}

/// A frame as it came.
#[derive(Debug)]
struct Frame {
    header: [u8; 8],
    body: Vec<u8>,
}

impl Frame {
    fn number(bytes: &[u8]) -> usize {
        let bytes: [u8; 4] = bytes.try_into().expect("four bytes");
        u32::from_be_bytes(bytes) as usize
    }

    /// Type and value of each field; the case fails where they do not fill the frame.
    fn fields(&self) -> Vec<(u8, Vec<u8>)> {
        let mut fields = Vec::new();
        let mut rest = &self.body[..];
        while let [kind, more @ ..] = rest {
            let length = Self::number(&more[..4]);
            fields.push((*kind, more[4..4 + length].to_vec()));
            rest = &more[4 + length..];
        }
        fields
    }
}

impl Peer {
    async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the EUT takes it");
    }

    async fn say(&mut self, kind: u8, value: &[u8]) {
        self.write(&frame(&[field(kind, value)])).await;
    }

    /// The next frame; None where the connection ends.
    async fn frame(&mut self, within: Duration) -> Option<Frame> {
        let read = async {
            let mut header = [0; 8];
            self.stream.read_exact(&mut header).await.ok()?;
            assert_eq!(&header[..4], b"_USP", "R-UDS.8");
            let mut body = vec![0; Frame::number(&header[4..])];
            self.stream.read_exact(&mut body).await.expect("R-UDS.9: the whole frame");
            Some(Frame { header, body })
        };
        timeout(within, read).await.expect("no frame in time")
    }

    /// The next field, of this type.
    async fn expect(&mut self, kind: u8) -> Vec<u8> {
        let frame = self.frame(SOON).await.expect("the connection ends");
        let [(heard, value)] = &frame.fields()[..] else { panic!("not one field: {frame:?}") };
        assert_eq!(*heard, kind, "{:?}", String::from_utf8_lossy(value));
        value.clone()
    }

    /// An error, whatever records come before it, and then the end of the connection.
    async fn expect_error_and_end(&mut self) -> String {
        loop {
            let frame = self.frame(SOON).await.expect("the connection ends without an error");
            let fields = frame.fields();
            if let Some((_, text)) = fields.iter().find(|(kind, _)| *kind == ERROR) {
                assert!(self.ends(SOON).await, "the connection stays open after the error");
                return String::from_utf8(text.clone()).expect("an error in UTF-8");
            }
        }
    }

    /// Whether the EUT ends the connection, whatever it says before.
    async fn ends(&mut self, within: Duration) -> bool {
        let mut rest = Vec::new();
        timeout(within, self.stream.read_to_end(&mut rest)).await.is_ok()
    }

    async fn is_silent(&mut self) {
        let read = timeout(A_WHILE, self.stream.read_u8()).await;
        assert!(read.is_err(), "the EUT says something, or ends the connection: {read:?}");
    }
}

impl Wire for Peer {
    async fn send(&mut self, record: Bytes) {
        self.say(RECORD, &record).await;
    }

    async fn receive(&mut self, within: Duration) -> Option<Bytes> {
        let frame = self.frame(within).await?;
        let [(RECORD, value)] = &frame.fields()[..] else { panic!("not one record: {frame:?}") };
        Some(Bytes::from(value.clone()))
    }
}

/// The controller's end: a server the agent comes to, or a client of the agent's server.
struct Lane {
    path: PathBuf,
    listener: Option<UnixListener>,
    ids: Ids,
}

impl Lane {
    /// Tells the agent of the controller; nobody listens and the agent is not started.
    fn told(scene: &mut Scene) -> Lane {
        let (path, is_server) = (scene.eut.socket("wire"), scene.transport == Transport::UnixSocketServer);
        let place = path.to_str().expect("a path of UTF-8");
        scene.controller();
        let told = &mut scene.told;
        let mode = if is_server { "Listen" } else { "Connect" };
        told.section("unix_socket", "wire", &[("Mode", mode), ("Path", place)]);
        told.section("mtp", "own", &[("Protocol", "UDS"), ("unix_socket", "wire")]);
        told.section("controller_mtp", "way", &[("controller", "first"), ("Protocol", "UDS"), ("unix_socket", "wire")]);
        told.fact("first", "SOCKET", place);
        Lane { listener: None, ids: Ids::of(scene), path }
    }

    fn listen(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        self.listener = Some(UnixListener::bind(&self.path).expect("a socket"));
    }

    /// An agent that runs, and what it connects to.
    async fn new(scene: &mut Scene) -> Lane {
        let mut lane = Self::told(scene);
        if scene.transport == Transport::UnixSocketClient {
            lane.listen();
        }
        scene.power_on().await;
        lane
    }

    /// A connection, before anything was said on it.
    async fn connection(&self) -> Peer {
        if let Some(listener) = &self.listener {
            let accepted = timeout(PATIENCE, listener.accept()).await.expect("the EUT does not connect");
            return Peer { stream: accepted.expect("a connection").0 };
        }
        let until = Instant::now() + PATIENCE;
        loop {
            match UnixStream::connect(&self.path).await {
                Ok(stream) => return Peer { stream },
                Err(error) => assert!(Instant::now() < until, "the EUT does not listen: {error}"),
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn is_client(&self) -> bool {
        self.listener.is_some()
    }

    /// Handshakes with this id of the controller, whoever begins.
    async fn greet(&self, peer: &mut Peer, own: &[u8]) {
        if self.is_client() {
            assert_eq!(peer.expect(HANDSHAKE).await, self.ids.agent.as_bytes());
        }
        peer.say(HANDSHAKE, own).await;
    }

    /// A connection with both handshakes through.
    async fn open(&self) -> Peer {
        let mut peer = self.connection().await;
        self.greet(&mut peer, self.ids.own.as_bytes()).await;
        if !self.is_client() {
            assert_eq!(peer.expect(HANDSHAKE).await, self.ids.agent.as_bytes());
        }
        peer
    }

    /// The EUT answers a Get.
    async fn works(&self, peer: &mut Peer) {
        self.ids.gets(peer, DEVICE_INFO).await;
    }
}

async fn data_model(t: &mut Bench) {
    let mut get_one = async |path: &str| {
        let response = t.ask(get(path)).await.expect("a GetResp");
        values(response, path)
    };
    let sockets = get_one("Device.UnixDomainSockets.").await;
    let mode = value_of(&sockets, "UnixDomainSocket.1.Mode").to_owned();
    assert!(mode == "Listen" || mode == "Connect", "{mode}");
    assert!(value_of(&sockets, "UnixDomainSocket.1.Path").starts_with('/'));
    let protocols = get_one("Device.LocalAgent.SupportedProtocols").await;
    assert!(protocols[0].1.split(',').any(|protocol| protocol == "UDS"), "{protocols:?}");
    let own = get_one("Device.LocalAgent.MTP.[Protocol==\"UDS\"].").await;
    assert_eq!(value_of(&own, ".Status"), "Up");
    assert_eq!(value_of(&own, ".UDS.UnixDomainSocketRef"), "Device.UnixDomainSockets.UnixDomainSocket.1");
    if mode == "Connect" {
        let ways = get_one("Device.LocalAgent.Controller.*.MTP.[Protocol==\"UDS\"].").await;
        assert_eq!(value_of(&ways, ".UDS.UnixDomainSocketRef"), "Device.UnixDomainSockets.UnixDomainSocket.1");
    }
}

async fn listens(scene: &mut Scene) {
    let lane = Lane::new(scene).await;
    lane.works(&mut lane.open().await).await;
}

async fn takes_connections(scene: &mut Scene) {
    let lane = Lane::new(scene).await;
    let mut first = lane.open().await;
    let mut idle = Vec::new();
    for _ in 0..5 {
        idle.push(lane.connection().await);
    }
    lane.works(&mut first).await;
    drop(first);
    lane.works(&mut lane.open().await).await;
}

async fn connects(scene: &mut Scene) {
    let lane = Lane::new(scene).await;
    lane.works(&mut lane.open().await).await;
}

/// A loaded machine is late, never early.
fn in_range(waited: Duration) {
    let seconds = waited.as_secs_f64();
    assert!((0.95..6.0).contains(&seconds), "R-UDS.5: after {seconds:.2} s");
}

async fn comes_back(scene: &mut Scene) {
    let lane = Lane::new(scene).await;
    for _ in 0..3 {
        let mut peer = lane.open().await;
        lane.works(&mut peer).await;
        drop(peer);
        let lost = Instant::now();
        let again = lane.connection().await;
        in_range(lost.elapsed());
        drop(again);
    }
    lane.works(&mut lane.open().await).await;
}

/// Nobody is there while the agent starts; a listener that comes is found in time, and the next wait is no longer.
async fn tries_again(scene: &mut Scene) {
    let mut lane = Lane::told(scene);
    scene.power_on().await;
    sleep(Duration::from_secs(6)).await;
    for _ in 0..2 {
        lane.listen();
        let there = Instant::now();
        let mut peer = lane.open().await;
        assert!(there.elapsed().as_secs_f64() < 6.0, "R-UDS.5: after {:?}", there.elapsed());
        lane.works(&mut peer).await;
        lane.listener = None;
        std::fs::remove_file(&lane.path).expect("the socket was there");
        drop(peer);
        sleep(Duration::from_secs(6)).await;
    }
}

/// The first three frames of the agent: its handshake, its Connect record, and an answer.
async fn three_frames(scene: &mut Scene) -> Vec<Frame> {
    let lane = Lane::new(scene).await;
    let mut peer = lane.connection().await;
    let mut frames = Vec::new();
    if !lane.is_client() {
        peer.say(HANDSHAKE, lane.ids.own.as_bytes()).await;
    }
    frames.extend(peer.frame(SOON).await);
    if lane.is_client() {
        peer.say(HANDSHAKE, lane.ids.own.as_bytes()).await;
    }
    frames.extend(peer.frame(SOON).await);
    let (_, record) = lane.ids.request(get(DEVICE_INFO));
    peer.send(record).await;
    frames.extend(peer.frame(SOON).await);
    assert_eq!(frames.len(), 3, "the connection ends");
    frames
}

async fn header_and_fields(scene: &mut Scene) {
    for frame in three_frames(scene).await {
        assert!(!frame.fields().is_empty(), "{frame:?}");
    }
}

async fn empty_frame(scene: &mut Scene) {
    let lane = Lane::new(scene).await;
    let mut peer = lane.open().await;
    peer.write(&frame(&[])).await;
    peer.expect_error_and_end().await;
}

async fn header(scene: &mut Scene) {
    for frame in three_frames(scene).await {
        assert_eq!((&frame.header[..4], Frame::number(&frame.header[4..])), (&b"_USP"[..], frame.body.len()));
    }
}

async fn synchronization(scene: &mut Scene) {
    let frames = three_frames(scene).await;
    assert!(frames.iter().all(|frame| frame.header[..4] == [0x5f, 0x55, 0x53, 0x50]), "{frames:?}");
}

async fn length(scene: &mut Scene) {
    let frames = three_frames(scene).await;
    let agent = scene.agent_id.len();
    assert_eq!(frames[0].header[4..], u32::try_from(agent + 5).expect("short").to_be_bytes());
    assert!(frames[2].body.len() > 255, "an answer long enough to show the order of bytes");
}

async fn field_type(scene: &mut Scene) {
    let kinds: Vec<u8> = three_frames(scene).await.iter().map(|frame| frame.body[0]).collect();
    assert_eq!(kinds, [HANDSHAKE, RECORD, RECORD]);
}

async fn field_length(scene: &mut Scene) {
    for frame in three_frames(scene).await {
        assert_eq!(Frame::number(&frame.body[1..5]), frame.body.len() - 5, "one field fills the frame");
    }
}

async fn handshake_type(scene: &mut Scene) {
    let frames = three_frames(scene).await;
    assert_eq!(frames[0].fields(), [(HANDSHAKE, scene.agent_id.clone().into_bytes())]);
}

async fn error_type(scene: &mut Scene) {
    let lane = Lane::new(scene).await;
    let mut peer = lane.open().await;
    peer.write(b"not a frame").await;
    assert!(!peer.expect_error_and_end().await.is_empty(), "an error says what is wrong");
}

async fn record_type(scene: &mut Scene) {
    let frames = three_frames(scene).await;
    let ids = Ids::of(scene);
    for frame in &frames[1..] {
        let [(RECORD, value)] = &frame.fields()[..] else { panic!("{frame:?}") };
        ids.open(Bytes::from(value.clone()));
    }
}

async fn unknown_fields(scene: &mut Scene) {
    let lane = Lane::new(scene).await;
    let mut peer = lane.open().await;
    let (id, record) = lane.ids.request(get(DEVICE_INFO));
    peer.say(200, b"of a later version").await;
    peer.write(&frame(&[field(0, b""), field(99, b"x"), field(RECORD, &record), field(255, b"y")])).await;
    lane.ids.answer(&mut peer, &id).await;
}

async fn client_handshake(scene: &mut Scene) {
    let lane = Lane::new(scene).await;
    let mut peer = lane.connection().await;
    assert_eq!(peer.expect(HANDSHAKE).await, scene.agent_id.as_bytes());
    peer.is_silent().await;
}

async fn server_handshake(scene: &mut Scene) {
    let lane = Lane::new(scene).await;
    let mut peer = lane.connection().await;
    peer.is_silent().await;
    peer.say(HANDSHAKE, lane.ids.own.as_bytes()).await;
    assert_eq!(peer.expect(HANDSHAKE).await, scene.agent_id.as_bytes());
}

async fn no_handshake(scene: &mut Scene) {
    let lane = Lane::new(scene).await;
    let mut peer = lane.connection().await;
    assert_eq!(peer.expect(HANDSHAKE).await, scene.agent_id.as_bytes());
    let greeted = Instant::now();
    let (_, record) = lane.ids.request(get(DEVICE_INFO));
    peer.send(record).await;
    assert!(peer.ends(Duration::from_secs(40)).await, "R-UDS.18: it stays open");
    let waited = greeted.elapsed().as_secs_f64();
    assert!((29.0..33.0).contains(&waited), "R-UDS.18: after {waited:.1} s");
    lane.works(&mut lane.open().await).await;
}

async fn second_handshake(scene: &mut Scene) {
    let lane = Lane::new(scene).await;
    let mut peer = lane.open().await;
    peer.say(HANDSHAKE, b"self::somebody-else").await;
    peer.say(HANDSHAKE, b"").await;
    lane.works(&mut peer).await;
}

async fn early_records(scene: &mut Scene) {
    let lane = Lane::new(scene).await;
    let mut peer = lane.connection().await;
    let (id, early) = lane.ids.request(get(DEVICE_INFO));
    peer.send(early.clone()).await;
    if lane.is_client() {
        peer.expect(HANDSHAKE).await;
    }
    peer.send(early).await;
    peer.is_silent().await;
    peer.say(HANDSHAKE, lane.ids.own.as_bytes()).await;
    if !lane.is_client() {
        peer.expect(HANDSHAKE).await;
    }
    let (later, record) = lane.ids.request(get(DEVICE_INFO));
    peer.send(record).await;
    // Whatever comes up to the later answer: the earlier one is not among it.
    loop {
        let bytes = peer.receive(PATIENCE).await.expect("the connection ends before the answer");
        let (early, late) = (of(&lane.ids, bytes.clone(), &id), of(&lane.ids, bytes, &later));
        assert!(!early, "R-UDS.20: the early request is answered");
        if late {
            return;
        }
    }
}

/// Whether a record answers this request.
fn of(ids: &Ids, bytes: Bytes, id: &str) -> bool {
    use prost::Message as _;
    let RecordType::NoSessionContext(inner) = ids.open(bytes) else { return false };
    let message = usp_agent::usp::wire::msg::Msg::decode(inner.payload).expect("a USP message");
    message.header.is_some_and(|header| header.msg_id == id)
}

async fn broken_handshake(scene: &mut Scene) {
    let lane = Lane::new(scene).await;
    for id in [&b""[..], b"\xff\xfe\xfd"] {
        let mut peer = lane.connection().await;
        lane.greet(&mut peer, id).await;
        peer.expect_error_and_end().await;
    }
    lane.works(&mut lane.open().await).await;
}

async fn records(scene: &mut Scene) {
    let lane = Lane::new(scene).await;
    let mut peer = lane.open().await;
    lane.ids.connect_record(&mut peer).await;
    for _ in 0..3 {
        lane.works(&mut peer).await;
    }
}

async fn broken_record(scene: &mut Scene) {
    let lane = Lane::new(scene).await;
    for text in [&b"\xff\xff\xffno record"[..], b"text in place of a record"] {
        let mut peer = lane.open().await;
        lane.ids.connect_record(&mut peer).await;
        peer.say(RECORD, text).await;
        peer.expect_error_and_end().await;
    }
    lane.works(&mut lane.open().await).await;
}

async fn broken_frames(scene: &mut Scene) {
    let lane = Lane::new(scene).await;
    let header = |length: u32| [&b"_USP"[..], &length.to_be_bytes()].concat();
    let broken = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        header(u32::MAX),
        [header(3), vec![RECORD, 0, 0]].concat(),
        [header(6), vec![RECORD, 0, 0, 1, 0, 7]].concat(),
        [header(7), vec![99, 0, 0, 0, 1, 7, RECORD]].concat(),
    ];
    for bytes in broken {
        let mut peer = lane.open().await;
        lane.ids.connect_record(&mut peer).await;
        peer.write(&bytes).await;
        peer.expect_error_and_end().await;
    }
    lane.works(&mut lane.open().await).await;
}

async fn error_ends(scene: &mut Scene) {
    let lane = Lane::new(scene).await;
    let mut peer = lane.open().await;
    lane.works(&mut peer).await;
    peer.say(ERROR, b"this controller has had enough").await;
    let frame = peer.frame(SOON).await;
    assert!(frame.is_none(), "R-UDS.25: an error is not answered: {frame:?}");
    lane.works(&mut lane.open().await).await;
}

async fn connect_record(scene: &mut Scene) {
    let lane = Lane::new(scene).await;
    for _ in 0..2 {
        let mut peer = lane.open().await;
        let first = lane.ids.connect_record(&mut peer).await;
        assert!(matches!(first, RecordType::UdsConnect(_)), "{first:?}");
    }
    scene.eut.power_cycle().await;
    let first = lane.ids.connect_record(&mut lane.open().await).await;
    assert!(matches!(first, RecordType::UdsConnect(_)), "{first:?}");
}

async fn disconnect_record(scene: &mut Scene) {
    let lane = Lane::new(scene).await;
    let mut peer = lane.open().await;
    lane.works(&mut peer).await;
    scene.eut.power_off().await;
    let last = peer.receive(SOON).await.expect("the connection ends without a record");
    assert!(matches!(lane.ids.open(last), RecordType::Disconnect(_)), "R-MTP.7");
    assert!(peer.ends(SOON).await);
}
