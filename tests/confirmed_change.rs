//! A change that cuts the router off is undone by itself, also when the agent is killed meanwhile; one that does not cut
//! it off stands. The way to the controller leads through a relay that is open only while the router's configuration
//! leaves the WAN up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/http_server.rs"]
mod http_server;
#[path = "support/scene.rs"]
mod scene;

use http_server::HttpServer;
use rustix::process::Signal;
use scene::{SOON, Scene};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use usp_agent::demo::controller::{Controller, Operated};
use usp_agent::usp::endpoint_id::EndpointId;
use usp_agent::usp::wire::msg::notify::Notification;
use usp_agent::usp::wire::msg::notify::operation_complete::OperationResp;

const CONTROLLER: &str = "self::test";
const REVERTED: &str = "X_USPAGENT_ChangeReverted!";
/// Seconds a change has.
const WINDOW: u64 = 10;
/// Until a change is undone and the agent is back, with one start in between.
const BACK: Duration = Duration::from_secs(3 * WINDOW + 10);

/// Relays to `controller` while the WAN is up in this file; connections end when it goes down.
async fn wan(listener: TcpListener, controller: u16, network: PathBuf) {
    let is_up = move || std::fs::read_to_string(&network).is_ok_and(|text| !text.contains("disabled '1'"));
    loop {
        let Ok((mut near, _)) = listener.accept().await else { return };
        if !is_up() {
            continue;
        }
        let is_up = is_up.clone();
        tokio::task::spawn_local(async move {
            let Ok(mut far) = TcpStream::connect((Ipv4Addr::LOCALHOST, controller)).await else { return };
            let cut = async {
                while is_up() {
                    sleep(Duration::from_millis(20)).await;
                }
                // The answer to the change gets through before netifd takes the interface down.
                sleep(Duration::from_millis(300)).await;
            };
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                () = cut => {}
            }
        });
    }
}

async fn connected(scene: &mut Scene) -> Controller {
    let own_id = EndpointId::parse(CONTROLLER).unwrap();
    let (mut controller, port) = Controller::on_websocket(&own_id).unwrap();
    let relay = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let way = relay.local_addr().unwrap().port();
    tokio::task::spawn_local(wan(relay, port, scene.router.config_dir().join("network")));
    scene.start(&format!(
        "config localagent\n\toption ConfirmWindow '{WINDOW}'\n\toption AllowUnencryptedBackup '1'\n
config controller 'test'\n\toption EndpointID '{CONTROLLER}'\n\toption AllowUnencrypted '1'\n\tlist role 'full'\n
config controller_mtp 'way'\n\toption controller 'test'\n\toption Protocol 'WebSocket'\n\toption Host '127.0.0.1'
\toption Port '{way}'\n\toption Path '/usp'\n\toption EnableEncryption '0'\n\toption SessionRetryMinimumWaitInterval '1'\n"
    ));
    controller.agent(SOON).await.unwrap();
    let settings = [
        ("Enable", "true"),
        ("ID", "reverted"),
        ("NotifType", "Event"),
        ("ReferenceList", "Device.LocalAgent.X_USPAGENT_ChangeReverted!"),
        ("Persistent", "true"),
    ];
    controller.add("Device.LocalAgent.Subscription.", &settings).await.unwrap();
    let settings = [
        ("Enable", "true"),
        ("ID", "restored"),
        ("NotifType", "OperationComplete"),
        ("ReferenceList", "Device.DeviceInfo."),
    ];
    controller.add("Device.LocalAgent.Subscription.", &settings).await.unwrap();
    controller
}

/// Restores this file as the package; 0, or the error.
async fn restore(controller: &mut Controller, package: &str, file: &str) -> u32 {
    let server = HttpServer::plain(file.as_bytes().to_vec()).await;
    let command = format!("Device.DeviceInfo.VendorConfigFile.[Name==\"/etc/config/{package}\"].Restore()");
    let input = [("URL", &*server.url("file")), ("Username", ""), ("Password", "")];
    let started = controller.operate(&command, "restore", &input).await.unwrap();
    assert!(matches!(started, Operated::Request(_)), "{started:?}");
    let done = controller.notification(SOON, |notify| notify.subscription_id == "restored").await.unwrap();
    let Some(Notification::OperComplete(done)) = done.notification else { panic!("{done:?}") };
    match done.operation_resp.unwrap() {
        OperationResp::ReqOutputArgs(_) => 0,
        OperationResp::CmdFailure(failure) => failure.err_code,
    }
}

/// The WAN is disabled by its own controller; the agent is killed so many milliseconds later, if at all.
fn cut_off(killed_after: Option<u64>) {
    cut_off_by(false, killed_after);
}

/// By a Set, or by a file that says so.
fn cut_off_by(file: bool, killed_after: Option<u64>) {
    Scene::play(move |mut scene| async move {
        let mut controller = connected(&mut scene).await;
        let before = scene.router.config("network").unwrap();
        if file {
            let wan = "config interface 'wan'\n";
            assert!(before.contains(wan));
            let file = before.replace(wan, &format!("{wan}\toption disabled '1'\n"));
            assert_eq!(restore(&mut controller, "network", &file).await, 0);
        } else {
            controller.set("Device.IP.Interface.3.", &[("Enable", "false")]).await.unwrap();
        }
        assert!(scene.router.config("network").unwrap().contains("option disabled '1'"));
        if let Some(ms) = killed_after {
            sleep(Duration::from_millis(ms)).await;
            scene.signal(Signal::KILL);
            scene.ended().await;
            scene.start_again();
        }
        let told = controller.notification(BACK, |notify| notify.subscription_id == "reverted").await.unwrap();
        assert_eq!(scene.router.config("network").unwrap(), before);
        let Some(Notification::Event(event)) = told.notification else { panic!("{told:?}") };
        assert_eq!((event.event_name.as_str(), event.params["Packages"].as_str()), (REVERTED, "network"));
        assert_eq!(event.params["Changes"], "network.wan.disabled: 1 -> -");
        assert_eq!(controller.value("Device.IP.Interface.3.Enable").await.unwrap(), "true");
        assert!(!scene.router.state_dir().join("uci-undo").exists());
    });
}

#[test]
fn a_router_that_was_cut_off_comes_back() {
    cut_off(None);
}

#[test]
fn killed_at_once() {
    cut_off(Some(0));
}

#[test]
fn killed_while_the_link_goes_down() {
    cut_off(Some(350));
}

#[test]
fn killed_before_anything_counts() {
    cut_off(Some(3000));
}

#[test]
fn killed_while_it_is_asked_whether_somebody_is_there() {
    cut_off(Some(5500));
}

#[test]
fn killed_just_before_time_is_up() {
    cut_off(Some(WINDOW * 1000 - 200));
}

#[test]
fn a_restored_file_that_cuts_the_router_off_is_undone() {
    cut_off_by(true, None);
}

#[test]
fn killed_after_a_restore() {
    cut_off_by(true, Some(1000));
}

#[test]
fn the_agents_own_file_keeps_its_controllers() {
    Scene::play(|mut scene| async move {
        let mut controller = connected(&mut scene).await;
        let before = scene.router.config("usp-agent").unwrap();
        // Without any controller, with it disabled, or with another one, nobody could confirm.
        let section = "config controller 'test'\n";
        let enabled = format!("{section}\toption Enable '0'\n");
        for file in [before.replace(section, "config controller 'other'\n"), before.replace(section, &enabled)] {
            assert_ne!(file, before);
            assert_eq!(restore(&mut controller, "usp-agent", &file).await, 7022);
        }
        assert_eq!(restore(&mut controller, "usp-agent", "config localagent\n").await, 7022);
        assert_eq!(scene.router.config("usp-agent").unwrap(), before);
        // One that leads to another place.
        let port = before.lines().find(|line| line.contains("option Port")).unwrap();
        let nowhere = before.replace(port, "\toption Port '1'");
        assert_eq!(restore(&mut controller, "usp-agent", &nowhere).await, 0);
        let told = controller.notification(BACK, |notify| notify.subscription_id == "reverted").await.unwrap();
        let Some(Notification::Event(event)) = told.notification else { panic!("{told:?}") };
        assert_eq!((event.event_name.as_str(), event.params["Packages"].as_str()), (REVERTED, "usp-agent"));
        assert_eq!(scene.router.config("usp-agent").unwrap(), before);
    });
}

#[test]
fn a_change_that_cuts_nothing_off_stands() {
    Scene::play(|mut scene| async move {
        let mut controller = connected(&mut scene).await;
        let before = scene.router.config("dhcp").unwrap();
        controller.set("Device.DHCPv4.Server.Pool.1.", &[("LeaseTime", "7200")]).await.unwrap();
        let undo = scene.router.state_dir().join("uci-undo");
        assert!(undo.exists());
        // Nobody says anything: the agent asks by itself.
        scene.until_logged("event=change_confirmed").await;
        assert!(!undo.exists());
        sleep(Duration::from_secs(WINDOW)).await;
        assert!(scene.router.config("dhcp").unwrap().contains("leasetime '2h'"));
        assert_eq!(restore(&mut controller, "dhcp", &before).await, 0);
        assert!(undo.exists());
        let until = tokio::time::Instant::now() + SOON;
        while undo.exists() {
            assert!(tokio::time::Instant::now() < until);
            sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(scene.router.config("dhcp").unwrap().trim(), before.trim());
    });
}
