//! USB devices, named as the kernel names them: `1-1.4` is at port 4 of the hub `1-1`.

use crate::model::eval::Scope;

/// A number in hexadecimal digits.
pub(super) fn number(_: &Scope<'_>, text: &str) -> Option<String> {
    u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok().map(|number| number.to_string())
}

/// The port at the hub, of a `devpath`; 0 of a root hub.
pub(super) fn port(_: &Scope<'_>, path: &str) -> Option<String> {
    path.trim().rsplit('.').next().map(str::to_string)
}

/// The hub between a device and the host controller.
pub(super) fn hub(_: &Scope<'_>, device: &str) -> Option<String> {
    device.rsplit_once('.').map(|(hub, _)| hub.to_string())
}
