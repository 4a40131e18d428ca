//! What a bus does with a message: the decisions of ubusd without its sockets, access lists
//! and monitor.

use crate::order;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use crate::backend::Table;
use crate::backend::ubus::blobmsg;
use crate::backend::ubus::message::{Attributes, Body, EVENT_OBJECT, Message, attr, kind, matches, request, status};

/// The user and group every caller is presented as.
pub(super) const USER: &str = "root";

/// What an in-process provider does with a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Every DATA of the answer, then status 0.
    Data(Vec<Table>),
    /// Every DATA of the answer, then this status.
    DataAndStatus(Vec<Table>, u32),
    /// A status alone.
    Status(u32),
    /// Silence, as of a provider that hangs.
    Never,
}

impl From<Result<Table, u32>> for Outcome {
    fn from(result: Result<Table, u32>) -> Self {
        result.map_or_else(Self::Status, |table| Self::Data(vec![table]))
    }
}

pub(super) type Handler = Rc<dyn Fn(&str, &Table) -> Outcome>;

pub(super) enum Owner {
    Client(u32),
    Local(Handler),
    /// The bus itself.
    Bus,
}

pub(super) struct Object {
    pub(super) owner: Owner,
    path: Option<String>,
    object_type: Option<u32>,
    /// Numbers what ubusd tells about this object.
    seq: u16,
    /// Newest first, as ubusd keeps them.
    subscribers: Vec<u32>,
    pub(super) patterns: Vec<String>,
}

impl Object {
    fn of(owner: Owner) -> Self {
        Self { owner, path: None, object_type: None, seq: 0, subscribers: vec![], patterns: vec![] }
    }
}

/// The names on the bus, who owns them and who listens.
pub(super) struct Router {
    ids: Box<dyn FnMut() -> u32>,
    clients: order::Map<u32, ()>,
    pub(super) objects: order::Map<u32, Object>,
    pub(super) paths: order::Map<String, u32>,
    types: order::Map<u32, Vec<u8>>,
    pub(super) event_seq: u16,
    /// The peer that notifications of in-process providers carry.
    pub(super) local: u32,
    /// What is to be sent, to which client.
    pub(super) out: VecDeque<(u32, Message)>,
    /// How many notifications of in-process providers were answered.
    pub(super) acknowledged: usize,
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("paths", &self.paths).field("clients", &self.clients).finish_non_exhaustive()
    }
}

/// How a message is answered: with a status, or not now.
pub(super) type Handled = Result<(), u32>;

/// The status 0 of a finished command.
pub(super) const DONE: Handled = Err(status::OK);
/// No status: somebody else answers, or nobody.
const SILENT: Handled = Ok(());

impl Router {
    /// A bus whose ids come from `ids`; those in use are skipped.
    pub(super) fn new(ids: impl FnMut() -> u32 + 'static) -> Self {
        let mut ids: Box<dyn FnMut() -> u32> = Box::new(ids);
        let local = ids();
        Self {
            ids,
            local,
            clients: order::Map::new(),
            objects: OWN_OBJECTS.map(|id| (id, Object::of(Owner::Bus))).into(),
            paths: order::Map::new(),
            types: order::Map::new(),
            event_seq: 0,
            out: VecDeque::new(),
            acknowledged: 0,
        }
    }

    /// A client came: greets it and returns its id.
    pub(super) fn connect(&mut self) -> u32 {
        let id = fresh(&mut self.ids, &self.clients);
        self.clients.insert(id, ());
        self.send(id, kind::HELLO, 0, id, Body::default());
        id
    }

    /// A client went, and its objects with it.
    pub(super) fn disconnect(&mut self, client: u32) {
        self.clients.remove(&client);
        let owned = |object: &Object| matches!(object.owner, Owner::Client(owner) if owner == client);
        let gone: Vec<u32> = self.objects.iter().filter(|(_, object)| owned(object)).map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|id| self.remove(id));
    }

    /// Publishes an object of this process; `Err` when the path is taken.
    pub(super) fn provide(&mut self, path: &str, signature: Vec<u8>, handler: Handler) -> Result<u32, u32> {
        let object_type = fresh(&mut self.ids, &self.types);
        self.types.insert(object_type, signature);
        self.add(Owner::Local(handler), Some(path), Some(object_type))
    }

    /// The object at `path`.
    pub(super) fn find(&self, path: &str) -> Option<u32> {
        self.paths.get(path).copied()
    }

    /// How many objects subscribed to the one at `path`.
    pub(super) fn subscribers(&self, path: &str) -> usize {
        self.find(path).and_then(|id| self.objects.get(&id)).map_or(0, |object| object.subscribers.len())
    }

    /// Takes in one message of a client.
    pub(super) fn handle(&mut self, client: u32, message: &Message) {
        let attributes = message.attributes();
        let handled = match message.kind {
            kind::PING => self.pong(client, message),
            kind::LOOKUP => self.lookup(client, message, attributes.path),
            kind::INVOKE => self.invoke(client, message, &attributes),
            kind::ADD_OBJECT => self.add_object(client, message, &attributes),
            kind::REMOVE_OBJECT => self.remove_object(client, message, &attributes),
            kind::SUBSCRIBE => self.subscribe(client, &attributes),
            kind::UNSUBSCRIBE => self.unsubscribe(client, &attributes),
            kind::NOTIFY => self.notify(client, message, &attributes),
            kind::STATUS | kind::DATA => self.response(client, message, &attributes),
            _ => Err(status::INVALID_COMMAND),
        };
        if let Err(code) = handled {
            self.send(client, kind::STATUS, message.seq, message.peer, Body::default().int32(attr::STATUS, code));
        }
    }

    pub(super) fn send(&mut self, client: u32, kind: u8, seq: u16, peer: u32, body: Body) {
        self.out.push_back((client, Message::new(kind, seq, peer, body)));
    }

    fn pong(&mut self, client: u32, message: &Message) -> Handled {
        self.out.push_back((client, Message { kind: kind::DATA, ..message.clone() }));
        DONE
    }

    fn lookup(&mut self, client: u32, message: &Message, path: Option<&str>) -> Handled {
        let pattern = match path {
            Some("") => return Err(status::INVALID_ARGUMENT),
            path => path.unwrap_or("*"),
        };
        let found: Vec<u32> =
            self.paths.iter().filter(|(path, _)| matches(pattern, path)).map(|(_, object)| *object).collect();
        if found.is_empty() && path.is_some() {
            return Err(status::NOT_FOUND);
        }
        for id in found {
            if let Some(body) = self.description(id) {
                self.send(client, kind::DATA, message.seq, message.peer, body);
            }
        }
        DONE
    }

    /// Objects without a type are never listed.
    fn description(&self, id: u32) -> Option<Body> {
        let object = self.objects.get(&id)?;
        let object_type = object.object_type?;
        let body = Body::default().string(attr::OBJPATH, object.path.as_deref()?).int32(attr::OBJID, id);
        Some(body.int32(attr::OBJTYPE, object_type).nested(attr::SIGNATURE, self.types.get(&object_type)?))
    }

    fn invoke(&mut self, client: u32, message: &Message, attributes: &Attributes<'_>) -> Handled {
        let (Some(id), Some(method)) = (attributes.object, attributes.method) else {
            return Err(status::INVALID_ARGUMENT);
        };
        match self.objects.get(&id).map(|object| &object.owner) {
            None => Err(status::NOT_FOUND),
            Some(Owner::Bus) if id == EVENT_OBJECT => self.event_object(client, method, attributes.data),
            Some(Owner::Bus) => Err(status::PERMISSION_DENIED),
            Some(&Owner::Client(owner)) => {
                let body = forwarded(Body::default(), id, method, attributes.data);
                self.send(owner, kind::INVOKE, message.seq, client, body);
                SILENT
            }
            Some(Owner::Local(handler)) => {
                let handler = Rc::clone(handler);
                let outcome = self.ask(&handler, id, method, attributes.data);
                self.answer(client, message, id, outcome)
            }
        }
    }

    /// What libubus does before and after it asks a handler: unknown methods are 3, no DATA is 2.
    fn ask(&self, handler: &Handler, id: u32, method: &str, data: Option<&[u8]>) -> Outcome {
        let object_type = self.objects.get(&id).and_then(|object| object.object_type);
        let signature = object_type.and_then(|id| self.types.get(&id)).map(|bytes| blobmsg::decode(bytes));
        if !matches!(signature, Some(Ok(signature)) if signature.get(method).is_some()) {
            return Outcome::Status(status::METHOD_NOT_FOUND);
        }
        match data.map(blobmsg::decode) {
            Some(Ok(args)) => handler(method, &args),
            _ => Outcome::Status(status::INVALID_ARGUMENT),
        }
    }

    fn answer(&mut self, client: u32, message: &Message, id: u32, outcome: Outcome) -> Handled {
        let (parts, code) = match outcome {
            Outcome::Never => return SILENT,
            Outcome::Status(code) => (Vec::new(), code),
            Outcome::Data(parts) => (parts, status::OK),
            Outcome::DataAndStatus(parts, code) => (parts, code),
        };
        for body in parts.iter().filter_map(|part| request::data(id, part).ok()) {
            self.send(client, kind::DATA, message.seq, id, body);
        }
        self.send(client, kind::STATUS, message.seq, id, request::status(code, id));
        SILENT
    }

    /// An answer of a provider to the client that asked it.
    fn response(&mut self, client: u32, message: &Message, attributes: &Attributes<'_>) -> Handled {
        let complete =
            if message.kind == kind::STATUS { attributes.status.is_some() } else { attributes.data.is_some() };
        let Some(id) = attributes.object.filter(|id| complete && self.owns(client, *id)) else { return SILENT };
        if message.peer == self.local {
            self.acknowledged += usize::from(message.kind == kind::STATUS);
        } else if self.clients.contains_key(&message.peer) {
            self.out.push_back((message.peer, Message { peer: id, ..message.clone() }));
        }
        SILENT
    }

    pub(super) fn owns(&self, client: u32, id: u32) -> bool {
        matches!(self.objects.get(&id), Some(Object { owner: Owner::Client(owner), .. }) if *owner == client)
    }

    fn add_object(&mut self, client: u32, message: &Message, attributes: &Attributes<'_>) -> Handled {
        let shared = attributes.object_type.filter(|id| self.types.contains_key(id));
        let object_type = match (shared, attributes.signature) {
            (None, Some(signature)) if attributes.object_type.is_none() => {
                let id = fresh(&mut self.ids, &self.types);
                self.types.insert(id, signature.to_vec());
                Some(id)
            }
            (shared, _) => shared,
        };
        let id = self.add(Owner::Client(client), attributes.path, object_type)?;
        let body = Body::default().int32(attr::OBJID, id);
        let body = match object_type.filter(|_| attributes.signature.is_some()) {
            Some(object_type) => body.int32(attr::OBJTYPE, object_type),
            None => body,
        };
        self.send(client, kind::DATA, message.seq, message.peer, body);
        DONE
    }

    fn add(&mut self, owner: Owner, path: Option<&str>, object_type: Option<u32>) -> Result<u32, u32> {
        if path.is_some_and(|path| self.paths.contains_key(path)) {
            self.drop_type(object_type);
            return Err(status::INVALID_ARGUMENT);
        }
        let id = fresh(&mut self.ids, &self.objects);
        let path = path.map(str::to_owned);
        self.objects.insert(id, Object { path: path.clone(), object_type, ..Object::of(owner) });
        if let Some(path) = path {
            self.paths.insert(path.clone(), id);
            self.object_event("ubus.object.add", id, &path);
        }
        Ok(id)
    }

    fn remove_object(&mut self, client: u32, message: &Message, attributes: &Attributes<'_>) -> Handled {
        let id = attributes.object.ok_or(status::INVALID_ARGUMENT)?;
        let object = self.objects.get(&id).ok_or(status::NOT_FOUND)?;
        if !self.owns(client, id) {
            return Err(status::PERMISSION_DENIED);
        }
        let body = Body::default().int32(attr::OBJID, id);
        let body = match object.object_type.filter(|object_type| self.users_of(*object_type) == 1) {
            Some(object_type) => body.int32(attr::OBJTYPE, object_type),
            None => body,
        };
        self.send(client, kind::DATA, message.seq, message.peer, body);
        self.remove(id);
        DONE
    }

    fn users_of(&self, object_type: u32) -> usize {
        self.objects.values().filter(|object| object.object_type == Some(object_type)).count()
    }

    fn drop_type(&mut self, object_type: Option<u32>) {
        if let Some(id) = object_type.filter(|id| self.users_of(*id) == 0) {
            self.types.remove(&id);
        }
    }

    /// Takes an object off the bus and tells who subscribed to it or waits for its going.
    pub(super) fn remove(&mut self, id: u32) {
        let targets: Vec<u32> =
            self.objects.iter().filter(|(_, target)| target.subscribers.contains(&id)).map(|(id, _)| *id).collect();
        targets.into_iter().for_each(|target| self.end_subscription(id, target));
        let subscribers = self.objects.get(&id).map(|object| object.subscribers.clone()).unwrap_or_default();
        for subscriber in subscribers {
            self.tell(subscriber, kind::UNSUBSCRIBE, request::subscribe(subscriber, id));
            self.end_subscription(subscriber, id);
        }
        let Some(object) = self.objects.get_mut(&id) else { return };
        object.patterns.clear();
        if let Some(path) = object.path.take() {
            self.object_event("ubus.object.remove", id, &path);
            self.paths.remove(&path);
        }
        let object_type = self.objects.remove(&id).and_then(|object| object.object_type);
        self.drop_type(object_type);
    }

    /// Tells the owner of an object something about it.
    fn tell(&mut self, id: u32, kind: u8, body: Body) {
        let Some(object) = self.objects.get_mut(&id) else { return };
        object.seq = object.seq.wrapping_add(1);
        if let (Owner::Client(owner), seq) = (&object.owner, object.seq) {
            let owner = *owner;
            self.send(owner, kind, seq, 0, body);
        }
    }

    fn subscribe(&mut self, client: u32, attributes: &Attributes<'_>) -> Handled {
        let (Some(id), Some(target)) = (attributes.object, attributes.target) else {
            return Err(status::INVALID_ARGUMENT);
        };
        self.objects.get(&id).ok_or(status::NOT_FOUND)?;
        if !self.owns(client, id) {
            return Err(status::INVALID_ARGUMENT);
        }
        let own_target = self.owns(client, target);
        let notifier = self.objects.get_mut(&target).filter(|object| !matches!(object.owner, Owner::Bus));
        let object = notifier.ok_or(status::NOT_FOUND)?;
        if own_target {
            return Err(status::INVALID_ARGUMENT);
        }
        object.subscribers.insert(0, id);
        if object.subscribers.len() == 1 {
            self.tell_active(target, true);
        }
        DONE
    }

    fn tell_active(&mut self, target: u32, active: bool) {
        let body = Body::default().int32(attr::OBJID, target).int8(attr::ACTIVE, active.into());
        self.tell(target, kind::NOTIFY, body);
    }

    fn unsubscribe(&mut self, client: u32, attributes: &Attributes<'_>) -> Handled {
        let (Some(id), Some(target)) = (attributes.object, attributes.target) else {
            return Err(status::INVALID_ARGUMENT);
        };
        self.objects.get(&id).ok_or(status::NOT_FOUND)?;
        if !self.owns(client, id) {
            return Err(status::INVALID_ARGUMENT);
        }
        let subscribed = self.objects.get(&target).is_some_and(|object| object.subscribers.contains(&id));
        if !subscribed {
            return Err(status::NOT_FOUND);
        }
        self.end_subscription(id, target);
        DONE
    }

    fn end_subscription(&mut self, subscriber: u32, target: u32) {
        let Some(object) = self.objects.get_mut(&target) else { return };
        if let Some(place) = object.subscribers.iter().position(|id| *id == subscriber) {
            object.subscribers.remove(place);
            if object.subscribers.is_empty() {
                self.tell_active(target, false);
            }
        }
    }

    fn notify(&mut self, client: u32, message: &Message, attributes: &Attributes<'_>) -> Handled {
        let (Some(id), Some(method)) = (attributes.object, attributes.method) else {
            return Err(status::INVALID_ARGUMENT);
        };
        let object = self.objects.get(&id).ok_or(status::NOT_FOUND)?;
        if !self.owns(client, id) {
            return Err(status::PERMISSION_DENIED);
        }
        if !attributes.no_reply {
            let list = object.subscribers.iter().fold(Body::default(), |list, id| list.int32(0, *id)).into_bytes();
            let body = Body::default().int32(attr::OBJID, id).nested(attr::SUBSCRIBERS, &list);
            self.send(client, kind::STATUS, message.seq, message.peer, body.int32(attr::STATUS, status::OK));
        }
        self.spread(id, client, message.seq, method, attributes.data, attributes.no_reply);
        SILENT
    }

    /// Sends a notification of `id` to its subscribers.
    pub(super) fn spread(&mut self, id: u32, from: u32, seq: u16, method: &str, data: Option<&[u8]>, no_reply: bool) {
        let subscribers = self.objects.get(&id).map(|object| object.subscribers.clone()).unwrap_or_default();
        for subscriber in subscribers {
            let Some(Object { owner: Owner::Client(owner), .. }) = self.objects.get(&subscriber) else { continue };
            let owner = *owner;
            let body = if no_reply { Body::default().int8(attr::NO_REPLY, 1) } else { Body::default() };
            self.send(owner, kind::INVOKE, seq, from, forwarded(body, subscriber, method, data));
        }
    }
}

/// Events, access lists and the monitor; only the first does anything here.
const OWN_OBJECTS: [u32; 3] = [EVENT_OBJECT, 2, 3];

/// Lower ids are ubusd's own.
pub(super) const FIRST_ID: u32 = 1024;

fn fresh<T>(ids: &mut dyn FnMut() -> u32, used: &order::Map<u32, T>) -> u32 {
    std::iter::repeat_with(ids).find(|id| *id >= FIRST_ID && !used.contains_key(id)).unwrap_or(FIRST_ID)
}

fn forwarded(body: Body, id: u32, method: &str, data: Option<&[u8]>) -> Body {
    let body = body.int32(attr::OBJID, id).string(attr::METHOD, method);
    let body = body.string(attr::USER, USER).string(attr::GROUP, USER);
    match data {
        Some(data) => body.nested(attr::DATA, data),
        None => body,
    }
}
