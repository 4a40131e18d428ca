//! Who the agent is: the configured endpoint id, else one that the hardware gives.

use super::Failure;
use crate::backend::uci::Package;
use crate::backend::{Backend, Router};
use crate::config;
use crate::model::{Everything, Model};
use crate::store::Store;
use crate::usp::endpoint_id::{EndpointId, EndpointIdError};
use ring::rand::{SecureRandom, SystemRandom};

/// The document that keeps an id made by chance.
const DOCUMENT: &str = "identity";

/// The endpoint id: option EndpointID, `os::OUI-SERIAL` of what `Device.DeviceInfo.` tells, or, on hardware that tells
/// nothing, a random `uuid::` that is kept; it is drawn where the caller `may_draw` one.
pub(super) async fn endpoint_id(model: &Model<Router>, store: &Store, may_draw: bool) -> Result<EndpointId, Failure> {
    let package = model.backend().package(config::PACKAGE).await;
    if let Some(id) = package.ok().and_then(|package| configured(&package)) {
        return Ok(id);
    }
    let oui = parameter(model, "Device.DeviceInfo.ManufacturerOUI").await;
    let serial = parameter(model, "Device.DeviceInfo.SerialNumber").await;
    if !oui.is_empty() && !serial.is_empty() && serial != "Unknown" {
        match EndpointId::os(&oui, &serial) {
            Ok(id) => return Ok(id),
            Err(error) => log::warn!("endpoint-id=unfit oui={oui} serial={serial} cause=\"{error}\""),
        }
    }
    if let Some(id) = store.load(DOCUMENT).and_then(|text| EndpointId::lenient(text.trim()).ok()) {
        return Ok(id);
    }
    if !may_draw {
        return Err(Failure::Nameless);
    }
    drawn(store).map_err(|error| Failure::Model(format!("there is no endpoint id: {error}")))
}

fn configured(package: &Package) -> Option<EndpointId> {
    let text = package.of_kind("localagent").find_map(|agent| agent.text("EndpointID"))?;
    match EndpointId::lenient(text) {
        Ok(id) => {
            if let Some(flaw) = id.remark() {
                log::warn!("endpoint-id={id} remark=\"{flaw}\" effect=controllers-may-refuse-it");
            }
            Some(id)
        }
        Err(error) => {
            log::warn!("endpoint-id=unusable cause=\"{error}\" action=derived-from-the-hardware");
            None
        }
    }
}

async fn parameter(model: &Model<Router>, path: &str) -> String {
    let reading = model.get(&Everything, &[path], 0).await;
    let objects = reading.results.into_iter().next().and_then(Result::ok).unwrap_or_default();
    objects.into_iter().next().and_then(|object| object.params.into_iter().next()).map(|(_, v)| v).unwrap_or_default()
}

/// What no hardware tells must not change by itself, so it is written once.
fn drawn(store: &Store) -> Result<EndpointId, EndpointIdError> {
    let id = random_uuid();
    log::warn!("endpoint-id={id} cause=the-hardware-tells-no-serial-number advice=set-EndpointID");
    if let Err(error) = store.save(DOCUMENT, &id) {
        log::error!("state=unwritable document={DOCUMENT} cause=\"{error}\" effect=another-id-at-the-next-start");
    }
    EndpointId::lenient(&id)
}

/// A version 4 UUID in the form of TR-369's scheme `uuid`.
fn random_uuid() -> String {
    let mut bytes = [0; 16];
    let _ = SystemRandom::new().fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| hex.get(part).unwrap_or_default());
    format!("uuid::{}", parts.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_id_follows_the_grammar() {
        let (one, other) = (random_uuid(), random_uuid());
        assert!(EndpointId::parse(&one).is_ok(), "{one}");
        assert_ne!(one, other);
    }
}
