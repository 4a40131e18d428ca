//! STOMP 1.2 frames: what we send as text, and what a server sends, taken apart within limits.

use crate::mtp::MAX_RECORD;
use bytes::{Buf, Bytes, BytesMut};

/// Command and headers of one frame, in bytes.
pub const MAX_HEAD: usize = 16 * 1024;

/// The frames a server sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // As the standard names them.
pub enum Command {
    Connected,
    Message,
    Receipt,
    Error,
}

/// A frame of the server.
#[derive(Debug)]
pub struct Frame {
    /// Which frame.
    pub command: Command,
    /// The header lines as they came.
    headers: Box<str>,
    /// None: over the limit of a record, and left out.
    pub body: Option<Bytes>,
}

impl Frame {
    /// The value of a header; the first counts where it is repeated. Escapes of CONNECTED are undone too:
    /// the standard knows none there, but servers write them.
    pub fn header(&self, name: &str) -> Option<String> {
        let value = lines(&self.headers).find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(unescaped(value))
    }
}

/// Command and headers of a frame to the server; body and NUL follow it.
pub fn head(command: &str, headers: &[(&str, &str)]) -> String {
    let mut text = String::from(command);
    for (name, value) in headers {
        text.push('\n');
        text.push_str(name);
        text.push(':');
        for letter in value.chars() {
            match letter {
                '\\' => text.push_str("\\\\"),
                '\r' => text.push_str("\\r"),
                '\n' => text.push_str("\\n"),
                ':' => text.push_str("\\c"),
                // It would end the frame, and no escape stands for it.
                '\0' => {}
                other => text.push(other),
            }
        }
    }
    text.push_str("\n\n");
    text
}

/// What [`Decoder::next`] found.
#[derive(Debug)]
pub enum Found {
    /// A frame, taken out of the buffer.
    Frame(Frame),
    /// So many bytes are known to be missing.
    Missing(usize),
}

/// Takes frames out of a buffer that grows.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The frame whose body is awaited, and the length of the body where it is given.
    begun: Option<(Command, Box<str>, Option<usize>)>,
    /// Bytes at the front of the buffer that hold no end: they are not looked at again.
    scanned: usize,
    /// What is left of a body that is not kept.
    skipping: Option<Skip>,
}

#[derive(Debug, Clone, Copy)]
enum Skip {
    /// So many bytes, then NUL.
    Bytes(usize),
    UntilNul,
}

impl Decoder {
    /// The next frame at the front of the buffer.
    ///
    /// # Errors
    /// What is not as the standard has it. There is no way on: nobody knows where the next frame begins.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Found, &'static str> {
        while let Some(skip) = self.skipping {
            self.skipping = skipped(skip, buffer)?;
            if buffer.is_empty() && self.skipping.is_some() {
                return Ok(Found::Missing(1));
            }
        }
        if self.begun.is_none() && !self.begin(buffer)? {
            return Ok(Found::Missing(1));
        }
        self.end(buffer)
    }

    /// Reads command and headers; false while they are not all there.
    fn begin(&mut self, buffer: &mut BytesMut) -> Result<bool, &'static str> {
        if self.scanned == 0 {
            // Heart-beats, and the line ends that may follow a frame.
            let between = buffer.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            buffer.advance(between);
        }
        let unseen = self.scanned.saturating_sub(2);
        let new = buffer.get(unseen..).unwrap_or_default();
        let end = end_of_head(new).map(|(head, body)| (unseen + head, unseen + body));
        if end.map_or(buffer.len(), |(head, _)| head) > MAX_HEAD {
            return Err("a frame's headers exceed the limit");
        }
        let Some((head, body)) = end else {
            if new.contains(&0) {
                return Err("a frame ends within its headers");
            }
            self.scanned = buffer.len();
            return Ok(false);
        };
        let text = std::str::from_utf8(buffer.get(..head).unwrap_or_default()).map_err(|_| "headers are not UTF-8")?;
        self.begun = Some(parsed(text)?);
        self.scanned = 0;
        buffer.advance(body);
        Ok(true)
    }

    /// Reads the body of the frame that has begun.
    fn end(&mut self, buffer: &mut BytesMut) -> Result<Found, &'static str> {
        let length = self.begun.as_ref().and_then(|(_, _, length)| *length);
        let body = match length {
            Some(length) if length > MAX_RECORD => {
                self.skipping = Some(Skip::Bytes(length));
                None
            }
            Some(length) if buffer.len() <= length => return Ok(Found::Missing(length + 1 - buffer.len())),
            Some(length) => Some(self.body(buffer, length)?),
            None => match buffer.get(self.scanned..).unwrap_or_default().iter().position(|byte| *byte == 0) {
                Some(at) if self.scanned + at <= MAX_RECORD => Some(self.body(buffer, self.scanned + at)?),
                None if buffer.len() <= MAX_RECORD => {
                    self.scanned = buffer.len();
                    return Ok(Found::Missing(1));
                }
                _ => {
                    self.skipping = Some(Skip::UntilNul);
                    None
                }
            },
        };
        self.scanned = 0;
        match self.begun.take() {
            Some((command, headers, _)) => Ok(Found::Frame(Frame { command, headers, body })),
            None => Ok(Found::Missing(1)),
        }
    }

    fn body(&mut self, buffer: &mut BytesMut, length: usize) -> Result<Bytes, &'static str> {
        if buffer.get(length) != Some(&0) {
            return Err("a body does not end where content-length says");
        }
        let body = buffer.split_to(length).freeze();
        buffer.advance(1);
        Ok(body)
    }
}

/// What is left to skip after what the buffer holds.
fn skipped(skip: Skip, buffer: &mut BytesMut) -> Result<Option<Skip>, &'static str> {
    match skip {
        Skip::Bytes(0) => match buffer.first() {
            None => Ok(Some(skip)),
            Some(0) => {
                buffer.advance(1);
                Ok(None)
            }
            Some(_) => Err("a body does not end where content-length says"),
        },
        Skip::Bytes(left) => {
            let here = left.min(buffer.len());
            buffer.advance(here);
            Ok(Some(Skip::Bytes(left - here)))
        }
        Skip::UntilNul => {
            let end = buffer.iter().position(|byte| *byte == 0);
            buffer.advance(end.map_or(buffer.len(), |at| at + 1));
            Ok(if end.is_some() { None } else { Some(skip) })
        }
    }
}

/// Where the headers end and where the body begins.
fn end_of_head(bytes: &[u8]) -> Option<(usize, usize)> {
    let line_ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    line_ends.map(|(at, _)| at).find_map(|at| match bytes.get(at + 1..)? {
        [b'\n', ..] => Some((at, at + 2)),
        [b'\r', b'\n', ..] => Some((at, at + 3)),
        _ => None,
    })
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line))
}

fn parsed(text: &str) -> Result<(Command, Box<str>, Option<usize>), &'static str> {
    let (command, headers) = text.split_once('\n').unwrap_or((text, ""));
    let command = match command.strip_suffix('\r').unwrap_or(command) {
        "CONNECTED" => Command::Connected,
        "MESSAGE" => Command::Message,
        "RECEIPT" => Command::Receipt,
        "ERROR" => Command::Error,
        _ => return Err("no frame a STOMP server sends"),
    };
    for line in lines(headers).filter(|_| !headers.is_empty()) {
        if line.contains('\0') {
            return Err("a frame ends within its headers");
        }
        if !line.contains(':') {
            return Err("a header has no colon");
        }
        if command != Command::Connected && !is_well_escaped(line) {
            return Err("a header has an undefined escape");
        }
    }
    let frame = Frame { command, headers: headers.into(), body: None };
    let length = match frame.header("content-length") {
        Some(text) => Some(text.parse().map_err(|_| "content-length is no number")?),
        None => None,
    };
    Ok((command, frame.headers, length))
}

/// Any other escape is a fatal error by the standard.
fn is_well_escaped(line: &str) -> bool {
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        if letter == '\\' && !matches!(letters.next(), Some('r' | 'n' | 'c' | '\\')) {
            return false;
        }
    }
    true
}

fn unescaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        let rest = letters.as_str();
        let meant = match rest.chars().next() {
            Some('r') if letter == '\\' => '\r',
            Some('n') if letter == '\\' => '\n',
            Some('c') if letter == '\\' => ':',
            Some('\\') if letter == '\\' => '\\',
            _ => {
                text.push(letter);
                continue;
            }
        };
        text.push(meant);
        letters.next();
    }
    text
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
