//! Firmware on a router with one place for it (TR-369, Firmware Management): two rows, the image that runs and the one
//! that was downloaded.
//!
//! What is downloaded lies in memory and is gone after a reboot. Once it is activated its row is the running one, as on
//! a router with two places; there is no way back to the image before. What is under way is kept, so that commands end
//! after the reboot that they bring about.

mod activate;
mod download;
mod kept;
mod windows;

pub(super) use activate::activate;
pub(super) use download::download;

use super::requests::Origin;
use super::transfers::Transfer;
use super::{Agent, Kept};
use crate::backend::Backend;
use crate::model::Facts;
use crate::usp::fault::{Code, Fault};
use windows::Window;

/// Where the downloaded image is, on the router.
pub const FOLDER: &str = "/tmp/usp-agent";
/// Its name there.
pub const FILE: &str = "firmware.bin";

/// The facts the model reads the table from.
const FACTS: &str = "firmware";
/// Longest text of BootFailureLog, in bytes.
const MAX_LOG: usize = 1024;

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Slot {
    #[default]
    First,
    Second,
}

impl Slot {
    const ALL: [Self; 2] = [Self::First, Self::Second];

    /// The key of the row.
    fn key(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
        }
    }

    fn parse(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|slot| slot.key() == key)
    }
}

/// Status of a row; the names are the standard's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Status {
    #[default]
    NoImage,
    Active,
    Downloading,
    Validating,
    Available,
    DownloadFailed,
    ValidationFailed,
    ActivationFailed,
}

impl Status {
    const NAMES: [(Self, &'static str); 8] = [
        (Self::NoImage, "NoImage"),
        (Self::Active, "Active"),
        (Self::Downloading, "Downloading"),
        (Self::Validating, "Validating"),
        (Self::Available, "Available"),
        (Self::DownloadFailed, "DownloadFailed"),
        (Self::ValidationFailed, "ValidationFailed"),
        (Self::ActivationFailed, "ActivationFailed"),
    ];

    fn name(self) -> &'static str {
        Self::NAMES.into_iter().find(|(status, _)| *status == self).map_or("", |(_, name)| name)
    }

    fn parse(text: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(_, name)| *name == text).map(|(status, _)| status)
    }
}

/// What was downloaded, or is to be.
#[derive(Debug, Default)]
struct Staged {
    /// The row it is for; the running one is replaced at once or not at all.
    target: Slot,
    status: Status,
    name: String,
    version: String,
    /// BootFailureLog.
    log: String,
}

/// A download under way.
#[derive(Debug)]
struct Download {
    transfer: Transfer,
    activates: bool,
    /// The file is there and is being looked at.
    validating: bool,
}

/// An activation under way.
#[derive(Debug)]
struct Activation {
    /// [`activate::NO_REQUEST`] where the download asked for it.
    request: u32,
    origin: Origin,
    windows: Vec<Window>,
    /// Bytes that all devices had carried at the last look.
    traffic: Option<u64>,
    /// What ran when sysupgrade was started.
    flashing: Option<Running>,
}

/// What runs, as far as can be told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Running {
    /// Another one with every boot.
    boot_id: String,
    /// Version, revision and date of the build.
    firmware: String,
}

/// The images of the router.
#[derive(Debug)]
pub(super) struct Firmware {
    active: Slot,
    /// What was to be booted last.
    boot: Slot,
    staged: Staged,
    download: Option<Download>,
    activation: Option<Activation>,
}

impl Default for Firmware {
    fn default() -> Self {
        let staged = Staged { target: Slot::Second, ..Staged::default() };
        Self { active: Slot::First, boot: Slot::First, staged, download: None, activation: None }
    }
}

impl Firmware {
    /// One thing at a time: there is room for one image.
    fn must_be_idle(&self) -> Result<(), Fault> {
        match (&self.download, &self.activation) {
            (None, None) => Ok(()),
            (Some(_), _) => Err(failure("an image is being downloaded; wait for it, or cancel that Request")),
            (_, Some(_)) => Err(failure("an image waits to be activated, or is; cancel that Request first")),
        }
    }

    fn show(&self, facts: &mut Facts) {
        for slot in Slot::ALL {
            let staged = slot == self.staged.target;
            let status = match slot {
                _ if slot == self.active => Status::Active,
                _ if staged => self.staged.status,
                _ => Status::NoImage,
            };
            let mut set = |name: &str, value: &str| {
                let _ = facts.set(FACTS, slot.key(), name, value);
            };
            set("Status", status.name());
            set("Available", if matches!(status, Status::Active | Status::Available) { "1" } else { "0" });
            set("BootFailureLog", if staged { &self.staged.log } else { "" });
            // What runs is told by the router itself.
            if slot != self.active {
                let known = matches!(status, Status::Available | Status::ActivationFailed);
                set("Name", if known { &self.staged.name } else { "" });
                set("Version", if known { &self.staged.version } else { "" });
            }
        }
        facts.set("localagent", "", "ActiveFirmwareImage", self.active.key());
        facts.set("localagent", "", "BootFirmwareImage", self.boot.key());
    }
}

impl<B: Backend> Agent<B> {
    /// Shows and keeps what has changed.
    fn firmware_changed(&mut self) {
        self.firmware.show(&mut self.model.facts());
        let text = self.firmware.save(self.now);
        self.actions.push(super::Action::Keep(Kept::Firmware, text));
    }

    /// The downloaded image is still there.
    async fn has_image(&self) -> bool {
        self.model.backend().list(FOLDER).await.is_ok_and(|names| names.iter().any(|name| name == FILE))
    }

    /// What runs now.
    async fn what_runs(&self) -> Running {
        let backend = self.model.backend();
        let boot_id = backend.read("/proc/sys/kernel/random/boot_id").await;
        let board = backend.call("system", "board", &crate::backend::Table::default()).await.unwrap_or_default();
        let told = |name: &str| board.get("release")?.as_table()?.get(name)?.as_str().map(str::to_owned);
        let [revision, date] = ["revision", "builddate"].map(|name| told(name).unwrap_or_default());
        Running {
            boot_id: boot_id.map(|text| text.trim().to_owned()).unwrap_or_default(),
            firmware: format!("{} {revision} {date}", self.value("Device.DeviceInfo.SoftwareVersion").await),
        }
    }
}

fn failure(text: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
    Fault::new(Code::CommandFailure, text)
}
