//! Every parameter that can be written, on every recorded router: what the standard forbids is refused with its code,
//! and nothing is written.

use crate::play::Player;
use std::collections::BTreeSet;
use usp_agent::model::schema::{Access, Kind, Param, Schema};

/// Texts that are no value of this parameter; empty where any text is.
fn wrong_values(param: &Param) -> Vec<String> {
    let facets = &param.facets;
    let mut wrong = match param.kind {
        Kind::Boolean => vec!["maybe".to_string(), "2".to_string()],
        Kind::Int | Kind::Long | Kind::Decimal => vec!["much".to_string()],
        Kind::UnsignedInt | Kind::UnsignedLong => vec!["-1".to_string(), "much".to_string()],
        Kind::DateTime => vec!["yesterday".to_string()],
        Kind::HexBinary => vec!["xyz".to_string()],
        Kind::Base64 => vec!["=".to_string()],
        Kind::String => Vec::new(),
    };
    let inside =
        |n: i64| facets.ranges.iter().any(|(low, high)| low.is_none_or(|l| n >= l) && high.is_none_or(|h| n <= h));
    let edges = facets.ranges.iter().flat_map(|(low, high)| [low.map(|l| l - 1), high.map(|h| h + 1)]);
    wrong.extend(edges.flatten().filter(|n| !inside(*n)).map(|n| n.to_string()));
    if !facets.enumeration.is_empty() {
        wrong.push("NoSuchWord".into());
    }
    if !facets.patterns.is_empty() {
        wrong.push("\u{1}?".into());
    }
    let longest = facets.sizes.iter().map(|(_, high)| *high).max().flatten();
    if let Some(longest) = longest.filter(|_| param.kind == Kind::String && facets.list.is_none()) {
        wrong.push("x".repeat(longest as usize + 1));
    }
    wrong
}

#[test]
fn what_the_standard_forbids_is_refused_and_nothing_is_written() {
    let schema: Schema = crate::schema();
    let (mut tried, mut complaints) = (BTreeSet::new(), Vec::new());
    for fixture in std::fs::read_dir("tests/fixtures").unwrap().flatten().filter(|f| f.path().join("uci").is_dir()) {
        let fixture = fixture.file_name().into_string().unwrap();
        let mut player = Player::new(&fixture);
        for (path, template) in player.objects() {
            let Some(object) = schema.find(&template).map(|id| &schema[id]) else { continue };
            for param in object.params.iter().filter(|param| param.access != Access::ReadOnly) {
                for value in wrong_values(param) {
                    let outcome = player.try_to_set(&format!("{path}{}", param.name), &value);
                    let refused = matches!(outcome.as_slice(), [line] if line.starts_with("fault 7011 ") || line.starts_with("fault 7012 "));
                    if !refused {
                        complaints.push(format!("{fixture}: {path}{} = {value:?}: {outcome:?}", param.name));
                    }
                    tried.insert(format!("{template}{}", param.name));
                }
            }
        }
    }
    assert!(complaints.is_empty(), "{} of them\n{}", complaints.len(), complaints.join("\n"));
    let can_be_wrong = |o: &usp_agent::model::schema::Object, p: &Param| {
        (p.access != Access::ReadOnly && !wrong_values(p).is_empty()).then(|| format!("{}{}", o.path, p.name))
    };
    let all: BTreeSet<String> =
        schema.objects.iter().flat_map(|o| o.params.iter().filter_map(move |p| can_be_wrong(o, p))).collect();
    let untried: Vec<_> = all.difference(&tried).collect();
    println!("{} of {} writable parameters with a wrong value tried; not: {untried:#?}", tried.len(), all.len());
    assert!(tried.len() * 10 >= all.len() * 8, "only {} of {}: {untried:#?}", tried.len(), all.len());
}
