//! Firmware: the program, a simulated router, a controller, and a server with images that breaks off.
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
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;
use usp_agent::demo::controller::{Controller, Operated, Trouble};
use usp_agent::usp::endpoint_id::EndpointId;
use usp_agent::usp::wire::msg::notify::operation_complete::OperationResp;
use usp_agent::usp::wire::msg::notify::{Event, Notification};

const CONTROLLER: &str = "self::test";
const FIRST: &str = "Device.DeviceInfo.FirmwareImage.1.";
const SECOND: &str = "Device.DeviceInfo.FirmwareImage.2.";
const NOW: [(&str, &str); 3] =
    [("TimeWindow.1.Start", "0"), ("TimeWindow.1.End", "60"), ("TimeWindow.1.Mode", "Immediately")];

/// An image of this version, with fwtool's metadata at its end.
fn image(begins: &str, version: &str) -> Vec<u8> {
    let mut image: Vec<u8> = begins.bytes().chain((0..600_000u32).map(|at| (at * 31 / 7) as u8)).collect();
    let json =
        format!("{{\"metadata_version\":\"1.1\",\"version\":{{\"dist\":\"OpenWrt\",\"version\":\"{version}\"}}}}");
    let size = u32::try_from(8 + json.len() + 16).unwrap();
    image.extend([0; 8]);
    image.extend(json.bytes());
    image.extend(b"FWx0\0\0\0\0\x01\0\0\0");
    image.extend(size.to_be_bytes());
    image
}

fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
}

/// A controller that hears of everything here.
async fn connected(scene: &mut Scene, more: &str) -> Controller {
    let own_id = EndpointId::parse(CONTROLLER).unwrap();
    let (mut controller, port) = Controller::on_websocket(&own_id).unwrap();
    scene.start(&format!(
        "config localagent\n{more}\nconfig controller 'test'\n\toption url 'ws://127.0.0.1:{port}/usp'\n\toption EndpointID '{CONTROLLER}'\n\toption AllowUnencrypted '1'\n\tlist role 'full'\n"
    ));
    controller.agent(SOON).await.unwrap();
    let subscriptions = [
        ("done", "OperationComplete", "Device.DeviceInfo."),
        ("transfer", "Event", "Device.LocalAgent.TransferComplete!"),
        ("boot", "Event", "Device.Boot!"),
    ];
    for (id, kind, reference) in subscriptions {
        let settings = [
            ("Enable", "true"),
            ("ID", id),
            ("NotifType", kind),
            ("ReferenceList", reference),
            ("Persistent", "true"),
            ("NotifRetry", "true"),
        ];
        controller.add("Device.LocalAgent.Subscription.", &settings).await.unwrap();
    }
    controller
}

async fn event(controller: &mut Controller, id: &str) -> Event {
    let notify = controller.notification(SOON, |notify| notify.subscription_id == id).await.unwrap();
    match notify.notification {
        Some(Notification::Event(event)) => event,
        other => panic!("{other:?}"),
    }
}

/// How a command ended: its key, and 0 or the error.
async fn done(controller: &mut Controller) -> (String, u32, String) {
    let notify = controller.notification(SOON, |notify| notify.subscription_id == "done").await.unwrap();
    let Some(Notification::OperComplete(done)) = notify.notification else { panic!("{notify:?}") };
    match done.operation_resp.unwrap() {
        OperationResp::ReqOutputArgs(_) => (done.command_key, 0, String::new()),
        OperationResp::CmdFailure(failure) => (done.command_key, failure.err_code, failure.err_msg),
    }
}

async fn download(controller: &mut Controller, row: &str, key: &str, input: &[(&str, &str)]) -> String {
    match controller.operate(&format!("{row}Download()"), key, input).await.unwrap() {
        Operated::Request(request) => request,
        other => panic!("{other:?}"),
    }
}

async fn row(controller: &mut Controller, row: &str) -> HashMap<String, String> {
    let values = controller.get(&[row]).await.unwrap();
    values.into_iter().map(|(path, value)| (path.rsplit('.').next().unwrap().to_owned(), value)).collect()
}

async fn until_asked(scene: &Scene) -> PathBuf {
    let until = Instant::now() + SOON;
    loop {
        if let Some(path) = scene.router.asked_to_flash() {
            return path.into();
        }
        assert!(Instant::now() < until, "sysupgrade was not started");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

fn staged(scene: &Scene) -> PathBuf {
    scene.router.root().join("tmp/usp-agent/firmware.bin")
}

/// The file has begun.
async fn until_some_came(scene: &Scene) {
    let until = Instant::now() + SOON;
    while std::fs::metadata(staged(scene)).map_or(0, |file| file.len()) == 0 {
        assert!(Instant::now() < until, "nothing came");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// The router reboots: procd ends the agent, which comes back on firmware of this version.
async fn reboot(scene: &mut Scene, signal: Signal, version: &str) {
    scene.signal(signal);
    scene.ended().await;
    scene.router.boot(version).unwrap();
    scene.start_again();
}

#[test]
fn an_image_comes_in_two_parts_and_runs_after_the_reboot() {
    Scene::play(|mut scene| async move {
        let image = image("good", "24.10.5");
        let server = HttpServer::plain(image.clone()).await;
        server.plan(&[Turn::BreakAt(300_000), Turn::Status("503 Busy")]);
        let mut controller = connected(&mut scene, "").await;
        let before = row(&mut controller, SECOND).await;
        assert_eq!((before["Status"].as_str(), before["Version"].as_str()), ("NoImage", ""));

        let (url, sum) = (server.url("new.bin?token=secret"), sha256(&image));
        let size = image.len().to_string();
        let input = [
            ("URL", url.as_str()),
            ("AutoActivate", "false"),
            ("FileSize", &size),
            ("CheckSumAlgorithm", "SHA-256"),
            ("CheckSum", &sum),
        ];
        download(&mut controller, SECOND, "get", &input).await;
        let told = event(&mut controller, "transfer").await.params;
        assert_eq!((told["FaultCode"].as_str(), told["FaultString"].as_str()), ("0", ""));
        assert_eq!(
            (told["Command"].as_str(), told["Affected"].as_str()),
            ("Device.DeviceInfo.FirmwareImage.2.Download()", SECOND)
        );
        assert_eq!((told["Requestor"].as_str(), told["CommandKey"].as_str()), (CONTROLLER, "get"));
        assert_eq!((told["TransferURL"].as_str(), told["CheckSum"].as_str()), (url.as_str(), sum.as_str()));
        assert!(told["StartTime"].as_str() > "2026" && told["CompleteTime"] >= told["StartTime"], "{told:?}");
        assert_eq!(done(&mut controller).await, ("get".into(), 0, String::new()));
        assert_eq!(std::fs::read(staged(&scene)).unwrap(), image);
        let heads = server.heads();
        assert!(
            heads.len() == 3 && !heads[0].contains("Range") && heads[2].contains("Range: bytes=300000-"),
            "{heads:?}"
        );
        let log = scene.log();
        assert!(!log.contains("secret"), "{log}");

        let available = row(&mut controller, SECOND).await;
        assert_eq!((available["Status"].as_str(), available["Version"].as_str()), ("Available", "24.10.5"));
        assert_eq!((available["Name"].as_str(), available["Available"].as_str()), ("new.bin", "true"));
        controller.operate(&format!("{SECOND}Activate()"), "switch", &NOW).await.unwrap();
        assert_eq!(until_asked(&scene).await, staged(&scene));
        reboot(&mut scene, Signal::TERM, "24.10.5").await;

        let boot = event(&mut controller, "boot").await.params;
        assert_eq!((boot["Cause"].as_str(), boot["FirmwareUpdated"].as_str()), ("RemoteReboot", "true"));
        assert_eq!(boot["CommandKey"], "switch");
        assert_eq!(done(&mut controller).await, ("switch".into(), 0, String::new()));
        let active = controller.value("Device.DeviceInfo.ActiveFirmwareImage").await.unwrap();
        assert_eq!(format!("{active}."), SECOND);
        let (first, second) = (row(&mut controller, FIRST).await, row(&mut controller, SECOND).await);
        assert_eq!((second["Status"].as_str(), second["Version"].as_str()), ("Active", "24.10.5"));
        assert_eq!((first["Status"].as_str(), first["Available"].as_str()), ("NoImage", "false"));
        assert!(controller.get(&["Device.LocalAgent.Request."]).await.unwrap().is_empty());
        // It is told once.
        scene.signal(Signal::TERM);
        scene.ended().await;
        scene.start_again();
        assert_eq!(event(&mut controller, "boot").await.params["FirmwareUpdated"], "false");
        assert_eq!(controller.value(&format!("{SECOND}Status")).await.unwrap(), "Active");
    });
}

#[test]
fn activated_at_once_over_https_and_the_router_comes_up_with_the_old_image() {
    Scene::play(|mut scene| async move {
        let authority = Authority::new("images");
        let issued = authority.issue(Asked { names: &["localhost"], ..Asked::default() });
        let server = HttpServer::secure(image("good", "24.10.5"), &issued.certificate, &issued.key).await;
        server.require("Basic bWU6cGFzc3dvcmQ=");
        let trust = format!("\toption ca_file '{}'\n", authority.file.display());
        let mut controller = connected(&mut scene, &trust).await;
        let url = server.url("new.bin");
        let input = [("URL", url.as_str()), ("AutoActivate", "true"), ("Username", "me"), ("Password", "password")];
        download(&mut controller, SECOND, "all", &input).await;
        assert_eq!(event(&mut controller, "transfer").await.params["FaultCode"], "0");
        assert_eq!(done(&mut controller).await, ("all".into(), 0, String::new()));
        until_asked(&scene).await;
        assert!(!scene.log().contains("password"));
        // Power fails before anything is flashed.
        reboot(&mut scene, Signal::KILL, "24.10.4").await;

        let boot = event(&mut controller, "boot").await.params;
        assert_eq!(boot["FirmwareUpdated"], "false");
        let failed = row(&mut controller, SECOND).await;
        assert_eq!((failed["Status"].as_str(), failed["Available"].as_str()), ("ActivationFailed", "false"));
        assert_eq!(failed["BootFailureLog"], "the router came up with 24.10.4 and not with 24.10.5");
        let active = controller.value("Device.DeviceInfo.ActiveFirmwareImage").await.unwrap();
        let boot = controller.value("Device.DeviceInfo.BootFirmwareImage").await.unwrap();
        assert_eq!((format!("{active}."), format!("{boot}.")), (FIRST.into(), SECOND.into()));
    });
}

#[test]
fn a_certificate_nobody_vouches_for_ends_the_download() {
    Scene::play(|mut scene| async move {
        let (authority, other) = (Authority::new("images"), Authority::new("others"));
        let issued = authority.issue(Asked { names: &["localhost"], ..Asked::default() });
        let server = HttpServer::secure(image("good", "24.10.5"), &issued.certificate, &issued.key).await;
        let trust = format!("\toption ca_file '{}'\n", other.file.display());
        let mut controller = connected(&mut scene, &trust).await;
        let url = server.url("new.bin");
        download(&mut controller, SECOND, "k", &[("URL", &url), ("AutoActivate", "true")]).await;
        let (_, code, why) = done(&mut controller).await;
        assert!(code == 7022 && why.contains("not trusted"), "{why}");
        assert!(server.heads().is_empty() && scene.router.asked_to_flash().is_none());
    });
}

#[test]
fn what_is_not_as_announced_or_not_for_this_router_is_not_kept() {
    Scene::play(|mut scene| async move {
        let server = HttpServer::plain(image("good", "24.10.5")).await;
        let mut controller = connected(&mut scene, "").await;
        let url = server.url("new.bin");
        let sum = sha256(b"another file");
        let wrong =
            [("URL", url.as_str()), ("AutoActivate", "true"), ("CheckSumAlgorithm", "SHA-256"), ("CheckSum", &sum)];
        download(&mut controller, SECOND, "sum", &wrong).await;
        let told = event(&mut controller, "transfer").await.params;
        assert!(told["FaultCode"] == "7022" && told["FaultString"].contains("checksum"), "{told:?}");
        assert_eq!(done(&mut controller).await.1, 7022);
        assert_eq!(controller.value(&format!("{SECOND}Status")).await.unwrap(), "ValidationFailed");
        assert!(!staged(&scene).exists());

        for (begins, why) in [("another device", "fwtool_device_match"), ("no settings", "takes no settings over")] {
            server.serve(image(begins, "24.10.5"));
            download(&mut controller, SECOND, "bad", &[("URL", &url), ("AutoActivate", "true")]).await;
            let (_, code, told) = done(&mut controller).await;
            assert!(code == 7022 && told.contains(why), "{told}");
            assert_eq!(controller.value(&format!("{SECOND}Status")).await.unwrap(), "ValidationFailed");
            assert!(!staged(&scene).exists());
        }
        assert_eq!(scene.router.asked_to_flash(), None);

        let unknown =
            [("URL", url.as_str()), ("AutoActivate", "true"), ("CheckSumAlgorithm", "SHA-224"), ("CheckSum", "00")];
        let refused = controller.operate(&format!("{SECOND}Download()"), "k", &unknown).await;
        assert!(matches!(&refused, Err(Trouble::Failed { code: 7027, .. })), "{refused:?}");
        let running = [("URL", url.as_str()), ("AutoActivate", "false")];
        let refused = controller.operate(&format!("{FIRST}Download()"), "k", &running).await;
        assert!(matches!(&refused, Err(Trouble::Failed { code: 7022, .. })), "{refused:?}");
        let none = controller.operate(&format!("{SECOND}Activate()"), "k", &NOW).await;
        assert!(matches!(&none, Err(Trouble::Failed { code: 7022, .. })), "{none:?}");
    });
}

#[test]
fn what_does_not_fit_into_memory_is_not_begun() {
    Scene::play(|mut scene| async move {
        let server = HttpServer::plain(image("good", "24.10.5")).await;
        let mut controller = connected(&mut scene, "").await;
        std::fs::write(scene.router.root().join("proc/meminfo"), "MemTotal: 64000 kB\nMemAvailable:  6500 kB\n")
            .unwrap();
        let url = server.url("new.bin");
        let announced = [("URL", url.as_str()), ("AutoActivate", "true"), ("FileSize", "9000000")];
        download(&mut controller, SECOND, "announced", &announced).await;
        let (_, code, why) = done(&mut controller).await;
        assert!(code == 7005 && why.contains("do not fit"), "{why}");
        assert!(server.heads().is_empty());
        // The server tells what the controller did not.
        download(&mut controller, SECOND, "told", &[("URL", &url), ("AutoActivate", "true"), ("FileSize", "0")]).await;
        assert_eq!(done(&mut controller).await.1, 7005);
        assert_eq!(server.heads().len(), 1);
        assert_eq!(controller.value(&format!("{SECOND}Status")).await.unwrap(), "DownloadFailed");
        assert!(!staged(&scene).exists());
    });
}

#[test]
fn a_download_is_canceled_in_the_middle() {
    Scene::play(|mut scene| async move {
        let server = HttpServer::plain(image("good", "24.10.5")).await;
        server.plan(&[Turn::Trickle]);
        let mut controller = connected(&mut scene, "").await;
        let url = server.url("new.bin");
        let input = [("URL", url.as_str()), ("AutoActivate", "true")];
        let request = download(&mut controller, SECOND, "stop", &input).await;
        until_some_came(&scene).await;
        assert_eq!(controller.value(&format!("{SECOND}Status")).await.unwrap(), "Downloading");
        let second = controller.operate(&format!("{SECOND}Download()"), "k", &input).await;
        assert!(
            matches!(&second, Err(Trouble::Failed { code: 7022, text: why, .. }) if why.contains("is being downloaded")),
            "{second:?}"
        );
        controller.operate(&format!("{request}.Cancel()"), "", &[]).await.unwrap();
        let (key, code, _) = done(&mut controller).await;
        assert_eq!((key.as_str(), code), ("stop", 7023));
        assert_eq!(event(&mut controller, "transfer").await.params["FaultCode"], "7023");
        assert_eq!(controller.value(&format!("{SECOND}Status")).await.unwrap(), "DownloadFailed");
        assert!(!staged(&scene).exists());
        // There is room for the next one.
        download(&mut controller, SECOND, "again", &[("URL", &url), ("AutoActivate", "false")]).await;
        assert_eq!(done(&mut controller).await, ("again".into(), 0, String::new()));
    });
}

#[test]
fn killed_within_the_download() {
    Scene::play(|mut scene| async move {
        let server = HttpServer::plain(image("good", "24.10.5")).await;
        server.plan(&[Turn::Trickle]);
        let mut controller = connected(&mut scene, "").await;
        let url = server.url("new.bin");
        download(&mut controller, SECOND, "cut", &[("URL", &url), ("AutoActivate", "true")]).await;
        until_some_came(&scene).await;
        scene.signal(Signal::KILL);
        scene.ended().await;
        scene.start_again();
        let (key, code, why) = done(&mut controller).await;
        assert!(key == "cut" && code == 7022 && why.contains("restart"), "{key} {code} {why}");
        assert_eq!(event(&mut controller, "transfer").await.params["FaultCode"], "7022");
        assert_eq!(controller.value(&format!("{SECOND}Status")).await.unwrap(), "DownloadFailed");
    });
}

#[test]
fn a_reboot_before_the_window_takes_the_image_and_a_restart_does_not() {
    Scene::play(|mut scene| async move {
        let server = HttpServer::plain(image("good", "24.10.5")).await;
        let mut controller = connected(&mut scene, "").await;
        let url = server.url("new.bin");
        download(&mut controller, SECOND, "get", &[("URL", &url), ("AutoActivate", "false")]).await;
        done(&mut controller).await;
        let later = [("TimeWindow.1.Start", "3600"), ("TimeWindow.1.End", "7200"), ("TimeWindow.1.Mode", "AnyTime")];
        controller.operate(&format!("{SECOND}Activate()"), "later", &later).await.unwrap();
        scene.signal(Signal::KILL);
        scene.ended().await;
        scene.start_again();
        event(&mut controller, "boot").await;
        assert_eq!(controller.value("Device.LocalAgent.Request.*.CommandKey").await.unwrap(), "later");
        assert_eq!(controller.value(&format!("{SECOND}Status")).await.unwrap(), "Available");
        reboot(&mut scene, Signal::TERM, "24.10.4").await;
        let (key, code, why) = done(&mut controller).await;
        assert!(key == "later" && code == 7022 && why.contains("lost in a reboot"), "{key} {code} {why}");
        assert_eq!(controller.value(&format!("{SECOND}Status")).await.unwrap(), "NoImage");
        assert_eq!(scene.router.asked_to_flash(), None);
    });
}

#[test]
fn a_sysupgrade_that_refuses_is_told() {
    Scene::play(|mut scene| async move {
        let server = HttpServer::plain(image("good", "24.10.5")).await;
        let mut controller = connected(&mut scene, "").await;
        let script = scene.router.root().join("sbin/sysupgrade");
        std::fs::write(script, "#!/bin/sh\necho \"Image check failed.\" >&2\nexit 1\n").unwrap();
        let url = server.url("new.bin");
        download(&mut controller, SECOND, "get", &[("URL", &url), ("AutoActivate", "false")]).await;
        done(&mut controller).await;
        controller.operate(&format!("{SECOND}Activate()"), "flash", &NOW).await.unwrap();
        let (key, code, why) = done(&mut controller).await;
        assert!(key == "flash" && code == 7022 && why.contains("Image check failed."), "{key} {code} {why}");
        let failed = row(&mut controller, SECOND).await;
        assert_eq!((failed["Status"].as_str(), &failed["BootFailureLog"]), ("ActivationFailed", &why));
        scene.signal(Signal::TERM);
        scene.ended().await;
        scene.start_again();
        assert_eq!(event(&mut controller, "boot").await.params["Cause"], "LocalReboot", "nobody rebooted the router");
    });
}

#[test]
fn what_the_agent_keeps_survives_sysupgrade() {
    let kept = std::fs::read_to_string("openwrt-package/files/lib/upgrade/keep.d/usp-agent").unwrap();
    assert!(kept.lines().any(|line| line == "/etc/usp-agent/"));
}
