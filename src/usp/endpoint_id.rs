//! Endpoint identifiers (TR-369, "Endpoint Identifier"): their grammar, the one a router makes for
//! itself, and how a certificate names them.
//!
//! Controllers in the field use free names such as `oktopusController`; [`EndpointId::lenient`]
//! takes them and [`EndpointId::remark`] says what is wrong with one. Whether a peer may use an id
//! is not decided here.

use std::fmt;
use std::sync::Arc;

/// Characters of an endpoint id at most, whatever its form.
pub const MAX_LENGTH: usize = 128;
/// Characters of an instance-id at most (R-ARC.6).
pub const MAX_INSTANCE_LENGTH: usize = 50;

/// What precedes an endpoint id in a certificate (R-SEC.0a).
const URN: &str = "urn:bbf:usp:id:";

/// `authority-scheme ":" [authority-id] ":" instance-id`, or a free name that somebody uses.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(Arc<str>);

/// Why a text is no endpoint id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointIdError {
    /// It is empty.
    Empty,
    /// More than [`MAX_LENGTH`] characters, or more than [`MAX_INSTANCE_LENGTH`] in its instance-id.
    TooLong,
    /// A blank, a control character or one beyond ASCII.
    InvalidCharacter,
    /// Not three parts with a colon between them.
    NotThreeParts,
    /// The scheme is none of TR-369.
    UnknownScheme,
    /// The authority-id is not what the scheme asks for.
    InvalidAuthority,
    /// The instance-id is not what the scheme asks for.
    InvalidInstance,
}

impl EndpointId {
    /// Takes a text that follows the grammar.
    pub fn parse(text: &str) -> Result<Self, EndpointIdError> {
        check(text)?;
        Ok(Self(text.into()))
    }

    /// Takes any text of 1 to [`MAX_LENGTH`] visible ASCII characters.
    pub fn lenient(text: &str) -> Result<Self, EndpointIdError> {
        check_characters(text)?;
        Ok(Self(text.into()))
    }

    /// `os::OUI-SerialNumber`; characters that an instance-id cannot hold are percent-encoded.
    pub fn os(oui: &str, serial_number: &str) -> Result<Self, EndpointIdError> {
        let mut text = format!("os::{}-", oui.to_ascii_uppercase());
        push_encoded(&mut text, serial_number);
        Self::parse(&text)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is wrong with an id that [`EndpointId::lenient`] took, None if nothing.
    pub fn remark(&self) -> Option<EndpointIdError> {
        check(&self.0).err()
    }

    /// The id as a value in the query of a URI: a percent sign becomes `%25` (R-WS.10b).
    pub fn query_value(&self) -> String {
        let mut value = String::with_capacity(self.0.len());
        for part in self.0.split_inclusive(':') {
            push_encoded(&mut value, part.trim_end_matches(':'));
            value.push_str(if part.ends_with(':') { ":" } else { "" });
        }
        value
    }

    /// A certificate names exactly this id: `name` is a URI of its subjectAltName, with or without
    /// `urn:bbf:usp:id:`.
    pub fn is_named_by(&self, name: &str) -> bool {
        without_urn(name) == self.as_str()
    }

    /// As [`EndpointId::is_named_by`], and an Agent's certificate may stand for many: one `*` in
    /// the instance-id of an oui, cid, pen, os or ops, never in the OUI of the last two (R-SEC.12).
    pub fn is_covered_by(&self, name: &str) -> bool {
        let name = without_urn(name);
        name == self.as_str() || self.matches_wildcard(name).unwrap_or(false)
    }

    /// A dNSName of a certificate names this id, which must be of scheme fqdn (R-SEC.0a).
    pub fn is_dns_name(&self, name: &str) -> bool {
        self.0.strip_prefix("fqdn::").is_some_and(|host| host.eq_ignore_ascii_case(name))
    }

    fn matches_wildcard(&self, pattern: &str) -> Option<bool> {
        let (scheme, authority, wanted) = parts(pattern)?;
        let (own_scheme, own_authority, instance) = parts(&self.0)?;
        let (before, after) = wanted.split_once('*')?;
        let authority_is_fixed = match scheme {
            "oui" | "cid" | "pen" => !authority.is_empty(),
            "os" | "ops" => before.split_once('-').is_some_and(|(oui, _)| is_oui(oui)),
            _ => false,
        };
        let matches = instance.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        let same_authority = scheme == own_scheme && authority == own_authority;
        Some(authority_is_fixed && same_authority && matches.is_some_and(|m| !m.is_empty()))
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for EndpointIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "endpoint id is empty",
            Self::TooLong => "endpoint id is too long",
            Self::InvalidCharacter => "endpoint id holds a blank, a control or a non-ASCII character",
            Self::NotThreeParts => "endpoint id is not scheme:authority:instance",
            Self::UnknownScheme => "endpoint id has an unknown scheme",
            Self::InvalidAuthority => "endpoint id has an invalid authority-id",
            Self::InvalidInstance => "endpoint id has an invalid instance-id",
        })
    }
}

impl std::error::Error for EndpointIdError {}

fn without_urn(name: &str) -> &str {
    match name.split_at_checked(URN.len()) {
        // The namespace of a URN is not case-sensitive (RFC 8141).
        Some((prefix, id)) if prefix.eq_ignore_ascii_case(URN) => id,
        _ => name,
    }
}

fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let (authority, instance) = rest.split_once(':')?;
    Some((scheme, authority, instance))
}

fn check_characters(text: &str) -> Result<(), EndpointIdError> {
    match text.len() {
        0 => Err(EndpointIdError::Empty),
        length if length > MAX_LENGTH => Err(EndpointIdError::TooLong),
        _ if !text.bytes().all(|byte| byte.is_ascii_graphic()) => Err(EndpointIdError::InvalidCharacter),
        _ => Ok(()),
    }
}

/// R-ARC.2a, R-ARC.5 and R-ARC.6.
fn check(text: &str) -> Result<(), EndpointIdError> {
    check_characters(text)?;
    let (scheme, authority, instance) = parts(text).ok_or(EndpointIdError::NotThreeParts)?;
    let authority_fits = match scheme {
        "oui" => is_oui(authority),
        "cid" => authority.len() == 6 && is_hexadecimal(authority),
        "pen" => !authority.is_empty() && is_decimal(authority),
        "self" | "user" | "doc" => authority.len() <= 6 && authority.bytes().all(is_unreserved),
        "proto" => authority.len() <= 6 && authority.bytes().all(|byte| is_unreserved(byte) && byte != b'.'),
        "os" | "ops" | "uuid" | "imei" | "fqdn" => authority.is_empty(),
        _ => return Err(EndpointIdError::UnknownScheme),
    };
    if !authority_fits {
        return Err(EndpointIdError::InvalidAuthority);
    }
    if instance.len() > MAX_INSTANCE_LENGTH {
        return Err(EndpointIdError::TooLong);
    }
    if is_encoded(instance) && instance_fits(scheme, instance) { Ok(()) } else { Err(EndpointIdError::InvalidInstance) }
}

fn instance_fits(scheme: &str, instance: &str) -> bool {
    match scheme {
        "os" => instance.split_once('-').is_some_and(|(oui, serial)| is_oui(oui) && !serial.is_empty()),
        "ops" => instance.split_once('-').is_some_and(|(oui, rest)| is_oui(oui) && rest.contains('-')),
        "uuid" => is_uuid(instance),
        "imei" => (14..=16).contains(&instance.len()) && is_decimal(instance),
        "fqdn" => instance.split('.').all(is_host_label),
        _ => !instance.is_empty(),
    }
}

/// `unreserved / pct-encoded`, any number of them.
fn is_encoded(instance: &str) -> bool {
    let mut parts = instance.split('%');
    let first = parts.next().unwrap_or_default();
    first.bytes().all(is_unreserved)
        && parts.all(|part| {
            part.split_at_checked(2).is_some_and(|(code, rest)| is_hexadecimal(code) && rest.bytes().all(is_unreserved))
        })
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_decimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// 24, 28 or 36 bits.
fn is_oui(text: &str) -> bool {
    matches!(text.len(), 6 | 7 | 9) && is_hexadecimal(text)
}

fn is_uuid(text: &str) -> bool {
    let groups = [8, 4, 4, 4, 12];
    text.split('-').count() == groups.len()
        && text.split('-').zip(groups).all(|(group, length)| group.len() == length && is_hexadecimal(group))
}

fn is_host_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
}

fn push_encoded(text: &mut String, raw: &str) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or('0');
    for byte in raw.bytes() {
        if is_unreserved(byte) {
            text.push(char::from(byte));
        } else {
            text.extend(['%', digit(byte >> 4), digit(byte & 0xF)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_the_standard() {
        for text in [
            "oui:00256D:my-unique-bbf-id-42",
            "oui:0025ABC:x",
            "oui:0025ABCDE:x",
            "cid:3AA3F8:my-unique-usp-id-42",
            "pen:3561:my-unique-bbf-id-42",
            "self::my-Agent",
            "self:ab_c-d:x",
            "user::x",
            "os::00256D-0123456789",
            "os::00256D-AB%2F12",
            "ops::00256D-STB-0123456789",
            "uuid::f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "imei::990000862471854",
            "proto::my-Agent",
            "doc:a.b:x",
            "fqdn::www.example.org",
        ] {
            assert_eq!(EndpointId::parse(text).map(|id| id.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn malformed_ids() {
        use EndpointIdError::*;
        let long_instance = format!("self::{}", "x".repeat(MAX_INSTANCE_LENGTH + 1));
        let long = "x".repeat(MAX_LENGTH + 1);
        for (text, error) in [
            ("", Empty),
            (&*long, TooLong),
            (&*long_instance, TooLong),
            ("self::a b", InvalidCharacter),
            ("self::ü", InvalidCharacter),
            ("self::a\n", InvalidCharacter),
            ("oktopusController", NotThreeParts),
            ("self:x", NotThreeParts),
            ("OS::00256D-1", UnknownScheme),
            ("mac::001122334455", UnknownScheme),
            ("oui::x", InvalidAuthority),
            ("oui:00256:x", InvalidAuthority),
            ("oui:00256G:x", InvalidAuthority),
            ("cid:3AA3F8A:x", InvalidAuthority),
            ("pen:x:x", InvalidAuthority),
            ("pen::x", InvalidAuthority),
            ("self:1234567:x", InvalidAuthority),
            ("proto:a.b:x", InvalidAuthority),
            ("os:00256D:1", InvalidAuthority),
            ("self::", InvalidInstance),
            ("self::a:b", InvalidInstance),
            ("self::a%2", InvalidInstance),
            ("self::a%zz", InvalidInstance),
            ("self::a%", InvalidInstance),
            ("os::0123456789", InvalidInstance),
            ("os::00256D-", InvalidInstance),
            ("ops::00256D-1", InvalidInstance),
            ("uuid::f81d4fae", InvalidInstance),
            ("imei::12345", InvalidInstance),
            ("fqdn::*.example.org", InvalidInstance),
            ("fqdn::a..b", InvalidInstance),
        ] {
            assert_eq!(EndpointId::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn free_names_are_taken_with_a_remark() {
        let id = EndpointId::lenient("oktopusController").unwrap();
        assert_eq!(id.remark(), Some(EndpointIdError::NotThreeParts));
        assert_eq!(EndpointId::lenient("proto::x").unwrap().remark(), None);
        assert!(EndpointId::lenient("a b").is_err());
        assert!(EndpointId::lenient("").is_err());
        assert!(EndpointId::lenient(&"x".repeat(MAX_LENGTH)).is_ok());
        assert!(EndpointId::lenient(&"x".repeat(MAX_LENGTH + 1)).is_err());
    }

    #[test]
    fn own_id_from_oui_and_serial_number() {
        assert_eq!(EndpointId::os("00256d", "AB 1/2%").unwrap().as_str(), "os::00256D-AB%201%2F2%25");
        assert_eq!(EndpointId::os("00256D", ""), Err(EndpointIdError::InvalidInstance));
        assert_eq!(EndpointId::os("", "1"), Err(EndpointIdError::InvalidInstance));
        assert_eq!(EndpointId::os("00256D", &"1".repeat(50)), Err(EndpointIdError::TooLong));
    }

    #[test]
    fn percent_signs_in_a_query() {
        assert_eq!(EndpointId::lenient("os::00256D-A%2F").unwrap().query_value(), "os::00256D-A%252F");
        assert_eq!(EndpointId::lenient("a&b=c:").unwrap().query_value(), "a%26b%3Dc:");
    }

    #[test]
    fn names_in_certificates() {
        let id = EndpointId::parse("os::00256D-0123").unwrap();
        for (name, named, covered) in [
            ("urn:bbf:usp:id:os::00256D-0123", true, true),
            ("URN:BBF:usp:id:os::00256D-0123", true, true),
            ("os::00256D-0123", true, true),
            ("urn:bbf:usp:id:os::00256D-01234", false, false),
            ("urn:bbf:usp:id:os::00256D-*", false, true),
            ("urn:bbf:usp:id:os::00256D-01*", false, true),
            ("urn:bbf:usp:id:os::00256D-*3", false, true),
            ("urn:bbf:usp:id:os::00256D-0123*", false, false),
            ("urn:bbf:usp:id:os::*", false, false),
            ("urn:bbf:usp:id:os::00*-0123", false, false),
            ("urn:bbf:usp:id:os::00256D-*1*", false, false),
            ("urn:bbf:usp:id:ops::00256D-*", false, false),
            ("urn:bbf:usp:id:*", false, false),
            ("", false, false),
        ] {
            assert_eq!((id.is_named_by(name), id.is_covered_by(name)), (named, covered), "{name}");
        }
        let id = EndpointId::parse("oui:00256D:unit-7").unwrap();
        assert!(id.is_covered_by("urn:bbf:usp:id:oui:00256D:unit-*"));
        assert!(!id.is_covered_by("urn:bbf:usp:id:oui:00256E:unit-*"));
        assert!(!EndpointId::parse("self::a").unwrap().is_covered_by("urn:bbf:usp:id:self::*"));
    }

    #[test]
    fn dns_names_are_for_fqdn_only() {
        let id = EndpointId::parse("fqdn::www.example.org").unwrap();
        assert!(id.is_dns_name("WWW.example.org"));
        assert!(!id.is_dns_name("example.org"));
        assert!(!EndpointId::parse("self::www.example.org").unwrap().is_dns_name("www.example.org"));
    }
}
