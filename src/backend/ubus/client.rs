//! The handle on the bus: what the agent asks, and how long it waits.

use crate::order;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::blobmsg::Refusal;
use super::driver::{Driver, Phase, Shared};
use super::message::{EVENT_OBJECT, kind, request, status};
use super::object::{Call, Invocation, MAX_CALLS};
use super::signature::Signature;
use super::state::{Keep, Known, Own, Reply, Wish, described, table};
use crate::backend::{Answer, CallError, Change, Table};

/// How many event patterns, object patterns and own objects there may be, of each.
pub(super) const MAX_WISHES: usize = 128;

/// A handle on the bus; a clone is another handle on the same connection.
///
/// Calls go out together and are answered in any order. Nothing waits longer than the
/// deadline, and while the bus is away everything fails at once.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Rc<Shared>,
}

impl Client {
    /// A handle and the driver that must run for it, e.g. with `tokio::task::spawn_local`.
    ///
    /// `deadline` is that of every call. `changes` receives events, notifications and
    /// [`Change::BusRestarted`]; when it was full, what was missed is told as one
    /// `BusRestarted` as soon as there is room.
    pub fn new(socket: PathBuf, deadline: Duration, changes: mpsc::Sender<Change>) -> (Self, Driver) {
        let shared = Rc::new(Shared::new(socket, deadline, changes));
        (Self { shared: Rc::clone(&shared) }, Driver::new(shared))
    }

    /// Calls a method; of several DATA the last is the answer, without any it is empty.
    /// Integers are sent in the width the method declares.
    ///
    /// # Errors
    /// `NotFound` when there is no such object or it went away during the call, `Status` with
    /// what the provider or ubusd answered, `Timeout` after the deadline and, at once, for ten
    /// seconds after it on the same object unless it shows life; `Disconnected`, `TooLarge`.
    pub async fn call(&self, object: &str, method: &str, args: &Table) -> Result<Table, CallError> {
        self.call_within(object, method, args, self.shared.deadline).await
    }

    /// [`Self::call`] with a deadline of its own, for what is known to be slow.
    ///
    /// # Errors
    /// Those of [`Self::call`].
    pub async fn call_within(
        &self,
        object: &str,
        method: &str,
        args: &Table,
        deadline: Duration,
    ) -> Result<Table, CallError> {
        let reply = self.invoke_path(object, method, args, Keep::Last, Instant::now() + deadline).await?;
        let reply = succeeded(reply)?;
        reply.parts.last().map_or_else(|| Ok(Table::default()), |part| table(part))
    }

    /// Calls a method that explains its failures: the status, and the last DATA of the answer whatever it is.
    ///
    /// # Errors
    /// Those of [`Self::call`] but for a status of the provider.
    pub async fn ask(
        &self,
        object: &str,
        method: &str,
        args: &Table,
        deadline: Duration,
    ) -> Result<(u32, Table), CallError> {
        let reply = self.invoke_path(object, method, args, Keep::Last, Instant::now() + deadline).await?;
        let data = reply.parts.last().map_or_else(|| Ok(Table::default()), |part| table(part))?;
        match reply.status {
            code if code != status::OK && !reply.from_provider => Err(CallError::Status(code)),
            code => Ok((code, data)),
        }
    }

    /// Calls a method and returns every DATA of the answer with its status.
    ///
    /// # Errors
    /// Those of [`Self::call`] but `Status`; `TooLarge` too where there are more than 16384 DATA or 4 MiB of them.
    pub async fn call_all(&self, object: &str, method: &str, args: &Table) -> Result<Answer, CallError> {
        self.call_all_within(object, method, args, self.shared.deadline).await
    }

    /// [`Self::call_all`] with a deadline of its own, for what is known to be slow.
    ///
    /// # Errors
    /// Those of [`Self::call_all`].
    pub async fn call_all_within(
        &self,
        object: &str,
        method: &str,
        args: &Table,
        deadline: Duration,
    ) -> Result<Answer, CallError> {
        let reply = self.invoke_path(object, method, args, Keep::All, Instant::now() + deadline).await?;
        let parts = reply.parts.iter().map(|part| table(part)).collect::<Result<_, _>>()?;
        Ok(Answer { status: reply.status, parts })
    }

    /// The paths of the objects that match `pattern` (exact, or a prefix and `*`), sorted; none is not an error.
    ///
    /// # Errors
    /// `Status`, `Timeout`, `Disconnected`, `TooLarge`.
    pub async fn objects(&self, pattern: &str) -> Result<Vec<String>, CallError> {
        if pattern.is_empty() || pattern.contains('\0') {
            return Ok(Vec::new());
        }
        let until = Instant::now() + self.shared.deadline;
        self.connected(until).await?;
        let found = self.shared.lookup(pattern, until).await?;
        let mut paths: Vec<String> = found.into_iter().map(|(path, _)| path).collect();
        order::sort(&mut paths);
        Ok(paths)
    }

    /// Asks for the events whose id matches `pattern`, now and after every reconnection.
    pub fn watch_event(&self, pattern: &str) {
        self.shared.with(|state| wish(&mut state.events, pattern));
        self.shared.work.notify_one();
    }

    /// Asks for the notifications of the objects that match `pattern`, present and to come.
    pub fn watch_object(&self, pattern: &str) {
        self.shared.with(|state| wish(&mut state.objects, pattern));
        self.shared.work.notify_one();
    }

    /// Asks for the events that the object at `path` comes and goes: what it told meanwhile was not heard.
    pub fn watch_presence(&self, path: &str) {
        self.shared.with(|state| {
            if state.presence.len() < MAX_WISHES && !state.presence.iter().any(|known| **known == *path) {
                state.presence.push(path.into());
            }
        });
    }

    /// Publishes an object at `path`, now and after every reconnection, and returns its calls.
    /// A path that somebody else holds is logged and tried again when that one leaves.
    ///
    /// Calls of methods that are not in `methods` are answered without the agent.
    pub fn add_object(&self, path: &str, methods: Signature) -> Calls {
        let (calls, received) = mpsc::channel(MAX_CALLS);
        self.shared.with(|state| {
            if state.own.len() < MAX_WISHES {
                state.own.push(Own { path: path.into(), signature: methods, calls, id: None, refused: false });
            } else {
                log::warn!("ubus: object not published path={path} reason=too-many");
            }
        });
        self.shared.work.notify_one();
        Calls { received, shared: Rc::clone(&self.shared) }
    }

    /// Sends an event to whoever listens; ids of `ubus.` are ubusd's own.
    ///
    /// # Errors
    /// `Status`, `Timeout`, `Disconnected`, `TooLarge`.
    pub async fn send_event(&self, id: &str, data: Table) -> Result<(), CallError> {
        let until = Instant::now() + self.shared.deadline;
        self.connected(until).await?;
        let args = request::send_event(id, data);
        self.shared.invoke(EVENT_OBJECT, "send", &args, Keep::Last, until).await.and_then(succeeded).map(|_| ())
    }

    /// Notifies the subscribers of the own object at `path`, without waiting for them.
    ///
    /// # Errors
    /// `NotFound` when the object is not on the bus now, `Disconnected`, `Timeout` when ubusd does not read, `TooLarge`.
    pub fn notify(&self, path: &str, notification: &str, data: &Table) -> Result<(), CallError> {
        let own = |own: &Own| own.id.filter(|_| &*own.path == path);
        let object = self.shared.with(|state| state.own.iter().find_map(own)).ok_or(CallError::NotFound)?;
        let body = request::notify(object, notification, data, true).map_err(refused)?;
        // Nothing answers a NOTIFY that wants no reply: the sequence number is free again at once.
        let (seq, _) = self.shared.with(|state| state.send(kind::NOTIFY, object, body, Keep::Last))?;
        self.shared.with(|state| state.abandon(seq));
        self.shared.written.notify_one();
        Ok(())
    }

    /// Sends an event to whoever listens, without waiting for ubusd to say what became of it.
    ///
    /// # Errors
    /// `Disconnected`, `Timeout` when ubusd does not read, `TooLarge`; the event is lost then.
    pub fn post_event(&self, id: &str, data: Table) -> Result<(), CallError> {
        let body = request::invoke(EVENT_OBJECT, "send", &request::send_event(id, data)).map_err(refused)?;
        if !self.shared.with(|state| state.has_room(body.len())) {
            return Err(CallError::Timeout);
        }
        let (seq, _) = self.shared.with(|state| state.send(kind::INVOKE, EVENT_OBJECT, body, Keep::Last))?;
        self.shared.with(|state| state.abandon(seq));
        self.shared.written.notify_one();
        Ok(())
    }

    /// Whether the bus can be asked now.
    pub fn is_up(&self) -> bool {
        *self.shared.phase.borrow() == Phase::Up
    }

    /// Waits for the first connection only: a bus that went away fails at once.
    async fn connected(&self, until: Instant) -> Result<(), CallError> {
        let mut phase = self.shared.phase.subscribe();
        let settled = timeout_at(until, phase.wait_for(|phase| *phase != Phase::Starting)).await;
        match settled {
            Ok(Ok(phase)) if *phase == Phase::Up => Ok(()),
            _ => Err(CallError::Disconnected),
        }
    }

    /// Looks the object up, unless it is known, and calls it; once more if ubusd says that the
    /// id is no longer there, which means that nothing was called.
    async fn invoke_path(
        &self,
        path: &str,
        method: &str,
        args: &Table,
        keep: Keep,
        until: Instant,
    ) -> Result<Reply, CallError> {
        self.connected(until).await?;
        let known = self.shared.with(|state| state.known(path));
        let remembered = known.is_some();
        let known = match known {
            Some(known) => known,
            None => self.shared.find(path, until).await?,
        };
        let reply = self.invoke_known(&known, method, args, keep, until).await?;
        if !is_gone(&reply) {
            return Ok(reply);
        }
        self.shared.with(|state| state.forget(path));
        if !remembered {
            return Err(CallError::NotFound);
        }
        let known = self.shared.find(path, until).await?;
        log::debug!("ubus: object moved path={path} id={:08x}", known.id);
        let reply = self.invoke_known(&known, method, args, keep, until).await?;
        if is_gone(&reply) { Err(CallError::NotFound) } else { Ok(reply) }
    }

    async fn invoke_known(
        &self,
        known: &Known,
        method: &str,
        args: &Table,
        keep: Keep,
        until: Instant,
    ) -> Result<Reply, CallError> {
        if self.shared.with(|state| state.is_quiet(known.id, Instant::now())) {
            return Err(CallError::Timeout);
        }
        let args = known.signature.fit(method, args.clone());
        self.shared.invoke(known.id, method, &args, keep, until).await
    }
}

/// The calls of an own object, in the order they came.
#[derive(Debug)]
pub struct Calls {
    received: mpsc::Receiver<Call>,
    shared: Rc<Shared>,
}

impl Calls {
    /// The next call; `None` when the object was never published.
    pub async fn next(&mut self) -> Option<Invocation> {
        self.received.recv().await.map(|call| Invocation::new(call, &self.shared))
    }
}

fn wish(wishes: &mut Vec<Wish>, pattern: &str) {
    if wishes.iter().any(|wish| &*wish.pattern == pattern) {
        return;
    }
    if wishes.len() < MAX_WISHES {
        wishes.push(Wish { pattern: pattern.into(), told: false });
    } else {
        log::warn!("ubus: not watched pattern={pattern} reason=too-many");
    }
}

/// ubusd says that there is no object of this id.
fn is_gone(reply: &Reply) -> bool {
    reply.status == status::NOT_FOUND && !reply.from_provider
}

fn succeeded(reply: Reply) -> Result<Reply, CallError> {
    match reply.status {
        status::OK => Ok(reply),
        _ if is_gone(&reply) => Err(CallError::NotFound),
        code => Err(CallError::Status(code)),
    }
}

/// A text with a NUL is an argument no provider would see whole.
pub(super) fn refused(refusal: Refusal) -> CallError {
    match refusal {
        Refusal::TooDeep | Refusal::TooLarge => CallError::TooLarge,
        Refusal::Nul => CallError::Status(status::INVALID_ARGUMENT),
    }
}

impl Shared {
    /// The object at exactly `path`.
    async fn find(&self, path: &str, until: Instant) -> Result<Known, CallError> {
        if path.is_empty() || path.ends_with('*') || path.contains('\0') {
            return Err(CallError::NotFound);
        }
        let (path, known) = self.lookup(path, until).await?.pop().ok_or(CallError::NotFound)?;
        self.with(|state| state.learn(&path, known.clone()));
        Ok(known)
    }

    /// The objects that match `pattern`, with what is needed to call them.
    pub(super) async fn lookup(&self, pattern: &str, until: Instant) -> Result<Vec<(String, Known)>, CallError> {
        let reply = self.request(kind::LOOKUP, 0, request::lookup(pattern), Keep::All, until).await?;
        match reply.status {
            status::OK | status::NOT_FOUND => Ok(reply
                .parts
                .iter()
                .filter_map(|part| described(part))
                .map(|(path, known)| (path.into(), known))
                .collect()),
            code => Err(CallError::Status(code)),
        }
    }

    /// Calls an object by its id.
    pub(super) async fn invoke(
        &self,
        object: u32,
        method: &str,
        args: &Table,
        keep: Keep,
        until: Instant,
    ) -> Result<Reply, CallError> {
        let body = request::invoke(object, method, args).map_err(refused)?;
        self.request(kind::INVOKE, object, body, keep, until).await
    }
}
