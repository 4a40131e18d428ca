//! GetSupportedProtocol: the versions we speak.

use super::{Asker, Outcome};
use crate::usp::message::{SUPPORTED_VERSIONS, common_version};
use crate::usp::wire::msg::response::RespType;
use crate::usp::wire::msg::{GetSupportedProtocol, GetSupportedProtocolResp};

/// Answers a GetSupportedProtocol.
pub fn handle(asker: &Asker, request: &GetSupportedProtocol) -> Outcome {
    let theirs = &request.controller_supported_protocol_versions;
    if common_version(theirs).is_none() {
        log::warn!("controller={} speaks none of our versions, but \"{theirs}\"", asker.controller);
    }
    let agent_supported_protocol_versions = SUPPORTED_VERSIONS.to_owned();
    Ok(RespType::GetSupportedProtocolResp(GetSupportedProtocolResp { agent_supported_protocol_versions }))
}
