//! The links: started and ended as the configuration says, their events told to the agent, their state shown in the
//! data model.

mod status;

use super::clock::{Wait, unix_seconds};
use super::settings;
use crate::agent::{ChannelId, Input, Link, PeerFacts, Protocol, Route};
use crate::backend::uci::{Package, Section};
use crate::calendar;
use crate::config::links::{Reach, Transport};
use crate::config::{self, Warning};
use crate::model::Facts;
use crate::mtp::{Channel, Class, Destination, Fault, LinkCommand, LinkEvent, LinkHandle, LinkId, Peer, QUEUE, tls};
use crate::order;
use crate::usp::endpoint_id::EndpointId;
use bytes::Bytes;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// What `clock_wait` is without a section that could say so.
const CLOCK_WAIT: u32 = 60;

/// All links.
pub(super) struct Links {
    running: order::Map<LinkId, Running>,
    /// Links that were told to end, by their section.
    ending: Vec<(Box<str>, JoinHandle<()>)>,
    last_id: u32,
    events: Sender<LinkEvent>,
    trust: settings::Trust,
    /// Section and endpoint id of every enabled controller: whoever comes to a server may be one.
    controllers: Vec<(Box<str>, Box<str>)>,
    /// `mqtt_subscription` sections and the `mqtt` sections they belong to; None for one that is disabled.
    filters: Vec<(Box<str>, Option<Box<str>>)>,
    /// Told once.
    warnings: Vec<Warning>,
    /// Whether links with TLS may begin.
    clock_wait: Wait,
    /// An `mqtt` section without a client id, and the one its broker has assigned.
    assigned: Option<(Box<str>, Box<str>)>,
}

/// A link that runs.
struct Running {
    settings: config::links::Link,
    handle: LinkHandle,
    task: JoinHandle<()>,
    up: order::Map<u32, Peer>,
    /// Tries since it was last up.
    tries: u32,
    /// What ended the last of them.
    fault: Fault,
    class: Class,
    /// Failed tries at all.
    errors: u32,
    /// It was told to end.
    ended: bool,
    clock: tls::Clock,
    /// When it came up, or went down, last.
    since: Instant,
    /// Why it went down last, or did not come up.
    error: Box<str>,
    next_try: Option<Instant>,
    /// Records.
    received: u32,
    sent: u32,
}

impl Links {
    pub(super) fn new(clock: tls::Clock) -> (Self, Receiver<LinkEvent>) {
        let (events, heard) = mpsc::channel(QUEUE);
        let links = Self {
            running: order::Map::new(),
            ending: Vec::new(),
            last_id: 0,
            events,
            trust: settings::Trust { clock, keyring: tls::Keyring::default() },
            controllers: Vec::new(),
            filters: Vec::new(),
            warnings: Vec::new(),
            clock_wait: Wait::NotBegun,
            assigned: None,
        };
        (links, heard)
    }

    /// Starts, changes and ends links so that they are what the package says. The inputs tell the agent of channels
    /// that are gone by that, or reach others.
    pub(super) fn follow(&mut self, package: &Package, own_id: &EndpointId, facts: &mut Facts) -> Vec<Input> {
        let (mut wanted, unused) = config::links::links(package, own_id.as_str());
        self.warn(config::check(package).into_iter().chain(unused).collect());
        self.trust.follow(package);
        if self.waits_for_clock(package, wanted.iter().any(|link| link.transport.has_tls())) {
            wanted.retain(|link| !link.transport.has_tls());
        }
        self.controllers = enabled_controllers(package);
        self.filters = filters(package);
        let mut inputs = Vec::new();
        let gone = |link: &Running| !wanted.iter().any(|wanted| same_connection(wanted, &link.settings));
        let gone: Vec<LinkId> = self.running.iter().filter(|(_, link)| gone(link)).map(|(id, _)| *id).collect();
        for id in gone {
            inputs.extend(self.end(id, facts));
        }
        show_sections(package, facts);
        for link in wanted {
            let known = self.running.iter_mut().find(|(_, running)| same_connection(&link, &running.settings));
            match known {
                Some((id, running)) => inputs.extend(running.adjust(*id, link, &self.controllers)),
                None => inputs.extend(self.start(link, own_id, facts)),
            }
        }
        self.show_filters(facts);
        inputs
    }

    fn waits_for_clock(&mut self, package: &Package, concerns_any: bool) -> bool {
        if concerns_any {
            let seconds = package.of_kind("localagent").next().map_or(CLOCK_WAIT, |s| config::number(s, "clock_wait"));
            self.clock_wait = self.clock_wait.look(&self.trust.clock, seconds, Instant::now());
        }
        self.clock_wait.ends().is_some()
    }

    /// When links that wait for the clock are to be looked at again, if there are any.
    pub(super) fn clock_wait_ends(&self) -> Option<Instant> {
        self.clock_wait.ends()
    }

    /// The state of each subscription filter: that of its client.
    fn show_filters(&self, facts: &mut Facts) {
        for (section, client) in &self.filters {
            let is_up = |link: &Running| Some(&link.settings.section) == client.as_ref() && !link.up.is_empty();
            let status = if self.running.values().any(is_up) { "Subscribed" } else { "Unsubscribed" };
            facts.set("mqtt_subscription", section, "Status", status);
        }
    }

    /// What went over the links so far, for who asks now.
    fn count(&self, facts: &mut Facts) {
        let is_mqtt = |link: &&Running| matches!(link.settings.transport, Transport::Mqtt(_));
        for link in self.running.values().filter(is_mqtt) {
            let (section, traffic) = (&link.settings.section, &link.handle.traffic);
            facts.count("mqtt", section, "Sent", traffic.sent.load(Ordering::Relaxed));
            facts.count("mqtt", section, "Received", traffic.received.load(Ordering::Relaxed));
            facts.count("mqtt", section, "Errors", link.errors);
            for (name, count) in [
                ("PublishSent", &traffic.published),
                ("PublishReceived", &traffic.delivered),
                ("SubscribeSent", &traffic.subscribed),
                ("UnSubscribeSent", &traffic.unsubscribed),
                ("PublishErrors", &traffic.publish_errors),
                ("LastSent", &traffic.published_at),
                ("LastReceived", &traffic.delivered_at),
            ] {
                facts.count("mqtt", section, name, count.load(Ordering::Relaxed));
            }
        }
    }

    fn warn(&mut self, warnings: Vec<Warning>) {
        for warning in warnings.iter().filter(|warning| !self.warnings.contains(warning)) {
            log::warn!("/etc/config/{}:{warning}", config::PACKAGE);
        }
        self.warnings = warnings;
    }

    fn start(&mut self, link: config::links::Link, own_id: &EndpointId, facts: &mut Facts) -> Option<Input> {
        self.last_id += 1;
        let id = LinkId(self.last_id);
        let before = self.ending.iter().position(|(section, _)| *section == link.section);
        let before = before.map(|at| self.ending.swap_remove(at).1);
        match settings::start(&link, before, id, (own_id, &self.trust), self.events.clone()) {
            Ok((handle, task)) => {
                log::info!("link={} section={} action=start", id.0, link.section);
                let up = order::Map::new();
                let running = Running {
                    settings: link,
                    handle,
                    task,
                    up,
                    tries: 0,
                    fault: Fault::Network,
                    class: Class::default(),
                    errors: 0,
                    ended: false,
                    clock: self.trust.clock.clone(),
                    since: Instant::now(),
                    error: "".into(),
                    next_try: None,
                    received: 0,
                    sent: 0,
                };
                running.show(facts);
                let routes = running.settings.controllers.iter().map(route).collect();
                let comes = !running.settings.is_server();
                self.running.insert(id, running);
                comes.then_some(Input::Awaited { link: id.0, routes })
            }
            Err(why) => {
                log::error!("section={} action=not-started cause=\"{why}\"", link.section);
                if let Some(mtp) = &link.mtp {
                    facts.set("mtp", mtp, "Status", "Error");
                }
                None
            }
        }
    }

    /// Ends a link in order; its channels are gone for the agent at once.
    fn end(&mut self, id: LinkId, facts: &mut Facts) -> Vec<Input> {
        let Some(mut link) = self.running.remove(&id) else { return Vec::new() };
        log::info!("link={} section={} action=end", id.0, link.settings.section);
        let sessions = std::mem::take(&mut link.up);
        link.ended = true;
        link.show(facts);
        self.ending.retain(|(_, task)| !task.is_finished());
        // A queue that is full means a peer that stalls: it is not asked twice.
        if link.handle.commands.try_send(LinkCommand::Shutdown).is_err() {
            link.task.abort();
        }
        self.ending.push((link.settings.section, link.task));
        let lost = |session: u32| Input::Lost { channel: ChannelId(id.0, session) };
        sessions.keys().copied().chain([0]).map(lost).collect()
    }

    /// Disconnects and connects again the MQTT client of this section.
    pub(super) fn reconnect(&mut self, section: &str, own_id: &EndpointId, facts: &mut Facts) -> Vec<Input> {
        let found = self.running.iter().find(|(_, link)| &*link.settings.section == section);
        let Some((id, link)) = found.map(|(id, link)| (*id, link.settings.clone())) else { return Vec::new() };
        let mut inputs = self.end(id, facts);
        inputs.extend(self.start(link, own_id, facts));
        inputs
    }

    /// A client id that a broker has just assigned, with its section.
    pub(super) fn assigned(&mut self) -> Option<(Box<str>, Box<str>)> {
        self.assigned.take()
    }

    /// The configuration says now what the connection has already.
    pub(super) fn has_client_id(&mut self, section: &str, client_id: Box<str>) {
        let link = self.running.values_mut().find(|link| &*link.settings.section == section);
        if let Some(Transport::Mqtt(mqtt)) = link.map(|link| &mut link.settings.transport) {
            mqtt.client_id = client_id;
        }
    }

    /// Something that links wait for may have come: they try now.
    pub(super) fn try_now(&self) {
        for link in self.running.values() {
            let _ = link.handle.commands.try_send(LinkCommand::TryNow);
        }
    }

    /// Hands a record to its link.
    pub(super) fn send(&mut self, channel: ChannelId, to: Destination, record: Bytes) {
        let Some(link) = self.running.get_mut(&LinkId(channel.0)) else {
            return log::debug!("link={} session={} record=dropped cause=link-ended", channel.0, channel.1);
        };
        let send = LinkCommand::Send { channel: Channel { link: LinkId(channel.0), session: channel.1 }, record, to };
        if link.handle.commands.try_send(send).is_err() {
            return log::warn!("link={} session={} record=dropped cause=peer-stalls", channel.0, channel.1);
        }
        link.sent = link.sent.wrapping_add(1);
    }

    /// Ends one channel.
    pub(super) fn close(&self, channel: ChannelId, code: u16, reason: Box<str>) {
        if let Some(link) = self.running.get(&LinkId(channel.0)) {
            let channel = Channel { link: LinkId(channel.0), session: channel.1 };
            let _ = link.handle.commands.try_send(LinkCommand::Close { channel, code, reason });
        }
    }

    /// Asks whether the other side of a channel is there.
    pub(super) fn probe(&self, channel: ChannelId) {
        if let Some(link) = self.running.get(&LinkId(channel.0)) {
            let channel = Channel { link: LinkId(channel.0), session: channel.1 };
            let _ = link.handle.commands.try_send(LinkCommand::Probe { channel });
        }
    }

    /// What an event of a link means to the agent, if anything.
    pub(super) fn event(&mut self, event: LinkEvent, facts: &mut Facts) -> Option<Input> {
        match event {
            LinkEvent::Connected { channel, peer } => {
                let input = self.connected(channel, peer, facts);
                self.show_filters(facts);
                input
            }
            LinkEvent::Record { channel, bytes, reply_to, .. } => {
                self.count(facts);
                let link = self.running.get_mut(&channel.link)?;
                link.received = link.received.wrapping_add(1);
                link.up.contains_key(&channel.session).then(|| Input::Record { channel: id(channel), bytes, reply_to })
            }
            LinkEvent::Lost { channel, why, fault, class, retry_in } => {
                if let Some(link) = self.running.get_mut(&channel.link) {
                    (link.fault, link.class) = (fault, class);
                }
                let input = self.lost(channel, &why, retry_in, facts);
                self.show_filters(facts);
                input
            }
            LinkEvent::Listening { link } => {
                log::info!("link={} event=listening", link.0);
                let link = self.running.get_mut(&link)?;
                link.tries = 0;
                link.show(facts);
                None
            }
            LinkEvent::Alive { channel } => Some(Input::Alive { channel: id(channel) }),
            LinkEvent::Remark { link, what, .. } => {
                log::warn!("link={} remark=\"{}\"", link.0, what.replace('"', "\\\""));
                None
            }
        }
    }

    fn connected(&mut self, channel: Channel, peer: Peer, facts: &mut Facts) -> Option<Input> {
        let link = self.running.get_mut(&channel.link)?;
        let told = link.told(&peer, &self.controllers);
        log::info!(
            "link={} session={} section={} peer={} encrypted={} controllers={} event=connected",
            channel.link.0,
            channel.session,
            link.settings.section,
            peer.address,
            peer.encrypted,
            told.routes.len()
        );
        link.tries = 0;
        (link.since, link.next_try) = (Instant::now(), None);
        if matches!(link.settings.transport, Transport::Mqtt(_)) {
            facts.set("mqtt", &link.settings.section, "Established", now(&self.trust.clock));
        }
        if let (Transport::Mqtt(mqtt), Some(assigned)) = (&link.settings.transport, &peer.assigned_client_id) {
            if mqtt.client_id.is_empty() {
                self.assigned = Some((link.settings.section.clone(), assigned.clone()));
            }
        }
        link.up.insert(channel.session, peer);
        link.show(facts);
        Some(Input::Connected { channel: id(channel), link: told })
    }

    fn lost(&mut self, channel: Channel, why: &str, retry_in: Option<u64>, facts: &mut Facts) -> Option<Input> {
        let link = self.running.get_mut(&channel.link)?;
        let retry = retry_in.map_or_else(|| "never".to_owned(), |ms| format!("{}.{:03}s", ms / 1000, ms % 1000));
        let is_guest = link.settings.is_server() && channel.session != 0;
        log::log!(
            if is_guest { log::Level::Info } else { log::Level::Warn },
            "link={} session={} section={} event=lost class={} cause=\"{}\" retry-in={retry}",
            channel.link.0,
            channel.session,
            link.settings.section,
            link.class.texts().0,
            why.replace('"', "\\\"")
        );
        let was_up = link.up.remove(&channel.session).is_some();
        if !is_guest {
            link.error = why.into();
            link.next_try = retry_in.map(|ms| Instant::now() + Duration::from_millis(ms));
        }
        if was_up {
            link.since = Instant::now();
        }
        if retry_in.is_some() {
            link.tries = link.tries.saturating_add(1);
            link.errors = link.errors.wrapping_add(u32::from(channel.session == 0));
        }
        link.show(facts);
        if retry_in.is_none() && !is_guest {
            link.show_error(facts);
        }
        (was_up || channel.session == 0).then(|| Input::Lost { channel: id(channel) })
    }

    /// Every link says goodbye; what takes longer is dropped.
    pub(super) async fn shut_down(&mut self, limit: Duration, events: &mut Receiver<LinkEvent>) {
        let until = Instant::now() + limit;
        let mut facts = Facts::default();
        for id in self.running.keys().copied().collect::<Vec<_>>() {
            self.end(id, &mut facts);
        }
        for (_, mut task) in self.ending.drain(..) {
            // Links wait while nobody takes their events.
            let ended = async {
                loop {
                    tokio::select! {
                        _ = &mut task => return,
                        Some(_) = events.recv() => {}
                    }
                }
            };
            if timeout_at(until, ended).await.is_err() {
                return log::warn!("links=dropped cause=goodbye-took-too-long");
            }
        }
    }
}

impl Running {
    /// What of a new configuration needs no new connection.
    fn adjust(&mut self, id: LinkId, wanted: config::links::Link, guests: &[(Box<str>, Box<str>)]) -> Vec<Input> {
        if wanted.filters != self.settings.filters {
            let _ = self.handle.commands.try_send(LinkCommand::Filters(wanted.filters.clone()));
            // A STOMP link without a destination waits for its next try, which now is worth making.
            if self.up.is_empty() && matches!(wanted.transport, Transport::Stomp(_)) {
                let _ = self.handle.commands.try_send(LinkCommand::TryNow);
            }
        }
        let rerouted = wanted.controllers != self.settings.controllers;
        self.settings = wanted;
        if !rerouted {
            return Vec::new();
        }
        let again = |(session, peer): (&u32, &Peer)| {
            let channel = ChannelId(id.0, *session);
            [Input::Lost { channel }, Input::Connected { channel, link: self.told(peer, guests) }]
        };
        self.up.iter().flat_map(again).collect()
    }

    /// A session as the agent wants to know it.
    fn told(&self, peer: &Peer, guests: &[(Box<str>, Box<str>)]) -> Link {
        let protocol = match self.settings.transport {
            Transport::Mqtt(_) => Protocol::Mqtt { level: peer.mqtt_level },
            Transport::Stomp(_) => Protocol::Stomp,
            Transport::WebSocketClient(_) | Transport::WebSocketServer(_) => Protocol::WebSocket,
            Transport::UnixSocket(_) => Protocol::UnixSocket,
        };
        let reaches = &self.settings.controllers;
        let routes = match self.settings.transport.takes_guests() {
            true => guest(peer, reaches, guests).into_iter().collect(),
            false => reaches.iter().map(route).collect(),
        };
        Link { protocol, routes, response_topic: peer.response_topic.clone(), peer: facts(peer) }
    }

    /// The state of the link in the data model.
    fn show(&self, facts: &mut Facts) {
        let peer = self.up.values().next();
        let section = &self.settings.section;
        match &self.settings.transport {
            Transport::Mqtt(mqtt) => {
                let status = match (peer, self.tries) {
                    _ if self.ended => "Disabled",
                    (Some(_), _) => "Connected",
                    (None, 0) => "Connecting",
                    (None, _) => "Error_BrokerUnreachable",
                };
                facts.set("mqtt", section, "Status", status);
                let assigned = peer.and_then(|peer| peer.assigned_client_id.as_deref());
                let client_id = assigned.unwrap_or(&mqtt.client_id);
                facts.set("mqtt", section, "ClientID", client_id);
                let topic = peer.and_then(|peer| peer.response_topic.as_deref()).unwrap_or_default();
                let discovered = if topic == &*mqtt.response_topic { "" } else { topic };
                facts.set("mqtt", section, "ResponseInformation", discovered);
                if let Some(mtp) = &self.settings.mtp {
                    facts.set("mtp", mtp, "Status", if peer.is_some() { "Up" } else { "Down" });
                    facts.set("mtp", mtp, "ResponseTopicDiscovered", discovered);
                }
            }
            Transport::Stomp(_) => {
                let status = match (peer, self.tries, self.fault) {
                    _ if self.ended => "Disabled",
                    (Some(_), ..) => "Enabled",
                    (None, 0, _) => "Connecting",
                    (None, _, Fault::Network) => "ServerNotPresent",
                    (None, _, Fault::Peer) => "Error",
                    (None, _, Fault::Configuration) => "Error_Misconfigured",
                };
                if facts.get("stomp", section, "Status").is_none_or(|before| before != status) {
                    facts.set("stomp", section, "Status", status);
                    facts.set("stomp", section, "LastChangeDate", now(&self.clock));
                }
                if let Some(mtp) = &self.settings.mtp {
                    let named =
                        peer.filter(|peer| peer.topic_from_server).and_then(|peer| peer.response_topic.as_deref());
                    facts.set("mtp", mtp, "Status", if peer.is_some() { "Up" } else { "Down" });
                    facts.set("mtp", mtp, "DestinationFromServer", named.unwrap_or_default());
                }
            }
            Transport::WebSocketServer(_) => {
                facts.set("mtp", section, "Status", if self.tries == 0 { "Up" } else { "Error" });
            }
            Transport::UnixSocket(socket) => {
                let status = match (socket.listen, peer) {
                    (true, None) if self.tries > 0 => "Error",
                    (false, None) => "Down",
                    (true, _) | (false, Some(_)) => "Up",
                };
                if let Some(mtp) = &self.settings.mtp {
                    facts.set("mtp", mtp, "Status", status);
                }
            }
            Transport::WebSocketClient(_) => {}
        }
        for reach in &self.settings.controllers {
            facts.set("controller_mtp", &reach.section, "CurrentRetryCount", self.tries.to_string());
        }
    }

    fn show_error(&self, facts: &mut Facts) {
        if let Transport::Mqtt(_) = self.settings.transport {
            facts.set("mqtt", &self.settings.section, "Status", "Error_Misconfigured");
        }
        if let Some(mtp) = &self.settings.mtp {
            facts.set("mtp", mtp, "Status", "Error");
        }
    }
}

/// What the agent judges a peer by.
pub(super) fn facts(peer: &Peer) -> PeerFacts {
    match &peer.endpoint_id {
        Some(endpoint_id) if peer.local => PeerFacts::of_local_process(endpoint_id),
        _ => PeerFacts {
            encrypted: peer.encrypted,
            endpoint_ids: peer.certificate_ids.clone(),
            certificate: peer.certificate.clone(),
            stored: peer.standing.stored.clone(),
            anchor: peer.standing.anchor.clone(),
            first_use: peer.standing.first_use,
            revoked: peer.standing.revoked,
            accepted: peer.accepted,
        },
    }
}

/// The time as a dateTime of TR-181.
fn now(clock: &tls::Clock) -> String {
    let now = i64::try_from(unix_seconds()).unwrap_or_default();
    if clock.is_set() { calendar::date_time(now) } else { calendar::UNKNOWN_TIME.into() }
}

/// Another value of these means another connection.
fn same_connection(one: &config::links::Link, other: &config::links::Link) -> bool {
    (&one.section, &one.mtp, &one.transport) == (&other.section, &other.mtp, &other.transport)
}

/// What a section that is no link shows: links overwrite it.
fn show_sections(package: &Package, facts: &mut Facts) {
    let package = config::expand(package);
    for (table, status) in [("mtp", "Down"), ("mqtt", "Disabled"), ("stomp", "Disabled")] {
        let there: Vec<&str> = package.of_kind(table).map(|section| &*section.name).collect();
        let gone = |key: &&str| !there.contains(key);
        let gone: Vec<String> = facts.keys(table).filter(gone).map(str::to_owned).collect();
        gone.iter().for_each(|key| facts.remove(table, key));
        for name in there {
            if facts.get(table, name, "Status").is_none() {
                facts.set(table, name, "Status", status);
            }
        }
    }
}

fn filters(package: &Package) -> Vec<(Box<str>, Option<Box<str>>)> {
    let client = |filter: &Section| config::truth(filter, "Enable").then(|| config::value(filter, "mqtt").into());
    package.of_kind("mqtt_subscription").map(|filter| (filter.name.clone(), client(filter))).collect()
}

fn enabled_controllers(package: &Package) -> Vec<(Box<str>, Box<str>)> {
    let package = config::expand(package);
    let enabled = package.of_kind("controller").filter(|controller| config::truth(controller, "Enable"));
    enabled.map(|controller| (controller.name.clone(), config::value(controller, "EndpointID").into())).collect()
}

/// The controller that a peer says to be; whether its certificate says so too, the agent looks at. Without a row of its own a session comes after all that have one.
fn guest(peer: &Peer, reaches: &[Reach], guests: &[(Box<str>, Box<str>)]) -> Option<Route> {
    let claimed = peer.endpoint_id.as_deref()?;
    if let Some(reach) = reaches.iter().find(|reach| &*reach.endpoint_id == claimed) {
        return Some(route(reach));
    }
    let (section, _) = guests.iter().find(|(_, endpoint_id)| &**endpoint_id == claimed)?;
    Some(Route { controller: (&**section).into(), order: u32::MAX, ..Route::default() })
}

fn route(reach: &Reach) -> Route {
    Route {
        controller: (&*reach.controller).into(),
        order: reach.order,
        topic: (!reach.topic.is_empty()).then(|| reach.topic.clone()),
        retain_response: reach.retain_response,
        retain_notify: reach.retain_notify,
    }
}

fn id(channel: Channel) -> ChannelId {
    ChannelId(channel.link.0, channel.session)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-SEC.19, and that nobody waits for ever for a time that nobody tells.
    #[tokio::test(start_paused = true)]
    async fn links_with_tls_wait_for_the_clock_as_long_as_configured() {
        let both = |wait: &str| {
            let controller = |name: &str, scheme: &str| {
                format!(
                    "config controller '{name}'\n option url '{scheme}://127.0.0.1:9'\n option EndpointID self::{name}\n"
                )
            };
            let text = format!("{wait}{}{}", controller("plain", "ws"), controller("tls", "wss"));
            crate::backend::uci::parse::parse(config::PACKAGE, text.as_bytes()).unwrap()
        };
        let own_id = EndpointId::parse("self::agent").unwrap();
        let started = |links: &Links| {
            let mut sections: Vec<_> = links.running.values().map(|link| link.settings.section.to_string()).collect();
            sections.sort();
            sections
        };
        tokio::task::LocalSet::new()
            .run_until(async {
                let clock = tls::Clock::new(false);
                let (mut links, _events) = Links::new(clock.clone());
                let package = both("config localagent 'a'\n option clock_wait 5\n");
                links.follow(&package, &own_id, &mut Facts::default());
                assert_eq!(started(&links), ["plain_link"]);
                assert_eq!(links.clock_wait_ends(), Some(Instant::now() + Duration::from_secs(5)));
                tokio::time::advance(Duration::from_secs(4)).await;
                links.follow(&package, &own_id, &mut Facts::default());
                assert_eq!(started(&links), ["plain_link"], "another configuration is no reason to begin");
                clock.mark_set();
                links.follow(&package, &own_id, &mut Facts::default());
                assert_eq!(
                    (started(&links), links.clock_wait_ends()),
                    (vec!["plain_link".into(), "tls_link".into()], None)
                );

                let (mut links, _events) = Links::new(tls::Clock::new(false));
                links.follow(&both(""), &own_id, &mut Facts::default());
                tokio::time::advance(Duration::from_secs(CLOCK_WAIT.into())).await;
                links.follow(&both(""), &own_id, &mut Facts::default());
                assert_eq!(started(&links), ["plain_link", "tls_link"], "the time that nobody told is over");

                let (mut links, _events) = Links::new(tls::Clock::new(false));
                links.follow(&both("config localagent 'a'\n option clock_wait 0\n"), &own_id, &mut Facts::default());
                assert_eq!((started(&links).len(), links.clock_wait_ends()), (2, None));
            })
            .await;
    }

    #[test]
    fn the_wait_without_a_section_is_the_default() {
        let text = "config localagent 'a'\n";
        let package = crate::backend::uci::parse::parse(config::PACKAGE, text.as_bytes()).unwrap();
        assert_eq!(package.of_kind("localagent").next().map(|s| config::number(s, "clock_wait")), Some(CLOCK_WAIT));
    }

    #[test]
    fn a_guest_is_known_by_the_name_it_gives() {
        let guests = [("acs".into(), "self::acs".into())];
        let peer = |name: &str| Peer { endpoint_id: Some(name.into()), ..Peer::default() };
        assert_eq!(guest(&peer("self::acs"), &[], &guests).map(|route| route.controller), Some("acs".into()));
        assert!(guest(&peer("self::other"), &[], &guests).is_none() && guest(&Peer::default(), &[], &guests).is_none());
    }

    #[test]
    fn a_guest_has_the_order_of_its_row_else_the_last() {
        let guests = [("acs".into(), "self::acs".into()), ("other".into(), "self::other".into())];
        let text = "config controller 'acs'\n option EndpointID self::acs\n
config mtp 'm'\n option Protocol WebSocket\n
config controller_mtp 'way'\n option controller acs\n option Protocol WebSocket\n option Order 3\n";
        let package = crate::backend::uci::parse::parse(config::PACKAGE, text.as_bytes()).unwrap();
        let links = config::links::links(&package, "os::1").0;
        let order = |id: &str| {
            let peer = Peer { local: true, endpoint_id: Some(id.into()), ..Peer::default() };
            guest(&peer, &links[0].controllers, &guests).map(|route| (route.controller.to_string(), route.order))
        };
        assert_eq!(order("self::acs"), Some(("acs".to_owned(), 3)));
        assert_eq!(order("self::other"), Some(("other".to_owned(), u32::MAX)));
        assert_eq!(order("self::stranger"), None);
    }
}
