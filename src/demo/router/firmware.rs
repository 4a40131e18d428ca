//! Firmware of the simulated router: its check of images, a sysupgrade that flashes nothing, and what a reboot changes.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value as Json;

use super::super::bus::Outcome;
use super::{Router, World, write};
use crate::backend::Table;
use crate::backend::ubus::message::status;

/// Notes what it was asked for. On a router procd would end everything now.
const SYSUPGRADE: &str = "#!/bin/sh\nroot=${0%/sbin/*}\nmkdir -p \"$root/tmp\"\necho \"$1\" > \"$root/tmp/sysupgrade.asked\"\n\
                          echo \"a simulated router is not flashed\"\nsleep 4\n";
const BOOT_ID: &str = "root/proc/sys/kernel/random/boot_id";

pub(super) fn write_files(folder: &Path) -> io::Result<()> {
    let script = folder.join("root/sbin/sysupgrade");
    write(&script, SYSUPGRADE)?;
    fs::set_permissions(script, fs::Permissions::from_mode(0o755))?;
    write(&folder.join(BOOT_ID), "boot 1\n")
}

impl Router {
    /// The image that sysupgrade was asked to flash.
    pub fn asked_to_flash(&self) -> Option<String> {
        fs::read_to_string(self.root().join("tmp/sysupgrade.asked")).ok().map(|path| path.trim().to_owned())
    }

    /// Comes up after a reboot, with firmware of this version; memory is empty.
    ///
    /// # Errors
    /// What the system says.
    pub fn boot(&self, version: &str) -> io::Result<()> {
        if let Some(running) = self.world.answers.borrow_mut().pointer_mut("/system/board/release/version") {
            *running = version.into();
        }
        let _ = fs::remove_dir_all(self.root().join("tmp"));
        let before = fs::read_to_string(self.folder.join(BOOT_ID))?;
        write(&self.folder.join(BOOT_ID), &format!("{} again\n", before.trim()))
    }
}

impl World {
    /// `system validate_firmware_image`: what an image begins with tells how it does.
    pub(super) fn validate_image(&self, args: &Table) -> Outcome {
        let Some(path) = args.get("path").and_then(|path| path.as_str()) else {
            return Outcome::Status(status::INVALID_ARGUMENT);
        };
        let Ok(image) = fs::read(path) else { return Outcome::Status(status::UNKNOWN_ERROR) };
        let (valid, backup) = (!image.starts_with(b"another device"), !image.starts_with(b"no settings"));
        let answer = serde_json::json!({
            "tests": {"fwtool_signature": true, "fwtool_device_match": valid},
            "valid": valid, "forceable": true, "allow_backup": backup,
        });
        super::table(Some(&answer)).into()
    }
}

/// Methods of `system` beside those that have a recorded answer.
pub(super) fn complete(answers: &mut Json) {
    answers["system"]["validate_firmware_image"] = serde_json::json!({"?path": {}});
}
