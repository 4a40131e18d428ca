//! Events of the data model that ubus events raise: `NAME! = event PATTERN ...` of the mapping.

use super::Model;
use super::schema::{Event, Schema};
use super::source::{Raised, Text};
use super::sources::fits;
use super::value::to_text;
use crate::backend::{Backend, Table, Value, Watch};

/// An event of the data model that has happened.
#[derive(Debug, PartialEq, Eq)]
pub struct RaisedEvent {
    /// The path of its object.
    pub object: Text,
    /// Its name, with the mark.
    pub name: Text,
    /// Arguments the data had a value for.
    pub params: Vec<(String, String)>,
}

impl<B: Backend> Model<B> {
    /// Hears from now on of the ubus events that raise the `wanted` ones, named by object and event.
    pub fn follow_events(&self, wanted: impl Fn(&str, &str) -> bool) {
        for (object, event, raised) in raising(&self.schema) {
            if wanted(object, event.name) {
                self.backend.watch(&Watch::Event(raised.pattern.into()));
            }
        }
    }

    /// What a ubus event with this name and data raises.
    pub fn raised(&self, name: &str, data: &Table) -> Vec<RaisedEvent> {
        let raising = raising(&self.schema).filter(|(.., raised)| fits(raised.pattern, name));
        raising
            .map(|(object, event, raised)| RaisedEvent {
                object,
                name: event.name,
                params: arguments(event, raised, data),
            })
            .collect()
    }
}

fn raising(schema: &Schema) -> impl Iterator<Item = (Text, &Event, &Raised)> {
    let events = schema.objects.iter().flat_map(|object| object.events.iter().map(move |event| (object.path, event)));
    events.filter_map(|(object, event)| event.raised.as_deref().map(|raised| (object, event, raised)))
}

fn arguments(event: &Event, raised: &Raised, data: &Table) -> Vec<(String, String)> {
    let value = |(name, pointer): &(Text, Text)| {
        let argument = event.arguments.iter().find(|argument| *argument.name == **name)?;
        let text = to_text(argument.kind, argument.facets.list.is_some(), member(data, pointer)?)?;
        Some((name.to_string(), text))
    };
    raised.given.iter().filter_map(value).collect()
}

fn member<'a>(data: &'a Table, pointer: &str) -> Option<&'a Value> {
    let (above, last) = pointer.rsplit_once('/')?;
    let mut table = data;
    for step in above.split('/').filter(|step| !step.is_empty()) {
        table = table.get(step)?.as_table()?;
    }
    table.get(last)
}
