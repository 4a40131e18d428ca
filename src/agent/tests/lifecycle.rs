//! Boot!, Periodic!, OnBoardRequest, and what a start or the passing of time removes.

use super::*;

const BOOT: &str = "Device.Boot!";

fn events(reference: &str) -> String {
    subscription("e", "Event", reference, "")
}

#[test]
fn boot_waits_for_the_link_and_carries_the_boot_parameters() {
    let parameters = "config boot_parameter\n\toption controller 'acs'\n\toption ParameterName 'Device.DeviceInfo.HostName'\n\
                      config boot_parameter\n\toption controller 'acs'\n\toption ParameterName 'Device.Nonsense.'\n";
    let mut bench = Bench::off(&format!("{}{parameters}", events(BOOT)));
    bench.start();
    assert!(bench.sent.is_empty());
    bench.connect("acs");
    assert!(matches!(bench.sent[0].1, Content::Connect(_)), "the Connect record comes first");
    let (_, notify) = bench.notified().remove(0);
    let Some(Notification::Event(event)) = notify.notification else { panic!() };
    assert_eq!(event.params["ParameterMap"], r#"{"Device.DeviceInfo.HostName":"OpenWrt"}"#);
    assert_eq!((event.params["Cause"].as_str(), event.params["Reason"].as_str()), ("LocalReboot", "Unknown"));
}

#[test]
fn other_firmware_is_told() {
    let mut bench = Bench::new(&events(BOOT));
    bench.router.set_file("/etc/version", "2.0\n");
    bench.reboot();
    bench.connect("acs");
    assert!(format!("{:?}", bench.notified()).contains(r#""FirmwareUpdated": "true""#));
}

#[test]
fn periodic_comes_at_its_interval_and_after_boot() {
    let config = events("Device.LocalAgent.Periodic!") + &subscription("b", "Event", BOOT, "");
    let mut bench = Bench::off(&config);
    let text = bench.router.package_text("usp-agent").unwrap();
    let text = text.replacen(
        "\toption EndpointID 'proto::acs'\n",
        "\toption EndpointID 'proto::acs'\n\toption PeriodicNotifInterval '60'\n",
        1,
    );
    bench.router.set_package("usp-agent", &text).unwrap();
    bench.start();
    bench.pass(61_000);
    bench.connect("acs");
    assert_eq!(bench.told(), ["b event Device.Boot!", "e event Device.LocalAgent.Periodic!"]);
    bench.pass(58_000);
    assert!(bench.told().is_empty());
    bench.pass(122_000);
    assert_eq!(bench.told().len(), 3);
}

#[test]
fn periodic_keeps_the_phase_of_its_time() {
    let line = "controller c EndpointID=x PeriodicNotifInterval=60 PeriodicNotifTime=2000-01-01T00:00:20Z";
    let settings = Settings::from_package(&settings::tests::package(line));
    let clock = Now { monotonic_ms: 5, unix_ms: UNIX_MS, clock_is_set: true };
    let controller = &settings.controllers[0];
    assert_eq!(crate::agent::lifecycle::until_periodic(controller, 0, clock), 20_000);
    let later = Now { unix_ms: UNIX_MS + 20_000, ..clock };
    assert_eq!(crate::agent::lifecycle::until_periodic(controller, 0, later), 60_000);
    let unknown = Now { clock_is_set: false, ..clock };
    assert_eq!(crate::agent::lifecycle::until_periodic(controller, 0, unknown), 59_995);
}

#[test]
fn subscriptions_that_do_not_persist_go_at_the_start() {
    let passing = events(BOOT).replace("Persistent '1'", "Persistent '0'").replace("'e'", "'passing'");
    let mut bench = Bench::new(&format!("{passing}{}", events(BOOT)));
    assert_eq!(bench.get("Device.LocalAgent.Subscription.*.ID"), ["ID=e"]);
    assert!(!bench.router.package_text("usp-agent").unwrap().contains("passing"));
}

#[test]
fn a_subscription_goes_when_its_time_is_over() {
    let config =
        subscription("v", "Event", BOOT, "\toption TimeToLive '100'\n\toption CreationDate '2027-01-15T08:00:00Z'\n");
    let mut bench = Bench::new(&config);
    bench.pass(99_000);
    assert_eq!(bench.get("Device.LocalAgent.Subscription.*.ID"), ["ID=v"]);
    bench.pass(2000);
    assert!(bench.get("Device.LocalAgent.Subscription.*.ID").is_empty());
}

#[test]
fn an_on_board_request_is_repeated_until_it_is_answered() {
    let mut bench = Bench::new("");
    bench.response(operate("Device.LocalAgent.Controller.1.SendOnBoardRequest()", "", &[]));
    let (id, notify) = bench.notified().remove(0);
    assert!(notify.send_resp && notify.subscription_id.is_empty());
    assert_eq!(line(&notify), " on-board 123");
    assert_eq!(bench.get("Device.LocalAgent.Controller.1.OnBoardingComplete"), ["OnBoardingComplete=false"]);
    bench.pass(10_100);
    assert_eq!(bench.notified().len(), 1);
    bench.confirm(&id);
    bench.pass(600_000);
    assert!(bench.notified().is_empty());
    bench.reboot();
    bench.connect("acs");
    assert_eq!(bench.told(), [" on-board 123"], "not on-boarded: asked again at the next start");
}

#[test]
fn a_controller_that_is_added_is_heard_at_once() {
    let mut bench = Bench::new("");
    assert_eq!(bench.ask_as("proto::new", get(&["Device.DeviceInfo."])), None);
    let text = bench.router.package_text("usp-agent").unwrap();
    let new = "config controller 'new'\n\toption EndpointID 'proto::new'\n\tlist role 'full'\n";
    bench.router.set_package("usp-agent", &format!("{text}{new}")).unwrap();
    bench.input(Input::ConfigChanged);
    assert!(bench.ask_as("proto::new", get(&["Device.DeviceInfo."])).is_some());
}

#[test]
fn a_stop_says_goodbye() {
    let mut bench = Bench::new("");
    bench.input(Input::Stopping);
    assert!(matches!(bench.sent[..], [(_, Content::Disconnect { .. })]), "{:?}", bench.sent);
}
