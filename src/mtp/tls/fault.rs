//! What went wrong with TLS, as one sentence that says what to check.

use super::Identity;
use crate::mtp::class::{Class, Why};
use crate::{calendar, certificate};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why there is no TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsFault {
    /// A file of ours is missing or of no use.
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The host is neither a name nor an address.
    BadHost(Box<str>),
    /// The peer's certificate was refused, or it refused ours, or it does not speak TLS.
    Handshake(Class, String),
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsFault::File { path, why } => write!(f, "{} {why}", path.display()),
            TlsFault::BadHost(host) => write!(f, "\"{host}\" is neither a host name nor an address"),
            TlsFault::Handshake(_, why) => f.write_str(why),
        }
    }
}

impl std::error::Error for TlsFault {}

impl From<TlsFault> for Why {
    fn from(fault: TlsFault) -> Self {
        let class = match &fault {
            TlsFault::File { .. } => Class::File,
            TlsFault::BadHost(_) => Class::Configuration,
            TlsFault::Handshake(class, _) => *class,
        };
        Why::new(class, fault.to_string())
    }
}

impl TlsFault {
    pub(super) fn setup(error: impl fmt::Display) -> Self {
        TlsFault::Handshake(Class::Tls, format!("TLS cannot be set up: {error}"))
    }

    pub(super) fn identity(identity: &Identity, error: &Error) -> Self {
        let why = match error {
            Error::InconsistentKeys(_) => {
                format!("does not belong to the private key {}", identity.key.display())
            }
            error => format!("and {} cannot be used together: {error}", identity.key.display()),
        };
        TlsFault::File { path: identity.certificate.clone(), why }
    }

    /// A handshake that ended in an I/O error, with the TLS reason inside where there is one.
    pub(super) fn of_handshake(error: &io::Error) -> Self {
        TlsFault::of_io(error).unwrap_or_else(|| {
            let closed = matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset);
            TlsFault::Handshake(
                if closed { Class::TlsSilent } else { Class::Tls },
                match closed {
                    true => "the peer closed the connection during the TLS handshake: does that port speak TLS?".into(),
                    false => format!("the TLS handshake failed: {error}"),
                },
            )
        })
    }

    /// The TLS reason inside an I/O error.
    pub(in crate::mtp) fn of_io(error: &io::Error) -> Option<Self> {
        let error = error.get_ref()?.downcast_ref::<Error>()?;
        let class = match error {
            Error::AlertReceived(alert) => class_of_alert(*alert),
            Error::InvalidMessage(what) if is_foreign(what) => Class::TlsSilent,
            Error::PeerIncompatible(_) => Class::TlsVersion,
            Error::InvalidCertificate(reason) => class_of_certificate(reason),
            _ => Class::Tls,
        };
        let why = match error {
            Error::AlertReceived(alert) => alert_sentence(*alert),
            Error::InvalidMessage(what) if is_foreign(what) => "the peer does not speak TLS on that port".into(),
            Error::NoCertificatesPresented => {
                "the peer presented no certificate: it needs one of an authority trusted here".into()
            }
            Error::PeerIncompatible(reason) => incompatible(reason).into(),
            Error::InvalidCertificate(reason) => certificate_sentence(reason, "the peer's certificate"),
            error => format!("TLS failed: {error}"),
        };
        Some(TlsFault::Handshake(class, why))
    }

    /// A server's certificate that was refused. `alone`: it came without intermediates.
    pub(super) fn refused(error: &Error, certificate: &CertificateDer<'_>, alone: bool, trust: &Path) -> Self {
        let (issuer, subject) = certificate::issuer_and_subject(certificate).unwrap_or_default();
        let which = format!("the server's certificate \"{subject}\"");
        let class = match error {
            Error::InvalidCertificate(reason) => class_of_certificate(reason),
            _ => Class::TlsCertificate,
        };
        let why = match error {
            Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                let alone = if alone { ", and the server sent no intermediate certificate" } else { "" };
                format!("{which} is issued by \"{issuer}\", which is not trusted by {}{alone}", trust.display())
            }
            Error::InvalidCertificate(reason) => certificate_sentence(reason, &which),
            error => format!("{which} was refused: {error}"),
        };
        TlsFault::Handshake(class, why)
    }
}

fn certificate_sentence(reason: &CertificateError, which: &str) -> String {
    match reason {
        CertificateError::ExpiredContext { not_after, time } => {
            format!("{which} expired on {}; the clock says {}", day(not_after), day(time))
        }
        CertificateError::NotValidYetContext { not_before, time } => {
            format!("{which} is not valid before {}; the clock says {}", day(not_before), day(time))
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names =
                if presented.is_empty() { "no name (it has no subjectAltName)".into() } else { presented.join(", ") };
            format!("{which} is not for {} but for {names}", expected.to_str())
        }
        CertificateError::UnknownIssuer => format!("{which} is of an authority that is not trusted"),
        reason if is_authority(reason) => {
            format!("{which} is an authority's: name its file as the CA file to trust it as it is")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            format!("{which} is not made for this purpose (extended key usage)")
        }
        CertificateError::Revoked => format!("{which} is revoked: it stands on a list of crl_file"),
        CertificateError::BadEncoding => format!("{which} cannot be read"),
        CertificateError::BadSignature => format!("{which} has a wrong signature"),
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            format!("{which} is signed in a way that is not supported here")
        }
        CertificateError::UnhandledCriticalExtension => format!("{which} has a critical extension unknown here"),
        CertificateError::Other(other) => format!("{which} was refused: {}", other_reason(other)),
        reason => format!("{which} was refused: {reason}"),
    }
}

/// An authority's certificate that a server shows as its own, as self-signed ones often are.
fn is_authority(reason: &CertificateError) -> bool {
    matches!(reason, CertificateError::Other(other) if webpki_error(other) == Some(&webpki::Error::CaUsedAsEndEntity))
}

/// What rustls has no error for.
fn webpki_error(other: &OtherError) -> Option<&webpki::Error> {
    other.0.downcast_ref()
}

/// In words: what webpki and rustls call it is `Debug`, which programs of cross/build do not have.
fn other_reason(other: &OtherError) -> String {
    use webpki::Error;
    let Some(reason) = webpki_error(other) else { return other.to_string() };
    match reason {
        Error::EndEntityUsedAsCa => "one of its issuers is no authority",
        Error::NameConstraintViolation => "an issuer may not vouch for its name",
        Error::PathLenConstraintViolated | Error::MaximumPathDepthExceeded => "too many authorities in between",
        Error::UnsupportedCertVersion => "it is not of version 3",
        _ => "it is not well-formed, or not supported here",
    }
    .to_owned()
}

fn incompatible(reason: &PeerIncompatible) -> &'static str {
    match reason {
        PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon
        | PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired => "no common kind of signature in TLS",
        PeerIncompatible::NoKxGroupsInCommon
        | PeerIncompatible::NamedGroupsExtensionRequired
        | PeerIncompatible::KeyShareExtensionRequired => "no common key exchange in TLS",
        PeerIncompatible::NoCipherSuitesInCommon => "no common TLS cipher suite",
        _ => "no common TLS version or cipher suite: TLS 1.2 and 1.3 are spoken here",
    }
}

/// What came does not even begin as a record of TLS.
fn is_foreign(what: &InvalidMessage) -> bool {
    matches!(what, InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion)
}

fn class_of_certificate(reason: &CertificateError) -> Class {
    match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Class::TlsExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Class::TlsNotYet,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Class::TlsName,
        CertificateError::UnknownIssuer => Class::TlsIssuer,
        reason if is_authority(reason) => Class::TlsIssuer,
        _ => Class::TlsCertificate,
    }
}

fn class_of_alert(alert: AlertDescription) -> Class {
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => Class::TlsClientMissing,
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied => Class::TlsClientRefused,
        AlertDescription::ProtocolVersion => Class::TlsVersion,
        _ => Class::Tls,
    }
}

fn alert_sentence(alert: AlertDescription) -> String {
    let alert_name = alert.as_str().unwrap_or("unknown");
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            format!("the peer asks for a client certificate ({alert_name}): configure one")
        }
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied => format!("the peer refuses our certificate ({alert_name})"),
        AlertDescription::ProtocolVersion => "the peer does not accept our TLS versions".into(),
        _ => format!("the peer ended TLS with the alert {alert_name}"),
    }
}

fn day(time: &UnixTime) -> String {
    calendar::date(i64::try_from(time.as_secs()).unwrap_or(i64::MAX / 2))
}
