//! Which certificates of the configuration count for TLS.

use super::{truth, value};
use crate::backend::uci::{Package, Section};
use crate::certificate;

/// A certificate that something enabled refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its section.
    pub section: Box<str>,
    /// DER.
    pub der: Vec<u8>,
    /// A credential names it: it stands for what it signed. Otherwise it is a controller's own, and stands for itself.
    pub authority: bool,
}

/// What TLS goes by beside the files of its link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// The certificates.
    pub certificates: Vec<Key>,
    /// TOFUAllowed.
    pub first_use: bool,
    /// A file of revocation lists; empty for none.
    pub crl_file: Box<str>,
}

/// The keys of a package.
pub fn keys(package: &Package) -> Keys {
    let agent = package.of_kind("localagent").next();
    let named = |kind, option, certificate: &Section| {
        let mut sections = package.of_kind(kind).filter(|section| truth(section, "Enable"));
        sections.any(|section| section.list(option).contains(&certificate.name))
    };
    let key = |section: &Section| {
        let authority = named("credential", "certificate", section);
        let used = authority || named("controller", "Credential", section);
        let der = certificate::from_text(value(section, "certificate")).filter(|_| used)?;
        Some(Key { section: section.name.clone(), der, authority })
    };
    let enabled = package.of_kind("certificate").filter(|section| truth(section, "Enable"));
    Keys {
        certificates: enabled.filter_map(key).collect(),
        first_use: agent.is_some_and(|agent| truth(agent, "TOFUAllowed")),
        crl_file: agent.map(|agent| value(agent, "crl_file")).unwrap_or_default().into(),
    }
}
