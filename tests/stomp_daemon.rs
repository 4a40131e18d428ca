//! The whole agent over STOMP: what it shows of a connection, which another controller watches over WebSocket, and that
//! neither a dead server nor a broken record disturbs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/scene.rs"]
mod scene;
#[path = "support/stomp_broker.rs"]
mod stomp_broker;

use scene::{SOON, Scene};
use std::time::{Duration, Instant};
use stomp_broker::{Broker, Connection, Server};
use usp_agent::demo::controller::Controller;
use usp_agent::usp::endpoint_id::EndpointId;
use usp_agent::usp::record;

const AGENT: &str = "os::00005E-00005E100001";
const STATUS: &str = "Device.STOMP.Connection.1.Status";

/// A controller that watches over WebSocket, and an agent that has another one behind this STOMP server. It tries again
/// after an hour, if nobody asks it to.
async fn watched(scene: &mut Scene, port: u16) -> Controller {
    let (mut watcher, ws) = Controller::on_websocket(&EndpointId::parse("self::watcher").unwrap()).unwrap();
    let controller = "option AllowUnencrypted 1\n list role full\n";
    scene.start(&format!(
        "config controller 'watcher'\n option url 'ws://127.0.0.1:{ws}/usp'\n option EndpointID self::watcher\n {controller}
config controller 'behind'\n option EndpointID self::behind\n {controller}
config controller_mtp 'way'\n option controller behind\n option Protocol STOMP\n option Destination /queue/behind\n
config mtp 'own'\n option Protocol STOMP\n option stomp server\n option Destination '/queue/{{EndpointID}}'\n
config stomp 'server'\n option Host 127.0.0.1\n option Port {port}\n option EnableEncryption 0
 option ServerRetryInitialInterval 3600\n"
    ));
    watcher.agent(SOON).await.unwrap();
    watcher
}

async fn shows(watcher: &mut Controller, path: &str, value: &str) {
    let until = Instant::now() + SOON;
    loop {
        let shown = watcher.value(path).await.unwrap();
        if shown == value {
            return;
        }
        assert!(Instant::now() < until, "{path} is {shown}, not {value}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn the_state_of_a_connection_is_shown_as_it_is() {
    Scene::play(|mut scene| async move {
        let server = Server::start(None);
        server.name_destination(AGENT, Some("/queue/named:1"));
        let mut watcher = watched(&mut scene, server.port).await;
        shows(&mut watcher, STATUS, "Enabled").await;
        shows(&mut watcher, "Device.LocalAgent.MTP.1.STOMP.DestinationFromServer", "/queue/named:1").await;
        shows(&mut watcher, "Device.LocalAgent.MTP.1.STOMP.Destination", &format!("/queue/{AGENT}")).await;
        shows(&mut watcher, "Device.LocalAgent.MTP.1.Status", "Up").await;
        let changed = watcher.value("Device.STOMP.Connection.1.LastChangeDate").await.unwrap();
        assert!(changed.starts_with("20") && changed.ends_with('Z'), "{changed}");
        server.close(true);
        shows(&mut watcher, STATUS, "ServerNotPresent").await;
        shows(&mut watcher, "Device.LocalAgent.MTP.1.Status", "Down").await;
        shows(&mut watcher, "Device.LocalAgent.MTP.1.STOMP.DestinationFromServer", "").await;
        // The next try is up to an hour away, but the uplink comes back.
        server.close(false);
        scene.router.set_interface("wan", false);
        scene.router.set_interface("wan", true);
        shows(&mut watcher, STATUS, "Enabled").await;
        watcher.set("Device.STOMP.Connection.1.", &[("Enable", "false")]).await.unwrap();
        shows(&mut watcher, STATUS, "Disabled").await;
        watcher.set("Device.STOMP.Connection.1.", &[("Enable", "true")]).await.unwrap();
        shows(&mut watcher, STATUS, "Enabled").await;
        assert_eq!(watcher.sessions(), 1, "the other link was disturbed");
    });
}

#[test]
fn a_destination_that_comes_is_tried_at_once_and_one_that_goes_ends_the_session() {
    Scene::play(|mut scene| async move {
        let server = Server::start(None);
        let mut watcher = watched(&mut scene, server.port).await;
        shows(&mut watcher, STATUS, "Enabled").await;
        watcher.set("Device.LocalAgent.MTP.1.STOMP.", &[("Destination", "")]).await.unwrap();
        shows(&mut watcher, STATUS, "Error_Misconfigured").await;
        watcher.set("Device.LocalAgent.MTP.1.STOMP.", &[("Destination", "/queue/new")]).await.unwrap();
        shows(&mut watcher, STATUS, "Enabled").await;
    });
}

#[test]
fn a_server_that_refuses_or_stalls_delays_nobody_else() {
    Scene::play(|mut scene| async move {
        let broker = Broker::new().await;
        let mut watcher = watched(&mut scene, broker.port).await;
        let mut silent = broker.accept().await;
        silent.frame("STOMP").await;
        let begun = Instant::now();
        shows(&mut watcher, STATUS, "Connecting").await;
        for _ in 0..20 {
            watcher.value("Device.DeviceInfo.ModelName").await.unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        silent.send("ERROR", &[("message", "not today")], b"").await;
        shows(&mut watcher, STATUS, "Error").await;
        scene.until_logged("the broker refuses: \\\"not today\\\"").await;
    });
}

/// A request of the controller behind the server that no message fits: its payload's type is broken.
fn broken_request(own: &EndpointId, agent: &EndpointId) -> bytes::Bytes {
    use prost::Message as _;
    use usp_agent::usp::wire::msg::{Body, Header, Msg, Request, body::MsgBody, header::MsgType};
    let header = Header { msg_id: "broken".into(), msg_type: MsgType::Get as i32 };
    let body = MsgBody::Request(Request { req_type: None });
    let message = Msg { header: Some(header), body: Some(Body { msg_body: Some(body) }) };
    record::no_session_context(own, agent, message.encode_to_vec().into())
}

/// The SEND that comes within a moment, if one does.
async fn answered(connection: &mut Connection) -> bool {
    tokio::time::timeout(Duration::from_millis(700), connection.frame("SEND")).await.is_ok()
}

#[test]
fn a_broken_record_is_answered_only_where_its_message_says_where_to() {
    Scene::play(|mut scene| async move {
        let broker = Broker::new().await;
        let mut watcher = watched(&mut scene, broker.port).await;
        let (mut connection, _, _) = broker.subscribed(&[]).await;
        shows(&mut watcher, STATUS, "Enabled").await;
        connection.frame("SEND").await; // the Connect record
        let id = |text| EndpointId::parse(text).unwrap();
        let broken = broken_request(&id("self::behind"), &id(AGENT));
        connection.message(&[], &broken).await;
        assert!(!answered(&mut connection).await, "an answer without reply-to-dest");
        connection.message(&[], b"\xff\xff no record").await;
        assert!(!answered(&mut connection).await, "an answer to what is no record");
        connection.message(&[("reply-to-dest", "/queue/here")], &broken).await;
        let error = connection.frame("SEND").await;
        assert_eq!(error.header("destination"), Some("/queue/here"));
        shows(&mut watcher, STATUS, "Enabled").await;
    });
}
