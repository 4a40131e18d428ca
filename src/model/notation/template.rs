//! Texts with places to fill (`hostapd.{ifname}`) and ways into a value (`/list[name=lan]/up`).

use super::{MAX_PARTS, Reason, shortened};
use crate::model::source::{Piece, Pointer, Template, Text, split_outside};

/// A text with places to fill.
pub(super) fn template(text: Text) -> Result<Template, Reason> {
    if text.rfind('{') > text.rfind('}') {
        return Err(format!("`{{` without `}}` in `{}`", shortened(text)));
    }
    let template = Template(text);
    for (count, piece) in template.pieces().enumerate() {
        match piece {
            _ if count >= MAX_PARTS => return Err(format!("more than {MAX_PARTS} places to fill in one text")),
            Piece::Let(name) if !is_name(name) => {
                return Err(format!(
                    "`{{{}}}` is no place to fill; allowed: {{key}}, {{parent.key}}, {{NAME}} of a let",
                    shortened(name)
                ));
            }
            _ => {}
        }
    }
    Ok(template)
}

/// A name of a `let`.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// A way into a value; `text` starts with a slash.
pub(super) fn pointer(text: Text) -> Result<Pointer, Reason> {
    let inner = text.strip_prefix('/').ok_or_else(|| format!("`{}` does not start with /", shortened(text)))?;
    for (count, part) in split_outside(inner, '/').enumerate() {
        if count >= MAX_PARTS {
            return Err(format!("a pointer of more than {MAX_PARTS} steps"));
        }
        step(part).map_err(|why| format!("pointer `{}`: {why}", shortened(text)))?;
    }
    Ok(Pointer(text))
}

/// A member or an index, an element by a member's text, or both.
fn step(part: Text) -> Result<(), Reason> {
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
    if !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) && name.parse::<u16>().is_err() {
        return Err("an index over 65535".into());
    }
    template(name)?;
    select.map_or(Ok(()), |(_, value)| template(value).map(drop))
}
