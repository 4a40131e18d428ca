//! `demo`: the agent, a simulated router and a small controller in one process, on the loopback.
//!
//! Shows a Get, a Set down to the UCI file, a notification of a change behind the agent's back, and a ping. Writes to a
//! folder below the temporary one only, and listens on the loopback only.

use super::{Arguments, Exit, Flag, complain, logger};
use crate::daemon::{self, Options};
use crate::demo::controller::{Controller, Operated, Trouble};
use crate::demo::router::Router;
use crate::order;
use crate::task::{block_on, spawn};
use crate::usp::endpoint_id::EndpointId;
use crate::usp::wire::msg::notify::Notification;
use crate::usp::wire::msg::notify::operation_complete::OperationResp;
use std::fmt;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};
use tokio::task::spawn_local;

pub(super) const FLAGS: &[Flag] =
    &[Flag { name: "log-level", value: Some("LEVEL"), doc: "show the agent's log too: info, debug or trace" }];

/// How long each step may take before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(5);
const CONTROLLER: &str = "self::demo-controller";
const WIDTH: usize = 96;

pub(super) fn run(given: &Arguments) -> Exit {
    logger::start(given.value("log-level").and_then(|level| level.parse().ok()).unwrap_or(log::LevelFilter::Error));
    let screen = Screen { colour: std::io::stdout().is_terminal() };
    match block_on(show(&screen)) {
        Ok(Ok(())) => Exit::Success,
        Ok(Err(trouble)) => failed(&trouble),
        Err(error) => failed(&error),
    }
}

fn failed(why: &dyn fmt::Display) -> Exit {
    complain(&format!("the demo stopped: {why}; `usp-agent demo --log-level debug` shows the agent's log"));
    Exit::Failure
}

/// What can stop the show.
enum Stopped {
    Io(std::io::Error),
    Agent(daemon::Failure),
    Controller(Trouble),
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Agent(failure) => failure.fmt(f),
            Self::Controller(trouble) => trouble.fmt(f),
        }
    }
}

impl From<std::io::Error> for Stopped {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Trouble> for Stopped {
    fn from(trouble: Trouble) -> Self {
        Self::Controller(trouble)
    }
}

async fn show(screen: &Screen) -> Result<(), Stopped> {
    let begun = Instant::now();
    let own_id = EndpointId::lenient(CONTROLLER).map_err(std::io::Error::other)?;
    let (router, driver) = Router::start()?;
    spawn(driver.run());
    let (mut controller, port) = Controller::on_websocket(&own_id)?;
    router.write_config("usp-agent", &configuration(port))?;
    let mut agent = spawn_local(daemon::run(options(&router)));
    let play = async {
        screen.title("usp-agent demo: a simulated OpenWrt router, the agent, and a controller");
        greet(screen, &mut controller, port).await?;
        read(screen, &mut controller).await?;
        write(screen, &mut controller, &router).await?;
        notify(screen, &mut controller, &router).await?;
        ping(screen, &mut controller).await
    };
    tokio::select! {
        ended = &mut agent => return Err(match ended {
            Ok(Err(failure)) => Stopped::Agent(failure),
            _ => Stopped::Controller(Trouble::Silence),
        }),
        played = play => played?,
    }
    screen.end(begun.elapsed());
    agent.abort();
    Ok(())
}

fn configuration(port: u16) -> String {
    format!(
        "config controller 'demo'\n\toption url 'ws://127.0.0.1:{port}/usp'\n\toption EndpointID '{CONTROLLER}'\n\
         \toption AllowUnencrypted '1'\n\tlist role 'full'\n"
    )
}

fn options(router: &Router) -> Options {
    Options {
        config_dir: Some(router.config_dir()),
        state_dir: Some(router.state_dir()),
        ubus: Some(router.socket()),
        root: Some(router.root()),
        fixtures: None,
        log_level: Some(log::max_level()),
    }
}

async fn greet(screen: &Screen, controller: &mut Controller, port: u16) -> Result<(), Stopped> {
    let agent = controller.agent(PATIENCE).await?;
    screen.say(&format!("agent {agent} connected to ws://127.0.0.1:{port}/usp"));
    Ok(())
}

/// A Get of an object, and one of a table as a table.
async fn read(screen: &Screen, controller: &mut Controller) -> Result<(), Stopped> {
    screen.step("Get", "Device.DeviceInfo.");
    let wanted = ["Manufacturer", "ModelName", "SerialNumber", "SoftwareVersion", "HostName", "UpTime"];
    let paths: Vec<String> = wanted.iter().map(|name| format!("Device.DeviceInfo.{name}")).collect();
    let begun = Instant::now();
    let values = controller.get(&paths.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    let took = begun.elapsed();
    screen.pairs(values.iter().map(|(path, value)| (path.rsplit('.').next().unwrap_or(path), value.as_str())));
    screen.note(&format!("{} parameters in {}", values.len(), milliseconds(took)));

    screen.step("Get", "Device.IP.Interface.*.");
    let table = controller.get(&["Device.IP.Interface."]).await?;
    screen.table(&INTERFACE_COLUMNS, &interfaces(&table));
    Ok(())
}

const INTERFACE_COLUMNS: [&str; 6] = ["#", "Name", "Status", "IPv4 address", "IPv6 address", "Bytes received / sent"];

/// One line per interface, of all that lies below the table.
fn interfaces(values: &[(String, String)]) -> Vec<[String; 6]> {
    let mut rows: order::Map<u32, order::Map<&str, &str>> = order::Map::new();
    for (path, value) in values {
        let below = path.strip_prefix("Device.IP.Interface.").and_then(|path| path.split_once('.'));
        if let Some((Ok(number), name)) = below.map(|(number, name)| (number.parse(), name)) {
            rows.or_insert_with(number, |_| order::Map::new()).insert(name, value);
        }
    }
    let row = |(number, values): (u32, order::Map<&str, &str>)| {
        let value = |name: &str| values.get(name).copied().unwrap_or("-").to_owned();
        let (received, sent) = (value("Stats.BytesReceived"), value("Stats.BytesSent"));
        [
            number.to_string(),
            value("Name"),
            value("Status"),
            value("IPv4Address.1.IPAddress"),
            value("IPv6Address.1.IPAddress"),
            format!("{} / {}", bytes(&received), bytes(&sent)),
        ]
    };
    rows.into_iter().map(row).collect()
}

/// A Set, and what it did to the router.
async fn write(screen: &Screen, controller: &mut Controller, router: &Router) -> Result<(), Stopped> {
    screen.step("Set", "Device.DeviceInfo.HostName = castle");
    let before = router.config("system")?;
    controller.set("Device.DeviceInfo.", &[("HostName", "castle")]).await?;
    screen.difference("/etc/config/system", &before, &router.config("system")?);
    screen.note(&format!("procd was told once: config.change {}", router.applied().join(", ")));
    Ok(())
}

/// A change by somebody else, and the notification of it.
async fn notify(screen: &Screen, controller: &mut Controller, router: &Router) -> Result<(), Stopped> {
    screen.step("Add", "Device.LocalAgent.Subscription.{i}. for ValueChange");
    let settings = [
        ("Enable", "true"),
        ("ID", "demo"),
        ("NotifType", "ValueChange"),
        ("ReferenceList", "Device.IP.Interface.*.Status"),
    ];
    let row = controller.add("Device.LocalAgent.Subscription.", &settings).await?;
    screen.say(&format!("{} watches Device.IP.Interface.*.Status", row.trim_end_matches('.')));
    screen.say("now somebody unplugs the WAN: netifd tells ubus `network.interface` ifdown");
    let begun = Instant::now();
    router.set_interface("wan", false);
    let notify = controller.notification(PATIENCE, |notify| notify.subscription_id == "demo").await?;
    let took = begun.elapsed();
    if let Some(Notification::ValueChange(change)) = notify.notification {
        screen.good(&format!("Notify  {} = {}", change.param_path, change.param_value));
    }
    screen.note(&format!("{} from the event on the bus to the controller", milliseconds(took)));
    Ok(())
}

/// An asynchronous command with its result.
async fn ping(screen: &Screen, controller: &mut Controller) -> Result<(), Stopped> {
    screen.step("Operate", "Device.IP.Diagnostics.IPPing() to 127.0.0.1");
    let settings = [
        ("Enable", "true"),
        ("ID", "ping"),
        ("NotifType", "OperationComplete"),
        ("ReferenceList", "Device.IP.Diagnostics.IPPing()"),
    ];
    controller.add("Device.LocalAgent.Subscription.", &settings).await?;
    let input = [
        ("Host", "127.0.0.1"),
        ("ProtocolVersion", "IPv4"),
        ("NumberOfRepetitions", "3"),
        ("Timeout", "1000"),
        ("DataBlockSize", "56"),
    ];
    if let Operated::Request(row) = controller.operate("Device.IP.Diagnostics.IPPing()", "demo", &input).await? {
        screen.say(&format!("runs as {row}"));
    }
    let done = controller.notification(PATIENCE, |notify| notify.subscription_id == "ping").await?;
    let complete = match done.notification {
        Some(Notification::OperComplete(done)) => done.operation_resp,
        _ => None,
    };
    if let Some(OperationResp::ReqOutputArgs(output)) = complete {
        let wanted = ["Status", "SuccessCount", "FailureCount", "AverageResponseTimeDetailed"];
        let value = |name: &&'static str| Some((*name, output.output_args.get(*name)?.as_str()));
        screen.pairs(wanted.iter().filter_map(value));
        screen.note("AverageResponseTimeDetailed is in microseconds");
    }
    Ok(())
}

fn milliseconds(time: Duration) -> String {
    format!("{}.{} ms", time.as_millis(), time.as_micros() / 100 % 10)
}

/// A count of bytes, short enough for a column.
fn bytes(count: &str) -> String {
    let Ok(count) = count.parse::<u64>() else { return count.to_owned() };
    match count {
        0..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{} kB", count / 1000),
        _ => format!("{} MB", count / 1_000_000),
    }
}

/// Stdout; colour only where a person looks at it.
struct Screen {
    colour: bool,
}

impl Screen {
    fn line(&self, text: &str) {
        let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end());
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn title(&self, text: &str) {
        self.line(&self.painted("1", text));
        self.line(&"=".repeat(text.len().min(WIDTH)));
    }

    fn step(&self, verb: &str, what: &str) {
        self.line(&format!("\n{} {}", self.painted("1;36", verb), self.painted("1", what)));
    }

    fn say(&self, text: &str) {
        self.line(&format!("  {text}"));
    }

    fn note(&self, text: &str) {
        self.line(&self.painted("2", &format!("  {text}")));
    }

    fn good(&self, text: &str) {
        self.line(&format!("  {}", self.painted("32", text)));
    }

    fn pairs<'a>(&self, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
        let pairs: Vec<_> = pairs.collect();
        let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in pairs {
            self.say(&format!("{name:<width$}  {}", self.painted("33", value)));
        }
    }

    fn table<const N: usize>(&self, columns: &[&str; N], rows: &[[String; N]]) {
        let width = |at: usize| rows.iter().map(|row| row[at].len()).chain([columns[at].len()]).max().unwrap_or(0);
        let widths: [usize; N] = std::array::from_fn(width);
        let line = |cells: [&str; N]| -> String {
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  ")).collect()
        };
        self.say(&self.painted("2", line(*columns).trim_end()));
        for row in rows {
            self.say(line(std::array::from_fn(|at| row[at].as_str())).trim_end());
        }
    }

    /// The lines that are not in both texts.
    fn difference(&self, file: &str, before: &str, after: &str) {
        self.say(file);
        let lacking = |lines: &str, line: &str| !lines.lines().any(|other| other.trim() == line.trim());
        for line in before.lines().filter(|line| lacking(after, line)) {
            self.say(&self.painted("31", &format!("- {}", line.trim())));
        }
        for line in after.lines().filter(|line| lacking(before, line)) {
            self.say(&self.painted("32", &format!("+ {}", line.trim())));
        }
    }

    fn end(&self, took: Duration) {
        self.line(
            &self.painted("1", &format!("\nThat took {}.{} s. Next:", took.as_secs(), took.subsec_millis() / 100)),
        );
        for (command, what) in [
            ("usp-agent demo --log-level debug", "the same with the agent's log"),
            ("usp-agent check --print-options", "every option of /etc/config/usp-agent"),
            ("usp-agent coverage", "how much of TR-181 is mapped"),
            ("usp-agent run", "on a router: the agent itself"),
        ] {
            self.say(&format!("{command:<34} {}", self.painted("2", what)));
        }
    }
}
