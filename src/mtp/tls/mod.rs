//! TLS 1.2 and 1.3 for every transport: what is trusted, who we are, and what is said when it fails.
//!
//! A peer must present a certificate, as client too where asked (R-MTP.1). It is never accepted
//! unverified: there is no switch for that. Validity dates are ignored only while the clock is not
//! set (R-MTP.2, R-MTP.3). Revocation lists are not fetched; those in a file count.
//!
//! Who signed a certificate is found out here ([`Standing`]); what follows from that, the agent decides.

mod fault;
mod files;
mod keyring;
mod provider;
mod verify;

pub use fault::TlsFault;
pub use keyring::{Keyring, Keys, Known, Standing};
pub use verify::endpoint_ids;

use provider::provider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion, version};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpStream;

/// The bundle of OpenWrt's package ca-bundle.
pub const CA_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Whether the system clock is set; shared by every link and written by the daemon.
#[derive(Debug, Clone)]
pub struct Clock(Arc<AtomicBool>);

impl Clock {
    /// A clock that is set, or not yet.
    pub fn new(is_set: bool) -> Self {
        Clock(Arc::new(AtomicBool::new(is_set)))
    }

    /// Absolute time became available.
    pub fn mark_set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Dates can be checked.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Clock::new(true)
    }
}

/// Whose certificates are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// A file of authorities, usually [`CA_BUNDLE`]: read when a connection needs it, not kept.
    Bundle(PathBuf),
    /// A file named by the owner: authorities, and certificates of peers trusted as they are.
    File(PathBuf),
}

impl Default for Trust {
    fn default() -> Self {
        Trust::Bundle(CA_BUNDLE.into())
    }
}

/// Our own certificate (with its chain) and private key, both PEM; the key PKCS#8, SEC1 or PKCS#1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The end-entity certificate first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Protocol versions offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Versions {
    /// TLS 1.3, or 1.2 where the peer has no better.
    #[default]
    Both,
    /// TLS 1.2 only.
    Only12,
    /// TLS 1.3 only.
    Only13,
}

impl Versions {
    fn supported(self) -> Vec<&'static SupportedProtocolVersion> {
        match self {
            Versions::Both => vec![&version::TLS13, &version::TLS12],
            Versions::Only12 => vec![&version::TLS12],
            Versions::Only13 => vec![&version::TLS13],
        }
    }
}

/// TLS as a client.
#[derive(Debug, Clone, Default)]
pub struct ClientTls {
    /// Whose certificates are trusted.
    pub trust: Trust,
    /// The client certificate, presented where the server asks for one.
    pub identity: Option<Identity>,
    /// Protocol versions offered.
    pub versions: Versions,
    /// The peer's endpoint id, where it is a controller itself: a certificate that carries it is good without the
    /// host's name, and one that nobody vouches for may be let in.
    pub expected_id: Option<Box<str>>,
    /// What else is trusted.
    pub keyring: Keyring,
    /// Whether dates can be checked.
    pub clock: Clock,
}

impl ClientTls {
    /// Reads the files afresh, so that a renewed certificate or CA is taken up by the next try.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub(crate) fn connector(&self, host: &str) -> Result<Connector, TlsFault> {
        let anchors = files::anchors(&self.trust)?;
        let verifier = Arc::new(verify::ServerVerifier::new(anchors, self, host));
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&self.versions.supported())
            .map_err(TlsFault::setup)?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone());
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = files::identity(identity)?;
                builder.with_client_auth_cert(chain, key).map_err(|e| TlsFault::identity(identity, &e))?
            }
        };
        // A session is long-lived; a cache for resumption would only hold memory.
        config.resumption = rustls::client::Resumption::disabled();
        let name = ServerName::try_from(host.to_owned()).map_err(|_| TlsFault::BadHost(host.into()))?;
        Ok(Connector { config: Arc::new(config), name, verifier })
    }
}

/// A client configuration bound to one host.
pub(crate) struct Connector {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    verifier: Arc<verify::ServerVerifier>,
}

impl Connector {
    /// The handshake; the caller bounds it.
    pub(crate) async fn connect(
        &self,
        tcp: TcpStream,
    ) -> Result<(tokio_rustls::client::TlsStream<TcpStream>, Standing), TlsFault> {
        let handshake = tokio_rustls::TlsConnector::from(self.config.clone()).connect(self.name.clone(), tcp);
        let outcome = handshake.await;
        let certificate = outcome.as_ref().ok().and_then(|tls| peer_certificate(tls.get_ref().1));
        let standing = self.verifier.release(certificate);
        let outcome = outcome.map_err(|error| self.verifier.fault().unwrap_or_else(|| TlsFault::of_handshake(&error)));
        outcome.map(|tls| (tls, standing))
    }
}

/// TLS as a server.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// Our certificate and key.
    pub identity: Identity,
    /// Whose client certificates are trusted; None: clients present none. R-MTP.1 wants `Some`.
    pub clients: Option<Trust>,
    /// Protocol versions accepted.
    pub versions: Versions,
    /// What else is trusted.
    pub keyring: Keyring,
    /// Whether dates can be checked.
    pub clock: Clock,
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub(crate) fn acceptor(&self) -> Result<Acceptor, TlsFault> {
        let (chain, key) = files::identity(&self.identity)?;
        let verifier = match &self.clients {
            None => None,
            Some(trust) => {
                let (anchors, keyring) = (files::anchors(trust)?, self.keyring.clone());
                Some(Arc::new(verify::ClientVerifier::new(anchors, keyring, self.clock.clone())))
            }
        };
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&self.versions.supported())
            .map_err(TlsFault::setup)?;
        let builder = match &verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier.clone()),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|e| TlsFault::identity(&self.identity, &e))?;
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Acceptor { inner: Arc::new(config).into(), verifier })
    }
}

/// A server configuration ready to accept.
#[derive(Clone)]
pub(crate) struct Acceptor {
    inner: tokio_rustls::TlsAcceptor,
    verifier: Option<Arc<verify::ClientVerifier>>,
}

impl Acceptor {
    /// The handshake; the caller bounds it.
    pub(crate) async fn accept(
        &self,
        tcp: TcpStream,
    ) -> Result<(tokio_rustls::server::TlsStream<TcpStream>, Standing), TlsFault> {
        let accepted = self.inner.accept(tcp).await.map_err(|error: io::Error| TlsFault::of_handshake(&error))?;
        let certificate = peer_certificate(accepted.get_ref().1);
        let standing =
            self.verifier.as_ref().zip(certificate).map(|(verifier, certificate)| verifier.take(certificate));
        let standing = standing.unwrap_or_default();
        Ok((accepted, standing))
    }
}

/// The end-entity certificate of the other side.
fn peer_certificate(connection: &rustls::CommonState) -> Option<&[u8]> {
    connection.peer_certificates()?.first().map(AsRef::as_ref)
}
