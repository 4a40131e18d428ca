use super::*;

fn section(kind: &str, name: &str, line: u32, options: &[(&str, &str)]) -> Section {
    let options = options.iter().zip(line + 1..);
    let options =
        options.map(|((name, value), line)| Opt { name: (*name).into(), value: OptValue::One((*value).into()), line });
    Section { name: name.into(), kind: kind.into(), anonymous: name.is_empty(), options: options.collect(), line }
}

fn package(sections: Vec<Section>) -> Package {
    Package { name: PACKAGE.into(), sections }
}

fn warnings(sections: Vec<Section>) -> Vec<String> {
    check(&package(sections)).iter().map(Warning::to_string).collect()
}

#[test]
fn a_controller_of_three_options_is_fine() {
    let acs = section("controller", "acs", 1, &[("url", "mqtts://acs"), ("EndpointID", "proto::acs"), ("role", "r")]);
    assert_eq!(warnings(vec![acs, section("role", "r", 6, &[])]), [""; 0]);
}

#[test]
fn whatever_is_not_understood_is_named_with_its_line() {
    let got = warnings(vec![
        section("controler", "acs", 1, &[]),
        section("controller", "acs", 3, &[("endpointid", "x"), ("Enable", "maybe"), ("role", "nobody")]),
        section("mqtt", "", 9, &[("BrokerAddress", "b"), ("BrokerPort", "70000"), ("TransportProtocol", "UDP")]),
    ]);
    let starts = [
        "/etc/config/usp-agent:1: config controler 'acs': unknown section type; known are localagent, controller,",
        "/etc/config/usp-agent:4: config controller 'acs': unknown option endpointid; did you mean EndpointID?",
        "/etc/config/usp-agent:5: config controller 'acs': option Enable: `maybe` is not 0 or 1",
        "/etc/config/usp-agent:6: config controller 'acs': option role: `nobody` is not the name of a role section",
        "/etc/config/usp-agent:3: config controller 'acs': option EndpointID is missing: the controller's endpoint id",
        "/etc/config/usp-agent:11: config mqtt: option BrokerPort: `70000` is not a number from 1 to 65535",
        "/etc/config/usp-agent:12: config mqtt: option TransportProtocol: `UDP` is not TCP/IP or TLS",
    ];
    assert_eq!(got.len(), starts.len(), "{got:#?}");
    for (got, start) in got.iter().zip(starts) {
        assert!(got.starts_with(start), "{got}\nshould start with\n{start}");
    }
}

#[test]
fn a_malformed_url_is_explained_without_its_password() {
    let acs = section("controller", "acs", 1, &[("url", "http://u:secret@acs"), ("EndpointID", "x")]);
    let got = warnings(vec![acs]).join("");
    assert!(got.contains("an address starts with") && !got.contains("secret"), "{got}");
}

#[test]
fn a_list_where_one_value_is_wanted_is_reported() {
    let mut acs = section("controller", "acs", 1, &[("EndpointID", "x")]);
    acs.options[0].value = OptValue::List(vec!["x".into(), "y".into()]);
    assert!(warnings(vec![acs])[0].contains("takes one value"));
}

#[test]
fn an_option_left_out_has_its_default() {
    let mqtt = section("mqtt", "m", 1, &[("CleanStart", "off")]);
    assert_eq!((number(&mqtt, "BrokerPort"), value(&mqtt, "ProtocolVersion")), (1883, "5.0"));
    assert_eq!((truth(&mqtt, "Enable"), truth(&mqtt, "CleanStart")), (true, false));
}

#[test]
fn the_table_holds_together() {
    for kind in options::KINDS {
        for (at, row) in kind.options.iter().enumerate() {
            let here = format!("{} {}", kind.name, row.name);
            assert!(kind.options[..at].iter().all(|other| other.name != row.name), "{here} is there twice");
            assert!(row.default.is_empty() || !row.required, "{here} is required and has a default");
            if let Form::Section(target) = row.form {
                assert!(options::kind(target).is_some(), "{here} names a type that is not there");
            } else if !row.default.is_empty() {
                assert_eq!(wrong(&Package::default(), row.form, row.default), None, "{here}");
            }
        }
    }
}

#[test]
fn the_page_in_docs_is_the_table() {
    let page = std::fs::read_to_string("docs/configuration.md").unwrap_or_default();
    if page != markdown() {
        std::fs::write("docs/configuration.md", markdown()).unwrap();
        panic!("docs/configuration.md was not the option table; it is written anew, commit it");
    }
}
