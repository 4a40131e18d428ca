//! What Download() and Activate() of a firmware image do: fetch it, look at it, have the router flashed.
//!
//! When which of them is due, and what follows, the agent decides. The image lies in memory (`/tmp`): flash has no room
//! for it. Dropping the future of a step cancels it.

mod fetch;
mod flash;
mod metadata;
mod validate;

use super::ground::Ground;
use crate::agent::firmware::{FILE, FOLDER};
use crate::agent::requests::Outcome;
use crate::backend::{Router, ubus};
use crate::model::Model;
use crate::mtp::http::Client;
use crate::usp::fault::{Code, Fault};
use std::borrow::Cow;
use std::path::PathBuf;

/// Bytes of memory that stay free beside an image: sysupgrade keeps its tools and the settings there while it flashes.
pub const RESERVE: u64 = 6 * 1024 * 1024;

/// A step, with everything it needs.
pub struct Step {
    what: What,
    input: Vec<(String, String)>,
    http: Client,
    bus: ubus::Client,
    ground: Ground,
}

enum What {
    Fetch,
    Validate,
    Flash,
}

impl Step {
    /// The step of this name; None where it is none of the firmware's.
    pub async fn of(
        name: &str,
        input: &[(String, String)],
        ground: &Ground,
        model: &Model<Router>,
    ) -> Option<Result<Self, Fault>> {
        let what = match name {
            "firmware_download" => What::Fetch,
            "firmware_validate" => What::Validate,
            "firmware_activate" => What::Flash,
            _ => return None,
        };
        let http = ground.http(input, model).await;
        let step =
            |bus: &ubus::Client| Self { what, input: input.to_vec(), http, bus: bus.clone(), ground: ground.clone() };
        Some(ground.bus(model).map(step))
    }

    /// Performs it.
    pub async fn run(self) -> Outcome {
        match self.what {
            What::Fetch => fetch::run(&self).await,
            What::Validate => validate::run(&self).await,
            What::Flash => flash::run(&self).await,
        }
    }

    fn given(&self, name: &str) -> &str {
        self.input.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value.as_str())
    }

    fn folder(&self) -> PathBuf {
        self.ground.place(FOLDER)
    }

    fn file(&self) -> PathBuf {
        self.folder().join(FILE)
    }
}

fn failure(text: impl Into<Cow<'static, str>>) -> Fault {
    Fault::new(Code::CommandFailure, text)
}

fn too_large(text: impl Into<Cow<'static, str>>) -> Fault {
    Fault::new(Code::ResourcesExceeded, text)
}
