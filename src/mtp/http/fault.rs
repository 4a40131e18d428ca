//! Why a file did not come, or go.

use crate::mtp::class::{Class, Why};
use std::fmt;

/// Why there is no answer, or not all of it. Its text names what to check, and never a path, a query or a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpFault {
    /// The URL, or a header, is nothing that can be asked for.
    Url(&'static str),
    /// The host's name has no address.
    Name(String),
    /// There is no way to the host.
    Route(String),
    /// The host does not take the connection.
    Connect(String),
    /// No encryption, or not with who should be there.
    Tls(String),
    /// The server did not answer in time.
    NoAnswer(String),
    /// The server answered with a status that is of no use here.
    Status {
        /// The number.
        code: u16,
        /// The server's own word for it.
        reason: String,
    },
    /// It leads elsewhere too often, or somewhere that is not followed.
    Redirect(&'static str),
    /// What the server says is not HTTP as it should be.
    Protocol(String),
    /// Not one byte moved for this many seconds.
    Stalled(u64),
    /// The connection ended before the body did.
    Cut,
    /// The connection broke.
    Broken(String),
    /// The body to send is not as long as was announced.
    Size,
}

impl fmt::Display for HttpFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(why) | Self::Redirect(why) => f.write_str(why),
            Self::Name(why) | Self::Route(why) | Self::Connect(why) | Self::Tls(why) => f.write_str(why),
            Self::NoAnswer(server) => write!(f, "{server} does not answer the request"),
            Self::Status { code: 401, .. } => f.write_str("the server answered HTTP 401: check Username and Password"),
            Self::Status { code, reason } if reason.is_empty() => write!(f, "the server answered HTTP {code}"),
            Self::Status { code, reason } => write!(f, "the server answered HTTP {code} {reason}"),
            Self::Protocol(why) => write!(f, "the server does not speak HTTP as it should: {why}"),
            Self::Stalled(seconds) => write!(f, "nothing moved for {seconds} s"),
            Self::Cut => f.write_str("the connection ended before the file did"),
            Self::Broken(why) => f.write_str(why),
            Self::Size => f.write_str("the file is not as long as was announced to the server"),
        }
    }
}

impl std::error::Error for HttpFault {}

impl From<Why> for HttpFault {
    fn from(fault: Why) -> Self {
        let step = match fault.class {
            Class::Name => Self::Name,
            Class::Route => Self::Route,
            Class::Refused | Class::Unreached => Self::Connect,
            _ => Self::Tls,
        };
        step(fault.text)
    }
}
