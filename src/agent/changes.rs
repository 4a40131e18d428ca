//! What subscriptions watch: values and rows as they were last seen, and what they were read from.
//!
//! A change of the router marks the watches whose sources it touches; those are read again, all at once, and what
//! differs is told. What no event tells of is read again at an interval, only while somebody watches it, and the
//! interval grows with what a look costs.

use super::pattern::{Pattern, template};
use super::settings::Kind;
use super::subscriptions::{Active, Subscriptions};
use super::threshold::Threshold;
use super::timers::Timer;
use super::{Agent, handlers};
use crate::backend::{Backend, Change};
use crate::model::schema::Schema;
use crate::model::{Everything, Instance, Model, ObjectValues, Rights, Secrets, Sources};
use crate::order;
use crate::usp::fault::Code;
use crate::usp::wire::msg::notify::{Notification, ObjectCreation, ObjectDeletion, ValueChange};
use std::rc::Rc;

/// Milliseconds between two looks at what no event tells of.
pub const POLL_INTERVAL_MS: u64 = 5000;
/// A look may take this part of the time (1/50 is 2 %).
pub const POLL_SHARE: u64 = 50;
/// Milliseconds that changes are gathered before they are looked at.
pub const GATHER_MS: u64 = 200;
/// Values of one watch at most; further ones are not watched.
pub const MAX_VALUES: usize = 8192;

/// What is watched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// The parameters a path names.
    Values(Box<str>),
    /// The rows a path names, each with its unique keys.
    Rows(Box<str>),
}

#[derive(Debug, Default)]
struct Watch {
    subscribers: Vec<Rc<Active>>,
    sources: Sources,
    seen: Option<Seen>,
    polled: bool,
    dirty: bool,
}

#[derive(Debug)]
enum Seen {
    Values(order::Map<Box<str>, String>),
    Rows(order::Map<String, Vec<(Box<str>, String)>>),
}

/// Everything that is watched.
#[derive(Debug, Default)]
pub struct Watches {
    map: order::Map<What, Watch>,
    /// What the last look cost, in milliseconds.
    cost_ms: u64,
}

/// What a look found.
#[derive(Debug, PartialEq, Eq)]
enum Difference {
    /// Object, name, the value before and the value now.
    Value(String, String, String, String),
    Created(String, Vec<(Box<str>, String)>),
    Deleted(String),
}

impl Watches {
    /// Watches what the subscriptions ask for, and the owner of the router; what is watched already keeps what was seen.
    pub fn follow(&mut self, subscriptions: &Subscriptions, owners: &[Rc<Active>]) {
        let mut before = std::mem::take(&mut self.map);
        let kinds = [Kind::ValueChange, Kind::ObjectCreation, Kind::ObjectDeletion];
        for active in kinds.into_iter().flat_map(|kind| subscriptions.of_kind(kind)).chain(owners) {
            for (text, _) in &active.references {
                let what = match active.what.kind {
                    Some(Kind::ValueChange) => What::Values(text.clone()),
                    _ => What::Rows(text.clone()),
                };
                let watch = self.map.or_insert_with(what, |what| match before.remove(what) {
                    Some(watch) => Watch { subscribers: Vec::new(), ..watch },
                    None => Watch { dirty: true, ..Watch::default() },
                });
                watch.subscribers.push(active.clone());
            }
        }
    }

    /// Marks what a change may have changed; true where there is something.
    pub fn touch(&mut self, touched: impl Fn(&Sources) -> bool) -> bool {
        let mut any = false;
        for watch in self.map.values_mut().filter(|w| !w.dirty) {
            watch.dirty = touched(&watch.sources);
            any |= watch.dirty;
        }
        any
    }

    /// Milliseconds between two looks; None where nothing needs them.
    pub fn poll_interval(&self) -> Option<u64> {
        let polled = self.map.values().any(|watch| watch.polled);
        polled.then(|| POLL_INTERVAL_MS.max(self.cost_ms.saturating_mul(POLL_SHARE)))
    }

    /// How many paths are watched.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Nothing is watched.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    fn touch_polled(&mut self) {
        self.map.values_mut().filter(|w| w.polled).for_each(|w| w.dirty = true);
    }

    fn dirty(&self, rows: bool) -> Vec<What> {
        let wanted = |(what, watch): &(&What, &Watch)| watch.dirty && matches!(what, What::Rows(_)) == rows;
        self.map.iter().filter(wanted).map(|(what, _)| what.clone()).collect()
    }
}

impl What {
    fn path(&self) -> &str {
        let (Self::Values(path) | Self::Rows(path)) = self;
        path
    }
}

impl Watch {
    fn read<B: Backend>(&mut self, sources: Sources, model: &Model<B>) {
        self.polled = sources.polled(model.schema());
        self.dirty = model.follow(&sources);
        self.sources = sources;
    }

    fn values(&mut self, objects: Vec<ObjectValues>, schema: &Schema, path: &str) -> Vec<Difference> {
        let whole = Pattern::parse(path).is_none_or(|p| p.leaf().is_none());
        let mut found = Vec::new();
        let first = self.seen.is_none();
        let seen = self.seen.get_or_insert_with(|| Seen::Values(order::Map::new()));
        let Seen::Values(seen) = seen else { return found };
        for object in objects {
            let told = object.params.into_iter().filter(|(name, _)| !whole || !ignored(schema, &object.path, name));
            for (name, value) in told {
                let full = format!("{}{name}", object.path);
                let room = seen.len() < MAX_VALUES;
                match seen.get_mut(full.as_str()) {
                    Some(old) if *old == value => {}
                    Some(old) => {
                        let before = std::mem::replace(old, value.clone());
                        found.push(Difference::Value(object.path.clone(), name.to_string(), before, value));
                    }
                    // A parameter that was not there before has no value that changed.
                    None if room => {
                        seen.insert(full.into(), value);
                    }
                    None => {}
                }
            }
        }
        if first { Vec::new() } else { found }
    }

    fn rows(&mut self, instances: Vec<Instance>) -> Vec<Difference> {
        let now: order::Map<_, _> = instances.into_iter().take(MAX_VALUES).map(|i| (i.path, i.keys)).collect();
        let mut found = Vec::new();
        if let Some(Seen::Rows(before)) = &self.seen {
            let created = now.iter().filter(|(path, _)| !before.contains_key(*path));
            found.extend(created.map(|(path, keys)| Difference::Created(path.clone(), keys.clone())));
            let deleted = before.keys().filter(|path| !now.contains_key(*path));
            found.extend(deleted.map(|path| Difference::Deleted(path.clone())));
        }
        self.seen = Some(Seen::Rows(now));
        found
    }
}

/// The standard lets a change of this parameter pass: it counts something, and is told only to who names it.
fn ignored(schema: &Schema, object: &str, name: &str) -> bool {
    let object = schema.find(&template(object)).map(|id| &schema[id]);
    object.and_then(|o| o.param(name)).is_some_and(|p| p.value_change_ignored)
}

impl<B: Backend> Agent<B> {
    /// The router changed: what it touches is looked at a little later, with what else changes meanwhile.
    pub(super) async fn changed(&mut self, change: &Change) {
        if let Change::Event(name, data) = change {
            for raised in self.model.raised(name, data) {
                self.event(raised.object, raised.name, handlers::map(raised.params)).await;
            }
        }
        let schema = self.model.schema();
        if self.watches.touch(|sources| sources.touched_by(change, schema)) {
            self.timers.set_no_later(Timer::Look, self.now.monotonic_ms + GATHER_MS);
        }
    }

    /// Hears of the events of the router that a subscription asks for.
    pub(super) fn follow_events(&self) {
        let asked = || self.subscriptions.of_kind(Kind::Event).flat_map(|active| &active.references);
        self.model.follow_events(|object, event| {
            // What a search may find is not known before the event is there.
            asked().any(|(_, pattern)| pattern.needs_values() || pattern.covers_element(object, event))
        });
    }

    /// Time to read again what no event tells of.
    pub(super) async fn poll(&mut self) {
        self.watches.touch_polled();
        self.look().await;
    }

    /// Watches what subscriptions, thresholds and the owner of the router ask for.
    pub(super) fn follow_watches(&mut self) {
        let thresholds = self.settings.thresholds.iter().cloned().filter_map(Threshold::active);
        let beside: Vec<_> = self.watched.active.iter().cloned().chain(thresholds).collect();
        self.watches.follow(&self.subscriptions, &beside);
    }

    /// Reads what is marked and tells what differs.
    pub(super) async fn look(&mut self) {
        self.timers.stop(&Timer::Look);
        let mut told = order::Set::new();
        for rows in [false, true] {
            let marked = self.watches.dirty(rows);
            if !marked.is_empty() {
                let differences = if rows { self.read_rows(&marked).await } else { self.read_values(&marked).await };
                self.tell(differences, &mut told).await;
            }
        }
        // What is heard of only since it was read.
        if self.watches.map.values().any(|watch| watch.dirty) {
            self.timers.set_no_later(Timer::Look, self.now.monotonic_ms + GATHER_MS);
        }
        match self.watches.poll_interval() {
            Some(interval) => self.timers.set_no_later(Timer::Poll, self.now.monotonic_ms + interval),
            None => self.timers.stop(&Timer::Poll),
        }
    }

    /// What the last look cost: the next ones are so far apart that looking takes at most 1/[`POLL_SHARE`] of the time.
    pub(super) fn look_took(&mut self, ms: u64) {
        self.watches.cost_ms = ms;
    }

    async fn read_values(&mut self, marked: &[What]) -> Vec<(What, Vec<Difference>)> {
        let paths: Vec<&str> = marked.iter().map(What::path).collect();
        // Who may not see a secured value is not told of it either.
        let reading = self.model.get(&Secrets, &paths, 0).await;
        let read = marked.iter().zip(reading.results).zip(reading.sources);
        let schema = self.model.schema();
        let differences = read.filter_map(|((what, result), sources)| {
            let watch = self.watches.map.get_mut(what)?;
            watch.read(sources, &self.model);
            Some((what.clone(), watch.values(result.unwrap_or_default(), schema, what.path())))
        });
        differences.collect()
    }

    async fn read_rows(&mut self, marked: &[What]) -> Vec<(What, Vec<Difference>)> {
        let paths: Vec<&str> = marked.iter().map(What::path).collect();
        let (results, sources) = self.model.instances(&Everything, &paths, true).await;
        let differences = marked.iter().zip(results).zip(sources).filter_map(|((what, result), sources)| {
            let watch = self.watches.map.get_mut(what)?;
            // What is not known of a source that is silent, or of a plugin that is not there yet, is not gone.
            let unknown = sources.doubt || result.as_ref().is_err_and(|why| why.code == Code::InvalidPath);
            watch.read(sources, &self.model);
            let found = if unknown { Vec::new() } else { watch.rows(result.unwrap_or_default()) };
            Some((what.clone(), found))
        });
        let differences: Vec<_> = differences.collect();
        self.really_gone(differences).await
    }

    /// A row that a search no longer finds is not therefore deleted.
    async fn really_gone(&mut self, differences: Vec<(What, Vec<Difference>)>) -> Vec<(What, Vec<Difference>)> {
        let mut all = Vec::new();
        for (what, mut found) in differences {
            let searches = Pattern::parse(what.path()).is_some_and(|p| p.needs_values());
            if searches && found.iter().any(|d| matches!(d, Difference::Deleted(_))) {
                let mut still = order::Set::new();
                for difference in &found {
                    let Difference::Deleted(path) = difference else { continue };
                    if !self.model.begin().objects(&Everything, path).await.unwrap_or_default().is_empty() {
                        still.insert(path.clone());
                    }
                }
                found.retain(|d| !matches!(d, Difference::Deleted(path) if still.contains(path)));
            }
            all.push((what, found));
        }
        all
    }

    async fn tell(&mut self, all: Vec<(What, Vec<Difference>)>, told: &mut order::Set<(Rc<str>, String)>) {
        for (what, differences) in all {
            let Some(watch) = self.watches.map.get(&what) else { continue };
            let subscribers = watch.subscribers.clone();
            for (difference, active) in differences.iter().flat_map(|d| subscribers.iter().map(move |s| (d, s))) {
                if told.insert((active.what.section.clone(), difference.name(active.what.kind))) {
                    self.tell_one(active, difference).await;
                }
            }
        }
    }

    async fn tell_one(&mut self, active: &Active, difference: &Difference) {
        if let (Some(threshold), Difference::Value(object, name, before, now)) = (&active.threshold, difference) {
            return self.weigh(threshold, object, name, (before, now)).await;
        }
        match (active.what.kind, difference) {
            (Some(Kind::ValueChange), Difference::Value(object, name, _, value)) => {
                let change = ValueChange { param_path: format!("{object}{name}"), param_value: value.clone() };
                self.notify(active, (object, name, Rights::PARAM_NOTIFY), Notification::ValueChange(change)).await;
            }
            (Some(Kind::ObjectCreation), Difference::Created(path, keys)) => {
                let unique_keys = handlers::map(keys.iter().map(|(name, value)| (&**name, value.clone())));
                let creation = ObjectCreation { obj_path: path.clone(), unique_keys };
                self.notify(active, (path, "", Rights::OBJECT_NOTIFY), Notification::ObjCreation(creation)).await;
            }
            (Some(Kind::ObjectDeletion), Difference::Deleted(path)) => {
                let deletion = ObjectDeletion { obj_path: path.clone() };
                self.notify(active, (path, "", Rights::INSTANCE_NOTIFY), Notification::ObjDeletion(deletion)).await;
            }
            _ => {}
        }
    }
}

impl Difference {
    /// Tells it from others that one subscription may hear of twice.
    fn name(&self, kind: Option<Kind>) -> String {
        match self {
            Self::Value(object, name, ..) => format!("{object}{name}"),
            Self::Created(path, _) => format!("{path}+{}", kind == Some(Kind::ObjectCreation)),
            Self::Deleted(path) => format!("{path}-{}", kind == Some(Kind::ObjectDeletion)),
        }
    }
}
