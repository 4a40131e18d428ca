//! TP-469, chapter 6: STOMP, frame by frame. The case is the server, and the controller behind it.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout, timeout_at};
use usp_agent::usp::wire::msg::body::MsgBody;
use usp_agent::usp::wire::msg::request::ReqType;
use usp_agent::usp::wire::msg::response::RespType;
use usp_agent::usp::wire::msg::set::{UpdateObject, UpdateParamSetting};
use usp_agent::usp::wire::msg::{self, GetSupportedDm, Operate};
use usp_agent::usp::wire::record::StompConnectRecord;
use usp_agent::usp::wire::record::record::RecordType;

use crate::bench::seconds;
use crate::cases::{Case, case};
use crate::eut::Scene;
use crate::place::Transport;
use crate::secure::{Credential, Secure};
use crate::stomp_broker::{Broker, Connection, Frame, Read};
use crate::tester::PATIENCE;
use crate::wire::{Ids, Wire, value_of};

const STOMP: &[Transport] = &[Transport::Stomp];

#[rustfmt::skip]
pub const CASES: &[Case] = &[
    case!("6.1", "Support of Required Profiles", wire required_profiles, on: STOMP),
    case!("6.2", "STOMP session establishment", wire session_establishment, on: STOMP),
    case!("6.3", "STOMP Connection Retry", wire connection_retry, on: STOMP, waits: true),
    case!("6.4", "Successful USP message over STOMP with required headers", wire required_headers, on: STOMP),
    case!("6.5", "STOMP destination - provided in subscribe-dest", wire destination_in_subscribe_dest, on: STOMP),
    case!("6.6", "STOMP destination - configured in USP data model", wire destination_in_the_data_model, on: STOMP),
    case!("6.7", "STOMP Destination - terminates unconfigured session", wire terminates_unconfigured_session, on: STOMP),
    case!("6.8", "Use of STOMP heartbeat mechanism", wire heartbeats, on: STOMP, waits: true),
    case!("6.9", "Error Handling - Unprocessed Record", wire unprocessed_record, on: STOMP, waits: true),
    case!("6.10", "Agent's STOMP destination is changed", wire destination_is_changed, on: STOMP),
    case!("6.11", "STOMP - Use of TLS", wire use_of_tls, on: STOMP),
    case!("6.12", "STOMP - Use of Connect Record", wire connect_record, on: STOMP),
];

const AGENT: &str = "/queue/agent";
const CONTROLLER: &str = "/queue/controller";
const DEVICE_INFO: &str = "Device.DeviceInfo.";
const RECORD: &str = "application/vnd.bbf.usp.msg";
const MTP: &str = "Device.LocalAgent.MTP.[Protocol==\"STOMP\"].STOMP.";
const CONNECTION: &str = "Device.STOMP.Connection.";

/// A server that the agent is told of.
struct Lane {
    broker: Broker,
    tls: Option<Secure>,
}

/// A session of the agent.
struct Session {
    connection: Connection,
    /// The frame it began with.
    stomp: Frame,
    /// Where the agent listens; empty before it subscribed.
    destination: String,
    /// The SEND that carried the last record.
    send: Frame,
    /// Frames that carry no record, as they came.
    others: Vec<Frame>,
}

impl Lane {
    /// Tells the agent of the server and of the controller behind it; it is not started.
    async fn new(scene: &mut Scene, retry: &str, tls: Option<Secure>) -> Lane {
        let broker = Broker::new().await;
        scene.controller();
        let (host, encrypted) = if tls.is_some() { ("localhost", "1") } else { ("127.0.0.1", "0") };
        let port = broker.port.to_string();
        let told = &mut scene.told;
        told.section("mtp", "wire_mtp", &[("Protocol", "STOMP"), ("stomp", "wire"), ("Destination", AGENT)]);
        told.section(
            "controller_mtp",
            "wire_link",
            &[("controller", "first"), ("Protocol", "STOMP"), ("stomp", "wire"), ("Destination", CONTROLLER)],
        );
        let connection =
            [("Host", host), ("Port", &*port), ("EnableEncryption", encrypted), ("ServerRetryInitialInterval", retry)];
        told.section("stomp", "wire", &connection);
        if let Some(secure) = &tls {
            secure.tell("first", told);
        }
        for (name, value) in [("HOST", host), ("PORT", &*port), ("RETRY", retry)] {
            told.fact("first", name, value);
        }
        told.fact("first", "AGENT_TOPIC", AGENT);
        told.fact("first", "CONTROLLER_TOPIC", CONTROLLER);
        Lane { broker, tls }
    }

    /// The agent's next connection, whose first frame came. One that ends before belonged to an agent that is gone.
    async fn begun(&self, within: Duration) -> Session {
        let until = Instant::now() + within;
        loop {
            let accepted = timeout_at(until, self.broker.listener.accept()).await.expect("the EUT does not connect");
            let (tcp, _) = accepted.expect("a peer");
            tcp.set_nodelay(true).expect("no delay");
            let mut connection = match &self.tls {
                None => Connection::new(Box::new(tcp)),
                Some(secure) => {
                    let mut first = [0];
                    tcp.peek(&mut first).await.expect("a first byte");
                    assert_eq!(first, [0x16], "not a TLS handshake");
                    Connection::new(Box::new(secure.server_of_a_broker().accept(tcp).await.expect("TLS")))
                }
            };
            if let Read::Frame(stomp) = connection.next().await {
                assert_eq!(stomp.command, "STOMP", "R-STOMP.2: {stomp:?}");
                let (destination, send) = (String::new(), Frame::default());
                return Session { connection, stomp, destination, send, others: Vec::new() };
            }
        }
    }

    /// The agent's next session, which has subscribed; CONNECTED says this beside the version.
    async fn open(&self, connected: &[(&str, &str)]) -> Session {
        let mut session = self.begun(PATIENCE).await;
        session.connected(connected).await;
        let subscribe = session.frame("SUBSCRIBE").await;
        assert_eq!(subscribe.header("ack"), Some("auto"), "R-STOMP.17");
        session.subscribed(&subscribe).await;
        session
    }
}

impl Session {
    async fn connected(&mut self, more: &[(&str, &str)]) {
        let headers = [&[("version", "1.2")], more].concat();
        self.connection.send("CONNECTED", &headers, b"").await;
    }

    async fn subscribed(&mut self, subscribe: &Frame) {
        self.destination = subscribe.header("destination").expect("R-STOMP.13").to_owned();
        self.connection.receipt(subscribe).await;
    }

    /// The next frame that carries no record.
    async fn frame(&mut self, command: &str) -> Frame {
        while self.others.is_empty() {
            assert!(self.take(PATIENCE).await, "the connection ends where {command} was expected");
        }
        let frame = self.others.remove(0);
        assert_eq!(frame.command, command, "{frame:?}");
        frame
    }

    /// Takes in what comes next but a heart-beat; false at the end of the connection.
    async fn take(&mut self, within: Duration) -> bool {
        let until = Instant::now() + within;
        loop {
            match timeout_at(until, self.connection.reader.next()).await.expect("nothing comes from the EUT") {
                Read::End => return false,
                Read::Beat => {}
                Read::Frame(frame) if frame.command == "SEND" => {
                    self.send = frame;
                    return true;
                }
                Read::Frame(frame) => {
                    self.others.push(frame);
                    return true;
                }
            }
        }
    }
}

impl Wire for Session {
    async fn send(&mut self, record: Bytes) {
        let headers = [("content-type", RECORD), ("reply-to-dest", CONTROLLER)];
        self.connection.message(&headers, &record).await;
    }

    async fn receive(&mut self, within: Duration) -> Option<Bytes> {
        self.send = Frame::default();
        while self.send.body.is_empty() {
            if !self.take(within).await {
                return None;
            }
        }
        Some(Bytes::from(self.send.body.clone()))
    }
}

/// An agent that is started, and its first session.
async fn met(scene: &mut Scene) -> (Lane, Ids, Session) {
    let lane = Lane::new(scene, "", None).await;
    scene.power_on().await;
    let session = lane.open(&[]).await;
    (lane, Ids::of(scene), session)
}

fn set(path: &str, values: &[(&str, &str)]) -> ReqType {
    let setting = |(param, value): &(&str, &str)| UpdateParamSetting {
        param: (*param).to_owned(),
        value: (*value).to_owned(),
        required: true,
    };
    let object = UpdateObject { obj_path: path.to_owned(), param_settings: values.iter().map(setting).collect() };
    ReqType::Set(msg::Set { allow_partial: false, update_objs: vec![object] })
}

async fn required_profiles(scene: &mut Scene) {
    let (_lane, ids, mut session) = met(scene).await;
    let request = GetSupportedDm {
        obj_paths: vec!["Device.STOMP.".to_owned(), "Device.LocalAgent.".to_owned()],
        return_params: true,
        ..GetSupportedDm::default()
    };
    let response = ids.ask(&mut session, ReqType::GetSupportedDm(request)).await;
    let RespType::GetSupportedDmResp(response) = response else { panic!("{response:?}") };
    let objects = response.req_obj_results.iter().flat_map(|result| &result.supported_objs);
    let there: Vec<String> = objects
        .flat_map(|object| {
            let path = &object.supported_obj_path;
            object.supported_params.iter().map(move |param| format!("{path}{}", param.param_name))
        })
        .collect();
    let of_connection = [
        "Alias",
        "Enable",
        "Status",
        "Host",
        "Port",
        "VirtualHost",
        "ServerRetryInitialInterval",
        "ServerRetryIntervalMultiplier",
        "ServerRetryMaxInterval",
    ];
    let wanted = of_connection.iter().map(|name| format!("Device.STOMP.Connection.{{i}}.{name}"));
    let others = [
        "Device.LocalAgent.Controller.{i}.MTP.{i}.STOMP.Reference",
        "Device.LocalAgent.Controller.{i}.MTP.{i}.STOMP.Destination",
        "Device.STOMP.ConnectionNumberOfEntries",
    ];
    let missing: Vec<_> = wanted.chain(others.map(str::to_owned)).filter(|path| !there.contains(path)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

async fn session_establishment(scene: &mut Scene) {
    let (lane, _ids, _first) = met(scene).await;
    scene.eut.power_cycle().await;
    let session = lane.open(&[]).await;
    assert!(session.stomp.header("accept-version").is_some_and(|versions| versions.contains("1.2")));
    assert_eq!(session.stomp.header("endpoint-id"), Some(&*scene.agent_id), "R-STOMP.4");
}

/// A server that is disabled takes connections and drops them, so that the tries can be seen.
async fn connection_retry(scene: &mut Scene) {
    let lane = Lane::new(scene, "2", None).await;
    scene.power_on().await;
    let (ids, mut session) = (Ids::of(scene), lane.open(&[]).await);
    let values = ids.gets(&mut session, CONNECTION).await;
    let number = |name: &str| value_of(&values, name).parse::<f64>().expect("a number");
    let (m, k) = (number(".ServerRetryInitialInterval"), number(".ServerRetryIntervalMultiplier"));
    let reboot = Operate { command: "Device.Reboot()".to_owned(), send_resp: true, ..Operate::default() };
    ids.ask(&mut session, ReqType::Operate(reboot)).await;
    scene.eut.reboot().await;
    drop(session);
    let mut failed = dropped(&lane, PATIENCE).await;
    for n in 1..=2 {
        let longest = m * (k / 1000.0).powi(n - 1);
        let patience = Duration::from_secs_f64(longest + 1.0);
        let tried = if n == 1 { dropped(&lane, patience).await } else { lane.begun(patience).await.seen() };
        let waited = tried.duration_since(failed).as_secs_f64();
        assert!(waited < longest + 0.5, "try {n} after {waited:.2} s, the longest is {longest} s");
        failed = tried;
    }
}

impl Session {
    /// The moment it is looked at.
    fn seen(self) -> Instant {
        Instant::now()
    }
}

/// Takes the agent's next connection and drops it.
async fn dropped(lane: &Lane, within: Duration) -> Instant {
    let (tcp, _) = timeout(within, lane.broker.listener.accept()).await.expect("the EUT does not try").expect("a peer");
    drop(tcp);
    Instant::now()
}

async fn required_headers(scene: &mut Scene) {
    let (_lane, ids, mut session) = met(scene).await;
    ids.gets(&mut session, DEVICE_INFO).await;
    let send = &session.send;
    assert_eq!(send.header("content-length"), Some(&*send.body.len().to_string()));
    assert_eq!(send.header("content-type"), Some(RECORD));
    assert_eq!(send.header("reply-to-dest"), Some(&*session.destination));
    assert_eq!(send.header("destination"), Some(CONTROLLER), "R-STOMP.23");
}

async fn destination_in_subscribe_dest(scene: &mut Scene) {
    let (lane, ids, _first) = met(scene).await;
    scene.eut.power_cycle().await;
    let unused = "/queue/unused:1";
    let mut session = lane.open(&[("subscribe-dest", unused)]).await;
    assert_eq!(session.destination, unused);
    ids.gets(&mut session, "Device.LocalAgent.").await;
    assert_eq!(session.send.header("reply-to-dest"), Some(unused));
}

async fn destination_in_the_data_model(scene: &mut Scene) {
    let (lane, ids, mut session) = met(scene).await;
    let unused = "/queue/unused:2";
    ids.ask(&mut session, set(MTP, &[("Destination", unused)])).await;
    scene.eut.power_cycle().await;
    let mut session = lane.open(&[]).await;
    assert_eq!(session.destination, unused);
    ids.gets(&mut session, DEVICE_INFO).await;
    assert_eq!(session.send.header("reply-to-dest"), Some(unused));
}

async fn terminates_unconfigured_session(scene: &mut Scene) {
    let (lane, ids, mut session) = met(scene).await;
    ids.ask(&mut session, set(MTP, &[("Destination", "")])).await;
    scene.eut.power_cycle().await;
    let mut session = lane.begun(PATIENCE).await;
    session.connected(&[]).await;
    while session.take(PATIENCE).await {}
    let commands: Vec<_> = session.others.iter().map(|frame| &*frame.command).collect();
    assert!(commands.is_empty() || commands == ["DISCONNECT"], "{commands:?}");
    assert!(session.send.body.is_empty(), "a record before the end");
}

async fn heartbeats(scene: &mut Scene) {
    let (lane, ids, mut session) = met(scene).await;
    let path = format!("{CONNECTION}*.");
    let settings = [("EnableHeartbeats", "true"), ("IncomingHeartbeat", "10000"), ("OutgoingHeartbeat", "15000")];
    ids.ask(&mut session, set(&path, &settings)).await;
    scene.eut.power_cycle().await;
    let session = lane.open(&[("heart-beat", "10000,15000")]).await;
    let offered = session.stomp.header("heart-beat").expect("a heart-beat header").replace(' ', "");
    assert_eq!(offered, "15000,10000");
    let (mut connection, begun) = (session.connection, Instant::now());
    let until = begun + seconds(60, 46);
    let (mut last, mut beats, mut own) = (begun, 0, begun);
    while Instant::now() < until {
        own += Duration::from_secs(9);
        while let Ok(read) = timeout_at(own.min(until), connection.reader.next()).await {
            let gap = last.elapsed();
            match read {
                Read::Beat => beats += 1,
                // The change is still on trial, and the EUT asks whether the server is there.
                Read::Frame(frame) if frame.command == "SUBSCRIBE" => connection.receipt(&frame).await,
                Read::Frame(frame) => assert!(["SEND", "UNSUBSCRIBE"].contains(&&*frame.command), "{frame:?}"),
                Read::End => panic!("the EUT ends the session"),
            }
            assert!(gap < Duration::from_millis(15_500), "nothing from the EUT for {gap:?}");
            last = Instant::now();
        }
        connection.write(b"\n").await;
    }
    let most = begun.elapsed().as_secs() / 14;
    assert!(beats + 1 >= begun.elapsed().as_secs() / 15 && beats <= most, "{beats} heart-beats");
}

async fn unprocessed_record(scene: &mut Scene) {
    let (_lane, ids, mut session) = met(scene).await;
    ids.connect_record(&mut session).await;
    session.send(Bytes::from_static(b"\xff\xff\xffno record")).await;
    if let Ok(answer) = timeout(seconds(60, 5), session.receive(Duration::from_secs(70))).await {
        let RecordType::NoSessionContext(inner) = ids.open(answer.expect("the EUT ends the session")) else {
            panic!("a record that is no Error");
        };
        let message = <msg::Msg as prost::Message>::decode(inner.payload).expect("a message");
        let body = message.body.and_then(|body| body.msg_body);
        assert!(matches!(body, Some(MsgBody::Error(_))), "{body:?}");
    }
    ids.gets(&mut session, DEVICE_INFO).await;
}

async fn destination_is_changed(scene: &mut Scene) {
    let (_lane, ids, mut session) = met(scene).await;
    let other = "/queue/other:3";
    ids.ask(&mut session, set(MTP, &[("Destination", other)])).await;
    session.frame("UNSUBSCRIBE").await;
    let subscribe = session.frame("SUBSCRIBE").await;
    assert_eq!(subscribe.header("destination"), Some(other));
    session.subscribed(&subscribe).await;
    ids.gets(&mut session, DEVICE_INFO).await;
    assert_eq!(session.send.header("reply-to-dest"), Some(other));
}

async fn use_of_tls(scene: &mut Scene) {
    let secure = Secure::new(scene.transport, Credential::Good, &scene.agent_id, &scene.own_id);
    let lane = Lane::new(scene, "", Some(secure)).await;
    scene.power_on().await;
    let ids = Ids::of(scene);
    let _first = lane.open(&[]).await;
    scene.eut.power_cycle().await;
    let mut session = lane.open(&[]).await;
    ids.gets(&mut session, DEVICE_INFO).await;
}

async fn connect_record(scene: &mut Scene) {
    let (lane, ids, _first) = met(scene).await;
    scene.eut.power_cycle().await;
    let mut session = lane.open(&[]).await;
    let RecordType::StompConnect(record) = ids.connect_record(&mut session).await else {
        panic!("the first record is no STOMPConnectRecord")
    };
    assert_eq!(record, StompConnectRecord { version: 0, subscribed_destination: session.destination });
    assert_eq!(session.send.header("destination"), Some(CONTROLLER));
}
