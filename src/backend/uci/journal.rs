//! What the packages of a commit were before it, on flash, so that a crash between two renames can be undone.
//!
//! The journal is written and synced before the first rename and removed after the last. One that is
//! torn was never followed by a rename and is ignored. It holds secrets: mode 0600.

use crate::backend::atomic::Permissions;
use crate::backend::checksum::fnv1a;

const TITLE: &str = "usp-agent uci journal 1";

/// One package of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The package.
    pub(super) name: Box<str>,
    /// Its file before; None where there was none.
    pub(super) old: Option<Vec<u8>>,
    /// Mode and owner of the file before.
    pub(super) permissions: Permissions,
    /// The checksum of the file after.
    pub(super) new: u64,
}

/// The journal's bytes: a line and the old file per package, and a checksum over all.
pub(super) fn write(entries: &[Entry]) -> Vec<u8> {
    let mut out = format!("{TITLE}\n").into_bytes();
    for entry in entries {
        let (user, group) = entry.permissions.owner.unwrap_or_default();
        let length = entry.old.as_ref().map_or("absent".into(), |old| old.len().to_string());
        let mode = entry.permissions.mode;
        out.extend(format!("{} {mode:o} {user} {group} {length} {:016x}\n", entry.name, entry.new).bytes());
        out.extend(entry.old.iter().flatten());
    }
    let sum = fnv1a(&out);
    out.extend(format!("end {sum:016x}\n").bytes());
    out
}

/// The entries of a journal; None where it is torn or not ours.
pub(super) fn read(bytes: &[u8]) -> Option<Vec<Entry>> {
    let (body, end) = bytes.split_at_checked(bytes.len().checked_sub("end 0123456789abcdef\n".len())?)?;
    if end != format!("end {:016x}\n", fnv1a(body)).as_bytes() {
        return None;
    }
    let mut rest = body.strip_prefix(format!("{TITLE}\n").as_bytes())?;
    let mut entries = Vec::new();
    while !rest.is_empty() {
        entries.push(read_entry(&mut rest)?);
    }
    Some(entries)
}

fn read_entry(rest: &mut &[u8]) -> Option<Entry> {
    let end = rest.iter().position(|b| *b == b'\n')?;
    let words: Vec<&str> = std::str::from_utf8(rest.get(..end)?).ok()?.split(' ').collect();
    *rest = rest.get(end + 1..)?;
    let [name, mode, user, group, length, new] = *words else { return None };
    let permissions = Permissions {
        mode: u32::from_str_radix(mode, 8).ok()?,
        owner: Some((user.parse().ok()?, group.parse().ok()?)),
    };
    let old = match length {
        "absent" => None,
        length => {
            let (old, after) = rest.split_at_checked(length.parse().ok()?)?;
            *rest = after;
            Some(old.to_vec())
        }
    };
    Some(Entry { name: name.into(), old, permissions, new: u64::from_str_radix(new, 16).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let permissions = Permissions { mode: 0o600, owner: Some((1, 2)) };
        vec![
            Entry { name: "network".into(), old: Some(b"\nconfig x\n\n".to_vec()), permissions, new: u64::MAX },
            Entry { name: "usp-agent".into(), old: None, permissions, new: 7 },
            Entry { name: "dhcp".into(), old: Some(Vec::new()), permissions, new: 0 },
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(read(&write(&entries())), Some(entries()));
        assert_eq!(read(&write(&[])), Some(vec![]));
    }

    #[test]
    fn a_journal_cut_or_changed_anywhere_is_none() {
        let whole = write(&entries());
        for at in 0..whole.len() {
            assert_eq!(read(&whole[..at]), None, "cut at {at}");
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert_eq!(read(&changed), None, "changed at {at}");
        }
    }
}
