//! Messages and attributes of netlink, and a socket for them. Numbers are in the byte order of the machine.

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
};
use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;

/// Octets of a message's header.
pub(super) const HEADER: usize = 16;
/// What one reading of the socket takes; the kernel's dumps use at most 32 KiB.
const BUFFER: usize = 32 * 1024;
/// Octets of one dump at most: a table that has more is refused.
const MAX_DUMP: usize = 4 * 1024 * 1024;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_DUMP: u16 = 0x300;

/// The head of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: u16,
    pub(super) flags: u16,
}

impl Header {
    /// Asks for a whole table.
    pub(super) fn dump(kind: u16) -> Self {
        Self { kind, flags: NLM_F_REQUEST | NLM_F_DUMP }
    }

    fn encode(self, sequence: u32, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEADER + body.len()).unwrap_or_default();
        let mut message = Vec::with_capacity(HEADER + body.len());
        message.extend(length.to_ne_bytes());
        message.extend(self.kind.to_ne_bytes());
        message.extend(self.flags.to_ne_bytes());
        message.extend(sequence.to_ne_bytes());
        message.extend([0; 4]);
        message.extend(body);
        message
    }
}

/// One message of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) header: Header,
    pub(super) sequence: u32,
    pub(super) body: &'a [u8],
}

/// The messages of a buffer; the rest is passed over where one is not whole.
pub(super) fn messages(mut buffer: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(buffer, 0)?).ok().filter(|length| *length >= HEADER)?;
        let whole = buffer.get(..length)?;
        buffer = buffer.get(aligned(length)..).unwrap_or_default();
        let header = Header { kind: u16_at(whole, 4)?, flags: u16_at(whole, 6)? };
        Some(Message { header, sequence: u32_at(whole, 8)?, body: whole.get(HEADER..)? })
    })
}

/// The attributes behind the first `fixed` octets of a body: type without its flags, and value.
pub(super) fn attributes(body: &[u8], fixed: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = body.get(aligned(fixed)..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let kind = u16_at(rest, 2)? & 0x3fff;
        let value = rest.get(4..length)?;
        rest = rest.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

pub(super) fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..at + 4)?.try_into().ok().map(i32::from_ne_bytes)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_ne_bytes)
}

/// A socket of netlink, rtnetlink by default.
pub(super) struct Socket {
    pub(super) fd: OwnedFd,
    sequence: Cell<u32>,
}

impl Socket {
    /// Opens one that hears these multicast groups (bit n-1 for group n).
    pub(super) fn open(groups: u32) -> io::Result<Self> {
        Self::with(None, groups)
    }

    /// Opens one of generic netlink.
    pub(super) fn open_generic() -> io::Result<Self> {
        Self::with(Some(rustix::net::netlink::GENERIC), 0)
    }

    fn with(protocol: Option<Protocol>, groups: u32) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
        bind(&fd, &SocketAddrNetlink::new(0, groups))?;
        Ok(Self { fd, sequence: Cell::new(0) })
    }

    /// Sends a request.
    pub(super) fn request(&self, header: Header, body: &[u8]) -> io::Result<()> {
        self.sequence.set(self.sequence.get().wrapping_add(1));
        send(&self.fd, &header.encode(self.sequence.get(), body), SendFlags::empty())?;
        Ok(())
    }

    /// Gives the bodies of the answers to the last request; true where the kernel says that its table changed
    /// meanwhile. The kernel makes the next part of a dump while the one before is read, so there is always one.
    pub(super) fn answers(&self, mut each: impl FnMut(&[u8])) -> io::Result<bool> {
        let mut buffer = vec![0_u8; BUFFER];
        let (mut interrupted, mut total) = (false, 0);
        loop {
            let (length, _) = recv(&self.fd, buffer.as_mut_slice(), RecvFlags::empty())?;
            total += length;
            if length == 0 || total > MAX_DUMP {
                return Err(io::Error::other(format!("a dump of over {MAX_DUMP} octets, or none")));
            }
            for message in messages(buffer.get(..length).unwrap_or_default()) {
                if message.sequence != self.sequence.get() {
                    continue;
                }
                interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
                match message.header.kind {
                    NLMSG_DONE => return Ok(interrupted),
                    NLMSG_ERROR => return Err(refusal(message.body)),
                    _ => each(message.body),
                }
            }
        }
    }
}

fn refusal(body: &[u8]) -> io::Error {
    let code = i32_at(body, 0).unwrap_or_default();
    io::Error::from_raw_os_error(code.wrapping_neg())
}
