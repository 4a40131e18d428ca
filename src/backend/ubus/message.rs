//! The messages of ubus: eight bytes of header and a body of attributes.
//!
//! Says how they look, not what follows from them.

use crate::backend::ubus::blobmsg::{self, MAX_MESSAGE, Refusal, attributes, padded};

/// The message types.
pub mod kind {
    /// ubusd greets: peer is the client's id.
    pub const HELLO: u8 = 0;
    /// The end of an answer.
    pub const STATUS: u8 = 1;
    /// A part of an answer.
    pub const DATA: u8 = 2;
    /// Asks ubusd for a sign of life.
    pub const PING: u8 = 3;
    /// Asks for objects by path.
    pub const LOOKUP: u8 = 4;
    /// Calls a method; also how events and notifications arrive.
    pub const INVOKE: u8 = 5;
    /// Publishes an object.
    pub const ADD_OBJECT: u8 = 6;
    /// Withdraws an object.
    pub const REMOVE_OBJECT: u8 = 7;
    /// Asks for an object's notifications.
    pub const SUBSCRIBE: u8 = 8;
    /// Ends it; ubusd tells it when the object went away.
    pub const UNSUBSCRIBE: u8 = 9;
    /// Notifies the subscribers; ubusd tells a provider whether there are any.
    pub const NOTIFY: u8 = 10;
    /// A copy of the traffic for a monitor.
    pub const MONITOR: u8 = 11;
}

/// The attribute numbers of a message body.
pub mod attr {
    /// i32, see [`status`](super::status).
    pub const STATUS: u8 = 1;
    /// string
    pub const OBJPATH: u8 = 2;
    /// i32
    pub const OBJID: u8 = 3;
    /// string
    pub const METHOD: u8 = 4;
    /// i32
    pub const OBJTYPE: u8 = 5;
    /// nested: a table per method
    pub const SIGNATURE: u8 = 6;
    /// nested: blobmsg
    pub const DATA: u8 = 7;
    /// i32
    pub const TARGET: u8 = 8;
    /// i8
    pub const ACTIVE: u8 = 9;
    /// i8
    pub const NO_REPLY: u8 = 10;
    /// nested: i32 each, with number 0
    pub const SUBSCRIBERS: u8 = 11;
    /// string
    pub const USER: u8 = 12;
    /// string
    pub const GROUP: u8 = 13;
}

/// The status codes of ubus.
pub mod status {
    /// Done.
    pub const OK: u32 = 0;
    /// ubusd does not know the command.
    pub const INVALID_COMMAND: u32 = 1;
    /// An argument is missing or wrong.
    pub const INVALID_ARGUMENT: u32 = 2;
    /// The object has no such method.
    pub const METHOD_NOT_FOUND: u32 = 3;
    /// No such object (from ubusd) or thing (from a provider).
    pub const NOT_FOUND: u32 = 4;
    /// The provider has no answer.
    pub const NO_DATA: u32 = 5;
    /// An access list forbids it.
    pub const PERMISSION_DENIED: u32 = 6;
    /// The provider itself ran into a timeout.
    pub const TIMEOUT: u32 = 7;
    /// Not on this router.
    pub const NOT_SUPPORTED: u32 = 8;
    /// Anything else.
    pub const UNKNOWN_ERROR: u32 = 9;
    /// The provider lost its own peer.
    pub const CONNECTION_FAILED: u32 = 10;
    /// Out of memory or of queue.
    pub const NO_MEMORY: u32 = 11;
    /// The provider could not read what it was given.
    pub const PARSE_ERROR: u32 = 12;
    /// A system call of the provider failed.
    pub const SYSTEM_ERROR: u32 = 13;
}

/// The object of ubusd itself that registers and sends events.
pub const EVENT_OBJECT: u32 = 1;

/// The header of a message before its outer blob, in bytes.
pub const HEADER: usize = 8;
/// The header of the outer blob, in bytes.
pub const BLOB_HEADER: usize = 4;

/// One message of the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// 0; ubusd does not look at it.
    pub version: u8,
    /// See [`kind`].
    pub kind: u8,
    /// Chosen by who asks; an answer carries the same.
    pub seq: u16,
    /// The object asked, or the client to answer, or 0.
    pub peer: u32,
    /// The attributes, without the header of the outer blob.
    pub body: Vec<u8>,
}

impl Message {
    /// A message of ours.
    pub fn new(kind: u8, seq: u16, peer: u32, body: Body) -> Self {
        Self { version: 0, kind, seq, peer, body: body.0 }
    }

    /// The bytes on the wire.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`] over the limit of the bus.
    pub fn encode(&self) -> Result<Vec<u8>, Refusal> {
        let length = BLOB_HEADER + self.body.len();
        if padded(length) > MAX_MESSAGE {
            return Err(Refusal::TooLarge);
        }
        let mut out = Vec::with_capacity(HEADER + length);
        out.extend_from_slice(&[self.version, self.kind]);
        out.extend_from_slice(&self.seq.to_be_bytes());
        out.extend_from_slice(&self.peer.to_be_bytes());
        out.extend_from_slice(&(length as u32).to_be_bytes());
        out.extend_from_slice(&self.body);
        Ok(out)
    }

    /// The attributes of the body by name.
    pub fn attributes(&self) -> Attributes<'_> {
        Attributes::parse(&self.body)
    }
}

/// Builds the body of a message, attribute by attribute.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Body(Vec<u8>);

impl Body {
    /// Appends a number.
    #[must_use]
    pub fn int32(mut self, id: u8, number: u32) -> Self {
        self.raw(id, &number.to_be_bytes());
        self
    }

    /// Appends a flag.
    #[must_use]
    pub fn int8(mut self, id: u8, number: u8) -> Self {
        self.raw(id, &[number]);
        self
    }

    /// Appends a text; it is read up to its first NUL.
    #[must_use]
    pub fn string(mut self, id: u8, text: &str) -> Self {
        let text = text.split('\0').next().unwrap_or_default();
        self.raw(id, &[text.as_bytes(), &[0]].concat());
        self
    }

    /// Appends attributes, or a blobmsg table, already encoded.
    #[must_use]
    pub fn nested(mut self, id: u8, bytes: &[u8]) -> Self {
        self.raw(id, bytes);
        self
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// It has no attributes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The attributes as they lie in a message, or in a nested attribute.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// What is over the limit of the bus is noticed by [`Message::encode`].
    fn raw(&mut self, id: u8, bytes: &[u8]) {
        let length = BLOB_HEADER + bytes.len();
        let start = self.0.len();
        self.0.extend_from_slice(&(u32::from(id) << 24 | length as u32).to_be_bytes());
        self.0.extend_from_slice(bytes);
        self.0.resize(start + padded(length), 0);
    }
}

/// The attributes of a body. The order is free, the last of a number counts, and one of a
/// wrong form counts as absent, as in ubusd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names of the module `attr`")]
pub struct Attributes<'a> {
    pub status: Option<u32>,
    pub path: Option<&'a str>,
    pub object: Option<u32>,
    pub method: Option<&'a str>,
    pub object_type: Option<u32>,
    pub signature: Option<&'a [u8]>,
    pub data: Option<&'a [u8]>,
    pub target: Option<u32>,
    pub active: Option<bool>,
    pub no_reply: bool,
    pub subscribers: Option<&'a [u8]>,
    pub user: Option<&'a str>,
    pub group: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    /// Reads a body.
    pub fn parse(body: &'a [u8]) -> Self {
        let mut found = Self::default();
        for attribute in attributes(body) {
            found.take(attribute.id, attribute.payload);
        }
        found
    }

    fn take(&mut self, id: u8, payload: &'a [u8]) {
        match id {
            attr::STATUS => self.status = number(payload).or(self.status),
            attr::OBJPATH => self.path = text(payload).or(self.path),
            attr::OBJID => self.object = number(payload).or(self.object),
            attr::METHOD => self.method = text(payload).or(self.method),
            attr::OBJTYPE => self.object_type = number(payload).or(self.object_type),
            attr::SIGNATURE => self.signature = Some(payload),
            attr::DATA => self.data = Some(payload),
            attr::TARGET => self.target = number(payload).or(self.target),
            attr::ACTIVE => self.active = flag(payload).or(self.active),
            attr::NO_REPLY => self.no_reply = flag(payload).unwrap_or(self.no_reply),
            attr::SUBSCRIBERS => self.subscribers = Some(payload),
            attr::USER => self.user = text(payload).or(self.user),
            attr::GROUP => self.group = text(payload).or(self.group),
            _ => {}
        }
    }
}

fn number(payload: &[u8]) -> Option<u32> {
    payload.try_into().ok().map(u32::from_be_bytes)
}

fn flag(payload: &[u8]) -> Option<bool> {
    payload.first().map(|byte| *byte != 0)
}

fn text(payload: &[u8]) -> Option<&str> {
    match blobmsg::text(payload)? {
        std::borrow::Cow::Borrowed(text) => Some(text),
        std::borrow::Cow::Owned(_) => None,
    }
}

/// The bodies of what a client asks for.
pub mod request {
    use super::{Body, attr};
    use crate::backend::ubus::blobmsg::{self, Refusal};
    use crate::backend::{Table, Value};

    /// LOOKUP: objects by path or prefix and `*`.
    pub fn lookup(pattern: &str) -> Body {
        Body::default().string(attr::OBJPATH, pattern)
    }

    /// INVOKE: a call of `method` of an object; libubus servers insist on DATA, even an empty one.
    ///
    /// # Errors
    /// Those of [`blobmsg::encode`], and [`Refusal::Nul`] for a method with a NUL.
    pub fn invoke(object: u32, method: &str, args: &Table) -> Result<Body, Refusal> {
        if method.contains('\0') {
            return Err(Refusal::Nul);
        }
        let data = blobmsg::encode(args)?;
        Ok(Body::default().int32(attr::OBJID, object).string(attr::METHOD, method).nested(attr::DATA, &data))
    }

    /// ADD_OBJECT: without a path, a private object that receives events or notifications.
    pub fn add_object(published: Option<(&str, &[u8])>) -> Body {
        match published {
            Some((path, signature)) => Body::default().string(attr::OBJPATH, path).nested(attr::SIGNATURE, signature),
            None => Body::default(),
        }
    }

    /// REMOVE_OBJECT.
    pub fn remove_object(object: u32) -> Body {
        Body::default().int32(attr::OBJID, object)
    }

    /// SUBSCRIBE and UNSUBSCRIBE: `object` is ours, `target` notifies.
    pub fn subscribe(object: u32, target: u32) -> Body {
        Body::default().int32(attr::OBJID, object).int32(attr::TARGET, target)
    }

    /// The arguments of `register` of the event object.
    pub fn register(object: u32, pattern: &str) -> Table {
        Table::default().with("object", Value::Int32(object as i32)).with("pattern", pattern)
    }

    /// The arguments of `send` of the event object.
    pub fn send_event(id: &str, data: Table) -> Table {
        Table::default().with("id", id).with("data", data)
    }

    /// NOTIFY: of an object of ours.
    ///
    /// # Errors
    /// Those of [`blobmsg::encode`].
    pub fn notify(object: u32, method: &str, args: &Table, no_reply: bool) -> Result<Body, Refusal> {
        let data = blobmsg::encode(args)?;
        let body = Body::default().int32(attr::OBJID, object).string(attr::METHOD, method);
        let body = if no_reply { body.int8(attr::NO_REPLY, 1) } else { body };
        Ok(body.nested(attr::DATA, &data))
    }

    /// DATA: a part of an answer of an object of ours.
    ///
    /// # Errors
    /// Those of [`blobmsg::encode`].
    pub fn data(object: u32, data: &Table) -> Result<Body, Refusal> {
        Ok(Body::default().int32(attr::OBJID, object).nested(attr::DATA, &blobmsg::encode(data)?))
    }

    /// STATUS: the end of an answer of an object of ours.
    pub fn status(status: u32, object: u32) -> Body {
        Body::default().int32(attr::STATUS, status).int32(attr::OBJID, object)
    }
}

/// Whether `pattern` (exact, or a prefix and `*`) names `name`.
pub fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |prefix| name.starts_with(prefix))
}
