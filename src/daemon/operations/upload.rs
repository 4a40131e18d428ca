//! Bringing a file to where a command wants it.

use crate::mtp::http::{Client, HttpFault, Size, Url};
use std::io::Read;

/// Bytes sent at once.
const PIECE: usize = 16 * 1024;

/// Puts a file of this type and size.
///
/// # Errors
/// [`HttpFault`]; [`HttpFault::Broken`] too where the file cannot be read.
pub(super) async fn put(
    client: &Client,
    url: &Url,
    kind: &str,
    size: u64,
    file: &mut dyn Read,
) -> Result<(), HttpFault> {
    let mut upload = client.send("PUT", url, &[("Content-Type", kind)], Size::Known(size)).await?;
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece).map_err(|error| HttpFault::Broken(format!("the file cannot be read: {error}")))? {
            0 => break,
            read => upload.write(piece.get(..read).unwrap_or_default()).await?,
        }
    }
    upload.finish().await?.successful().map(drop)
}
