//! Types of values; `facets` replaces this with the whole check.

use super::schema::{Argument, Kind, Param};
use crate::usp::fault::{Code, Fault};
use std::borrow::Cow;

fn check(kind: Kind, text: &str) -> Result<Cow<'_, str>, Fault> {
    let wrong = || Fault::new(Code::InvalidType, "not of this type");
    match kind {
        Kind::Boolean => {
            super::value::truth(text).map(|t| if t { "true".into() } else { "false".into() }).ok_or_else(wrong)
        }
        Kind::Int | Kind::Long => text.parse::<i64>().map(|n| n.to_string().into()).map_err(|_| wrong()),
        Kind::UnsignedInt | Kind::UnsignedLong => {
            text.parse::<u64>().map(|n| n.to_string().into()).map_err(|_| wrong())
        }
        _ => Ok(text.into()),
    }
}

impl Param {
    /// The canonical text of a value.
    pub fn check<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, Fault> {
        check(self.kind, text)
    }
}

impl Argument {
    /// The canonical text of a value.
    pub fn check<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, Fault> {
        check(self.kind, text)
    }
}
