//! What must survive a reboot and is nobody's configuration: small named documents in `/etc/usp-agent/`.
//!
//! Each is replaced as a whole and carries a checksum. One that is damaged is reported, moved aside
//! and counts as absent: the agent starts with what is left. What a document says is its owner's business.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::backend::atomic::{self, Permissions, read_bounded};
use crate::backend::checksum::fnv1a;

/// The largest document, in bytes of text.
pub const MAX_DOCUMENT: usize = 1024 * 1024;
/// `usp-agent 1 ` and sixteen digits and a newline.
const TITLE: &str = "usp-agent 1 ";
const HEADER: usize = TITLE.len() + 16 + 1;

/// The documents of one agent.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// The documents in this folder, which is made when the first is saved. Only one agent may use it.
    pub fn open(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        atomic::sweep(&folder);
        Self { folder }
    }

    /// The document `name` (`[a-z-]+`); None where there is none or it was damaged.
    pub fn load(&self, name: &str) -> Option<String> {
        let path = self.path(name).ok()?;
        match read(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                let aside = path.with_extension("damaged");
                let moved = fs::rename(&path, &aside).is_ok();
                log::warn!(
                    "state=damaged file={} cause=\"{error}\" moved-aside={moved} action=ignored",
                    path.display()
                );
                None
            }
        }
    }

    /// Replaces the document; what is on flash already is not written again.
    ///
    /// # Errors
    /// `InvalidInput` for a name or size that is not allowed, else what the system says; the former document then stays.
    pub fn save(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.path(name)?;
        if text.len() > MAX_DOCUMENT {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if read(&path).is_ok_and(|now| now == text) {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let document = format!("{TITLE}{:016x}\n{text}", fnv1a(text.as_bytes()));
        atomic::replace(&path, document.as_bytes(), Permissions::mode(0o600))
    }

    /// Removes the document; one that is not there is no error.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub fn remove(&self, name: &str) -> io::Result<()> {
        atomic::remove(&self.path(name)?)
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(self.folder.join(format!("{name}.state")))
    }
}

/// The text of a document whose checksum is right.
fn read(path: &Path) -> io::Result<String> {
    let document = read_bounded(&File::open(path)?, HEADER + MAX_DOCUMENT)?;
    let damaged = || io::Error::other("checksum is wrong");
    let (header, text) = document.split_at_checked(HEADER).ok_or_else(damaged)?;
    if header != format!("{TITLE}{:016x}\n", fnv1a(text)).as_bytes() {
        return Err(damaged());
    }
    String::from_utf8(text.to_vec()).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::scratch::Scratch;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_document_is_there_after_the_next_start_until_removed() {
        let dir = Scratch::new("state");
        let folder = dir.path().join("new/folder");
        Store::open(&folder).save("instances", "lan 1\nüber 2\n").unwrap();
        let store = Store::open(&folder);
        assert_eq!(store.load("instances").as_deref(), Some("lan 1\nüber 2\n"));
        store.save("instances", "").unwrap();
        assert_eq!(store.load("instances").as_deref(), Some(""));
        store.remove("instances").unwrap();
        store.remove("instances").unwrap();
        assert_eq!(store.load("instances"), None);
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn the_same_text_is_not_written_again() {
        let dir = Scratch::new("state");
        let store = Store::open(dir.path());
        let inode = || fs::metadata(dir.path().join("boot.state")).unwrap().ino();
        store.save("boot", "1").unwrap();
        let before = inode();
        store.save("boot", "1").unwrap();
        assert_eq!(inode(), before);
        store.save("boot", "2").unwrap();
        assert_ne!(inode(), before);
        assert_eq!(fs::metadata(dir.path().join("boot.state")).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_document_is_moved_aside_and_absent() {
        let dir = Scratch::new("state");
        let store = Store::open(dir.path());
        let path = dir.path().join("boot.state");
        store.save("boot", "cause").unwrap();
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            for damaged in [&whole[..at], &changed] {
                fs::write(&path, damaged).unwrap();
                assert_eq!(store.load("boot"), None, "byte {at}");
                assert_eq!(fs::read(path.with_extension("damaged")).unwrap(), damaged);
            }
        }
        store.save("boot", "again").unwrap();
        assert_eq!(store.load("boot").as_deref(), Some("again"));
    }

    #[test]
    fn names_and_sizes_have_bounds() {
        let dir = Scratch::new("state");
        let store = Store::open(dir.path());
        for name in ["", "../x", "A", "a.b", "a/b", "a1"] {
            assert!(store.save(name, "x").is_err() && store.load(name).is_none() && store.remove(name).is_err());
        }
        let most = "x".repeat(MAX_DOCUMENT);
        store.save("most", &most).unwrap();
        assert_eq!(store.load("most").map(|text| text.len()), Some(MAX_DOCUMENT));
        assert!(store.save("over", &(most + "x")).is_err());
    }
}
