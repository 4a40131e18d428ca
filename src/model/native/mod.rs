//! Mapping rows that need logic: one Rust function each, by the name the row gives.

use super::eval::Scope;
use super::stage::Staging;
use crate::backend::Value;
use crate::usp::fault::Fault;

/// Reads a value: `= native NAME`.
pub type Read = fn(&Scope<'_>) -> Option<Value>;
/// Writes one: the canonical text of the parameter.
pub type Write = fn(&Scope<'_>, &str, &mut Staging) -> Result<(), Fault>;
/// The rows of a table: `each native NAME`; key and element, which `item` reads.
pub type Rows = fn(&Scope<'_>) -> Vec<(String, Value)>;
/// From text to text: `| native NAME`.
pub type FilterFn = fn(&Scope<'_>, &str) -> Option<String>;
/// Makes a row below the scope's row and returns its key: `new native NAME`.
pub type Create = fn(&Scope<'_>, &mut Staging) -> Result<String, Fault>;
/// Removes the scope's row.
pub type Delete = fn(&Scope<'_>, &mut Staging) -> Result<(), Fault>;

/// Values: name, how it is read, how it is written where it can be.
const VALUES: &[(&str, Read, Option<Write>)] = &[];

/// Tables.
const ROWS: &[(&str, Rows)] = &[];

/// Filters.
const FILTERS: &[(&str, FilterFn)] = &[];

/// Creation and deletion of rows.
const MAKERS: &[(&str, Create, Delete)] = &[];

/// The value of `native NAME`.
pub fn read(name: &str, scope: &Scope<'_>) -> Option<Value> {
    VALUES.iter().find(|(n, ..)| *n == name).and_then(|(_, read, _)| read(scope))
}

/// How `native NAME` is written, where it can be.
pub fn write(name: &str) -> Option<Write> {
    VALUES.iter().find(|(n, ..)| *n == name).and_then(|(.., write)| *write)
}

/// The rows of `each native NAME`.
pub fn rows(name: &str, scope: &Scope<'_>) -> Vec<(String, Value)> {
    ROWS.iter().find(|(n, _)| *n == name).map(|(_, rows)| rows(scope)).unwrap_or_default()
}

/// The text behind `| native NAME`.
pub fn filter(name: &str, scope: &Scope<'_>, text: &str) -> Option<String> {
    FILTERS.iter().find(|(n, _)| *n == name).and_then(|(_, filter)| filter(scope, text))
}

/// What `new native NAME` does.
pub fn maker(name: &str) -> Option<(Create, Delete)> {
    MAKERS.iter().find(|(n, ..)| *n == name).map(|(_, create, delete)| (*create, *delete))
}

/// Whether a name is known, for the mapping's check: value, rows, filter or maker.
pub fn known(name: &str) -> bool {
    VALUES.iter().any(|(n, ..)| *n == name)
        || ROWS.iter().any(|(n, _)| *n == name)
        || FILTERS.iter().any(|(n, _)| *n == name)
        || MAKERS.iter().any(|(n, ..)| *n == name)
}
