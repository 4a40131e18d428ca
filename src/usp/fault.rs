//! The error codes of USP (TR-369, "Error Codes") and the one type that carries them.

use std::borrow::Cow;
use std::fmt;

/// A USP error code with the text that goes beside it on the wire.
///
/// The text is for people: it names what was wrong and never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The code of TR-369, e.g. 7012.
    pub code: Code,
    /// What was wrong, in a short sentence without a final stop.
    pub text: Cow<'static, str>,
}

impl Fault {
    /// A fault with a text of its own.
    pub fn new(code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, text: text.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.code as u32)
    }
}

impl std::error::Error for Fault {}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// Every error code of TR-369 that an agent can send.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Code { $($(#[$doc])* $name = $number,)* }

        impl Code {
            /// The code for a number of the standard.
            pub fn from_number(number: u32) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }
        }
    };
}

codes! {
    /// Message failed.
    MessageFailed = 7000,
    /// Message not supported.
    MessageNotSupported = 7001,
    /// Request denied (no reason specified).
    RequestDenied = 7002,
    /// Internal error.
    InternalError = 7003,
    /// Invalid arguments.
    InvalidArguments = 7004,
    /// Resources exceeded.
    ResourcesExceeded = 7005,
    /// Permission denied.
    PermissionDenied = 7006,
    /// Invalid configuration.
    InvalidConfiguration = 7007,
    /// Invalid path syntax.
    InvalidPathSyntax = 7008,
    /// Parameter action failed.
    ParameterActionFailed = 7009,
    /// Unsupported parameter.
    UnsupportedParameter = 7010,
    /// Invalid type.
    InvalidType = 7011,
    /// Invalid value.
    InvalidValue = 7012,
    /// Attempt to update a non-writable parameter.
    ParameterReadOnly = 7013,
    /// Value conflict.
    ValueConflict = 7014,
    /// Operation error.
    OperationError = 7015,
    /// Object does not exist.
    ObjectDoesNotExist = 7016,
    /// Object could not be created.
    ObjectNotCreated = 7017,
    /// Object is not a table.
    NotATable = 7018,
    /// Attempt to create a non-creatable object.
    ObjectNotCreatable = 7019,
    /// Object could not be updated.
    ObjectNotUpdated = 7020,
    /// Required parameter failed.
    RequiredParameterFailed = 7021,
    /// Command failure.
    CommandFailure = 7022,
    /// Command canceled.
    CommandCanceled = 7023,
    /// Delete failure.
    ObjectNotDeleted = 7024,
    /// Unique keys exist already.
    UniqueKeyExists = 7025,
    /// Invalid path: not in the supported (or, for Get, instantiated) data model.
    InvalidPath = 7026,
    /// Invalid command arguments.
    InvalidCommandArguments = 7027,
    /// Register failure.
    RegisterFailure = 7028,
    /// Already in use (Register).
    AlreadyInUse = 7029,
    /// Deregister failure.
    DeregisterFailure = 7030,
    /// Path already registered (Deregister).
    PathAlreadyRegistered = 7031,
    /// Record could not be parsed.
    RecordNotParsed = 7100,
    /// Secure session required.
    SecureSessionRequired = 7101,
    /// Secure session not supported.
    SecureSessionNotSupported = 7102,
    /// Segmentation and reassembly not supported.
    SegmentationNotSupported = 7103,
    /// Invalid value in a record.
    InvalidRecordValue = 7104,
    /// Session context terminated.
    SessionContextTerminated = 7105,
    /// Session context not allowed.
    SessionContextNotAllowed = 7106,
}
