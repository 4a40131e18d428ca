//! How the agent comes up: the lock, the router, the data model, what was kept, who it is.

use super::clock::Clock;
use super::control::Control;
use super::echo::Echo;
use super::identity;
use super::links::Links;
use super::operations::Operations;
use super::operations::ground::Ground;
use super::perform::document;
use super::{Daemon, Failure, MAX_CHANGES, Options};
use crate::agent::{Agent, Boot, Input, Kept};
use crate::backend::fixture::Fixture;
use crate::backend::live::{Live, Place};
use crate::backend::uci::Package;
use crate::backend::{Backend, Change, Router, Watch};
use crate::config;
use crate::model::{Instances, Model, View, dropin, native};
use crate::store::Store;
use crate::task::spawn;
use crate::usp::endpoint_id::EndpointId;
use ring::rand::{SecureRandom, SystemRandom};
use rustix::fs::{FlockOperation, flock};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc::{self, Receiver};

/// What the data model shows instead of the short forms of the agent's package.
const VIEW: View = View {
    package: config::PACKAGE,
    expand: config::expand,
    expand_section: config::expand_section,
    refused: config::refused,
};
/// Everything that is kept.
const KEPT: [Kept; 7] =
    [Kept::Boot, Kept::Version, Kept::Notifications, Kept::Requests, Kept::Challenges, Kept::Trial, Kept::Firmware];

impl Daemon {
    /// Starts everything; the first records go out when the first link is up.
    pub(super) async fn start(options: Options) -> Result<Self, Failure> {
        let place = place(&options);
        let lock = lock(&place.state)?;
        let on_this_machine = place.root == Path::new("/");
        let root = place.root.clone();
        let store = Store::open(&place.state);
        let (router, changes) = router(&options, place).await?;
        router.watch(&Watch::Event("network.interface".into()));
        let model = model(router, &root, &store)?;
        let own_id = identity::endpoint_id(&model, &store, true).await?;
        let clock = Clock::new();
        let (links, link_events) = Links::new(clock.for_tls());
        let (operations, done) = Operations::new(Ground { root: root.clone(), clock: clock.for_tls() });
        let control = Control::of(model.backend());
        say_who(&model, &own_id);
        let mut daemon = Self {
            agent: Agent::new(model, own_id.clone(), config::expand, seed()),
            own_id,
            store,
            clock,
            links,
            operations,
            echo: Echo::default(),
            link_events,
            arrived: None,
            waiting: 0,
            changes,
            done,
            log_level: options.log_level,
            pending: VecDeque::new(),
            config_changed: true,
            wake_at: None,
            numbers: None,
            rebooting: None,
            on_this_machine,
            control,
            _lock: lock,
        };
        daemon.first_input().await;
        Ok(daemon)
    }

    /// Who the agent would be.
    pub(super) async fn identity(options: &Options) -> Result<EndpointId, Failure> {
        let place = place(options);
        let root = place.root.clone();
        let store = Store::open(&place.state);
        let (tell, _changes) = mpsc::channel(MAX_CHANGES);
        let (live, driver) = Live::new(place, tell);
        spawn(driver.run());
        let model = model(Router::Live(live), &root, &store)?;
        identity::endpoint_id(&model, &store, false).await
    }

    async fn first_input(&mut self) {
        let load = |kept: &Kept| self.store.load(document(*kept)).map(|text| (*kept, text));
        let kept = KEPT.iter().filter_map(load).collect();
        self.handle(Input::Started { boot: Boot::default(), kept }).await;
        self.settle().await;
    }
}

/// The data model of this router, with the numbers it has given so far.
fn model(router: Router, root: &Path, store: &Store) -> Result<Model<Router>, Failure> {
    let (schema, refused) = dropin::load(&dropin::FOLDERS, root, &native::writes);
    for refusal in &refused {
        log::error!("data-model=refused {refusal}");
    }
    if schema.objects.is_empty() {
        return Err(Failure::Model(refused.join("; ")));
    }
    let instances = store.load(document(Kept::Instances)).map_or_else(Instances::default, |t| Instances::load(&t));
    Ok(Model::new(schema, router, instances, vec![VIEW]))
}

/// Where the router is, by the options.
fn place(options: &Options) -> Place {
    let usual = Place::below(options.root.as_deref().unwrap_or(Path::new("/")));
    let state = match (&options.state_dir, &options.fixtures) {
        (Some(state), _) => state.clone(),
        (None, Some(_)) => std::env::temp_dir().join("usp-agent-fixtures"),
        (None, None) => usual.state.clone(),
    };
    let overrides = usual.overrides.clone().filter(|_| options.config_dir.is_none());
    Place {
        socket: options.ubus.clone().unwrap_or(usual.socket.clone()),
        confdir: options.config_dir.clone().unwrap_or(usual.confdir.clone()),
        overrides,
        state,
        ..usual
    }
}

/// Held as long as the file is open: a second agent on the same state would undo the first one's.
fn lock(state: &Path) -> Result<File, Failure> {
    let path = state.join("lock");
    let open = || -> io::Result<File> {
        fs::create_dir_all(state)?;
        File::options().create(true).truncate(false).write(true).open(&path)
    };
    let file = open().map_err(|error| Failure::Folder(state.to_owned(), error))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| Failure::Running(path))?;
    Ok(file)
}

/// The router, and what it will tell.
async fn router(options: &Options, place: Place) -> Result<(Router, Receiver<Change>), Failure> {
    let (tell, changes) = mpsc::channel(MAX_CHANGES);
    if let Some(folder) = &options.fixtures {
        let copy: PathBuf = place.state.join("router");
        let fixture =
            Fixture::with_writable_dir(folder, &copy).map_err(|error| Failure::Folder(folder.clone(), error))?;
        if let Some(given) = &options.config_dir {
            replace_packages(&fixture, given).map_err(|error| Failure::Folder(given.clone(), error))?;
        }
        fixture.send_changes_to(tell);
        return Ok((Router::Fixture(fixture), changes));
    }
    let socket = place.socket.clone();
    let (live, driver) = Live::new(place, tell);
    spawn(driver.run());
    if !socket.exists() {
        log::warn!("ubus=unreachable socket={} effect=waiting check=ubusd", socket.display());
    }
    if let Err(error) = live.recover().await {
        log::error!("recover=failed cause=\"{error}\" effect=packages-may-be-half-changed action=tried-again-at-start");
    }
    Ok((Router::Live(live), changes))
}

/// Packages of `--config-dir` count instead of the recorded ones.
fn replace_packages(fixture: &Fixture, folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)?.flatten().filter(|entry| entry.path().is_file()) {
        let name = entry.file_name();
        let text = fs::read_to_string(entry.path())?;
        let named = |error| io::Error::other(format!("{}: {error}", entry.path().display()));
        fixture.set_package(&name.to_string_lossy(), &text).map_err(named)?;
    }
    Ok(())
}

/// What the agent knows of itself and nobody else does.
fn say_who(model: &Model<Router>, own_id: &EndpointId) {
    log::info!("event=start version={} endpoint-id={own_id}", env!("CARGO_PKG_VERSION"));
    let mut facts = model.facts();
    facts.set("localagent", "", "EndpointID", own_id.as_str());
    facts.set("localagent", "", "SoftwareVersion", env!("CARGO_PKG_VERSION"));
    facts.set("localagent", "", "SupportedProtocols", config::options::PROTOCOLS.join(","));
}

/// The level that the configuration asks for.
pub(super) fn log_level(package: &Package) -> log::LevelFilter {
    let level = package.of_kind("localagent").find_map(|agent| agent.text("log_level"));
    level.and_then(|level| level.parse().ok()).unwrap_or(log::LevelFilter::Info)
}

/// Differs from start to start.
fn seed() -> u64 {
    let mut bytes = [0; 8];
    let _ = SystemRandom::new().fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}
