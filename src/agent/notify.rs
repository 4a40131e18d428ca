//! Notifications on their way: queued while there is no link, repeated until they are answered, dropped
//! when they expire.
//!
//! A notification that wants no answer is sent once. One that does (NotifRetry) stays until a NotifyResp
//! with its msg_id comes, at the intervals of R-NOT.1; those of persistent subscriptions survive a reboot.
//! It knows no channel and encodes no record.

use super::settings::Retry;
use crate::order::Map;
use crate::usp::message;
use crate::usp::wire::msg::{Notify, notify};
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::rc::Rc;

/// Notifications that wait for one controller at most; the oldest without retry goes first.
pub const MAX_WAITING: usize = 256;
/// Bytes of notifications that wait for one controller at most.
pub const MAX_WAITING_BYTES: usize = 512 * 1024;
/// Notifications sent to one controller at once: half of what a link's queue takes (`mtp::QUEUE`), which drops the rest.
pub const MAX_BURST: usize = 16;
/// Milliseconds from one burst to the next.
pub const BURST_MS: u64 = 100;
/// Notifications kept over a reboot at most.
pub const MAX_SAVED: usize = 64;
/// Bytes of one notification kept over a reboot at most.
pub const MAX_SAVED_BYTES: usize = 4096;
/// From this retry on the interval no longer grows (R-NOT.2).
const LAST_STEP: u32 = 10;

/// What is to be notified, and how hard to try.
#[derive(Debug, Clone)]
pub struct Notice {
    /// The subscription's section; empty for OnBoardRequest.
    pub subscription: Rc<str>,
    /// The subscription's ID; empty for OnBoardRequest (R-NOT.7).
    pub id: Box<str>,
    /// Repeat until answered.
    pub retry: bool,
    /// Seconds from the first attempt after which to give up, 0 for never.
    pub expiration: u32,
    /// Survives a reboot.
    pub persistent: bool,
    /// The recipient may hear of it on an encrypted link only.
    pub encrypted: bool,
    /// The notification itself.
    pub what: notify::Notification,
}

/// A random number generator for intervals and message ids (xorshift64*); not for secrets.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Starts from a seed that differs from boot to boot.
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Uniform between the two, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.roll() % (high.saturating_sub(low) + 1)
    }
}

/// The notifications of all controllers.
#[derive(Debug)]
pub struct Outbox {
    waiting: Map<Rc<str>, VecDeque<Entry>>,
    /// Begins every msg_id of this run, so that none comes twice over a reboot.
    run: Box<str>,
    count: u32,
    dirty: bool,
}

/// A message that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The message.
    pub payload: Bytes,
    /// For encrypted links only.
    pub encrypted: bool,
}

#[derive(Debug)]
struct Entry {
    msg_id: Box<str>,
    subscription: Rc<str>,
    payload: Bytes,
    retry: bool,
    expiration_ms: u64,
    persistent: bool,
    encrypted: bool,
    /// Attempts made in this run.
    attempts: u32,
    first_ms: Option<u64>,
    due_ms: u64,
}

/// Milliseconds to wait before retry `n` (from 1): uniform in [m(k/1000)^(n-1), m(k/1000)^n] (R-NOT.1, R-NOT.2).
pub fn retry_wait_ms(rule: Retry, n: u32, dice: &mut Dice) -> u64 {
    let step = n.clamp(1, LAST_STEP);
    let power = |exponent: u32| {
        let grow = |ms: u64, _| ms.saturating_mul(u64::from(rule.multiplier)) / 1000;
        (0..exponent).fold(u64::from(rule.minimum) * 1000, grow)
    };
    dice.between(power(step - 1), power(step).min(u64::MAX / 2))
}

impl Outbox {
    /// Empty.
    pub fn new(dice: &mut Dice) -> Self {
        let run = format!("{:012x}", dice.roll() >> 16).into();
        Self { waiting: Map::new(), run, count: 0, dirty: false }
    }

    /// Queues a notification. Over the limit the oldest that wants no answer goes, else the oldest.
    pub fn push(&mut self, controller: &Rc<str>, notice: Notice, now_ms: u64) {
        self.count += 1;
        let msg_id: Box<str> = format!("{}-{}", self.run, self.count).into();
        let entry = Entry {
            payload: encode(&msg_id, &notice),
            msg_id,
            subscription: notice.subscription,
            retry: notice.retry,
            expiration_ms: u64::from(notice.expiration) * 1000,
            persistent: notice.persistent,
            encrypted: notice.encrypted,
            attempts: 0,
            first_ms: None,
            due_ms: now_ms,
        };
        self.dirty |= entry.is_saved();
        let queue = self.waiting.or_insert_with(controller.clone(), |_| VecDeque::new());
        queue.push_back(entry);
        bound(controller, queue);
    }

    /// The first [`MAX_BURST`] messages that are to be sent to `controller` now, in order, each counted as an attempt.
    pub fn due(&mut self, controller: &str, rule: Retry, now_ms: u64, dice: &mut Dice) -> Vec<Due> {
        self.drop_expired(controller, now_ms);
        let Some(queue) = self.waiting.get_mut(controller) else { return Vec::new() };
        let mut out = Vec::new();
        for entry in queue.iter_mut().filter(|e| e.due_ms <= now_ms).take(MAX_BURST) {
            entry.attempts += 1;
            entry.first_ms.get_or_insert(now_ms);
            entry.due_ms = now_ms + retry_wait_ms(rule, entry.attempts, dice);
            out.push(Due { payload: entry.payload.clone(), encrypted: entry.encrypted });
        }
        queue.retain(|entry| entry.retry || entry.attempts == 0);
        out
    }

    /// Gives up what is over its time.
    pub fn drop_expired(&mut self, controller: &str, now_ms: u64) {
        let Some(queue) = self.waiting.get_mut(controller) else { return };
        let before = queue.len();
        queue.retain(|entry| !entry.expired(controller, now_ms));
        self.dirty |= queue.len() != before;
    }

    /// The link is not encrypted: what may not go over such a one is dropped.
    pub fn drop_encrypted(&mut self, controller: &str) {
        let Some(queue) = self.waiting.get_mut(controller) else { return };
        let before = queue.len();
        queue.retain(|entry| !entry.encrypted);
        if queue.len() != before {
            log::warn!("controller={controller} dropped={} reason=no-encryption", before - queue.len());
            self.dirty = true;
        }
    }

    /// When the nearest notification expires.
    pub fn next_expiry(&self, controller: &str) -> Option<u64> {
        self.waiting.get(controller)?.iter().filter_map(Entry::expires_ms).min()
    }

    /// When to look again: the nearest retry or expiration of `controller`.
    pub fn next(&self, controller: &str) -> Option<u64> {
        self.waiting.get(controller)?.iter().map(|e| e.due_ms.min(e.expires_ms().unwrap_or(u64::MAX))).min()
    }

    /// A NotifyResp came. The subscription (empty for OnBoardRequest) whose notification it answers, or None
    /// where none waits under this id. The subscription_id of the answer does not count (R-NOT.9).
    pub fn answered(&mut self, controller: &str, msg_id: &str) -> Option<Rc<str>> {
        let queue = self.waiting.get_mut(controller)?;
        let at = queue.iter().position(|e| &*e.msg_id == msg_id && e.attempts > 0)?;
        let entry = queue.remove(at)?;
        self.dirty |= entry.is_saved();
        Some(entry.subscription)
    }

    /// Whether an OnBoardRequest waits for its answer.
    pub fn on_boarding(&self, controller: &str) -> bool {
        self.waiting.get(controller).is_some_and(|q| q.iter().any(|e| e.subscription.is_empty()))
    }

    /// A controller is gone.
    pub fn forget_controller(&mut self, controller: &str) {
        self.dirty |= self.waiting.remove(controller).is_some_and(|q| q.iter().any(Entry::is_saved));
    }

    /// Drops what belongs to subscriptions that `keep` does not know; OnBoardRequests stay.
    pub fn retain_subscriptions(&mut self, keep: impl Fn(&str) -> bool) {
        for queue in self.waiting.values_mut() {
            let before = queue.len();
            queue.retain(|e| e.subscription.is_empty() || e.attempts == 0 || keep(&e.subscription));
            self.dirty |= queue.len() != before;
        }
    }

    /// The controllers something waits for.
    pub fn controllers(&self) -> Vec<Rc<str>> {
        self.waiting.iter().filter(|(_, q)| !q.is_empty()).map(|(c, _)| c.clone()).collect()
    }

    /// Notifications that wait for one controller.
    pub fn waiting_for(&self, controller: &str) -> usize {
        self.waiting.get(controller).map_or(0, VecDeque::len)
    }

    /// Notifications that wait, of all controllers.
    pub fn len(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is to survive a reboot has changed since [`Outbox::save`].
    pub fn dirty(&self) -> bool {
        self.dirty
    }

    /// What survives a reboot, one notification per line.
    pub fn save(&mut self, now_ms: u64) -> String {
        self.dirty = false;
        let mut text = String::new();
        let all = self.waiting.iter().flat_map(|(c, queue)| queue.iter().map(move |e| (c, e)));
        for (controller, entry) in all.filter(|(_, e)| e.is_saved()).take(MAX_SAVED) {
            let left = entry.expires_ms().map_or(0, |at| at.saturating_sub(now_ms).max(1));
            let _ = write!(text, "{controller} {} {} {left} ", entry.subscription, entry.msg_id);
            entry.payload.iter().for_each(|byte| {
                let _ = write!(text, "{byte:02x}");
            });
            text.push('\n');
        }
        text
    }

    /// Takes back what [`Outbox::save`] gave; the retry count starts anew (R-NOT.4). Broken lines are left out.
    pub fn load(&mut self, text: &str, now_ms: u64) {
        for (controller, entry) in text.lines().take(MAX_SAVED).filter_map(|line| Entry::parse(line, now_ms)) {
            let queue = self.waiting.or_insert_with(controller.clone(), |_| VecDeque::new());
            queue.push_back(entry);
            bound(&controller, queue);
        }
    }
}

impl Entry {
    fn is_saved(&self) -> bool {
        self.persistent && self.retry && self.payload.len() <= MAX_SAVED_BYTES
    }

    fn expires_ms(&self) -> Option<u64> {
        self.first_ms.filter(|_| self.expiration_ms > 0).map(|first| first + self.expiration_ms)
    }

    fn expired(&self, controller: &str, now_ms: u64) -> bool {
        let expired = self.expires_ms().is_some_and(|at| at <= now_ms);
        if expired {
            log::info!("notification={} controller={controller} expired attempts={}", self.msg_id, self.attempts);
        }
        expired
    }

    fn parse(line: &str, now_ms: u64) -> Option<(Rc<str>, Self)> {
        let mut words = line.split(' ');
        let (controller, subscription, msg_id) = (words.next()?, words.next()?, words.next()?);
        let expiration_ms: u64 = words.next()?.parse().ok()?;
        let payload = unhex(words.next()?)?;
        message::request_id(&payload)?;
        let entry = Self {
            msg_id: msg_id.into(),
            subscription: subscription.into(),
            payload,
            retry: true,
            expiration_ms,
            persistent: true,
            encrypted: true,
            attempts: 0,
            first_ms: (expiration_ms > 0).then_some(now_ms),
            due_ms: now_ms,
        };
        Some((controller.into(), entry))
    }
}

fn bound(controller: &str, queue: &mut VecDeque<Entry>) {
    let over = |q: &VecDeque<Entry>| {
        q.len() > MAX_WAITING || q.iter().map(|e| e.payload.len()).sum::<usize>() > MAX_WAITING_BYTES
    };
    while over(queue) {
        let oldest = queue.iter().position(|e| !e.retry).unwrap_or(0);
        if let Some(entry) = queue.remove(oldest) {
            log::warn!("controller={controller} dropped notification={} limit={MAX_WAITING}", entry.msg_id);
        }
    }
}

fn encode(msg_id: &str, notice: &Notice) -> Bytes {
    let notify = Notify {
        subscription_id: notice.id.to_string(),
        send_resp: notice.retry,
        notification: Some(notice.what.clone()),
    };
    message::notify(msg_id, &notify)
}

pub(super) fn unhex(text: &str) -> Option<Bytes> {
    if text.len() % 2 != 0 || text.len() > 2 * MAX_SAVED_BYTES {
        return None;
    }
    let byte = |i: usize| u8::from_str_radix(text.get(i..i + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usp::wire::msg::Msg;
    use prost::Message;

    fn notice(retry: bool, expiration: u32) -> Notice {
        let event =
            notify::Event { obj_path: "Device.".into(), event_name: "Boot!".into(), params: Default::default() };
        let what = notify::Notification::Event(event);
        Notice {
            subscription: "s".into(),
            id: "id".into(),
            retry,
            expiration,
            persistent: true,
            encrypted: false,
            what,
        }
    }

    fn id(due: &Due) -> String {
        Msg::decode(due.payload.clone()).unwrap().header.unwrap().msg_id
    }

    fn setup() -> (Dice, Outbox, Rc<str>) {
        let mut dice = Dice::new(7);
        let outbox = Outbox::new(&mut dice);
        (dice, outbox, "acs".into())
    }

    #[test]
    fn the_intervals_are_those_of_the_specification() {
        let mut dice = Dice::new(3);
        let bounds =
            [(5, 10), (10, 20), (20, 40), (40, 80), (80, 160), (160, 320), (320, 640), (640, 1280), (1280, 2560)];
        for (n, (low, high)) in (1..).zip(bounds) {
            let waits: Vec<u64> = (0..200).map(|_| retry_wait_ms(Retry::default(), n, &mut dice)).collect();
            assert!(waits.iter().all(|w| (low * 1000..=high * 1000).contains(w)), "retry {n}");
            assert!(waits.iter().max() > waits.iter().min(), "retry {n} is not random");
        }
        for n in [10, 11, 500] {
            assert!((2_560_000..=5_120_000).contains(&retry_wait_ms(Retry::default(), n, &mut dice)));
        }
    }

    #[test]
    fn without_retry_it_is_sent_once() {
        let (mut dice, mut outbox, acs) = setup();
        outbox.push(&acs, notice(false, 0), 0);
        assert_eq!(outbox.due(&acs, Retry::default(), 0, &mut dice).len(), 1);
        assert!(outbox.is_empty() && outbox.next(&acs).is_none());
    }

    #[test]
    fn with_retry_the_same_message_is_repeated_until_it_is_answered() {
        let (mut dice, mut outbox, acs) = setup();
        outbox.push(&acs, notice(true, 0), 0);
        let first = outbox.due(&acs, Retry::default(), 0, &mut dice);
        let again = outbox.next(&acs).unwrap();
        assert!((5000..=10_000).contains(&again));
        assert!(outbox.due(&acs, Retry::default(), again - 1, &mut dice).is_empty());
        assert_eq!(outbox.due(&acs, Retry::default(), again, &mut dice), first);
        assert_eq!(outbox.answered(&acs, "other"), None);
        assert_eq!(outbox.answered(&acs, &id(&first[0])).as_deref(), Some("s"));
        assert!(outbox.is_empty());
    }

    #[test]
    fn it_expires_after_the_first_attempt_not_before() {
        let (mut dice, mut outbox, acs) = setup();
        outbox.push(&acs, notice(true, 3), 0);
        assert_eq!(outbox.due(&acs, Retry::default(), 60_000, &mut dice).len(), 1, "no attempt yet, nothing expires");
        assert_eq!(outbox.next(&acs), Some(63_000));
        assert!(outbox.due(&acs, Retry::default(), 63_000, &mut dice).is_empty() && outbox.is_empty());
    }

    #[test]
    fn many_at_once_go_in_bursts_and_in_order() {
        let (mut dice, mut outbox, acs) = setup();
        (0..100).for_each(|_| outbox.push(&acs, notice(false, 0), 0));
        let mut sent = Vec::new();
        while let Some(at) = outbox.next(&acs) {
            let burst = outbox.due(&acs, Retry::default(), at, &mut dice);
            assert!((1..=MAX_BURST).contains(&burst.len()));
            sent.extend(burst.iter().map(id));
        }
        let number = |id: &String| id.rsplit('-').next().unwrap().parse::<u32>().unwrap();
        assert_eq!(sent.iter().map(number).collect::<Vec<_>>(), (1..=100).collect::<Vec<_>>());
    }

    #[test]
    fn the_queue_is_bounded_and_spares_what_wants_an_answer() {
        let (mut dice, mut outbox, acs) = setup();
        outbox.push(&acs, notice(true, 0), 0);
        (0..1500).for_each(|_| outbox.push(&acs, notice(false, 0), 0));
        assert_eq!(outbox.len(), MAX_WAITING);
        let sent = outbox.due(&acs, Retry::default(), 0, &mut dice);
        assert!(id(&sent[0]).ends_with("-1") && id(&sent[1]).ends_with("-1247"));
    }

    #[test]
    fn what_was_not_answered_survives_a_reboot() {
        let (mut dice, mut outbox, acs) = setup();
        outbox.push(&acs, notice(true, 100), 0);
        outbox.push(&acs, notice(false, 0), 0);
        let sent = outbox.due(&acs, Retry::default(), 0, &mut dice);
        assert!(outbox.dirty());
        let saved = outbox.save(40_000);
        let mut reborn = Outbox::new(&mut dice);
        reborn.load(&saved, 0);
        let again = reborn.due(&acs, Retry::default(), 59_999, &mut dice);
        assert_eq!(again.iter().map(id).collect::<Vec<_>>(), [id(&sent[0])]);
        assert!(reborn.due(&acs, Retry::default(), 60_000, &mut dice).is_empty() && reborn.is_empty());
        assert_ne!(reborn.run, outbox.run);
    }

    #[test]
    fn a_broken_save_is_left_out() {
        let (_, mut outbox, _) = setup();
        outbox.load("\n a b\nacs s id 0 zz\nacs s id 0 é1\nacs s id x 00\nacs s id 0 ffff\n", 0);
        assert!(outbox.is_empty());
    }
}
