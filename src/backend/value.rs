//! Typed values as ubus carries them (blobmsg) and as fixtures write them (JSON).

/// A blobmsg value. Integers keep their width: a provider ignores an argument of another width.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// blobmsg UNSPEC, JSON null.
    Null,
    /// blobmsg INT8, which is also its boolean; JSON true and false are 1 and 0.
    Int8(i8),
    /// blobmsg INT16.
    Int16(i16),
    /// blobmsg INT32; unsigned counters come as their two's complement.
    Int32(i32),
    /// blobmsg INT64.
    Int64(i64),
    /// blobmsg DOUBLE.
    Double(f64),
    /// blobmsg STRING, without its final NUL.
    String(Box<str>),
    /// blobmsg ARRAY.
    Array(Vec<Value>),
    /// blobmsg TABLE, in wire order.
    Table(Table),
}

/// A blobmsg table: names and values in wire order; a name given twice counts as its last value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table(pub Vec<(Box<str>, Value)>);

impl Table {
    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().rev().find(|(n, _)| &**n == name).map(|(_, v)| v)
    }

    /// Appends a member and returns the table, for building arguments in a row.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }
}

impl Value {
    /// The text of a string value.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The members of a table value.
    pub fn as_table(&self) -> Option<&Table> {
        match self {
            Self::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The elements of an array value.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// Any integer width as i64.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::Int8(n) => Some(n.into()),
            Self::Int16(n) => Some(n.into()),
            Self::Int32(n) => Some(n.into()),
            Self::Int64(n) => Some(n),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Int8(truth.into())
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Int32(number)
    }
}

impl From<Table> for Value {
    fn from(table: Table) -> Self {
        Self::Table(table)
    }
}
