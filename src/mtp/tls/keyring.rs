//! What the configuration keeps of certificates, shared by every link: a change counts from the next handshake on, and
//! ends no session.

use rustls::pki_types::CertificateDer;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// A certificate of the configuration.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its section.
    pub section: Box<str>,
    /// The certificate.
    pub der: CertificateDer<'static>,
    /// What it signed is trusted for a connection.
    pub authority: bool,
}

/// Everything the keyring holds.
#[derive(Debug, Default)]
pub struct Keys {
    /// The certificates.
    pub known: Vec<Known>,
    /// A peer that names its endpoint id and that nobody vouches for is let in, and marked so ([`Standing::first_use`]).
    pub first_use: bool,
    /// Revocation lists, read with every handshake.
    pub crl_file: Option<PathBuf>,
}

/// The keys that count now.
#[derive(Debug, Clone, Default)]
pub struct Keyring(Arc<Mutex<Arc<Keys>>>);

impl Keyring {
    /// Other keys count from now on.
    pub fn replace(&self, keys: Keys) {
        if let Ok(mut now) = self.0.lock() {
            *now = Arc::new(keys);
        }
    }

    pub(super) fn now(&self) -> Arc<Keys> {
        self.0.lock().map(|keys| keys.clone()).unwrap_or_default()
    }
}

/// How a peer's certificate stands to what is trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The section that holds this very certificate.
    pub stored: Option<Box<str>>,
    /// The section of the nearest authority in its chain; None where that is in the CA file.
    pub anchor: Option<Box<str>>,
    /// Nobody vouches for it.
    pub first_use: bool,
    /// Its authority has revoked it: the session is there to tell who it is, and for nothing else.
    pub revoked: bool,
}
