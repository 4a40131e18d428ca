//! Commands of mounted objects: `_exec`.

use super::fault::fault;
use super::read::plugin_and_rest;
use crate::backend::amx::{self, code};
use crate::backend::{Answer, CallError, Table, Value};
use crate::model::value::plain;
use crate::usp::fault::{Code, Fault};

/// The method that performs commands.
pub const EXECUTE: &str = "_exec";
/// Tables in tables of an answer, at most; the bus carries no more.
const MAX_DEPTH: usize = 32;

/// The ubus object and the arguments for a command, `Device.WiFi.Radio.1.Scan()`.
pub fn execution<'p>(command: &'p str, input: &[(String, String)]) -> (&'p str, Table) {
    let (object, rest) = plugin_and_rest(command);
    let (path, name) = rest.rsplit_once('.').unwrap_or(("", rest));
    let path = if path.is_empty() { String::new() } else { format!("{path}.") };
    let input = input.iter().fold(Table::default(), |table, (name, value)| table.with(name, value.as_str()));
    let args = Table::default().with("rel_path", &*path);
    (object, args.with("method", name.strip_suffix("()").unwrap_or(name)).with("args", input))
}

/// The output arguments of a command: the out-arguments, else the members of a table it returns.
pub fn output(answer: Result<Answer, CallError>) -> Result<Vec<(String, String)>, Fault> {
    let reply = amx::reply(answer).map_err(|why| match why {
        amx::Error::Refused(code::OBJECT_NOT_FOUND, _) => fault("the command", &why, Code::ObjectDoesNotExist),
        _ => fault("the command", &why, Code::CommandFailure),
    })?;
    let mut output = Vec::new();
    if let Some(Value::Table(args)) = reply.out.get("args") {
        flatten("", args, 0, &mut output);
    }
    if output.is_empty() && reply.value.get("retval").is_none() {
        flatten("", &reply.value, 0, &mut output);
    }
    Ok(output)
}

/// The members of a table by USP's names: `Result.1.Name`, lists counted from 1.
pub fn flatten(above: &str, Table(members): &Table, depth: usize, into: &mut Vec<(String, String)>) {
    for (name, value) in members {
        member(format!("{above}{name}"), value, depth, into);
    }
}

fn member(name: String, value: &Value, depth: usize, into: &mut Vec<(String, String)>) {
    match value {
        Value::Table(_) | Value::Array(_) if depth >= MAX_DEPTH => {}
        Value::Table(table) => flatten(&format!("{name}."), table, depth + 1, into),
        Value::Array(items) if items.iter().any(|item| matches!(item, Value::Table(_))) => {
            for (item, number) in items.iter().zip(1..) {
                member(format!("{name}.{number}"), item, depth + 1, into);
            }
        }
        Value::Null => {}
        value => into.extend(plain(value).map(|text| (name, text.into_owned()))),
    }
}
