//! The clock: a time that never jumps, the time of day, and whether that can be believed.
//!
//! A router without a battery starts in the past until NTP tells it the time. The kernel tells of that moment (a timer
//! that is cancelled when the clock is set), so nobody has to look again and again.

use crate::agent::Now;
use crate::mtp::tls;
use rustix::time::{Itimerspec, Timespec};
use rustix::time::{TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};
use std::os::fd::OwnedFd;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::io::unix::AsyncFd;

/// A clock that shows less was never set: 2026-01-01.
const PLAUSIBLE: u64 = 1_767_225_600;
/// A moment far enough away: in the year 2100, or in 2038 where the kernel counts seconds in 32 bits.
const NEVER: [i64; 2] = [4_102_444_800, 0x7fff_0000];

pub(super) struct Clock {
    started: Instant,
    /// None where the kernel has no such timer.
    jumps: Option<AsyncFd<OwnedFd>>,
    /// Shared with TLS, which checks dates by it.
    is_set: tls::Clock,
}

impl Clock {
    /// Must run within the runtime.
    pub(super) fn new() -> Self {
        #[allow(deprecated, reason = "the successor is unsafe; an OwnedFd always is the same open descriptor")]
        let jumps = jump_timer().map_err(std::io::Error::from).and_then(AsyncFd::new);
        let jumps = jumps.inspect_err(|error| log::warn!("clock=unwatched cause=\"{error}\"")).ok();
        Self { started: Instant::now(), jumps, is_set: tls::Clock::new(unix_seconds() >= PLAUSIBLE) }
    }

    /// For TLS.
    pub(super) fn for_tls(&self) -> tls::Clock {
        self.is_set.clone()
    }

    pub(super) fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            monotonic_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            unix_ms: i64::try_from(unix.as_millis()).unwrap_or(i64::MAX),
            clock_is_set: self.is_set.is_set(),
        }
    }

    /// The moment of a [`Now::monotonic_ms`].
    pub(super) fn instant(&self, monotonic_ms: u64) -> tokio::time::Instant {
        let after = std::time::Duration::from_millis(monotonic_ms);
        // A deadline beyond what the clock can show is a year away.
        let year = std::time::Duration::from_secs(31_536_000);
        self.started.checked_add(after).unwrap_or_else(|| Instant::now() + year).into()
    }

    /// Ends when somebody set the clock.
    pub(super) async fn was_set(&self) {
        let Some(timer) = &self.jumps else { return std::future::pending().await };
        while let Ok(mut ready) = timer.readable().await {
            let mut count = [0; 8];
            match ready.try_io(|timer| Ok(rustix::io::read(timer, &mut count)?)) {
                Err(_would_block) => {}
                // The kernel's way to say that the clock was set.
                Ok(Err(error)) if error.raw_os_error() == Some(rustix::io::Errno::CANCELED.raw_os_error()) => {
                    if arm(timer.get_ref()).is_ok() {
                        return;
                    }
                    break;
                }
                Ok(_) => break,
            }
        }
        // The moment came after all, or the timer cannot be set again: nobody tells any more.
        std::future::pending().await
    }

    /// Looks at the clock again; true where it can be believed from now on.
    pub(super) fn look(&self) -> bool {
        let now_set = !self.is_set.is_set() && unix_seconds() >= PLAUSIBLE;
        if now_set {
            self.is_set.mark_set();
        }
        now_set
    }
}

/// How links with TLS wait at start for a clock that is not set (R-SEC.19, R-MTP.2: accurate time before a contact,
/// where it can be had). Time that nobody tells must not keep the controllers away, so it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    NotBegun,
    Until(tokio::time::Instant),
    Over,
}

impl Wait {
    /// Looks again at `now`, where it may last these seconds.
    pub(super) fn look(self, clock: &tls::Clock, seconds: u32, now: tokio::time::Instant) -> Self {
        match self {
            _ if clock.is_set() => Self::Over,
            Self::NotBegun if seconds > 0 => {
                log::info!("clock=not-set action=links-with-tls-wait seconds={seconds}");
                Self::Until(now + std::time::Duration::from_secs(seconds.into()))
            }
            Self::Until(end) if now < end => self,
            Self::NotBegun | Self::Until(_) => {
                log::warn!("clock=not-set action=connect effect=dates-of-certificates-do-not-count check=ntp");
                Self::Over
            }
            Self::Over => Self::Over,
        }
    }

    /// When to look again without a reason.
    pub(super) fn ends(self) -> Option<tokio::time::Instant> {
        if let Self::Until(end) = self { Some(end) } else { None }
    }
}

pub(super) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn jump_timer() -> rustix::io::Result<OwnedFd> {
    let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    arm(&timer)?;
    Ok(timer)
}

fn arm(timer: &OwnedFd) -> rustix::io::Result<()> {
    let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
    let at = |tv_sec| Itimerspec {
        it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
        it_value: Timespec { tv_sec, tv_nsec: 0 },
    };
    let [far, near] = NEVER.map(at);
    timerfd_settime(timer, flags, &far).or_else(|_| timerfd_settime(timer, flags, &near)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_clock_that_nobody_sets_wakes_nobody() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let clock = Clock::new();
            assert!(clock.jumps.is_some());
            let woken = tokio::time::timeout(Duration::from_millis(50), clock.was_set()).await;
            assert!(woken.is_err());
        });
    }

    #[test]
    fn the_clock_is_believed_once_it_is_plausible() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _within = runtime.enter();
        let clock = Clock { is_set: tls::Clock::new(false), ..Clock::new() };
        assert!(!clock.now().clock_is_set);
        assert!(clock.look() && clock.now().clock_is_set && clock.for_tls().is_set());
        assert!(!clock.look(), "it became so once");
    }
}
