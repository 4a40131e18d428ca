//! Evaluation against the answers at hand: rows of tables, and the place a value is read in.
//!
//! Everything here is synchronous and free of side effects but two: questions are noted in [`Docs`], and a new thing
//! gets its instance number.

use super::docs::Docs;
use super::facts::Facts;
use super::instances::{Instances, MAX_PER_TABLE};
use super::mount;
use super::native;
use super::pipeline::Val;
use super::schema::{Object, ObjectId, Schema};
use super::source::{Condition, Each, ElementKey, RowSource};
use super::value;
use crate::backend::uci::{Package, Section};
use crate::backend::{Table, Value};
use crate::order;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
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

/// The rows of one table, the questions they came from, whether one of these failed, and whether an answer is missing
/// or a row has no number of its own yet.
type Rows = (Rc<[Rc<Row>]>, Rc<[u16]>, bool, bool);

/// Aliases staged in a transaction: by the row's path, its key and its Alias.
pub type Aliases = HashMap<Box<str>, (Box<str>, Box<str>)>;

/// Rows that were made, by their table's path.
#[derive(Debug, Default)]
pub(super) struct Made(HashMap<Box<str>, Rows>);

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
    rows: RefCell<Made>,
    /// Tables whose rows are being made: a table that needs itself has no rows there.
    open: RefCell<Vec<ObjectId>>,
    /// Such a table was met: what was made of it holds only there.
    cut: Cell<bool>,
}

impl<'a> Eval<'a> {
    /// An evaluation; `made` are rows of an earlier one of the same answers.
    pub(super) fn new(
        schema: &'a Schema,
        docs: &'a Docs,
        instances: &'a RefCell<Instances>,
        facts: &'a Facts,
        aliases: &'a Aliases,
        now: i64,
        made: Made,
    ) -> Self {
        Self {
            schema,
            docs,
            instances,
            facts,
            aliases,
            now,
            rows: RefCell::new(made),
            open: RefCell::default(),
            cut: Cell::default(),
        }
    }

    /// The rows that are as they will be with more answers.
    pub(super) fn into_made(self) -> Made {
        let Made(mut rows) = self.rows.into_inner();
        rows.retain(|_, (.., missed)| !*missed);
        Made(rows)
    }

    /// The rows of `table` in `parent`, by instance number. `path` is the table's path, `Device.IP.Interface.`
    pub fn rows(&self, table: ObjectId, parent: Option<&Rc<Row>>, path: &str) -> Rc<[Rc<Row>]> {
        if let Some((rows, used, failed, missed)) = self.rows.borrow().0.get(path) {
            self.docs.use_again(used);
            self.docs.fail(*failed);
            self.docs.miss(*missed);
            return rows.clone();
        }
        if self.open.borrow().contains(&table) {
            self.cut.set(true);
            return Rc::new([]);
        }
        self.open.borrow_mut().push(table);
        let cut_before = self.cut.replace(false);
        let before = self.docs.forget_use();
        let failed_before = self.docs.failed();
        self.docs.forget_failure();
        let missed_before = self.docs.replace_missed(false);
        let rows: Rc<[Rc<Row>]> = self.make_rows(table, parent, path).into();
        let missed = self.docs.replace_missed(missed_before);
        self.docs.miss(missed);
        let used: Rc<[u16]> = self.docs.use_also(before).into();
        let failed = self.docs.failed();
        self.docs.fail(failed_before);
        self.open.borrow_mut().pop();
        let provisional = self.cut.get() && !self.open.borrow().is_empty();
        self.cut.set(cut_before || provisional);
        if !provisional {
            self.rows.borrow_mut().0.insert(path.into(), (rows.clone(), used, failed, missed));
        }
        rows
    }

    /// The row of `table` that is known by `key`; below another table, the first of all its rows.
    pub fn row_by_key(&self, table: ObjectId, key: &str) -> Option<Rc<Row>> {
        // A plugin knows its rows by other names than the mapping.
        if self.schema[table].mounted {
            return None;
        }
        self.find_row(table, &mut |row| &*row.key == key)
    }

    /// The first of all rows of `table`, in whatever rows, that is wanted.
    pub fn find_row(&self, table: ObjectId, wanted: &mut dyn FnMut(&Rc<Row>) -> bool) -> Option<Rc<Row>> {
        let mut above = self.schema[table].parent;
        while let Some(id) = above.filter(|&id| !self.schema[id].table) {
            above = self.schema[id].parent;
        }
        let mut in_table = |parent: Option<&Rc<Row>>| {
            let path = self.table_path(table, parent.map(|r| &**r));
            self.rows(table, parent, &path).iter().find(|r| wanted(r)).cloned()
        };
        let Some(above) = above else { return in_table(None) };
        let mut found = None;
        self.find_row(above, &mut |parent| {
            found = in_table(Some(parent));
            found.is_some()
        });
        found
    }

    /// `Device.IP.Interface.` of a template path, below a row where there is one.
    pub fn table_path(&self, table: ObjectId, parent: Option<&Row>) -> String {
        let template = self.schema[table].path;
        let own = template.strip_suffix("{i}.").unwrap_or(template);
        match parent {
            Some(row) => {
                let below = self.schema[row.object].path;
                format!("{}{}", row.path, own.get(below.len()..).unwrap_or(""))
            }
            None => own.to_string(),
        }
    }

    fn make_rows(&self, table: ObjectId, parent: Option<&Rc<Row>>, path: &str) -> Vec<Rc<Row>> {
        if self.schema[table].mounted {
            return mount::rows(self, table, parent, path);
        }
        if !self.is_there(table, parent) {
            return Vec::new();
        }
        let each = &self.schema[table].each;
        let mut found: Vec<_> = each.iter().flat_map(|each| self.candidates(table, parent, each)).collect();
        self.recognise_anonymous(path, &mut found);
        let mut keys = HashSet::new();
        found.retain(|(key, _)| keys.insert(key.clone()));
        if found.len() > MAX_PER_TABLE {
            log::warn!("event=table_too_long table={path} rows={} shown={MAX_PER_TABLE}", found.len());
            found.truncate(MAX_PER_TABLE);
        }
        // While an answer is missing, a row may turn out to be none: it gets no number of its own yet.
        let provisional = self.docs.incomplete();
        let mut instances = self.instances.borrow_mut();
        let mut rows: Vec<Rc<Row>> = found
            .into_iter()
            .zip((0..=u32::MAX).rev())
            .map(|((key, item), last)| {
                // A process is known by its number: `:7` comes and goes too often to be remembered.
                let own = key.strip_prefix(':').and_then(|number| number.parse().ok());
                let known = if provisional { instances.known(path, &key) } else { None };
                self.docs.miss(provisional && own.is_none() && known.is_none());
                let known = known.or(provisional.then_some(last));
                let number = own.or(known).unwrap_or_else(|| instances.number(path, &key));
                let path = format!("{path}{number}.").into();
                Rc::new(Row { object: table, key, number, parent: parent.cloned(), item, path })
            })
            .collect();
        order::sort_by_key(&mut rows, |r| r.number);
        rows
    }

    /// The table, and the objects between it and the row above, are there.
    fn is_there(&self, table: ObjectId, parent: Option<&Rc<Row>>) -> bool {
        let above = parent.map(|row| row.object);
        let up = std::iter::successors(Some(table), |&id| self.schema[id].parent);
        up.take_while(|&id| Some(id) != above).all(|id| Scope { eval: self, object: id, row: parent }.exists())
    }

    /// What one `each` yields, its conditions applied.
    fn candidates(&self, table: ObjectId, parent: Option<&Rc<Row>>, each: &Each) -> Vec<(Box<str>, Item)> {
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
        all
    }

    fn sections(&self, package: &str, kind: &str) -> Vec<(Box<str>, Item)> {
        let Some(package) = self.docs.package(package) else { return Vec::new() };
        let of_kind = package.sections.iter().enumerate().filter(|(_, s)| &*s.kind == kind);
        of_kind.map(|(index, s)| (s.name.clone(), Item::Section(package.clone(), index))).collect()
    }

    /// Gives anonymous sections a key that stays while they move.
    fn recognise_anonymous(&self, path: &str, rows: &mut [(Box<str>, Item)]) {
        let anonymous = |item: &Item| match item {
            Item::Section(package, index) => package.sections.get(*index).is_some_and(|s| s.anonymous),
            _ => false,
        };
        let all: Vec<Item> = rows.iter().map(|(_, item)| item).filter(|item| anonymous(item)).cloned().collect();
        if all.is_empty() || self.docs.incomplete() {
            return;
        }
        let sections: Vec<&Section> = all.iter().filter_map(|item| self.as_read(item)).collect();
        let mut instances = self.instances.borrow_mut();
        // What has a name comes first: OpenWrt names its own sections, what an owner adds often has none.
        for (key, _) in rows.iter().filter(|(_, item)| !anonymous(item)) {
            instances.number(path, key);
        }
        let keys = instances.recognise(path, &sections);
        for ((key, _), new) in rows.iter_mut().filter(|(_, item)| anonymous(item)).zip(keys) {
            *key = new;
        }
    }

    /// The section of a row as it was before this message changed it: what it is recognised by.
    fn as_read<'s>(&'s self, item: &'s Item) -> Option<&'s Section> {
        let Item::Section(package, index) = item else { return None };
        let section = package.sections.get(*index)?;
        let read = self.docs.read(&package.name).filter(|read| !Rc::ptr_eq(read, package));
        let same_place = read.and_then(|r| r.sections.get(*index)).filter(|s| s.name == section.name);
        same_place.or_else(|| read.and_then(|r| r.section(&section.name))).or(Some(section))
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
        self.eval.docs.call(object, method, args)?.as_table()
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

    /// The path of the row of a table that is known by `key`, without its final dot.
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
        (self.fill(*wanted).as_deref() == Some(&*text)) == *equal
    }
}
