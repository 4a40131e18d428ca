//! The engine on a small mapping and a router in memory.

use super::schema::Schema;
use super::{Everything, Instances, Model, Permit, Rights, Want};
use crate::backend::uci::{self, Package, PackageEdits};
use crate::backend::{Answer, Backend, CallError, FileError, Table, Value, Watch};
use crate::usp::fault::Code;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

pub(super) const MAPPING: &str = r#"
object Device.DeviceInfo.
  ModelName    = ubus system board /model or text unknown
  HostName     = uci system.@system[0].hostname
  UpTime       = ubus system info /uptime

object Device.LocalAgent.
  EndpointID   = uci agent.global.EndpointID

table Device.LocalAgent.Controller.{i}.
  each uci agent.controller
  EndpointID   = option EndpointID
  Enable       = option Enable | default 1
  PeriodicNotifInterval = option PeriodicNotifInterval

table Device.LocalAgent.Controller.{i}.MTP.{i}.
  each uci agent.controller_mtp where option controller == {parent.key}
  new set controller {parent.key}
  Enable       = option Enable
  Protocol     = option Protocol
object Device.LocalAgent.Controller.{i}.MTP.{i}.MQTT.
  Topic        = option Topic | own-id

table Device.LocalAgent.Subscription.{i}.
  each uci agent.subscription
  Alias        = option Alias
  Enable       = option Enable
  ID           = option ID
  Recipient    = option Recipient | ref Device.LocalAgent.Controller.{i}.
  NotifType    = option NotifType
  ReferenceList = option ReferenceList | list

table Device.IP.Interface.{i}.
  each uci network.interface
  each ubus network.interface dump /interface key /interface
  let if       = ubus network.interface dump /interface[interface={key}]
  Enable       = option disabled | default 0 | not
  Status       = $if /up | map 1:Up 0:Down | default Down
  Name         = key
table Device.IP.Interface.{i}.IPv4Address.{i}.
  each $if /ipv4-address key /address
  IPAddress    = item /address
  SubnetMask   = item /mask | netmask

table Device.DHCPv4.Server.Pool.{i}.
  each uci dhcp.dhcp
  Interface    = option interface | ref Device.IP.Interface.{i}.
table Device.DHCPv4.Server.Pool.{i}.StaticAddress.{i}.
  each uci dhcp.host
  Chaddr       = option mac | upper
  Yiaddr       = option ip
"#;

pub(super) const AGENT: &str = "config global 'global'\n\toption EndpointID 'os::me'\n\nconfig controller 'acs'\n\toption EndpointID 'proto::acs'\n\nconfig controller_mtp 'acs_mtp'\n\toption controller 'acs'\n\toption Enable '1'\n\toption Protocol 'MQTT'\n";
pub(super) const NETWORK: &str = "config interface 'lan'\n\toption proto 'static'\n\nconfig interface 'wan'\n\toption proto 'dhcp'\n\toption disabled '1'\n";
pub(super) const DHCP: &str = "config dhcp 'lan'\n\toption interface 'lan'\n\nconfig host\n\toption mac 'aa:bb:cc:00:00:01'\n\toption ip '192.168.1.11'\n\nconfig host\n\toption mac 'aa:bb:cc:00:00:02'\n\toption ip '192.168.1.12'\n";

#[derive(Default)]
pub(super) struct Router {
    packages: RefCell<BTreeMap<String, Rc<Package>>>,
    answers: RefCell<BTreeMap<String, Result<Table, CallError>>>,
    journal: RefCell<Vec<String>>,
    broken: RefCell<Vec<String>>,
}

impl Router {
    pub(super) fn package(&self, name: &str, text: &str) {
        let package = uci::parse::parse(name, text.as_bytes()).unwrap();
        self.packages.borrow_mut().insert(name.into(), Rc::new(package));
    }

    pub(super) fn break_package(&self, name: &str) {
        self.broken.borrow_mut().push(name.into());
    }

    pub(super) fn answer(&self, call: &str, answer: Result<Table, CallError>) {
        self.answers.borrow_mut().insert(call.into(), answer);
    }

    pub(super) fn journal(&self) -> Vec<String> {
        std::mem::take(&mut self.journal.borrow_mut())
    }

    pub(super) fn text(&self, package: &str) -> String {
        String::from_utf8(uci::write::write(&self.packages.borrow()[package])).unwrap()
    }
}

impl Backend for Router {
    async fn call(&self, object: &str, method: &str, _: &Table) -> Result<Table, CallError> {
        self.journal.borrow_mut().push(format!("call {object} {method}"));
        self.answers.borrow().get(&format!("{object} {method}")).cloned().unwrap_or(Err(CallError::NotFound))
    }

    async fn call_all(&self, _: &str, _: &str, _: &Table) -> Result<Answer, CallError> {
        Err(CallError::NotFound)
    }

    async fn objects(&self, _: &str) -> Result<Vec<String>, CallError> {
        Ok(Vec::new())
    }

    async fn package(&self, name: &str) -> Result<Rc<Package>, uci::Error> {
        if self.broken.borrow().iter().any(|n| n == name) {
            return Err(uci::Error::Io("broken".into()));
        }
        self.packages.borrow().get(name).cloned().ok_or(uci::Error::NotFound)
    }

    fn unconfirmed(&self) -> uci::undo::Reverted {
        uci::undo::Reverted::default()
    }

    async fn announce(&self, _: &[Box<str>]) {}

    fn confirm(&self) -> Result<(), uci::Error> {
        Ok(())
    }

    async fn revert(&self) -> Result<uci::undo::Reverted, uci::Error> {
        Ok(uci::undo::Reverted::default())
    }

    async fn commit(&self, edits: &[PackageEdits], _undoable: bool) -> Result<(), uci::Error> {
        for PackageEdits { base, edits } in edits {
            self.journal.borrow_mut().push(format!("commit {} {}", base.name, edits.len()));
            let mut package = (**base).clone();
            edits.iter().try_for_each(|edit| package.apply(edit))?;
            self.packages.borrow_mut().insert(base.name.to_string(), Rc::new(package));
        }
        Ok(())
    }

    async fn read(&self, _: &str) -> Result<Rc<str>, FileError> {
        Err(FileError::NotFound)
    }

    async fn list(&self, _: &str) -> Result<Rc<[String]>, FileError> {
        Err(FileError::NotFound)
    }

    async fn link(&self, _: &str) -> Result<Rc<str>, FileError> {
        Err(FileError::NotFound)
    }

    fn watch(&self, _: &Watch) {}
}

pub(super) fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a router in memory answers at once"),
    }
}

fn interface(name: &str, up: bool, address: &str) -> Value {
    let address = Table::default().with("address", address).with("mask", 24);
    Table::default()
        .with("interface", name)
        .with("up", up)
        .with("ipv4-address", Value::Array(vec![address.into()]))
        .into()
}

pub(super) fn model() -> Model<Router> {
    let router = Router::default();
    for (name, text) in [("agent", AGENT), ("network", NETWORK), ("dhcp", DHCP)] {
        router.package(name, text);
    }
    router.package("system", "config system\n\toption hostname 'OpenWrt'\n");
    router.answer("system board", Ok(Table::default().with("model", "AX1")));
    let interfaces = vec![interface("lan", true, "192.168.1.1"), interface("wan_6", true, "203.0.113.7")];
    let dump = Table::default().with("interface", Value::Array(interfaces));
    router.answer("network.interface dump", Ok(dump));
    router.answer("system info", Ok(Table::default().with("uptime", 60)));
    Model::new(schema(MAPPING), router, Instances::default(), Vec::new())
}

pub(super) fn schema(mapping: &str) -> Schema {
    let blocks = super::notation::parse("test.dm", mapping.to_owned().leak()).unwrap();
    let whole = super::built_in::whole_digest();
    let digest = super::digest::Digest::parse(&whole);
    Schema::build(blocks, &digest, &|_| false).unwrap()
}

/// `path name=value` lines of one Get.
pub(super) fn get(model: &Model<Router>, path: &str) -> Vec<String> {
    let reading = now(model.get(&Everything, &[path], 0));
    let objects = reading.results.into_iter().next().unwrap().unwrap();
    let lines = objects.into_iter().flat_map(|o| o.params.into_iter().map(move |(n, v)| format!("{}{n}={v}", o.path)));
    lines.collect()
}

pub(super) fn fails(model: &Model<Router>, path: &str) -> Code {
    now(model.get(&Everything, &[path], 0)).results.remove(0).unwrap_err().code
}

#[test]
fn a_get_asks_each_source_once() {
    let model = model();
    let values = get(&model, "Device.");
    assert!(
        values.contains(&"Device.IP.Interface.1.IPv4Address.1.SubnetMask=255.255.255.0".to_string()),
        "{values:#?}"
    );
    let mut calls = model.backend().journal();
    calls.sort();
    assert_eq!(calls, ["call network.interface dump", "call system board", "call system info"]);
}

#[test]
fn rows_of_several_sources_are_united() {
    let model = model();
    assert_eq!(
        get(&model, "Device.IP.Interface.*.Name"),
        ["Device.IP.Interface.1.Name=lan", "Device.IP.Interface.2.Name=wan", "Device.IP.Interface.3.Name=wan_6"]
    );
    assert_eq!(get(&model, "Device.IP.Interface.[Enable==false].Name"), ["Device.IP.Interface.2.Name=wan"]);
    assert_eq!(get(&model, "Device.IP.Interface.[Name==\"lan\"].Status"), ["Device.IP.Interface.1.Status=Up"]);
    assert_eq!(get(&model, "Device.IP.InterfaceNumberOfEntries"), ["Device.IP.InterfaceNumberOfEntries=3"]);
}

#[test]
fn references_are_paths_and_can_be_followed() {
    let model = model();
    assert_eq!(
        get(&model, "Device.DHCPv4.Server.Pool.1.Interface"),
        ["Device.DHCPv4.Server.Pool.1.Interface=Device.IP.Interface.1"]
    );
    assert_eq!(get(&model, "Device.DHCPv4.Server.Pool.1.Interface+.Name"), ["Device.IP.Interface.1.Name=lan"]);
    let search = "Device.DHCPv4.Server.Pool.[Interface+.Name==\"lan\"].Interface";
    assert_eq!(get(&model, search).len(), 1);
}

#[test]
fn what_is_not_there_has_its_own_code() {
    let model = model();
    assert_eq!(fails(&model, "Device.Nothing."), Code::InvalidPath);
    assert_eq!(fails(&model, "Device.IP.Interface.9.Name"), Code::InvalidPath);
    assert_eq!(fails(&model, "Device.IP.Interface.*.Nothing"), Code::InvalidPath);
    assert_eq!(fails(&model, "Device.IP.Interface.[]."), Code::InvalidPathSyntax);
    assert_eq!(get(&model, "Device.IP.Interface.[Name==\"dmz\"]."), [""; 0]);
}

#[test]
fn a_provider_that_does_not_answer_costs_its_own_values_only() {
    let model = model();
    model.backend().answer("network.interface dump", Err(CallError::Timeout));
    let values = get(&model, "Device.");
    assert!(values.contains(&"Device.DeviceInfo.HostName=OpenWrt".to_string()));
    assert!(values.contains(&"Device.IP.Interface.2.Enable=false".to_string()));
    assert!(!values.iter().any(|v| v.contains("Status=")), "made up: {values:#?}");
    assert!(!values.iter().any(|v| v.contains("InterfaceNumberOfEntries=")), "made up: {values:#?}");
    assert_eq!(model.backend().journal().iter().filter(|c| c.contains("dump")).count(), 1);
}

#[test]
fn anonymous_sections_keep_their_numbers_when_they_move() {
    let model = model();
    let first = "Device.DHCPv4.Server.Pool.1.StaticAddress.";
    assert_eq!(get(&model, &format!("{first}1.Yiaddr")), [format!("{first}1.Yiaddr=192.168.1.11")]);
    let moved = "config dhcp 'lan'\n\toption interface 'lan'\n\nconfig host\n\toption mac 'aa:bb:cc:00:00:09'\n\toption ip '192.168.1.19'\n\nconfig host\n\toption mac 'aa:bb:cc:00:00:02'\n\toption ip '192.168.1.22'\n\nconfig host\n\toption mac 'aa:bb:cc:00:00:01'\n\toption ip '192.168.1.11'\n";
    model.backend().package("dhcp", moved);
    let saved = model.instance_numbers().save();
    *model.instance_numbers() = Instances::load(&saved);
    assert_eq!(
        get(&model, &format!("{first}*.Yiaddr")),
        [
            format!("{first}1.Yiaddr=192.168.1.11"),
            format!("{first}2.Yiaddr=192.168.1.22"),
            format!("{first}3.Yiaddr=192.168.1.19")
        ]
    );
}

#[test]
fn a_set_is_seen_by_what_follows_and_written_once() {
    let model = model();
    let outcome = now(async {
        let mut change = model.begin();
        let object = change.objects(&Everything, "Device.DeviceInfo.").await?.remove(0);
        change.set(&Everything, &object, "HostName", "gateway").await?;
        for interface in change.objects(&Everything, "Device.IP.Interface.[Name==\"lan\"].").await? {
            change.set(&Everything, &interface, "Enable", "false").await?;
        }
        assert!(
            change
                .objects(&Everything, "Device.IP.Interface.[Enable==true].")
                .await?
                .iter()
                .all(|n| !n.path.contains(".1."))
        );
        assert!(model.backend().journal().iter().all(|l| !l.starts_with("commit")), "written before commit");
        change.commit().await
    });
    assert_eq!(outcome.unwrap().packages, ["system".into(), "network".into()]);
    assert_eq!(model.backend().journal(), ["commit system 1", "commit network 1"]);
    assert_eq!(get(&model, "Device.DeviceInfo.HostName"), ["Device.DeviceInfo.HostName=gateway"]);
}

#[test]
fn a_rollback_leaves_no_trace() {
    let model = model();
    let outcome = now(async {
        let mut change = model.begin();
        let object = change.objects(&Everything, "Device.DeviceInfo.").await?.remove(0);
        let before = change.savepoint();
        change.set(&Everything, &object, "HostName", "gateway").await?;
        change.rollback(before);
        change.commit().await
    });
    assert!(outcome.unwrap().packages.is_empty());
    assert!(model.backend().text("system").contains("OpenWrt"));
}

#[test]
fn refused_values_say_why() {
    let model = model();
    let set = |path: &'static str, name: &'static str, value: &'static str| {
        now(async {
            let mut change = model.begin();
            let object = change.objects(&Everything, path).await?.remove(0);
            change.set(&Everything, &object, name, value).await
        })
        .unwrap_err()
        .code
    };
    assert_eq!(set("Device.DeviceInfo.", "UpTime", "1"), Code::ParameterReadOnly);
    assert_eq!(set("Device.DeviceInfo.", "Nothing", "1"), Code::UnsupportedParameter);
    assert_eq!(set("Device.IP.Interface.1.", "Enable", "maybe"), Code::InvalidType);
    assert_eq!(set("Device.IP.Interface.3.", "Enable", "true"), Code::ParameterReadOnly);
    assert_eq!(set("Device.DHCPv4.Server.Pool.1.", "Interface", "Device.IP.Interface.77"), Code::InvalidValue);
}

#[test]
fn a_created_row_gets_defaults_and_keys_and_later_parts_find_it() {
    let model = model();
    let table = "Device.LocalAgent.Controller.1.MTP.";
    let made = now(async {
        let mut change = model.begin();
        let place = change.tables(&Everything, table).await?.remove(0);
        let row = change.create(&Everything, &place).await?;
        change.set(&Everything, &row, "Protocol", "WebSocket").await?;
        change.set(&Everything, &row, "MQTT.Topic", "a/b").await?;
        let keys = change.finish(&Everything, &row).await?;
        assert!(keys.iter().any(|(n, v)| &**n == "Alias" && v.starts_with("cpe-")), "{keys:?}");
        let found = change.objects(&Everything, &format!("{table}[Protocol==\"WebSocket\"].")).await?;
        assert_eq!(found.len(), 1);
        change.commit().await
    });
    let made = made.unwrap();
    assert_eq!(made.created[0].path, "Device.LocalAgent.Controller.1.MTP.2.");
    assert_eq!(get(&model, &format!("{table}2.Enable")), [format!("{table}2.Enable=false")]);
    let text = model.backend().text("agent");
    assert!(text.contains("config controller_mtp 'controller_mtp_2'\n\toption controller 'acs'\n"), "{text}");
}

#[test]
fn a_second_row_with_the_same_key_is_refused() {
    let model = model();
    let refused = now(async {
        let mut change = model.begin();
        let place = change.tables(&Everything, "Device.LocalAgent.Controller.").await?.remove(0);
        let row = change.create(&Everything, &place).await?;
        change.set(&Everything, &row, "EndpointID", "proto::acs").await?;
        change.set(&Everything, &row, "Enable", "true").await?;
        change.finish(&Everything, &row).await
    });
    assert_eq!(refused.unwrap_err().code, Code::UniqueKeyExists);
}

#[test]
fn deleting_a_row_deletes_what_is_below_it() {
    let model = model();
    let gone = now(async {
        let mut change = model.begin();
        let row = change.objects(&Everything, "Device.LocalAgent.Controller.1.").await?.remove(0);
        change.delete(&Everything, &row).await?;
        change.commit().await
    });
    assert_eq!(gone.unwrap().deleted, ["Device.LocalAgent.Controller.1.MTP.1.", "Device.LocalAgent.Controller.1."]);
    assert!(!model.backend().text("agent").contains("acs"));
    assert_eq!(get(&model, "Device.LocalAgent.Controller."), [""; 0]);
}

#[test]
fn a_deleted_rows_number_is_not_given_again() {
    let model = model();
    let add = || {
        now(async {
            let mut change = model.begin();
            let place = change.tables(&Everything, "Device.LocalAgent.Subscription.").await?.remove(0);
            let row = change.create(&Everything, &place).await?;
            change.finish(&Everything, &row).await?;
            change.commit().await
        })
        .unwrap()
        .created
        .remove(0)
        .path
    };
    assert_eq!(add(), "Device.LocalAgent.Subscription.1.");
    now(async {
        let mut change = model.begin();
        let row = change.objects(&Everything, "Device.LocalAgent.Subscription.1.").await?.remove(0);
        change.delete(&Everything, &row).await?;
        change.commit().await
    })
    .unwrap();
    assert_eq!(add(), "Device.LocalAgent.Subscription.2.");
}

pub(super) struct ReadOnlyLan;

impl Permit for ReadOnlyLan {
    fn object(&self, path: &str) -> Rights {
        if path.starts_with("Device.IP.Interface.1.") || path == "Device.IP.Interface.{i}." {
            Rights::PARAM_READ | Rights::OBJECT_READ | Rights::INSTANCE_READ
        } else {
            Rights::default()
        }
    }
}

#[test]
fn what_may_not_be_read_does_not_exist() {
    let model = model();
    let read = |path: &str| now(model.get(&ReadOnlyLan, &[path], 0)).results.remove(0);
    assert_eq!(read("Device.IP.Interface.*.Name").unwrap().len(), 1);
    assert_eq!(read("Device.DeviceInfo.HostName").unwrap_err().code, Code::InvalidPath);
    let (instances, _) = now(model.instances(&ReadOnlyLan, &["Device.IP.Interface."], true));
    assert_eq!(instances[0].as_ref().unwrap().len(), 1);
    let refused = now(async {
        let mut change = model.begin();
        let row = change.objects(&ReadOnlyLan, "Device.IP.Interface.1.").await?.remove(0);
        change.set(&ReadOnlyLan, &row, "Enable", "false").await
    });
    assert_eq!(refused.unwrap_err().code, Code::PermissionDenied);
}

#[test]
fn the_supported_model_lists_children_bare() {
    let model = model();
    let want = Want { first_level_only: true, commands: true, events: true, params: true, unique_keys: true };
    let supported = model.supported(&Everything, "Device.LocalAgent.", want).unwrap();
    let paths: Vec<&str> = supported.iter().map(|o| o.object.path).collect();
    assert_eq!(
        paths,
        ["Device.LocalAgent.", "Device.LocalAgent.Controller.{i}.", "Device.LocalAgent.Subscription.{i}."]
    );
    assert!(!supported[0].params.is_empty() && supported[1].params.is_empty());
    let one = model.supported(&Everything, "Device.LocalAgent.Controller.3.EndpointID", want).unwrap();
    assert_eq!((one[0].params.len(), one[0].commands.len()), (1, 0));
    let table = |path| model.supported(&Everything, path, want).map(|found| found[0].object.path);
    let expected = "Device.LocalAgent.Subscription.{i}.";
    for path in
        ["Device.LocalAgent.Subscription.", "Device.LocalAgent.Subscription", "Device.LocalAgent.Subscription.{i}"]
    {
        assert_eq!(table(path).as_deref(), Ok(expected), "{path}");
    }
    let unknown = table("Device.LocalAgent.Unknown").unwrap_err();
    assert!(unknown.text.contains("Unknown ") && unknown.code == Code::InvalidPath, "as it was asked for: {unknown:?}");
}

#[test]
fn the_agents_endpoint_id_is_filled_in_when_read_and_kept_as_written() {
    let model = model();
    model.facts().set("localagent", "", "EndpointID", "os::me");
    let object = "Device.LocalAgent.Controller.1.MTP.1.MQTT.";
    now(async {
        let mut change = model.begin();
        let node = change.objects(&Everything, object).await?.remove(0);
        change.set(&Everything, &node, "Topic", "usp/{EndpointID}/in").await?;
        change.commit().await
    })
    .unwrap();
    assert_eq!(get(&model, &format!("{object}Topic")), [format!("{object}Topic=usp/os::me/in")]);
    assert!(model.backend().text("agent").contains("option Topic 'usp/{EndpointID}/in'"));
}
