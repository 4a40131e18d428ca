//! Texts with places to fill (`hostapd.{ifname}`) and ways into a value (`/list[name=lan]/up`).

use super::{MAX_PARTS, Reason, shortened};
use crate::model::source::{Piece, Pointer, PointerStep, Template};

/// A text with places to fill.
pub(super) fn template(text: &str) -> Result<Template, Reason> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) =
            after.split_once('}').ok_or_else(|| format!("`{{` without `}}` in `{}`", shortened(text)))?;
        push_text(&mut pieces, before);
        pieces.push(place(name)?);
        rest = behind;
        if pieces.len() > MAX_PARTS {
            return Err(format!("more than {MAX_PARTS} places to fill in one text"));
        }
    }
    push_text(&mut pieces, rest);
    pieces.shrink_to_fit();
    Ok(Template(pieces))
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text.into()));
    }
}

fn place(name: &str) -> Result<Piece, Reason> {
    match name {
        "key" => Ok(Piece::Key),
        "parent.key" => Ok(Piece::ParentKey),
        name if is_name(name) => Ok(Piece::Let(name.into())),
        other => Err(format!(
            "`{{{}}}` is no place to fill; allowed: {{key}}, {{parent.key}}, {{NAME}} of a let",
            shortened(other)
        )),
    }
}

/// A name of a `let`.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// A way into a value; `text` starts with a slash.
pub(super) fn pointer(text: &str) -> Result<Pointer, Reason> {
    let mut steps = Vec::new();
    let inner = text.strip_prefix('/').ok_or_else(|| format!("`{}` does not start with /", shortened(text)))?;
    for part in split_outside(inner, '/') {
        step(part, &mut steps).map_err(|why| format!("pointer `{}`: {why}", shortened(text)))?;
        if steps.len() > MAX_PARTS {
            return Err(format!("a pointer of more than {MAX_PARTS} steps"));
        }
    }
    steps.shrink_to_fit();
    Ok(Pointer(steps))
}

/// The parts between `mark`s that stand outside `[]` and `{}`.
pub(super) fn split_outside(text: &str, mark: char) -> Vec<&str> {
    let mut depth = 0_usize;
    text.split(|c: char| {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && c == mark
    })
    .collect()
}

fn step(part: &str, steps: &mut Vec<PointerStep>) -> Result<(), Reason> {
    let (name, select) = match part.split_once('[') {
        None => (part, None),
        Some((name, rest)) => {
            let select = rest.strip_suffix(']').and_then(|inner| inner.split_once('='));
            (name, Some(select.ok_or("`[` wants `[MEMBER=TEXT]`")?))
        }
    };
    if name.is_empty() && select.is_none() {
        return Err("an empty step".into());
    }
    if name.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty() {
        steps.push(PointerStep::Index(name.parse().map_err(|_| "an index over 65535")?));
    } else if !name.is_empty() {
        steps.push(PointerStep::Member(template(name)?));
    }
    if let Some((member, value)) = select {
        steps.push(PointerStep::Select(member.into(), template(value)?));
    }
    Ok(())
}
