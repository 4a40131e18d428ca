//! What stands on the wire for what dnsmasq, udhcpc and odhcp6c are told in their own words, and back.

use super::dhcp_options::Opt;
use std::net::Ipv4Addr;

/// Names of options, as udhcpc and dnsmasq have them.
const NAMES: &[(&str, u16)] = &[
    ("netmask", 1),
    ("subnet", 1),
    ("router", 3),
    ("dns", 6),
    ("dns-server", 6),
    ("hostname", 12),
    ("domain", 15),
    ("domain-name", 15),
    ("root-path", 17),
    ("rootpath", 17),
    ("mtu", 26),
    ("broadcast", 28),
    ("ntp-server", 42),
    ("ntpsrv", 42),
    ("netbios-ns", 44),
    ("wins", 44),
    ("lease", 51),
    ("lease-time", 51),
    ("vendor", 60),
    ("vendor-class", 60),
    ("tftp", 66),
    ("tftp-server", 66),
    ("bootfile", 67),
    ("bootfile-name", 67),
    ("domain-search", 119),
    ("search", 119),
    ("classless-static-route", 121),
    ("staticroutes", 121),
];
/// Options that are one number: how many octets it has.
const NUMBERS: &[(u16, usize)] =
    &[(2, 4), (13, 2), (22, 2), (24, 4), (26, 2), (35, 4), (38, 4), (51, 4), (58, 4), (59, 4)];
/// Options that are addresses.
const ADDRESSES: &[u16] = &[1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 28, 32, 41, 42, 44, 45, 48, 49, 54, 65, 68, 69, 70, 71];
/// Options that are a text.
const TEXTS: &[u16] = &[12, 14, 15, 17, 18, 40, 56, 60, 62, 64, 66, 67, 114, 252];
/// Options in a form of their own, names and routes: not translated.
const FORMED: &[u16] = &[119, 120, 121, 249];

/// The number of an option of DHCPv4 by name, or in any base C knows.
pub(super) fn tag(text: &str) -> Option<u16> {
    number(text).filter(|tag| (1..=254).contains(tag)).or_else(|| {
        let named = NAMES.iter().find(|(name, _)| *name == text);
        named.map(|(_, tag)| *tag)
    })
}

/// The number of an option of DHCPv6 that clients send.
pub(super) fn tag6(text: &str) -> Option<u16> {
    match text {
        "userclass" => Some(15),
        "vendorclass" => Some(16),
        _ => number(text),
    }
}

fn number(text: &str) -> Option<u16> {
    match text.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Octets of hexadecimal digits, with or without colons between them.
pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text.chars().filter(|c| *c != ':').map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    let pair = |two: &[u32]| u8::try_from(two.first()? * 16 + two.get(1)?).ok();
    digits.chunks(2).map(pair).collect()
}

/// The octets of addresses with blanks or commas between them.
pub(super) fn addresses(text: &str) -> Option<Vec<u8>> {
    let all = text.split([',', ' ']).filter(|t| !t.is_empty()).map(|t| t.parse::<Ipv4Addr>().ok());
    let all = all.collect::<Option<Vec<_>>>().filter(|all| !all.is_empty())?;
    Some(all.iter().flat_map(|address| address.octets()).collect())
}

/// One after the other: number and length of two octets each, then the value. What is cut off is left out.
pub(super) fn options(mut rest: &[u8]) -> Vec<Opt> {
    let mut all = Vec::new();
    while let [a, b, c, d, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*c, *d]));
        let Some(value) = behind.get(..length) else { break };
        all.push(Opt { tag: u16::from_be_bytes([*a, *b]), value: Some(value.to_vec()) });
        rest = behind.get(length..).unwrap_or_default();
    }
    all
}

/// dnsmasq goes by what the option is, and by what the text looks like.
pub(super) fn of_dnsmasq(tag: u16, text: &str) -> Option<Vec<u8>> {
    if FORMED.contains(&tag) {
        return None;
    }
    let in_pairs = text.contains(':') && text.split(':').all(|pair| pair.len() == 2);
    let in_pairs = in_pairs.then(|| bytes(text)).flatten();
    in_pairs.or_else(|| decimal(tag, text)).or_else(|| addresses(text)).or_else(|| Some(text.as_bytes().to_vec()))
}

/// A number in as many octets as the option has, or as it needs.
fn decimal(tag: u16, text: &str) -> Option<Vec<u8>> {
    let number: u32 = text.parse().ok().filter(|_| !TEXTS.contains(&tag))?;
    let needed = if number > 0xffff { 4 } else { 1 + usize::from(number > 0xff) };
    let length = NUMBERS.iter().find(|(t, _)| *t == tag).map_or(needed, |(_, length)| *length);
    number.to_be_bytes().get(4 - length..).map(<[u8]>::to_vec)
}

pub(super) fn to_dnsmasq(tag: u16, value: &[u8]) -> Option<String> {
    let octets = |four: &[u8]| <[u8; 4]>::try_from(four).ok().map(|four| Ipv4Addr::from(four).to_string());
    if FORMED.contains(&tag) {
        return None;
    }
    if ADDRESSES.contains(&tag) && value.len() % 4 == 0 {
        return Some(value.chunks(4).filter_map(octets).collect::<Vec<_>>().join(","));
    }
    if NUMBERS.iter().any(|(t, length)| *t == tag && *length == value.len()) || value.len() == 1 {
        return Some(value.iter().fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte)).to_string());
    }
    // The script that writes dnsmasq's configuration splits at blanks, dnsmasq at commas.
    let plain = |byte: &u8| byte.is_ascii_graphic() && !b",\"'\\#".contains(byte);
    let begins = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'/';
    // What begins otherwise may look like a number or an address.
    if TEXTS.contains(&tag) && value.first().is_some_and(begins) && value.iter().all(plain) {
        return std::str::from_utf8(value).ok().map(str::to_string);
    }
    Some(value.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"))
}

/// Digits behind a number; behind a name what the option is; a text in quotes behind either.
pub(super) fn of_udhcpc(tag: u16, named: bool, text: &str) -> Option<Vec<u8>> {
    let quoted = |mark| text.strip_prefix(mark)?.strip_suffix(mark);
    match quoted('"').or_else(|| quoted('\'')) {
        Some(inner) => Some(inner.as_bytes().to_vec()),
        None if named => of_dnsmasq(tag, text),
        None => bytes(text),
    }
}

/// Options 21 to 24 and 31 are names and addresses of servers: nothing a client says.
fn is_of_servers(tag: u16) -> bool {
    matches!(tag, 21..=24 | 31)
}

/// odhcp6c takes some options in its own words even by their number: user classes (15), a text (112).
pub(super) fn of_odhcp6c(tag: u16, text: &str) -> Option<Vec<u8>> {
    match tag {
        15 => {
            let class =
                |class: &str| Some([&u16::try_from(class.len()).ok()?.to_be_bytes()[..], class.as_bytes()].concat());
            text.split(',').map(class).collect::<Option<Vec<_>>>().map(|all| all.concat())
        }
        112 => Some(text.as_bytes().to_vec()),
        _ if is_of_servers(tag) => None,
        _ => match text.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')) {
            Some(inner) => Some(inner.as_bytes().to_vec()),
            None => bytes(text),
        },
    }
}

/// The least that odhcp6c takes as the value of an option.
pub(super) fn blank6(tag: u16) -> &'static [u8] {
    match tag {
        15 => b"\0\x01-",
        112 => b"-",
        _ => &[0],
    }
}

pub(super) fn to_odhcp6c(tag: u16, value: &[u8]) -> Option<String> {
    let plain = |text: &[u8]| {
        let plain = !text.is_empty() && text.iter().all(|byte| byte.is_ascii_graphic() && !b",\"'".contains(byte));
        plain.then(|| std::str::from_utf8(text).ok().map(str::to_string)).flatten()
    };
    match tag {
        15 => {
            let mut rest = value;
            let mut classes = Vec::new();
            while let [a, b, behind @ ..] = rest {
                let length = usize::from(u16::from_be_bytes([*a, *b]));
                classes.push(plain(behind.get(..length)?)?);
                rest = behind.get(length..)?;
            }
            (rest.is_empty() && !classes.is_empty()).then(|| classes.join(","))
        }
        112 => plain(value),
        _ if is_of_servers(tag) || value.is_empty() => None,
        _ => Some(hex(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dnsmasq_is_told_comes_back() {
        for (tag, text, wire) in [
            (6, "9.9.9.9,1.1.1.1", "0909090901010101"),
            (26, "1492", "05d4"),
            (23, "64", "40"),
            (66, "tftp.example", "746674702e6578616d706c65"),
            (43, "01:04:c0", "0104c0"),
            (60, "MSFT", "4d534654"),
        ] {
            let value = of_dnsmasq(tag, text).unwrap();
            assert_eq!(hex(&value), wire, "{text}");
            assert_eq!(to_dnsmasq(tag, &value).as_deref(), Some(text));
        }
        // A blank would end the value where the script reads it.
        assert_eq!(to_dnsmasq(66, b"a b").as_deref(), Some("61:20:62"));
        assert_eq!(to_dnsmasq(60, b"12").as_deref(), Some("31:32"));
        assert_eq!(to_dnsmasq(119, b"x"), None);
    }

    #[test]
    fn udhcpc_takes_digits_names_and_quotes() {
        assert_eq!(of_udhcpc(61, false, "ff0a").as_deref(), Some(&[0xff, 0x0a][..]));
        assert_eq!(of_udhcpc(12, true, "router").as_deref(), Some(&b"router"[..]));
        assert_eq!(of_udhcpc(60, false, "'op'").as_deref(), Some(&b"op"[..]));
        assert_eq!(of_udhcpc(61, false, "ff0"), None);
        assert_eq!((tag("0x3d"), tag("ntpsrv"), tag("0"), tag("255")), (Some(61), Some(42), None, None));
    }

    #[test]
    fn user_classes_have_lengths_on_the_wire() {
        let value = of_odhcp6c(15, "abc,de").unwrap();
        assert_eq!(hex(&value), "000361626300026465");
        assert_eq!(to_odhcp6c(15, &value).as_deref(), Some("abc,de"));
        assert_eq!(to_odhcp6c(15, &[0, 9, 1]), None);
        assert_eq!(to_odhcp6c(65000, &[]), None);
    }

    #[test]
    fn options_that_are_cut_off_are_none() {
        let all = options(&bytes("0011000201020017000401").unwrap());
        assert_eq!(all, [Opt { tag: 17, value: Some(vec![1, 2]) }]);
    }
}
