//! What is measured while a test runs: bytes of each connection and of the interface, at the moments that count.

use super::Request;
use crate::mtp::http::Times;
use std::cell::RefCell;
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Where the kernel counts what a network device moves.
const DEVICES: &str = "/sys/class/net";

/// How much had moved at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) at: Instant,
    /// Of the test, over all connections.
    pub(super) bytes: u64,
    /// Received on the interface; 0 where none was named.
    pub(super) received: u64,
    /// Sent on the interface; 0 where none was named.
    pub(super) sent: u64,
}

/// One connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Connection {
    pub(super) address: Option<IpAddr>,
    pub(super) times: Option<Times>,
    pub(super) begun: Option<Sample>,
    pub(super) ended: Option<Sample>,
    pub(super) bytes: u64,
}

/// Everything that was measured.
#[derive(Debug, Clone, Default)]
pub(super) struct Result {
    pub(super) connections: Vec<Connection>,
    /// When the last connection began to move bytes, and when the first ended.
    pub(super) full: [Option<Sample>; 2],
    /// When the times begin and end that are told apart.
    pub(super) ticks: Vec<Sample>,
    bytes: u64,
    first: Option<Instant>,
}

impl Result {
    /// Of so many bytes of the test: those that moved while all connections did.
    pub(super) fn under_full(&self, bytes: u64) -> u64 {
        let until = self.full[1].map_or(u64::MAX, |sample| sample.bytes);
        self.full[0].map_or(0, |from| bytes.min(until).saturating_sub(from.bytes))
    }
}

/// Measures.
pub(super) struct Meter<'a> {
    request: &'a Request,
    result: RefCell<Result>,
    /// The first connection has begun.
    begun: Notify,
}

impl<'a> Meter<'a> {
    pub(super) fn new(request: &'a Request) -> Self {
        let connections = (0..request.connections).map(|_| Connection::default()).collect();
        let result = Result { connections, ..Result::default() };
        Self { request, result: RefCell::new(result), begun: Notify::new() }
    }

    /// When a test with a duration ends; None where it has none, or has not begun.
    pub(super) fn deadline(&self) -> Option<Instant> {
        Some(self.result.borrow().first? + self.request.duration?)
    }

    /// This connection stands.
    pub(super) fn stands(&self, connection: usize, address: IpAddr, times: Times) {
        if let Some(one) = self.result.borrow_mut().connections.get_mut(connection) {
            (one.address, one.times) = (Some(address), Some(times));
        }
    }

    /// Its first byte moves.
    pub(super) fn begin(&self, connection: usize) {
        let mut sample = self.sample();
        let mut result = self.result.borrow_mut();
        sample.bytes = result.bytes;
        result.first.get_or_insert(sample.at);
        if let Some(one) = result.connections.get_mut(connection) {
            one.begun = Some(sample);
        }
        if result.connections.iter().all(|one| one.begun.is_some() && one.ended.is_none()) {
            result.full[0] = Some(sample);
        }
        self.begun.notify_one();
    }

    /// So many bytes moved.
    pub(super) fn moved(&self, connection: usize, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let mut result = self.result.borrow_mut();
        result.bytes += bytes;
        if let Some(one) = result.connections.get_mut(connection) {
            one.bytes += bytes;
        }
    }

    /// Its last byte has moved.
    pub(super) fn end(&self, connection: usize) {
        let sample = self.sample();
        let mut result = self.result.borrow_mut();
        if let Some(one) = result.connections.get_mut(connection) {
            one.ended = Some(sample);
        }
        if result.full[0].is_some() {
            result.full[1].get_or_insert(sample);
        }
    }

    /// Measures at the moments that part the test, as long as it runs.
    pub(super) async fn tick(&self) {
        self.begun.notified().await;
        while let Some(next) = self.next_tick() {
            sleep_until(next).await;
            let sample = self.sample();
            self.result.borrow_mut().ticks.push(sample);
        }
        std::future::pending().await
    }

    /// When to measure next, within the test.
    fn next_tick(&self) -> Option<Instant> {
        let (result, interval) = (self.result.borrow(), self.request.interval?);
        let number = u32::try_from(result.ticks.len()).ok()?;
        let after = self.request.offset + interval * number;
        (after <= self.request.duration?).then(|| Some(result.first? + after))?
    }

    /// What was measured, when the test is over. The last moment of it is also that of a tick.
    pub(super) fn result(&mut self) -> Result {
        if self.next_tick().is_some_and(|next| next <= Instant::now() + SLACK) {
            let sample = self.sample();
            self.result.borrow_mut().ticks.push(sample);
        }
        self.result.take()
    }

    fn sample(&self) -> Sample {
        let count = |which: &str| {
            let device = self.request.client.way.device.as_deref()?;
            std::fs::read_to_string(format!("{DEVICES}/{device}/statistics/{which}_bytes")).ok()?.trim().parse().ok()
        };
        let (received, sent) = (count("rx").unwrap_or(0), count("tx").unwrap_or(0));
        Sample { at: Instant::now(), bytes: self.result.borrow().bytes, received, sent }
    }
}

/// Timers end a little later, or not at all where the test ended at the same moment.
const SLACK: Duration = Duration::from_millis(2);
