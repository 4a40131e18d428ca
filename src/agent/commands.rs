//! The commands the agent performs itself: `NAME() = agent WORD` in the mapping.

use super::channels::enabled;
use super::handlers::operate::{Call, Reply};
use super::lifecycle::{Boot, Cause};
use super::{Action, Agent};
use super::{certificates, challenges, firmware, vendor_config};
use crate::backend::ubus::message::status;
use crate::backend::{Backend, CallError, Table};
use crate::model::Everything;
use crate::usp::fault::{Code, Fault};

/// Performs the command that the mapping calls `word`.
pub(super) async fn run<B: Backend>(agent: &mut Agent<B>, call: &Call<'_>, word: &str) -> Result<Reply, Fault> {
    match word {
        "reboot" if call.asker.is_owner() => reboot(agent, call, "LocalReboot"),
        "reboot" => reboot(agent, call, "RemoteReboot"),
        "factory_reset" if call.asker.is_owner() => reboot(agent, call, "LocalFactoryReset"),
        "factory_reset" => reboot(agent, call, "RemoteFactoryReset"),
        "schedule_timer" => schedule_timer(agent, call),
        "cancel" => cancel(agent, call),
        "add_certificate" => certificates::add(agent, call).await,
        "delete_certificate" => certificates::delete(agent, call).await,
        "get_fingerprint" => certificates::fingerprint(agent, call),
        "request_challenge" => challenges::request(agent, call).await,
        "challenge_response" => challenges::respond(agent, call).await,
        "send_on_board_request" => send_on_board_request(agent, call).await,
        "force_reconnect" => force_reconnect(agent, call),
        "firmware_download" => firmware::download(agent, call),
        "config_backup" => vendor_config::backup(agent, call),
        "config_restore" => vendor_config::restore(agent, call),
        "firmware_activate" => firmware::activate(agent, call),
        "ca_file" => authorities("CAFile", call.row()),
        "ca_dir" => authorities("CADir", call.row().and_then(|file| file.rsplit_once('/')).map(|(folder, _)| folder)),
        "restart_interface" => restart_interface(agent, call).await,
        "restart_wifi" => restart(agent, "network.wireless").await.map(|()| Reply::Output(Vec::new())),
        _ => Err(Fault::new(Code::InternalError, format!("the agent has no command {word}"))),
    }
}

/// Reboot() and FactoryReset(): the answer goes out first; Boot! tells the cause afterwards.
fn reboot<B: Backend>(agent: &mut Agent<B>, call: &Call<'_>, usual: &'static str) -> Result<Reply, Fault> {
    let boot = Boot {
        cause: call.argument("Cause").and_then(Cause::parse).or_else(|| Cause::parse(usual)).unwrap_or_default(),
        reason: call.argument("Reason").unwrap_or_default().into(),
        command_key: call.command_key.into(),
    };
    log::info!("controller={} command={} cause={}", call.asker.controller, call.invocation.path, boot.cause.name());
    agent.after.reboot = Some(boot);
    Ok(Reply::Output(Vec::new()))
}

/// ScheduleTimer(): OperationComplete after DelaySeconds, over a reboot too.
fn schedule_timer<B: Backend>(agent: &mut Agent<B>, call: &Call<'_>) -> Result<Reply, Fault> {
    let seconds: u32 = call
        .argument("DelaySeconds")
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Fault::new(Code::InvalidCommandArguments, "DelaySeconds is not a number of seconds"))?;
    let request = call.start(agent)?;
    agent.schedule(request, u64::from(seconds) * 1000);
    Ok(Reply::Started(agent.request_path(request)))
}

/// Cancel() of a Request.
fn cancel<B: Backend>(agent: &mut Agent<B>, call: &Call<'_>) -> Result<Reply, Fault> {
    let request = call.row().and_then(|key| key.parse().ok());
    let request = request.ok_or_else(|| Fault::new(Code::CommandFailure, "there is no such request"))?;
    agent.cancel_request(request)?;
    Ok(Reply::Output(Vec::new()))
}

/// SendOnBoardRequest(): OnBoardingComplete becomes false, and the request goes out.
async fn send_on_board_request<B: Backend>(agent: &mut Agent<B>, call: &Call<'_>) -> Result<Reply, Fault> {
    let section = call.row().unwrap_or_default();
    let settings = agent.settings.clone();
    let sections = [section.into()];
    let Some(controller) = enabled(&settings, &sections).next().cloned() else {
        return Err(Fault::new(Code::CommandFailure, "the controller is not enabled"));
    };
    let mut transaction = agent.model.begin();
    // A model without the parameter still sends the request.
    if transaction.set(&Everything, &call.invocation.object, "OnBoardingComplete", "false").await.is_ok() {
        let committed = transaction.commit().await?;
        agent.after.committed(committed);
    } else {
        drop(transaction);
    }
    agent.on_board(&controller).await;
    Ok(Reply::Output(Vec::new()))
}

/// CAFile() and CADir(): where authorities' certificates are, as RFC 8089 writes it. A bundle's key is its file.
fn authorities(name: &'static str, path: Option<&str>) -> Result<Reply, Fault> {
    let path = path.ok_or_else(|| Fault::new(Code::CommandFailure, "there is no such bundle"))?;
    Ok(Reply::Output(vec![(name.into(), format!("file://{path}"))]))
}

/// ForceReconnect() of an MQTT client.
fn force_reconnect<B: Backend>(agent: &mut Agent<B>, call: &Call<'_>) -> Result<Reply, Fault> {
    let client = call.row().ok_or_else(|| Fault::new(Code::CommandFailure, "there is no such client"))?;
    agent.after.actions.push(Action::Reconnect(client.into()));
    Ok(Reply::Output(Vec::new()))
}

/// Reset() of an interface of netifd; of one that is not enabled it does nothing.
async fn restart_interface<B: Backend>(agent: &Agent<B>, call: &Call<'_>) -> Result<Reply, Fault> {
    let enable = format!("{}Enable", call.invocation.object.path);
    let reading = agent.model.get(&Everything, &[&enable], 0).await;
    let objects = reading.results.into_iter().next().and_then(Result::ok).unwrap_or_default();
    let is_disabled = objects.iter().flat_map(|object| &object.params).any(|(_, value)| value == "false");
    if !is_disabled {
        restart(agent, &format!("network.interface.{}", call.row().unwrap_or_default())).await?;
    }
    Ok(Reply::Output(Vec::new()))
}

/// Restarts what an object of netifd stands for. Before the middle of 2026 it had no method for that; Wi-Fi has none.
async fn restart<B: Backend>(agent: &Agent<B>, object: &str) -> Result<(), Fault> {
    let (backend, none) = (agent.model.backend(), Table::default());
    let mut called = backend.call(object, "restart", &none).await;
    if called == Err(CallError::Status(status::METHOD_NOT_FOUND)) {
        // Up again whatever became of the first: nobody is left down.
        let down = backend.call(object, "down", &none).await;
        called = backend.call(object, "up", &none).await.and(down);
    }
    called.map(drop).map_err(|why| Fault::new(Code::CommandFailure, format!("{object} cannot be restarted: {why}")))
}
