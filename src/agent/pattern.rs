//! Paths with wildcards, as permissions and subscriptions name elements, matched as text.
//!
//! A search expression or a followed reference needs values; such a pattern says so
//! ([`Pattern::needs_values`]) and matches nothing here.

use crate::path::{self, Dialect, Leaf, Step};

/// How an object stands to a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// It is neither named nor below what is named.
    No,
    /// It is a table of the supported model (`{i}`), and a row of it is named.
    Row,
    /// It is named, or below what is named.
    Yes,
}

/// A path in which a row may be any row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    steps: Vec<Part>,
    leaf: Option<Box<str>>,
    needs_values: bool,
    follows: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Any,
}

impl Pattern {
    /// Reads a path; None where it does not follow the grammar.
    pub fn parse(text: &str) -> Option<Self> {
        let path = path::parse(text, Dialect::LENIENT).ok()?;
        let follows = path.steps.iter().any(|s| matches!(s, Step::Follow(_)));
        let needs_values = follows || path.steps.iter().any(|s| matches!(s, Step::Search(_)));
        let steps = path.steps.iter().map(Part::from).collect();
        let leaf = match path.leaf {
            Leaf::Object => None,
            Leaf::Parameter(name) => Some(name.into()),
            Leaf::Command(name) => Some(format!("{name}()").into()),
            Leaf::Event(name) => Some(format!("{name}!").into()),
        };
        Some(Self { steps, leaf, needs_values, follows })
    }

    /// Only the model can tell what it matches.
    pub fn needs_values(&self) -> bool {
        self.needs_values
    }

    /// The parameter, command (`Name()`) or event (`Name!`) it names; None for an object.
    pub fn leaf(&self) -> Option<&str> {
        self.leaf.as_deref()
    }

    /// The object at this path is the one named. `{i}` in `object` is any row.
    pub fn is(&self, object: &str) -> bool {
        self.fit(object).0 != Fit::No && self.fit(object).1 == 0
    }

    /// The object at this path is the one named or is below it.
    pub fn covers(&self, object: &str) -> bool {
        self.fit(object).0 != Fit::No
    }

    /// The element `name` of the object is named by this pattern, or lies in the object it names.
    pub fn covers_element(&self, object: &str, name: &str) -> bool {
        match &self.leaf {
            Some(leaf) => &**leaf == name && self.is(object),
            None => self.covers(object),
        }
    }

    /// The same with any row in the place of each search, which matches whatever the search may find; None where a
    /// reference is followed, which may lead anywhere.
    pub fn widened(&self) -> Option<Self> {
        (!self.follows).then(|| Self { needs_values: false, ..self.clone() })
    }

    /// How the object stands to the pattern, and how many of its steps are below it.
    pub fn fit(&self, object: &str) -> (Fit, usize) {
        const NO: (Fit, usize) = (Fit::No, 0);
        if self.needs_values {
            return NO;
        }
        let mut fit = Fit::Yes;
        let mut rest = object.strip_suffix('.').unwrap_or(object).split('.');
        for part in &self.steps {
            let Some(step) = rest.next() else { return NO };
            match part {
                Part::Text(text) if &**text == step => {}
                Part::Text(text) if step == "{i}" && is_number(text) => fit = Fit::Row,
                Part::Any if step == "{i}" || is_number(step) => {}
                _ => return NO,
            }
        }
        (fit, rest.count())
    }
}

fn is_number(step: &str) -> bool {
    step.bytes().all(|b| b.is_ascii_digit())
}

/// The path of an object in the supported model: `{i}` for instance numbers.
pub(super) fn template(object: &str) -> String {
    let step = |step: &str| {
        let number = !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit());
        if number { "{i}".to_owned() } else { step.to_owned() }
    };
    object.split('.').map(step).collect::<Vec<_>>().join(".")
}

impl From<&Step<'_>> for Part {
    fn from(step: &Step<'_>) -> Self {
        match step {
            Step::Name(name) => Self::Text((*name).into()),
            Step::Instance(number) => Self::Text(number.to_string().into()),
            Step::Wildcard | Step::Search(_) | Step::Template | Step::Follow(_) => Self::Any,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn an_object_covers_itself_and_all_below() {
        let wifi = pattern("Device.WiFi.");
        assert!(wifi.is("Device.WiFi.") && wifi.covers("Device.WiFi.Radio.1."));
        assert!(!wifi.covers("Device.WiFiX.") && !wifi.covers("Device."));
        assert!(wifi.covers_element("Device.WiFi.Radio.1.", "Status"));
    }

    #[test]
    fn a_wildcard_is_any_row_and_nothing_else() {
        let rows = pattern("Device.IP.Interface.*.");
        assert!(rows.is("Device.IP.Interface.7.") && rows.is("Device.IP.Interface.{i}."));
        assert!(!rows.covers("Device.IP.Interface.") && !rows.covers("Device.IP.Interface.Foo."));
    }

    #[test]
    fn elements_are_matched_by_name_in_their_object() {
        let event = pattern("Device.SoftwareModules.DeploymentUnit.*.Update!");
        assert!(event.covers_element("Device.SoftwareModules.DeploymentUnit.3.", "Update!"));
        assert!(!event.covers_element("Device.SoftwareModules.DeploymentUnit.3.", "Update()"));
        assert!(pattern("Device.LocalAgent.EndpointID").covers_element("Device.LocalAgent.", "EndpointID"));
    }

    #[test]
    fn what_needs_values_matches_nothing() {
        let search = pattern("Device.IP.Interface.[Enable==true].");
        assert!(search.needs_values() && !search.covers("Device.IP.Interface.1."));
    }
}
