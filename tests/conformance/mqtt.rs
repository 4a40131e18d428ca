//! TP-469, chapter 11: MQTT 5.0 and 3.1.1, packet by packet.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use usp_agent::usp::wire::msg::request::ReqType;
use usp_agent::usp::wire::msg::response::RespType;
use usp_agent::usp::wire::msg::{self};
use usp_agent::usp::wire::record::mqtt_connect_record::MqttVersion;
use usp_agent::usp::wire::record::record::RecordType;

use crate::bench::{Bench, seconds};
use crate::broker::{Guest, Inn, Options, granted};
use crate::cases::{Case, case};
use crate::eut::Scene;
use crate::messages::{WHOLE, add_request, may, must, operate, set_request, single};
use crate::mqtt_broker::{Property, id};
use crate::place::{MQTT, Transport};
use crate::secure::{Credential, Secure};
use crate::tester::PATIENCE;
use crate::wire::{Ids, in_retry_range, value_of};

const FIVE: &[Transport] = &[Transport::Mqtt5];

#[rustfmt::skip]
pub const CASES: &[Case] = &[
    case!("11.1", "Support of Required MQTT Profiles", required_profiles, on: MQTT),
    case!("11.2", "MQTT session establishment using a CONNECT packet", wire session_establishment, on: MQTT),
    case!("11.3", "MQTT Use of TLS", wire use_of_tls, on: MQTT),
    case!("11.4", "MQTT 5.0 ClientID", wire client_id, on: FIVE),
    case!("11.5", "MQTT ClientID Persistence", wire client_id_persistence, on: MQTT),
    case!("11.6", "MQTT Message Retry", wire message_retry, on: MQTT, waits: true),
    case!("11.7", "MQTT Keep Alive", wire keep_alive, on: FIVE, waits: true),
    case!("11.8", "MQTT SUBSCRIBE Packet", wire subscribe_packet, on: FIVE),
    case!("11.9", "MQTT New Subscription", wire new_subscription, on: MQTT),
    case!("11.10", "MQTT No Topic in CONNACK", wire no_topic_in_connack, on: FIVE),
    case!("11.11", "MQTT Failure to Subscribe", wire failure_to_subscribe, on: MQTT, waits: true),
    case!("11.12", "MQTT PUBLISH Packet", wire publish_packet, on: MQTT),
    case!("11.13", "MQTT QoS", wire qos, on: MQTT),
    case!("11.14", "MQTT Reply to Topic", wire reply_to_topic, on: MQTT),
    case!("11.15", "MQTT 5.0 Content Type", wire content_type, on: FIVE),
    case!("11.16", "MQTT Connection Retry", wire connection_retry, on: MQTT, waits: true),
    case!("11.17", "MQTT - Use of Connect Record", wire connect_record, on: MQTT),
];

/// The plan writes it without its final dot.
const DEVICE_INFO: &str = "Device.DeviceInfo.";
const CLIENT: &str = "Device.MQTT.Client.*.";
const DISCONNECT: u8 = 14;
const PINGREQ: u8 = 12;
const UNSUBSCRIBE: u8 = 10;
const SUBSCRIBE: u8 = 8;
const SOON: Duration = Duration::from_secs(10);

/// Parameters of MQTTClientCon:1, MQTTClientSubscribe:1, MQTTAgent:1 and MQTTController:1 (and :2, R-MQTT.4).
#[rustfmt::skip]
const PROFILES: &[(&str, &[&str])] = &[
    ("Device.MQTT.", &["ClientNumberOfEntries"]),
    ("Device.MQTT.Capabilities.", &["ProtocolVersionsSupported", "TransportProtocolSupported"]),
    ("Device.MQTT.Client.{i}.", &[
        "Enable", "Status", "ProtocolVersion", "BrokerAddress", "BrokerPort", "CleanSession", "KeepAliveTime", "Name", "ClientID", "Username",
        "Password", "TransportProtocol", "MessageRetryTime", "ConnectRetryTime", "ConnectRetryIntervalMultiplier", "ConnectRetryMaxInterval",
        "ResponseInformation", "SubscriptionNumberOfEntries",
    ]),
    ("Device.MQTT.Client.{i}.Stats.", &["BrokerConnectionEstablished", "MQTTMessagesSent", "MQTTMessagesReceived", "ConnectionErrors"]),
    ("Device.MQTT.Client.{i}.Subscription.{i}.", &["Topic", "QoS", "Enable"]),
    ("Device.LocalAgent.", &["EndpointID", "AdvertisedDeviceSubtypes", "MTPNumberOfEntries", "ControllerNumberOfEntries"]),
    ("Device.LocalAgent.MTP.{i}.", &["Alias", "Protocol"]),
    ("Device.LocalAgent.MTP.{i}.MQTT.", &["Reference", "ResponseTopicConfigured", "ResponseTopicDiscovered"]),
    ("Device.LocalAgent.Controller.{i}.", &["Enable", "Alias", "EndpointID", "AssignedRole", "PeriodicNotifInterval", "MTPNumberOfEntries"]),
    ("Device.LocalAgent.Controller.{i}.MTP.{i}.", &["Enable", "Alias", "Protocol"]),
    ("Device.LocalAgent.Controller.{i}.MTP.{i}.MQTT.", &["AgentMTPReference", "Topic"]),
];

pub async fn required_profiles(t: &mut Bench) {
    let request = msg::GetSupportedDm {
        obj_paths: vec!["Device.MQTT.".to_owned(), "Device.LocalAgent.".to_owned()],
        return_params: true,
        ..msg::GetSupportedDm::default()
    };
    let response = t.ask(ReqType::GetSupportedDm(request)).await;
    let Ok(RespType::GetSupportedDmResp(response)) = response else { panic!("{response:?}") };
    let objects: Vec<_> = response.req_obj_results.into_iter().flat_map(|result| result.supported_objs).collect();
    for (path, wanted) in PROFILES {
        let object = objects.iter().find(|object| object.supported_obj_path == *path);
        let object = object.unwrap_or_else(|| panic!("{path} is not supported"));
        let there: Vec<&str> = object.supported_params.iter().map(|param| &*param.param_name).collect();
        let missing: Vec<_> = wanted.iter().filter(|param| !there.contains(param)).collect();
        assert!(missing.is_empty(), "{path} lacks {missing:?}");
    }
}

/// An agent that is started, and subscribed at the broker.
async fn met(scene: &mut Scene, options: Options<'_>) -> (Inn, Ids, Guest) {
    let inn = Inn::new(scene, options).await;
    scene.power_on().await;
    let (guest, _) = inn.subscribed(&[]).await;
    (inn, Ids::of(scene), guest)
}

pub async fn session_establishment(scene: &mut Scene) {
    let options = Options { username: "agent-user", password: "agent-secret", ..Options::default() };
    let (inn, _, _first) = met(scene, options).await;
    scene.eut.power_cycle().await;
    let (_guest, connect) = inn.subscribed(&[]).await;
    assert_eq!((connect.username.as_deref(), connect.password.as_deref()), (Some("agent-user"), Some("agent-secret")));
    if inn.version == 5 {
        let property = Property::Pair("usp-endpoint-id".to_owned(), scene.agent_id.clone());
        assert!(connect.properties.contains(&property), "R-MQTT.13: {connect:?}");
    }
}

/// Whatever is not TLS does not get past `Inn::accept`.
pub async fn use_of_tls(scene: &mut Scene) {
    let secure = Secure::at_broker(Credential::Good, &scene.agent_id, &scene.own_id);
    let inn = Inn::with(scene, Options::default(), Some(secure)).await;
    scene.power_on().await;
    let _first = inn.subscribed(&[]).await;
    scene.eut.power_cycle().await;
    let (mut guest, _) = inn.subscribed(&[]).await;
    Ids::of(scene).gets(&mut guest, DEVICE_INFO).await;
}

pub async fn client_id(scene: &mut Scene) {
    let options = Options { client_id: "configured", retry: "1", ..Options::default() };
    let (inn, ids, mut guest) = met(scene, options).await;
    let set = set_request(WHOLE, &[(CLIENT, &[must("ClientID", "")])]);
    ids.ask(&mut guest, set).await;
    drop(guest);
    scene.eut.power_cycle().await;
    // What it tried before it went down waits in front of the door.
    let mut guest = loop {
        let (mut connection, connect) = inn.connected().await;
        connection.connack(0, &[Property::Text(id::ASSIGNED_CLIENT_ID, "assigned-11-4".to_owned())]).await;
        if let Some(packet) = timeout(SOON, connection.read_patiently()).await.expect("no SUBSCRIBE") {
            assert_eq!(connect.client_id, "", "an empty ClientID");
            let subscribe = connection.subscription(&packet);
            connection.suback(subscribe.id, &granted(&subscribe)).await;
            break Guest::new(&inn, connection, subscribe);
        }
    };
    let path = format!("{CLIENT}ClientID");
    let values = ids.gets(&mut guest, &path).await;
    assert_eq!(single(values).1, "assigned-11-4");
}

pub async fn client_id_persistence(scene: &mut Scene) {
    let inn = Inn::new(scene, Options::default()).await;
    scene.power_on().await;
    let ids = Ids::of(scene);
    let (mut guest, first) = match inn.version {
        5 => inn.subscribed(&[Property::Text(id::ASSIGNED_CLIENT_ID, "assigned-11-5".to_owned())]).await,
        _ => inn.subscribed(&[]).await,
    };
    let values = ids.gets(&mut guest, &format!("{CLIENT}ClientID")).await;
    let client_id = single(values).1;
    let used = if inn.version == 5 { "assigned-11-5" } else { &*first.client_id };
    assert_eq!(client_id, used, "the parameter and the packet");
    scene.eut.power_cycle().await;
    let (_, connect) = inn.connected().await;
    assert_eq!(connect.client_id, client_id);
}

/// ConnectRetryTime and ConnectRetryIntervalMultiplier as the data model tells them.
async fn retry_parameters(ids: &Ids, guest: &mut Guest) -> (f64, f64) {
    let values = ids.gets(guest, "Device.MQTT.Client.").await;
    let number = |name: &str| value_of(&values, name).parse::<f64>().expect("a number");
    (number(".ConnectRetryTime"), number(".ConnectRetryIntervalMultiplier"))
}

pub async fn message_retry(scene: &mut Scene) {
    let (inn, ids, mut guest) = met(scene, Options { retry: "1", ..Options::default() }).await;
    let (m, k) = retry_parameters(&ids, &mut guest).await;
    ids.ask(&mut guest, operate("Device.Reboot()", "test6", true, &[])).await;
    let reboots = async { while guest.packet(PATIENCE).await.is_some() {} };
    tokio::join!(scene.eut.reboot(), reboots);
    // Disabled: whoever comes is turned away at once.
    drop(inn.accept(PATIENCE).await);
    for n in 1..=2 {
        let since = Instant::now();
        let connection = inn.accept(Duration::from_secs_f64(m * (k / 1000.0).powi(n) + 5.0)).await;
        in_retry_range(since.elapsed(), n, m, k);
        drop(connection);
    }
    let (mut guest, _) = inn.subscribed(&[]).await;
    ids.gets(&mut guest, DEVICE_INFO).await;
}

pub async fn keep_alive(scene: &mut Scene) {
    let (inn, ids, mut guest) = met(scene, Options::default()).await;
    ids.ask(&mut guest, set_request(WHOLE, &[(CLIENT, &[may("KeepAliveTime", "60")])])).await;
    drop(guest);
    scene.eut.power_cycle().await;
    let server_keep_alive = u16::try_from(seconds(30, 4).as_secs()).expect("seconds");
    let (mut connection, connect) = inn.connected().await;
    assert_eq!(connect.keep_alive, 60);
    connection.connack(0, &[Property::Two(id::SERVER_KEEP_ALIVE, server_keep_alive)]).await;
    let subscribe = connection.subscribe().await;
    connection.suback(subscribe.id, &granted(&subscribe)).await;
    let limit = Duration::from_secs(server_keep_alive.into()) * 3 / 2;
    let mut since = Instant::now();
    loop {
        let packet = timeout(limit.saturating_sub(since.elapsed()), connection.read_patiently()).await;
        let packet = packet.expect("no PINGREQ within 1.5 keep-alive times").expect("the connection ends");
        match packet.first >> 4 {
            PINGREQ => return,
            3 => {
                let publish = connection.published(&packet);
                connection.ack(0x40, publish.id).await;
                since = Instant::now();
            }
            other => panic!("a packet of kind {other}"),
        }
    }
}

pub async fn subscribe_packet(scene: &mut Scene) {
    let (inn, _, _first) = met(scene, Options::default()).await;
    scene.eut.power_cycle().await;
    let topics = [("subscribe-topic".to_owned(), "given-11-8"), ("subscribe-topic".to_owned(), "given/+/11-8")];
    let mut connack: Vec<_> = topics.into_iter().map(|(name, topic)| Property::Pair(name, topic.to_owned())).collect();
    connack.push(Property::Text(id::RESPONSE_INFO, "information-11-8".to_owned()));
    let (guest, connect) = inn.subscribed(&connack).await;
    assert!(connect.properties.contains(&Property::Byte(id::REQUEST_RESPONSE_INFO, 1)), "{connect:?}");
    for topic in ["given-11-8", "given/+/11-8", "information-11-8"] {
        assert!(guest.subscribe.filters.iter().any(|(filter, _)| filter == topic), "no {topic}: {:?}", guest.subscribe);
    }
}

/// The topic filter of the plan's new subscriptions: 3.1.1 needs room for the reply-to topic.
fn filter(inn: &Inn, topic: &str) -> String {
    if inn.version == 5 { topic.to_owned() } else { format!("{topic}/#") }
}

/// Adds a subscription of the client and grants it; gives the row's path.
async fn subscribes(ids: &Ids, inn: &Inn, guest: &mut Guest, topic: &str, qos: Option<&str>) -> String {
    let client = single(ids.gets(guest, &format!("{CLIENT}ClientID")).await).0;
    let table = format!("{}Subscription.", client.strip_suffix("ClientID").expect("the row"));
    let filter = filter(inn, topic);
    let settings: Vec<_> =
        [may("Enable", "true"), may("Topic", &filter)].into_iter().chain(qos.map(|qos| may("QoS", qos))).collect();
    let (id, record) = ids.request(add_request(WHOLE, &[(&table, &settings)]));
    crate::wire::Wire::send(guest, record).await;
    // The answer and the SUBSCRIBE may come in either order.
    let (mut row, mut subscribed) = (None, false);
    while row.is_none() || !subscribed {
        let packet = guest.packet(PATIENCE).await.expect("the EUT ends the connection");
        match packet.first >> 4 {
            SUBSCRIBE => {
                let subscribe = guest.connection.subscription(&packet);
                let asked = subscribe.filters.iter().find(|(asked, _)| *asked == filter);
                let (_, asked) = asked.unwrap_or_else(|| panic!("no {filter}: {subscribe:?}"));
                if let Some(qos) = qos {
                    assert_eq!((asked & 3).to_string(), qos);
                }
                guest.connection.suback(subscribe.id, &granted(&subscribe)).await;
                subscribed = true;
            }
            3 => row = row.or(created(ids, guest, &id)),
            other => panic!("a packet of kind {other}"),
        }
    }
    row.expect("a row")
}

/// The row that the AddResp in the last PUBLISH tells of.
fn created(ids: &Ids, guest: &Guest, id: &str) -> Option<String> {
    use msg::add_resp::created_object_result::operation_status::OperStatus;
    let body = ids.message(guest.last.as_ref()?.payload.clone().into(), id)?;
    let msg::body::MsgBody::Response(response) = body else { panic!("{body:?}") };
    let Some(RespType::AddResp(response)) = response.resp_type else { panic!("not an AddResp") };
    let result = single(response.created_obj_results);
    match result.oper_status.and_then(|status| status.oper_status) {
        Some(OperStatus::OperSuccess(success)) => Some(success.instantiated_path),
        other => panic!("{other:?}"),
    }
}

pub async fn new_subscription(scene: &mut Scene) {
    let (inn, ids, mut guest) = met(scene, Options::default()).await;
    let row = subscribes(&ids, &inn, &mut guest, "newTopic-11-9", None).await;
    guest.to = "newTopic-11-9".to_owned();
    let values = ids.gets(&mut guest, &row).await;
    assert_eq!(value_of(&values, ".Topic"), filter(&inn, "newTopic-11-9"));
    guest.to.clone_from(&inn.agent_topic);
    let (_, record) = ids.request(set_request(WHOLE, &[(row.trim_end_matches('.'), &[must("Enable", "false")])]));
    crate::wire::Wire::send(&mut guest, record).await;
    let packet = guest.packet_of(UNSUBSCRIBE, SOON).await;
    let (packet_id, filters) = guest.connection.unsubscription(&packet);
    assert_eq!(filters, [filter(&inn, "newTopic-11-9")]);
    guest.connection.unsuback(packet_id, 1).await;
    ids.gets(&mut guest, DEVICE_INFO).await;
}

pub async fn no_topic_in_connack(scene: &mut Scene) {
    let inn = Inn::new(scene, Options { no_topic: true, ..Options::default() }).await;
    scene.power_on().await;
    let (mut connection, _) = inn.connected().await;
    connection.connack(0, &[]).await;
    let packet = timeout(SOON, connection.read_patiently()).await.expect("nothing").expect("a DISCONNECT");
    assert_eq!(packet.first >> 4, DISCONNECT, "{packet:?}");
}

pub async fn failure_to_subscribe(scene: &mut Scene) {
    let (inn, ids, mut guest) = met(scene, Options { retry: "1", ..Options::default() }).await;
    let controller = format!("Device.LocalAgent.Controller.[EndpointID==\"{}\"].", ids.own);
    let interval = seconds(60, 2).as_secs().to_string();
    ids.ask(&mut guest, set_request(WHOLE, &[(&controller, &[must("PeriodicNotifInterval", &interval)])])).await;
    let settings = [
        may("Enable", "true"),
        may("ID", "periodic-11-11"),
        may("NotifType", "Event"),
        must("ReferenceList", "Device.LocalAgent.Periodic!"),
        must("Persistent", "true"),
    ];
    ids.ask(&mut guest, add_request(WHOLE, &[("Device.LocalAgent.Subscription.", &settings)])).await;
    drop(guest);
    scene.eut.power_cycle().await;
    let until = Instant::now() + seconds(120, 8);
    let mut refusals = 0;
    while Instant::now() < until {
        let Ok(tcp) = timeout(until - Instant::now(), inn.broker.accept_tcp(Duration::from_secs(600))).await else {
            break;
        };
        let mut connection = crate::mqtt_broker::Connection::on(tcp);
        connection.connect().await;
        connection.connack(0, &[]).await;
        let subscribe = connection.subscribe().await;
        let refused = if inn.version == 5 { 0x87 } else { 0x80 };
        connection.suback(subscribe.id, &vec![refused; subscribe.filters.len()]).await;
        let packet = timeout(SOON, connection.read_patiently()).await.expect("nothing").expect("a DISCONNECT");
        assert_eq!(packet.first >> 4, DISCONNECT, "{packet:?}");
        assert!(timeout(SOON, connection.read_patiently()).await.expect("still connected").is_none());
        refusals += 1;
    }
    assert!(refusals > 0, "the EUT does not come back");
}

/// Checks the topic and the properties of the agent's last PUBLISH.
fn check_publish(inn: &Inn, guest: &Guest, to: &str, own: &str) {
    let publish = guest.last.as_ref().expect("a PUBLISH");
    if inn.version == 5 {
        assert_eq!(publish.topic, to);
        assert!(publish.properties.contains(&Property::Text(id::RESPONSE_TOPIC, own.to_owned())), "{publish:?}");
        assert!(publish.properties.contains(&Property::Text(id::CONTENT_TYPE, "usp.msg".to_owned())), "{publish:?}");
    } else {
        assert_eq!(publish.topic, format!("{to}/reply-to={}", own.replace('/', "%2F")));
    }
}

pub async fn publish_packet(scene: &mut Scene) {
    let (inn, ids, _first) = met(scene, Options::default()).await;
    scene.eut.power_cycle().await;
    let information = Property::Text(id::RESPONSE_INFO, "information/11-12".to_owned());
    let (connack, own) = match inn.version {
        5 => (vec![information], "information/11-12".to_owned()),
        _ => (Vec::new(), inn.agent_topic.clone()),
    };
    let (mut guest, _) = inn.subscribed(&connack).await;
    guest.to.clone_from(&own);
    ids.gets(&mut guest, DEVICE_INFO).await;
    check_publish(&inn, &guest, &inn.controller_topic, &own);
}

pub async fn qos(scene: &mut Scene) {
    let (inn, ids, mut guest) = met(scene, Options::default()).await;
    let mut rows = Vec::new();
    for qos in 0..=1 {
        let topic = format!("newTopic-11-13-QoS{qos}");
        rows.push((subscribes(&ids, &inn, &mut guest, &topic, Some(&qos.to_string())).await, topic, qos));
    }
    for (row, topic, qos) in rows {
        (guest.to, guest.qos) = (topic, qos);
        let values = ids.gets(&mut guest, &row).await;
        assert_eq!(value_of(&values, ".QoS"), qos.to_string());
    }
}

pub async fn reply_to_topic(scene: &mut Scene) {
    let (inn, ids, mut guest) = met(scene, Options::default()).await;
    guest.reply_to = "another/place/11-14".to_owned();
    ids.gets(&mut guest, DEVICE_INFO).await;
    check_publish(&inn, &guest, "another/place/11-14", &inn.agent_topic);
}

pub async fn content_type(scene: &mut Scene) {
    let (_inn, ids, mut guest) = met(scene, Options::default()).await;
    for content_type in ["usp.msg", "application/vnd.bbf.usp.msg"] {
        guest.content_type = content_type;
        ids.gets(&mut guest, DEVICE_INFO).await;
    }
}

/// MQTT 3.1.1 has no DISCONNECT of the server: it closes the connection.
pub async fn connection_retry(scene: &mut Scene) {
    let (inn, ids, mut guest) = met(scene, Options { retry: "1", ..Options::default() }).await;
    let (m, k) = retry_parameters(&ids, &mut guest).await;
    if inn.version == 5 {
        // Server shutting down.
        guest.connection.disconnect(0x8b).await;
    }
    drop(guest);
    let since = Instant::now();
    let (mut connection, _) = inn.connected().await;
    in_retry_range(since.elapsed(), 1, m, k);
    connection.connack(0, &[]).await;
    connection.subscribe().await;
}

pub async fn connect_record(scene: &mut Scene) {
    let (inn, ids, _first) = met(scene, Options::default()).await;
    scene.eut.power_cycle().await;
    let (mut guest, _) = inn.subscribed(&[]).await;
    let record = ids.connect_record(&mut guest).await;
    let RecordType::MqttConnect(record) = record else { panic!("{record:?}") };
    let version = if inn.version == 5 { MqttVersion::V5 } else { MqttVersion::V311 };
    assert_eq!(record.version, version as i32);
    let covers = |filter: &str| match filter.strip_suffix("/#") {
        Some(start) => record.subscribed_topic == start || record.subscribed_topic.starts_with(&format!("{start}/")),
        None => record.subscribed_topic == filter,
    };
    let filters = &guest.subscribe.filters;
    assert!(filters.iter().any(|(filter, _)| covers(filter)), "{record:?} among {filters:?}");
}
