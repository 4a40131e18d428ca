//! Every section type and option of `/etc/config/usp-agent`, one row each.
//!
//! Option names are the parameter names of TR-181 where there is one, else lower case. The table is what the checker,
//! the defaults, `docs/configuration.md` and `usp-agent check --print-options` are made of.

use Form::{
    Address, Base64, Bool, Certificate, DateTime, Endpoint, File, Number, Secret, SecretBase64, Section, Text, Url,
    Word, ZeroOr,
};

/// What a value may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `0`, `1` and the other words UCI takes for a boolean.
    Bool,
    /// A whole number within these bounds.
    Number(u32, u32),
    /// 0, or a whole number within these bounds; what is less counts as the least.
    ZeroOr(u32, u32),
    /// Any text.
    Text,
    /// Any text, never shown in a log.
    Secret,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A controller's address, see [`super::url`].
    Url,
    /// A USP endpoint id.
    Endpoint,
    /// The absolute path of a file.
    File,
    /// The name of a section of this type.
    Section(&'static str),
    /// A TR-181 dateTime.
    DateTime,
    /// A certificate in PEM form, or its base64 alone.
    Certificate,
    /// Base64, never shown in a log.
    SecretBase64,
    /// Base64.
    Base64,
    /// An IPv4 or IPv6 address.
    Address,
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// What it may hold.
    pub form: Form,
    /// `list` instead of `option`.
    pub list: bool,
    /// A section without it means nothing.
    pub required: bool,
    /// What counts where it is left out; empty for nothing.
    pub default: &'static str,
    /// The parameter that shows it, relative to the section type's object or from `Device.` on; empty where none does.
    pub parameter: &'static str,
    /// One line for people.
    pub doc: &'static str,
}

/// One section type.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The word after `config`.
    pub name: &'static str,
    /// The TR-181 object or table its sections are; empty where none.
    pub object: &'static str,
    /// One line for people.
    pub doc: &'static str,
    /// Its options.
    pub options: &'static [Row],
}

const fn row(name: &'static str, form: Form, default: &'static str, parameter: &'static str, doc: &'static str) -> Row {
    Row { name, form, list: false, required: false, default, parameter, doc }
}

const fn list(name: &'static str, form: Form, parameter: &'static str, doc: &'static str) -> Row {
    Row { name, form, list: true, required: false, default: "", parameter, doc }
}

const fn required(row: Row) -> Row {
    Row { required: true, ..row }
}

/// Where OpenWrt's ca-bundle keeps the certification authorities it trusts.
pub const CA_FILE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The MTPs this build speaks.
pub const PROTOCOLS: &[&str] = &["MQTT", "STOMP", "WebSocket", "UDS"];

/// Where the agent of a USP broker listens.
pub const AGENT_SOCKET: &str = "/var/run/usp/broker_agent_path";
/// Where the controller of a USP broker listens.
pub const CONTROLLER_SOCKET: &str = "/var/run/usp/broker_controller_path";

const ANY: u32 = u32::MAX;
const ALIAS: Row = row("Alias", Text, "", "Alias", "a controller's own name for the row");
const ENABLE: Row = row("Enable", Bool, "1", "Enable", "0 keeps the section without using it");
const CA: Row = row("ca_file", File, "", "", "PEM file of trusted authorities instead of the agent's");
const CERTIFICATE: Row = row("certificate", File, "", "", "PEM file of the own certificate, instead of the agent's");
const KEY: Row = row("key", File, "", "", "PEM file of its private key");
const RIGHTS: &str = "four characters rwxn, - for what is not allowed";

/// All section types.
#[rustfmt::skip]
pub const KINDS: &[Kind] = &[
    Kind {
        name: "localagent",
        object: "Device.LocalAgent.",
        doc: "the agent itself; one section",
        options: &[
            row("EndpointID", Endpoint, "", "EndpointID", "own endpoint id; left out: os::OUI-SERIAL of the router"),
            row("log_level", Word(&["error", "warn", "info", "debug", "trace"]), "info", "", "least important event that is logged"),
            row("AdvertisedDeviceSubtypes", Text, "", "AdvertisedDeviceSubtypes", "device subtypes for mDNS"),
            row("ca_file", File, CA_FILE, "", "PEM file of the authorities that controllers and brokers are checked against"),
            row("certificate", File, "", "", "PEM file of the own certificate"),
            row("key", File, "", "", "PEM file of its private key"),
            row("UntrustedRole", Section("role"), "untrusted", "ControllerTrust.UntrustedRole", "role of a controller without one, or on an unencrypted link"),
            row("BannedRole", Section("role"), "", "ControllerTrust.BannedRole", "role of a controller whose certificate is revoked"),
            list("SecuredRoles", Section("role"), "ControllerTrust.SecuredRoles", "roles that may read passwords and keys, and so may take a Backup(); none is by itself, `full` neither"),
            row("TOFUAllowed", Bool, "0", "ControllerTrust.TOFUAllowed", "1 takes in a controller whose certificate nobody vouches for, with UntrustedRole"),
            row("TOFUInactivityTimer", Number(0, ANY), "60", "ControllerTrust.TOFUInactivityTimer", "seconds such a controller may be silent at first; 0 for ever"),
            row("crl_file", File, "", "", "PEM file of revocation lists; who is on one is not let in"),
            row("ConfirmWindow", ZeroOr(10, 3600), "120", "", "seconds after which a change that cut off the controllers is undone, half as many more (20 at least) for Wi-Fi; services get 5 of them (Wi-Fi: 15) before an answer counts; 0 keeps every change"),
            row("AllowUnencryptedBackup", Bool, "0", "", "1 lets Backup() and Restore() go over http, where everybody on the way reads passwords and keys and may change what is restored; for a lab"),
            row("clock_wait", Number(0, 3600), "60", "", "seconds that links with TLS wait at start for a clock that is not set; then they connect, and dates of certificates do not count until it is"),
            row("Manufacturer", Text, "", "Device.DeviceInfo.Manufacturer", "what the image does not know of the hardware; likewise the next ones"),
            row("ManufacturerOUI", Text, "", "Device.DeviceInfo.ManufacturerOUI", "six hexadecimal digits; part of the endpoint id"),
            row("ModelName", Text, "", "Device.DeviceInfo.ModelName", ""),
            row("ModelNumber", Text, "", "Device.DeviceInfo.ModelNumber", ""),
            row("Description", Text, "", "Device.DeviceInfo.Description", ""),
            row("ProductClass", Text, "", "Device.DeviceInfo.ProductClass", ""),
            row("SerialNumber", Text, "", "Device.DeviceInfo.SerialNumber", "part of the endpoint id"),
            row("HardwareVersion", Text, "", "Device.DeviceInfo.HardwareVersion", ""),
            row("ProvisioningCode", Text, "", "Device.DeviceInfo.ProvisioningCode", "set by a controller"),
            row("MaxSubscriptionChangeAdoptionTime", Number(0, ANY), "5", "MaxSubscriptionChangeAdoptionTime", "seconds until a changed subscription counts"),
        ],
    },
    Kind {
        name: "controller",
        object: "Device.LocalAgent.Controller.{i}.",
        doc: "a controller the agent knows; no other may speak to it",
        options: &[
            row("url", Url, "", "", "short form: mqtt(s)://, stomp(s)://, ws(s):// host[:port][/path], unix:///path, or `listen ws://[::]:8183/usp`, `listen unix:///path`"),
            row("preset", Word(&["plain", "oktopus"]), "plain", "", "short form: the topics, paths and manners this kind of controller expects"),
            required(row("EndpointID", Endpoint, "", "EndpointID", "the controller's endpoint id; preset oktopus: oktopusController")),
            ENABLE,
            list("role", Section("role"), "AssignedRole", "what it may do: `full`, `readonly` or a role section; left out: untrusted"),
            list("Credential", Section("certificate"), "Credential", "certificates it may present, beside those an authority signed"),
            row("AllowUnencrypted", Bool, "0", "", "1 grants its role on a link without TLS too; for a lab"),
            ALIAS,
            row("ControllerCode", Text, "", "ControllerCode", "kept for the controller"),
            row("ProvisioningCode", Text, "", "ProvisioningCode", "kept for the controller"),
            row("PeriodicNotifInterval", Number(1, ANY), "86400", "PeriodicNotifInterval", "seconds between Periodic! events"),
            row("PeriodicNotifTime", DateTime, "0001-01-01T00:00:00Z", "PeriodicNotifTime", "phase of Periodic! events"),
            row("USPNotifRetryMinimumWaitInterval", Number(1, 65535), "5", "USPNotifRetryMinimumWaitInterval", "seconds before an unanswered notification is sent again"),
            row("USPNotifRetryIntervalMultiplier", Number(1000, 65535), "2000", "USPNotifRetryIntervalMultiplier", "thousandths by which that time grows"),
            row("AnswerDeadline", Number(0, ANY), "", "", "seconds after which an answer is dropped rather than sent, 0 for never; preset oktopus: 9, for it takes a late one for the answer to its next request; others: 0"),
            row("OnBoardingComplete", Bool, "1", "OnBoardingComplete", "0 sends an OnBoardRequest at start"),
            row("OnBoardingRestartTime", Number(0, ANY), "0", "OnBoardingRestartTime", "seconds until the OnBoardRequest is sent again"),
            row("ResultTypeFilter", Word(&["Success", "Failure", "Both"]), "Both", "TransferCompletePolicy.ResultTypeFilter", "which TransferComplete! events it gets"),
            row("Username", Text, "", "", "short form: of the broker"),
            row("Password", Secret, "", "", "short form: of the broker; preset oktopus: over WebSocket too"),
            row("ClientID", Text, "", "", "short form: MQTT client id"),
            row("ProtocolVersion", Word(&["3.1.1", "5.0"]), "", "", "short form: of MQTT"),
            row("Topic", Text, "", "", "short form: MQTT topic or STOMP destination the controller listens to"),
            row("ResponseTopicConfigured", Text, "", "", "short form: MQTT topic or STOMP destination the agent listens to"),
            row("PublishQoS", Number(0, 2), "", "", "short form: MQTT quality of service"),
            row("VirtualHost", Text, "", "", "short form: STOMP virtual host"),
            CA,
            CERTIFICATE,
            KEY,
        ],
    },
    Kind {
        name: "controller_mtp",
        object: "Device.LocalAgent.Controller.{i}.MTP.{i}.",
        doc: "a way to reach a controller",
        options: &[
            required(row("controller", Section("controller"), "", "", "the controller it reaches")),
            ENABLE,
            ALIAS,
            required(row("Protocol", Word(PROTOCOLS), "", "Protocol", "each protocol once per controller")),
            row("Order", Number(1, ANY), "1", "Order", "the lowest that is connected is used, all of them where several have the same"),
            row("Host", Text, "", "WebSocket.Host", "WebSocket: name or address of the controller"),
            row("Port", Number(1, 65535), "443", "WebSocket.Port", "WebSocket: its port"),
            row("Path", Text, "/", "WebSocket.Path", "WebSocket: path of the request"),
            row("EnableEncryption", Bool, "1", "WebSocket.EnableEncryption", "WebSocket: TLS"),
            row("Password", Secret, "", "", "WebSocket: appended to the path as its last segment, for servers that look for it there"),
            row("KeepAliveInterval", Number(1, ANY), "30", "WebSocket.KeepAliveInterval", "WebSocket: seconds between pings"),
            row("SessionRetryMinimumWaitInterval", Number(1, 65535), "5", "WebSocket.SessionRetryMinimumWaitInterval", "WebSocket: seconds before the first new try"),
            row("SessionRetryIntervalMultiplier", Number(1000, 65535), "2000", "WebSocket.SessionRetryIntervalMultiplier", "WebSocket: thousandths by which that time grows"),
            row("mtp", Section("mtp"), "", "MQTT.AgentMTPReference", "MQTT: the own MTP it goes through; left out: the first MQTT one"),
            row("Topic", Text, "", "MQTT.Topic", "MQTT: the topic the controller listens to"),
            row("PublishRetainResponse", Bool, "0", "MQTT.PublishRetainResponse", "MQTT: responses are retained by the broker"),
            row("PublishRetainNotify", Bool, "0", "MQTT.PublishRetainNotify", "MQTT: notifications are retained by the broker"),
            row("unix_socket", Section("unix_socket"), "", "UDS.UnixDomainSocketRef", "UDS: the socket it is reached at"),
            row("stomp", Section("stomp"), "", "STOMP.Reference", "STOMP: the connection it goes through; left out: the first one in use"),
            row("Destination", Text, "", "STOMP.Destination", "STOMP: the destination the controller listens to"),
            CA,
            CERTIFICATE,
            KEY,
        ],
    },
    Kind {
        name: "mtp",
        object: "Device.LocalAgent.MTP.{i}.",
        doc: "a way the agent is reached: an MQTT client with its topic, a STOMP connection with its destination, a WebSocket server, or a UNIX socket",
        options: &[
            ENABLE,
            ALIAS,
            required(row("Protocol", Word(PROTOCOLS), "", "Protocol", "what is spoken there")),
            row("EnableMDNS", Bool, "0", "EnableMDNS", "announce it on the local network"),
            row("mqtt", Section("mqtt"), "", "MQTT.Reference", "MQTT: the client it uses; required there"),
            row("ResponseTopicConfigured", Text, "", "MQTT.ResponseTopicConfigured", "MQTT: the topic the agent listens to; {EndpointID} is filled in"),
            row("PublishQoS", Number(0, 2), "1", "MQTT.PublishQoS", "MQTT: quality of service of what is published"),
            row("stomp", Section("stomp"), "", "STOMP.Reference", "STOMP: the connection it uses; required there"),
            row("Destination", Text, "", "STOMP.Destination", "STOMP: the destination the agent listens to where the server names none; {EndpointID} is filled in"),
            list("Interfaces", Text, "WebSocket.Interfaces", "WebSocket: the network interfaces it serves; left out: all"),
            row("address", Text, "::", "", "WebSocket: the address it listens at"),
            row("Port", Number(1, 65535), "8183", "WebSocket.Port", "WebSocket: the port it listens at"),
            row("Path", Text, "/usp", "WebSocket.Path", "WebSocket: the path it serves"),
            row("EnableEncryption", Bool, "1", "WebSocket.EnableEncryption", "WebSocket: TLS, with certificate and key"),
            row("KeepAliveInterval", Number(1, ANY), "60", "WebSocket.KeepAliveInterval", "WebSocket: seconds between pings"),
            row("unix_socket", Section("unix_socket"), "", "UDS.UnixDomainSocketRef", "UDS: the socket it uses; required there"),
            CA,
            CERTIFICATE,
            KEY,
        ],
    },
    Kind {
        name: "unix_socket",
        object: "Device.UnixDomainSockets.UnixDomainSocket.{i}.",
        doc: "a UNIX domain socket for controllers on the router itself",
        options: &[
            ALIAS,
            row("Mode", Word(&["Listen", "Connect"]), "Listen", "Mode", "whether the agent or the controller is the server"),
            row("Path", File, "", "Path", "of the socket's file; left out: /var/run/usp/broker_agent_path to listen, broker_controller_path there to connect"),
        ],
    },
    Kind {
        name: "mqtt",
        object: "Device.MQTT.Client.{i}.",
        doc: "a connection to an MQTT broker",
        options: &[
            ENABLE,
            ALIAS,
            row("Name", Text, "", "Name", "left out: the section's name"),
            required(row("BrokerAddress", Text, "", "BrokerAddress", "name or address of the broker")),
            row("BrokerPort", Number(1, 65535), "1883", "BrokerPort", "its port"),
            row("TransportProtocol", Word(&["TCP/IP", "TLS"]), "TCP/IP", "TransportProtocol", "TLS encrypts"),
            row("ProtocolVersion", Word(&["3.1.1", "5.0"]), "5.0", "ProtocolVersion", "of MQTT"),
            row("ClientID", Text, "", "ClientID", "left out: the broker assigns one (5.0), else the endpoint id"),
            row("Username", Text, "", "Username", "for the broker"),
            row("Password", Secret, "", "Password", "for the broker"),
            row("KeepAliveTime", Number(0, 65535), "60", "KeepAliveTime", "seconds between signs of life"),
            row("CleanSession", Bool, "1", "CleanSession", "3.1.1: start without the old session"),
            row("CleanStart", Bool, "1", "CleanStart", "5.0: start without the old session"),
            row("SessionExpiryInterval", Number(0, ANY), "0", "SessionExpiryInterval", "5.0: seconds the broker keeps a session that ended"),
            row("RequestResponseInfo", Bool, "1", "RequestResponseInfo", "5.0: ask the broker for a response topic"),
            row("ResubscribeInterval", Number(0, ANY), "0", "", "seconds after which the same topics are subscribed to again, for servers that learn from it that the agent is there; 0 for never; preset oktopus: 1200"),
            row("RequestProblemInfo", Bool, "1", "RequestProblemInfo", "5.0: ask the broker for reasons"),
            row("MessageRetryTime", Number(1, 65535), "5", "MessageRetryTime", "3.1.1: seconds until a publish that is not acknowledged is sent again"),
            row("ConnectRetryTime", Number(1, 65535), "5", "ConnectRetryTime", "seconds before the first new try"),
            row("ConnectRetryIntervalMultiplier", Number(1000, 65535), "2000", "ConnectRetryIntervalMultiplier", "thousandths by which that time grows"),
            row("ConnectRetryMaxInterval", Number(1, ANY), "30720", "ConnectRetryMaxInterval", "seconds it grows to at most"),
            row("WillEnable", Bool, "0", "WillEnable", "1 has the broker publish a will when the connection is lost"),
            row("WillTopic", Text, "", "WillTopic", "where to; {EndpointID} is filled in"),
            row("WillValue", Text, "", "WillValue", "what; {EndpointID} is filled in"),
            row("WillQoS", Number(0, 2), "0", "WillQoS", "quality of service of the will"),
            row("WillRetain", Bool, "0", "WillRetain", "1 has the broker keep it"),
            CA,
            CERTIFICATE,
            KEY,
        ],
    },
    Kind {
        name: "mqtt_subscription",
        object: "Device.MQTT.Client.{i}.Subscription.{i}.",
        doc: "a topic an MQTT client subscribes to beside the response topic",
        options: &[
            required(row("mqtt", Section("mqtt"), "", "", "the client")),
            ENABLE,
            ALIAS,
            required(row("Topic", Text, "", "Topic", "topic filter")),
            row("QoS", Number(0, 2), "0", "QoS", "quality of service"),
        ],
    },
    Kind {
        name: "stomp",
        object: "Device.STOMP.Connection.{i}.",
        doc: "a connection to a STOMP server",
        options: &[
            ENABLE,
            ALIAS,
            required(row("Host", Text, "", "Host", "name or address of the server")),
            row("Port", Number(1, 65535), "61613", "Port", "its port"),
            row("EnableEncryption", Bool, "1", "EnableEncryption", "TLS"),
            row("VirtualHost", Text, "", "VirtualHost", "left out: the server's default one, `/`"),
            row("Username", Text, "", "Username", "for the server; {EndpointID} is filled in"),
            row("Password", Secret, "", "Password", "for the server"),
            row("EnableHeartbeats", Bool, "0", "EnableHeartbeats", "1 agrees on heart-beats with the server"),
            row("OutgoingHeartbeat", Number(0, ANY), "0", "OutgoingHeartbeat", "milliseconds between the agent's heart-beats; 0 for none"),
            row("IncomingHeartbeat", Number(0, ANY), "0", "IncomingHeartbeat", "milliseconds between the server's heart-beats; 0 for none"),
            row("ServerRetryInitialInterval", Number(1, 65535), "60", "ServerRetryInitialInterval", "seconds within which the first new try is made"),
            row("ServerRetryIntervalMultiplier", Number(1000, 65535), "2000", "ServerRetryIntervalMultiplier", "thousandths by which that time grows"),
            row("ServerRetryMaxInterval", Number(1, ANY), "30720", "ServerRetryMaxInterval", "seconds it grows to at most"),
            CA,
            CERTIFICATE,
            KEY,
        ],
    },
    Kind {
        name: "subscription",
        object: "Device.LocalAgent.Subscription.{i}.",
        doc: "what a controller wants to be told of",
        options: &[
            required(row("controller", Section("controller"), "", "Recipient", "the recipient")),
            ENABLE,
            ALIAS,
            required(row("ID", Text, "", "ID", "the controller's name for it")),
            required(row("NotifType", Word(&["ValueChange", "ObjectCreation", "ObjectDeletion", "OperationComplete", "Event"]), "", "NotifType", "what kind of notification")),
            list("ReferenceList", Text, "ReferenceList", "the paths it is about"),
            row("Persistent", Bool, "0", "Persistent", "1 keeps it across restarts"),
            row("TimeToLive", Number(0, ANY), "0", "TimeToLive", "seconds it lives; 0 for ever"),
            row("NotifRetry", Bool, "0", "NotifRetry", "1 repeats a notification until it is answered"),
            row("NotifExpiration", Number(0, ANY), "0", "NotifExpiration", "seconds it is repeated; 0 for ever"),
            row("CreationDate", DateTime, "", "CreationDate", "set by the agent"),
            row("TriggerAction", Word(&["Notify", "Config", "NotifyAndConfig"]), "Notify", "TriggerAction", "what happens"),
            row("TriggerConfigSettings", Text, "", "TriggerConfigSettings", "Path=Value,... that is set then"),
        ],
    },
    Kind {
        name: "threshold",
        object: "Device.LocalAgent.Threshold.{i}.",
        doc: "a number that a controller is told of when it passes a limit",
        options: &[
            required(row("controller", Section("controller"), "", "Controller", "who is told")),
            row("Enable", Bool, "0", "Enable", "1 looks at it"),
            ALIAS,
            row("OperatingMode", Word(&["Normal", "Single"]), "Normal", "OperatingMode", "Single switches it off once it has told"),
            row("ReferencePath", Text, "", "ReferencePath", "the object, or a search for some"),
            row("ThresholdParam", Text, "", "ThresholdParam", "the parameter in it"),
            row("ThresholdOperator", Word(&["Rise", "Fall", "Cross", "Eq", "NotEq"]), "Rise", "ThresholdOperator", "which way over the limit counts"),
            row("ThresholdValue", Text, "", "ThresholdValue", "the limit, a whole number"),
        ],
    },
    Kind {
        name: "role",
        object: "Device.LocalAgent.ControllerTrust.Role.{i}.",
        doc: "a named set of permissions; `full`, `readonly` and `untrusted` are there without a section",
        options: &[ENABLE, ALIAS, row("Name", Text, "", "Name", "left out: the section's name")],
    },
    Kind {
        name: "permission",
        object: "Device.LocalAgent.ControllerTrust.Role.{i}.Permission.{i}.",
        doc: "what a role may do with some paths",
        options: &[
            required(row("role", Section("role"), "", "", "the role")),
            ENABLE,
            ALIAS,
            row("Order", Number(0, ANY), "0", "Order", "the highest that matches a path decides"),
            list("Targets", Text, "Targets", "the paths: objects with all below, rows, search paths"),
            row("Param", Text, "----", "Param", RIGHTS),
            row("Obj", Text, "----", "Obj", RIGHTS),
            row("InstantiatedObj", Text, "----", "InstantiatedObj", RIGHTS),
            row("CommandEvent", Text, "----", "CommandEvent", RIGHTS),
        ],
    },
    Kind {
        name: "certificate",
        object: "Device.LocalAgent.Certificate.{i}.",
        doc: "a certificate of an authority, a broker or a controller",
        options: &[
            required(row("certificate", Certificate, "", "", "the certificate in PEM form, or its base64 alone")),
            ENABLE,
            ALIAS,
        ],
    },
    Kind {
        name: "credential",
        object: "Device.LocalAgent.ControllerTrust.Credential.{i}.",
        doc: "an authority or a broker that is trusted, beside those in ca_file",
        options: &[
            required(row("certificate", Section("certificate"), "", "Credential", "its certificate")),
            ENABLE,
            ALIAS,
            list("role", Section("role"), "Role", "roles that controllers inherit from it"),
            row("AllowedUses", Word(&["MTP-only", "MTP-and-USP", "MTP-and-broker"]), "MTP-only", "AllowedUses", "whom it vouches for: connections; controllers too, unknown ones as well; a broker and all that comes through it"),
        ],
    },
    Kind {
        name: "challenge",
        object: "Device.LocalAgent.ControllerTrust.Challenge.{i}.",
        doc: "a secret that gives a controller a role",
        options: &[
            ENABLE,
            ALIAS,
            row("Description", Text, "", "Description", "what it is for"),
            list("role", Section("role"), "Role", "the roles it gives"),
            row("Type", Word(&["Passphrase"]), "Passphrase", "Type", "the only one"),
            required(row("Value", SecretBase64, "", "Value", "the secret, in base64")),
            row("ValueType", Word(&["text/plain", "image/jpeg"]), "text/plain", "ValueType", "what it is"),
            row("Instruction", Base64, "", "Instruction", "what a person is told, in base64"),
            row("InstructionType", Word(&["text/plain", "image/jpeg", "text/html"]), "text/plain", "InstructionType", "what that is"),
            row("Retries", Number(0, ANY), "3", "Retries", "failures in a row, of all controllers, until it is locked; 0 counts as 1"),
            row("LockoutPeriod", Number(0, i32::MAX as u32), "30", "LockoutPeriod", "seconds it stays locked; 0 for not at all"),
        ],
    },
    Kind {
        name: "udpecho",
        object: "Device.IP.Diagnostics.UDPEchoConfig.",
        doc: "a server that sends UDP packets back for tests (TR-143); one section",
        options: &[
            row("Enable", Bool, "0", "Enable", "1 starts it"),
            row("Interface", Text, "", "Interface", "network of /etc/config/network it listens on; left out: all"),
            row("SourceIPAddress", Address, "", "SourceIPAddress", "the only address it answers; without one it does not listen"),
            row("UDPPort", Number(1, 65535), "7", "UDPPort", "where it listens"),
            row("EchoPlusEnabled", Bool, "0", "EchoPlusEnabled", "1 fills in the fields of UDPEchoPlus"),
        ],
    },
    Kind {
        name: "mount",
        object: "",
        doc: "a root object of the data model that a plugin of prplOS (Ambiorix) answers for instead of the mapping",
        options: &[
            required(row("object", Text, "", "", "its name below `Device.` and on ubus, like `WiFi`; not LocalAgent, MQTT, STOMP, UnixDomainSockets, which the agent keeps itself")),
        ],
    },
    Kind {
        name: "boot_parameter",
        object: "Device.LocalAgent.Controller.{i}.BootParameter.{i}.",
        doc: "a parameter that a controller gets with Boot!",
        options: &[
            required(row("controller", Section("controller"), "", "", "the controller")),
            ENABLE,
            ALIAS,
            required(row("ParameterName", Text, "", "ParameterName", "path of the parameter; wildcards allowed")),
        ],
    },
];

/// The section type called `name`.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

impl Kind {
    /// The option called `name`.
    pub fn option(&self, name: &str) -> Option<&'static Row> {
        self.options.iter().find(|row| row.name == name)
    }
}
