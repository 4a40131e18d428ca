//! The channels that are up, whom they reach, and who was greeted on them.
//!
//! What the agent sends of itself goes on the open channels of the lowest Controller.MTP.Order, on all of them where
//! several have that number; the next number counts once none of those is left. Answers go back where they were asked.
//!
//! Before anything else a Connect record goes to a controller on every new channel, and again after a
//! Disconnect record (R-MTP.6, R-MTP.8), where the controller wants one.

use super::session::PeerFacts;
use super::settings::{Controller, Settings};
use crate::order;
use crate::usp::endpoint_id::EndpointId;
use crate::usp::record;
use bytes::Bytes;
use std::rc::Rc;

/// Controllers that one channel reaches at most.
pub const MAX_ROUTES: usize = 32;

/// Channels at the same time at most; likewise links that are awaited.
pub const MAX_CHANNELS: usize = 128;

/// How long a link that is tried for the first time is waited for before channels of a higher Order are used.
const AWAITED_MS: u64 = 10_000;

/// One established connection: the link, and which connection of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId(pub u32, pub u32);

/// The transport of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Protocol {
    WebSocket,
    Mqtt {
        /// 4 for MQTT 3.1.1, 5 for MQTT 5.0.
        level: u8,
    },
    Stomp,
    UnixSocket,
}

impl Protocol {
    /// Its name in TR-181.
    pub fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "WebSocket",
            Self::Mqtt { .. } => "MQTT",
            Self::Stomp => "STOMP",
            Self::UnixSocket => "UDS",
        }
    }

    /// The other side of the channel is a broker, whose certificate says nothing of the controller.
    pub fn brokered(self) -> bool {
        matches!(self, Self::Mqtt { .. } | Self::Stomp)
    }
}

/// A channel that came up.
#[derive(Debug, Clone)]
pub struct Link {
    /// Its transport.
    pub protocol: Protocol,
    /// The controllers it reaches; the first [`MAX_ROUTES`] count.
    pub routes: Vec<Route>,
    /// Where the agent listens (MQTT topic, STOMP destination).
    pub response_topic: Option<Box<str>>,
    /// The other side.
    pub peer: PeerFacts,
}

/// How a controller is reached on a channel.
#[derive(Debug, Clone, Default)]
pub struct Route {
    /// Its section.
    pub controller: Rc<str>,
    /// Controller.MTP.Order: the lowest that is open is used.
    pub order: u32,
    /// Where it listens (MQTT topic, STOMP destination); None for a direct channel.
    pub topic: Option<Box<str>>,
    /// PublishRetainResponse.
    pub retain_response: bool,
    /// PublishRetainNotify.
    pub retain_notify: bool,
}

/// Where a record goes beside its channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyTo {
    /// The peer of the channel.
    Peer,
    /// A topic or destination.
    Topic {
        /// In full.
        topic: Box<str>,
        /// The broker keeps it.
        retain: bool,
    },
}

/// The channels that are up.
#[derive(Debug, Default)]
pub struct Channels {
    up: order::Map<ChannelId, Channel>,
    awaited: Vec<Awaited>,
}

/// A link that was begun and has neither come up nor failed.
#[derive(Debug)]
struct Awaited {
    link: u32,
    routes: Vec<Route>,
    until_ms: u64,
}

/// An open way to a controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The channel.
    pub channel: ChannelId,
    /// On it.
    pub to: ReplyTo,
    /// The channel is encrypted.
    pub encrypted: bool,
}

#[derive(Debug)]
struct Channel {
    link: Link,
    greeted: Vec<Rc<str>>,
    up_since_ms: u64,
    asked: Vec<Rc<str>>,
}

/// A record with its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The channel.
    pub channel: ChannelId,
    /// On it.
    pub to: ReplyTo,
    /// The encoded record.
    pub record: Bytes,
    /// Seconds after the request from which on this answer is not sent; None where it is always worth sending.
    pub in_time: Option<u32>,
}

impl Channels {
    /// A channel is up. One beyond [`MAX_CHANNELS`] is not listened to.
    pub fn connected(&mut self, id: ChannelId, mut link: Link, now_ms: u64) {
        if self.up.len() >= MAX_CHANNELS {
            log::warn!("channel={}.{} ignored limit={MAX_CHANNELS}", id.0, id.1);
            return;
        }
        self.forget_awaited(id.0);
        link.routes.truncate(MAX_ROUTES);
        self.up.insert(id, Channel { link, greeted: Vec::new(), up_since_ms: now_ms, asked: Vec::new() });
    }

    /// A link is tried for the first time, by which these controllers will be reached.
    pub fn awaited(&mut self, link: u32, mut routes: Vec<Route>, now_ms: u64) {
        self.forget_awaited(link);
        if self.awaited.len() < MAX_CHANNELS {
            routes.truncate(MAX_ROUTES);
            self.awaited.push(Awaited { link, routes, until_ms: now_ms + AWAITED_MS });
        }
    }

    fn forget_awaited(&mut self, link: u32) {
        self.awaited.retain(|awaited| awaited.link != link);
    }

    /// A channel is gone, or was never there.
    pub fn lost(&mut self, id: ChannelId) {
        self.forget_awaited(id.0);
        self.up.remove(&id);
    }

    /// The transport and the other side of a channel.
    pub fn link(&self, id: ChannelId) -> Option<&Link> {
        self.up.get(&id).map(|c| &c.link)
    }

    /// The controllers a channel reaches.
    pub fn controllers(&self, id: ChannelId) -> Vec<Rc<str>> {
        self.up.get(&id).map(|c| c.link.routes.iter().map(|r| r.controller.clone()).collect()).unwrap_or_default()
    }

    /// Something came from this controller; `asked` where it was a request and that is answered.
    /// A server's session learns here whom it reaches: true where it just did.
    pub fn heard(&mut self, id: ChannelId, controller: &Rc<str>, asked: bool) -> bool {
        let Some(channel) = self.up.get_mut(&id) else { return false };
        if asked && !channel.asked.contains(controller) && channel.asked.len() < MAX_ROUTES {
            channel.asked.push(controller.clone());
        }
        let learns = !channel.link.protocol.brokered() && channel.link.routes.is_empty();
        if learns {
            channel.link.routes.push(Route { controller: controller.clone(), ..Route::default() });
        }
        learns
    }

    /// After a Disconnect record the next record to this controller is a Connect record again.
    pub fn forget_greeting(&mut self, id: ChannelId, controller: &str) {
        if let Some(channel) = self.up.get_mut(&id) {
            channel.greeted.retain(|c| &**c != controller);
        }
    }

    /// The Connect record this controller is owed on this channel, if any; it counts as sent.
    pub fn greeting(&mut self, id: ChannelId, controller: &Controller, own: &EndpointId) -> Option<Outgoing> {
        let channel = self.up.get_mut(&id)?;
        let route = channel.link.routes.iter().find(|r| r.controller == controller.section)?;
        if !controller.connect_record || channel.greeted.contains(&controller.section) {
            return None;
        }
        let record = connect_record(&channel.link, controller, own)?;
        let to = route.to(channel.link.protocol, route.retain_notify)?;
        channel.greeted.push(controller.section.clone());
        Some(Outgoing { channel: id, to, record, in_time: None })
    }

    /// Where what a controller did not ask for is sent to it: the open ways of the lowest Order. A channel is not open
    /// while the controller's notifications are held back on it; none counts while a link of this or a lower Order is
    /// tried for the first time.
    pub fn ways(&self, controller: &Controller, now_ms: u64) -> Vec<Way> {
        let open = self.up.iter().filter(|(_, channel)| channel.held_until(controller).is_none_or(|at| at <= now_ms));
        let routes = open.flat_map(|(id, c)| c.link.routes.iter().map(move |route| (*id, &c.link, route)));
        let routes = routes.filter(|(.., route)| route.controller == controller.section);
        let way = |(channel, link, route): (ChannelId, &Link, &Route)| {
            let to = route.to(link.protocol, route.retain_notify)?;
            Some((route.order, Way { channel, to, encrypted: link.peer.encrypted }))
        };
        let ways: Vec<(u32, Way)> = routes.filter_map(way).collect();
        let Some(lowest) = ways.iter().map(|(order, _)| *order).min() else { return Vec::new() };
        let comes = |awaited: &Awaited| awaited.until_ms > now_ms && awaited.order(controller) <= lowest;
        if self.awaited.iter().any(comes) {
            return Vec::new();
        }
        ways.into_iter().filter(|(order, _)| *order == lowest).map(|(_, way)| way).collect()
    }

    /// When to look again for ways to this controller, which is connected but not to be told of anything now.
    pub fn held_until(&self, controller: &Controller, now_ms: u64) -> Option<u64> {
        let reach = |c: &&Channel| c.link.routes.iter().any(|r| r.controller == controller.section);
        self.up.values().find(reach)?;
        let held = self.up.values().filter(reach).filter_map(|channel| channel.held_until(controller));
        let awaited = self.awaited.iter().filter(|awaited| awaited.order(controller) < u32::MAX);
        held.chain(awaited.map(|awaited| awaited.until_ms)).filter(|at| *at > now_ms).min()
    }

    /// Where an answer goes: where the request asked for it, else where the controller listens.
    pub fn answer_to(&self, id: ChannelId, controller: &str, reply_to: Option<Box<str>>) -> Option<ReplyTo> {
        let link = &self.up.get(&id)?.link;
        let route = link.routes.iter().find(|r| &*r.controller == controller);
        let retain = route.is_some_and(|r| r.retain_response);
        match reply_to {
            _ if !link.protocol.brokered() => Some(ReplyTo::Peer),
            Some(topic) => Some(ReplyTo::Topic { topic, retain }),
            None => route?.to(link.protocol, retain),
        }
    }

    /// Every channel, for taking leave.
    pub fn all(&self) -> impl Iterator<Item = (ChannelId, &Link)> {
        self.up.iter().map(|(id, channel)| (*id, &channel.link))
    }
}

impl Channel {
    fn held_until(&self, controller: &Controller) -> Option<u64> {
        let held = controller.hold_notify > 0 && !self.asked.contains(&controller.section);
        held.then(|| self.up_since_ms + u64::from(controller.hold_notify) * 1000)
    }
}

impl Awaited {
    /// The lowest Order by which a controller will be reached; [`u32::MAX`] where it will not.
    fn order(&self, controller: &Controller) -> u32 {
        let routes = self.routes.iter().filter(|route| route.controller == controller.section);
        routes.map(|route| route.order).min().unwrap_or(u32::MAX)
    }
}

impl Route {
    /// Where this route leads; None for a broker's channel without a topic.
    pub fn to(&self, protocol: Protocol, retain: bool) -> Option<ReplyTo> {
        match &self.topic {
            Some(topic) => Some(ReplyTo::Topic { topic: topic.clone(), retain }),
            None => (!protocol.brokered()).then_some(ReplyTo::Peer),
        }
    }
}

/// What "is enabled" is decided by the caller; None where the agent does not know where it listens.
fn connect_record(link: &Link, controller: &Controller, own: &EndpointId) -> Option<Bytes> {
    let to = &controller.endpoint_id;
    Some(match link.protocol {
        Protocol::WebSocket => record::websocket_connect(own, to),
        Protocol::Mqtt { level } => record::mqtt_connect(own, to, level, link.response_topic.as_deref()?),
        Protocol::Stomp => record::stomp_connect(own, to, link.response_topic.as_deref()?),
        Protocol::UnixSocket => record::uds_connect(own, to),
    })
}

/// The enabled controllers of `sections`.
pub fn enabled<'a>(settings: &'a Settings, sections: &'a [Rc<str>]) -> impl Iterator<Item = &'a Controller> {
    sections.iter().filter_map(|s| settings.controller(s)).filter(|c| c.enable)
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::package;
    use super::*;

    const ID: ChannelId = ChannelId(1, 1);

    fn settings() -> Settings {
        Settings::from_package(&package(
            "controller acs EndpointID=proto::acs; controller shy EndpointID=proto::shy preset=oktopus",
        ))
    }

    fn route(controller: &str, topic: Option<&str>, order: u32) -> Route {
        Route { controller: controller.into(), order, topic: topic.map(Into::into), ..Route::default() }
    }

    fn link(protocol: Protocol, routes: Vec<Route>) -> Link {
        Link { protocol, routes, response_topic: Some("agent".into()), peer: PeerFacts::default() }
    }

    fn own() -> EndpointId {
        EndpointId::lenient("os::012345-1").unwrap()
    }

    #[test]
    fn a_controller_is_greeted_once_per_channel_and_again_after_a_disconnect() {
        let settings = settings();
        let acs = settings.controller("acs").unwrap();
        let mut channels = Channels::default();
        channels.connected(ID, link(Protocol::Mqtt { level: 5 }, vec![route("acs", Some("ctrl"), 0)]), 0);
        let greeting = channels.greeting(ID, acs, &own()).unwrap();
        assert_eq!(greeting.to, ReplyTo::Topic { topic: "ctrl".into(), retain: false });
        assert!(channels.greeting(ID, acs, &own()).is_none());
        channels.forget_greeting(ID, "acs");
        assert!(channels.greeting(ID, acs, &own()).is_some());
    }

    #[test]
    fn an_answer_goes_where_the_request_asked_for_it() {
        let mut channels = Channels::default();
        channels.connected(ID, link(Protocol::Mqtt { level: 5 }, vec![route("acs", Some("ctrl"), 0)]), 0);
        let topic = |t: &str| Some(ReplyTo::Topic { topic: t.into(), retain: false });
        assert_eq!(channels.answer_to(ID, "acs", Some("there".into())), topic("there"));
        assert_eq!(channels.answer_to(ID, "acs", None), topic("ctrl"));
        assert_eq!(channels.answer_to(ID, "other", None), None);
        assert_eq!(channels.answer_to(ChannelId(9, 9), "acs", None), None);
    }

    /// The links of the ways to a controller.
    fn ways(channels: &Channels, controller: &str, now_ms: u64) -> Vec<u32> {
        let settings = settings();
        let ways = channels.ways(settings.controller(controller).unwrap(), now_ms);
        ways.into_iter().map(|way| way.channel.0).collect()
    }

    fn direct(order: u32) -> Link {
        link(Protocol::WebSocket, vec![route("acs", None, order)])
    }

    #[test]
    fn the_lowest_order_wins_and_the_next_takes_over() {
        let mut channels = Channels::default();
        channels.connected(ID, direct(2), 0);
        channels.connected(ChannelId(2, 1), link(Protocol::Stomp, vec![route("acs", Some("q"), 1)]), 0);
        channels.connected(ChannelId(3, 1), link(Protocol::Stomp, vec![route("acs", None, 0)]), 0);
        assert_eq!(ways(&channels, "acs", 0), [2], "a broker without a topic is no way");
        channels.lost(ChannelId(2, 1));
        assert_eq!(ways(&channels, "acs", 0), [1]);
        channels.connected(ChannelId(2, 2), link(Protocol::Stomp, vec![route("acs", Some("q"), 1)]), 0);
        assert_eq!(ways(&channels, "acs", 0), [2]);
        assert_eq!(ways(&channels, "shy", 99_000), [0; 0]);
    }

    #[test]
    fn equal_lowest_orders_go_in_parallel() {
        let mut channels = Channels::default();
        for (number, order) in [(1, 1), (2, 3), (3, 1), (4, 3)] {
            channels.connected(ChannelId(number, 1), direct(order), 0);
        }
        assert_eq!(ways(&channels, "acs", 0), [1, 3]);
        channels.lost(ChannelId(1, 1));
        assert_eq!(ways(&channels, "acs", 0), [3]);
        channels.lost(ChannelId(3, 1));
        assert_eq!(ways(&channels, "acs", 0), [2, 4]);
    }

    #[test]
    fn a_link_that_is_tried_for_the_first_time_is_waited_for_and_not_for_ever() {
        let settings = settings();
        let acs = settings.controller("acs").unwrap();
        let mut channels = Channels::default();
        channels.awaited(1, vec![route("acs", None, 1)], 1000);
        channels.awaited(3, vec![route("acs", None, 3), route("shy", None, 1)], 1000);
        assert_eq!(channels.held_until(acs, 1000), None, "nothing to look for while nothing is connected");
        channels.connected(ChannelId(2, 1), direct(2), 1000);
        assert_eq!(ways(&channels, "acs", 1000), [0; 0]);
        assert_eq!(channels.held_until(acs, 1000), Some(11_000));
        assert_eq!(ways(&channels, "acs", 11_000), [2]);
        channels.lost(ChannelId(1, 0));
        assert_eq!(ways(&channels, "acs", 1000), [2], "the first try has failed");
        channels.awaited(1, vec![route("acs", None, 1)], 1000);
        channels.connected(ChannelId(1, 1), direct(1), 1000);
        assert_eq!(ways(&channels, "acs", 1000), [1]);
        channels.lost(ChannelId(1, 1));
        assert_eq!(ways(&channels, "acs", 1000), [2], "what was there once is not waited for");
    }

    #[test]
    fn notifications_are_held_back_until_the_controller_asked() {
        let settings = settings();
        let shy = settings.controller("shy").unwrap();
        let mut channels = Channels::default();
        channels.connected(ID, link(Protocol::WebSocket, vec![route("shy", None, 0)]), 1000);
        assert!(channels.greeting(ID, shy, &own()).is_none(), "no Connect record wanted");
        assert_eq!((channels.ways(shy, 2000), channels.held_until(shy, 2000)), (vec![], Some(11_000)));
        assert_eq!(channels.ways(shy, 11_000).len(), 1);
        channels.heard(ID, &shy.section, true);
        assert_eq!(channels.ways(shy, 2000).len(), 1);
    }
}
