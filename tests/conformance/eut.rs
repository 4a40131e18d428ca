//! The equipment under test: an agent that is told of its controllers, started, and started again.
//!
//! What our own agent knows of the testers stands in its configuration file; any other agent finds it in the environment
//! of the command that starts it.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use usp_agent::demo::router::Router;

use crate::arguments::Agent;
use crate::bench::Laboratory;
use crate::certificates::Folder;
use crate::place::Transport;
use crate::tester::PATIENCE;

/// A case that ends with this is not run, and says why.
pub struct Impossible(pub &'static str);

/// Ends the case as not run.
pub fn impossible(why: &'static str) -> ! {
    std::panic::panic_any(Impossible(why))
}

/// The role of the testers: everything, by a permission that any other outranks.
const ROLE: &str = "config role 'tester'\n
config permission 'all'\n option role tester\n option Order 0\n list Targets Device.\n option Param rwxn
 option Obj rwxn\n option InstantiatedObj rwxn\n option CommandEvent rwxn\n";

/// What the agent is told before it starts.
#[derive(Debug, Default)]
pub struct Told {
    /// `/etc/config/usp-agent` of our own agent.
    pub config: String,
    /// The environment of another one's command.
    pub facts: Vec<(String, String)>,
}

impl Told {
    pub fn new(agent_id: &str, transport: Transport) -> Self {
        let config = format!("config localagent\n option EndpointID '{agent_id}'\n\n{ROLE}");
        let mut told = Self { config, facts: Vec::new() };
        told.fact("first", "AGENT_ID", agent_id);
        told.fact("first", "TRANSPORT", transport.word());
        told
    }

    /// One fact about the controller of this section, `first` or `second`.
    pub fn fact(&mut self, section: &str, name: &str, value: impl ToString) {
        let name = if section == "first" { format!("USP_{name}") } else { format!("USP_SECOND_{name}") };
        self.facts.push((name, value.to_string()));
    }

    /// A section of our own agent's configuration.
    pub fn section(&mut self, kind: &str, name: &str, options: &[(&str, &str)]) {
        self.config.push_str(&format!("\nconfig {kind} '{name}'\n"));
        for (option, value) in options.iter().filter(|(_, value)| !value.is_empty()) {
            self.config.push_str(&format!(" option {option} '{value}'\n"));
        }
    }
}

/// The agent, on a router of its own where it is ours.
pub struct Eut {
    agent: Agent,
    router: Option<Router>,
    folder: Folder,
    child: Option<Child>,
    starts: u32,
    facts: Vec<(String, String)>,
}

impl Eut {
    pub fn new(agent: &Agent) -> Self {
        let router = matches!(agent, Agent::Own).then(|| {
            let (router, driver) = Router::start().expect("a simulated router");
            tokio::task::spawn_local(driver.run());
            router
        });
        Self { agent: agent.clone(), router, folder: Folder::new(), child: None, starts: 0, facts: Vec::new() }
    }

    /// Tells it what it has to know, and starts it.
    pub fn start(&mut self, told: &Told) {
        if let Some(router) = &self.router {
            router.write_config("usp-agent", &told.config).expect("the configuration is written");
        }
        self.facts.clone_from(&told.facts);
        self.power_on();
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join(format!("log{}", self.starts))
    }

    /// Where a UNIX socket of this name may be.
    pub fn socket(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.sock"))
    }

    /// The agent's own words since it last started.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// The router below our own agent.
    pub fn router(&self) -> &Router {
        self.router.as_ref().unwrap_or_else(|| impossible("needs the simulated router below this project's agent"))
    }

    fn command(&self) -> Option<Command> {
        match (&self.agent, &self.router) {
            (Agent::Command(line), _) => {
                let mut command = Command::new("sh");
                command.arg("-c").arg(line).env("USP_STATE_DIR", self.folder.path());
                command.env("USP_AGENT", env!("CARGO_BIN_EXE_usp-agent"));
                command.envs(self.facts.iter().map(|(name, value)| (name, value)));
                Some(command)
            }
            (Agent::Own, Some(router)) => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_usp-agent"));
                command.arg("run").args(["--log-level", "debug"]);
                command.arg("--config-dir").arg(router.config_dir());
                command.arg("--state-dir").arg(router.state_dir());
                command.arg("--root").arg(router.root());
                command.arg("--ubus").arg(router.socket());
                Some(command)
            }
            _ => None,
        }
    }

    fn power_on(&mut self) {
        use std::os::unix::process::CommandExt as _;
        self.starts += 1;
        let Some(mut command) = self.command() else { return };
        let log = File::create(self.log_file()).expect("a log file");
        let also = log.try_clone().expect("a log file");
        let child = command.stderr(log).stdout(also).stdin(Stdio::null()).process_group(0).spawn();
        self.child = Some(child.expect("the agent starts"));
    }

    /// Whether it has told the router to reboot, or ended by itself.
    pub fn reboots(&mut self) -> bool {
        match (&self.router, &mut self.child) {
            (Some(router), _) => router.reboots() > 0,
            (None, Some(child)) => child.try_wait().is_ok_and(|status| status.is_some()),
            (None, None) => false,
        }
    }

    /// Waits until the agent reboots, and starts it again as the system would. A running agent comes back by itself.
    pub async fn reboot(&mut self) {
        let until = Instant::now() + PATIENCE;
        while self.child.is_some() && !self.reboots() {
            assert!(Instant::now() < until, "the EUT does not reboot");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if self.child.is_some() {
            self.power_cycle().await;
        }
    }

    /// Ends the agent in order.
    pub async fn power_off(&mut self) {
        let Some(mut child) = self.child.take() else { impossible("needs an agent that the test starts") };
        let until = Instant::now() + PATIENCE;
        if child.try_wait().expect("the agent's end").is_none() {
            kill_process_group(pid(&child), Signal::TERM).expect("the agent is told to end");
        }
        while child.try_wait().expect("the agent's end").is_none() {
            assert!(Instant::now() < until, "the EUT does not go down");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends the agent in order and starts it again.
    pub async fn power_cycle(&mut self) {
        self.power_off().await;
        self.power_on();
    }
}

impl Drop for Eut {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = kill_process_group(pid(&child), Signal::KILL);
            let _ = child.wait();
        }
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process id")).expect("a process id")
}

/// An agent that waits to be told of a controller which the case plays itself, byte by byte.
pub struct Scene {
    pub eut: Eut,
    pub transport: Transport,
    pub agent_id: String,
    pub own_id: String,
    pub told: Told,
    /// The controller is named already.
    named: bool,
    laboratory: Rc<Laboratory>,
}

impl Scene {
    pub fn new(laboratory: &Rc<Laboratory>, transport: Transport, number: u32) -> Self {
        let agent_id = format!("self::agent-{number}");
        Self {
            eut: Eut::new(&laboratory.agent),
            transport,
            told: Told::new(&agent_id, transport),
            agent_id,
            own_id: format!("self::first-{number}"),
            named: false,
            laboratory: Rc::clone(laboratory),
        }
    }

    /// Names the controller, in a role that may do everything.
    pub fn controller(&mut self) {
        if std::mem::replace(&mut self.named, true) {
            return;
        }
        let own_id = self.own_id.clone();
        self.told.section("controller", "first", &[("EndpointID", &own_id), ("AllowUnencrypted", "1")]);
        self.told.config.push_str(" list role tester\n");
        self.told.fact("first", "CONTROLLER_ID", own_id);
    }

    /// Starts the agent with what it was told.
    pub async fn power_on(&mut self) {
        let laboratory = Rc::clone(&self.laboratory);
        let _turn = laboratory.starting.acquire().await.expect("the laboratory is open");
        self.eut.start(&self.told);
    }
}
