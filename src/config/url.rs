//! The addresses a controller's `url` option takes: just what USP's transports need of a URL.

use std::fmt;

/// A parsed address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// `listen` before it: the controller connects to the agent.
    pub listen: bool,
    /// What speaks there.
    pub scheme: Scheme,
    /// Percent-decoded; None where none is given.
    pub username: Option<String>,
    /// Percent-decoded; None where none is given.
    pub password: Option<String>,
    /// A name or an address, without the brackets of an IPv6 address; empty for a UNIX socket.
    pub host: String,
    /// Given, or the scheme's own; 0 for a UNIX socket.
    pub port: u16,
    /// From its slash on, as written (never decoded: it may carry a password); empty where none is given. The file of a
    /// UNIX socket.
    pub path: String,
}

/// The transports a URL can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `mqtt://`
    Mqtt,
    /// `mqtts://`
    Mqtts,
    /// `ws://`
    Ws,
    /// `wss://`
    Wss,
    /// `unix://`
    Unix,
    /// `stomp://`
    Stomp,
    /// `stomps://`
    Stomps,
}

/// Why a text is no such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// Not one of the schemes.
    Scheme,
    /// `listen` with a scheme other than ws, wss and unix.
    Listen,
    /// No host, or one that cannot be a name or an address.
    Host,
    /// A UNIX socket's path that is not absolute.
    Path,
    /// A user where there is no broker to tell it to.
    User,
    /// Not a port number.
    Port,
    /// A `%` that is not followed by two hexadecimal digits, or not UTF-8.
    Percent,
    /// A query or fragment, a blank or a control character.
    Stray,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => {
                "an address starts with mqtt://, mqtts://, stomp://, stomps://, ws://, wss://, unix:// or `listen ws://`"
            }
            Self::Listen => "only ws://, wss:// and unix:// can listen",
            Self::Host => "the host must be a name, an IPv4 address, or an IPv6 address in []",
            Self::Path => "after unix:// comes the absolute path of the socket's file",
            Self::User => "only mqtt(s):// and stomp(s):// take user:password@",
            Self::Port => "the port must be a number from 1 to 65535",
            Self::Percent => "% must be followed by two hexadecimal digits",
            Self::Stray => "an address has no blanks, no ? and no #",
        })
    }
}

impl Scheme {
    /// TLS.
    pub fn encrypted(self) -> bool {
        matches!(self, Self::Mqtts | Self::Wss | Self::Stomps)
    }

    /// Through a broker: MQTT or STOMP.
    pub fn brokered(self) -> bool {
        !matches!(self, Self::Ws | Self::Wss | Self::Unix)
    }

    fn port(self, listen: bool) -> u16 {
        match self {
            Self::Ws | Self::Wss if listen => 8183,
            Self::Mqtt => 1883,
            Self::Mqtts => 8883,
            Self::Ws => 80,
            Self::Wss => 443,
            Self::Unix => 0,
            Self::Stomp => 61613,
            Self::Stomps => 61614,
        }
    }
}

impl Url {
    /// Reads `[listen ]scheme://[user[:password]@]host[:port][/path]`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (listen, text) = match text.strip_prefix("listen ") {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text),
        };
        let (scheme, rest) = text.split_once("://").ok_or(Error::Scheme)?;
        let scheme = match scheme {
            "mqtt" => Scheme::Mqtt,
            "mqtts" => Scheme::Mqtts,
            "ws" => Scheme::Ws,
            "wss" => Scheme::Wss,
            "unix" => Scheme::Unix,
            "stomp" => Scheme::Stomp,
            "stomps" => Scheme::Stomps,
            _ => return Err(Error::Scheme),
        };
        if listen && scheme.brokered() {
            return Err(Error::Listen);
        }
        if rest.chars().any(|c| c.is_whitespace() || c.is_control() || c == '?' || c == '#') {
            return Err(Error::Stray);
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if scheme == Scheme::Unix {
            let path = if authority.is_empty() { path.to_owned() } else { return Err(Error::Path) };
            return Ok(Self { listen, scheme, username: None, password: None, host: String::new(), port: 0, path });
        }
        let (userinfo, place) = match authority.rsplit_once('@') {
            Some((userinfo, place)) => (Some(userinfo), place),
            None => (None, authority),
        };
        if userinfo.is_some() && !scheme.brokered() {
            return Err(Error::User);
        }
        let (username, password) = credentials(userinfo)?;
        let (host, port) = host_and_port(place)?;
        Ok(Self {
            listen,
            scheme,
            username,
            password,
            host: host.to_owned(),
            port: port.unwrap_or(scheme.port(listen)),
            path: path.to_owned(),
        })
    }
}

type Credentials = (Option<String>, Option<String>);

fn credentials(userinfo: Option<&str>) -> Result<Credentials, Error> {
    let Some(userinfo) = userinfo else { return Ok((None, None)) };
    match userinfo.split_once(':') {
        Some((username, password)) => Ok((Some(decode(username)?), Some(decode(password)?))),
        None => Ok((Some(decode(userinfo)?), None)),
    }
}

/// The host, without the brackets of an IPv6 address, and the port where one is given.
pub(crate) fn host_and_port(place: &str) -> Result<(&str, Option<u16>), Error> {
    let (host, after) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or(Error::Host)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| Error::Host)?;
            (host, after)
        }
        None => {
            let (host, after) = place.split_at(place.find(':').unwrap_or(place.len()));
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            if host.is_empty() || !host.chars().all(fits) {
                return Err(Error::Host);
            }
            (host, after)
        }
    };
    let port = match after.strip_prefix(':') {
        Some(port) => Some(port.parse().ok().filter(|port| *port != 0).ok_or(Error::Port)?),
        None if after.is_empty() => None,
        None => return Err(Error::Host),
    };
    Ok((host, port))
}

fn decode(text: &str) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16)).ok_or(Error::Percent);
                let value = digit()? * 16 + digit()?;
                bytes.push(u8::try_from(value).map_err(|_| Error::Percent)?);
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).map_err(|_| Error::Percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn everything_that_can_be_given() {
        let got = url("mqtts://us%40er:p%3Ass@[2001:db8::1]:8884/a/b%20c");
        assert_eq!(got.scheme, Scheme::Mqtts);
        assert_eq!((got.username.as_deref(), got.password.as_deref()), (Some("us@er"), Some("p:ss")));
        assert_eq!((got.host.as_str(), got.port, got.path.as_str()), ("2001:db8::1", 8884, "/a/b%20c"));
    }

    #[test]
    fn schemes_bring_their_ports() {
        let ports = ["mqtt://h", "mqtts://h", "ws://h", "wss://h", "listen ws://[::]"].map(|text| url(text).port);
        assert_eq!(ports, [1883, 8883, 80, 443, 8183]);
        assert_eq!(["stomp://h", "stomps://h"].map(|text| url(text).port), [61613, 61614]);
        assert!(url("stomps://u:p@h/queue/c").scheme.encrypted() && !url("stomp://h").scheme.encrypted());
        assert!(url("listen wss://0.0.0.0:8443/usp").listen);
    }

    #[test]
    fn a_unix_socket_has_a_path_and_nothing_else() {
        let got = url("unix:///var/run/usp/x");
        assert_eq!((got.scheme, got.path.as_str(), got.port), (Scheme::Unix, "/var/run/usp/x", 0));
        assert!(url("listen unix://").listen && url("unix://").path.is_empty());
        assert_eq!(Url::parse("unix://relative/path"), Err(Error::Path));
        assert_eq!(Url::parse("unix://user@/path"), Err(Error::Path));
    }

    #[test]
    fn a_password_may_hold_an_at_sign_only_before_the_last_one() {
        let got = url("mqtt://u:p@ss@host");
        assert_eq!((got.password.as_deref(), got.host.as_str()), (Some("p@ss"), "host"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("http://h", Error::Scheme),
            ("h:1883", Error::Scheme),
            ("listen mqtt://h", Error::Listen),
            ("listen stomp://h", Error::Listen),
            ("mqtt://", Error::Host),
            ("mqtt://[::1", Error::Host),
            ("mqtt://[host]", Error::Host),
            ("mqtt://::1", Error::Host),
            ("mqtt://[::1]x", Error::Host),
            ("wss://u:p@h", Error::User),
            ("ws://h:0", Error::Port),
            ("ws://h:65536", Error::Port),
            ("ws://h:", Error::Port),
            ("mqtt://u%4@h", Error::Percent),
            ("mqtt://u%zz@h", Error::Percent),
            ("mqtt://%ff@h", Error::Percent),
            ("ws://h/a?b", Error::Stray),
            ("ws://h /", Error::Stray),
        ];
        for (text, error) in cases {
            assert_eq!(Url::parse(text), Err(error), "{text}");
        }
    }
}
