use super::super::PACKAGE;
use super::*;
use crate::backend::uci::parse::parse;

const OWN: &str = "os::00D09E-1";

fn read(text: &str) -> (Vec<Link>, Vec<String>) {
    let (links, warnings) = links(&parse(PACKAGE, text.as_bytes()).unwrap(), OWN);
    (links, warnings.iter().map(|warning| warning.what.to_string()).collect())
}

fn only(text: &str) -> Link {
    let (mut links, warnings) = read(text);
    assert_eq!((links.len(), warnings.len()), (1, 0), "{links:#?} {warnings:?}");
    links.remove(0)
}

#[test]
fn a_broker_with_the_standards_defaults() {
    let link = only("config controller 'acs'\n option url 'mqtt://u:p@h/to'\n option EndpointID c\n");
    let Transport::Mqtt(mqtt) = &link.transport else { panic!("{link:?}") };
    assert_eq!((&*mqtt.broker_address, mqtt.broker_port, mqtt.level, mqtt.keep_alive), ("h", 1883, 5, 60));
    assert_eq!(mqtt.retry, Retry { minimum: 5, multiplier: 2000, maximum: Some(30720) });
    assert_eq!(&*mqtt.response_topic, "usp/agent/os::00D09E-1");
    assert_eq!((&*link.section, link.mtp.as_deref()), ("acs_mqtt", Some("acs_mtp")));
    let reach = &link.controllers[0];
    assert_eq!((&*reach.controller, &*reach.endpoint_id, &*reach.topic), ("acs", "c", "to"));
    assert!(!format!("{link:?}").contains("\"p\""), "a log would show the password");
}

#[test]
fn a_will_is_one_where_it_has_a_topic() {
    let will = |options: &str| {
        let controller = "config controller 'c'\n option EndpointID c\n\n\
             config controller_mtp\n option controller 'c'\n option Protocol MQTT\n option Topic t\n option mtp 'm'\n";
        let mtp = "config mtp 'm'\n option Protocol MQTT\n option mqtt 'b'\n option ResponseTopicConfigured a\n";
        let text = format!("{controller}{mtp}config mqtt 'b'\n option BrokerAddress 'h'\n{options}");
        let Transport::Mqtt(mqtt) = only(&text).transport else { panic!() };
        mqtt.will
    };
    let stated = " option WillTopic 'gone/{EndpointID}'\n option WillValue 'bye'\n option WillQoS 1\n";
    assert_eq!(will(stated), None);
    let expected = Will { topic: "gone/os::00D09E-1".into(), value: "bye".into(), qos: 1, retain: false };
    assert_eq!(will(&format!("{stated} option WillEnable 1\n")), Some(expected));
    assert_eq!(will(" option WillEnable 1\n option WillValue 'bye'\n"), None);
}

#[test]
fn files_of_the_link_go_before_those_of_the_agent() {
    let agent = "config localagent\n option ca_file /agent.pem\n option key /agent.key\n";
    let link = only(&format!("{agent}config controller 'c'\n option url 'wss://h'\n option key /own.key\n"));
    let Transport::WebSocketClient(client) = link.transport else { panic!() };
    let files = client.tls.unwrap();
    assert_eq!((&*files.ca, &*files.certificate, &*files.key), ("/agent.pem", "", "/own.key"));
    let link = only("config controller 'c'\n option url 'wss://h'\n");
    let Transport::WebSocketClient(client) = link.transport else { panic!() };
    assert_eq!(&*client.tls.unwrap().ca, "/etc/ssl/certs/ca-certificates.crt");
}

#[test]
fn a_server_stands_alone() {
    let link =
        only("config mtp 'm'\n option Protocol WebSocket\n option EnableEncryption 0\n option address 127.0.0.1\n");
    let Transport::WebSocketServer(server) = link.transport else { panic!() };
    assert_eq!((&*server.address, server.port, &*server.path, server.tls), ("127.0.0.1", 8183, "/usp", None));
}

#[test]
fn filters_and_two_controllers_on_one_broker() {
    let link = only(
        "config mqtt 'b'\n option BrokerAddress h\n
config mtp 'm'\n option Protocol MQTT\n option mqtt b\n option ResponseTopicConfigured r\n
config mqtt_subscription\n option mqtt b\n option Topic 'x/{EndpointID}'\n option QoS 1\n
config mqtt_subscription\n option mqtt b\n option Topic off\n option Enable 0\n
config controller 'c1'\n option EndpointID e1\n
config controller 'c2'\n option EndpointID e2\n
config controller_mtp\n option controller c1\n option Protocol MQTT\n option mtp m\n option Topic t1\n
config controller_mtp\n option controller c2\n option Protocol MQTT\n option Topic t2\n",
    );
    assert_eq!(link.filters, [("x/os::00D09E-1".into(), 1)]);
    let topics: Vec<_> = link.controllers.iter().map(|reach| &*reach.topic).collect();
    assert_eq!(topics, ["t1", "t2"]);
}

#[test]
fn a_unix_socket_of_either_side() {
    let link = only("config controller 'c'\n option url 'unix:///run/x'\n option EndpointID e\n");
    assert_eq!(link.transport, Transport::UnixSocket(UnixSocket { path: "/run/x".into(), listen: false }));
    assert_eq!(
        (&*link.section, link.mtp.as_deref(), &*link.controllers[0].endpoint_id),
        ("c_socket", Some("c_mtp"), "e")
    );
    let link = only("config controller 'c'\n option url 'listen unix://'\n option EndpointID e\n");
    assert_eq!(link.transport, Transport::UnixSocket(UnixSocket { path: AGENT_SOCKET.into(), listen: true }));
    assert_eq!(link.controllers, []);
    let link = only(
        "config unix_socket 's'\n option Mode Connect\n
config controller 'c'\n option EndpointID e\n
config controller_mtp 'l'\n option controller c\n option Protocol UDS\n option unix_socket s\n option Order 3\n",
    );
    assert_eq!(link.transport, Transport::UnixSocket(UnixSocket { path: CONTROLLER_SOCKET.into(), listen: false }));
    assert_eq!((link.mtp, link.controllers[0].order), (None, 3));
}

#[test]
fn a_row_without_a_host_is_the_order_of_a_controller_that_comes_itself() {
    let link = only(
        "config mtp 'm'\n option Protocol WebSocket\n
config controller 'c'\n option EndpointID e\n
config controller_mtp 'l'\n option controller c\n option Protocol WebSocket\n option Order 2\n",
    );
    assert_eq!((&*link.controllers[0].endpoint_id, link.controllers[0].order), ("e", 2));
}

#[test]
fn a_stomp_server_with_the_standards_defaults() {
    let text = "config controller 'acs'\n option url 'stomp://u:p@h/to'\n option EndpointID c\n";
    let link = only(text);
    let Transport::Stomp(stomp) = &link.transport else { panic!("{link:?}") };
    assert_eq!((&*stomp.host, stomp.port, &stomp.tls, stomp.heartbeats), ("h", 61613, &None, None));
    assert_eq!((&*stomp.virtual_host, &*stomp.username), ("", "u"));
    assert_eq!(stomp.retry, Retry { minimum: 60, multiplier: 2000, maximum: Some(30720) });
    assert_eq!((&*link.section, link.mtp.as_deref()), ("acs_stomp", Some("acs_mtp")));
    assert_eq!(link.filters, [("/queue/usp.agent.os::00D09E-1".into(), 0)]);
    assert_eq!(&*link.controllers[0].topic, "/to");
    assert!(!format!("{link:?}").contains("\"p\""), "a log would show the password");
    let other = only(&format!("{text} option ResponseTopicConfigured /topic/other\n"));
    assert_eq!(other.transport, link.transport, "another destination needs no other connection");
}

#[test]
fn a_stomp_connection_in_the_long_form() {
    let sections = "config stomp 's'\n option Host h\n option EnableHeartbeats 1\n option OutgoingHeartbeat 15000\n
config mtp 'm'\n option Protocol STOMP\n option stomp s\n
config controller 'c'\n
config controller_mtp\n option controller c\n option Protocol STOMP\n option Destination q\n";
    let link = only(sections);
    let Transport::Stomp(stomp) = &link.transport else { panic!("{link:?}") };
    assert_eq!((stomp.heartbeats, stomp.tls.is_some()), (Some((15000, 0)), true));
    assert_eq!((link.filters.len(), link.controllers.len()), (0, 1));
    let (links, warnings) = read(&format!("{sections} option stomp other\n"));
    assert_eq!((links.len(), warnings.len()), (0, 1), "another connection is asked for: {warnings:?}");
    let (links, warnings) = read(&format!("{sections}\nconfig mtp 'n'\n option Protocol STOMP\n option stomp s\n"));
    assert!(links.len() == 1 && warnings[0].contains("already"), "{warnings:?}");
}

#[test]
fn nothing_is_left_out_without_a_word() {
    let (links, warnings) = read(
        "config mtp 'm'\n option Protocol MQTT\n option mqtt nobody\n
config mtp 's'\n option Protocol CoAP\n
config mtp 't'\n option Protocol STOMP\n
config controller_mtp\n option controller nobody\n option Protocol MQTT\n
config controller 'c'\n
config controller_mtp\n option controller c\n option Protocol MQTT\n
config mtp 'u'\n option Protocol UDS\n
config unix_socket 'x'\n
config controller_mtp\n option controller c\n option Protocol UDS\n option unix_socket x\n",
    );
    assert_eq!(links, []);
    assert_eq!(warnings.len(), 7, "{warnings:?}");
}

#[test]
fn what_is_disabled_is_no_link() {
    for url in ["ws://h", "mqtt://h", "stomp://h"] {
        let text = format!("config controller 'c'\n option url '{url}'\n option Enable 0\n");
        assert_eq!(read(&text), (vec![], vec![]));
    }
    assert_eq!(read("config mtp 'm'\n option Protocol WebSocket\n option Enable 0\n"), (vec![], vec![]));
}

#[test]
fn a_change_of_one_link_leaves_the_others_equal() {
    let text = "config controller 'a'\n option url 'ws://h'\n
config controller 'b'\n option url 'mqtt://h'\n option PeriodicNotifInterval 60\n";
    let (before, _) = read(text);
    let (after, _) = read(&text.replace("ws://h", "ws://i").replace("60", "61"));
    let differ: Vec<_> = before.iter().filter(|link| !after.contains(link)).map(|link| &*link.section).collect();
    assert_eq!(differ, ["a_link"]);
}
