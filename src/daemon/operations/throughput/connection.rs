//! One connection of a test, and all of them together.

use super::meter::Meter;
use super::{Direction, Request};
use crate::mtp::http::{HttpFault, Size};
use futures_util::future::try_join_all;
use tokio::time::{Instant, timeout_at};

/// Bytes that are read or written at once, over each connection.
const PIECE: usize = 16 * 1024;

/// Runs all connections; the first that fails ends the test.
pub(super) async fn run_all(request: &Request, meter: &Meter<'_>) -> Result<(), HttpFault> {
    let connections = (0..request.connections as usize).map(|connection| async move {
        match request.direction {
            Direction::Download => download(request, meter, connection).await,
            Direction::Upload => upload(request, meter, connection).await,
        }
    });
    tokio::select! {
        biased;
        () = meter.tick() => Ok(()),
        done = try_join_all(connections) => done.map(drop),
    }
}

async fn download(request: &Request, meter: &Meter<'_>, connection: usize) -> Result<(), HttpFault> {
    let mut answer = request.client.ask("GET", &request.url, &[]).await?.successful()?;
    meter.stands(connection, answer.address.ip(), answer.times);
    meter.begin(connection);
    meter.moved(connection, answer.head_size);
    let mut piece = vec![0; PIECE];
    loop {
        let read = match meter.deadline() {
            None => answer.read(&mut piece).await,
            Some(deadline) => match timeout_at(deadline, answer.read(&mut piece)).await {
                Ok(_) if Instant::now() >= deadline => break,
                Ok(read) => read,
                Err(_) => break,
            },
        };
        match read? {
            0 => break,
            read => meter.moved(connection, read),
        }
    }
    meter.end(connection);
    Ok(())
}

async fn upload(request: &Request, meter: &Meter<'_>, connection: usize) -> Result<(), HttpFault> {
    let size = if request.duration.is_some() { Size::Chunks } else { Size::Known(request.length) };
    let mut upload = request.client.send("PUT", &request.url, &[], size).await?;
    meter.stands(connection, upload.address().ip(), upload.times());
    meter.begin(connection);
    let piece = vec![b'u'; PIECE];
    let mut left = if request.duration.is_some() { u64::MAX } else { request.length };
    while left > 0 {
        let size = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let piece = piece.get(..size).unwrap_or_default();
        match meter.deadline() {
            None => upload.write(piece).await?,
            Some(deadline) if Instant::now() >= deadline => break,
            Some(deadline) => match timeout_at(deadline, upload.write(piece)).await {
                Ok(written) => written?,
                // Half a chunk is on its way: there is no good end any more.
                Err(_) => {
                    meter.end(connection);
                    return Ok(());
                }
            },
        }
        meter.moved(connection, size);
        left -= u64::try_from(size).unwrap_or(left);
    }
    upload.finish().await?.successful()?;
    meter.end(connection);
    Ok(())
}
