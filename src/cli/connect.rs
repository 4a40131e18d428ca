//! `connect URL`: a controller's section in /etc/config/usp-agent, and whether the agent reaches it.

mod section;

use super::bus::{self, number_of, tables_of, text_of};
use super::table::time;
use super::{Arguments, CONFIG_DIR, Exit, Flag, UBUS, complain, print, usage};
use crate::backend::live::Place;
use crate::backend::ubus::Client;
use crate::backend::uci::store::Store;
use crate::backend::uci::{Error, Package, PackageEdits};
use crate::backend::{CallError, Table, Value};
use crate::config;
use crate::daemon::control::OBJECT;
use crate::task::block_on;
use section::Wanted;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

pub(super) const FLAGS: &[Flag] = &[
    Flag { name: "preset", value: Some("NAME"), doc: "what kind of controller it is: oktopus" },
    Flag { name: "id", value: Some("ID"), doc: "its endpoint id (default with --preset oktopus: oktopusController)" },
    Flag { name: "role", value: Some("ROLE"), doc: "what it may do: full, readonly, ... (default: read DeviceInfo)" },
    Flag { name: "allow-unencrypted", value: None, doc: "its role counts without TLS too; for a lab" },
    Flag { name: "username", value: Some("U"), doc: "for the broker" },
    Flag { name: "password-file", value: Some("FILE"), doc: "holds the password; - reads it from stdin" },
    Flag { name: "name", value: Some("SECTION"), doc: "the section to write; one that is there is changed" },
    CONFIG_DIR,
    UBUS,
];

/// How long the agent may take until it is connected.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take until it is on the bus.
const START: Duration = Duration::from_secs(2);
/// How often it is asked.
const POLL: Duration = Duration::from_millis(50);
/// Bytes of a password at most: what a user name or password of MQTT may have.
const MAX_PASSWORD: u64 = 65_535;

pub(super) fn run(given: &Arguments) -> Exit {
    let [url] = given.words.as_slice() else {
        return usage(
            "connect needs one address: usp-agent connect mqtts://acs.example.net --id proto::acs --role full",
        );
    };
    let password = match given.value("password-file").map(password).transpose() {
        Ok(password) => password,
        Err(what) => return usage(&what),
    };
    let wanted = Wanted {
        url,
        preset: given.value("preset"),
        id: given.value("id"),
        role: given.value("role"),
        unencrypted: given.has("allow-unencrypted"),
        username: given.value("username"),
        password: password.as_deref(),
        name: given.value("name"),
    };
    let (name, notes) = match write(given, &wanted) {
        Ok(written) => written,
        Err(exit) => return exit,
    };
    print(&format!("{name}: written to {}\n", file(given).display()));
    for note in notes {
        complain(&note);
    }
    match bus::converse(given, async |bus, _| reach(&bus, given, &name).await) {
        Ok(exit) | Err(exit) => exit,
    }
}

/// A password is never a word of the command line: everybody on the router can read those.
fn password(file: &str) -> Result<String, String> {
    let mut text = String::new();
    let read = match file {
        "-" => io::stdin().lock().take(MAX_PASSWORD).read_to_string(&mut text),
        file => File::open(file).and_then(|file| file.take(MAX_PASSWORD).read_to_string(&mut text)),
    };
    read.map_err(|error| format!("--password-file {file}: {error}"))?;
    let password = text.trim_end_matches(['\r', '\n']);
    match password.is_empty() || password.contains(char::is_control) {
        true => Err(format!("--password-file {file} holds no password: it is one line of text")),
        false => Ok(password.to_owned()),
    }
}

fn file(given: &Arguments) -> PathBuf {
    Path::new(given.value("config-dir").unwrap_or("/etc/config")).join(config::PACKAGE)
}

/// Writes the section: its name, and what there is to say about it.
fn write(given: &Arguments, wanted: &Wanted<'_>) -> Result<(Box<str>, Vec<String>), Exit> {
    let failed = |what: &str, error: Error| {
        complain(&format!("{}: {error}; {what}", file(given).display()));
        Exit::Failure
    };
    let router = Place::below(Path::new("/"));
    let store = match given.value("config-dir") {
        Some(folder) => Store::new(folder.into(), None, &router.state),
        None => Store::new(router.confdir, router.overrides, &router.state),
    };
    let base = match store.read(config::PACKAGE) {
        Err(Error::NotFound) => Rc::new(Package { name: config::PACKAGE.into(), sections: Vec::new() }),
        read => read.map_err(|error| failed("repair the file, `usp-agent check` tells more", error))?,
    };
    let planned = section::plan(&base, wanted).map_err(|what| {
        complain(&what);
        Exit::Usage
    })?;
    let edits = [PackageEdits { base, edits: planned.edits }];
    let committed =
        block_on(store.commit(&edits)).map_err(|error| failed("try again", Error::Io(error.to_string())))?;
    committed.map_err(|error| failed("nothing was written", error))?;
    Ok((planned.name, planned.notes))
}

/// Waits until the agent is connected, or knows why it is not.
async fn reach(bus: &Client, given: &Arguments, name: &str) -> Result<Exit, Exit> {
    comes_up(bus).await;
    let until = Instant::now() + PATIENCE;
    bus::call(bus, given, "reload", &Table::default()).await?;
    loop {
        let status = bus::call(bus, given, "status", &Table::default()).await?;
        let controller = tables_of(&status, "controllers").find(|controller| text_of(controller, "section") == name);
        match controller.map(|controller| seen(controller, text_of(&status, "endpoint_id"))) {
            Some(Seen::Reached(what)) => return Ok(print(&format!("{name}: {what}\n"))),
            Some(Seen::Failed(why)) => {
                complain(&format!("{name}: {why}"));
                return Ok(Exit::Failure);
            }
            Some(Seen::Nothing(what)) if Instant::now() > until => {
                complain(&format!("{name}: {what}"));
                return Ok(Exit::Timeout);
            }
            None if Instant::now() > until => {
                complain(&format!("{name}: the agent does not know it; see `usp-agent check` and its --config-dir"));
                return Ok(Exit::Failure);
            }
            Some(Seen::Nothing(_)) | None => sleep(POLL).await,
        }
    }
}

/// An agent that was started just now, by the installation or by hand, is waited for.
async fn comes_up(bus: &Client) {
    let until = Instant::now() + START;
    let is_away =
        || async { matches!(bus.ask(OBJECT, "status", &Table::default(), START).await, Err(CallError::NotFound)) };
    while Instant::now() < until && is_away().await {
        sleep(POLL).await;
    }
}

/// How it stands with a controller.
enum Seen {
    /// What to say.
    Reached(String),
    /// Why, and what to do.
    Failed(String),
    /// Nothing yet; what to say once that has lasted.
    Nothing(String),
}

fn seen(controller: &Table, own_id: &str) -> Seen {
    let links: Vec<_> = tables_of(controller, "links").collect();
    let in_state = |states: &[&str]| links.iter().find(|link| states.contains(&text_of(link, "state")));
    if let Some(link) = in_state(&["connected"]) {
        return Seen::Reached(format!(
            "connected to {} as {own_id}{}",
            text_of(link, "address"),
            limits(controller, link)
        ));
    }
    if let Some(link) = in_state(&["listening"]) {
        return Seen::Reached(format!("{}, the controller may come", text_of(link, "address")));
    }
    if let Some(link) = in_state(&["waiting", "failed"]) {
        let next = match number_of(link, "next_try_seconds") {
            Some(seconds) => format!("tried again in {}; `usp-agent status` shows how it goes on", time(seconds)),
            None => "not tried again until that is repaired".to_owned(),
        };
        return Seen::Failed(format!("{}; {next}", text_of(link, "last_error")));
    }
    Seen::Nothing(match links.first() {
        Some(link) => format!(
            "{} has not answered; check host, port and firewall, `usp-agent status` shows how it goes on",
            text_of(link, "address")
        ),
        None => "no link leads to it; `usp-agent check` tells why".to_owned(),
    })
}

/// What an owner may not expect.
fn limits(controller: &Table, link: &Table) -> &'static str {
    let plain = number_of(link, "encrypted") == Some(0);
    let untrusted = controller.get("roles").and_then(Value::as_array).is_none_or(<[Value]>::is_empty);
    match (untrusted, plain && number_of(controller, "allow_unencrypted") == Some(0)) {
        (true, _) => "\nit may read Device.DeviceInfo. and no more: --role full lets it do everything",
        (false, true) => {
            "\nwithout TLS its role does not count: use an address with TLS, or in a lab --allow-unencrypted"
        }
        (false, false) => "",
    }
}
