//! What a certificate says of itself: names, dates, serial number. Decides nothing about trust.

use crate::{base64, calendar};
use std::fmt::Write as _;

/// The largest certificate that is taken, in bytes.
pub const MAX_CERTIFICATE: usize = 16 * 1024;

/// The bytes of a certificate: the first of a PEM text, or bare base64. None where the text holds none.
pub fn from_text(text: &str) -> Option<Vec<u8>> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    let body = match text.split_once(BEGIN) {
        Some((_, rest)) => rest.split_once("-----END CERTIFICATE-----")?.0,
        None => text,
    };
    let der = base64::decode(body)?;
    (der.len() <= MAX_CERTIFICATE && fields(&der).is_some_and(|fields| fields.len() >= 6)).then_some(der)
}

/// The serial number in hexadecimal digits, and the issuer as RFC 4514 writes it.
pub fn serial_and_issuer(certificate: &[u8]) -> Option<(String, String)> {
    let fields = fields(certificate)?;
    let mut serial = String::new();
    for byte in fields.first()?.1 {
        let _ = write!(serial, "{byte:02X}");
    }
    Some((serial, distinguished_name(fields.get(2)?.1)))
}

/// What the extension for the subject's other names is called (2.5.29.17).
const ALTERNATIVE_NAMES: [u8; 3] = [0x55, 0x1d, 0x11];
/// Of what algorithms are called, the part all of RSA (1.2.840.113549.1.1) and of ECDSA (1.2.840.10045.4.3) share.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3];

/// The subject as RFC 4514 writes it.
pub fn subject(certificate: &[u8]) -> Option<String> {
    Some(distinguished_name(fields(certificate)?.get(4)?.1))
}

/// The subject's other names: host names, addresses, URIs, mail addresses.
pub fn alternative_names(certificate: &[u8]) -> Option<Vec<String>> {
    let extensions = fields(certificate)?.into_iter().find(|(tag, _)| *tag == 0xa3)?.1;
    let named = |parts: &Vec<(u8, &[u8])>| parts.first().is_some_and(|(_, oid)| **oid == ALTERNATIVE_NAMES);
    let names = elements(element(extensions)?.1).into_iter().map(|(_, one)| elements(one)).find(named)?;
    let all = elements(element(names.last()?.1)?.1).into_iter().filter_map(|(tag, name)| match (tag, name.len()) {
        (0x81 | 0x82 | 0x86, _) => Some(printable(name)),
        (0x87, 4) => <[u8; 4]>::try_from(name).ok().map(|address| std::net::Ipv4Addr::from(address).to_string()),
        (0x87, 16) => <[u8; 16]>::try_from(name).ok().map(|address| std::net::Ipv6Addr::from(address).to_string()),
        _ => None,
    });
    Some(all.collect())
}

/// The algorithm it is signed with, as RFC 8017 and RFC 5758 name it.
pub fn signature_algorithm(certificate: &[u8]) -> Option<&'static str> {
    let (oid, last) = elements(fields(certificate)?.get(1)?.1)
        .first()
        .and_then(|(_, oid)| oid.split_last().map(|(last, oid)| (oid, *last)))?;
    Some(match (oid, last) {
        (RSA, 5) => "sha1WithRSAEncryption",
        (RSA, 10) => "RSASSA-PSS",
        (RSA, 11) => "sha256WithRSAEncryption",
        (RSA, 12) => "sha384WithRSAEncryption",
        (RSA, 13) => "sha512WithRSAEncryption",
        (ECDSA, 2) => "ecdsa-with-SHA256",
        (ECDSA, 3) => "ecdsa-with-SHA384",
        (ECDSA, 4) => "ecdsa-with-SHA512",
        ([0x2b, 0x65], 0x70) => "Ed25519",
        _ => return None,
    })
}

/// The serial number and the issuer, encoded: together they tell one certificate from all others.
pub fn identity(certificate: &[u8]) -> Option<(&[u8], &[u8])> {
    let fields = fields(certificate)?;
    Some((fields.first()?.1, fields.get(2)?.1))
}

/// `CN=..., O=...` of the attributes that have a short name, the most particular first.
fn distinguished_name(sequence: &[u8]) -> String {
    const NAMES: [(u8, &str); 6] = [(3, "CN"), (6, "C"), (7, "L"), (8, "ST"), (10, "O"), (11, "OU")];
    let mut text = String::new();
    for (_, pair) in elements(sequence).into_iter().rev().flat_map(|(_, set)| elements(set)) {
        let parts = elements(pair);
        let [(_, [0x55, 0x04, kind]), (_, value), ..] = parts[..] else { continue };
        let Some((_, name)) = NAMES.iter().find(|(known, _)| known == kind) else { continue };
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{name}=");
        for c in printable(value).chars() {
            if ",+\"\\<>;=".contains(c) {
                text.push('\\');
            }
            text.push(c);
        }
    }
    text
}

/// One DER element: tag, content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// The contents of the elements of a sequence, at most 64 of them.
fn elements(mut der: &[u8]) -> Vec<(u8, &[u8])> {
    let mut found = Vec::new();
    while let (Some((tag, content, rest)), true) = (element(der), found.len() < 64) {
        found.push((tag, content));
        der = rest;
    }
    found
}

/// The fields of the to-be-signed part from the serial number on.
fn fields(certificate: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let (_, certificate, _) = element(certificate)?;
    let (_, signed, _) = element(certificate)?;
    let mut fields = elements(signed);
    if fields.first()?.0 == 0xa0 {
        fields.remove(0);
    }
    Some(fields)
}

/// Issuer and subject as text: the common name, else the organisation.
pub fn issuer_and_subject(certificate: &[u8]) -> Option<(String, String)> {
    let fields = fields(certificate)?;
    Some((name(fields.get(2)?.1), name(fields.get(4)?.1)))
}

/// notBefore and notAfter in seconds since 1970.
pub fn validity(certificate: &[u8]) -> Option<(i64, i64)> {
    let fields = fields(certificate)?;
    let dates = elements(fields.get(3)?.1);
    Some((seconds(dates.first()?)?, seconds(dates.get(1)?)?))
}

fn name(sequence: &[u8]) -> String {
    const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
    const ORGANISATION: [u8; 3] = [0x55, 0x04, 0x0a];
    let attribute = |oid: [u8; 3]| {
        elements(sequence).into_iter().flat_map(|(_, set)| elements(set)).find_map(|(_, pair)| {
            let parts = elements(pair);
            (parts.first()?.1 == oid).then(|| printable(parts.get(1).map_or(&[], |part| part.1)))
        })
    };
    attribute(COMMON_NAME).or_else(|| attribute(ORGANISATION)).unwrap_or_else(|| "(no name)".into())
}

/// Control characters of a peer's certificate have no business in a log.
fn printable(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).take(80).collect()
}

/// UTCTime (0x17) or GeneralizedTime (0x18), both in Z.
fn seconds((tag, text): &(u8, &[u8])) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let (year, rest) = match tag {
        0x17 => {
            let year: i64 = text.get(..2)?.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, text.get(2..)?)
        }
        0x18 => (text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let days = calendar::days(year, part(0)?, part(2)?);
    Some(days * 86_400 + part(4)? * 3600 + part(6)? * 60 + part(8)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    fn certificate() -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["router.example".into()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Test \u{7}CA");
        params.not_before = date_time_ymd(2024, 2, 29);
        params.not_after = date_time_ymd(2051, 12, 31);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn names_and_dates_are_read() {
        let der = certificate();
        assert_eq!(issuer_and_subject(&der), Some(("Test CA".into(), "Test CA".into())));
        let (from, to) = validity(&der).unwrap();
        assert_eq!((calendar::date(from), calendar::date(to)), ("2024-02-29".into(), "2051-12-31".into()));
    }

    #[test]
    fn serial_number_and_issuer_are_those_of_the_certificate() {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "DE");
        params.distinguished_name.push(DnType::OrganizationName, "Acme, Inc.");
        params.distinguished_name.push(DnType::CommonName, "Root");
        params.serial_number = Some(vec![0x0a, 0xff, 0x01].into());
        let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
        let expected = ("0AFF01".to_owned(), "CN=Root,O=Acme\\, Inc.,C=DE".to_owned());
        assert_eq!(serial_and_issuer(&der), Some(expected));
    }

    #[test]
    fn the_subject_has_other_names_and_a_signature_its_algorithm() {
        let mut params =
            CertificateParams::new(vec!["router.example".into(), "192.0.2.7".into(), "2001:db8::1".into()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Router");
        let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
        assert_eq!(subject(&der).as_deref(), Some("CN=Router"));
        assert_eq!(alternative_names(&der).unwrap(), ["router.example", "192.0.2.7", "2001:db8::1"]);
        assert_eq!(signature_algorithm(&der), Some("ecdsa-with-SHA256"));
        let bare = CertificateParams::new(vec![]).unwrap().self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(alternative_names(bare.der()), None);
    }

    #[test]
    fn a_certificate_is_read_with_and_without_its_armour() {
        let der = certificate();
        let bare = base64::encode(&der);
        let pem = format!("some words\n-----BEGIN CERTIFICATE-----\n{bare}\n-----END CERTIFICATE-----\nmore\n");
        assert_eq!(from_text(&pem), Some(der.clone()));
        assert_eq!(from_text(&bare), Some(der));
        for wrong in ["", "AAAA", "-----BEGIN CERTIFICATE-----\nAAAA", "-----BEGIN PRIVATE KEY-----\nAAAA"] {
            assert_eq!(from_text(wrong), None, "{wrong}");
        }
        let large = base64::encode(&vec![0x30; MAX_CERTIFICATE + 1]);
        assert_eq!(from_text(&large), None);
    }

    #[test]
    fn mangled_certificates_are_none_not_a_panic() {
        let der = certificate();
        for cut in 0..der.len() {
            let _ = (issuer_and_subject(&der[..cut]), validity(&der[..cut]), serial_and_issuer(&der[..cut]));
            let _ = (subject(&der[..cut]), alternative_names(&der[..cut]), signature_algorithm(&der[..cut]));
        }
        for at in 0..der.len() {
            let mut mangled = der.clone();
            mangled[at] ^= 0xff;
            let _ = (issuer_and_subject(&mangled), validity(&mangled), serial_and_issuer(&mangled));
            let _ = (subject(&mangled), alternative_names(&mangled), signature_algorithm(&mangled));
        }
    }
}
