//! Records as a person reads them, while somebody asks for them. Secrets are masked by the names they go by and by what
//! the standard calls secured.

use super::Daemon;
use crate::agent::{ChannelId, Input, Outgoing};
use crate::backend::Table;
use crate::backend::uci::name::is_secret;
use crate::model::schema::Schema;
use crate::usp::record::{self, Content};
use crate::usp::shown::{Said, Shown};
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
            Content::Message(message) => self.message(&message),
            Content::Connect(_) => self.line("Connect record"),
            Content::Disconnect { code, reason } => self.line(&format!("Disconnect record: {reason} ({code})")),
            Content::SessionContext { session_id } => self.line(&format!("record of session context {session_id}")),
        }
        peer.as_str().to_owned()
    }

    fn message(&mut self, message: &[u8]) {
        let Some(shown) = Shown::of(message) else { return self.line("no message") };
        let head = match shown.notification {
            Some((kind, subscription)) => format!("{} {kind} subscription={subscription}", shown.kind),
            None => shown.kind.to_owned(),
        };
        self.line(&format!("{head} msg_id={}", shown.msg_id));
        // What a person types to prove himself.
        let mut secret = false;
        shown.each(&mut |said| secret |= matches!(said, Said::Path(_, path) if path.ends_with("ChallengeResponse()")));
        shown.each(&mut |said| match said {
            Said::Path(before, after) => self.path(&format!("{before}{after}")),
            Said::Value(object, name, value) => self.value(object, name, if secret { MASK } else { value }),
            Said::Failure(object, leaf, code, text) => self.failed(&format!("{object}{leaf}"), code, text),
        });
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
    use crate::usp::message;
    use crate::usp::wire::msg::request::ReqType;
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
