//! The supported data model: what the standard says of each element (from the digest of TR-181)
//! joined with where the router keeps it (from the mapping).

mod build;
mod finish;
mod scope;

pub use build::{Natives, writable};
pub(in crate::model) use build::{last_name, param, parent_path};

use super::facets::Facets;
use super::source::{CommandSource, Each, New, Pipeline, Raised, Text};
use std::collections::HashMap;
use std::rc::Rc;

/// Index of an object in [`Schema::objects`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(pub u16);

/// The whole supported model. Object 0 is `Device.`.
#[derive(Debug, Default)]
pub struct Schema {
    /// Parents before children; children in the order of the mapping.
    pub objects: Vec<Object>,
    /// Template path (`Device.IP.Interface.{i}.`) to object.
    pub by_path: HashMap<Text, ObjectId>,
    /// Which event, object or file tells of a changed source.
    pub live: Vec<Live>,
}

/// One object or table of the supported model.
#[derive(Debug)]
pub struct Object {
    /// With a final dot, `{i}` for instances: `Device.IP.Interface.{i}.`
    pub path: Text,
    /// The last name: `Interface`.
    pub name: Text,
    /// None for `Device.` only.
    pub parent: Option<ObjectId>,
    /// Direct sub-objects.
    pub children: Vec<ObjectId>,
    /// A table (multi-instance).
    pub table: bool,
    /// A plugin of the bus answers for it, see [`super::mount`].
    pub mounted: bool,
    /// A controller may create and delete instances: the standard allows it and a source can be written.
    pub creatable: bool,
    /// Unique keys of a table, those whose parameters are all mapped.
    pub keys: Vec<UniqueKey>,
    /// Where the rows of a table come from; their union by key, in order.
    pub each: Vec<Each>,
    /// Named values that parameters of this object and below may use, in order of definition; alternatives as in a row.
    pub lets: Vec<(Text, Vec<Pipeline>)>,
    /// What a new instance gets.
    pub new: New,
    /// Conditions: the object exists only where all hold.
    pub when: Vec<super::source::Condition>,
    /// Parameters in the order of the mapping, then Alias and counts the engine provides.
    pub params: Vec<Param>,
    /// Commands.
    pub commands: Vec<Command>,
    /// Events.
    pub events: Vec<Event>,
}

/// A unique key of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueKey {
    /// Its parameters.
    pub params: Vec<Box<str>>,
    /// Functional keys may change; the others are immutable once set (TP-469 1.96).
    pub functional: bool,
}

impl UniqueKey {
    /// This parameter is part of it.
    pub fn has(&self, name: &str) -> bool {
        self.params.iter().any(|param| **param == *name)
    }
}

/// A parameter.
#[derive(Debug)]
pub struct Param {
    /// Its name.
    pub name: Text,
    /// Its base type.
    pub kind: Kind,
    /// What the supported model tells of writing: the standard's access where the mapping can write, else read-only.
    pub access: Access,
    /// Range, length, enumeration, pattern, list, reference.
    pub facets: Rc<Facets>,
    /// The standard's default of a new instance (object default), for creation.
    pub default: Option<Box<str>>,
    /// Reads as empty unless the reader has a secured role.
    pub secured: bool,
    /// The standard lets a ValueChange be ignored (activeNotify canDeny): counters, uptimes.
    pub value_change_ignored: bool,
    /// Where the value is.
    pub source: ParamSource,
}

/// Where the value of a parameter is.
#[derive(Debug)]
pub enum ParamSource {
    /// Alternatives: the first that has a value.
    Mapped(Vec<Pipeline>),
    /// The number of rows of a direct sub-table (`...NumberOfEntries`), provided by the engine.
    Count(ObjectId),
    /// The Alias the engine keeps with the instance number.
    Alias,
    /// In the answer of the plugin that the object is mounted from.
    Mounted,
}

/// Base types of TR-181 as USP tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    String,
    Boolean,
    Int,
    UnsignedInt,
    Long,
    UnsignedLong,
    Decimal,
    DateTime,
    Base64,
    HexBinary,
}

impl Kind {
    /// The type TR-106 calls `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "string" => Self::String,
            "boolean" => Self::Boolean,
            "int" => Self::Int,
            "unsignedInt" => Self::UnsignedInt,
            "long" => Self::Long,
            "unsignedLong" => Self::UnsignedLong,
            "decimal" => Self::Decimal,
            "dateTime" => Self::DateTime,
            "base64" => Self::Base64,
            "hexBinary" => Self::HexBinary,
            _ => return None,
        })
    }
}

/// What a controller may do with a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read only.
    ReadOnly,
    /// Read and write.
    ReadWrite,
    /// Written once, at creation or from its empty or assigned value (TP-469 1.104).
    WriteOnce,
}

/// A command with its arguments.
#[derive(Debug)]
pub struct Command {
    /// With its brackets: `IPPing()`.
    pub name: Text,
    /// Ends with OperationComplete.
    pub asynchronous: bool,
    /// Input arguments, names relative, `{i}` for argument tables.
    pub input: Vec<Argument>,
    /// Output arguments.
    pub output: Vec<Argument>,
    /// What does it.
    pub source: CommandSource,
}

/// One argument of a command or event.
#[derive(Debug)]
pub struct Argument {
    /// Its name, e.g. `Host` or `ResultList.{i}.Time`.
    pub name: Box<str>,
    /// Must be given.
    pub mandatory: bool,
    /// Its base type.
    pub kind: Kind,
    /// Its facets.
    pub facets: Rc<Facets>,
    /// The value where the argument is left out.
    pub default: Option<Box<str>>,
}

/// An event with its arguments.
#[derive(Debug)]
pub struct Event {
    /// With its mark: `Boot!`.
    pub name: Text,
    /// Its arguments.
    pub arguments: Vec<Argument>,
    /// The ubus event that raises it; None: the agent does.
    pub raised: Option<Box<Raised>>,
}

/// `live SOURCE on WATCH`: a change of the watched thing means that the source may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// A ubus object (trailing `*` allowed) and method, or a file.
    pub source: LiveSource,
    /// What to watch.
    pub watch: crate::backend::Watch,
}

/// The source a [`Live`] line speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveSource {
    /// Answers of this ubus object (a trailing `*` is a prefix) and method.
    Ubus(Text, Text),
    /// This file.
    File(Text),
}

impl Schema {
    /// The object at a template path, with its final dot.
    pub fn find(&self, path: &str) -> Option<ObjectId> {
        self.by_path.get(path).copied()
    }

    /// The direct sub-object called `name`.
    pub fn child(&self, parent: ObjectId, name: &str) -> Option<ObjectId> {
        self[parent].children.iter().copied().find(|&id| &*self[id].name == name)
    }
}

impl std::ops::Index<ObjectId> for Schema {
    type Output = Object;

    fn index(&self, id: ObjectId) -> &Object {
        &self.objects[usize::from(id.0)]
    }
}

impl Object {
    /// An object without anything in it; `path` ends with `{i}.` for a table.
    pub fn new(path: Text, name: Text, parent: Option<ObjectId>) -> Self {
        Self {
            path,
            name,
            parent,
            children: Vec::new(),
            table: path.ends_with("{i}."),
            mounted: false,
            creatable: false,
            keys: Vec::new(),
            each: Vec::new(),
            lets: Vec::new(),
            new: New::default(),
            when: Vec::new(),
            params: Vec::new(),
            commands: Vec::new(),
            events: Vec::new(),
        }
    }

    /// The parameter called `name`.
    pub fn param(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|p| p.name == name)
    }
}

#[cfg(test)]
mod tests;
