//! A real RabbitMQ with its STOMP plugin: one node of its own, in a temporary folder, on ports of the loopback that
//! nobody else has, gone when the test is. Needs neither systemd nor the user of the package.
#![allow(dead_code, unreachable_pub)]

use crate::certificates::Folder;
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where Debian's package puts the releases.
const RELEASES: &str = "/usr/lib/rabbitmq/lib";
/// It compiles nothing, but starts a hundred things.
const STARTS_WITHIN: Duration = Duration::from_secs(90);

/// The user that every node has, for connections of the loopback.
pub const USER: &str = "guest";

pub struct RabbitMq {
    pub port: u16,
    pub tls_port: u16,
    folder: Folder,
    program: PathBuf,
    epmd_port: u16,
    node: Option<Child>,
    epmd: Option<Child>,
}

/// The start script of the newest release that has the STOMP plugin.
///
/// # Errors
/// What is missing.
fn installed() -> Result<PathBuf, String> {
    let releases = std::fs::read_dir(RELEASES).into_iter().flatten().flatten().map(|entry| entry.path());
    let has_plugin = |release: &PathBuf| {
        let plugins = std::fs::read_dir(release.join("plugins")).into_iter().flatten().flatten();
        plugins.into_iter().any(|plugin| plugin.file_name().to_string_lossy().starts_with("rabbitmq_stomp-"))
    };
    let newest = releases.filter(has_plugin).max();
    let program = newest.map(|release| release.join("sbin/rabbitmq-server")).filter(|program| program.exists());
    let program = program.ok_or(format!("rabbitmq-server is not installed (looked for its releases in {RELEASES})"))?;
    for part in ["epmd", "erl"] {
        let found = Command::new("sh").args(["-c", &format!("command -v {part}")]).stdout(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            return Err(format!("{part}, which rabbitmq-server needs, is not on PATH"));
        }
    }
    Ok(program)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl RabbitMq {
    /// Starts a node. `lines` of `rabbitmq.conf` come beside the listeners; with those of TLS, `tls_port` speaks it.
    ///
    /// # Errors
    /// Why there is none; a node that is installed but does not start panics.
    pub fn start(lines: &str) -> Result<RabbitMq, String> {
        let program = installed()?;
        let folder = Folder::new();
        let (port, tls_port, epmd_port) = (free_port(), free_port(), free_port());
        let tls = if lines.contains("ssl_options") {
            format!("stomp.listeners.ssl.1 = 127.0.0.1:{tls_port}\n")
        } else {
            String::new()
        };
        folder.write(
            "rabbitmq.conf",
            &format!(
                "listeners.tcp = none\nstomp.listeners.tcp.1 = 127.0.0.1:{port}\n{tls}log.console = true\n\
                 log.file = false\ndisk_free_limit.absolute = 1MB\n{lines}"
            ),
        );
        folder.write("enabled_plugins", "[rabbitmq_stomp].\n");
        let mut rabbit = RabbitMq { port, tls_port, folder, program, epmd_port, node: None, epmd: None };
        rabbit.run();
        Ok(rabbit)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the node, for the first time or again, and waits until it takes connections.
    pub fn run(&mut self) {
        let mut epmd = Command::new("epmd");
        epmd.args(["-address", "127.0.0.1", "-port", &self.epmd_port.to_string()]);
        self.epmd = Some(epmd.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().unwrap());
        let out = File::create(self.path("out")).unwrap();
        let mut node = Command::new(&self.program);
        // Whatever the machine's own node is told is not for this one.
        let foreign = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RABBITMQ_"));
        for (name, _) in foreign {
            node.env_remove(name);
        }
        node.env("CONF_ENV_FILE", "/dev/null").env("HOME", self.folder.path());
        node.env("ERL_EPMD_ADDRESS", "127.0.0.1").env("ERL_EPMD_PORT", self.epmd_port.to_string());
        node.env("RABBITMQ_NODENAME", format!("usp-agent-{}@localhost", self.port));
        node.env("RABBITMQ_DIST_PORT", free_port().to_string());
        for (variable, name) in [
            ("RABBITMQ_MNESIA_BASE", "mnesia"),
            ("RABBITMQ_LOG_BASE", "log"),
            ("RABBITMQ_CONFIG_FILE", "rabbitmq.conf"),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", "enabled_plugins"),
            ("RABBITMQ_GENERATED_CONFIG_DIR", "config"),
            ("RABBITMQ_PID_FILE", "pid"),
        ] {
            node.env(variable, self.path(name));
        }
        let frugal = "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}";
        node.env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", frugal);
        let also = out.try_clone().unwrap();
        self.node = Some(node.stdin(Stdio::null()).stdout(out).stderr(also).process_group(0).spawn().unwrap());
        let patience = Instant::now() + STARTS_WITHIN;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.node.as_mut().is_some_and(|node| node.try_wait().is_ok_and(|status| status.is_some()));
            assert!(!ended && Instant::now() < patience, "RabbitMQ does not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The node's own words.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("out")).unwrap_or_default()
    }

    /// Stops the node's clock, or lets it go on: it keeps its connections and says nothing.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        kill_process_group(group(self.node.as_ref().unwrap()), signal).unwrap();
    }

    /// Ends the node at once, and what came with it.
    pub fn stop(&mut self) {
        for mut child in self.node.take().into_iter().chain(self.epmd.take()) {
            let _ = kill_process_group(group(&child), Signal::KILL);
            let _ = child.wait();
        }
    }
}

fn group(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap()
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The lines of `rabbitmq.conf` for TLS that checks the certificates clients have.
pub fn tls(authority: &Path, certificate: &Path, key: &Path) -> String {
    format!(
        "ssl_options.cacertfile = {}\nssl_options.certfile = {}\nssl_options.keyfile = {}\n\
         ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n",
        authority.display(),
        certificate.display(),
        key.display()
    )
}
