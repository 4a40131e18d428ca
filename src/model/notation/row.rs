//! Lines inside a block: rows and what says where rows of a table come from.

use super::block::{Item, ItemKind, Row, RowSourceText};
use super::head::is_element_name;
use super::pipeline::{call, condition, pipeline, position, text, uci_name};
use super::template::{is_name, pointer, template};
use super::{MAX_PARTS, Reason, Words, shortened, unknown};
use crate::model::schema::{Access, Kind};
use crate::model::source::{CommandSource, Condition, Each, ElementKey, Pipeline, Raised, RowSource, Text};

/// Reads a line of a block.
pub(super) fn item(words: &mut Words<'static>) -> Result<ItemKind, Reason> {
    let Some(first) = words.peek() else { return Err("an empty line".into()) };
    Ok(match first.0 {
        "when" => {
            words.next();
            ItemKind::When(condition(words)?)
        }
        "each" => {
            words.next();
            ItemKind::Each(each(words)?)
        }
        "let" => {
            words.next();
            let_(words)?
        }
        "new" => {
            words.next();
            new(words)?
        }
        "hide" => {
            words.next();
            ItemKind::Hide(element(words)?)
        }
        _ => ItemKind::Row(row(words)?),
    })
}

/// `or VALUE [or VALUE]...` below a row.
pub(super) fn continue_row(item: &mut Item, words: &mut Words<'static>) -> Result<(), Reason> {
    match &mut item.kind {
        ItemKind::Row(Row { source: RowSourceText::Parameter(values), .. }) | ItemKind::Let(_, values) => {
            alternatives(values, words)
        }
        _ => Err("`or` continues a parameter or a let only".into()),
    }
}

/// `VALUE [or VALUE]...`
fn values(words: &mut Words<'static>) -> Result<Vec<Pipeline>, Reason> {
    let mut values = vec![pipeline(words)?];
    alternatives(&mut values, words)?;
    Ok(values)
}

fn alternatives(values: &mut Vec<Pipeline>, words: &mut Words<'static>) -> Result<(), Reason> {
    while words.skip("or") {
        values.push(pipeline(words)?);
        if values.len() > MAX_PARTS {
            return Err(format!("more than {MAX_PARTS} alternatives"));
        }
    }
    values.shrink_to_fit();
    Ok(())
}

fn let_(words: &mut Words<'static>) -> Result<ItemKind, Reason> {
    let name = text(words, "the name")?;
    if !is_name(name) || name == "key" {
        return Err(format!("`{}` is no name for a let", shortened(name)));
    }
    equals(words)?;
    Ok(ItemKind::Let(name, values(words)?))
}

fn equals(words: &mut Words<'static>) -> Result<(), Reason> {
    match words.next() {
        Some(word) if word.0 == "=" => Ok(()),
        Some(word) => Err(format!("`=` is missing before `{}`", shortened(word.0))),
        None => Err("`=` is missing".into()),
    }
}

fn new(words: &mut Words<'static>) -> Result<ItemKind, Reason> {
    match words.need("set, name, before or native")?.0 {
        "set" => {
            let option = uci_name("option", text(words, "the option")?)?;
            Ok(ItemKind::NewOption(option, template(text(words, "the text")?)?))
        }
        "native" => Ok(ItemKind::NewNative(text(words, "the native function")?)),
        "name" => Ok(ItemKind::NewName(uci_name("section", text(words, "the prefix")?)?)),
        "before" => Ok(ItemKind::NewBefore(uci_name("section", text(words, "the prefix")?)?)),
        other => Err(unknown("what a new row gets", other, "set OPTION TEXT, name PREFIX, before PREFIX, native NAME")),
    }
}

fn each(words: &mut Words<'static>) -> Result<Each, Reason> {
    let rows = match words.peek().map(|word| word.0) {
        Some("uci") => {
            words.next();
            sections(text(words, "PACKAGE.TYPE")?)?
        }
        Some("agent") => {
            words.next();
            RowSource::Agent(text(words, "the agent's name of the rows")?)
        }
        Some("native") => {
            words.next();
            RowSource::Native(text(words, "the native function")?)
        }
        _ => RowSource::Elements { of: pipeline(words)?, key: element_key(words)? },
    };
    Ok(Each { rows, conditions: conditions(words)? })
}

fn sections(text: Text) -> Result<RowSource, Reason> {
    let (package, kind) = text.split_once('.').ok_or("`each uci` wants PACKAGE.TYPE")?;
    Ok(RowSource::Uci { package: uci_name("package", package)?, kind: uci_name("section type", kind)? })
}

fn element_key(words: &mut Words<'static>) -> Result<ElementKey, Reason> {
    if !words.skip("key") {
        return Ok(ElementKey::Natural);
    }
    if words.skip("word") {
        return Ok(ElementKey::Word(position(words)?));
    }
    Ok(ElementKey::Pointer(pointer(text(words, "/POINTER or word N")?)?))
}

fn conditions(words: &mut Words<'static>) -> Result<Vec<Condition>, Reason> {
    let mut conditions = Vec::new();
    while words.skip("where") {
        conditions.push(condition(words)?);
        if conditions.len() > MAX_PARTS {
            return Err(format!("more than {MAX_PARTS} conditions"));
        }
    }
    conditions.shrink_to_fit();
    Ok(conditions)
}

fn row(words: &mut Words<'static>) -> Result<Row, Reason> {
    let replace = words.skip("replace");
    let name = element(words)?;
    let plain = !name.ends_with(['!', ')']);
    let declared = if plain { declaration(words)? } else { None };
    equals(words)?;
    let source = if name.ends_with(')') {
        RowSourceText::Command(command(words)?)
    } else if plain {
        RowSourceText::Parameter(values(words)?)
    } else {
        event(words)?
    };
    Ok(Row { name, replace, declared, source })
}

/// `Name`, `Name()` or `Name!`.
fn element(words: &mut Words<'static>) -> Result<Text, Reason> {
    let name = text(words, "the name")?;
    let bare = name.strip_suffix("()").or_else(|| name.strip_suffix('!')).unwrap_or(name);
    if !is_element_name(bare) {
        return Err(format!(
            "`{}` begins no line of a block; allowed: when, each, let, new, hide, replace, or a NAME, NAME() or NAME!",
            shortened(name)
        ));
    }
    Ok(name)
}

fn declaration(words: &mut Words<'static>) -> Result<Option<(Kind, Access)>, Reason> {
    let Some(word) = words.peek().filter(|word| word.0 != "=") else { return Ok(None) };
    let kind = Kind::from_name(word.0).ok_or_else(|| {
        unknown(
            "the type",
            word.0,
            "string, boolean, int, unsignedInt, long, unsignedLong, decimal, dateTime, base64, hexBinary",
        )
    })?;
    words.next();
    let access = if words.skip("rw") {
        Access::ReadWrite
    } else if words.skip("w1") {
        Access::WriteOnce
    } else {
        Access::ReadOnly
    };
    Ok(Some((kind, access)))
}

fn command(words: &mut Words<'static>) -> Result<CommandSource, Reason> {
    match words.need("what does it")?.0 {
        "ubus" => call(words).map(|(object, method, args)| CommandSource::Ubus { object, method, args }),
        "agent" => Ok(CommandSource::Agent(text(words, "the agent's name of the command")?)),
        "operation" => Ok(CommandSource::Operation(text(words, "the operation")?)),
        other => Err(unknown("what does a command", other, "ubus OBJECT METHOD, agent NAME, operation NAME")),
    }
}

fn event(words: &mut Words<'static>) -> Result<RowSourceText, Reason> {
    match words.need("what raises it")?.0 {
        "agent" => Ok(RowSourceText::Event(None)),
        "event" => raised(words).map(|raised| RowSourceText::Event(Some(raised))),
        other => Err(unknown("what raises an event", other, "agent, event PATTERN [ARGUMENT /POINTER]...")),
    }
}

/// `PATTERN [ARGUMENT /POINTER]...`
fn raised(words: &mut Words<'static>) -> Result<Raised, Reason> {
    let pattern = text(words, "the ubus event")?;
    let mut given = Vec::new();
    while words.peek().is_some() {
        let argument = text(words, "the argument")?;
        if !is_element_name(argument) {
            return Err(format!("`{}` is no name of an argument", shortened(argument)));
        }
        let pointer = text(words, "the pointer into the event's data")?;
        if !pointer.starts_with('/') {
            return Err(format!("the pointer `{}` does not start with /", shortened(pointer)));
        }
        given.push((argument, pointer));
        if given.len() > MAX_PARTS {
            return Err(format!("more than {MAX_PARTS} arguments"));
        }
    }
    Ok(Raised { pattern, given })
}
