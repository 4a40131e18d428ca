//! Certificates, and who is trusted with nothing.

use crate::backend::Value;
use crate::certificate;
use crate::model::eval::Scope;

/// The role of a controller that has none and inherits none.
pub(super) fn untrusted(scope: &Scope<'_>) -> Option<Value> {
    let inherited = scope.eval.facts.get("controller", scope.key(), "InheritedRole");
    scope.eval.docs.note_facts("controller");
    if inherited.is_some_and(|roles| !roles.is_empty()) {
        return None;
    }
    let agent = scope.uci("usp-agent")?.of_kind("localagent").next();
    Some(Value::from(agent.and_then(|agent| agent.text("UntrustedRole")).unwrap_or("untrusted")))
}

/// SerialNumber of a certificate, in hexadecimal digits.
pub(super) fn serial(_: &Scope<'_>, text: &str) -> Option<String> {
    Some(certificate::serial_and_issuer(&certificate::from_text(text)?)?.0)
}

/// Issuer of a certificate.
pub(super) fn issuer(_: &Scope<'_>, text: &str) -> Option<String> {
    Some(certificate::serial_and_issuer(&certificate::from_text(text)?)?.1)
}
