//! Messages of DNS: a question for the addresses of a name, and what an answer says to it (RFC 1035, RFC 3596).

use ring::rand::{SecureRandom, SystemRandom};
use std::net::IpAddr;

/// The longest name on the wire.
const MAX_NAME: usize = 255;
/// The longest label of a name.
const MAX_LABEL: usize = 63;
/// Records of an answer that are looked at.
const MAX_RECORDS: usize = 64;
/// Names that lead on to another (CNAME) which are followed.
const MAX_CHAIN: usize = 8;
/// The largest answer over UDP that was not agreed on otherwise.
pub(crate) const MAX_ANSWER: usize = 512;
/// Bytes before the question.
const HEADER: usize = 12;

/// The class of the Internet.
const IN: u16 = 1;
/// A record that leads on to another name.
const CNAME: u16 = 5;

/// Which addresses are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// IPv4.
    A = 1,
    /// IPv6.
    Aaaa = 28,
}

/// A name as it stands on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Name(Vec<u8>);

impl PartialEq for Name {
    /// Without regard to case; lengths of labels are no letters.
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Name {
    /// A name with dots; None where DNS can have none like it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut wire = Vec::new();
        for label in text.strip_suffix('.').unwrap_or(text).split('.') {
            let length =
                u8::try_from(label.len()).ok().filter(|length| (1..=MAX_LABEL).contains(&usize::from(*length)))?;
            wire.push(length);
            wire.extend(label.bytes());
        }
        wire.push(0);
        (wire.len() <= MAX_NAME).then_some(Self(wire))
    }
}

/// What a server says of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The server is the one that says so for everybody.
    pub(crate) authoritative: bool,
    /// RCODE: 0, or 3 where there is no such name.
    pub(crate) code: u8,
    /// The addresses, in its order.
    pub(crate) addresses: Vec<IpAddr>,
}

/// A number for a question that nobody guesses.
pub(crate) fn new_id() -> u16 {
    let mut id = [0; 2];
    // Without random numbers the source port is one still.
    let _ = SystemRandom::new().fill(&mut id);
    u16::from_be_bytes(id)
}

/// A question, to be answered with all the work done (RD).
pub(crate) fn question(id: u16, name: &Name, kind: Kind) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    message.extend(&name.0);
    message.extend((kind as u16).to_be_bytes());
    message.extend(IN.to_be_bytes());
    message
}

/// What a received message says to that question; None where it is no answer to it, or none that can be read. One that
/// the server cut for its length counts as far as it goes.
pub(crate) fn answer(message: &[u8], id: u16, name: &Name, kind: Kind) -> Option<Answer> {
    let [id_high, id_low, flags, more, 0, 1, records @ ..] = message.get(..HEADER)? else { return None };
    let is_answer = flags & 0b1111_1000 == 0b1000_0000;
    if [*id_high, *id_low] != id.to_be_bytes() || !is_answer {
        return None;
    }
    let mut reader = Reader { message, at: HEADER };
    if reader.name()? != *name || reader.number()? != kind as u16 || reader.number()? != IN {
        return None;
    }
    let count = u16::from_be_bytes([*records.first()?, *records.get(1)?]);
    let mut found = Vec::new();
    for _ in 0..usize::from(count).min(MAX_RECORDS) {
        match reader.record() {
            Some(record) => found.push(record),
            None if flags & 0b10 != 0 => break,
            None => return None,
        }
    }
    let addresses = addresses(&found, name, kind);
    Some(Answer { authoritative: flags & 0b100 != 0, code: more & 0b1111, addresses })
}

/// The addresses of a name, or of the one it leads to.
fn addresses(records: &[Record], name: &Name, kind: Kind) -> Vec<IpAddr> {
    let mut at = name;
    for _ in 0..MAX_CHAIN {
        let next = records.iter().find_map(|record| match &record.data {
            Data::Alias(next) if record.owner == *at => Some(next),
            _ => None,
        });
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    let address = |record: &Record| match record.data {
        Data::Address(address) if record.owner == *at && address.is_ipv4() == (kind == Kind::A) => Some(address),
        _ => None,
    };
    records.iter().filter_map(address).collect()
}

struct Record {
    owner: Name,
    data: Data,
}

enum Data {
    Address(IpAddr),
    Alias(Name),
    Other,
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        self.at += 1;
        self.message.get(self.at - 1).copied()
    }

    fn number(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let taken = self.message.get(self.at..self.at + count)?;
        self.at += count;
        Some(taken)
    }

    /// A name, the rest of which may stand further ahead in the message: each time further, so that it ends.
    fn name(&mut self) -> Option<Name> {
        let (mut wire, mut after, mut ahead) = (Vec::new(), None, self.at);
        loop {
            let length = self.byte()?;
            match usize::from(length) {
                0 => break,
                count @ 1..=MAX_LABEL => {
                    wire.push(length);
                    wire.extend_from_slice(self.take(count)?);
                }
                0xc0.. => {
                    let target = usize::from(u16::from_be_bytes([length & 0x3f, self.byte()?]));
                    after = after.or(Some(self.at));
                    if target >= ahead {
                        return None;
                    }
                    (ahead, self.at) = (target, target);
                }
                _ => return None,
            }
            if wire.len() >= MAX_NAME {
                return None;
            }
        }
        wire.push(0);
        self.at = after.unwrap_or(self.at);
        Some(Name(wire))
    }

    fn record(&mut self) -> Option<Record> {
        let owner = self.name()?;
        let (kind, class) = (self.number()?, self.number()?);
        self.take(4)?;
        let length = usize::from(self.number()?);
        let end = self.at + length;
        let data = match (kind, length) {
            _ if class != IN => Data::Other,
            (CNAME, _) => Data::Alias(self.name().filter(|_| self.at == end)?),
            (1, 4) => Data::Address(<[u8; 4]>::try_from(self.take(4)?).ok()?.into()),
            (28, 16) => Data::Address(<[u8; 16]>::try_from(self.take(16)?).ok()?.into()),
            _ => Data::Other,
        };
        self.at = end;
        (end <= self.message.len()).then_some(Record { owner, data })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The answer to a question: flags, RCODE and records behind it.
    pub(crate) fn reply(question: &[u8], flags: u8, code: u8, records: &[Vec<u8>]) -> Vec<u8> {
        let mut message = question.to_vec();
        (message[2], message[3], message[7]) = (0x81 | flags, 0x80 | code, u8::try_from(records.len()).unwrap());
        message.extend(records.concat());
        message
    }

    /// A record of what was asked for, its owner a pointer to the question.
    pub(crate) fn record(kind: u16, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len()).unwrap().to_be_bytes();
        [&[0xc0, 12], &kind.to_be_bytes()[..], &[0, 1, 0, 0, 0, 60], &length, data].concat()
    }

    const AA: u8 = 0b100;
    const TC: u8 = 0b10;

    fn name() -> Name {
        Name::parse("www.example.com").unwrap()
    }

    fn read(message: &[u8]) -> Option<Answer> {
        answer(message, 7, &name(), Kind::A)
    }

    #[test]
    fn addresses_are_read_and_other_records_passed_over() {
        let asked = question(7, &name(), Kind::A);
        let records = [record(1, &[192, 0, 2, 1]), record(16, b"\x02hi"), record(1, &[192, 0, 2, 2])];
        let answer = read(&reply(&asked, AA, 0, &records)).unwrap();
        let addresses = ["192.0.2.1", "192.0.2.2"].map(|address| address.parse().unwrap()).to_vec();
        assert_eq!(answer, Answer { authoritative: true, code: 0, addresses });
        let none = read(&reply(&asked, 0, 3, &[])).unwrap();
        assert_eq!((none.authoritative, none.code, none.addresses), (false, 3, vec![]));
    }

    #[test]
    fn a_name_that_leads_on_is_followed() {
        let asked = question(7, &name(), Kind::A);
        // `cdn.example.com`, its end a pointer to `example.com` within the question.
        let alias = record(CNAME, b"\x03cdn\xc0\x10");
        let target = HEADER + 17 + 4 + 12;
        let mut address = record(1, &[192, 0, 2, 9]);
        address[1] = u8::try_from(target).unwrap();
        let stranger = [&b"\x04evil\x00\x00\x01\x00\x01\0\0\0\x3c\x00\x04"[..], &[6, 6, 6, 6]].concat();
        let answer = read(&reply(&asked, 0, 0, &[alias, stranger, address])).unwrap();
        assert_eq!(answer.addresses, ["192.0.2.9".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn six_is_asked_for_apart() {
        let asked = question(7, &name(), Kind::Aaaa);
        let six: IpAddr = "2001:db8::1".parse().unwrap();
        let IpAddr::V6(octets) = six else { panic!() };
        let message = reply(&asked, 0, 0, &[record(28, &octets.octets()), record(1, &[192, 0, 2, 1])]);
        assert_eq!(answer(&message, 7, &name(), Kind::Aaaa).unwrap().addresses, [six]);
        assert_eq!(read(&message), None, "the answer to another question");
    }

    #[test]
    fn what_answers_something_else_is_no_answer() {
        let asked = question(7, &name(), Kind::A);
        let good = reply(&asked, 0, 0, &[record(1, &[192, 0, 2, 1])]);
        assert!(read(&good).is_some());
        assert_eq!(read(&asked), None, "a question");
        assert_eq!(answer(&good, 8, &name(), Kind::A), None, "another id");
        assert_eq!(answer(&good, 7, &Name::parse("www.example.org").unwrap(), Kind::A), None);
        assert!(answer(&good, 7, &Name::parse("WWW.Example.COM.").unwrap(), Kind::A).is_some());
        let mut no_question = good.clone();
        no_question[5] = 0;
        assert_eq!(read(&no_question), None);
    }

    #[test]
    fn a_message_that_is_cut_counts_only_where_it_says_so() {
        let asked = question(7, &name(), Kind::A);
        let whole = reply(&asked, 0, 0, &[record(1, &[192, 0, 2, 1]), record(1, &[192, 0, 2, 2])]);
        (0..whole.len()).for_each(|end| assert_eq!(read(&whole[..end]), None, "cut at {end}"));
        let honest = reply(&asked, TC, 0, &[record(1, &[192, 0, 2, 1]), record(1, &[192, 0, 2, 2])]);
        assert_eq!(read(&honest[..honest.len() - 3]).unwrap().addresses.len(), 1);
    }

    #[test]
    fn pointers_that_do_not_lead_ahead_end_nothing() {
        let asked = question(7, &name(), Kind::A);
        let at = asked.len();
        for target in [at, at + 1, 0x3fff] {
            let [high, low] = u16::try_from(target).unwrap().to_be_bytes();
            let mut loops = record(1, &[192, 0, 2, 1]);
            (loops[0], loops[1]) = (0xc0 | high, low);
            assert_eq!(read(&reply(&asked, 0, 0, &[loops])), None, "{target}");
        }
        // A pointer ahead to a name that points back to where it came from.
        let circle = record(CNAME, &[0xc0, u8::try_from(at + 12).unwrap()]);
        assert_eq!(read(&reply(&asked, 0, 0, &[circle])), None);
        // Aliases in a circle have no address, and end.
        let to_itself = record(CNAME, &[0xc0, 12]);
        assert_eq!(read(&reply(&asked, 0, 0, &[to_itself])).unwrap().addresses, Vec::<IpAddr>::new());
        // A name longer than any may be: each label leads to the one before it.
        let mut long = asked.clone();
        (long[2], long[3], long[7]) = (0x81, 0x80, 8);
        let mut before = 12;
        for _ in 0..8 {
            let start = long.len();
            long.push(63);
            long.extend([b'x'; 63]);
            long.extend([0xc0 | u8::try_from(before >> 8).unwrap(), u8::try_from(before & 255).unwrap()]);
            long.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 0]);
            before = start;
        }
        assert_eq!(read(&long), None);
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        for text in ["", ".", "a..b", ".a", &"x".repeat(64), &vec!["x".repeat(49); 6].join(".")] {
            assert!(Name::parse(text).is_none(), "{text}");
        }
        assert_eq!(Name::parse("a.").unwrap().0, b"\x01a\0");
    }
}
