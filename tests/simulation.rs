//! The agent, a controller and a link that loses, repeats and delays, on a clock that jumps. Many seeds, no sleeps.
//!
//! Held: the agent never panics; a notification with retry arrives, whatever the link does, and is not repeated once
//! its answer arrived; nothing grows without bounds; the agent is awake no more often than it has something to do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use prost::Message as _;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use usp_agent::agent::{
    Action, Agent, Boot, ChannelId, Input, Kept, Link, Now, PeerFacts, Protocol, ReplyTo, Route, notify::Dice,
};
use usp_agent::backend::fixture::Fixture;
use usp_agent::backend::uci::Package;
use usp_agent::backend::{Change, Table};
use usp_agent::model::schema::Schema;
use usp_agent::model::{Instances, Model, built_in, digest::Digest, notation};
use usp_agent::usp::endpoint_id::EndpointId;
use usp_agent::usp::wire::msg::{self, Msg, body::MsgBody, request::ReqType, response::RespType};
use usp_agent::usp::{message, record};

const MAPPING: &str = "
live ubus network.interface dump on event network.interface
object Device.
  Boot! = agent
object Device.DeviceInfo.
  SoftwareVersion = text 1
  HostName = uci system.@system[0].hostname
table Device.LocalAgent.Controller.{i}.
  each uci usp-agent.controller
  EndpointID = option EndpointID
table Device.LocalAgent.Subscription.{i}.
  each uci usp-agent.subscription
  ID         = option ID
  Recipient  = option controller | ref Device.LocalAgent.Controller.{i}.
  Persistent = option Persistent | default 0
table Device.IP.Interface.{i}.
  each uci network.interface
  Status = ubus network.interface dump /interface[interface={key}]/up | map 1:Up 0:Down | default Down
  Name   = key
";

const CONFIG: &str = "
config controller 'acs'
	option EndpointID 'proto::acs'
	list role 'full'
config role 'full'
config permission
	option role 'full'
	list Targets 'Device.'
	option Param 'rw-n'
	option Obj 'rw-n'
	option InstantiatedObj 'rw-n'
	option CommandEvent 'r-xn'
config subscription 'sure'
	option controller 'acs'
	option ID 'sure'
	option Persistent '1'
	option NotifType 'ValueChange'
	list ReferenceList 'Device.IP.Interface.*.Status'
	option NotifRetry '1'
config subscription 'once'
	option controller 'acs'
	option ID 'once'
	option Persistent '1'
	option NotifType 'Event'
	list ReferenceList 'Device.Boot!'
";

const HOUR: u64 = 3_600_000;

fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the router in memory never waits"),
    }
}

/// How bad the link is, in percent.
#[derive(Clone, Copy)]
struct Weather {
    lost: u64,
    twice: u64,
    garbled: u64,
    slowest_ms: u64,
}

/// What is on its way over a link.
#[derive(Clone)]
struct Parcel {
    link: u32,
    to_agent: bool,
    bytes: Vec<u8>,
}

struct World {
    agent: Agent<Fixture>,
    router: Fixture,
    dice: Dice,
    weather: Weather,
    ms: u64,
    wake: Option<u64>,
    wakes: u32,
    /// The channels that are up, by link, each with its Order.
    up: BTreeMap<u32, (ChannelId, u32)>,
    parcels: BTreeMap<(u64, u64), Parcel>,
    count: u64,
    kept: BTreeMap<String, (Kept, String)>,
    /// Notifications the controller got: msg_id, and how often.
    got: BTreeMap<String, u32>,
    /// When the answer to a notification reached the agent.
    answered: BTreeMap<String, u64>,
    /// Notifications that were sent after their answer had arrived.
    needless: Vec<String>,
    values: BTreeMap<String, String>,
    responses: u32,
}

fn agent(router: &Fixture, seed: u64) -> Agent<Fixture> {
    let whole = built_in::whole_digest();
    let blocks = notation::parse("simulation.dm", MAPPING).unwrap();
    let schema = Schema::build(blocks, &Digest::parse(&whole), &|_| false).unwrap();
    let model = Model::new(schema, router.clone(), Instances::default(), Vec::new());
    Agent::new(model, EndpointId::lenient("os::1-agent").unwrap(), Package::clone, seed)
}

impl World {
    fn new(seed: u64, weather: Weather) -> Self {
        let router = Fixture::empty();
        router.set_package("usp-agent", CONFIG).unwrap();
        router.set_package("network", "config interface 'lan'\nconfig interface 'wan'\n").unwrap();
        let mut world = Self {
            agent: agent(&router, seed),
            router,
            dice: Dice::new(seed.wrapping_mul(0x9E37_79B9)),
            weather,
            ms: 0,
            wake: None,
            wakes: 0,
            up: BTreeMap::new(),
            parcels: BTreeMap::new(),
            count: 0,
            kept: BTreeMap::new(),
            got: BTreeMap::new(),
            answered: BTreeMap::new(),
            needless: Vec::new(),
            values: BTreeMap::new(),
            responses: 0,
        };
        world.link(false);
        world.start();
        world
    }

    fn start(&mut self) {
        let kept = self.kept.values().cloned().collect();
        self.input(Input::Started { boot: Boot::default(), kept });
    }

    /// Power goes and comes back; only what was kept is left.
    fn reboot(&mut self) {
        self.up.clear();
        self.parcels.clear();
        self.agent = agent(&self.router, self.dice.roll());
        self.wake = None;
        self.start();
    }

    fn link(&self, up: bool) {
        let dump = serde_json::json!({"interface": [{"interface": "lan", "up": true}, {"interface": "wan", "up": up}]});
        self.router.set_answer("network.interface", "dump", &dump);
    }

    fn wan(&mut self, up: bool) {
        self.link(up);
        self.input(Input::Changed(Change::Event("network.interface".into(), Table::default())));
    }

    fn connect(&mut self) {
        self.connect_by(1, 1);
    }

    fn connect_by(&mut self, link: u32, order: u32) {
        self.count += 1;
        let channel = ChannelId(link, u32::try_from(self.count).unwrap());
        self.up.insert(link, (channel, order));
        let routes = vec![Route { controller: "acs".into(), order, ..Route::default() }];
        let peer = PeerFacts { encrypted: true, ..PeerFacts::default() };
        let link = Link { protocol: Protocol::WebSocket, routes, response_topic: None, peer };
        self.input(Input::Connected { channel, link });
    }

    fn disconnect(&mut self) {
        self.disconnect_from(1);
    }

    fn disconnect_from(&mut self, link: u32) {
        if let Some((channel, _)) = self.up.remove(&link) {
            self.parcels.retain(|_, parcel| parcel.link != link);
            self.input(Input::Lost { channel });
        }
    }

    /// The links that may carry what the agent sends of itself: those of the lowest Order.
    fn lowest(&self) -> Vec<u32> {
        let lowest = self.up.values().map(|(_, order)| *order).min();
        self.up.iter().filter(|(_, (_, order))| Some(*order) == lowest).map(|(link, _)| *link).collect()
    }

    fn input(&mut self, input: Input) {
        let unix_ms = 1_800_000_000_000 + i64::try_from(self.ms).unwrap();
        let clock = Now { monotonic_ms: self.ms, unix_ms, clock_is_set: true };
        let (mut closed, mut told) = (None, BTreeMap::<String, Vec<u32>>::new());
        for action in now(self.agent.handle(input, clock)) {
            match action {
                Action::Send(outgoing) => {
                    let link = outgoing.channel.0;
                    let open = self.up.get(&link).is_some_and(|(channel, _)| *channel == outgoing.channel);
                    assert!(open && outgoing.to == ReplyTo::Peer, "{outgoing:?}");
                    if let Some(id) = self.watch(&outgoing.record) {
                        told.entry(id).or_default().push(link);
                    }
                    self.ship(Parcel { link, to_agent: false, bytes: outgoing.record.to_vec() });
                }
                Action::WakeAt { at_ms, .. } => self.wake = Some(at_ms),
                Action::WakeNever => self.wake = None,
                Action::Keep(what, text) => drop(self.kept.insert(format!("{what:?}"), (what, text))),
                Action::Close { channel, .. } => closed = Some(channel.0),
                _ => {}
            }
        }
        assert!(self.parcels.len() < 1000, "the agent floods the link");
        assert!(told.values().all(|links| *links == self.lowest()), "{told:?} of {:?}", self.up);
        if let Some(link) = closed {
            self.disconnect_from(link);
        }
    }

    /// The msg_id of a notification.
    fn watch(&mut self, bytes: &bytes::Bytes) -> Option<String> {
        let Ok(record) = record::decode(bytes.clone()) else { panic!("the agent sent a broken record") };
        let record::Content::Message(payload) = record.content else { return None };
        let message = Msg::decode(payload).unwrap();
        let id = message.header.unwrap().msg_id;
        if self.answered.contains_key(&id) {
            self.needless.push(id.clone());
        }
        matches!(message.body?.msg_body?, MsgBody::Request(_)).then_some(id)
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.dice.between(1, 100) <= chance
    }

    fn ship(&mut self, parcel: Parcel) {
        if self.percent(self.weather.lost) {
            return;
        }
        let mut parcel = parcel;
        if self.percent(self.weather.garbled) && !parcel.bytes.is_empty() {
            let at = self.dice.between(0, parcel.bytes.len() as u64 - 1) as usize;
            parcel.bytes[at] ^= u8::try_from(self.dice.between(1, 255)).unwrap();
        }
        let copies = if self.percent(self.weather.twice) { 2 } else { 1 };
        for _ in 0..copies {
            let at = self.ms + 1 + self.dice.between(0, self.weather.slowest_ms);
            self.count += 1;
            self.parcels.insert((at, self.count), parcel.clone());
        }
    }

    fn pass(&mut self, ms: u64) {
        let end = self.ms + ms;
        loop {
            let parcel = self.parcels.first_key_value().map(|((at, _), _)| *at);
            let next = parcel.into_iter().chain(self.wake).min().filter(|at| *at <= end);
            let Some(at) = next else { break };
            self.ms = self.ms.max(at);
            if parcel == Some(at) {
                let (_, parcel) = self.parcels.pop_first().unwrap();
                self.deliver(parcel);
            } else {
                self.wake = None;
                self.wakes += 1;
                self.input(Input::Wake);
            }
        }
        self.ms = end;
    }

    fn deliver(&mut self, parcel: Parcel) {
        let Parcel { link, to_agent, bytes } = parcel;
        if !to_agent {
            return self.controller(&bytes, link);
        }
        let Some((channel, _)) = self.up.get(&link).copied() else { return };
        let answers = notify_resp(&bytes);
        self.input(Input::Record { channel, bytes: bytes.into(), reply_to: None });
        if let Some(id) = answers {
            self.answered.entry(id).or_insert(self.ms);
        }
    }

    /// The controller takes what it understands and answers every notification that wants it.
    fn controller(&mut self, bytes: &[u8], link: u32) {
        let Ok(record) = record::decode(bytes.to_vec().into()) else { return };
        let record::Content::Message(payload) = record.content else { return };
        let Ok(msg) = Msg::decode(payload) else { return };
        let (Some(header), Some(MsgBody::Request(request))) = (msg.header, msg.body.and_then(|b| b.msg_body)) else {
            self.responses += 1;
            return;
        };
        let Some(ReqType::Notify(notify)) = request.req_type else { return };
        *self.got.entry(header.msg_id.clone()).or_default() += 1;
        if let Some(msg::notify::Notification::ValueChange(change)) = notify.notification {
            self.values.insert(change.param_path, change.param_value);
        }
        if notify.send_resp {
            let response = RespType::NotifyResp(msg::NotifyResp { subscription_id: notify.subscription_id });
            self.send(link, message::response(&header.msg_id, response));
        }
    }

    fn send(&mut self, link: u32, payload: bytes::Bytes) {
        let (acs, own) = (EndpointId::lenient("proto::acs").unwrap(), EndpointId::lenient("os::1-agent").unwrap());
        let bytes = record::no_session_context(&acs, &own, payload).to_vec();
        self.ship(Parcel { link, to_agent: true, bytes });
    }

    fn ask(&mut self) {
        let get = msg::Get { param_paths: vec!["Device.".into()], max_depth: 0 };
        self.send(1, message::request(&format!("q-{}", self.count), ReqType::Get(get)));
    }
}

/// The msg_id of an undamaged NotifyResp for the agent.
fn notify_resp(bytes: &[u8]) -> Option<String> {
    let record = record::decode(bytes.to_vec().into()).ok()?;
    let right = record.from.as_str() == "proto::acs" && record.to.as_str() == "os::1-agent";
    let record::Content::Message(payload) = record.content else { return None };
    match message::decode(payload).ok()? {
        message::Incoming::Response { msg_id, response: RespType::NotifyResp(_) } if right => Some(msg_id),
        _ => None,
    }
}

#[test]
fn what_must_arrive_arrives_over_a_bad_link() {
    let mut responses = 0;
    for seed in 1..=40 {
        let mut world = World::new(seed, Weather { lost: 40, twice: 20, garbled: 0, slowest_ms: 20_000 });
        world.connect();
        for round in 0..20 {
            world.wan(round % 2 == 0);
            world.pass(30_000);
            world.ask();
        }
        world.wan(true);
        world.pass(48 * HOUR);
        let status = world.values.get("Device.IP.Interface.2.Status").map(String::as_str);
        assert!(status.is_some(), "seed {seed}");
        assert!(world.needless.is_empty(), "seed {seed}: repeated after the answer: {:?}", world.needless);
        let unanswered = world.got.keys().filter(|id| !world.answered.contains_key(*id)).count();
        assert!(unanswered <= 1, "seed {seed}: only the Boot! that wants no answer has none, not {unanswered}");
        responses += world.responses;
    }
    // Of 800 requests, each of which may be lost like its answer, and neither is repeated: 288 but for luck, and some twice.
    assert!(responses > 200, "{responses}");
}

#[test]
fn a_link_that_flaps_and_reboots_lose_nothing_that_was_kept() {
    for seed in 1..=20 {
        let mut world = World::new(seed, Weather { lost: 10, twice: 10, garbled: 0, slowest_ms: 500 });
        world.wan(true);
        world.pass(2 * 60_000);
        for _ in 0..5 {
            world.reboot();
            world.pass(2 * 60_000);
        }
        world.connect();
        world.disconnect();
        world.pass(60_000);
        world.connect();
        world.pass(24 * HOUR);
        let status = world.values.get("Device.IP.Interface.2.Status").map(String::as_str);
        assert_eq!(status, Some("Up"), "seed {seed}");
        assert!(world.needless.is_empty(), "seed {seed}");
    }
}

/// Three links come and go; whatever is told goes over those of the lowest Order (held in [`World::input`]), an answer
/// over any of them settles it, and nothing that must arrive is lost.
#[test]
fn several_links_that_flap_lose_nothing_and_say_nothing_twice() {
    for seed in 1..=30 {
        let mut world = World::new(seed, Weather { lost: 20, twice: 10, garbled: 0, slowest_ms: 2000 });
        let (mut changes, mut used) = (0, std::collections::BTreeSet::new());
        for round in 0..60 {
            for (link, order) in [(1, 1), (2, 2), (3, 2)] {
                match (world.up.contains_key(&link), world.percent(40)) {
                    (false, true) => world.connect_by(link, order),
                    (true, true) => world.disconnect_from(link),
                    _ => {}
                }
            }
            used.insert(world.lowest());
            world.wan(round % 2 == 0);
            changes += 1;
            world.pass(20_000);
        }
        assert!(used.len() >= 4, "seed {seed}: hardly ever another way: {used:?}");
        world.wan(true);
        for (link, order) in [(1, 1), (2, 2), (3, 2)] {
            world.disconnect_from(link);
            world.connect_by(link, order);
        }
        world.pass(48 * HOUR);
        assert!(world.needless.is_empty(), "seed {seed}: repeated after the answer: {:?}", world.needless);
        let unanswered = world.got.keys().filter(|id| !world.answered.contains_key(*id)).count();
        assert!(unanswered <= 1 && world.got.len() > changes / 2, "seed {seed}: {unanswered} of {}", world.got.len());
    }
}

#[test]
fn garbled_records_do_no_harm() {
    for seed in 1..=40 {
        let mut world = World::new(seed, Weather { lost: 5, twice: 10, garbled: 50, slowest_ms: 2000 });
        for round in 0..30 {
            if world.up.is_empty() {
                world.connect();
            }
            world.ask();
            world.wan(round % 2 == 0);
            world.pass(20_000);
        }
        world.weather = Weather { lost: 0, twice: 0, garbled: 0, slowest_ms: 10 };
        world.disconnect();
        world.connect();
        let before = world.responses;
        world.ask();
        world.pass(1000);
        assert_eq!(world.responses, before + 1, "seed {seed}: the agent still answers");
    }
}

#[test]
fn a_day_without_a_controller_costs_a_handful_of_wake_ups_and_bounded_memory() {
    let mut world = World::new(1, Weather { lost: 0, twice: 0, garbled: 0, slowest_ms: 0 });
    for round in 0..5000 {
        world.wan(round % 2 == 0);
        world.pass(1000);
    }
    let wakes = world.wakes;
    assert!(wakes <= 5000 + 200, "one look per change, and the saving of what waits: {wakes}");
    world.wakes = 0;
    world.pass(24 * HOUR);
    assert!(world.wakes < 10, "an idle day took {} wake-ups", world.wakes);
    world.connect();
    world.pass(60_000);
    assert!(world.got.len() <= 256, "{} notifications had waited", world.got.len());
    let kept: usize = world.kept.values().map(|(_, text)| text.len()).sum();
    assert!(kept < 64 * 1024, "{kept} bytes kept");
}
