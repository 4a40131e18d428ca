//! Rows and values of mounted objects, from what `_get` returns.
//!
//! A table is asked for its rows with their own parameters, another object for its own parameters; where all below an
//! object is wanted, that is asked in one call. Searches and permissions stay here: a plugin never sees them.

use crate::backend::amx::{self, Error};
use crate::backend::{Backend, CallError, Change, Table, Value};
use crate::model::eval::{Eval, Item, Row, Scope};
use crate::model::instances::MAX_PER_TABLE;
use crate::model::resolve::Node;
use crate::model::schema::{ObjectId, Param};
use crate::model::stage::table_of;
use crate::model::value;
use crate::order;
use std::rc::Rc;

/// How much of an object is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) enum Extent {
    /// Its own parameters.
    Own,
    /// The rows of a table with their own parameters.
    Rows,
    /// All below it too.
    Whole,
}

/// What of the mounted objects is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// A path with instance numbers and a final dot, `Device.WiFi.Radio.`
    pub(in crate::model) path: Box<str>,
    pub(in crate::model) extent: Extent,
}

/// What a plugin says of objects: their own parameters by path (`WiFi.Radio.1.`), sorted.
#[derive(Debug, Clone, Default)]
pub(in crate::model) struct Objects(Vec<(Box<str>, Table)>);

/// The path as the plugin has it: without `Device.`.
pub(super) fn plugin_path(path: &str) -> &str {
    path.strip_prefix("Device.").unwrap_or(path)
}

/// The ubus object of the plugin, and the rest of the path.
pub(super) fn plugin_and_rest(path: &str) -> (&str, &str) {
    plugin_path(path).split_once('.').unwrap_or((path, ""))
}

impl Place {
    /// The ubus object of the plugin.
    pub(in crate::model) fn object(&self) -> &str {
        plugin_and_rest(&self.path).0
    }

    /// May this change have changed what is there? A notification names the object that changed, or the table in which
    /// a row came or went.
    pub(in crate::model) fn touched_by(&self, change: &Change) -> bool {
        match change {
            Change::Notification(object, name, data) if **object == *self.object() => {
                let changed = data.get("path").and_then(Value::as_str);
                changed.is_none_or(|changed| self.concerns(changed, &**name == "dm:object-changed"))
            }
            Change::Event(_, data) => data.get("path").and_then(Value::as_str) == Some(self.object()),
            _ => false,
        }
    }

    fn concerns(&self, changed: &str, values_only: bool) -> bool {
        let own = plugin_path(&self.path);
        // A row that goes takes along what is below it.
        own == changed
            || (!values_only && own.starts_with(changed))
            || match self.extent {
                Extent::Own => false,
                Extent::Rows => table_of(changed) == own,
                Extent::Whole => changed.starts_with(own),
            }
    }
}

/// Asks the plugin. What it does not have is not there, which is an answer too.
pub(in crate::model) async fn ask<B: Backend>(backend: &B, place: &Place) -> Result<Objects, CallError> {
    let (object, rest) = plugin_and_rest(&place.path);
    let (path, depth) = match place.extent {
        Extent::Own => (rest.to_owned(), 0),
        Extent::Rows => (format!("{rest}*."), 0),
        Extent::Whole => (rest.to_owned(), -1),
    };
    let args = Table::default().with("rel_path", &*path).with("depth", depth);
    match amx::reply(backend.call_all(object, "_get", &args).await) {
        Ok(reply) => Ok(Objects::of(reply.value)),
        Err(Error::Refused(amx::code::OBJECT_NOT_FOUND | amx::code::INVALID_PATH, _)) => Ok(Objects::default()),
        Err(Error::Call(why)) => Err(why),
        Err(Error::Refused(..) | Error::Malformed) => Err(CallError::Timeout),
    }
}

/// All below the node is wanted: plugins are asked for it at once, before anything else asks them for a part.
pub(in crate::model) fn ask_whole(eval: &Eval<'_>, node: &Node) {
    let object = &eval.schema[node.object];
    if object.mounted {
        return eval.docs.mounted_whole(&node.path);
    }
    for child in object.children.iter().map(|&child| &eval.schema[child]).filter(|child| child.mounted) {
        eval.docs.mounted_whole(&format!("{}{}.", node.path, child.name));
    }
}

impl Objects {
    fn of(Table(members): Table) -> Self {
        let own = |(path, value): (Box<str>, Value)| match value {
            Value::Table(params) => Some((path, params)),
            _ => None,
        };
        let mut objects: Vec<_> = members.into_iter().filter_map(own).collect();
        order::sort_by(&mut objects, |a, b| a.0.cmp(&b.0));
        Self(objects)
    }

    /// The parameters of an object.
    fn get(&self, path: &str) -> Option<&Table> {
        let at = self.0.binary_search_by(|(known, _)| (**known).cmp(path)).ok()?;
        self.0.get(at).map(|(_, params)| params)
    }

    /// The numbers of a table's rows.
    fn numbers(&self, table: &str) -> impl Iterator<Item = u32> {
        let from = self.0.partition_point(|(path, _)| **path < *table);
        let below = self.0.get(from..).unwrap_or_default().iter().map_while(move |(path, _)| path.strip_prefix(table));
        below.filter_map(|rest| {
            let number = rest.strip_suffix('.')?;
            number.parse().ok().filter(|parsed: &u32| *parsed > 0 && parsed.to_string() == number)
        })
    }
}

/// The rows of a mounted table: the plugin's numbers are theirs.
pub(in crate::model) fn rows(eval: &Eval<'_>, table: ObjectId, parent: Option<&Rc<Row>>, path: &str) -> Vec<Rc<Row>> {
    let Some(objects) = eval.docs.mounted(path, Extent::Rows) else { return Vec::new() };
    let mut numbers: Vec<u32> = objects.numbers(plugin_path(path)).take(MAX_PER_TABLE).collect();
    order::sort(&mut numbers);
    let row = |number: u32| {
        let (key, path) = (number.to_string().into(), format!("{path}{number}.").into());
        Rc::new(Row { object: table, key, number, parent: parent.cloned(), item: Item::Fact, path })
    };
    numbers.into_iter().map(row).collect()
}

impl Scope<'_> {
    /// The text of a parameter that a plugin has.
    pub(in crate::model) fn mounted(&self, param: &Param) -> Option<String> {
        value::to_text(param.kind, param.facets.list.is_some(), self.mounted_value(param.name)?)
    }

    /// The value as the plugin has it.
    pub(super) fn mounted_value(&self, name: &str) -> Option<&Value> {
        let objects = match self.row.filter(|row| row.object == self.object) {
            Some(row) => self.eval.docs.mounted(table_of(&row.path), Extent::Rows)?.get(plugin_path(&row.path)),
            None => {
                let path = self.eval.table_path(self.object, self.row.map(|row| &**row));
                self.eval.docs.mounted(&path, Extent::Own)?.get(plugin_path(&path))
            }
        };
        objects?.get(name)
    }
}
