//! TP-469 2.3, 2.4 and 4.1: certificates at the MTP, and what they are made of.

use std::time::Duration;

use usp_agent::mtp::tls::{ClientTls, Clock, Identity, ServerTls, Trust, Versions};
use usp_agent::usp::wire::msg::GetSupportedProtocol;
use usp_agent::usp::wire::msg::request::ReqType;
use usp_agent::usp::wire::msg::response::RespType;

use crate::bench::{Bench, Transport};
use crate::certificates::{Asked, Authority, Issued};
use crate::mosquitto::Mosquitto;

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
        let (trusted, foreign) = (Authority::new("trusted"), Authority::new("foreign"));
        let theirs = |id| Asked { names: &["localhost"], endpoint_id: Some(id), ..Asked::default() };
        let tester = match credential {
            Credential::Good => trusted.issue(theirs(tester_id)),
            Credential::OtherAuthority => foreign.issue(theirs(tester_id)),
            Credential::OtherName => trusted.issue(theirs("self::somebody-else")),
        };
        let agent = trusted.issue(theirs(agent_id));
        let broker = transport.needs_broker().then(|| broker(&trusted)).flatten();
        Self { trusted, _foreign: foreign, agent, tester, broker }
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
            clock: Clock::default(),
        }
    }

    pub fn server(&self) -> ServerTls {
        ServerTls {
            identity: self.identity(),
            clients: Some(Trust::File(self.trusted.file.clone())),
            versions: Versions::default(),
            clock: Clock::default(),
        }
    }

    fn identity(&self) -> Identity {
        Identity { certificate: self.tester.certificate.clone(), key: self.tester.key.clone() }
    }

    /// The agent's options.
    pub fn options(&self) -> String {
        let files =
            [("ca_file", &self.trusted.file), ("certificate", &self.agent.certificate), ("key", &self.agent.key)];
        files.iter().map(|(option, file)| format!(" option {option} '{}'\n", file.display())).collect()
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
