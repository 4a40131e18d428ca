//! The UNIX socket links against plain sockets that speak the frames of R-UDS byte by byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/link.rs"]
mod link;

use link::{Link, PATIENCE};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, sleep, timeout};
use usp_agent::mtp::unix_socket::frame::{ERROR, HANDSHAKE, MAX_BODY, RECORD};
use usp_agent::mtp::unix_socket::{self, Settings, listen, start};
use usp_agent::mtp::{Channel, Destination, Limits, LinkCommand, LinkEvent, MAX_HANDSHAKES, MAX_RECORD, MAX_SESSIONS};

const OWN_ID: &str = "os::00D09E-test";
const CONTROLLER: &str = "proto::controller";

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("usp-uds-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.join("run").join("agent_path")
    }

    fn settings(&self) -> Settings {
        let limits = Limits {
            handshake: Duration::from_millis(600),
            stall: Duration::from_millis(400),
            goodbye: Duration::from_millis(500),
        };
        Settings { limits, ..self.patient() }
    }

    /// With the times that the agent uses.
    fn patient(&self) -> Settings {
        Settings::new(self.path().to_str().unwrap(), OWN_ID)
    }

    /// A server of the test's own.
    fn bind(&self) -> UnixListener {
        std::fs::create_dir_all(self.path().parent().unwrap()).unwrap();
        UnixListener::bind(self.path()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn field(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind][..], &u32::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
}

fn frame(fields: &[Vec<u8>]) -> Vec<u8> {
    let body = fields.concat();
    [&b"_USP"[..], &u32::try_from(body.len()).unwrap().to_be_bytes(), &body].concat()
}

/// The other end of a connection.
struct Raw(UnixStream);

impl Raw {
    async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    async fn say(&mut self, kind: u8, value: &[u8]) {
        self.write(&frame(&[field(kind, value)])).await;
    }

    /// The one field of the next frame.
    async fn heard(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 13];
        timeout(PATIENCE, self.0.read_exact(&mut head)).await.expect("no frame").unwrap();
        let number = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().unwrap());
        assert_eq!((&head[..4], number(4)), (&b"_USP"[..], number(9) + 5), "one field fills the frame");
        let mut value = vec![0; number(9) as usize];
        self.0.read_exact(&mut value).await.unwrap();
        (head[8], value)
    }

    async fn error(&mut self) -> String {
        let (kind, value) = self.heard().await;
        assert_eq!(kind, ERROR, "{value:?}");
        String::from_utf8(value).unwrap()
    }

    async fn closed(&mut self) {
        let read = timeout(PATIENCE, self.0.read(&mut [0; 1])).await.expect("it stays open");
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }

    async fn expect(&mut self, kind: u8, value: &[u8]) {
        let heard = self.heard().await;
        assert_eq!((heard.0, &heard.1[..]), (kind, value));
    }
}

async fn accept(listener: &UnixListener) -> Raw {
    Raw(timeout(PATIENCE, listener.accept()).await.expect("nobody connects").unwrap().0)
}

/// A client link and the controller's end of its connection, with both handshakes through.
async fn client(folder: &Folder) -> (Link, Channel, Raw, UnixListener) {
    let listener = folder.bind();
    let mut link = Link::spawn(32, |id, events| start(folder.settings(), id, events));
    let mut raw = accept(&listener).await;
    raw.expect(HANDSHAKE, OWN_ID.as_bytes()).await;
    raw.say(HANDSHAKE, CONTROLLER.as_bytes()).await;
    let (channel, peer) = link.connected().await;
    assert_eq!(peer.endpoint_id.as_deref(), Some(CONTROLLER));
    assert!(peer.local && !peer.encrypted);
    (link, channel, raw, listener)
}

async fn reach(folder: &Folder) -> Raw {
    let until = Instant::now() + PATIENCE;
    loop {
        match UnixStream::connect(folder.path()).await {
            Ok(stream) => return Raw(stream),
            Err(error) if Instant::now() > until => panic!("{error}"),
            Err(_) => sleep(Duration::from_millis(5)).await,
        }
    }
}

fn server(folder: &Folder) -> Link {
    Link::spawn(32, |id, events| listen(folder.settings(), id, events))
}

/// A controller that connects to the agent, with both handshakes through.
async fn join(folder: &Folder, link: &mut Link, id: &str) -> (Channel, Raw) {
    let mut raw = reach(folder).await;
    raw.say(HANDSHAKE, id.as_bytes()).await;
    raw.expect(HANDSHAKE, OWN_ID.as_bytes()).await;
    let (channel, peer) = link.connected().await;
    assert_eq!(peer.endpoint_id.as_deref(), Some(id));
    (channel, raw)
}

/// For tests whose time jumps: what should happen happens within an hour of it.
async fn in_an_hour<T>(happens: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(3600), happens).await.expect("it never happens")
}

// --- as a client ----------------------------------------------------------------------------

#[tokio::test]
async fn the_client_greets_first_and_records_travel_both_ways() {
    let folder = Folder::new();
    let (mut link, channel, mut raw, _listener) = client(&folder).await;
    assert_eq!(channel.session, 1);
    link.send(channel, b"from the agent", Destination::Peer);
    raw.expect(RECORD, b"from the agent").await;
    raw.say(RECORD, b"from the controller").await;
    assert_eq!(&link.record().await.1[..], b"from the controller");
    (0..5u8).for_each(|number| link.send(channel, &[number], Destination::Peer));
    link.command(LinkCommand::Shutdown);
    for number in 0..5u8 {
        raw.expect(RECORD, &[number]).await;
    }
    raw.closed().await;
    drop(raw);
    timeout(Duration::from_secs(2), link.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn records_before_the_handshake_are_ignored_also_in_its_own_frame() {
    let folder = Folder::new();
    let listener = folder.bind();
    let mut link = Link::spawn(32, |id, events| start(folder.settings(), id, events));
    let mut raw = accept(&listener).await;
    raw.heard().await;
    raw.say(RECORD, b"early").await;
    raw.write(&frame(&[field(RECORD, b"early"), field(HANDSHAKE, CONTROLLER.as_bytes()), field(RECORD, b"early")]))
        .await;
    raw.say(RECORD, b"in time").await;
    link.connected().await;
    assert_eq!(&link.record().await.1[..], b"in time");
}

#[tokio::test]
async fn unknown_fields_and_a_second_handshake_are_ignored() {
    let folder = Folder::new();
    let (mut link, channel, mut raw, _listener) = client(&folder).await;
    raw.say(77, b"of a later version").await;
    raw.say(HANDSHAKE, b"proto::somebody-else").await;
    raw.write(&frame(&[field(0, b""), field(RECORD, b"one"), field(255, b"x"), field(RECORD, b"two")])).await;
    assert_eq!(&link.record().await.1[..], b"one");
    assert_eq!(&link.record().await.1[..], b"two");
    link.send(channel, b"still here", Destination::Peer);
    raw.expect(RECORD, b"still here").await;
}

#[tokio::test]
async fn frames_are_put_together_from_single_bytes() {
    let folder = Folder::new();
    let (mut link, _, mut raw, _listener) = client(&folder).await;
    for byte in frame(&[field(RECORD, b"slowly")]) {
        raw.write(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(&link.record().await.1[..], b"slowly");
}

#[tokio::test]
async fn a_record_of_the_largest_size_passes_both_ways() {
    let folder = Folder::new();
    let (mut link, channel, mut raw, _listener) = client(&folder).await;
    let record = vec![7u8; MAX_RECORD];
    link.send(channel, &record, Destination::Peer);
    raw.expect(RECORD, &record).await;
    raw.say(RECORD, &record).await;
    assert_eq!(link.record().await.1.len(), MAX_RECORD);
    link.send(channel, &vec![7u8; MAX_RECORD + 1], Destination::Peer);
    assert!(link.remark().await.contains("limit"));
}

/// What each kind of broken frame is answered with before the connection is closed.
fn broken_frames() -> Vec<(Vec<u8>, &'static str)> {
    let header = |length: usize| [&b"_USP"[..], &u32::try_from(length).unwrap().to_be_bytes()].concat();
    vec![
        (b"GET / HTTP/1.1\r\n".to_vec(), "_USP"),
        (b"_USX".to_vec(), "_USP"),
        (header(0), "without a field"),
        (header(MAX_BODY + 1), "too long"),
        (header(u32::MAX as usize), "too long"),
        ([header(6), field(RECORD, b"ab")[..6].to_vec()].concat(), "end of its frame"),
        ([header(3), vec![RECORD, 0, 0]].concat(), "end of its frame"),
        (frame(&[field(RECORD, b"whole"), vec![1, 0]]), "end of its frame"),
        (frame(&[field(RECORD, &vec![0; MAX_RECORD + 1])]), "too long"),
    ]
}

#[tokio::test]
async fn a_broken_frame_is_answered_with_an_error_and_ends_the_connection() {
    for (bytes, expected) in broken_frames() {
        let folder = Folder::new();
        let (mut link, first, mut raw, _listener) = client(&folder).await;
        raw.write(&bytes).await;
        let error = raw.error().await;
        assert!(error.contains(expected), "{error} does not say {expected}");
        raw.closed().await;
        drop(raw);
        let (lost, why, retry_in) = link.lost().await;
        assert!(lost == first && why.contains(&error) && retry_in.is_some(), "{lost:?} {why} {retry_in:?}");
    }
}

#[tokio::test]
async fn a_broken_frame_is_broken_before_the_handshake_too() {
    for (bytes, expected) in broken_frames().into_iter().filter(|(bytes, _)| bytes.len() < 100) {
        let folder = Folder::new();
        let listener = folder.bind();
        let mut link = Link::spawn(32, |id, events| start(folder.settings(), id, events));
        let mut raw = accept(&listener).await;
        raw.heard().await;
        raw.write(&bytes).await;
        assert!(raw.error().await.contains(expected));
        raw.closed().await;
        drop(raw);
        assert_eq!(link.lost().await.0.session, 0);
    }
}

#[tokio::test]
async fn a_handshake_that_names_nobody_or_ourselves_is_answered_with_an_error() {
    for id in [&b""[..], b"\xff\xfe", b"two words", &[b'x'; 129], OWN_ID.as_bytes()] {
        let folder = Folder::new();
        let listener = folder.bind();
        let mut link = Link::spawn(32, |id, events| start(folder.settings(), id, events));
        let mut raw = accept(&listener).await;
        raw.heard().await;
        raw.say(HANDSHAKE, id).await;
        assert!(raw.error().await.contains("endpoint id"));
        raw.closed().await;
        drop(raw);
        assert!(link.lost().await.1.contains("endpoint id"));
    }
}

#[tokio::test]
async fn an_error_of_the_peer_ends_the_connection_without_an_answer() {
    let folder = Folder::new();
    let (mut link, first, mut raw, _listener) = client(&folder).await;
    raw.say(ERROR, b"I am\n going away").await;
    raw.closed().await;
    let (lost, why, retry_in) = link.lost().await;
    assert!(lost == first && why.contains("\"I am going away\""), "{why}");
    assert!((1000..=5000).contains(&retry_in.unwrap()), "{retry_in:?}");
}

#[tokio::test]
async fn the_daemon_can_end_a_connection_for_a_record_it_cannot_parse() {
    let folder = Folder::new();
    let (mut link, channel, mut raw, _listener) = client(&folder).await;
    raw.say(RECORD, b"\x01").await;
    link.record().await;
    link.command(LinkCommand::Close { channel, code: 1003, reason: "not a USP record".into() });
    assert_eq!(raw.error().await, "not a USP record");
    raw.closed().await;
    drop(raw);
    assert!(link.lost().await.1.contains("not a USP record"));
}

#[tokio::test(start_paused = true)]
async fn without_a_handshake_in_30_seconds_the_client_closes() {
    let folder = Folder::new();
    let listener = folder.bind();
    let begun = Instant::now();
    let mut link = Link::spawn(32, |id, events| start(folder.patient(), id, events));
    let mut raw = Raw(in_an_hour(listener.accept()).await.unwrap().0);
    raw.heard().await;
    raw.say(RECORD, b"not what is waited for").await;
    let mut error = Vec::new();
    in_an_hour(raw.0.read_to_end(&mut error)).await.unwrap();
    let waited = begun.elapsed();
    assert!((unix_socket::HANDSHAKE..unix_socket::HANDSHAKE + Duration::from_secs(2)).contains(&waited), "{waited:?}");
    assert!(String::from_utf8_lossy(&error).contains("no handshake within 30 s"));
    drop(raw);
    let Some(LinkEvent::Lost { why, retry_in, .. }) = in_an_hour(link.events.recv()).await else { panic!() };
    assert!(why.contains("no handshake") && retry_in.is_some(), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_closed_connection_comes_back_within_1_to_5_seconds_however_often() {
    let folder = Folder::new();
    let mut link = Link::spawn(32, |id, events| start(folder.patient(), id, events));
    let mut waits = Vec::new();
    for _ in 0..40 {
        let Some(LinkEvent::Lost { why, retry_in, .. }) = in_an_hour(link.events.recv()).await else { panic!() };
        assert!(why.contains("agent_path") && why.contains("does the controller run"), "{why}");
        waits.push(retry_in.unwrap());
    }
    assert!(waits.iter().all(|wait| (1000..=5000).contains(wait)), "{waits:?}");
    let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    assert!(*least < 2500 && *most > 3500, "{waits:?}");

    let listener = folder.bind();
    let mut raw = Raw(in_an_hour(listener.accept()).await.unwrap().0);
    raw.heard().await;
    raw.say(HANDSHAKE, CONTROLLER.as_bytes()).await;
    let connected = in_an_hour(link.events.recv()).await;
    assert!(matches!(connected, Some(LinkEvent::Connected { .. })), "{connected:?}");
    drop(raw);
    let lost = in_an_hour(link.events.recv()).await;
    assert!(matches!(lost, Some(LinkEvent::Lost { retry_in: Some(1000..=5000), .. })), "{lost:?}");
    Raw(in_an_hour(listener.accept()).await.unwrap().0).heard().await;
}

#[tokio::test]
async fn a_peer_that_takes_no_data_is_cut_and_one_that_is_slow_is_not() {
    let folder = Folder::new();
    let (mut link, channel, mut raw, _listener) = client(&folder).await;
    (0..24).for_each(|_| link.send(channel, &vec![0; MAX_RECORD], Destination::Peer));
    let mut taken = vec![0; MAX_RECORD / 4];
    for _ in 0..8 {
        sleep(Duration::from_millis(100)).await;
        raw.0.read_exact(&mut taken).await.unwrap();
    }
    let mut said = Vec::new();
    let why = loop {
        match link.event().await {
            LinkEvent::Remark { what, .. } => said.push(what),
            LinkEvent::Lost { why, .. } => break why,
            other => panic!("{other:?}"),
        }
    };
    assert!(why.contains("took no data"), "{why}");
    assert!(said.iter().any(|what| what.contains("too slow")), "{said:?}");
}

// --- as a server ----------------------------------------------------------------------------

#[tokio::test]
async fn the_server_answers_the_handshake_and_serves_several_peers_apart() {
    let folder = Folder::new();
    let mut link = server(&folder);
    let (first, mut one) = join(&folder, &mut link, "proto::one").await;
    let (second, mut two) = join(&folder, &mut link, "proto::two").await;
    link.send(second, b"for two", Destination::Peer);
    link.send(first, b"for one", Destination::Peer);
    one.expect(RECORD, b"for one").await;
    two.expect(RECORD, b"for two").await;
    two.say(RECORD, b"from two").await;
    let (channel, bytes, _) = link.record().await;
    assert_eq!((channel, &bytes[..]), (second, &b"from two"[..]));
    drop(one);
    let (lost, _, retry_in) = link.lost().await;
    assert_eq!((lost, retry_in), (first, None));
    link.command(LinkCommand::Shutdown);
    two.closed().await;
}

#[tokio::test]
async fn the_server_says_nothing_before_the_client_and_ignores_its_early_records() {
    let folder = Folder::new();
    let mut link = server(&folder);
    let mut raw = reach(&folder).await;
    raw.say(RECORD, b"early").await;
    let silent = timeout(Duration::from_millis(50), raw.0.read(&mut [0; 1])).await;
    assert!(silent.is_err(), "{silent:?}");
    raw.say(HANDSHAKE, CONTROLLER.as_bytes()).await;
    raw.expect(HANDSHAKE, OWN_ID.as_bytes()).await;
    link.connected().await;
    raw.say(RECORD, b"in time").await;
    assert_eq!(&link.record().await.1[..], b"in time");
}

#[tokio::test]
async fn broken_frames_end_one_connection_of_a_server_and_no_other() {
    let folder = Folder::new();
    let mut link = server(&folder);
    let (_, mut other) = join(&folder, &mut link, "proto::other").await;
    for (bytes, expected) in broken_frames() {
        let (channel, mut raw) = join(&folder, &mut link, CONTROLLER).await;
        raw.write(&bytes).await;
        assert!(raw.error().await.contains(expected));
        raw.closed().await;
        drop(raw);
        assert_eq!(link.lost().await.0, channel);
    }
    let mut stranger = reach(&folder).await;
    stranger.write(b"GET / HTTP/1.1\r\n").await;
    assert!(stranger.error().await.contains("_USP"));
    drop(stranger);
    assert!(link.remark().await.contains("before its handshake"));
    other.say(RECORD, b"undisturbed").await;
    assert_eq!(&link.record().await.1[..], b"undisturbed");
}

#[tokio::test]
async fn a_second_connection_of_a_connected_endpoint_is_refused_with_an_error() {
    let folder = Folder::new();
    let mut link = server(&folder);
    let (channel, mut first) = join(&folder, &mut link, CONTROLLER).await;
    let mut second = reach(&folder).await;
    second.say(HANDSHAKE, CONTROLLER.as_bytes()).await;
    assert!(second.error().await.contains("connected already"));
    second.closed().await;
    drop(second);
    assert!(link.remark().await.contains(CONTROLLER));
    link.send(channel, b"undisturbed", Destination::Peer);
    first.expect(RECORD, b"undisturbed").await;
    drop(first);
    link.lost().await;
    join(&folder, &mut link, CONTROLLER).await;
}

/// A peer that starts anew is there before anybody has read that its old connection ended.
#[tokio::test]
async fn a_peer_that_comes_back_at_once_is_let_in() {
    let folder = Folder::new();
    let mut link = server(&folder);
    let (old, first) = join(&folder, &mut link, CONTROLLER).await;
    let mut second = reach(&folder).await;
    second.say(HANDSHAKE, CONTROLLER.as_bytes()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(first);
    assert_eq!(link.lost().await.0, old);
    let (new, _) = link.connected().await;
    second.expect(HANDSHAKE, OWN_ID.as_bytes()).await;
    second.say(RECORD, b"here again").await;
    let (channel, bytes, _) = link.record().await;
    assert_eq!((channel, &bytes[..]), (new, &b"here again"[..]));
}

#[tokio::test]
async fn a_peer_that_takes_nothing_does_not_delay_the_others() {
    let folder = Folder::new();
    let mut link = server(&folder);
    let (lazy, _stuck) = join(&folder, &mut link, "proto::lazy").await;
    let (quick, mut raw) = join(&folder, &mut link, "proto::quick").await;
    for _ in 0..8 {
        link.send(lazy, &vec![0; MAX_RECORD], Destination::Peer);
    }
    let asked = Instant::now();
    link.send(quick, b"now", Destination::Peer);
    raw.expect(RECORD, b"now").await;
    assert!(asked.elapsed() < Duration::from_millis(300), "{:?}", asked.elapsed());
    loop {
        match link.event().await {
            LinkEvent::Remark { .. } => {}
            LinkEvent::Lost { channel, why, .. } => break assert!(channel == lazy && why.contains("no data"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_leaves_a_client_that_does_not_say_who_it_is() {
    let folder = Folder::new();
    let mut link = Link::spawn(32, |id, events| listen(folder.patient(), id, events));
    tokio::task::yield_now().await;
    let mut raw = reach(&folder).await;
    let begun = Instant::now();
    let mut error = Vec::new();
    in_an_hour(raw.0.read_to_end(&mut error)).await.unwrap();
    assert!((30..33).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert!(String::from_utf8_lossy(&error).contains("no handshake within 30 s"));
    drop(raw);
    let Some(LinkEvent::Remark { what, .. }) = in_an_hour(link.events.recv()).await else { panic!() };
    assert!(what.contains("no handshake"), "{what}");
}

#[tokio::test]
async fn half_open_connections_are_limited_and_so_are_sessions() {
    let folder = Folder::new();
    let mut link = server(&folder);
    let mut silent = Vec::new();
    for _ in 0..MAX_HANDSHAKES {
        silent.push(reach(&folder).await);
    }
    let (_, _one) = join(&folder, &mut link, "proto::one").await;
    silent[0].closed().await;
    drop(silent);
    let mut guests = Vec::new();
    for number in 1..MAX_SESSIONS {
        let mut raw = reach(&folder).await;
        raw.say(HANDSHAKE, format!("proto::{number}").as_bytes()).await;
        raw.expect(HANDSHAKE, OWN_ID.as_bytes()).await;
        guests.push(raw);
    }
    let mut extra = reach(&folder).await;
    extra.say(HANDSHAKE, b"proto::extra").await;
    assert!(extra.error().await.contains("too many"));
}

// --- the file -------------------------------------------------------------------------------

#[tokio::test]
async fn the_file_is_for_owner_and_group_and_goes_with_the_link() {
    let folder = Folder::new();
    let mut link = server(&folder);
    join(&folder, &mut link, CONTROLLER).await;
    let there = std::fs::metadata(folder.path()).unwrap();
    assert!(there.file_type().is_socket());
    assert_eq!(there.permissions().mode() & 0o777, 0o660);
    link.shut_down().await;
    assert!(!folder.path().exists());
}

#[tokio::test]
async fn a_socket_left_behind_is_replaced() {
    let folder = Folder::new();
    drop(folder.bind());
    assert!(folder.path().exists(), "what a killed process leaves");
    let mut link = server(&folder);
    join(&folder, &mut link, CONTROLLER).await;
}

#[tokio::test]
async fn what_is_somebody_elses_is_left_alone_and_tried_again() {
    let folder = Folder::new();
    let other = folder.bind();
    let mut link = server(&folder);
    let (channel, why, retry_in) = link.lost().await;
    assert!(channel.session == 0 && why.contains("another process listens") && retry_in.is_some(), "{why}");
    drop(other);
    std::fs::remove_file(folder.path()).unwrap();
    std::fs::write(folder.path(), "precious").unwrap();
    link.command(LinkCommand::TryNow);
    assert!(link.lost().await.1.contains("is no socket"));
    assert_eq!(std::fs::read_to_string(folder.path()).unwrap(), "precious");
    std::fs::remove_file(folder.path()).unwrap();
    link.command(LinkCommand::TryNow);
    link.listening().await;
    join(&folder, &mut link, CONTROLLER).await;
}

#[tokio::test]
async fn a_file_that_somebody_replaced_is_not_removed() {
    let folder = Folder::new();
    let mut link = server(&folder);
    join(&folder, &mut link, CONTROLLER).await;
    std::fs::remove_file(folder.path()).unwrap();
    let _successor = folder.bind();
    link.shut_down().await;
    assert!(folder.path().exists());
}
