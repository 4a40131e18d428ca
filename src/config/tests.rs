use super::*;

fn package(text: &str) -> Package {
    crate::backend::uci::parse::parse(PACKAGE, text.as_bytes()).unwrap()
}

fn warnings(text: &str) -> Vec<String> {
    check(&package(text)).iter().map(Warning::to_string).collect()
}

#[test]
fn a_controller_of_three_options_is_fine() {
    let text =
        "config controller 'acs'\n option url 'mqtts://acs'\n option EndpointID 'proto::acs'\n list role 'full'\n";
    assert_eq!(warnings(text), [""; 0]);
}

#[test]
fn whatever_is_not_understood_is_named_with_its_line() {
    let got = warnings(
        "config controler 'acs'\n
config controller 'acs2'\n option endpointid x\n option Enable maybe\n list role nobody\n
config mqtt\n option BrokerAddress b\n option BrokerPort 70000\n option TransportProtocol UDP\n",
    );
    let starts = [
        "1: config controler 'acs': unknown section type; known are localagent, controller,",
        "4: config controller 'acs2': unknown option endpointid; did you mean EndpointID?",
        "5: config controller 'acs2': option Enable: `maybe` is not 0 or 1",
        "6: config controller 'acs2': option role: `nobody` is not the name of a role section",
        "3: config controller 'acs2': option EndpointID is missing: the controller's endpoint id",
        "3: config controller 'acs2': nothing leads to it: give it an option url, or a controller_mtp section",
        "10: config mqtt: option BrokerPort: `70000` is not a number from 1 to 65535",
        "11: config mqtt: option TransportProtocol: `UDP` is not TCP/IP or TLS",
        "8: config mqtt: give the section a name: config mqtt 'name'",
    ];
    assert_eq!(got.len(), starts.len(), "{got:#?}");
    for (got, start) in got.iter().zip(starts) {
        assert!(got.starts_with(start), "{got}\nshould start with\n{start}");
    }
}

#[test]
fn a_window_too_short_for_an_answer_is_named() {
    let with = |value: &str| warnings(&format!("config localagent 'agent'\n option ConfirmWindow '{value}'\n"));
    for value in ["0", "10", "3600"] {
        assert_eq!(with(value), [""; 0]);
    }
    let told = "2: config localagent 'agent': option ConfirmWindow: `5` is not 0 or a number from 10 to 3600 (less counts as 10)";
    assert_eq!(with("5"), [told]);
    assert_eq!(with("3601").len(), 1);
}

#[test]
fn a_second_controller_of_the_same_id_is_told() {
    let got = warnings(
        "config controller 'a'\n option url 'ws://h'\n option EndpointID x\n
config controller 'b'\n option url 'ws://i'\n option EndpointID x\n",
    );
    assert_eq!(
        got,
        ["5: config controller 'b': EndpointID x is the one of controller 'a' too, and only that one counts"]
    );
}

#[test]
fn a_controller_that_comes_by_itself_needs_no_link() {
    let controller = "config controller 'a'\n option EndpointID x\n";
    assert_eq!(warnings(controller).len(), 1);
    assert_eq!(warnings(&format!("{controller}config mtp 'm'\n option Protocol WebSocket\n")), [""; 0]);
    let mtp = "config controller_mtp 'l'\n option controller a\n option Protocol WebSocket\n";
    assert_eq!(warnings(&format!("{controller}{mtp}")), [""; 0]);
}

#[test]
fn a_malformed_url_is_explained_without_its_password() {
    let got = warnings("config controller 'acs'\n option url 'http://u:secret@acs'\n option EndpointID x\n").join("");
    assert!(got.contains("an address starts with") && !got.contains("secret"), "{got}");
}

#[test]
fn a_list_where_one_value_is_wanted_is_reported() {
    let got = warnings("config controller 'acs'\n list EndpointID x\n list EndpointID y\n");
    assert!(got[0].contains("takes one value"), "{got:?}");
}

#[test]
fn an_option_left_out_has_its_default() {
    let package = package("config mqtt 'm'\n option BrokerAddress b\n option CleanStart off\n");
    let mqtt = package.section("m").unwrap();
    assert_eq!((number(mqtt, "BrokerPort"), value(mqtt, "ProtocolVersion")), (1883, "5.0"));
    assert_eq!((truth(mqtt, "Enable"), truth(mqtt, "CleanStart")), (true, false));
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

/// The file that is installed, and what it suggests in comments.
#[test]
fn the_shipped_configuration_is_understood() {
    let shipped = std::fs::read_to_string("openwrt-package/files/etc/config/usp-agent").unwrap();
    assert_eq!(warnings(&shipped), [""; 0]);
    assert_eq!(links::links(&package(&shipped), "os::00D09E-1").0, []);
    let suggested: Vec<_> = shipped.lines().map(|line| line.trim_start().strip_prefix('#').unwrap_or(line)).collect();
    let suggested: Vec<_> =
        suggested.into_iter().filter(|line| line.starts_with("config") || line.starts_with('\t')).collect();
    let suggested = suggested.join("\n");
    assert_eq!(warnings(&suggested), [""; 0]);
    let (links, warnings) = links::links(&package(&suggested), "os::00D09E-1");
    assert_eq!((links.len(), warnings.len()), (5, 0), "{links:#?} {warnings:?}");
}

#[test]
fn a_secret_that_is_wrong_is_not_repeated() {
    let got = warnings("config challenge 'c'\n option Value 'open sesame'\n option Instruction 'ask them'\n");
    let expected = [
        "2: config challenge 'c': option Value: it is not base64",
        "3: config challenge 'c': option Instruction: `ask them` is not base64",
    ];
    assert_eq!(got, expected);
}

#[test]
fn certificates_count_where_something_enabled_refers_to_them() {
    let der = rcgen::generate_simple_self_signed(vec!["x.example".into()]).unwrap().cert.der().to_vec();
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", crate::base64::encode(&der));
    let certificate = |name: &str| format!("config certificate '{name}'\n option certificate '{pem}'\n");
    let more = "config certificate 'off'\n option Enable 0\n option certificate AAAA
config credential\n option certificate ca\n
config credential\n option certificate unused\n option Enable 0\n
config credential\n option certificate off\n
config controller 'a'\n option EndpointID x\n list Credential ca\n list Credential mine\n
config localagent\n option TOFUAllowed 1\n option crl_file /etc/crl.pem\n";
    let text = [certificate("ca"), certificate("mine"), certificate("unused"), more.to_owned()].concat();
    let keys = keys(&package(&text));
    let found: Vec<_> = keys.certificates.iter().map(|key| (&*key.section, key.authority)).collect();
    assert_eq!(found, [("ca", true), ("mine", false)]);
    assert!(keys.certificates.iter().all(|key| key.der == der));
    assert!(keys.first_use && &*keys.crl_file == "/etc/crl.pem");
}
