//! Ambiorix (amx), the data models of prplOS, as their plugins offer them on ubus.
//!
//! Every object of a data model is a ubus object with methods `_get`, `_set`, `_add`, `_del`, `_exec` and so on. A call
//! is answered by three DATA: what it returns, its out-arguments, and `amxd-error-code`. A large return value comes in
//! fragments, announced by `amxb_result_size`, the number of members of all of them. An answer that is not of this form
//! is no answer: ubusd drops messages for who reads too slowly, and half a table would look like deleted rows.

use super::ubus::message::status;
use super::{Answer, CallError, Table, Value};
use std::fmt;

const CODE: &str = "amxd-error-code";
const SIZE: &str = "amxb_result_size";

/// What a call returned.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reply {
    /// The return value; what is no table is its member `retval`.
    pub value: Table,
    /// The out-arguments.
    pub out: Table,
}

/// Why a call returned nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// It was not answered.
    Call(CallError),
    /// The plugin refused it: an `amxd_status`, and what it says of parameters.
    Refused(u32, Table),
    /// The answer is not one of Ambiorix.
    Malformed,
}

/// For the log. What a plugin says of parameters stays out of it: it may name values.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(why) => why.fmt(f),
            Self::Refused(code, _) => write!(f, "refused:{code}"),
            Self::Malformed => f.write_str("malformed"),
        }
    }
}

/// `amxd_status`, as far as somebody decides by it.
#[allow(missing_docs)]
pub mod code {
    pub const UNKNOWN_ERROR: u32 = 1;
    pub const OBJECT_NOT_FOUND: u32 = 2;
    pub const FUNCTION_NOT_FOUND: u32 = 3;
    pub const PARAMETER_NOT_FOUND: u32 = 4;
    pub const INVALID_FUNCTION_ARGUMENT: u32 = 7;
    pub const INVALID_NAME: u32 = 8;
    pub const INVALID_VALUE: u32 = 10;
    pub const INVALID_TYPE: u32 = 12;
    pub const DUPLICATE: u32 = 13;
    pub const READ_ONLY: u32 = 15;
    pub const MISSING_KEY: u32 = 16;
    pub const INVALID_ARGUMENT: u32 = 18;
    pub const OUT_OF_MEMORY: u32 = 19;
    pub const INVALID_PATH: u32 = 21;
    pub const INVALID_EXPRESSION: u32 = 22;
    pub const PERMISSION_DENIED: u32 = 23;
    pub const NOT_SUPPORTED: u32 = 24;
    pub const TIMEOUT: u32 = 27;
}

/// The last DATA of an answer.
pub fn error_code(code: i32) -> Table {
    Table::default().with(CODE, code)
}

/// What the DATA of an answer say.
///
/// # Errors
/// See [`Error`].
pub fn reply(answer: Result<Answer, CallError>) -> Result<Reply, Error> {
    let Answer { status, mut parts } = answer.map_err(Error::Call)?;
    let code = parts.last().and_then(|last| last.get(CODE)).and_then(Value::as_i64);
    let Some(code) = code.and_then(|code| u32::try_from(code).ok()) else {
        // ubusd itself, or a plugin that ends, answers with a status alone.
        return Err(if status == status::OK {
            Error::Malformed
        } else {
            Error::Refused(code_of(status), Table::default())
        });
    };
    parts.pop();
    let out = parts.pop().ok_or(Error::Malformed)?;
    let value = joined(parts).ok_or(Error::Malformed)?;
    if code == 0 { Ok(Reply { value, out }) } else { Err(Error::Refused(code, value)) }
}

/// The one table, or that of which these are the fragments.
fn joined(mut parts: Vec<Table>) -> Option<Table> {
    let size = parts.first()?.get(SIZE).and_then(Value::as_i64);
    let Some(size) = size else { return parts.pop().filter(|_| parts.is_empty()) };
    let members: Vec<_> = parts.into_iter().skip(1).flat_map(|part| part.0).collect();
    (i64::try_from(members.len()) == Ok(size)).then_some(Table(members))
}

/// The `amxd_status` that libamxb takes a status of ubus for.
fn code_of(status: u32) -> u32 {
    match status {
        status::INVALID_ARGUMENT => code::INVALID_ARGUMENT,
        status::METHOD_NOT_FOUND => code::FUNCTION_NOT_FOUND,
        status::NOT_FOUND => code::OBJECT_NOT_FOUND,
        status::PERMISSION_DENIED => code::PERMISSION_DENIED,
        status::TIMEOUT => code::TIMEOUT,
        status::NOT_SUPPORTED => code::NOT_SUPPORTED,
        _ => code::UNKNOWN_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(members: &[(&str, i32)]) -> Table {
        members.iter().fold(Table::default(), |table, (name, value)| table.with(name, *value))
    }

    fn of(status: u32, parts: Vec<Table>) -> Result<Reply, Error> {
        reply(Ok(Answer { status, parts }))
    }

    #[test]
    fn three_parts_are_an_answer_and_two_are_none() {
        let (value, out) = (table(&[("a", 1)]), table(&[("b", 2)]));
        let whole = vec![value.clone(), out.clone(), error_code(0)];
        assert_eq!(of(0, whole.clone()), Ok(Reply { value: value.clone(), out: out.clone() }));
        assert_eq!(of(0, whole[..2].to_vec()), Err(Error::Malformed), "the third was lost");
        assert_eq!(of(0, whole[1..].to_vec()), Err(Error::Malformed), "the first was lost");
        assert_eq!(of(0, vec![value.clone(), value, out, error_code(0)]), Err(Error::Malformed), "one too many");
        assert_eq!(of(0, vec![]), Err(Error::Malformed));
    }

    #[test]
    fn a_refusal_says_why_in_its_third_part_else_in_its_status() {
        let why = table(&[("why", 1)]);
        assert_eq!(of(2, vec![why.clone(), Table::default(), error_code(10)]), Err(Error::Refused(10, why)));
        assert_eq!(of(6, vec![]), Err(Error::Refused(code::PERMISSION_DENIED, Table::default())));
        assert_eq!(reply(Err(CallError::Timeout)), Err(Error::Call(CallError::Timeout)));
    }

    #[test]
    fn fragments_are_joined_where_all_of_them_came() {
        let parts = |size| {
            let fragments = [table(&[(SIZE, size)]), table(&[("a", 1), ("b", 2)]), table(&[("c", 3)])];
            fragments.into_iter().chain([Table::default(), error_code(0)]).collect()
        };
        assert_eq!(of(0, parts(3)).map(|reply| reply.value), Ok(table(&[("a", 1), ("b", 2), ("c", 3)])));
        for wrong in [2, 4, -1, 0] {
            assert_eq!(of(0, parts(wrong)), Err(Error::Malformed), "{wrong}");
        }
    }
}
