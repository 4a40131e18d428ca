//! Tasks on the one thread. Tokio compiles what surrounds a task once for each type of task, a kilobyte or two every time;
//! here all of them are of one type.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use tokio::task::{JoinHandle, LocalSet, spawn_local};

/// A task of whatever type.
pub type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Sockets told of at one look at the kernel: tokio's own number reserves memory for 1024.
const IO_EVENTS: usize = 64;

/// Starts a task beside the one that runs, as `tokio::task::spawn_local` does.
pub fn spawn(task: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
    let task: Task = Box::pin(task);
    spawn_local(task)
}

/// Runs this to its end on a runtime of its own, on this thread, and what it [`spawn`]s meanwhile.
///
/// # Errors
/// The system refuses what every program needs.
pub fn block_on<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let mut ended = None;
    drive(pin!(async { ended = Some(work.await) }))?;
    ended.ok_or_else(|| io::ErrorKind::Interrupted.into())
}

fn drive(work: Pin<&mut dyn Future<Output = ()>>) -> io::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_io_events_per_tick(IO_EVENTS).build()?;
    LocalSet::new().block_on(&runtime, work);
    Ok(())
}
