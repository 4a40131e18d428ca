//! What a plugin says of a failure, in the words of USP.

use crate::backend::CallError;
use crate::backend::amx::{Error, code};
use crate::usp::fault::{Code, Fault};

/// The code of an `amxd_status`; `otherwise` where USP has none that says more.
pub(super) fn code_of(status: u32, otherwise: Code) -> Code {
    match status {
        code::OBJECT_NOT_FOUND => Code::ObjectDoesNotExist,
        code::PARAMETER_NOT_FOUND => Code::UnsupportedParameter,
        code::INVALID_VALUE | code::MISSING_KEY | code::INVALID_NAME => Code::InvalidValue,
        code::INVALID_TYPE => Code::InvalidType,
        code::DUPLICATE => Code::UniqueKeyExists,
        code::READ_ONLY => Code::ParameterReadOnly,
        code::INVALID_FUNCTION_ARGUMENT | code::INVALID_ARGUMENT if otherwise == Code::CommandFailure => {
            Code::InvalidCommandArguments
        }
        code::INVALID_ARGUMENT => Code::InvalidArguments,
        code::OUT_OF_MEMORY => Code::ResourcesExceeded,
        code::INVALID_PATH => Code::InvalidPath,
        code::INVALID_EXPRESSION => Code::InvalidPathSyntax,
        code::PERMISSION_DENIED => Code::PermissionDenied,
        _ => otherwise,
    }
}

/// The fault of a call for `what`.
pub(super) fn fault(what: &str, why: &Error, otherwise: Code) -> Fault {
    match why {
        Error::Refused(status, _) => refused(what, *status, otherwise),
        Error::Malformed => Fault::new(otherwise, format!("{what}: the plugin's answer cannot be read")),
        Error::Call(CallError::NotFound | CallError::Disconnected) => {
            Fault::new(otherwise, format!("{what}: its plugin is not on the bus"))
        }
        Error::Call(CallError::Timeout) => Fault::new(otherwise, format!("{what}: its plugin did not answer in time")),
        Error::Call(CallError::TooLarge) => Fault::new(Code::ResourcesExceeded, format!("{what} is too large")),
        Error::Call(CallError::Status(status)) => {
            Fault::new(otherwise, format!("{what}: its plugin answered with status {status}"))
        }
    }
}

/// The fault of what a plugin refused with this `amxd_status`.
pub(super) fn refused(what: &str, status: u32, otherwise: Code) -> Fault {
    Fault::new(code_of(status, otherwise), format!("{what}: its plugin refused with {status}"))
}
