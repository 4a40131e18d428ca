//! blobmsg, the typed tables of ubus, to and from [`Table`].
//!
//! Everything is big endian and padded to four bytes. What breaks the form of a single
//! attribute drops that attribute, as libubox does; what breaks a limit refuses the whole.

use crate::backend::{Table, Value};
use std::fmt;

/// The largest message of the bus, header excluded, in bytes (`UBUS_MAX_MSGLEN`).
pub const MAX_MESSAGE: usize = 1_048_576;
/// How deep tables and arrays may nest; the outermost table counts as one.
pub const MAX_DEPTH: usize = 32;
/// How many values one message may hold: bounds the memory of a decoded megabyte.
pub const MAX_VALUES: usize = 65_536;

const EXTENDED: u32 = 1 << 31;
const LENGTH: u32 = 0x00ff_ffff;
const HEADER: usize = 4;

/// The type numbers of blobmsg, as they stand in attributes and in signatures.
pub mod kind {
    /// JSON null; in a signature: any type.
    pub const UNSPEC: u8 = 0;
    /// A list.
    pub const ARRAY: u8 = 1;
    /// Named values.
    pub const TABLE: u8 = 2;
    /// A text with a final NUL.
    pub const STRING: u8 = 3;
    /// 64 bits.
    pub const INT64: u8 = 4;
    /// 32 bits.
    pub const INT32: u8 = 5;
    /// 16 bits.
    pub const INT16: u8 = 6;
    /// 8 bits, which is also the boolean.
    pub const INT8: u8 = 7;
    /// An IEEE 754 double.
    pub const DOUBLE: u8 = 8;
}

/// Why a table is not carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Over [`MAX_DEPTH`].
    TooDeep,
    /// Over [`MAX_MESSAGE`] or [`MAX_VALUES`].
    TooLarge,
    /// A text or name holds a NUL: the receiver would read less than was written.
    Nul,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooDeep => "nested too deep",
            Self::TooLarge => "too large",
            Self::Nul => "a NUL in it",
        })
    }
}

/// One blob attribute: a number, the blobmsg mark and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// 0 to 127.
    pub id: u8,
    /// Whether the payload starts with a name, as in blobmsg.
    pub extended: bool,
    /// Without header and padding.
    pub payload: &'a [u8],
}

/// Walks the attributes that lie one after another in `bytes`; ends at the first that overruns it.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = Attribute<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let header = u32::from_be_bytes(*rest.first_chunk::<HEADER>()?);
        let length = (header & LENGTH) as usize;
        let payload = rest.get(HEADER..length)?;
        rest = rest.get(padded(length)..)?;
        Some(Attribute { id: (header >> 24) as u8 & 0x7f, extended: header & EXTENDED != 0, payload })
    })
}

/// Appends an attribute whose payload `fill` writes, with its padding.
///
/// # Errors
/// What `fill` refuses, and [`Refusal::TooLarge`] for a payload over [`MAX_MESSAGE`].
pub fn put<F>(out: &mut Vec<u8>, id: u8, name: Option<&str>, fill: F) -> Result<(), Refusal>
where
    F: FnOnce(&mut Vec<u8>) -> Result<(), Refusal>,
{
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    if let Some(name) = name {
        put_name(out, name)?;
    }
    fill(out)?;
    let length = out.len() - start;
    if length > MAX_MESSAGE || out.len() > MAX_MESSAGE {
        return Err(Refusal::TooLarge);
    }
    let mark = if name.is_some() { EXTENDED } else { 0 };
    let header = mark | u32::from(id & 0x7f) << 24 | length as u32;
    if let Some(place) = out.get_mut(start..start + HEADER) {
        place.copy_from_slice(&header.to_be_bytes());
    }
    out.resize(start + padded(length), 0);
    Ok(())
}

fn put_name(out: &mut Vec<u8>, name: &str) -> Result<(), Refusal> {
    let length = u16::try_from(name.len()).map_err(|_| Refusal::TooLarge)?;
    if name.contains('\0') {
        return Err(Refusal::Nul);
    }
    let start = out.len();
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(name.as_bytes());
    out.resize(start + name_header(name.len()), 0);
    Ok(())
}

/// The table as the bytes of a DATA attribute.
///
/// # Errors
/// A [`Refusal`] when the bus would not carry it whole.
pub fn encode(table: &Table) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::new();
    put_members(&mut out, table, 1)?;
    Ok(out)
}

fn put_members(out: &mut Vec<u8>, table: &Table, depth: usize) -> Result<(), Refusal> {
    table.0.iter().try_for_each(|(name, value)| put_value(out, name, value, depth))
}

fn put_value(out: &mut Vec<u8>, name: &str, value: &Value, depth: usize) -> Result<(), Refusal> {
    put(out, kind_of(value), Some(name), |out| {
        match value {
            Value::Null => {}
            Value::Int8(n) => out.extend_from_slice(&n.to_be_bytes()),
            Value::Int16(n) => out.extend_from_slice(&n.to_be_bytes()),
            Value::Int32(n) => out.extend_from_slice(&n.to_be_bytes()),
            Value::Int64(n) => out.extend_from_slice(&n.to_be_bytes()),
            Value::Double(n) => out.extend_from_slice(&n.to_bits().to_be_bytes()),
            Value::String(text) => return put_text(out, text),
            Value::Array(_) | Value::Table(_) if depth >= MAX_DEPTH => return Err(Refusal::TooDeep),
            Value::Array(items) => return items.iter().try_for_each(|item| put_value(out, "", item, depth + 1)),
            Value::Table(table) => return put_members(out, table, depth + 1),
        }
        Ok(())
    })
}

/// Appends a text and its NUL.
///
/// # Errors
/// [`Refusal::Nul`] when the text holds one itself.
pub fn put_text(out: &mut Vec<u8>, text: &str) -> Result<(), Refusal> {
    if text.contains('\0') {
        return Err(Refusal::Nul);
    }
    out.extend_from_slice(text.as_bytes());
    out.push(0);
    Ok(())
}

/// The blobmsg type number of a value.
pub fn kind_of(value: &Value) -> u8 {
    match value {
        Value::Null => kind::UNSPEC,
        Value::Array(_) => kind::ARRAY,
        Value::Table(_) => kind::TABLE,
        Value::String(_) => kind::STRING,
        Value::Int64(_) => kind::INT64,
        Value::Int32(_) => kind::INT32,
        Value::Int16(_) => kind::INT16,
        Value::Int8(_) => kind::INT8,
        Value::Double(_) => kind::DOUBLE,
    }
}

/// The table in the bytes of a DATA attribute. Malformed attributes are dropped.
///
/// # Errors
/// [`Refusal::TooDeep`] and [`Refusal::TooLarge`] when a limit is broken.
pub fn decode(bytes: &[u8]) -> Result<Table, Refusal> {
    if bytes.len() > MAX_MESSAGE {
        return Err(Refusal::TooLarge);
    }
    members(bytes, 1, &mut 0)
}

fn members(bytes: &[u8], depth: usize, count: &mut usize) -> Result<Table, Refusal> {
    let mut table = Table::default();
    for attribute in attributes(bytes) {
        let Some((Some(name), payload)) = split_name(attribute) else { continue };
        if let Some(value) = value(attribute.id, payload, depth, count)? {
            table.0.push((String::from_utf8_lossy(name).into(), value));
        }
    }
    Ok(table)
}

fn items(bytes: &[u8], depth: usize, count: &mut usize) -> Result<Vec<Value>, Refusal> {
    let mut items = Vec::new();
    for attribute in attributes(bytes) {
        if let Some((_, payload)) = split_name(attribute) {
            items.extend(value(attribute.id, payload, depth, count)?);
        }
    }
    Ok(items)
}

/// Name and value bytes of an attribute; one without the blobmsg mark has no name.
fn split_name(attribute: Attribute<'_>) -> Option<(Option<&[u8]>, &[u8])> {
    if !attribute.extended {
        return Some((None, attribute.payload));
    }
    let length = usize::from(u16::from_be_bytes(*attribute.payload.first_chunk::<2>()?));
    let name = attribute.payload.get(2..2 + length)?;
    let ended = attribute.payload.get(2 + length) == Some(&0);
    let payload = attribute.payload.get(name_header(length)..)?;
    ended.then_some((name.split(|byte| *byte == 0).next(), payload))
}

fn value(id: u8, payload: &[u8], depth: usize, count: &mut usize) -> Result<Option<Value>, Refusal> {
    *count += 1;
    if *count > MAX_VALUES {
        return Err(Refusal::TooLarge);
    }
    if matches!(id, kind::ARRAY | kind::TABLE) && depth >= MAX_DEPTH {
        return Err(Refusal::TooDeep);
    }
    Ok(match id {
        kind::ARRAY => Some(Value::Array(items(payload, depth + 1, count)?)),
        kind::TABLE => Some(Value::Table(members(payload, depth + 1, count)?)),
        _ => scalar(id, payload),
    })
}

fn scalar(id: u8, payload: &[u8]) -> Option<Value> {
    Some(match id {
        kind::UNSPEC => Value::Null,
        kind::INT8 => Value::Int8(i8::from_be_bytes(payload.try_into().ok()?)),
        kind::INT16 => Value::Int16(i16::from_be_bytes(payload.try_into().ok()?)),
        kind::INT32 => Value::Int32(i32::from_be_bytes(payload.try_into().ok()?)),
        kind::INT64 => Value::Int64(i64::from_be_bytes(payload.try_into().ok()?)),
        kind::DOUBLE => Value::Double(f64::from_bits(u64::from_be_bytes(*payload.first_chunk()?))),
        kind::STRING => Value::String(text(payload)?.into()),
        _ => return None,
    })
}

/// The text of a string payload: it must end in NUL, and reads up to its first, as in C.
/// Bytes that are not UTF-8 (SSIDs may hold any) are replaced.
pub fn text(payload: &[u8]) -> Option<std::borrow::Cow<'_, str>> {
    if payload.last() != Some(&0) {
        return None;
    }
    payload.split(|byte| *byte == 0).next().map(String::from_utf8_lossy)
}

/// `length` rounded up to the next attribute.
pub const fn padded(length: usize) -> usize {
    (length + 3) & !3
}

const fn name_header(name: usize) -> usize {
    padded(2 + name + 1)
}

#[cfg(test)]
#[path = "blobmsg_tests.rs"]
mod tests;
