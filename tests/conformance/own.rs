//! Cases beside the plan: requirements of TR-369 that bind an agent and that no case of TP-469 shows.
//!
//! The id is the requirement's; a word after a slash where one requirement has several cases.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use tokio::time::{Instant, timeout};
use usp_agent::backend::Table;
use usp_agent::demo::bus::Outcome;
use usp_agent::usp::wire::msg::body::MsgBody;
use usp_agent::usp::wire::msg::header::MsgType;
use usp_agent::usp::wire::msg::request::ReqType;
use usp_agent::usp::wire::msg::response::RespType;
use usp_agent::usp::wire::msg::{self, Msg};
use usp_agent::usp::wire::record::record::RecordType;
use usp_agent::usp::wire::record::{NoSessionContextRecord, Record, SessionContextRecord};

use crate::access::{ALL, Rights, permit};
use crate::add::SUBSCRIPTION;
use crate::bench::Bench;
use crate::broker::{Guest, Inn, Options};
use crate::cases::{Case, case};
use crate::eut::Scene;
use crate::messages::{PARTIAL, WHOLE, accepted, must, single};
use crate::place::{MQTT, Transport, WEBSOCKET};
use crate::raw_websocket::opcode;
use crate::set::subscription;
use crate::tester::{PATIENCE, message};
use crate::websocket::{Lane, Options as WsOptions};
use crate::wire::{Ids, Wire, get, value_of};

#[rustfmt::skip]
pub const CASES: &[Case] = &[
    case!("R-ARC.7/reference", "Reference following with +", reference),
    case!("R-ARC.7/reference-number", "Reference following with #n+", reference_by_number),
    case!("R-ARC.7/reference-all", "Reference following with #*+", reference_all),
    case!("R-ARC.9/list", "Search expression with ~= on a list", list_search),
    case!("R-ARC.9a", "Blanks on either side of an expression operator", blanks_in_an_expression),
    case!("R-MSG.1", "A request of a kind the agent does not know", unknown_request),
    case!("R-MSG.4", "A duplicate of a request that is not answered yet", duplicate_in_progress, waits: true),
    case!("R-MSG.9", "A NotifyResp with another msg_id delivers nothing", notify_response_with_another_id, waits: true),
    case!("R-MSG.10", "msg_type disagrees with the body", disagreeing_msg_type),
    case!("R-NOT.9", "A NotifyResp with another subscription_id delivers", notify_response_with_another_subscription, waits: true),
    case!("R-ADD.6", "Unique keys that may not be read are not told", unreadable_keys),
    case!("R-SET.3", "Updated parameters that may not be read are not told", unreadable_updates),
    case!("R-DEL.2", "Deleted objects that may not be read are not told", unreadable_deletions),
    case!("R-GIN.1", "GetInstances leaves out keys that may not be read", unreadable_keys_of_instances),
    case!("R-MTP.4b/version", "A record of a higher minor version", higher_version),
    case!("R-MTP.5", "An erroneous record with a request is answered with an Error", erroneous_record_with_a_request),
    case!("R-MTP.5/response", "An erroneous record without a request is not answered", erroneous_record_without_a_request),
    case!("R-MTP.5/secured", "A secured payload outside of a session context", secured_payload),
    case!("R-MTP.7", "A Disconnect record, with its reason, before the agent goes", disconnect_record_at_the_end),
    case!("R-MTP.8", "A Connect record after a Disconnect record", connect_record_after_disconnect_record),
    case!("R-ENC.2", "An unknown enumeration value in a record", unknown_enumeration_value),
    case!("R-ENC.4", "A record with two record types, or none, is discarded", record_types),
    case!("R-ENC.5", "A message with two bodies, or none, is an error", message_bodies),
    case!("R-E2E.6a", "A session context is refused with a Disconnect record", session_context_refused),
    case!("R-GSP/versions", "GetSupportedProtocol, whatever the controller supports", version_negotiation),
    case!("limits/entries", "A request of too many entries is refused", too_many_entries),
    case!("limits/record-websocket", "A record over the limit on a WebSocket", wire record_over_the_limit_on_websocket, on: WEBSOCKET),
    case!("limits/record-mqtt", "A record over the limit through a broker", wire record_over_the_limit_through_a_broker, on: MQTT),
    case!("R-MSG.0a/mtp", "The response takes the MTP of its request", wire response_on_the_mtp_of_the_request, on: &[Transport::Mqtt5]),
    case!("R-WS.10b", "The agent's endpoint id in the request URI", wire endpoint_id_in_the_uri, on: &[Transport::WebSocketClient]),
    case!("R-WS.11a", "The extension is answered where it was offered", wire extension_is_answered, on: &[Transport::WebSocketServer]),
    case!("R-WS.14/text", "A text frame", wire text_frame, on: WEBSOCKET),
    case!("R-WS.17", "Pings at the configured interval", wire keep_alive, on: WEBSOCKET),
    case!("R-MQTT.4/stats", "The counters of MQTTClientSubscribe:1 count", counters, on: MQTT),
    case!("R-MQTT.35", "A DISCONNECT when the agent goes", wire disconnect_packet, on: MQTT),
];

const SOON: Duration = Duration::from_secs(10);
const TRUST: &str = "Device.LocalAgent.ControllerTrust.";

/// The parameters at a path with references, as (object, name, value).
async fn read(t: &mut Bench, path: &str) -> Vec<(String, String, String)> {
    let objects = t.objects(path).await;
    let of = |(object, params): (String, crate::messages::Params)| {
        params.into_iter().map(move |(name, value)| (object.clone(), name, value))
    };
    objects.into_iter().flat_map(of).collect()
}

async fn reference(t: &mut Bench) {
    let row = subscription(t, "own-reference").await;
    let controller = t.controller().await;
    let (object, name, value) = single(read(t, &format!("{row}Recipient+.EndpointID")).await);
    assert_eq!((object, &*name, &*value), (controller, "EndpointID", &*t.own_id.clone()));
}

/// Two roles, both in the list SecuredRoles.
async fn two_references(t: &mut Bench) -> [String; 2] {
    let mut roles = Vec::new();
    for name in ["one", "two"] {
        roles.push(t.make(&format!("{TRUST}Role."), &[("Enable", "true"), ("Name", name)]).await);
    }
    let list: Vec<&str> = roles.iter().map(|role| role.trim_end_matches('.')).collect();
    t.put(TRUST, "SecuredRoles", &list.join(",")).await;
    roles.try_into().expect("two roles")
}

async fn reference_by_number(t: &mut Bench) {
    let roles = two_references(t).await;
    for (number, role, name) in [(1, &roles[0], "one"), (2, &roles[1], "two")] {
        let found = single(read(t, &format!("{TRUST}SecuredRoles#{number}+.Name")).await);
        assert_eq!((&*found.0, &*found.1, &*found.2), (&**role, "Name", name));
    }
}

async fn reference_all(t: &mut Bench) {
    let roles = two_references(t).await;
    let found = read(t, &format!("{TRUST}SecuredRoles#*+.Name")).await;
    let found: Vec<(&str, &str)> = found.iter().map(|(object, _, value)| (&**object, &**value)).collect();
    assert_eq!(found, [(&*roles[0], "one"), (&*roles[1], "two")]);
}

async fn list_search(t: &mut Bench) {
    let row = subscription(t, "own-list").await;
    let other = [("ID", "own-other"), ("NotifType", "ValueChange"), ("ReferenceList", "Device.LocalAgent.UpTime")];
    t.make(SUBSCRIPTION, &other).await;
    for (element, found) in [("Device.LocalAgent.SoftwareVersion", true), ("Device.LocalAgent.SoftwareVersio", false)] {
        let objects = t.objects(&format!("{SUBSCRIPTION}[ReferenceList~=\"{element}\"].")).await;
        let expected: Vec<&String> = if found { vec![&row] } else { Vec::new() };
        assert_eq!(objects.keys().collect::<Vec<_>>(), expected, "{element}");
    }
}

async fn blanks_in_an_expression(t: &mut Bench) {
    let row = subscription(t, "own-blanks").await;
    let found = t.objects(&format!("{SUBSCRIPTION}[ID == \"own-blanks\"].")).await;
    assert_eq!(found.keys().collect::<Vec<_>>(), [&row]);
}

/// A field of protobuf with bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("a short field");
    assert!(length < 128);
    [&[number << 3 | 2, length][..], content].concat()
}

/// Sends this message in a record of its own.
fn send_message(t: &mut Bench, message: impl Into<Bytes>) {
    let record = crate::tester::record(&t.own_id, &t.agent_id, message.into());
    t.send_record(record);
}

/// The agent goes on as if nothing had been.
async fn goes_on(t: &mut Bench) {
    assert_eq!(t.value("Device.LocalAgent.EndpointID").await, t.agent_id);
}

async fn unknown_request(t: &mut Bench) {
    let header = msg::Header { msg_id: "own-unknown".to_owned(), msg_type: MsgType::Get as i32 }.encode_to_vec();
    let unknown = field(15, b"");
    send_message(t, [field(1, &header), field(2, &field(1, &unknown))].concat());
    match t.answer("own-unknown", Duration::from_secs(2)).await {
        None => {}
        Some(MsgBody::Error(error)) => assert!((7000..7100).contains(&error.err_code), "{error:?}"),
        other => panic!("{other:?}"),
    }
    goes_on(t).await;
}

fn request(id: &str, request: ReqType) -> Bytes {
    message(id, MsgBody::Request(msg::Request { req_type: Some(request) }))
}

/// The router's Wi-Fi does not answer, so the first request is in progress when the second comes.
async fn duplicate_in_progress(t: &mut Bench) {
    let router = t.eut.router();
    let signature = usp_agent::backend::ubus::Signature::default().method("status", &[]);
    router.bus().withdraw("network.wireless");
    router.bus().provide("network.wireless", &signature, |_: &str, _: &Table| Outcome::Never);
    let before = t.records();
    for _ in 0..2 {
        send_message(t, request("own-twice", get("Device.WiFi.")));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(t.records(), before, "the first is answered before the second came: the case shows nothing");
    assert!(matches!(t.answer("own-twice", PATIENCE).await, Some(MsgBody::Response(_))), "no GetResp");
    assert_eq!(t.answer("own-twice", Duration::from_secs(8)).await, None, "the duplicate is answered");
    goes_on(t).await;
}

/// A subscription whose first Notify has come and was not answered; with when it came.
async fn unanswered(t: &mut Bench, id: &str) -> crate::tester::Heard {
    t.silent = true;
    let controller = t.controller().await;
    let code = format!("{controller}ProvisioningCode");
    let settings = [
        ("ID", id),
        ("NotifType", "ValueChange"),
        ("ReferenceList", &code),
        ("NotifRetry", "true"),
        ("Enable", "true"),
    ];
    t.make(SUBSCRIPTION, &settings).await;
    t.put(&controller, "USPNotifRetryMinimumWaitInterval", "1").await;
    t.put(&controller, "ProvisioningCode", "changed").await;
    t.notify_within(PATIENCE, |notify| notify.subscription_id == id).await.expect("a Notify")
}

fn notify_response(msg_id: &str, subscription_id: &str) -> Bytes {
    let answer = msg::NotifyResp { subscription_id: subscription_id.to_owned() };
    message(msg_id, MsgBody::Response(msg::Response { resp_type: Some(RespType::NotifyResp(answer)) }))
}

async fn notify_response_with_another_id(t: &mut Bench) {
    let heard = unanswered(t, "own-id").await;
    send_message(t, notify_response("somebody-else's", "own-id"));
    let again = t.notify_within(PATIENCE, |notify| notify.subscription_id == "own-id").await;
    assert_eq!(again.expect("the Notify is not repeated").msg_id, heard.msg_id);
}

async fn notify_response_with_another_subscription(t: &mut Bench) {
    let heard = unanswered(t, "own-subscription").await;
    send_message(t, notify_response(&heard.msg_id, "another one"));
    t.no_notify(Duration::from_secs(5), |notify| notify.subscription_id == "own-subscription").await;
}

async fn disagreeing_msg_type(t: &mut Bench) {
    let right = Msg::decode(request("own-type", get("Device.LocalAgent.EndpointID"))).expect("a message");
    let header = msg::Header { msg_id: "own-type".to_owned(), msg_type: MsgType::Delete as i32 };
    send_message(t, Msg { header: Some(header), ..right }.encode_to_vec());
    let answer = t.answer("own-type", PATIENCE).await;
    let Some(MsgBody::Response(msg::Response { resp_type: Some(response) })) = answer else { panic!("{answer:?}") };
    assert!(matches!(response, RespType::GetResp(_)), "{response:?}");
}

/// A record from the tester with a Get in it.
fn record_with_get(t: &Bench, id: &str) -> Record {
    let payload = request(id, get("Device.LocalAgent.EndpointID"));
    Record {
        version: "1.4".to_owned(),
        to_id: t.agent_id.clone(),
        from_id: t.own_id.clone(),
        record_type: Some(RecordType::NoSessionContext(NoSessionContextRecord { payload })),
        ..Record::default()
    }
}

async fn higher_version(t: &mut Bench) {
    let record = Record { version: "1.9".to_owned(), ..record_with_get(t, "own-higher") };
    t.send_record(record.encode_to_vec().into());
    assert!(matches!(t.answer("own-higher", PATIENCE).await, Some(MsgBody::Response(_))));
}

/// The Error that answers a broken record.
async fn error_to(t: &mut Bench, record: &Record, id: &str) -> u32 {
    t.send_record(record.encode_to_vec().into());
    match t.answer(id, PATIENCE).await {
        Some(MsgBody::Error(error)) => error.err_code,
        other => panic!("not an Error: {other:?}"),
    }
}

async fn erroneous_record_with_a_request(t: &mut Bench) {
    let record = Record { version: "one".to_owned(), ..record_with_get(t, "own-broken") };
    assert_eq!(error_to(t, &record, "own-broken").await, 7104);
    let record = Record { version: String::new(), ..record_with_get(t, "own-missing") };
    assert_eq!(error_to(t, &record, "own-missing").await, 7104, "R-MTP.4b");
}

async fn erroneous_record_without_a_request(t: &mut Bench) {
    let before = t.records();
    let response = Record {
        version: "one".to_owned(),
        record_type: Some(RecordType::NoSessionContext(NoSessionContextRecord {
            payload: notify_response("own-response", "none"),
        })),
        ..record_with_get(t, "")
    };
    let strangers =
        Record { version: "one".to_owned(), from_id: "self::stranger".to_owned(), ..record_with_get(t, "s") };
    for record in [response, strangers] {
        t.send_record(record.encode_to_vec().into());
    }
    assert!(!t.hears_more_than(before, Duration::from_secs(2)).await, "the EUT answers");
    goes_on(t).await;
}

async fn secured_payload(t: &mut Bench) {
    let record = Record { payload_security: 1, ..record_with_get(t, "own-secured") };
    assert_eq!(error_to(t, &record, "own-secured").await, 7102);
}

async fn unknown_enumeration_value(t: &mut Bench) {
    let record = Record { payload_security: 9, ..record_with_get(t, "own-enum") };
    assert_eq!(error_to(t, &record, "own-enum").await, 7104);
}

async fn disconnect_record_at_the_end(t: &mut Bench) {
    t.eut.power_off().await;
    let until = Instant::now() + SOON;
    while t.disconnects().is_empty() {
        let records = t.records();
        assert!(t.hears_more_than(records, until - Instant::now()).await, "no Disconnect record");
    }
    let codes = t.disconnects();
    assert!(codes.iter().all(|code| (7000..=7899).contains(code)), "R-MTP.9: {codes:?}");
}

async fn connect_record_after_disconnect_record(t: &mut Bench) {
    let connects = t.connects();
    let leave = usp_agent::usp::wire::record::DisconnectRecord { reason: "a break".to_owned(), reason_code: 7105 };
    let record = Record { record_type: Some(RecordType::Disconnect(leave)), ..record_with_get(t, "") };
    t.send_record(record.encode_to_vec().into());
    send_message(t, request("own-after", get("Device.LocalAgent.EndpointID")));
    let records = t.records();
    assert!(t.hears_more_than(records, PATIENCE).await, "nothing after the Disconnect record");
    assert_eq!(t.connects(), connects + 1, "the first record is not a Connect record");
    assert!(matches!(t.answer("own-after", PATIENCE).await, Some(MsgBody::Response(_))));
}

async fn record_types(t: &mut Bench) {
    let before = t.records();
    let mut two = record_with_get(t, "own-two").encode_to_vec();
    // disconnect (12), empty, behind the no_session_context.
    two.extend(field(12, b""));
    let none = Record { record_type: None, ..record_with_get(t, "") }.encode_to_vec();
    for record in [two, none] {
        t.send_record(record.into());
    }
    assert!(!t.hears_more_than(before, Duration::from_secs(2)).await, "the EUT answers");
    goes_on(t).await;
}

async fn message_bodies(t: &mut Bench) {
    let header = |id: &str| {
        let header = msg::Header { msg_id: id.to_owned(), msg_type: MsgType::Get as i32 };
        field(1, &header.encode_to_vec())
    };
    let whole = Msg::decode(request("x", get("Device."))).expect("a message").body.expect("a body").encode_to_vec();
    let two = [header("own-two-bodies"), field(2, &[&whole[..], &field(2, b"")].concat())].concat();
    let bodies = [header("own-two-fields"), field(2, &whole), field(2, &whole)].concat();
    for (id, message) in [("own-two-bodies", two), ("own-two-fields", bodies)] {
        send_message(t, message);
        let Some(MsgBody::Error(error)) = t.answer(id, PATIENCE).await else { panic!("no Error to {id}") };
        assert_eq!(error.err_code, 7004, "{id}");
    }
    // Whether it was a request only its msg_type tells.
    send_message(t, header("own-no-body"));
    match t.answer("own-no-body", Duration::from_secs(1)).await {
        None => {}
        Some(MsgBody::Error(error)) => assert_eq!(error.err_code, 7004),
        other => panic!("{other:?}"),
    }
    goes_on(t).await;
}

async fn session_context_refused(t: &mut Bench) {
    let payload = vec![request("own-session", get("Device."))];
    let session = SessionContextRecord {
        session_id: 2,
        sequence_id: 1,
        expected_id: 1,
        payload,
        ..SessionContextRecord::default()
    };
    let record = Record { record_type: Some(RecordType::SessionContext(session)), ..record_with_get(t, "") };
    t.send_record(record.encode_to_vec().into());
    let until = Instant::now() + PATIENCE;
    while t.disconnects().is_empty() {
        let records = t.records();
        assert!(t.hears_more_than(records, until - Instant::now()).await, "no Disconnect record");
    }
    assert_eq!(t.disconnects(), [7106]);
    assert_eq!(t.answer("own-session", Duration::from_secs(1)).await, None);
    goes_on(t).await;
}

async fn unreadable_keys(t: &mut Bench) {
    permit(t, &[("Device.LocalAgent.Subscription.*.Alias", Rights("-w--", ALL, ALL, ALL, None))]).await;
    let created = single(accepted(t.add(WHOLE, &[(SUBSCRIPTION, &[must("ID", "own-keys")])]).await)).outcome.unwrap();
    assert_eq!(created.unique_keys.keys().collect::<Vec<_>>(), ["ID", "Recipient"]);
}

async fn unreadable_updates(t: &mut Bench) {
    let row = subscription(t, "own-updates").await;
    permit(t, &[("Device.LocalAgent.Subscription.*.Enable", Rights("-w--", ALL, ALL, ALL, None))]).await;
    let settings = [must("Enable", "false"), must("NotifRetry", "true")];
    let updated = single(single(accepted(t.set(WHOLE, &[(&row, &settings)]).await)).outcome.unwrap());
    assert_eq!(updated.updated_params.keys().collect::<Vec<_>>(), ["NotifRetry"]);
}

/// Whether such an object is deleted, or is not there for who asks, is left open.
async fn unreadable_deletions(t: &mut Bench) {
    let row = subscription(t, "own-deletion").await;
    permit(t, &[(SUBSCRIPTION, Rights(ALL, "-w--", "-w--", ALL, None))]).await;
    match t.delete(PARTIAL, &[&row]).await {
        Ok(results) => match single(results).outcome {
            Ok(deleted) => assert!(deleted.affected_paths.is_empty() && deleted.unaffected_path_errs.is_empty()),
            Err(failure) => assert_eq!(failure.err_code, 7026),
        },
        Err(error) => assert_eq!(error.err_code, 7026),
    }
}

async fn unreadable_keys_of_instances(t: &mut Bench) {
    let row = subscription(t, "own-instances").await;
    permit(t, &[("Device.LocalAgent.Subscription.*.Alias", Rights("-w--", ALL, ALL, ALL, None))]).await;
    let result = single(accepted(t.get_instances(&[SUBSCRIPTION], true).await));
    let instance = single(result.curr_insts);
    assert_eq!(instance.instantiated_obj_path, row);
    assert_eq!(instance.unique_keys.keys().collect::<Vec<_>>(), ["ID", "Recipient"]);
}

async fn version_negotiation(t: &mut Bench) {
    for supported in ["1.0", "1.3,1.4", "1.9,2.0", ""] {
        let request = msg::GetSupportedProtocol { controller_supported_protocol_versions: supported.to_owned() };
        let response = t.ask(ReqType::GetSupportedProtocol(request)).await;
        let Ok(RespType::GetSupportedProtocolResp(response)) = response else { panic!("{supported:?}: {response:?}") };
        let versions: Vec<&str> = response.agent_supported_protocol_versions.split(',').collect();
        assert!(versions.contains(&"1.4"), "{versions:?}");
    }
}

async fn too_many_entries(t: &mut Bench) {
    let paths = vec!["Device.LocalAgent.EndpointID".to_owned(); 4097];
    let answer = t.ask(ReqType::Get(msg::Get { param_paths: paths, max_depth: 0 })).await;
    assert_eq!(answer.expect_err("a GetResp").err_code, 7005);
    goes_on(t).await;
}

async fn record_over_the_limit_on_websocket(scene: &mut Scene) {
    let lane = Lane::new(scene, WsOptions { retry: "1", ..WsOptions::default() }).await;
    scene.power_on().await;
    let ids = Ids::of(scene);
    let mut socket = lane.open(&ids).await;
    ids.connect_record(&mut socket).await;
    socket.send_record(&vec![0; usp_agent::mtp::MAX_RECORD + 1]).await;
    assert_eq!(socket.close_frame(SOON).await.code(), Some(1009));
    drop(socket);
    let mut socket = lane.open(&ids).await;
    ids.gets(&mut socket, "Device.LocalAgent.EndpointID").await;
}

async fn met(scene: &mut Scene) -> (Inn, Ids, Guest) {
    let inn = Inn::new(scene, Options::default()).await;
    scene.power_on().await;
    let (guest, _) = inn.subscribed(&[]).await;
    (inn, Ids::of(scene), guest)
}

async fn record_over_the_limit_through_a_broker(scene: &mut Scene) {
    let (inn, ids, mut guest) = met(scene).await;
    // A 5.0 broker knows the agent's Maximum Packet Size.
    let sizes = [usp_agent::mtp::MAX_RECORD + 1, usp_agent::mtp::mqtt::MAX_PACKET + 1];
    for size in sizes.into_iter().take(if inn.version == 5 { 1 } else { 2 }) {
        guest.qos = 1;
        guest.send(vec![0; size].into()).await;
        guest.qos = 0;
        ids.gets(&mut guest, "Device.LocalAgent.EndpointID").await;
    }
}

async fn response_on_the_mtp_of_the_request(scene: &mut Scene) {
    let lane = Lane::new(scene, WsOptions::default()).await;
    let inn = Inn::new(scene, Options::default()).await;
    scene.power_on().await;
    let ids = Ids::of(scene);
    let (mut guest, _) = inn.subscribed(&[]).await;
    let mut socket = lane.open(&ids).await;
    for _ in 0..2 {
        ids.gets(&mut guest, "Device.LocalAgent.EndpointID").await;
        ids.gets(&mut socket, "Device.LocalAgent.EndpointID").await;
    }
}

async fn endpoint_id_in_the_uri(scene: &mut Scene) {
    let lane = Lane::new(scene, WsOptions::default()).await;
    scene.power_on().await;
    let asked = lane.asked(PATIENCE).await;
    let uri = asked.request.line.split(' ').nth(1).expect("a URI");
    let (path, query) = uri.split_once('?').expect("a query");
    assert_eq!(path, "/usp");
    let eid = format!("eid={}", scene.agent_id.replace('%', "%25"));
    assert!(query.split('&').any(|pair| pair == eid), "{uri}");
}

async fn extension_is_answered(scene: &mut Scene) {
    let lane = Lane::new(scene, WsOptions::default()).await;
    scene.power_on().await;
    let ids = Ids::of(scene);
    let offer = format!("bbf-usp-protocol; eid=\"{}\"", ids.own);
    let headers = [("Sec-WebSocket-Protocol", "v1.usp"), ("Sec-WebSocket-Extensions", &*offer)];
    let (head, mut socket) = lane.ask(&ids, &headers).await.expect("an answer");
    let answered = head.get("Sec-WebSocket-Extensions").expect("the extension");
    assert_eq!(answered, format!("bbf-usp-protocol; eid=\"{}\"", scene.agent_id));
    ids.gets(&mut socket, "Device.LocalAgent.EndpointID").await;
}

async fn text_frame(scene: &mut Scene) {
    let lane = Lane::new(scene, WsOptions::default()).await;
    scene.power_on().await;
    let ids = Ids::of(scene);
    let mut socket = lane.open(&ids).await;
    socket.send(true, opcode::TEXT, b"a record is binary").await;
    assert_eq!(socket.close_frame(SOON).await.code(), Some(1003));
}

async fn keep_alive(scene: &mut Scene) {
    let lane = Lane::new(scene, WsOptions { keep_alive: "1", ..WsOptions::default() }).await;
    // Before the agent is there: a busy machine shows a ping late, and never early.
    let begun = Instant::now();
    scene.power_on().await;
    let ids = Ids::of(scene);
    let mut socket = lane.open(&ids).await;
    ids.connect_record(&mut socket).await;
    for number in 1..=3 {
        let ping = socket.frame(Duration::from_secs(10)).await.expect("the connection ends");
        assert_eq!(ping.opcode, opcode::PING, "{ping:?}");
        socket.send(true, opcode::PONG, &ping.payload).await;
        let (due, after) = (Duration::from_secs(number), begun.elapsed());
        assert!(after > due.mul_f32(0.95) && after < due + Duration::from_secs(10), "ping {number} after {after:?}");
    }
    // A peer that stops answering is given up.
    assert!(socket.ends(Duration::from_secs(5)).await, "a peer that does not answer pings is kept");
}

async fn counters(t: &mut Bench) {
    let path = "Device.MQTT.Client.1.Stats.";
    let mut before = 0;
    for _ in 0..2 {
        let values: Vec<(String, String)> =
            read(t, path).await.into_iter().map(|(object, name, value)| (format!("{object}{name}"), value)).collect();
        let number = |name: &str| value_of(&values, name).parse::<u32>().expect("a number");
        // CONNECT, SUBSCRIBE and PUBLISH at least; what answers a Get is counted in the next.
        assert!(number("MQTTMessagesSent") >= 3 && number("MQTTMessagesReceived") >= 3, "{values:?}");
        assert!(number("MQTTMessagesSent") > before, "{values:?}");
        before = number("MQTTMessagesSent");
        assert_ne!(value_of(&values, "BrokerConnectionEstablished"), "0001-01-01T00:00:00Z");
    }
}

async fn disconnect_packet(scene: &mut Scene) {
    let (_inn, ids, mut guest) = met(scene).await;
    ids.connect_record(&mut guest).await;
    let leaves = async {
        loop {
            match guest.packet(SOON).await {
                Some(packet) if packet.first == 0xe0 => return true,
                Some(_) => {}
                None => return false,
            }
        }
    };
    let (leaves, ()) = tokio::join!(timeout(SOON, leaves), scene.eut.power_off());
    assert!(leaves.expect("the connection stays"), "the connection ends without DISCONNECT");
}
