//! A change that may cut the way to the controllers stands once one is heard of again, or goes.

use super::*;

const REVERTED: &str = "Device.LocalAgent.X_USPAGENT_ChangeReverted!";
/// Milliseconds until what is heard counts, and until time is up.
const SETTLED: u64 = 5_000;
const WINDOW: u64 = 120_000;

fn bench() -> Bench {
    Bench::new(&subscription("e", "Event", REVERTED, ""))
}

impl Bench {
    /// acs disables the WAN.
    fn cut(&mut self) {
        self.response(set(false, "Device.IP.Interface.2.", &[("Enable", "false", true)]));
    }

    fn lose(&mut self) {
        self.input(Input::Lost { channel: CHANNEL });
    }

    fn on_trial(&self) -> bool {
        !self.router.unconfirmed().packages.is_empty()
    }

    fn wan_is_cut(&self) -> bool {
        self.router.package_text("network").unwrap().contains("disabled")
    }
}

#[test]
fn a_change_stands_once_the_other_side_answers() {
    let mut bench = bench();
    bench.cut();
    assert!(bench.on_trial() && bench.wan_is_cut());
    bench.done.clear();
    bench.pass(SETTLED);
    assert_eq!(bench.done, [Action::Probe(CHANNEL)]);
    bench.input(Input::Alive { channel: CHANNEL });
    assert!(!bench.on_trial());
    bench.pass(2 * WINDOW);
    assert!(bench.wan_is_cut());
    assert_eq!(bench.kept.iter().find(|(what, _)| *what == Kept::Trial).map(|(_, text)| text.as_str()), Some(""));
}

#[test]
fn what_was_on_its_way_before_confirms_nothing_and_what_comes_later_does() {
    let mut bench = bench();
    bench.cut();
    bench.pass(SETTLED - 1);
    bench.input(Input::Alive { channel: CHANNEL });
    bench.get("Device.DeviceInfo.HostName");
    assert!(bench.on_trial());
    bench.pass(1);
    bench.get("Device.DeviceInfo.HostName");
    assert!(!bench.on_trial());
}

#[test]
fn silence_undoes_the_change_and_the_controller_hears_of_it_when_it_is_back() {
    let mut bench = bench();
    bench.cut();
    bench.lose();
    bench.pass(WINDOW - 1);
    assert!(bench.on_trial() && bench.wan_is_cut());
    bench.done.clear();
    bench.pass(1);
    assert!(!bench.on_trial() && !bench.wan_is_cut());
    assert_eq!(bench.done, [Action::ConfigWritten(vec!["network".into()])]);
    assert!(bench.sent.is_empty());
    bench.connect("acs");
    let (_, notify) = bench.notified().remove(0);
    let Some(Notification::Event(event)) = notify.notification else { panic!() };
    assert_eq!(format!("{}{}", event.obj_path, event.event_name), REVERTED);
    assert_eq!((&*event.params["Packages"], &*event.params["Changes"]), ("network", "network.wan.disabled: 1 -> -"));
}

#[test]
fn a_connection_made_anew_counts_once_services_had_their_time() {
    let mut bench = bench();
    bench.cut();
    bench.lose();
    bench.connect("acs");
    assert!(bench.on_trial());
    bench.lose();
    bench.pass(SETTLED);
    bench.connect("guest");
    assert!(bench.on_trial(), "acs asked for it, so it is acs that must be heard");
    bench.connect("acs");
    assert!(!bench.on_trial() && bench.wan_is_cut());
}

#[test]
fn a_probe_is_repeated_while_nobody_answers() {
    let mut bench = bench();
    bench.cut();
    bench.done.clear();
    bench.pass(SETTLED + 25_000);
    assert_eq!(bench.done, [Action::Probe(CHANNEL), Action::Probe(CHANNEL), Action::Probe(CHANNEL)]);
}

#[test]
fn a_second_change_keeps_what_was_before_the_first() {
    let mut bench = bench();
    bench.cut();
    bench.pass(1_000);
    bench.response(set(false, "Device.IP.Interface.1.", &[("Enable", "false", true)]));
    bench.lose();
    bench.pass(WINDOW - 1);
    assert!(bench.on_trial());
    bench.pass(1);
    assert!(!bench.wan_is_cut());
}

#[test]
fn a_trial_outlives_a_start_but_not_many() {
    let mut bench = bench();
    bench.cut();
    for _ in 0..3 {
        bench.reboot();
        bench.pass(WINDOW - 1);
        assert!(bench.on_trial() && bench.wan_is_cut());
    }
    bench.reboot();
    assert!(!bench.on_trial() && !bench.wan_is_cut());
}

#[test]
fn after_a_start_a_connection_confirms_once_services_were_told_and_had_their_time() {
    let mut bench = bench();
    bench.cut();
    bench.router.clear_journal();
    bench.reboot();
    assert!(bench.router.journal().iter().any(|line| line == "event config.change network"));
    bench.connect("acs");
    assert!(bench.on_trial());
    bench.pass(SETTLED);
    bench.input(Input::Alive { channel: CHANNEL });
    assert!(!bench.on_trial() && bench.wan_is_cut());
}

/// The agent is killed when the packages are put back: neither the services nor anybody else knows.
#[test]
fn an_undoing_that_a_crash_cut_short_is_ended_and_told_after_the_start() {
    let mut bench = bench();
    bench.cut();
    now(bench.router.revert()).unwrap();
    bench.router.clear_journal();
    bench.reboot();
    assert!(!bench.on_trial() && !bench.router.unconfirmed().begun && !bench.wan_is_cut());
    assert!(bench.router.journal().iter().any(|line| line == "event config.change network"));
    bench.connect("acs");
    let (_, notify) = bench.notified().pop().unwrap();
    let Some(Notification::Event(event)) = notify.notification else { panic!() };
    assert_eq!((&*event.params["Packages"], &*event.params["Changes"]), ("network", "network.wan.disabled: 1 -> -"));
    bench.reboot();
    bench.connect("acs");
    assert!(bench.told().is_empty());
}

impl Bench {
    /// The trials whose undoing acs is told of now.
    fn trials(&mut self) -> Vec<String> {
        self.connect("acs");
        let events = self.notified().into_iter().filter_map(|(_, notify)| match notify.notification {
            Some(Notification::Event(mut event)) => event.params.remove("Trial"),
            _ => None,
        });
        events.collect()
    }
}

/// The agent is killed when the event is kept, or sent, and the trial is not forgotten yet: undone when time was up, or
/// at the one start too many.
#[test]
fn what_a_crash_makes_the_agent_tell_twice_is_told_of_the_same_trial() {
    for starts in [0, 3] {
        let mut bench = Bench::new(&subscription("e", "Event", REVERTED, "\toption NotifRetry '1'\n"));
        bench.cut();
        bench.lose();
        (0..starts).for_each(|_| bench.reboot());
        bench.dies_before_forgetting = true;
        match starts {
            0 => bench.pass(WINDOW),
            _ => bench.reboot(),
        }
        bench.dies_before_forgetting = false;
        bench.reboot();
        let trials = bench.trials();
        assert!(trials.len() == 2 && trials[0].len() == 16 && trials[0] == trials[1], "{starts}: {trials:?}");
    }
}

#[test]
fn another_change_is_another_trial_and_a_second_one_meanwhile_is_not() {
    let mut bench = bench();
    let mut trials = Vec::new();
    for again in [false, true] {
        bench.cut();
        let kept = |bench: &Bench| bench.kept.iter().find(|(kept, _)| *kept == Kept::Trial).unwrap().1.clone();
        let before = kept(&bench);
        if again {
            bench.response(set(false, "Device.IP.Interface.1.", &[("Enable", "false", true)]));
            assert_eq!(kept(&bench).lines().next(), before.lines().next());
        }
        bench.lose();
        bench.pass(2 * WINDOW);
        trials.append(&mut bench.trials());
    }
    assert!(trials.len() == 2 && trials[0] != trials[1], "{trials:?}");
}

/// It was killed before the first rename. Whoever writes the package later is not undone for that.
#[test]
fn what_was_kept_for_a_change_never_made_is_forgotten_at_the_start() {
    let mut bench = bench();
    bench.cut();
    now(bench.router.revert()).unwrap();
    bench.kept.retain(|(kept, _)| *kept != Kept::Trial);
    bench.reboot();
    assert!(!bench.router.unconfirmed().begun);
    bench.connect("acs");
    assert!(bench.told().is_empty());
}

#[test]
fn nothing_is_demanded_that_was_not_there_before_or_is_no_network() {
    let mut bench = Bench::off("");
    bench.start();
    bench.connect_by(Protocol::UnixSocket, CHANNEL, "acs");
    bench.cut();
    assert!(!bench.on_trial() && bench.wan_is_cut());
}

#[test]
fn what_a_file_restored_is_confirmed_by_the_controller_that_asked_for_it() {
    let mut bench = bench();
    bench.connect_by(Protocol::Stomp, ChannelId(2, 1), "guest");
    bench.done.clear();
    let input = [("URL", "https://h/network"), ("Username", ""), ("Password", "")];
    bench.response(operate("Device.DeviceInfo.VendorConfigFile.1.Restore()", "k", &input));
    let Action::Spawn(Operation { request, .. }) = bench.done.remove(0) else { panic!("{:?}", bench.done) };
    let file = "config interface 'lan'\nconfig interface 'wan'\n\toption disabled '1'\n";
    bench.input(Input::OperationDone { request, outcome: Ok(vec![("file".into(), file.into())]) });
    assert!(bench.on_trial() && bench.wan_is_cut());
    bench.pass(SETTLED);
    bench.input(Input::Alive { channel: ChannelId(2, 1) });
    assert!(bench.on_trial());
    bench.input(Input::Alive { channel: CHANNEL });
    assert!(!bench.on_trial());
}

#[test]
fn a_controller_that_removes_itself_is_not_waited_for() {
    let mut bench = bench();
    bench.response(set(false, "Device.LocalAgent.Controller.1.", &[("Enable", "false", true)]));
    assert!(!bench.on_trial());
}

#[test]
fn a_window_shorter_than_services_need_is_made_longer() {
    let mut bench = bench();
    let text = bench.router.package_text("usp-agent").unwrap();
    let text = text.replacen("config localagent\n", "config localagent\n\toption ConfirmWindow '3'\n", 1);
    bench.router.set_package("usp-agent", &text).unwrap();
    bench.input(Input::ConfigChanged);
    bench.cut();
    bench.pass(9_999);
    assert!(bench.on_trial());
    bench.input(Input::Alive { channel: CHANNEL });
    assert!(!bench.on_trial() && bench.wan_is_cut());
    bench.response(set(false, "Device.IP.Interface.2.", &[("Enable", "true", true)]));
    bench.lose();
    bench.pass(9_999);
    assert!(bench.on_trial());
    bench.pass(1);
    assert!(!bench.on_trial() && bench.wan_is_cut());
}

#[test]
fn other_changes_are_not_on_trial_and_none_is_where_the_owner_says_so() {
    let mut bench = bench();
    bench.response(set(false, "Device.DeviceInfo.", &[("HostName", "new", true)]));
    bench.response(set(false, "Device.LocalAgent.Controller.1.", &[("ProvisioningCode", "x", true)]));
    assert!(!bench.on_trial());
    let text = bench.router.package_text("usp-agent").unwrap();
    let text = text.replacen("config localagent\n", "config localagent\n\toption ConfirmWindow '0'\n", 1);
    bench.router.set_package("usp-agent", &text).unwrap();
    bench.input(Input::ConfigChanged);
    bench.cut();
    assert!(!bench.on_trial() && bench.wan_is_cut());
}
