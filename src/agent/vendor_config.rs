//! Backup() and Restore() of a UCI package, which is what a row of `VendorConfigFile.{i}.` is: a file goes, or comes and
//! takes the package's place.
//!
//! The file has everything of the package, secrets and what no parameter shows. So Backup() is for who may read all there
//! is and secured values, Restore() for who may write all there is; the way is https. What is put in place counts as a
//! change of the controller that asked, and is on trial.

use super::handlers::operate::{Call, Reply};
use super::requests::{Operation, Outcome};
use super::settle::PACKAGE;
use super::transfers::Transfer;
use super::{Action, Agent, Settings};
use crate::backend::Backend;
use crate::backend::uci::name::is_package;
use crate::backend::uci::{Package, parse, text};
use crate::model::Rights;
use crate::usp::fault::{Code, Fault};

/// The operation that brings a package away.
pub const BACKUP: &str = "config_backup";
/// The operation that fetches a file.
pub const RESTORE: &str = "config_restore";
/// The argument of both with the package.
pub const ARGUMENT: &str = "package";

/// What SecuredRoles keeps from a Get, a file must not bring; no role is in it before the owner says so.
const UNSECURED: &str = "the file has passwords and keys: the controller's role must be in SecuredRoles \
    (/etc/config/usp-agent, section localagent: list SecuredRoles 'ROLE')";

/// A transfer of a package.
#[derive(Debug)]
pub(super) struct Copy {
    transfer: Transfer,
    package: Box<str>,
    restores: bool,
}

/// Begins a Backup().
pub(super) fn backup<B: Backend>(agent: &mut Agent<B>, call: &Call<'_>) -> Result<Reply, Fault> {
    let access = &call.asker.access;
    let sees_all = call.asker.is_owner() || crate::model::Permit::secured(&**access);
    if !sees_all {
        return Err(denied(UNSECURED));
    }
    if !access.everywhere(Rights::PARAM_READ) {
        return Err(denied("the file shows everything: it is for a role that may read all of Device."));
    }
    begin(agent, call, BACKUP)
}

/// Begins a Restore(); one at a time, for its file is in memory.
pub(super) fn restore<B: Backend>(agent: &mut Agent<B>, call: &Call<'_>) -> Result<Reply, Fault> {
    let all = Rights::PARAM_WRITE | Rights::OBJECT_ADD | Rights::INSTANCE_DELETE;
    if !call.asker.access.everywhere(all) {
        return Err(denied("the file may say anything: it is for a role that may write, add and delete everything"));
    }
    let target = call.argument("TargetFileName").unwrap_or_default();
    if !target.is_empty() && target.strip_prefix("/etc/config/").or(Some(target)) != call.row() {
        return Err(Fault::new(Code::InvalidCommandArguments, "TargetFileName is another file"));
    }
    if agent.copies.values().any(|copy| copy.restores) {
        return Err(Fault::new(Code::ResourcesExceeded, "another Restore() is under way"));
    }
    begin(agent, call, RESTORE)
}

fn begin<B: Backend>(agent: &mut Agent<B>, call: &Call<'_>, operation: &str) -> Result<Reply, Fault> {
    let package =
        call.row().filter(|file| is_package(file)).ok_or_else(|| failure("this file is no package of UCI"))?;
    let scheme = call.argument("URL").and_then(|url| url.get(..8)).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("https://") && !agent.settings.plain_backup {
        let text = "URL must be https://: the file has passwords and keys (option AllowUnencryptedBackup)";
        return Err(Fault::new(Code::InvalidCommandArguments, text));
    }
    let restores = operation == RESTORE;
    let transfer = Transfer::begin(agent, call, if restores { "Download" } else { "Upload" })?;
    let request = transfer.request;
    agent.keep_transfer(&transfer);
    agent.copies.insert(request, Copy { transfer, package: package.into(), restores });
    let mut input = call.invocation.input.clone();
    input.push((ARGUMENT.into(), package.into()));
    let path = call.invocation.path.clone();
    agent.after.actions.push(Action::Spawn(Operation { request, name: operation.into(), path, input }));
    Ok(Reply::Started(agent.request_path(request)))
}

impl<B: Backend> Agent<B> {
    /// The file is where it was wanted, or not.
    pub(super) async fn copied(&mut self, copy: Copy, outcome: Outcome) {
        let outcome = match outcome {
            Ok(output) if copy.restores => self.put_in_place(&copy, &output).await,
            outcome => outcome.map(drop),
        };
        let (package, command) = (&copy.package, &copy.transfer.origin.command);
        match &outcome {
            Ok(()) => log::info!("package={package} command={command} event=done"),
            Err(fault) => log::warn!("package={package} command={command} event=failed cause=\"{}\"", fault.text),
        }
        self.transfer_complete(&copy.transfer, outcome.as_ref().err()).await;
        self.after.finished.push((copy.transfer.request, outcome.map(|()| Vec::new())));
    }

    async fn put_in_place(&mut self, copy: &Copy, output: &[(String, String)]) -> Result<(), Fault> {
        let mut bytes = Vec::new();
        output.iter().for_each(|(_, file)| text::encode(file, &mut bytes));
        let name = &copy.package;
        let package = parse::import(name, &bytes)
            .map_err(|why| failure(format!("the file is not the package {name} of UCI: {why}")))?;
        // Whatever was sent in its place, an empty file is no backup.
        if package.sections.is_empty() {
            return Err(failure("the file has no sections"));
        }
        let settings = self.settings.clone();
        let asks = |id: &str| *id == *copy.transfer.origin.endpoint_id;
        self.asking = settings.controllers.iter().find(|c| asks(c.endpoint_id.as_str())).map(|c| c.section.clone());
        if **name == *PACKAGE {
            self.leaves_a_controller(&package)?;
        }
        let committed = self.model.replace(package).await?;
        self.after.committed(committed);
        Ok(())
    }

    /// Of a controller that is configured no more nothing is demanded: without any there would be no trial.
    fn leaves_a_controller(&self, package: &Package) -> Result<(), Fault> {
        let (settings, demanded) = (Settings::from_package(&(self.expand)(package)), self.demanded());
        let is_left = |section| settings.controller(section).is_some_and(|controller| controller.enable);
        match demanded.is_empty() || demanded.iter().any(|section| is_left(section)) {
            true => Ok(()),
            false => Err(failure("the file has no controller that is connected now")),
        }
    }
}

fn denied(text: &'static str) -> Fault {
    Fault::new(Code::PermissionDenied, text)
}

fn failure(text: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
    Fault::new(Code::CommandFailure, text)
}
