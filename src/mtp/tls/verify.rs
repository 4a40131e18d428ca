//! Who the peer is: the chain to a trusted authority, the name or the endpoint id, the dates.

use super::files::Anchors;
use super::{ClientTls, Clock, TlsFault, der, provider};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What precedes an endpoint id in a subjectAltName (R-SEC, Certificates).
const URN: &str = "urn:bbf:usp:id:";
/// Endpoint ids taken from one certificate.
const MAX_IDS: usize = 16;
/// Times a chain is looked at with another date while the clock is not set: one per certificate.
const DATES_TRIED: usize = 8;

/// The endpoint ids a certificate carries.
pub fn endpoint_ids(certificate: &[u8]) -> Vec<Box<str>> {
    let der = CertificateDer::from(certificate);
    let Ok(parsed) = webpki::EndEntityCert::try_from(&der) else { return Vec::new() };
    let ids = parsed.valid_uri_names().filter_map(|uri| {
        let (urn, id) = uri.split_at_checked(URN.len())?;
        (urn.eq_ignore_ascii_case(URN) && !id.is_empty()).then(|| id.into())
    });
    ids.take(MAX_IDS).collect()
}

/// Runs a check now; while the clock is not set, at a time when the certificates are valid (R-MTP.2).
fn at_a_good_time<T>(clock: &Clock, now: UnixTime, check: impl Fn(UnixTime) -> Result<T, Error>) -> Result<T, Error> {
    let mut at = now;
    for _ in 0..DATES_TRIED {
        at = match check(at) {
            Err(Error::InvalidCertificate(error)) if !clock.is_set() => match error {
                CertificateError::ExpiredContext { not_after, .. } => not_after,
                CertificateError::NotValidYetContext { not_before, .. } => not_before,
                error => return Err(error.into()),
            },
            outcome => return outcome,
        };
    }
    check(at)
}

#[derive(Debug)]
struct Trusted {
    chain: Arc<WebPkiServerVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

/// Verifies the server we dialed.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    trusted: Mutex<Option<Arc<Trusted>>>,
    trust: PathBuf,
    host: String,
    expected_id: Option<Box<str>>,
    clock: Clock,
    fault: Mutex<Option<TlsFault>>,
}

impl ServerVerifier {
    pub(super) fn new(anchors: Anchors, settings: &ClientTls, host: &str) -> Result<Self, TlsFault> {
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(anchors.roots), provider())
            .build()
            .map_err(TlsFault::setup)?;
        Ok(ServerVerifier {
            trusted: Mutex::new(Some(Arc::new(Trusted { chain, pinned: anchors.pinned }))),
            trust: anchors.path,
            host: host.into(),
            expected_id: settings.expected_id.clone(),
            clock: settings.clock.clone(),
            fault: Mutex::new(None),
        })
    }

    /// The reason why the last certificate was refused.
    pub(super) fn fault(&self) -> Option<TlsFault> {
        self.fault.lock().ok()?.take()
    }

    /// Lets go of the trusted certificates. A connection of TLS 1.3 keeps its verifier, and a bundle
    /// has 156 kB in memory; there is no second handshake that would need it.
    pub(super) fn release(&self) {
        if let Ok(mut trusted) = self.trusted.lock() {
            *trusted = None;
        }
    }

    fn trusted(&self) -> Result<Arc<Trusted>, Error> {
        let trusted = self.trusted.lock().ok().and_then(|trusted| trusted.clone());
        trusted.ok_or_else(|| Error::General("a second handshake".into()))
    }

    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let Trusted { chain, pinned } = &*self.trusted()?;
        let checked = match pinned.iter().any(|known| known == end_entity) {
            true => self.check_pinned(end_entity, name, now),
            false => at_a_good_time(&self.clock, now, |at| {
                chain.verify_server_cert(end_entity, intermediates, name, &[], at).map(|_| ())
            }),
        };
        match checked {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.is_known_without_name(end_entity) => Ok(()),
            checked => checked,
        }
    }

    /// A certificate the owner named needs no authority.
    fn check_pinned(
        &self,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        if let (true, Some((from, to))) = (self.clock.is_set(), der::validity(certificate)) {
            let at = |seconds: i64| UnixTime::since_unix_epoch(Duration::from_secs(seconds.max(0).unsigned_abs()));
            if now < at(from) {
                return Err(CertificateError::NotValidYetContext { time: now, not_before: at(from) }.into());
            }
            if now > at(to) {
                return Err(CertificateError::ExpiredContext { time: now, not_after: at(to) }.into());
            }
        }
        rustls::client::verify_server_name(&rustls::server::ParsedCertificate::try_from(certificate)?, name)
    }

    /// The decision flow of R-MTP.4: the endpoint id stands in for the name, and home names have none.
    fn is_known_without_name(&self, certificate: &CertificateDer<'_>) -> bool {
        let host = self.host.trim_end_matches('.').to_ascii_lowercase();
        host.ends_with(".local")
            || host.ends_with(".home.arpa")
            || self.expected_id.as_ref().is_some_and(|id| endpoint_ids(certificate).contains(id))
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity, intermediates, server_name, now).inspect_err(|error| {
            let fault = TlsFault::refused(error, end_entity, intermediates.is_empty(), &self.trust);
            if let Ok(mut slot) = self.fault.lock() {
                *slot = Some(fault);
            }
        })?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Verifies the clients of our own listener, which must present a certificate (R-MTP.1).
#[derive(Debug)]
pub(super) struct ClientVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    clock: Clock,
}

impl ClientVerifier {
    pub(super) fn new(anchors: Anchors, clock: Clock) -> Result<Self, TlsFault> {
        let chain = WebPkiClientVerifier::builder_with_provider(Arc::new(anchors.roots), provider())
            .build()
            .map_err(TlsFault::setup)?;
        Ok(ClientVerifier { chain, clock })
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // A bundle's 140 names would not fit the request of some clients.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        at_a_good_time(&self.clock, now, |at| self.chain.verify_client_cert(end_entity, intermediates, at))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SanType};
    use rustls::RootCertStore;

    fn certificate(names: &[&str], uris: &[&str]) -> CertificateDer<'static> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.subject_alt_names.extend(uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn verify(host: &str, expected_id: Option<&str>, certificate: &CertificateDer<'static>) -> Result<(), TlsFault> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let anchors = Anchors { roots, pinned: vec![certificate.clone()], path: "ca.pem".into() };
        let settings = ClientTls { expected_id: expected_id.map(Into::into), ..ClientTls::default() };
        let verifier = ServerVerifier::new(anchors, &settings, host).unwrap();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let verified = verifier.verify_server_cert(certificate, &[], &name, &[], UnixTime::now());
        verified.map(|_| ()).map_err(|_| verifier.fault().unwrap())
    }

    #[test]
    fn the_endpoint_ids_of_a_certificate_are_found() {
        let uris = ["urn:bbf:usp:id:proto::one", "https://example", "URN:BBF:USP:ID:os::two%21", "urn:bbf:usp:id:"];
        let ids = endpoint_ids(&certificate(&["x.example"], &uris));
        assert_eq!(ids, ["proto::one".into(), "os::two%21".into()]);
        assert!(endpoint_ids(b"no certificate").is_empty());
    }

    #[test]
    fn a_name_must_fit_with_wildcards() {
        let certificate = certificate(&["*.example.net"], &[]);
        assert_eq!(verify("c.example.net", None, &certificate), Ok(()));
        for wrong in ["example.net", "a.b.example.net", "c.example.org", "192.0.2.1"] {
            assert!(verify(wrong, None, &certificate).is_err(), "{wrong}");
        }
    }

    #[test]
    fn home_names_and_the_expected_endpoint_id_need_no_name() {
        let certificate = certificate(&["other.example"], &["urn:bbf:usp:id:proto::one"]);
        for host in ["router.local", "router.home.arpa.", "Router.LOCAL"] {
            assert_eq!(verify(host, None, &certificate), Ok(()), "{host}");
        }
        assert_eq!(verify("c.example", Some("proto::one"), &certificate), Ok(()));
        assert!(verify("c.example", Some("proto::two"), &certificate).is_err());
        assert!(verify("router.local.example", None, &certificate).is_err());
    }
}
