//! What the short forms stand for: a controller's `url`, the roles everybody has, and the agent's own section, which a
//! controller can set parameters in although nobody wrote it.
//!
//! Pure, and the same on its own answer. The data model shows the long form; where it is first changed, it is written.

use super::options::kind;
use super::url::{Scheme, Url};
use super::{PACKAGE, value};
use crate::backend::uci::{Opt, OptValue, Package, Section};

/// Roles that are there without a section: name, target, and what is allowed (Param, Obj, InstantiatedObj, CommandEvent).
pub const ROLES: &[(&str, &str, [&str; 4])] = &[
    ("full", "Device.", ["rw-n", "rw-n", "rw-n", "r-xn"]),
    ("readonly", "Device.", ["r--n", "r--n", "r--n", "r--n"]),
    // What tells the device apart, and nothing that tells its owner's home apart.
    ("untrusted", "Device.DeviceInfo.", ["r---", "r---", "r---", "----"]),
];

/// Stands for the agent's own endpoint id in topics, client ids and user names.
pub const OWN_ID: &str = "{EndpointID}";

/// Seconds in which Oktopus learns that an agent is there which it takes for gone.
const OKTOPUS_RESUBSCRIBE: &str = "1200";

/// Options of a controller that its short form moves elsewhere.
const MOVED: &[&str] = &[
    "url",
    "Username",
    "Password",
    "ClientID",
    "ProtocolVersion",
    "Topic",
    "ResponseTopicConfigured",
    "PublishQoS",
    "VirtualHost",
    "ca_file",
    "certificate",
    "key",
];

/// The package with every short form written out.
pub fn expand(package: &Package) -> Package {
    written(package, |_| true)
}

/// The package with only that short form written out which stands for this section of [`expand`]'s answer. A
/// controller's own section is no reason: its other options can change beside its `url`.
pub fn expand_section(package: &Package, name: &str) -> Package {
    written(package, |generated| generated.iter().any(|section| &*section.name == name))
}

fn written(package: &Package, wanted: impl Fn(&[Section]) -> bool) -> Package {
    let mut long = Package { name: PACKAGE.into(), sections: Vec::with_capacity(package.sections.len() + 12) };
    for section in &package.sections {
        let generated = short_form(section).map(|url| written_out(section, &url));
        match generated.filter(|generated| wanted(generated)) {
            Some(generated) => {
                long.sections.push(without_short_form(section));
                generated.into_iter().for_each(|section| add(package, &mut long, section));
            }
            None => long.sections.push(with_id(section.clone())),
        }
    }
    for role in ROLES {
        let generated = role_sections(role);
        if long.section(role.0).is_none() && wanted(&generated) {
            long.sections.extend(generated);
        }
    }
    // Of these there is one each, written or not.
    for kind in ["localagent", "udpecho"] {
        let one = [section(kind, kind, &[], &[])];
        let free = long.of_kind(kind).next().is_none() && long.section(kind).is_none();
        if free && wanted(&one) {
            long.sections.extend(one);
        }
    }
    long
}

/// The address of a controller that is given in the short form; one that cannot be read is none.
fn short_form(section: &Section) -> Option<Url> {
    if &*section.kind != "controller" {
        return None;
    }
    Url::parse(section.text("url")?).ok()
}

/// The section of the file where an option of this section of [`expand`]'s answer is written: the section itself, or the
/// controller whose `url` stands for it.
pub fn written_in<'a>(package: &'a Package, name: &'a str) -> &'a str {
    let controller = name.rsplit_once('_').map(|(controller, _)| controller);
    let short = controller.and_then(|name| package.section(name)).filter(|section| short_form(section).is_some());
    match (package.section(name), short) {
        (None, Some(section)) => &section.name,
        _ => name,
    }
}

fn without_short_form(section: &Section) -> Section {
    let mut long = with_id(section.clone());
    long.options.retain(|option| !MOVED.contains(&&*option.name));
    long
}

/// With the endpoint id of its preset where it has none of its own.
fn with_id(mut section: Section) -> Section {
    if &*section.kind == "controller" && section.get("EndpointID").is_none() {
        let id = super::preset_id(value(&section, "preset"));
        section.options.extend(id.map(|id| option("EndpointID", OptValue::One(id.into()))));
    }
    section
}

/// The sections a controller's `url` stands for.
fn written_out(controller: &Section, url: &Url) -> Vec<Section> {
    let tls = url.scheme.encrypted();
    let name = |suffix: &str| format!("{}_{suffix}", controller.name);
    let files = ["ca_file", "certificate", "key"].map(|option| (option, controller.text(option).unwrap_or_default()));
    let flag = |on: bool| if on { "1" } else { "0" };
    let port = url.port.to_string();
    match url.scheme {
        Scheme::Mqtt | Scheme::Mqtts => {
            let (mqtt, mtp, topics) = (name("mqtt"), name("mtp"), Topics::of(controller, url));
            let client = client_options(controller, url);
            let client: Vec<_> = client.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let own = [
                ("Protocol", "MQTT"),
                ("mqtt", &mqtt),
                ("ResponseTopicConfigured", &topics.response),
                ("PublishQoS", controller.text("PublishQoS").unwrap_or_default()),
            ];
            let link =
                [("controller", &*controller.name), ("Protocol", "MQTT"), ("mtp", &mtp), ("Topic", &topics.controller)];
            vec![
                section("mqtt", &mqtt, &client, &files),
                section("mtp", &mtp, &own, &[]),
                section("controller_mtp", &name("link"), &link, &[]),
            ]
        }
        Scheme::Stomp | Scheme::Stomps => {
            let (stomp, mtp, topics) = (name("stomp"), name("mtp"), Topics::of(controller, url));
            let (username, password) = credentials(controller, url);
            let connection = [
                ("Host", &*url.host),
                ("Port", &port),
                ("EnableEncryption", flag(tls)),
                ("VirtualHost", controller.text("VirtualHost").unwrap_or_default()),
                ("Username", username.as_deref().unwrap_or_default()),
                ("Password", password.as_deref().unwrap_or_default()),
            ];
            let own = [("Protocol", "STOMP"), ("stomp", &stomp), ("Destination", &topics.response)];
            let link = [
                ("controller", &*controller.name),
                ("Protocol", "STOMP"),
                ("stomp", &stomp),
                ("Destination", &topics.controller),
            ];
            vec![
                section("stomp", &stomp, &connection, &files),
                section("mtp", &mtp, &own, &[]),
                section("controller_mtp", &name("link"), &link, &[]),
            ]
        }
        Scheme::Ws | Scheme::Wss if url.listen => {
            let own = [
                ("Protocol", "WebSocket"),
                ("address", &url.host),
                ("Port", &port),
                ("Path", if url.path.is_empty() { "/usp" } else { &url.path }),
                ("EnableEncryption", flag(tls)),
            ];
            vec![section("mtp", &name("mtp"), &own, &files)]
        }
        Scheme::Unix => {
            let (socket, mode) = (name("socket"), if url.listen { "Listen" } else { "Connect" });
            let uses = ("unix_socket", socket.as_str());
            let link = [("controller", &*controller.name), ("Protocol", "UDS"), uses];
            let mut sections = vec![
                section("unix_socket", &socket, &[("Mode", mode), ("Path", &url.path)], &[]),
                section("mtp", &name("mtp"), &[("Protocol", "UDS"), uses], &[]),
            ];
            sections.extend((!url.listen).then(|| section("controller_mtp", &name("link"), &link, &[])));
            sections
        }
        Scheme::Ws | Scheme::Wss => {
            let link = [
                ("controller", &*controller.name),
                ("Protocol", "WebSocket"),
                ("Host", &url.host),
                ("Port", &port),
                ("Path", websocket_path(controller, url)),
                ("Password", websocket_password(controller)),
                ("EnableEncryption", flag(tls)),
            ];
            vec![section("controller_mtp", &name("link"), &link, &files)]
        }
    }
}

fn client_options(controller: &Section, url: &Url) -> Vec<(&'static str, String)> {
    let oktopus = value(controller, "preset") == "oktopus";
    let given = |option: &str| controller.text(option).map(str::to_owned);
    let (username, password) = credentials(controller, url);
    // Oktopus takes the endpoint id for the user, and loses track of agents whose client id changes.
    let own_id = |wanted: bool| wanted.then(|| OWN_ID.to_owned());
    let named = username.filter(|username| !username.is_empty());
    let username = named.or_else(|| own_id(oktopus && password.is_some()));
    let client_id = given("ClientID").or_else(|| own_id(oktopus));
    let transport = if url.scheme.encrypted() { "TLS" } else { "TCP/IP" };
    let options = [
        ("BrokerAddress", Some(url.host.clone())),
        ("BrokerPort", Some(url.port.to_string())),
        ("TransportProtocol", Some(transport.to_owned())),
        ("ProtocolVersion", given("ProtocolVersion")),
        ("ClientID", client_id),
        ("Username", username),
        ("Password", password),
        // It loses track of an agent whose old connection ends after the new one has begun.
        ("ResubscribeInterval", oktopus.then(|| OKTOPUS_RESUBSCRIBE.to_owned())),
    ];
    options.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// What the broker wants to know: what is given as options, else in the address.
fn credentials(controller: &Section, url: &Url) -> (Option<String>, Option<String>) {
    let given = |option: &str| controller.text(option).map(str::to_owned);
    (given("Username").or_else(|| url.username.clone()), given("Password").or_else(|| url.password.clone()))
}

/// The topics or destinations of a broker's controller: what is given, else what its preset says.
struct Topics {
    controller: String,
    response: String,
}

impl Topics {
    fn of(controller: &Section, url: &Url) -> Self {
        let stomp = matches!(url.scheme, Scheme::Stomp | Scheme::Stomps);
        // A STOMP destination usually begins with a slash, an MQTT topic never should.
        let in_path = if stomp { &*url.path } else { url.path.trim_start_matches('/') };
        let in_path = Some(in_path).filter(|topic| !matches!(*topic, "" | "/"));
        let (to_controller, to_agent) = match value(controller, "preset") {
            "oktopus" => ("oktopus/usp/v1/controller".to_owned(), format!("oktopus/usp/v1/agent/{OWN_ID}")),
            _ if stomp => (
                format!("/queue/usp.controller.{}", value(controller, "EndpointID")),
                format!("/queue/usp.agent.{OWN_ID}"),
            ),
            _ => (format!("usp/controller/{}", value(controller, "EndpointID")), format!("usp/agent/{OWN_ID}")),
        };
        Self {
            controller: controller.text("Topic").or(in_path).map_or(to_controller, str::to_owned),
            response: controller.text("ResponseTopicConfigured").map_or(to_agent, str::to_owned),
        }
    }
}

fn websocket_path<'a>(controller: &Section, url: &'a Url) -> &'a str {
    match (url.path.as_str(), value(controller, "preset")) {
        ("", "oktopus") => "/ws/agent",
        ("", _) => "/",
        (path, _) => path,
    }
}

/// Oktopus looks for it in the path.
fn websocket_password(controller: &Section) -> &str {
    let given = controller.text("Password").filter(|_| value(controller, "preset") == "oktopus");
    given.unwrap_or_default()
}

fn section(kind: &str, name: &str, options: &[(&str, &str)], more: &[(&str, &str)]) -> Section {
    let given = options.iter().chain(more).filter(|(_, value)| !value.is_empty());
    let options = given.map(|(name, value)| option(name, OptValue::One((*value).into())));
    Section { name: name.into(), kind: kind.into(), anonymous: false, options: options.collect(), line: 0 }
}

fn option(name: &str, value: OptValue) -> Opt {
    Opt { name: name.into(), value, line: 0 }
}

/// Adds a section unless the owner wrote one of that name; two controllers share one place to listen at.
fn add(package: &Package, long: &mut Package, generated: Section) {
    let listens = generated.get("address").is_some();
    let same_place = |other: &Section| {
        ["address", "Port", "Path"].iter().all(|option| value(other, option) == value(&generated, option))
    };
    let listens_at_socket = value(&generated, "Mode") == "Listen";
    let same_socket =
        |other: &Section| value(other, "Mode") == "Listen" && value(other, "Path") == value(&generated, "Path");
    // What uses a socket that was not added is of no use.
    let homeless = generated.text("unix_socket").is_some_and(|socket| long.section(socket).is_none());
    let taken = package.section(&generated.name).is_some()
        || homeless
        || listens && long.of_kind("mtp").filter(|mtp| value(mtp, "Protocol") == "WebSocket").any(same_place)
        || listens_at_socket && long.of_kind("unix_socket").any(same_socket);
    if !taken {
        long.sections.push(generated);
    }
}

fn role_sections((name, target, rights): &(&str, &str, [&str; 4])) -> [Section; 2] {
    let mut permission = section("permission", &format!("{name}_permission"), &[("role", name)], &[]);
    permission.options.push(option("Targets", OptValue::List(vec![(*target).into()])));
    for (option_name, right) in ["Param", "Obj", "InstantiatedObj", "CommandEvent"].iter().zip(rights) {
        permission.options.push(option(option_name, OptValue::One((*right).into())));
    }
    [section("role", name, &[("Name", name)], &[]), permission]
}

/// Whether a role of this name is there: written, or one of [`ROLES`].
pub(super) fn is_role(package: &Package, name: &str) -> bool {
    let written =
        package.section(name).is_some_and(|section| kind(&section.kind).is_some_and(|kind| kind.name == "role"));
    written || ROLES.iter().any(|(role, ..)| *role == name)
}

#[cfg(test)]
#[path = "expand_tests.rs"]
mod tests;
