//! Lines that open a block: `object`, `table`, `live`.

use super::block::ObjectBlock;
use super::pipeline::text;
use super::{Position, Reason, Words, shortened, unknown};
use crate::backend::Watch;
use crate::model::schema::{Live, LiveSource};
use crate::model::source::Text;

/// The deepest path, in names.
const MAX_NAMES: usize = 24;

/// `object PATH` or `table PATH [rw] [keys A,B C]`.
pub(super) fn head(at: Position, words: &mut Words<'static>) -> Result<ObjectBlock, Reason> {
    let table = words.need("object or table")?.0 == "table";
    let path = path(words)?;
    match (table, path.ends_with("{i}.")) {
        (true, false) => {
            return Err(format!("the path of a table ends with `{{i}}.`, `{}` does not", shortened(path)));
        }
        (false, true) => return Err(format!("`{}` is a table: say `table`, not `object`", shortened(path))),
        _ => {}
    }
    let creatable = table && words.skip("rw");
    let keys = if table && words.skip("keys") { keys(words)? } else { Vec::new() };
    Ok(ObjectBlock { at, path, table, creatable, keys, items: Vec::new() })
}

fn keys(words: &mut Words<'static>) -> Result<Vec<Vec<Box<str>>>, Reason> {
    let mut keys = Vec::new();
    while let Some(word) = words.next() {
        let names: Vec<Box<str>> = word.text().split(',').map(Box::from).collect();
        if let Some(wrong) = names.iter().find(|name| !is_element_name(name)) {
            return Err(format!("`{}` is no name of a parameter", shortened(wrong)));
        }
        keys.push(names);
    }
    if keys.is_empty() { Err("`keys` wants names of parameters: A,B C".into()) } else { Ok(keys) }
}

/// A template path: `Device.`, names, `{i}`, a final dot.
pub(super) fn path(words: &mut Words<'static>) -> Result<Text, Reason> {
    let path = text(words, "the path")?;
    let wrong = |why: &str| Err(format!("path `{}`: {why}", shortened(path)));
    let Some(names) = path.strip_suffix('.') else { return wrong("it ends with a dot") };
    let mut before = "{i}";
    for (index, name) in names.split('.').enumerate() {
        let fits = if name == "{i}" { before != "{i}" && index > 1 } else { is_element_name(name) };
        if !fits || (index == 0 && name != "Device") || index >= MAX_NAMES {
            return wrong("it is Device, names and {i}, with dots between");
        }
        before = name;
    }
    Ok(path)
}

/// A name as TR-106 has it.
pub(super) fn is_element_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// `live ubus OBJECT METHOD on event|object NAME`, `live file PATH on file PATH`.
pub(super) fn live(words: &mut Words<'static>) -> Result<Live, Reason> {
    words.next();
    let source = match words.need("ubus or file")?.0 {
        "ubus" => LiveSource::Ubus(text(words, "the ubus object")?, text(words, "the ubus method")?),
        "file" => LiveSource::File(text(words, "the path")?),
        other => return Err(unknown("the live source", other, "ubus OBJECT METHOD, file PATH")),
    };
    if !words.skip("on") {
        return Err("`on` is missing: live SOURCE on event|object|file NAME".into());
    }
    let kind = words.need("event, object or file")?.0;
    let name = text(words, "what to watch")?;
    let watch = match kind {
        "event" => Watch::Event(name.into()),
        "object" => Watch::Object(name.into()),
        "file" => Watch::File(name.into()),
        other => return Err(unknown("what to watch", other, "event PATTERN, object OBJECT, file PATH")),
    };
    Ok(Live { source, watch })
}
