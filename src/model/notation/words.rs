//! Splits a line into words: blanks separate, `"..."` keeps blanks, `{"...` is a JSON table, `#` starts a comment.

use super::{Reason, shortened};
use std::borrow::Cow;

/// One word as it stands in the line, quotes included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word<'a>(pub(crate) &'a str);

impl<'a> Word<'a> {
    /// The word without its quotes.
    pub(crate) fn text(self) -> Cow<'a, str> {
        if self.0.contains('"') { Cow::Owned(unquoted(self.0)) } else { Cow::Borrowed(self.0) }
    }

    /// The word without its quotes, kept for good.
    pub(crate) fn kept(self) -> &'static str
    where
        'a: 'static,
    {
        match self.text() {
            Cow::Borrowed(text) => text,
            Cow::Owned(text) => text.leak(),
        }
    }

    /// Starts a JSON table.
    pub(crate) fn is_json(self) -> bool {
        starts_json(self.0)
    }

    /// Cut at the first `mark` outside quotes; None where it is not there.
    pub(crate) fn cut(self, mark: u8) -> Option<(Word<'a>, Word<'a>)> {
        let mut quotes = Quotes::default();
        let at = self.0.bytes().position(|byte| !quotes.inside(byte) && byte == mark)?;
        Some((Word(self.0.get(..at)?), Word(self.0.get(at + 1..)?)))
    }
}

/// Follows the quotes of a text byte by byte.
#[derive(Default)]
struct Quotes {
    open: bool,
    escaped: bool,
}

impl Quotes {
    /// The byte is quoted, or is a quote.
    fn inside(&mut self, byte: u8) -> bool {
        let was_open = self.open;
        if self.escaped {
            self.escaped = false;
        } else if self.open && byte == b'\\' {
            self.escaped = true;
        } else if byte == b'"' {
            self.open = !self.open;
        }
        was_open || self.open
    }
}

fn unquoted(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut open = false;
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => open = !open,
            '\\' if open => text.push(chars.next_if(|&next| next == '"' || next == '\\').unwrap_or('\\')),
            other => text.push(other),
        }
    }
    text
}

fn starts_json(text: &str) -> bool {
    text.strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with(['"', '}']))
}

/// The words of a line, taken from the left.
#[derive(Debug)]
pub(crate) struct Words<'a> {
    words: Vec<Word<'a>>,
    at: usize,
}

impl<'a> Words<'a> {
    /// The words of `line`.
    ///
    /// # Errors
    /// A quote or JSON table that is not closed.
    pub(crate) fn of(line: &'a str) -> Result<Self, Reason> {
        let mut words = Vec::with_capacity(8);
        let mut rest = line;
        while let Some((word, after)) = first(rest)? {
            words.push(word);
            rest = after;
        }
        Ok(Self { words, at: 0 })
    }

    /// The next word, which stays.
    pub(crate) fn peek(&self) -> Option<Word<'a>> {
        self.words.get(self.at).copied()
    }

    /// The word behind the next one.
    pub(crate) fn peek_second(&self) -> Option<Word<'a>> {
        self.words.get(self.at + 1).copied()
    }

    /// The next word, where there is one.
    pub(crate) fn next(&mut self) -> Option<Word<'a>> {
        let word = self.peek()?;
        self.at += 1;
        Some(word)
    }

    /// The next word, which must be there.
    pub(crate) fn need(&mut self, what: &str) -> Result<Word<'a>, Reason> {
        self.next().ok_or_else(|| format!("{what} is missing"))
    }

    /// Takes the next word where it is `word`.
    pub(crate) fn skip(&mut self, word: &str) -> bool {
        let there = self.peek().is_some_and(|next| next.0 == word);
        self.at += usize::from(there);
        there
    }

    /// Nothing may follow.
    pub(crate) fn end(&mut self) -> Result<(), Reason> {
        match self.next() {
            None => Ok(()),
            Some(word) => Err(format!("`{}` is too much here", shortened(word.0))),
        }
    }
}

/// The first word of a text and what follows it; None at the end or at a comment.
fn first(text: &str) -> Result<Option<(Word<'_>, &str)>, Reason> {
    let text = text.trim_start();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let length = if starts_json(text) { json_length(text)? } else { word_length(text)? };
    let (word, rest) = text.split_at_checked(length).unwrap_or((text, ""));
    Ok(Some((Word(word), rest)))
}

fn word_length(text: &str) -> Result<usize, Reason> {
    let mut quotes = Quotes::default();
    let length = text.bytes().position(|byte| !quotes.inside(byte) && byte.is_ascii_whitespace());
    if quotes.open {
        return Err("a quote `\"` is not closed".into());
    }
    Ok(length.unwrap_or(text.len()))
}

fn json_length(text: &str) -> Result<usize, Reason> {
    let mut quotes = Quotes::default();
    let mut depth = 0_usize;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if quotes.inside(byte) => {}
            b'{' => depth += 1,
            b'}' if depth == 1 => return Ok(index + 1),
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Err("the JSON table `{...}` is not closed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<String> {
        let mut words = Words::of(line).unwrap();
        std::iter::from_fn(|| words.next()).map(|w| w.text().into_owned()).collect()
    }

    #[test]
    fn words_are_separated_by_blanks_and_end_at_a_comment() {
        assert_eq!(split("  a  = uci x.y.z # note"), ["a", "=", "uci", "x.y.z"]);
        assert_eq!(split("a#b c"), ["a#b", "c"]);
        assert_eq!(split("# all"), [""; 0]);
    }

    #[test]
    fn quotes_keep_blanks_and_hashes() {
        assert_eq!(split(r#"default "a # b" "New Reno":x"#), ["default", "a # b", "New Reno:x"]);
        assert_eq!(split(r#""say \"hi\" \\ \d""#), [r#"say "hi" \ \d"#]);
    }

    #[test]
    fn a_json_table_is_one_word() {
        assert_eq!(split(r#"ubus a b { "x": { "y": "}" } } /p"#).len(), 5);
        assert_eq!(split("text {key} x"), ["text", "{key}", "x"]);
    }

    #[test]
    fn what_is_not_closed_is_refused() {
        assert!(Words::of("default \"a b").is_err());
        assert!(Words::of("ubus a b {\"x\":1").is_err());
    }

    #[test]
    fn a_word_is_cut_outside_quotes() {
        let (left, right) = Word("\"a:b\":c:d").cut(b':').unwrap();
        assert_eq!((&*left.text(), &*right.text()), ("a:b", "c:d"));
        assert!(Word("\"a:b\"").cut(b':').is_none());
    }
}
