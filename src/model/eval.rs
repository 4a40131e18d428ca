//! Evaluation against the answers at hand: rows of tables, and the place a value is read in.
//!
//! Everything here is synchronous and free of side effects but two: questions are noted in [`Docs`], and a new thing
//! gets its instance number.

use super::docs::Docs;
use super::facts::Facts;
use super::instances::Instances;
use super::native;
use super::pipeline::Val;
use super::schema::{Object, ObjectId, ParamSource, Schema};
use super::source::{Condition, Each, ElementKey, RowSource};
use super::value;
use crate::backend::uci::{Package, Section};
use crate::backend::{Table, Value};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// One instance of a table.
#[derive(Debug)]
pub struct Row {
    /// Its table.
    pub object: ObjectId,
    /// What it is known by.
    pub key: Box<str>,
    /// Its instance number.
    pub number: u32,
    /// The row it is in, for a table below a table.
    pub parent: Option<Rc<Row>>,
    /// What made it.
    pub item: Item,
    /// Its path with a final dot: `Device.IP.Interface.1.`
    pub path: Box<str>,
}

/// What made a row.
#[derive(Debug, Clone)]
pub enum Item {
    /// A section of a package, by index.
    Section(Rc<Package>, usize),
    /// An element of an answer, or what a Rust function made.
    Element(Value),
    /// A row of the agent's own facts.
    Fact,
}

impl Row {
    /// The UCI section that made the row, or its package's name.
    pub fn section(&self) -> Option<(&Package, &Section)> {
        match &self.item {
            Item::Section(package, index) => package.sections.get(*index).map(|s| (&**package, s)),
            _ => None,
        }
    }

    /// The element that made the row.
    pub fn element(&self) -> Option<&Value> {
        match &self.item {
            Item::Element(value) => Some(value),
            _ => None,
        }
    }
}

/// The rows of one table, the questions they came from, and whether one of these failed.
type Rows = (Rc<[Rc<Row>]>, Rc<[u16]>, bool);

/// Aliases staged in a transaction, by table path and key.
pub type Aliases = HashMap<(Box<str>, Box<str>), Box<str>>;

/// Everything one evaluation reads from.
pub struct Eval<'a> {
    /// The supported model.
    pub schema: &'a Schema,
    /// The answers at hand.
    pub docs: &'a Docs,
    /// Instance numbers.
    pub instances: &'a RefCell<Instances>,
    /// What the agent knows of itself.
    pub facts: &'a Facts,
    /// Aliases not yet committed.
    pub aliases: &'a Aliases,
    /// Now, in seconds since 1970.
    pub now: i64,
    rows: RefCell<HashMap<(ObjectId, Box<str>), Rows>>,
    /// Tables whose rows are being made: a table that needs itself has no rows there.
    open: RefCell<Vec<ObjectId>>,
}

impl<'a> Eval<'a> {
    /// An evaluation with nothing cached.
    pub fn new(
        schema: &'a Schema,
        docs: &'a Docs,
        instances: &'a RefCell<Instances>,
        facts: &'a Facts,
        aliases: &'a Aliases,
        now: i64,
    ) -> Self {
        Self { schema, docs, instances, facts, aliases, now, rows: RefCell::default(), open: RefCell::default() }
    }

    /// The rows of `table` in `parent`, by instance number. `path` is the table's path, `Device.IP.Interface.`
    pub fn rows(&self, table: ObjectId, parent: Option<&Rc<Row>>, path: &str) -> Rc<[Rc<Row>]> {
        if let Some((rows, used, failed)) = self.rows.borrow().get(&(table, Box::from(path))) {
            self.docs.use_again(used);
            self.docs.fail(*failed);
            return rows.clone();
        }
        if self.open.borrow().contains(&table) {
            return Rc::new([]);
        }
        self.open.borrow_mut().push(table);
        let before = self.docs.forget_use();
        let failed_before = self.docs.failed();
        self.docs.forget_failure();
        let rows: Rc<[Rc<Row>]> = self.make_rows(table, parent, path).into();
        let used: Rc<[u16]> = self.docs.used().into();
        self.docs.use_again(&before);
        let failed = self.docs.failed();
        self.docs.fail(failed_before);
        self.open.borrow_mut().pop();
        self.rows.borrow_mut().insert((table, path.into()), (rows.clone(), used, failed));
        rows
    }

    /// The row of `table` that is known by `key`, for tables that are not below another table.
    pub fn row_by_key(&self, table: ObjectId, key: &str) -> Option<Rc<Row>> {
        let path = self.table_path(table, None);
        self.rows(table, None, &path).iter().find(|r| &*r.key == key).cloned()
    }

    /// `Device.IP.Interface.` of a template path, below a row where there is one.
    pub fn table_path(&self, table: ObjectId, parent: Option<&Row>) -> String {
        let template = &*self.schema[table].path;
        let own = template.strip_suffix("{i}.").unwrap_or(template);
        match parent {
            Some(row) => {
                let below = &*self.schema[row.object].path;
                format!("{}{}", row.path, own.get(below.len()..).unwrap_or(""))
            }
            None => own.to_string(),
        }
    }

    fn make_rows(&self, table: ObjectId, parent: Option<&Rc<Row>>, path: &str) -> Vec<Rc<Row>> {
        let object = &self.schema[table];
        let mut found: Vec<(Box<str>, Item)> = Vec::new();
        for each in &object.each {
            for (key, item) in self.candidates(table, parent, each, path) {
                if !found.iter().any(|(k, _)| *k == key) {
                    found.push((key, item));
                }
            }
        }
        // While an answer is missing, a row may turn out to be none: it gets no number of its own yet.
        let provisional = self.docs.incomplete();
        let mut instances = self.instances.borrow_mut();
        let mut rows: Vec<Rc<Row>> = found
            .into_iter()
            .zip((0..=u32::MAX).rev())
            .map(|((key, item), last)| {
                let known = if provisional { instances.known(path, &key).or(Some(last)) } else { None };
                let number = known.unwrap_or_else(|| instances.number(path, &key));
                let path = format!("{path}{number}.").into();
                Rc::new(Row { object: table, key, number, parent: parent.cloned(), item, path })
            })
            .collect();
        rows.sort_unstable_by_key(|r| r.number);
        rows
    }

    /// What one `each` yields, its conditions applied.
    fn candidates(&self, table: ObjectId, parent: Option<&Rc<Row>>, each: &Each, path: &str) -> Vec<(Box<str>, Item)> {
        let mut all = match &each.rows {
            RowSource::Uci { package, kind } => self.sections(package, kind),
            RowSource::Elements { of, key } => self.elements(table, parent, of, key),
            RowSource::Agent(name) => {
                self.docs.note_facts(name);
                self.facts.keys(name).map(|key| (key.into(), Item::Fact)).collect()
            }
            RowSource::Native(name) => {
                let scope = Scope { eval: self, object: table, row: parent };
                native::rows(name, &scope).into_iter().map(|(k, v)| (k.into(), Item::Element(v))).collect()
            }
        };
        if !each.conditions.is_empty() {
            all.retain(|(key, item)| {
                let row = Row {
                    object: table,
                    key: key.clone(),
                    number: 0,
                    parent: parent.cloned(),
                    item: item.clone(),
                    path: "".into(),
                };
                let row = Rc::new(row);
                let scope = Scope { eval: self, object: table, row: Some(&row) };
                each.conditions.iter().all(|condition| scope.holds(condition))
            });
        }
        self.recognise_anonymous(path, &mut all);
        all
    }

    fn sections(&self, package: &str, kind: &str) -> Vec<(Box<str>, Item)> {
        let Some(package) = self.docs.package(package) else { return Vec::new() };
        let of_kind = package.sections.iter().enumerate().filter(|(_, s)| &*s.kind == kind);
        of_kind.map(|(index, s)| (s.name.clone(), Item::Section(package.clone(), index))).collect()
    }

    /// Gives anonymous sections a key that stays while they move.
    fn recognise_anonymous(&self, path: &str, rows: &mut [(Box<str>, Item)]) {
        let is_anonymous = |item: &Item| match item {
            Item::Section(package, index) => package.sections.get(*index).is_some_and(|s| s.anonymous),
            _ => false,
        };
        let anonymous: Vec<Item> = rows.iter().map(|(_, i)| i).filter(|i| is_anonymous(i)).cloned().collect();
        if anonymous.is_empty() || self.docs.incomplete() {
            return;
        }
        let sections = anonymous.iter().filter_map(|item| match item {
            Item::Section(package, index) => package.sections.get(*index),
            _ => None,
        });
        let mut instances = self.instances.borrow_mut();
        // What has a name comes first: OpenWrt names its own sections, what an owner adds often has none.
        for (key, _) in rows.iter().filter(|(_, i)| !is_anonymous(i)) {
            instances.number(path, key);
        }
        let keys = instances.recognise(path, &sections.collect::<Vec<_>>());
        for ((key, _), new) in rows.iter_mut().filter(|(_, i)| is_anonymous(i)).zip(keys) {
            *key = new;
        }
    }

    fn elements(
        &self,
        table: ObjectId,
        parent: Option<&Rc<Row>>,
        of: &super::source::Pipeline,
        key: &ElementKey,
    ) -> Vec<(Box<str>, Item)> {
        let scope = Scope { eval: self, object: table, row: parent };
        let Some(value) = scope.pipeline(of) else { return Vec::new() };
        let elements: Vec<(Option<&str>, Value)> = match &value {
            Val::Json(json) => match &**json {
                Value::Table(Table(members)) => members.iter().map(|(n, v)| (Some(&**n), v.clone())).collect(),
                Value::Array(items) => items.iter().map(|v| (None, v.clone())).collect(),
                _ => Vec::new(),
            },
            Val::Text(text) => text.lines().filter(|l| !l.trim().is_empty()).map(|l| (None, Value::from(l))).collect(),
        };
        let keyed = elements.into_iter().enumerate().filter_map(|(at, (name, value))| {
            let key = self.element_key(&scope, key, at, name, &value)?;
            Some((key.into_boxed_str(), Item::Element(value)))
        });
        keyed.collect()
    }

    fn element_key(
        &self,
        scope: &Scope<'_>,
        key: &ElementKey,
        at: usize,
        name: Option<&str>,
        value: &Value,
    ) -> Option<String> {
        let key = match key {
            ElementKey::Natural => match (name, value) {
                (Some(name), _) => name.to_string(),
                (None, Value::String(text)) => text.to_string(),
                (None, _) => (at + 1).to_string(),
            },
            ElementKey::Pointer(pointer) => {
                let found = scope.point(Cow::Borrowed(value), pointer)?;
                value::plain(&found)?.into_owned()
            }
            ElementKey::Word(n) => value.as_str()?.split_whitespace().nth(usize::from(n.checked_sub(1)?))?.to_string(),
        };
        (!key.is_empty()).then_some(key)
    }
}

/// Where a value is read: an object, and the nearest row if it is in a table.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The evaluation.
    pub eval: &'a Eval<'a>,
    /// The object.
    pub object: ObjectId,
    /// The nearest row.
    pub row: Option<&'a Rc<Row>>,
}

impl<'a> Scope<'a> {
    /// The object's schema.
    pub fn schema(&self) -> &'a Object {
        &self.eval.schema[self.object]
    }

    /// The object is there: its conditions hold.
    pub fn exists(&self) -> bool {
        self.schema().when.iter().all(|condition| self.holds(condition))
    }

    /// The key of the nearest row; empty outside tables.
    pub fn key(&self) -> &'a str {
        self.row.map_or("", |r| &*r.key)
    }

    /// The key of the row that holds the nearest row.
    pub fn parent_key(&self) -> &'a str {
        self.row.and_then(|r| r.parent.as_ref()).map_or("", |r| &*r.key)
    }

    /// The scope of the row above, for a Rust function that needs its `let`s.
    pub fn parent(&self) -> Option<Scope<'a>> {
        let row = self.row?.parent.as_ref()?;
        Some(Scope { eval: self.eval, object: row.object, row: Some(row) })
    }

    /// The element that made the nearest row.
    pub fn item(&self) -> Option<&'a Value> {
        self.row.and_then(|r| r.element())
    }

    /// The UCI section of the nearest row that has one, with its package.
    pub fn section(&self) -> Option<(&'a Package, &'a Section)> {
        let mut row = self.row;
        while let Some(at) = row {
            if let Some(found) = at.section() {
                return Some(found);
            }
            row = at.parent.as_ref();
        }
        None
    }

    /// The answer of a ubus call.
    pub fn ubus(&self, object: &str, method: &str, args: &Table) -> Option<&'a Table> {
        self.eval.docs.call(object, method, args).map(|t| &**t)
    }

    /// A UCI package.
    pub fn uci(&self, package: &str) -> Option<&'a Rc<Package>> {
        self.eval.docs.package(package)
    }

    /// A file's text.
    pub fn file(&self, path: &str) -> Option<&'a str> {
        self.eval.docs.file(path)
    }

    /// The names in a folder.
    pub fn list(&self, path: &str) -> Option<&'a [String]> {
        self.eval.docs.list(path)
    }

    /// Where a link points.
    pub fn link(&self, path: &str) -> Option<&'a str> {
        self.eval.docs.link(path)
    }

    /// The text of a `let` of this object or one above.
    pub fn let_text(&self, name: &str) -> Option<String> {
        value::plain(&self.let_value(name)?.into_json()).map(Cow::into_owned)
    }

    /// Seconds since 1970; noted, so that what depends on it is known to change by itself.
    pub fn now(&self) -> i64 {
        self.eval.docs.note_clock();
        self.eval.now
    }

    /// The path of the row of a top-level table that is known by `key`, without its final dot.
    pub fn path_of(&self, table: &str, key: &str) -> Option<String> {
        let table = self.eval.schema.find(table)?;
        let row = self.eval.row_by_key(table, key)?;
        Some(row.path.trim_end_matches('.').to_string())
    }

    /// Whether a `where` or `when` holds.
    pub fn holds(&self, condition: &'a Condition) -> bool {
        let value = self.pipeline(&condition.value);
        let Some((equal, wanted)) = &condition.test else { return value.is_some() };
        let text = value.map(|v| v.into_text().unwrap_or_default().into_owned()).unwrap_or_default();
        (self.fill(wanted).as_deref() == Some(&*text)) == *equal
    }

    /// The text of a parameter, by its type; None where its sources have none.
    pub fn param(&self, name: &str) -> Option<String> {
        self.param_value(self.schema().param(name)?)
    }

    /// The text of a parameter of this object.
    pub fn param_value(&self, param: &super::schema::Param) -> Option<String> {
        match &param.source {
            ParamSource::Mapped(alternatives) => self.mapped(param, alternatives),
            ParamSource::Count(table) => self.count(*table),
            ParamSource::Alias => self.alias(),
        }
    }

    fn mapped(&self, param: &super::schema::Param, alternatives: &[super::source::Pipeline]) -> Option<String> {
        let mut values = alternatives.iter().filter_map(|p| self.pipeline(p));
        values.find_map(|v| value::to_text(param.kind, param.facets.list.is_some(), &v.into_json()))
    }

    fn count(&self, table: ObjectId) -> Option<String> {
        let path = self.eval.table_path(table, self.row.map(|r| &**r));
        Some(self.eval.rows(table, self.row, &path).len().to_string())
    }

    fn alias(&self) -> Option<String> {
        let row = self.row?;
        let table = row.path.trim_end_matches('.').rsplit_once('.').map(|(table, _)| format!("{table}."))?;
        if let Some(staged) = self.eval.aliases.get(&(table.as_str().into(), row.key.clone())) {
            return Some(staged.to_string());
        }
        let kept = self.eval.instances.borrow().alias(&table, &row.key).map(str::to_string);
        Some(kept.unwrap_or_else(|| format!("cpe-{}", row.number)))
    }
}
