//! Records that came in: which are processed, which are dropped, and what is answered to a broken one.
//!
//! Session contexts and payload security are refused with a Disconnect record (R-E2E.6a). Everything here
//! is a function of the record and the settings: no channel is touched and no message executed.

use super::channels::Protocol;
use super::settings::{Controller, Settings};
use super::trust::Vouched;
use crate::usp::endpoint_id::EndpointId;
use crate::usp::fault::{Code, Fault};
use crate::usp::message::{self, Incoming, MessageFault};
use crate::usp::record::{self, Connect, Content, Flaw, RecordFault};
use bytes::Bytes;

/// What is known of the other side of a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerFacts {
    /// Encrypted, or as good as that.
    pub encrypted: bool,
    /// The Endpoint IDs it may speak for: those in its certificate (for a brokered MTP the broker's), or of its handshake
    /// on a UNIX socket. A DNS name counts as one of the scheme `fqdn` (R-SEC.0a). Empty where nothing vouches for any.
    pub endpoint_ids: Vec<Box<str>>,
    /// The peer's certificate, DER.
    pub certificate: Option<Bytes>,
    /// The `certificate` section that holds it.
    pub stored: Option<Box<str>>,
    /// The `certificate` section of the authority that signed it, the nearest one in its chain (R-SEC.25).
    pub anchor: Option<Box<str>>,
    /// Nobody vouches for it: it was let in to be trusted on first use.
    pub first_use: bool,
    /// Its authority has revoked it.
    pub revoked: bool,
    /// The peer came by itself; otherwise the agent called it by its name.
    pub accepted: bool,
}

impl PeerFacts {
    /// A process of this router on a UNIX socket. It counts as an encrypted peer does: what it sends never leaves the
    /// router, and who may connect is decided by the permissions of the socket's file. It speaks for the Endpoint ID of
    /// its handshake and no other.
    pub fn of_local_process(endpoint_id: &str) -> Self {
        Self { encrypted: true, endpoint_ids: vec![endpoint_id.into()], ..Self::default() }
    }
}

/// What becomes of a record.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// A message of a known controller.
    Message(&'a Controller, Incoming),
    /// The controller greets.
    Connect(&'a Controller),
    /// The controller takes its leave; the channel may stay up.
    Disconnect(&'a Controller),
    /// The controller is answered with this Error to its request (R-MTP.5).
    Refuse(&'a Controller, Box<str>, Fault),
    /// The controller is answered with a Disconnect record of this code.
    Farewell(&'a Controller, Code),
    /// Nothing of it is processed.
    Drop(Dropped),
}

/// Why a record is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dropped {
    /// Not a record: a WebSocket is closed with 1003, a UNIX socket with an Error.
    NotARecord,
    /// For somebody else (R-E2E.1).
    ForAnother {
        /// The record's to_id.
        to: Box<str>,
        /// Our own.
        own: Box<str>,
    },
    /// From ourselves (R-ARC.2).
    FromUs,
    /// From a controller that is not configured.
    UnknownController(Box<str>),
    /// From a controller that is disabled.
    Disabled(Box<str>),
    /// The peer's certificate does not say that it is this controller's, or is of nobody trusted to say so.
    WrongCertificate(Box<str>),
    /// From somebody who may be taken in first.
    Stranger(Box<str>),
    /// From a controller with the banned role (TR-181 BannedRole).
    Banned(Box<str>),
    /// The peer's certificate is revoked.
    Revoked(Box<str>),
    /// Broken in a way that an Error must not answer (R-MTP.5, R-ENC.4).
    Broken(Fault),
}

/// Where a record came in.
#[derive(Debug)]
pub struct Door<'a> {
    /// The transport.
    pub protocol: Protocol,
    /// The other side.
    pub peer: &'a PeerFacts,
    /// Our own Endpoint ID.
    pub own: &'a EndpointId,
}

/// Judges a record.
pub fn judge<'a>(bytes: Bytes, door: &Door<'_>, settings: &'a Settings) -> Verdict<'a> {
    let verdict = match record::decode(bytes) {
        Ok(record) => judge_record(record, door, settings),
        Err(fault) => judge_fault(fault, door, settings),
    };
    verdict.unwrap_or_else(Verdict::Drop)
}

fn judge_record<'a>(record: record::Incoming, door: &Door<'_>, settings: &'a Settings) -> Result<Verdict<'a>, Dropped> {
    ours(&record.to, &record.from, door)?;
    let controller = known(record.from.as_str(), door, settings)?;
    Ok(match record.content {
        Content::Message(payload) => judge_message(controller, payload)?,
        Content::SessionContext { .. } => Verdict::Farewell(controller, Code::SessionContextNotAllowed),
        Content::Connect(connect) if !agrees(door.protocol, &connect) => {
            return Err(Dropped::Broken(Fault::new(Code::InvalidRecordValue, "connect record of another transport")));
        }
        Content::Connect(_) => Verdict::Connect(controller),
        Content::Disconnect { code, reason } => {
            log::info!(
                "controller={} disconnects code={code} reason=\"{}\"",
                controller.section,
                reason.replace('"', "\\\"")
            );
            Verdict::Disconnect(controller)
        }
    })
}

fn judge_message(controller: &Controller, payload: Bytes) -> Result<Verdict<'_>, Dropped> {
    match message::decode(payload) {
        Ok(message) => Ok(Verdict::Message(controller, message)),
        Err(MessageFault { msg_id: Some(id), fault }) => Ok(Verdict::Refuse(controller, id.into(), fault)),
        Err(MessageFault { msg_id: None, fault }) => Err(Dropped::Broken(fault)),
    }
}

fn judge_fault<'a>(fault: RecordFault, door: &Door<'_>, settings: &'a Settings) -> Result<Verdict<'a>, Dropped> {
    let wrong = fault.fault();
    if fault.flaw == Flaw::NotParsed {
        return Err(Dropped::NotARecord);
    }
    let Some(reply) = fault.reply else { return Err(Dropped::Broken(wrong)) };
    ours(&reply.to, &reply.from, door)?;
    let controller = known(reply.from.as_str(), door, settings)?;
    Ok(Verdict::Refuse(controller, reply.msg_id.into(), wrong))
}

fn ours(to: &EndpointId, from: &EndpointId, door: &Door<'_>) -> Result<(), Dropped> {
    if to != door.own {
        return Err(Dropped::ForAnother { to: to.as_str().into(), own: door.own.as_str().into() });
    }
    if from == door.own { Err(Dropped::FromUs) } else { Ok(()) }
}

fn known<'a>(from: &str, door: &Door<'_>, settings: &'a Settings) -> Result<&'a Controller, Dropped> {
    let controller = settings.controller_by_id(from);
    let vouched = settings.trust.vouches(from, controller, door);
    match controller {
        _ if door.peer.encrypted && door.peer.revoked => Err(Dropped::Revoked(from.into())),
        controller if vouched == Vouched::Introduce && controller.is_none_or(|c| c.enable) => {
            Err(Dropped::Stranger(from.into()))
        }
        None => Err(Dropped::UnknownController(from.into())),
        Some(controller) if settings.trust.is_banned(controller) => Err(Dropped::Banned(from.into())),
        Some(controller) if !controller.enable => Err(Dropped::Disabled(from.into())),
        Some(controller) if vouched == Vouched::Yes => Ok(controller),
        Some(_) => Err(Dropped::WrongCertificate(from.into())),
    }
}

fn agrees(protocol: Protocol, connect: &Connect) -> bool {
    match connect {
        Connect::WebSocket => protocol == Protocol::WebSocket,
        Connect::Mqtt { level, .. } => protocol == Protocol::Mqtt { level: *level },
        Connect::Stomp { .. } => protocol == Protocol::Stomp,
        Connect::UnixSocket => protocol == Protocol::UnixSocket,
    }
}

/// Lines about dropped records in a second; more are only counted.
const MAX_LINES: u32 = 10;

/// Keeps a flood of broken records from flooding the log.
#[derive(Debug, Default)]
pub struct LogBudget {
    second: u64,
    dropped: u32,
}

impl LogBudget {
    /// Whether one more dropped record gets a line of its own.
    pub fn allows(&mut self, now_ms: u64) -> bool {
        if now_ms / 1000 != self.second {
            if let more @ 1.. = self.dropped.saturating_sub(MAX_LINES) {
                log::warn!("records dropped: {more} more within a second, of which the log says nothing");
            }
            (self.second, self.dropped) = (now_ms / 1000, 0);
        }
        self.dropped = self.dropped.saturating_add(1);
        self.dropped <= MAX_LINES
    }
}

/// Senders that the owner was told of, so that they cannot fill the log.
#[derive(Debug, Default)]
pub struct Strangers(Vec<Box<str>>);

/// Strangers that are remembered.
const MAX_STRANGERS: usize = 16;

impl Strangers {
    /// Somebody the log has not seen yet. Once the memory is full nobody is.
    fn is_new(&mut self, id: &str) -> bool {
        let new = self.0.len() < MAX_STRANGERS && !self.0.iter().any(|known| **known == *id);
        if new {
            self.0.push(id.into());
        }
        new
    }
}

impl Dropped {
    /// Writes the line that tells the owner what to check, once per sender.
    pub fn log(&self, told: &mut Strangers) {
        match self {
            Self::UnknownController(id)
            | Self::Disabled(id)
            | Self::WrongCertificate(id)
            | Self::Stranger(id)
            | Self::Banned(id)
            | Self::Revoked(id)
                if !told.is_new(id) =>
            {
                log::debug!("record dropped again: from_id={id}");
            }
            Self::NotARecord => log::warn!("record dropped: not a USP record"),
            Self::ForAnother { to, own } if told.is_new(to) => log::warn!(
                "record dropped: to_id={to} is another endpoint, this one is {own}; check the agent's endpoint id at the \
                 controller, or whether two agents share a topic"
            ),
            Self::ForAnother { to, .. } => log::debug!("record dropped again: to_id={to}"),
            Self::FromUs => log::warn!("record dropped: it carries this agent's own from_id"),
            Self::UnknownController(id) => log::warn!(
                "record dropped: controller={id} is unknown; add a `config controller` with \
                 `option EndpointID '{id}'` to /etc/config/usp-agent to accept it"
            ),
            Self::Disabled(id) => log::info!("record dropped: controller={id} is disabled, see its option Enable"),
            Self::WrongCertificate(id) => {
                log::warn!(
                    "record dropped: from_id={id} is not the peer's, by its certificate (subjectAltName, and AllowedUses of \
                     the credential that signed it) or its handshake"
                );
            }
            Self::Stranger(id) => log::warn!("record dropped: controller={id} could not be taken in"),
            Self::Banned(id) => {
                log::warn!("record dropped: controller={id} has the role BannedRole, see its option role")
            }
            Self::Revoked(id) => log::warn!("record dropped: from_id={id} the peer's certificate is revoked"),
            Self::Broken(fault) => log::warn!("record dropped: {fault}"),
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
