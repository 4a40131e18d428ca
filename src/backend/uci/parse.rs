//! Reads a UCI file as libuci does, its oddities included.
//!
//! libuci parses line by line inside one buffer and ends words in place; some of what it accepts
//! follows only from that (an unquoted word directly before `;` swallows the rest of the line), so
//! the parser works the same way. Differences, both on purpose: a NUL byte is refused (libuci drops
//! parts of the line), and a last line without newline is counted.
//!
//! It does not read `/tmp/.uci`: what somebody has not committed is not configuration.

use super::name::{anonymous, is_name, is_package, is_type};
use super::{Error, Opt, OptValue, Package, Section, text};

/// The largest package file, in bytes. No word can be longer, so words have no limit of their own.
pub const MAX_PACKAGE: usize = 1024 * 1024;
/// The most sections of a package.
pub const MAX_SECTIONS: usize = 8192;
/// The most options of a section (the elements of a list do not count).
pub const MAX_OPTIONS: usize = 1024;

/// Parses the file of package `name`.
///
/// # Errors
/// [`Error::Parse`] with libuci's own words, line and byte; [`Error::Invalid`] over a limit.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Package, Error> {
    read(name, bytes, false)
}

/// Parses what `uci export` wrote, or the file, of package `name`: if it says which package it is, it is this one.
///
/// # Errors
/// As [`parse`]; [`Error::Parse`] for another package.
pub fn import(name: &str, bytes: &[u8]) -> Result<Package, Error> {
    read(name, bytes, true)
}

fn read(name: &str, bytes: &[u8], only: bool) -> Result<Package, Error> {
    if bytes.len() > MAX_PACKAGE {
        return Err(Error::Invalid("package file over 1 MiB"));
    }
    refuse_nul(bytes)?;
    let mut parser = Parser {
        cursor: Cursor { input: bytes, buffer: Vec::new(), at: 0, line: 0 },
        package: Package { name: name.into(), sections: Vec::new() },
        current: None,
        only,
    };
    while parser.cursor.next_line() {
        parser.line()?;
    }
    Ok(parser.package)
}

fn refuse_nul(bytes: &[u8]) -> Result<(), Error> {
    let Some(at) = bytes.iter().position(|b| *b == 0) else { return Ok(()) };
    let before = bytes.get(..at).unwrap_or_default();
    let line = 1 + before.iter().filter(|b| **b == b'\n').count();
    let byte = before.iter().rev().take_while(|b| **b != b'\n').count();
    Err(Error::Parse { line: number(line), byte: number(byte), what: "NUL byte" })
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    package: Package,
    /// The section that options go to.
    current: Option<usize>,
    /// No other package may be spoken of.
    only: bool,
}

impl Parser<'_> {
    /// One line, which may hold several commands.
    fn line(&mut self) -> Result<(), Error> {
        self.cursor.skip_space();
        while let Some(command) = self.cursor.command() {
            match command {
                Command::Comment => return Ok(()),
                Command::Package => self.package_line()?,
                Command::Config => self.config()?,
                Command::Option => self.option(false)?,
                Command::List => self.option(true)?,
                Command::Unknown => return self.fail("invalid command"),
            }
        }
        Ok(())
    }

    fn fail<T>(&self, what: &'static str) -> Result<T, Error> {
        Err(Error::Parse { line: self.cursor.line, byte: number(self.cursor.at), what })
    }

    /// `package NAME` is checked and otherwise ignored: the file's name counts, and what is imported has to say the same.
    fn package_line(&mut self) -> Result<(), Error> {
        self.skip_command("package without name")?;
        let name = self.required()?;
        let name = self.cursor.word(name);
        if !is_package(&name) {
            return self.fail("invalid character in name field");
        }
        if self.only && name != self.package.name {
            return self.fail("another package");
        }
        self.end_of_command()
    }

    fn config(&mut self) -> Result<(), Error> {
        let line = self.cursor.line;
        self.skip_command("config without name")?;
        let kind = self.required()?;
        if !is_type(&self.cursor.word(kind)) {
            return self.fail("invalid character in type field");
        }
        let name = self.cursor.argument()?;
        if !self.cursor.is_empty(name) && !is_name(&self.cursor.word(name)) {
            return self.fail("invalid character in name field");
        }
        self.end_of_command()?;
        let (kind, name) = (self.cursor.word(kind), self.cursor.word(name));
        self.open(kind, name, line)
    }

    /// Goes to the section of this name, or appends one.
    fn open(&mut self, kind: Box<str>, name: Box<str>, line: u32) -> Result<(), Error> {
        let found = self.package.sections.iter().position(|s| *s.name == *name);
        if let Some(section) = found.and_then(|index| self.package.sections.get(index)) {
            if section.kind != kind {
                return self.fail("section of different type overwrites prior section with same name");
            }
            self.current = found;
            return Ok(());
        }
        let count = self.package.sections.len();
        if count >= MAX_SECTIONS {
            return Err(Error::Invalid("more than 8192 sections"));
        }
        let nameless = name.is_empty();
        let name = if nameless { anonymous(count + 1, &kind) } else { name };
        self.package.sections.push(Section { name, kind, anonymous: nameless, options: Vec::new(), line });
        self.current = Some(count);
        Ok(())
    }

    fn option(&mut self, list: bool) -> Result<(), Error> {
        let line = self.cursor.line;
        if self.current.is_none() {
            return self.fail("option/list command found before the first section");
        }
        self.skip_command("option without name")?;
        let name = self.required()?;
        if !is_name(&self.cursor.word(name)) {
            return self.fail("invalid character in name field");
        }
        let value = self.cursor.argument()?;
        self.end_of_command()?;
        let (name, value) = (self.cursor.word(name), self.cursor.word(value));
        let Some(section) = self.current.and_then(|at| self.package.sections.get_mut(at)) else { return Ok(()) };
        if list { section.append(name, value, line) } else { section.replace(name, value, line) }
    }

    /// Steps over the command word, which [`Cursor::command`] has ended.
    fn skip_command(&mut self, what: &'static str) -> Result<(), Error> {
        if self.cursor.skip_word() { Ok(()) } else { self.fail(what) }
    }

    fn required(&mut self) -> Result<usize, Error> {
        let word = self.cursor.argument()?;
        if self.cursor.is_empty(word) { self.fail("insufficient arguments") } else { Ok(word) }
    }

    fn end_of_command(&mut self) -> Result<(), Error> {
        let rest = self.cursor.argument()?;
        if self.cursor.is_empty(rest) { Ok(()) } else { self.fail("too many arguments") }
    }
}

impl Section {
    /// `option`: the last one wins and stands where the first stood; an empty one is as if not there.
    fn replace(&mut self, name: Box<str>, value: Box<str>, line: u32) -> Result<(), Error> {
        if value.is_empty() {
            return Ok(());
        }
        match self.options.iter_mut().find(|o| o.name == name) {
            Some(option) => option.value = OptValue::One(value),
            None => self.push(name, OptValue::One(value), line)?,
        }
        Ok(())
    }

    /// `list`: one more element; an `option` of that name becomes the first. Elements may be empty.
    fn append(&mut self, name: Box<str>, value: Box<str>, line: u32) -> Result<(), Error> {
        let Some(option) = self.options.iter_mut().find(|o| o.name == name) else {
            return self.push(name, OptValue::List(vec![value]), line);
        };
        match &mut option.value {
            OptValue::List(items) => items.push(value),
            OptValue::One(first) => option.value = OptValue::List(vec![std::mem::take(first), value]),
        }
        Ok(())
    }

    fn push(&mut self, name: Box<str>, value: OptValue, line: u32) -> Result<(), Error> {
        if self.options.len() >= MAX_OPTIONS {
            return Err(Error::Invalid("more than 1024 options in a section"));
        }
        self.options.push(Opt { name, value, line });
        Ok(())
    }
}

enum Command {
    Comment,
    Package,
    Config,
    Option,
    List,
    Unknown,
}

/// libuci's line buffer: words are unquoted in place and ended with a NUL.
struct Cursor<'a> {
    /// What is not yet in the buffer.
    input: &'a [u8],
    buffer: Vec<u8>,
    /// Position in the buffer.
    at: usize,
    line: u32,
}

impl Cursor<'_> {
    fn next_line(&mut self) -> bool {
        self.at = 0;
        self.append_line()
    }

    /// Replaces what is at and after the position by the next line; false at the end of the file.
    fn append_line(&mut self) -> bool {
        self.buffer.truncate(self.at);
        if self.input.is_empty() {
            return false;
        }
        let end = self.input.iter().position(|b| *b == b'\n').map_or(self.input.len(), |at| at + 1);
        let (line, rest) = self.input.split_at_checked(end).unwrap_or((self.input, &[]));
        self.buffer.extend_from_slice(line);
        self.input = rest;
        self.line += 1;
        true
    }

    /// The byte `ahead` of the position; 0 at the end.
    fn peek(&self, ahead: usize) -> u8 {
        self.buffer.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn current(&self) -> u8 {
        self.peek(0)
    }

    /// Writes a byte of a word that is being unquoted; at the very end a NUL is there anyway.
    fn put(&mut self, at: usize, byte: u8) {
        if let Some(slot) = self.buffer.get_mut(at) {
            *slot = byte;
        }
    }

    fn skip_space(&mut self) {
        while is_space(self.current()) {
            self.at += 1;
        }
    }

    /// The command word at the position, ended by a NUL; None where the line is over.
    fn command(&mut self) -> Option<Command> {
        let start = self.at + (0..).take_while(|i| matches!(self.peek(*i), b' ' | b'\t')).count();
        let rest = self.buffer.get(start..).unwrap_or_default();
        let length = rest.iter().take_while(|b| !matches!(b, 0 | b' ' | b'\t')).count();
        let command = match rest.get(..length).unwrap_or_default() {
            [] => return None,
            [b'#', ..] => Command::Comment,
            b"p" | b"package" => Command::Package,
            b"c" | b"config" => Command::Config,
            b"o" | b"option" => Command::Option,
            b"l" | b"list" => Command::List,
            _ => Command::Unknown,
        };
        self.put(start + length, 0);
        Some(command)
    }

    /// Steps over a NUL-ended word; false where the buffer ends with it.
    fn skip_word(&mut self) -> bool {
        let end = self.end_of_word(self.at);
        if end >= self.buffer.len() {
            return false;
        }
        self.at = end + 1;
        true
    }

    fn end_of_word(&self, start: usize) -> usize {
        start + self.buffer.get(start..).unwrap_or_default().iter().take_while(|b| **b != 0).count()
    }

    /// The word an [`Self::argument`] stands for.
    fn word(&self, start: usize) -> Box<str> {
        text::decode(self.buffer.get(start..self.end_of_word(start)).unwrap_or_default())
    }

    fn is_empty(&self, start: usize) -> bool {
        self.buffer.get(start).copied().unwrap_or(0) == 0
    }

    /// Unquotes the next argument; where it starts in the buffer.
    fn argument(&mut self) -> Result<usize, Error> {
        self.skip_space();
        let start = self.at;
        if self.current() == b';' {
            self.put(start, 0);
            self.at += 1;
        } else {
            self.unquote(start)?;
        }
        Ok(start)
    }

    fn unquote(&mut self, mut target: usize) -> Result<(), Error> {
        let mut step_over = true;
        loop {
            match self.current() {
                b'\'' => self.single_quoted(&mut target)?,
                b'"' => self.double_quoted(&mut target)?,
                b'#' => {
                    self.put(self.at, 0);
                    break;
                }
                b';' => {
                    step_over = false;
                    break;
                }
                0 => break,
                b'\\' if self.joins_lines() => {}
                _ => self.copy(&mut target),
            }
            if self.current() == 0 || is_space(self.current()) {
                break;
            }
        }
        if self.current() != 0 && step_over {
            self.at += 1;
        }
        self.put(target, 0);
        Ok(())
    }

    fn copy(&mut self, target: &mut usize) {
        self.put(*target, self.current());
        *target += 1;
        self.at += 1;
    }

    fn single_quoted(&mut self, target: &mut usize) -> Result<(), Error> {
        self.at += 1;
        loop {
            match self.current() {
                b'\'' => break,
                0 => self.continue_quote("EOF with unterminated '")?,
                _ => self.copy(target),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn double_quoted(&mut self, target: &mut usize) -> Result<(), Error> {
        self.at += 1;
        loop {
            match self.current() {
                b'"' => break,
                0 => self.continue_quote("EOF with unterminated \"")?,
                b'\\' if self.joins_lines() => {}
                _ => self.copy(target),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn continue_quote(&mut self, what: &'static str) -> Result<(), Error> {
        if self.append_line() {
            return Ok(());
        }
        Err(Error::Parse { line: self.line, byte: number(self.at), what })
    }

    /// Steps over a backslash; true where it hides the end of the line, whose successor then follows.
    fn joins_lines(&mut self) -> bool {
        self.at += 1;
        let joins = match self.current() {
            0 | b'\n' => true,
            b'\r' => self.peek(1) == b'\n' && self.peek(2) == 0,
            _ => false,
        };
        if joins {
            self.append_line();
        }
        joins
    }
}

/// The white space of C.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
