//! What the client knows of one connection, and what a message changes in it. No socket, no
//! waiting: the driver carries the bytes, the handle waits for the answers.

use crate::order::Map;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::blobmsg::{self, MAX_MESSAGE};
use super::message::{Attributes, Body, Message, kind, matches, request, status};
use super::object::Call;
use super::signature::Signature;
use crate::backend::{CallError, Change, Table};

/// How many bytes may wait for ubusd to read them: two of the longest messages.
pub(super) const MAX_QUEUE: usize = 2 * (MAX_MESSAGE + 8);
/// Bytes of the queue that answers with data leave to what is short: statuses, requests.
const ANSWER_RESERVE: usize = 64 * 1024;
/// How many bytes the parts of one answer may have together.
pub(super) const MAX_ANSWER: usize = 4 * MAX_MESSAGE;
/// How many parts one answer may have: a lookup of every object has one for each, and a large prplOS router has some
/// thousands of them.
pub(super) const MAX_PARTS: usize = 16_384;
/// How many objects are remembered by path; all are forgotten when there are more.
pub(super) const MAX_KNOWN: usize = 512;
/// How many objects notifications are taken from.
pub(super) const MAX_SUBSCRIPTIONS: usize = 256;
/// How long calls to an object that did not answer fail at once.
pub(super) const QUIET: Duration = Duration::from_secs(10);

/// An object on the bus.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) id: u32,
    pub(super) signature: Rc<Signature>,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u32,
    /// Whether a provider sent the status: ubusd's own carries no object.
    pub(super) from_provider: bool,
    pub(super) parts: Vec<Vec<u8>>,
}

/// Which parts of an answer are of interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Last,
    All,
}

pub(super) type Waiting = oneshot::Receiver<Result<Reply, CallError>>;

#[derive(Debug)]
struct Pending {
    peer: u32,
    keep: Keep,
    parts: Vec<Vec<u8>>,
    bytes: usize,
    answer: oneshot::Sender<Result<Reply, CallError>>,
}

/// Something asked for once, to be told to every new ubusd.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) pattern: Box<str>,
    pub(super) told: bool,
}

/// An object of ours.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) path: Box<str>,
    pub(super) signature: Signature,
    pub(super) calls: mpsc::Sender<Call>,
    /// Set while it is on the bus.
    pub(super) id: Option<u32>,
    /// Somebody else has the path, or an access list forbids it.
    pub(super) refused: bool,
}

#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) path: Box<str>,
    pub(super) target: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) connected: bool,
    /// Counts connections: what belongs to an old one is not sent to a new one.
    pub(super) epoch: u32,
    pub(super) greeted: bool,
    /// The writer could not keep up, or a peer broke the rules: start anew.
    pub(super) broken: bool,
    pub(super) out: VecDeque<Vec<u8>>,
    out_bytes: usize,
    seq: u16,
    pending: Map<u16, Pending>,
    known: Map<Box<str>, Known>,
    quiet: Map<u32, Instant>,
    /// Objects that went while they were called, by the PING sent then.
    fences: Map<u16, u32>,
    /// Our private object that receives events.
    pub(super) listener: Option<u32>,
    /// Whether objects coming and going are told, so that `known` may be trusted.
    pub(super) told_of_objects: Option<bool>,
    pub(super) events: Vec<Wish>,
    pub(super) objects: Vec<Wish>,
    /// Objects of which it is told that they come and go.
    pub(super) presence: Vec<Box<str>>,
    pub(super) subscriptions: Map<u32, Subscription>,
    pub(super) to_subscribe: VecDeque<(Box<str>, u32)>,
    pub(super) to_forget: Vec<u32>,
    pub(super) own: Vec<Own>,
    /// What a message brought for the agent.
    pub(super) changes: Vec<Change>,
    /// Calls of own objects that wait to be handed over.
    pub(super) calls: Vec<(mpsc::Sender<Call>, Call)>,
}

impl State {
    /// Queues a request and returns its sequence number and where the answer will come.
    pub(super) fn send(&mut self, kind: u8, peer: u32, body: Body, keep: Keep) -> Result<(u16, Waiting), CallError> {
        if !self.connected {
            return Err(CallError::Disconnected);
        }
        let seq = self.free_seq().ok_or(CallError::Timeout)?;
        let bytes = Message::new(kind, seq, peer, body).encode().map_err(|_| CallError::TooLarge)?;
        self.queue(bytes)?;
        let (answer, waiting) = oneshot::channel();
        self.pending.insert(seq, Pending { peer, keep, parts: Vec::new(), bytes: 0, answer });
        Ok((seq, waiting))
    }

    /// The next sequence number no call waits on; 0 is left to ubusd's greeting.
    fn free_seq(&mut self) -> Option<u16> {
        (0..=u16::MAX).find_map(|_| {
            self.seq = self.seq.checked_add(1).unwrap_or(1);
            (!self.pending.contains_key(&self.seq)).then_some(self.seq)
        })
    }

    fn queue(&mut self, bytes: Vec<u8>) -> Result<(), CallError> {
        if self.out_bytes + bytes.len() > MAX_QUEUE {
            return Err(CallError::Timeout);
        }
        self.out_bytes += bytes.len();
        self.out.push_back(bytes);
        Ok(())
    }

    /// What is to be written next.
    pub(super) fn next_out(&mut self) -> Option<Vec<u8>> {
        let bytes = self.out.pop_front()?;
        self.out_bytes -= bytes.len();
        Some(bytes)
    }

    /// Nobody waits for this answer any more.
    pub(super) fn abandon(&mut self, seq: u16) {
        self.pending.remove(&seq);
    }

    /// Whether an answer of this many bytes finds room beside what waits for ubusd to read it.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.out_bytes + bytes + ANSWER_RESERVE <= MAX_QUEUE
    }

    /// Sends a part of an answer of an object of ours, or its end.
    pub(super) fn answer(&mut self, kind: u8, seq: u16, peer: u32, body: Body) {
        let bytes = Message::new(kind, seq, peer, body).encode();
        match bytes.map(|bytes| self.queue(bytes)) {
            Ok(Ok(())) => {}
            Ok(Err(_)) => self.broken = true,
            Err(_) => log::warn!("ubus: answer dropped reason=too-large seq={seq}"),
        }
    }

    /// The object at `path`, if it was looked up and nothing was heard of it since.
    pub(super) fn known(&self, path: &str) -> Option<Known> {
        self.known.get(path).cloned()
    }

    pub(super) fn learn(&mut self, path: &str, known: Known) {
        if self.told_of_objects != Some(true) {
            return;
        }
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(path.into(), known);
    }

    pub(super) fn forget(&mut self, path: &str) {
        self.known.remove(path);
    }

    /// Whether the object did not answer a short while ago.
    pub(super) fn is_quiet(&self, object: u32, now: Instant) -> bool {
        self.quiet.get(&object).is_some_and(|until| now < *until)
    }

    /// The object let a call run into its deadline.
    pub(super) fn mark_quiet(&mut self, object: u32, now: Instant) {
        self.quiet.retain(|_, until| now < *until);
        self.quiet.insert(object, now + QUIET);
    }

    /// The connection is gone: every id with it, and every call in flight.
    pub(super) fn disconnect(&mut self) {
        let kept = std::mem::take(self);
        let anew = |wish: Wish| Wish { told: false, ..wish };
        self.events = kept.events.into_iter().map(anew).collect();
        self.objects = kept.objects.into_iter().map(anew).collect();
        self.presence = kept.presence;
        self.own = kept.own.into_iter().map(|own| Own { id: None, refused: false, ..own }).collect();
        self.changes = kept.changes;
        self.epoch = kept.epoch.wrapping_add(1);
        for pending in kept.pending.into_values() {
            let _ = pending.answer.send(Err(CallError::Disconnected));
        }
    }

    /// Takes in one message of ubusd.
    pub(super) fn handle(&mut self, message: &Message) {
        if message.version != 0 {
            self.broken = true;
            return;
        }
        match message.kind {
            kind::HELLO => self.greeted = true,
            kind::DATA => self.take_part(message),
            kind::STATUS => self.finish(message),
            kind::INVOKE => self.invoked(message),
            kind::UNSUBSCRIBE => self.unsubscribed(message),
            _ => {}
        }
    }

    fn take_part(&mut self, message: &Message) {
        self.quiet.remove(&message.peer);
        let Some(pending) = self.pending.get_mut(&message.seq).filter(|pending| pending.peer == message.peer) else {
            return;
        };
        if pending.keep == Keep::Last {
            pending.parts.clear();
            pending.bytes = 0;
        }
        pending.bytes += message.body.len();
        if pending.bytes <= MAX_ANSWER && pending.parts.len() < MAX_PARTS {
            pending.parts.push(message.body.clone());
        } else if let Some(pending) = self.pending.remove(&message.seq) {
            let _ = pending.answer.send(Err(CallError::TooLarge));
        }
    }

    fn finish(&mut self, message: &Message) {
        self.quiet.remove(&message.peer);
        if self.pending.get(&message.seq).is_none_or(|pending| pending.peer != message.peer) {
            return;
        }
        let Attributes { status: Some(status), object, .. } = message.attributes() else { return };
        if let Some(pending) = self.pending.remove(&message.seq) {
            let reply = Reply { status, from_provider: object.is_some(), parts: pending.parts };
            let _ = pending.answer.send(Ok(reply));
        }
        if let Some(gone) = self.fences.remove(&message.seq) {
            self.end_calls_of(gone);
        }
    }

    fn unsubscribed(&mut self, message: &Message) {
        let object = message.attributes().object;
        self.to_forget.extend(object.filter(|object| self.subscriptions.remove(object).is_some()));
    }

    fn invoked(&mut self, message: &Message) {
        let attributes = message.attributes();
        let (Some(object), Some(method)) = (attributes.object, attributes.method) else { return };
        if self.listener == Some(object) {
            self.acknowledge(message, &attributes, status::OK);
            self.event(method, attributes.data.unwrap_or_default());
        } else if let Some(subscription) = self.subscriptions.get(&object) {
            let path = subscription.path.clone();
            self.acknowledge(message, &attributes, status::OK);
            if let Some(data) = decoded(&path, attributes.data.unwrap_or_default()) {
                self.changes.push(Change::Notification(path, method.into(), data));
            }
        } else if let Err(code) = self.called(message, &attributes) {
            self.acknowledge(message, &attributes, code);
        }
    }

    /// A notifier may wait for us (hostapd holds a client up): the answer comes first.
    fn acknowledge(&mut self, message: &Message, attributes: &Attributes<'_>, code: u32) {
        if let (false, Some(object)) = (attributes.no_reply, attributes.object) {
            self.answer(kind::STATUS, message.seq, message.peer, request::status(code, object));
        }
    }

    fn called(&mut self, message: &Message, attributes: &Attributes<'_>) -> Result<(), u32> {
        let (Some(object), Some(method)) = (attributes.object, attributes.method) else {
            return Err(status::INVALID_ARGUMENT);
        };
        let own = self.own.iter().find(|own| own.id == Some(object)).ok_or(status::NOT_FOUND)?;
        if !own.signature.has(method) {
            return Err(status::METHOD_NOT_FOUND);
        }
        let data = attributes.data.ok_or(status::INVALID_ARGUMENT)?;
        let args = blobmsg::decode(data).map_err(|_| status::INVALID_ARGUMENT)?;
        let call = Call {
            object,
            seq: message.seq,
            peer: message.peer,
            silent: attributes.no_reply,
            method: method.into(),
            args,
            user: attributes.user.unwrap_or_default().into(),
            epoch: self.epoch,
        };
        self.calls.push((own.calls.clone(), call));
        Ok(())
    }

    fn event(&mut self, id: &str, data: &[u8]) {
        let Some(data) = decoded(id, data) else { return };
        match id {
            "ubus.object.add" => self.object_came(&data),
            "ubus.object.remove" => self.object_went(&data),
            _ => {}
        }
        if self.events.iter().any(|wish| matches(&wish.pattern, id)) || self.is_presence(id, &data) {
            self.changes.push(Change::Event(id.into(), data));
        }
    }

    fn is_presence(&self, id: &str, data: &Table) -> bool {
        let path = if id.starts_with("ubus.object.") { id_and_path(data) } else { None };
        path.is_some_and(|(_, path)| self.presence.iter().any(|known| **known == *path))
    }

    fn object_came(&mut self, data: &Table) {
        let Some((id, path)) = id_and_path(data) else { return };
        self.known.remove(path);
        if self.to_subscribe.len() < MAX_SUBSCRIPTIONS && self.wants(path, id) {
            self.to_subscribe.push_back((path.into(), id));
        }
    }

    fn object_went(&mut self, data: &Table) {
        let Some((id, path)) = id_and_path(data) else { return };
        self.known.remove(path);
        self.quiet.remove(&id);
        self.to_subscribe.retain(|(_, target)| *target != id);
        if self.pending.values().any(|call| call.peer == id) {
            self.fence(id);
        }
        for own in self.own.iter_mut().filter(|own| &*own.path == path) {
            own.refused = false;
        }
    }

    /// A call that crossed the object's going gets a status of ubusd, one before it gets none:
    /// ubusd's answer to this PING comes after all the statuses there will be.
    fn fence(&mut self, gone: u32) {
        if let Ok((seq, _)) = self.send(kind::PING, 0, Body::default(), Keep::Last) {
            self.fences.insert(seq, gone);
        }
    }

    fn end_calls_of(&mut self, gone: u32) {
        let lost: Vec<u16> = self.pending.iter().filter(|(_, call)| call.peer == gone).map(|(seq, _)| *seq).collect();
        for pending in lost.into_iter().filter_map(|seq| self.pending.remove(&seq)) {
            let _ = pending.answer.send(Err(CallError::NotFound));
        }
    }

    /// Whether this object is one to subscribe to and is not yet.
    pub(super) fn wants(&self, path: &str, target: u32) -> bool {
        self.subscriptions.len() < MAX_SUBSCRIPTIONS
            && self.own.iter().all(|own| own.id != Some(target))
            && self.objects.iter().any(|wish| matches(&wish.pattern, path))
            && self.subscriptions.values().all(|subscription| subscription.target != target)
    }
}

fn decoded(what: &str, data: &[u8]) -> Option<Table> {
    blobmsg::decode(data).inspect_err(|refusal| log::warn!("ubus: dropped event={what} reason=\"{refusal}\"")).ok()
}

fn id_and_path(data: &Table) -> Option<(u32, &str)> {
    Some((data.get("id")?.as_i64()? as u32, data.get("path")?.as_str()?))
}

/// What LOOKUP tells of one object: its path, id and methods.
pub(super) fn described(part: &[u8]) -> Option<(&str, Known)> {
    let attributes = Attributes::parse(part);
    let signature = Rc::new(Signature::decode(attributes.signature.unwrap_or_default()).ok()?);
    Some((attributes.path?, Known { id: attributes.object?, signature }))
}

/// The table in one part of an answer; a part without DATA is empty.
pub(super) fn table(part: &[u8]) -> Result<Table, CallError> {
    blobmsg::decode(Attributes::parse(part).data.unwrap_or_default()).map_err(|_| CallError::TooLarge)
}

/// The id of an object that ADD_OBJECT made.
pub(super) fn added(reply: &Reply) -> Option<u32> {
    reply.parts.last().and_then(|part| Attributes::parse(part).object)
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
