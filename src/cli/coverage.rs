//! `usp-agent coverage`: how much of TR-181, and of what a router wants of it, is mapped, and why the rest is not.

use crate::model::digest::Digest;
use crate::model::schema::{Object, Schema};
use crate::order;
use std::fmt::Write as _;

/// Numbers of parameters, commands and events of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// Its path.
    pub object: String,
    /// Mapped, or provided by the agent (Alias, numbers of entries).
    pub mapped: usize,
    /// Of those, the vendor's own.
    pub vendor: usize,
    /// In the router profile (`data-model/router-profile.txt`).
    pub in_profile: usize,
    /// In the router profile and mapped.
    pub mapped_in_profile: usize,
    /// In TR-181 2.19.
    pub in_standard: usize,
    /// Why what the router profile wants is not mapped: each reason once, in the order of the standard.
    pub reasons: Vec<String>,
}

/// Why what the router profile wants is not mapped (`data-model/no-source.txt`).
#[derive(Debug, Default)]
pub struct NoSource<'a>(Vec<(&'a str, &'a str)>);

impl<'a> NoSource<'a> {
    /// Lines `PATH  REASON`; a path that ends in `*` stands for all that begin so.
    pub fn parse(text: &'a str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self(lines.filter_map(|line| line.split_once("  ")).collect())
    }

    /// The reason for an element by its full path; the first line that fits.
    pub fn reason(&self, path: &str) -> Option<&'a str> {
        self.0.iter().find(|(pattern, _)| fits(pattern, path)).map(|(_, reason)| *reason)
    }

    /// The paths and beginnings of paths as they stand.
    pub fn patterns(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(|(pattern, _)| *pattern)
    }
}

/// A pattern of [`NoSource`] stands for this path.
pub fn fits(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => path.starts_with(beginning),
        None => path == pattern,
    }
}

/// A line for each object that the standard knows or the mapping has, sorted by path.
/// `digest` is the whole digest ([`crate::model::built_in::whole_digest`]).
pub fn coverage(schema: &Schema, digest: &Digest<'_>, no_source: &NoSource<'_>) -> Vec<Line> {
    let mut lines: order::Map<&str, Line> = order::Map::new();
    for path in digest.paths() {
        lines.insert(path, standard_line(schema, digest, path));
    }
    for object in &schema.objects {
        let line = lines.or_insert_with(object.path, |_| Line { object: object.path.to_string(), ..Line::default() });
        line.mapped = names(object).count();
        line.vendor = names(object).filter(|name| digest.element_lines(object.path, name).is_none()).count();
    }
    let mut lines: Vec<Line> = lines.into_values().collect();
    for line in &mut lines {
        let missing = missing_below(schema, digest, &line.object);
        add_reasons(&mut line.reasons, missing.filter_map(|name| no_source.reason(&format!("{}{name}", line.object))));
    }
    lines
}

/// One line for each object directly below `Device.`, in the same order.
pub fn by_top(lines: &[Line]) -> Vec<Line> {
    let mut sums: Vec<Line> = Vec::new();
    for line in lines {
        let top = top(&line.object);
        match sums.last_mut() {
            Some(sum) if sum.object == top => add(sum, line),
            _ => sums.push(Line { object: top.to_owned(), ..line.clone() }),
        }
    }
    sums
}

/// The lines as a text table with a sum; with `why`, what hinders the rest stands behind each.
pub fn table(lines: &[Line], why: bool) -> String {
    let width = lines.iter().map(|line| line.object.len()).max().unwrap_or_default().max("total".len());
    let mut text = format!(
        "{:width$}  mapped  router profile     TR-181 2.19{}\n",
        "object",
        if why { "        why not" } else { "" }
    );
    let mut total = Line { object: "total".to_owned(), ..Line::default() };
    for line in lines {
        add(&mut total, line);
        text_line(&mut text, line, width);
        if why && !line.reasons.is_empty() {
            let _ = write!(text, "  {}", line.reasons.join("; "));
        }
        text.push('\n');
    }
    text_line(&mut text, &total, width);
    text.push('\n');
    text
}

/// What is mapped or wanted, as the table of `docs/coverage.md`.
pub fn page(lines: &[Line]) -> String {
    let mut text = String::from(
        "# What of TR-181 is mapped\n\n\
         <!-- Made by `UPDATE=1 cargo test --test model_against_standard`. -->\n\n\
         Parameters, commands and events of TR-181 2.19: how many are mapped, how many of those that a router wants\n\
         (`data-model/router-profile.txt`), and why the others are not. An object whose package is not installed is not\n\
         there. `usp-agent coverage --missing` names each one.\n\n\
         | Object | Mapped | Of the profile | Why not |\n|---|---|---|---|\n",
    );
    let mut total = Line::default();
    for line in lines.iter().filter(|line| line.mapped > 0 || line.in_profile > 0) {
        add(&mut total, line);
        let reasons = line.reasons.join("; ");
        let _ = writeln!(
            text,
            "| {} | {} | {} of {} | {reasons} |",
            line.object, line.mapped, line.mapped_in_profile, line.in_profile
        );
    }
    let _ = writeln!(text, "| all | {} | {} of {} | |", total.mapped, total.mapped_in_profile, total.in_profile);
    text
}

/// What the router profile wants and the model has not: full names, in the order of the standard's paths, with the
/// reason where one is stated.
pub fn missing<'a>(schema: &Schema, digest: &Digest<'_>, no_source: &NoSource<'a>) -> Vec<(String, Option<&'a str>)> {
    let mut missing = Vec::new();
    for path in digest.paths() {
        let names = missing_below(schema, digest, path).map(|name| format!("{path}{name}"));
        missing.extend(names.map(|name| {
            let reason = no_source.reason(&name);
            (name, reason)
        }));
    }
    missing
}

fn missing_below<'a>(schema: &Schema, digest: &Digest<'a>, path: &str) -> impl Iterator<Item = &'a str> {
    let object = schema.find(path).map(|id| &schema[id]);
    digest.elements(path).filter(move |name| digest.in_profile(path, name) && !object.is_some_and(|o| has(o, name)))
}

fn standard_line(schema: &Schema, digest: &Digest<'_>, path: &str) -> Line {
    let mut line = Line { object: path.to_owned(), ..Line::default() };
    for name in digest.elements(path) {
        line.in_standard += 1;
        line.in_profile += usize::from(digest.in_profile(path, name));
    }
    line.mapped_in_profile = line.in_profile - missing_below(schema, digest, path).count();
    line
}

fn names(object: &Object) -> impl Iterator<Item = &str> {
    let params = object.params.iter().map(|param| param.name);
    let commands = object.commands.iter().map(|command| command.name);
    params.chain(commands).chain(object.events.iter().map(|event| event.name))
}

fn has(object: &Object, name: &str) -> bool {
    names(object).any(|known| known == name)
}

fn top(path: &str) -> &str {
    match path.match_indices('.').nth(1) {
        Some((dot, _)) => path.get(..=dot).unwrap_or(path),
        None => path,
    }
}

fn add(sum: &mut Line, line: &Line) {
    sum.mapped += line.mapped;
    sum.vendor += line.vendor;
    sum.in_profile += line.in_profile;
    sum.mapped_in_profile += line.mapped_in_profile;
    sum.in_standard += line.in_standard;
    add_reasons(&mut sum.reasons, line.reasons.iter().map(String::as_str));
}

fn add_reasons<'a>(known: &mut Vec<String>, more: impl Iterator<Item = &'a str>) {
    for reason in more {
        if !known.iter().any(|known| known == reason) {
            known.push(reason.to_owned());
        }
    }
}

fn text_line(text: &mut String, line: &Line, width: usize) {
    let standard = line.mapped - line.vendor;
    let _ = write!(
        text,
        "{:width$}  {:6}  {:4} of {:4} {}  {:4} of {:4} {}",
        line.object,
        line.mapped,
        line.mapped_in_profile,
        line.in_profile,
        percent(line.mapped_in_profile, line.in_profile),
        standard,
        line.in_standard,
        percent(standard, line.in_standard),
    );
}

fn percent(part: usize, whole: usize) -> String {
    match whole {
        0 => "   -".to_owned(),
        whole => format!("{:3}%", part * 100 / whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::notation::parse;

    const FACTS: &str = "Device. ro v2.0\nDevice.A. ro v2.0\n P ro string router\n Q ro string\n Go() sync router\n  >X string\n\
                         Device.A.B. ro v2.0\n R ro string router\nDevice.C. ro v2.0\n S ro string\n";

    fn schema(text: &'static str) -> Schema {
        Schema::build(parse("t.dm", text).unwrap(), &Digest::parse(FACTS), &|_| true).unwrap()
    }

    #[test]
    fn counts_what_is_mapped_wanted_and_known() {
        let schema = schema("object Device.A.\nP = text x\nX_V string = text y\nobject Device.A.B.\nR = text z");
        let digest = Digest::parse(FACTS);
        let no_source = NoSource::parse("# why\nDevice.A.G*  nowhere to go\nDevice.A.B.R  not asked\n");
        let lines = coverage(&schema, &digest, &no_source);
        assert_eq!(lines.iter().flat_map(|line| &line.reasons).collect::<Vec<_>>(), ["nowhere to go"]);
        let a = lines.iter().find(|line| line.object == "Device.A.").unwrap();
        assert_eq!((a.mapped, a.vendor, a.mapped_in_profile, a.in_profile, a.in_standard), (2, 1, 1, 2, 3));
        let tops = by_top(&lines);
        assert_eq!(tops.iter().map(|line| &*line.object).collect::<Vec<_>>(), ["Device.", "Device.A.", "Device.C."]);
        assert_eq!((tops[1].mapped, tops[1].in_profile), (3, 3));
        assert_eq!(missing(&schema, &digest, &no_source), [("Device.A.Go()".to_owned(), Some("nowhere to go"))]);
        let text = table(&tops, true);
        assert!(text.lines().last().unwrap().starts_with("total"), "{text}");
        assert!(text.contains("Device.A.       3     2 of    3  66%     2 of    4  50%  nowhere to go\n"), "{text}");
    }
}
