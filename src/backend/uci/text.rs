//! Bytes of a UCI file as text, and back, without losing any.
//!
//! UCI files are bytes (an SSID may be Latin-1), the agent's values are UTF-8. A byte that is not
//! part of valid UTF-8 becomes the private-use character U+F780 to U+F7FF that ends in the same
//! seven bits and is written back as that byte, so that a commit never damages what it does not touch.

const FIRST: u32 = 0xf780;
const LAST: u32 = 0xf7ff;

/// The text of these bytes.
pub fn decode(bytes: &[u8]) -> Box<str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(stands_for_byte) => text.into(),
        _ => decode_mixed(bytes),
    }
}

fn decode_mixed(bytes: &[u8]) -> Box<str> {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            push_char(&mut text, c);
        }
        chunk.invalid().iter().for_each(|byte| text.push(char_for(*byte)));
    }
    text.into()
}

/// A genuine U+F780 in the file is kept apart from our own by spelling it as its three bytes.
fn push_char(text: &mut String, c: char) {
    if !stands_for_byte(c) {
        return text.push(c);
    }
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        text.push(char_for(byte));
    }
}

fn stands_for_byte(c: char) -> bool {
    (FIRST..=LAST).contains(&c.into())
}

fn char_for(byte: u8) -> char {
    char::from_u32(FIRST + u32::from(byte & 0x7f)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Appends the bytes this text stands for.
pub fn encode(text: &str, out: &mut Vec<u8>) {
    for c in text.chars() {
        match u32::from(c) {
            code @ FIRST..=LAST => out.push((code & 0xff) as u8),
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_come_back_as_they_were() {
        let every: Vec<u8> = (0..=255).collect();
        for bytes in [&every[..], b"Caf\xe9", "Café".as_bytes(), "\u{f7e9}\u{f780}".as_bytes(), b"\xef\x9e"] {
            let mut back = Vec::new();
            encode(&decode(bytes), &mut back);
            assert_eq!(back, bytes);
        }
    }

    #[test]
    fn valid_text_stays_as_it_is() {
        assert_eq!(&*decode("Café ☕".as_bytes()), "Café ☕");
    }
}
