//! A place in the text of a path, and the words of the grammar read from there.

use super::{PathError, Reason};

/// Reads forward over ASCII syntax; never splits a UTF-8 character.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn is_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// Takes `token` if it stands here.
    pub(super) fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Takes the ASCII bytes that `accepts`, perhaps none.
    pub(super) fn take_while(&mut self, accepts: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii() && accepts(byte)) {
            self.at += 1;
        }
        self.since(start)
    }

    /// Takes `length` bytes, which must end on a character boundary.
    pub(super) fn advance(&mut self, length: usize) -> &'a str {
        let start = self.at;
        self.at += length;
        self.since(start)
    }

    pub(super) fn skip_blanks(&mut self) {
        self.take_while(|byte| byte == b' ' || byte == b'\t');
    }

    /// `[A-Za-z_] [A-Za-z_0-9]*`, and the `-` of vendor prefixes such as `X_EXAMPLE-COM_`.
    pub(super) fn name(&mut self) -> Result<&'a str, PathError> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_') {
            return Err(self.error(Reason::ExpectedName));
        }
        Ok(self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'))
    }

    /// `[1-9] [0-9]*` within 32 bits.
    pub(super) fn positive(&mut self) -> Result<u32, PathError> {
        let error = self.error(Reason::InvalidInstance);
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        if digits.is_empty() || digits.starts_with('0') {
            return Err(error);
        }
        digits.parse().map_err(|_| error)
    }

    pub(super) fn error(&self, reason: Reason) -> PathError {
        PathError { at: self.at, reason }
    }
}
