//! Peers that break the rules, or do not read: the client against a false ubusd, a false
//! client against the bus of `demo`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use usp_agent::backend::ubus::message::{Attributes, Body, Message, attr, kind, request};
use usp_agent::backend::ubus::{Client, Signature, blobmsg, socket::Frames};
use usp_agent::backend::{CallError, Change, Table};
use usp_agent::demo::bus::Bus;

const DEADLINE: Duration = Duration::from_millis(150);
const LISTENER: u32 = 5000;
static NONE: Table = Table(Vec::new());

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(Duration::from_secs(20), test).await.expect("the test takes too long");
    });
}

fn socket(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("usp-agent-hostile-{}-{name}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

fn false_ubusd(name: &str) -> (UnixListener, Client, mpsc::Receiver<Change>) {
    let path = socket(name);
    let listener = UnixListener::bind(&path).unwrap();
    let (changes, changed) = mpsc::channel(4);
    let (client, driver) = Client::new(path, DEADLINE, changes);
    tokio::task::spawn_local(driver.run());
    (listener, client, changed)
}

/// One connection, with the messages that come on it.
struct Link {
    stream: UnixStream,
    frames: Frames,
}

impl Link {
    async fn accept(listener: &UnixListener) -> Self {
        Self { stream: listener.accept().await.unwrap().0, frames: Frames::default() }
    }

    async fn say(&mut self, message: Message) {
        self.stream.write_all(&message.encode().unwrap()).await.unwrap();
    }

    /// The next message; `None` when the other side hung up.
    async fn hear(&mut self) -> Option<Message> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(message) = self.frames.next_message().unwrap() {
                return Some(message);
            }
            match self.stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.frames.push(&buffer[..count]),
            }
        }
    }

    async fn end(&mut self, asked: &Message) {
        self.say(Message::new(kind::STATUS, asked.seq, asked.peer, Body::default().int32(attr::STATUS, 0))).await;
    }

    /// What ubusd says until the client is ready.
    async fn welcome(&mut self) {
        self.say(Message::new(kind::HELLO, 0, 4711, Body::default())).await;
        let asked = self.hear().await.unwrap();
        assert_eq!(asked.kind, kind::ADD_OBJECT);
        self.say(Message::new(kind::DATA, asked.seq, 0, Body::default().int32(attr::OBJID, LISTENER))).await;
        self.end(&asked).await;
        let asked = self.hear().await.unwrap();
        assert_eq!(asked.attributes().method, Some("register"));
        self.end(&asked).await;
    }
}

#[test]
fn a_false_length_is_hung_up_on_and_the_next_connection_works() {
    for (name, length) in [("short", 3_u32), ("long", 1_048_577), ("longest", 0xffff_ffff)] {
        run(async {
            let (listener, client, mut changed) = false_ubusd(name);
            let mut link = Link::accept(&listener).await;
            link.welcome().await;
            link.stream.write_all(&[0; 8]).await.unwrap();
            link.stream.write_all(&length.to_be_bytes()).await.unwrap();
            assert_eq!(link.hear().await, None, "{name}");
            let mut link = Link::accept(&listener).await;
            link.welcome().await;
            assert_eq!(changed.recv().await, Some(Change::BusRestarted));
            assert!(client.is_up());
        });
    }
}

#[test]
fn a_peer_that_does_not_greet_is_left_and_stalls_nobody() {
    run(async {
        let (listener, client, _changed) = false_ubusd("mute");
        let mut link = Link::accept(&listener).await;
        let call = client.call("it", "x", &NONE);
        let (answer, heard) = tokio::join!(call, link.hear());
        assert_eq!((answer, heard), (Err(CallError::Disconnected), None));
        let again = tokio::time::timeout(DEADLINE / 3, client.call("it", "x", &NONE)).await;
        assert_eq!(again, Ok(Err(CallError::Disconnected)), "at once");
    });
}

#[test]
fn a_bus_that_hangs_up_is_tried_again_with_growing_waits() {
    run(async {
        let (listener, client, _changed) = false_ubusd("growing");
        drop(Link::accept(&listener).await);
        for wait in [50, 100, 200] {
            let began = Instant::now();
            drop(Link::accept(&listener).await);
            let waited = began.elapsed();
            assert!(waited >= Duration::from_millis(wait - 10), "{waited:?} instead of {wait} ms");
            assert!(waited < Duration::from_secs(5), "{waited:?}");
        }
        assert_eq!(client.call("it", "x", &NONE).await, Err(CallError::Disconnected));
    });
}

#[test]
fn a_loss_during_a_call_ends_it_at_once() {
    run(async {
        let (listener, client, _changed) = false_ubusd("loss");
        let mut link = Link::accept(&listener).await;
        link.welcome().await;
        let hang_up = async {
            assert_eq!(link.hear().await.unwrap().kind, kind::LOOKUP);
            drop(link);
        };
        let (answer, ()) = tokio::join!(client.call("it", "x", &NONE), hang_up);
        assert_eq!(answer, Err(CallError::Disconnected));
    });
}

/// Nonsense in every place of a message must neither end the client nor reach the agent.
#[test]
fn nonsense_inside_the_frame_is_ignored() {
    run(async {
        let (listener, client, mut changed) = false_ubusd("nonsense");
        client.watch_event("e");
        let mut link = Link::accept(&listener).await;
        link.welcome().await;
        let asked = link.hear().await.unwrap();
        link.end(&asked).await;
        let attributes = [&b""[..], &[0xff; 40], &[3, 0, 0, 8, 0, 0, 0x13, 0x88], &[0; 64]];
        for kind in 0..=20 {
            for bytes in attributes {
                let body = Body::default().nested(attr::DATA, bytes).nested(attr::METHOD, bytes);
                link.say(Message::new(kind, 1, LISTENER, body.clone())).await;
                let aimed = Body::default().int32(attr::OBJID, LISTENER).string(attr::METHOD, "x");
                link.say(Message::new(kind, 1, 0, aimed.nested(attr::DATA, bytes))).await;
            }
        }
        let body = request::invoke(LISTENER, "e", &Table::default().with("a", 1)).unwrap();
        link.say(Message::new(kind::INVOKE, 1, 0, body)).await;
        assert_eq!(changed.recv().await, Some(Change::Event("e".into(), Table::default().with("a", 1))));
    });
}

#[test]
fn a_peer_that_does_not_read_does_not_stop_the_reading() {
    run(async {
        let (listener, client, mut changed) = false_ubusd("unread");
        let mut link = Link::accept(&listener).await;
        link.welcome().await;
        // Each wants a reply, none is read: the replies fill their queue, then the link is given up.
        let body = request::invoke(LISTENER, "unwatched", &NONE).unwrap();
        let event = Message::new(kind::INVOKE, 1, 0, body).encode().unwrap();
        let burst = event.repeat(1000);
        let mut bursts = 0;
        while link.stream.write_all(&burst).await.is_ok() {
            bursts += 1;
            assert!(bursts < 1000, "replies are queued without end");
        }
        assert!(bursts > 20, "only {bursts}");
        let mut link = Link::accept(&listener).await;
        link.welcome().await;
        assert_eq!(changed.recv().await, Some(Change::BusRestarted));
        assert!(client.is_up());
    });
}

#[test]
fn the_bus_hangs_up_on_false_lengths_and_drops_for_who_does_not_read() {
    run(async {
        let path = socket("bus");
        let (bus, driver) = Bus::bind(&path).unwrap();
        tokio::task::spawn_local(driver.run());
        for length in [3_u32, 1_048_577] {
            let mut link = Link { stream: UnixStream::connect(&path).await.unwrap(), frames: Frames::default() };
            assert_eq!(link.hear().await.unwrap().kind, kind::HELLO);
            link.stream.write_all(&[&[0; 8], &length.to_be_bytes()[..]].concat()).await.unwrap();
            assert_eq!(link.hear().await, None);
        }

        let large = Table::default().with("text", "x".repeat(100_000).as_str());
        let part = large.clone();
        let signature = Signature::default().method("get", &[]);
        bus.provide("large", &signature, move |_: &str, _: &Table| Ok(part.clone()));
        let mut slow = Link { stream: UnixStream::connect(&path).await.unwrap(), frames: Frames::default() };
        slow.hear().await.unwrap();
        slow.say(Message::new(kind::LOOKUP, 1, 0, request::lookup("large"))).await;
        let object = slow.hear().await.unwrap().attributes().object.unwrap();
        slow.hear().await.unwrap();
        for seq in 0..100 {
            slow.say(Message::new(kind::INVOKE, seq, object, request::invoke(object, "get", &NONE).unwrap())).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut parts = 0;
        while let Ok(Some(message)) = tokio::time::timeout(Duration::from_millis(200), slow.hear()).await {
            if message.kind == kind::DATA {
                let Attributes { data, .. } = message.attributes();
                assert_eq!(blobmsg::decode(data.unwrap()).as_ref(), Ok(&large), "no part is cut");
                parts += 1;
            }
        }
        assert!((5..60).contains(&parts), "{parts} of 100");
    });
}
