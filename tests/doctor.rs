//! `usp-agent doctor`: one fault on the way at a time, on real sockets, each with its own class and exit code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "doctor/faults.rs"]
mod faults;
#[path = "support/mosquitto.rs"]
mod mosquitto;
#[path = "support/mqtt_broker.rs"]
mod mqtt_broker;
#[path = "support/namespaces.rs"]
mod namespaces;
#[path = "support/raw_websocket.rs"]
mod raw_websocket;
#[path = "support/scene.rs"]
mod scene;
#[path = "support/stomp_broker.rs"]
mod stomp_broker;

use certificates::{Asked, Authority, Folder, Issued};
use mosquitto::Mosquitto;
use scene::Scene;
use std::path::Path;
use std::process::Command;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use usp_agent::mtp::tls::{Clock, Identity, Keyring, ServerTls, Trust, Versions};
use usp_agent::mtp::websocket::{ServerSettings, listen};
use usp_agent::mtp::{CLASSES, Class, Limits};

const CONTROLLER: &str = "proto::acs";

/// What the program said, and how it ended.
struct Told {
    text: String,
    code: i32,
}

impl Told {
    #[track_caller]
    fn fails(&self, class: Class, words: &str) {
        let (name, remedy) = class.texts();
        assert_eq!(self.code, i32::from(class.code()), "{name} is expected:\n{}", self.text);
        let sentence = self.text.lines().find(|line| line.contains(&format!("{name} ({})", class.code())));
        let sentence = sentence.unwrap_or_else(|| panic!("{name} is not named:\n{}", self.text));
        assert!(sentence.contains(words) && sentence.ends_with(remedy), "{words:?}, {remedy:?}:\n{}", self.text);
    }

    #[track_caller]
    fn is_well(&self, steps: &[&str]) {
        assert_eq!(self.code, 0, "{}", self.text);
        self.reached(steps, &[]);
    }

    /// Which steps were gone, and which were not.
    #[track_caller]
    fn reached(&self, gone: &[&str], missing: &[&str]) {
        for step in gone.iter().chain(missing) {
            let is_ok = |line: &str| line.trim_start().starts_with(step) && line.ends_with("ok");
            assert_eq!(self.text.lines().any(is_ok), gone.contains(step), "{step}:\n{}", self.text);
        }
    }
}

/// Runs the doctor on a controller with these options.
async fn doctor(options: &str) -> Told {
    let controller =
        format!("config controller 'acs'\n\toption EndpointID '{CONTROLLER}'\n\tlist role 'full'\n{options}");
    asked(&controller, &[]).await
}

async fn asked(controller: &str, words: &[&str]) -> Told {
    let config = format!("config localagent 'agent'\n\toption EndpointID 'os::00D09E-doctor'\n\n{controller}\n");
    let folder = Folder::new();
    folder.write("usp-agent", &config);
    let mut command = Command::new(env!("CARGO_BIN_EXE_usp-agent"));
    command.arg("doctor").args(words).arg("--config-dir").arg(folder.path()).args(["--ubus", "/nowhere/ubus.sock"]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    drop(folder);
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    Told { text, code: output.status.code().unwrap() }
}

/// A controller in the clear, allowed for the lab.
async fn plain(scheme: &str, port: u16, more: &str) -> Told {
    doctor(&format!("\toption url '{scheme}://127.0.0.1:{port}/usp'\n\toption AllowUnencrypted '1'\n{more}")).await
}

async fn mqtt(port: u16) -> Told {
    let more = "\toption Topic 'usp/controller'\n\toption ResponseTopicConfigured 'usp/agent'\n";
    doctor(&format!("\toption url 'mqtt://127.0.0.1:{port}'\n\toption AllowUnencrypted '1'\n{more}")).await
}

/// A server for one connection, on a thread of its own.
async fn server<F: Future<Output = ()>>(play: impl FnOnce(TcpStream) -> F + Send + 'static) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (tcp, _) = listener.accept().unwrap();
        tcp.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { play(TcpStream::from_std(tcp).unwrap()).await });
    });
    port
}

async fn says(words: &'static [u8]) -> u16 {
    server(async move |mut tcp: TcpStream| {
        let _ = tcp.write_all(words).await;
        let _ = tokio::io::copy(&mut tcp, &mut tokio::io::sink()).await;
    })
    .await
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn what_the_configuration_lacks() {
    doctor("").await.fails(Class::Configuration, "no way to it");
    asked("config controller 'acs'\n\toption EndpointID 'proto::acs'\n", &["other"])
        .await
        .fails(Class::UnknownController, "other");
    asked("", &[]).await.fails(Class::UnknownController, "no controller is configured");
}

#[tokio::test]
async fn the_way_to_the_port() {
    plain("ws", free_port(), "").await.fails(Class::Refused, "refused");
    let named = doctor("\toption url 'ws://no-such-host.invalid/usp'\n").await;
    named.fails(Class::Name, "no-such-host.invalid");
}

#[tokio::test]
async fn what_a_websocket_server_answers() {
    plain("ws", says(b"HTTP/1.1 404 Not Found\r\n\r\n").await, "").await.fails(Class::Http, "404 Not Found");
    plain("ws", says(b"220 mail ESMTP\r\n\r\n").await, "").await.fails(Class::Protocol, "no WebSocket server");
    let other = server(async |tcp| drop(raw_websocket::Asked::read(tcp).await.switch(&[]).await)).await;
    plain("ws", other, "").await.fails(Class::Subprotocol, "v1.usp");
    plain("ws", says(b"").await, "").await.fails(Class::NoAnswer, "does not answer");
}

#[tokio::test]
async fn a_websocket_that_is_well() {
    let good = || server(async |tcp| _ = raw_websocket::Asked::read(tcp).await.accept().await.frame(patience()).await);
    plain("ws", good().await, "").await.is_well(&["name", "tcp", "session", "controller"]);
    // The same without leave to be unencrypted.
    let told = doctor(&format!("\toption url 'ws://127.0.0.1:{}/usp'\n", good().await)).await;
    told.fails(Class::Unencrypted, "untrusted role only");
    assert!(told.text.contains("session"), "{}", told.text);
}

fn patience() -> std::time::Duration {
    std::time::Duration::from_secs(20)
}

/// CONNACK with this code.
async fn refusing_broker(code: u8) -> u16 {
    server(async move |tcp| {
        let mut broker = mqtt_broker::Connection::on(tcp);
        broker.connect().await;
        broker.connack(code, &[]).await;
        broker.quietly().await;
    })
    .await
}

#[tokio::test]
async fn why_a_broker_refuses() {
    let refused = async |code| mqtt(refusing_broker(code).await).await;
    refused(0x84).await.fails(Class::Version, "0x84");
    refused(0x85).await.fails(Class::ClientId, "0x85");
    refused(0x86).await.fails(Class::Credentials, "0x86");
    refused(0x87).await.fails(Class::NotAuthorized, "0x87");
    refused(0x88).await.fails(Class::Refusal, "0x88");
    mqtt(says(b"HTTP/1.1 400 Bad Request\r\n\r\n").await).await.fails(Class::Protocol, "is that port a broker's");
}

/// Takes the agent in, then answers SUBSCRIBE and PUBLISH with these codes; None for no answer.
async fn broker(suback: u8, puback: Option<u8>) -> u16 {
    server(async move |tcp| {
        let mut broker = mqtt_broker::Connection::on(tcp);
        broker.connect().await;
        broker.connack(0, &[]).await;
        let subscribe = broker.subscribe().await;
        broker.suback(subscribe.id, &[suback]).await;
        if suback < 0x80 {
            let publish = broker.publish().await;
            assert_eq!(publish.topic, "usp/controller");
            if let Some(code) = puback {
                let [high, low] = publish.id.to_be_bytes();
                broker.packet(0x40, &[high, low, code, 0]).await;
            }
        }
        broker.quietly().await;
    })
    .await
}

#[tokio::test]
async fn what_becomes_of_topics() {
    mqtt(broker(0x87, None).await).await.fails(Class::Subscription, "0x87");
    mqtt(broker(1, Some(0x10)).await).await.fails(Class::NobodyListens, "usp/controller");
    mqtt(broker(1, Some(0x87)).await).await.fails(Class::Publish, "0x87");
    mqtt(broker(1, None).await).await.fails(Class::PublishUnanswered, "usp/controller");
    mqtt(broker(1, Some(0)).await).await.is_well(&["name", "tcp", "session", "subscribe", "controller"]);
}

#[tokio::test]
async fn a_real_broker_with_passwords() {
    let lines = |folder: &Folder| {
        let file = mosquitto::password_file(folder, "agent", "secret-word");
        format!("allow_anonymous false\npassword_file {file}")
    };
    let Some(broker) = Mosquitto::start(lines) else { return };
    let url = format!("\toption url 'mqtt://127.0.0.1:{}'\n\toption AllowUnencrypted '1'\n", broker.port);
    let topics = "\toption Topic 'usp/c'\n\toption ResponseTopicConfigured 'usp/a'\n\toption Username 'agent'\n";
    let with = |password: &str| format!("{url}{topics}\toption Password '{password}'\n");
    let wrong = doctor(&with("wrong-word")).await;
    assert!(
        [Class::Credentials, Class::NotAuthorized].iter().any(|c| i32::from(c.code()) == wrong.code),
        "{}",
        wrong.text
    );
    assert!(!wrong.text.contains("wrong-word"), "{}", wrong.text);
    doctor(&with("secret-word")).await.fails(Class::NobodyListens, "usp/c");
}

#[tokio::test]
async fn what_a_stomp_server_answers() {
    let more = "\toption Topic '/queue/controller'\n\toption ResponseTopicConfigured '/queue/agent'\n";
    let refusing = server(async |tcp| {
        let mut broker = stomp_broker::Connection::new(Box::new(tcp));
        broker.frame("STOMP").await;
        broker.send("ERROR", &[("message", "Bad CONNECT")], b"Access refused").await;
    });
    plain("stomp", refusing.await, more).await.fails(Class::Stomp, "Bad CONNECT");
    let nowhere = server(async |tcp| {
        let mut broker = stomp_broker::Connection::new(Box::new(tcp));
        broker.frame("STOMP").await;
        broker.send("CONNECTED", &[("version", "1.2")], b"").await;
        broker.ended().await;
    });
    let options = "\toption EndpointID 'proto::acs'\n\toption AllowUnencrypted '1'\n\nconfig stomp 's'\n\toption Host '127.0.0.1'\n\toption EnableEncryption '0'\n";
    let way = "\nconfig mtp 'm'\n\toption Protocol 'STOMP'\n\toption stomp 's'\n\nconfig controller_mtp 'w'\n\toption controller 'acs'\n\toption Protocol 'STOMP'\n\toption stomp 's'\n\toption Destination '/queue/c'\n";
    let config = format!("config controller 'acs'\n{options}\toption Port '{}'\n{way}", nowhere.await);
    asked(&config, &[]).await.fails(Class::NoTopic, "subscribe-dest");
}

/// A controller with TLS that listens at a free port; None: clients need no certificate.
async fn tls_server(issued: &Issued, clients: Option<&Path>) -> u16 {
    let port = free_port();
    let settings = ServerSettings {
        listen: ([127, 0, 0, 1], port).into(),
        path: "/usp".into(),
        tls: Some(ServerTls {
            identity: Identity { certificate: issued.certificate.clone(), key: issued.key.clone() },
            clients: clients.map(|file| Trust::File(file.into())),
            versions: Versions::default(),
            keyring: Keyring::default(),
            clock: Clock::default(),
        }),
        own_id: CONTROLLER.into(),
        keep_alive: patience(),
        limits: Limits::default(),
    };
    let (events, mut heard) = tokio::sync::mpsc::channel(32);
    let (handle, task) = listen(settings, usp_agent::mtp::LinkId(1), events);
    tokio::spawn(async move {
        task.await;
        drop(handle);
    });
    tokio::spawn(async move { while heard.recv().await.is_some() {} });
    let listens = async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), listens).await.expect("the server listens");
    port
}

async fn tls(port: u16, ca: &Path, more: &str) -> Told {
    let ca = ca.display();
    doctor(&format!("\toption url 'wss://localhost:{port}/usp'\n\toption ca_file '{ca}'\n{more}")).await
}

#[tokio::test]
async fn what_is_wrong_with_certificates() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let localhost = |years, endpoint_id| Asked { names: &["localhost"], years, endpoint_id, ..Asked::default() };
    let serve = async |asked| tls_server(&ours.issue(asked), None).await;
    tls(serve(localhost(None, None)).await, &ours.file, "").await.is_well(&["files", "name", "tcp", "tls", "session"]);
    tls(serve(localhost(Some((2001, 2002)), None)).await, &ours.file, "").await.fails(Class::TlsExpired, "2002-01-01");
    tls(serve(localhost(Some((2040, 2041)), None)).await, &ours.file, "").await.fails(Class::TlsNotYet, "2040-01-01");
    tls(serve(localhost(None, None)).await, &theirs.file, "").await.fails(Class::TlsIssuer, "issued by \"ours\"");
    let other = Asked { names: &["other.example"], ..Asked::default() };
    tls(serve(other).await, &ours.file, "").await.fails(Class::TlsName, "other.example");
    let named = localhost(None, Some("proto::somebody"));
    tls(serve(named).await, &ours.file, "").await.fails(Class::Certificate, "proto::somebody");
    tls(says(b"HTTP/1.1 400 Bad Request\r\n\r\n").await, &ours.file, "")
        .await
        .fails(Class::TlsSilent, "does not speak TLS");
}

#[tokio::test]
async fn what_is_wrong_with_files_and_our_own_certificate() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let issued = ours.issue(Asked { names: &["localhost"], ..Asked::default() });
    let wanting = async || tls_server(&issued, Some(&ours.file)).await;
    tls(free_port(), Path::new("/nowhere/ca.pem"), "").await.fails(Class::File, "/nowhere/ca.pem");
    tls(wanting().await, &ours.file, "").await.fails(Class::TlsClientMissing, "client certificate");
    let shown = |own: &Issued| {
        format!("\toption certificate '{}'\n\toption key '{}'\n", own.certificate.display(), own.key.display())
    };
    let stranger = theirs.issue(Asked { names: &["agent"], ..Asked::default() });
    tls(wanting().await, &ours.file, &shown(&stranger)).await.fails(Class::TlsClientRefused, "our certificate");
    let mixed = Issued { certificate: stranger.certificate.clone(), key: issued.key.clone() };
    tls(wanting().await, &ours.file, &shown(&mixed)).await.fails(Class::File, "does not belong to the private key");
}

/// Asks beside a running agent.
async fn beside(scene: &Scene) -> Told {
    let mut command = Command::new(env!("CARGO_BIN_EXE_usp-agent"));
    command.arg("doctor").arg("--config-dir").arg(scene.router.config_dir()).arg("--ubus").arg(scene.router.socket());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    Told { text, code: output.status.code().unwrap() }
}

fn configured(options: &str) -> String {
    format!(
        "config localagent 'agent'\n\toption EndpointID 'os::00D09E-doctor'\n\nconfig controller 'acs'\n\
         \toption EndpointID '{CONTROLLER}'\n\toption AllowUnencrypted '1'\n{options}\n"
    )
}

#[test]
fn an_agent_that_is_connected_is_left_alone() {
    Scene::play(async |mut scene| {
        // It takes one connection only: another would not be answered.
        let port = server(async |tcp| {
            let mut socket = raw_websocket::Asked::read(tcp).await.accept().await;
            while socket.frame(patience()).await.is_some() {}
        });
        scene.start(&configured(&format!("\toption url 'ws://127.0.0.1:{}/usp'\n", port.await)));
        scene.until_logged("event=connected").await;
        let told = beside(&scene).await;
        assert!(told.code == 0 && told.text.contains("connected"), "{}", told.text);
        assert!(!scene.log().contains("event=lost"), "{}", scene.log());
    });
}

#[test]
fn the_error_of_the_agent_itself_comes_first() {
    Scene::play(async |mut scene| {
        scene.start(&configured(&format!("\toption url 'ws://127.0.0.1:{}/usp'\n", free_port())));
        scene.until_logged("event=lost class=refused").await;
        let told = beside(&scene).await;
        told.fails(Class::Refused, "refused");
        let of = |words: &str| told.text.find(words).unwrap_or_else(|| panic!("{words}: {}", told.text));
        assert!(of("waiting, next try in") < of("refused (41)"), "{}", told.text);
    });
}

#[tokio::test]
async fn a_controller_that_is_to_come() {
    let told = doctor("\toption url 'listen ws://127.0.0.1:8183/usp'\n\toption AllowUnencrypted '1'\n").await;
    told.fails(Class::Awaited, "has not come");
}

#[tokio::test]
async fn scripts_read_json() {
    let config = format!(
        "config controller 'acs'\n\toption EndpointID '{CONTROLLER}'\n\toption url 'ws://127.0.0.1:{}/'\n",
        free_port()
    );
    let told = asked(&config, &["--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&told.text).unwrap();
    assert_eq!((&json["class"], &json["code"]), (&"refused".into(), &41.into()), "{json}");
    let link = &json["controllers"][0]["links"][0];
    assert_eq!((&link["step"], &link["class"]), (&"tcp".into(), &"refused".into()), "{json}");
    assert_eq!(link["steps"][1]["step"], "name", "{json}");
}

#[test]
fn scripts_read_json_of_a_controller_that_is_not_there() {
    let folder = Folder::new();
    folder.write("usp-agent", "config localagent 'agent'\n\toption EndpointID 'os::00D09E-doctor'\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_usp-agent"));
    command.args(["doctor", "acs", "--json", "--ubus", "/nowhere/ubus.sock", "--config-dir"]).arg(folder.path());
    let output = command.output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["class"], &json["code"]), (&"unknown-controller".into(), &21.into()), "{json}");
}

#[test]
fn the_document_and_the_help_name_every_class() {
    let document = std::fs::read_to_string("docs/troubleshooting.md").unwrap();
    let help = Command::new(env!("CARGO_BIN_EXE_usp-agent")).args(["doctor", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for class in CLASSES {
        let ((name, remedy), code) = (class.texts(), class.code());
        assert!(
            document.contains(&format!("| {code} | {name} | {remedy} |")),
            "docs/troubleshooting.md: | {code} | {name} | {remedy} |"
        );
        assert!(help.contains(&format!("{code}  {name}")), "{name}");
    }
    let rows = document.lines().filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit()).count();
    assert_eq!(rows, CLASSES.len(), "docs/troubleshooting.md has another class");
}
