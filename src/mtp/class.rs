//! What keeps a link from its peer, told apart once for log, status and `usp-agent doctor`.

use std::fmt;

macro_rules! classes {
    ($($(#[$about:meta])* $class:ident = $code:literal, $name:literal, $remedy:literal;)*) => {
        /// A class of faults. The number is the exit code of `usp-agent doctor`; its tens are the step that failed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[repr(u8)]
        pub enum Class {
            $($(#[$about])* #[doc = $name] $class = $code,)*
        }

        /// Every class, in the order of its numbers.
        pub const CLASSES: &[Class] = &[$(Class::$class,)*];

        impl Class {
            /// Its name and what to do next.
            pub fn texts(self) -> (&'static str, &'static str) {
                match self { $(Self::$class => ($name, $remedy),)* }
            }
        }
    };
}

classes! {
    Configuration = 20, "configuration", "repair what `usp-agent check` names in /etc/config/usp-agent";
    UnknownController = 21, "unknown-controller", "add it: `usp-agent connect URL --id ID`";
    File = 22, "file", "put a PEM file there that the agent can read, or correct ca_file, certificate or key";
    Name = 30, "name", "correct the name in url, or the router's DNS: `nslookup NAME`";
    Route = 40, "route", "bring the uplink up: `ifstatus wan`, `ip route`";
    Refused = 41, "refused", "correct the port, or start the server: nothing listens there";
    Unreached = 42, "unreached", "look for a firewall on the way, and whether the host is up";
    TlsSilent = 50, "tls-not-spoken", "correct the port, or leave TLS out of url: that port does not speak it";
    TlsVersion = 51, "tls-version", "let the server speak TLS 1.2 or 1.3";
    TlsExpired = 52, "tls-expired", "renew the server's certificate, or set the router's clock: `date`";
    TlsNotYet = 53, "tls-not-yet-valid", "set the router's clock: `date`, `/etc/init.d/sysntpd restart`";
    TlsIssuer = 54, "tls-unknown-issuer", "name the server's authority in ca_file; the server must send its intermediates";
    TlsName = 55, "tls-name", "use a name of the certificate in url, or a certificate that has this one";
    TlsCertificate = 56, "tls-certificate", "give the server a certificate made for servers that is not revoked";
    TlsClientMissing = 57, "tls-client-missing", "configure certificate and key";
    TlsClientRefused = 58, "tls-client-refused", "give the agent a certificate of an authority that the server trusts";
    Tls = 59, "tls", "see the server's log";
    NoAnswer = 60, "no-answer", "correct the port: who listens there says nothing; it may want TLS";
    Protocol = 61, "protocol", "correct port and scheme of url: another protocol is spoken there";
    Credentials = 62, "credentials", "correct Username and Password";
    NotAuthorized = 63, "not-authorized", "let the server's access list allow this user";
    ClientId = 64, "client-id", "correct ClientID, or let the broker allow it";
    Version = 65, "version", "set ProtocolVersion to what the broker speaks";
    Http = 66, "http-status", "correct the path in url; see the server's log";
    Subprotocol = 67, "subprotocol", "let the server select the subprotocol v1.usp on that path";
    Stomp = 68, "stomp-error", "correct Username, Password, VirtualHost and the destinations";
    Refusal = 69, "refusal", "see the server's log";
    Subscription = 70, "subscription", "let the server's access list allow the agent's topic";
    NoTopic = 71, "no-topic", "set ResponseTopicConfigured or Destination";
    NobodyListens = 80, "nobody-listens", "correct Topic: no controller is subscribed to it";
    Publish = 81, "publish", "let the server's access list allow the controller's topic";
    PublishUnanswered = 82, "publish-unanswered", "correct Topic: the broker drops what is published there";
    Unencrypted = 83, "unencrypted", "use TLS; `option AllowUnencrypted '1'` is for a lab";
    Certificate = 84, "endpoint-id", "let the controller's certificate name its EndpointID, or correct option EndpointID";
    Awaited = 85, "awaited", "start the agent; correct the controller's address for this router; open the port";
    #[default]
    Broken = 90, "broken", "try again; see the server's log";
}

impl Class {
    /// The exit code of `usp-agent doctor`.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// One sentence for a person, with its class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Why {
    pub(crate) class: Class,
    pub(crate) text: String,
}

impl Why {
    pub(crate) fn new(class: Class, text: impl Into<String>) -> Self {
        Why { class, text: text.into() }
    }

    /// The class where nothing more exact is known.
    pub(crate) fn or(self, class: Class) -> Self {
        Why { class: if self.class == Class::Broken { class } else { self.class }, ..self }
    }

    /// The sentence made longer.
    pub(crate) fn map(self, longer: impl FnOnce(&str) -> String) -> Self {
        Why { text: longer(&self.text), ..self }
    }
}

impl From<String> for Why {
    fn from(text: String) -> Self {
        Why::new(Class::default(), text)
    }
}

impl From<&str> for Why {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
