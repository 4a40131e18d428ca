//! TP-469 2.3, 2.4 and 4.1: certificates at the MTP, and what they are made of.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use usp_agent::mtp::tls::{ClientTls, Clock, Identity, Keyring, ServerTls, Trust, Versions};
use usp_agent::usp::wire::msg::GetSupportedProtocol;
use usp_agent::usp::wire::msg::request::ReqType;
use usp_agent::usp::wire::msg::response::RespType;

use crate::bench::Bench;
use crate::certificates::{Asked, Authority, Issued};
use crate::eut::Told;
use crate::mosquitto::Mosquitto;
use crate::place::Transport;

/// What is right or wrong with the tester's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    Good,
    /// Issued by an authority the agent does not trust.
    OtherAuthority,
    /// Its subjectAltName names another endpoint.
    OtherName,
}

/// The certificates of a bench.
pub struct Secure {
    trusted: Authority,
    _foreign: Authority,
    agent: Issued,
    tester: Issued,
    broker: Option<Mosquitto>,
}

impl Secure {
    pub fn new(transport: Transport, credential: Credential, agent_id: &str, tester_id: &str) -> Self {
        let mut secure = Self::at_broker(credential, agent_id, tester_id);
        secure.broker = transport.needs_broker().then(|| broker(&secure.trusted)).flatten();
        secure
    }

    /// Where the case plays the broker, with the tester's certificate.
    pub fn at_broker(credential: Credential, agent_id: &str, tester_id: &str) -> Self {
        let (trusted, foreign) = (Authority::new("trusted"), Authority::new("foreign"));
        let theirs = |id| Asked { names: &["localhost"], endpoint_id: Some(id), ..Asked::default() };
        let tester = match credential {
            Credential::Good => trusted.issue(theirs(tester_id)),
            Credential::OtherAuthority => foreign.issue(theirs(tester_id)),
            Credential::OtherName => trusted.issue(theirs("self::somebody-else")),
        };
        let agent = trusted.issue(theirs(agent_id));
        Self { trusted, _foreign: foreign, agent, tester, broker: None }
    }

    pub fn broker_port(&self) -> Option<u16> {
        self.broker.as_ref().map(|broker| broker.port)
    }

    pub fn client(&self) -> ClientTls {
        ClientTls {
            trust: Trust::File(self.trusted.file.clone()),
            identity: Some(self.identity()),
            versions: Versions::default(),
            expected_id: None,
            keyring: Keyring::default(),
            clock: Clock::default(),
        }
    }

    pub fn server(&self) -> ServerTls {
        ServerTls {
            identity: self.identity(),
            clients: Some(Trust::File(self.trusted.file.clone())),
            versions: Versions::default(),
            keyring: Keyring::default(),
            clock: Clock::default(),
        }
    }

    /// A broker's side of TLS that wants certificates.
    pub fn server_of_a_broker(&self) -> tokio_rustls::TlsAcceptor {
        let own = self.trusted.issue(Asked { names: &["localhost"], ..Asked::default() });
        crate::websocket::acceptor(&own, self.authority())
    }

    /// The certificate of the tester.
    pub fn tester(&self) -> &Issued {
        &self.tester
    }

    /// The file of the authority that both sides trust.
    pub fn authority(&self) -> &Path {
        &self.trusted.file
    }

    /// The tester's side of TLS as a client.
    pub async fn connect(&self, tcp: TcpStream) -> tokio_rustls::client::TlsStream<TcpStream> {
        use tokio_rustls::rustls::pki_types::pem::PemObject as _;
        use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
        use tokio_rustls::rustls::{ClientConfig, RootCertStore};
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.authority()).expect("an authority")).expect("an authority");
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_file(&self.tester.certificate).expect("a certificate")],
                PrivateKeyDer::from_pem_file(&self.tester.key).expect("a key"),
            )
            .expect("a client");
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        connector.connect(ServerName::try_from("localhost").expect("a name"), tcp).await.expect("TLS")
    }

    fn identity(&self) -> Identity {
        Identity { certificate: self.tester.certificate.clone(), key: self.tester.key.clone() }
    }

    /// The agent's files.
    pub fn tell(&self, section: &str, told: &mut Told) {
        let files =
            [("ca_file", &self.trusted.file), ("certificate", &self.agent.certificate), ("key", &self.agent.key)];
        for (option, file) in files {
            told.config.push_str(&format!(" option {option} '{}'\n", file.display()));
            told.fact(section, &option.to_uppercase(), file.display());
        }
    }
}

/// A broker that wants certificates.
fn broker(authority: &Authority) -> Option<Mosquitto> {
    let own = authority.issue(Asked { names: &["localhost"], ..Asked::default() });
    Mosquitto::start(|_| {
        format!(
            "allow_anonymous true\ncafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true",
            authority.file.display(),
            own.certificate.display(),
            own.key.display()
        )
    })
}

fn supported_protocol() -> ReqType {
    ReqType::GetSupportedProtocol(GetSupportedProtocol { controller_supported_protocol_versions: "1.4".to_owned() })
}

pub async fn x509_certificates_at_the_mtp_layer(t: &mut Bench) {
    let response = t.ask(supported_protocol()).await;
    let Ok(RespType::GetSupportedProtocolResp(response)) = response else { panic!("{response:?}") };
    assert!(response.agent_supported_protocol_versions.split(',').any(|version| version == "1.4"));
}

/// 2.3 and 2.4: "the EUT does not respond to the Get message", if it lets the tester send one at all.
pub async fn does_not_respond(t: &mut Bench) {
    if !t.has_channel_within(Duration::from_secs(3)).await {
        return;
    }
    let id = t.send(ReqType::Get(usp_agent::usp::wire::msg::Get {
        param_paths: vec!["Device.LocalAgent.".to_owned()],
        max_depth: 0,
    }));
    let answer = t.answer(&id, Duration::from_secs(3)).await;
    assert!(answer.is_none(), "{answer:?}");
}
