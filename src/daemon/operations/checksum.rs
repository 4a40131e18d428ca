//! CheckSumAlgorithm and CheckSum of a command that fetches a file.

use super::arguments::Arguments;
use crate::usp::fault::{Code, Fault};
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512};
use std::fmt::Write as _;
use std::io::Read;

/// Bytes digested before others have their turn.
const PIECE: usize = 64 * 1024;

/// The file has the sum that is asked for, if one is.
///
/// # Errors
/// It has another one, or cannot be read.
pub(super) async fn check(input: &[(String, String)], file: &mut dyn Read) -> Result<(), Fault> {
    let failure = |text: String| Fault::new(Code::CommandFailure, text);
    let given = Arguments(input);
    let wanted = given.text("CheckSum");
    if wanted.is_empty() {
        return Ok(());
    }
    let algorithm = match given.text("CheckSumAlgorithm") {
        "SHA-1" => &SHA1_FOR_LEGACY_USE_ONLY,
        "SHA-256" => &SHA256,
        "SHA-384" => &SHA384,
        "SHA-512" => &SHA512,
        other => return Err(failure(format!("the checksum algorithm {other} is not known here"))),
    };
    let (mut context, mut piece) = (Context::new(algorithm), vec![0; PIECE]);
    loop {
        match file.read(&mut piece).map_err(|error| failure(format!("the file cannot be read: {error}")))? {
            0 => break,
            read => context.update(piece.get(..read).unwrap_or_default()),
        }
        tokio::task::yield_now().await;
    }
    let mut found = String::new();
    for byte in context.finish().as_ref() {
        let _ = write!(found, "{byte:02x}");
    }
    match found.eq_ignore_ascii_case(wanted) {
        true => Ok(()),
        false => Err(failure(format!("the checksum of the file is {found}"))),
    }
}
