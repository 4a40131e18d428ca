//! Certificates for tests: an authority, what it issues, and the PEM files of both.
#![allow(dead_code, unreachable_pub)]

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
    date_time_ymd,
};
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
    pub serial: Option<u64>,
    /// Its extended key usage lets clients show it, and servers not.
    pub only_client: bool,
}

/// A certificate authority.
pub struct Authority {
    pub folder: Folder,
    pub file: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// The certificates between it and a root, its own first.
    chain: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = Folder::new();
        let file = folder.write("ca.pem", &issuer.pem());
        Authority { folder, file, issuer, chain: String::new() }
    }

    /// An authority that this one vouches for. What it issues comes with its own certificate.
    pub fn below(&self, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &*self.issuer).unwrap();
        let folder = Folder::new();
        let file = folder.write("ca.pem", &issuer.pem());
        let chain = format!("{}{}", issuer.pem(), self.chain);
        Authority { folder, file, issuer, chain }
    }

    /// A list that revokes these serial numbers.
    pub fn revoke(&self, serials: &[u64]) -> PathBuf {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2025, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 1, 1),
            next_update: date_time_ymd(2049, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        self.folder.write("crl.pem", &list.signed_by(&*self.issuer).unwrap().pem().unwrap())
    }

    pub fn issue(&self, asked: Asked<'_>) -> Issued {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let key = KeyPair::generate().unwrap();
        let certificate = params(&asked).signed_by(&key, &self.issuer).unwrap();
        Issued {
            certificate: self.folder.write(&format!("{number}.pem"), &format!("{}{}", certificate.pem(), self.chain)),
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
    if asked.only_client {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    }
    params.serial_number = asked.serial.map(SerialNumber::from);
    if let Some((from, to)) = asked.years {
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
    }
    params
}
