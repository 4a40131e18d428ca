//! What follows from the certificate at the other end: the figures of TR-369's security chapter, step by step.

use super::*;
use crate::base64;
use crate::usp::wire::msg::operate_resp::operation_result::OperationResp;
use rcgen::{CertificateParams, DnType, KeyPair};

/// A certificate, DER.
fn certificate(name: &str) -> Vec<u8> {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", base64::encode(der))
}

fn kept(name: &str, der: &[u8]) -> String {
    format!("config certificate '{name}'\n\toption certificate '{}'\n", base64::encode(der))
}

/// An authority, or broker, that is trusted with `uses`, and its credential.
fn credential(name: &str, uses: &str, role: &str) -> String {
    let role = if role.is_empty() { String::new() } else { format!("\tlist role '{role}'\n") };
    let credential = format!(
        "config credential '{name}_credential'\n\toption certificate '{name}'\n\toption AllowedUses '{uses}'\n{role}"
    );
    format!("{}{credential}", kept(name, &certificate(name)))
}

fn controller(name: &str, more: &str) -> String {
    format!("config controller '{name}'\n\toption EndpointID 'proto::{name}'\n{more}")
}

const PEER: ChannelId = ChannelId(7, 1);

/// A peer that came with TLS and a certificate for this name.
fn peer(name: &str) -> PeerFacts {
    PeerFacts {
        encrypted: true,
        accepted: true,
        endpoint_ids: vec![format!("proto::{name}").into()],
        ..PeerFacts::default()
    }
}

fn signed(name: &str, by: &str) -> PeerFacts {
    PeerFacts { anchor: Some(by.into()), ..peer(name) }
}

fn first(name: &str, der: &[u8]) -> PeerFacts {
    PeerFacts { first_use: true, certificate: Some(der.to_vec().into()), ..peer(name) }
}

impl Bench {
    fn trusting(config: &str) -> Self {
        let mut bench = Self::off(config);
        bench.start();
        bench.done.clear();
        bench.sent.clear();
        bench
    }

    fn peer_comes(&mut self, name: &str, protocol: Protocol, peer: PeerFacts) {
        let topic = protocol.brokered().then(|| "there".into());
        // Of somebody unknown no link knows the way.
        let known = self.agent.settings().controller(name).is_some();
        let route = Route { controller: name.into(), topic, ..Route::default() };
        let link = Link {
            protocol,
            routes: known.then_some(route).into_iter().collect(),
            response_topic: Some("here".into()),
            peer,
        };
        self.input(Input::Connected { channel: PEER, link });
    }

    /// The answer to a Get of the host name, by a peer that comes with this certificate; None where there is none.
    fn reads(&mut self, name: &str, peer: PeerFacts) -> Option<bool> {
        self.reads_over(name, Protocol::WebSocket, peer)
    }

    fn reads_over(&mut self, name: &str, protocol: Protocol, peer: PeerFacts) -> Option<bool> {
        self.peer_comes(name, protocol, peer);
        let answer = self.says(name, get(&["Device.DeviceInfo.HostName"]));
        self.input(Input::Lost { channel: PEER });
        match answer? {
            Incoming::Response { response: RespType::GetResp(response), .. } => {
                Some(response.req_path_results[0].err_code == 0)
            }
            other => panic!("{other:?}"),
        }
    }

    /// A request on the peer's channel.
    fn says(&mut self, name: &str, request: ReqType) -> Option<Incoming> {
        let from = EndpointId::lenient(&format!("proto::{name}")).unwrap();
        let own = EndpointId::lenient("os::00256D-123").unwrap();
        self.asked += 1;
        let id = format!("ask-{}", self.asked);
        let bytes = record::no_session_context(&from, &own, message::request(&id, request));
        self.input(Input::Record { channel: PEER, bytes, reply_to: None });
        let sent = std::mem::take(&mut self.sent);
        sent.into_iter().find_map(|(_, content)| match content {
            Content::Message(bytes) => match heard(&bytes) {
                Incoming::Request { .. } => None,
                answer => Some(answer),
            },
            _ => None,
        })
    }

    fn roles(&self, endpoint_id: &str) -> Option<Vec<Box<str>>> {
        self.agent.settings().controller_by_id(endpoint_id).map(|c| c.roles.clone())
    }

    fn closed(&self) -> bool {
        self.done.iter().any(|action| matches!(action, Action::Close { channel, .. } if *channel == PEER))
    }
}

const TOFU: &str =
    "config localagent 'trust'\n\toption TOFUAllowed '1'\n\toption BannedRole 'banned'\nconfig role 'banned'\n";

/// The bench's configuration with this agent's section.
fn on_first_use(config: &str) -> Bench {
    let mut bench = Bench::off("");
    let package = format!("{CONFIG}{config}").replace("config localagent\n", TOFU);
    bench.router.set_package("usp-agent", &package).unwrap();
    bench.start();
    bench.done.clear();
    bench
}

#[test]
fn r_sec_25_roles_are_inherited_from_the_authority_of_the_connection() {
    let config =
        [credential("ca", "MTP-and-USP", "full"), controller("one", ""), controller("two", "\tlist role 'visitors'\n")];
    let mut bench = Bench::trusting(&config.concat());
    assert_eq!(bench.reads("one", peer("one")), Some(false), "no role of its own");
    assert_eq!(bench.reads("one", signed("one", "ca")), Some(true));
    bench.connect("acs");
    let one = "Device.LocalAgent.Controller.3.";
    assert_eq!(bench.get(&format!("{one}InheritedRole")), ["InheritedRole=Device.LocalAgent.ControllerTrust.Role.1"]);
    assert_eq!(bench.get(&format!("{one}AssignedRole")), ["AssignedRole="]);
    // The two are united: visitors may read, full may write.
    let write = || set(false, "Device.DeviceInfo.", &[("HostName", "x", true)]);
    bench.peer_comes("two", Protocol::WebSocket, peer("two"));
    assert!(matches!(bench.says("two", write()), Some(Incoming::Error { .. })));
    bench.peer_comes("two", Protocol::WebSocket, signed("two", "ca"));
    assert!(matches!(bench.says("two", write()), Some(Incoming::Response { .. })));
    // A connection that inherits nothing takes it away again.
    assert_eq!(bench.reads("one", peer("one")), Some(false));
    assert_eq!(bench.get(&format!("{one}InheritedRole")), ["InheritedRole="]);
}

#[test]
fn a_credential_or_certificate_that_is_disabled_gives_nothing() {
    for section in ["config certificate 'ca'\n", "config credential 'ca_credential'\n"] {
        let config =
            credential("ca", "MTP-and-USP", "full").replace(section, &format!("{section}\toption Enable '0'\n"));
        let mut bench = Bench::trusting(&[config, controller("one", "")].concat());
        assert_eq!(bench.reads("one", signed("one", "ca")), Some(false), "{section}");
        assert_eq!(bench.reads("new", signed("new", "ca")), None, "{section}");
    }
}

#[test]
fn allowed_uses_say_whom_an_authority_vouches_for() {
    let config = |uses| [credential("ca", uses, ""), controller("one", "\tlist role 'full'\n")].concat();
    let reads = |uses, name: &str, peer| Bench::trusting(&config(uses)).reads(name, peer);
    assert_eq!(reads("MTP-only", "one", signed("one", "ca")), None);
    assert_eq!(reads("MTP-and-USP", "one", signed("one", "ca")), Some(true));
    assert_eq!(reads("MTP-and-USP", "one", signed("two", "ca")), None, "R-SEC.0a: from_id is not in the certificate");
    assert_eq!(reads("MTP-and-broker", "one", signed("two", "ca")), Some(true), "it vouches for whatever it passes on");
    let mqtt = Protocol::Mqtt { level: 5 };
    let through = |uses, peer| Bench::trusting(&config(uses)).reads_over("one", mqtt, peer);
    assert_eq!(through("MTP-and-broker", signed("broker", "ca")), Some(true));
    assert_eq!(through("MTP-and-USP", signed("broker", "ca")), None, "R-SEC.4a: not a broker to be trusted");
    assert_eq!(through("MTP-only", signed("broker", "ca")), None);
    assert_eq!(through("MTP-only", peer("broker")), Some(true), "the owner's broker, of an authority in ca_file");
    let own = PeerFacts { stored: Some("ca".into()), ..peer("broker") };
    assert_eq!(through("MTP-and-broker", own), Some(true), "by its own certificate");
}

#[test]
fn who_may_not_be_believed_is_not_told_of_anything_either() {
    let subscription = subscription("s", "ValueChange", "Device.DeviceInfo.HostName", "").replace("'acs'", "'one'");
    let config = [credential("ca", "MTP-only", ""), controller("one", "\tlist role 'full'\n"), subscription];
    let mut bench = Bench::trusting(&config.concat());
    bench.peer_comes("one", Protocol::WebSocket, signed("one", "ca"));
    assert!(bench.sent.is_empty(), "no Connect record");
    bench.connect("acs");
    bench.sent.clear();
    let _ = bench.response(set(false, "Device.DeviceInfo.", &[("HostName", "castle", true)]));
    assert!(bench.told().is_empty());
}

#[test]
fn an_unknown_controller_of_a_trusted_authority_is_taken_in() {
    let mut bench = Bench::trusting(&credential("ca", "MTP-and-USP", "visitors"));
    assert_eq!(bench.reads("new", peer("new")), None, "an authority of ca_file introduces nobody");
    assert_eq!(bench.reads("new", signed("new", "ca")), Some(true));
    assert_eq!(bench.roles("proto::new"), Some(vec![]), "the role is inherited, not assigned");
    let mut bench = Bench::trusting(&[credential("ca", "MTP-and-USP", "")].concat());
    assert_eq!(bench.reads("new", signed("new", "ca")), Some(false));
    assert_eq!(bench.roles("proto::new"), Some(vec!["untrusted".into()]));
    assert!(bench.agent.settings().controller_by_id("proto::new").unwrap().credentials.is_empty());
}

#[test]
fn r_sec_6_on_first_use_a_controller_is_untrusted_and_its_certificate_is_kept() {
    let der = certificate("new");
    assert_eq!(Bench::trusting("").reads("new", first("new", &der)), None, "TOFUAllowed is not set");
    let mut bench = on_first_use("");
    assert_eq!(bench.reads("new", first("new", &der)), Some(false), "it is answered, with the rights of nobody");
    assert_eq!(bench.roles("proto::new"), Some(vec!["untrusted".into()]));
    let settings = bench.agent.settings();
    let known = settings.controller_by_id("proto::new").unwrap();
    let stored = settings.trust.certificate(&known.credentials[0]).unwrap();
    assert_eq!(*stored.der, *der);
    // R-SEC.8: from now on it is known by that, and nobody else by another.
    let stored = PeerFacts { stored: Some(stored.section.clone()), ..peer("new") };
    assert_eq!(bench.reads("new", stored), Some(false));
    assert_eq!(bench.reads("new", first("new", &certificate("thief"))), None);
    assert_eq!(bench.reads("other", first("new", &der)), None, "a name that is not in the certificate");
    bench.connect("acs");
    let row = "Device.LocalAgent.Controller.3.";
    assert_eq!(bench.get(&format!("{row}AssignedRole")).len(), 1);
    assert_eq!(bench.get(&format!("{row}Credential")), ["Credential=Device.LocalAgent.Certificate.1"]);
    assert_eq!(bench.get("Device.LocalAgent.Certificate.1.Issuer"), ["Issuer=CN=new"]);
}

#[test]
fn r_sec_6_first_use_gives_nobody_the_role_of_another() {
    let der = certificate("x");
    let config = [
        kept("theirs", &certificate("theirs")),
        controller("one", "\tlist role 'full'\n"),
        controller("two", ""),
        controller("three", "\tlist Credential 'theirs'\n"),
        controller("four", "\toption Enable '0'\n"),
    ];
    let mut bench = on_first_use(&config.concat());
    for name in ["one", "three", "four"] {
        assert_eq!(bench.reads(name, first(name, &der)), None, "{name}");
    }
    assert_eq!(bench.reads("two", first("two", &der)), Some(false), "known, and trusted with nothing");
    assert_eq!(bench.roles("proto::two"), Some(vec!["untrusted".into()]));
    // Through a broker nobody comes first.
    let mqtt = Protocol::Mqtt { level: 5 };
    assert_eq!(bench.reads_over("new", mqtt, first("new", &certificate("new"))), None);
    assert_eq!(bench.roles("proto::new"), None);
}

#[test]
fn a_controller_is_known_by_the_certificate_kept_for_it() {
    let config = [
        kept("mine", &certificate("mine")),
        controller("one", "\tlist role 'full'\n\tlist Credential 'mine'\n"),
        controller("two", "\tlist role 'full'\n"),
    ];
    let mut bench = Bench::trusting(&config.concat());
    let nameless = |stored: bool| PeerFacts {
        endpoint_ids: vec!["fqdn::acs.example".into()],
        stored: stored.then(|| "mine".into()),
        ..peer("one")
    };
    assert_eq!(bench.reads("one", nameless(true)), Some(true), "R-SEC.4: no Endpoint ID needed");
    assert_eq!(bench.reads("one", nameless(false)), None, "R-SEC.0a");
    assert_eq!(bench.reads("one", PeerFacts { accepted: false, ..nameless(false) }), Some(true), "called by its name");
    assert_eq!(bench.reads("two", PeerFacts { stored: Some("mine".into()), ..peer("two") }), None, "it is another's");
    assert_eq!(bench.reads("two", peer("two")), Some(true));
}

#[test]
fn a_dns_name_is_an_endpoint_id_of_the_scheme_fqdn() {
    let config = "config controller 'dns'\n\toption EndpointID 'fqdn::acs.example'\n\tlist role 'full'\n";
    let door_of = |name: &str| PeerFacts { endpoint_ids: vec![name.into()], ..peer("x") };
    let bench = Bench::trusting(config);
    let settings = bench.agent.settings();
    let own = EndpointId::lenient("os::00256D-123").unwrap();
    let vouched = |peer: &PeerFacts| {
        let door = session::Door { protocol: Protocol::WebSocket, peer, own: &own };
        settings.trust.vouches("fqdn::acs.example", settings.controller("dns"), &door)
    };
    assert_eq!(vouched(&door_of("fqdn::acs.example")), crate::agent::trust::Vouched::Yes);
    assert_eq!(vouched(&door_of("fqdn::other.example")), crate::agent::trust::Vouched::No);
}

#[test]
fn who_was_let_in_on_first_use_must_speak() {
    let der = certificate("new");
    let mut bench = on_first_use("");
    bench.peer_comes("new", Protocol::WebSocket, first("new", &der));
    bench.pass(59_999);
    assert!(!bench.closed());
    bench.pass(1);
    assert!(bench.closed(), "TOFUInactivityTimer");
    let mut bench = on_first_use("");
    bench.peer_comes("new", Protocol::WebSocket, first("new", &der));
    bench.pass(50_000);
    let _ = bench.says("new", get(&["Device."]));
    bench.pass(100_000);
    assert!(!bench.closed());
    let package = bench.router.package_text("usp-agent").unwrap();
    let mut bench = Bench::off("");
    let package = package.replace("option TOFUAllowed '1'", "option TOFUAllowed '1'\n\toption TOFUInactivityTimer '0'");
    bench.router.set_package("usp-agent", &package).unwrap();
    bench.start();
    bench.peer_comes("other", Protocol::WebSocket, first("other", &certificate("other")));
    bench.pass(10_000_000);
    assert!(!bench.closed());
}

#[test]
fn a_revoked_certificate_bans_the_controller_it_was_kept_for_and_no_other() {
    let config = [
        kept("mine", &certificate("mine")),
        credential("ca", "MTP-and-USP", "full"),
        controller("one", "\tlist role 'full'\n\tlist Credential 'mine'\n"),
        controller("two", "\tlist role 'full'\n"),
    ];
    let mut bench = on_first_use(&config.concat());
    let revoked =
        |name: &str, stored: Option<&str>| PeerFacts { revoked: true, stored: stored.map(Into::into), ..peer(name) };
    assert_eq!(bench.reads("two", revoked("two", None)), None);
    assert!(bench.closed());
    assert_eq!(bench.roles("proto::two"), Some(vec!["full".into()]), "whoever holds an old key could do that");
    bench.done.clear();
    assert_eq!(bench.reads("one", revoked("one", Some("mine"))), None);
    assert!(bench.closed());
    assert_eq!(bench.roles("proto::one"), Some(vec!["banned".into()]));
    // Nothing helps it from now on, not what it inherits either.
    assert_eq!(bench.reads("one", signed("one", "ca")), None);
    bench.connect("acs");
    assert_eq!(bench.get("Device.LocalAgent.Controller.3.InheritedRole"), ["InheritedRole="]);
    let assigned = bench.get("Device.LocalAgent.Controller.3.AssignedRole");
    assert_eq!(assigned, ["AssignedRole=Device.LocalAgent.ControllerTrust.Role.1"]);
    // Another controller may change that.
    let role = set(
        false,
        "Device.LocalAgent.Controller.3.",
        &[("AssignedRole", "Device.LocalAgent.ControllerTrust.Role.2", true)],
    );
    let _ = bench.response(role);
    assert_eq!(bench.reads("one", signed("one", "ca")), Some(true));
}

#[test]
fn r_sec_21_a_reboot_clears_what_was_inherited() {
    let config = [credential("ca", "MTP-and-USP", "full"), controller("one", "")];
    let mut bench = Bench::trusting(&config.concat());
    assert_eq!(bench.reads("one", signed("one", "ca")), Some(true));
    bench.reboot();
    bench.connect("acs");
    assert_eq!(bench.get("Device.LocalAgent.Controller.3.InheritedRole"), ["InheritedRole="]);
}

/// The output arguments, or the code of the failure.
fn run(bench: &mut Bench, who: &str, command: &str, input: &[(&str, &str)]) -> Result<Vec<(String, String)>, u32> {
    match bench.ask_as(&format!("proto::{who}"), operate(command, "", input)) {
        Some(Incoming::Response { response: RespType::OperateResp(mut response), .. }) => {
            match response.operation_results.remove(0).operation_resp.unwrap() {
                OperationResp::ReqOutputArgs(output) => Ok(output.output_args.into_iter().collect()),
                OperationResp::CmdFailure(failure) => Err(failure.err_code),
                OperationResp::ReqObjPath(path) => panic!("{path}"),
            }
        }
        other => panic!("{other:?}"),
    }
}

const ADD: &str = "Device.LocalAgent.AddCertificate()";
const TABLE: &str = "Device.LocalAgent.Certificate.";

#[test]
fn certificates_are_added_once_and_deleted_with_what_refers_to_them() {
    let mut bench = Bench::new("");
    let (one, two) = (pem(&certificate("one")), pem(&certificate("two")));
    assert_eq!(run(&mut bench, "acs", ADD, &[("Certificate", &one), ("Alias", "mine")]), Ok(vec![]));
    assert_eq!(bench.get(&format!("{TABLE}1.Alias")), ["Alias=mine"]);
    assert_eq!(bench.get(&format!("{TABLE}1.Enable")), ["Enable=true"]);
    assert_eq!(run(&mut bench, "acs", ADD, &[("Certificate", &one)]), Err(7022), "SerialNumber and Issuer are there");
    assert_eq!(
        run(&mut bench, "acs", ADD, &[("Certificate", &two), ("Alias", "mine")]),
        Err(7025),
        "the Alias is there"
    );
    assert_eq!(bench.get(&format!("{TABLE}*.Alias")).len(), 1);
    assert_eq!(run(&mut bench, "acs", ADD, &[("Certificate", &two)]), Ok(vec![]));
    for wrong in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"] {
        assert_eq!(run(&mut bench, "acs", ADD, &[("Certificate", wrong)]), Err(7012), "{wrong}");
    }
    assert_eq!(run(&mut bench, "acs", ADD, &[]), Err(7027));
    let refer = set(false, "Device.LocalAgent.Controller.2.", &[("Credential", &format!("{TABLE}1,{TABLE}2"), true)]);
    let _ = bench.response(refer);
    let credential =
        [("Credential", &*format!("{TABLE}1"), true), ("AllowedUses", "MTP-only", true), ("Enable", "true", true)];
    let _ = bench.response(add(false, "Device.LocalAgent.ControllerTrust.Credential.", &credential));
    assert_eq!(bench.agent.settings().trust.credentials.len(), 1);
    assert_eq!(run(&mut bench, "acs", &format!("{TABLE}1.Delete()"), &[]), Ok(vec![]));
    assert_eq!(bench.get("Device.LocalAgent.Controller.2.Credential"), [format!("Credential={TABLE}2")]);
    assert_eq!(bench.get("Device.LocalAgent.ControllerTrust.Credential.1.Credential"), ["Credential="]);
    assert!(
        !bench
            .router
            .package_text("usp-agent")
            .unwrap()
            .contains(&base64::encode(&crate::certificate::from_text(&one).unwrap()))
    );
    assert_eq!(run(&mut bench, "acs", ADD, &[("Certificate", &one)]), Ok(vec![]), "it may come again");
    // The table is the commands' alone.
    assert_eq!(bench.error(add(false, TABLE, &[])).err_code, 7019);
    assert_eq!(bench.error(delete(false, &[&format!("{TABLE}2.")])).err_code, 7024);
}

#[test]
fn a_controller_adds_a_certificate_for_itself_only() {
    let mut bench = Bench::new(
        "config permission 'p3'\n\toption role 'visitors'\n\toption Order '3'\n\tlist Targets 'Device.LocalAgent.Controller.'\n\t\
         option Obj 'r---'\n\toption Param 'r---'\n\toption CommandEvent 'r-x-'\n",
    );
    let one = pem(&certificate("one"));
    let command = |row: u32| format!("Device.LocalAgent.Controller.{row}.AddMyCertificate()");
    assert_eq!(run(&mut bench, "guest", &command(1), &[("Certificate", &one)]), Err(7006));
    assert_eq!(run(&mut bench, "acs", &command(2), &[("Certificate", &one)]), Err(7006), "whatever its role");
    assert_eq!(run(&mut bench, "guest", &command(2), &[("Certificate", &one), ("Alias", "own")]), Ok(vec![]));
    assert_eq!(bench.get("Device.LocalAgent.Controller.2.Credential"), [format!("Credential={TABLE}1")]);
    assert_eq!(bench.get(&format!("{TABLE}1.Alias")), ["Alias=own"]);
    let two = pem(&certificate("two"));
    assert_eq!(run(&mut bench, "guest", &command(2), &[("Certificate", &two)]), Ok(vec![]));
    assert_eq!(bench.get("Device.LocalAgent.Controller.2.Credential"), [format!("Credential={TABLE}1,{TABLE}2")]);
    assert_eq!(run(&mut bench, "guest", &command(2), &[("Certificate", &two)]), Err(7022));
}

#[test]
fn fingerprints_are_those_of_the_certificate() {
    let der = certificate("one");
    let mut bench = Bench::new(&kept("one", &der));
    let mut fingerprint = |algorithm: &str| {
        run(&mut bench, "acs", &format!("{TABLE}1.GetFingerprint()"), &[("FingerprintAlgorithm", algorithm)])
    };
    for (algorithm, digits) in [("SHA-1", 40), ("SHA-256", 64), ("SHA-384", 96), ("SHA-512", 128)] {
        let output = fingerprint(algorithm).unwrap();
        assert_eq!((&*output[0].0, output[0].1.len()), ("Fingerprint", digits), "{algorithm}");
    }
    let expected: String =
        ring::digest::digest(&ring::digest::SHA256, &der).as_ref().iter().map(|b| format!("{b:02X}")).collect();
    assert_eq!(fingerprint("SHA-256").unwrap()[0].1, expected);
    assert_eq!(fingerprint("SHA-224"), Err(7012), "not among SupportedFingerprintAlgorithms");
}
