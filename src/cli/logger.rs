//! The log on stderr: one line per event.
//!
//! Three forms, by who reads: a person at a terminal, procd (which adds the time itself), and a file or pipe.

use log::{Level, LevelFilter, Log, Metadata, Record};
use std::io::{IsTerminal, Write};
use std::time::{SystemTime, UNIX_EPOCH};

/// Who reads the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Terminal,
    Procd,
    File,
}

#[derive(Debug)]
struct Logger {
    reader: Reader,
}

/// Starts the log at this level; `log::set_max_level` changes it later. A second call changes the level only.
pub(super) fn start(level: LevelFilter) {
    let reader = if std::io::stderr().is_terminal() {
        Reader::Terminal
    } else if rustix::process::getppid().is_some_and(|parent| parent.is_init()) {
        Reader::Procd
    } else {
        Reader::File
    };
    let _ = log::set_boxed_logger(Box::new(Logger { reader }));
    log::set_max_level(level);
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // The libraries below speak only when something needs a developer.
        metadata.target().starts_with("usp_agent") || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let text = line(self.reader, record.level(), record.target(), &record.args().to_string(), seconds);
            // One write per line, so that lines of two processes do not mix.
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
        }
    }

    fn flush(&self) {}
}

/// One line of the log, with its line feed.
fn line(reader: Reader, level: Level, target: &str, message: &str, seconds: u64) -> String {
    let room = room(target);
    // What a peer sent may be in it: no line of its own, and nothing that a terminal obeys.
    let message = message.replace(char::is_control, " ");
    let word = level.as_str().to_ascii_lowercase();
    match reader {
        Reader::Terminal => {
            let (of_day, colour) = (seconds % 86_400, colour(level));
            let (hours, minutes, seconds) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
            format!("\x1b[2m{hours:02}:{minutes:02}:{seconds:02}\x1b[0m {colour}{word:<5}\x1b[0m {room:<8} {message}\n")
        }
        Reader::Procd => format!("level={word} room={room} {message}\n"),
        Reader::File => format!("time={seconds} level={word} room={room} {message}\n"),
    }
}

/// `usp_agent::mtp::mqtt` is of the room `mtp`; a library goes by its own name.
fn room(target: &str) -> &str {
    let mut names = target.split("::");
    match (names.next(), names.next()) {
        (Some("usp_agent"), Some(room)) => room,
        (Some(library), _) => library,
        (None, _) => "",
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::Error => "\x1b[1;31m",
        Level::Warn => "\x1b[33m",
        Level::Info => "\x1b[32m",
        Level::Debug | Level::Trace => "\x1b[2m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_level_and_room() {
        let line = |reader| line(reader, Level::Warn, "usp_agent::mtp::mqtt", "link=1 why=\"a\nb\r\x1b\"", 3725);
        assert_eq!(line(Reader::Procd), "level=warn room=mtp link=1 why=\"a b  \"\n");
        assert_eq!(line(Reader::File), "time=3725 level=warn room=mtp link=1 why=\"a b  \"\n");
        assert!(line(Reader::Terminal).contains("01:02:05"));
        assert_eq!(room("rustls::client"), "rustls");
    }
}
