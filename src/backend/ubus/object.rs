//! Calls of objects of ours, and how they are answered.

use std::rc::{Rc, Weak};

use super::blobmsg::MAX_MESSAGE;
use super::driver::Shared;
use super::message::{kind, request, status};
use crate::backend::Table;

/// How many calls of one object may wait for the agent; more are answered with status 11.
pub(super) const MAX_CALLS: usize = 16;

/// What a message has beside its body, in bytes, and a little more.
const HEADERS: usize = 64;

/// A call as it came.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) object: u32,
    pub(super) seq: u16,
    pub(super) peer: u32,
    /// The caller wants no answer.
    pub(super) silent: bool,
    pub(super) method: Box<str>,
    pub(super) args: Table,
    pub(super) user: Box<str>,
    /// The connection it came on.
    pub(super) epoch: u32,
}

/// A call of an object of ours. Dropped without an answer it is answered with status 9, so
/// that no caller waits in vain.
#[derive(Debug)]
pub struct Invocation {
    call: Call,
    shared: Weak<Shared>,
    answered: bool,
}

impl Invocation {
    pub(super) fn new(call: Call, shared: &Rc<Shared>) -> Self {
        Self { call, shared: Rc::downgrade(shared), answered: false }
    }

    /// Which method; one of the object's signature.
    pub fn method(&self) -> &str {
        &self.call.method
    }

    /// The arguments as they came, unchecked.
    pub fn args(&self) -> &Table {
        &self.call.args
    }

    /// The user name of the caller as ubusd knows it.
    pub fn user(&self) -> &str {
        &self.call.user
    }

    /// Answers with data. What is over the limit of the bus becomes status 9.
    pub fn reply(self, data: &Table) {
        if let Err(mut call) = self.reply_with(status::OK, data) {
            call.finish(status::UNKNOWN_ERROR);
        }
    }

    /// Answers with data and a status; a status that is not 0 is a failure, which the data explains.
    ///
    /// # Errors
    /// The call, unanswered, where the data is over the limit of the bus.
    pub fn reply_with(mut self, code: u32, data: &Table) -> Result<(), Box<Self>> {
        let body = request::data(self.call.object, data).ok().filter(|body| body.len() + HEADERS <= MAX_MESSAGE);
        let Some(body) = body else { return Err(Box::new(self)) };
        // Who asks faster than ubusd takes the answers gets none, instead of ending the connection for all.
        let room = self.shared.upgrade().is_none_or(|shared| shared.with(|state| state.has_room(body.len())));
        if !room {
            self.finish(status::NO_MEMORY);
            return Ok(());
        }
        self.send(kind::DATA, body);
        self.finish(code);
        Ok(())
    }

    /// Answers with a status alone, see [`status`].
    pub fn end(mut self, code: u32) {
        self.finish(code);
    }

    fn finish(&mut self, code: u32) {
        self.answered = true;
        self.send(kind::STATUS, request::status(code, self.call.object));
    }

    fn send(&self, kind: u8, body: super::message::Body) {
        if let Some(shared) =
            self.shared.upgrade().filter(|shared| shared.epoch() == self.call.epoch && !self.call.silent)
        {
            shared.answer(kind, self.call.seq, self.call.peer, body);
        }
    }
}

impl Drop for Invocation {
    fn drop(&mut self) {
        if !self.answered {
            self.finish(status::UNKNOWN_ERROR);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::ubus::message::Attributes;
    use std::time::Duration;
    use tokio::sync::mpsc;

    /// A connection whose other side does not read.
    fn stalled() -> Rc<Shared> {
        let (changes, _) = mpsc::channel(1);
        let shared = Rc::new(Shared::new("/nowhere".into(), Duration::from_secs(1), changes));
        shared.with(|state| state.connected = true);
        shared
    }

    fn call(shared: &Rc<Shared>, seq: u16) -> Invocation {
        let (method, user) = ("get".into(), "root".into());
        let call = Call {
            object: 2000,
            seq,
            peer: 7,
            silent: false,
            method,
            args: Table::default(),
            user,
            epoch: shared.epoch(),
        };
        Invocation::new(call, shared)
    }

    #[test]
    fn answers_that_nobody_takes_end_no_connection() {
        let shared = stalled();
        let large = Table::default().with("text", &*"x".repeat(900_000));
        for seq in 0..16 {
            call(&shared, seq).reply_with(status::OK, &large).unwrap();
        }
        assert!(!shared.with(|state| state.broken));
        let queued = std::iter::from_fn(|| shared.with(super::super::state::State::next_out));
        // Header and blob header come before the attributes.
        let statuses: Vec<u32> = queued.filter_map(|bytes| Attributes::parse(bytes.get(12..)?).status).collect();
        assert_eq!(statuses.len(), 16, "everybody is answered");
        assert_eq!((statuses[0], statuses[15]), (status::OK, status::NO_MEMORY));
    }

    #[test]
    fn what_the_bus_does_not_carry_is_given_back() {
        let shared = stalled();
        let too_large = Table::default().with("text", &*"x".repeat(MAX_MESSAGE - 20));
        let back = call(&shared, 1).reply_with(status::OK, &too_large);
        assert!(back.is_err());
        back.unwrap_err().end(status::UNKNOWN_ERROR);
        assert!(!shared.with(|state| state.broken));
    }
}
