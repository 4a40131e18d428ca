//! Where operations work: the router's file system, its bus, and whom its HTTP trusts.

use crate::backend::{Backend, Router, ubus};
use crate::config;
use crate::config::options::CA_FILE;
use crate::model::Model;
use crate::mtp::http::{Client, Login};
use crate::mtp::tls::{self, ClientTls, Trust};
use crate::usp::fault::{Code, Fault};
use std::path::{Path, PathBuf};

/// What operations share.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The router's file system: `/` on a router.
    pub root: PathBuf,
    /// Whether dates of certificates can be checked.
    pub clock: tls::Clock,
}

impl Ground {
    /// A path of the router as a path of this machine.
    pub fn place(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A client of HTTP that trusts whom the agent's configuration trusts (`ca_file`), for the arguments Username and
    /// Password.
    pub async fn http(&self, input: &[(String, String)], model: &Model<Router>) -> Client {
        let given = |name: &str| input.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value.as_str());
        let package = model.backend().package(config::PACKAGE).await;
        let own = package.ok().and_then(|package| {
            package.of_kind("localagent").find_map(|agent| agent.text("ca_file").map(PathBuf::from))
        });
        let trust = own.map_or_else(|| Trust::Bundle(CA_FILE.into()), Trust::File);
        let (username, password) = (given("Username"), given("Password"));
        let login = Login { username: username.to_owned(), password: password.to_owned() };
        Client {
            tls: ClientTls { trust, clock: self.clock.clone(), ..ClientTls::default() },
            login: Some(login).filter(|_| !username.is_empty() || !password.is_empty()),
            ..Client::default()
        }
    }

    /// The router's bus; a recorded router has none.
    pub fn bus<'a>(&self, model: &'a Model<Router>) -> Result<&'a ubus::Client, Fault> {
        match model.backend() {
            Router::Live(router) => Ok(router.bus()),
            Router::Fixture(_) => Err(Fault::new(Code::CommandFailure, "a recorded router cannot do that")),
        }
    }
}

/// Bytes of memory that programs can still have; None where the kernel does not tell.
pub(super) fn memory(root: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Bytes free in the file system of this folder.
pub(super) fn room(folder: &Path) -> Option<u64> {
    let system = rustix::fs::statvfs(folder).ok()?;
    system.f_bavail.checked_mul(system.f_frsize)
}
