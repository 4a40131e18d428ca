//! Several transports to one controller: Order, what takes over, what goes in parallel.

use super::*;

const STATUS: &str = "Device.IP.Interface.*.Status";
const FIRST: ChannelId = ChannelId(1, 1);
const SECOND: ChannelId = ChannelId(2, 1);
const THIRD: ChannelId = ChannelId(3, 1);

/// The agent with a subscription that wants answers, not connected.
struct Routes {
    bench: Bench,
    up: bool,
}

impl Routes {
    fn new(config: &str) -> Self {
        let retry = "\toption NotifRetry '1'\n";
        let mut bench = Bench::off(&format!("{config}{}", subscription("v", "ValueChange", STATUS, retry)));
        bench.start();
        Self { bench, up: false }
    }

    fn connect(&mut self, channel: ChannelId, order: u32, encrypted: bool) -> Vec<(ChannelId, String)> {
        let route = Route { controller: "acs".into(), order, ..Route::default() };
        let peer = PeerFacts { encrypted, ..PeerFacts::default() };
        let link = Link { protocol: Protocol::WebSocket, routes: vec![route], response_topic: None, peer };
        self.input(Input::Connected { channel, link })
    }

    /// Every record that leaves, with its channel: a notification by its msg_id, another by its kind.
    fn input(&mut self, input: Input) -> Vec<(ChannelId, String)> {
        let mut sent = Vec::new();
        for action in now(self.bench.agent.handle(input, self.bench.clock)) {
            match action {
                Action::Send(outgoing) => sent.push((outgoing.channel, what(&outgoing))),
                Action::WakeAt { at_ms, .. } => self.bench.wake = Some(at_ms),
                Action::WakeNever => self.bench.wake = None,
                _ => {}
            }
        }
        sent
    }

    /// The WAN goes up or down; the channels that carry the notification, and its msg_id.
    fn change(&mut self) -> (Vec<ChannelId>, String) {
        self.up = !self.up;
        self.bench.link_up(self.up);
        let mut sent = self.input(network_event());
        sent.extend(self.pass(300));
        let id = sent.first().map(|(_, id)| id.clone()).unwrap_or_default();
        assert!(sent.iter().all(|(_, other)| *other == id), "one notification, the same everywhere: {sent:?}");
        (sent.into_iter().map(|(channel, _)| channel).collect(), id)
    }

    fn pass(&mut self, ms: u64) -> Vec<(ChannelId, String)> {
        let end = self.bench.clock.monotonic_ms + ms;
        let mut sent = Vec::new();
        while let Some(at) = self.bench.wake.filter(|at| *at <= end) {
            self.bench.jump(at.max(self.bench.clock.monotonic_ms));
            self.bench.wake = None;
            sent.extend(self.input(Input::Wake));
        }
        self.bench.jump(end);
        sent
    }

    fn answer(&mut self, channel: ChannelId, msg_id: &str) {
        let response = msg::NotifyResp { subscription_id: "v".into() };
        self.say(channel, message::response(msg_id, RespType::NotifyResp(response)));
    }

    fn say(&mut self, channel: ChannelId, payload: bytes::Bytes) -> Vec<(ChannelId, String)> {
        let id = |text| EndpointId::lenient(text).unwrap();
        let bytes = record::no_session_context(&id("proto::acs"), &id("os::00256D-123"), payload);
        self.input(Input::Record { channel, bytes, reply_to: None })
    }
}

fn what(outgoing: &Outgoing) -> String {
    match decode(outgoing).1 {
        Content::Message(bytes) => match heard(&bytes) {
            Incoming::Request { msg_id, .. } => msg_id,
            Incoming::Response { msg_id, .. } | Incoming::Error { msg_id, .. } => format!("answer {msg_id}"),
        },
        Content::Connect(_) => "connect".into(),
        _ => "other".into(),
    }
}

fn network_event() -> Input {
    Input::Changed(Change::Event("network.interface".into(), crate::backend::Table::default()))
}

#[test]
fn the_lowest_order_carries_what_the_agent_sends_of_itself_and_answers_go_back_where_they_were_asked() {
    let mut routes = Routes::new("");
    for (channel, order) in [(FIRST, 7), (SECOND, 2), (THIRD, 5)] {
        assert_eq!(routes.connect(channel, order, true), [(channel, "connect".into())], "each is greeted");
    }
    let (channels, id) = routes.change();
    assert_eq!(channels, [SECOND]);
    routes.answer(SECOND, &id);
    let answer = routes.say(FIRST, message::request("q", get(&["Device.DeviceInfo.HostName"])));
    assert_eq!(answer, [(FIRST, "answer q".into())]);
    assert_eq!(routes.change().0, [SECOND], "a request elsewhere changes nothing");
}

#[test]
fn the_next_takes_over_what_was_not_answered_and_gives_it_back() {
    let mut routes = Routes::new("");
    routes.connect(FIRST, 1, true);
    routes.connect(SECOND, 2, true);
    let (channels, id) = routes.change();
    assert_eq!(channels, [FIRST]);
    assert_eq!(routes.input(Input::Lost { channel: FIRST }), []);
    assert_eq!(routes.pass(10_000), [(SECOND, id.clone())], "the same message is repeated, at its time");
    routes.answer(SECOND, &id);
    let (channels, _unanswered) = routes.change();
    assert_eq!(channels, [SECOND]);
    routes.connect(ChannelId(1, 2), 1, true);
    let again = routes.pass(10_000);
    assert_eq!(again.iter().map(|(channel, _)| *channel).collect::<Vec<_>>(), [ChannelId(1, 2)]);
    assert_eq!(routes.change().0, [ChannelId(1, 2)]);
}

#[test]
fn equal_orders_carry_the_same_notification_and_one_answer_settles_it() {
    let mut routes = Routes::new("");
    routes.connect(FIRST, 1, true);
    routes.connect(SECOND, 1, true);
    routes.connect(THIRD, 2, true);
    let (channels, id) = routes.change();
    assert_eq!(channels, [FIRST, SECOND]);
    let again = routes.pass(10_000);
    assert_eq!(again, [(FIRST, id.clone()), (SECOND, id.clone())], "one attempt on both, at one time");
    routes.answer(SECOND, &id);
    assert_eq!(routes.pass(3_600_000), [], "an answer on either settles it");
    routes.answer(FIRST, &id);
    let (_, id) = routes.change();
    routes.input(Input::Lost { channel: SECOND });
    assert_eq!(routes.pass(10_000), [(FIRST, id)]);
}

#[test]
fn what_waits_goes_out_in_order_once_the_better_link_came_up_or_failed() {
    let awaited = |link, order| {
        let routes = vec![Route { controller: "acs".into(), order, ..Route::default() }];
        Input::Awaited { link, routes }
    };
    let boot = subscription("b", "Event", "Device.Boot!", "");
    let mut routes = Routes::new(&boot);
    routes.input(awaited(1, 1));
    routes.input(awaited(2, 2));
    assert_eq!(routes.connect(SECOND, 2, true).len(), 1, "the Connect record only");
    let sent = routes.connect(FIRST, 1, true);
    assert_eq!(sent.iter().map(|(channel, _)| *channel).collect::<Vec<_>>(), [FIRST, FIRST]);

    let mut routes = Routes::new(&boot);
    routes.input(awaited(1, 1));
    routes.connect(SECOND, 2, true);
    assert_eq!(routes.input(Input::Lost { channel: ChannelId(1, 0) }).len(), 1);

    let mut routes = Routes::new(&boot);
    routes.input(awaited(1, 1));
    routes.connect(SECOND, 2, true);
    assert_eq!(routes.pass(9_999), []);
    assert_eq!(routes.pass(1).len(), 1, "a link that does neither is not waited for for ever");
}

#[test]
fn what_is_for_encrypted_links_only_stays_off_the_others() {
    let secure = "config controller 'sec'\n\toption EndpointID 'proto::sec'\n\tlist role 'full'\n";
    let told = subscription("s", "ValueChange", STATUS, "").replace("'acs'", "'sec'");
    let mut routes = Routes::new(&format!("{secure}{told}"));
    for (channel, encrypted) in [(FIRST, false), (SECOND, true)] {
        let route = Route { controller: "sec".into(), order: 1, ..Route::default() };
        let peer = PeerFacts { encrypted, ..PeerFacts::default() };
        let link = Link { protocol: Protocol::WebSocket, routes: vec![route], response_topic: None, peer };
        routes.input(Input::Connected { channel, link });
    }
    assert_eq!(routes.change().0, [SECOND]);
}
