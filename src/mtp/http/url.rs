//! The URLs that are asked for: http and https, without user and password.

use super::HttpFault;
use crate::config::url::host_and_port;

/// The longest URL, in bytes: TR-181 has 2048 for the arguments of its commands.
const MAX_URL: usize = 2048;

/// Where to ask for what. No `Debug`: path and query may carry a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// https.
    pub secure: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// Given, or 80 or 443.
    pub port: u16,
    /// Path and query as written, never empty.
    target: String,
}

impl Url {
    /// Reads `http[s]://host[:port][/path][?query][#fragment]`; a fragment is left out.
    ///
    /// # Errors
    /// [`HttpFault::Url`] names what is wrong.
    pub fn parse(text: &str) -> Result<Self, HttpFault> {
        if text.len() > MAX_URL {
            return Err(HttpFault::Url("the URL is longer than 2048 bytes"));
        }
        let (scheme, rest) =
            text.split_once("://").ok_or(HttpFault::Url("the URL must start with http:// or https://"))?;
        let secure = match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => true,
            _ if scheme.eq_ignore_ascii_case("http") => false,
            _ => return Err(HttpFault::Url("only http:// and https:// are spoken here")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(HttpFault::Url(
                "the URL has a blank, a control character or a letter that must be written with %",
            ));
        }
        let (place, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if place.contains('@') {
            return Err(HttpFault::Url("user and password belong in Username and Password, not in the URL"));
        }
        let (host, port) =
            host_and_port(place).map_err(|_| HttpFault::Url("the URL has no host and port that could be"))?;
        let slash = if target.starts_with('/') { "" } else { "/" };
        let (host, port) = (host.to_owned(), port.unwrap_or(if secure { 443 } else { 80 }));
        Ok(Self { secure, host, port, target: format!("{slash}{target}") })
    }

    /// Path and query.
    pub(super) fn target(&self) -> &str {
        &self.target
    }

    /// Host and port as the header Host has them.
    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.secure, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// The last part of the path, without query.
    pub fn file_name(&self) -> &str {
        let path = self.target.split('?').next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    }

    /// Where a `Location` leads that was answered to this URL.
    pub(super) fn join(&self, location: &str) -> Result<Self, HttpFault> {
        let scheme = if self.secure { "https" } else { "http" };
        let before_query = location.split(['?', '#']).next().unwrap_or_default();
        let path = self.target.split('?').next().unwrap_or_default();
        let next = if before_query.contains("://") {
            Self::parse(location)?
        } else if location.starts_with("//") {
            Self::parse(&format!("{scheme}:{location}"))?
        } else {
            let folder = match location.chars().next() {
                Some('/') => "",
                Some('?') => path,
                _ => path.rsplit_once('/').map_or("/", |(folder, _)| path.get(..=folder.len()).unwrap_or("/")),
            };
            Self::parse(&format!("{scheme}://{}{folder}{location}", self.authority()))?
        };
        match self.secure && !next.secure {
            true => Err(HttpFault::Redirect("the server leads from https to http, which is not followed")),
            false => Ok(next),
        }
    }

    /// What was given for this server may be told to the other: the same one, or the same host with encryption.
    pub(super) fn shares_login_with(&self, other: &Self) -> bool {
        let same_place = self.port == other.port && self.secure == other.secure;
        self.host.eq_ignore_ascii_case(&other.host) && (same_place || other.secure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, String) {
        let url = Url::parse(text).map_err(|fault| fault.to_string()).unwrap();
        (format!("{} {}", if url.secure { "tls" } else { "tcp" }, url.authority()), url.target().to_owned())
    }

    fn led(from: &str, location: &str) -> Result<String, HttpFault> {
        let url = Url::parse(from)?.join(location)?;
        Ok(format!("{} {} {}", if url.secure { "tls" } else { "tcp" }, url.authority(), url.target()))
    }

    #[test]
    fn the_parts_of_a_url() {
        let cases = [
            ("http://h", "tcp h", "/"),
            ("HTTPS://h:443/a/b?c=d#e", "tls h", "/a/b?c=d"),
            ("http://h:8080?x", "tcp h:8080", "/?x"),
            ("https://[2001:db8::1]:8443/f", "tls [2001:db8::1]:8443", "/f"),
            ("http://h/a@b", "tcp h", "/a@b"),
        ];
        for (text, place, target) in cases {
            assert_eq!(parsed(text), (place.to_owned(), target.to_owned()), "{text}");
        }
        assert_eq!(Url::parse("http://h/a/b.bin?x=/y").ok().unwrap().file_name(), "b.bin");
    }

    #[test]
    fn what_cannot_be_asked_for_is_refused_without_being_repeated() {
        let long = format!("http://h/{}", "x".repeat(MAX_URL));
        let bad = ["", "h/a", "ftp://h/secret", "http://", "http:///secret", "http://u:secret@h/", "http://h:0/secret"];
        for text in bad.into_iter().chain(["http://h/secret b", "http://h/secret\r\nX: y", "http://h/é", &long]) {
            let why = Url::parse(text).err().unwrap_or_else(|| panic!("{text}")).to_string();
            assert!(!why.contains("secret"), "{why}");
        }
    }

    #[test]
    fn a_location_is_read_as_the_place_it_came_from_has_it() {
        let from = "http://h:81/a/b?c";
        let cases = [
            ("https://i/x?y", "tls i /x?y"),
            ("//i/x", "tcp i /x"),
            ("/x", "tcp h:81 /x"),
            ("x", "tcp h:81 /a/x"),
            ("?x", "tcp h:81 /a/b?x"),
            ("x?to=http://z/", "tcp h:81 /a/x?to=http://z/"),
        ];
        for (location, to) in cases {
            assert_eq!(led(from, location).as_deref(), Ok(to), "{location}");
        }
        assert!(matches!(led("https://h/", "http://h/"), Err(HttpFault::Redirect(_))));
        assert!(led("https://h/", "http://u:p@h/").is_err());
    }

    #[test]
    fn a_login_goes_to_the_same_server_only() {
        let share = |a: &str, b: &str| Url::parse(a).ok().unwrap().shares_login_with(&Url::parse(b).ok().unwrap());
        assert!(share("http://h/a", "http://H/b") && share("http://h/", "https://h/"));
        assert!(!share("http://h/", "http://h:81/") && !share("https://h/", "https://i/"));
        assert!(!share("https://h/", "http://h/"));
    }
}
