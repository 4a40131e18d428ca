//! Who the peer is: the chain to a trusted authority, the name or the endpoint id, the dates, the revocation lists.

use super::files::{self, Anchors};
use super::keyring::{Keyring, Keys, Known, Standing};
use super::{ClientTls, Clock, TlsFault, provider};
use crate::certificate;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, KeyUsage, RevocationOptionsBuilder,
    UnknownStatusPolicy,
};

/// What precedes an endpoint id in a subjectAltName (R-SEC, Certificates).
const URN: &str = "urn:bbf:usp:id:";
/// Endpoint ids taken from one certificate.
const MAX_IDS: usize = 16;
/// Times a chain is looked at with another date while the clock is not set: one per certificate.
const DATES_TRIED: usize = 8;
/// Handshakes whose outcome waits to be asked for.
const MAX_SEEN: usize = 16;

/// The endpoint ids a certificate carries; a DNS name is one of the scheme `fqdn` (R-SEC.0a).
pub fn endpoint_ids(certificate: &[u8]) -> Vec<Box<str>> {
    let der = CertificateDer::from(certificate);
    let Ok(parsed) = EndEntityCert::try_from(&der) else { return Vec::new() };
    let ids = parsed.valid_uri_names().filter_map(|uri| {
        let (urn, id) = uri.split_at_checked(URN.len())?;
        (urn.eq_ignore_ascii_case(URN) && !id.is_empty()).then(|| id.into())
    });
    let names = parsed.valid_dns_names().map(|name| format!("fqdn::{name}").into());
    ids.chain(names).take(MAX_IDS).collect()
}

/// Whose certificates are trusted for one link, and what was found of those that came.
struct Judge {
    roots: Vec<TrustAnchor<'static>>,
    pinned: Vec<CertificateDer<'static>>,
    keyring: Keyring,
    clock: Clock,
    /// The peer is a controller itself: one that nobody vouches for, or that is revoked, is for the agent to judge.
    direct: bool,
    usage: KeyUsage,
    seen: Mutex<Vec<(CertificateDer<'static>, Standing)>>,
}

impl Judge {
    /// Judges a certificate by everything but its names.
    fn judge(&self, end_entity: &CertificateDer<'_>, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Error> {
        let keys = self.keyring.now();
        // A broker is none of the controllers whose own certificates are kept.
        let same = |known: &&Known| known.der == *end_entity && (known.authority || self.direct);
        let stored = keys.known.iter().find(same).map(|known| known.section.clone());
        let mut standing = Standing { stored, ..Standing::default() };
        match self.chain(&keys, end_entity, chain, now) {
            Ok(anchor) => standing.anchor = anchor,
            Err(webpki::Error::CertRevoked) if self.direct => standing.revoked = true,
            Err(webpki::Error::CertRevoked) => return Err(CertificateError::Revoked.into()),
            Err(error) => {
                // A certificate that is trusted as it is needs no authority, but has dates (R-SEC.20).
                let known = standing.stored.is_some() || self.pinned.iter().any(|pinned| pinned == end_entity);
                standing.first_use = !known && self.direct && keys.first_use && has_id(end_entity);
                if !known && !standing.first_use {
                    return Err(refusal(error));
                }
                self.in_time(end_entity, now)?;
            }
        }
        if let Ok(mut seen) = self.seen.lock() {
            if seen.len() >= MAX_SEEN {
                seen.remove(0);
            }
            seen.push((end_entity.clone().into_owned(), standing));
        }
        Ok(())
    }

    /// The section of the authority the chain ends at, the nearest one; None where it is in the file of authorities.
    fn chain(
        &self,
        keys: &Keys,
        end_entity: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Option<Box<str>>, webpki::Error> {
        let (mut known, mut anchors) = (Vec::new(), Vec::new());
        for authority in keys.known.iter().filter(|known| known.authority) {
            if let Ok(anchor) = webpki::anchor_from_trusted_cert(&authority.der) {
                known.push(authority);
                anchors.push(anchor);
            }
        }
        let lists = keys.crl_file.as_deref().map(files::crls).unwrap_or_default();
        let mut parsed: Vec<CertRevocationList<'_>> = Vec::new();
        for list in &lists {
            match BorrowedCertRevocationList::from_der(list) {
                Ok(list) => parsed.push(list.into()),
                Err(error) => log::warn!("revocation=unknown cause=\"{error}\" effect=list-ignored"),
            }
        }
        let crls: Vec<&CertRevocationList<'_>> = parsed.iter().collect();
        match self.path(&anchors, &crls, end_entity, chain, now) {
            Ok(at) => Ok(known.get(at).map(|known| known.section.clone())),
            Err(webpki::Error::UnknownIssuer) => self.path(&self.roots, &crls, end_entity, chain, now).map(|_| None),
            Err(error) => Err(error),
        }
    }

    /// Which of the anchors the chain ends at. It is built from its near end, so that is the first that matches
    /// (R-SEC.25). While the clock is not set, at a time when the certificates are valid (R-SEC.19).
    fn path(
        &self,
        anchors: &[TrustAnchor<'_>],
        crls: &[&CertRevocationList<'_>],
        end_entity: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<usize, webpki::Error> {
        let parsed = EndEntityCert::try_from(end_entity)?;
        let algorithms = provider().signature_verification_algorithms.all;
        let check = |at: UnixTime| {
            let revocation = RevocationOptionsBuilder::new(crls).ok();
            let revocation = revocation.map(|b| b.with_status_policy(UnknownStatusPolicy::Allow).build());
            let path = parsed.verify_for_usage(algorithms, anchors, chain, at, self.usage, revocation, None)?;
            Ok(anchors.iter().position(|anchor| anchor == path.anchor()).unwrap_or(usize::MAX))
        };
        let mut at = now;
        for _ in 0..DATES_TRIED {
            at = match check(at) {
                Err(webpki::Error::CertExpired { not_after, .. }) if !self.clock.is_set() => not_after,
                Err(webpki::Error::CertNotValidYet { not_before, .. }) if !self.clock.is_set() => not_before,
                outcome => return outcome,
            };
        }
        check(at)
    }

    fn in_time(&self, certificate: &[u8], now: UnixTime) -> Result<(), Error> {
        let Some((from, to)) = certificate::validity(certificate).filter(|_| self.clock.is_set()) else {
            return Ok(());
        };
        let at = |seconds: i64| UnixTime::since_unix_epoch(Duration::from_secs(seconds.max(0).unsigned_abs()));
        if now < at(from) {
            return Err(CertificateError::NotValidYetContext { time: now, not_before: at(from) }.into());
        }
        if now > at(to) {
            return Err(CertificateError::ExpiredContext { time: now, not_after: at(to) }.into());
        }
        Ok(())
    }

    /// What was found of this certificate, once per handshake.
    fn take(&self, certificate: &[u8]) -> Standing {
        let Ok(mut seen) = self.seen.lock() else { return Standing::default() };
        let at = seen.iter().position(|(known, _)| known.as_ref() == certificate);
        at.map(|at| seen.remove(at).1).unwrap_or_default()
    }
}

/// It names an endpoint id of its own, not only a host.
fn has_id(certificate: &[u8]) -> bool {
    endpoint_ids(certificate).iter().any(|id| !id.starts_with("fqdn::"))
}

fn refusal(error: webpki::Error) -> Error {
    match error {
        webpki::Error::UnknownIssuer => CertificateError::UnknownIssuer.into(),
        webpki::Error::CertExpired { time, not_after } => CertificateError::ExpiredContext { time, not_after }.into(),
        webpki::Error::CertNotValidYet { time, not_before } => {
            CertificateError::NotValidYetContext { time, not_before }.into()
        }
        webpki::Error::BadDer => CertificateError::BadEncoding.into(),
        webpki::Error::InvalidSignatureForPublicKey => CertificateError::BadSignature.into(),
        webpki::Error::RequiredEkuNotFoundContext(_) => CertificateError::InvalidPurpose.into(),
        error => CertificateError::Other(OtherError(Arc::new(error))).into(),
    }
}

/// Verifies the server we dialed.
pub(super) struct ServerVerifier {
    /// Let go of after the handshake: a connection of TLS 1.3 keeps its verifier, and a bundle has 156 kB in memory;
    /// there is no second handshake that would need it.
    judge: Mutex<Option<Arc<Judge>>>,
    trust: PathBuf,
    host: String,
    expected_id: Option<Box<str>>,
    fault: Mutex<Option<TlsFault>>,
}

/// Rustls wants verifiers to have it, and writes none.
impl fmt::Debug for ServerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerVerifier")
    }
}

impl fmt::Debug for ClientVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientVerifier")
    }
}

impl ServerVerifier {
    pub(super) fn new(anchors: Anchors, settings: &ClientTls, host: &str) -> Self {
        let judge = Judge {
            roots: anchors.roots,
            pinned: anchors.pinned,
            keyring: settings.keyring.clone(),
            clock: settings.clock.clone(),
            direct: settings.expected_id.is_some(),
            usage: KeyUsage::server_auth(),
            seen: Mutex::default(),
        };
        ServerVerifier {
            judge: Mutex::new(Some(Arc::new(judge))),
            trust: anchors.path,
            host: host.into(),
            expected_id: settings.expected_id.clone(),
            fault: Mutex::new(None),
        }
    }

    /// The reason why the last certificate was refused.
    pub(super) fn fault(&self) -> Option<TlsFault> {
        self.fault.lock().ok()?.take()
    }

    /// How the server's certificate stands, and the end of what is only needed to find that out.
    pub(super) fn release(&self, certificate: Option<&[u8]>) -> Standing {
        let judge = self.judge.lock().ok().and_then(|mut judge| judge.take());
        judge.zip(certificate).map(|(judge, certificate)| judge.take(certificate)).unwrap_or_default()
    }

    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let judge = self.judge.lock().ok().and_then(|judge| judge.clone());
        judge.ok_or_else(|| Error::General("a second handshake".into()))?.judge(end_entity, intermediates, now)?;
        match rustls::client::verify_server_name(&rustls::server::ParsedCertificate::try_from(end_entity)?, name) {
            Err(_) if self.is_known_without_name(end_entity) => Ok(()),
            checked => checked,
        }
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
pub(super) struct ClientVerifier(Judge);

impl ClientVerifier {
    pub(super) fn new(anchors: Anchors, keyring: Keyring, clock: Clock) -> Self {
        ClientVerifier(Judge {
            roots: anchors.roots,
            pinned: anchors.pinned,
            keyring,
            clock,
            direct: true,
            usage: KeyUsage::client_auth(),
            seen: Mutex::default(),
        })
    }

    /// How a client's certificate stands.
    pub(super) fn take(&self, certificate: &[u8]) -> Standing {
        self.0.take(certificate)
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
        self.0.judge(end_entity, intermediates, now)?;
        Ok(ClientCertVerified::assertion())
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

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    fn certificate(names: &[&str], uris: &[&str]) -> CertificateDer<'static> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.subject_alt_names.extend(uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn verify(host: &str, expected_id: Option<&str>, certificate: &CertificateDer<'static>) -> Result<(), TlsFault> {
        let roots = vec![webpki::anchor_from_trusted_cert(certificate).unwrap().to_owned()];
        let anchors = Anchors { roots, pinned: vec![certificate.clone()], path: "ca.pem".into() };
        let settings = ClientTls { expected_id: expected_id.map(Into::into), ..ClientTls::default() };
        let verifier = ServerVerifier::new(anchors, &settings, host);
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let verified = verifier.verify_server_cert(certificate, &[], &name, &[], UnixTime::now());
        verified.map(|_| ()).map_err(|_| verifier.fault().unwrap())
    }

    #[test]
    fn the_endpoint_ids_of_a_certificate_are_found() {
        let uris = ["urn:bbf:usp:id:proto::one", "https://example", "URN:BBF:USP:ID:os::two%21", "urn:bbf:usp:id:"];
        let ids = endpoint_ids(&certificate(&["x.example"], &uris));
        assert_eq!(ids, ["proto::one".into(), "os::two%21".into(), "fqdn::x.example".into()]);
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
