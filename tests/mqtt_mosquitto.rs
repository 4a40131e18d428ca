//! The MQTT link against a real mosquitto, an agent and a controller both being links of ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/link.rs"]
mod link;
#[path = "support/mosquitto.rs"]
mod mosquitto;

use certificates::{Asked, Authority};
use link::Link;
use mosquitto::{Mosquitto, password_file};
use std::time::Duration;
use usp_agent::mtp::backoff::Policy;
use usp_agent::mtp::mqtt::{ACK_TIMEOUT, Settings, Version, start};
use usp_agent::mtp::tls::{ClientTls, Clock, Identity, Trust, Versions};
use usp_agent::mtp::{Destination, Limits, LinkCommand, LinkEvent, MAX_RECORD};

const BOTH: [Version; 2] = [Version::V5, Version::V311];

fn settings(port: u16, name: &str, version: Version) -> Settings {
    Settings {
        host: "127.0.0.1".into(),
        port,
        tls: None,
        version,
        client_id: "".into(),
        own_id: format!("proto::{name}").into(),
        username: "".into(),
        password: "".into(),
        keep_alive: 60,
        clean_start: true,
        session_expiry: None,
        resubscribe: None,
        request_response_info: true,
        request_problem_info: true,
        will: None,
        filters: Vec::new(),
        response_topic: Some(format!("usp/{name}").into()),
        publish_qos: 1,
        retry: Policy { minimum: Duration::from_millis(50), multiplier: Some(1000), ..Policy::default() },
        message_retry: ACK_TIMEOUT,
        ack_timeout: ACK_TIMEOUT,
        limits: Limits::default(),
    }
}

fn run(settings: Settings) -> Link {
    Link::spawn(32, |id, events| start(settings, id, events))
}

fn topic(topic: &str) -> Destination {
    Destination::Topic { topic: topic.into(), retain: false }
}

fn open(_: &certificates::Folder) -> String {
    "allow_anonymous true".into()
}

#[tokio::test]
async fn a_request_and_its_answer_travel_in_both_versions() {
    let Some(broker) = Mosquitto::start(open) else { return };
    for version in BOTH {
        for publish_qos in [0, 1, 2] {
            let mut agent = run(Settings { publish_qos, ..settings(broker.port, "agent", version) });
            let mut controller = run(Settings { publish_qos, ..settings(broker.port, "controller", version) });
            let (agent_channel, peer) = agent.connected().await;
            assert_eq!(peer.mqtt_level, version.level());
            assert_eq!(peer.response_topic.as_deref(), Some("usp/agent"));
            if version == Version::V5 {
                assert!(peer.assigned_client_id.is_some_and(|id| !id.is_empty()));
            }
            let (channel, _) = controller.connected().await;
            controller.send(channel, b"request", topic("usp/agent"));
            let (_, bytes, reply_to) = agent.record().await;
            assert_eq!((&bytes[..], reply_to.as_deref()), (&b"request"[..], Some("usp/controller")));
            agent.send(agent_channel, &vec![9; MAX_RECORD], topic("usp/controller"));
            assert_eq!(controller.record().await.1.len(), MAX_RECORD);
            agent.shut_down().await;
            controller.shut_down().await;
        }
    }
}

#[tokio::test]
async fn many_records_arrive_in_order() {
    let Some(broker) = Mosquitto::start(open) else { return };
    let mut agent = run(settings(broker.port, "agent", Version::V5));
    let mut controller = run(settings(broker.port, "controller", Version::V5));
    agent.connected().await;
    let (channel, _) = controller.connected().await;
    for round in 0..10u8 {
        (0..30).for_each(|number| controller.send(channel, &[round, number], topic("usp/agent")));
        for number in 0..30 {
            assert_eq!(agent.record().await.1[..], [round, number]);
        }
    }
}

#[tokio::test]
async fn a_restarted_broker_is_found_again() {
    let Some(mut broker) = Mosquitto::start(open) else { return };
    let mut link = run(settings(broker.port, "agent", Version::V5));
    let (first, _) = link.connected().await;
    broker.stop();
    let (lost, _, retry_in) = link.lost().await;
    assert_eq!(lost, first);
    assert!(retry_in.is_some());
    broker.run();
    loop {
        match link.event().await {
            LinkEvent::Connected { channel, .. } => break assert_eq!(channel.session, 2),
            LinkEvent::Lost { why, .. } => assert!(why.contains("refused") || why.contains("closed"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    link.send(first, b"late", topic("usp/agent"));
    assert!(link.remark().await.contains("no longer connected"));
}

#[tokio::test]
async fn wrong_credentials_are_told_and_right_ones_serve() {
    let Some(broker) = Mosquitto::start(|folder| {
        format!("allow_anonymous false\npassword_file {}", password_file(folder, "router", "right"))
    }) else {
        return;
    };
    for version in BOTH {
        for (password, good) in [("wrong", false), ("right", true)] {
            let credentials = |settings| Settings { username: "router".into(), password: password.into(), ..settings };
            let mut link = run(credentials(settings(broker.port, "agent", version)));
            match link.event().await {
                LinkEvent::Connected { .. } => assert!(good),
                LinkEvent::Lost { why, .. } => {
                    assert!(!good && why.contains("check Username"), "{why}");
                    assert!(!why.contains(password));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn changed_filters_take_effect() {
    let Some(broker) = Mosquitto::start(open) else { return };
    for version in BOTH {
        let mut agent = run(settings(broker.port, "agent", version));
        let (channel, _) = agent.connected().await;
        agent.command(LinkCommand::Filters(vec![("extra/+".into(), 1)]));
        agent.send(channel, b"to myself", topic("extra/topic"));
        // With 3.1.1 the reply-to suffix adds levels that extra/+ does not match.
        if version == Version::V5 {
            assert_eq!(&agent.record().await.1[..], b"to myself");
        }
        agent.command(LinkCommand::Filters(Vec::new()));
        agent.send(channel, b"nobody listens", topic("extra/topic"));
        // 3.1.1 has no reasons.
        if version == Version::V5 {
            let remark = agent.remark().await;
            assert!(remark.contains("nobody is subscribed to \"extra/topic\""), "{remark}");
        }
        agent.send(channel, b"still subscribed", topic("usp/agent"));
        assert_eq!(&agent.record().await.1[..], b"still subscribed");
    }
}

#[tokio::test]
async fn an_access_list_is_made_visible() {
    let Some(broker) = Mosquitto::start(|folder| {
        let list = folder.write("acl", "topic read usp/agent\ntopic write usp/controller\n");
        format!("allow_anonymous true\nacl_file {}", list.display())
    }) else {
        return;
    };
    let mut link = run(settings(broker.port, "agent", Version::V5));
    let (channel, _) = link.connected().await;
    link.send(channel, b"x", topic("usp/forbidden"));
    let remark = link.remark().await;
    assert!(remark.contains("usp/forbidden") && remark.contains("0x87 not authorized"), "{remark}");
}

struct Tls {
    authority: Authority,
    broker: Mosquitto,
}

impl Tls {
    fn start(version: &str, clients: bool) -> Option<Tls> {
        let authority = Authority::new("Broker CA");
        let issued =
            authority.issue(Asked { names: &["127.0.0.1"], endpoint_id: Some("proto::broker"), ..Asked::default() });
        let ca = authority.file.display().to_string();
        let broker = Mosquitto::start(|_| {
            format!(
                "allow_anonymous true\ncafile {ca}\ncertfile {}\nkeyfile {}\ntls_version {version}\nrequire_certificate {clients}",
                issued.certificate.display(),
                issued.key.display()
            )
        })?;
        Some(Tls { authority, broker })
    }

    fn settings(&self, version: Version, tls: ClientTls) -> Settings {
        Settings { tls: Some(tls), ..settings(self.broker.port, "agent", version) }
    }

    fn trusting(&self) -> ClientTls {
        ClientTls { trust: Trust::File(self.authority.file.clone()), clock: Clock::new(true), ..ClientTls::default() }
    }
}

#[tokio::test]
async fn tls_1_2_and_1_3_reach_the_broker() {
    for (name, versions) in [("tlsv1.2", Versions::Only12), ("tlsv1.3", Versions::Only13), ("tlsv1.2", Versions::Both)]
    {
        let Some(tls) = Tls::start(name, false) else { return };
        for version in BOTH {
            let mut link = run(tls.settings(version, ClientTls { versions, ..tls.trusting() }));
            let (channel, peer) = link.connected().await;
            assert!(peer.encrypted);
            assert_eq!(peer.certificate_ids, ["proto::broker".into()]);
            link.send(channel, &vec![1; MAX_RECORD], topic("usp/agent"));
            assert_eq!(link.record().await.1.len(), MAX_RECORD);
            link.shut_down().await;
        }
    }
}

#[tokio::test]
async fn a_broker_of_another_authority_is_refused_with_its_name() {
    let Some(tls) = Tls::start("tlsv1.3", false) else { return };
    let other = Authority::new("Some other CA");
    let trust = Trust::File(other.file.clone());
    let mut link = run(tls.settings(Version::V5, ClientTls { trust, ..tls.trusting() }));
    let (_, why, _) = link.lost().await;
    assert!(why.contains("\"Broker CA\"") && why.contains("ca.pem"), "{why}");
}

#[tokio::test]
async fn a_client_certificate_is_presented_where_it_is_required() {
    for name in ["tlsv1.2", "tlsv1.3"] {
        let Some(tls) = Tls::start(name, true) else { return };
        let mut without = run(tls.settings(Version::V5, tls.trusting()));
        let (_, why, _) = without.lost().await;
        assert!(why.contains("certificate"), "{name}: {why}");
        let ours = tls.authority.issue(Asked { endpoint_id: Some("proto::agent"), ..Asked::default() });
        let identity = Some(Identity { certificate: ours.certificate, key: ours.key });
        let mut with = run(tls.settings(Version::V5, ClientTls { identity, ..tls.trusting() }));
        with.connected().await;
    }
}

#[tokio::test]
async fn tls_against_a_plain_port_and_plain_against_a_tls_port_are_told() {
    let Some(plain) = Mosquitto::start(open) else { return };
    let Some(tls) = Tls::start("tlsv1.3", false) else { return };
    let wrong = Settings { tls: Some(tls.trusting()), ..settings(plain.port, "agent", Version::V5) };
    let (_, why, _) = run(wrong).lost().await;
    assert!(why.contains("TLS"), "{why}");
    let (_, why, _) = run(settings(tls.broker.port, "agent", Version::V5)).lost().await;
    assert!(why.contains(&tls.broker.port.to_string()), "{why}");
}
