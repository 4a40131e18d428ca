//! The supported data model and how it is read and written.
//!
//! Reading: a question is evaluated against [`docs::Docs`], the answers fetched so far; what is missing is noted,
//! fetched all at once, and the question is evaluated again. So each source is asked once per message and all
//! sources of a round are asked together, however many parameters they serve.
//!
//! Writing: [`write::Transaction`] stages edits on copies of the UCI packages, checks them, and commits each
//! package once. Nothing is written before everything required is known to be right.
//!
//! The model knows nothing of messages, controllers or sessions: who may do what comes in as [`Permit`].

mod arguments;
pub mod built_in;
mod commit;
pub mod digest;
pub mod docs;
pub mod dropin;
pub mod eval;
pub mod facets;
pub mod facts;
mod gather;
pub mod instances;
mod keys;
pub mod mount;
mod named;
pub mod native;
pub mod notation;
mod parameter;
pub mod pipeline;
mod raised;
pub mod read;
pub mod resolve;
pub mod schema;
pub mod source;
pub mod sources;
pub mod stage;
pub mod supported;
pub mod value;
pub mod write;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_read;
#[cfg(test)]
mod tests_write;

pub use commit::{Committed, Preview};
pub use docs::View;
pub use facts::Facts;
pub use instances::Instances;
pub use raised::RaisedEvent;
pub use read::{Instance, Invocation, ObjectValues, Reading};
pub use resolve::Node;
pub use sources::Sources;
pub use supported::{SupportedObject, Want};
pub use write::{Savepoint, Transaction};

use crate::backend::Backend;
use crate::backend::uci::PackageEdits;
use schema::Schema;
use std::cell::{Cell, RefCell, RefMut};
use std::ops::{BitAnd, BitOr};

/// Whether a change of a package may take away the way by which it was asked for.
pub type Guard = fn(&PackageEdits) -> bool;

/// The data model of one router.
pub struct Model<B: Backend> {
    schema: Schema,
    backend: B,
    instances: RefCell<Instances>,
    facts: RefCell<Facts>,
    views: Vec<docs::Shown>,
    mounts: mount::Mounts,
    /// Says of the edits of a package whether they are to be undoable; None: none are.
    guard: Cell<Option<Guard>>,
    /// Which lines of [`Schema::live`] the backend was told of.
    followed: RefCell<Vec<bool>>,
    now: Cell<i64>,
}

impl<B: Backend> Model<B> {
    /// A model of what `schema` supports on the router behind `backend`.
    pub fn new(schema: Schema, backend: B, instances: Instances, views: Vec<View>) -> Self {
        let followed = RefCell::new(vec![false; schema.live.len()]);
        let (instances, facts) = (RefCell::new(instances), RefCell::default());
        let views = views.into_iter().map(docs::Shown::new).collect();
        Self {
            schema,
            backend,
            instances,
            facts,
            views,
            mounts: mount::Mounts::default(),
            guard: Cell::new(None),
            followed,
            now: Cell::new(0),
        }
    }

    /// From now on commits that `guard` names can be undone ([`Backend::revert`]).
    pub fn set_guard(&self, guard: Option<Guard>) {
        self.guard.set(guard);
    }

    /// Hears of changes of these sources from now on, where the mapping says what tells of them: a router has many
    /// events, and each that nobody needs would wake the agent. True where one was not heard of before: it may have
    /// changed meanwhile.
    pub fn follow(&self, sources: &Sources) -> bool {
        let mut followed = self.followed.borrow_mut();
        let mut more = false;
        for (live, known) in self.schema.live.iter().zip(followed.iter_mut()) {
            if !*known && sources.told_by(live) {
                self.backend.watch(&live.watch);
                (*known, more) = (true, true);
            }
        }
        more
    }

    /// The supported model.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The router.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// What the agent knows of itself; not to be held across an await.
    pub fn facts(&self) -> RefMut<'_, Facts> {
        self.facts.borrow_mut()
    }

    /// The instance numbers; not to be held across an await.
    pub fn instance_numbers(&self) -> RefMut<'_, Instances> {
        self.instances.borrow_mut()
    }

    /// The time that `ago` counts from, in seconds since 1970.
    pub fn set_clock(&self, unix: i64) {
        self.now.set(unix);
        self.instances.borrow_mut().next_tick();
    }
}

/// What a caller may do with an element, one bit per right (TR-181 `ControllerTrust.Role.{i}.Permission.{i}.`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights(pub u16);

impl Rights {
    /// Param `r`: Get, GetSupportedDM.
    pub const PARAM_READ: Self = Self(1 << 0);
    /// Param `w`: Set, values in Add.
    pub const PARAM_WRITE: Self = Self(1 << 1);
    /// Param `n`: ValueChange.
    pub const PARAM_NOTIFY: Self = Self(1 << 3);
    /// Obj `r`: path resolution, GetSupportedDM.
    pub const OBJECT_READ: Self = Self(1 << 4);
    /// Obj `w`: Add.
    pub const OBJECT_ADD: Self = Self(1 << 5);
    /// Obj `n`: ObjectCreation.
    pub const OBJECT_NOTIFY: Self = Self(1 << 7);
    /// InstantiatedObj `r`: GetInstances.
    pub const INSTANCE_READ: Self = Self(1 << 8);
    /// InstantiatedObj `w`: Delete.
    pub const INSTANCE_DELETE: Self = Self(1 << 9);
    /// InstantiatedObj `n`: ObjectDeletion.
    pub const INSTANCE_NOTIFY: Self = Self(1 << 11);
    /// CommandEvent `r`: GetSupportedDM.
    pub const COMMAND_READ: Self = Self(1 << 12);
    /// CommandEvent `x`: Operate.
    pub const COMMAND_EXECUTE: Self = Self(1 << 14);
    /// CommandEvent `n`: OperationComplete, Event.
    pub const COMMAND_NOTIFY: Self = Self(1 << 15);
    /// Everything.
    pub const ALL: Self = Self(0xffff);

    /// All bits of `need` are there.
    pub fn allow(self, need: Self) -> bool {
        self.0 & need.0 == need.0
    }
}

impl BitOr for Rights {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Rights {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// Who asks: what they may do. Implemented by the agent's access control.
pub trait Permit {
    /// The rights on the object at `path`: concrete with a final dot (`Device.IP.Interface.1.`), or a template
    /// (`{i}`) where the supported model is asked.
    fn object(&self, path: &str) -> Rights;

    /// The rights on one parameter, command or event; asked only where [`Permit::by_element`] says so.
    fn element(&self, object: &str, name: &str) -> Rights {
        let _ = name;
        self.object(object)
    }

    /// Rights below this object depend on the element's name.
    fn by_element(&self, object: &str) -> bool {
        let _ = object;
        false
    }

    /// May read parameters that the standard calls secured.
    fn secured(&self) -> bool {
        false
    }
}

/// The agent itself: may do everything.
#[derive(Debug, Clone, Copy)]
pub struct Everything;

impl Permit for Everything {
    fn object(&self, _path: &str) -> Rights {
        Rights::ALL
    }
}

/// The agent itself where it tells nobody: it sees secured values too.
#[derive(Debug, Clone, Copy)]
pub struct Secrets;

impl Permit for Secrets {
    fn object(&self, _path: &str) -> Rights {
        Rights::ALL
    }

    fn secured(&self) -> bool {
        true
    }
}
