//! What a line of the mapping may name: lets above it, the key of a row, tables that exist.

use crate::model::notation::{Block, Item, ItemKind, NotationError, ObjectBlock, RowSourceText};
use crate::model::source::{
    Argument, CommandSource, Condition, Each, Filter, Piece, Pipeline, Pointer, PointerStep, RowSource, SectionRef,
    Source, Template,
};
use crate::order::Map;
use std::collections::HashMap;

/// What all blocks of one path say together.
#[derive(Default)]
struct Known<'a> {
    lets: Vec<&'a str>,
    sections: bool,
    elements: bool,
}

/// What a text or pipeline at one place can use.
struct Place<'s, 'a> {
    known: &'s HashMap<&'a str, Known<'a>>,
    /// The path of the object in whose row it stands.
    path: &'s str,
    /// Only so many lets of that object are defined yet.
    own_lets: usize,
}

/// Every name a line uses and that is not there.
pub(super) fn check(blocks: &[Block]) -> Vec<NotationError> {
    let known = collect(blocks);
    let mut lets_so_far: Map<&str, usize> = Map::new();
    let mut errors = Vec::new();
    for block in objects(blocks) {
        let defined = lets_so_far.or_insert_with(block.path, |_| 0);
        for item in &block.items {
            if let Err(text) = check_item(&known, block, item, *defined) {
                errors.push(item.at.error(text));
            }
            *defined += usize::from(matches!(item.kind, ItemKind::Let(..)));
        }
    }
    errors
}

fn objects(blocks: &[Block]) -> impl Iterator<Item = &ObjectBlock> {
    blocks.iter().filter_map(|block| if let Block::Object(object) = block { Some(object) } else { None })
}

fn collect(blocks: &[Block]) -> HashMap<&str, Known<'_>> {
    let mut known: HashMap<&str, Known<'_>> = HashMap::new();
    for block in objects(blocks) {
        let entry = known.entry(block.path).or_default();
        for item in &block.items {
            match &item.kind {
                ItemKind::Let(name, _) => entry.lets.push(name),
                ItemKind::Each(Each { rows: RowSource::Uci { .. }, .. }) => entry.sections = true,
                ItemKind::Each(Each { rows: RowSource::Elements { .. } | RowSource::Native(_), .. }) => {
                    entry.elements = true;
                }
                _ => {}
            }
        }
    }
    known
}

fn check_item(
    known: &HashMap<&str, Known<'_>>,
    block: &ObjectBlock,
    item: &Item,
    defined: usize,
) -> Result<(), String> {
    let row = Place { known, path: block.path, own_lets: usize::MAX };
    let above = Place { known, path: super::build::parent_path(block.path), own_lets: usize::MAX };
    match &item.kind {
        ItemKind::When(condition) => (if block.table { &above } else { &row }).condition(condition),
        ItemKind::Each(each) => {
            if let RowSource::Elements { of, key } = &each.rows {
                above.pipeline(of)?;
                if let crate::model::source::ElementKey::Pointer(pointer) = key {
                    above.pointer(pointer)?;
                }
            }
            each.conditions.iter().try_for_each(|condition| row.condition(condition))
        }
        ItemKind::Let(name, values) => {
            let place = Place { own_lets: defined, ..row };
            if place.own().iter().any(|other| **other == **name) {
                return Err(format!("the let `{name}` is there already"));
            }
            values.iter().try_for_each(|value| place.pipeline(value))
        }
        ItemKind::NewOption(_, text) => row.template(text),
        ItemKind::NewNative(_) | ItemKind::NewName(_) | ItemKind::NewBefore(_) | ItemKind::Hide(_) => Ok(()),
        ItemKind::Row(line) => match &line.source {
            RowSourceText::Parameter(values) => values.iter().try_for_each(|value| row.pipeline(value)),
            RowSourceText::Command(CommandSource::Ubus { object, args, .. }) => {
                row.template(object)?;
                row.arguments(args)
            }
            RowSourceText::Command(_) | RowSourceText::Event(_) => Ok(()),
        },
    }
}

impl<'a> Place<'_, 'a> {
    /// The lets of this object that are defined yet.
    fn own(&self) -> &[&'a str] {
        let lets = self.known.get(self.path).map_or(&[][..], |known| &known.lets);
        lets.get(..self.own_lets.min(lets.len())).unwrap_or_default()
    }

    /// This object and those above it, nearest first.
    fn upwards(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(self.path), |path| Some(super::build::parent_path(path)))
            .take_while(|path| !path.is_empty())
    }

    fn tables(&self) -> impl Iterator<Item = &str> {
        self.upwards().filter(|path| path.ends_with("{i}."))
    }

    fn nearest(&self) -> Option<&Known<'a>> {
        self.tables().next().and_then(|path| self.known.get(path))
    }

    fn condition(&self, condition: &Condition) -> Result<(), String> {
        self.pipeline(&condition.value)?;
        condition.test.as_ref().map_or(Ok(()), |(_, text)| self.template(text))
    }

    fn pipeline(&self, pipeline: &Pipeline) -> Result<(), String> {
        self.source(&pipeline.source)?;
        pipeline.filters.iter().try_for_each(|filter| match filter {
            Filter::Ref(table) if !table.ends_with("{i}.") || !self.known.contains_key(&**table) => {
                Err(format!("`ref {table}`: this table is not mapped"))
            }
            _ => Ok(()),
        })
    }

    fn source(&self, source: &Source) -> Result<(), String> {
        match source {
            Source::Ubus { object, args, pointer, .. } => {
                self.template(object)?;
                self.arguments(args)?;
                self.pointer(pointer)
            }
            Source::Uci { section: SectionRef::Named(text), .. }
            | Source::File(text)
            | Source::List(text)
            | Source::Link(text)
            | Source::Text(text) => self.template(text),
            Source::Option { .. } if !self.nearest().is_some_and(|table| table.sections) => {
                Err("`option` needs `each uci` in the nearest table".into())
            }
            Source::Item(_) if !self.nearest().is_some_and(|table| table.elements) => {
                Err("`item` needs `each SOURCE` in the nearest table".into())
            }
            Source::Item(pointer) => self.pointer(pointer),
            Source::Let(name, pointer) => {
                self.let_(name)?;
                self.pointer(pointer)
            }
            Source::Key => self.piece(&Piece::Key),
            Source::Uci { .. } | Source::Option { .. } | Source::Agent(_) | Source::Native(_) => Ok(()),
        }
    }

    fn arguments(&self, args: &[(Box<str>, Argument)]) -> Result<(), String> {
        args.iter().try_for_each(|(_, arg)| match arg {
            Argument::Filled(text) => self.template(text),
            Argument::Value(_) => Ok(()),
        })
    }

    fn pointer(&self, pointer: &Pointer) -> Result<(), String> {
        pointer.steps().try_for_each(|step| match step {
            PointerStep::Member(text) | PointerStep::Select(_, text) => self.template(&text),
            PointerStep::Index(_) => Ok(()),
        })
    }

    fn template(&self, template: &Template) -> Result<(), String> {
        template.pieces().try_for_each(|piece| self.piece(&piece))
    }

    fn piece(&self, piece: &Piece) -> Result<(), String> {
        match piece {
            Piece::Text(_) => Ok(()),
            Piece::Key if self.tables().next().is_none() => Err("`key` outside a table".into()),
            Piece::ParentKey if self.tables().nth(1).is_none() => {
                Err("`{parent.key}` outside a table of a table".into())
            }
            Piece::Key | Piece::ParentKey => Ok(()),
            Piece::Let(name) => self.let_(name),
        }
    }

    fn let_(&self, name: &str) -> Result<(), String> {
        let above = self.upwards().skip(1).filter_map(|path| self.known.get(path)).flat_map(|known| &known.lets);
        if self.own().iter().chain(above).any(|known| *known == name) {
            return Ok(());
        }
        Err(format!("no `let {name}` in this block before this line or in one above"))
    }
}
