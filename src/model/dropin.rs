//! Drop-ins: mapping files beside the built-in ones, from other packages or the owner.
//!
//! A file that is wrong is refused whole and the model stands without it. Nothing is read that somebody else than
//! root could have written, for a mapping decides what a controller reaches.

use super::built_in;
use super::digest::Digest;
use super::native;
use super::notation::{self, Block, MAX_FILE, NotationError};
use super::schema::{Natives, Schema};
use crate::order;
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where drop-ins lie; later folders after earlier ones.
pub const FOLDERS: [&str; 2] = ["/usr/share/usp-agent/data-model.d", "/etc/usp-agent/data-model.d"];
/// The most drop-ins that are read.
pub const MAX_FILES: usize = 64;

/// The built-in model with the drop-ins of `folders` below `root`, and why others were refused
/// (`file:line: what is wrong`).
///
/// Files ending in `.dm` are read in the order of folders, then names. Reads files once, at start and reload.
pub fn load(folders: &[&str], root: &Path, native_writes: Natives<'_>) -> (Schema, Vec<String>) {
    let mut refusals = Vec::new();
    let files = read_all(folders, root, &mut refusals);
    let (schema, more) = extend(files, native_writes);
    refusals.extend(more);
    (schema, refusals)
}

/// The built-in model with these files (name and text) as drop-ins, and why some were refused.
pub fn extend(files: Vec<(String, String)>, native_writes: Natives<'_>) -> (Schema, Vec<String>) {
    // The usual case keeps no copy of the blocks: what is freed between what stays is memory lost for good.
    if files.is_empty() {
        return Schema::built_in(native_writes)
            .map_or_else(|errors| (Schema::default(), texts(&errors)), |s| (s, vec![]));
    }
    let mut refusals = Vec::new();
    let mut model = Model { blocks: built_in::blocks().unwrap_or_default(), whole: None, native_writes };
    let mut schema = model.build(Vec::new()).unwrap_or_else(|errors| {
        refusals.extend(errors);
        Schema::default()
    });
    for (name, text) in files {
        match model.with(&name, text.leak()) {
            Ok(larger) => schema = larger,
            Err(errors) => refusals.extend(errors),
        }
    }
    (schema, refusals)
}

/// What is accepted so far.
struct Model<'n> {
    blocks: Vec<Block>,
    /// The whole digest, from the first drop-in on that names what the built-in mapping does not.
    whole: Option<String>,
    native_writes: Natives<'n>,
}

impl Model<'_> {
    /// The model with one more file; it is kept only where nothing is wrong with it.
    fn with(&mut self, name: &str, text: &'static str) -> Result<Schema, Vec<String>> {
        let more = notation::parse(name, text).map_err(|error| vec![error.to_string()])?;
        let unknown = unknown_natives(&more);
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let schema = self.build(more.clone()).or_else(|errors| {
            if self.whole.is_some() {
                return Err(errors);
            }
            // Perhaps the standard knows it and only the small digest does not.
            self.whole = Some(built_in::whole_digest());
            self.build(more.clone())
        })?;
        self.blocks.extend(more);
        Ok(schema)
    }

    fn build(&self, more: Vec<Block>) -> Result<Schema, Vec<String>> {
        let blocks = self.blocks.iter().cloned().chain(more).collect();
        let digest = self.whole.as_ref().map_or_else(|| Cow::Owned(built_in::mapped_digest()), Cow::Borrowed);
        Schema::build(blocks, &Digest::parse(&digest), self.native_writes).map_err(|errors| texts(&errors))
    }
}

fn texts(errors: &[NotationError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

fn unknown_natives(blocks: &[Block]) -> Vec<String> {
    let natives = notation::natives(blocks).into_iter().filter(|(_, name)| !native::known(name));
    natives.map(|(at, name)| format!("{at}: there is no native function `{name}`")).collect()
}

fn read_all(folders: &[&str], root: &Path, refusals: &mut Vec<String>) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for folder in folders {
        for file in files(root, folder) {
            let name = format!("{folder}/{}", file.file_name().unwrap_or_default().to_string_lossy());
            if texts.len() >= MAX_FILES {
                refusals.push(format!("{name}:0: more than {MAX_FILES} drop-ins"));
                return texts;
            }
            match read(&file) {
                Ok(text) => texts.push((name, text)),
                Err(why) => refusals.push(format!("{name}:0: {why}")),
            }
        }
    }
    texts
}

/// The `.dm` files of a folder, by name; a folder that is not there has none.
fn files(root: &Path, folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join(folder.trim_start_matches('/')));
    let mut files: Vec<PathBuf> = entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "dm"));
    order::sort(&mut files);
    files
}

fn read(path: &Path) -> Result<String, String> {
    if !fs::metadata(path).map_err(|why| why.to_string())?.is_file() {
        return Err("it is no file".into());
    }
    if let Some(folder) = path.parent() {
        trusted(&fs::metadata(folder).map_err(|why| why.to_string())?, "its folder")?;
    }
    let file = File::open(path).map_err(|why| why.to_string())?;
    trusted(&file.metadata().map_err(|why| why.to_string())?, "it")?;
    let mut text = String::new();
    let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_string(&mut text).map_err(|why| why.to_string())?;
    if text.len() > MAX_FILE { Err(format!("it is larger than {MAX_FILE} bytes")) } else { Ok(text) }
}

/// Belongs to root (or to whom the agent runs as) and nobody else writes it.
fn trusted(metadata: &fs::Metadata, what: &str) -> Result<(), String> {
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != 0 && metadata.uid() != me {
        return Err(format!("{what} does not belong to root"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(format!("{what} can be written by others than root (chmod go-w)"));
    }
    Ok(())
}
