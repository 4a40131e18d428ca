//! A real mosquitto on a port of its own, gone when the test is.
#![allow(dead_code, unreachable_pub)]

use crate::certificates::Folder;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PLACES: [&str; 3] = ["/usr/sbin/mosquitto", "/usr/bin/mosquitto", "/usr/local/sbin/mosquitto"];

/// Where mosquitto is; says why a test is passed over where it is not.
pub fn installed() -> Option<&'static str> {
    let found = PLACES.into_iter().find(|place| Path::new(place).exists());
    if found.is_none() {
        println!("passed over: mosquitto is not installed (looked for {PLACES:?})");
    }
    found
}

pub struct Mosquitto {
    pub port: u16,
    pub folder: Folder,
    program: &'static str,
    child: Option<Child>,
}

impl Mosquitto {
    /// Starts one; the listener's lines of its configuration follow `listener PORT 127.0.0.1`.
    pub fn start(lines: impl FnOnce(&Folder) -> String) -> Option<Mosquitto> {
        let program = installed()?;
        let folder = Folder::new();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let lines = lines(&folder);
        let global = "user root\npersistence false\nlog_type none\nset_tcp_nodelay true";
        folder.write("mosquitto.conf", &format!("{global}\nlistener {port} 127.0.0.1\n{lines}\n"));
        let mut broker = Mosquitto { port, folder, program, child: None };
        broker.run();
        Some(broker)
    }

    pub fn run(&mut self) {
        let mut command = Command::new(self.program);
        command.arg("-c").arg(self.folder.path().join("mosquitto.conf"));
        self.child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let patience = Instant::now() + Duration::from_secs(5);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < patience, "mosquitto does not listen on {}", self.port);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A password file with one user.
pub fn password_file(folder: &Folder, user: &str, password: &str) -> String {
    let file = folder.write("passwords", "");
    let made = Command::new("mosquitto_passwd").arg("-b").arg(&file).args([user, password]).status();
    assert!(made.is_ok_and(|status| status.success()), "mosquitto_passwd comes with mosquitto");
    file.display().to_string()
}
