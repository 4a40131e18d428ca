//! A small ubusd: the real wire protocol on a real UNIX socket, with providers in this
//! process. For `demo`, tests and simulation.
//!
//! No access lists, no monitor, no passing of file descriptors; every caller counts as root.

use crate::order;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;

use crate::backend::Table;
use crate::backend::ubus::blobmsg::{self, MAX_MESSAGE};
use crate::backend::ubus::signature::Signature;
use crate::backend::ubus::socket::Frames;

mod events;
mod router;

pub use router::Outcome;
use router::{Handler, Router};

/// How many bytes may wait for a client that does not read, one message at least; what is beyond is dropped, as ubusd does.
pub const MAX_QUEUE: usize = MAX_MESSAGE;

/// A handle on the bus; a clone is another handle on the same bus. Single-threaded.
#[derive(Debug, Clone)]
pub struct Bus {
    shared: Rc<Shared>,
}

struct Shared {
    router: RefCell<Router>,
    /// What was asked of the bus and is not yet done: a handler may ask while it is called.
    orders: RefCell<VecDeque<Order>>,
    provided: RefCell<order::Map<Box<str>, Provided>>,
    links: RefCell<order::Map<u32, Rc<Link>>>,
    acknowledged: Cell<usize>,
    seed: Rc<Cell<u32>>,
}

/// The encoded signature of an object of this process, and who answers for it.
type Provided = (Vec<u8>, Handler);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("router", &self.router).finish_non_exhaustive()
    }
}

enum Order {
    Provide(Box<str>, Vec<u8>, Handler),
    Withdraw(Box<str>),
    Notify(Box<str>, Box<str>, Table, bool),
    Event(Box<str>, Table),
    Restart,
}

/// What waits for one client.
#[derive(Default)]
struct Link {
    queue: RefCell<VecDeque<Vec<u8>>>,
    bytes: Cell<usize>,
    written: Notify,
    hang_up: Notify,
}

impl Bus {
    /// Listens at `socket`, over the stale socket of an earlier run.
    ///
    /// # Errors
    /// What the system says against it.
    pub fn bind(socket: &Path) -> io::Result<(Self, BusDriver)> {
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(socket)?;
        let seed = Rc::new(Cell::new(0x2545_f491));
        let shared = Rc::new(Shared {
            router: RefCell::new(new_router(&seed)),
            orders: RefCell::default(),
            provided: RefCell::default(),
            links: RefCell::default(),
            acknowledged: Cell::new(0),
            seed,
        });
        Ok((Self { shared: Rc::clone(&shared) }, BusDriver { shared, listener, socket: socket.into() }))
    }

    /// Publishes an object whose calls `handler` answers; one already provided here is replaced, under a new id.
    ///
    /// Only methods of the signature reach the handler. It may use this handle; what it asks
    /// for is done after its answer.
    pub fn provide<F, O>(&self, path: &str, signature: &Signature, handler: F)
    where
        F: Fn(&str, &Table) -> O + 'static,
        O: Into<Outcome>,
    {
        let handler: Handler = Rc::new(move |method, args| handler(method, args).into());
        match signature.encode() {
            Ok(signature) => self.order(Order::Provide(path.into(), signature, handler)),
            Err(refusal) => log::warn!("bus: not provided path={path} reason={refusal:?}"),
        }
    }

    /// Takes a provided object off the bus.
    pub fn withdraw(&self, path: &str) {
        self.order(Order::Withdraw(path.into()));
    }

    /// Notifies the subscribers of a provided object, wanting no reply.
    pub fn notify(&self, path: &str, notification: &str, data: Table) {
        self.order(Order::Notify(path.into(), notification.into(), data, true));
    }

    /// Notifies the subscribers of a provided object and counts their replies, see [`Self::acknowledged`].
    pub fn notify_and_ask(&self, path: &str, notification: &str, data: Table) {
        self.order(Order::Notify(path.into(), notification.into(), data, false));
    }

    /// How many replies notifications had so far.
    pub fn acknowledged(&self) -> usize {
        self.shared.acknowledged.get()
    }

    /// Sends an event, also one of `ubus.`.
    pub fn event(&self, id: &str, data: Table) {
        self.order(Order::Event(id.into(), data));
    }

    /// Hangs up on everybody, as when ubusd restarts; what is provided here comes back under new ids.
    pub fn restart(&self) {
        self.order(Order::Restart);
    }

    /// The paths on the bus, sorted.
    pub fn paths(&self) -> Vec<String> {
        self.shared.router.try_borrow().map(|router| router.paths.keys().cloned().collect()).unwrap_or_default()
    }

    /// How many clients get the notifications of the object at `path`.
    pub fn subscribers(&self, path: &str) -> usize {
        self.shared.router.try_borrow().map_or(0, |router| router.subscribers(path))
    }

    /// Whether a client hears of the event `id`.
    pub fn heard(&self, id: &str) -> bool {
        self.shared.router.try_borrow().is_ok_and(|router| router.heard(id))
    }

    fn order(&self, order: Order) {
        self.shared.orders.borrow_mut().push_back(order);
        self.shared.settle(|_| ());
    }
}

/// Ids that look as random as ubusd's and are the same in every run.
fn new_router(seed: &Rc<Cell<u32>>) -> Router {
    let seed = Rc::clone(seed);
    Router::new(move || {
        let mut id = seed.get();
        id ^= id << 13;
        id ^= id >> 17;
        id ^= id << 5;
        seed.set(id);
        id
    })
}

impl Shared {
    /// Does something with the router, then what was ordered meanwhile, and hands out the
    /// messages. `None` when a handler asks in the middle of it: whoever called it goes on.
    fn settle<T>(&self, step: impl FnOnce(&mut Router) -> T) -> Option<T> {
        let mut router = self.router.try_borrow_mut().ok()?;
        let done = step(&mut router);
        while let Some(order) = self.next_order() {
            self.perform(&mut router, order);
        }
        while let Some((client, message)) = router.out.pop_front() {
            match (self.links.borrow().get(&client), message.encode()) {
                (Some(link), Ok(bytes)) => link.push(bytes),
                _ => log::debug!("bus: message dropped client={client:08x}"),
            }
        }
        self.acknowledged.set(router.acknowledged);
        Some(done)
    }

    fn next_order(&self) -> Option<Order> {
        self.orders.borrow_mut().pop_front()
    }

    fn perform(&self, router: &mut Router, order: Order) {
        match order {
            Order::Provide(path, signature, handler) => {
                if self.provided.borrow_mut().insert(path.clone(), (signature.clone(), Rc::clone(&handler))).is_some() {
                    withdraw(router, &path);
                }
                if router.provide(&path, signature, handler).is_err() {
                    log::warn!("bus: not provided path={path} reason=taken");
                }
            }
            Order::Withdraw(path) => {
                if self.provided.borrow_mut().remove(&path).is_some() {
                    withdraw(router, &path);
                }
            }
            Order::Notify(path, notification, data, no_reply) => {
                if let (Some(id), Ok(data)) = (router.find(&path), blobmsg::encode(&data)) {
                    router.spread(id, router.local, 1, &notification, Some(&data), no_reply);
                }
            }
            Order::Event(id, data) => router.event(None, &id, &data),
            Order::Restart => self.begin_anew(router),
        }
    }

    fn begin_anew(&self, router: &mut Router) {
        let acknowledged = router.acknowledged;
        *router = new_router(&self.seed);
        router.acknowledged = acknowledged;
        for (path, (signature, handler)) in &*self.provided.borrow() {
            let _ = router.provide(path, signature.clone(), Rc::clone(handler));
        }
        for link in std::mem::take(&mut *self.links.borrow_mut()).into_values() {
            link.hang_up.notify_one();
        }
    }
}

fn withdraw(router: &mut Router, path: &str) {
    if let Some(id) = router.find(path) {
        router.remove(id);
    }
}

impl Link {
    fn push(&self, bytes: Vec<u8>) {
        let waiting = self.bytes.get() + bytes.len();
        if waiting <= MAX_QUEUE || self.bytes.get() == 0 {
            self.bytes.set(waiting);
            self.queue.borrow_mut().push_back(bytes);
            self.written.notify_one();
        }
    }

    fn pop(&self) -> Option<Vec<u8>> {
        let bytes = self.queue.borrow_mut().pop_front()?;
        self.bytes.set(self.bytes.get() - bytes.len());
        Some(bytes)
    }
}

/// The future that owns the socket; see [`BusDriver::run`].
#[derive(Debug)]
pub struct BusDriver {
    shared: Rc<Shared>,
    listener: UnixListener,
    socket: PathBuf,
}

impl BusDriver {
    /// Serves clients; never ends. Dropped, it hangs up on all of them and removes the socket.
    pub async fn run(self) {
        let mut served = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => served.push(serve(&self.shared, stream)),
                    Err(error) => {
                        log::warn!("bus: no more clients reason={error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(()) = served.next(), if !served.is_empty() => {}
            }
        }
    }
}

impl Drop for BusDriver {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
    }
}

async fn serve(shared: &Shared, stream: UnixStream) {
    let link = Rc::new(Link::default());
    let Some(client) = shared.settle(|router| {
        let client = router.connect();
        shared.links.borrow_mut().insert(client, Rc::clone(&link));
        client
    }) else {
        return;
    };
    let (mut read, mut write) = stream.into_split();
    let ended = tokio::select! {
        ended = read_on(shared, client, &mut read) => ended,
        ended = write_on(&link, &mut write) => ended,
        () = link.hang_up.notified() => io::ErrorKind::ConnectionAborted.into(),
    };
    log::debug!("bus: client gone client={client:08x} reason={ended}");
    shared.links.borrow_mut().remove(&client);
    shared.settle(|router| router.disconnect(client));
}

async fn read_on(shared: &Shared, client: u32, read: &mut OwnedReadHalf) -> io::Error {
    let mut frames = Frames::default();
    let mut buffer = vec![0; 4096];
    loop {
        match read.read(&mut buffer).await {
            Ok(0) => return io::ErrorKind::UnexpectedEof.into(),
            Ok(count) => frames.push(buffer.get(..count).unwrap_or_default()),
            Err(error) => return error,
        }
        loop {
            match frames.next_message() {
                Ok(Some(message)) => shared.settle(|router| router.handle(client, &message)),
                Ok(None) => break,
                Err(length) => return io::Error::other(format!("{length:?}")),
            };
        }
    }
}

async fn write_on(link: &Link, write: &mut OwnedWriteHalf) -> io::Error {
    loop {
        while let Some(bytes) = link.pop() {
            if let Err(error) = write.write_all(&bytes).await {
                return error;
            }
        }
        link.written.notified().await;
    }
}

#[cfg(test)]
mod transcript_tests;
