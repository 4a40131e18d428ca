//! Mounted objects: a plugin of Ambiorix answers for `Device.NAME.`, and the mapping does not.
//!
//! What a plugin says of itself (`_get_supported`, `_describe`) becomes objects of the schema like any others, so that
//! paths, searches, references, permissions and subscriptions are what they are everywhere. Of its own a mounted object
//! has only where its rows and values come from (`read`), how they are written (`write`) and who performs its
//! commands (`execute`).
//!
//! A plugin is asked what it supports when it is mounted and whenever it comes (back) onto the bus. While it is away
//! its objects stay supported and have no values.

mod execute;
mod fault;
mod read;
mod supported;
pub(super) mod write;

pub use execute::{EXECUTE, execution, flatten, output};
pub(super) use read::{Extent, Objects, Place, ask, ask_whole, rows};

use super::Model;
use super::built_in;
use super::digest::Digest;
use super::schema::{Object, ObjectId, Schema};
use super::source::Text;
use crate::backend::{Backend, CallError, Watch, amx};
use std::collections::HashSet;
use supported::Supported;

/// Objects that are mounted at most: a large prplOS router has about forty.
pub const MAX_MOUNTS: usize = 64;
/// Objects of the supported model that one plugin has at most: Device.WiFi. of TR-181 has about 200.
pub const MAX_OBJECTS: usize = 2048;
/// Bytes of names that plugins bring in at most. They stay for good, as those of the mapping do; a plugin that comes
/// back brings nothing new.
const MAX_NAMES: usize = 512 * 1024;
/// What the agent keeps itself, for its own connections and rights.
const OWN: [&str; 4] = ["LocalAgent", "MQTT", "STOMP", "UnixDomainSockets"];
const ROOT: ObjectId = ObjectId(0);

/// What is mounted.
#[derive(Debug, Default)]
pub struct Mounts {
    all: Vec<Mounted>,
    names: HashSet<Text>,
    names_size: usize,
    /// Objects of the schema that nothing names any more.
    free: Vec<ObjectId>,
}

#[derive(Debug)]
struct Mounted {
    /// The ubus object; its name below `Device.` is the same.
    object: Box<str>,
    /// What it said of itself, once it did.
    root: Option<ObjectId>,
    /// What the mapping has in its place.
    mapped: Option<ObjectId>,
}

/// What came of asking plugins what they support.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Described {
    /// The supported model is another one than before.
    pub changed: bool,
    /// One that is there has not answered: it should be asked again.
    pub again: bool,
}

/// The name of a root object can be mounted.
pub fn can_be_mounted(object: &str) -> bool {
    is_name(object) && !OWN.contains(&object)
}

fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(inner)
}

impl<B: Backend> Model<B> {
    /// From now on plugins answer for these root objects, and the mapping for all others.
    pub async fn mount(&mut self, objects: &[Box<str>]) -> Described {
        let kept = |mounted: &Mounted| objects.contains(&mounted.object);
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.mounts.all).into_iter().partition(kept);
        let mut changed = !gone.is_empty();
        for mounted in gone {
            self.mounts.clear(&mut self.schema, mounted.root);
            mounted.mapped.into_iter().for_each(|mapped| put_back(&mut self.schema, mapped));
        }
        self.mounts.all = kept;
        for object in objects.iter().take(MAX_MOUNTS) {
            if self.is_mounted(object) {
                continue;
            }
            let mapped = self.schema.child(ROOT, object);
            mapped.into_iter().for_each(|mapped| take_out(&mut self.schema, mapped));
            self.mounts.all.push(Mounted { object: object.clone(), root: None, mapped });
            self.backend.watch(&Watch::Plugin(object.clone()));
            changed = true;
        }
        let described = self.describe_mounts(|mounted| mounted.is_none()).await;
        Described { changed: changed || described.changed, ..described }
    }

    /// Plugins answer for some root objects.
    pub fn has_mounts(&self) -> bool {
        !self.mounts.all.is_empty()
    }

    /// A plugin answers for this root object.
    pub fn is_mounted(&self, object: &str) -> bool {
        self.mounts.all.iter().any(|mounted| *mounted.object == *object)
    }

    /// Asks the plugin of this root object again what it supports; without a name all of them.
    pub async fn mount_again(&mut self, object: Option<&str>) -> Described {
        let objects: Vec<Box<str>> = self.mounts.all.iter().map(|mounted| mounted.object.clone()).collect();
        let mut all = Described::default();
        for object in objects.iter().filter(|known| object.is_none_or(|object| ***known == *object)) {
            let described = self.describe(object).await;
            all = Described { changed: all.changed || described.changed, again: all.again || described.again };
        }
        all
    }

    /// Likewise those of which `wanted` says so by what they said before.
    async fn describe_mounts(&mut self, wanted: impl Fn(&Option<ObjectId>) -> bool) -> Described {
        let objects = self.mounts.all.iter().filter(|mounted| wanted(&mounted.root)).map(|m| m.object.clone());
        let mut all = Described::default();
        for object in objects.collect::<Vec<_>>() {
            let described = self.describe(&object).await;
            all = Described { changed: all.changed || described.changed, again: all.again || described.again };
        }
        all
    }

    /// Takes what the plugin says of itself into the schema.
    async fn describe(&mut self, object: &str) -> Described {
        match supported::ask(&self.backend, object).await {
            Ok(supported) => {
                self.attach(object, supported);
                Described { changed: true, again: false }
            }
            Err(amx::Error::Call(CallError::NotFound | CallError::Disconnected)) => {
                log::info!("mount={object} event=waiting check=no-such-object-on-the-bus");
                Described::default()
            }
            Err(why) => {
                log::warn!("mount={object} event=not_mounted why={why} check=is-it-a-plugin-of-ambiorix");
                Described { changed: false, again: true }
            }
        }
    }

    fn attach(&mut self, object: &str, supported: Vec<Supported>) {
        let Some(at) = self.mounts.all.iter().position(|mounted| *mounted.object == *object) else { return };
        let before = self.mounts.all.get_mut(at).and_then(|mounted| mounted.root.take());
        self.mounts.clear(&mut self.schema, before);
        let whole = built_in::whole_digest();
        let digest = Digest::parse(&whole);
        let mut root = None;
        for entry in supported {
            let Some(object) = entry.object(&mut self.mounts, &digest) else { continue };
            let id = self.mounts.insert(&mut self.schema, object);
            root = root.or(id);
        }
        log::info!("mount={object} event=mounted");
        if let Some(mounted) = self.mounts.all.get_mut(at) {
            mounted.root = root;
        }
    }
}

impl Mounts {
    /// A name that stays; None where there are too many.
    fn name(&mut self, text: &str) -> Option<Text> {
        if let Some(known) = self.names.get(text) {
            return Some(known);
        }
        if self.names_size + text.len() > MAX_NAMES {
            log::warn!("mount event=left_out name={text} limit={MAX_NAMES}");
            return None;
        }
        self.names_size += text.len();
        let name: Text = Box::leak(Box::from(text));
        self.names.insert(name);
        Some(name)
    }

    /// Takes an object into the schema, below one that is there.
    fn insert(&mut self, schema: &mut Schema, mut object: Object) -> Option<ObjectId> {
        let above = super::schema::parent_path(object.path);
        let parent = schema.find(above).filter(|id| *id == ROOT || schema[*id].mounted)?;
        let id = match self.free.pop() {
            Some(id) => id,
            None => ObjectId(u16::try_from(schema.objects.len()).ok()?),
        };
        object.parent = Some(parent);
        schema.by_path.insert(object.path, id);
        match schema.objects.get_mut(usize::from(id.0)) {
            Some(place) => *place = object,
            None => schema.objects.push(object),
        }
        if let Some(above) = schema.objects.get_mut(usize::from(parent.0)) {
            above.children.push(id);
        }
        Some(id)
    }

    /// Takes what a plugin said of itself out of the schema.
    fn clear(&mut self, schema: &mut Schema, root: Option<ObjectId>) {
        let Some(root) = root else { return };
        take_out(schema, root);
        for id in below(schema, root) {
            if let Some(place) = schema.objects.get_mut(usize::from(id.0)) {
                *place = Object::new("", "", None);
            }
            self.free.push(id);
        }
    }
}

/// An object and all below it.
fn below(schema: &Schema, root: ObjectId) -> Vec<ObjectId> {
    let mut all = vec![root];
    let mut next = 0;
    while let Some(&id) = all.get(next) {
        all.extend_from_slice(&schema[id].children);
        next += 1;
    }
    all
}

/// No path leads to the object any more.
fn take_out(schema: &mut Schema, root: ObjectId) {
    for id in below(schema, root) {
        let path = schema[id].path;
        schema.by_path.remove(path);
    }
    if let Some(device) = schema.objects.first_mut() {
        device.children.retain(|child| *child != root);
    }
}

fn put_back(schema: &mut Schema, root: ObjectId) {
    for id in below(schema, root) {
        let path = schema[id].path;
        schema.by_path.insert(path, id);
    }
    if let Some(device) = schema.objects.first_mut() {
        device.children.push(root);
    }
}
