//! The bus answers what clients of the real ubusd sent with the bytes ubusd answered.
//!
//! Ids are random in ubusd: they are taken from the conversation. What the other side of a
//! one-sided conversation did is done by hand.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::Path;
use std::rc::Rc;

use super::router::{Handler, Outcome, Router};
use crate::backend::Table;
use crate::backend::ubus::blobmsg;
use crate::backend::ubus::message::{Attributes, Body, Message, attr, kind, request};
use crate::backend::ubus::socket::Frames;

const UNSHOWN: u32 = 0xc939_e273;

struct Line {
    connection: String,
    from_client: bool,
    message: Message,
}

fn transcript(name: &str) -> Vec<Line> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ubus-transcripts").join(name);
    let text = fs::read_to_string(file).unwrap();
    let words = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.filter(|words| words.len() == 3 && words[2] != "EOF").map(|words| line(&words)).collect()
}

fn line(words: &[&str]) -> Line {
    let byte = |at: usize| u8::from_str_radix(&words[2][at..at + 2], 16).unwrap();
    let mut frames = Frames::default();
    frames.push(&(0..words[2].len()).step_by(2).map(byte).collect::<Vec<_>>());
    let message = frames.next_message().unwrap().unwrap();
    Line { connection: words[0].into(), from_client: words[1] == "C>S", message }
}

/// A bus in front of one conversation.
struct Replay {
    ids: Rc<RefCell<VecDeque<u32>>>,
    router: Router,
    lines: Vec<Line>,
    clients: BTreeMap<String, u32>,
    /// What the bus said, by client, and the conversation does not yet show.
    said: BTreeMap<u32, VecDeque<Message>>,
    /// What the provider that is not shown answers, in order.
    outcomes: Rc<RefCell<VecDeque<Outcome>>>,
}

impl Replay {
    fn new(name: &str) -> Self {
        let ids = Rc::new(RefCell::new(VecDeque::from([UNSHOWN])));
        let next = Rc::clone(&ids);
        let router = Router::new(move || next.borrow_mut().pop_front().expect("an id the conversation does not show"));
        let mut replay = Self {
            ids,
            router,
            lines: transcript(name),
            clients: BTreeMap::new(),
            said: BTreeMap::new(),
            outcomes: Rc::default(),
        };
        replay.provide_what_is_looked_up();
        replay
    }

    /// The objects of providers that are not shown, under their ids, answering what they answered.
    fn provide_what_is_looked_up(&mut self) {
        let described: BTreeMap<u32, (String, u32, Vec<u8>)> = self
            .lines
            .iter()
            .filter_map(|line| {
                let Attributes { path: Some(path), object: Some(id), object_type: Some(kind), signature, .. } =
                    line.message.attributes()
                else {
                    return None;
                };
                Some((id, (path.to_owned(), kind, signature?.to_vec())))
            })
            .collect();
        for (id, (path, object_type, signature)) in described {
            self.ids.borrow_mut().extend([object_type, id]);
            let outcomes = Rc::clone(&self.outcomes);
            let handler: Handler = Rc::new(move |_, _| outcomes.borrow_mut().pop_front().unwrap());
            assert_eq!(self.router.provide(&path, signature, handler), Ok(id));
        }
    }

    /// Plays the lines from `from` up to `to`, exclusive.
    fn play(&mut self, from: usize, to: usize) {
        for index in from..to {
            let Line { connection, from_client, message } = &self.lines[index];
            let (connection, message) = (connection.clone(), message.clone());
            if *from_client {
                self.learn_ids(index);
                self.learn_outcome(index);
                self.router.handle(self.clients[&connection], &message);
            } else {
                self.hear(&connection, &message, index);
            }
            self.collect();
        }
    }

    fn play_all(&mut self) {
        self.play(0, self.lines.len());
    }

    fn hear(&mut self, connection: &str, message: &Message, index: usize) {
        if message.kind == kind::HELLO {
            self.ids.borrow_mut().push_back(message.peer);
            let client = self.router.connect();
            self.clients.insert(connection.into(), client);
            self.collect();
        }
        let client = self.clients[connection];
        let said = self.said.entry(client).or_default().pop_front();
        assert_eq!(said.as_ref(), Some(message), "line {index}");
    }

    fn collect(&mut self) {
        for (client, message) in self.router.out.drain(..) {
            self.said.entry(client).or_default().push_back(message);
        }
    }

    /// The ids ADD_OBJECT is going to need: the type first, then the object.
    fn learn_ids(&self, index: usize) {
        if self.lines[index].message.kind != kind::ADD_OBJECT {
            return;
        }
        let answer = self.answers(index).find(|answer| answer.kind == kind::DATA);
        match answer.map(Message::attributes) {
            Some(added) => self.ids.borrow_mut().extend(added.object_type.into_iter().chain(added.object)),
            None => self.ids.borrow_mut().push_back(UNSHOWN - 1),
        }
    }

    fn learn_outcome(&self, index: usize) {
        let message = &self.lines[index].message;
        if message.kind == kind::INVOKE && message.attributes().data.is_some() {
            let parts = self.answers(index).filter(|answer| answer.kind == kind::DATA);
            let parts: Vec<Table> =
                parts.map(|part| blobmsg::decode(part.attributes().data.unwrap()).unwrap()).collect();
            let end = self.answers(index).find(|answer| answer.kind == kind::STATUS);
            let outcome = match end.and_then(|end| end.attributes().status) {
                None => Outcome::Never,
                Some(0) => Outcome::Data(parts),
                Some(code) => Outcome::Status(code),
            };
            self.outcomes.borrow_mut().clear();
            self.outcomes.borrow_mut().push_back(outcome);
        }
    }

    fn answers(&self, index: usize) -> impl Iterator<Item = &Message> {
        let asked = &self.lines[index];
        self.lines[index..]
            .iter()
            .filter(move |line| !line.from_client && line.connection == asked.connection)
            .map(|line| &line.message)
            .filter(move |message| message.seq == asked.message.seq && message.peer == asked.message.peer)
    }

    fn unsaid(&self) -> Vec<&Message> {
        self.said.values().flatten().collect()
    }
}

#[test]
fn one_client_hears_what_it_heard_from_ubusd() {
    for name in [
        "01_lookup_all.hex",
        "02_lookup_exact.hex",
        "03_lookup_wildcard.hex",
        "04_lookup_notfound.hex",
        "05_call_types.hex",
        "06_call_echo_json.hex",
        "07_call_echo_c.hex",
        "08_method_not_found.hex",
        "09_status_from_handler.hex",
        "10_multi_data.hex",
        "11_events.hex",
        "17_provider_dies.hex",
        "18_fd.hex",
        "21_ping.hex",
        "24_unknown_type.hex",
        "25_invalid_args.hex",
        "26_add_remove_object.hex",
    ] {
        println!("{name}");
        let mut replay = Replay::new(name);
        replay.play_all();
        assert_eq!(replay.unsaid(), Vec::<&Message>::new(), "{name}");
    }
}

/// The capture ends before the status.
#[test]
fn the_version_is_not_looked_at() {
    let mut replay = Replay::new("20_bad_version.hex");
    replay.play_all();
    assert!(replay.unsaid().iter().all(|message| message.kind == kind::STATUS));
}

#[test]
fn objects_coming_and_going_are_told_as_by_ubusd() {
    let mut replay = Replay::new("12_object_events.hex");
    let told =
        replay.lines.iter().position(|line| line.message.attributes().method == Some("ubus.object.add")).unwrap();
    replay.play(0, told);
    let event = replay.lines[told].message.clone();
    let data = blobmsg::decode(event.attributes().data.unwrap()).unwrap();
    let id = data.get("id").unwrap().as_i64().unwrap() as u32;
    replay.ids.borrow_mut().extend([UNSHOWN - 2, id]);
    let silent: Handler = Rc::new(|_, _| Outcome::Never);
    replay.router.provide("test.obj", vec![], silent).unwrap();
    replay.collect();
    replay.play(told, told + 2);
    replay.router.remove(id);
    replay.collect();
    replay.play(told + 2, replay.lines.len());
    assert!(replay.unsaid().is_empty());
}

#[test]
fn a_subscriber_is_notified_as_by_ubusd() {
    let mut replay = Replay::new("13_subscribe_notify.hex");
    let told = replay.lines.iter().position(|line| line.message.attributes().no_reply).unwrap();
    replay.play(0, told);
    let message = replay.lines[told].message.clone();
    let target = replay.router.find("test.obj").unwrap();
    let data = message.attributes().data.unwrap();
    replay.router.spread(target, UNSHOWN, message.seq, "state", Some(data), true);
    replay.collect();
    // The call that made the provider notify was answered after it.
    replay.play(told, replay.lines.len());
    assert!(replay.unsaid().is_empty());
}

#[test]
fn a_subscriber_hears_that_the_object_is_gone() {
    let mut replay = Replay::new("15_unsubscribe_on_remove.hex");
    let told = replay.lines.iter().position(|line| line.message.kind == kind::UNSUBSCRIBE).unwrap();
    replay.play(0, told);
    let target = replay.router.find("test.obj").unwrap();
    replay.router.remove(target);
    replay.collect();
    replay.play(told, replay.lines.len());
    assert!(replay.unsaid().is_empty());
}

/// A client that the conversation does not show.
fn stranger(replay: &mut Replay, id: u32) -> u32 {
    replay.ids.borrow_mut().push_back(id);
    replay.router.connect()
}

#[test]
fn a_provider_is_asked_and_told_as_by_ubusd() {
    let mut replay = Replay::new("14_provider_side.hex");
    let place = |replay: &Replay, wanted: u8| replay.lines.iter().position(|line| line.message.kind == wanted).unwrap();
    let active = place(&replay, kind::NOTIFY);
    let invoke = place(&replay, kind::INVOKE);
    replay.play(0, active);
    let provider = replay.router.find("test.obj").unwrap();

    let subscriber = stranger(&mut replay, 0x0099_9999);
    replay.ids.borrow_mut().push_back(0xaff3_c4f2);
    replay.router.handle(subscriber, &Message::new(kind::ADD_OBJECT, 1, 0, request::add_object(None)));
    let subscribe = request::subscribe(0xaff3_c4f2, provider);
    replay.router.handle(subscriber, &Message::new(kind::SUBSCRIBE, 2, 0, subscribe));
    replay.collect();
    replay.play(active, invoke);

    let asked = replay.lines[invoke].message.clone();
    let caller = stranger(&mut replay, asked.peer);
    let call = request::invoke(provider, "echo", &Table::default().with("i32", 1)).unwrap();
    replay.router.handle(caller, &Message::new(kind::INVOKE, asked.seq, provider, call));
    replay.collect();
    replay.play(invoke, invoke + 5);

    // The subscriber answers the notification.
    let notified = replay.said[&subscriber].back().unwrap().clone();
    assert_eq!((notified.kind, notified.attributes().method), (kind::INVOKE, Some("ack")));
    let answer = request::status(0, 0xaff3_c4f2);
    replay.router.handle(subscriber, &Message::new(kind::STATUS, notified.seq, notified.peer, answer));
    replay.collect();
    replay.play(invoke + 5, replay.lines.len());

    let heard: Vec<u8> = replay.said[&caller].iter().map(|message| message.kind).collect();
    assert_eq!(heard, [kind::HELLO, kind::DATA, kind::STATUS]);
    assert_eq!(replay.said[&caller][2].attributes().object, Some(provider));
    let gone = replay.said[&subscriber].back().unwrap();
    assert_eq!((gone.kind, gone.attributes().target), (kind::UNSUBSCRIBE, Some(provider)));
}

#[test]
fn a_type_given_by_number_is_shared_and_goes_with_its_last_object() {
    let ids = RefCell::new(1024..);
    let mut router = Router::new(move || ids.borrow_mut().next().unwrap());
    let client = router.connect();
    let published = request::add_object(Some(("a", &[])));
    router.handle(client, &Message::new(kind::ADD_OBJECT, 1, 0, published));
    let object_type = router.out[1].1.attributes().object_type.unwrap();
    let again = Body::default().string(attr::OBJPATH, "b").int32(attr::OBJTYPE, object_type);
    router.handle(client, &Message::new(kind::ADD_OBJECT, 2, 0, again));
    router.out.clear();
    for (path, expected) in [("a", None), ("b", Some(object_type))] {
        let id = router.find(path).unwrap();
        router.handle(client, &Message::new(kind::REMOVE_OBJECT, 3, 0, request::remove_object(id)));
        assert_eq!(router.out[0].1.attributes().object_type, expected, "{path}");
        router.out.clear();
    }
}
