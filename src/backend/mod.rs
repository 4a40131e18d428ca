//! What can be asked of a router: ubus calls, UCI packages, files. One trait, two answers:
//! [`live`] asks the router, [`fixture`] a folder of recorded answers.
//!
//! The backend knows nothing of TR-181 and decides nothing.

use std::fmt;
use std::future::Future;
use std::rc::Rc;

pub mod amx;
pub mod atomic;
pub mod checksum;
pub mod files;
pub mod fixture;
pub mod live;
pub mod netlink;
pub mod router;
#[cfg(test)]
pub(crate) mod scratch;
pub mod ubus;
pub mod uci;
pub mod value;
pub mod watch;

pub use router::Router;
pub use value::{Table, Value};

/// Why a ubus call has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// No such object on the bus (or no such recorded answer).
    NotFound,
    /// The provider or ubusd answered with this status (1 to 13, see `ubus::message::status`).
    Status(u32),
    /// No answer within the deadline.
    Timeout,
    /// The bus is not connected.
    Disconnected,
    /// Arguments or answer over the limit of the bus (1 MiB).
    TooLarge,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("not on the bus"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Disconnected => f.write_str("the bus is not connected"),
            Self::TooLarge => f.write_str("more than the bus carries"),
        }
    }
}

/// A whole answer of a ubus object: every DATA, whatever its status.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// See `ubus::message::status`.
    pub status: u32,
    /// In the order they came.
    pub parts: Vec<Table>,
}

/// Why a file or folder could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileError {
    /// Not there.
    NotFound,
    /// Over [`MAX_FILE`] bytes.
    TooLarge,
    /// Any other refusal of the system.
    Io(String),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not there",
            Self::TooLarge => "too large",
            Self::Io(why) => why,
        })
    }
}

/// The largest file a mapping reads, in bytes.
pub const MAX_FILE: usize = 256 * 1024;

/// Something that changed on the router without the agent's doing.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A UCI package was written by somebody (inotify on the configuration folder).
    Package(Box<str>),
    /// A watched file changed; the path as the mapping names it (without `--root`).
    File(Box<str>),
    /// A ubus event (`network.interface`, `ubus.object.add`, ...) with its data.
    Event(Box<str>, Table),
    /// A notification of a subscribed ubus object: object path, notification, data.
    Notification(Box<str>, Box<str>, Table),
    /// The bus was lost and is back: whatever was read from it may be stale.
    BusRestarted,
}

/// Everything the agent asks of a router.
///
/// Single-threaded on purpose: no `Send`, no boxed futures. Every call ends within the
/// backend's deadline. With the fixture backend one poll finishes each future.
pub trait Backend {
    /// Calls `method` of the ubus object at `object`, or of [`netlink`]; the last DATA is the answer.
    fn call(&self, object: &str, method: &str, args: &Table) -> impl Future<Output = Result<Table, CallError>>;

    /// Calls `method` of the ubus object at `object` and returns every DATA with the status, which is no error here:
    /// objects of Ambiorix say in the last DATA what went wrong, see [`amx`].
    fn call_all(&self, object: &str, method: &str, args: &Table) -> impl Future<Output = Result<Answer, CallError>>;

    /// The names of the ubus objects that match `pattern` (exact, or a prefix and `*`), sorted.
    fn objects(&self, pattern: &str) -> impl Future<Output = Result<Vec<String>, CallError>>;

    /// A UCI package as it is on disk now; cached until it changes. A package without a file is `NotFound`.
    fn package(&self, name: &str) -> impl Future<Output = Result<Rc<uci::Package>, uci::Error>>;

    /// Merges the edits onto what is on disk now, writes each package once, and tells procd
    /// (`service event config.change`) once per package. All packages change or none. What an `undoable` commit
    /// changes is kept on flash until [`Backend::confirm`] or [`Backend::revert`].
    fn commit(&self, edits: &[uci::PackageEdits], undoable: bool) -> impl Future<Output = Result<(), uci::Error>>;

    /// What undoable commits changed and nobody confirmed, also before a restart.
    fn unconfirmed(&self) -> uci::undo::Reverted;

    /// Tells procd of these packages, as a commit does.
    fn announce(&self, packages: &[Box<str>]) -> impl Future<Output = ()>;

    /// They stand.
    fn confirm(&self) -> Result<(), uci::Error>;

    /// They are put back as they were before the first of those commits, and procd is told. What they were is kept on
    /// until [`Backend::confirm`].
    fn revert(&self) -> impl Future<Output = Result<uci::undo::Reverted, uci::Error>>;

    /// The text of a file of the router (`/proc/...`, `/etc/...`), bytes that are not UTF-8 replaced.
    fn read(&self, path: &str) -> impl Future<Output = Result<Rc<str>, FileError>>;

    /// The names in a folder of the router, sorted.
    fn list(&self, path: &str) -> impl Future<Output = Result<Rc<[String]>, FileError>>;

    /// Where a link points (`/sys/class/net/br-lan/master`): its text, not resolved.
    fn link(&self, path: &str) -> impl Future<Output = Result<Rc<str>, FileError>>;

    /// Asks for [`Change`]s of this ubus event pattern, ubus object (prefix with `*` allowed) or file.
    /// Asking twice is free; a backend without changes ignores it.
    fn watch(&self, what: &Watch);
}

/// What [`Backend::watch`] can watch. UCI packages are always watched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Watch {
    /// A ubus event pattern, e.g. `network.interface`.
    Event(Box<str>),
    /// The notifications of a ubus object, e.g. `hostapd.*`.
    Object(Box<str>),
    /// The same of one object, and the events `ubus.object.add` and `ubus.object.remove` of it alone.
    Plugin(Box<str>),
    /// A file that is rewritten or appended to, e.g. `/tmp/dhcp.leases`.
    File(Box<str>),
}
