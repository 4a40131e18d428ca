//! The real program on a simulated router: a real ubus socket, real UCI files.
#![allow(dead_code, unreachable_pub)]

use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use usp_agent::demo::router::Router;

/// Longer than anything here should take.
pub const SOON: Duration = Duration::from_secs(10);

/// A router with an agent on it, which ends with it.
pub struct Scene {
    pub router: Router,
    pub agent: Option<Child>,
    /// What the agent's command begins with: a program that runs it elsewhere.
    pub before: Vec<String>,
    starts: u32,
}

impl Scene {
    /// Runs a test on a thread of its own, on a fresh router; the agent is not started yet.
    pub fn play<F: Future<Output = ()>>(test: impl FnOnce(Self) -> F) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            test(Self::new()).await;
        });
    }

    /// A fresh router; within a `LocalSet`.
    pub fn new() -> Self {
        let (router, driver) = Router::start().unwrap();
        tokio::task::spawn_local(driver.run());
        Self { router, agent: None, before: Vec::new(), starts: 0 }
    }

    pub fn command(&self) -> Command {
        let mut command = after(&self.before, program());
        command.arg("run").args(["--log-level", "debug"]);
        command.arg("--config-dir").arg(self.router.config_dir());
        command.arg("--state-dir").arg(self.router.state_dir());
        command.arg("--root").arg(self.router.root());
        command.arg("--ubus").arg(self.router.socket());
        command
    }

    pub fn log_file(&self) -> PathBuf {
        self.router.state_dir().with_extension(format!("log{}", self.starts))
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Starts the agent with this configuration.
    pub fn start(&mut self, config: &str) {
        self.router.write_config("usp-agent", config).unwrap();
        self.start_again();
    }

    pub fn start_again(&mut self) {
        self.starts += 1;
        let log = File::create(self.log_file()).unwrap();
        self.agent = Some(self.command().stderr(log).stdout(Stdio::null()).spawn().unwrap());
    }

    pub fn signal(&self, signal: Signal) {
        let agent = self.agent.as_ref().unwrap();
        kill_process(Pid::from_raw(i32::try_from(agent.id()).unwrap()).unwrap(), signal).unwrap();
    }

    /// Waits for the agent to end, while everything around it goes on.
    pub async fn ended(&mut self) -> ExitStatus {
        let agent = self.agent.take().unwrap();
        end_of(agent).await
    }

    pub async fn until_logged(&self, text: &str) {
        let until = Instant::now() + SOON;
        while !self.log().contains(text) {
            assert!(Instant::now() < until, "`{text}` is not in\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The program of this build, or the one that `USP_AGENT_PROGRAM` names.
pub fn program() -> Command {
    let Ok(words) = std::env::var("USP_AGENT_PROGRAM") else { return Command::new(env!("CARGO_BIN_EXE_usp-agent")) };
    let mut words = words.split_whitespace();
    let mut command = Command::new(words.next().expect("USP_AGENT_PROGRAM names a program"));
    command.args(words);
    command
}

/// `program`, behind these words.
fn after(words: &[String], program: Command) -> Command {
    let Some((first, more)) = words.split_first() else { return program };
    let mut command = Command::new(first);
    command.args(more).arg(program.get_program()).args(program.get_args());
    command
}

pub async fn end_of(mut agent: Child) -> ExitStatus {
    // Some die of what they do when the shortest window is over.
    let until = Instant::now() + 2 * SOON;
    loop {
        if let Some(status) = agent.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > until {
            let _ = agent.kill();
            panic!("still running");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
        if std::thread::panicking() {
            println!("--- the agent's log ---\n{}", self.log());
        }
    }
}
