//! What is true of every row of a kind.

use crate::backend::Value;
use crate::backend::uci::OptValue;
use crate::model::eval::Scope;
use crate::model::instances::MAX_PER_TABLE;
use crate::model::stage::Staging;
use crate::usp::fault::{Code, Fault};

/// The name of the row's section in the file as it is now; the key of an anonymous one is another.
pub(super) fn section(scope: &Scope<'_>) -> Option<Value> {
    scope.section().map(|(_, section)| Value::from(&*section.name))
}

/// `option Alias`, else `cpe-` and the instance number: an Alias is never empty.
pub(super) fn alias(scope: &Scope<'_>) -> Option<Value> {
    let stated = scope.section().and_then(|(_, section)| section.text("Alias")).map(Value::from);
    stated.or_else(|| scope.row.map(|row| Value::from(format!("cpe-{}", row.number).as_str())))
}

/// Keeps the Alias with what it belongs to.
pub(super) fn set_alias(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let (package, section) = scope.section().ok_or_else(|| Fault::new(Code::ParameterReadOnly, "no section"))?;
    staging.set(&package.name, &section.name, "Alias", Some(OptValue::One(value.into())));
    Ok(())
}

/// The row's section where it has a name; one without is told apart by its type and the number in its key.
pub(super) fn name(scope: &Scope<'_>) -> Option<Value> {
    let (_, section) = scope.section()?;
    Some(match scope.key().strip_prefix('@') {
        Some(number) if section.anonymous => Value::from(format!("{}-{number}", section.kind).as_str()),
        _ => Value::from(scope.key()),
    })
}

/// Words with blanks between them, which shell scripts read, as a list.
pub(super) fn words(_: &Scope<'_>, text: &str) -> Option<String> {
    Some(text.split([' ', '\t', ',']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(","))
}

pub(super) fn set_words(_: &Scope<'_>, _: &str, list: &str) -> Option<String> {
    Some(list.replace(',', " "))
}

/// The most rows a table shows.
pub(super) fn most(_: &Scope<'_>) -> Option<Value> {
    Some(Value::from(MAX_PER_TABLE.to_string().as_str()))
}

/// A counter in the 32 bits that TR-181 has for it: it begins again as theirs do.
pub(super) fn counter(_: &Scope<'_>, text: &str) -> Option<String> {
    Some((text.parse::<u64>().ok()? & u64::from(u32::MAX)).to_string())
}

/// What is listed is in use: OpenWrt has no place to keep such a row without using it.
pub(super) fn always(_: &Scope<'_>) -> Option<Value> {
    Some(Value::from(true))
}

/// Takes what is true anyway.
pub(super) fn set_always(_: &Scope<'_>, value: &str, _: &mut Staging) -> Result<(), Fault> {
    match value {
        "1" | "true" => Ok(()),
        _ => Err(Fault::new(Code::InvalidValue, "this cannot be kept without being used; delete it instead")),
    }
}
