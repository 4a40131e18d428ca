//! TransferComplete!: a file came or went, or did not.

use super::handlers::operate::Call;
use super::requests::Origin;
use super::settings::Kind;
use super::{Agent, handlers};
use crate::backend::Backend;
use crate::calendar;
use crate::model::Rights;
use crate::usp::fault::{Code, Fault};
use crate::usp::wire::msg::notify::{Event, Notification};

/// Characters of FaultString.
const MAX_FAULT: usize = 256;
/// What the digests of TLS do not know.
const UNKNOWN_DIGEST: &str = "SHA-224";

/// A transfer under way, or one that has ended.
#[derive(Debug)]
pub(super) struct Transfer {
    /// Its row in the Request table; 0 for one that has none any more.
    pub(super) request: u32,
    /// Who asked, with which command of which object.
    pub(super) origin: Origin,
    /// TransferType.
    pub(super) kind: &'static str,
    /// As the command had it.
    pub(super) url: String,
    /// Seconds since 1970; None while the clock was not set.
    pub(super) started: Option<i64>,
    /// CheckSumAlgorithm and CheckSum as the command had them.
    pub(super) algorithm: String,
    /// See above.
    pub(super) checksum: String,
}

impl Transfer {
    /// The one that this command begins.
    pub(super) fn begin<B: Backend>(agent: &mut Agent<B>, call: &Call<'_>, kind: &'static str) -> Result<Self, Fault> {
        let given = |name: &str| call.argument(name).unwrap_or_default().to_owned();
        let (algorithm, checksum) = (given("CheckSumAlgorithm"), given("CheckSum"));
        if !checksum.is_empty() && (algorithm.is_empty() || algorithm == UNKNOWN_DIGEST) {
            let text = "CheckSumAlgorithm must be SHA-1, SHA-256, SHA-384 or SHA-512 for a CheckSum";
            return Err(Fault::new(Code::InvalidCommandArguments, text));
        }
        let request = call.start(agent)?;
        let started = agent.now.clock_is_set.then(|| agent.now.unix_ms.div_euclid(1000));
        Ok(Self { request, origin: call.origin(), kind, url: given("URL"), started, algorithm, checksum })
    }

    /// One that a restart of the agent ended.
    pub(super) fn ended(kind: &str, started: Option<i64>, origin: Origin, url: String) -> Self {
        let kind = if kind == "Upload" { "Upload" } else { "Download" };
        Self { request: 0, origin, kind, url, started, algorithm: String::new(), checksum: String::new() }
    }
}

impl<B: Backend> Agent<B> {
    /// Tells whoever is subscribed and wants to hear of such an end (TransferCompletePolicy).
    pub(super) async fn transfer_complete(&mut self, transfer: &Transfer, fault: Option<&Fault>) {
        let (object, name) = ("Device.LocalAgent.", "TransferComplete!");
        let Origin { endpoint_id, object: affected, command, key } = &transfer.origin;
        let date = |unix: Option<i64>| unix.map_or(calendar::UNKNOWN_TIME.to_owned(), calendar::date_time);
        let now = self.now.clock_is_set.then(|| self.now.unix_ms.div_euclid(1000));
        let text = fault.map_or("", |fault| &fault.text);
        let algorithm = if transfer.checksum.is_empty() { "Unknown" } else { &*transfer.algorithm };
        let params = [
            ("Command", format!("{affected}{command}")),
            ("CommandKey", key.to_string()),
            ("Requestor", endpoint_id.to_string()),
            ("TransferType", transfer.kind.to_owned()),
            ("Affected", affected.to_string()),
            ("TransferURL", transfer.url.clone()),
            ("StartTime", date(transfer.started)),
            ("CompleteTime", date(now)),
            ("FaultCode", fault.map_or(0, |fault| fault.code as u32).to_string()),
            ("FaultString", text.chars().take(MAX_FAULT).collect()),
            ("CheckSumAlgorithm", algorithm.to_owned()),
            ("CheckSum", transfer.checksum.clone()),
        ];
        let params = handlers::map(params);
        let event = Event { obj_path: object.into(), event_name: name.into(), params };
        let settings = self.settings.clone();
        for active in self.interested(Kind::Event, object, name).await {
            let filter = settings.controller(&active.what.recipient).map(|controller| controller.transfers);
            if filter.is_some_and(|filter| filter.wants(fault.is_none())) {
                let what = Notification::Event(event.clone());
                self.notify(&active, (object, name, Rights::COMMAND_NOTIFY), what).await;
            }
        }
    }
}

/// TransferCompletePolicy.ResultTypeFilter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Transfers {
    Success,
    Failure,
    Both,
}

impl Transfers {
    /// The value of the option; anything else is both.
    pub fn parse(text: &str) -> Self {
        match text {
            "Success" => Self::Success,
            "Failure" => Self::Failure,
            _ => Self::Both,
        }
    }

    fn wants(self, success: bool) -> bool {
        match self {
            Self::Both => true,
            Self::Success => success,
            Self::Failure => !success,
        }
    }
}
