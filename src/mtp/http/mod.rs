//! HTTP/1.1 as a client, for what operations fetch and bring: files, tests of throughput.
//!
//! One request per connection, bodies as streams either way, nothing held in memory but one head. Every step has a
//! deadline. No cookies, no compression, no HTTP/2, no cache. A password goes in Basic authentication to the host it was
//! given for and nowhere else, and stands in no text for people; nor do paths and queries, which may carry one.

mod answer;
mod body;
mod exchange;
mod fault;
pub(in crate::mtp) mod head;
mod upload;
mod url;

#[cfg(test)]
mod tests;

pub use answer::{Answer, Times};
pub use exchange::MAX_REDIRECTS;
pub use fault::HttpFault;
pub use upload::{Size, Upload};
pub use url::Url;

use super::stream::Way;
use super::tls::ClientTls;
use std::fmt;
use std::time::Duration;

/// How long a server may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// From the name look-up to the end of the TLS handshake.
    pub connect: Duration,
    /// From the last byte of the request to the last of the answer's head.
    pub answer: Duration,
    /// Not one byte of a body moves.
    pub stall: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let half_a_minute = Duration::from_secs(30);
        Patience { connect: half_a_minute, answer: half_a_minute, stall: half_a_minute }
    }
}

/// Who asks; it is written down nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Without a colon.
    pub username: String,
    /// Whatever it is.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}

/// Asks servers.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// For https.
    pub tls: ClientTls,
    /// Device, address family, codepoint.
    pub way: Way,
    /// Deadlines of the steps.
    pub patience: Patience,
    /// Sent with the first request already, to the host that was asked for.
    pub login: Option<Login>,
}

/// Headers of a request beside those the client writes itself: `Range`, `Content-Type` and the like.
pub type Headers<'a> = [(&'a str, &'a str)];
