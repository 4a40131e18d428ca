//! The standard as facts: what TR-181 2.19 says of each object, parameter, command and event.
//!
//! The format stands at the top of `data-model/tr181-2.19.digest`. Only objects are found at once; the line of an
//! element is read when somebody asks for it, so that a digest costs one small index.

use super::facets::{Facets, List, Reference};
use super::notation::{Word, Words};
use super::schema::{Access, Argument, Kind, UniqueKey};
use crate::order;

/// A digest whose text lives as long as `'a`.
#[derive(Debug, Default)]
pub struct Digest<'a> {
    /// Sorted by path.
    objects: Vec<Entry<'a>>,
}

#[derive(Debug)]
struct Entry<'a> {
    path: &'a str,
    /// The line of the object.
    head: &'a str,
    /// The lines of its elements.
    body: &'a str,
}

/// What the standard says of an object.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ObjectFacts {
    /// A controller may create and delete rows.
    pub creatable: bool,
    /// The parameter of the parent that holds the number of rows.
    pub count: Option<Box<str>>,
    /// Unique keys.
    pub keys: Vec<UniqueKey>,
}

/// What the standard says of an element of an object.
#[derive(Debug)]
pub enum Element {
    /// A parameter.
    Parameter {
        /// What a controller may do.
        access: Access,
        /// Its type and the rest.
        value: ValueFacts,
    },
    /// A command.
    Command {
        /// Ends with OperationComplete.
        asynchronous: bool,
        /// Input arguments.
        input: Vec<Argument>,
        /// Output arguments.
        output: Vec<Argument>,
    },
    /// An event with its arguments.
    Event(Vec<Argument>),
}

/// What the standard says of a value.
#[derive(Debug)]
pub struct ValueFacts {
    /// The base type.
    pub kind: Kind,
    /// Its facets.
    pub facets: Facets,
    /// The value in a new row, or of an argument that is left out.
    pub default: Option<Box<str>>,
    /// Reads as empty unless the reader has a secured role.
    pub secured: bool,
    /// A ValueChange may be ignored.
    pub quiet: bool,
    /// An argument that must be given.
    pub mandatory: bool,
}

impl<'a> Digest<'a> {
    /// Finds the objects of a digest.
    pub fn parse(text: &'a str) -> Self {
        let mut objects = Vec::new();
        let mut rest = text;
        while let Some(head) = rest.lines().next() {
            let below = rest.get(head.len() + 1..).unwrap_or_default();
            let length = elements_length(below);
            let (body, after) = below.split_at_checked(length).unwrap_or((below, ""));
            if !head.starts_with('#') && !head.is_empty() {
                let path = head.split(' ').next().unwrap_or_default();
                objects.push(Entry { path, head, body });
            }
            rest = after;
        }
        order::sort_by_key(&mut objects, |entry| entry.path);
        Self { objects }
    }

    /// An object may come in two pieces, see [`super::built_in::whole_digest`].
    fn entries(&self, path: &str) -> &[Entry<'a>] {
        let first = self.objects.partition_point(|entry| entry.path < path);
        let found = self.objects.get(first..).unwrap_or_default();
        found.get(..found.iter().take_while(|entry| entry.path == path).count()).unwrap_or_default()
    }

    /// The paths of all objects, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &'a str> {
        let mut before = "";
        self.objects.iter().map(|entry| entry.path).filter(move |path| *path != std::mem::replace(&mut before, path))
    }

    /// The names of the elements of an object in the order of the standard, in the built-in digest what is mapped first.
    pub fn elements(&self, path: &str) -> impl Iterator<Item = &'a str> {
        self.entries(path).iter().flat_map(|entry| entry.body.lines()).filter_map(element_name)
    }

    /// The line of an object as it stands.
    pub fn object_line(&self, path: &str) -> Option<&'a str> {
        self.entries(path).first().map(|entry| entry.head)
    }

    /// The lines of an element as they stand: its own and those of its arguments.
    pub fn element_lines(&self, path: &str, name: &str) -> Option<&'a str> {
        self.entries(path).iter().find_map(|entry| lines_of(entry.body, name))
    }

    /// The router profile wants this element; the build script marks it in the whole digest.
    pub fn in_profile(&self, path: &str, name: &str) -> bool {
        let lines = self.element_lines(path, name).unwrap_or_default();
        lines.lines().next().is_some_and(|line| line.ends_with(" router"))
    }

    /// What the standard says of an object; None where it does not know it.
    ///
    /// # Errors
    /// The digest is not in its format.
    pub fn object(&self, path: &str) -> Result<Option<ObjectFacts>, String> {
        self.object_line(path).map(object_facts).transpose()
    }

    /// What the standard says of an element; None where it does not know it.
    ///
    /// # Errors
    /// The digest is not in its format.
    pub fn element(&self, path: &str, name: &str) -> Result<Option<Element>, String> {
        self.element_lines(path, name).map(element).transpose()
    }
}

/// What [`Digest::element_lines`] finds in the body of an object.
fn lines_of<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let mut offset = 0;
    for line in body.split_inclusive('\n') {
        if names(line, name) {
            let own = body.get(offset..)?;
            return own.get(..line.len() + arguments_length(own.get(line.len()..)?));
        }
        offset += line.len();
    }
    None
}

/// The name on the line of an element; None on a line of an argument.
fn element_name(line: &str) -> Option<&str> {
    line.strip_prefix(' ').filter(|rest| !rest.starts_with(' ')).and_then(|rest| rest.split(' ').next())
}

/// The line is that of the element called `name`.
fn names(line: &str, name: &str) -> bool {
    let behind = line.strip_prefix(' ').and_then(|line| line.strip_prefix(name));
    behind.is_some_and(|behind| behind.is_empty() || behind.starts_with([' ', '\n']))
}

fn elements_length(text: &str) -> usize {
    text.split_inclusive('\n').take_while(|line| line.starts_with(' ')).map(str::len).sum()
}

fn arguments_length(text: &str) -> usize {
    text.split_inclusive('\n').take_while(|line| line.starts_with("  ")).map(str::len).sum()
}

fn object_facts(line: &str) -> Result<ObjectFacts, String> {
    let mut words = Words::of(line)?;
    let mut facts = ObjectFacts::default();
    words.next();
    while let Some(word) = words.next() {
        let (name, value) = word.cut(b'=').unwrap_or((word, Word("")));
        match name.0 {
            "rw" => facts.creatable = true,
            "count" => facts.count = Some(value.text().into()),
            "key" | "lastingkey" => facts.keys.push(UniqueKey {
                params: value.text().split(',').map(Box::from).collect(),
                functional: name.0 == "key",
            }),
            _ => {}
        }
    }
    Ok(facts)
}

fn element(lines: &str) -> Result<Element, String> {
    let mut lines = lines.lines();
    let mut words = Words::of(lines.next().unwrap_or_default())?;
    let name = words.need("the name")?.0;
    if name.ends_with('!') {
        return Ok(Element::Event(arguments(lines, "  <")?));
    }
    let word = words.need("the access")?.0;
    if name.ends_with(')') {
        let input = arguments(lines.clone(), "  >")?;
        return Ok(Element::Command { asynchronous: word == "async", input, output: arguments(lines, "  <")? });
    }
    let access = match word {
        "rw" => Access::ReadWrite,
        "w1" => Access::WriteOnce,
        _ => Access::ReadOnly,
    };
    Ok(Element::Parameter { access, value: value(&mut words)? })
}

fn arguments<'a>(lines: impl Iterator<Item = &'a str>, mark: &str) -> Result<Vec<Argument>, String> {
    let mut arguments: Vec<Argument> =
        lines.filter_map(|line| line.strip_prefix(mark)).map(argument).collect::<Result<_, _>>()?;
    arguments.shrink_to_fit();
    Ok(arguments)
}

fn argument(line: &str) -> Result<Argument, String> {
    let mut words = Words::of(line)?;
    let name = words.need("the name")?.0.into();
    let ValueFacts { kind, facets, default, mandatory, .. } = value(&mut words)?;
    Ok(Argument { name, mandatory, kind, facets: facets.into(), default })
}

fn value(words: &mut Words<'_>) -> Result<ValueFacts, String> {
    let kind = words.need("the type")?.0;
    let kind = Kind::from_name(kind).ok_or_else(|| format!("type {kind}"))?;
    let mut facts =
        ValueFacts { kind, facets: Facets::default(), default: None, secured: false, quiet: false, mandatory: false };
    while let Some(word) = words.next() {
        fact(&mut facts, word)?;
    }
    facts.facets.ranges.shrink_to_fit();
    facts.facets.sizes.shrink_to_fit();
    facts.facets.patterns.shrink_to_fit();
    Ok(facts)
}

fn fact(facts: &mut ValueFacts, word: Word<'_>) -> Result<(), String> {
    let (name, value) = word.cut(b'=').unwrap_or((word, Word("")));
    let text = value.text();
    let facets = &mut facts.facets;
    match name.0 {
        "must" => facts.mandatory = true,
        "secured" => facts.secured = true,
        "quiet" => facts.quiet = true,
        "default" => facts.default = Some(text.into()),
        "list" => facets.list = Some(list(&text)?),
        "listlen" => facets.list.get_or_insert_default().max_length = Some(number(&text)?),
        "len" => {
            let (low, high) = span(&text)?;
            facets.sizes.push((low.unwrap_or(0), high));
        }
        "range" => facets.ranges.push(span(&text)?),
        "step" => facets.step = Some(number(&text)?),
        "enum" => facets.enumeration = text.split('|').map(Box::from).collect(),
        "pattern" => facets.patterns.push(text.into()),
        "ref" => facets.reference = Some(Reference { strong: text.starts_with("strong") }),
        other if told_to_people_only(other) || other == "router" => {}
        other => return Err(format!("the fact {other} is unknown")),
    }
    Ok(())
}

/// Facts that no row is checked against; the program carries the others.
pub fn told_to_people_only(fact: &str) -> bool {
    let only = ["factory", "implementation", "reports", "oneof", "deprecated", "obsoleted", "enable", "union", "rows"];
    only.contains(&fact) || matches!(fact, "fixed" | "mount") || fact.starts_with("v2.")
}

fn list(text: &str) -> Result<List, String> {
    if text.is_empty() {
        return Ok(List::default());
    }
    let (low, high) = span(text)?;
    Ok(List { min_items: low.unwrap_or(0), max_items: high, max_length: None })
}

fn span<N: std::str::FromStr>(text: &str) -> Result<(Option<N>, Option<N>), String> {
    let (low, high) = text.split_once("..").ok_or_else(|| format!("{text} is not MIN..MAX"))?;
    let side = |side: &str| if side.is_empty() { Ok(None) } else { number(side).map(Some) };
    Ok((side(low)?, side(high)?))
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}
