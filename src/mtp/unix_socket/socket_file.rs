//! The file of a socket that is listened on: made with its folder, guarded by its permissions, removed in the end.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixSocket, UnixStream};

/// Owner and group may connect, nobody else.
const PERMISSIONS: u32 = 0o660;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 16;

/// A socket's file; it goes with this, unless somebody has replaced it.
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl SocketFile {
    /// Listens at `path`.
    ///
    /// # Errors
    /// One sentence that says what to check.
    pub(super) async fn listen(path: &str) -> Result<(UnixListener, Self), String> {
        let path = Path::new(path);
        make_way(path).await?;
        bind(path).map_err(|error| format!("cannot listen on {}: {error}", path.display()))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes the folder, and removes a socket that a process which has ended left behind. Whatever else is there stays.
async fn make_way(path: &Path) -> Result<(), String> {
    let shown = path.display();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let there = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        there => there.map_err(|error| format!("{shown}: {error}"))?,
    };
    if !there.file_type().is_socket() {
        return Err(format!("{shown} is there and is no socket: remove it, or choose another path"));
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| format!("{shown} was left behind and cannot be removed: {error}"))
        }
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(format!("{shown}: {error}")),
        _ => Err(format!("another process listens on {shown}")),
    }
}

/// The permissions stand before anybody can connect.
fn bind(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    let file = SocketFile { path: path.to_owned(), identity: identity(path)? };
    fs::set_permissions(path, fs::Permissions::from_mode(PERMISSIONS))?;
    Ok((socket.listen(BACKLOG)?, file))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let there = fs::symlink_metadata(path)?;
    Ok((there.dev(), there.ino()))
}
