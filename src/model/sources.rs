//! What a reading was read from, and which change of the router may have changed it.

use super::docs::{Docs, Question};
use super::schema::{LiveSource, Schema};
use crate::backend::{Change, Watch};

/// What a reading depends on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sources {
    questions: Vec<Question>,
    /// Some of it has not answered: what is not there may be there all the same.
    pub doubt: bool,
}

impl Sources {
    /// These questions of a message, and whether one of them was left without an answer.
    pub(super) fn of(docs: &Docs, used: &[u16], doubt: bool) -> Self {
        Self { questions: used.iter().filter_map(|&q| docs.question(q)).collect(), doubt }
    }

    /// May this change have changed the reading?
    pub fn touched_by(&self, change: &Change, schema: &Schema) -> bool {
        self.questions.iter().any(|question| touches(question, change, schema))
    }

    /// Nothing tells of a change of some of it: it has to be asked for again.
    pub fn polled(&self, schema: &Schema) -> bool {
        self.questions.iter().any(|question| match question {
            Question::Call { .. } | Question::File(_) => !schema.live.iter().any(|live| names(&live.source, question)),
            Question::List(_) | Question::Link(_) | Question::Clock => true,
            Question::Package(_) | Question::Facts(_) | Question::Mounted(_) => false,
        })
    }

    /// This line of the mapping says what tells of a change of some of it.
    pub fn told_by(&self, live: &super::schema::Live) -> bool {
        self.questions.iter().any(|question| names(&live.source, question))
    }

    /// It depends on this table of the agent's own facts.
    pub fn has_facts(&self, table: &str) -> bool {
        self.questions.iter().any(|q| matches!(q, Question::Facts(t) if &**t == table))
    }

    /// It depends on any of the agent's own facts.
    pub fn has_any_facts(&self) -> bool {
        self.questions.iter().any(|q| matches!(q, Question::Facts(_)))
    }

    /// It depends on this UCI package.
    pub fn has_package(&self, package: &str) -> bool {
        self.questions.iter().any(|q| matches!(q, Question::Package(p) if &**p == package))
    }
}

fn touches(question: &Question, change: &Change, schema: &Schema) -> bool {
    match (question, change) {
        (Question::Package(name), Change::Package(changed)) => name == changed,
        (Question::File(path), Change::File(changed)) if path == changed => true,
        (Question::Call { .. } | Question::Mounted(_), Change::BusRestarted) => true,
        (Question::Mounted(place), change) => place.touched_by(change),
        // An object that comes or goes changes the answers of its calls.
        (Question::Call { object, .. }, Change::Event(event, data)) if is_object_event(event) => {
            data.get("path").and_then(|p| p.as_str()) == Some(object) || announced(question, change, schema)
        }
        (Question::Call { .. } | Question::File(_), _) => announced(question, change, schema),
        _ => false,
    }
}

fn is_object_event(event: &str) -> bool {
    matches!(event, "ubus.object.add" | "ubus.object.remove")
}

/// A `live` line connects the change with the question.
fn announced(question: &Question, change: &Change, schema: &Schema) -> bool {
    let told = |watch: &Watch| match (watch, change) {
        (Watch::Event(pattern), Change::Event(event, _)) => fits(pattern, event),
        (Watch::Object(pattern), Change::Notification(object, ..)) => fits(pattern, object),
        (Watch::File(path), Change::File(changed)) => path == changed,
        _ => false,
    };
    schema.live.iter().any(|live| names(&live.source, question) && told(&live.watch))
}

fn names(source: &LiveSource, question: &Question) -> bool {
    match (source, question) {
        (LiveSource::Ubus(object, method), Question::Call { object: o, method: m, .. }) => {
            fits(object, o) && **method == **m
        }
        (LiveSource::File(path), Question::File(p)) => **path == **p,
        _ => false,
    }
}

/// Exact, or a prefix and `*`.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == text, |prefix| text.starts_with(prefix))
}
