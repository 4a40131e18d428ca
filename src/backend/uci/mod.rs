//! UCI packages: libuci's grammar, locking and atomic commit.

mod commit;
mod journal;
pub(super) mod merge;
pub mod name;
pub mod parse;
pub mod store;
pub mod text;
pub mod undo;
pub mod write;

use std::fmt;
use std::rc::Rc;

/// A parsed UCI package.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Package {
    /// The file's name, e.g. `network`.
    pub name: Box<str>,
    /// Its sections in file order.
    pub sections: Vec<Section>,
}

/// One `config` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its name; for an anonymous section libuci's `cfg%02x%04x`, which moves when others come and go.
    pub name: Box<str>,
    /// Its type, the word after `config`.
    pub kind: Box<str>,
    /// True where the file gives no name.
    pub anonymous: bool,
    /// Its options in file order, each name once.
    pub options: Vec<Opt>,
    /// The line of `config`, from 1; 0 where the section was never in a file.
    pub line: u32,
}

/// One option or list of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opt {
    /// Its name.
    pub name: Box<str>,
    /// Its value; never empty (but an element of a list may be).
    pub value: OptValue,
    /// Its (first) line, from 1; 0 where it was never in a file.
    pub line: u32,
}

/// The value of an option: a text or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptValue {
    /// `option name 'value'`.
    One(Box<str>),
    /// `list name 'value'`, once per element.
    List(Vec<Box<str>>),
}

/// One edit of a package. Sections are named as in the package the edit was made against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Appends a named section.
    Add {
        /// The new section's name, `[A-Za-z0-9_]+`.
        section: Box<str>,
        /// Its type.
        kind: Box<str>,
    },
    /// Removes a section; one that is gone already is no error.
    Delete {
        /// The section.
        section: Box<str>,
    },
    /// Sets an option, or removes it where `value` is None (an empty text is the same as None).
    Set {
        /// The section.
        section: Box<str>,
        /// The option's name.
        option: Box<str>,
        /// The new value.
        value: Option<OptValue>,
    },
    /// Moves a section.
    Place {
        /// The section.
        section: Box<str>,
        /// The one it is to stand before; behind all where there is none.
        before: Option<Box<str>>,
    },
    /// The whole package is this one, whatever it was; the only edit of its package. What libuci cannot read is
    /// replaced too.
    Replace(Rc<Package>),
}

/// The edits of one package, with what they were made against: an anonymous section is
/// recognised on disk by its content in `base`, never by its moving name.
#[derive(Debug, Clone)]
pub struct PackageEdits {
    /// The package before the edits, as the agent read it.
    pub base: Rc<Package>,
    /// The edits, in order.
    pub edits: Vec<Edit>,
}

/// Why a package could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// There is no such package.
    NotFound,
    /// The file is not UCI, as libuci sees it.
    Parse {
        /// From 1.
        line: u32,
        /// Bytes read of the line, as libuci counts and prints them.
        byte: u32,
        /// What was expected.
        what: &'static str,
    },
    /// A name, type or value that libuci would refuse.
    Invalid(&'static str),
    /// A section that an edit names was changed or removed by somebody else meanwhile.
    Conflict(Box<str>),
    /// The system refused.
    Io(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => write!(f, "no such package"),
            Self::Parse { line, byte, what } => write!(f, "{what} at line {line}, byte {byte}"),
            Self::Invalid(what) => write!(f, "{what}"),
            Self::Conflict(section) => write!(f, "section {section} was changed by somebody else"),
            Self::Io(what) => write!(f, "{what}"),
        }
    }
}

impl std::error::Error for Error {}

/// True where these edits may make a package that has no file yet.
pub(super) fn begins_with_add(edits: &PackageEdits) -> bool {
    matches!(edits.edits.first(), Some(Edit::Add { .. }))
}

impl Package {
    /// The section of this name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|s| &*s.name == name)
    }

    /// The sections of this type, in file order.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Section> {
        self.sections.iter().filter(move |s| &*s.kind == kind)
    }
}

impl Section {
    /// The value of an option.
    pub fn get(&self, option: &str) -> Option<&OptValue> {
        self.options.iter().find(|o| &*o.name == option).map(|o| &o.value)
    }

    /// The value of an option where it is a text; the last element of a list, as `uci get` callers expect one.
    pub fn text(&self, option: &str) -> Option<&str> {
        match self.get(option)? {
            OptValue::One(text) => Some(text),
            OptValue::List(items) => items.last().map(|t| &**t),
        }
    }

    /// The elements of a list option; an option is a list of one, as libuci's callers read it.
    pub fn list(&self, option: &str) -> &[Box<str>] {
        match self.get(option) {
            Some(OptValue::One(text)) => std::slice::from_ref(text),
            Some(OptValue::List(items)) => items,
            None => &[],
        }
    }
}
