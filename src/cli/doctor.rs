//! `doctor [CONTROLLER]`: the whole way to each controller, one line a step, and what is wrong where it ends.

use super::bus::{self, text_of};
use super::table::{columns, row, time};
use super::{Arguments, CONFIG_DIR, Exit, Flag, ROOT, STATE_DIR, UBUS, check, complain, print};
use crate::backend::ubus::{Client, SOCKET, json, message::status};
use crate::backend::uci::{self, Package, Section};
use crate::backend::{Table, Value};
use crate::config::links::{Link, Reach, Transport, links};
use crate::config::{self, truth, value};
use crate::daemon::control::OBJECT;
use crate::daemon::probe::{Case, Probed, probe_blocking};
use crate::daemon::{self, Options};
use crate::mtp::Class;
use crate::usp::endpoint_id::EndpointId;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) const FLAGS: &[Flag] = &[CONFIG_DIR, STATE_DIR, UBUS, ROOT, bus::JSON];

/// How long the running agent may take to tell its state.
const PATIENCE: Duration = Duration::from_secs(5);

/// The steps of a way, with the first number of the classes of faults that end there.
const STEPS: &[(u8, &str)] =
    &[(20, "files"), (30, "name"), (40, "tcp"), (50, "tls"), (60, "session"), (70, "subscribe"), (80, "controller")];

/// A fault and its sentence.
type Fault = (Class, Box<str>);

/// What one way was found to be.
struct Way {
    link: String,
    steps: Vec<(&'static str, String)>,
    fault: Option<Fault>,
}

pub(super) fn run(given: &Arguments) -> Exit {
    let file = Path::new(given.value("config-dir").unwrap_or("/etc/config")).join(config::PACKAGE);
    for finding in check::configuration(&file) {
        complain(&finding);
    }
    let package = std::fs::read(&file).ok().and_then(|bytes| uci::parse::parse(config::PACKAGE, &bytes).ok());
    let Some(package) = package else { return end(given, Class::Configuration, "there is no configuration to go by") };
    let own_id = match own_id(given, &package) {
        Ok(id) => id,
        Err(why) => return end(given, Class::Configuration, &why),
    };
    let wanted = given.words.first().map(String::as_str);
    let is_wanted = |c: &&Section| wanted.is_none_or(|w| *c.name == *w || value(c, "EndpointID") == w);
    let controllers: Vec<&Section> =
        package.of_kind("controller").filter(|c| truth(c, "Enable")).filter(is_wanted).collect();
    if controllers.is_empty() {
        let which = wanted
            .map_or("no controller is configured".to_owned(), |w| format!("the agent knows no enabled controller {w}"));
        return end(given, Class::UnknownController, &which);
    }
    let state = agent_status(given);
    let links = links(&package, own_id.as_str()).0;
    let mut found = Vec::new();
    for controller in controllers {
        let ways = ways(controller, &links, state.as_ref(), &package, &own_id);
        if !given.has("json") {
            print(&format!("{}  {}\n", controller.name, value(controller, "EndpointID")));
            print(&ways.iter().map(shown).collect::<String>());
        }
        found.push((controller.name.clone(), ways));
    }
    let fault = found.iter().flat_map(|(_, ways)| ways).find_map(|way| way.fault.as_ref()).map(|(class, _)| *class);
    if given.has("json") {
        print(&format!("{:#}\n", json::table_to_json(&told(&found, fault))));
    }
    fault.map_or(Exit::Success, Exit::Fault)
}

fn end(given: &Arguments, class: Class, what: &str) -> Exit {
    complain(&sentence(class, what));
    if given.has("json") {
        let told = verdict(Table::default(), Some(class)).with("error", what).with("remedy", class.texts().1);
        print(&format!("{:#}\n", json::table_to_json(&told)));
    }
    Exit::Fault(class)
}

/// What is wrong, and what to do next.
fn sentence(class: Class, what: &str) -> String {
    let (name, remedy) = class.texts();
    format!("{name} ({}): {what}; {remedy}", class.code())
}

fn own_id(given: &Arguments, package: &Package) -> Result<EndpointId, String> {
    if let Some(id) = config::own_id(package).and_then(|id| EndpointId::lenient(id).ok()) {
        return Ok(id);
    }
    let path = |name| given.value(name).map(PathBuf::from);
    let (config_dir, state_dir, ubus, root) = (path("config-dir"), path("state-dir"), path("ubus"), path("root"));
    let options = Options { config_dir, state_dir, ubus, root, ..Options::default() };
    daemon::identity_blocking(&options).map_err(|failure| failure.to_string())
}

/// What the running agent tells of itself; None where none runs.
fn agent_status(given: &Arguments) -> Option<Table> {
    UnixStream::connect(given.value("ubus").unwrap_or(SOCKET)).ok()?;
    bus::converse(given, async |bus: Client, _| {
        let told = bus.ask(OBJECT, "status", &Table::default(), PATIENCE).await;
        Ok(told.ok().filter(|(code, _)| *code == status::OK).map(|(_, data)| data))
    })
    .ok()
    .flatten()
}

fn ways(
    controller: &Section,
    links: &[Link],
    state: Option<&Table>,
    package: &Package,
    own_id: &EndpointId,
) -> Vec<Way> {
    let reached = |link| {
        let link: &Link = link;
        link.controllers.iter().find(|reach| reach.controller == controller.name).map(|reach| (link, reach))
    };
    let mut ways: Vec<Way> = links
        .iter()
        .filter_map(reached)
        .map(|(link, reach)| {
            let publishes = value(controller, "preset") != "oktopus";
            way(link, reach, state, &Case { package, own_id, running: state.is_some(), publishes })
        })
        .collect();
    if ways.is_empty() {
        let guests = links.iter().filter(|link| link.transport.takes_guests());
        ways.extend(guests.map(|link| awaited(link, &controller.name, state)));
    }
    if ways.is_empty() {
        let fault =
            Some((Class::Configuration, "its section says no way to it: option url is missing or wrong".into()));
        ways.push(Way { link: String::new(), steps: Vec::new(), fault });
    }
    ways
}

/// What the running agent tells of this link, its own error first.
fn agent_step(link: &Link, controller: &str, state: Option<&Table>) -> (bool, (&'static str, String)) {
    let of_link = state.and_then(|state| {
        let controller = bus::tables_of(state, "controllers").find(|c| text_of(c, "section") == controller)?;
        bus::tables_of(controller, "links").find(|told| text_of(told, "section") == &*link.section)
    });
    let Some(told) = of_link else {
        let what = if state.is_some() { "runs without this link: `usp-agent reload`" } else { "does not run" };
        return (false, ("agent", what.to_owned()));
    };
    let mut text = text_of(told, "state").to_owned();
    if let Some(next) = bus::number_of(told, "next_try_seconds") {
        text += &format!(", next try in {}, last error: {}", time(next), text_of(told, "last_error"));
    }
    (text_of(told, "state") == "connected", ("agent", text))
}

/// A place where the controller comes to the agent.
fn awaited(link: &Link, controller: &str, state: Option<&Table>) -> Way {
    let (up, step) = agent_step(link, controller, state);
    let fault = (!up).then(|| (Class::Awaited, "the controller has not come to the agent".into()));
    Way { link: link.section.to_string(), steps: vec![step], fault }
}

fn way(link: &Link, reach: &Reach, state: Option<&Table>, case: &Case<'_>) -> Way {
    if link.is_server() {
        return awaited(link, &reach.controller, state);
    }
    let (up, step) = agent_step(link, &reach.controller, state);
    let (name, mut steps) = (address(link), vec![step]);
    let shown = format!("{} at {}:{}", link.section, name.0, name.1);
    if up {
        // A second session would take the place of the agent's, or have it shown as gone.
        return Way { link: shown, steps, fault: None };
    }
    let host = Some(bare(name.0)).filter(|_| !matches!(link.transport, Transport::UnixSocket(_)));
    let probed = match probe_blocking(link, reach, case, host) {
        Ok(probed) => probed,
        Err(error) => Probed { fault: Some((Class::Broken, error.to_string().into())), ..Probed::default() },
    };
    let ended = probed.fault.as_ref().map_or("", |(class, _)| step_of(*class));
    for (first, step) in STEPS.iter().take_while(|(_, step)| *step != ended) {
        steps.extend(detail(*first, link, reach, &probed).map(|detail| (*step, detail)));
    }
    Way { link: shown, steps, fault: probed.fault }
}

fn address(link: &Link) -> (&str, u16) {
    match &link.transport {
        Transport::Mqtt(mqtt) => (&mqtt.broker_address, mqtt.broker_port),
        Transport::Stomp(stomp) => (&stomp.host, stomp.port),
        Transport::WebSocketClient(client) => (&client.host, client.port),
        Transport::WebSocketServer(server) => (&server.address, server.port),
        Transport::UnixSocket(socket) => (&socket.path, 0),
    }
}

/// The host of a URL without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// What is told of a step that went well; None where the way has no such step.
fn detail(step: u8, link: &Link, reach: &Reach, probed: &Probed) -> Option<String> {
    let (host, port) = address(link);
    let ip = !matches!(link.transport, Transport::UnixSocket(_));
    let brokered = matches!(link.transport, Transport::Mqtt(_) | Transport::Stomp(_));
    match step {
        20 => link.transport.has_tls().then(|| "read".to_owned()),
        30 if ip => {
            let address = probed.address.map(|address| address.to_string());
            Some(format!("{} -> {}", bare(host), address.unwrap_or_default()))
        }
        40 if ip => Some(probed.peer.as_ref().map_or_else(|| format!("port {port}"), |peer| peer.address.to_string())),
        50 => link.transport.has_tls().then(|| accepted(probed.clock_is_set).to_owned()),
        60 => Some("accepted".to_owned()),
        70 if brokered => {
            probed.peer.as_ref().map(|peer| peer.response_topic.as_deref().unwrap_or_default().to_owned())
        }
        80 => Some(if reach.topic.is_empty() { reach.endpoint_id.to_string() } else { reach.topic.to_string() }),
        _ => None,
    }
}

/// R-MTP.3: while the clock is not set, dates do not count.
fn accepted(clock_is_set: bool) -> &'static str {
    match clock_is_set {
        true => "encrypted, certificate accepted",
        false => "encrypted; the clock is not set, so the dates of the certificate were not looked at",
    }
}

/// The step that a fault ends.
fn step_of(class: Class) -> &'static str {
    STEPS.iter().rev().find(|(first, _)| *first <= class.code()).map_or("", |(_, step)| step)
}

fn shown(way: &Way) -> String {
    let mut rows: Vec<Vec<String>> = way
        .steps
        .iter()
        .map(|(step, detail)| row(&["", step, detail, if *step == "agent" { "" } else { "ok" }]))
        .collect();
    rows.insert(0, row(&["", &way.link]));
    let mut text = columns(&rows);
    if let Some((class, what)) = &way.fault {
        text += &format!("  {}  FAILED  {}\n", step_of(*class), super::table::plain(&sentence(*class, what)));
    }
    text
}

fn told(found: &[(Box<str>, Vec<Way>)], fault: Option<Class>) -> Table {
    let of_way = |way: &Way| {
        let step = |(step, detail): &(&'static str, String)| {
            Value::Table(Table::default().with("step", *step).with("detail", &**detail))
        };
        let steps = Value::Array(way.steps.iter().map(step).collect());
        let told = Table::default().with("link", &*way.link).with("steps", steps);
        Value::Table(match &way.fault {
            None => told,
            Some((class, what)) => verdict(told, Some(*class))
                .with("step", step_of(*class))
                .with("error", &**what)
                .with("remedy", class.texts().1),
        })
    };
    let of_controller = |(name, ways): &(Box<str>, Vec<Way>)| {
        Value::Table(
            Table::default().with("controller", &**name).with("links", Value::Array(ways.iter().map(of_way).collect())),
        )
    };
    verdict(Table::default().with("controllers", Value::Array(found.iter().map(of_controller).collect())), fault)
}

fn verdict(table: Table, fault: Option<Class>) -> Table {
    let code = fault.map_or(0, |class| i32::from(class.code()));
    table.with("class", fault.map_or("success", |class| class.texts().0)).with("code", code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_that_were_not_looked_at_are_told() {
        assert!(!accepted(true).contains("clock") && accepted(false).contains("the clock is not set"));
    }

    #[test]
    fn every_class_ends_a_step() {
        for class in crate::mtp::CLASSES {
            assert!(!step_of(*class).is_empty(), "{class:?}");
        }
    }
}
