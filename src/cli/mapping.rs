//! What is wrong with mapping files, with file and line: the part of `usp-agent check` that knows the data model.

use crate::model::dropin::{self, FOLDERS, MAX_FILES};
use crate::model::native;
use crate::model::notation::MAX_FILE;
use crate::model::schema::Schema;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The built-in model with the drop-ins below `root`, and every message about files that the agent would refuse.
pub fn installed(root: &Path) -> (Schema, Vec<String>) {
    dropin::load(&FOLDERS, root, &writes)
}

/// Messages about mapping files that are not installed yet, read as drop-ins in this order.
/// Who owns them does not matter here.
pub fn files(paths: &[PathBuf]) -> Vec<String> {
    let mut messages = Vec::new();
    let mut texts = Vec::new();
    for path in paths.iter().take(MAX_FILES) {
        match read(path) {
            Ok(text) => texts.push((path.display().to_string(), text)),
            Err(why) => messages.push(format!("{}:0: {why}", path.display())),
        }
    }
    messages.extend(dropin::extend(texts, &writes).1);
    messages
}

fn read(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|why| why.to_string())?;
    let mut text = String::new();
    let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_string(&mut text).map_err(|why| why.to_string())?;
    Ok(text)
}

fn writes(name: &str) -> bool {
    native::writes(name)
}
