//! Reads the mapping notation (`data-model/README.md`): text to [`Block`]s, line by line.
//!
//! It knows the words and their order. Whether the standard knows a name, whether a `let` exists and whether a
//! table has rows is for [`super::schema`]. Nothing here panics or recurses over its input without a bound.

mod block;
mod head;
mod json;
mod natives;
mod pipeline;
mod row;
mod template;
mod words;

pub use block::{Block, Item, ItemKind, ObjectBlock, Row, RowSourceText};
pub use natives::natives;
pub(crate) use words::{Word, Words};

use std::fmt;
use std::rc::Rc;

/// The longest line, in bytes.
pub const MAX_LINE: usize = 4096;
/// The largest file, in bytes.
pub const MAX_FILE: usize = 256 * 1024;
/// The most lines of one file that say something.
pub const MAX_LINES: usize = 8192;
/// The most alternatives of a row, filters of a pipeline, pieces of a text or steps of a pointer.
pub const MAX_PARTS: usize = 32;
/// How deep tables and arrays nest in the arguments of a ubus call.
pub const MAX_DEPTH: usize = 4;

/// What is wrong with a mapping file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotationError {
    /// Where.
    pub at: Position,
    /// What is wrong and, where there is a choice, what is allowed.
    pub text: String,
}

/// A line of a mapping file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The file's name as the caller gave it.
    pub file: Rc<str>,
    /// From 1; 0 is the file as a whole.
    pub line: u32,
}

impl Position {
    /// An error here.
    pub fn error(&self, text: impl Into<String>) -> NotationError {
        NotationError { at: self.clone(), text: text.into() }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl fmt::Display for NotationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.text)
    }
}

impl std::error::Error for NotationError {}

/// Why a line cannot be read; [`parse`] adds where it stands.
pub(crate) type Reason = String;

/// Reads one mapping file, whose text stays for good.
///
/// # Errors
/// The first line that is not in the notation, or a file over its limits.
pub fn parse(file: &str, text: &'static str) -> Result<Vec<Block>, NotationError> {
    let file: Rc<str> = file.into();
    let at = |line: usize| Position { file: file.clone(), line: u32::try_from(line).unwrap_or(u32::MAX) };
    if text.len() > MAX_FILE {
        return Err(at(0).error(format!("the file is larger than {MAX_FILE} bytes")));
    }
    let mut reader = block::Reader::default();
    for (index, line) in text.lines().enumerate() {
        reader.line(at(index + 1), line).map_err(|reason| at(index + 1).error(reason))?;
    }
    Ok(reader.blocks)
}

/// "`what` is unknown; allowed are ...".
pub(crate) fn unknown(kind: &str, word: &str, allowed: &str) -> Reason {
    format!("{kind} `{}` is unknown; allowed: {allowed}", shortened(word))
}

/// A word for an error text, never longer than a line of a terminal.
pub(crate) fn shortened(word: &str) -> &str {
    match word.char_indices().nth(60) {
        Some((end, _)) => word.get(..end).unwrap_or_default(),
        None => word,
    }
}

#[cfg(test)]
mod tests;
