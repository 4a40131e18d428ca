//! One try at one link, for `usp-agent doctor`: connected as the agent would be, and gone again.

use super::clock::Clock;
use super::{links, settings};
use crate::agent::session::Door;
use crate::agent::trust::Vouched;
use crate::agent::{PeerFacts, Protocol, Settings};
use crate::backend::uci::Package;
use crate::config::links::{Link, Reach, Transport};
use crate::mtp::resolver::Resolver;
use crate::mtp::{Channel, Class, Destination, Family, LinkCommand, LinkEvent, LinkHandle, LinkId, Peer, tls};
use crate::task::block_on;
use crate::usp::endpoint_id::EndpointId;
use crate::usp::record;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver};
use tokio::time::{Instant, sleep, timeout_at};

/// How long a try may take: the longest handshake of a link, and a goodbye.
const PATIENCE: Duration = Duration::from_secs(13);
/// How long a broker may take to acknowledge a record.
const ACKNOWLEDGED: Duration = Duration::from_secs(3);
/// How often the acknowledgement is looked for.
const POLL: Duration = Duration::from_millis(20);

/// What came of a try.
#[derive(Debug, Default)]
pub struct Probed {
    /// Who was reached.
    pub peer: Option<Peer>,
    /// What is wrong, in one sentence.
    pub fault: Option<(Class, Box<str>)>,
    /// Dates of certificates were looked at.
    pub clock_is_set: bool,
    /// The address that the name of the host stands for, of links that have one.
    pub address: Option<IpAddr>,
}

/// What a try needs to know beside its link.
#[derive(Debug)]
pub struct Case<'a> {
    /// The configuration.
    pub package: &'a Package,
    /// The agent's endpoint id.
    pub own_id: &'a EndpointId,
    /// An agent runs: its client id at the broker is not used.
    pub running: bool,
    /// A record is published to the controller's topic, where the broker acknowledges it.
    pub publishes: bool,
}

/// Connects once, and looks up the address of `host` where the try came so far.
///
/// # Errors
/// The system refuses what every program needs.
pub fn probe_blocking(link: &Link, reach: &Reach, case: &Case<'_>, host: Option<&str>) -> std::io::Result<Probed> {
    block_on(async {
        let mut probed = probe(link, reach, case).await;
        let had_name = probed.fault.as_ref().is_none_or(|(class, _)| class.code() > Class::Name.code());
        if let Some(host) = host.filter(|_| had_name) {
            let found = Resolver::of_router().look_up(host, Family::Any).await;
            probed.address = found.ok().and_then(|found| found.first().map(SocketAddr::ip));
        }
        probed
    })
}

async fn probe(link: &Link, reach: &Reach, case: &Case<'_>) -> Probed {
    let trust = settings::Trust { clock: Clock::new().for_tls(), keyring: tls::Keyring::default() };
    trust.follow(case.package);
    let (events, mut heard) = mpsc::channel(crate::mtp::QUEUE);
    let link = beside(link, case);
    let (handle, mut task) = match settings::start(&link, None, LinkId(1), (case.own_id, &trust), events) {
        Ok(started) => started,
        Err(why) => return Probed { fault: Some((Class::Configuration, why.into())), ..Probed::default() },
    };
    let mut probed = first(&mut heard, Instant::now() + PATIENCE).await;
    probed.clock_is_set = trust.clock.is_set();
    if let (None, Some(peer)) = (&probed.fault, &probed.peer) {
        probed.fault = distrust(peer, &link, reach, case);
        if probed.fault.is_none() && case.publishes && !reach.topic.is_empty() {
            probed.fault = publish(peer, &link, reach, case, &handle, &mut heard).await;
        }
    }
    let _ = handle.commands.try_send(LinkCommand::Shutdown);
    let _ = timeout_at(Instant::now() + super::GOODBYE, &mut task).await;
    probed
}

/// The link without what would reach into the session of an agent that runs, or that comes back.
fn beside(link: &Link, case: &Case<'_>) -> Link {
    let mut link = link.clone();
    if let Transport::Mqtt(mqtt) = &mut link.transport {
        if case.running || !mqtt.clean_start {
            mqtt.client_id = match mqtt.level {
                5 => "".into(),
                _ => format!("{}-doctor", case.own_id).into(),
            };
        }
        (mqtt.clean_start, mqtt.session_expiry, mqtt.will) = (true, 0, None);
    }
    link
}

/// What the link tells first: it is connected, or why not.
async fn first(heard: &mut Receiver<LinkEvent>, until: Instant) -> Probed {
    loop {
        match timeout_at(until, heard.recv()).await {
            Ok(Some(LinkEvent::Connected { peer, .. })) => return Probed { peer: Some(peer), ..Probed::default() },
            Ok(Some(LinkEvent::Lost { why, class, .. })) => {
                return Probed { fault: Some((class, why)), ..Probed::default() };
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => {
                let fault = Some((Class::NoAnswer, "nothing was heard in time".into()));
                return Probed { fault, ..Probed::default() };
            }
        }
    }
}

/// Why the agent would not take the peer for the controller, or give it less than its role.
fn distrust(peer: &Peer, link: &Link, reach: &Reach, case: &Case<'_>) -> Option<(Class, Box<str>)> {
    let settings = Settings::from_package(&crate::config::expand(case.package));
    let controller = settings.controller(&reach.controller)?;
    let facts = links::facts(peer);
    if !facts.encrypted && !controller.allow_unencrypted && !settings.trust.is_untrusted(controller) {
        let what = "the link is not encrypted: the controller has the untrusted role only, whatever option role says";
        return Some((Class::Unencrypted, what.into()));
    }
    let door = Door { protocol: protocol(link, peer), peer: &facts, own: case.own_id };
    let named = &*reach.endpoint_id;
    (settings.trust.vouches(named, Some(controller), &door) == Vouched::No)
        .then(|| (Class::Certificate, unnamed(&facts, named)))
}

fn unnamed(facts: &PeerFacts, wanted: &str) -> Box<str> {
    let names = facts.endpoint_ids.join(", ");
    format!("the certificate does not vouch for \"{wanted}\"; the endpoint ids in it: {names}").into()
}

fn protocol(link: &Link, peer: &Peer) -> Protocol {
    match link.transport {
        Transport::Mqtt(_) => Protocol::Mqtt { level: peer.mqtt_level },
        Transport::Stomp(_) => Protocol::Stomp,
        Transport::WebSocketClient(_) | Transport::WebSocketServer(_) => Protocol::WebSocket,
        Transport::UnixSocket(_) => Protocol::UnixSocket,
    }
}

/// Publishes the Connect record every session begins with: whether the broker takes it, and has somebody to give it to.
async fn publish(
    peer: &Peer,
    link: &Link,
    reach: &Reach,
    case: &Case<'_>,
    handle: &LinkHandle,
    heard: &mut Receiver<LinkEvent>,
) -> Option<(Class, Box<str>)> {
    let Transport::Mqtt(mqtt) = &link.transport else { return None };
    let to = EndpointId::lenient(&reach.endpoint_id).ok()?;
    let topic = peer.response_topic.as_deref().filter(|_| mqtt.publish_qos > 0)?;
    let record = record::mqtt_connect(case.own_id, &to, peer.mqtt_level, topic);
    let before = handle.traffic.received.load(Ordering::Relaxed);
    let channel = Channel { link: LinkId(1), session: 1 };
    let to = Destination::Topic { topic: reach.topic.clone(), retain: false };
    let _ = handle.commands.try_send(LinkCommand::Send { channel, record, to });
    let until = Instant::now() + ACKNOWLEDGED;
    loop {
        tokio::select! {
            biased;
            event = heard.recv() => match event {
                Some(LinkEvent::Remark { what, class: Some(class), .. }) => return Some((class, what)),
                Some(LinkEvent::Lost { why, class, .. }) => {
                    return Some((class, format!("after PUBLISH to \"{}\": {why}", reach.topic).into()));
                }
                Some(_) => {}
                None => return None,
            },
            () = sleep(POLL) => {
                if handle.traffic.received.load(Ordering::Relaxed) != before {
                    // What the answer was is told by the same turn of the link that counted it.
                    return match heard.try_recv() {
                        Ok(LinkEvent::Remark { what, class: Some(class), .. }) => Some((class, what)),
                        _ => None,
                    };
                }
                if Instant::now() > until {
                    let what = format!("the broker does not acknowledge what is published to \"{}\"", reach.topic);
                    return Some((Class::PublishUnanswered, what.into()));
                }
            }
        }
    }
}
