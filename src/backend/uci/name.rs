//! What libuci accepts as a name, a type and a value, and the name it gives an anonymous section.

use std::borrow::Cow;

/// A section or option name: `[A-Za-z0-9_]+`.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_name_byte)
}

/// A package (file) name: like a section name, and `-`.
pub fn is_package(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| is_name_byte(b) || b == b'-')
}

/// A section type: printable ASCII without the space.
pub fn is_type(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| (33..=126).contains(&b))
}

/// A value that may be set: no control characters but tab, newline and carriage return.
pub fn is_text(text: &str) -> bool {
    text.bytes().all(|b| b >= 32 || matches!(b, b'\t' | b'\n' | b'\r'))
}

/// Whether an option or member of this name holds a secret: `key` and `key1`, and whatever speaks of one.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = ["secret", "passw", "passphrase", "psk", "wpakey", "token", "private", "preshared", "credential"];
    let exact = ["key", "pin", "pass", "wps_pin", "auth_key"];
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit());
    exact.contains(&bare) || words.iter().any(|word| name.contains(word))
}

/// Whether this option of a section of this type holds one: beside those names, what proves a person to be himself.
pub fn is_secret_option(kind: &str, option: &str) -> bool {
    is_secret(option) || (kind, option) == ("challenge", "Value")
}

/// An address without the user and password in it: `mqtt://(secret)@host`.
pub fn without_login(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else { return text.into() };
    let host = rest.find('/').unwrap_or(rest.len());
    match rest.get(..host).and_then(|before| before.rfind('@')).and_then(|at| rest.get(at..)) {
        Some(host) => format!("{scheme}://(secret){host}").into(),
        None => text.into(),
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The name of an anonymous section: its number among all sections of the file, from 1, and a hash of its type.
pub fn anonymous(number: usize, kind: &str) -> Box<str> {
    format!("cfg{number:02x}{:04x}", djb2(kind) & 0xffff).into()
}

fn djb2(text: &str) -> u32 {
    let hash = text.bytes().fold(5381u32, |hash, b| hash.wrapping_mul(33).wrapping_add(b.into()));
    hash & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anonymous_names_are_those_rpcd_shows() {
        assert_eq!(&*anonymous(1, "defaults"), "cfg01e63d");
        assert_eq!(&*anonymous(2, "zone"), "cfg02dc81");
        assert_eq!(&*anonymous(3, "device"), "cfg030f15");
        assert_eq!(&*anonymous(7, "route"), "cfg07c8b4");
    }

    #[test]
    fn an_address_keeps_its_login_to_itself() {
        assert_eq!(without_login("mqtt://u:p@ss@h:1883/a@b"), "mqtt://(secret)@h:1883/a@b");
        assert_eq!(without_login("listen ws://u@[::]:1"), "listen ws://(secret)@[::]:1");
        assert_eq!(without_login("ws://h/a@b"), "ws://h/a@b");
        assert_eq!(without_login("a@b"), "a@b");
        assert!(is_secret_option("challenge", "Value") && !is_secret_option("role", "Value"));
    }

    #[test]
    fn names_types_and_values_follow_libuci() {
        assert!(is_name("usp_1") && !is_name("") && !is_name("a-b") && !is_name("ä"));
        assert!(is_package("usp-agent") && !is_package("a.b") && !is_package(".."));
        assert!(is_type("wifi-iface") && !is_type("a b") && !is_type("ä"));
        assert!(is_text("a\tb\r\nü") && !is_text("a\u{1}") && !is_text("\0"));
    }
}
