//! One type for both backends, so that the code above is compiled once.

use std::rc::Rc;

use super::fixture::Fixture;
use super::live::Live;
use super::{Answer, Backend, CallError, FileError, Table, Watch, uci};

/// A router: the one this runs on, or a recorded one.
#[derive(Debug)]
pub enum Router {
    /// See [`Live`].
    Live(Live),
    /// See [`Fixture`].
    Fixture(Fixture),
}

macro_rules! delegate {
    ($self:ident, $router:ident => $call:expr) => {
        match $self {
            Router::Live($router) => $call,
            Router::Fixture($router) => $call,
        }
    };
}

impl Backend for Router {
    async fn call(&self, object: &str, method: &str, args: &Table) -> Result<Table, CallError> {
        delegate!(self, router => router.call(object, method, args).await)
    }

    async fn call_all(&self, object: &str, method: &str, args: &Table) -> Result<Answer, CallError> {
        delegate!(self, router => router.call_all(object, method, args).await)
    }

    async fn objects(&self, pattern: &str) -> Result<Vec<String>, CallError> {
        delegate!(self, router => router.objects(pattern).await)
    }

    async fn package(&self, name: &str) -> Result<Rc<uci::Package>, uci::Error> {
        delegate!(self, router => router.package(name).await)
    }

    async fn commit(&self, edits: &[uci::PackageEdits], undoable: bool) -> Result<(), uci::Error> {
        delegate!(self, router => router.commit(edits, undoable).await)
    }

    fn unconfirmed(&self) -> uci::undo::Reverted {
        delegate!(self, router => router.unconfirmed())
    }

    async fn announce(&self, packages: &[Box<str>]) {
        delegate!(self, router => router.announce(packages).await);
    }

    fn confirm(&self) -> Result<(), uci::Error> {
        delegate!(self, router => router.confirm())
    }

    async fn revert(&self) -> Result<uci::undo::Reverted, uci::Error> {
        delegate!(self, router => router.revert().await)
    }

    async fn read(&self, path: &str) -> Result<Rc<str>, FileError> {
        delegate!(self, router => router.read(path).await)
    }

    async fn list(&self, path: &str) -> Result<Rc<[String]>, FileError> {
        delegate!(self, router => router.list(path).await)
    }

    async fn link(&self, path: &str) -> Result<Rc<str>, FileError> {
        delegate!(self, router => router.link(path).await)
    }

    fn watch(&self, what: &Watch) {
        delegate!(self, router => router.watch(what));
    }
}
