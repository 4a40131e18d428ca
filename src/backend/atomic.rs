//! Replaces files so that a reader, and a power cut, see all of the old or all of the new.

use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

/// What a new file keeps of the one it replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions {
    /// The permission bits.
    pub mode: u32,
    /// User and group; None for the agent's own.
    pub owner: Option<(u32, u32)>,
}

impl Permissions {
    /// These bits, owned by the agent.
    pub fn mode(mode: u32) -> Self {
        Self { mode, owner: None }
    }

    /// Those of an existing file.
    pub fn of(file: &Metadata) -> Self {
        Self { mode: file.mode() & 0o7777, owner: Some((file.uid(), file.gid())) }
    }
}

/// A new file that lies complete and synced beside its target. Dropped without [`Self::rename`], it is removed.
#[derive(Debug)]
pub struct NewFile {
    /// Locked while it is in use: see [`sweep`].
    _file: File,
    temporary: PathBuf,
    target: PathBuf,
    renamed: bool,
}

impl NewFile {
    /// Writes `bytes` beside `target` and syncs them. The name begins with a dot, so that libuci ignores it.
    ///
    /// # Errors
    /// What the system says; nothing is left behind.
    pub fn beside(target: &Path, bytes: &[u8], permissions: Permissions) -> io::Result<Self> {
        let (file, temporary) = create_beside(target)?;
        let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
        let new = Self { _file: file, temporary, target: target.into(), renamed: false };
        let mut file = &new._file;
        file.write_all(bytes)?;
        if let Some((user, group)) = permissions.owner {
            // Only root may give files away; anybody else keeps them.
            let _ = fchown(file, Some(user), Some(group));
        }
        file.set_permissions(fs::Permissions::from_mode(permissions.mode))?;
        file.sync_all()?;
        Ok(new)
    }

    /// Puts it in the target's place. The folder is not synced yet: see [`sync_folder`].
    ///
    /// # Errors
    /// What the system says; the target is then unchanged.
    pub fn rename(mut self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.target)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Replaces a file and syncs it and its folder.
///
/// # Errors
/// What the system says.
pub fn replace(target: &Path, bytes: &[u8], permissions: Permissions) -> io::Result<()> {
    NewFile::beside(target, bytes, permissions)?.rename()?;
    sync_folder(target)
}

/// Removes a file for good; one that is not there is no error.
///
/// # Errors
/// What the system says.
pub fn remove(target: &Path) -> io::Result<()> {
    match fs::remove_file(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_folder(target),
    }
}

/// Syncs the folder a file is in, so that its name survives a power cut.
///
/// # Errors
/// What the system says.
pub fn sync_folder(of: &Path) -> io::Result<()> {
    File::open(of.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// Reads a whole open file of at most `limit` bytes; `InvalidData` over it.
///
/// # Errors
/// What the system says.
pub fn read_bounded(file: &File, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let over = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(over).read_to_end(&mut bytes)?;
    if bytes.len() > limit { Err(io::ErrorKind::InvalidData.into()) } else { Ok(bytes) }
}

/// Removes what a crash left of [`NewFile`]s in this folder. One that a program still holds is about to be put in place.
pub fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_temporary)) {
        let abandoned = |file: File| flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        if File::open(entry.path()).is_ok_and(abandoned) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether another program (libuci) has a new file, younger than `stale`, ready beside this one.
pub fn foreign_file_beside(target: &Path, stale: Duration) -> bool {
    let (Some(folder), Some(name)) = (target.parent(), target.file_name()) else { return false };
    let prefix = format!(".{}.uci-", name.to_string_lossy());
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let foreign = name.to_str().is_some_and(|name| name.starts_with(&prefix) && !is_temporary(name));
        foreign && entry.metadata().is_ok_and(|metadata| is_younger(&metadata, stale))
    })
}

/// A time in the future counts by its distance too: the clock of a router jumps.
fn is_younger(file: &Metadata, than: Duration) -> bool {
    let Ok(modified) = file.modified() else { return false };
    let now = SystemTime::now();
    now.duration_since(modified).or_else(|_| modified.duration_since(now)).is_ok_and(|age| age < than)
}

/// `.NAME.uci-uspXXX`: the form of libuci's own temporary files, with our mark in the random part.
fn is_temporary(name: &str) -> bool {
    let random = name.strip_prefix('.').and_then(|rest| rest.rsplit_once(".uci-usp"));
    random.is_some_and(|(_, random)| random.len() == 3)
}

/// The most names tried for a temporary file.
const MAX_NAMES: u32 = 64;

fn create_beside(target: &Path) -> io::Result<(File, PathBuf)> {
    let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    for _ in 0..MAX_NAMES {
        let path = target.with_file_name(format!(".{name}.uci-usp{}", three_letters()));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return opened.map(|file| (file, path)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Differs between processes and calls; `create_new` takes care of the rest.
fn three_letters() -> String {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let mut seed = std::process::id().wrapping_mul(31).wrapping_add(CALLS.fetch_add(1, Ordering::Relaxed));
    let mut letter = || {
        let digit = char::from_digit(seed % 36, 36).unwrap_or('0');
        seed /= 36;
        digit
    };
    [letter(), letter(), letter()].iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::scratch::Scratch;

    #[test]
    fn a_replaced_file_keeps_its_mode_and_leaves_nothing_beside() {
        let dir = Scratch::new("atomic");
        let path = dir.path().join("network");
        replace(&path, b"one", Permissions::mode(0o640)).unwrap();
        let kept = Permissions::of(&fs::metadata(&path).unwrap());
        replace(&path, b"two", kept).unwrap();
        assert_eq!((fs::read(&path).unwrap(), kept.mode), (b"two".to_vec(), 0o640));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_file_not_renamed_vanishes() {
        let dir = Scratch::new("atomic");
        drop(NewFile::beside(&dir.path().join("x"), b"y", Permissions::mode(0o600)).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn sweeping_takes_our_leftovers_and_leaves_libucis() {
        let dir = Scratch::new("atomic");
        for name in [".network.uci-uspa1b", ".network.uci-Ab12Zz", "network"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        sweep(dir.path());
        let mut left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".network.uci-Ab12Zz", "network"]);
    }

    #[test]
    fn sweeping_leaves_what_is_about_to_be_put_in_place() {
        let dir = Scratch::new("atomic");
        let target = dir.path().join("network");
        let new = NewFile::beside(&target, b"one", Permissions::mode(0o600)).unwrap();
        sweep(dir.path());
        new.rename().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"one");
    }

    #[test]
    fn reading_stops_at_the_limit() {
        let dir = Scratch::new("atomic");
        let path = dir.path().join("f");
        fs::write(&path, "1234").unwrap();
        assert_eq!(read_bounded(&File::open(&path).unwrap(), 4).unwrap(), b"1234");
        assert!(read_bounded(&File::open(&path).unwrap(), 3).is_err());
    }
}
