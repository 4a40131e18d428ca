//! Faults of TLS, of the way and of a session, played by hand: what no server of ours would do.

use super::*;
use tokio::io::AsyncReadExt;

/// A TLS alert, fatal, with this description.
const fn alert(description: u8) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, description]
}

/// A server that hears the ClientHello out and answers with these bytes.
async fn answers_hello(answer: &'static [u8]) -> u16 {
    server(async move |mut tcp: TcpStream| {
        let mut head = [0; 5];
        tcp.read_exact(&mut head).await.unwrap();
        assert_eq!(head[..2], [22, 3], "a handshake of TLS is expected");
        let mut hello = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        tcp.read_exact(&mut hello).await.unwrap();
        let _ = tcp.write_all(answer).await;
        let _ = tokio::io::copy(&mut tcp, &mut tokio::io::sink()).await;
    })
    .await
}

/// ServerHello of TLS 1.1: version, 32 bytes at random, no session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
const HELLO_OF_TLS_1_1: [u8; 47] = {
    let mut hello = [7; 47];
    let (head, tail) = ([22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2], [0, 0, 0x2f, 0]);
    let mut at = 0;
    while at < head.len() {
        hello[at] = head[at];
        at += 1;
    }
    at = 0;
    while at < tail.len() {
        hello[43 + at] = tail[at];
        at += 1;
    }
    hello
};

#[tokio::test]
async fn a_server_of_another_tls_version() {
    let ours = Authority::new("ours");
    let told = tls(answers_hello(&HELLO_OF_TLS_1_1).await, &ours.file, "").await;
    told.fails(Class::TlsVersion, "no common TLS version");
    let told = tls(answers_hello(const { &alert(70) }).await, &ours.file, "").await;
    told.fails(Class::TlsVersion, "does not accept our TLS versions");
    told.reached(&["files", "name", "tcp"], &["tls", "session", "controller"]);
}

#[tokio::test]
async fn a_server_that_ends_tls() {
    let ours = Authority::new("ours");
    tls(answers_hello(const { &alert(40) }).await, &ours.file, "").await.fails(Class::Tls, "HandshakeFailure");
    tls(answers_hello(const { &alert(80) }).await, &ours.file, "").await.fails(Class::Tls, "InternalError");
    // Records of TLS whose content is none: no message of it, and a ServerHello that ends early.
    let garbage = answers_hello(&[22, 3, 3, 0, 5, 99, 0, 0, 1, 0]).await;
    tls(garbage, &ours.file, "").await.fails(Class::Tls, "TLS failed: received unexpected handshake message");
    let short = answers_hello(&[22, 3, 3, 0, 6, 2, 0, 0, 2, 3, 3]).await;
    tls(short, &ours.file, "").await.fails(Class::Tls, "TLS failed: received corrupt message");
    tls(answers_hello(b"\x00\xff no TLS at all").await, &ours.file, "").await.fails(Class::TlsSilent, "not speak TLS");
    tls(server(async |tcp| drop(tcp)).await, &ours.file, "").await.fails(Class::TlsSilent, "closed the connection");
}

#[tokio::test]
async fn a_certificate_of_no_use() {
    let ours = Authority::new("ours");
    let asked = || Asked { names: &["localhost"], ..Asked::default() };
    let for_clients = ours.issue(Asked { only_client: true, ..asked() });
    let told = tls(tls_server(&for_clients, None).await, &ours.file, "").await;
    told.fails(Class::TlsCertificate, "\"test peer\" is not made for this purpose (extended key usage)");
    // A controller that is revoked is for the agent to judge; a broker is not let in.
    let (revoked, list) = (ours.issue(Asked { serial: Some(7), ..asked() }), ours.revoke(&[7]));
    let told = asked_with_crl(tls_server(&revoked, None).await, &ours.file, &list).await;
    told.fails(Class::TlsCertificate, "\"test peer\" is revoked");
    told.reached(&["files", "name", "tcp"], &["tls", "session"]);
}

/// A broker with TLS there, with a list of revoked certificates.
async fn asked_with_crl(port: u16, ca: &Path, list: &Path) -> Told {
    let (ca, list) = (ca.display(), list.display());
    let url = format!("\toption url 'mqtts://localhost:{port}'\n\toption ca_file '{ca}'\n");
    let topics = "\toption Topic 'usp/c'\n\toption ResponseTopicConfigured 'usp/a'\n";
    let agent = format!("\toption crl_file '{list}'\n\n");
    asked(&format!("{agent}config controller 'acs'\n\toption EndpointID '{CONTROLLER}'\n{url}{topics}"), &[]).await
}

#[tokio::test]
async fn a_certificate_that_vouches_for_itself() {
    let (ours, folder) = (Authority::new("ours"), Folder::new());
    let own = certificates::self_signed(&folder, Asked { names: &["localhost"], ..Asked::default() });
    let told = tls(tls_server(&own, None).await, &ours.file, "").await;
    told.fails(Class::TlsIssuer, "\"test peer\" is an authority's: name its file as the CA file");
    tls(tls_server(&own, None).await, &own.certificate, "").await.is_well(&["tls", "session"]);
    let theirs = Authority::new("theirs");
    let stranger = theirs.issue(Asked { names: &["localhost"], ..Asked::default() });
    let trusted = format!("is issued by \"theirs\", which is not trusted by {}", ours.file.display());
    tls(tls_server(&stranger, None).await, &ours.file, "").await.fails(Class::TlsIssuer, &trusted);
}

/// A broker that takes the agent in, and is gone at its `last` packet.
async fn broker_gone_at(last: &'static str) -> u16 {
    server(async move |tcp| {
        let mut broker = mqtt_broker::Connection::on(tcp);
        broker.connect().await;
        broker.connack(0, &[]).await;
        let subscribe = broker.subscribe().await;
        if last == "PUBLISH" {
            broker.suback(subscribe.id, &[1]).await;
            broker.publish().await;
        }
    })
    .await
}

#[tokio::test]
async fn a_session_that_breaks() {
    let told = mqtt(broker_gone_at("PUBLISH").await).await;
    told.fails(Class::Broken, "after PUBLISH to \"usp/controller\": the broker closed the connection");
    told.reached(&["name", "tcp", "session", "subscribe"], &["controller"]);
    // Brokers of MQTT 3.1.1 have no other word for "not allowed".
    let told = mqtt(broker_gone_at("SUBSCRIBE").await).await;
    told.fails(Class::Subscription, "after SUBSCRIBE: the broker closed the connection");
    told.reached(&["name", "tcp", "session"], &["subscribe", "controller"]);
}

#[tokio::test]
async fn a_listener_that_closes_or_speaks_another_protocol() {
    let closes = || {
        server(async |mut tcp: TcpStream| {
            let _ = tcp.read(&mut [0; 4096]).await;
        })
    };
    plain("ws", closes().await, "").await.fails(Class::Protocol, "Handshake not finished");
    mqtt(closes().await).await.fails(Class::Protocol, "is that port a broker's");
    mqtt(says(b"220 mail ESMTP\r\n").await).await.fails(Class::Protocol, "no whole packet came");
    mqtt(says(b"").await).await.fails(Class::NoAnswer, "no answer");
}

#[tokio::test]
async fn a_socket_that_closes() {
    let folder = Folder::new();
    let path = folder.path().join("controller");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || std::io::Read::read(&mut listener.accept().unwrap().0, &mut [0; 4096]));
    let told = doctor(&format!("\toption url 'unix://{}'\n", path.display())).await;
    told.fails(Class::Protocol, "the peer closed the connection");
    told.reached(&[], &["tcp", "session", "controller"]);
}

#[tokio::test]
async fn nobody_answers() {
    // What a full queue of connections has no place for is not answered.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let in_time = |_| tokio::time::timeout(std::time::Duration::from_millis(300), TcpStream::connect(address));
    let mut held = Vec::new();
    while let Ok(connected) = in_time(()).await {
        held.push(connected.unwrap());
        assert!(held.len() < 16, "the queue is never full");
    }
    plain("ws", address.port(), "").await.fails(Class::Unreached, "no answer");
}

#[test]
fn no_route() {
    namespaces::apart("faults::no_route", || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // In a namespace of its own nothing is up, the loopback neither.
        runtime.block_on(async { plain("ws", 8080, "").await.fails(Class::Route, "unreachable") });
    });
}

/// A class is told apart for its own remedy: each has a fault here that leads to it.
#[test]
fn every_class_has_its_fault() {
    let sources = [include_str!("../doctor.rs"), include_str!("faults.rs")];
    let code = |line: &&str| !line.trim_start().starts_with("//");
    let lines: Vec<&str> = sources.iter().flat_map(|source| source.lines()).filter(code).collect();
    for class in CLASSES {
        let wanted = format!(".fails(Class::{class:?}, ");
        assert!(lines.iter().any(|line| line.contains(&wanted)), "no test injects the fault {class:?}");
    }
}
