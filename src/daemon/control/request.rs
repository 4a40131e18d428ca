//! From the arguments of a call to what is asked.

use crate::agent::local::Request;
use crate::backend::{Table, Value};
use crate::usp::message::MAX_ENTRIES;
use crate::usp::wire::msg::add::{CreateObject, CreateParamSetting};
use crate::usp::wire::msg::request::ReqType;
use crate::usp::wire::msg::set::{UpdateObject, UpdateParamSetting};
use crate::usp::wire::msg::{Add, Delete, Get, GetInstances, GetSupportedDm, Operate, Set};
use std::collections::BTreeMap;

/// Seconds that something is watched or traced where the caller names none.
const SECONDS: u32 = 60;

/// What a call asks.
#[derive(Debug, PartialEq)]
pub(super) enum Asked {
    Status,
    Metrics,
    Reload,
    Trace(u32),
    /// Of the agent; true where the caller waits for the end of an operation.
    Agent(Request, bool),
}

/// Reads a call; Err names what is missing or wrong.
pub(super) fn read(method: &str, args: &Table) -> Result<Asked, String> {
    let args = Arguments(args);
    let message = |request| Ok(Asked::Agent(Request::Message(request), false));
    match method {
        "status" => Ok(Asked::Status),
        "metrics" => Ok(Asked::Metrics),
        "reload" => Ok(Asked::Reload),
        "trace" => Ok(Asked::Trace(args.number("seconds", SECONDS)?)),
        "get" => message(ReqType::Get(Get { param_paths: args.paths()?, max_depth: args.number("max_depth", 0)? })),
        "set" => {
            let set = Set { allow_partial: false, update_objs: args.updates()? };
            match args.flag("dry_run") {
                true => Ok(Asked::Agent(Request::Rehearse(set), false)),
                false => message(ReqType::Set(set)),
            }
        }
        "add" => {
            let setting = |(param, value)| CreateParamSetting { param, value, required: true };
            let param_settings = args.pairs("values")?.into_iter().map(setting).collect();
            let object = CreateObject { obj_path: args.one_path()?, param_settings };
            message(ReqType::Add(Add { allow_partial: false, create_objs: vec![object] }))
        }
        "del" => message(ReqType::Delete(Delete { allow_partial: false, obj_paths: args.paths()? })),
        "operate" => {
            let mut input_args = BTreeMap::new();
            args.pairs("input")?.into_iter().for_each(|(name, value)| drop(input_args.insert(name, value)));
            let mut command = args.one_path()?;
            if !command.ends_with(')') {
                command.push_str("()");
            }
            let operate = Operate { command, command_key: String::new(), send_resp: true, input_args };
            let wait = args.0.get("wait").is_none() || args.flag("wait");
            Ok(Asked::Agent(Request::Message(ReqType::Operate(operate)), wait))
        }
        "instances" => message(ReqType::GetInstances(GetInstances {
            obj_paths: args.paths()?,
            first_level_only: args.flag("first_level"),
        })),
        "supported" => message(ReqType::GetSupportedDm(GetSupportedDm {
            obj_paths: args.paths()?,
            first_level_only: args.flag("first_level"),
            return_commands: true,
            return_events: true,
            return_params: true,
            return_unique_key_sets: false,
        })),
        "confirm" => Ok(Asked::Agent(Request::Confirm, false)),
        "revert" => Ok(Asked::Agent(Request::Revert, false)),
        "approve" => {
            let controller = args.text("controller").ok_or("controller is missing: its section or Endpoint ID")?;
            Ok(Asked::Agent(Request::Approve { controller, role: args.text("role") }, false))
        }
        "watch" => {
            let (paths, seconds) = (args.paths()?, args.number("seconds", SECONDS)?);
            Ok(Asked::Agent(Request::Watch { paths, seconds }, false))
        }
        other => Err(format!("there is no method {other}")),
    }
}

/// What a caller gave; whatever is not asked for (`ubus_rpc_session` of rpcd) does not count.
struct Arguments<'a>(&'a Table);

impl Arguments<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).and_then(text).filter(|text| !text.is_empty())
    }

    fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_i64).is_some_and(|number| number != 0)
    }

    fn number(&self, name: &str, usual: u32) -> Result<u32, String> {
        match self.0.get(name) {
            None => Ok(usual),
            Some(given) => {
                let number = given.as_i64().and_then(|number| u32::try_from(number).ok());
                number.ok_or_else(|| format!("{name} is not a number"))
            }
        }
    }

    fn one_path(&self) -> Result<String, String> {
        self.text("path").ok_or_else(|| "path is missing".to_owned())
    }

    /// `path`, `paths`, or both.
    fn paths(&self) -> Result<Vec<String>, String> {
        let listed = self.0.get("paths").and_then(Value::as_array).unwrap_or_default();
        bounded(listed.len())?;
        let listed = listed.iter().map(|path| text(path).ok_or("paths must be texts"));
        let all: Vec<String> = self.text("path").map(Ok).into_iter().chain(listed).collect::<Result<_, _>>()?;
        if all.is_empty() { Err("path or paths is missing".to_owned()) } else { Ok(all) }
    }

    /// A table of texts, in its order.
    fn pairs(&self, name: &str) -> Result<Vec<(String, String)>, String> {
        let Some(given) = self.0.get(name) else { return Ok(Vec::new()) };
        let given = given.as_table().ok_or_else(|| format!("{name} is not a table"))?;
        bounded(given.0.len())?;
        let pair = |(name, value): &(Box<str>, Value)| {
            let value =
                text(value).ok_or_else(|| format!("the value of {name} is neither text, number nor boolean"))?;
            Ok((name.to_string(), value))
        };
        given.0.iter().map(pair).collect()
    }

    /// `path` and `value`, or `values`; neighbours of one object go together, so that they are one whole.
    fn updates(&self) -> Result<Vec<UpdateObject>, String> {
        let mut pairs = self.pairs("values")?;
        if let Some(path) = self.text("path") {
            let value = self.0.get("value").and_then(text).ok_or("value is missing")?;
            pairs.insert(0, (path, value));
        }
        if pairs.is_empty() {
            return Err("path and value, or values, are missing".to_owned());
        }
        let mut objects: Vec<UpdateObject> = Vec::new();
        for (path, value) in pairs {
            let (object, name) = split(&path).ok_or_else(|| format!("{path} does not name a parameter"))?;
            let setting = UpdateParamSetting { param: name.to_owned(), value, required: true };
            match objects.last_mut().filter(|last| last.obj_path == object) {
                Some(last) => last.param_settings.push(setting),
                None => {
                    objects.push(UpdateObject { obj_path: object.to_owned(), param_settings: vec![setting] });
                }
            }
        }
        Ok(objects)
    }
}

/// The object and the name of a parameter's path: its last dot is behind any search.
fn split(path: &str) -> Option<(&str, &str)> {
    let from = path.rfind(']').map_or(0, |at| at + 1);
    let dot = from + path.get(from..)?.rfind('.')? + 1;
    let (object, name) = path.split_at_checked(dot)?;
    (!name.is_empty()).then_some((object, name))
}

fn bounded(entries: usize) -> Result<(), String> {
    if entries > MAX_ENTRIES { Err(format!("{MAX_ENTRIES} entries at most")) } else { Ok(()) }
}

/// What JSON may write as text, number or boolean.
fn text(value: &Value) -> Option<String> {
    Some(match value {
        Value::String(text) => text.to_string(),
        Value::Int8(truth) => (*truth != 0).to_string(),
        number => number.as_i64()?.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(pairs: &[(&str, &str)]) -> Value {
        pairs.iter().fold(Table::default(), |table, (name, value)| table.with(name, *value)).into()
    }

    #[test]
    fn values_of_one_object_are_set_together_and_in_order() {
        let values = [("Device.A.[X==\"1.5\"].B", "1"), ("Device.A.[X==\"1.5\"].C", "2"), ("Device.D", "3")];
        let Ok(Asked::Agent(Request::Message(ReqType::Set(set)), _)) =
            read("set", &Table::default().with("values", table(&values)))
        else {
            panic!("no Set");
        };
        let objects: Vec<_> = set.update_objs.iter().map(|o| (o.obj_path.as_str(), o.param_settings.len())).collect();
        assert_eq!(objects, [("Device.A.[X==\"1.5\"].", 2), ("Device.", 1)]);
        assert!(!set.allow_partial && set.update_objs.iter().flat_map(|o| &o.param_settings).all(|s| s.required));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let wrong = |method: &str, args: Table| read(method, &args).unwrap_err();
        assert_eq!(wrong("get", Table::default()), "path or paths is missing");
        assert_eq!(wrong("get", Table::default().with("path", "a").with("max_depth", -1)), "max_depth is not a number");
        assert_eq!(wrong("set", Table::default().with("path", "Device.A.B")), "value is missing");
        assert_eq!(
            wrong("set", Table::default().with("path", "Device.").with("value", "1")),
            "Device. does not name a parameter"
        );
        assert_eq!(wrong("add", Table::default().with("path", "a").with("values", 1)), "values is not a table");
        let many = Value::Array(vec![Value::from("Device."); MAX_ENTRIES + 1]);
        assert_eq!(read("get", &Table(vec![("paths".into(), many)])), Err("4096 entries at most".to_owned()));
    }

    #[test]
    fn numbers_and_booleans_are_texts_too() {
        let values = Table::default().with("Device.A", true).with("Device.B", 7);
        let Ok(Asked::Agent(Request::Rehearse(set), false)) =
            read("set", &Table::default().with("values", values).with("dry_run", true))
        else {
            panic!("no rehearsal");
        };
        let settings: Vec<_> = set.update_objs[0].param_settings.iter().map(|s| s.value.as_str()).collect();
        assert_eq!(settings, ["true", "7"]);
    }
}
