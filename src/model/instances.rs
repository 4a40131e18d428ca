//! Instance numbers: one belongs to one thing for good, across restarts.
//!
//! A thing is known by its table and key (a UCI section's name, a MAC address, an interface name). An anonymous UCI
//! section has no name that stays, so it is recognised by its content. A number is never given twice.

use crate::backend::uci::{OptValue, Section};
use crate::order::{self, Map};
use std::fmt::Write as _;

/// At most so many things are remembered per table; the one not seen for longest is forgotten first.
pub const MAX_PER_TABLE: usize = 2048;

/// The numbers of every table.
#[derive(Debug, Default)]
pub struct Instances {
    tables: Map<Box<str>, Numbers>,
    dirty: bool,
    tick: u32,
}

#[derive(Debug, Default)]
struct Numbers {
    next: u32,
    by_key: Map<Box<str>, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    number: u32,
    alias: Option<Box<str>>,
    /// Hashes of an anonymous section's options, sorted; empty for what has a name.
    content: Vec<u32>,
    /// The generated name it was last seen under; not kept.
    section: Box<str>,
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
        self.insert(table, key.into(), Vec::new(), "".into())
    }

    /// The number of a thing that has one.
    pub fn known(&self, table: &str, key: &str) -> Option<u32> {
        self.tables.get(table)?.by_key.get(key).map(|entry| entry.number)
    }

    /// A thing is known by another key from now on, and keeps its number.
    pub fn rename(&mut self, table: &str, old: &str, new: &str) {
        let Some(numbers) = self.tables.get_mut(table) else { return };
        if let Some(entry) = numbers.by_key.remove(old) {
            numbers.by_key.insert(new.into(), entry);
            self.dirty = true;
        }
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

    /// The number the next new thing of a table gets.
    pub fn next(&self, table: &str) -> u32 {
        self.tables.get(table).map_or(1, |numbers| numbers.next.max(1))
    }

    /// Forgets a thing that was deleted, with everything in it; its number stays used.
    pub fn forget(&mut self, table: &str, key: &str) {
        if let Some(entry) = self.tables.get_mut(table).and_then(|t| t.by_key.remove(key)) {
            self.forget_below(table, entry.number);
            self.dirty = true;
        }
    }

    /// Forgets a thing that was never there after all: its number is free where it was the last one given.
    pub fn withdraw(&mut self, table: &str, key: &str) {
        let Some(numbers) = self.tables.get_mut(table) else { return };
        let Some(entry) = numbers.by_key.remove(key) else { return };
        if numbers.next == entry.number.saturating_add(1) {
            numbers.next = entry.number;
        }
        self.forget_below(table, entry.number);
    }

    /// The agent itself changed an anonymous section: it is to be recognised by its new content.
    pub fn rewritten(&mut self, old: &Section, new: &Section) {
        let (old_content, new_content) = (content(old), content(new));
        for entry in self.tables.values_mut().flat_map(|table| table.by_key.values_mut()) {
            if entry.section == old.name && entry.content == old_content {
                entry.content.clone_from(&new_content);
                self.dirty = true;
            }
        }
    }

    /// Nothing is left of what was in a row that is gone.
    fn forget_below(&mut self, table: &str, number: u32) {
        let below = format!("{table}{number}.");
        self.tables.retain(|path, _| !path.starts_with(&below));
    }

    /// Keys for anonymous sections, in their order: each is the remembered thing of the same content, else the one
    /// whose content is most alike.
    pub fn recognise(&mut self, table: &str, sections: &[&Section]) -> Vec<Box<str>> {
        let contents: Vec<Vec<u32>> = sections.iter().map(|s| content(s)).collect();
        let mut free = self.anonymous(table);
        let mut keys: Vec<Option<Box<str>>> = vec![None; contents.len()];
        // Those in their old place come first, so that of two alike each finds itself.
        for in_place in [true, false] {
            let mut same: Map<(&[u32], &str), Vec<usize>> = Map::new();
            for (at, thing) in free.iter().enumerate().rev().filter_map(|(at, thing)| Some((at, thing.as_ref()?))) {
                let name = if in_place { &*thing.section } else { "" };
                same.or_insert_with((&thing.content, name), |_| Vec::new()).push(at);
            }
            let mut taken = Vec::new();
            for ((content, section), key) in contents.iter().zip(sections).zip(&mut keys).filter(|(_, k)| k.is_none()) {
                let name = if in_place { &*section.name } else { "" };
                if let Some(at) = same.get_mut(&(content.as_slice(), name)).and_then(Vec::pop) {
                    *key = free.get(at).and_then(Option::as_ref).map(|thing| thing.key.clone());
                    taken.push(at);
                }
            }
            for at in taken {
                free.get_mut(at).map(Option::take);
            }
        }
        for (content, key) in contents.iter().zip(&mut keys).filter(|(_, key)| key.is_none()) {
            let known = free.iter_mut().filter(|t| t.as_ref().is_some_and(|t| alike(content, &t.content)));
            // max_by_key takes the last of equals; the oldest number is meant, hence the reversal.
            let best = known.rev().max_by_key(|t| t.as_ref().map_or(0, |t| shared(content, &t.content)));
            *key = best.and_then(Option::take).map(|thing| thing.key);
        }
        let settled = keys.into_iter().zip(contents).zip(sections);
        settled.map(|((key, content), section)| self.settle(table, key, content, &section.name)).collect()
    }

    /// True where [`Instances::save`] has something new.
    pub fn dirty(&self) -> bool {
        self.dirty
    }

    /// The text to keep: a line per table with its next number, then a line per thing.
    pub fn save(&mut self) -> String {
        let mut text = String::new();
        let mut tables: Vec<_> = self.tables.iter().collect();
        order::sort_by(&mut tables, |a, b| a.0.cmp(b.0));
        for (path, numbers) in tables {
            let _ = writeln!(text, "{path} {}", numbers.next);
            let mut entries: Vec<_> = numbers.by_key.iter().collect();
            order::sort_by_key(&mut entries, |(_, e)| e.number);
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
                all.tables.or_insert_with(table.clone(), |_| Numbers::default()).next = next.parse().unwrap_or(1);
            }
        }
        all
    }

    fn insert(&mut self, table: &str, key: Box<str>, content: Vec<u32>, section: Box<str>) -> u32 {
        let tick = self.tick;
        let numbers = match self.tables.get_mut(table) {
            Some(numbers) => numbers,
            None => self.tables.or_insert_with(table.into(), |_| Numbers::default()),
        };
        let gone = numbers.make_room(tick);
        numbers.next = numbers.next.max(1);
        let number = numbers.next;
        numbers.next = numbers.next.saturating_add(1);
        numbers.by_key.insert(key, Entry { number, alias: None, content, section, seen: tick });
        self.dirty = true;
        if let Some(gone) = gone {
            self.forget_below(table, gone);
        }
        number
    }

    /// Remembered anonymous things, oldest number first.
    fn anonymous(&self, table: &str) -> Vec<Option<Thing>> {
        let Some(numbers) = self.tables.get(table) else { return Vec::new() };
        let mut all: Vec<_> = numbers.by_key.iter().filter(|(k, _)| k.starts_with('@')).collect();
        order::sort_by_key(&mut all, |(_, e)| e.number);
        let thing = |key: &str, entry: &Entry| {
            Some(Thing { key: key.into(), content: entry.content.clone(), section: entry.section.clone() })
        };
        all.into_iter().map(|(key, entry)| thing(key, entry)).collect()
    }

    fn settle(&mut self, table: &str, key: Option<Box<str>>, content: Vec<u32>, section: &str) -> Box<str> {
        let Some(key) = key else {
            let key: Box<str> = format!("@{}", self.next(table)).into();
            self.insert(table, key.clone(), content, section.into());
            return key;
        };
        let tick = self.tick;
        if let Some(entry) = self.tables.get_mut(table).and_then(|t| t.by_key.get_mut(&key)) {
            entry.seen = tick;
            if *entry.section != *section {
                entry.section = section.into();
            }
            if entry.content != content {
                entry.content = content;
                self.dirty = true;
            }
        }
        key
    }
}

impl Numbers {
    /// Forgets the thing not seen for longest where there are too many; returns its number.
    fn make_room(&mut self, now: u32) -> Option<u32> {
        if self.by_key.len() < MAX_PER_TABLE {
            return None;
        }
        let oldest = self.by_key.iter().max_by_key(|(_, e)| now.wrapping_sub(e.seen)).map(|(k, _)| k.clone());
        self.by_key.remove(&oldest?).map(|entry| entry.number)
    }
}

/// A remembered anonymous thing that may be recognised.
struct Thing {
    key: Box<str>,
    content: Vec<u32>,
    section: Box<str>,
}

/// At least half of the smaller one is in the other too. Less is no evidence: what all rows of a table have in
/// common would give the number of one that is gone to another.
fn alike(new: &[u32], old: &[u32]) -> bool {
    shared(new, old) * 2 >= new.len().min(old.len()).max(1)
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
    order::sort(&mut hashes);
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
    Some((key.into(), Entry { number, alias, content, section: "".into(), seen: 0 }))
}
