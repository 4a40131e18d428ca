//! TP-469 2.5, and beside the plan: certificates, inherited roles, trust on first use, the banned role, challenges, and
//! permissions that search.
//!
//! What is decided by a certificate is shown with TLS on the agent's own WebSocket, where whoever comes is unknown at
//! first; the rest with every transport.

use std::path::{Path, PathBuf};
use std::time::Duration;

use usp_agent::base64;
use usp_agent::mtp::tls::{ClientTls, Clock, Identity, Keyring, ServerTls, Trust, Versions};
use usp_agent::usp::wire::msg::operate_resp::operation_result::OperationResp;

use crate::access::{Rights, permit};
use crate::add::SUBSCRIPTION;
use crate::bench::{Bench, Second};
use crate::cases::{Case, case};
use crate::certificates::{Asked, Authority, Folder, Issued, self_signed};
use crate::eut::Scene;
use crate::messages::{WHOLE, accepted, may, must, refused, single};
use crate::place::{Transport, free_port};
use crate::set::subscription;
use crate::tester::{PATIENCE, Tester};

const SERVER: &[Transport] = &[Transport::WebSocketServer];
const UNTRUSTED: Option<Second> = Some(Second::Untrusted);
const TRUST: &str = "Device.LocalAgent.ControllerTrust.";
const CERTIFICATES: &str = "Device.LocalAgent.Certificate.";
/// Long enough for an answer, short for the lack of one.
const SILENCE: Duration = Duration::from_secs(2);

#[rustfmt::skip]
pub const CASES: &[Case] = &[
    case!("R-SEC.0a/nameless", "A certificate without the Endpoint ID vouches for nobody who comes by himself", wire nameless_certificate, on: SERVER),
    case!("R-SEC.1/search", "A permission's Target with a search expression", target_that_searches),
    case!("R-SEC.1/notify", "A Target with a search expression and notifications", notification_under_a_search, waits: true),
    case!("R-SEC.2", "AddCertificate(), GetFingerprint() and Delete()", certificates),
    case!("R-SEC.4/own", "AddMyCertificate() is for the controller itself", own_certificate, second: UNTRUSTED),
    case!("R-SEC.6", "A self-signed controller is untrusted, and known by its certificate from then on", wire first_use, on: SERVER),
    case!("R-SEC.6/silent", "Who is trusted on first use and says nothing is disconnected", wire first_use_in_silence, on: SERVER),
    case!("R-SEC.16", "A challenge that is passed, and one that is failed too often", challenge, second: UNTRUSTED, waits: true),
    case!("R-SEC.24/banned", "A revoked certificate leaves the banned role", wire banned, on: SERVER),
    case!("R-SEC.25", "Roles are inherited from the first matching authority", wire inherited, on: SERVER),
];

/// An agent with TLS, its administrator, and the authority of both.
struct House {
    authority: Authority,
    folder: Folder,
    port: u16,
    agent_id: String,
}

impl House {
    /// Opens the agent's WebSocket; `agent` are options of its own section, `more` further sections. The administrator is
    /// the controller `first`, in a role that may do everything.
    async fn open(scene: &mut Scene, agent: &str, more: &str) -> (Self, Tester) {
        let house = Self {
            authority: Authority::new("House"),
            folder: Folder::new(),
            port: free_port(),
            agent_id: scene.agent_id.clone(),
        };
        let own = house.authority.issue(Asked {
            names: &["localhost"],
            endpoint_id: Some(&scene.agent_id),
            ..Asked::default()
        });
        let files = format!(
            "config localagent\n option ca_file '{}'\n option certificate '{}'\n option key '{}'\n{agent}",
            house.authority.file.display(),
            own.certificate.display(),
            own.key.display()
        );
        scene.told.config = scene.told.config.replacen("config localagent\n", &files, 1);
        let port = house.port.to_string();
        let server = [("Protocol", "WebSocket"), ("address", "127.0.0.1"), ("Port", &port)];
        scene.told.section("mtp", "server", &server);
        scene.controller();
        scene.told.config.push_str(more);
        scene.power_on().await;
        let own_id = scene.own_id.clone();
        let mut admin = house.comes(&own_id, &house.issue(&own_id));
        admin.connected(1).await;
        (house, admin)
    }

    fn issue(&self, id: &str) -> Issued {
        self.authority.issue(Asked { names: &["localhost"], endpoint_id: Some(id), ..Asked::default() })
    }

    /// A controller that comes with this certificate.
    fn comes(&self, id: &str, with: &Issued) -> Tester {
        let tls = ClientTls {
            trust: Trust::File(self.authority.file.clone()),
            identity: Some(identity(with)),
            versions: Versions::default(),
            expected_id: None,
            keyring: Keyring::default(),
            clock: Clock::default(),
        };
        Tester::to_agent(id, &self.agent_id, ("localhost", self.port, "/usp"), Some(tls))
    }

    /// Its own signature is the only one it has.
    fn self_signed(&self, id: &str) -> Issued {
        let issued =
            self_signed(&self.folder, Asked { names: &["localhost"], endpoint_id: Some(id), ..Asked::default() });
        let keep = |file: &Path, kind: &str| -> PathBuf {
            let kept = self.folder.path().join(format!("{}.{kind}", free_port()));
            std::fs::rename(file, &kept).expect("a file of its own");
            kept
        };
        Issued { certificate: keep(&issued.certificate, "pem"), key: keep(&issued.key, "key") }
    }
}

fn identity(of: &Issued) -> Identity {
    Identity { certificate: of.certificate.clone(), key: of.key.clone() }
}

/// `config certificate`, of a PEM file.
fn kept(name: &str, file: &Path) -> String {
    let pem = std::fs::read_to_string(file).expect("a certificate");
    format!("\nconfig certificate '{name}'\n option certificate '{pem}'\n")
}

fn credential(name: &str, uses: &str, role: &str) -> String {
    format!(
        "\nconfig credential '{name}_credential'\n option certificate '{name}'\n option AllowedUses '{uses}'\n list role '{role}'\n"
    )
}

/// Whether the agent answers at all, and then with a value.
async fn reads(t: &mut Tester, path: &str) -> Option<bool> {
    if !t.has_channel_within(SILENCE).await {
        return None;
    }
    let get = usp_agent::usp::wire::msg::Get { param_paths: vec![path.to_owned()], max_depth: 0 };
    let id = t.send(usp_agent::usp::wire::msg::request::ReqType::Get(get));
    let answer = t.answer(&id, SILENCE).await?;
    let text = format!("{answer:?}");
    Some(text.contains("err_code: 0") && text.contains("result_params: {\""))
}

/// Parameters of the controller with this Endpoint ID, as the administrator sees them.
async fn row(admin: &mut Tester, id: &str) -> Option<std::collections::BTreeMap<String, String>> {
    let rows = admin.objects("Device.LocalAgent.Controller.").await;
    rows.into_values().find(|values| values.get("EndpointID").is_some_and(|value| value == id))
}

async fn role(admin: &mut Tester, name: &str) -> String {
    let rows = admin.objects(&format!("{TRUST}Role.")).await;
    let (path, _) =
        rows.into_iter().find(|(_, values)| values.get("Name").is_some_and(|value| value == name)).expect("a role");
    path.trim_end_matches('.').to_owned()
}

/// The plan wants an answer with values: its "untrusted" role may read here, which the agent's own may not.
pub async fn self_signed_certificate(scene: &mut Scene) {
    let options = " option TOFUAllowed '1'\n option UntrustedRole 'tester'\n";
    let id = "self::never-seen".to_owned();
    match scene.transport {
        Transport::WebSocketServer => {
            let (house, mut admin) = House::open(scene, options, "").await;
            let mut new = house.comes(&id, &house.self_signed(&id));
            assert_eq!(reads(&mut new, "Device.LocalAgent.EndpointID").await, Some(true));
            assert!(row(&mut admin, &id).await.is_some());
        }
        _ => {
            let (port, folder) = (free_port(), Folder::new());
            let own =
                self_signed(&folder, Asked { names: &["other.example"], endpoint_id: Some(&id), ..Asked::default() });
            let trust = Trust::File(own.certificate.clone());
            let tls = ServerTls {
                identity: identity(&own),
                clients: Some(trust),
                versions: Versions::default(),
                keyring: Keyring::default(),
                clock: Clock::default(),
            };
            let eut = Authority::new("EUT");
            let certificate = eut.issue(Asked { endpoint_id: Some(&scene.agent_id), ..Asked::default() });
            let tls = ServerTls { clients: Some(Trust::File(eut.file.clone())), ..tls };
            let mut new = Tester::on_websocket(&id, &scene.agent_id, port, Some(tls));
            let files = format!(
                "config localagent\n option ca_file '{}'\n option certificate '{}'\n option key '{}'\n{options}",
                eut.file.display(),
                certificate.certificate.display(),
                certificate.key.display()
            );
            scene.told.config = scene.told.config.replacen("config localagent\n", &files, 1);
            let url = format!("wss://localhost:{port}/usp");
            scene.told.section("controller", "new", &[("EndpointID", &id), ("url", &url)]);
            scene.power_on().await;
            new.connected(1).await;
            let own_row = new.controller().await;
            assert!(new.value(&format!("{own_row}Credential")).await.starts_with(CERTIFICATES));
        }
    }
}

async fn first_use(scene: &mut Scene) {
    let (house, mut admin) = House::open(scene, " option TOFUAllowed '1'\n", "").await;
    let id = "self::stranger".to_owned();
    let certificate = house.self_signed(&id);
    let host = "Device.DeviceInfo.HostName";
    let mut stranger = house.comes(&id, &certificate);
    // The untrusted role may read what the device is, and not how it is set up.
    assert_eq!(reads(&mut stranger, "Device.DeviceInfo.SoftwareVersion").await, Some(true));
    assert_eq!(reads(&mut stranger, "Device.LocalAgent.EndpointID").await, Some(false));
    assert!(stranger.set(WHOLE, &[("Device.DeviceInfo.", &[must("HostName", "taken")])]).await.is_err());
    let found = row(&mut admin, &id).await.expect("a row of its own");
    assert_eq!(found["AssignedRole"], role(&mut admin, "untrusted").await);
    let kept = single(admin.objects(CERTIFICATES).await);
    assert_eq!(found["Credential"], kept.0.trim_end_matches('.'));
    assert_eq!(kept.1["Issuer"], "CN=test peer");
    drop(stranger);
    // R-SEC.8: by the same certificate it is known, by another of the same name it is not.
    let mut again = house.comes(&id, &certificate);
    assert_eq!(reads(&mut again, "Device.DeviceInfo.SoftwareVersion").await, Some(true));
    let mut thief = house.comes(&id, &house.self_signed(&id));
    assert_eq!(reads(&mut thief, "Device.DeviceInfo.SoftwareVersion").await, None);
    // R-SEC.7: somebody else may change its role. Nor does its name help against a controller that has one.
    let own = format!("{}.", found["AssignedRole"]);
    assert!(own.starts_with(TRUST));
    let path = admin.objects("Device.LocalAgent.Controller.").await;
    let (path, _) = path.into_iter().find(|(_, values)| values.get("EndpointID") == Some(&id)).expect("its row");
    let tester = role(&mut admin, "tester").await;
    admin.put(&path, "AssignedRole", &tester).await;
    assert_eq!(reads(&mut again, host).await, Some(true));
    let first = scene.own_id.clone();
    let mut impostor = house.comes(&first, &house.self_signed(&first));
    assert_eq!(reads(&mut impostor, host).await, None);
    // Once it is no longer allowed, nobody comes in like this.
    admin.put(TRUST, "TOFUAllowed", "false").await;
    let late = "self::late".to_owned();
    let mut late = house.comes(&late, &house.self_signed(&late));
    assert!(!late.has_channel_within(SILENCE).await);
}

async fn first_use_in_silence(scene: &mut Scene) {
    let options = " option TOFUAllowed '1'\n option TOFUInactivityTimer '1'\n";
    let (house, _admin) = House::open(scene, options, "").await;
    let id = "self::silent".to_owned();
    let mut silent = house.comes(&id, &house.self_signed(&id));
    assert!(silent.has_channel_within(PATIENCE).await);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let _ = silent.hears_more_than(u32::MAX - 1, Duration::from_millis(500)).await;
    assert!(silent.notes().contains("closed the session with 1008"), "{}", silent.notes());
}

async fn nameless_certificate(scene: &mut Scene) {
    let (house, _admin) = House::open(scene, "", "").await;
    let first = scene.own_id.clone();
    let nameless = house.authority.issue(Asked { names: &["localhost"], ..Asked::default() });
    let mut impostor = house.comes(&first, &nameless);
    assert_eq!(reads(&mut impostor, "Device.LocalAgent.EndpointID").await, None);
}

async fn inherited(scene: &mut Scene) {
    let root = Authority::new("Root");
    let middle = root.below("Middle");
    let more = [
        "\nconfig role 'reader'\n\nconfig permission 'reads'\n option role reader\n list Targets Device.\n option Param r---\n option Obj r---\n",
        "\nconfig role 'nobody'\n",
        &kept("root", &root.file),
        &credential("root", "MTP-and-USP", "nobody"),
        &kept("middle", &middle.file),
        &credential("middle", "MTP-and-USP", "reader"),
    ];
    let (house, mut admin) = House::open(scene, "", &more.concat()).await;
    let id = "self::of-the-middle".to_owned();
    let certificate = middle.issue(Asked { names: &["localhost"], endpoint_id: Some(&id), ..Asked::default() });
    let mut new = house.comes(&id, &certificate);
    assert_eq!(reads(&mut new, "Device.LocalAgent.EndpointID").await, Some(true));
    assert!(new.set(WHOLE, &[("Device.DeviceInfo.", &[must("HostName", "taken")])]).await.is_err());
    let found = row(&mut admin, &id).await.expect("a row of its own");
    assert_eq!((found["InheritedRole"].clone(), &*found["AssignedRole"]), (role(&mut admin, "reader").await, ""));
    // AllowedUses: for connections only, it vouches for no controller.
    let credentials = admin.objects(&format!("{TRUST}Credential.")).await;
    for path in credentials.keys() {
        admin.put(path, "AllowedUses", "MTP-only").await;
    }
    assert_eq!(reads(&mut new, "Device.LocalAgent.EndpointID").await, None);
}

async fn banned(scene: &mut Scene) {
    let root = Authority::new("Root");
    let id = "self::revoked".to_owned();
    let asked = || Asked { names: &["localhost"], endpoint_id: Some(&id), serial: Some(4711), ..Asked::default() };
    let certificate = root.issue(asked());
    let list = root.folder.path().join("crl.pem");
    let options = format!(" option crl_file '{}'\n option BannedRole 'banned'\n", list.display());
    let more = [
        "\nconfig role 'banned'\n",
        &kept("root", &root.file),
        &credential("root", "MTP-and-USP", "tester"),
        &kept("mine", &certificate.certificate),
        &format!(
            "\nconfig controller 'revoked'\n option EndpointID '{id}'\n list role tester\n list Credential mine\n"
        ),
    ];
    root.revoke(&[1]);
    let (house, mut admin) = House::open(scene, &options, &more.concat()).await;
    let mut revoked = house.comes(&id, &certificate);
    assert_eq!(reads(&mut revoked, "Device.LocalAgent.EndpointID").await, Some(true));
    drop(revoked);
    assert_eq!(root.revoke(&[4711]), list);
    let mut revoked = house.comes(&id, &certificate);
    assert_eq!(reads(&mut revoked, "Device.LocalAgent.EndpointID").await, None);
    let found = row(&mut admin, &id).await.expect("its row");
    assert_eq!((found["AssignedRole"].clone(), &*found["InheritedRole"]), (role(&mut admin, "banned").await, ""));
    // A better certificate does not lift it.
    let mut renewed = house.comes(&id, &root.issue(Asked { serial: Some(1), ..asked() }));
    assert_eq!(reads(&mut renewed, "Device.LocalAgent.EndpointID").await, None);
}

const ALL: &str = "rwxn";

async fn target_that_searches(t: &mut Bench) {
    let (open, closed) = (subscription(t, "open").await, subscription(t, "closed").await);
    let target = format!("{SUBSCRIPTION}[ID==\"closed\"].");
    permit(t, &[(&target, Rights("r---", ALL, "r---", ALL, None))]).await;
    let disabled = |row| [(row, [must("Enable", "false")])];
    let set = |row: &str| disabled(row.to_owned());
    for (row, allowed) in [(&open, true), (&closed, false)] {
        let objects = set(row);
        let objects: Vec<_> = objects.iter().map(|(row, settings)| (&**row, &settings[..])).collect();
        assert_eq!(t.set(WHOLE, &objects).await.is_ok(), allowed, "{row}");
    }
    assert_eq!(refused(t.delete(WHOLE, &[&closed]).await).err_code, 7006);
    assert!(accepted(t.delete(WHOLE, &[&open]).await).len() == 1);
    // A higher permission for what another search names hides it altogether.
    let target = format!("{SUBSCRIPTION}[ID==\"closed\"&&Enable==true].");
    permit(t, &[(&target, Rights("----", "----", "----", "----", None))]).await;
    assert!(!t.objects(SUBSCRIPTION).await.contains_key(&closed));
    assert_eq!(t.get(&[&closed]).await[0].err_code, 7026);
}

async fn notification_under_a_search(t: &mut Bench) {
    let controller = t.controller().await;
    let path = format!("{controller}PeriodicNotifInterval");
    let settings = [("Enable", "true"), ("NotifType", "ValueChange"), ("ReferenceList", &*path), ("ID", "interval")];
    t.make(SUBSCRIPTION, &settings).await;
    let target = "Device.LocalAgent.Controller.[ProvisioningCode==\"quiet\"].PeriodicNotifInterval";
    permit(t, &[(target, Rights("rw--", ALL, ALL, ALL, None))]).await;
    t.put(&controller, "PeriodicNotifInterval", "4321").await;
    t.notify("interval").await;
    t.put(&controller, "ProvisioningCode", "quiet").await;
    t.put(&controller, "PeriodicNotifInterval", "4322").await;
    t.no_notify(Duration::from_secs(3), |_| true).await;
    t.put(&controller, "ProvisioningCode", "loud").await;
    t.put(&controller, "PeriodicNotifInterval", "4323").await;
    t.notify("interval").await;
}

/// Output arguments, or the code of the failure.
async fn run(
    t: &mut Tester,
    command: &str,
    input: &[(&str, &str)],
) -> Result<std::collections::BTreeMap<String, String>, u32> {
    match single(accepted(t.operate(command, "", input).await)).operation_resp {
        Some(OperationResp::ReqOutputArgs(output)) => Ok(output.output_args),
        Some(OperationResp::CmdFailure(failure)) => Err(failure.err_code),
        other => panic!("{other:?}"),
    }
}

async fn certificates(t: &mut Bench) {
    let authority = Authority::new("Added");
    let pem = std::fs::read_to_string(&authority.file).expect("a certificate");
    let add = "Device.LocalAgent.AddCertificate()";
    run(t, add, &[("Certificate", &pem), ("Alias", "added")]).await.expect("added");
    let (path, values) = single(t.objects(CERTIFICATES).await);
    assert_eq!((&*values["Alias"], &*values["Issuer"], &*values["Enable"]), ("added", "CN=Added", "true"));
    assert_eq!(values["SerialNumber"].len() % 2, 0);
    let der = usp_agent::certificate::from_text(&pem).expect("a certificate");
    let digest = ring::digest::digest(&ring::digest::SHA256, &der);
    let expected: String = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    let output = run(t, &format!("{path}GetFingerprint()"), &[("FingerprintAlgorithm", "SHA-256")]).await;
    assert_eq!(output.expect("a fingerprint")["Fingerprint"], expected);
    assert!(run(t, add, &[("Certificate", &pem)]).await.is_err(), "its SerialNumber and Issuer are there");
    let other = std::fs::read_to_string(&Authority::new("Other").file).expect("a certificate");
    assert!(run(t, add, &[("Certificate", &other), ("Alias", "added")]).await.is_err(), "the Alias is there");
    let reference = path.trim_end_matches('.').to_owned();
    let credential = [("Credential", &*reference), ("AllowedUses", "MTP-only"), ("Enable", "true")];
    let credential = t.make(&format!("{TRUST}Credential."), &credential).await;
    t.eut.power_cycle().await;
    t.connected(2).await;
    assert_eq!(t.value(&format!("{credential}Credential")).await, reference);
    run(t, &format!("{path}Delete()"), &[]).await.expect("deleted");
    assert!(t.objects(CERTIFICATES).await.is_empty());
    assert_eq!(t.value(&format!("{credential}Credential")).await, "");
}

async fn own_certificate(t: &mut Bench) {
    let second = t.second().own_id.clone();
    let rows = t.objects("Device.LocalAgent.Controller.").await;
    let (other, _) = rows.iter().find(|(_, values)| values.get("EndpointID") == Some(&second)).expect("its row");
    let pem = std::fs::read_to_string(&Authority::new("Mine").file).expect("a certificate");
    let own = t.controller().await;
    let command = |row: &str| format!("{row}AddMyCertificate()");
    assert!(run(t, &command(other), &[("Certificate", &pem)]).await.is_err(), "whatever the role");
    run(t, &command(&own), &[("Certificate", &pem), ("Alias", "mine")]).await.expect("added");
    let (path, values) = single(t.objects(CERTIFICATES).await);
    assert_eq!(values["Alias"], "mine");
    assert_eq!(t.value(&format!("{own}Credential")).await, path.trim_end_matches('.'));
}

async fn challenge(t: &mut Bench) {
    // What the second controller's role may see and do, and the challenge itself.
    let untrusted = t.value(&format!("{TRUST}UntrustedRole")).await;
    let table = format!("{untrusted}.Permission.");
    let visible = [
        may("Enable", "true"),
        may("Targets", "Device.LocalAgent.ControllerTrust."),
        may("Param", "r---"),
        may("Obj", "r---"),
        may("CommandEvent", "r-x-"),
    ];
    accepted(t.add(WHOLE, &[(&table, &visible)]).await);
    let tester = role(t, "tester").await;
    let value = base64::encode(b"open sesame");
    let settings = [
        ("Enable", "true"),
        ("Role", &*tester),
        ("Value", &*value),
        ("Instruction", "YXNr"),
        ("Retries", "2"),
        ("LockoutPeriod", "2"),
    ];
    let row = t.make(&format!("{TRUST}Challenge."), &settings).await;
    let reference = row.trim_end_matches('.').to_owned();
    assert_eq!(t.value(&format!("{row}Value")).await, "", "secured");
    let id = t.second().own_id.clone();
    let second = t.second();
    if second.value("Device.DeviceInfo.SoftwareVersion").await.is_empty() {
        crate::eut::impossible("the second controller is trusted with nothing here");
    }
    let (ask, answer) = (format!("{TRUST}RequestChallenge()"), format!("{TRUST}ChallengeResponse()"));
    let unknown = [("ChallengeRef", "Device.LocalAgent.ControllerTrust.Challenge.99")];
    assert_eq!(run(second, &ask, &unknown).await, Err(7012), "invalid value");
    let asked = run(second, &ask, &[("ChallengeRef", &reference)]).await.expect("an instruction");
    assert_eq!(
        (&*asked["Instruction"], &*asked["InstructionType"], &*asked["ValueType"]),
        ("YXNr", "text/plain", "text/plain")
    );
    let respond = |value: &'static [u8]| [asked["ChallengeID"].clone(), base64::encode(value)];
    for _ in 0..2 {
        let [id, wrong] = respond(b"open barley");
        assert!(run(second, &answer, &[("ChallengeID", &id), ("Value", &wrong)]).await.is_err());
    }
    // R-SEC.17: locked for everybody.
    let [challenge, right] = respond(b"open sesame");
    assert!(run(second, &answer, &[("ChallengeID", &challenge), ("Value", &right)]).await.is_err());
    assert!(run(second, &ask, &[("ChallengeRef", &reference)]).await.is_err());
    assert!(run(t, &ask, &[("ChallengeRef", &reference)]).await.is_err());
    tokio::time::sleep(Duration::from_millis(2200)).await;
    let second = t.second();
    let asked = run(second, &ask, &[("ChallengeRef", &reference)]).await.expect("an instruction");
    let input = [("ChallengeID", &*asked["ChallengeID"]), ("Value", &*right)];
    run(second, &answer, &input).await.expect("passed");
    assert_eq!(second.value("Device.LocalAgent.EndpointID").await, second.agent_id);
    let found = row_of(t, &id).await;
    assert_eq!(found, tester, "in place of the untrusted role");
}

async fn row_of(t: &mut Tester, id: &str) -> String {
    row(t, id).await.expect("its row")["AssignedRole"].clone()
}
