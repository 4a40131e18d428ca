//! The real program with UNIX sockets, and with several transports to one controller at a time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/scene.rs"]
mod scene;

use rustix::process::Signal;
use scene::{SOON, Scene};
use std::time::{Duration, Instant};
use usp_agent::demo::controller::Controller;
use usp_agent::usp::endpoint_id::EndpointId;
use usp_agent::usp::wire::msg::notify::Notification;

const CONTROLLER: &str = "self::test";
const HOST_NAME: &str = "Device.DeviceInfo.HostName";

fn own_id() -> EndpointId {
    EndpointId::parse(CONTROLLER).unwrap()
}

/// Without `AllowUnencrypted`: a UNIX socket needs none.
fn controller_section(url: &str) -> String {
    format!("config controller 'test'\n\toption url '{url}'\n\toption EndpointID '{CONTROLLER}'\n\tlist role 'full'\n")
}

fn socket(scene: &Scene) -> String {
    scene.router.state_dir().with_extension("sock").to_str().unwrap().to_owned()
}

const BOOT: &str = "config subscription 's'\n option controller test\n option ID boot\n option NotifType Event\n option Persistent 1\n list ReferenceList 'Device.Boot!'\n";

async fn uses_the_agent(controller: &mut Controller) {
    controller.set("Device.DeviceInfo.", &[("HostName", "castle")]).await.unwrap();
    assert_eq!(controller.value(HOST_NAME).await.unwrap(), "castle");
    assert_eq!(controller.value("Device.LocalAgent.MTP.1.Protocol").await.unwrap(), "UDS");
    assert_eq!(controller.value("Device.LocalAgent.MTP.1.Status").await.unwrap(), "Up");
    let socket = controller.value("Device.LocalAgent.MTP.1.UDS.UnixDomainSocketRef").await.unwrap();
    assert_eq!(socket, "Device.UnixDomainSockets.UnixDomainSocket.1");
    assert!(controller.value("Device.LocalAgent.SupportedProtocols").await.unwrap().contains("UDS"));
}

async fn boot(controller: &mut Controller) {
    let boot = controller.notification(SOON, |notify| notify.subscription_id == "boot").await.unwrap();
    assert!(matches!(boot.notification, Some(Notification::Event(event)) if event.event_name == "Boot!"));
}

#[test]
fn the_agent_connects_to_a_unix_socket_and_has_its_role_there() {
    Scene::play(|mut scene| async move {
        let path = socket(&scene);
        let mut controller = Controller::at_socket(&own_id(), &path);
        scene.start(&format!("{}\n{BOOT}", controller_section(&format!("unix://{path}"))));
        boot(&mut controller).await;
        uses_the_agent(&mut controller).await;
        assert_eq!(controller.value("Device.UnixDomainSockets.UnixDomainSocket.1.Mode").await.unwrap(), "Connect");
        assert_eq!(controller.value("Device.UnixDomainSockets.UnixDomainSocket.1.Path").await.unwrap(), path);
        controller.shut_down().await;
        let mut again = Controller::at_socket(&own_id(), &path);
        assert_eq!(again.value(HOST_NAME).await.unwrap(), "castle");
        scene.signal(Signal::TERM);
        assert!(scene.ended().await.success());
        again.is_connected().await;
        assert_eq!(again.goodbyes(), 1);
    });
}

#[test]
fn the_agent_listens_at_a_unix_socket() {
    Scene::play(|mut scene| async move {
        let path = socket(&scene);
        scene.start(&format!("{}\n{BOOT}", controller_section(&format!("listen unix://{path}"))));
        scene.until_logged("action=start").await;
        let mut controller = Controller::to_socket(&own_id(), &path);
        boot(&mut controller).await;
        uses_the_agent(&mut controller).await;
        // Who is no configured controller connects, and is not heard.
        let mut stranger = Controller::to_socket(&EndpointId::parse("self::stranger").unwrap(), &path);
        stranger.agent(SOON).await.unwrap();
        let unheard = tokio::time::timeout(Duration::from_millis(100), stranger.value(HOST_NAME)).await;
        assert!(unheard.is_err(), "{unheard:?}");
        scene.until_logged("controller=self::stranger is unknown").await;
        assert_eq!(controller.value(HOST_NAME).await.unwrap(), "castle");
        scene.signal(Signal::TERM);
        let begun = Instant::now();
        assert!(scene.ended().await.success());
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert!(!std::path::Path::new(&path).exists());
    });
}
