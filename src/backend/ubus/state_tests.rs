use super::*;
use crate::backend::ubus::message::attr;

const OBJECT: u32 = 0x51bb_94e3;

fn connected() -> State {
    State { connected: true, told_of_objects: Some(true), listener: Some(2000), ..State::default() }
}

fn ask(state: &mut State) -> (u16, Waiting) {
    state.send(kind::INVOKE, OBJECT, Body::default(), Keep::Last).unwrap()
}

fn status_of(seq: u16, peer: u32) -> Message {
    Message::new(kind::STATUS, seq, peer, request::status(status::OK, peer))
}

fn answered(waiting: &mut Waiting) -> Option<Result<u32, CallError>> {
    waiting.try_recv().ok().map(|answer| answer.map(|reply| reply.status))
}

fn event(id: &str, data: &Table, no_reply: bool) -> Message {
    let body = Body::default().int32(attr::OBJID, 2000).string(attr::METHOD, id);
    let body = if no_reply { body.int8(attr::NO_REPLY, 1) } else { body };
    Message::new(kind::INVOKE, 9, 7, body.nested(attr::DATA, &blobmsg::encode(data).unwrap()))
}

fn object_event(id: &str, object: u32, path: &str) -> Message {
    event(id, &Table::default().with("id", object as i32).with("path", path), true)
}

#[test]
fn an_answer_belongs_to_its_sequence_number_and_peer() {
    let mut state = connected();
    let (seq, mut waiting) = ask(&mut state);
    state.handle(&status_of(seq, OBJECT + 1));
    state.handle(&status_of(seq + 1, OBJECT));
    state.handle(&Message::new(kind::STATUS, seq, OBJECT, Body::default()));
    assert_eq!(answered(&mut waiting), None);
    state.handle(&status_of(seq, OBJECT));
    assert_eq!(answered(&mut waiting), Some(Ok(status::OK)));
}

#[test]
fn sequence_numbers_in_use_are_left_out() {
    let mut state = connected();
    let (first, _waiting) = ask(&mut state);
    for _ in 0..70_000 {
        let (seq, _) = ask(&mut state);
        assert!(seq != first && seq != 0);
        state.abandon(seq);
        state.next_out();
    }
}

#[test]
fn an_object_that_let_a_call_time_out_is_left_alone_for_a_while() {
    let mut state = connected();
    let now = Instant::now();
    state.mark_quiet(OBJECT, now);
    assert!(state.is_quiet(OBJECT, now + QUIET - Duration::from_millis(1)));
    assert!(!state.is_quiet(OBJECT, now + QUIET));
    assert!(!state.is_quiet(OBJECT + 1, now));
    state.handle(&status_of(77, OBJECT));
    assert!(!state.is_quiet(OBJECT, now), "a late answer is a sign of life");
}

#[test]
fn what_is_known_of_a_path_ends_with_its_object() {
    let mut state = connected();
    let known = Known { id: OBJECT, signature: Rc::default() };
    for gone in ["ubus.object.remove", "ubus.object.add"] {
        state.learn("a", known.clone());
        state.learn("b", known.clone());
        state.handle(&object_event(gone, OBJECT, "a"));
        assert!(state.known("a").is_none() && state.known("b").is_some(), "{gone}");
    }
    state.told_of_objects = Some(false);
    state.learn("c", known);
    assert!(state.known("c").is_none(), "nobody would tell of its going");
}

#[test]
fn what_is_known_has_a_limit() {
    let mut state = connected();
    for number in 0..=MAX_KNOWN {
        state.learn(&number.to_string(), Known { id: OBJECT, signature: Rc::default() });
    }
    assert_eq!(state.known.len(), 1);
}

#[test]
fn a_call_ends_with_its_object_but_not_before_ubusd_had_its_say() {
    let mut state = connected();
    let (_, mut waiting) = ask(&mut state);
    state.handle(&object_event("ubus.object.remove", OBJECT, "a"));
    assert_eq!(answered(&mut waiting), None);
    let ping = state.out.back().unwrap();
    assert_eq!(ping[1], kind::PING);
    let seq = u16::from_be_bytes([ping[2], ping[3]]);
    state.handle(&Message::new(kind::STATUS, seq, 0, Body::default().int32(attr::STATUS, 0)));
    assert_eq!(answered(&mut waiting), Some(Err(CallError::NotFound)));
}

#[test]
fn a_loss_ends_every_call_and_every_id_but_no_wish() {
    let mut state = connected();
    let (_, mut waiting) = ask(&mut state);
    state.learn("a", Known { id: OBJECT, signature: Rc::default() });
    state.events.push(Wish { pattern: "e".into(), told: true });
    let (calls, _received) = mpsc::channel(1);
    let own = Own { path: "o".into(), signature: Signature::default(), calls, id: Some(5), refused: false };
    state.own.push(own);
    state.disconnect();
    assert_eq!(answered(&mut waiting), Some(Err(CallError::Disconnected)));
    assert!(state.known("a").is_none() && state.listener.is_none() && state.out.is_empty());
    assert!(!state.events[0].told && state.own[0].id.is_none());
    let refused = state.send(kind::INVOKE, OBJECT, Body::default(), Keep::Last);
    assert_eq!(refused.err(), Some(CallError::Disconnected));
}

#[test]
fn an_answer_has_a_limit() {
    let mut state = connected();
    let part =
        |seq| Message::new(kind::DATA, seq, OBJECT, Body::default().nested(attr::DATA, &vec![0; MAX_MESSAGE / 2]));
    let (seq, mut all) = state.send(kind::INVOKE, OBJECT, Body::default(), Keep::All).unwrap();
    let (last_seq, mut last) = ask(&mut state);
    for _ in 0..9 {
        state.handle(&part(seq));
        state.handle(&part(last_seq));
    }
    assert_eq!(answered(&mut all), Some(Err(CallError::TooLarge)));
    state.handle(&status_of(last_seq, OBJECT));
    assert_eq!(answered(&mut last), Some(Ok(status::OK)), "only the last part is kept");
}

#[test]
fn an_answer_without_end_has_a_limit_though_its_parts_are_empty() {
    let mut state = connected();
    let (seq, mut all) = state.send(kind::INVOKE, OBJECT, Body::default(), Keep::All).unwrap();
    let part = Message::new(kind::DATA, seq, OBJECT, Body::default());
    (0..MAX_PARTS).for_each(|_| state.handle(&part));
    assert_eq!(answered(&mut all), None);
    state.handle(&part);
    assert_eq!(answered(&mut all), Some(Err(CallError::TooLarge)));
}

#[test]
fn that_an_object_comes_or_goes_is_told_where_it_is_asked_for() {
    let mut state = connected();
    state.objects.push(Wish { pattern: "WiFi*".into(), told: true });
    state.presence.push("WiFi".into());
    state.handle(&object_event("ubus.object.add", 5000, "WiFi.Radio.1"));
    assert_eq!(state.changes, []);
    state.handle(&object_event("ubus.object.add", 5001, "WiFi"));
    state.handle(&object_event("ubus.object.remove", 5001, "WiFi"));
    let told = |change: &Change| matches!(change, Change::Event(_, data) if data.get("path") == Some(&"WiFi".into()));
    assert!(state.changes.len() == 2 && state.changes.iter().all(told));
}

#[test]
fn what_waits_for_ubusd_has_a_limit() {
    let mut state = connected();
    let large = || Body::default().nested(attr::DATA, &vec![0; MAX_MESSAGE - 64]);
    let mut send = || state.send(kind::INVOKE, OBJECT, large(), Keep::Last).map(|_| ());
    assert_eq!([send(), send(), send()], [Ok(()), Ok(()), Err(CallError::Timeout)]);
    assert!(!state.broken);
    for _ in 0..100 {
        state.answer(kind::STATUS, 1, 1, request::status(0, 1));
    }
    assert!(state.broken, "an answer cannot be left out");
}

#[test]
fn events_are_answered_unless_no_reply_is_wanted() {
    let mut state = connected();
    state.events.push(Wish { pattern: "e*".into(), told: true });
    state.handle(&event("event", &Table::default(), true));
    assert!(state.out.is_empty());
    state.handle(&event("other", &Table::default(), false));
    assert_eq!(state.changes, [Change::Event("event".into(), Table::default())]);
    let answer = Message::new(kind::STATUS, 9, 7, request::status(status::OK, 2000)).encode().unwrap();
    assert_eq!(state.out, [answer]);
}

#[test]
fn unasked_subscriptions_have_a_limit() {
    let mut state = connected();
    state.objects.push(Wish { pattern: "h*".into(), told: true });
    for id in 0..2 * MAX_SUBSCRIPTIONS as u32 {
        state.handle(&object_event("ubus.object.add", 5000 + id, "hostapd"));
    }
    assert_eq!(state.to_subscribe.len(), MAX_SUBSCRIPTIONS);
}

#[test]
fn another_version_ends_the_connection() {
    let mut state = connected();
    state.handle(&Message { version: 1, ..status_of(1, OBJECT) });
    assert!(state.broken);
}

#[test]
fn what_received_the_notifications_of_an_object_goes_with_it() {
    let mut state = connected();
    state.subscriptions.insert(3000, Subscription { path: "hostapd".into(), target: OBJECT });
    state.handle(&Message::new(kind::UNSUBSCRIBE, 1, 0, request::subscribe(4000, OBJECT)));
    assert_eq!((state.subscriptions.len(), state.to_forget.len()), (1, 0));
    state.handle(&Message::new(kind::UNSUBSCRIBE, 1, 0, request::subscribe(3000, OBJECT)));
    assert_eq!((state.subscriptions.len(), &state.to_forget[..]), (0, &[3000][..]));
}
