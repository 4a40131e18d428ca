//! Instance numbers: one belongs to one thing for good, across restarts.
//!
//! A thing is known by its table and key (a UCI section's name, a MAC address, an interface name). An anonymous UCI
//! section has no name that stays, so it is recognised by its content. A number is never given twice.

use crate::backend::uci::{OptValue, Section};
use std::collections::HashMap;
use std::fmt::Write as _;

/// At most so many things are remembered per table; the one not seen for longest is forgotten first.
pub const MAX_PER_TABLE: usize = 2048;

/// The numbers of every table.
#[derive(Debug, Default)]
pub struct Instances {
    tables: HashMap<Box<str>, Numbers>,
    dirty: bool,
    tick: u32,
}

#[derive(Debug, Default)]
struct Numbers {
    next: u32,
    by_key: HashMap<Box<str>, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    number: u32,
    alias: Option<Box<str>>,
    /// Hashes of an anonymous section's options, sorted; empty for what has a name.
    content: Vec<u32>,
    seen: u32,
}

impl Instances {
    /// The number of a thing, given now where it is new. `table` is the instantiated table path, `Device.A.1.B.`
    pub fn number(&mut self, table: &str, key: &str) -> u32 {
        let tick = self.tick;
        if let Some(entry) = self.tables.get_mut(table).and_then(|t| t.by_key.get_mut(key)) {
            entry.seen = tick;
            return entry.number;
        }
        self.insert(table, key.into(), Vec::new())
    }

    /// The number of a thing that has one.
    pub fn known(&self, table: &str, key: &str) -> Option<u32> {
        self.tables.get(table)?.by_key.get(key).map(|entry| entry.number)
    }

    /// Begins another round of looking: what is seen from now on is newer.
    pub fn next_tick(&mut self) {
        self.tick = self.tick.wrapping_add(1);
    }

    /// The Alias a controller gave.
    pub fn alias(&self, table: &str, key: &str) -> Option<&str> {
        self.tables.get(table)?.by_key.get(key)?.alias.as_deref()
    }

    /// Keeps an Alias.
    pub fn set_alias(&mut self, table: &str, key: &str, alias: &str) {
        self.number(table, key);
        if let Some(entry) = self.tables.get_mut(table).and_then(|t| t.by_key.get_mut(key)) {
            entry.alias = Some(alias.into());
            self.dirty = true;
        }
    }

    /// Forgets a thing that was deleted; its number stays used.
    pub fn forget(&mut self, table: &str, key: &str) {
        if self.tables.get_mut(table).is_some_and(|t| t.by_key.remove(key).is_some()) {
            self.dirty = true;
        }
    }

    /// Keys for anonymous sections, in their order: each is the remembered thing whose content is most alike.
    pub fn recognise(&mut self, table: &str, sections: &[&Section]) -> Vec<Box<str>> {
        let contents: Vec<Vec<u32>> = sections.iter().map(|s| content(s)).collect();
        let mut free = self.anonymous(table);
        let mut keys: Vec<Option<Box<str>>> = vec![None; contents.len()];
        for at_least in [Likeness::Same, Likeness::Alike, Likeness::Any] {
            for (content, key) in contents.iter().zip(&mut keys).filter(|(_, key)| key.is_none()) {
                let best = free.iter().enumerate().filter(|(_, (_, old))| at_least.holds(content, old));
                // max_by_key takes the last of equals; the oldest number is meant, hence the reversal.
                if let Some((at, _)) = best.rev().max_by_key(|(_, (_, old))| shared(content, old)) {
                    *key = Some(free.remove(at).0);
                }
            }
        }
        keys.into_iter().zip(contents).map(|(key, content)| self.settle(table, key, content)).collect()
    }

    /// True where [`Instances::save`] has something new.
    pub fn dirty(&self) -> bool {
        self.dirty
    }

    /// The text to keep: a line per table with its next number, then a line per thing.
    pub fn save(&mut self) -> String {
        let mut text = String::new();
        let mut tables: Vec<_> = self.tables.iter().collect();
        tables.sort_by(|a, b| a.0.cmp(b.0));
        for (path, numbers) in tables {
            let _ = writeln!(text, "{path} {}", numbers.next);
            let mut entries: Vec<_> = numbers.by_key.iter().collect();
            entries.sort_by_key(|(_, e)| e.number);
            for (key, entry) in entries {
                let hashes: Vec<String> = entry.content.iter().map(|h| format!("{h:x}")).collect();
                let alias = entry.alias.as_deref().unwrap_or("");
                let _ = writeln!(text, " {} {} {} {}", entry.number, escape(key), escape(alias), hashes.join(","));
            }
        }
        self.dirty = false;
        text
    }

    /// Reads what [`Instances::save`] wrote; a line that makes no sense is passed over.
    pub fn load(text: &str) -> Self {
        let mut all = Self::default();
        let mut table: Box<str> = "".into();
        for line in text.lines() {
            if let Some(thing) = line.strip_prefix(' ') {
                if let (Some((key, entry)), Some(numbers)) = (thing_of(thing), all.tables.get_mut(&table)) {
                    numbers.next = numbers.next.max(entry.number.saturating_add(1));
                    numbers.by_key.insert(key, entry);
                }
            } else if let Some((path, next)) = line.split_once(' ') {
                table = path.into();
                all.tables.entry(table.clone()).or_default().next = next.parse().unwrap_or(1);
            }
        }
        all
    }

    fn insert(&mut self, table: &str, key: Box<str>, content: Vec<u32>) -> u32 {
        let tick = self.tick;
        let numbers = match self.tables.get_mut(table) {
            Some(numbers) => numbers,
            None => self.tables.entry(table.into()).or_default(),
        };
        numbers.make_room(tick);
        numbers.next = numbers.next.max(1);
        let number = numbers.next;
        numbers.next = numbers.next.saturating_add(1);
        numbers.by_key.insert(key, Entry { number, alias: None, content, seen: tick });
        self.dirty = true;
        number
    }

    /// Remembered anonymous things, oldest number first.
    fn anonymous(&self, table: &str) -> Vec<(Box<str>, Vec<u32>)> {
        let Some(numbers) = self.tables.get(table) else { return Vec::new() };
        let mut all: Vec<_> = numbers.by_key.iter().filter(|(k, _)| k.starts_with('@')).collect();
        all.sort_by_key(|(_, e)| e.number);
        all.into_iter().map(|(k, e)| (k.clone(), e.content.clone())).collect()
    }

    fn settle(&mut self, table: &str, key: Option<Box<str>>, content: Vec<u32>) -> Box<str> {
        let Some(key) = key else {
            let next = self.tables.get(table).map_or(1, |t| t.next.max(1));
            let key: Box<str> = format!("@{next}").into();
            self.insert(table, key.clone(), content);
            return key;
        };
        let tick = self.tick;
        if let Some(entry) = self.tables.get_mut(table).and_then(|t| t.by_key.get_mut(&key)) {
            entry.seen = tick;
            if entry.content != content {
                entry.content = content;
                self.dirty = true;
            }
        }
        key
    }
}

impl Numbers {
    fn make_room(&mut self, now: u32) {
        if self.by_key.len() >= MAX_PER_TABLE {
            let oldest = self.by_key.iter().max_by_key(|(_, e)| now.wrapping_sub(e.seen)).map(|(k, _)| k.clone());
            if let Some(key) = oldest {
                self.by_key.remove(&key);
            }
        }
    }
}

/// How alike two contents must be.
#[derive(Clone, Copy)]
enum Likeness {
    Same,
    Alike,
    Any,
}

impl Likeness {
    fn holds(self, new: &[u32], old: &[u32]) -> bool {
        match self {
            Self::Same => new == old,
            Self::Alike => shared(new, old) * 2 >= new.len().min(old.len()).max(1),
            Self::Any => shared(new, old) > 0,
        }
    }
}

/// How many hashes two sorted lists share.
fn shared(a: &[u32], b: &[u32]) -> usize {
    a.iter().filter(|h| b.binary_search(h).is_ok()).count()
}

fn content(section: &Section) -> Vec<u32> {
    let mut hashes: Vec<u32> = section
        .options
        .iter()
        .flat_map(|o| {
            let items = match &o.value {
                OptValue::One(text) => std::slice::from_ref(text),
                OptValue::List(items) => items,
            };
            items.iter().map(|item| fnv(&[o.name.as_bytes(), b"=", item.as_bytes()]))
        })
        .collect();
    hashes.sort_unstable();
    hashes
}

/// FNV-1a, 32 bits: the same on every CPU.
fn fnv(parts: &[&[u8]]) -> u32 {
    parts
        .iter()
        .flat_map(|p| p.iter())
        .fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// No blanks, never empty: `%` and blanks as `%xx`, nothing as `-`.
fn escape(text: &str) -> String {
    if text.is_empty() {
        return "-".into();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '%' | '-' | ' ' | '\n' | '\r' | '\t' => {
                let _ = write!(out, "%{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

fn unescape(text: &str) -> Option<String> {
    if text == "-" {
        return Some(String::new());
    }
    let mut parts = text.split('%');
    let mut out = String::from(parts.next()?);
    for part in parts {
        let byte = u8::from_str_radix(part.get(..2)?, 16).ok()?;
        out.push(char::from(byte));
        out.push_str(part.get(2..)?);
    }
    Some(out)
}

fn thing_of(line: &str) -> Option<(Box<str>, Entry)> {
    let mut words = line.split(' ');
    let number = words.next()?.parse().ok().filter(|&n| n > 0)?;
    let key = unescape(words.next()?)?;
    let alias = unescape(words.next()?)?;
    let content = words.next().unwrap_or("").split(',').filter_map(|h| u32::from_str_radix(h, 16).ok()).collect();
    let alias = (!alias.is_empty()).then(|| alias.into());
    Some((key.into(), Entry { number, alias, content, seen: 0 }))
}
