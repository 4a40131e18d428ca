//! What the standard demands of a value: type, range, length, enumeration, pattern.

mod check;
mod pattern;

pub(in crate::model) use check::is_decimal;

/// The facets of a parameter or argument, as the digest gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Facets {
    /// A comma-separated list of such values.
    pub list: Option<List>,
    /// Inclusive ranges of a number; empty is any.
    pub ranges: Vec<(Option<i64>, Option<i64>)>,
    /// The number is a multiple of this, counted from 0.
    pub step: Option<u32>,
    /// Lengths of a string (or of the bytes of base64 and hexBinary); empty is any.
    pub sizes: Vec<(u32, Option<u32>)>,
    /// Texts that may be written; empty is any.
    pub enumeration: Vec<Box<str>>,
    /// XSD patterns, one of which must match the whole text; empty is any.
    pub patterns: Vec<Box<str>>,
    /// The value is a path of a row (or a list of them).
    pub reference: Option<Reference>,
}

/// Limits of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct List {
    /// Fewest elements.
    pub min_items: u32,
    /// Most elements.
    pub max_items: Option<u32>,
    /// Longest text of the whole list, in characters.
    pub max_length: Option<u32>,
}

/// A reference parameter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// A strong reference goes when its target goes.
    pub strong: bool,
}
