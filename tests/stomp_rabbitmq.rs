//! STOMP against a real RabbitMQ: links of ours on both sides, and the whole agent. The node starts slowly, so the cases
//! share one and are played one after another; without RabbitMQ they are not run, and say so.
//!
//! `cargo test --test stomp_rabbitmq -- WORD` plays the cases whose name holds the word.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/link.rs"]
mod link;
#[path = "support/rabbitmq.rs"]
mod rabbitmq;
#[path = "support/scene.rs"]
mod scene;

use certificates::{Asked, Authority};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use link::Link;
use rabbitmq::{RabbitMq, USER};
use rustix::process::Signal;
use scene::{SOON, Scene};
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::timeout;
use usp_agent::demo::controller::Controller;
use usp_agent::mtp::backoff::Policy;
use usp_agent::mtp::stomp::{Settings, start};
use usp_agent::mtp::tls::{ClientTls, Clock, Identity, Trust};
use usp_agent::mtp::{Destination, Fault, Limits, LinkCommand, LinkEvent, LinkId, MAX_RECORD, QUEUE};
use usp_agent::usp::endpoint_id::EndpointId;
use usp_agent::usp::wire::msg::notify::Notification;

/// A name and what is played.
type Case = (&'static str, for<'a> fn(&'a mut Node) -> LocalBoxFuture<'a, ()>);

/// Every case; the last one restarts the node.
const CASES: &[Case] = &[
    ("a_request_and_its_answer_travel", |node| Box::pin(a_request_and_its_answer_travel(node))),
    ("many_records_arrive_in_order", |node| Box::pin(many_records_arrive_in_order(node))),
    ("a_topic_serves_like_a_queue", |node| Box::pin(a_topic_serves_like_a_queue(node))),
    ("wrong_credentials_and_hosts_are_told", |node| Box::pin(wrong_credentials_and_hosts_are_told(node))),
    ("a_destination_that_is_refused_is_told", |node| Box::pin(a_destination_that_is_refused_is_told(node))),
    ("a_changed_destination_takes_effect", |node| Box::pin(a_changed_destination_takes_effect(node))),
    ("tls_with_certificates_of_both_sides", |node| Box::pin(tls_with_certificates_of_both_sides(node))),
    ("the_whole_agent_is_managed", |node| Box::pin(the_whole_agent_is_managed(node))),
    ("heart_beats_keep_a_link_and_find_a_frozen_server", |node| {
        Box::pin(heart_beats_keep_a_link_and_find_a_frozen_server(node))
    }),
    ("a_restarted_server_is_found_again", |node| Box::pin(a_restarted_server_is_found_again(node))),
];

/// The node and who it trusts.
struct Node {
    rabbit: RabbitMq,
    authority: Authority,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let fits = |name: &str| {
        let mut words = arguments.iter().filter(|word| !word.starts_with('-')).peekable();
        words.peek().is_none() || words.any(|word| name.contains(&**word))
    };
    let cases: Vec<&Case> = CASES.iter().filter(|(name, _)| fits(name)).collect();
    if arguments.iter().any(|word| word == "--list") {
        cases.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", cases.len());
    let begun = Instant::now();
    let (mut passed, mut failed) = (0, 0);
    let node = if cases.is_empty() { Err("nothing is asked for".into()) } else { Node::start() };
    let not_run = if node.is_ok() { 0 } else { cases.len() };
    match node {
        Ok(mut node) => {
            for (name, case) in cases {
                let fine = play(*case, &mut node);
                println!("test {name} ... {}", if fine { "ok" } else { "FAILED" });
                if fine { passed += 1 } else { failed += 1 }
            }
        }
        Err(why) => cases.iter().for_each(|(name, _)| println!("test {name} ... ignored, not run: {why}")),
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; {not_run} ignored; 0 measured; 0 filtered out; \
         finished in {:.2}s\n",
        begun.elapsed().as_secs_f32()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn play(case: for<'a> fn(&'a mut Node) -> LocalBoxFuture<'a, ()>, node: &mut Node) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let played = AssertUnwindSafe(async { timeout(Duration::from_secs(60), case(node)).await.expect("no end") });
    tokio::task::LocalSet::new().block_on(&runtime, played.catch_unwind()).is_ok()
}

impl Node {
    fn start() -> Result<Node, String> {
        let authority = Authority::new("Rabbit CA");
        let own = authority.issue(Asked { names: &["127.0.0.1"], ..Asked::default() });
        let rabbit = RabbitMq::start(&rabbitmq::tls(&authority.file, &own.certificate, &own.key))?;
        Ok(Node { rabbit, authority })
    }

    fn settings(&self, name: &str) -> Settings {
        Settings {
            host: "127.0.0.1".into(),
            port: self.rabbit.port,
            tls: None,
            own_id: format!("proto::{name}").into(),
            virtual_host: "".into(),
            username: USER.into(),
            password: USER.into(),
            heartbeats: None,
            destination: queue(name).into(),
            retry: Policy { minimum: Duration::from_millis(50), multiplier: Some(1000), ..Policy::default() },
            limits: Limits::default(),
        }
    }

    /// TLS that trusts the node's authority.
    fn tls(&self, identity: Option<Identity>) -> ClientTls {
        ClientTls {
            trust: Trust::File(self.authority.file.clone()),
            identity,
            clock: Clock::new(true),
            ..ClientTls::default()
        }
    }
}

fn queue(name: &str) -> String {
    format!("/queue/usp.{name}")
}

fn run(settings: Settings) -> Link {
    Link::spawn(32, |id, events| start(settings, id, events))
}

fn to(destination: &str) -> Destination {
    Destination::Topic { topic: destination.into(), retain: false }
}

async fn a_request_and_its_answer_travel(node: &mut Node) {
    let (mut agent, mut controller) = (run(node.settings("os::agent")), run(node.settings("proto::controller")));
    let (agent_channel, peer) = agent.connected().await;
    assert_eq!((peer.encrypted, peer.response_topic.as_deref()), (false, Some("/queue/usp.os::agent")));
    let (channel, _) = controller.connected().await;
    controller.send(channel, b"\0request\n", to("/queue/usp.os::agent"));
    let (_, bytes, reply_to) = agent.record().await;
    assert_eq!((&bytes[..], reply_to.as_deref()), (&b"\0request\n"[..], Some("/queue/usp.proto::controller")));
    agent.send(agent_channel, &vec![0; MAX_RECORD], to(&reply_to.unwrap()));
    assert_eq!(controller.record().await.1.len(), MAX_RECORD);
    agent.shut_down().await;
    controller.shut_down().await;
}

async fn many_records_arrive_in_order(node: &mut Node) {
    let (mut agent, mut controller) = (run(node.settings("many")), run(node.settings("sender")));
    agent.connected().await;
    let (channel, _) = controller.connected().await;
    for round in 0..10u8 {
        (0..30).for_each(|number| controller.send(channel, &[round, number], to(&queue("many"))));
        for number in 0..30 {
            assert_eq!(agent.record().await.1[..], [round, number]);
        }
    }
}

async fn a_topic_serves_like_a_queue(node: &mut Node) {
    let topic = "/topic/usp.agents.all";
    let mut agent = run(Settings { destination: topic.into(), ..node.settings("topic") });
    let (channel, _) = agent.connected().await;
    // Whoever is told of a subscription is subscribed: nothing sent from now on is missed.
    agent.send(channel, b"to myself", to(topic));
    assert_eq!(&agent.record().await.1[..], b"to myself");
}

async fn wrong_credentials_and_hosts_are_told(node: &mut Node) {
    let wrong = [
        (Settings { password: "wrong".into(), ..node.settings("wrong") }, "Access refused"),
        (Settings { virtual_host: "elsewhere".into(), ..node.settings("wrong") }, "elsewhere"),
    ];
    for (settings, word) in wrong {
        match run(settings).event().await {
            LinkEvent::Lost { channel, why, fault, retry_in, .. } => {
                assert_eq!((channel.session, fault), (0, Fault::Peer), "{why}");
                assert!(why.contains(word) && !why.contains("wrong\"") && retry_in.is_some(), "{why}");
            }
            other => panic!("{other:?}"),
        }
    }
    let mut named = run(Settings { virtual_host: "/".into(), ..node.settings("named") });
    named.connected().await;
}

async fn a_destination_that_is_refused_is_told(node: &mut Node) {
    let mut link = run(Settings { destination: "/nonsense".into(), ..node.settings("refused") });
    let (channel, why, _) = link.lost().await;
    assert!(channel.session == 0 && why.contains("the broker refuses"), "{why}");
}

async fn a_changed_destination_takes_effect(node: &mut Node) {
    let mut link = run(node.settings("before"));
    let (channel, _) = link.connected().await;
    link.command(LinkCommand::Filters(vec![(queue("after").into(), 0)]));
    let (again, peer) = link.connected().await;
    assert_eq!((again, peer.response_topic.as_deref()), (channel, Some("/queue/usp.after")));
    link.send(channel, b"nobody listens", to(&queue("before")));
    link.send(channel, b"here", to(&queue("after")));
    let (_, bytes, reply_to) = link.record().await;
    assert_eq!((&bytes[..], reply_to.as_deref()), (&b"here"[..], Some("/queue/usp.after")));
}

async fn tls_with_certificates_of_both_sides(node: &mut Node) {
    let ours = node.authority.issue(Asked { endpoint_id: Some("proto::tls"), ..Asked::default() });
    let identity = Identity { certificate: ours.certificate, key: ours.key };
    let port = node.rabbit.tls_port;
    let mut link = run(Settings { port, tls: Some(node.tls(Some(identity))), ..node.settings("tls") });
    let (channel, peer) = link.connected().await;
    assert!(peer.encrypted);
    link.send(channel, &vec![1; MAX_RECORD], to(&queue("tls")));
    assert_eq!(link.record().await.1.len(), MAX_RECORD);

    let mut bare = run(Settings { port, tls: Some(node.tls(None)), ..node.settings("bare") });
    assert!(bare.lost().await.1.contains("certificate"));
    let other = Authority::new("Some other CA");
    let foreign = ClientTls { trust: Trust::File(other.file.clone()), ..node.tls(None) };
    let mut link = run(Settings { port, tls: Some(foreign), ..node.settings("foreign") });
    assert!(link.lost().await.1.contains("\"Rabbit CA\""));
}

/// A controller that meets the agent at the node.
fn controller(node: &Node) -> Controller {
    let own_id = EndpointId::parse("self::test").unwrap();
    let (events, heard) = mpsc::channel(QUEUE);
    let (link, task) = start(node.settings("test.controller"), LinkId(0), events);
    tokio::task::spawn_local(task);
    Controller::over(&own_id, link, heard, to(&queue("test.agent")))
}

async fn the_whole_agent_is_managed(node: &mut Node) {
    let mut controller = controller(node);
    let mut scene = Scene::new();
    let (port, ctl, own) = (node.rabbit.port, queue("test.controller"), queue("test.agent"));
    scene.start(&format!(
        "config controller 'test'\n option url 'stomp://{USER}:{USER}@127.0.0.1:{port}{ctl}'
 option ResponseTopicConfigured '{own}'\n option EndpointID 'self::test'\n option AllowUnencrypted 1\n list role full\n"
    ));
    controller.agent(SOON).await.unwrap();
    assert_eq!(controller.value("Device.STOMP.Connection.1.Status").await.unwrap(), "Enabled");
    assert_eq!(controller.value("Device.LocalAgent.MTP.1.Status").await.unwrap(), "Up");
    assert_eq!(controller.value("Device.LocalAgent.MTP.1.STOMP.DestinationFromServer").await.unwrap(), "");
    let name = "Device.DeviceInfo.HostName";
    let settings = [("Enable", "true"), ("ID", "name"), ("NotifType", "ValueChange"), ("ReferenceList", name)];
    controller.add("Device.LocalAgent.Subscription.", &settings).await.unwrap();
    controller.set("Device.DeviceInfo.", &[("HostName", "castle")]).await.unwrap();
    let notify = controller.notification(SOON, |notify| notify.subscription_id == "name").await.unwrap();
    let Some(Notification::ValueChange(change)) = notify.notification else { panic!("{notify:?}") };
    assert_eq!((&*change.param_path, &*change.param_value), (name, "castle"));
    scene.signal(Signal::TERM);
    assert!(scene.ended().await.success());
    let until = Instant::now() + SOON;
    while controller.goodbyes() == 0 {
        assert!(Instant::now() < until, "no Disconnect record");
        controller.is_connected().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!scene.log().contains(&format!("{USER}:{USER}")), "the password is in the log");
}

async fn heart_beats_keep_a_link_and_find_a_frozen_server(node: &mut Node) {
    let beating = |name| Settings { heartbeats: Some((500, 500)), ..node.settings(name) };
    let (mut link, mut silent) = (run(beating("beats")), run(node.settings("silent")));
    link.connected().await;
    silent.connected().await;
    assert!(timeout(Duration::from_secs(4), link.events.recv()).await.is_err(), "lost although both sides beat");
    node.rabbit.freeze(true);
    let why = timeout(SOON, link.lost()).await;
    let other = timeout(Duration::from_millis(100), silent.events.recv()).await;
    node.rabbit.freeze(false);
    let why = why.expect("a frozen server is not missed").1;
    assert!(why.contains("heart-beats"), "{why}");
    assert!(other.is_err(), "a link without heart-beats was lost too: {other:?}");
    loop {
        match link.event().await {
            LinkEvent::Connected { .. } => return,
            LinkEvent::Lost { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn a_restarted_server_is_found_again(node: &mut Node) {
    let mut link = run(node.settings("restart"));
    let (first, _) = link.connected().await;
    node.rabbit.stop();
    let (lost, _, retry_in) = link.lost().await;
    assert!(lost == first && retry_in.is_some());
    // The link goes on trying while this thread waits for the node.
    node.rabbit.run();
    let until = Instant::now() + SOON;
    loop {
        assert!(Instant::now() < until, "not found again");
        match link.event().await {
            LinkEvent::Connected { channel, .. } => break assert_eq!(channel.session, 2),
            LinkEvent::Lost { channel, .. } => assert_eq!(channel.session, 0),
            other => panic!("{other:?}"),
        }
    }
}
