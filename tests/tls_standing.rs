//! What a link finds out of its peer's certificate for the agent to decide by, our WebSocket client against our WebSocket
//! server: who signed it, whether it is kept, whether it is revoked, whether anybody vouches for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/link.rs"]
mod link;

use certificates::{Asked, Authority, Folder, Issued, self_signed};
use link::Link;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::TcpListener;
use usp_agent::mtp::backoff::Policy;
use usp_agent::mtp::tls::{ClientTls, Clock, Identity, Keyring, Keys, Known, ServerTls, Standing, Trust, Versions};
use usp_agent::mtp::websocket::{ClientSettings, ServerSettings, listen, start};
use usp_agent::mtp::{Limits, LinkEvent, Peer};

const OWN_ID: &str = "os::00D09E-test";
const PEER_ID: &str = "proto::controller";

/// A section with the first certificate of a file.
fn known(section: &str, file: &Path, authority: bool) -> Known {
    let der = CertificateDer::from_pem_file(file).unwrap();
    Known { section: section.into(), der, authority }
}

/// One handshake in each direction: what the agent learns of the controller as its client, and as its server.
struct Meeting {
    keys: fn(&Meeting) -> Keys,
    /// The controller's certificate.
    issued: Issued,
    files: Vec<(&'static str, PathBuf, bool)>,
    crl: Option<PathBuf>,
    clock: Clock,
    /// The agent dials a controller, not a broker.
    direct: bool,
}

impl Meeting {
    fn of(issued: Issued) -> Self {
        Meeting { keys: Self::plain, issued, files: vec![], crl: None, clock: Clock::new(true), direct: true }
    }

    fn plain(&self) -> Keys {
        let known = self.files.iter().map(|(section, file, authority)| known(section, file, *authority)).collect();
        Keys { known, first_use: false, crl_file: self.crl.clone() }
    }

    fn first_use(&self) -> Keys {
        Keys { first_use: true, ..self.plain() }
    }

    /// Both standings; Err where the agent's side refuses the certificate.
    async fn standings(&self) -> [Result<Standing, String>; 2] {
        let keyring = Keyring::default();
        keyring.replace((self.keys)(self));
        // The file of authorities has one that signs nothing here; the controller trusts the agent's.
        let ours = Authority::new("Ours");
        let own = ours.issue(Asked { names: &["127.0.0.1"], endpoint_id: Some(OWN_ID), ..Asked::default() });
        let identity = |issued: &Issued| Identity { certificate: issued.certificate.clone(), key: issued.key.clone() };
        let stranger = Authority::new("Stranger");
        let (theirs, trusting) = (Trust::File(stranger.file.clone()), Trust::File(ours.file.clone()));
        let clients = |trust, keyring, clock, id: &Issued, direct: bool, expected: &str| ClientTls {
            trust,
            identity: Some(identity(id)),
            versions: Versions::Both,
            expected_id: direct.then(|| expected.into()),
            keyring,
            clock,
        };
        let servers = |trust, keyring, clock, id: &Issued| ServerTls {
            identity: identity(id),
            clients: Some(trust),
            versions: Versions::Both,
            keyring,
            clock,
        };
        let at = Keyring::default;
        let set = || Clock::new(true);
        let client = meet(
            servers(trusting.clone(), at(), set(), &self.issued),
            clients(theirs.clone(), keyring.clone(), self.clock.clone(), &own, self.direct, PEER_ID),
            true,
        );
        let server = meet(
            servers(theirs, keyring.clone(), self.clock.clone(), &own),
            clients(trusting, at(), set(), &self.issued, true, OWN_ID),
            false,
        );
        [client.await.map(|peer| peer.standing), server.await.map(|peer| peer.standing)]
    }

    async fn both(&self) -> Standing {
        let [client, server] = self.standings().await;
        let (client, server) = (client.unwrap(), server.unwrap());
        assert_eq!(client, server);
        client
    }

    async fn refused(&self) -> String {
        let [client, server] = self.standings().await;
        assert!(server.is_err(), "{server:?}");
        client.unwrap_err()
    }
}

/// What the agent's end tells.
async fn meet(server: ServerTls, client: ClientTls, agent_is_client: bool) -> Result<Peer, String> {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let limits = Limits {
        handshake: Duration::from_secs(5),
        stall: Duration::from_secs(5),
        goodbye: Duration::from_millis(100),
    };
    let (server_id, client_id) = if agent_is_client { (PEER_ID, OWN_ID) } else { (OWN_ID, PEER_ID) };
    let settings = ServerSettings {
        listen: address,
        path: "/usp".into(),
        tls: Some(server),
        own_id: server_id.into(),
        keep_alive: Duration::from_secs(30),
        limits,
    };
    let mut server = Link::spawn(32, |id, events| listen(settings, id, events));
    let mut client = Link::spawn(32, |id, events| start(dialing(address, client, client_id, limits), id, events));
    let end = if agent_is_client { &mut client } else { &mut server };
    loop {
        match end.event().await {
            LinkEvent::Connected { peer, .. } => return Ok(peer),
            // The first try may come before the server listens.
            LinkEvent::Lost { why, .. } if why.contains("refused (os") => {}
            LinkEvent::Lost { why, .. } | LinkEvent::Remark { what: why, .. } => return Err(why.into()),
            other => panic!("{other:?}"),
        }
    }
}

fn dialing(address: SocketAddr, tls: ClientTls, own_id: &str, limits: Limits) -> ClientSettings {
    ClientSettings {
        host: "127.0.0.1".into(),
        port: address.port(),
        path: "/usp".into(),
        tls: Some(tls),
        own_id: own_id.into(),
        keep_alive: Duration::from_secs(30),
        retry: Policy { minimum: Duration::from_millis(20), ..Policy::default() },
        hold_off_after_loss: Duration::ZERO,
        limits,
    }
}

fn asked() -> Asked<'static> {
    Asked { names: &["127.0.0.1"], endpoint_id: Some(PEER_ID), ..Asked::default() }
}

fn some(section: &str) -> Option<Box<str>> {
    Some(section.into())
}

#[tokio::test]
async fn r_sec_25_the_nearest_authority_of_the_chain_is_named() {
    let root = Authority::new("Root");
    let middle = root.below("Middle");
    let mut meeting = Meeting::of(middle.issue(asked()));
    assert!(meeting.refused().await.contains("not trusted"));
    meeting.files = vec![("root", root.file.clone(), true)];
    assert_eq!(meeting.both().await, Standing { anchor: some("root"), ..Standing::default() });
    meeting.files.push(("middle", middle.file.clone(), true));
    assert_eq!(meeting.both().await, Standing { anchor: some("middle"), ..Standing::default() });
    meeting.files.reverse();
    assert_eq!(meeting.both().await, Standing { anchor: some("middle"), ..Standing::default() });
}

#[tokio::test]
async fn a_kept_certificate_is_named_and_stands_for_itself_only() {
    let authority = Authority::new("Unknown");
    let (mine, other) = (authority.issue(asked()), authority.issue(asked()));
    let mut meeting = Meeting::of(mine.clone());
    meeting.files = vec![("mine", mine.certificate.clone(), false)];
    assert_eq!(meeting.both().await, Standing { stored: some("mine"), ..Standing::default() });
    meeting.issued = other;
    assert!(meeting.refused().await.contains("not trusted"));
    // Its holder is no authority for others.
    meeting.files = vec![("ca", authority.file.clone(), false)];
    assert!(meeting.refused().await.contains("not trusted"));
    // A broker is not known by the certificate of a controller.
    let mut meeting = Meeting::of(mine.clone());
    (meeting.files, meeting.direct) = (vec![("mine", mine.certificate.clone(), false)], false);
    assert!(meeting.standings().await[0].is_err());
    meeting.files = vec![("mine", mine.certificate, true)];
    assert_eq!(
        meeting.standings().await[0],
        Ok(Standing { stored: some("mine"), anchor: None, ..Standing::default() })
    );
}

#[tokio::test]
async fn nobody_vouches_for_who_is_let_in_on_first_use() {
    let (folder, authority) = (Folder::new(), Authority::new("Unknown"));
    for issued in [authority.issue(asked()), self_signed(&folder, asked())] {
        let mut meeting = Meeting::of(issued.clone());
        assert!(meeting.standings().await.iter().all(Result::is_err));
        meeting.keys = Meeting::first_use;
        assert_eq!(meeting.both().await, Standing { first_use: true, ..Standing::default() });
        meeting.files = vec![("mine", issued.certificate, false)];
        assert_eq!(meeting.both().await, Standing { stored: some("mine"), ..Standing::default() });
        meeting.direct = false;
        assert!(meeting.standings().await[0].is_err(), "a broker is nobody to be met for the first time");
    }
    let mut nameless = Meeting::of(authority.issue(Asked { endpoint_id: None, ..asked() }));
    nameless.keys = Meeting::first_use;
    nameless.refused().await;
}

#[tokio::test]
async fn r_sec_19_dates_are_judged_once_the_clock_is_set() {
    let authority = Authority::new("Root");
    let old = || Asked { years: Some((2001, 2002)), ..asked() };
    let mut meeting = Meeting::of(authority.issue(old()));
    for (files, first_use) in [
        (vec![("ca", authority.file.clone(), true)], false),
        (vec![("mine", meeting.issued.certificate.clone(), false)], false),
        (vec![], true),
    ] {
        (meeting.files, meeting.clock) = (files, Clock::new(true));
        meeting.keys = if first_use { Meeting::first_use } else { Meeting::plain };
        assert!(meeting.refused().await.contains("expired"), "{:?}", meeting.files);
        meeting.clock = Clock::new(false);
        meeting.both().await;
    }
}

#[tokio::test]
async fn a_revoked_certificate_is_told_and_not_hidden() {
    let root = Authority::new("Root");
    let middle = root.below("Middle");
    let mut meeting = Meeting::of(middle.issue(Asked { serial: Some(4711), ..asked() }));
    meeting.files = vec![("root", root.file.clone(), true)];
    let good = Standing { anchor: some("root"), ..Standing::default() };
    meeting.crl = Some(middle.revoke(&[1, 2, 3]));
    assert_eq!(meeting.both().await, good);
    // A list by somebody else revokes nothing.
    meeting.crl = Some(root.revoke(&[4711]));
    assert_eq!(meeting.both().await, good);
    meeting.crl = Some(middle.revoke(&[4711]));
    assert_eq!(meeting.both().await, Standing { revoked: true, ..Standing::default() });
    // That it is kept does not help it, and says whose it was.
    meeting.files.push(("mine", meeting.issued.certificate.clone(), false));
    assert_eq!(meeting.both().await, Standing { stored: some("mine"), revoked: true, ..Standing::default() });
    meeting.direct = false;
    assert!(meeting.standings().await[0].is_err(), "a broker is refused at once");
    meeting.crl = Some("/nowhere/crl.pem".into());
    (meeting.direct, meeting.files) = (true, vec![("root", root.file.clone(), true)]);
    assert_eq!(meeting.both().await, good);
}
