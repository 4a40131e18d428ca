//! The agent's own object on a real ubus socket: its methods, its events, and callers that are up to no good.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/scene.rs"]
mod scene;

use scene::{SOON, Scene};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use usp_agent::backend::ubus::message::status;
use usp_agent::backend::ubus::{Client, json};
use usp_agent::backend::{CallError, Change, Table, Value};
use usp_agent::demo::controller::Controller;
use usp_agent::usp::endpoint_id::EndpointId;

const CONTROLLER: &str = "self::test";
const OBJECT: &str = "usp-agent";

/// A caller on the bus.
struct Caller {
    bus: Client,
    events: mpsc::Receiver<Change>,
}

impl Caller {
    fn on(scene: &Scene) -> Self {
        let (changes, events) = mpsc::channel(64);
        let (bus, driver) = Client::new(scene.router.socket(), SOON, changes);
        tokio::task::spawn_local(driver.run());
        bus.watch_event("usp-agent.*");
        Self { bus, events }
    }

    async fn ask(&self, method: &str, args: Table) -> (u32, serde_json::Value) {
        let until = Instant::now() + SOON;
        loop {
            match self.bus.ask(OBJECT, method, &args, SOON).await {
                Ok((code, data)) => return (code, json::table_to_json(&data)),
                Err(CallError::NotFound) if Instant::now() < until => {
                    tokio::time::sleep(Duration::from_millis(20)).await
                }
                Err(error) => panic!("{method}: {error:?}"),
            }
        }
    }

    async fn done(&self, method: &str, args: Table) -> serde_json::Value {
        let (code, data) = self.ask(method, args).await;
        assert_eq!(code, status::OK, "{method}: {data}");
        data
    }

    /// The data of the next event of this name.
    async fn event(&mut self, name: &str) -> serde_json::Value {
        let wanted = format!("{OBJECT}.{name}");
        let found = async {
            loop {
                match self.events.recv().await.unwrap() {
                    Change::Event(id, data) if *id == *wanted => return json::table_to_json(&data),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(SOON, found).await.unwrap_or_else(|_| panic!("no event {name}"))
    }
}

fn path(path: &str) -> Table {
    Table::default().with("path", path)
}

fn values(pairs: &[(&str, &str)]) -> Table {
    let values = pairs.iter().fold(Table::default(), |table, (name, value)| table.with(name, *value));
    Table::default().with("values", values)
}

/// A running agent with a controller that is connected.
async fn connected(scene: &mut Scene) -> (Controller, Caller) {
    let (mut controller, port) = Controller::on_websocket(&EndpointId::parse(CONTROLLER).unwrap()).unwrap();
    let caller = Caller::on(scene);
    scene.start(&format!(
        "config controller 'test'\n\toption url 'ws://127.0.0.1:{port}/usp'\n\toption EndpointID '{CONTROLLER}'\n\
         \toption AllowUnencrypted '1'\n\tlist role 'full'\n"
    ));
    controller.agent(SOON).await.unwrap();
    (controller, caller)
}

/// Every file of the router and of the agent, with its text and when it was written.
fn files(scene: &Scene) -> BTreeMap<String, (Vec<u8>, std::time::SystemTime)> {
    let mut all = BTreeMap::new();
    let mut folders = vec![scene.router.config_dir(), scene.router.state_dir(), scene.router.root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let file: &Path = &entry.path();
            if file.is_dir() {
                folders.push(file.into());
            } else if let Ok(bytes) = std::fs::read(file) {
                all.insert(file.display().to_string(), (bytes, entry.metadata().unwrap().modified().unwrap()));
            }
        }
    }
    all
}

#[test]
fn the_object_says_what_it_can_and_how_the_agent_fares() {
    Scene::play(|mut scene| async move {
        let (_controller, caller) = connected(&mut scene).await;
        let status = caller.done("status", Table::default()).await;
        assert_eq!(status["endpoint_id"], "os::00005E-00005E100001");
        let controller = &status["controllers"][0];
        assert_eq!((&controller["section"], &controller["connected"]), (&"test".into(), &true.into()), "{status}");
        let link = &controller["links"][0];
        assert_eq!((&link["transport"], &link["state"]), (&"WebSocket".into(), &"connected".into()), "{status}");
        assert!(link["address"].as_str().unwrap().starts_with("ws://127.0.0.1:"));
        let metrics = caller.done("metrics", Table::default()).await;
        assert_eq!((&metrics["controllers_connected"], &metrics["links_up"]), (&1.into(), &1.into()), "{metrics}");
        assert!(metrics["records_received"].as_i64().unwrap() + metrics["records_sent"].as_i64().unwrap() > 0);
    });
}

#[test]
fn a_link_that_fails_says_why_and_when_it_is_tried_again() {
    Scene::play(|mut scene| async move {
        let caller = Caller::on(&scene);
        scene.start(&format!(
            "config controller 'test'\n option url 'mqtt://u:hunter22@127.0.0.1:1'\n option EndpointID '{CONTROLLER}'\n"
        ));
        scene.until_logged("event=lost").await;
        let status = caller.done("status", Table::default()).await;
        let link = &status["controllers"][0]["links"][0];
        assert_eq!((&link["transport"], &link["state"]), (&"MQTT".into(), &"waiting".into()), "{status}");
        assert!(link["last_error"].as_str().is_some_and(|why| why.contains("127.0.0.1")), "{status}");
        assert!(link["next_try_seconds"].is_number() && !status.to_string().contains("hunter22"), "{status}");
    });
}

#[test]
fn requests_go_down_to_the_router() {
    Scene::play(|mut scene| async move {
        let (mut controller, mut caller) = connected(&mut scene).await;
        let got = caller.done("get", path("Device.DeviceInfo.HostName")).await;
        assert_eq!(got["values"]["Device.DeviceInfo.HostName"], "OpenWrt");
        let set = caller.done("set", path("Device.DeviceInfo.HostName").with("value", "castle")).await;
        assert_eq!(set["updated"]["Device.DeviceInfo.HostName"], "castle");
        assert_eq!(scene.router.applied(), ["system"], "announced once");
        assert_eq!(caller.event("config_applied").await["packages"], "system");
        assert_eq!(controller.value("Device.DeviceInfo.HostName").await.unwrap(), "castle");

        let client = [("BrokerAddress", "b.example"), ("Enable", "false")];
        let made = caller
            .done("add", Table(path("Device.MQTT.Client.").0.into_iter().chain(values(&client).0).collect()))
            .await;
        let row = made["created"][0]["path"].as_str().unwrap().to_owned();
        let rows = caller.done("instances", path("Device.MQTT.Client.")).await;
        assert_eq!(rows["instances"][0]["path"], row.as_str());
        let gone = caller.done("del", path(&row)).await;
        assert_eq!(gone["deleted"][0], row.as_str());
        let supported = caller.done("supported", path("Device.DeviceInfo.").with("first_level", true)).await;
        let params = &supported["objects"][0]["params"];
        assert_eq!(
            (&params["HostName"], &params["UpTime"]),
            (&"rw string".into(), &"ro unsignedInt".into()),
            "{supported}"
        );
    });
}

#[test]
fn what_is_refused_says_why_with_a_code_for_scripts() {
    Scene::play(|mut scene| async move {
        let (_controller, caller) = connected(&mut scene).await;
        for (method, args, code, text) in [
            ("get", path("Device.Nothing."), status::NOT_FOUND, "7026"),
            ("get", Table::default(), status::INVALID_ARGUMENT, "path or paths is missing"),
            ("set", path("Device.DeviceInfo.ModelName").with("value", "x"), status::UNKNOWN_ERROR, "7013"),
            ("set", path("Device.IP.Interface.3.Enable").with("value", "maybe"), status::INVALID_ARGUMENT, "Enable"),
            ("confirm", Table::default(), status::UNKNOWN_ERROR, "no change is on trial"),
            ("approve", Table::default().with("controller", "nobody"), status::NOT_FOUND, "there are: test"),
            ("watch", path("Device.Nothing."), status::NOT_FOUND, "7026"),
        ] {
            let (given, data) = caller.ask(method, args).await;
            assert!(given == code && data.to_string().contains(text), "{method}: {given} {data}");
        }
        let some = Table(vec![(
            "paths".into(),
            Value::Array(vec!["Device.DeviceInfo.HostName".into(), "Device.Nothing.".into()]),
        )]);
        let part = caller.done("get", some).await;
        assert_eq!(part["values"]["Device.DeviceInfo.HostName"], "OpenWrt");
        assert_eq!(part["errors"][0]["path"], "Device.Nothing.");
    });
}

#[test]
fn a_set_is_all_or_nothing() {
    Scene::play(|mut scene| async move {
        let (_controller, caller) = connected(&mut scene).await;
        let before = scene.router.config("system").unwrap();
        let pairs = [("Device.DeviceInfo.HostName", "castle"), ("Device.DeviceInfo.ModelName", "x")];
        let (code, data) = caller.ask("set", values(&pairs)).await;
        assert!(code != status::OK && data["error"]["message"].as_str().unwrap().contains("ModelName"), "{data}");
        assert_eq!(scene.router.config("system").unwrap(), before);
    });
}

#[test]
fn a_dry_run_tells_everything_and_touches_nothing() {
    Scene::play(|mut scene| async move {
        let (mut controller, mut caller) = connected(&mut scene).await;
        controller.value("Device.IP.Interface.3.Enable").await.unwrap();
        caller.done("get", path("Device.")).await;
        let before = files(&scene);
        let pairs = [("Device.IP.Interface.3.Enable", "false"), ("Device.DeviceInfo.HostName", "castle")];
        let told = caller.done("set", values(&pairs).with("dry_run", true)).await;
        assert_eq!(told["changes"]["network"], serde_json::json!(["network.wan.disabled: - -> 1"]), "{told}");
        assert!(told["changes"]["system"][0].as_str().unwrap().ends_with("hostname: OpenWrt -> castle"), "{told}");
        assert_eq!(told["reloads"], serde_json::json!(["network", "system"]), "{told}");
        assert_eq!((&told["undoable"], &told["dry_run"]), (&true.into(), &true.into()));
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(files(&scene) == before, "a file was touched");
        assert_eq!(scene.router.applied(), [""; 0]);
        while let Ok(event) = caller.events.try_recv() {
            assert!(!format!("{event:?}").contains("config_applied"), "{event:?}");
        }
        assert_eq!(controller.value("Device.DeviceInfo.HostName").await.unwrap(), "OpenWrt");
        let harmless =
            caller.done("set", path("Device.DeviceInfo.HostName").with("value", "castle").with("dry_run", true)).await;
        assert_eq!(harmless["undoable"], false);
    });
}

#[test]
fn a_change_on_trial_is_seen_confirmed_and_undone() {
    Scene::play(|mut scene| async move {
        let (_controller, mut caller) = connected(&mut scene).await;
        let before = scene.router.config("dhcp").unwrap();
        let lease = |seconds: &str| path("Device.DHCPv4.Server.Pool.1.LeaseTime").with("value", seconds);
        let set = caller.done("set", lease("7200")).await;
        assert!(set["on_trial_seconds"].as_i64().is_some_and(|left| left > 60), "{set}");
        let status = caller.done("status", Table::default()).await;
        assert_eq!(
            (&status["on_trial"]["packages"][0], &status["on_trial"]["waits_for"][0]),
            (&"dhcp".into(), &"test".into())
        );
        assert_eq!(caller.done("revert", Table::default()).await["packages"][0], "dhcp");
        assert_eq!(scene.router.config("dhcp").unwrap(), before);
        let told = caller.event("reverted").await;
        assert_eq!((&told["packages"], &told["cause"]), (&"dhcp".into(), &"asked-for".into()));
        caller.done("set", lease("3600")).await;
        assert_eq!(caller.done("confirm", Table::default()).await["packages"][0], "dhcp");
        caller.event("confirmed").await;
        assert!(!scene.router.state_dir().join("uci-undo").exists());
        let metrics = caller.done("metrics", Table::default()).await;
        assert_eq!((&metrics["config_applied"], &metrics["config_reverted"]), (&3.into(), &1.into()), "{metrics}");
    });
}

#[test]
fn connections_are_told_as_events() {
    Scene::play(|mut scene| async move {
        let (controller, mut caller) = connected(&mut scene).await;
        assert_eq!(caller.event("connected").await["controller"], "test");
        drop(controller);
        let told = caller.event("disconnected").await;
        assert_eq!((&told["endpoint_id"], &told["transport"]), (&CONTROLLER.into(), &"WebSocket".into()));
    });
}

#[test]
fn an_operation_is_waited_for_or_not() {
    Scene::play(|mut scene| async move {
        let (_controller, mut caller) = connected(&mut scene).await;
        let ping = || {
            let input =
                Table::default().with("Host", "127.0.0.1").with("ProtocolVersion", "IPv4").with("Timeout", "1000");
            let input = input.with("NumberOfRepetitions", 3).with("DataBlockSize", "32");
            path("Device.IP.Diagnostics.IPPing").with("input", input)
        };
        let done = caller.done("operate", ping()).await;
        assert_eq!(done["output"]["SuccessCount"], "3", "{done}");
        caller.event("operation_complete").await;
        let started = caller.done("operate", ping().with("wait", false)).await;
        let told = caller.event("operation_complete").await;
        assert_eq!(told["request"], started["request"], "{told}");
        assert_eq!(told["output"]["SuccessCount"], "3");
        let (code, data) = caller.ask("operate", path("Device.IP.Diagnostics.IPPing()")).await;
        assert!(code == status::INVALID_ARGUMENT && data["error"]["code"] == 7027, "{data}");
    });
}

#[test]
fn changes_and_records_are_told_to_who_asks() {
    Scene::play(|mut scene| async move {
        let (mut controller, mut caller) = connected(&mut scene).await;
        caller.done("watch", path("Device.DeviceInfo.HostName").with("seconds", 30)).await;
        let changed = scene.router.config("system").unwrap().replace("'OpenWrt'", "'behind'");
        scene.router.write_config("system", &changed).unwrap();
        let told = caller.event("changed").await;
        assert_eq!((&told["path"], &told["value"]), (&"Device.DeviceInfo.HostName".into(), &"behind".into()));
        caller.done("trace", Table::default().with("seconds", 30)).await;
        controller.set("Device.WiFi.AccessPoint.1.Security.", &[("KeyPassphrase", "hunter2222")]).await.unwrap();
        let request = caller.event("trace").await;
        assert_eq!((&request["direction"], &request["controller"]), (&"in".into(), &CONTROLLER.into()));
        let text = request["text"].as_str().unwrap();
        assert!(text.starts_with("Set msg_id=") && text.contains("KeyPassphrase = (secret)"), "{text}");
        let response = caller.event("trace").await;
        assert!(
            response["direction"] == "out" && response["text"].as_str().unwrap().starts_with("SetResp"),
            "{response}"
        );
        assert!(!scene.log().contains("hunter2222"));
    });
}

#[test]
fn callers_that_flood_and_go_away_stop_nobody() {
    Scene::play(|mut scene| async move {
        let (mut controller, caller) = connected(&mut scene).await;
        caller.done("status", Table::default()).await;
        for _ in 0..3 {
            let rude = Caller::on(&scene);
            let everything = path("Device.");
            let calls = (0..200).map(|_| rude.bus.ask(OBJECT, "get", &everything, SOON));
            let all = futures_util::future::join_all(calls);
            // Gone before it was answered.
            let _ = tokio::time::timeout(Duration::from_millis(300), all).await;
        }
        let begun = Instant::now();
        assert_eq!(controller.value("Device.DeviceInfo.ModelName").await.unwrap(), "Demo Router");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        let until = Instant::now() + SOON;
        while caller.bus.ask(OBJECT, "status", &Table::default(), SOON).await.is_ok_and(|(code, _)| code != 0) {
            assert!(Instant::now() < until);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(!scene.log().contains("ubus: not connected"), "{}", scene.log());
        assert_eq!(controller.sessions(), 1);
    });
}

#[test]
fn the_object_comes_back_with_a_new_ubusd() {
    Scene::play(|mut scene| async move {
        let (_controller, caller) = connected(&mut scene).await;
        caller.done("status", Table::default()).await;
        scene.router.bus().restart();
        let until = Instant::now() + SOON;
        while !matches!(caller.bus.ask(OBJECT, "status", &Table::default(), SOON).await, Ok((0, _))) {
            assert!(Instant::now() < until, "{}", scene.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}
