//! Which Rust functions (`native NAME`) a mapping names.

use super::{Block, Item, ItemKind, Position, RowSourceText};
use crate::model::source::{Condition, Each, Filter, Pipeline, RowSource, Source};

/// The names of native functions in the blocks, with the lines that name them.
pub fn natives(blocks: &[Block]) -> Vec<(&Position, &str)> {
    let mut found = Vec::new();
    let objects = blocks.iter().filter_map(|block| if let Block::Object(object) = block { Some(object) } else { None });
    for item in objects.flat_map(|object| &object.items) {
        let mut names = Vec::new();
        of_item(item, &mut names);
        found.extend(names.into_iter().map(|name| (&item.at, name)));
    }
    found
}

fn of_item<'a>(item: &'a Item, names: &mut Vec<&'a str>) {
    match &item.kind {
        ItemKind::When(condition) => of_pipeline(&condition.value, names),
        ItemKind::Each(each) => of_each(each, names),
        ItemKind::Let(_, values) => values.iter().for_each(|value| of_pipeline(value, names)),
        ItemKind::NewNative(name) => names.push(name),
        ItemKind::Row(row) => {
            if let RowSourceText::Parameter(values) = &row.source {
                values.iter().for_each(|value| of_pipeline(value, names));
            }
        }
        ItemKind::NewOption(..) | ItemKind::NewName(_) | ItemKind::NewBefore(_) | ItemKind::Hide(_) => {}
    }
}

fn of_each<'a>(each: &'a Each, names: &mut Vec<&'a str>) {
    match &each.rows {
        RowSource::Native(name) => names.push(name),
        RowSource::Elements { of, .. } => of_pipeline(of, names),
        RowSource::Uci { .. } | RowSource::Agent(_) => {}
    }
    each.conditions.iter().for_each(|Condition { value, .. }| of_pipeline(value, names));
}

fn of_pipeline<'a>(pipeline: &'a Pipeline, names: &mut Vec<&'a str>) {
    if let Source::Native(name) = &pipeline.source {
        names.push(name);
    }
    names.extend(pipeline.filters.iter().filter_map(|filter| match filter {
        Filter::Native(name) => Some(&**name),
        _ => None,
    }));
}
