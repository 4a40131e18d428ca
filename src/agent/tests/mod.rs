//! The agent over a router in memory, with a controller that asks and a clock that jumps.

mod access;
mod challenges;
mod firmware;
mod lifecycle;
mod local;
mod messages;
mod notifications;
mod requests;
mod transports;
mod trial;
mod trust;

use super::*;
use crate::backend::fixture::Fixture;
use crate::model::schema::Schema;
use crate::model::{Instances, built_in, digest::Digest, notation};
use crate::usp::message::{self, Incoming};
use crate::usp::record::{self, Content};
use crate::usp::wire::msg::notify::Notification;
use crate::usp::wire::msg::request::ReqType;
use crate::usp::wire::msg::response::RespType;
use crate::usp::wire::msg::{self, Notify};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

const MAPPING: &str = r#"
live ubus network.interface dump on event network.interface

object Device.
  Reboot()        = agent reboot
  FactoryReset()  = agent factory_reset
  ScheduleTimer() = agent schedule_timer
  Boot!           = agent

object Device.DeviceInfo.
  Manufacturer    = text Acme
  ManufacturerOUI = text 00256D
  ProductClass    = text AX
  SerialNumber    = text 123
  SoftwareVersion = file /etc/version
  HostName        = uci system.@system[0].hostname
  UpTime          = ubus system info /uptime

object Device.DeviceInfo.
  ActiveFirmwareImage = agent localagent.ActiveFirmwareImage | ref Device.DeviceInfo.FirmwareImage.{i}.

table Device.DeviceInfo.FirmwareImage.{i}.
  each agent firmware
  Status         = agent firmware.Status
  BootFailureLog = agent firmware.BootFailureLog
  Download()     = agent firmware_download
  Activate()     = agent firmware_activate

table Device.DeviceInfo.VendorConfigFile.{i}.
  each text network
  Restore() = agent config_restore

object Device.LocalAgent.
  EndpointID      = agent localagent.EndpointID
  SoftwareVersion = agent localagent.SoftwareVersion
  UpTime          = agent localagent.UpTime
  TransferComplete! = agent
  AddCertificate() = agent add_certificate
  Periodic!       = agent
  X_USPAGENT_ChangeReverted! = agent

table Device.LocalAgent.Controller.{i}.
  each uci usp-agent.controller
  Alias                 = option Alias
  EndpointID            = option EndpointID
  Enable                = option Enable | default 1
  ProvisioningCode      = option ProvisioningCode
  PeriodicNotifInterval = option PeriodicNotifInterval | default 86400
  OnBoardingComplete    = option OnBoardingComplete | default 1
  SendOnBoardRequest()  = agent send_on_board_request
  AssignedRole          = option role | ref Device.LocalAgent.ControllerTrust.Role.{i}. | list
                       or native controller.untrusted | ref Device.LocalAgent.ControllerTrust.Role.{i}.
  InheritedRole         = agent controller.InheritedRole | ref Device.LocalAgent.ControllerTrust.Role.{i}. | list
  Credential            = option Credential | ref Device.LocalAgent.Certificate.{i}. | list
  AddMyCertificate()    = agent add_certificate

table Device.LocalAgent.Controller.{i}.BootParameter.{i}.
  each uci usp-agent.boot_parameter where option controller == {parent.key}
  new set controller {parent.key}
  Alias         = option Alias
  Enable        = option Enable | default 1
  ParameterName = option ParameterName

table Device.LocalAgent.Subscription.{i}.
  each uci usp-agent.subscription
  Alias                 = option Alias
  Enable                = option Enable | default 1
  Recipient             = option controller | ref Device.LocalAgent.Controller.{i}.
  TriggerAction         = option TriggerAction | default Notify
  TriggerConfigSettings = option TriggerConfigSettings
  ID                    = option ID
  CreationDate          = option CreationDate
  NotifType             = option NotifType
  ReferenceList         = option ReferenceList | list
  Persistent            = option Persistent | default 0
  TimeToLive            = option TimeToLive | default 0
  NotifRetry            = option NotifRetry | default 0
  NotifExpiration       = option NotifExpiration | default 0

table Device.LocalAgent.Threshold.{i}.
  each uci usp-agent.threshold
  Alias             = option Alias
  Enable            = option Enable | default 0
  OperatingMode     = option OperatingMode | default Normal
  ReferencePath     = option ReferencePath
  ThresholdParam    = option ThresholdParam
  ThresholdOperator = option ThresholdOperator | default Rise
  ThresholdValue    = option ThresholdValue
  Controller        = option controller | ref Device.LocalAgent.Controller.{i}.
  Triggered!        = agent

table Device.LocalAgent.Request.{i}.
  each agent request
  Originator = agent request.Originator
  Command    = agent request.Command
  CommandKey = agent request.CommandKey
  Status     = agent request.Status
  Cancel()   = agent cancel

table Device.IP.Interface.{i}.
  each uci network.interface
  Enable  = option disabled | default 0 | not
  Status  = ubus network.interface dump /interface[interface={key}]/up | map 1:Up 0:Down | default Down
  Name    = key
  Reset() = ubus network.interface.{key} restart

object Device.IP.Diagnostics.
  IPPing() = operation ping

table Device.MQTT.Client.{i}.
  each uci usp-agent.mqtt
  Alias    = option Alias
  Name     = key
  Enable   = option Enable | default 1
  Password = option Password
"#;

/// Whose part on trust is under test as it is.
const LOCAL_AGENT: &str = include_str!("../../../data-model/local-agent.dm");

const CONFIG: &str = "
config localagent
config controller 'acs'
	option EndpointID 'proto::acs'
	list role 'full'
	option AllowUnencrypted '1'
config controller 'guest'
	option EndpointID 'proto::guest'
	list role 'visitors'
	option AllowUnencrypted '1'
config role 'full'
config permission 'p1'
	option role 'full'
	list Targets 'Device.'
	option Param 'rw-n'
	option Obj 'rw-n'
	option InstantiatedObj 'rw-n'
	option CommandEvent 'r-xn'
config role 'visitors'
config permission 'p2'
	option role 'visitors'
	option Order '1'
	list Targets 'Device.'
	option Param 'r---'
	option Obj 'r---'
	option InstantiatedObj 'r---'
	option CommandEvent 'r---'
";

const CHANNEL: ChannelId = ChannelId(1, 1);
const UNIX_MS: i64 = 1_800_000_000_000;

/// One poll finishes whatever the fixture answers.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the router in memory never waits"),
    }
}

/// The agent and what surrounds it.
struct Bench {
    agent: Agent<Fixture>,
    router: Fixture,
    clock: Now,
    /// Every action but the records, in order.
    done: Vec<Action>,
    /// Records that were sent, decoded: to whom, and what.
    sent: Vec<(String, Content)>,
    kept: Vec<(Kept, String)>,
    /// What the owner of the router was told: event and data.
    events: Vec<(&'static str, Table)>,
    wake: Option<u64>,
    asked: u32,
    /// Killed whenever a trial is over: what was kept for it stays.
    dies_before_forgetting: bool,
}

impl Bench {
    /// A started agent with `acs` on a WebSocket.
    fn new(config: &str) -> Self {
        let mut bench = Self::off(config);
        bench.start();
        bench.connect("acs");
        bench.sent.clear();
        bench
    }

    /// An agent that was not started.
    fn off(config: &str) -> Self {
        let router = Fixture::empty();
        router.set_package("usp-agent", &format!("{CONFIG}{config}")).unwrap();
        router.set_package("system", "config system\n\toption hostname 'OpenWrt'\n").unwrap();
        router.set_package("network", "config interface 'lan'\nconfig interface 'wan'\n").unwrap();
        router.set_file("/etc/version", "1.0\n");
        router.set_answer("system", "info", &serde_json::json!({"uptime": 10}));
        let bench = Self::with(router);
        bench.link_up(false);
        bench
    }

    fn with(router: Fixture) -> Self {
        let whole = built_in::whole_digest();
        let trust = LOCAL_AGENT.find("object Device.LocalAgent.ControllerTrust.").unwrap();
        // A schema keeps its mapping for good.
        let mapping = Box::leak(format!("{MAPPING}{}", &LOCAL_AGENT[trust..]).into_boxed_str());
        let blocks = notation::parse("test.dm", mapping).unwrap();
        let writable = |name: &str| crate::model::native::writes(name);
        let schema = Schema::build(blocks, &Digest::parse(&whole), &writable).unwrap();
        let model = Model::new(schema, router.clone(), Instances::default(), Vec::new());
        let own = EndpointId::lenient("os::00256D-123").unwrap();
        let agent = Agent::new(model, own, Package::clone, 42);
        let clock = Now { monotonic_ms: 1000, unix_ms: UNIX_MS, clock_is_set: true };
        Self {
            agent,
            router,
            clock,
            done: vec![],
            sent: vec![],
            kept: vec![],
            events: vec![],
            wake: None,
            asked: 0,
            dies_before_forgetting: false,
        }
    }

    fn start(&mut self) {
        let kept = self.kept.clone();
        self.input(Input::Started { boot: Boot::default(), kept });
    }

    fn connect(&mut self, controller: &str) {
        self.connect_by(Protocol::WebSocket, CHANNEL, controller);
    }

    fn connect_by(&mut self, protocol: Protocol, channel: ChannelId, controller: &str) {
        let route = Route { controller: controller.into(), ..Route::default() };
        let peer = PeerFacts { encrypted: true, ..PeerFacts::default() };
        let link = Link { protocol, routes: vec![route], response_topic: None, peer };
        self.input(Input::Connected { channel, link });
    }

    /// The same router after a reboot: what was kept is there.
    fn reboot(&mut self) {
        let mut next = Self::with(self.router.clone());
        next.kept = std::mem::take(&mut self.kept);
        next.clock = Now { monotonic_ms: 500, ..self.clock };
        next.dies_before_forgetting = self.dies_before_forgetting;
        *self = next;
        self.start();
    }

    fn link_up(&self, up: bool) {
        let dump = serde_json::json!({"interface": [{"interface": "lan", "up": true}, {"interface": "wan", "up": up}]});
        self.router.set_answer("network.interface", "dump", &dump);
    }

    fn input(&mut self, input: Input) {
        for action in now(self.agent.handle(input, self.clock)) {
            match action {
                Action::Send(outgoing) => self.sent.push(decode(&outgoing)),
                Action::Keep(Kept::Trial, text) if text.is_empty() && self.dies_before_forgetting => {}
                Action::Keep(what, text) => {
                    if what == Kept::Trial && text.is_empty() {
                        self.router.confirm().unwrap();
                    }
                    self.kept.retain(|(kept, _)| *kept != what);
                    self.kept.push((what, text));
                }
                Action::WakeAt { at_ms, .. } => self.wake = Some(at_ms),
                Action::WakeNever => self.wake = None,
                Action::Tell { event, data } => self.events.push((event, data)),
                other => self.done.push(other),
            }
        }
    }

    /// Time passes; the agent is woken when it wants to be.
    fn pass(&mut self, ms: u64) {
        let end = self.clock.monotonic_ms + ms;
        while let Some(at) = self.wake.filter(|at| *at <= end) {
            self.jump(at.max(self.clock.monotonic_ms));
            self.input(Input::Wake);
        }
        self.jump(end);
    }

    fn jump(&mut self, to: u64) {
        self.clock.unix_ms += i64::try_from(to - self.clock.monotonic_ms).unwrap();
        self.clock.monotonic_ms = to;
    }

    fn raw(&mut self, from: &str, payload: bytes::Bytes) {
        let from = EndpointId::lenient(from).unwrap();
        let own = EndpointId::lenient("os::00256D-123").unwrap();
        let bytes = record::no_session_context(&from, &own, payload);
        self.input(Input::Record { channel: CHANNEL, bytes, reply_to: None });
    }

    /// A request of `proto::acs` and what answers it; None where nothing does.
    fn ask(&mut self, request: ReqType) -> Option<Incoming> {
        self.ask_as("proto::acs", request)
    }

    fn ask_as(&mut self, from: &str, request: ReqType) -> Option<Incoming> {
        self.asked += 1;
        let id = format!("ask-{}", self.asked);
        self.raw(from, message::request(&id, request));
        let is_answer = |content: &Content| match content {
            Content::Message(bytes) => match heard(bytes) {
                Incoming::Response { msg_id, .. } | Incoming::Error { msg_id, .. } => msg_id == id,
                Incoming::Request { .. } => false,
            },
            _ => false,
        };
        let at = self.sent.iter().position(|(_, content)| is_answer(content))?;
        let Content::Message(bytes) = self.sent.remove(at).1 else { unreachable!() };
        Some(heard(&bytes))
    }

    /// The response, which must be one.
    fn response(&mut self, request: ReqType) -> RespType {
        match self.ask(request) {
            Some(Incoming::Response { response, .. }) => response,
            other => panic!("no response: {other:?}"),
        }
    }

    /// The Error, which must be one.
    fn error(&mut self, request: ReqType) -> msg::Error {
        match self.ask(request) {
            Some(Incoming::Error { error, .. }) => error,
            other => panic!("no error: {other:?}"),
        }
    }

    /// Takes the notifications sent so far: msg_id and notify.
    fn notified(&mut self) -> Vec<(String, Notify)> {
        let sent = std::mem::take(&mut self.sent);
        let notify = sent.into_iter().filter_map(|(_, content)| match content {
            Content::Message(bytes) => match heard(&bytes) {
                Incoming::Request { msg_id, request: ReqType::Notify(notify) } => Some((msg_id, notify)),
                _ => None,
            },
            _ => None,
        });
        notify.collect()
    }

    /// The notifications in one line each.
    fn told(&mut self) -> Vec<String> {
        self.notified().into_iter().map(|(_, notify)| line(&notify)).collect()
    }

    fn confirm(&mut self, msg_id: &str) {
        let response = msg::NotifyResp { subscription_id: "whatever".into() };
        self.raw("proto::acs", message::response(msg_id, RespType::NotifyResp(response)));
    }

    /// `Name=value` of one parameter, as acs reads it.
    fn get(&mut self, path: &str) -> Vec<String> {
        let RespType::GetResp(response) = self.response(get(&[path])) else { panic!("not a GetResp") };
        let objects = response.req_path_results.into_iter().flat_map(|r| r.resolved_path_results);
        let lines =
            objects.flat_map(|o| o.result_params.into_iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>());
        lines.collect()
    }
}

/// A message as a controller takes it.
fn heard(bytes: &bytes::Bytes) -> Incoming {
    use prost::Message as _;
    let msg = msg::Msg::decode(bytes.clone()).unwrap();
    let msg_id = msg.header.unwrap().msg_id;
    match msg.body.unwrap().msg_body.unwrap() {
        msg::body::MsgBody::Request(inner) => Incoming::Request { msg_id, request: inner.req_type.unwrap() },
        msg::body::MsgBody::Response(inner) => Incoming::Response { msg_id, response: inner.resp_type.unwrap() },
        msg::body::MsgBody::Error(error) => Incoming::Error { msg_id, error },
    }
}

fn decode(outgoing: &Outgoing) -> (String, Content) {
    let record = record::decode(outgoing.record.clone()).unwrap();
    assert_eq!(record.from.as_str(), "os::00256D-123");
    (record.to.as_str().to_owned(), record.content)
}

fn line(notify: &Notify) -> String {
    let id = &notify.subscription_id;
    match notify.notification.as_ref().unwrap() {
        Notification::Event(event) => format!("{id} event {}{}", event.obj_path, event.event_name),
        Notification::ValueChange(change) => format!("{id} value {}={}", change.param_path, change.param_value),
        Notification::ObjCreation(creation) => format!("{id} created {}", creation.obj_path),
        Notification::ObjDeletion(deletion) => format!("{id} deleted {}", deletion.obj_path),
        Notification::OperComplete(done) => {
            format!("{id} done {}{} {}", done.obj_path, done.command_name, done.command_key)
        }
        Notification::OnBoardReq(request) => format!("{id} on-board {}", request.serial_number),
    }
}

fn get(paths: &[&str]) -> ReqType {
    ReqType::Get(msg::Get { param_paths: paths.iter().map(|&p| p.into()).collect(), max_depth: 0 })
}

/// A Set of one object: `(parameter, value, required)`.
fn set(allow_partial: bool, path: &str, params: &[(&str, &str, bool)]) -> ReqType {
    let param_settings = params.iter().map(|&(param, value, required)| msg::set::UpdateParamSetting {
        param: param.into(),
        value: value.into(),
        required,
    });
    let object = msg::set::UpdateObject { obj_path: path.into(), param_settings: param_settings.collect() };
    ReqType::Set(msg::Set { allow_partial, update_objs: vec![object] })
}

fn create(path: &str, params: &[(&str, &str, bool)]) -> msg::add::CreateObject {
    let param_settings = params.iter().map(|&(param, value, required)| msg::add::CreateParamSetting {
        param: param.into(),
        value: value.into(),
        required,
    });
    msg::add::CreateObject { obj_path: path.into(), param_settings: param_settings.collect() }
}

fn add(allow_partial: bool, path: &str, params: &[(&str, &str, bool)]) -> ReqType {
    ReqType::Add(msg::Add { allow_partial, create_objs: vec![create(path, params)] })
}

fn delete(allow_partial: bool, paths: &[&str]) -> ReqType {
    ReqType::Delete(msg::Delete { allow_partial, obj_paths: paths.iter().map(|&p| p.into()).collect() })
}

fn operate(command: &str, key: &str, input: &[(&str, &str)]) -> ReqType {
    ReqType::Operate(msg::Operate {
        command: command.into(),
        command_key: key.into(),
        send_resp: true,
        input_args: input.iter().map(|&(n, v)| (n.into(), v.into())).collect(),
    })
}

/// A subscription of acs as UCI has it.
fn subscription(name: &str, kind: &str, reference: &str, more: &str) -> String {
    format!(
        "config subscription '{name}'\n\toption controller 'acs'\n\toption ID '{name}'\n\toption Persistent '1'\n\t\
         option NotifType '{kind}'\n\tlist ReferenceList '{reference}'\n{more}"
    )
}
