//! What Oktopus makes of an agent's endpoint id: it takes it apart in topics, and for a user name.

use super::links::{Reach, Transport};

/// The endpoint id Oktopus gives itself.
pub(super) const CONTROLLER_ID: &str = "oktopusController";

/// Topics below this one are for answers.
const ANSWERS: &str = "oktopus/usp/v1/controller/";

/// Why Oktopus would not show this agent, or suffer from it; None where nothing speaks against it.
pub(super) fn remark(own_id: &str, transport: &Transport, reach: &Reach) -> Option<String> {
    if reach.topic.starts_with(ANSWERS) {
        let topic = &reach.topic;
        return Some(format!("Oktopus crashes on notifications at the topic {topic}: leave option Topic out"));
    }
    let (username, password) = match transport {
        Transport::Mqtt(client) => (&*client.username, &client.password),
        Transport::Stomp(_) => ("", &super::links::Secret::default()),
        Transport::WebSocketClient(client) => ("", &client.password),
        Transport::WebSocketServer(_) | Transport::UnixSocket(_) => return None,
    };
    let given = !password.0.is_empty();
    let advice = "give the agent another: option EndpointID of its localagent section";
    if let Some(c) = own_id.chars().find(|c| matches!(c, '.' | '/')) {
        return Some(format!("Oktopus never shows an agent whose endpoint id ({own_id}) holds `{c}`; {advice}"));
    }
    if let Some(word) = ["status", "controller"].iter().find(|word| own_id.contains(**word)) {
        return Some(format!("Oktopus takes an endpoint id ({own_id}) with `{word}` for a topic; {advice}"));
    }
    let takes = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '=');
    if let Some(c) = own_id.chars().find(|c| given && !takes(*c)) {
        return Some(format!("Oktopus has no password for an endpoint id ({own_id}) that holds `{c}`; {advice}"));
    }
    let stranger = given && !username.is_empty() && username != own_id;
    stranger.then(|| {
        format!(
            "Oktopus lets a user speak for the endpoint id of that name only: leave Username out, or make it {own_id}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::links::links;
    use crate::backend::uci::parse::parse;

    #[test]
    fn a_topic_that_is_for_answers_is_named() {
        assert!(remark("mqtt://h/oktopus/usp/v1/controller/router-1", "router-1").contains("leave option Topic out"));
        assert_eq!(remark("mqtt://h/oktopus/usp/v1/notify/router-1", "router-1"), "");
    }

    fn remark(url: &str, own_id: &str) -> String {
        let text = format!("config controller 'o'\n option url '{url}'\n option preset oktopus\n");
        let package = parse("usp-agent", text.as_bytes()).unwrap();
        links(&package, own_id).1.into_iter().map(|warning| warning.what.to_string()).collect()
    }

    #[test]
    fn ids_that_oktopus_cannot_take_are_named() {
        for (url, own_id, why) in [
            ("mqtt://h", "os::00D09E-1", ""),
            ("mqtt://h", "oktopus-0-mqtt", ""),
            ("mqtt://:p@h", "router-1", ""),
            ("stomp://u:p@h", "os::00D09E-1", ""),
            ("mqtt://h", "fqdn::a.example", "holds `.`"),
            ("ws://h", "a/b", "holds `/`"),
            ("mqtt://h", "my-controller-1", "with `controller`"),
            ("mqtt://:p@h", "os::00D09E-1", "no password for an endpoint id (os::00D09E-1) that holds `:`"),
            ("mqtt://other:p@h", "router-1", "leave Username out"),
        ] {
            let told = remark(url, own_id);
            assert!(if why.is_empty() { told.is_empty() } else { told.contains(why) }, "{url} {own_id}: {told}");
        }
        assert_eq!(remark("mqtt://:secret@h", "a.b").matches("secret").count(), 0);
    }
}
