//! Certificates and authorities that the router keeps in files, or the agent in its configuration.

use crate::backend::{Table, Value, checksum};
use crate::certificate;
use crate::model::eval::Scope;

/// Certificates at most, of one file and of the table: Mozilla's list has about 150.
const MAX_CERTIFICATES: usize = 256;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
/// What ca-bundle installs.
const CA_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// uhttpd makes it at its first start.
const UHTTPD: &str = "/etc/uhttpd.crt";
/// Options that name a file of certificates. Private keys stand in others, or behind them in the file: passed over.
const FILES: [(&str, &str); 6] = [
    ("uhttpd", "cert"),
    ("usp-agent", "certificate"),
    ("wireless", "client_cert"),
    ("wireless", "ca_cert"),
    ("openvpn", "cert"),
    ("openvpn", "ca"),
];

/// One row per certificate: the agent's, those of services, those of authorities.
pub(super) fn certificates(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let mut rows: Vec<(String, Value)> = Vec::new();
    let mut add = |file: &str, text: &str| {
        for der in all(text) {
            if let Some((key, row)) = row(&der, file).filter(|(key, _)| !rows.iter().any(|(known, _)| known == key)) {
                rows.push((key, Value::Table(row)));
            }
        }
    };
    if let Some(package) = scope.uci("usp-agent") {
        package.of_kind("certificate").filter_map(|s| s.text("certificate")).for_each(|text| add("", text));
    }
    for file in named(scope, &FILES).into_iter().chain(bundle_files(scope)) {
        if let Some(text) = scope.file(file) {
            add(file, text);
        }
    }
    rows.truncate(MAX_CERTIFICATES);
    rows
}

/// One row per file of authorities: the router's own, and those the agent is told to trust instead.
pub(super) fn bundles(scope: &Scope<'_>) -> Vec<(String, Value)> {
    let there = bundle_files(scope).into_iter().filter_map(|file| Some((file, scope.file(file)?)));
    there
        .map(|(file, text)| {
            (
                file.to_string(),
                Value::Array(all(text).filter_map(|der| key(&der)).map(|key| Value::from(key.as_str())).collect()),
            )
        })
        .collect()
}

fn bundle_files<'a>(scope: &Scope<'a>) -> Vec<&'a str> {
    let mut files = named(scope, &[("usp-agent", "ca_file")]);
    if !files.contains(&CA_BUNDLE) {
        files.push(CA_BUNDLE);
    }
    files
}

/// The files that these options name, each once.
fn named<'a>(scope: &Scope<'a>, options: &[(&str, &str)]) -> Vec<&'a str> {
    let mut files: Vec<&'a str> = Vec::new();
    for (package, option) in options {
        let Some(package) = scope.uci(package) else { continue };
        for section in &package.sections {
            let usual = (&*section.kind == "uhttpd").then_some(UHTTPD);
            // A certificate's section of the agent holds the text itself.
            let file = section.text(option).or(usual).filter(|file| file.starts_with('/'));
            files.extend(file.filter(|file| !files.contains(file)));
        }
    }
    files
}

fn all(text: &str) -> impl Iterator<Item = Vec<u8>> {
    let begins = text.match_indices(BEGIN).map(|(at, _)| at).take(MAX_CERTIFICATES);
    begins.filter_map(|at| certificate::from_text(text.get(at..)?))
}

/// Serial number and issuer tell a certificate from all others; the issuer's name would be long.
fn key(der: &[u8]) -> Option<String> {
    let (serial, issuer) = certificate::serial_and_issuer(der)?;
    Some(format!("{serial} {:x}", checksum::fnv1a(issuer.as_bytes())))
}

fn row(der: &[u8], file: &str) -> Option<(String, Table)> {
    let (serial, issuer) = certificate::serial_and_issuer(der)?;
    let (from, to) = certificate::validity(der)?;
    let names = certificate::alternative_names(der).unwrap_or_default();
    let row = Table::default()
        .with("serial", &*serial)
        .with("issuer", &*issuer)
        .with("from", Value::Int64(from))
        .with("to", Value::Int64(to))
        .with("subject", &*certificate::subject(der)?)
        .with("names", Value::Array(names.iter().map(|name| Value::from(name.as_str())).collect()))
        .with("algorithm", certificate::signature_algorithm(der).unwrap_or_default())
        .with("file", file);
    Some((key(der)?, row))
}
