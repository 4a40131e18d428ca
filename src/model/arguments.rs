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
    for argument in known {
        for name in places(&argument.name, given) {
            if given.iter().any(|(given, _)| *given == name) {
                continue;
            }
            if argument.mandatory {
                return Err(Fault::new(Code::InvalidCommandArguments, format!("{name} is missing")));
            }
            if let Some(default) = &argument.default {
                input.push((name, default.to_string()));
            }
        }
    }
    Ok(input)
}

/// Where an argument belongs: for one of a table, in each row of which something is given.
fn places(name: &str, given: &[(String, String)]) -> Vec<String> {
    let Some((table, own)) = name.rsplit_once("{i}.") else { return vec![name.to_string()] };
    let row = format!("{table}{{i}}");
    let depth = row.split('.').count();
    let mut places: Vec<String> = Vec::new();
    for (given, _) in given {
        let steps: Vec<&str> = given.split('.').collect();
        let Some(given_row) = steps.get(..depth).map(|steps| steps.join(".")) else { continue };
        let place = format!("{given_row}.{own}");
        if same(&row, &given_row) && !places.contains(&place) {
            places.push(place);
        }
    }
    places
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facets::Facets;
    use crate::model::schema::Kind;

    fn argument(name: &str, mandatory: bool, default: Option<&str>) -> Argument {
        let facets = Facets::default().into();
        Argument { name: name.into(), mandatory, kind: Kind::String, facets, default: default.map(Into::into) }
    }

    fn given(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn arguments_of_a_table_count_in_the_rows_that_are_given() {
        let known = [argument("Window.{i}.Start", true, None), argument("Window.{i}.Mode", false, Some("Anytime"))];
        assert_eq!(checked(&known, &[]).unwrap(), []);
        let row = checked(&known, &given(&[("Window.2.Start", "0")])).unwrap();
        assert_eq!(row, given(&[("Window.2.Start", "0"), ("Window.2.Mode", "Anytime")]));
        let fault = checked(&known, &given(&[("Window.1.Mode", "x"), ("Other", "x")])).unwrap_err();
        assert_eq!(fault.code, Code::InvalidCommandArguments);
    }

    #[test]
    fn a_missing_argument_is_an_error_or_its_default_and_an_unknown_one_nothing() {
        let known = [argument("Host", true, None), argument("Count", false, Some("3"))];
        assert_eq!(checked(&known, &[]).unwrap_err().code, Code::InvalidCommandArguments);
        let input = checked(&known, &given(&[("Host", "a"), ("Nonsense", "b")])).unwrap();
        assert_eq!(input, given(&[("Host", "a"), ("Count", "3")]));
    }
}
