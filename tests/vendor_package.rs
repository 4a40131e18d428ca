//! The example of a vendor's package: its objects, end to end, over a real ubus socket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/scene.rs"]
mod scene;

use scene::{SOON, Scene};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use usp_agent::backend::ubus::Signature;
use usp_agent::backend::{Table, Value};
use usp_agent::demo::controller::{Controller, Operated, Trouble};
use usp_agent::usp::endpoint_id::EndpointId;
use usp_agent::usp::wire::msg::notify::Notification;

const PACKAGE: &str = "openwrt-package/usp-datamodel-acme/files";
const DROP_IN: &str = "usr/share/usp-agent/data-model.d/acme.dm";
const CONTROLLER: &str = "self::test";

/// The package is installed and its daemon runs.
fn install(scene: &Scene) {
    let place = scene.router.root().join(DROP_IN);
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    std::fs::copy(Path::new(PACKAGE).join(DROP_IN), &place).unwrap();
    let config = std::fs::read_to_string(Path::new(PACKAGE).join("etc/config/acme")).unwrap();
    scene.router.write_config("acme", &config).unwrap();
    let zone = scene.router.root().join("sys/class/thermal/thermal_zone0");
    std::fs::create_dir_all(&zone).unwrap();
    std::fs::write(zone.join("temp"), "48500\n").unwrap();
    let signature = Signature::default().method("status", &[]).method("self_test", &[]);
    scene.router.bus().provide("acme.fan", &signature, |method, _| match method {
        "status" => Ok::<_, u32>(Table::default().with("rpm", 1200).with("state", "ok")),
        _ => Ok(Table::default()),
    });
}

async fn connected(scene: &mut Scene) -> Controller {
    let (mut controller, port) = Controller::on_websocket(&EndpointId::parse(CONTROLLER).unwrap()).unwrap();
    scene.start(&format!(
        "config controller 'test'\n\toption url 'ws://127.0.0.1:{port}/usp'\n\toption EndpointID '{CONTROLLER}'\n\
         \toption AllowUnencrypted '1'\n\tlist role 'full'\n"
    ));
    controller.agent(SOON).await.unwrap();
    controller
}

#[test]
fn its_file_is_right() {
    let mut check = Command::new(env!("CARGO_BIN_EXE_usp-agent"));
    check.args(["check", "--config-dir", "openwrt-package/files/etc/config"]).arg(Path::new(PACKAGE).join(DROP_IN));
    let found = check.output().unwrap();
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
}

#[test]
fn its_objects_are_read_written_and_run() {
    Scene::play(|mut scene| async move {
        install(&scene);
        let mut controller = connected(&mut scene).await;
        for (name, value) in [("Mode", "quiet"), ("Speed", "1200"), ("Healthy", "true"), ("Temperature", "48")] {
            assert_eq!(controller.value(&format!("Device.X_ACME_Fan.{name}")).await.unwrap(), value, "{name}");
        }
        controller.set("Device.X_ACME_Fan.", &[("Mode", "cool")]).await.unwrap();
        let row = controller.add("Device.X_ACME_Fan.Curve.", &[("Name", "night"), ("Speed", "20")]).await.unwrap();
        assert_eq!(row, "Device.X_ACME_Fan.Curve.2.");
        assert_eq!(controller.value("Device.X_ACME_Fan.CurveNumberOfEntries").await.unwrap(), "2");
        let config = scene.router.config("acme").unwrap();
        assert!(config.contains("option mode 'cool'") && config.contains("option name 'night'"), "{config}");
        let done = controller.operate("Device.X_ACME_Fan.SelfTest()", "", &[]).await.unwrap();
        assert!(matches!(done, Operated::Output(_)), "{done:?}");
    });
}

#[test]
fn its_event_is_told_with_its_arguments() {
    Scene::play(|mut scene| async move {
        install(&scene);
        let mut controller = connected(&mut scene).await;
        let settings = [
            ("Enable", "true"),
            ("ID", "hot"),
            ("NotifType", "Event"),
            ("ReferenceList", "Device.X_ACME_Fan.Overheat!"),
        ];
        controller.add("Device.LocalAgent.Subscription.", &settings).await.unwrap();
        let until = Instant::now() + SOON;
        while !scene.router.bus().heard("acme.fan.overheat") {
            assert!(Instant::now() < until, "nobody listens");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let sensor = Value::Table(Table::default().with("name", "cpu"));
        scene.router.bus().event("acme.fan.overheat", Table::default().with("temperature", 97).with("sensor", sensor));
        let notify = controller.notification(SOON, |notify| notify.subscription_id == "hot").await.unwrap();
        let Some(Notification::Event(event)) = notify.notification else { panic!("{notify:?}") };
        assert_eq!((event.obj_path.as_str(), event.event_name.as_str()), ("Device.X_ACME_Fan.", "Overheat!"));
        let params: Vec<(&str, &str)> = event.params.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(params, [("Sensor", "cpu"), ("Temperature", "97")]);
    });
}

#[test]
fn without_its_configuration_the_object_is_not_there() {
    Scene::play(|mut scene| async move {
        install(&scene);
        scene.router.write_config("acme", "").unwrap();
        let mut controller = connected(&mut scene).await;
        let refused = controller.get(&["Device.X_ACME_Fan."]).await;
        assert!(matches!(refused, Err(Trouble::Failed { code: 7026, .. })), "{refused:?}");
    });
}
