//! The client against the bus of `demo`, over a real socket.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::timeout;
use usp_agent::backend::ubus::message::status;
use usp_agent::backend::ubus::{Client, Signature, blobmsg::kind};
use usp_agent::backend::{Answer, CallError, Change, Table, Value};
use usp_agent::demo::bus::{Bus, Outcome};

const DEADLINE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(10);

fn socket() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("usp-agent-bus-{}-{count}.sock", std::process::id()))
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async { timeout(PATIENCE, test).await.expect("the test takes too long") })
}

fn bus(socket: &Path) -> Bus {
    let (bus, driver) = Bus::bind(socket).unwrap();
    tokio::task::spawn_local(driver.run());
    bus
}

fn client(socket: PathBuf, room: usize) -> (Client, mpsc::Receiver<Change>) {
    let (changes, changed) = mpsc::channel(room);
    let (client, driver) = Client::new(socket, DEADLINE, changes);
    tokio::task::spawn_local(driver.run());
    (client, changed)
}

fn both() -> (Bus, Client, mpsc::Receiver<Change>) {
    let socket = socket();
    let bus = bus(&socket);
    let (client, changed) = client(socket, 16);
    (bus, client, changed)
}

static NONE: Table = Table(Vec::new());

fn none() -> Table {
    Table::default()
}

fn methods(names: &[&str]) -> Signature {
    names.iter().fold(Signature::default(), |signature, name| signature.method(name, &[]))
}

/// Waits for something that will be so.
async fn until(mut so: impl FnMut() -> bool) {
    while !so() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[test]
fn a_call_is_answered_with_the_last_data_and_call_all_with_every() {
    run(async {
        let (bus, client, _changed) = both();
        bus.provide("many", &methods(&["parts", "nothing"]), |method, _: &Table| match method {
            "parts" => Outcome::Data(vec![none().with("part", 0), none().with("part", 1)]),
            _ => Outcome::Data(vec![]),
        });
        assert_eq!(client.call("many", "parts", &NONE).await, Ok(none().with("part", 1)));
        let all = client.call_all("many", "parts", &NONE).await;
        assert_eq!(all, Ok(Answer { status: 0, parts: vec![none().with("part", 0), none().with("part", 1)] }));
        let refused = client.call_all("many", "other", &NONE).await;
        assert_eq!(refused, Ok(Answer { status: 3, parts: vec![] }), "a status is no error here");
        assert_eq!(client.call("many", "nothing", &NONE).await, Ok(none()));
    });
}

#[test]
fn arguments_are_sent_in_the_declared_width() {
    run(async {
        let (bus, client, _changed) = both();
        let signature = Signature::default().method("echo", &[("wide", kind::INT64), ("narrow", kind::INT32)]);
        bus.provide("echo", &signature, |_: &str, args: &Table| Ok(args.clone()));
        let args = none().with("wide", 7).with("narrow", Value::Int64(9)).with("other", "x");
        let fitted = none().with("wide", Value::Int64(7)).with("narrow", 9).with("other", "x");
        assert_eq!(client.call("echo", "echo", &args).await, Ok(fitted));
    });
}

#[test]
fn failures_say_who_was_at_fault() {
    run(async {
        let (bus, client, _changed) = both();
        bus.provide("it", &methods(&["deny"]), |_: &str, _: &Table| Err(status::PERMISSION_DENIED));
        assert_eq!(client.call("none", "x", &NONE).await, Err(CallError::NotFound));
        assert_eq!(client.call("it", "deny", &NONE).await, Err(CallError::Status(status::PERMISSION_DENIED)));
        assert_eq!(client.call("it", "x", &NONE).await, Err(CallError::Status(status::METHOD_NOT_FOUND)));
        assert_eq!(client.call("", "x", &NONE).await, Err(CallError::NotFound));
        assert_eq!(client.call("i*", "deny", &NONE).await, Err(CallError::NotFound));
        assert_eq!(client.call("it\0", "deny", &NONE).await, Err(CallError::NotFound));
        let nul = Err(CallError::Status(status::INVALID_ARGUMENT));
        assert_eq!(client.call("it", "deny\0", &NONE).await, nul);
        assert_eq!(client.call("it", "deny", &none().with("a", "b\0c")).await, nul);
        let long = "x".repeat(1 << 20);
        assert_eq!(client.call("it", "deny", &none().with("a", long.as_str())).await, Err(CallError::TooLarge));
    });
}

#[test]
fn objects_are_listed_by_pattern() {
    run(async {
        let (bus, client, _changed) = both();
        for path in ["network.interface.wan", "network", "network.interface.lan", "system"] {
            bus.provide(path, &methods(&["x"]), |_: &str, _: &Table| Ok(none()));
        }
        let list = async |pattern| client.objects(pattern).await.unwrap();
        assert_eq!(list("network.interface.*").await, ["network.interface.lan", "network.interface.wan"]);
        assert_eq!(list("network").await, ["network"]);
        assert_eq!(list("*").await.len(), 4);
        assert_eq!(list("none*").await, [""; 0]);
        assert_eq!(list("").await, [""; 0]);
    });
}

#[test]
fn a_silent_provider_costs_its_own_call_only() {
    run(async {
        let (bus, client, _changed) = both();
        bus.provide("dead", &methods(&["x"]), |_: &str, _: &Table| Outcome::Never);
        bus.provide("alive", &methods(&["x"]), |_: &str, _: &Table| Ok(none()));
        let began = Instant::now();
        let dead = async {
            let answer = client.call("dead", "x", &NONE).await;
            (answer, began.elapsed())
        };
        let alive = async {
            for _ in 0..20 {
                client.call("alive", "x", &NONE).await.unwrap();
            }
            began.elapsed()
        };
        let ((answer, dead_took), alive_took) = tokio::join!(dead, alive);
        assert_eq!(answer, Err(CallError::Timeout));
        assert!(dead_took >= DEADLINE && alive_took < dead_took, "{dead_took:?} {alive_took:?}");

        let again = Instant::now();
        assert_eq!(client.call("dead", "x", &NONE).await, Err(CallError::Timeout));
        assert!(again.elapsed() < DEADLINE, "known to be silent, yet waited {:?}", again.elapsed());

        bus.provide("dead", &methods(&["x"]), |_: &str, _: &Table| Ok(none()));
        client.objects("*").await.unwrap();
        assert_eq!(client.call("dead", "x", &NONE).await, Ok(none()), "its successor is another object");
    });
}

#[test]
fn calls_in_flight_are_answered_in_any_order() {
    run(async {
        let (_bus, client, _changed) = both();
        let mut calls = client.add_object("turn", methods(&["x"]));
        let held = Rc::new(RefCell::new(Vec::new()));
        let provider = async {
            for _ in 0..3 {
                let call = calls.next().await.unwrap();
                held.borrow_mut().push(call);
            }
            while let Some(call) = held.borrow_mut().pop() {
                let args = call.args().clone();
                call.reply(&args);
            }
        };
        until_published(&client, "turn").await;
        let ask = |n: i32| {
            let client = client.clone();
            async move { client.call("turn", "x", &none().with("n", n)).await }
        };
        let ((), one, two, three) = tokio::join!(provider, ask(1), ask(2), ask(3));
        assert_eq!([one, two, three], [1, 2, 3].map(|n| Ok(none().with("n", n))));
    });
}

async fn until_published(client: &Client, path: &str) {
    while client.objects(path).await.unwrap_or_default().is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[test]
fn a_provider_that_goes_away_during_a_call_ends_it() {
    run(async {
        let (bus, client, _changed) = both();
        bus.provide("leaving", &methods(&["x"]), |_: &str, _: &Table| Outcome::Never);
        let leave = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            bus.withdraw("leaving");
        };
        let began = Instant::now();
        let (answer, ()) = tokio::join!(client.call("leaving", "x", &NONE), leave);
        assert_eq!(answer, Err(CallError::NotFound));
        assert!(began.elapsed() < DEADLINE);
    });
}

#[test]
fn an_object_that_comes_back_is_found_again() {
    run(async {
        let (bus, client, _changed) = both();
        for round in 0..3 {
            bus.provide("it", &methods(&["x"]), move |_: &str, _: &Table| Ok(none().with("round", round)));
            assert_eq!(client.call("it", "x", &NONE).await, Ok(none().with("round", round)));
        }
    });
}

#[test]
fn events_arrive_by_pattern() {
    run(async {
        let (bus, client, mut changed) = both();
        client.watch_event("network.interface");
        client.watch_event("foo.*");
        client.watch_event("foo.*");
        until(|| client.is_up()).await;
        bus.event("foo.bar", none().with("a", 1));
        bus.event("bar.no", none());
        bus.event("network.interface", none().with("action", "ifup"));
        assert_eq!(changed.recv().await, Some(Change::Event("foo.bar".into(), none().with("a", 1))));
        let action = none().with("action", "ifup");
        assert_eq!(changed.recv().await, Some(Change::Event("network.interface".into(), action)));
    });
}

#[test]
fn a_client_sends_events_to_others_but_not_those_of_ubusd() {
    run(async {
        let socket = socket();
        let _bus = bus(&socket);
        let (sender, mut heard_by_sender) = client(socket.clone(), 16);
        let (other, mut heard_by_other) = client(socket, 16);
        sender.watch_event("*");
        other.watch_event("*");
        until(|| sender.is_up() && other.is_up()).await;
        sender.objects("*").await.unwrap();
        while heard_by_sender.try_recv().is_ok() {}
        assert_eq!(sender.send_event("usp.event", none().with("a", 1)).await, Ok(()));
        assert_eq!(heard_by_other.recv().await, Some(Change::Event("usp.event".into(), none().with("a", 1))));
        assert_eq!(other.send_event("answer", none()).await, Ok(()));
        assert_eq!(heard_by_sender.recv().await, Some(Change::Event("answer".into(), none())));
        let fake = sender.send_event("ubus.object.add", none()).await;
        assert_eq!(fake, Err(CallError::Status(status::PERMISSION_DENIED)));
    });
}

#[test]
fn a_taken_path_is_published_when_it_is_free() {
    run(async {
        let (bus, client, _changed) = both();
        bus.provide("usp", &methods(&["x"]), |_: &str, _: &Table| Ok(none().with("of", "other")));
        let mut calls = client.add_object("usp", methods(&["x"]));
        assert_eq!(client.call("usp", "x", &NONE).await, Ok(none().with("of", "other")));
        bus.withdraw("usp");
        until_published(&client, "usp").await;
        let answer = async { calls.next().await.unwrap().reply(&none().with("of", "us")) };
        let call = async { client.call("usp", "x", &NONE).await };
        assert_eq!(tokio::join!(call, answer).0, Ok(none().with("of", "us")));
    });
}

fn notification(path: &str, name: &str, data: Table) -> Option<Change> {
    Some(Change::Notification(path.into(), name.into(), data))
}

#[test]
fn notifications_name_their_object_and_are_answered() {
    run(async {
        let (bus, client, mut changed) = both();
        let nothing = |_: &str, _: &Table| Ok(none());
        bus.provide("hostapd.a", &methods(&[]), nothing);
        client.watch_object("hostapd.*");
        bus.provide("hostapd.b", &methods(&[]), nothing);
        bus.provide("other", &methods(&[]), nothing);
        until(|| bus.subscribers("hostapd.a") == 1 && bus.subscribers("hostapd.b") == 1).await;
        assert_eq!(bus.subscribers("other"), 0);
        bus.notify("other", "assoc", none());
        bus.notify_and_ask("hostapd.b", "assoc", none().with("address", "b"));
        bus.notify("hostapd.a", "assoc", none().with("address", "a"));
        assert_eq!(changed.recv().await, notification("hostapd.b", "assoc", none().with("address", "b")));
        assert_eq!(changed.recv().await, notification("hostapd.a", "assoc", none().with("address", "a")));
        until(|| bus.acknowledged() == 1).await;

        bus.provide("hostapd.a", &methods(&[]), nothing);
        until(|| bus.subscribers("hostapd.a") == 1).await;
        bus.notify("hostapd.a", "again", none());
        assert_eq!(changed.recv().await, notification("hostapd.a", "again", none()));
        assert_eq!(bus.acknowledged(), 1, "no reply was wanted");
    });
}

#[test]
fn after_a_restart_of_the_bus_everything_is_as_wished_and_told() {
    run(async {
        let (bus, client, mut changed) = both();
        let nothing = |_: &str, _: &Table| Ok(none());
        bus.provide("hostapd.a", &methods(&["x"]), nothing);
        client.watch_event("foo");
        client.watch_object("hostapd.a");
        let mut calls = client.add_object("usp", methods(&["status"]));
        until_published(&client, "usp").await;
        client.call("hostapd.a", "x", &NONE).await.unwrap();

        bus.restart();
        assert_eq!(changed.recv().await, Some(Change::BusRestarted));
        assert_eq!(client.call("hostapd.a", "x", &NONE).await, Ok(none()));
        bus.event("foo", none());
        assert_eq!(changed.recv().await, Some(Change::Event("foo".into(), none())));
        bus.notify("hostapd.a", "n", none());
        assert_eq!(changed.recv().await, notification("hostapd.a", "n", none()));
        let answer = async { calls.next().await.unwrap().reply(&none().with("up", true)) };
        let (up, ()) = tokio::join!(client.call("usp", "status", &NONE), answer);
        assert_eq!(up, Ok(none().with("up", true)));
    });
}

#[test]
fn without_a_bus_calls_fail_at_once_and_with_one_they_work() {
    run(async {
        let socket = socket();
        let (client, mut changed) = client(socket.clone(), 4);
        assert_eq!(client.call("it", "x", &NONE).await, Err(CallError::Disconnected));
        assert_eq!(client.objects("*").await, Err(CallError::Disconnected));
        let bus = bus(&socket);
        bus.provide("it", &methods(&["x"]), |_: &str, _: &Table| Ok(none()));
        assert_eq!(changed.recv().await, Some(Change::BusRestarted));
        assert_eq!(client.call("it", "x", &NONE).await, Ok(none()));
    });
}

#[test]
fn what_did_not_fit_the_channel_is_told_as_one_restart() {
    run(async {
        let socket = socket();
        let bus = bus(&socket);
        let (client, mut changed) = client(socket, 2);
        client.watch_event("e");
        until(|| client.is_up()).await;
        for n in 0..10 {
            bus.event("e", none().with("n", n));
        }
        client.objects("*").await.unwrap();
        for n in 0..2 {
            assert_eq!(changed.recv().await, Some(Change::Event("e".into(), none().with("n", n))));
        }
        assert_eq!(changed.recv().await, Some(Change::BusRestarted));
        bus.event("e", none().with("n", 10));
        assert_eq!(changed.recv().await, Some(Change::Event("e".into(), none().with("n", 10))));
    });
}

#[test]
fn a_call_nobody_answers_is_ended_by_the_client() {
    run(async {
        let (_bus, client, _changed) = both();
        let mut calls = client.add_object("own", methods(&["x"]));
        until_published(&client, "own").await;
        let dropped = async { drop(calls.next().await) };
        let (answer, ()) = tokio::join!(client.call("own", "x", &NONE), dropped);
        assert_eq!(answer, Err(CallError::Status(status::UNKNOWN_ERROR)));
        assert_eq!(client.call("own", "y", &NONE).await, Err(CallError::Status(status::METHOD_NOT_FOUND)));
    });
}

/// A call that waited while the bus was away has nobody to answer any more.
#[test]
fn a_call_of_an_earlier_connection_is_not_answered_on_the_next() {
    run(async {
        let (bus, client, mut changed) = both();
        let mut calls = client.add_object("own", methods(&["x"]));
        until_published(&client, "own").await;
        let restart = async {
            let call = calls.next().await.unwrap();
            bus.restart();
            assert_eq!(changed.recv().await, Some(Change::BusRestarted));
            call.reply(&none().with("old", 1));
        };
        let old = async { client.call("own", "x", &NONE).await };
        assert_eq!(tokio::join!(old, restart).0, Err(CallError::Disconnected));
        until_published(&client, "own").await;
        let new = async { client.call("own", "x", &NONE).await };
        let answer = async { calls.next().await.unwrap().reply(&none().with("new", 1)) };
        assert_eq!(tokio::join!(new, answer).0, Ok(none().with("new", 1)));
    });
}
