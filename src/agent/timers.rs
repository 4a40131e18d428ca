//! Deadlines as data: one table of what is to happen when, and why.

use super::channels::ChannelId;
use crate::order::{self, Map};
use std::rc::Rc;

/// What is to happen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Timer {
    /// When to look at the notifications that wait for this controller (its section).
    Outbox(Rc<str>),
    /// When Periodic! is due for this controller.
    Periodic(Rc<str>),
    /// When to ask this controller again to complete the on-boarding.
    OnBoard(Rc<str>),
    /// When a subscription (its section) expires.
    Expiry(Rc<str>),
    /// When to read again what has changed.
    Look,
    /// When to read again what no event tells of.
    Poll,
    /// When a scheduled timer (its Request) is up.
    Schedule(u32),
    /// When to write down what must survive a reboot.
    Save,
    /// When a peer that was let in on first use has been silent for too long.
    FirstUse(ChannelId),
    /// When to ask plugins again what they support.
    Mount,
    /// When to ask whether a controller is there, after a change that may have cut it off.
    Probe,
    /// When to undo that change.
    Undo,
    /// When something is no longer watched for the owner.
    Watched,
    /// When a firmware image may be activated, or should be by now.
    Firmware,
}

impl Timer {
    /// For the log.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Outbox(_) => "notification",
            Self::Periodic(_) => "periodic",
            Self::OnBoard(_) => "onboarding",
            Self::Expiry(_) => "expiry",
            Self::Look => "change",
            Self::Poll => "poll",
            Self::Schedule(_) => "schedule",
            Self::Save => "save",
            Self::FirstUse(_) => "first-use",
            Self::Mount => "mount",
            Self::Probe => "probe",
            Self::Undo => "undo",
            Self::Watched => "watched",
            Self::Firmware => "firmware",
        }
    }
}

/// All deadlines, in milliseconds of the monotonic clock.
#[derive(Debug, Default)]
pub struct Timers {
    order: order::Set<(u64, Timer)>,
    at: Map<Timer, u64>,
}

impl Timers {
    /// Sets or moves a deadline.
    pub fn set(&mut self, timer: Timer, at_ms: u64) {
        self.stop(&timer);
        self.order.insert((at_ms, timer.clone()));
        self.at.insert(timer, at_ms);
    }

    /// Sets a deadline, or leaves an earlier one as it is.
    pub fn set_no_later(&mut self, timer: Timer, at_ms: u64) {
        if self.at.get(&timer).is_none_or(|&at| at > at_ms) {
            self.set(timer, at_ms);
        }
    }

    /// Forgets a deadline.
    pub fn stop(&mut self, timer: &Timer) {
        if let Some(at) = self.at.remove(timer) {
            self.order.remove(&(at, timer.clone()));
        }
    }

    /// Forgets every deadline that `gone` names.
    pub fn stop_where(&mut self, gone: impl Fn(&Timer) -> bool) {
        let timers: Vec<_> = self.at.keys().filter(|t| gone(t)).cloned().collect();
        for timer in timers {
            self.stop(&timer);
        }
    }

    /// Takes one deadline that has passed, the earliest first.
    pub fn due(&mut self, now_ms: u64) -> Option<Timer> {
        let (at, _) = self.order.first()?;
        if *at > now_ms {
            return None;
        }
        let (_, timer) = self.order.pop_first()?;
        self.at.remove(&timer);
        Some(timer)
    }

    /// The nearest deadline and why it is there.
    pub fn next(&self) -> Option<(u64, &'static str)> {
        self.order.first().map(|(at, timer)| (*at, timer.reason()))
    }

    /// When this deadline is, if it is set.
    pub fn at(&self, timer: &Timer) -> Option<u64> {
        self.at.get(timer).copied()
    }

    /// Whether this deadline is set.
    pub fn is_set(&self, timer: &Timer) -> bool {
        self.at.contains_key(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_once() {
        let mut timers = Timers::default();
        timers.set(Timer::Poll, 50);
        timers.set(Timer::Save, 20);
        timers.set(Timer::Poll, 10);
        assert_eq!(timers.next(), Some((10, "poll")));
        assert_eq!(timers.due(9), None);
        assert_eq!((timers.due(30), timers.due(30), timers.due(30)), (Some(Timer::Poll), Some(Timer::Save), None));
    }

    #[test]
    fn a_stopped_deadline_never_comes() {
        let mut timers = Timers::default();
        timers.set(Timer::Expiry("a".into()), 1);
        timers.set(Timer::Expiry("b".into()), 2);
        timers.stop_where(|t| matches!(t, Timer::Expiry(s) if &**s == "a"));
        timers.set_no_later(Timer::Expiry("b".into()), 9);
        assert_eq!(timers.next(), Some((2, "expiry")));
    }
}
