//! The mapping and the facts that are built in; `build.rs` checked and packed them.

use super::digest::Digest;
use super::notation::{self, Block, NotationError};
use super::schema::{Natives, Schema};
use miniz_oxide::inflate::decompress_slice_iter_to_slice;

/// All mapping files, each after a line `%NAME`.
const MAPPING: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/mapping.deflate"));
/// The facts of what is mapped.
const MAPPED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/mapped.digest.deflate"));
/// The other facts.
const REST: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rest.digest.deflate"));
/// What has no source, and why.
const NO_SOURCE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/no-source.deflate"));
/// More than any of these is, in bytes. So much at once comes from the system and goes back to it; what is not written
/// costs nothing. Growing piece by piece would leave holes between what stays.
const MAX_TEXT: usize = 1024 * 1024;

/// The blocks of the built-in mapping.
///
/// # Errors
/// None in a build that succeeded: the build script reads the same text.
pub fn blocks() -> Result<Vec<Block>, NotationError> {
    let mut blocks = Vec::new();
    for file in files() {
        blocks.extend(file?);
    }
    Ok(blocks)
}

/// The blocks of one file after the other.
fn files() -> impl Iterator<Item = Result<Vec<Block>, NotationError>> {
    let mapping: &'static str = Box::leak(inflated(MAPPING).into_boxed_str());
    mapping.split('%').filter(|file| !file.is_empty()).map(|file| {
        let (name, text) = file.split_once('\n').unwrap_or((file, ""));
        notation::parse(name, text)
    })
}

/// The facts of what the built-in mapping maps.
pub fn mapped_digest() -> String {
    inflated(MAPPED)
}

/// The text of the whole digest (about 430 KB while it is held). An object of which a part is mapped comes twice.
pub fn whole_digest() -> String {
    inflated(MAPPED) + &inflated(REST)
}

/// The text that says why what the router profile wants is not mapped: `data-model/no-source.txt`.
pub fn no_source() -> String {
    inflated(NO_SOURCE)
}

fn inflated(packed: &[u8]) -> String {
    let mut bytes = vec![0; MAX_TEXT];
    let length = decompress_slice_iter_to_slice(&mut bytes, std::iter::once(packed), false, true);
    bytes.truncate(length.unwrap_or(0));
    String::from_utf8(bytes).unwrap_or_default()
}

impl Schema {
    /// The built-in model, without drop-ins.
    ///
    /// # Errors
    /// None in a build that succeeded: the build script builds the same model.
    pub fn built_in(native_writes: Natives<'_>) -> Result<Self, Vec<NotationError>> {
        Self::build_again(files(), &Digest::parse(&mapped_digest()), native_writes)
    }
}
