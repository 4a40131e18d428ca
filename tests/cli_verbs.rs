//! The verbs that speak to a running agent, as a person or a script meets them: the real program twice, over a real
//! ubus socket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/scene.rs"]
mod scene;

use scene::{SOON, Scene, end_of};
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use usp_agent::demo::controller::Controller;
use usp_agent::usp::endpoint_id::EndpointId;

const CONTROLLER: &str = "self::test";

/// A verb that runs, with what it says.
struct Running {
    child: Child,
    files: [std::path::PathBuf; 2],
}

impl Running {
    fn of(scene: &Scene, args: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let file = |what: &str| scene.router.state_dir().with_extension(format!("{what}{number}"));
        let files = [file("out"), file("err")];
        let mut command = Command::new(env!("CARGO_BIN_EXE_usp-agent"));
        command.args(args).arg("--ubus").arg(scene.router.socket()).stdin(Stdio::null());
        command.stdout(File::create(&files[0]).unwrap()).stderr(File::create(&files[1]).unwrap());
        Self { child: command.spawn().unwrap(), files }
    }

    /// Exit code, stdout, stderr.
    async fn ended(self) -> (i32, String, String) {
        let code = end_of(self.child).await.code().unwrap();
        let text = |at: usize| std::fs::read_to_string(&self.files[at]).unwrap();
        (code, text(0), text(1))
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.files[0]).unwrap()
    }
}

async fn run(scene: &Scene, args: &[&str]) -> (i32, String, String) {
    Running::of(scene, args).ended().await
}

/// What a verb that succeeds prints.
async fn shown(scene: &Scene, args: &[&str]) -> String {
    let (code, out, err) = run(scene, args).await;
    assert_eq!((code, err.as_str()), (0, ""), "{args:?}: {out}");
    out
}

async fn json(scene: &Scene, args: &[&str]) -> serde_json::Value {
    let out = shown(scene, &[args, &["--json"]].concat()).await;
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

async fn connected(scene: &mut Scene, more: &str) -> Controller {
    let (mut controller, port) = Controller::on_websocket(&EndpointId::parse(CONTROLLER).unwrap()).unwrap();
    scene.start(&format!(
        "config controller 'test'\n\toption url 'ws://127.0.0.1:{port}/usp'\n\toption EndpointID '{CONTROLLER}'\n\
         \toption AllowUnencrypted '1'\n\tlist role 'full'\n{more}"
    ));
    controller.agent(SOON).await.unwrap();
    controller
}

#[test]
fn status_is_one_look() {
    Scene::play(|mut scene| async move {
        let broken = "config controller 'away'\n\toption url 'ws://127.0.0.1:1/'\n\toption EndpointID 'self::away'\n";
        let _controller = connected(&mut scene, broken).await;
        scene.until_logged("event=lost").await;
        let text = shown(&scene, &["status"]).await;
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("usp-agent ") && lines[0].contains("os::00005E-00005E100001"), "{text}");
        assert!(lines[1].starts_with("CONTROLLER  STATE"), "{text}");
        let words: Vec<&str> = lines[2].split_whitespace().collect();
        assert_eq!(words[..3], ["test", "connected,", "plain"], "{text}");
        assert!(lines[3].starts_with("away        waiting") && lines[3].contains("127.0.0.1:1"), "{text}");
        assert_eq!(lines[1].find("LINK"), lines[2].find("ws://"), "aligned\n{text}");
        let json = json(&scene, &["status"]).await;
        assert_eq!(json["controllers"][0]["connected"], true);
        let metrics = shown(&scene, &["status", "--metrics"]).await;
        assert!(metrics.contains("controllers_connected  1\n"), "{metrics}");
    });
}

#[test]
fn values_are_read_and_written() {
    Scene::play(|mut scene| async move {
        let _controller = connected(&mut scene, "").await;
        let host = "Device.DeviceInfo.HostName";
        assert_eq!(shown(&scene, &["get", host]).await, format!("{host}  OpenWrt\n"));
        assert_eq!(shown(&scene, &["get", host, "--value"]).await, "OpenWrt\n");
        assert_eq!(json(&scene, &["get", host]).await["values"][host], "OpenWrt");
        assert_eq!(shown(&scene, &["set", "Device.DeviceInfo.HostName=castle"]).await, format!("{host}  castle\n"));
        assert!(scene.router.config("system").unwrap().contains("option hostname 'castle'"));
        let row = shown(&scene, &["add", "Device.MQTT.Client.", "BrokerAddress=b.example", "Enable=false"]).await;
        let row = row.split_whitespace().next().unwrap().to_owned();
        let address = format!("{row}BrokerAddress");
        assert_eq!(shown(&scene, &["get", &address, "--value"]).await, "b.example\n");
        let gone = shown(&scene, &["del", &row]).await;
        assert!(gone.starts_with(&format!("{row}\non trial: ")), "{gone}");
        let tree = shown(&scene, &["tree", "Device.DeviceInfo."]).await;
        let host_name = tree.lines().find(|line| line.contains(" HostName ")).unwrap();
        assert!(host_name.ends_with("rw string"), "{tree}");
        assert!(shown(&scene, &["tree"]).await.lines().any(|line| line.starts_with("Device.WiFi.Radio.{i}.")));
    });
}

#[test]
fn what_fails_says_why_and_what_to_do_next() {
    Scene::play(|mut scene| async move {
        let (code, out, err) = run(&scene, &["status"]).await;
        assert_eq!((code, out.as_str()), (5, ""));
        assert!(err.contains("/etc/init.d/usp-agent start"), "{err}");
        let _controller = connected(&mut scene, "").await;
        for (args, code, text) in [
            (&["get", "Device.Nothing."][..], 6, "`usp-agent tree` shows what there is"),
            (
                &["set", "Device.DeviceInfo.ModelName=x"],
                6,
                "Device.DeviceInfo.ModelName: ModelName is read-only (7013)",
            ),
            (&["operate", "Device.IP.Diagnostics.IPPing"], 6, "(7027)"),
            (&["confirm"], 6, "no change is on trial"),
            (&["approve", "nobody"], 6, "there are: test"),
            (&["set", "Device.DeviceInfo.HostName"], 2, "is not NAME=VALUE"),
            (&["get"], 2, "usp-agent get Device.DeviceInfo."),
            (&["watch", "Device.", "--count", "x"], 2, "--count and --seconds take a number"),
        ] {
            let (given, out, err) = run(&scene, args).await;
            assert_eq!((given, out.as_str()), (code, ""), "{args:?}: {err}");
            assert!(err.contains(text), "{args:?}: {err}");
        }
        let (code, out, err) = run(&scene, &["get", "Device.DeviceInfo.HostName", "Device.Nothing."]).await;
        assert_eq!((code, out.as_str()), (6, "Device.DeviceInfo.HostName  OpenWrt\n"));
        assert!(err.contains("Device.Nothing."), "{err}");
        let (code, out, _) = run(&scene, &["get", "Device.Nothing.", "--json"]).await;
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, &json["error"]["code"]), (6, &7026.into()));
    });
    let output = Command::new(env!("CARGO_BIN_EXE_usp-agent")).args(["status", "--ubus", "/nowhere"]).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert!(String::from_utf8(output.stderr).unwrap().contains("is ubusd running"));
}

#[test]
fn a_dry_run_shows_what_would_change() {
    Scene::play(|mut scene| async move {
        let _controller = connected(&mut scene, "").await;
        let before = scene.router.config("network").unwrap();
        let text = shown(&scene, &["set", "--dry-run", "Device.IP.Interface.3.Enable=false"]).await;
        let expected = "/etc/config/network\n  network.wan.disabled: - -> 1\nservices that would be reloaded: network\n\
                        it may cut the way to a controller: it would be undone unless one is heard of\n";
        assert_eq!(text, expected);
        let text = shown(&scene, &["set", "--dry-run", "Device.DeviceInfo.HostName=OpenWrt"]).await;
        assert_eq!(text, "nothing would change\n");
        assert_eq!((scene.router.config("network").unwrap(), scene.router.applied()), (before, Vec::new()));
        assert_eq!(json(&scene, &["set", "--dry-run", "Device.IP.Interface.3.Enable=false"]).await["undoable"], true);
    });
}

#[test]
fn a_change_on_trial_is_kept_or_undone() {
    Scene::play(|mut scene| async move {
        let _controller = connected(&mut scene, "").await;
        let lease = "Device.DHCPv4.Server.Pool.1.LeaseTime=7200";
        let text = shown(&scene, &["set", lease]).await;
        assert!(text.contains("on trial: undone in ") && text.contains("`usp-agent confirm`"), "{text}");
        assert!(shown(&scene, &["status"]).await.contains("on trial: dhcp; undone in "));
        assert_eq!(shown(&scene, &["revert"]).await, "as before: dhcp\n");
        shown(&scene, &["set", lease]).await;
        assert_eq!(shown(&scene, &["confirm"]).await, "kept: dhcp\n");
        assert!(scene.router.config("dhcp").unwrap().contains("leasetime '2h'"));
    });
}

#[test]
fn a_command_is_waited_for() {
    Scene::play(|mut scene| async move {
        let _controller = connected(&mut scene, "").await;
        let ping = [
            "operate",
            "Device.IP.Diagnostics.IPPing",
            "Host=127.0.0.1",
            "ProtocolVersion=IPv4",
            "NumberOfRepetitions=3",
            "Timeout=1000",
            "DataBlockSize=32",
        ];
        let text = shown(&scene, &ping).await;
        assert!(text.lines().any(|line| line.split_whitespace().eq(["SuccessCount", "3"])), "{text}");
        assert_eq!(json(&scene, &ping).await["output"]["SuccessCount"], "3");
        let request = shown(&scene, &[&ping[..], &["--no-wait"]].concat()).await;
        assert!(request.starts_with("Request  Device.LocalAgent.Request."), "{request}");
    });
}

#[test]
fn what_goes_on_is_printed_as_it_comes() {
    Scene::play(|mut scene| async move {
        let mut controller = connected(&mut scene, "").await;
        let watch = Running::of(&scene, &["watch", "Device.DeviceInfo.HostName", "--count", "1"]);
        let trace = Running::of(&scene, &["trace", "--count", "2"]);
        scene.until_logged("method=watch").await;
        scene.until_logged("method=trace").await;
        controller.set("Device.DeviceInfo.", &[("HostName", "castle")]).await.unwrap();
        assert_eq!(watch.ended().await, (0, "Device.DeviceInfo.HostName = castle\n".into(), String::new()));
        let (code, text, _) = trace.ended().await;
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((code, lines.len()), (0, 4), "{text}");
        assert!(lines[0].starts_with("<- self::test Set msg_id="), "{text}");
        assert_eq!(lines[1].trim(), "Device.DeviceInfo.HostName = castle");
        assert!(lines[2].starts_with("-> self::test SetResp"), "{text}");
        let mut watch = Running::of(&scene, &["watch", "Device.DeviceInfo.HostName", "--json"]);
        let until = Instant::now() + SOON;
        while scene.log().matches("method=watch").count() < 2 {
            assert!(Instant::now() < until, "{}", scene.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        shown(&scene, &["set", "Device.DeviceInfo.HostName=tower"]).await;
        while watch.said().is_empty() {
            assert!(Instant::now() < until, "{}", scene.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let told: serde_json::Value = serde_json::from_str(watch.said().lines().next().unwrap()).unwrap();
        assert_eq!(told["value"], "tower");
        watch.child.kill().unwrap();
        watch.child.wait().unwrap();
    });
}

#[test]
fn a_report_is_one_archive_without_secrets() {
    Scene::play(|mut scene| async move {
        let more = "config mqtt 'm'\n\toption Password 'hunter22'\n\toption Enable '0'\n\toption BrokerAddress 'b'\n
config controller 'far'\n\toption EndpointID 'self::far'\n\toption url 'mqtt://u:hunter22@127.0.0.1:1'\n";
        let _controller = connected(&mut scene, more).await;
        let file = scene.router.state_dir().with_extension("tar.gz");
        let (path, config) = (file.to_str().unwrap().to_owned(), scene.router.config_dir());
        let said = shown(&scene, &["diag", &path, "--config-dir", config.to_str().unwrap()]).await;
        assert!(said.contains("look before you share"), "{said}");
        let list = Command::new("tar").args(["tzvf", &path]).output().unwrap();
        assert!(list.status.success(), "{list:?}");
        let unpacked = Command::new("tar").args(["xzOf", &path]).output().unwrap();
        let text = String::from_utf8(unpacked.stdout).unwrap();
        for expected in ["usp-agent 0.", "config mqtt 'm'", "\"controllers\"", "\"links_up\"", "Demo Router"] {
            assert!(text.contains(expected), "`{expected}` is not in\n{text}");
        }
        assert!(!text.contains("hunter22"), "{text}");
    });
}

#[test]
fn a_controller_is_connected_with_one_command() {
    Scene::play(|mut scene| async move {
        let (mut controller, port) = Controller::on_websocket(&EndpointId::parse(CONTROLLER).unwrap()).unwrap();
        let (url, folder) = (format!("ws://127.0.0.1:{port}/usp"), scene.router.config_dir());
        let connect = ["connect", &url, "--id", CONTROLLER, "--name", "acs", "--config-dir", folder.to_str().unwrap()];
        let (code, out, err) = run(&scene, &connect).await;
        assert_eq!((code, out.lines().count()), (5, 1), "it is written, but nobody is there to read it: {out}{err}");
        assert!(out.starts_with("acs: written to ") && err.contains("/etc/init.d/usp-agent start"), "{out}{err}");
        let other = "config localagent 'agent'\n\toption log_level 'debug'\n";
        scene.start(other);
        let out = shown(&scene, &[&connect[..], &["--role", "full"]].concat()).await;
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[1], format!("acs: connected to {url} as os::00005E-00005E100001"));
        assert!(lines[2].starts_with("without TLS its role does not count: "), "{out}");
        assert!(scene.router.config("usp-agent").unwrap().contains(other));
        controller.agent(SOON).await.unwrap();
        let out = shown(&scene, &[&connect[..], &["--allow-unencrypted"]].concat()).await;
        assert_eq!(out.lines().count(), 2, "{out}");
        controller.set("Device.DeviceInfo.", &[("HostName", "castle")]).await.unwrap();
        let before = scene.router.config("usp-agent").unwrap();
        let second = ["connect", &url, "--id", "self::b", "--config-dir", folder.to_str().unwrap()];
        let (code, out, err) = run(&scene, &second).await;
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.contains("controller 'acs' is at that place already; --name acs changes it"), "{err}");
        assert_eq!(scene.router.config("usp-agent").unwrap(), before);
        let away = ["connect", "ws://127.0.0.1:1/", "--id", "self::b", "--config-dir", folder.to_str().unwrap()];
        let (code, _, err) = run(&scene, &away).await;
        assert_eq!(code, 1, "{err}");
        assert!(err.contains("127.0.0.1:1") && err.contains("tried again in "), "{err}");
    });
}

#[test]
fn a_password_is_read_from_a_file() {
    Scene::play(|scene| async move {
        let (folder, file) = (scene.router.config_dir(), scene.router.config_dir().with_extension("password"));
        let connect = |file| {
            let config_dir = ["--config-dir", folder.to_str().unwrap(), "--password-file", file];
            [&["connect", "ws://127.0.0.1:1", "--preset", "oktopus"][..], &config_dir].concat()
        };
        let (code, _, err) = run(&scene, &connect("/nowhere")).await;
        assert!(code == 2 && err.contains("--password-file /nowhere: "), "{err}");
        std::fs::write(&file, "pass word\n").unwrap();
        let (_, out, err) = run(&scene, &connect(file.to_str().unwrap())).await;
        let config = scene.router.config("usp-agent").unwrap();
        assert!(config.contains("option Password 'pass word'") && config.contains("'oktopusController'"), "{config}");
        assert!(err.contains("no password for an endpoint id"), "{err}");
        assert!(!format!("{out}{err}").contains("pass word"));
        std::fs::write(&file, "\n").unwrap();
        let (code, _, err) = run(&scene, &connect(file.to_str().unwrap())).await;
        assert!(code == 2 && err.contains("holds no password"), "{err}");
    });
}

#[test]
fn subscriptions_roles_and_reload() {
    Scene::play(|mut scene| async move {
        let more = "config controller 'new'\n\toption EndpointID 'self::new'\n\toption url 'listen ws://127.0.0.1:0/'\n
config subscription 's'\n\toption controller 'test'\n\toption ID 'boot'\n\toption NotifType 'Event'\n\tlist ReferenceList 'Device.Boot!'\n\toption Persistent '1'\n";
        let _controller = connected(&mut scene, more).await;
        let text = shown(&scene, &["subs"]).await;
        let words: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(words, ["1", "boot", "self::test", "Event", "on", "Device.Boot!"], "{text}");
        let (code, _, err) = run(&scene, &["approve", "self::new"]).await;
        assert!(code == 6 && err.contains("name a role; there are: full, readonly, untrusted"), "{err}");
        assert_eq!(
            shown(&scene, &["approve", "self::new", "--role", "readonly"]).await,
            "it has the role readonly now\n"
        );
        assert!(scene.router.config("usp-agent").unwrap().contains("list role 'readonly'"));
        shown(&scene, &["reload"]).await;
        scene.until_logged("event=reload reason=root").await;
    });
}
