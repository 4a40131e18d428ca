//! How long to wait before the next try: the formulas of the specification, without clock or dice.
//!
//! The wait before try n is uniformly random in `[m*(k/1000)^(n-1), m*(k/1000)^n]`, n counted to 10
//! (R-WS.19, R-MQTT.10, Notify and bulk data retries); with STOMP it is in `[0, m*(k/1000)^(n-1)]`.

use std::time::Duration;

/// Tries after which the range no longer grows.
pub const LAST_STEP: u32 = 10;

/// The retry parameters of one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// `m`: the minimum wait interval (SessionRetryMinimumWaitInterval, ConnectRetryTime).
    pub minimum: Duration,
    /// `k`: thousandths by which each range exceeds the one before; below 1000 counts as 1000.
    /// None (MQTT without ConnectRetryIntervalMultiplier): every wait is `minimum`.
    pub multiplier: Option<u32>,
    /// ConnectRetryMaxInterval: no wait is longer.
    pub maximum: Option<Duration>,
    /// STOMP: every range begins at zero and ends where the others begin (ServerRetryInitialInterval).
    pub from_zero: bool,
}

impl Default for Policy {
    /// The factory defaults of R-WS.19: 5 seconds, doubling.
    fn default() -> Self {
        Policy { minimum: Duration::from_secs(5), multiplier: Some(2000), maximum: None, from_zero: false }
    }
}

impl Policy {
    /// The wait before try `n` (1 is the first), `fraction` in `[0, 1)` being the random part.
    pub fn wait(&self, n: u32, fraction: f64) -> Duration {
        let drawn = match self.multiplier {
            Some(k) => {
                let (low, high) = match (self.from_zero, self.range(n, k)) {
                    (true, (low, _)) => (0.0, low),
                    (false, range) => range,
                };
                low + (high - low) * fraction.clamp(0.0, 1.0)
            }
            None => self.minimum.as_secs_f64(),
        };
        let drawn = Duration::try_from_secs_f64(drawn).unwrap_or(Duration::MAX);
        self.maximum.map_or(drawn, |maximum| drawn.min(maximum))
    }

    fn range(&self, n: u32, k: u32) -> (f64, f64) {
        let factor = f64::from(k.max(1000)) / 1000.0;
        let step = i32::try_from(n.clamp(1, LAST_STEP)).unwrap_or(1);
        let minimum = self.minimum.as_secs_f64();
        (minimum * factor.powi(step - 1), minimum * factor.powi(step))
    }
}

/// A policy and the tries made under it.
#[derive(Debug, Clone)]
pub struct Backoff {
    policy: Policy,
    tries: u32,
}

impl Backoff {
    /// Nothing tried yet.
    pub fn new(policy: Policy) -> Self {
        Backoff { policy, tries: 0 }
    }

    /// Counts a failed try and says how long to wait before the next.
    pub fn after_failure(&mut self, fraction: f64) -> Duration {
        self.tries = self.tries.saturating_add(1);
        self.policy.wait(self.tries, fraction)
    }

    /// Forgets the failed tries: the link is up (R-WS.20) or the uplink came back.
    pub fn reset(&mut self) {
        self.tries = 0;
    }

    /// Failed tries since the last [`reset`](Self::reset) (CurrentRetryCount).
    pub fn tries(&self) -> u32 {
        self.tries
    }
}

/// A random fraction in `[0, 1)`; one half where the system has no randomness to give.
pub fn random_fraction() -> f64 {
    use ring::rand::{SecureRandom, SystemRandom};
    let mut bytes = [0u8; 4];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_ne_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(low: u64, high: u64) -> (Duration, Duration) {
        (Duration::from_secs(low), Duration::from_secs(high))
    }

    #[test]
    fn the_ranges_are_those_of_the_specifications_table() {
        let table = [
            seconds(5, 10),
            seconds(10, 20),
            seconds(20, 40),
            seconds(40, 80),
            seconds(80, 160),
            seconds(160, 320),
            seconds(320, 640),
            seconds(640, 1280),
            seconds(1280, 2560),
            seconds(2560, 5120),
            seconds(2560, 5120),
        ];
        let policy = Policy::default();
        for (n, (low, high)) in (1..).zip(table) {
            assert_eq!((policy.wait(n, 0.0), policy.wait(n, 1.0)), (low, high), "try {n}");
        }
        assert_eq!(policy.wait(1000, 0.5), Duration::from_secs(3840));
    }

    #[test]
    fn the_maximum_interval_caps_every_wait() {
        let policy = Policy { maximum: Some(Duration::from_secs(60)), ..Policy::default() };
        assert_eq!(policy.wait(3, 0.0), Duration::from_secs(20));
        assert_eq!(policy.wait(9, 0.0), Duration::from_secs(60));
    }

    #[test]
    fn without_a_multiplier_the_time_is_plain() {
        let policy = Policy { multiplier: None, ..Policy::default() };
        assert_eq!((policy.wait(1, 0.9), policy.wait(8, 0.1)), seconds(5, 5));
    }

    #[test]
    fn the_largest_parameters_do_not_overflow() {
        let policy = Policy { minimum: Duration::from_secs(65_535), multiplier: Some(65_535), ..Policy::default() };
        assert!(policy.wait(10, 1.0) > Duration::from_secs(1 << 40));
    }

    #[test]
    fn a_success_starts_the_count_again() {
        let mut backoff = Backoff::new(Policy::default());
        backoff.after_failure(0.0);
        assert_eq!(backoff.after_failure(0.0), Duration::from_secs(10));
        assert_eq!(backoff.tries(), 2);
        backoff.reset();
        assert_eq!(backoff.after_failure(0.0), Duration::from_secs(5));
    }

    #[test]
    fn with_stomp_every_range_begins_at_zero() {
        let seconds = Duration::from_secs;
        let policy =
            Policy { minimum: seconds(60), maximum: Some(seconds(1000)), from_zero: true, ..Policy::default() };
        let highest: Vec<_> = [1, 2, 3, 5, 6, 40].map(|n| policy.wait(n, 1.0)).into();
        assert_eq!(highest, [60, 120, 240, 960, 1000, 1000].map(seconds));
        assert!((1..12).all(|n| policy.wait(n, 0.0).is_zero()));
        assert_eq!(policy.wait(2, 0.5), seconds(60));
    }

    #[test]
    fn random_fractions_differ_and_stay_below_one() {
        let drawn: Vec<f64> = (0..64).map(|_| random_fraction()).collect();
        assert!(drawn.iter().all(|f| (0.0..1.0).contains(f)));
        assert!(drawn.windows(2).any(|pair| pair[0] != pair[1]));
    }
}
