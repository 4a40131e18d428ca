//! Set, Add and Delete of mounted objects.
//!
//! A plugin has no transaction over several calls. So what a message wants of it is staged like everything else and
//! carried out object by object as late as the message allows; what was carried out of a message that fails is taken
//! back: old values are set again, new rows removed. A row that is deleted cannot be brought back; deletions that are
//! only right together come last, before the configuration is written.

use super::fault::{fault, refused};
use super::read::{plugin_and_rest, plugin_path};
use crate::backend::amx::{self, Error};
use crate::backend::{Backend, Table, Value};
use crate::model::eval::{Item, Row, Scope};
use crate::model::resolve::{self, Node};
use crate::model::schema::{Kind, Param};
use crate::model::source::Text;
use crate::model::value::{plain, truth};
use crate::model::write::Transaction;
use crate::model::{Everything, Permit};
use crate::usp::fault::{Code, Fault};
use std::rc::Rc;

/// What a plugin is to do.
#[derive(Debug, Clone)]
pub(in crate::model) enum Edit {
    Set(Setting),
    /// The path of a row.
    Delete(String),
}

/// A value for a parameter.
#[derive(Debug, Clone)]
pub(in crate::model) struct Setting {
    object: String,
    name: Text,
    value: Value,
    required: bool,
    /// It is part of a unique key.
    key: bool,
}

/// What a plugin has done, as far as it can be taken back.
#[derive(Debug)]
pub(in crate::model) enum Done {
    /// The values before.
    Set(String, Table),
    Added(String),
}

/// Parameters with their full paths, or objects, and why they failed.
type Failed = Vec<(String, Fault)>;
/// Unique keys of a row.
type Keys = Vec<(Box<str>, String)>;

/// The number of a row that is not added yet.
const NOT_YET: u32 = 0;

/// A row that is still to be added.
pub(in crate::model) fn is_new(node: &Node) -> bool {
    node.row.as_ref().is_some_and(|row| row.number == NOT_YET)
}

/// A row to stage the values of before it is added.
pub(in crate::model) fn new_row(table: &Node) -> Node {
    let path = format!("{}{NOT_YET}.", table.path);
    let (key, parent, item) = ("".into(), table.row.clone(), Item::Fact);
    let row = Row { object: table.object, key, number: NOT_YET, parent, item, path: path.as_str().into() };
    Node { object: table.object, row: Some(Rc::new(row)), at_table: false, path }
}

impl<B: Backend> Transaction<'_, B> {
    /// Stages a value that a plugin is to take.
    pub(in crate::model) fn offer_plugin(&mut self, node: &Node, param: &Param, value: &str, required: bool) {
        let key = self.model.schema[node.object].keys.iter().any(|key| key.has(param.name));
        let (object, name, value) = (node.path.clone(), param.name, typed(param.kind, value));
        self.changes.mounted.push(Edit::Set(Setting { object, name, value, required, key }));
    }

    /// Has the plugins do what is staged for them so far. What failed comes back; the rest is done.
    pub async fn carry_out(&mut self) -> Failed {
        let mut failed = Vec::new();
        let mut edits = std::mem::take(&mut self.changes.mounted).into_iter().peekable();
        if self.rehearsal {
            return failed;
        }
        while let Some(edit) = edits.next() {
            let first = match edit {
                Edit::Delete(object) => {
                    let deleted = self.plugin("_del", &object, Table::default()).await;
                    failed.extend(
                        deleted.err().map(|why| (object.clone(), fault(&object, &why, Code::ObjectNotDeleted))),
                    );
                    continue;
                }
                Edit::Set(first) => first,
            };
            let mut settings = vec![first];
            while let Some(Edit::Set(next)) = edits.next_if(|edit| goes_with(edit, &settings)) {
                settings.push(next);
            }
            failed.append(&mut self.set_all(settings).await);
        }
        failed
    }

    /// Adds the row that values are staged for; its path becomes the real one. None where it is no row of a plugin.
    pub async fn add_staged(&mut self, permit: &dyn Permit, node: &mut Node) -> Result<Option<(Keys, Failed)>, Fault> {
        if !is_new(node) {
            return Ok(None);
        }
        let (now, later): (Vec<Edit>, Vec<Edit>) = std::mem::take(&mut self.changes.mounted).into_iter().partition(
            |edit| matches!(edit, Edit::Set(setting) if setting.object == node.path && (setting.required || setting.key)),
        );
        let params = now.into_iter().fold(Table::default(), |params, edit| match edit {
            Edit::Set(setting) => params.with(setting.name, setting.value),
            Edit::Delete(_) => params,
        });
        let table = node.path.strip_suffix("0.").unwrap_or(&node.path).to_owned();
        let added = self.plugin("_add", &table, Table::default().with("parameters", params)).await;
        let added = added.map_err(|why| fault(&table, &why, Code::ObjectNotCreated))?;
        let path = added.value.get("path").and_then(Value::as_str).map(|path| format!("Device.{path}"));
        let number = path.as_ref().and_then(|path| path.strip_prefix(&table)?.strip_suffix('.')?.parse::<u32>().ok());
        let (Some(path), Some(_)) = (path, number) else {
            return Err(fault(&table, &Error::Malformed, Code::ObjectNotCreated));
        };
        self.done.push(Done::Added(path.clone()));
        self.changes.mounted = later;
        for edit in &mut self.changes.mounted {
            let (Edit::Set(Setting { object, .. }) | Edit::Delete(object)) = edit;
            if let Some(rest) = object.strip_prefix(&node.path) {
                *object = format!("{path}{rest}");
            }
        }
        node.path = path;
        let required = self.required();
        let failed = self.carry_out().await;
        if let Some((_, fault)) = failed.iter().find(|(path, _)| required.contains(path)) {
            return Err(fault.clone());
        }
        let told = added.value.get("parameters").and_then(Value::as_table);
        let schema = &self.model.schema[node.object];
        let mut keys: Keys = Vec::new();
        for name in schema.keys.iter().flat_map(|key| &key.params) {
            let text = told.and_then(|told| told.get(name)).and_then(plain);
            if !keys.iter().any(|(known, _)| known == name) && resolve::readable(permit, &node.path, name) {
                keys.extend(text.map(|text| (name.clone(), text.into_owned())));
            }
        }
        Ok(Some((keys, failed)))
    }

    /// The full paths of the values that must be taken.
    fn required(&self) -> Vec<String> {
        let required = |edit: &Edit| match edit {
            Edit::Set(setting) if setting.required => Some(format!("{}{}", setting.object, setting.name)),
            _ => None,
        };
        self.changes.mounted.iter().filter_map(required).collect()
    }

    /// Sets parameters of one object. A key can only be set in earnest, so one that need not be set goes alone.
    async fn set_all(&mut self, settings: Vec<Setting>) -> Failed {
        let (alone, together): (Vec<_>, Vec<_>) = settings.into_iter().partition(|s| s.key && !s.required);
        let mut failed = Vec::new();
        if !together.is_empty() {
            failed = self.set_together(&together).await;
        }
        for setting in alone {
            failed.append(&mut self.set_together(&[Setting { required: true, ..setting }]).await);
        }
        failed
    }

    async fn set_together(&mut self, settings: &[Setting]) -> Failed {
        let Some(object) = settings.first().map(|setting| setting.object.clone()) else { return Vec::new() };
        let before = self.values_before(&object, settings).await;
        let params = |required| {
            let chosen = settings.iter().filter(move |setting| setting.required == required);
            chosen.fold(Table::default(), |params, setting| params.with(setting.name, setting.value.clone()))
        };
        let args = Table::default().with("parameters", params(true)).with("oparameters", params(false));
        let done = self.plugin("_set", &object, args).await;
        let (told, why) = match done {
            Ok(reply) => {
                self.done.push(Done::Set(object.clone(), before));
                (reply.value, None)
            }
            Err(Error::Refused(status, told)) => (told.clone(), Some(Error::Refused(status, told))),
            Err(why) => (Table::default(), Some(why)),
        };
        let full = |setting: &Setting| format!("{object}{}", setting.name);
        let each = |setting: &Setting| {
            let status = status_of(&told, plugin_path(&object), setting.name)?;
            Some((full(setting), refused(setting.name, status, Code::ParameterActionFailed)))
        };
        let mut failed: Failed = settings.iter().filter_map(each).collect();
        // Nothing was set, and the plugin names none of those that had to be.
        let named = settings.iter().any(|s| s.required && failed.iter().any(|(path, _)| *path == full(s)));
        if let Some(why) = why.filter(|_| !named) {
            failed = settings.iter().map(|s| (full(s), fault(s.name, &why, Code::ParameterActionFailed))).collect();
        }
        failed
    }

    /// The values that these settings replace.
    async fn values_before(&mut self, object: &str, settings: &[Setting]) -> Table {
        self.evaluate(|eval| {
            let nodes = resolve::parse(object).and_then(|path| resolve::resolve(eval, &Everything, &path));
            let node = nodes.ok().and_then(|resolved| resolved.nodes.into_iter().next());
            settings.iter().fold(Table::default(), |before, setting| {
                let value = node.as_ref().and_then(|node| {
                    let scope = Scope { eval, object: node.object, row: node.row.as_ref() };
                    scope.mounted_value(setting.name).cloned()
                });
                match value {
                    Some(value) => before.with(setting.name, value),
                    None => before,
                }
            })
        })
        .await
    }

    /// Takes back what plugins have done since.
    pub(in crate::model) async fn take_back(&mut self, kept: usize) {
        while self.done.len() > kept {
            let Some(done) = self.done.pop() else { return };
            let (path, undone) = match done {
                Done::Set(path, before) => {
                    let undone = self.plugin("_set", &path, Table::default().with("parameters", before)).await;
                    (path, undone)
                }
                Done::Added(path) => {
                    let undone = self.plugin("_del", &path, Table::default()).await;
                    (path, undone)
                }
            };
            if let Err(why) = undone {
                log::warn!("path={path} event=not_taken_back why={why}");
            }
        }
    }

    async fn plugin(&mut self, method: &str, path: &str, args: Table) -> Result<amx::Reply, Error> {
        let (object, rest) = plugin_and_rest(path);
        let args = args.with("rel_path", rest);
        let reply = amx::reply(self.model.backend.call_all(object, method, &args).await);
        self.docs.forget_mounted();
        reply
    }
}

fn goes_with(edit: &Edit, settings: &[Setting]) -> bool {
    matches!((edit, settings.first()), (Edit::Set(next), Some(first)) if next.object == first.object)
}

/// Why a plugin did not take a parameter.
fn status_of(told: &Table, object: &str, name: &str) -> Option<u32> {
    let status = told.get(object)?.as_table()?.get(name)?.as_table()?.get("error_code")?;
    u32::try_from(status.as_i64()?).ok()
}

/// A value in the type of the parameter; the plugin converts widths.
fn typed(kind: Kind, text: &str) -> Value {
    let number = |number: i64| i32::try_from(number).map_or(Value::Int64(number), Value::Int32);
    let value = match kind {
        Kind::Boolean => truth(text).map(Value::from),
        Kind::Int | Kind::UnsignedInt | Kind::Long => text.trim().parse().ok().map(number),
        // The bus has no unsigned integers.
        Kind::UnsignedLong => text.trim().parse().ok().map(|n: u64| number(n as i64)),
        _ => None,
    };
    value.unwrap_or_else(|| text.into())
}
