//! Backup() and Restore(): the program, a simulated router, a controller, and a server that takes and gives files. What
//! cuts the router off is in `confirmed_change.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/http_server.rs"]
mod http_server;
#[path = "support/scene.rs"]
mod scene;

use certificates::{Asked, Authority};
use http_server::{HttpServer, Turn};
use rustix::process::Signal;
use scene::{SOON, Scene};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;
use tokio::time::sleep;
use usp_agent::demo::controller::{Controller, Operated, Trouble};
use usp_agent::usp::endpoint_id::EndpointId;
use usp_agent::usp::wire::msg::notify::operation_complete::OperationResp;
use usp_agent::usp::wire::msg::notify::{Event, Notification};

const CONTROLLER: &str = "self::test";
/// May see passwords, and use plain http.
const LAB: &str = "\tlist SecuredRoles 'full'\n\toption AllowUnencryptedBackup '1'\n";

/// A controller that hears of every end; `more` are options of the agent, `sections` stand behind.
async fn connected(scene: &mut Scene, more: &str, sections: &str) -> Controller {
    let own_id = EndpointId::parse(CONTROLLER).unwrap();
    let (mut controller, port) = Controller::on_websocket(&own_id).unwrap();
    scene.start(&format!(
        "config localagent\n{more}\nconfig controller 'test'\n\toption url 'ws://127.0.0.1:{port}/usp'\n\toption EndpointID '{CONTROLLER}'\n\toption AllowUnencrypted '1'\n\tlist role 'full'\n{sections}"
    ));
    controller.agent(SOON).await.unwrap();
    let subscriptions = [
        ("done", "OperationComplete", "Device.DeviceInfo."),
        ("transfer", "Event", "Device.LocalAgent.TransferComplete!"),
        ("name", "ValueChange", "Device.DeviceInfo.HostName"),
    ];
    for (id, kind, reference) in subscriptions {
        let settings =
            [("Enable", "true"), ("Persistent", "true"), ("ID", id), ("NotifType", kind), ("ReferenceList", reference)];
        controller.add("Device.LocalAgent.Subscription.", &settings).await.unwrap();
    }
    controller
}

async fn heard(controller: &mut Controller, id: &str) -> Notification {
    let told = controller.notification(SOON, |notify| notify.subscription_id == id).await.unwrap();
    told.notification.unwrap()
}

async fn transfer(controller: &mut Controller) -> Event {
    match heard(controller, "transfer").await {
        Notification::Event(event) => event,
        other => panic!("{other:?}"),
    }
}

/// How the command ended: 0 or the error.
async fn done(controller: &mut Controller) -> (u32, String) {
    let Notification::OperComplete(done) = heard(controller, "done").await else { panic!("no OperationComplete") };
    match done.operation_resp.unwrap() {
        OperationResp::ReqOutputArgs(output) => {
            assert!(output.output_args.is_empty(), "{output:?}");
            (0, String::new())
        }
        OperationResp::CmdFailure(failure) => (failure.err_code, failure.err_msg),
    }
}

fn row(package: &str) -> String {
    format!("Device.DeviceInfo.VendorConfigFile.[Name==\"/etc/config/{package}\"].")
}

/// Username and Password are mandatory.
fn whole<'a>(input: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let missing = ["Username", "Password"].into_iter().filter(|name| input.iter().all(|(given, _)| given != name));
    input.iter().copied().chain(missing.map(|name| (name, ""))).collect()
}

async fn start(controller: &mut Controller, command: &str, input: &[(&str, &str)]) -> String {
    match controller.operate(command, "key", &whole(input)).await.unwrap() {
        Operated::Request(request) => request,
        other => panic!("{other:?}"),
    }
}

/// The code with which a command is refused at once, for a reason that speaks of `why`.
async fn refused(controller: &mut Controller, command: &str, input: &[(&str, &str)], why: &str) -> u32 {
    match controller.operate(command, "key", &whole(input)).await {
        Err(Trouble::Failed { code, text, .. }) if text.contains(why) => code,
        other => panic!("{other:?}"),
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The file of a package is the one of before, not one that says the same.
fn inode(scene: &Scene, package: &str) -> u64 {
    std::fs::metadata(scene.router.config_dir().join(package)).unwrap().ino()
}

#[test]
fn what_was_backed_up_comes_back() {
    Scene::play(|mut scene| async move {
        let authority = Authority::new("files");
        let issued = authority.issue(Asked { names: &["localhost"], ..Asked::default() });
        let server = HttpServer::secure(Vec::new(), &issued.certificate, &issued.key).await;
        server.require("Basic bWU6cGFzc3dvcmQ=");
        let more = format!("\tlist SecuredRoles 'full'\n\toption ca_file '{}'\n", authority.file.display());
        let mut controller = connected(&mut scene, &more, "").await;
        let (url, before) = (server.url("system?token=hush"), scene.router.config("system").unwrap());
        let place = [("URL", url.as_str()), ("Username", "me"), ("Password", "password")];
        start(&mut controller, &format!("{}Backup()", row("system")), &place).await;
        let told = transfer(&mut controller).await.params;
        assert_eq!((told["TransferType"].as_str(), told["FaultCode"].as_str()), ("Upload", "0"));
        assert_eq!(told["TransferURL"], url);
        assert_eq!(done(&mut controller).await, (0, String::new()));
        let file = server.bodies().remove(0);
        let text = String::from_utf8(file.clone()).unwrap();
        assert_eq!(text, format!("package system\n{}\n", before.trim_end_matches('\n').to_owned() + "\n"));

        controller.set("Device.DeviceInfo.", &[("HostName", "changed")]).await.unwrap();
        heard(&mut controller, "name").await;
        server.serve(file.clone());
        let (sum, size) = (sha256(&file), file.len().to_string());
        let more = [
            ("FileSize", size.as_str()),
            ("TargetFileName", "system"),
            ("CheckSumAlgorithm", "SHA-256"),
            ("CheckSum", &sum),
        ];
        let input: Vec<_> = place.into_iter().chain(more).collect();
        let restore = format!("{}Restore()", row("system"));
        start(&mut controller, &restore, &input).await;
        let told = transfer(&mut controller).await.params;
        assert_eq!((told["TransferType"].as_str(), told["FaultCode"].as_str()), ("Download", "0"));
        assert_eq!(told["CheckSum"], sum);
        assert_eq!(done(&mut controller).await, (0, String::new()));
        scene.until_logged("event=change_on_trial packages=system").await;
        let Notification::ValueChange(change) = heard(&mut controller, "name").await else { panic!() };
        assert_eq!(change.param_value, "OpenWrt");
        assert_eq!(scene.router.config("system").unwrap().trim(), before.trim());
        assert_eq!(scene.router.applied().iter().filter(|package| *package == "system").count(), 2);

        // What is the same is not written.
        let written = inode(&scene, "system");
        start(&mut controller, &restore, &input).await;
        assert_eq!(done(&mut controller).await, (0, String::new()));
        assert_eq!(inode(&scene, "system"), written);
        // One that somebody broke is put right.
        scene.router.write_config("system", "config system\n\toption\n").unwrap();
        start(&mut controller, &restore, &input).await;
        assert_eq!(done(&mut controller).await, (0, String::new()));
        assert_eq!(scene.router.config("system").unwrap().trim(), before.trim());
        let log = scene.log();
        assert!(!log.contains("hush") && !log.contains("password"), "{log}");
    });
}

#[test]
fn a_file_that_is_none_changes_nothing() {
    Scene::play(|mut scene| async move {
        let server = HttpServer::plain(Vec::new()).await;
        let mut controller = connected(&mut scene, LAB, "").await;
        let (restore, url, before) =
            (format!("{}Restore()", row("wireless")), server.url("f"), inode(&scene, "wireless"));
        let good = b"package wireless\nconfig wifi-iface 'a'\n\toption key 'topsecret'\n".to_vec();
        let files: [(&[u8], &str); 6] = [
            (b"<html>no such file</html>\n", "invalid command at line 1"),
            (b"", "no sections"),
            (b"package network\nconfig wifi-iface 'a'\n", "another package at line 1"),
            (b"config wifi-iface 'a'\n\toption key 'topsecret\n", "unterminated"),
            (b"option key 'topsecret'\n", "before the first section"),
            (b"config wifi-iface 'a'\n\0", "NUL"),
        ];
        for (file, why) in files {
            server.serve(file.to_vec());
            start(&mut controller, &restore, &[("URL", &url)]).await;
            let (code, text) = done(&mut controller).await;
            assert!(code == 7022 && text.contains(why), "{code} {text}");
        }
        server.serve(good.clone());
        let sum = [("URL", &*url), ("CheckSumAlgorithm", "SHA-1"), ("CheckSum", "00")];
        start(&mut controller, &restore, &sum).await;
        assert!(matches!(done(&mut controller).await, (7022, why) if why.contains("checksum")));
        for turn in [Turn::BreakAt(30), Turn::Status("404 Gone")] {
            server.plan(&[turn]);
            start(&mut controller, &restore, &[("URL", &url)]).await;
            assert_eq!(done(&mut controller).await.0, 7022);
        }
        start(&mut controller, &restore, &[("URL", &url), ("FileSize", "2000000")]).await;
        assert_eq!(done(&mut controller).await.0, 7005);
        server.serve(vec![b'#'; 1_100_000]);
        start(&mut controller, &restore, &[("URL", &url)]).await;
        assert_eq!(done(&mut controller).await.0, 7005);
        let elsewhere = [("URL", &*url), ("TargetFileName", "/etc/config/firewall")];
        assert_eq!(refused(&mut controller, &restore, &elsewhere, "TargetFileName").await, 7027);
        let unknown = [("URL", &*url), ("CheckSumAlgorithm", "SHA-224"), ("CheckSum", "00")];
        assert_eq!(refused(&mut controller, &restore, &unknown, "CheckSumAlgorithm").await, 7027);
        assert_eq!(inode(&scene, "wireless"), before);
        assert!(!scene.log().contains("topsecret"));
    });
}

#[test]
fn over_plain_http_nothing_goes_unless_the_owner_allows_it() {
    Scene::play(|mut scene| async move {
        let server = HttpServer::plain(Vec::new()).await;
        let mut controller = connected(&mut scene, "\tlist SecuredRoles 'full'\n", "").await;
        let url = server.url("f");
        for command in ["Backup()", "Restore()"] {
            let command = format!("{}{command}", row("wireless"));
            assert_eq!(refused(&mut controller, &command, &[("URL", &url)], "https").await, 7027);
        }
        assert!(server.heads().is_empty());
    });
}

#[test]
fn the_file_is_for_a_role_that_may_do_all_of_it() {
    Scene::play(|mut scene| async move {
        let server = HttpServer::plain(b"config system\n\toption hostname 'mine'\n".to_vec()).await;
        let lab = "\toption AllowUnencryptedBackup '1'\n";
        let mut controller = connected(&mut scene, lab, "").await;
        let (backup, restore) = (format!("{}Backup()", row("system")), format!("{}Restore()", row("system")));
        let url = server.url("f");
        // Passwords are for secured roles.
        let what = "(/etc/config/usp-agent, section localagent: list SecuredRoles 'ROLE')";
        assert_eq!(refused(&mut controller, &backup, &[("URL", &url)], what).await, 7006);
        assert!(server.bodies().is_empty());
        start(&mut controller, &restore, &[("URL", &url)]).await;
        assert_eq!(done(&mut controller).await.0, 0);
        // All but one object is not all.
        let but = "config permission 'all'\n\toption role 'full'\n\toption Order '1'\n\tlist Targets 'Device.'\n\toption Param 'rw-n'\n\toption Obj 'rw-n'\n\toption InstantiatedObj 'rw-n'\n\toption CommandEvent 'r-xn'\n
config permission 'but'\n\toption role 'full'\n\toption Order '2'\n\tlist Targets 'Device.WiFi.'\n\toption Param 'r--n'\n\toption Obj 'r---'\n\toption InstantiatedObj 'r---'\n";
        scene.signal(Signal::TERM);
        scene.ended().await;
        let mut controller = connected(&mut scene, LAB, &format!("config role 'full'\n{but}")).await;
        assert_eq!(refused(&mut controller, &restore, &[("URL", &url)], "everything").await, 7006);
        start(&mut controller, &backup, &[("URL", &url)]).await;
        assert_eq!(done(&mut controller).await.0, 0);
        assert!(server.bodies()[0].starts_with(b"package system\n\nconfig system\n\toption hostname 'mine'\n"));
        // A secured role that may not read all of it.
        scene.signal(Signal::TERM);
        scene.ended().await;
        let blind = but.replace("Param 'r--n'", "Param '---n'");
        let mut controller = connected(&mut scene, LAB, &format!("config role 'full'\n{blind}")).await;
        assert_eq!(refused(&mut controller, &backup, &[("URL", &url)], "read all of Device.").await, 7006);
    });
}

#[test]
fn canceled_or_killed_in_the_middle_nothing_has_changed() {
    Scene::play(|mut scene| async move {
        let mut file = b"config system\n\toption hostname 'mine'\n".to_vec();
        file.resize(100_000, b'#');
        let server = HttpServer::plain(file).await;
        server.plan(&[Turn::Trickle, Turn::Trickle]);
        let mut controller = connected(&mut scene, LAB, "").await;
        let (restore, url, before) = (format!("{}Restore()", row("system")), server.url("f"), inode(&scene, "system"));
        let request = start(&mut controller, &restore, &[("URL", &url)]).await;
        assert_eq!(refused(&mut controller, &restore, &[("URL", &url)], "under way").await, 7005);
        controller.operate(&format!("{request}.Cancel()"), "", &[]).await.unwrap();
        assert_eq!(transfer(&mut controller).await.params["FaultCode"], "7023");
        assert_eq!(done(&mut controller).await.0, 7023);
        // Takes a connection and says nothing.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let nowhere = format!("http://{}/f", silent.local_addr().unwrap());
        let backup = format!("{}Backup()", row("system"));
        for (command, url, kind) in [(restore, url, "Download"), (backup, nowhere, "Upload")] {
            start(&mut controller, &command, &[("URL", &url)]).await;
            sleep(Duration::from_millis(300)).await;
            scene.signal(Signal::KILL);
            scene.ended().await;
            scene.start_again();
            assert_eq!(controller.agent(SOON).await.map(drop), Ok(()));
            assert_eq!(inode(&scene, "system"), before);
            // The agent that is back tells of it, once.
            let told = transfer(&mut controller).await;
            let of = |name: &str| told.params[name].as_str();
            assert_eq!((of("FaultCode"), of("TransferURL"), of("TransferType")), ("7022", &*url, kind));
            assert!(matches!(done(&mut controller).await, (7022, why) if why.contains("restart")));
            let state = scene.router.state_dir().join("requests.state");
            assert!(!state.exists(), "{}", std::fs::read_to_string(state).unwrap());
        }
    });
}
