//! Owns the socket: connects, reads, writes, and tells every new ubusd what is wished for.
//!
//! Reading never waits for writing nor for the agent: ubusd drops messages for a client that
//! does not read.

use std::cell::{Cell, RefCell};
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::message::{Body, EVENT_OBJECT, kind, request, status};
use super::object::Call;
use super::socket::Frames;
use super::state::{Keep, Reply, State, Subscription, added};
use crate::backend::{CallError, Change};

/// The first wait before connecting anew; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The longest wait before connecting anew.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How many requests may be under way at once; more wait their turn within their deadline.
pub(super) const MAX_IN_FLIGHT: usize = 256;
/// How much is read at once, in bytes.
const READ: usize = 16 * 1024;

/// Whether the bus can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first connection is not yet decided.
    Starting,
    Up,
    Down,
}

/// What the handle and the driver share.
#[derive(Debug)]
pub(super) struct Shared {
    socket: PathBuf,
    pub(super) deadline: Duration,
    state: RefCell<State>,
    pub(super) phase: watch::Sender<Phase>,
    /// Something lies in the queue for the writer.
    pub(super) written: Notify,
    /// There may be something to tell ubusd.
    pub(super) work: Notify,
    changes: mpsc::Sender<Change>,
    /// The agent missed something: a full channel, or a time without the bus.
    missed: Cell<bool>,
    telling: Notify,
    in_flight: Semaphore,
}

impl Shared {
    pub(super) fn new(socket: PathBuf, deadline: Duration, changes: mpsc::Sender<Change>) -> Self {
        Self {
            socket,
            deadline,
            state: RefCell::default(),
            phase: watch::Sender::new(Phase::Starting),
            written: Notify::new(),
            work: Notify::new(),
            changes,
            missed: Cell::new(false),
            telling: Notify::new(),
            in_flight: Semaphore::new(MAX_IN_FLIGHT),
        }
    }

    /// Looks at the state or changes it; `change` must not call back.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.borrow_mut())
    }

    pub(super) fn epoch(&self) -> u32 {
        self.with(|state| state.epoch)
    }

    /// Queues a part of an answer of an own object.
    pub(super) fn answer(&self, kind: u8, seq: u16, peer: u32, body: Body) {
        self.with(|state| state.answer(kind, seq, peer, body));
        self.written.notify_one();
    }

    /// Sends a request and waits for its whole answer.
    pub(super) async fn request(
        &self,
        kind: u8,
        peer: u32,
        body: Body,
        keep: Keep,
        until: Instant,
    ) -> Result<Reply, CallError> {
        let turn = timeout_at(until, self.in_flight.acquire()).await;
        let _turn = turn.map_err(|_| CallError::Timeout)?.map_err(|_| CallError::Disconnected)?;
        let (seq, waiting) = self.with(|state| state.send(kind, peer, body, keep))?;
        let _ticket = Ticket { shared: self, seq, epoch: self.epoch() };
        self.written.notify_one();
        match timeout_at(until, waiting).await {
            Ok(answer) => answer.map_err(|_| CallError::Disconnected)?,
            Err(_) => {
                self.with(|state| state.mark_quiet(peer, Instant::now()));
                log::warn!("ubus: no answer type={kind} object={peer:08x}, see what its provider does");
                Err(CallError::Timeout)
            }
        }
    }

    /// Hands what messages brought to the agent; never waits.
    fn deliver(&self) {
        let (changes, calls) =
            self.with(|state| (std::mem::take(&mut state.changes), std::mem::take(&mut state.calls)));
        for change in changes {
            if self.missed.get() || self.changes.try_send(change).is_err() {
                self.tell_missed();
            }
        }
        for (own, call) in calls {
            hand_over(self, &own, call);
        }
    }

    fn tell_missed(&self) {
        self.missed.set(true);
        self.telling.notify_one();
    }

    /// Tells what was missed as soon as the agent has room for it.
    async fn tell(&self) {
        loop {
            if self.missed.get() {
                match self.changes.reserve().await {
                    Ok(room) => room.send(Change::BusRestarted),
                    Err(_) => std::future::pending().await,
                }
                self.missed.set(false);
            }
            self.telling.notified().await;
        }
    }
}

fn hand_over(shared: &Shared, own: &mpsc::Sender<Call>, call: Call) {
    if let Err(mpsc::error::TrySendError::Full(call) | mpsc::error::TrySendError::Closed(call)) = own.try_send(call) {
        log::warn!("ubus: call refused method={} user={} reason=busy", call.method, call.user);
        if !call.silent {
            shared.answer(kind::STATUS, call.seq, call.peer, request::status(status::NO_MEMORY, call.object));
        }
    }
}

/// Gives the sequence number back when the caller stops waiting.
struct Ticket<'a> {
    shared: &'a Shared,
    seq: u16,
    epoch: u32,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if self.shared.epoch() == self.epoch {
            self.shared.with(|state| state.abandon(self.seq));
        }
    }
}

/// The future that owns the connection; see [`Driver::run`].
#[derive(Debug)]
pub struct Driver {
    shared: Rc<Shared>,
}

impl Driver {
    pub(super) fn new(shared: Rc<Shared>) -> Self {
        Self { shared }
    }

    /// Keeps the client connected; never ends. Must run for any call to be answered.
    pub async fn run(self) {
        let shared = &*self.shared;
        tokio::select! {
            () = stay_connected(shared) => {}
            () = shared.tell() => {}
        }
    }
}

/// Connects for ever: 50 ms after a loss, doubling to a second while that fails.
async fn stay_connected(shared: &Shared) {
    let mut wait = FIRST_WAIT;
    loop {
        let lost = connect_once(shared).await;
        let was_up = shared.phase.send_replace(Phase::Down);
        shared.with(State::disconnect);
        if was_up == Phase::Up {
            wait = FIRST_WAIT;
        }
        if was_up != Phase::Down {
            let socket = shared.socket.display();
            log::warn!("ubus: not connected socket={socket} reason=\"{lost}\", see that ubusd runs; trying again");
        }
        sleep(wait).await;
        wait = LONGEST_WAIT.min(wait * 2);
    }
}

/// One connection from its beginning to its end; returns why it ended.
async fn connect_once(shared: &Shared) -> io::Error {
    let stream = match UnixStream::connect(&shared.socket).await {
        Ok(stream) => stream,
        Err(error) => return error,
    };
    let (mut read, mut write) = stream.into_split();
    shared.with(|state| state.connected = true);
    tokio::select! {
        ended = read_on(shared, &mut read) => ended,
        ended = write_on(shared, &mut write) => ended,
        ended = tend(shared) => io::Error::other(ended.to_string()),
    }
}

async fn read_on(shared: &Shared, read: &mut OwnedReadHalf) -> io::Error {
    let mut frames = Frames::default();
    let mut buffer = vec![0; READ];
    loop {
        match read.read(&mut buffer).await {
            Ok(0) => return io::ErrorKind::UnexpectedEof.into(),
            Ok(count) => frames.push(buffer.get(..count).unwrap_or_default()),
            Err(error) => return error,
        }
        loop {
            match frames.next_message() {
                Ok(Some(message)) => shared.with(|state| state.handle(&message)),
                Ok(None) => break,
                Err(length) => return io::Error::other(format!("a message of {} bytes", length.0)),
            }
        }
        shared.deliver();
        if shared.with(|state| state.broken) {
            return io::ErrorKind::InvalidData.into();
        }
        shared.written.notify_one();
        shared.work.notify_one();
    }
}

async fn write_on(shared: &Shared, write: &mut OwnedWriteHalf) -> io::Error {
    loop {
        while let Some(bytes) = shared.with(State::next_out) {
            if let Err(error) = write.write_all(&bytes).await {
                return error;
            }
        }
        shared.written.notified().await;
    }
}

/// Something ubusd is to be told.
enum Task {
    Listener,
    ObjectEvents(u32),
    Publish(usize),
    Register(u32, usize),
    Find(usize),
    Subscribe(Box<str>, u32),
    Forget(u32),
}

/// Tells ubusd what is wished for, one thing after another; ends when ubusd does not answer.
async fn tend(shared: &Shared) -> CallError {
    let greeting = async {
        while !shared.with(|state| state.greeted) {
            shared.work.notified().await;
        }
    };
    if timeout(shared.deadline, greeting).await.is_err() {
        return CallError::Timeout;
    }
    loop {
        while let Some(task) = shared.with(next_task) {
            let until = Instant::now() + shared.deadline;
            if let Err(error) = perform(shared, task, until).await {
                return error;
            }
        }
        if shared.phase.send_replace(Phase::Up) == Phase::Down {
            log::info!("ubus: connected again socket={}", shared.socket.display());
            shared.tell_missed();
        }
        shared.work.notified().await;
    }
}

fn next_task(state: &mut State) -> Option<Task> {
    let Some(listener) = state.listener else { return Some(Task::Listener) };
    if state.told_of_objects.is_none() {
        return Some(Task::ObjectEvents(listener));
    }
    if let Some(object) = state.to_forget.pop() {
        return Some(Task::Forget(object));
    }
    if let Some((path, target)) = state.to_subscribe.pop_front() {
        return Some(Task::Subscribe(path, target));
    }
    if let Some(index) = state.own.iter().position(|own| own.id.is_none() && !own.refused) {
        return Some(Task::Publish(index));
    }
    if let Some(index) = state.events.iter().position(|wish| !wish.told) {
        return Some(Task::Register(listener, index));
    }
    state.objects.iter().position(|wish| !wish.told).map(Task::Find)
}

async fn perform(shared: &Shared, task: Task, until: Instant) -> Result<(), CallError> {
    match task {
        Task::Listener => {
            let reply = shared.request(kind::ADD_OBJECT, 0, request::add_object(None), Keep::Last, until).await?;
            let listener = added(&reply).ok_or(CallError::Status(reply.status))?;
            shared.with(|state| state.listener = Some(listener));
        }
        Task::ObjectEvents(listener) => {
            let told = register(shared, listener, "ubus.object.*", until).await?;
            shared.with(|state| state.told_of_objects = Some(told));
        }
        Task::Register(listener, index) => {
            let pattern = shared.with(|state| mark_told(state.events.get_mut(index)));
            register(shared, listener, &pattern, until).await?;
        }
        Task::Publish(index) => publish(shared, index, until).await?,
        Task::Find(index) => {
            let pattern = shared.with(|state| mark_told(state.objects.get_mut(index)));
            let found = shared.lookup(&pattern, until).await.or_else(unless_lost)?;
            let targets = found.into_iter().map(|(path, known)| (path.into(), known.id));
            shared.with(|state| state.to_subscribe.extend(targets));
        }
        Task::Subscribe(path, target) => subscribe(shared, path, target, until).await?,
        Task::Forget(object) => {
            shared.request(kind::REMOVE_OBJECT, 0, request::remove_object(object), Keep::Last, until).await?;
        }
    }
    Ok(())
}

/// A refusal is not a loss of the connection.
fn unless_lost<T: Default>(error: CallError) -> Result<T, CallError> {
    match error {
        CallError::Timeout | CallError::Disconnected => Err(error),
        CallError::NotFound | CallError::Status(_) | CallError::TooLarge => Ok(T::default()),
    }
}

fn mark_told(wish: Option<&mut super::state::Wish>) -> Box<str> {
    wish.map(|wish| {
        wish.told = true;
        wish.pattern.clone()
    })
    .unwrap_or_default()
}

async fn register(shared: &Shared, listener: u32, pattern: &str, until: Instant) -> Result<bool, CallError> {
    let args = request::register(listener, pattern);
    let reply = shared.invoke(EVENT_OBJECT, "register", &args, Keep::Last, until).await?;
    if reply.status != status::OK {
        let code = reply.status;
        log::warn!("ubus: events refused pattern={pattern} status={code}, see \"listen\" in /usr/share/acl.d");
    }
    Ok(reply.status == status::OK)
}

async fn publish(shared: &Shared, index: usize, until: Instant) -> Result<(), CallError> {
    let Some((path, signature)) =
        shared.with(|state| state.own.get(index).map(|own| (own.path.clone(), own.signature.encode())))
    else {
        return Ok(());
    };
    let reply = match signature {
        Ok(signature) => {
            let body = request::add_object(Some((&path, &signature)));
            Some(shared.request(kind::ADD_OBJECT, 0, body, Keep::Last, until).await?)
        }
        Err(_) => None,
    };
    let id = reply.as_ref().filter(|reply| reply.status == status::OK).and_then(added);
    if id.is_none() {
        log::warn!("ubus: object refused path={path}, see who holds it and \"publish\" in /usr/share/acl.d");
    }
    shared.with(|state| {
        if let Some(own) = state.own.get_mut(index) {
            own.id = id;
            own.refused = id.is_none();
        }
    });
    Ok(())
}

/// One private object per notifier: a notification names its receiver, not its sender.
async fn subscribe(shared: &Shared, path: Box<str>, target: u32, until: Instant) -> Result<(), CallError> {
    if !shared.with(|state| state.wants(&path, target)) {
        return Ok(());
    }
    let reply = shared.request(kind::ADD_OBJECT, 0, request::add_object(None), Keep::Last, until).await?;
    let Some(object) = added(&reply) else { return Ok(()) };
    shared.with(|state| state.subscriptions.insert(object, Subscription { path: path.clone(), target }));
    let body = request::subscribe(object, target);
    let reply = shared.request(kind::SUBSCRIBE, 0, body, Keep::Last, until).await?;
    if reply.status != status::OK {
        log::warn!("ubus: not subscribed path={path} status={}, see \"subscribe\" in /usr/share/acl.d", reply.status);
        shared.with(|state| {
            state.subscriptions.remove(&object);
            state.to_forget.push(object);
        });
    }
    Ok(())
}
