//! XSD patterns as the standard uses them: literals, `.`, classes, `\d`, groups, alternation and quantifiers.
//!
//! Follows all ways through a pattern at once as sets of places in the text, so that no text can make it slow.
//! Patterns come from the digest, never from a controller.

use crate::order;

/// The longest text that is matched, in bytes; a longer one matches nothing.
const MAX_TEXT: usize = 1024;
/// How deep groups nest.
const MAX_DEPTH: usize = 8;

/// The whole of `text` matches `pattern`; None where the pattern is not understood.
pub(super) fn matches(pattern: &str, text: &str) -> Option<bool> {
    if text.len() > MAX_TEXT {
        return Some(false);
    }
    let mut rest = pattern;
    let ends = alternatives(&mut rest, text, &[0], 0)?;
    rest.is_empty().then(|| ends.contains(&text.len()))
}

/// Places in the text, in bytes, without repetition.
type Places = Vec<usize>;

fn alternatives(pattern: &mut &str, text: &str, from: &[usize], depth: usize) -> Option<Places> {
    if depth > MAX_DEPTH {
        return None;
    }
    let mut to = sequence(pattern, text, from, depth)?;
    while eat(pattern, '|') {
        to.extend(sequence(pattern, text, from, depth)?);
    }
    order::sort(&mut to);
    to.dedup();
    Some(to)
}

fn sequence(pattern: &mut &str, text: &str, from: &[usize], depth: usize) -> Option<Places> {
    let mut here = from.to_vec();
    while !pattern.is_empty() && !pattern.starts_with(['|', ')']) {
        here = repeated(pattern, text, &here, depth)?;
    }
    Some(here)
}

/// An atom with its quantifier.
fn repeated(pattern: &mut &str, text: &str, from: &[usize], depth: usize) -> Option<Places> {
    let atom_here = *pattern;
    atom(pattern, text, &[], depth)?;
    let (least, most) = quantifier(pattern)?;
    let mut here = from.to_vec();
    let mut reached = if least == 0 { here.clone() } else { Places::new() };
    for count in 1..=most {
        let mut again = atom_here;
        here = atom(&mut again, text, &here, depth)?;
        if count > least {
            here.retain(|place| !reached.contains(place));
        }
        if here.is_empty() {
            break;
        }
        if count >= least {
            reached.extend_from_slice(&here);
        }
    }
    Some(reached)
}

/// How often, at least and at most.
fn quantifier(pattern: &mut &str) -> Option<(u32, u32)> {
    if eat(pattern, '?') {
        return Some((0, 1));
    }
    if eat(pattern, '*') {
        return Some((0, u32::MAX));
    }
    if eat(pattern, '+') {
        return Some((1, u32::MAX));
    }
    if !eat(pattern, '{') {
        return Some((1, 1));
    }
    let (inner, rest) = pattern.split_once('}')?;
    *pattern = rest;
    let (least, most) = inner.split_once(',').unwrap_or((inner, inner));
    let most = if most.is_empty() { u32::MAX } else { most.parse().ok()? };
    Some((least.parse().ok()?, most))
}

fn atom(pattern: &mut &str, text: &str, from: &[usize], depth: usize) -> Option<Places> {
    if eat(pattern, '(') {
        let to = alternatives(pattern, text, from, depth + 1)?;
        return eat(pattern, ')').then_some(to);
    }
    let class = if eat(pattern, '[') { Class::bracketed(pattern)? } else { Class::single(pattern)? };
    let next = |&place: &usize| {
        let c = text.get(place..)?.chars().next().filter(|&c| class.holds(c))?;
        Some(place + c.len_utf8())
    };
    Some(from.iter().filter_map(next).collect())
}

/// Characters that may stand at one place.
#[derive(Default)]
struct Class {
    negated: bool,
    spans: Vec<(char, char)>,
}

impl Class {
    fn holds(&self, c: char) -> bool {
        self.spans.iter().any(|&(first, last)| (first..=last).contains(&c)) != self.negated
    }

    /// A literal, an escape or `.`.
    fn single(pattern: &mut &str) -> Option<Self> {
        let mut class = Self::default();
        if eat(pattern, '.') {
            class.spans.push(('\0', char::MAX));
        } else if pattern.starts_with(['?', '*', '+', '{', '}', ']', '|', ')']) {
            return None;
        } else {
            class.member(pattern)?;
        }
        Some(class)
    }

    /// What follows `[`, with its `]`.
    fn bracketed(pattern: &mut &str) -> Option<Self> {
        let mut class = Self { negated: eat(pattern, '^'), spans: Vec::new() };
        while !eat(pattern, ']') {
            class.member(pattern)?;
            if pattern.starts_with('-') && !pattern.starts_with("-]") {
                eat(pattern, '-');
                let (first, _) = class.spans.pop()?;
                class.member(pattern)?;
                let (last, _) = class.spans.pop()?;
                class.spans.push((first, last));
            }
        }
        Some(class)
    }

    fn member(&mut self, pattern: &mut &str) -> Option<()> {
        let c = take(pattern)?;
        if c != '\\' {
            self.spans.push((c, c));
            return Some(());
        }
        match take(pattern)? {
            'd' => self.spans.push(('0', '9')),
            's' => self.spans.extend([(' ', ' '), ('\t', '\n'), ('\r', '\r')]),
            letter if letter.is_ascii_alphanumeric() => return None,
            literal => self.spans.push((literal, literal)),
        }
        Some(())
    }
}

fn eat(pattern: &mut &str, c: char) -> bool {
    match pattern.strip_prefix(c) {
        Some(rest) => {
            *pattern = rest;
            true
        }
        None => false,
    }
}

fn take(pattern: &mut &str) -> Option<char> {
    let mut chars = pattern.chars();
    let c = chars.next()?;
    *pattern = chars.as_str();
    Some(c)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn every_pattern_of_the_standard_is_told_right() {
        let address = r"((25[0-5]|2[0-4][0-9]|[01]?[0-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|[01]?[0-9]?[0-9])";
        let prefix = format!("{address}/(3[0-2]|[012]?[0-9])");
        let mac = "([0-9A-Fa-f][0-9A-Fa-f]:){5}([0-9A-Fa-f][0-9A-Fa-f])";
        let eui64 = "([0-9A-Fa-f][0-9A-Fa-f]:){7}([0-9A-Fa-f][0-9A-Fa-f])";
        let uuid = "[A-Fa-f0-9]{8}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{12}";
        let table: &[(&str, &[&str], &[&str])] = &[
            (r"2\.\d+", &["2.19", "2.0"], &["2.", "2x1", "3.1", "2.1a"]),
            ("[0-9A-F]{6}", &["00A0BC"], &["00a0bc", "00A0B", "00A0BCD"]),
            (
                r"\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])[A-Za-z0-9]{0,2}",
                &["240131", "240131x9"],
                &["241331", "240131x99"],
            ),
            ("[0-9]{15,15}", &["123456789012345"], &["12345678901234", "1234567890123456"]),
            ("[0-9]{14,15}", &["12345678901234", "123456789012345"], &["1234567890123"]),
            ("[0-9]{6,20}", &["123456"], &["12345", "123456789012345678901"]),
            (r"\d+/\d+", &["1/20"], &["1/", "/1", "1"]),
            ("", &[""], &[" ", "x"]),
            (mac, &["00:a0:BC:01:02:03"], &["00:a0:BC:01:02", "00-a0-BC-01-02-03", "00:a0:BC:01:02:0g"]),
            (eui64, &["00:a0:BC:01:02:03:04:05"], &["00:a0:BC:01:02:03"]),
            (r"\d+(\.\d+)*", &["1", "1.2.3"], &["1.", ".1", ""]),
            (r"\d+", &["0"], &["", "-1"]),
            ("([01][0-9]|2[0-3]):[0-5][0-9]", &["23:59", "00:00"], &["24:00", "1:00", "12:60"]),
            (address, &["192.168.1.1", "0.0.0.0", "255.255.255.255"], &["256.1.1.1", "1.1.1", "1.1.1.1.", "1.1.1.1/8"]),
            (&prefix, &["10.0.0.0/8", "0.0.0.0/0"], &["10.0.0.0", "10.0.0.0/33"]),
            ("/(3[0-2]|[012]?[0-9])", &["/32", "/0"], &["/33", "24"]),
            ("[A-Z][A-Z][ OI]", &["DE ", "DEO"], &["DE", "DEX", "de "]),
            (r"\d{4}|\d{8}", &["1234", "12345678"], &["12345", ""]),
            ("([0-9A-Fa-f]){4}", &["00fF"], &["00f", "00fFf"]),
            ("([0-7],){15}[0-7]", &["0,1,2,3,4,5,6,7,0,1,2,3,4,5,6,7"], &["0,1", "0,1,2,3,4,5,6,8,0,1,2,3,4,5,6,7"]),
            (
                "([0-7],[0-1],){7}[0-7],[0-1]",
                &["0,1,1,0,2,1,3,0,4,0,5,0,6,0,7,1"],
                &["0,2,1,0,2,1,3,0,4,0,5,0,6,0,7,1"],
            ),
            ("Null", &["Null"], &["null", "Nulll"]),
            ("Drop", &["Drop"], &["Dro"]),
            ("[0-9]|[1-5][0-9]|6[0-3]", &["0", "63"], &["64", ""]),
            (":[0-7]", &[":7"], &[":8", "7"]),
            ("([0-9]|[1-5][0-9]|6[0-3]):[0-7]", &["63:7"], &["64:7", "63"]),
            (
                "[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}",
                &["01234567-89ab-cdef-0123-456789ABCDEF"],
                &["0123"],
            ),
            (uuid, &["01234567-89ab-cdef-0123-456789ABCDEF"], &["01234567-89ab-cdef-0123-456789ABCDEG"]),
            (r"\d+\.\d+", &["1.0"], &["1", "1."]),
            ("YYYYMMDD.HHMMSS", &["YYYYMMDD.HHMMSS"], &["20240101.000000"]),
        ];
        for (pattern, right, wrong) in table {
            assert!(right.iter().all(|text| matches(pattern, text) == Some(true)), "{pattern}: {right:?}");
            assert!(wrong.iter().all(|text| matches(pattern, text) == Some(false)), "{pattern}: {wrong:?}");
        }
    }

    #[test]
    fn every_pattern_of_the_digest_is_understood() {
        let words = include_str!("../../../data-model/tr181-2.19.digest").split_ascii_whitespace();
        let patterns: Vec<&str> = words.filter_map(|word| word.strip_prefix("pattern=")).collect();
        assert!(patterns.len() > 400);
        for pattern in patterns.into_iter().filter(|pattern| !pattern.starts_with('"') && *pattern != "XSD,") {
            assert!(matches(pattern, "x").is_some(), "{pattern}");
        }
    }

    #[test]
    fn classes_negate_and_escape() {
        assert_eq!(matches(r"[^,\]]*x?", "a b"), Some(true));
        assert_eq!(matches(r"[^,\]]*", "a]"), Some(false));
        assert_eq!(matches(r"[a\-z]+.", "a-ä"), Some(true));
        assert_eq!(matches(r"[a-]\s", "- "), Some(true));
    }

    #[test]
    fn no_text_makes_it_slow() {
        let text = format!("{}!", "a".repeat(1000));
        assert_eq!(matches("((a*)*b?)*(a|a)*", &text), Some(false));
        assert_eq!(matches("a*", &"a".repeat(1025)), Some(false));
    }

    #[test]
    fn what_is_no_pattern_is_not_understood() {
        for wrong in ["(", "a)", "[a", "a{", "a{x}", "*", "\\", r"\q", "a**", "((((((((((a))))))))))"] {
            assert_eq!(matches(wrong, "a"), None, "{wrong}");
        }
    }
}
