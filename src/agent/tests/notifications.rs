//! What subscribers hear, and what they do not.

use super::*;
use crate::backend::Table;

const STATUS: &str = "Device.IP.Interface.2.Status";

fn values(reference: &str) -> String {
    subscription("v", "ValueChange", reference, "")
}

fn network_event() -> Input {
    Input::Changed(Change::Event("network.interface".into(), Table::default()))
}

#[test]
fn a_value_that_the_router_changed_is_told_once() {
    let mut bench = Bench::new(&values(STATUS));
    bench.link_up(true);
    bench.input(network_event());
    bench.input(network_event());
    bench.pass(1000);
    assert_eq!(bench.told(), ["v value Device.IP.Interface.2.Status=Up"]);
    bench.input(network_event());
    bench.pass(1000);
    assert!(bench.told().is_empty());
}

/// Nobody who needs no events is woken by them, and none is missed between the first reading and the watching.
#[test]
fn events_are_heard_once_somebody_needs_them() {
    let mut bench = Bench::new(&values("Device.DeviceInfo.HostName"));
    assert_eq!(bench.router.watched(), []);
    let row = [("ID", "w"), ("NotifType", "ValueChange"), ("ReferenceList", STATUS), ("Enable", "true")];
    bench.response(add(false, "Device.LocalAgent.Subscription.", &row.map(|(name, value)| (name, value, true))));
    assert_eq!(bench.router.watched(), [crate::backend::Watch::Event("network.interface".into())]);
    // netifd changed it while the watch was on its way, and nothing told of it.
    bench.link_up(true);
    bench.pass(1000);
    assert_eq!(bench.told(), ["w value Device.IP.Interface.2.Status=Up"]);
}

#[test]
fn what_a_change_does_not_touch_is_not_read() {
    let mut bench = Bench::new(&values("Device.DeviceInfo.HostName"));
    bench.router.clear_journal();
    bench.input(network_event());
    bench.pass(10_000);
    assert_eq!(bench.router.journal(), Vec::<String>::new());
    assert_eq!(bench.wake.map(|at| at > 80_000_000), Some(true), "nothing to wake for but Periodic! tomorrow");
}

#[test]
fn a_set_of_ones_own_is_told_too() {
    let mut bench = Bench::new(&values("Device.DeviceInfo.HostName"));
    bench.response(set(false, "Device.DeviceInfo.", &[("HostName", "new", true)]));
    assert_eq!(bench.told(), ["v value Device.DeviceInfo.HostName=new"]);
}

#[test]
fn a_package_that_somebody_else_wrote_is_told() {
    let mut bench = Bench::new(&values("Device.DeviceInfo."));
    bench.router.set_package("system", "config system\n\toption hostname 'other'\n").unwrap();
    bench.input(Input::Changed(Change::Package("system".into())));
    bench.pass(1000);
    assert_eq!(bench.told(), ["v value Device.DeviceInfo.HostName=other"]);
}

#[test]
fn what_no_event_tells_of_is_polled_and_only_while_somebody_wants_it() {
    let mut bench = Bench::new(&values("Device.DeviceInfo.UpTime"));
    bench.router.set_answer("system", "info", &serde_json::json!({"uptime": 20}));
    bench.pass(5100);
    assert_eq!(bench.told(), ["v value Device.DeviceInfo.UpTime=20"]);
    bench.input(Input::WakeTook(1000));
    bench.pass(5100);
    bench.router.clear_journal();
    bench.pass(45_000);
    assert!(bench.router.journal().is_empty(), "a look of 1 s is taken every 50 s at most");
    bench.response(delete(false, &["Device.LocalAgent.Subscription.1."]));
    bench.router.clear_journal();
    bench.pass(600_000);
    assert!(bench.router.journal().is_empty());
}

#[test]
fn a_threshold_is_told_of_once_it_is_passed() {
    let all = "Device.LocalAgent.Threshold.*.Triggered!";
    let threshold = "config threshold 't'\n\toption controller 'acs'\n\toption Enable '1'\n\t\
        option ReferencePath 'Device.DeviceInfo.'\n\toption ThresholdParam 'UpTime'\n\t\
        option ThresholdValue '100'\n\toption OperatingMode 'Single'\n";
    let mut bench = Bench::new(&format!("{}{threshold}", subscription("e", "Event", all, "")));
    let up = |bench: &mut Bench, seconds: u32| {
        bench.router.set_answer("system", "info", &serde_json::json!({"uptime": seconds}));
        bench.pass(10_100);
        bench.told()
    };
    assert!(up(&mut bench, 99).is_empty());
    assert_eq!(up(&mut bench, 100), ["e event Device.LocalAgent.Threshold.1.Triggered!"]);
    // Single: it has told.
    assert!(up(&mut bench, 10).is_empty() && up(&mut bench, 200).is_empty());
    let package = bench.router.package_text("usp-agent").unwrap();
    assert!(package.contains("option Enable '0'"), "{package}");
    // A controller's own: whose it is follows from who asks.
    let given =
        [("Enable", "true", true), ("ReferencePath", "Device.DeviceInfo.", true), ("ThresholdParam", "UpTime", true)];
    let more = [("ThresholdOperator", "Fall", true), ("ThresholdValue", "50", true)];
    bench.response(add(false, "Device.LocalAgent.Threshold.", &[&given[..], &more[..]].concat()));
    bench.pass(10_100);
    assert_eq!(up(&mut bench, 50), ["e event Device.LocalAgent.Threshold.2.Triggered!"]);
    assert!(up(&mut bench, 40).is_empty());
    assert!(up(&mut bench, 60).is_empty());
    assert_eq!(up(&mut bench, 20), ["e event Device.LocalAgent.Threshold.2.Triggered!"]);
}

#[test]
fn rows_that_come_and_go_are_told_with_their_keys() {
    let created = subscription("c", "ObjectCreation", "Device.LocalAgent.Subscription.", "");
    let deleted = subscription("d", "ObjectDeletion", "Device.LocalAgent.Subscription.*.", "");
    let mut bench = Bench::new(&format!("{created}{deleted}"));
    bench.response(add(false, "Device.LocalAgent.Subscription.", &[("ID", "new", true)]));
    let (_, notify) = bench.notified().remove(0);
    let Some(Notification::ObjCreation(creation)) = notify.notification else { panic!("{notify:?}") };
    assert_eq!(
        (creation.obj_path.as_str(), creation.unique_keys["ID"].as_str()),
        ("Device.LocalAgent.Subscription.3.", "new")
    );
    bench.response(delete(false, &["Device.LocalAgent.Subscription.3."]));
    assert_eq!(bench.told(), ["d deleted Device.LocalAgent.Subscription.3."]);
}

#[test]
fn a_controller_hears_of_its_own_removal_last_and_its_subscriptions_go_with_it() {
    let mut bench = Bench::new(&subscription("d", "ObjectDeletion", "Device.LocalAgent.Controller.*.", ""));
    bench.response(delete(false, &["Device.LocalAgent.Controller.1."]));
    assert_eq!(bench.told(), ["d deleted Device.LocalAgent.Controller.1."]);
    assert!(bench.agent.settings().subscriptions.is_empty());
    assert_eq!(bench.ask(get(&["Device.DeviceInfo."])), None);
}

#[test]
fn with_retry_it_is_repeated_until_it_is_answered() {
    let mut bench = Bench::new(&subscription("v", "ValueChange", STATUS, "\toption NotifRetry '1'\n"));
    bench.link_up(true);
    bench.input(network_event());
    bench.pass(300);
    let (id, notify) = bench.notified().remove(0);
    assert!(notify.send_resp);
    bench.pass(4000);
    assert!(bench.notified().is_empty(), "not before 5 s");
    bench.pass(7000);
    let again: Vec<_> = bench.notified().into_iter().map(|(id, _)| id).collect();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0], id);
    bench.confirm(&id);
    bench.pass(3_600_000);
    assert!(bench.notified().is_empty());
}

#[test]
fn it_gives_up_when_the_notification_expires() {
    let more = "\toption NotifRetry '1'\n\toption NotifExpiration '30'\n";
    let mut bench = Bench::new(&subscription("v", "ValueChange", STATUS, more));
    bench.link_up(true);
    bench.input(network_event());
    bench.pass(31_000);
    assert!((2..=4).contains(&bench.notified().len()));
    bench.pass(3_600_000);
    assert!(bench.notified().is_empty());
}

#[test]
fn what_was_not_answered_is_sent_again_after_a_reboot() {
    let mut bench = Bench::new(&subscription("v", "ValueChange", STATUS, "\toption NotifRetry '1'\n"));
    bench.link_up(true);
    bench.input(network_event());
    bench.pass(300);
    let (id, _) = bench.notified().remove(0);
    bench.input(Input::Stopping);
    bench.reboot();
    bench.connect("acs");
    assert_eq!(bench.notified().into_iter().map(|(id, _)| id).collect::<Vec<_>>(), [id]);
}

#[test]
fn nothing_is_told_to_who_may_not_hear_it() {
    let guest = values(STATUS).replace("'acs'", "'guest'");
    let mut bench = Bench::new(&guest);
    bench.connect("guest");
    bench.sent.clear();
    bench.link_up(true);
    bench.input(network_event());
    bench.pass(1000);
    assert!(bench.told().is_empty());
}

#[test]
fn a_subscription_may_configure() {
    let more = "\toption TriggerAction 'NotifyAndConfig'\n\
                \toption TriggerConfigSettings 'Device.DeviceInfo.HostName=\"up, and running\"'\n";
    let mut bench = Bench::new(&subscription("v", "ValueChange", STATUS, more));
    bench.link_up(true);
    bench.input(network_event());
    bench.pass(1000);
    assert_eq!(bench.told(), ["v value Device.IP.Interface.2.Status=Up"]);
    assert_eq!(bench.get("Device.DeviceInfo.HostName"), ["HostName=up, and running"]);
}

#[test]
fn a_disabled_subscription_is_silent() {
    let mut bench = Bench::new(&values("Device.DeviceInfo.HostName"));
    bench.response(set(false, "Device.LocalAgent.Subscription.1.", &[("Enable", "false", true)]));
    bench.sent.clear();
    bench.response(set(false, "Device.DeviceInfo.", &[("HostName", "new", true)]));
    assert!(bench.told().is_empty());
}

#[test]
fn a_thousand_subscriptions_start_at_once_and_cost_little() {
    let path = |n: usize| {
        ["Device.DeviceInfo.HostName", "Device.IP.Interface.*.Status", "Device.LocalAgent.EndpointID"][n % 3].to_owned()
    };
    let all: String = (0..1000).map(|n| subscription(&format!("s{n}"), "ValueChange", &path(n), "")).collect();
    let mut bench = Bench::off(&all);
    let begin = std::time::Instant::now();
    bench.start();
    let started = begin.elapsed();
    assert_eq!(bench.agent.subscriptions.len(), 1000);
    let begin = std::time::Instant::now();
    bench.input(network_event());
    println!("1000 subscriptions: start {started:?}, a change {:?}", begin.elapsed());
    let asked = bench.router.journal().iter().filter(|line| line.contains("dump")).count();
    assert!(asked <= 4, "each source is asked once per look: {asked}");
}
