//! TLS of the links, our WebSocket client against our WebSocket server: who is trusted, who is refused and
//! what is said then.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/link.rs"]
mod link;

use certificates::{Asked, Authority, Folder, self_signed};
use link::{Link, PATIENCE};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use usp_agent::mtp::backoff::Policy;
use usp_agent::mtp::tls::{ClientTls, Clock, Identity, Keyring, ServerTls, Trust, Versions};
use usp_agent::mtp::websocket::{ClientSettings, ServerSettings, listen, start};
use usp_agent::mtp::{Destination, Limits, LinkEvent};

const OWN_ID: &str = "os::00D09E-test%21";

fn quick_limits() -> Limits {
    Limits {
        handshake: Duration::from_millis(600),
        stall: Duration::from_millis(400),
        goodbye: Duration::from_millis(500),
    }
}

fn client_settings(port: u16) -> ClientSettings {
    ClientSettings {
        host: "127.0.0.1".into(),
        port,
        path: "/usp".into(),
        tls: None,
        own_id: OWN_ID.into(),
        keep_alive: Duration::from_secs(30),
        retry: Policy { minimum: Duration::from_millis(20), ..Policy::default() },
        hold_off_after_loss: Duration::ZERO,
        limits: quick_limits(),
    }
}

async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn server_settings(listen: SocketAddr) -> ServerSettings {
    ServerSettings {
        listen,
        path: "/usp".into(),
        tls: None,
        own_id: OWN_ID.into(),
        keep_alive: Duration::from_secs(30),
        limits: quick_limits(),
    }
}

async fn reach(address: SocketAddr) -> TcpStream {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(address).await {
            Ok(tcp) => return tcp,
            Err(error) if Instant::now() > deadline => panic!("{error}"),
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

const SERVER_ID: &str = "proto::controller";

struct Encrypted {
    server: Link,
    client: Link,
}

struct Setup<'a> {
    authority: &'a Authority,
    server: Asked<'a>,
    client_certificate: bool,
    versions: Versions,
    clock: Clock,
}

impl<'a> Setup<'a> {
    fn new(authority: &'a Authority) -> Self {
        let server = Asked { names: &["127.0.0.1"], ..Asked::default() };
        Setup { authority, server, client_certificate: true, versions: Versions::Both, clock: Clock::new(true) }
    }

    async fn start(self) -> Encrypted {
        let address = free_address().await;
        let issued = self.authority.issue(self.server);
        let ours = self.authority.issue(Asked { endpoint_id: Some(OWN_ID), ..Asked::default() });
        let server = ServerSettings {
            tls: Some(ServerTls {
                identity: Identity { certificate: issued.certificate, key: issued.key },
                clients: Some(Trust::File(self.authority.file.clone())),
                versions: Versions::Both,
                keyring: Keyring::default(),
                clock: self.clock.clone(),
            }),
            ..server_settings(address)
        };
        let tls = ClientTls {
            trust: Trust::File(self.authority.file.clone()),
            identity: self.client_certificate.then_some(Identity { certificate: ours.certificate, key: ours.key }),
            versions: self.versions,
            expected_id: Some(SERVER_ID.into()),
            keyring: Keyring::default(),
            clock: self.clock,
        };
        Encrypted::start(server, ClientSettings { tls: Some(tls), ..client_settings(address.port()) }).await
    }
}

impl Encrypted {
    async fn start(server: ServerSettings, client: ClientSettings) -> Encrypted {
        let address = server.listen;
        let server = Link::spawn(32, |id, events| listen(server, id, events));
        drop(reach(address).await);
        let client = Link::spawn(32, |id, events| start(client, id, events));
        Encrypted { server, client }
    }

    async fn server_connected(&mut self) -> usp_agent::mtp::Peer {
        loop {
            match self.server.event().await {
                LinkEvent::Connected { peer, .. } => return peer,
                // The probe that waited for the port.
                LinkEvent::Remark { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn both_sides_learn_the_certificate_of_the_other() {
    let authority = Authority::new("Test CA");
    for versions in [Versions::Only12, Versions::Only13, Versions::Both] {
        let server = Asked { names: &["127.0.0.1"], endpoint_id: Some(SERVER_ID), ..Asked::default() };
        let mut both = Setup { server, versions, ..Setup::new(&authority) }.start().await;
        let (channel, peer) = both.client.connected().await;
        assert!(peer.encrypted && peer.certificate.is_some());
        assert_eq!(peer.certificate_ids, [SERVER_ID.into()]);
        let peer = both.server_connected().await;
        assert_eq!(peer.certificate_ids, [OWN_ID.into()]);
        assert_eq!(peer.endpoint_id.as_deref(), Some(OWN_ID));
        both.client.send(channel, &vec![1; 300_000], Destination::Peer);
        assert_eq!(both.server.record().await.1.len(), 300_000);
        both.client.shut_down().await;
        both.server.shut_down().await;
    }
}

#[tokio::test]
async fn a_peer_with_a_certificate_is_not_pushed_out_by_one_without_it() {
    let authority = Authority::new("Test CA");
    let mut both = Setup::new(&authority).start().await;
    let (channel, peer) = both.client.connected().await;
    both.server_connected().await;

    let port = peer.address.rsplit(':').next().unwrap().parse().unwrap();
    let other = authority.issue(Asked { endpoint_id: Some("proto::impostor"), ..Asked::default() });
    let tls = ClientTls {
        trust: Trust::File(authority.file.clone()),
        identity: Some(Identity { certificate: other.certificate, key: other.key }),
        ..ClientTls::default()
    };
    let mut impostor =
        Link::spawn(32, |id, events| start(ClientSettings { tls: Some(tls), ..client_settings(port) }, id, events));
    impostor.connected().await;
    let (_, why, _) = impostor.lost().await;
    assert!(why.contains("1008"), "{why}");
    let remark = both.server.remark().await;
    assert!(remark.contains("without the certificate"), "{remark}");
    both.client.send(channel, b"still here", Destination::Peer);
    loop {
        // The impostor goes on trying.
        match both.server.event().await {
            LinkEvent::Record { bytes, .. } => break assert_eq!(&bytes[..], b"still here"),
            LinkEvent::Remark { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn no_common_version_is_told() {
    let authority = Authority::new("Test CA");
    let address = free_address().await;
    let issued = authority.issue(Asked { names: &["127.0.0.1"], ..Asked::default() });
    let identity = Identity { certificate: issued.certificate, key: issued.key };
    let tls = ServerTls {
        identity,
        clients: None,
        versions: Versions::Only12,
        keyring: Keyring::default(),
        clock: Clock::default(),
    };
    let server = ServerSettings { tls: Some(tls), ..server_settings(address) };
    let trust = Trust::File(authority.file.clone());
    let tls = ClientTls { trust, versions: Versions::Only13, ..ClientTls::default() };
    let client = ClientSettings { tls: Some(tls), ..client_settings(address.port()) };
    let (_, why, _) = Encrypted::start(server, client).await.client.lost().await;
    assert!(why.contains("does not accept our TLS versions"), "{why}");
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let authority = Authority::new("Test CA");
    for versions in [Versions::Only12, Versions::Only13] {
        let mut both = Setup { client_certificate: false, versions, ..Setup::new(&authority) }.start().await;
        let (_, why, _) = both.client.lost().await;
        assert!(why.contains("client certificate") || why.contains("refuses our certificate"), "{versions:?}: {why}");
        loop {
            let remark = both.server.remark().await;
            if remark.contains("presented no certificate") {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_named() {
    let (ours, theirs) = (Authority::new("Our CA"), Authority::new("Their CA"));
    let address = free_address().await;
    let issued = theirs.issue(Asked { names: &["127.0.0.1"], ..Asked::default() });
    let identity = Identity { certificate: issued.certificate, key: issued.key };
    let tls = ServerTls {
        identity,
        clients: None,
        versions: Versions::Both,
        keyring: Keyring::default(),
        clock: Clock::default(),
    };
    let server = ServerSettings { tls: Some(tls), ..server_settings(address) };
    let tls = ClientTls { trust: Trust::Bundle(ours.file.clone()), ..ClientTls::default() };
    let client = ClientSettings { tls: Some(tls), ..client_settings(address.port()) };
    let (_, why, _) = Encrypted::start(server, client).await.client.lost().await;
    assert!(why.contains("\"Their CA\"") && why.contains("ca.pem") && why.contains("test peer"), "{why}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_with_its_names() {
    let authority = Authority::new("Test CA");
    let server = Asked { names: &["other.example"], ..Asked::default() };
    let (_, why, _) = Setup { server, ..Setup::new(&authority) }.start().await.client.lost().await;
    assert!(why.contains("127.0.0.1") && why.contains("other.example"), "{why}");
}

#[tokio::test]
async fn the_expected_endpoint_id_stands_in_for_the_name() {
    let authority = Authority::new("Test CA");
    let server = Asked { names: &["other.example"], endpoint_id: Some(SERVER_ID), ..Asked::default() };
    Setup { server, ..Setup::new(&authority) }.start().await.client.connected().await;
    let server = Asked { names: &["other.example"], endpoint_id: Some("proto::impostor"), ..Asked::default() };
    Setup { server, ..Setup::new(&authority) }.start().await.client.lost().await;
}

#[tokio::test]
async fn dates_count_only_once_the_clock_is_set() {
    let authority = Authority::new("Test CA");
    for years in [(2001, 2002), (2090, 2095)] {
        let server = || Asked { names: &["127.0.0.1"], years: Some(years), ..Asked::default() };
        let (_, why, _) = Setup { server: server(), ..Setup::new(&authority) }.start().await.client.lost().await;
        assert!(why.contains("expired on 2002-01-01") || why.contains("not valid before 2090-01-01"), "{why}");
        let clock = Clock::new(false);
        Setup { server: server(), clock, ..Setup::new(&authority) }.start().await.client.connected().await;
    }
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_when_its_file_is_named() {
    let folder = Folder::new();
    for (years, good) in [((2020, 2090), true), ((2001, 2002), false)] {
        let asked = Asked { names: &["127.0.0.1"], years: Some(years), ..Asked::default() };
        let issued = self_signed(&folder, asked);
        let address = free_address().await;
        let identity = Identity { certificate: issued.certificate.clone(), key: issued.key };
        let tls = ServerTls {
            identity,
            clients: None,
            versions: Versions::Both,
            keyring: Keyring::default(),
            clock: Clock::default(),
        };
        let server = ServerSettings { tls: Some(tls), ..server_settings(address) };
        let tls = ClientTls { trust: Trust::File(issued.certificate), ..ClientTls::default() };
        let client = ClientSettings { tls: Some(tls), ..client_settings(address.port()) };
        let mut both = Encrypted::start(server, client).await;
        match both.client.event().await {
            LinkEvent::Connected { .. } => assert!(good),
            LinkEvent::Lost { why, .. } => assert!(!good && why.contains("expired"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn missing_and_wrong_files_are_named() {
    let tls = ClientTls { trust: Trust::File("/nowhere/ca.pem".into()), ..ClientTls::default() };
    let settings = ClientSettings { tls: Some(tls), ..client_settings(1) };
    let mut link = Link::spawn(32, |id, events| start(settings, id, events));
    assert!(link.lost().await.1.starts_with("/nowhere/ca.pem cannot be read"));

    let authority = Authority::new("Test CA");
    let (one, other) = (authority.issue(Asked::default()), authority.issue(Asked::default()));
    let identity = Identity { certificate: one.certificate.clone(), key: other.key };
    let trust = Trust::File(authority.file.clone());
    let tls = ClientTls { trust, identity: Some(identity), ..ClientTls::default() };
    let settings = ClientSettings { tls: Some(tls), ..client_settings(1) };
    let mut link = Link::spawn(32, |id, events| start(settings, id, events));
    let (_, why, _) = link.lost().await;
    assert!(why.contains("does not belong to the private key"), "{why}");
}

#[tokio::test]
async fn a_port_that_speaks_no_tls_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let authority = Authority::new("Test CA");
    let tls = ClientTls { trust: Trust::File(authority.file.clone()), ..ClientTls::default() };
    let settings = ClientSettings { tls: Some(tls), ..client_settings(port) };
    let mut link = Link::spawn(32, |id, events| start(settings, id, events));
    let (mut tcp, _) = listener.accept().await.unwrap();
    tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    let (_, why, _) = link.lost().await;
    assert!(why.contains("does not speak TLS"), "{why}");
}
