//! Joins the blocks of the mapping with the facts of the standard.

use super::{Access, Command, Event, Kind, Live, Object, ObjectId, Param, ParamSource, Schema, UniqueKey, scope};
use crate::model::digest::{Digest, Element, ObjectFacts, ValueFacts};
use crate::model::facets::Facets;
use crate::model::notation::{Block, ItemKind, NotationError, ObjectBlock, Position, Row, RowSourceText};
use crate::model::source::{CommandSource, Filter, New, Pipeline, RowSource, Source};
use std::collections::HashMap;

/// The most objects of a model.
const MAX_OBJECTS: usize = 4096;

/// Whether the native function of this name can write.
pub type Natives<'a> = &'a dyn Fn(&str) -> bool;

/// A value can be written back through this pipeline.
pub fn writable(pipeline: &Pipeline, native_writes: Natives<'_>) -> bool {
    let source = match &pipeline.source {
        Source::Uci { .. } | Source::Option { .. } => true,
        Source::Native(name) => native_writes(name),
        _ => false,
    };
    source && pipeline.filters.iter().all(invertible)
}

fn invertible(filter: &Filter) -> bool {
    match filter {
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
        | Filter::Basename => true,
        _ => false,
    }
}

/// The path of the object above: `Device.IP.` of `Device.IP.Interface.{i}.`; empty above `Device.`.
pub(super) fn parent_path(path: &str) -> &str {
    let names = path.strip_suffix("{i}.").unwrap_or(path);
    let names = names.strip_suffix('.').unwrap_or(names);
    names.rfind('.').and_then(|dot| names.get(..=dot)).unwrap_or_default()
}

fn last_name(path: &str) -> &str {
    let names = path.strip_suffix("{i}.").unwrap_or(path);
    names.strip_suffix('.').and_then(|names| names.rsplit('.').next()).unwrap_or_default()
}

fn is_vendor(path: &str, name: &str) -> bool {
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
        let errors = scope::check(&blocks);
        let mut builder = Builder { schema: Self::default(), drafts: Vec::new(), digest, native_writes, errors };
        builder.ensure("Device.", &Position { file: "".into(), line: 0 });
        for block in blocks {
            match block {
                Block::Object(block) => builder.block(block),
                Block::Live(_, live) => builder.live(live),
                Block::Hide(at, path) => builder.hide_object(&at, &path),
            }
        }
        builder.finish()
    }
}

struct Builder<'b, 'd> {
    schema: Schema,
    /// One for each object.
    drafts: Vec<Draft>,
    digest: &'b Digest<'d>,
    native_writes: Natives<'b>,
    errors: Vec<NotationError>,
}

/// What is known of an object while it is built.
struct Draft {
    /// Where it was first named.
    at: Position,
    facts: ObjectFacts,
    hidden: bool,
    /// Where each row stands.
    rows: HashMap<Box<str>, Position>,
    /// Rows the engine must not add.
    hidden_rows: Vec<Box<str>>,
}

impl Builder<'_, '_> {
    fn live(&mut self, live: Live) {
        if !self.schema.live.contains(&live) {
            self.schema.live.push(live);
        }
    }

    fn block(&mut self, block: ObjectBlock) {
        let states = block.creatable || !block.keys.is_empty();
        let vendor = is_vendor(&block.path, "");
        if states && !vendor {
            self.errors.push(block.at.error(format!("the standard states access and keys of `{}`", block.path)));
        }
        let Some(id) = self.ensure(&block.path, &block.at) else { return };
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
    fn ensure(&mut self, path: &str, at: &Position) -> Option<ObjectId> {
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
        path: &str,
        at: &Position,
        parent: Option<ObjectId>,
        facts: ObjectFacts,
    ) -> Option<ObjectId> {
        let id = ObjectId(u16::try_from(self.schema.objects.len()).ok()?);
        self.schema.objects.push(Object {
            path: path.into(),
            name: last_name(path).into(),
            parent,
            children: Vec::new(),
            table: path.ends_with("{i}."),
            creatable: false,
            keys: Vec::new(),
            each: Vec::new(),
            lets: Vec::new(),
            new: New::default(),
            when: Vec::new(),
            params: Vec::new(),
            commands: Vec::new(),
            events: Vec::new(),
        });
        self.schema.by_path.insert(path.into(), id);
        if let Some(above) = parent {
            self.object(above).children.push(id);
        }
        let hidden = parent.is_some_and(|above| self.draft(above).hidden);
        let at = at.clone();
        self.drafts.push(Draft { at, facts, hidden, rows: HashMap::new(), hidden_rows: Vec::new() });
        Some(id)
    }

    /// Ids are only made by [`Self::add_object`], which makes object and draft together.
    fn object(&mut self, id: ObjectId) -> &mut Object {
        &mut self.schema.objects[usize::from(id.0)]
    }

    fn draft(&mut self, id: ObjectId) -> &mut Draft {
        &mut self.drafts[usize::from(id.0)]
    }

    fn item(&mut self, id: ObjectId, at: &Position, kind: ItemKind) -> Result<(), String> {
        let object = self.object(id);
        match kind {
            ItemKind::When(condition) => object.when.push(condition),
            ItemKind::Let(name, values) => object.lets.push((name, values)),
            ItemKind::Each(_) | ItemKind::NewOption(..) | ItemKind::NewNative(_) if !object.table => {
                return Err(format!("`{}` is no table", object.path));
            }
            ItemKind::Each(each) => object.each.push(each),
            ItemKind::NewOption(option, text) => object.new.options.push((option, text)),
            ItemKind::NewNative(name) => object.new.native = Some(name),
            ItemKind::Hide(name) => return self.hide_row(id, &name),
            ItemKind::Row(row) => return self.row(id, at, row),
        }
        Ok(())
    }

    fn hide_row(&mut self, id: ObjectId, name: &str) -> Result<(), String> {
        let object = self.object(id);
        object.params.retain(|param| &*param.name != name);
        object.commands.retain(|command| &*command.name != name);
        object.events.retain(|event| &*event.name != name);
        let draft = self.draft(id);
        let was_there = draft.rows.remove(name).is_some();
        if !was_there && name != "Alias" && !name.ends_with("NumberOfEntries") {
            return Err(format!("there is no row `{name}` to hide"));
        }
        draft.hidden_rows.push(name.into());
        Ok(())
    }

    fn row(&mut self, id: ObjectId, at: &Position, row: Row) -> Result<(), String> {
        let draft = self.draft(id);
        match draft.rows.get(&row.name) {
            Some(before) if !row.replace => return Err(format!("`{}` stands at {before} already", row.name)),
            None if row.replace => return Err(format!("there is no row `{}` to replace", row.name)),
            _ => draft.rows.insert(row.name.clone(), at.clone()),
        };
        let path = self.object(id).path.clone();
        let known = self.digest.element(&path, &row.name)?;
        match (known, row.declared, is_vendor(&path, &row.name)) {
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
            (Element::Event(arguments), RowSourceText::Event) => {
                self.put_event(id, Event { name: row.name, arguments });
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
            RowSourceText::Event => self.put_event(id, Event { name: row.name, arguments: Vec::new() }),
        }
        Ok(())
    }

    fn put_param(&mut self, id: ObjectId, name: Box<str>, access: Access, value: ValueFacts, values: Vec<Pipeline>) {
        let written = values.first().is_some_and(|first| writable(first, self.native_writes));
        let access = if written { access } else { Access::ReadOnly };
        put(&mut self.object(id).params, param(name, access, value, ParamSource::Mapped(values)), |p| &p.name);
    }

    fn put_command(&mut self, id: ObjectId, command: Command) {
        put(&mut self.object(id).commands, command, |c| &c.name);
    }

    fn put_event(&mut self, id: ObjectId, event: Event) {
        put(&mut self.object(id).events, event, |e| &e.name);
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

    fn finish(mut self) -> Result<Schema, Vec<NotationError>> {
        for index in 0..self.schema.objects.len() {
            let Ok(index) = u16::try_from(index) else { break };
            if let Err(text) = self.finish_object(ObjectId(index)) {
                let at = self.draft(ObjectId(index)).at.clone();
                self.errors.push(at.error(text));
            }
        }
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        if self.drafts.iter().any(|draft| draft.hidden) {
            return Ok(without_hidden(self.schema, &self.drafts));
        }
        Ok(self.schema)
    }

    /// What comes by itself: Alias, numbers of entries, keys, whether rows can be created.
    fn finish_object(&mut self, id: ObjectId) -> Result<(), String> {
        if self.draft(id).hidden {
            return Ok(());
        }
        self.add_alias(id)?;
        self.add_count(id)?;
        let facts = std::mem::take(&mut self.draft(id).facts);
        let object = self.object(id);
        if object.table && object.each.is_empty() {
            return Err(format!("the table `{}` has no `each`", object.path));
        }
        let sections = matches!(object.each.first().map(|each| &each.rows), Some(RowSource::Uci { .. }));
        object.creatable = facts.creatable && (sections || object.new.native.is_some());
        object.keys = facts.keys;
        let params = &object.params;
        object.keys.retain(|key| key.params.iter().all(|name| params.iter().any(|param| param.name == *name)));
        Ok(())
    }

    fn wants(&mut self, id: ObjectId, name: &str) -> bool {
        self.object(id).param(name).is_none() && !self.draft(id).hidden_rows.iter().any(|hidden| &**hidden == name)
    }

    fn add_alias(&mut self, id: ObjectId) -> Result<(), String> {
        if !self.object(id).table || !self.wants(id, "Alias") {
            return Ok(());
        }
        let path = self.object(id).path.clone();
        if let Some(Element::Parameter { access, value }) = self.digest.element(&path, "Alias")? {
            self.object(id).params.push(param("Alias".into(), access, value, ParamSource::Alias));
        }
        Ok(())
    }

    fn add_count(&mut self, id: ObjectId) -> Result<(), String> {
        let Some(parent) = self.object(id).parent else { return Ok(()) };
        let Some(name) = self.draft(id).facts.count.clone() else { return Ok(()) };
        if !self.wants(parent, &name) {
            return Ok(());
        }
        let path = self.object(parent).path.clone();
        let value = match self.digest.element(&path, &name)? {
            Some(Element::Parameter { value, .. }) => value,
            Some(_) => return Ok(()),
            None if is_vendor(&self.object(id).path, "") => ValueFacts::plain(Kind::UnsignedInt),
            None => return Ok(()),
        };
        self.object(parent).params.push(param(name, Access::ReadOnly, value, ParamSource::Count(id)));
        Ok(())
    }
}

impl ValueFacts {
    /// A value of which only the type is known.
    fn plain(kind: Kind) -> Self {
        Self { kind, facets: Facets::default(), default: None, secured: false, quiet: false, mandatory: false }
    }
}

fn param(name: Box<str>, access: Access, value: ValueFacts, source: ParamSource) -> Param {
    Param {
        name,
        kind: value.kind,
        access,
        facets: value.facets,
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

fn without_hidden(schema: Schema, drafts: &[Draft]) -> Schema {
    let mut next = 0_u16;
    let renumbered: Vec<Option<ObjectId>> = drafts
        .iter()
        .map(|draft| {
            let id = (!draft.hidden).then_some(ObjectId(next));
            next += u16::from(!draft.hidden);
            id
        })
        .collect();
    let new_id = |id: ObjectId| renumbered.get(usize::from(id.0)).copied().flatten();
    let mut kept = Schema { live: schema.live, ..Schema::default() };
    for (index, mut object) in schema.objects.into_iter().enumerate() {
        let Some(id) = renumbered.get(index).copied().flatten() else { continue };
        object.parent = object.parent.and_then(new_id);
        object.children = object.children.into_iter().filter_map(new_id).collect();
        for param in &mut object.params {
            if let ParamSource::Count(of) = &mut param.source {
                *of = new_id(*of).unwrap_or(*of);
            }
        }
        kept.by_path.insert(object.path.clone(), id);
        kept.objects.push(object);
    }
    kept
}
