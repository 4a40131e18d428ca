//! Download(): the file comes, is looked at, and waits to be activated.

use super::super::handlers::operate::{Call, Reply};
use super::super::requests::{Operation, Outcome};
use super::super::transfers::Transfer;
use super::super::{Action, Agent};
use super::{Download, Slot, Staged, Status, failure};
use crate::backend::Backend;
use crate::usp::fault::Fault;

/// Characters of Name.
const MAX_NAME: usize = 64;

/// Begins a download.
pub(in super::super) fn download<B: Backend>(agent: &mut Agent<B>, call: &Call<'_>) -> Result<Reply, Fault> {
    let target = call.row().and_then(Slot::parse).ok_or_else(|| failure("there is no such image"))?;
    let activates = matches!(call.argument("AutoActivate"), Some("true" | "1"));
    agent.firmware.must_be_idle()?;
    if target == agent.firmware.active && !activates {
        return Err(failure("the running image is replaced with AutoActivate only; use the other FirmwareImage"));
    }
    let transfer = Transfer::begin(agent, call, "Download")?;
    let request = transfer.request;
    agent.firmware.staged = Staged { target, status: Status::Downloading, ..Staged::default() };
    agent.firmware.download = Some(Download { transfer, activates, validating: false });
    agent.firmware_changed();
    agent.after.actions.push(Action::Spawn(Operation {
        request,
        name: "firmware_download".into(),
        path: call.invocation.path.clone(),
        input: call.invocation.input.clone(),
    }));
    Ok(Reply::Started(agent.request_path(request)))
}

impl<B: Backend> Agent<B> {
    /// An operation has ended: one of the firmware's, the transfer of a package, or a command's own.
    pub(in super::super) async fn operation_done(&mut self, request: u32, outcome: Outcome) {
        if self.firmware.download.as_ref().is_some_and(|download| download.transfer.request == request) {
            return self.download_step(outcome).await;
        }
        if let Some(copy) = self.copies.remove(&request) {
            return self.copied(copy, outcome).await;
        }
        match self.firmware.activation.as_ref().filter(|activation| activation.request == request) {
            Some(_) => self.not_flashed(outcome),
            None => self.after.finished.push((request, outcome)),
        }
    }

    async fn download_step(&mut self, outcome: Outcome) {
        let Some(mut download) = self.firmware.download.take() else { return };
        let staged = &mut self.firmware.staged;
        match outcome {
            Ok(_) if !download.validating => {
                download.validating = true;
                staged.status = Status::Validating;
                let Transfer { request, origin, algorithm, checksum, .. } = &download.transfer;
                self.after.actions.push(Action::Spawn(Operation {
                    request: *request,
                    name: "firmware_validate".into(),
                    path: format!("{}{}", origin.object, origin.command),
                    input: vec![("CheckSumAlgorithm".into(), algorithm.clone()), ("CheckSum".into(), checksum.clone())],
                }));
                self.firmware.download = Some(download);
            }
            Ok(output) => {
                staged.status = Status::Available;
                staged.name = file_name(&download.transfer.url);
                staged.version =
                    output.into_iter().find(|(name, _)| name == "Version").map(|(_, v)| v).unwrap_or_default();
                log::info!("firmware=available name={} version={}", staged.name, staged.version);
                self.downloaded(download, Ok(())).await;
            }
            Err(fault) => {
                staged.status = if download.validating { Status::ValidationFailed } else { Status::DownloadFailed };
                log::warn!("firmware={} cause=\"{}\"", staged.status.name(), fault.text);
                self.downloaded(download, Err(fault)).await;
            }
        }
        self.firmware_changed();
    }

    /// Tells how a download ended, and activates what was asked to.
    async fn downloaded(&mut self, download: Download, outcome: Result<(), Fault>) {
        self.transfer_complete(&download.transfer, outcome.as_ref().err()).await;
        if download.activates && outcome.is_ok() {
            self.activate_soon(download.transfer.origin);
        }
        self.after.finished.push((download.transfer.request, outcome.map(|()| Vec::new())));
    }
}

/// The file's name in a URL.
fn file_name(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default().chars().take(MAX_NAME).collect()
}
