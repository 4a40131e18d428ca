//! The subscription table: who wants to hear of what, and turning what happened into notifications.
//!
//! Everything a subscription says is parsed once, when the configuration is read. What somebody may not be told
//! (the `n` rights) he is not told.

use super::Agent;
use super::access::Access;
use super::handlers::readable;
use super::notify::Notice;
use super::pattern::{Pattern, template};
use super::settings::{Kind, Settings, Subscription};
use super::threshold::Threshold;
use super::timers::Timer;
use crate::backend::Backend;
use crate::calendar;
use crate::model::schema::Schema;
use crate::model::{Everything, Permit, Rights};
use crate::order;
use crate::usp::wire::msg::notify::Notification;
use std::rc::Rc;

/// An enabled subscription of an enabled controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Active {
    /// What it says.
    pub what: Subscription,
    /// What it says of paths, parsed; references that are no paths are left out.
    pub references: Vec<(Box<str>, Pattern)>,
    /// It watches for a threshold, and tells of nothing else.
    pub(super) threshold: Option<Threshold>,
}

/// All enabled subscriptions by section.
#[derive(Debug, Default)]
pub struct Subscriptions(order::Map<Rc<str>, Rc<Active>>);

impl Subscriptions {
    /// Those of the settings that count. What has not changed is not parsed again.
    pub fn of(settings: &Settings, before: &Self, clock: Option<i64>) -> Self {
        let counts = |s: &&Subscription| s.enable && s.kind.is_some() && !expired(s, clock);
        let heard = |s: &&Subscription| settings.controller(&s.recipient).is_some_and(|c| c.enable);
        let one = |s: &Subscription| {
            let same = before.0.get(&s.section).filter(|active| active.what == *s).cloned();
            (s.section.clone(), same.unwrap_or_else(|| Rc::new(Active::of(s))))
        };
        Self(settings.subscriptions.iter().filter(counts).filter(heard).map(one).collect())
    }

    /// The subscription of this section.
    pub fn section(&self, section: &str) -> Option<&Rc<Active>> {
        self.0.get(section)
    }

    /// All of one kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Rc<Active>> {
        self.0.values().filter(move |active| active.what.kind == Some(kind))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Active {
    /// No section says so: the owner of the router watches.
    pub(super) fn is_owners(&self) -> bool {
        self.what.section.is_empty()
    }

    fn of(subscription: &Subscription) -> Self {
        let references = subscription.references.iter().filter_map(|text| {
            let pattern = Pattern::parse(text);
            if pattern.is_none() {
                log::warn!("subscription={} reference={text} is not a path", subscription.section);
            }
            Some((text.clone(), pattern?))
        });
        Self { what: subscription.clone(), references: references.collect(), threshold: None }
    }
}

/// What of a notification this recipient may know: keys it may not read are left out.
fn told(mut what: Notification, access: &Access) -> Notification {
    if let Notification::ObjCreation(creation) = &mut what {
        creation.unique_keys.retain(|name, _| readable(access, &creation.obj_path, name));
    }
    what
}

/// A parameter whose value is not there for who has no secured role: neither is its change.
fn secured(schema: &Schema, object: &str, name: &str) -> bool {
    let object = schema.find(&template(object)).map(|id| &schema[id]);
    object.and_then(|o| o.param(name)).is_some_and(|p| p.secured)
}

fn expired(subscription: &Subscription, clock: Option<i64>) -> bool {
    let ends = expires_at(subscription);
    ends.zip(clock).is_some_and(|(ends, now)| ends <= now)
}

/// TimeToLive counts from CreationDate (seconds since 1970).
fn expires_at(subscription: &Subscription) -> Option<i64> {
    let lives = i64::from(subscription.time_to_live);
    subscription.created.filter(|_| lives > 0).map(|created| created + lives)
}

impl<B: Backend> Agent<B> {
    /// The subscriptions of a kind that name this element, e.g. `Device.` and `Boot!`.
    pub(super) async fn interested(&self, kind: Kind, object: &str, element: &str) -> Vec<Rc<Active>> {
        let mut interested = Vec::new();
        for active in self.subscriptions.of_kind(kind) {
            for (text, pattern) in &active.references {
                if pattern.covers_element(object, element) || self.finds(text, pattern, object, element).await {
                    interested.push(active.clone());
                    break;
                }
            }
        }
        interested
    }

    /// A reference that searches names this element now.
    async fn finds(&self, text: &str, pattern: &Pattern, object: &str, element: &str) -> bool {
        if !pattern.needs_values() || pattern.leaf().is_some_and(|leaf| leaf != element) {
            return false;
        }
        let named = pattern.leaf().and_then(|leaf| text.strip_suffix(leaf)).unwrap_or(text);
        let found = self.model.begin().objects(&Everything, named).await.unwrap_or_default();
        found.iter().any(|node| match pattern.leaf() {
            Some(_) => node.path == object,
            None => object.starts_with(&node.path),
        })
    }

    /// Tells the recipient of a subscription, if it may be told of the element (object, name and right).
    pub(super) async fn notify(&mut self, active: &Active, about: (&str, &str, Rights), what: Notification) {
        let subscription = &active.what;
        let hidden = secured(self.model.schema(), about.0, about.1);
        if active.is_owners() {
            if !hidden {
                self.tell_change(what);
            }
            return;
        }
        let settings = self.settings.clone();
        let Some(controller) = settings.controller(&subscription.recipient) else { return };
        let (access, encrypted) = self.access_to(controller).await;
        let (object, name, right) = about;
        let rights = match what {
            Notification::ObjDeletion(_) => access.gone(object),
            _ => access.element(object, name),
        };
        if !rights.allow(right) || (hidden && !access.secured()) {
            return;
        }
        let what = told(what, &access);
        if subscription.notify {
            let notice = Notice {
                subscription: subscription.section.clone(),
                id: subscription.id.clone(),
                retry: subscription.retry,
                expiration: subscription.expiration,
                persistent: subscription.persistent,
                encrypted,
                what,
            };
            self.outbox.push(&controller.section, notice, self.now.monotonic_ms);
        }
        if !subscription.trigger.is_empty() {
            self.after.triggers.push((controller.section.clone(), subscription.trigger.clone()));
        }
    }

    /// Sets the deadlines of subscriptions that expire.
    pub(super) fn set_expiries(&mut self) {
        self.timers.stop_where(|t| matches!(t, Timer::Expiry(_)));
        if !self.now.clock_is_set {
            return;
        }
        for subscription in &self.settings.subscriptions {
            let Some(ends) = expires_at(subscription) else { continue };
            let left = ends.saturating_mul(1000).saturating_sub(self.now.unix_ms);
            let at = self.now.monotonic_ms.saturating_add(u64::try_from(left).unwrap_or(0));
            self.timers.set(Timer::Expiry(subscription.section.clone()), at);
        }
    }

    /// Removes a subscription whose time is over.
    pub(super) async fn expire(&mut self, section: &str) {
        let Some(subscription) = self.settings.subscription(section).cloned() else { return };
        let created = subscription.created.map(calendar::date_time).unwrap_or_default();
        log::info!("subscription={section} expired created={created} lives={}", subscription.time_to_live);
        let recipient = match self.settings.controller(&subscription.recipient) {
            Some(controller) => self.controller_path(controller.endpoint_id.clone().as_str()).await,
            None => None,
        };
        let mine = |name: &str, value: &str| match name {
            "ID" => value == &*subscription.id,
            "Recipient" => Some(value) == recipient.as_deref().map(|path| path.trim_end_matches('.')),
            _ => true,
        };
        let (rows, _) = self.model.instances(&Everything, &["Device.LocalAgent.Subscription."], true).await;
        let rows = rows.into_iter().flatten().flatten();
        let paths = rows.filter(|row| row.keys.iter().all(|(name, value)| mine(name, value))).map(|row| row.path);
        self.remove(&paths.collect::<Vec<_>>()).await;
    }

    /// Removes the rows at these paths, which may search, as the agent itself.
    pub(super) async fn remove(&mut self, paths: &[String]) {
        let mut transaction = self.model.begin();
        for path in paths {
            for node in transaction.objects(&Everything, path).await.unwrap_or_default() {
                if let Err(fault) = transaction.delete(&Everything, &node).await {
                    log::warn!("path={} could not be removed: {fault}", node.path);
                    return;
                }
            }
        }
        match transaction.commit().await {
            Ok(committed) => self.after.committed(committed),
            Err(fault) => log::warn!("rows could not be removed: {fault}"),
        }
    }
}
