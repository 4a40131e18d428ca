use super::*;
use crate::backend::uci::{parse, write};

fn expanded(text: &str) -> String {
    let package = parse::parse(PACKAGE, text.as_bytes()).unwrap();
    let long = expand(&package);
    assert_eq!(expand(&long), long, "not the same on its own answer");
    let text = String::from_utf8(write::write(&long)).unwrap();
    text.split("\nconfig role 'full'").next().unwrap().trim().replace('\t', "").replace("option ", "")
}

#[test]
fn the_agent_has_a_section_although_none_is_written() {
    let long = |text: &str| expand(&parse::parse(PACKAGE, text.as_bytes()).unwrap());
    assert!(long("").section("localagent").is_some_and(|section| &*section.kind == "localagent"));
    assert_eq!(long("config localagent 'own'\n option EndpointID 'self::a'\n").of_kind("localagent").count(), 1);
    assert_eq!(long("config role 'localagent'\n").of_kind("localagent").count(), 0, "the name is taken");
}

#[test]
fn a_broker() {
    let text = "config controller 'acs'
 option url 'mqtts://user:p%40ss@acs.example.net'
 option EndpointID 'proto::acs'
 option PeriodicNotifInterval '60'
 option ProtocolVersion '3.1.1'
 list role 'full'\n";
    let long = "config controller 'acs'
EndpointID 'proto::acs'
PeriodicNotifInterval '60'
list role 'full'

config mqtt 'acs_mqtt'
BrokerAddress 'acs.example.net'
BrokerPort '8883'
TransportProtocol 'TLS'
ProtocolVersion '3.1.1'
Username 'user'
Password 'p@ss'

config mtp 'acs_mtp'
Protocol 'MQTT'
mqtt 'acs_mqtt'
ResponseTopicConfigured 'usp/agent/{EndpointID}'

config controller_mtp 'acs_link'
controller 'acs'
Protocol 'MQTT'
mtp 'acs_mtp'
Topic 'usp/controller/proto::acs'";
    assert_eq!(expanded(text), long);
}

#[test]
fn oktopus_has_its_own_topics_client_id_and_path() {
    let long = expanded(
        "config controller 'o'\n option url 'mqtt://h'\n option preset oktopus\n option EndpointID oc\n option Password p\n",
    );
    for line in [
        "preset 'oktopus'",
        "ClientID '{EndpointID}'",
        "Username '{EndpointID}'",
        "ResponseTopicConfigured 'oktopus/usp/v1/agent/{EndpointID}'",
        "Topic 'oktopus/usp/v1/controller'",
    ] {
        assert!(long.contains(line), "{line} is not in\n{long}");
    }
    let in_url = expanded("config controller 'o'\n option url 'mqtt://:p@h'\n option preset oktopus\n");
    assert!(
        in_url.contains("Username '{EndpointID}'") && in_url.contains("EndpointID 'oktopusController'"),
        "{in_url}"
    );
    assert!(in_url.contains("ResubscribeInterval '1200'"), "{in_url}");
    let plain = expanded("config controller 'o'\n option url 'mqtt://:p@h'\n option EndpointID o\n");
    assert!(!["Username", "ClientID", "Resubscribe", "oktopus"].iter().any(|text| plain.contains(text)), "{plain}");
    assert!(
        expanded("config controller 'o'\n option url 'ws://h'\n option preset oktopus\n").contains("Path '/ws/agent'")
    );
}

#[test]
fn a_topic_in_the_path_and_a_topic_option() {
    assert!(expanded("config controller 'a'\n option url 'mqtt://h/usp/ctl'\n").contains("Topic 'usp/ctl'"));
    assert!(expanded("config controller 'a'\n option url 'mqtt://h/usp/ctl'\n option Topic t\n").contains("Topic 't'"));
}

#[test]
fn a_stomp_server() {
    let text = "config controller 'acs'
 option url 'stomps://user:p%40ss@acs.example.net/queue/usp.acs'
 option EndpointID 'proto::acs'
 option VirtualHost 'usp'
 option ca_file '/ca.pem'\n";
    let long = "config controller 'acs'
EndpointID 'proto::acs'

config stomp 'acs_stomp'
Host 'acs.example.net'
Port '61614'
EnableEncryption '1'
VirtualHost 'usp'
Username 'user'
Password 'p@ss'
ca_file '/ca.pem'

config mtp 'acs_mtp'
Protocol 'STOMP'
stomp 'acs_stomp'
Destination '/queue/usp.agent.{EndpointID}'

config controller_mtp 'acs_link'
controller 'acs'
Protocol 'STOMP'
stomp 'acs_stomp'
Destination '/queue/usp.acs'";
    assert_eq!(expanded(text), long);
    let plain = expanded(
        "config controller 'a'\n option url 'stomp://h/'\n option EndpointID c\n option ResponseTopicConfigured /topic/me\n",
    );
    for line in
        ["Port '61613'", "EnableEncryption '0'", "Destination '/queue/usp.controller.c'", "Destination '/topic/me'"]
    {
        assert!(plain.contains(line), "{line} is not in\n{plain}");
    }
    let oktopus = expanded("config controller 'o'\n option url 'stomp://h'\n option preset oktopus\n");
    assert!(oktopus.contains("Destination 'oktopus/usp/v1/agent/{EndpointID}'"), "{oktopus}");
}

#[test]
fn a_websocket() {
    let text = "config controller 'acs'\n option url 'wss://[2001:db8::1]:8443/a%20b'\n option EndpointID 'x'\n option ca_file '/ca.pem'\n";
    let long = "config controller 'acs'
EndpointID 'x'

config controller_mtp 'acs_link'
controller 'acs'
Protocol 'WebSocket'
Host '2001:db8::1'
Port '8443'
Path '/a%20b'
EnableEncryption '1'
ca_file '/ca.pem'";
    assert_eq!(expanded(text), long);
}

#[test]
fn a_place_to_listen_is_shared() {
    let text = "config controller 'a'\n option url 'listen ws://[::]'\n
config controller 'b'\n option url 'listen ws://[::]:8183/usp'\n";
    let long = "config controller 'a'

config mtp 'a_mtp'
Protocol 'WebSocket'
address '::'
Port '8183'
Path '/usp'
EnableEncryption '0'

config controller 'b'";
    assert_eq!(expanded(text), long);
}

#[test]
fn a_unix_socket() {
    let text = "config controller 'a'\n option url 'unix:///run/a'\n
config controller 'b'\n option url 'listen unix:///run/b'\n
config controller 'c'\n option url 'listen unix:///run/b'\n";
    let long = "config controller 'a'

config unix_socket 'a_socket'
Mode 'Connect'
Path '/run/a'

config mtp 'a_mtp'
Protocol 'UDS'
unix_socket 'a_socket'

config controller_mtp 'a_link'
controller 'a'
Protocol 'UDS'
unix_socket 'a_socket'

config controller 'b'

config unix_socket 'b_socket'
Mode 'Listen'
Path '/run/b'

config mtp 'b_mtp'
Protocol 'UDS'
unix_socket 'b_socket'

config controller 'c'";
    assert_eq!(expanded(text), long);
}

#[test]
fn what_the_owner_wrote_counts() {
    let text = "config controller 'a'\n option url 'mqtt://h'\n
config mqtt 'a_mqtt'\n option BrokerAddress 'mine'\n
config role 'full'\n option Name 'none of it'\n";
    let long = expand(&parse::parse(PACKAGE, text.as_bytes()).unwrap());
    assert_eq!(long.section("a_mqtt").unwrap().text("BrokerAddress"), Some("mine"));
    assert_eq!(long.of_kind("permission").filter(|p| p.text("role") == Some("full")).count(), 0);
    assert!(long.section("readonly").is_some() && long.section("untrusted").is_some());
}

#[test]
fn an_address_that_cannot_be_read_stays_as_it_is() {
    assert!(expanded("config controller 'a'\n option url 'http://h'\n").contains("url 'http://h'"));
}

#[test]
fn only_what_stands_behind_one_section_is_written_out() {
    let text = "config controller 'a'\n option url 'mqtt://h'\n\nconfig controller 'b'\n option url 'ws://h'\n";
    let package = parse::parse(PACKAGE, text.as_bytes()).unwrap();
    let names = |package: Package| -> Vec<String> { package.sections.iter().map(|s| s.name.to_string()).collect() };
    assert_eq!(names(expand_section(&package, "a_mtp")), ["a", "a_mqtt", "a_mtp", "a_link", "b"]);
    assert_eq!(names(expand_section(&package, "b_link")), ["a", "b", "b_link"]);
    assert_eq!(names(expand_section(&package, "full_permission")), ["a", "b", "full", "full_permission"]);
    assert_eq!(expand_section(&package, "a"), package);
    assert_eq!(expand(&expand_section(&package, "a_mtp")).sections.len(), expand(&package).sections.len());
}

#[test]
fn an_option_of_a_short_form_is_written_in_the_controller() {
    let text = "config controller 'a'\n option url 'mqtt://h'\n\nconfig controller 'b'\n\nconfig mqtt 'c_mqtt'\n";
    let package = parse::parse(PACKAGE, text.as_bytes()).unwrap();
    for (section, place) in [("a_mqtt", "a"), ("b_mqtt", "b_mqtt"), ("c_mqtt", "c_mqtt"), ("a", "a")] {
        assert_eq!(written_in(&package, section), place);
    }
}
