//! Certificates and keys from PEM files, read whole and with a limit.

use super::{Identity, TlsFault, Trust};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, TrustAnchor};
use std::path::{Path, PathBuf};

/// The largest PEM file that is read, in bytes; a full CA bundle has 220 kB.
const MAX_PEM: u64 = 2 * 1024 * 1024;

/// What a [`Trust`] file holds.
pub(super) struct Anchors {
    pub(super) roots: Vec<TrustAnchor<'static>>,
    /// Certificates trusted as they are, when the owner named the file.
    pub(super) pinned: Vec<CertificateDer<'static>>,
    pub(super) path: PathBuf,
}

/// Reads the trusted certificates.
pub(super) fn anchors(trust: &Trust) -> Result<Anchors, TlsFault> {
    let (Trust::Bundle(path) | Trust::File(path)) = trust;
    let pem = read(path)?;
    let mut anchors = Anchors { roots: Vec::new(), pinned: Vec::new(), path: path.clone() };
    for certificate in CertificateDer::pem_slice_iter(&pem).flatten() {
        if matches!(trust, Trust::File(_)) {
            anchors.pinned.push(certificate.clone());
        }
        // A bundle may hold certificates no verifier can use; the others still serve.
        anchors.roots.extend(webpki::anchor_from_trusted_cert(&certificate).map(|anchor| anchor.to_owned()));
    }
    match anchors.roots.is_empty() {
        true => Err(TlsFault::File { path: path.clone(), why: "holds no certificate in PEM form".into() }),
        false => Ok(anchors),
    }
}

/// Reads revocation lists. A file that cannot be read revokes nothing: it is told.
pub(super) fn crls(path: &Path) -> Vec<CertificateRevocationListDer<'static>> {
    let pem = read(path).inspect_err(|fault| log::warn!("revocation=unknown cause=\"{fault}\"")).unwrap_or_default();
    CertificateRevocationListDer::pem_slice_iter(&pem).flatten().collect()
}

/// Reads our certificate chain and private key.
pub(super) fn identity(
    identity: &Identity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsFault> {
    let pem = read(&identity.certificate)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem).flatten().collect();
    if chain.is_empty() {
        let why = "holds no certificate in PEM form".into();
        return Err(TlsFault::File { path: identity.certificate.clone(), why });
    }
    let pem = read(&identity.key)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| TlsFault::File {
        path: identity.key.clone(),
        why: "holds no private key in PEM form (PKCS#8, SEC1 or PKCS#1, not encrypted)".into(),
    })?;
    Ok((chain, key))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsFault> {
    let fault = |why: String| TlsFault::File { path: path.into(), why };
    let size = std::fs::metadata(path).map_err(|e| fault(format!("cannot be read: {e}")))?.len();
    if size > MAX_PEM {
        return Err(fault(format!("has {size} bytes, the limit is {MAX_PEM}")));
    }
    std::fs::read(path).map_err(|e| fault(format!("cannot be read: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, content: &[u8]) -> PathBuf {
        let path = std::env::temp_dir().join(format!("usp-agent-pem-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        path
    }

    #[test]
    fn keys_are_read_in_all_three_forms() {
        let certificate = rcgen::generate_simple_self_signed(vec!["x.example".into()]).unwrap();
        let certificate = file("certificate", certificate.cert.pem().as_bytes());
        for (label, expected) in [("PRIVATE KEY", "Pkcs8"), ("EC PRIVATE KEY", "Sec1"), ("RSA PRIVATE KEY", "Pkcs1")] {
            let pem = format!("-----BEGIN {label}-----\nAQIDBA==\n-----END {label}-----\n");
            let key = file("key", pem.as_bytes());
            let (chain, read) = identity(&Identity { certificate: certificate.clone(), key: key.clone() }).unwrap();
            let form = match read {
                PrivateKeyDer::Pkcs8(_) => "Pkcs8",
                PrivateKeyDer::Sec1(_) => "Sec1",
                PrivateKeyDer::Pkcs1(_) => "Pkcs1",
                _ => "other",
            };
            assert_eq!((chain.len(), form), (1, expected));
            let _ = std::fs::remove_file(key);
        }
        let _ = std::fs::remove_file(certificate);
    }

    #[test]
    fn files_of_no_use_are_named_with_the_reason() {
        let empty = file("empty", b"nothing here");
        let why = anchors(&Trust::File(empty.clone())).err().unwrap().to_string();
        assert!(why.contains("usp-agent-pem") && why.contains("holds no certificate"), "{why}");
        let large = file("large", &vec![b'x'; usize::try_from(MAX_PEM).unwrap() + 1]);
        let why = anchors(&Trust::Bundle(large.clone())).err().unwrap().to_string();
        assert!(why.contains("the limit is"), "{why}");
        [empty, large].iter().for_each(|path| drop(std::fs::remove_file(path)));
    }
}
