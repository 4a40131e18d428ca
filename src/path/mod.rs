//! The path grammar of USP (TR-369, "Path Names" and "Data Model Path Grammar").
//!
//! [`parse()`] turns the text of a path into steps that borrow from it: object names, instance
//! numbers, wildcards, search expressions, `{i}` and reference following, and what the path ends
//! in: an object, a parameter, a command or an event. [`Condition::holds`] compares a value by its
//! TR-181 type.
//!
//! It knows no data model: whether `Device.WiFi` names an object whose final dot was forgotten or
//! a parameter is for the model to say ([`Leaf::Parameter`] either way). A path that is refused
//! becomes error 7008 at the caller's.

mod compare;
mod condition;
mod cursor;
mod parse;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

pub use compare::{Kind, Mismatch, Scalar};
pub use parse::{parse, parse_relative};

/// Bytes of a path at most. The standard's own path parameters hold 256; expressions need more.
pub const MAX_LENGTH: usize = 4096;
/// Steps of a path at most, the leaf not counted. TR-181 goes 17 deep.
pub const MAX_STEPS: usize = 32;
/// Conditions of one search expression at most.
pub const MAX_CONDITIONS: usize = 16;

/// How much of what the grammar forbids is understood nevertheless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dialect {
    /// Accept string constants without quotes, blanks within them included
    /// (`[Alias==My WiFi]`), and `Device` without its dot.
    pub lenient: bool,
}

impl Dialect {
    /// The grammar of TR-369.
    pub const STRICT: Self = Self { lenient: false };
    /// What controllers in the field send.
    pub const LENIENT: Self = Self { lenient: true };
}

/// A path that follows the grammar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path<'a> {
    /// The path as it was given.
    pub text: &'a str,
    /// What leads to the object, from the root on.
    pub steps: Vec<Step<'a>>,
    /// What the path names in that object.
    pub leaf: Leaf<'a>,
    object_end: usize,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<'a> {
    /// An object or table name.
    Name(&'a str),
    /// A row by its instance number, 1 or more.
    Instance(u32),
    /// `*`: every row.
    Wildcard,
    /// `[...]`: the rows that match, or the one row of a unique key.
    Search(Expression<'a>),
    /// `{i}`: the row of the supported data model.
    Template,
    /// `Parameter+`: on to the object that a reference parameter names.
    Follow(Follow<'a>),
}

/// Following of a reference parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Follow<'a> {
    /// The reference parameter's name.
    pub parameter: &'a str,
    /// Which item of its list.
    pub which: Which,
}

/// Which item of a list of references is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// `Ref+`: the first, which is the only one of a plain reference.
    One,
    /// `Ref#2+`: that one, counted from 1.
    Nth(u32),
    /// `Ref#*+`: all of them.
    All,
}

/// What a path ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaf<'a> {
    /// The object, table or row itself.
    Object,
    /// A name without a final dot: a parameter, or an object whose dot was left out.
    Parameter(&'a str),
    /// `Name()`, without the parentheses.
    Command(&'a str),
    /// `Name!`, without the mark.
    Event(&'a str),
}

/// The conditions between `[` and `]`, all of which must hold; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression<'a> {
    /// In the order they were written.
    pub conditions: Vec<Condition<'a>>,
}

/// One comparison of a search expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition<'a> {
    /// The parameter, relative to the row.
    pub parameter: RelativePath<'a>,
    /// How to compare.
    pub operator: Operator,
    /// What to compare with.
    pub constant: Constant<'a>,
}

/// A parameter below a given object.
///
/// In a [`Condition`] the steps are names and references followed, never a row; from
/// [`parse_relative`] they are names and instance numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelativePath<'a> {
    /// The relative path as it was given.
    pub text: &'a str,
    /// What leads to the parameter's object; empty for a parameter of the object itself.
    pub steps: Vec<Step<'a>>,
    /// The parameter's name.
    pub parameter: &'a str,
}

/// The operators of a search expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `~=`: the list has this element.
    Contains,
    /// `<`
    Less,
    /// `>`
    Greater,
    /// `<=`
    LessOrEqual,
    /// `>=`
    GreaterOrEqual,
}

/// The right-hand side of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Constant<'a> {
    /// As written, without the quotes, escapes still in place.
    pub raw: &'a str,
    /// It stood in double quotes.
    pub quoted: bool,
    /// Without quotes it may still stand for a string ([`Dialect::lenient`]).
    pub lenient: bool,
}

impl<'a> Path<'a> {
    /// The part that leads to the object: the whole text for [`Leaf::Object`], else everything up
    /// to and including the dot before the leaf.
    pub fn object(&self) -> &'a str {
        self.text.get(..self.object_end).unwrap_or(self.text)
    }

    /// Searching is expected to match any number of rows, none included (R-MSG.4a): the path holds
    /// a wildcard, an expression or `#*+`.
    pub fn is_search(&self) -> bool {
        self.steps.iter().any(|step| match step {
            Step::Wildcard | Step::Search(_) => true,
            Step::Follow(follow) => follow.which == Which::All,
            Step::Name(_) | Step::Instance(_) | Step::Template => false,
        })
    }

    /// Nothing but names and instance numbers: the path names one thing without asking a router.
    pub fn is_concrete(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Name(_) | Step::Instance(_)))
    }

    /// The path holds `{i}`: it is one of the supported data model.
    pub fn has_template(&self) -> bool {
        self.steps.contains(&Step::Template)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// The paths of a comma-separated list, as in ReferenceList: a comma within quotes divides nothing,
/// blanks around a path and empty items are left out.
pub fn split_list(list: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let items = list.split(move |character| {
        quoted ^= character == '"';
        character == ',' && !quoted
    });
    items.map(str::trim).filter(|item| !item.is_empty())
}

impl Constant<'_> {
    /// The constant with its escapes (`%22`, `%25`) resolved. Any other ASCII escape is resolved
    /// too; a percent sign that begins no escape stands for itself.
    pub fn text(&self) -> Cow<'_, str> {
        if self.quoted { compare::unescape(self.raw) } else { Cow::Borrowed(self.raw) }
    }
}

/// Why a text is no path, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathError {
    /// Byte position, from 0.
    pub at: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The text is empty.
    Empty,
    /// More than [`MAX_LENGTH`] bytes.
    TooLong,
    /// More than [`MAX_STEPS`] steps.
    TooDeep,
    /// More than [`MAX_CONDITIONS`] conditions.
    TooManyConditions,
    /// A name must begin with a letter or `_`.
    ExpectedName,
    /// Only a name and a dot make a root object.
    ExpectedDot,
    /// Something follows a finished name, `()` or `!`.
    Unexpected,
    /// An instance number is 1 to 4294967295 without leading zeros.
    InvalidInstance,
    /// A row must follow the name of a table.
    MisplacedInstance,
    /// Rows and references cannot follow `{i}`.
    AfterTemplate,
    /// Only `{i}` may stand in curly brackets.
    InvalidTemplate,
    /// Reference following is `+`, `#N+` or `#*+`.
    InvalidFollow,
    /// An expression must hold a condition.
    EmptyExpression,
    /// A condition cannot descend into a table; give the table its own expression.
    ChildTable,
    /// One of `== != ~= < > <= >=`.
    ExpectedOperator,
    /// A constant must follow the operator.
    ExpectedConstant,
    /// The closing quote is missing.
    UnclosedString,
    /// `&&` or `]` must follow.
    ExpectedAndOrClose,
    /// Here only a parameter, perhaps below an object, can be named.
    NotAParameter,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at position {}", self.reason.text(), self.at)
    }
}

impl std::error::Error for PathError {}

impl Reason {
    fn text(self) -> &'static str {
        match self {
            Self::Empty => "empty path",
            Self::TooLong => "path too long",
            Self::TooDeep => "path too deep",
            Self::TooManyConditions => "too many conditions",
            Self::ExpectedName => "expected a name",
            Self::ExpectedDot => "expected a dot",
            Self::Unexpected => "unexpected character",
            Self::InvalidInstance => "invalid instance number",
            Self::MisplacedInstance => "instance without a table",
            Self::AfterTemplate => "instance or reference after {i}",
            Self::InvalidTemplate => "only {i} may stand in curly brackets",
            Self::InvalidFollow => "invalid reference following",
            Self::EmptyExpression => "empty search expression",
            Self::ChildTable => "search condition descends into a table",
            Self::ExpectedOperator => "expected an operator",
            Self::ExpectedConstant => "expected a constant",
            Self::UnclosedString => "missing closing quote",
            Self::ExpectedAndOrClose => "expected && or ]",
            Self::NotAParameter => "not a parameter",
        }
    }
}
