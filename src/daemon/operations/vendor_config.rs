//! The transfers of Backup() and Restore(): the text of one UCI package, as `uci export` writes it. What it means, and
//! what becomes of it, the agent decides.

use super::arguments::Arguments;
use super::{LONGEST, checksum, upload};
use crate::agent::requests::Outcome;
use crate::agent::vendor_config::ARGUMENT;
use crate::backend::uci::parse::MAX_PACKAGE;
use crate::backend::uci::{text, write};
use crate::backend::{Backend, Router};
use crate::model::Model;
use crate::mtp::http::{Client, HttpFault, Url};
use crate::usp::fault::{Code, Fault};
use tokio::time::timeout;

/// Bytes read at once.
const PIECE: usize = 4096;

/// The file of a Backup().
pub(super) async fn file(input: &[(String, String)], model: &Model<Router>) -> Result<Vec<u8>, Fault> {
    let given = Arguments(input);
    let name = given.text(ARGUMENT);
    let package = model.backend().package(name).await;
    package.map(|package| write::export(&package)).map_err(|why| failure(format!("package {name}: {why}")))
}

/// Brings this file to the server, or fetches one: its text, as [`text`] keeps every byte, is the output.
pub(super) async fn run(client: &Client, input: &[(String, String)], file: Option<&[u8]>) -> Outcome {
    let given = Arguments(input);
    let url = Url::parse(given.text("URL")).map_err(|fault| failure(fault.to_string()))?;
    if usize::try_from(given.number("FileSize", 0)).is_ok_and(|size| size > MAX_PACKAGE) {
        return Err(too_large());
    }
    let moved = timeout(LONGEST, carry(client, &url, file)).await;
    let moved = moved.map_err(|_| failure("the transfer takes too long".into()))?;
    let fetched = moved.map_err(|fault| failure(fault.to_string()))?.ok_or_else(too_large)?;
    checksum::check(input, &mut &*fetched).await?;
    Ok(vec![("file".into(), text::decode(&fetched).into())])
}

/// What was fetched; None where it is larger than a package can be.
async fn carry(client: &Client, url: &Url, file: Option<&[u8]>) -> Result<Option<Vec<u8>>, HttpFault> {
    let mut fetched = Vec::new();
    if let Some(mut file) = file {
        let size = u64::try_from(file.len()).unwrap_or(u64::MAX);
        upload::put(client, url, "text/plain", size, &mut file).await?;
        return Ok(Some(fetched));
    }
    let mut answer = client.ask("GET", url, &[]).await?.successful()?;
    let mut piece = vec![0; PIECE];
    loop {
        match answer.read(&mut piece).await? {
            0 => return Ok(Some(fetched)),
            read => fetched.extend_from_slice(piece.get(..read).unwrap_or_default()),
        }
        if fetched.len() > MAX_PACKAGE {
            return Ok(None);
        }
    }
}

fn too_large() -> Fault {
    Fault::new(Code::ResourcesExceeded, "the file is larger than 1 MiB")
}

fn failure(text: String) -> Fault {
    Fault::new(Code::CommandFailure, text)
}
