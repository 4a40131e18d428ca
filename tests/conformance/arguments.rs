//! What the command line and the environment ask of a run.
//!
//! Cases have names like those of other tests (`tp469::mqtt5::1.54`), so that the filters of `cargo test` work.

use crate::cases::Case;
use crate::place::Transport;

/// The agent that is tested.
#[derive(Debug, Clone, Default)]
pub enum Agent {
    /// This project's, on a simulated router.
    #[default]
    Own,
    /// What a shell command starts, with the facts in its environment.
    Command(String),
    /// One that runs already.
    Running(Running),
}

/// A running agent, which knows the tester.
#[derive(Debug, Clone)]
pub struct Running {
    pub transport: Transport,
    pub host: String,
    pub port: u16,
    /// Path of its WebSocket, or the topic it listens to.
    pub path: String,
    pub agent_id: String,
    pub controller_id: String,
    pub controller_topic: String,
}

/// A run.
#[derive(Debug, Clone, Default)]
pub struct Arguments {
    pub agent: Agent,
    /// Write docs/CONFORMANCE.md.
    pub update: bool,
    /// Name the cases only.
    pub list: bool,
    /// A line for every case.
    pub verbose: bool,
    cases: Vec<String>,
    transports: Vec<String>,
    filters: Vec<String>,
    skip: Vec<String>,
    exact: bool,
}

const HELP: &str = "cargo test --test conformance -- [NAME PART] [OPTION VALUE]

  --case 1.54,7.6           these cases only (CASE=)
  --transport mqtt5,ws      these transports only (TRANSPORT=)
  --verbose                 a line for every case
  --list                    the names of the cases
  --update                  write docs/CONFORMANCE.md (UPDATE=1)
  --agent-command CMD       test what this shell command starts (AGENT_COMMAND=); see docs/CONFORMANCE.md
  --agent-address URL       test a running agent (AGENT_ADDRESS=): ws://HOST:PORT/PATH of its WebSocket, or
                            mqtt://HOST:PORT/TOPIC of its broker (mqtt311:// for MQTT 3.1.1, stomp:// for STOMP), or
                            unix:///PATH, with
  --agent-id ID             its endpoint id
  --controller-id ID        the endpoint id of a controller it knows and trusts
  --controller-topic TOPIC  the topic or destination where that controller listens
WAITS=plan takes the waits of the plan in place of shorter ones. STOMP_SERVER=rabbitmq plays chapters 1 and 2 over STOMP
at a RabbitMQ.";

impl Arguments {
    /// # Errors
    /// What is wrong, for people.
    pub fn read(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut words = words.into_iter();
        let mut read = Self::default();
        let list = |text: String| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let given = |name: &str| std::env::var(name).ok();
        read.cases = given("CASE").map(list).unwrap_or_default();
        read.transports = given("TRANSPORT").map(list).unwrap_or_default();
        read.update = given("UPDATE").is_some();
        let (mut command, mut address) = (given("AGENT_COMMAND"), given("AGENT_ADDRESS"));
        let (mut agent_id, mut controller_id, mut topic) = (String::new(), String::new(), String::new());
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n\n{HELP}"));
            match word.as_str() {
                "--case" => read.cases = list(value()?),
                "--transport" => read.transports = list(value()?),
                "--agent-command" => command = Some(value()?),
                "--agent-address" => address = Some(value()?),
                "--agent-id" => agent_id = value()?,
                "--controller-id" => controller_id = value()?,
                "--controller-topic" => topic = value()?,
                "--update" => read.update = true,
                "--list" => read.list = true,
                "--verbose" | "--nocapture" | "--show-output" => read.verbose = true,
                "--exact" => read.exact = true,
                "--skip" => read.skip.push(value()?),
                "--help" | "-h" => return Err(HELP.to_owned()),
                // The test harness has these too, and `cargo test -- ...` gives them to every test program.
                "--test-threads" | "--color" | "--format" | "--logfile" | "-Z" => drop(value()?),
                option if option.starts_with('-') => {}
                filter => read.filters.push(filter.to_owned()),
            }
        }
        read.agent = match (command, address) {
            (None, None) => Agent::Own,
            (Some(command), None) => Agent::Command(command),
            (None, Some(address)) => Agent::Running(Running::at(&address, agent_id, controller_id, topic)?),
            (Some(_), Some(_)) => return Err("an agent is either started or running".to_owned()),
        };
        Ok(read)
    }

    /// Whether the run is of this case on this transport.
    pub fn wants(&self, case: &Case, transport: Transport) -> bool {
        let among = |list: &[String], fits: &dyn Fn(&str) -> bool| list.is_empty() || list.iter().any(|one| fits(one));
        let chapter = |one: &str| one.strip_suffix('*').is_some_and(|start| case.id.starts_with(start));
        among(&self.cases, &|one| one == case.id || chapter(one))
            && among(&self.transports, &|one| one == transport.word())
            && !matches!(&self.agent, Agent::Running(running) if running.transport != transport)
            && self.wants_name(&name(case, transport))
    }

    /// Whether the run is of what has this name.
    pub fn wants_name(&self, name: &str) -> bool {
        let fits = |filter: &String| if self.exact { *filter == name } else { name.contains(&**filter) };
        (self.filters.is_empty() || self.filters.iter().any(fits)) && !self.skip.iter().any(fits)
    }

    /// Whether checks beside the cases belong to the run.
    pub fn wants_check(&self, name: &str) -> bool {
        self.cases.is_empty() && self.transports.is_empty() && self.is_own() && self.wants_name(name)
    }

    /// This project's agent.
    pub fn is_own(&self) -> bool {
        matches!(self.agent, Agent::Own)
    }

    /// Everything there is.
    pub fn whole(&self) -> bool {
        let none = [&self.cases, &self.transports, &self.filters, &self.skip].iter().all(|list| list.is_empty());
        none && self.is_own()
    }
}

impl Running {
    fn at(address: &str, agent_id: String, controller_id: String, controller_topic: String) -> Result<Self, String> {
        let wrong = |what: &str| Err(format!("--agent-address {address}: {what}\n\n{HELP}"));
        let Some((scheme, rest)) = address.split_once("://") else { return wrong("no scheme") };
        if agent_id.is_empty() || controller_id.is_empty() {
            return wrong("--agent-id and --controller-id are needed too");
        }
        if scheme == "unix" {
            let (transport, path) = (Transport::UnixSocketServer, rest.to_owned());
            return Ok(Self {
                transport,
                host: String::new(),
                port: 0,
                path,
                agent_id,
                controller_id,
                controller_topic,
            });
        }
        let transport = match scheme {
            "ws" => Transport::WebSocketServer,
            "mqtt" => Transport::Mqtt5,
            "mqtt311" => Transport::Mqtt311,
            "stomp" => Transport::Stomp,
            _ => return wrong("the scheme is ws, mqtt, mqtt311, stomp or unix"),
        };
        let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
        let Some((host, port)) = place.rsplit_once(':') else { return wrong("no port") };
        let Ok(port) = port.parse() else { return wrong("no port") };
        if transport.is_brokered() && (controller_topic.is_empty() || path.is_empty()) {
            return wrong("the agent's topic and --controller-topic are needed too");
        }
        let (host, path) = (host.to_owned(), path.to_owned());
        Ok(Self { transport, host, port, path, agent_id, controller_id, controller_topic })
    }
}

/// The name of a case as a test.
pub fn name(case: &Case, transport: Transport) -> String {
    format!("tp469::{}::{}", transport.word(), case.id)
}
