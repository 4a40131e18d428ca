//! A source and its filters: `ubus system board /model | lower`.

use super::template::{is_name, pointer, template};
use super::{MAX_PARTS, Reason, Word, Words, json, shortened, unknown};
use crate::model::source::{
    Arguments, Condition, Filter, Pipeline, Pointer, SectionRef, Source, Template, Text, split_outside,
};

const SOURCES: &str = "ubus, uci, option, item, $NAME, file, list, link, key, agent, text, native";
const FILTERS: &str = "default, map, not, mul, div, add, netmask, ref, list, line, word, after, before, upper, lower, own-id, \
                       unquote, basename, has, exists, count, date, ago, fixed, native";

/// `SOURCE | FILTER | ...`, as far as it goes.
pub(super) fn pipeline(words: &mut Words<'static>) -> Result<Pipeline, Reason> {
    let source = source(words)?;
    let mut filters = Vec::new();
    while words.skip("|") {
        filters.push(filter(words)?);
        if filters.len() > MAX_PARTS {
            return Err(format!("more than {MAX_PARTS} filters"));
        }
    }
    filters.shrink_to_fit();
    Ok(Pipeline { source, filters })
}

/// `VALUE == TEXT`, `VALUE != TEXT` or `VALUE`.
pub(super) fn condition(words: &mut Words<'static>) -> Result<Condition, Reason> {
    let value = pipeline(words)?;
    let equal = if words.skip("==") {
        true
    } else if words.skip("!=") {
        false
    } else {
        return Ok(Condition { value, test: None });
    };
    let text = template(words.need("the text to compare with")?.kept())?;
    Ok(Condition { value, test: Some((equal, text)) })
}

fn source(words: &mut Words<'static>) -> Result<Source, Reason> {
    let word = words.need("a source")?;
    Ok(match word.0 {
        "ubus" => {
            let (object, method, args) = call(words)?;
            Source::Ubus { object, method, args, pointer: optional_pointer(words)? }
        }
        "uci" => uci(text(words, "PACKAGE.SECTION.OPTION")?)?,
        "option" => {
            let (option, index) = option(text(words, "the option")?)?;
            Source::Option { option, index }
        }
        "item" => Source::Item(optional_pointer(words)?),
        "file" => Source::File(path(words)?),
        "list" => Source::List(path(words)?),
        "link" => Source::Link(path(words)?),
        "key" => Source::Key,
        "agent" => Source::Agent(text(words, "the agent's name of the value")?),
        "text" => Source::Text(template(text(words, "the text")?)?),
        "native" => Source::Native(text(words, "the native function")?),
        other => match other.strip_prefix('$') {
            Some(name) if is_name(name) => Source::Let(name, optional_pointer(words)?),
            _ => return Err(unknown("the source", other, SOURCES)),
        },
    })
}

/// Object, method and arguments of a ubus call.
type Call = (Template, Text, Arguments);

/// `OBJECT METHOD [ARGS]` of a ubus call.
pub(super) fn call(words: &mut Words<'static>) -> Result<Call, Reason> {
    let object = template(words.need("the ubus object")?.kept())?;
    let method = text(words, "the ubus method")?;
    let args = match words.peek().filter(|word| word.is_json()) {
        None => Box::default(),
        Some(word) => {
            words.next();
            json::arguments(word.0)?
        }
    };
    Ok((object, method, args))
}

/// The text of the next word.
pub(super) fn text(words: &mut Words<'static>, what: &str) -> Result<Text, Reason> {
    Ok(words.need(what)?.kept())
}

fn path(words: &mut Words<'static>) -> Result<Template, Reason> {
    let path = text(words, "the path")?;
    if !path.starts_with('/') {
        return Err(format!("the path `{}` does not start with /", shortened(path)));
    }
    template(path)
}

fn optional_pointer(words: &mut Words<'static>) -> Result<Pointer, Reason> {
    match words.peek().filter(|word| word.0.starts_with('/')) {
        None => Ok(Pointer::default()),
        Some(word) => {
            words.next();
            pointer(word.kept())
        }
    }
}

fn uci(text: Text) -> Result<Source, Reason> {
    let mut parts = split_outside(text, '.');
    let (Some(package), Some(section_ref), Some(option_text), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(format!("`{}` wants PACKAGE.SECTION.OPTION", shortened(text)));
    };
    let (option, index) = option(option_text)?;
    Ok(Source::Uci { package: uci_name("package", package)?, section: section(section_ref)?, option, index })
}

/// A name UCI allows; a package may hold a dash.
pub(super) fn uci_name(what: &str, name: Text) -> Result<Text, Reason> {
    let fits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if fits { Ok(name) } else { Err(format!("`{}` is no UCI {what}", shortened(name))) }
}

fn section(text: Text) -> Result<SectionRef, Reason> {
    let Some(typed) = text.strip_prefix('@') else {
        return if text.is_empty() {
            Err("the UCI section is missing".into())
        } else {
            template(text).map(SectionRef::Named)
        };
    };
    let (kind, rest) = typed.split_once('[').ok_or("a section by type wants `@TYPE[N]`")?;
    let index = rest.strip_suffix(']').and_then(|n| n.parse().ok()).ok_or("a section by type wants `@TYPE[N]`")?;
    Ok(SectionRef::Typed(uci_name("section type", kind)?, index))
}

/// `OPTION` or `OPTION[n]`.
fn option(text: Text) -> Result<(Text, Option<u16>), Reason> {
    match text.split_once('[') {
        None => Ok((uci_name("option", text)?, None)),
        Some((name, rest)) => {
            let index =
                rest.strip_suffix(']').and_then(|n| n.parse().ok()).ok_or("an element of a list is `OPTION[N]`")?;
            Ok((uci_name("option", name)?, Some(index)))
        }
    }
}

fn filter(words: &mut Words<'static>) -> Result<Filter, Reason> {
    let word = words.need("a filter")?;
    Ok(match word.0 {
        "default" => Filter::Default(text(words, "the default")?),
        "map" => map(words)?,
        "not" => Filter::Not,
        "mul" => Filter::Mul(number(words)?),
        "div" => Filter::Div(divisor(words)?),
        "add" => Filter::Add(number(words)?),
        "line" => Filter::Line(text(words, "the start of the line")?),
        "word" => Filter::Word(position(words)?),
        "after" => Filter::After(text(words, "the text")?),
        "before" => Filter::Before(text(words, "the text")?),
        "upper" => Filter::Upper,
        "lower" => Filter::Lower,
        "unquote" => Filter::Unquote,
        "basename" => Filter::Basename,
        "list" => Filter::List,
        "fixed" => Filter::Fixed,
        "own-id" => Filter::OwnId,
        "netmask" => Filter::Netmask,
        "date" => Filter::Date,
        "ago" => Filter::Ago,
        "ref" => Filter::Ref(text(words, "the table")?),
        "has" => Filter::Has(text(words, "the text")?),
        "exists" => Filter::Exists,
        "count" => Filter::Count,
        "native" => Filter::Native(text(words, "the native function")?),
        other => return Err(unknown("the filter", other, FILTERS)),
    })
}

fn map(words: &mut Words<'static>) -> Result<Filter, Reason> {
    let mut pairs: Vec<(Text, Text)> = Vec::new();
    let mut other = None;
    while let Some((from, to)) = words.peek().and_then(|word| word.cut(b':')) {
        words.next();
        if from.0 == "*" {
            other = Some(to.kept());
        } else if pairs.iter().any(|(known, _)| **known == *from.text()) {
            return Err(format!("`map` names `{}` twice", shortened(from.0)));
        } else {
            pairs.push((from.kept(), to.kept()));
        }
    }
    pairs.shrink_to_fit();
    if pairs.is_empty() && other.is_none() {
        return Err("`map` wants FROM:TO".into());
    }
    Ok(Filter::Map(pairs, other))
}

fn number(words: &mut Words<'static>) -> Result<i64, Reason> {
    let word: Word<'static> = words.need("a number")?;
    word.0.parse().map_err(|_| format!("`{}` is no whole number", shortened(word.0)))
}

fn divisor(words: &mut Words<'static>) -> Result<i64, Reason> {
    match number(words)? {
        n if n > 0 => Ok(n),
        n => Err(format!("`div {n}`: the divisor must be positive")),
    }
}

/// A position from 1.
pub(super) fn position(words: &mut Words<'static>) -> Result<u16, Reason> {
    let n = number(words)?;
    u16::try_from(n).ok().filter(|&n| n > 0).ok_or_else(|| format!("`{n}` is no position from 1 to 65535"))
}
