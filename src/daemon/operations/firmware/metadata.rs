//! What an image says of itself: fwtool's metadata, JSON behind the image with a trailer of its size.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes of a trailer: magic, checksum, type and padding, size of the section with the trailer.
const TRAILER: usize = 16;
const MAGIC: &[u8] = b"FWx0";
/// Sections behind an image: the metadata, and a signature.
const MAX_SECTIONS: usize = 4;
/// Bytes of a section; the metadata of an image for many devices has some thousand.
const MAX_SECTION: usize = 64 * 1024;
/// Characters of a version.
const MAX_VERSION: usize = 64;

/// The version of the firmware in this image; None where it tells none.
pub(super) fn version(image: &Path) -> Option<String> {
    let mut file = File::open(image).ok()?;
    let mut end = file.seek(SeekFrom::End(0)).ok()?;
    for _ in 0..MAX_SECTIONS {
        let mut trailer = [0; TRAILER];
        file.seek(SeekFrom::Start(end.checked_sub(TRAILER as u64)?)).ok()?;
        file.read_exact(&mut trailer).ok()?;
        let size = trailer.get(12..)?.try_into().map(u32::from_be_bytes).ok()?;
        let length = usize::try_from(size).ok()?.checked_sub(TRAILER)?;
        if !trailer.starts_with(MAGIC) || length > MAX_SECTION {
            return None;
        }
        end = end.checked_sub(size.into())?;
        file.seek(SeekFrom::Start(end)).ok()?;
        let mut section = vec![0; length];
        file.read_exact(&mut section).ok()?;
        if let Some(version) = of_section(&section) {
            return Some(version);
        }
    }
    None
}

/// A header of zeros stands before the JSON.
fn of_section(section: &[u8]) -> Option<String> {
    let start = section.iter().position(|&byte| byte == b'{')?;
    let end = section.iter().rposition(|&byte| byte == b'}')?;
    let document: serde_json::Value = serde_json::from_slice(section.get(start..=end)?).ok()?;
    let version = document.pointer("/version/version")?.as_str()?;
    Some(version.chars().filter(|c| !c.is_control()).take(MAX_VERSION).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::scratch::Scratch;

    fn section(data: &[u8]) -> Vec<u8> {
        let size = u32::try_from(data.len() + TRAILER).unwrap();
        [data, MAGIC, &[0; 4], &[1, 0, 0, 0], &size.to_be_bytes()].concat()
    }

    fn told(image: &[u8]) -> Option<String> {
        let dir = Scratch::new("image");
        dir.write("image", image);
        version(&dir.path().join("image"))
    }

    #[test]
    fn the_version_stands_before_a_signature() {
        let json = br#"{"metadata_version":"1.1","version":{"dist":"OpenWrt","version":"24.10.5","revision":"r1"}}"#;
        let metadata = section(&[&[0; 8][..], json].concat());
        assert_eq!(told(&[&b"kernel"[..], &metadata].concat()).as_deref(), Some("24.10.5"));
        assert_eq!(told(&[&b"kernel"[..], &metadata, &section(b"signature")].concat()).as_deref(), Some("24.10.5"));
    }

    #[test]
    fn an_image_that_says_nothing_has_no_version() {
        let wrong = [MAGIC, &[0; 8][..], &u32::MAX.to_be_bytes()].concat();
        let small = [MAGIC, &[0; 8][..], &3u32.to_be_bytes()].concat();
        for image in [&b""[..], b"kernel", &wrong, &small, &section(b"{}"), &section(b"}{")] {
            assert_eq!(told(image), None);
        }
    }
}
