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

/// Brings it to the server.
pub(super) async fn bring(client: &Client, input: &[(String, String)], file: &[u8]) -> Outcome {
    let url = url(input)?;
    let size = u64::try_from(file.len()).unwrap_or(u64::MAX);
    let mut file = file;
    in_time(upload::put(client, &url, "text/plain", size, &mut file)).await?;
    Ok(Vec::new())
}

/// Fetches one: its text, as [`text`] keeps every byte, is the output.
pub(super) async fn fetch(client: &Client, input: &[(String, String)]) -> Outcome {
    let url = url(input)?;
    let announced = Arguments(input).number("FileSize", 0);
    if usize::try_from(announced).is_ok_and(|size| size > MAX_PACKAGE) {
        return Err(too_large());
    }
    let file = in_time(receive(client, &url)).await?.ok_or_else(too_large)?;
    checksum::check(input, &mut &*file).await?;
    Ok(vec![("file".into(), text::decode(&file).into())])
}

/// None where it is larger than a package can be.
async fn receive(client: &Client, url: &Url) -> Result<Option<Vec<u8>>, HttpFault> {
    let mut answer = client.ask("GET", url, &[]).await?.successful()?;
    let (mut file, mut piece) = (Vec::new(), [0; PIECE]);
    loop {
        match answer.read(&mut piece).await? {
            0 => return Ok(Some(file)),
            read => file.extend_from_slice(piece.get(..read).unwrap_or_default()),
        }
        if file.len() > MAX_PACKAGE {
            return Ok(None);
        }
    }
}

async fn in_time<T>(transfer: impl Future<Output = Result<T, HttpFault>>) -> Result<T, Fault> {
    let done = timeout(LONGEST, transfer).await.map_err(|_| failure("the transfer takes too long".into()))?;
    done.map_err(|fault| failure(fault.to_string()))
}

fn url(input: &[(String, String)]) -> Result<Url, Fault> {
    Url::parse(Arguments(input).text("URL")).map_err(|fault| failure(fault.to_string()))
}

fn too_large() -> Fault {
    Fault::new(Code::ResourcesExceeded, "the file is larger than 1 MiB")
}

fn failure(text: String) -> Fault {
    Fault::new(Code::CommandFailure, text)
}
