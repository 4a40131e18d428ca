//! Joins the blocks of the mapping with the facts of the standard.

use super::{
    Access, Argument, Command, Event, Kind, Live, Object, ObjectId, Param, ParamSource, Schema, UniqueKey, scope,
};
use crate::model::digest::{Digest, Element, ObjectFacts, ValueFacts};
use crate::model::facets::Facets;
use crate::model::notation::{Block, ItemKind, NotationError, ObjectBlock, Position, Row, RowSourceText};
use crate::model::source::{CommandSource, Filter, Pipeline, Raised, Source, Text};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// The most objects of a model.
const MAX_OBJECTS: usize = 4096;

/// Whether the native function of this name can write, or leads back as a filter.
pub type Natives<'a> = &'a dyn Fn(&str) -> bool;

/// A value can be written back through this pipeline.
pub fn writable(pipeline: &Pipeline, native_writes: Natives<'_>) -> bool {
    if pipeline.filters.last() == Some(&Filter::Fixed) {
        return true;
    }
    let source = match &pipeline.source {
        Source::Uci { .. } | Source::Option { .. } => true,
        Source::Native(name) => native_writes(name),
        _ => false,
    };
    source && pipeline.filters.iter().all(|filter| invertible(filter, native_writes))
}

fn invertible(filter: &Filter, native_writes: Natives<'_>) -> bool {
    match filter {
        Filter::Native(name) => native_writes(name),
        Filter::Map(pairs, _) => pairs.iter().any(|(_, to)| pairs.iter().filter(|(_, other)| other == to).count() == 1),
        Filter::Default(_)
        | Filter::Not
        | Filter::Mul(_)
        | Filter::Div(_)
        | Filter::Add(_)
        | Filter::Netmask
        | Filter::Ref(_)
        | Filter::List
        | Filter::Upper
        | Filter::Lower
        | Filter::Unquote
        | Filter::Basename
        | Filter::OwnId => true,
        _ => false,
    }
}

/// The path of the object above: `Device.IP.` of `Device.IP.Interface.{i}.`; empty above `Device.`.
pub(in crate::model) fn parent_path(path: &str) -> &str {
    let names = path.strip_suffix("{i}.").unwrap_or(path);
    let names = names.strip_suffix('.').unwrap_or(names);
    names.rfind('.').and_then(|dot| names.get(..=dot)).unwrap_or_default()
}

pub(in crate::model) fn last_name(path: &str) -> &str {
    let names = path.strip_suffix("{i}.").unwrap_or(path);
    names.strip_suffix('.').and_then(|names| names.rsplit('.').next()).unwrap_or_default()
}

pub(super) fn is_vendor(path: &str, name: &str) -> bool {
    name.starts_with("X_") || path.split('.').any(|part| part.starts_with("X_"))
}

impl Schema {
    /// Joins blocks and facts. Later blocks may `replace` and `hide` what earlier ones said.
    ///
    /// # Errors
    /// Everything that is wrong, with file and line.
    pub fn build(
        blocks: Vec<Block>,
        digest: &Digest<'_>,
        native_writes: Natives<'_>,
    ) -> Result<Self, Vec<NotationError>> {
        let mut builder = Builder::new(digest, native_writes, false);
        builder.errors = scope::check(&blocks);
        builder.take(blocks);
        builder.finish()
    }

    /// Likewise of files that were joined before without an error, so that nothing has to be compared between them: each
    /// is read when the one before is taken up, and what is made for a while is freed where the next one needs it.
    ///
    /// # Errors
    /// None, if that is so.
    pub(in crate::model) fn build_again(
        files: impl Iterator<Item = Result<Vec<Block>, NotationError>>,
        digest: &Digest<'_>,
        native_writes: Natives<'_>,
    ) -> Result<Self, Vec<NotationError>> {
        let mut builder = Builder::new(digest, native_writes, true);
        for blocks in files {
            builder.take(blocks.map_err(|error| vec![error])?);
        }
        builder.finish()
    }
}

pub(super) struct Builder<'b, 'd> {
    pub(super) schema: Schema,
    /// One for each object.
    pub(super) drafts: Vec<Draft>,
    pub(super) digest: &'b Digest<'d>,
    native_writes: Natives<'b>,
    pub(super) errors: Vec<NotationError>,
    /// Facets that several elements share.
    shared: HashSet<Rc<Facets>>,
    /// The same blocks were joined before without an error.
    known: bool,
}

/// What is known of an object while it is built.
pub(super) struct Draft {
    /// Where it was first named.
    pub(super) at: Position,
    pub(super) facts: ObjectFacts,
    pub(super) hidden: bool,
    /// Where each row stands.
    rows: HashMap<Text, Position>,
    /// Rows the engine must not add.
    pub(super) hidden_rows: Vec<Text>,
}

impl<'b, 'd> Builder<'b, 'd> {
    fn new(digest: &'b Digest<'d>, native_writes: Natives<'b>, known: bool) -> Self {
        let (drafts, errors) = (Vec::new(), Vec::new());
        let mut builder =
            Self { schema: Schema::default(), drafts, digest, native_writes, errors, shared: HashSet::new(), known };
        builder.ensure("Device.", &Position { file: "".into(), line: 0 });
        builder
    }

    fn take(&mut self, blocks: Vec<Block>) {
        for block in blocks {
            match block {
                Block::Object(block) => self.block(block),
                Block::Live(_, live) => self.live(live),
                Block::Hide(at, path) => self.hide_object(&at, path),
            }
        }
    }

    fn live(&mut self, live: Live) {
        if !self.schema.live.contains(&live) {
            self.schema.live.push(live);
        }
    }

    fn block(&mut self, block: ObjectBlock) {
        let states = block.creatable || !block.keys.is_empty();
        let vendor = is_vendor(block.path, "");
        if states && !vendor {
            self.errors.push(block.at.error(format!("the standard states access and keys of `{}`", block.path)));
        }
        let Some(id) = self.ensure(block.path, &block.at) else { return };
        let Some(draft) = self.drafts.get_mut(usize::from(id.0)) else { return };
        if draft.hidden {
            self.errors.push(block.at.error(format!("`{}` is hidden", block.path)));
            return;
        }
        if vendor {
            draft.facts.creatable |= block.creatable;
            draft.facts.keys.extend(block.keys.into_iter().map(|params| UniqueKey { params, functional: true }));
        }
        for item in block.items {
            if let Err(text) = self.item(id, &item.at, item.kind) {
                self.errors.push(item.at.error(text));
            }
        }
    }

    /// The object at `path`, made together with those above it.
    fn ensure(&mut self, path: Text, at: &Position) -> Option<ObjectId> {
        if let Some(id) = self.schema.find(path) {
            return Some(id);
        }
        let parent = match parent_path(path) {
            "" => None,
            above => Some(self.ensure(above, at)?),
        };
        match self.facts(path) {
            Ok(facts) => self.add_object(path, at, parent, facts),
            Err(text) => {
                self.errors.push(at.error(text));
                None
            }
        }
    }

    fn facts(&self, path: &str) -> Result<ObjectFacts, String> {
        if self.schema.objects.len() >= MAX_OBJECTS {
            return Err(format!("more than {MAX_OBJECTS} objects"));
        }
        if let Some(facts) = self.digest.object(path)? {
            return Ok(facts);
        }
        if is_vendor(path, "") {
            let count = path.ends_with("{i}.").then(|| format!("{}NumberOfEntries", last_name(path)).into());
            return Ok(ObjectFacts { creatable: false, count, keys: Vec::new() });
        }
        Err(self.unknown_object(path))
    }

    fn unknown_object(&self, path: &str) -> String {
        let other = match path.strip_suffix("{i}.") {
            Some(single) => single.to_owned(),
            None => format!("{path}{{i}}."),
        };
        let hint = match self.digest.object_line(&other) {
            Some(_) if other.ends_with("{i}.") => format!(", but `table {other}`"),
            Some(_) => format!(", but `object {other}`"),
            None => "; a vendor object has a name that starts with X_".to_owned(),
        };
        format!("TR-181 2.19 has no object `{path}`{hint}")
    }

    fn add_object(
        &mut self,
        path: Text,
        at: &Position,
        parent: Option<ObjectId>,
        facts: ObjectFacts,
    ) -> Option<ObjectId> {
        let id = ObjectId(u16::try_from(self.schema.objects.len()).ok()?);
        self.schema.objects.push(Object::new(path, last_name(path), parent));
        self.schema.by_path.insert(path, id);
        if let Some(above) = parent {
            self.object(above).children.push(id);
        }
        let hidden = parent.is_some_and(|above| self.draft(above).hidden);
        let at = at.clone();
        self.drafts.push(Draft { at, facts, hidden, rows: HashMap::new(), hidden_rows: Vec::new() });
        Some(id)
    }

    /// Ids are only made by [`Self::add_object`], which makes object and draft together.
    pub(super) fn object(&mut self, id: ObjectId) -> &mut Object {
        &mut self.schema.objects[usize::from(id.0)]
    }

    pub(super) fn draft(&mut self, id: ObjectId) -> &mut Draft {
        &mut self.drafts[usize::from(id.0)]
    }

    fn item(&mut self, id: ObjectId, at: &Position, kind: ItemKind) -> Result<(), String> {
        let object = self.object(id);
        match kind {
            ItemKind::When(condition) => object.when.push(condition),
            ItemKind::Let(name, values) => object.lets.push((name, values)),
            ItemKind::Each(_)
            | ItemKind::NewOption(..)
            | ItemKind::NewNative(_)
            | ItemKind::NewName(_)
            | ItemKind::NewBefore(_)
                if !object.table =>
            {
                return Err(format!("`{}` is no table", object.path));
            }
            ItemKind::Each(each) => object.each.push(each),
            ItemKind::NewOption(option, text) => object.new.options.push((option, text)),
            ItemKind::NewNative(name) => object.new.native = Some(name),
            ItemKind::NewName(prefix) => object.new.name = Some(prefix),
            ItemKind::NewBefore(prefix) => object.new.before = Some(prefix),
            ItemKind::Hide(name) => return self.hide_row(id, name),
            ItemKind::Row(row) => return self.row(id, at, row),
        }
        Ok(())
    }

    fn hide_row(&mut self, id: ObjectId, name: Text) -> Result<(), String> {
        let object = self.object(id);
        object.params.retain(|param| param.name != name);
        object.commands.retain(|command| command.name != name);
        object.events.retain(|event| event.name != name);
        let draft = self.draft(id);
        let was_there = draft.rows.remove(name).is_some();
        if !was_there && name != "Alias" && !name.ends_with("NumberOfEntries") {
            return Err(format!("there is no row `{name}` to hide"));
        }
        draft.hidden_rows.push(name);
        Ok(())
    }

    fn row(&mut self, id: ObjectId, at: &Position, row: Row) -> Result<(), String> {
        let draft = self.draft(id);
        match draft.rows.get(row.name) {
            Some(before) if !row.replace => return Err(format!("`{}` stands at {before} already", row.name)),
            None if row.replace => return Err(format!("there is no row `{}` to replace", row.name)),
            _ => {}
        }
        if !self.known {
            self.draft(id).rows.insert(row.name, at.clone());
        }
        let path = self.object(id).path;
        let known = self.digest.element(path, row.name)?;
        match (known, row.declared, is_vendor(path, row.name)) {
            (Some(_), Some(_), _) => Err(format!("the standard states type and access of `{}`", row.name)),
            (Some(element), None, _) => self.standard_row(id, row, element),
            (None, declared, true) => self.vendor_row(id, row, declared),
            (None, _, false) => {
                Err(format!("TR-181 2.19 has no `{}` in `{path}`; vendor names start with X_", row.name))
            }
        }
    }

    fn standard_row(&mut self, id: ObjectId, row: Row, element: Element) -> Result<(), String> {
        match (element, row.source) {
            (Element::Parameter { access, value }, RowSourceText::Parameter(values)) => {
                self.put_param(id, row.name, access, value, values);
            }
            (Element::Command { asynchronous, input, output }, RowSourceText::Command(source)) => {
                self.put_command(id, Command { name: row.name, asynchronous, input, output, source });
            }
            (Element::Event(arguments), RowSourceText::Event(raised)) => {
                let given = raised.iter().flat_map(|raised| &raised.given);
                if let Some((name, _)) = given.clone().find(|(name, _)| arguments.iter().all(|a| *a.name != **name)) {
                    return Err(format!("TR-181 2.19 gives `{}` no argument `{name}`", row.name));
                }
                self.put_event(id, row.name, arguments, raised)?;
            }
            _ => return Err(format!("`{}` is of another kind in the standard", row.name)),
        }
        Ok(())
    }

    fn vendor_row(&mut self, id: ObjectId, row: Row, declared: Option<(Kind, Access)>) -> Result<(), String> {
        match row.source {
            RowSourceText::Parameter(values) => {
                let (kind, access) = declared.ok_or_else(|| {
                    format!("a vendor parameter states its type: `{} string = ...` or `... string rw = ...`", row.name)
                })?;
                let value = ValueFacts::plain(kind);
                self.put_param(id, row.name, access, value, values);
            }
            RowSourceText::Command(source) => {
                let asynchronous = matches!(source, CommandSource::Operation(_));
                let command = Command { name: row.name, asynchronous, input: Vec::new(), output: Vec::new(), source };
                self.put_command(id, command);
            }
            RowSourceText::Event(raised) => {
                let given = raised.iter().flat_map(|raised| &raised.given);
                let arguments = given.map(|(name, _)| Argument::text(name)).collect();
                self.put_event(id, row.name, arguments, raised)?;
            }
        }
        Ok(())
    }

    fn put_param(&mut self, id: ObjectId, name: Text, access: Access, value: ValueFacts, values: Vec<Pipeline>) {
        let written = values.first().is_some_and(|first| writable(first, self.native_writes));
        let access = if written { access } else { Access::ReadOnly };
        let mut param = param(name, access, value, ParamSource::Mapped(values));
        self.share(&mut param.facets);
        put(&mut self.object(id).params, param, |p| p.name);
    }

    /// Keeps one copy of facets that are the same: most elements have none, many are MAC addresses.
    fn share(&mut self, facets: &mut Rc<Facets>) {
        match self.shared.get(facets) {
            Some(known) => *facets = known.clone(),
            None => drop(self.shared.insert(facets.clone())),
        }
    }

    fn put_command(&mut self, id: ObjectId, mut command: Command) {
        let arguments = command.input.iter_mut().chain(&mut command.output);
        arguments.for_each(|argument| self.share(&mut argument.facets));
        put(&mut self.object(id).commands, command, |c| c.name);
    }

    fn put_event(
        &mut self,
        id: ObjectId,
        name: Text,
        mut arguments: Vec<Argument>,
        raised: Option<Raised>,
    ) -> Result<(), String> {
        // The data of a ubus event does not say which row it is of.
        if raised.is_some() && self.object(id).path.contains("{i}") {
            return Err(format!("`{name}` of a row cannot be raised by a ubus event"));
        }
        arguments.iter_mut().for_each(|argument| self.share(&mut argument.facets));
        put(&mut self.object(id).events, Event { name, arguments, raised: raised.map(Box::new) }, |e| e.name);
        Ok(())
    }

    fn hide_object(&mut self, at: &Position, path: &str) {
        let Some(id) = self.schema.find(path).filter(|id| id.0 > 0) else {
            self.errors.push(at.error(format!("there is no object `{path}` to hide")));
            return;
        };
        let mut pending = vec![id];
        while let Some(id) = pending.pop() {
            self.draft(id).hidden = true;
            pending.extend_from_slice(&self.object(id).children);
        }
    }
}

impl Argument {
    /// A text of which nothing more is known.
    fn text(name: &str) -> Self {
        let ValueFacts { kind, facets, default, mandatory, .. } = ValueFacts::plain(Kind::String);
        Self { name: name.into(), mandatory, kind, facets: facets.into(), default }
    }
}

impl ValueFacts {
    /// A value of which only the type is known.
    pub(in crate::model) fn plain(kind: Kind) -> Self {
        Self { kind, facets: Facets::default(), default: None, secured: false, quiet: false, mandatory: false }
    }
}

pub(in crate::model) fn param(name: Text, access: Access, value: ValueFacts, source: ParamSource) -> Param {
    Param {
        name,
        kind: value.kind,
        access,
        facets: value.facets.into(),
        default: value.default,
        secured: value.secured,
        value_change_ignored: value.quiet,
        source,
    }
}

/// Replaces what has the same name, else appends.
fn put<T>(list: &mut Vec<T>, new: T, name: impl Fn(&T) -> &str) {
    match list.iter_mut().find(|old| name(old) == name(&new)) {
        Some(old) => *old = new,
        None => list.push(new),
    }
}
