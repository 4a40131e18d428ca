//! Whose word counts: certificates, the authorities and brokers among them, challenges; and what follows from the
//! certificate of a peer (the figures "No Secure Message Exchange", "Check Cert" and "Determine Role" of TR-369).
//!
//! That a peer holds the key of its certificate, and who signed that, the transport has found out
//! ([`PeerFacts`](super::PeerFacts)). Nothing here reads a file or a clock.

use super::session::Door;
use super::settings::{Controller, number, truth, words};
use crate::backend::uci::{Package, Section};
use crate::{base64, certificate};
use bytes::Bytes;
use std::fmt;

/// Certificates that are looked at.
pub const MAX_CERTIFICATES: usize = 64;
/// Credentials, and challenges, that are looked at.
pub const MAX_ROWS: usize = 64;

/// The part of the settings that trust is decided by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// The role of who is banned; empty where there is none.
    pub banned_role: Box<str>,
    /// The role of who is not trusted with another.
    pub untrusted_role: Box<str>,
    /// TOFUAllowed.
    pub first_use: bool,
    /// TOFUInactivityTimer in seconds, 0 for none.
    pub first_use_timer: u32,
    /// `config certificate`.
    pub certificates: Vec<Certificate>,
    /// `config credential`, those that are enabled.
    pub credentials: Vec<Credential>,
    /// `config challenge`, those that are enabled.
    pub challenges: Vec<Challenge>,
}

/// A certificate that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Its section.
    pub section: Box<str>,
    /// It counts.
    pub enable: bool,
    /// DER.
    pub der: Bytes,
}

/// What an authority or broker is trusted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its section.
    pub section: Box<str>,
    /// The section of the certificate.
    pub certificate: Box<str>,
    /// The roles that controllers inherit from it.
    pub roles: Vec<Box<str>>,
    /// AllowedUses.
    pub uses: Uses,
}

/// AllowedUses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uses {
    /// It vouches for a connection, for no controller.
    Mtp,
    /// It vouches for controllers too.
    Usp,
    /// Who presents it vouches for the from_id of what it passes on.
    Broker,
}

/// A challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Its section.
    pub section: Box<str>,
    /// The roles it gives.
    pub roles: Vec<Box<str>>,
    /// What has to be answered; never empty.
    pub value: Secret,
    /// ValueType.
    pub value_type: Box<str>,
    /// Instruction, in base64.
    pub instruction: Box<str>,
    /// InstructionType.
    pub instruction_type: Box<str>,
    /// Failures in a row until it is locked.
    pub retries: u32,
    /// Seconds it stays locked, 0 for not at all.
    pub lockout: u32,
}

/// Bytes that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Secret {
    /// Whether this is it. How long that takes tells the length of `given` and nothing of the secret.
    pub fn is(&self, given: &[u8]) -> bool {
        let differs = |(at, byte): (usize, &u8)| byte ^ self.0.get(at).copied().unwrap_or(!*byte);
        let bits = given.iter().enumerate().map(differs).fold(0, |all, one| all | one);
        std::hint::black_box(bits) == 0 && given.len() == self.0.len()
    }
}

/// Whether the other side of a channel may speak for an Endpoint ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vouched {
    /// It may.
    Yes,
    /// It may once it has been taken in: its controller is not known yet, or is and has shown no certificate.
    Introduce,
    /// It may not.
    No,
}

impl Trust {
    /// Reads the package. What is broken is left out, and vouches for nobody.
    pub fn from_package(package: &Package) -> Self {
        let agent = package.of_kind("localagent").next();
        let enabled = |s: &&Section| truth(s, "Enable", true);
        let text = |option: &str| agent.and_then(|s| s.text(option)).unwrap_or_default();
        Self {
            banned_role: text("BannedRole").into(),
            untrusted_role: agent.and_then(|s| s.text("UntrustedRole")).unwrap_or(UNTRUSTED).into(),
            first_use: agent.is_some_and(|s| truth(s, "TOFUAllowed", false)),
            first_use_timer: agent.and_then(|s| number(s, "TOFUInactivityTimer")).unwrap_or(FIRST_USE_TIMER),
            certificates: package.of_kind("certificate").take(MAX_CERTIFICATES).filter_map(certificate).collect(),
            credentials: package.of_kind("credential").filter(enabled).take(MAX_ROWS).map(credential).collect(),
            challenges: package.of_kind("challenge").filter(enabled).take(MAX_ROWS).filter_map(challenge).collect(),
        }
    }

    /// The credential that stands for the peer's certificate, or else for who signed it.
    pub fn credential(&self, peer: &super::PeerFacts) -> Option<&Credential> {
        let of = |certificate: &Option<Box<str>>| {
            let name = certificate.as_deref()?;
            self.certificates.iter().find(|c| c.enable && *c.section == *name)?;
            self.credentials.iter().find(|c| *c.certificate == *name)
        };
        of(&peer.stored).or_else(|| of(&peer.anchor))
    }

    /// The section of the credential whose roles controllers behind this peer inherit; empty for none.
    pub fn inherits(&self, peer: &super::PeerFacts) -> &str {
        let credential = self.credential(peer).filter(|credential| credential.uses != Uses::Mtp);
        credential.map(|credential| &*credential.section).unwrap_or_default()
    }

    /// The roles inherited from the credential of this section.
    pub fn inherited(&self, credential: &str) -> &[Box<str>] {
        self.credentials.iter().find(|c| *c.section == *credential).map(|c| &*c.roles).unwrap_or_default()
    }

    /// The certificate of this section.
    pub fn certificate(&self, section: &str) -> Option<&Certificate> {
        self.certificates.iter().find(|c| *c.section == *section)
    }

    /// Nobody trusts it with more than everybody: it has no role, or the untrusted one only.
    pub fn is_untrusted(&self, controller: &Controller) -> bool {
        controller.roles.iter().all(|role| *role == self.untrusted_role)
    }

    /// It has the banned role, which stands for all others then.
    pub fn is_banned(&self, controller: &Controller) -> bool {
        !self.banned_role.is_empty() && controller.roles.contains(&self.banned_role)
    }

    /// Whether what comes through this door may come from `from`, and whether it is to be taken in first.
    ///
    /// R-SEC.0 wants the certificate of the controller, or of a broker that is trusted to have asked for it.
    pub fn vouches(&self, from: &str, known: Option<&Controller>, door: &Door<'_>) -> Vouched {
        let peer = door.peer;
        let if_known = if known.is_some() { Vouched::Yes } else { Vouched::No };
        // Without encryption nobody vouches for anybody: what may be done there, access decides.
        if !peer.encrypted {
            return if_known;
        }
        if peer.revoked {
            return Vouched::No;
        }
        let uses = self.credential(peer).map(|credential| credential.uses);
        let own = |controller: &Controller| self.is_own(controller, peer);
        let named = peer.endpoint_ids.iter().any(|id| **id == *from);
        match uses {
            Some(Uses::Broker) => if_known,
            // A broker that no credential speaks of is the one the owner has configured.
            None if door.protocol.brokered() => if_known,
            _ if door.protocol.brokered() => Vouched::No,
            // R-SEC.4, R-SEC.8: the certificate kept for this very controller.
            _ if known.is_some_and(own) => Vouched::Yes,
            _ if !named => nameless(door, uses, if_known),
            _ if peer.first_use => self.on_first_use(known),
            Some(Uses::Usp) if known.is_none() => Vouched::Introduce,
            Some(Uses::Usp) => Vouched::Yes,
            Some(Uses::Mtp) => Vouched::No,
            // Kept for another controller, and signed by nobody who is trusted.
            None if peer.stored.is_some() && peer.anchor.is_none() => Vouched::No,
            None => if_known,
        }
    }

    /// The peer shows a certificate that is kept for this controller; that of its first use was kept after it came.
    pub fn is_own(&self, controller: &Controller, peer: &super::PeerFacts) -> bool {
        let shown =
            |c: &&Certificate| peer.stored.as_deref() == Some(&*c.section) || peer.certificate.as_ref() == Some(&c.der);
        let kept = self.certificates.iter().filter(|c| c.enable && controller.credentials.contains(&c.section));
        kept.filter(shown).count() > 0
    }

    /// R-SEC.6: who is let in by its own certificate begins without any role. So it is neither somebody who has a role
    /// already nor somebody whose certificate is known.
    fn on_first_use(&self, known: Option<&Controller>) -> Vouched {
        let new = known.is_none_or(|c| c.credentials.is_empty() && self.is_untrusted(c));
        if self.first_use && new { Vouched::Introduce } else { Vouched::No }
    }
}

/// A certificate without this Endpoint ID serves, as it always did, where the agent connected to the controller by the
/// name that an authority vouches for; not for somebody who came by himself (R-SEC.0a).
fn nameless(door: &Door<'_>, uses: Option<Uses>, if_known: Vouched) -> Vouched {
    // A DNS name is an Endpoint ID of the scheme fqdn only.
    let no_ids = door.peer.endpoint_ids.iter().all(|id| id.starts_with("fqdn::"));
    match no_ids && !door.peer.accepted && !door.peer.first_use && uses.is_none() {
        true => if_known,
        false => Vouched::No,
    }
}

/// The role of those nobody vouches for, where the package names none.
const UNTRUSTED: &str = "untrusted";
/// Seconds that somebody let in on first use may be silent, where the package does not say.
const FIRST_USE_TIMER: u32 = 60;

fn certificate(section: &Section) -> Option<Certificate> {
    let der = certificate::from_text(section.text("certificate")?)?;
    Some(Certificate { section: section.name.clone(), enable: truth(section, "Enable", true), der: der.into() })
}

fn credential(section: &Section) -> Credential {
    Credential {
        section: section.name.clone(),
        certificate: section.text("certificate").unwrap_or_default().into(),
        roles: words(section, "role"),
        uses: match section.text("AllowedUses") {
            Some("MTP-and-USP") => Uses::Usp,
            Some("MTP-and-broker") => Uses::Broker,
            _ => Uses::Mtp,
        },
    }
}

/// None where it has no value, or one that is not base64: what cannot be answered is no challenge.
fn challenge(section: &Section) -> Option<Challenge> {
    let value = base64::decode(section.text("Value")?).filter(|value| !value.is_empty())?;
    let text = |option: &str, missing: &str| section.text(option).unwrap_or(missing).into();
    Some(Challenge {
        section: section.name.clone(),
        roles: words(section, "role"),
        value: Secret(value.into()),
        value_type: text("ValueType", "text/plain"),
        instruction: text("Instruction", ""),
        instruction_type: text("InstructionType", "text/plain"),
        retries: number(section, "Retries").unwrap_or(3).max(1),
        lockout: number(section, "LockoutPeriod").unwrap_or(30),
    })
}
