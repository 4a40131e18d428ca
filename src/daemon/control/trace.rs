//! Records as a person reads them, while somebody asks for them. Secrets are masked by the names they go by and by what
//! the standard calls secured.

use super::Daemon;
use crate::agent::{ChannelId, Input, Outgoing};
use crate::backend::Table;
use crate::backend::uci::name::is_secret;
use crate::model::schema::Schema;
use crate::usp::message::{self, Incoming};
use crate::usp::record::{self, Content};
use crate::usp::wire::msg::notify::Notification;
use crate::usp::wire::msg::notify::operation_complete::OperationResp as Completed;
use crate::usp::wire::msg::operate_resp::operation_result::OperationResp;
use crate::usp::wire::msg::request::ReqType;
use crate::usp::wire::msg::response::RespType;
use crate::usp::wire::msg::{Error, Notify};
use bytes::Bytes;

/// Bytes of text for one record at most; what is beyond is left out, and said to be.
const MAX_TEXT: usize = 16 * 1024;
/// What stands for a secret.
const MASK: &str = "(secret)";

impl Daemon {
    /// A record came in, for the agent to look at.
    pub(in crate::daemon) fn trace_received(&self, input: &Input) {
        if let (Input::Record { channel, bytes, .. }, true) = (input, self.control.is_traced()) {
            self.trace("in", *channel, bytes);
        }
    }

    /// A record is about to be sent.
    pub(in crate::daemon) fn trace_sent(&self, outgoing: &Outgoing) {
        if self.control.is_traced() {
            self.trace("out", outgoing.channel, &outgoing.record);
        }
    }

    fn trace(&self, direction: &str, channel: ChannelId, bytes: &Bytes) {
        let mut text = Text { schema: self.agent.model().schema(), text: String::new(), cut: 0 };
        let peer = text.record(bytes, direction == "in");
        let table = Table::default().with("direction", direction).with("controller", &*peer);
        let table = table.with("link", i32::try_from(channel.0).unwrap_or(i32::MAX)).with("text", &*text.finish());
        self.control.tell("trace", table);
    }
}

/// The text of one record, line by line.
struct Text<'a> {
    schema: &'a Schema,
    text: String,
    /// Lines left out.
    cut: usize,
}

impl Text<'_> {
    /// Writes a record; the endpoint at the other side.
    fn record(&mut self, bytes: &Bytes, received: bool) -> String {
        let record = match record::decode(bytes.clone()) {
            Ok(record) => record,
            Err(fault) => {
                self.line(&format!("no record: {}", fault.fault()));
                return String::new();
            }
        };
        let peer = if received { record.from } else { record.to };
        match record.content {
            Content::Message(message) => self.message(message, received),
            Content::Connect(_) => self.line("Connect record"),
            Content::Disconnect { code, reason } => self.line(&format!("Disconnect record: {reason} ({code})")),
            Content::SessionContext { session_id } => self.line(&format!("record of session context {session_id}")),
        }
        peer.as_str().to_owned()
    }

    /// What an agent may refuse for its size is not decoded here either.
    fn message(&mut self, bytes: Bytes, received: bool) {
        let decoded = if received { message::decode(bytes) } else { message::decode_at_controller(bytes) };
        match decoded {
            Ok(Incoming::Request { msg_id, request }) => self.request(&msg_id, &request),
            Ok(Incoming::Response { msg_id, response }) => self.response(&msg_id, &response),
            Ok(Incoming::Error { msg_id, error }) => self.error(&msg_id, &error),
            Err(fault) => self.line(&format!("no message: {}", fault.fault)),
        }
    }

    fn request(&mut self, id: &str, request: &ReqType) {
        match request {
            ReqType::Get(get) => self.list("Get", id, get.param_paths.iter()),
            ReqType::GetSupportedDm(get) => self.list("GetSupportedDM", id, get.obj_paths.iter()),
            ReqType::GetInstances(get) => self.list("GetInstances", id, get.obj_paths.iter()),
            ReqType::Delete(delete) => self.list("Delete", id, delete.obj_paths.iter()),
            ReqType::GetSupportedProtocol(_) => self.head("GetSupportedProtocol", id),
            ReqType::Set(set) => {
                self.head("Set", id);
                for object in &set.update_objs {
                    let settings = object.param_settings.iter().map(|s| (&s.param, &s.value));
                    settings.for_each(|(name, value)| self.value(&object.obj_path, name, value));
                }
            }
            ReqType::Add(add) => {
                self.head("Add", id);
                for object in &add.create_objs {
                    self.path(&object.obj_path);
                    object.param_settings.iter().for_each(|s| self.value(&object.obj_path, &s.param, &s.value));
                }
            }
            ReqType::Operate(operate) => {
                self.head("Operate", id);
                self.path(&operate.command);
                let told = !operate.command.ends_with("ChallengeResponse()");
                operate.input_args.iter().for_each(|(name, value)| {
                    self.value("", name, if told { value } else { MASK });
                });
            }
            ReqType::Notify(notify) => self.notify(id, notify),
            ReqType::Register(_) => self.head("Register", id),
            ReqType::Deregister(_) => self.head("Deregister", id),
        }
    }

    fn notify(&mut self, id: &str, notify: &Notify) {
        let head = |kind: &str| format!("Notify {kind} subscription={}", notify.subscription_id);
        match &notify.notification {
            Some(Notification::ValueChange(change)) => {
                self.head(&head("ValueChange"), id);
                self.value("", &change.param_path, &change.param_value);
            }
            Some(Notification::ObjCreation(creation)) => {
                self.list(&head("ObjectCreation"), id, [&creation.obj_path].into_iter());
                creation.unique_keys.iter().for_each(|(name, value)| self.value("", name, value));
            }
            Some(Notification::ObjDeletion(deletion)) => {
                self.list(&head("ObjectDeletion"), id, [&deletion.obj_path].into_iter());
            }
            Some(Notification::Event(event)) => {
                self.head(&head("Event"), id);
                self.path(&format!("{}{}", event.obj_path, event.event_name));
                event.params.iter().for_each(|(name, value)| self.value("", name, value));
            }
            Some(Notification::OperComplete(complete)) => {
                self.head(&head("OperationComplete"), id);
                self.path(&format!("{}{}", complete.obj_path, complete.command_name));
                match &complete.operation_resp {
                    Some(Completed::ReqOutputArgs(output)) => {
                        output.output_args.iter().for_each(|(name, value)| self.value("", name, value));
                    }
                    Some(Completed::CmdFailure(failure)) => self.failed("", failure.err_code, &failure.err_msg),
                    None => {}
                }
            }
            Some(Notification::OnBoardReq(request)) => {
                self.head(&head("OnBoardRequest"), id);
                self.value("", "SerialNumber", &request.serial_number);
            }
            None => self.head(&head("nothing"), id),
        }
    }

    fn response(&mut self, id: &str, response: &RespType) {
        match response {
            RespType::GetResp(response) => {
                self.head("GetResp", id);
                for result in &response.req_path_results {
                    if result.err_code != 0 {
                        self.failed(&result.requested_path, result.err_code, &result.err_msg);
                    }
                    for object in &result.resolved_path_results {
                        object.result_params.iter().for_each(|(name, v)| self.value(&object.resolved_path, name, v));
                    }
                }
            }
            RespType::OperateResp(response) => {
                self.head("OperateResp", id);
                for result in &response.operation_results {
                    self.path(&result.executed_command);
                    match &result.operation_resp {
                        Some(OperationResp::ReqObjPath(path)) => self.path(path),
                        Some(OperationResp::ReqOutputArgs(output)) => {
                            output.output_args.iter().for_each(|(name, value)| self.value("", name, value));
                        }
                        Some(OperationResp::CmdFailure(failure)) => self.failed("", failure.err_code, &failure.err_msg),
                        None => {}
                    }
                }
            }
            RespType::SetResp(r) => self.list("SetResp", id, r.updated_obj_results.iter().map(|r| &r.requested_path)),
            RespType::AddResp(r) => self.list("AddResp", id, r.created_obj_results.iter().map(|r| &r.requested_path)),
            RespType::DeleteResp(r) => {
                self.list("DeleteResp", id, r.deleted_obj_results.iter().map(|r| &r.requested_path));
            }
            RespType::GetInstancesResp(r) => {
                let rows = r.req_path_results.iter().flat_map(|result| &result.curr_insts);
                self.list("GetInstancesResp", id, rows.map(|row| &row.instantiated_obj_path));
            }
            RespType::GetSupportedDmResp(r) => {
                let objects = r.req_obj_results.iter().flat_map(|result| &result.supported_objs);
                self.list("GetSupportedDMResp", id, objects.map(|object| &object.supported_obj_path));
            }
            RespType::NotifyResp(r) => self.list("NotifyResp", id, [&r.subscription_id].into_iter()),
            RespType::GetSupportedProtocolResp(_) => self.head("GetSupportedProtocolResp", id),
            RespType::RegisterResp(_) => self.head("RegisterResp", id),
            RespType::DeregisterResp(_) => self.head("DeregisterResp", id),
        }
    }

    fn error(&mut self, id: &str, error: &Error) {
        self.head("Error", id);
        self.failed("", error.err_code, &error.err_msg);
        error.param_errs.iter().for_each(|e| self.failed(&e.param_path, e.err_code, &e.err_msg));
    }

    fn head(&mut self, kind: &str, id: &str) {
        self.line(&format!("{kind} msg_id={id}"));
    }

    fn list<'t>(&mut self, kind: &str, id: &str, paths: impl Iterator<Item = &'t String>) {
        self.head(kind, id);
        paths.for_each(|path| self.path(path));
    }

    /// What a search compares with may be a guess at a secret.
    fn path(&mut self, path: &str) {
        let path = self.masked(path);
        self.line(&format!("  {path}"));
    }

    fn value(&mut self, object: &str, name: &str, value: &str) {
        let leaf = name.rsplit('.').next().unwrap_or(name);
        let shown = if self.is_secret(leaf) && !value.is_empty() { MASK } else { value };
        let (object, name) = (self.masked(object), self.masked(name));
        self.line(&format!("  {object}{name} = {shown}"));
    }

    fn failed(&mut self, path: &str, code: u32, text: &str) {
        let path = self.masked(path);
        self.line(&format!("  {path} failed: {text} ({code})"));
    }

    fn masked(&self, path: &str) -> String {
        let words = || path.split(|c: char| !c.is_ascii_alphanumeric());
        match (path.find('['), path.rfind(']')) {
            (Some(from), Some(to)) if words().any(|word| self.is_secret(word)) => {
                let ends = (path.get(..=from), path.get(to..));
                format!("{}{MASK}{}", ends.0.unwrap_or_default(), ends.1.unwrap_or_default())
            }
            _ => path.to_owned(),
        }
    }

    fn is_secret(&self, name: &str) -> bool {
        let params = || self.schema.objects.iter().flat_map(|object| &object.params);
        is_secret(name) || params().any(|param| param.secured && param.name == name)
    }

    fn line(&mut self, line: &str) {
        if self.text.len() + line.len() > MAX_TEXT {
            self.cut += 1;
            return;
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn finish(mut self) -> String {
        if self.cut > 0 {
            self.text.push_str(&format!("  ({} more lines)\n", self.cut));
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usp::endpoint_id::EndpointId;
    use crate::usp::wire::msg::set::{UpdateObject, UpdateParamSetting};
    use crate::usp::wire::msg::{Get, Operate, Set};
    use std::collections::BTreeMap;

    fn traced(request: ReqType) -> String {
        let (from, to) = (EndpointId::parse("self::acs").unwrap(), EndpointId::parse("self::agent").unwrap());
        let bytes = record::no_session_context(&from, &to, message::request("id-1", request));
        let schema = crate::model::dropin::load(&[], std::path::Path::new("/"), &|_| true).0;
        let mut text = Text { schema: &schema, text: String::new(), cut: 0 };
        assert_eq!(text.record(&bytes, true), "self::acs");
        text.finish()
    }

    fn set(obj_path: &str, settings: &[(&str, &str)]) -> ReqType {
        let setting = |(param, value): &(&str, &str)| UpdateParamSetting {
            param: (*param).to_owned(),
            value: (*value).to_owned(),
            required: true,
        };
        let param_settings = settings.iter().map(setting).collect();
        let update_objs = vec![UpdateObject { obj_path: obj_path.to_owned(), param_settings }];
        ReqType::Set(Set { allow_partial: false, update_objs })
    }

    #[test]
    fn a_set_reads_as_it_is_and_its_secrets_do_not() {
        let text = traced(set(
            "Device.X.1.",
            &[("Name", "a"), ("KeyPassphrase", "hunter22"), ("Security.PreSharedKey", "hunter22")],
        ));
        let expected = "Set msg_id=id-1\n  Device.X.1.Name = a\n  Device.X.1.KeyPassphrase = (secret)\n  Device.X.1.Security.PreSharedKey = (secret)\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_a_person_types_to_prove_himself_is_a_secret_and_so_is_a_guess() {
        let input_args = BTreeMap::from([("Value".to_owned(), "hunter22".to_owned())]);
        let command = "Device.LocalAgent.ChallengeResponse()".to_owned();
        let operate = Operate { command, command_key: String::new(), send_resp: true, input_args };
        assert!(!traced(ReqType::Operate(operate)).contains("hunter22"));
        let path = "Device.Users.User.[Password==\"hunter22\"].Username".to_owned();
        let text = traced(ReqType::Get(Get { param_paths: vec![path], max_depth: 0 }));
        assert_eq!(text, "Get msg_id=id-1\n  Device.Users.User.[(secret)].Username\n");
    }

    #[test]
    fn a_long_record_is_cut() {
        let long = "x".repeat(1000);
        let settings: Vec<(&str, &str)> = (0..100).map(|_| ("Name", &*long)).collect();
        let text = traced(set("Device.", &settings));
        assert!(text.len() < MAX_TEXT + 100 && text.ends_with("more lines)\n"), "{}", text.len());
    }
}
