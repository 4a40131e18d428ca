//! Looks at the image: its checksum, and what the router's own check says (`/usr/libexec/validate_firmware_image`).

use super::super::checksum;
use super::{Step, failure, metadata};
use crate::agent::requests::Outcome;
use crate::backend::{CallError, Table};
use crate::usp::fault::Fault;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

/// How long the router's check may take: it reads the whole image, and checks a signature.
const CHECK: Duration = Duration::from_secs(120);
/// Bytes of the names of failed checks that are told.
const MAX_TOLD: usize = 200;

/// The image, which goes unless it is found good.
struct Unchecked(Option<PathBuf>);

impl Drop for Unchecked {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

pub(super) async fn run(step: &Step) -> Outcome {
    let mut unchecked = Unchecked(Some(step.file()));
    let mut file = File::open(step.file()).map_err(|error| failure(format!("the image cannot be read: {error}")))?;
    checksum::check(&step.input, &mut file).await?;
    check_image(step).await?;
    unchecked.0 = None;
    let version = metadata::version(&step.file()).unwrap_or_default();
    Ok(vec![("Version".into(), version)])
}

/// Asks the router. An image that it does not take, or that takes no settings over, would cut the router off.
pub(super) async fn check_image(step: &Step) -> Result<(), Fault> {
    let path = step.file();
    let arguments = Table::default().with("path", &*path.to_string_lossy());
    let answer = step.bus.call_within("system", "validate_firmware_image", &arguments, CHECK).await;
    let answer = answer.map_err(|error| match error {
        CallError::NotFound | CallError::Status(_) => failure("the router cannot check images (procd, fwtool)"),
        error => failure(format!("the router did not check the image: {error}")),
    })?;
    let says = |name: &str| answer.get(name).and_then(|value| value.as_i64()) == Some(1);
    if !says("valid") {
        return Err(failure(format!("the router refuses the image: {}", failed_tests(&answer))));
    }
    if !says("allow_backup") {
        return Err(failure("the image takes no settings over, and with them no way to its controllers"));
    }
    Ok(())
}

fn failed_tests(answer: &Table) -> String {
    let tests = answer.get("tests").and_then(|tests| tests.as_table());
    let failed = tests.into_iter().flat_map(|tests| &tests.0).filter(|(_, passed)| passed.as_i64() == Some(0));
    let mut names = String::new();
    for (name, _) in failed {
        if names.len() + name.len() < MAX_TOLD {
            names = if names.is_empty() { name.to_string() } else { format!("{names}, {name}") };
        }
    }
    if names.is_empty() { "it is not made for this device".into() } else { names }
}
