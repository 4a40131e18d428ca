//! The commands of `Device.LocalAgent.Certificate.{i}.`: certificates are kept in the configuration, each in its section.

use super::Agent;
use super::handlers::operate::{Call, Reply};
use super::introduce::{keep, node};
use crate::backend::Backend;
use crate::backend::uci::OptValue;
use crate::certificate;
use crate::model::{Everything, Node, Transaction};
use crate::usp::fault::{Code, Fault};
use ring::digest;
use std::fmt::Write as _;

/// AddCertificate(), an authority's, a broker's or a controller's; and AddMyCertificate(), by which a controller adds one
/// for itself, and for nobody else.
pub(super) async fn add<B: Backend>(agent: &mut Agent<B>, call: &Call<'_>) -> Result<Reply, Fault> {
    let settings = agent.settings.clone();
    let own = call.row().map(|section| settings.controller(section).filter(|c| c.section == call.asker.controller));
    if own == Some(None) {
        return Err(Fault::new(Code::PermissionDenied, "this is the row of another controller"));
    }
    let der = given(agent, call)?;
    let mut transaction = agent.model.begin();
    let section = stage(agent, &mut transaction, call, &der).await?;
    if let Some(own) = own.flatten() {
        let credentials = OptValue::List(own.credentials.iter().cloned().chain([section]).collect());
        transaction.put(&call.invocation.object, "Credential", Some(credentials)).await?;
    }
    let committed = transaction.commit().await?;
    agent.after.committed(committed);
    Ok(Reply::Output(Vec::new()))
}

/// The certificate of the input, which must not be there yet: serial number and issuer are its key.
fn given<B: Backend>(agent: &Agent<B>, call: &Call<'_>) -> Result<Vec<u8>, Fault> {
    let text = call.argument("Certificate").unwrap_or_default();
    let none = || Fault::new(Code::InvalidValue, "Certificate is no X.509 certificate in PEM form");
    // Its type is text in PEM: bare base64, which the configuration takes, is not.
    let der = certificate::from_text(text).filter(|_| text.contains("-----BEGIN")).ok_or_else(none)?;
    let same = |known: &&super::trust::Certificate| certificate::identity(&known.der) == certificate::identity(&der);
    match agent.settings.trust.certificates.iter().find(same) {
        Some(_) => Err(Fault::new(Code::CommandFailure, "there is a certificate of this SerialNumber and Issuer")),
        None => Ok(der),
    }
}

/// Stages the row, with the Alias where one is given; its section.
async fn stage<B: Backend>(
    agent: &Agent<B>,
    transaction: &mut Transaction<'_, B>,
    call: &Call<'_>,
    der: &[u8],
) -> Result<Box<str>, Fault> {
    let (row, section) = keep(transaction, agent.settings.trust.certificates.len(), der).await?;
    transaction.set(&Everything, &row, "Enable", "true").await?;
    if let Some(alias) = call.argument("Alias").filter(|alias| !alias.is_empty()) {
        transaction.set(&Everything, &row, "Alias", alias).await?;
    }
    transaction.finish(&Everything, &row).await?;
    Ok(section)
}

/// Delete(): the certificate goes, and with it what refers to it.
pub(super) async fn delete<B: Backend>(agent: &mut Agent<B>, call: &Call<'_>) -> Result<Reply, Fault> {
    let settings = agent.settings.clone();
    let section = call.row().unwrap_or_default();
    let mut transaction = agent.model.begin();
    for controller in settings.controllers.iter().filter(|c| c.credentials.iter().any(|name| **name == *section)) {
        if let Some(path) = agent.controller_path(controller.endpoint_id.as_str()).await {
            let row = node(&mut transaction, &path).await?;
            let left: Vec<_> = controller.credentials.iter().filter(|name| ***name != *section).cloned().collect();
            transaction.put(&row, "Credential", (!left.is_empty()).then_some(OptValue::List(left))).await?;
        }
    }
    let reference = call.invocation.object.path.trim_end_matches('.');
    let credentials = format!("Device.LocalAgent.ControllerTrust.Credential.[Credential==\"{reference}\"].");
    let named: Vec<Node> = transaction.objects(&Everything, &credentials).await?;
    for credential in &named {
        transaction.put(credential, "certificate", None).await?;
    }
    transaction.remove(&call.invocation.object).await?;
    let committed = transaction.commit().await?;
    agent.after.committed(committed);
    Ok(Reply::Output(Vec::new()))
}

/// GetFingerprint().
pub(super) fn fingerprint<B: Backend>(agent: &Agent<B>, call: &Call<'_>) -> Result<Reply, Fault> {
    let algorithm = match call.argument("FingerprintAlgorithm") {
        Some("SHA-1") => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        Some("SHA-256") => &digest::SHA256,
        Some("SHA-384") => &digest::SHA384,
        Some("SHA-512") => &digest::SHA512,
        _ => {
            return Err(Fault::new(
                Code::InvalidValue,
                "FingerprintAlgorithm is none of SupportedFingerprintAlgorithms",
            ));
        }
    };
    let certificate = call.row().and_then(|section| agent.settings.trust.certificate(section));
    let certificate = certificate.ok_or_else(|| Fault::new(Code::CommandFailure, "the certificate cannot be read"))?;
    let mut text = String::new();
    for byte in digest::digest(algorithm, &certificate.der).as_ref() {
        let _ = write!(text, "{byte:02X}");
    }
    Ok(Reply::Output(vec![("Fingerprint".to_owned(), text)]))
}
