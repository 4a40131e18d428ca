//! Reads a package of apk, version 3: what `cross/apk.py` writes, told by the format's description and not by the writer.

use std::collections::BTreeMap;

/// A file: its mode and what is in it.
pub(crate) type File = (u32, Vec<u8>);

/// What a package holds.
pub(crate) struct Package {
    /// name, version, architecture, and so on.
    pub(crate) info: BTreeMap<&'static str, String>,
    pub(crate) depends: Vec<String>,
    /// By path without a slash in front.
    pub(crate) files: BTreeMap<String, File>,
    pub(crate) folders: BTreeMap<String, u32>,
    pub(crate) scripts: BTreeMap<&'static str, String>,
}

/// Slots of an object that says what the package is, and of the one with its scripts.
const INFO: [(usize, &str); 6] =
    [(1, "name"), (2, "version"), (4, "description"), (5, "arch"), (6, "license"), (7, "origin")];
const SCRIPTS: [(usize, &str); 3] = [(3, "post-install"), (4, "pre-deinstall"), (7, "post-upgrade")];

/// The values of a database.
struct Database<'a>(&'a [u8]);

impl<'a> Database<'a> {
    fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.0[at..at + 4].try_into().unwrap())
    }

    fn integer(&self, value: u32) -> u32 {
        match value >> 28 {
            1 => value & 0x0fff_ffff,
            2 => self.word(place(value)),
            kind => panic!("kind {kind} is no integer"),
        }
    }

    fn blob(&self, value: u32) -> &'a [u8] {
        let at = place(value);
        let (start, length) = match value >> 28 {
            0 => (0, 0),
            8 => (at + 1, usize::from(self.0[at])),
            9 => (at + 2, usize::from(u16::from_le_bytes([self.0[at], self.0[at + 1]]))),
            10 => (at + 4, self.word(at) as usize),
            kind => panic!("kind {kind} is no text"),
        };
        &self.0[start..start + length]
    }

    fn text(&self, value: u32) -> String {
        String::from_utf8(self.blob(value).to_vec()).unwrap()
    }

    /// The slots of an object or array; the first is how many there are.
    fn slots(&self, value: u32) -> Vec<u32> {
        if value == 0 {
            return vec![1];
        }
        assert!(matches!(value >> 28, 13 | 14), "{value:x} is neither an object nor an array");
        let at = place(value);
        let count = self.word(at) as usize;
        (0..count).map(|slot| self.word(at + 4 * slot)).collect()
    }

    fn array(&self, value: u32) -> Vec<u32> {
        self.slots(value).split_off(1)
    }

    fn mode(&self, access: u32) -> u32 {
        let access = self.slots(access);
        assert_eq!((self.text(access[2]).as_str(), self.text(access[3]).as_str()), ("root", "root"));
        self.integer(access[1])
    }
}

fn place(value: u32) -> usize {
    (value & 0x0fff_ffff) as usize
}

/// The blocks of an unpacked file: kind and content.
fn blocks(mut rest: &[u8]) -> Vec<(u32, &[u8])> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let head = u32::from_le_bytes(rest[..4].try_into().unwrap());
        let size = (head & 0x3fff_ffff) as usize;
        found.push((head >> 30, &rest[4..size]));
        rest = &rest[size.next_multiple_of(8)..];
    }
    found
}

pub(crate) fn read(bytes: &[u8]) -> Package {
    let packed = bytes.strip_prefix(b"ADBd").expect("ADB, deflated");
    let bytes = miniz_oxide::inflate::decompress_to_vec(packed).unwrap();
    let blocks = blocks(bytes.strip_prefix(b"ADB.pckg").expect("the schema of a package"));
    let (0, database) = blocks[0] else { panic!("the description comes first") };
    let database = Database(database);
    let package = database.slots(database.word(4));
    let info = database.slots(package[1]);
    let scripts = database.slots(package[3]);
    let mut read = Package {
        info: INFO.iter().map(|(slot, name)| (*name, database.text(info[*slot]))).collect(),
        depends: database.array(info[15]).iter().map(|one| database.text(database.slots(*one)[1])).collect(),
        files: BTreeMap::new(),
        folders: BTreeMap::new(),
        scripts: SCRIPTS.iter().map(|(slot, name)| (*name, database.text(scripts[*slot]))).collect(),
    };
    let mut contents = blocks[1..].iter();
    for (number, folder) in database.array(package[2]).iter().enumerate() {
        let folder = database.slots(*folder);
        let name = database.text(folder[1]);
        read.folders.insert(name.clone(), database.mode(folder[2]));
        for (index, file) in folder.get(3).map(|files| database.array(*files)).unwrap_or_default().iter().enumerate() {
            let file = database.slots(*file);
            let (kind, content) = contents.next().expect("a block for each file");
            let expected = [number as u32 + 1, index as u32 + 1].map(u32::to_le_bytes).concat();
            assert_eq!((*kind, &content[..8]), (2, &expected[..]), "blocks come in the order of the files");
            let digest = ring::digest::digest(&ring::digest::SHA256, &content[8..]);
            assert_eq!(
                (database.integer(file[3]) as usize, database.blob(file[5])),
                (content.len() - 8, digest.as_ref())
            );
            let path = format!("{name}/{}", database.text(file[1]));
            read.files.insert(path, (database.mode(file[2]), content[8..].to_vec()));
        }
    }
    assert!(contents.next().is_none());
    read
}
