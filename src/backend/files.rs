//! Reads small files, folders and links of the router, below a root folder (`--root`, `/` on a router).
//!
//! It reads regular files only and never waits for one: a FIFO or device is refused.

use crate::order;
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{Mode, OFlags};

use super::atomic::read_bounded;
use super::{FileError, MAX_FILE};

/// The most names of a folder.
pub const MAX_NAMES: usize = 4096;

/// The files of a router.
#[derive(Debug, Clone)]
pub struct Files {
    root: PathBuf,
}

impl Files {
    /// The files below this folder.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The text of a file of at most [`MAX_FILE`] bytes; what is not UTF-8 is replaced.
    ///
    /// # Errors
    /// Those of [`FileError`].
    pub fn read(&self, path: &str) -> Result<Rc<str>, FileError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(self.place(path)?, flags, Mode::empty()).map_err(io::Error::from)?);
        if !file.metadata()?.is_file() {
            return Err(FileError::Io("not a regular file".into()));
        }
        let bytes = read_bounded(&file, MAX_FILE)?;
        Ok(String::from_utf8_lossy(&bytes).into())
    }

    /// The names in a folder, sorted; at most [`MAX_NAMES`].
    ///
    /// # Errors
    /// Those of [`FileError`].
    pub fn list(&self, path: &str) -> Result<Vec<String>, FileError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.place(path)?)? {
            if names.len() >= MAX_NAMES {
                return Err(FileError::TooLarge);
            }
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        order::sort(&mut names);
        Ok(names)
    }

    /// Where a symbolic link points: its text.
    ///
    /// # Errors
    /// Those of [`FileError`]; [`FileError::NotFound`] for what is no link.
    pub fn link(&self, path: &str) -> Result<Rc<str>, FileError> {
        match fs::read_link(self.place(path)?) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(FileError::NotFound),
            target => Ok(target?.to_string_lossy().into()),
        }
    }

    /// The path below the root; one that is not absolute or climbs (`..`) is refused.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn place(&self, path: &str) -> Result<PathBuf, FileError> {
        let relative = path.strip_prefix('/').ok_or_else(|| FileError::Io("path is not absolute".into()))?;
        let climbs = |part| !matches!(part, Component::Normal(_) | Component::CurDir);
        if Path::new(relative.trim_start_matches('/')).components().any(climbs) {
            return Err(FileError::Io("path climbs with ..".into()));
        }
        Ok(self.root.join(relative.trim_start_matches('/')))
    }
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NotFound,
            io::ErrorKind::InvalidData => Self::TooLarge,
            _ => Self::Io(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::scratch::Scratch;

    #[test]
    fn files_folders_and_links_are_read_below_the_root() {
        let dir = Scratch::new("files");
        dir.write("root/proc/uptime", b"12.5 \xff");
        dir.write("root/proc/stat", "");
        std::os::unix::fs::symlink("../br-lan", dir.path().join("root/master")).unwrap();
        let files = Files::new(dir.path().join("root"));
        assert_eq!(&*files.read("/proc/uptime").unwrap(), "12.5 \u{fffd}");
        assert_eq!(files.list("/proc").unwrap(), ["stat", "uptime"]);
        assert_eq!(&*files.link("/master").unwrap(), "../br-lan");
        assert_eq!(files.read("/absent"), Err(FileError::NotFound));
        assert_eq!(files.link("/proc/uptime"), Err(FileError::NotFound));
    }

    #[test]
    fn what_leads_out_of_the_root_is_refused() {
        let dir = Scratch::new("files");
        dir.write("secret", "x");
        dir.write("root/a", "x");
        let files = Files::new(dir.path().join("root"));
        for path in ["/../secret", "/a/../../secret", "a", "", "//../secret"] {
            assert!(matches!(files.read(path), Err(FileError::Io(_))), "{path}");
        }
        assert!(files.read("//a").is_ok());
    }

    #[test]
    fn a_file_over_the_limit_and_a_fifo_are_refused() {
        let dir = Scratch::new("files");
        dir.write("fits", "x".repeat(MAX_FILE));
        dir.write("over", "x".repeat(MAX_FILE + 1));
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let files = Files::new(dir.path());
        assert!(files.read("/fits").is_ok());
        assert_eq!(files.read("/over"), Err(FileError::TooLarge));
        assert!(matches!(files.read("/fifo"), Err(FileError::Io(_))));
    }

    #[test]
    fn real_proc_and_sys_files_have_a_text_though_no_size() {
        let files = Files::new("/");
        assert!(files.read("/proc/uptime").unwrap().contains('.'));
        assert!(files.list("/sys/class/net").unwrap().contains(&"lo".to_string()));
    }
}
