//! The client, and our own bus, against a real `ubusd` where one is on PATH.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use usp_agent::backend::ubus::{Client, Signature, blobmsg::kind, message::status};
use usp_agent::backend::{CallError, Change, Table, Value};

const DEADLINE: Duration = Duration::from_millis(500);
static NONE: Table = Table(Vec::new());

/// A running ubusd, ended with the test.
struct Ubusd {
    process: Child,
    socket: PathBuf,
}

impl Ubusd {
    fn start(socket: &Path) -> Option<Self> {
        let process = Command::new("ubusd").arg("-s").arg(socket).stderr(Stdio::null()).spawn().ok()?;
        let began = Instant::now();
        while !socket.exists() {
            assert!(began.elapsed() < Duration::from_secs(5), "ubusd does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(Self { process, socket: socket.into() })
    }
}

impl Drop for Ubusd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn socket(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("usp-agent-ubusd-{}-{name}.sock", std::process::id()))
}

fn client(socket: &Path) -> (Client, mpsc::Receiver<Change>) {
    let (changes, changed) = mpsc::channel(16);
    let (client, driver) = Client::new(socket.into(), DEADLINE, changes);
    tokio::task::spawn_local(driver.run());
    (client, changed)
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(Duration::from_secs(20), test).await.expect("the test takes too long");
    });
}

fn skip(what: &str) {
    println!("skipped: {what}: no ubusd on PATH");
}

async fn published(client: &Client, path: &str) {
    while client.objects(path).await.unwrap_or_default().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn signature() -> Signature {
    Signature::default().method("echo", &[("wide", kind::INT64)]).method("never", &[])
}

/// Answers calls of `echo` with their arguments, holds the others.
fn serve(client: &Client, path: &str) {
    let mut calls = client.add_object(path, signature());
    tokio::task::spawn_local(async move {
        let mut held = Vec::new();
        while let Some(call) = calls.next().await {
            match call.method() {
                "echo" => {
                    let args = call.args().clone();
                    call.reply(&args);
                }
                _ => held.push(call),
            }
        }
    });
}

#[test]
fn two_clients_talk_through_ubusd() {
    let Some(ubusd) = Ubusd::start(&socket("talk")) else { return skip("two_clients_talk_through_ubusd") };
    run(async {
        let (provider, _) = client(&ubusd.socket);
        let (asker, mut changed) = client(&ubusd.socket);
        serve(&provider, "test.obj");
        asker.watch_event("foo.*");
        asker.watch_object("test.*");
        published(&asker, "test.obj").await;

        let answer = asker.call("test.obj", "echo", &Table::default().with("wide", 5).with("s", "x")).await;
        assert_eq!(answer, Ok(Table::default().with("wide", Value::Int64(5)).with("s", "x")));
        assert_eq!(asker.call("test.obj", "no", &NONE).await, Err(CallError::Status(status::METHOD_NOT_FOUND)));
        assert_eq!(asker.call("none", "no", &NONE).await, Err(CallError::NotFound));
        assert_eq!(asker.call("test.obj", "never", &NONE).await, Err(CallError::Timeout));

        provider.send_event("foo.bar", Table::default().with("a", 1)).await.unwrap();
        assert_eq!(changed.recv().await, Some(Change::Event("foo.bar".into(), Table::default().with("a", 1))));
        let fake = provider.send_event("ubus.object.add", Table::default()).await;
        assert_eq!(fake, Err(CallError::Status(status::PERMISSION_DENIED)));
        provider.notify("test.obj", "state", &Table::default().with("n", 1)).unwrap();
        let state = Change::Notification("test.obj".into(), "state".into(), Table::default().with("n", 1));
        assert_eq!(changed.recv().await, Some(state));
    });
}

#[test]
fn a_large_answer_passes_whole() {
    let Some(ubusd) = Ubusd::start(&socket("large")) else { return skip("a_large_answer_passes_whole") };
    run(async {
        let (provider, _) = client(&ubusd.socket);
        let (asker, _changed) = client(&ubusd.socket);
        serve(&provider, "test.obj");
        published(&asker, "test.obj").await;
        let large = Table::default().with("text", "x".repeat(1_000_000).as_str());
        assert_eq!(asker.call("test.obj", "echo", &large).await, Ok(large));
    });
}

#[test]
fn a_new_ubusd_is_told_everything_again() {
    let path = socket("anew");
    let Some(ubusd) = Ubusd::start(&path) else { return skip("a_new_ubusd_is_told_everything_again") };
    run(async {
        let (provider, _) = client(&path);
        let (asker, mut changed) = client(&path);
        serve(&provider, "test.obj");
        asker.watch_object("test.*");
        published(&asker, "test.obj").await;
        drop(ubusd);
        let _ubusd = Ubusd::start(&path).unwrap();
        assert_eq!(changed.recv().await, Some(Change::BusRestarted));
        published(&asker, "test.obj").await;
        assert_eq!(asker.call("test.obj", "echo", &NONE).await, Ok(Table::default()));
        // The subscription follows the object's coming; ask until it is there.
        while changed.try_recv().is_err() {
            let _ = provider.notify("test.obj", "state", &NONE);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}
