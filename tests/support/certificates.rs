//! Certificates for tests: an authority, what it issues, and the PEM files of both.
#![allow(dead_code, unreachable_pub)]

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType, date_time_ymd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that is gone when the test is.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("usp-agent-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The files of one certificate.
#[derive(Clone)]
pub struct Issued {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What a certificate says.
#[derive(Default)]
pub struct Asked<'a> {
    pub names: &'a [&'a str],
    pub endpoint_id: Option<&'a str>,
    pub years: Option<(i32, i32)>,
}

/// A certificate authority.
pub struct Authority {
    pub folder: Folder,
    pub file: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = Folder::new();
        let file = folder.write("ca.pem", &issuer.pem());
        Authority { folder, file, issuer }
    }

    pub fn issue(&self, asked: Asked<'_>) -> Issued {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let key = KeyPair::generate().unwrap();
        let certificate = params(&asked).signed_by(&key, &self.issuer).unwrap();
        Issued {
            certificate: self.folder.write(&format!("{number}.pem"), &certificate.pem()),
            key: self.folder.write(&format!("{number}.key"), &key.serialize_pem()),
        }
    }
}

/// A certificate that vouches for itself.
pub fn self_signed(folder: &Folder, asked: Asked<'_>) -> Issued {
    let key = KeyPair::generate().unwrap();
    let mut params = params(&asked);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    Issued {
        certificate: folder.write("self.pem", &certificate.pem()),
        key: folder.write("self.key", &key.serialize_pem()),
    }
}

fn params(asked: &Asked<'_>) -> CertificateParams {
    let names: Vec<String> = asked.names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "test peer");
    if let Some(id) = asked.endpoint_id {
        params.subject_alt_names.push(SanType::URI(format!("urn:bbf:usp:id:{id}").try_into().unwrap()));
    }
    if let Some((from, to)) = asked.years {
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
    }
    params
}
