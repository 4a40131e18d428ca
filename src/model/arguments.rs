//! Input arguments of a command, checked against the standard.

use super::schema::Argument;
use crate::usp::fault::{Code, Fault};

/// The known arguments with defaults filled in. An unknown one is ignored (R-OPR.6); a missing mandatory one, or a
/// value the standard forbids, is 7027 (TP-469 1.100).
pub(super) fn checked(known: &[Argument], given: &[(String, String)]) -> Result<Vec<(String, String)>, Fault> {
    let mut input = Vec::new();
    for (name, value) in given {
        let Some(argument) = known.iter().find(|a| same(&a.name, name)) else { continue };
        let value = argument
            .check(value)
            .map_err(|why| Fault::new(Code::InvalidCommandArguments, format!("{name}: {}", why.text)))?;
        input.push((name.clone(), value.into_owned()));
    }
    for argument in known.iter().filter(|a| !given.iter().any(|(name, _)| same(&a.name, name))) {
        if argument.mandatory {
            return Err(Fault::new(Code::InvalidCommandArguments, format!("{} is missing", argument.name)));
        }
        if let Some(default) = &argument.default {
            input.push((argument.name.to_string(), default.to_string()));
        }
    }
    Ok(input)
}

/// `Table.3.Name` is an argument `Table.{i}.Name`.
fn same(known: &str, given: &str) -> bool {
    if known == given {
        return true;
    }
    let mut pairs = known.split('.').zip(given.split('.'));
    let row = |given: &str| !given.is_empty() && given.bytes().all(|b| b.is_ascii_digit());
    known.split('.').count() == given.split('.').count()
        && pairs.all(|(known, given)| known == given || (known == "{i}" && row(given)))
}
