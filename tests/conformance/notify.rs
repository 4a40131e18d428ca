//! TP-469 1.52 to 1.60, 1.78, 1.84, 1.93, 1.94 and 1.101 to 1.103: subscriptions and notifications.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use usp_agent::usp::wire::msg::Notify;
use usp_agent::usp::wire::msg::notify::{Notification, OnBoardRequest};

use crate::add::SUBSCRIPTION;
use crate::bench::{Bench, seconds};
use crate::delete::boot_parameter;
use crate::messages::{Setting, WHOLE, accepted, may, must, operate, single};
use crate::set::subscription;
use crate::tester::{PATIENCE, value_change};

/// Subscribes, which must succeed; gives the row's path.
async fn add(t: &mut Bench, settings: &[Setting<'_>]) -> String {
    single(accepted(t.add(WHOLE, &[(SUBSCRIPTION, settings)]).await)).outcome.unwrap().instantiated_path
}

/// The settings of 1.52 to 1.56: a ValueChange of the tester's own ProvisioningCode, with retry.
fn on_change<'a>(id: &'a str, reference: &'a str) -> Vec<Setting<'a>> {
    vec![
        may("Enable", "true"),
        may("ID", id),
        may("NotifType", "ValueChange"),
        must("ReferenceList", reference),
        may("NotifRetry", "true"),
    ]
}

/// The tester's own row, its ProvisioningCode set to something arbitrary.
async fn prepared(t: &mut Bench) -> (String, String) {
    let controller = t.controller().await;
    t.put(&controller, "ProvisioningCode", "arbitrary").await;
    let code = format!("{controller}ProvisioningCode");
    (controller, code)
}

fn of(id: &str) -> impl Fn(&Notify) -> bool {
    move |notify| notify.subscription_id == id
}

pub async fn subscription_creation_using_value_change(t: &mut Bench) {
    let (controller, code) = prepared(t).await;
    add(t, &on_change("notify52", &code)).await;
    t.put(&controller, "ProvisioningCode", "TestValue52").await;
    let notify = t.notify("notify52").await;
    assert_eq!(value_change(&notify), (&*code, "TestValue52"));
    assert!(notify.send_resp, "NotifRetry wants an answer");
}

pub async fn subscription_deletion_using_value_change(t: &mut Bench) {
    let (controller, code) = prepared(t).await;
    let row = add(t, &on_change("notify53", &code)).await;
    t.put(&controller, "ProvisioningCode", "TestValue53").await;
    t.notify("notify53").await;
    let deleted = single(accepted(t.delete(WHOLE, &[&row]).await));
    assert_eq!(deleted.outcome.unwrap().affected_paths, [row]);
    t.put(&controller, "ProvisioningCode", "notify53-2").await;
    t.no_notify(Duration::from_secs(20), |_| true).await;
}

/// How far a time may be off: the load of the machine, and the way of a message.
const EARLY: Duration = Duration::from_millis(300);
const LATE: Duration = Duration::from_secs(2);

fn is_between(time: Duration, from: u64, to: u64) {
    let (from, to) = (Duration::from_secs(from), Duration::from_secs(to));
    assert!(time + EARLY >= from && time <= to + LATE, "{time:?} is not between {from:?} and {to:?}");
}

pub async fn retry_using_value_change(t: &mut Bench) {
    let (controller, code) = prepared(t).await;
    assert_eq!(t.value(&format!("{controller}USPNotifRetryMinimumWaitInterval")).await, "5");
    t.silent = true;
    add(t, &on_change("notify54", &code)).await;
    t.put(&controller, "ProvisioningCode", "TestValue54").await;
    let first = t.notify_within(PATIENCE, of("notify54")).await.expect("a Notify");
    let second = t.notify_within(Duration::from_secs(15), of("notify54")).await.expect("a first retry");
    is_between(second.at - first.at, 5, 10);
    let third = t.notify_within(Duration::from_secs(25), of("notify54")).await.expect("a second retry");
    is_between(third.at - second.at, 10, 20);
    assert_eq!((&first.notify, &first.msg_id), (&third.notify, &third.msg_id), "the same message again");
    t.answer_notify(&third);
    // The third retry would come after 20 to 40 seconds.
    t.no_notify(seconds(42, 22), |_| true).await;
}

pub async fn subscription_expiration_using_value_change(t: &mut Bench) {
    let (controller, code) = prepared(t).await;
    let settings: Vec<_> = on_change("notify55", &code).into_iter().chain([may("TimeToLive", "20")]).collect();
    let row = add(t, &settings).await;
    t.put(&controller, "ProvisioningCode", "TestValue55").await;
    t.notify("notify55").await;
    sleep(Duration::from_secs(20)).await;
    let there = single(accepted(t.get_instances(&[SUBSCRIPTION], false).await));
    assert!(there.curr_insts.iter().all(|instance| instance.instantiated_obj_path != row), "{there:?}");
    t.put(&controller, "ProvisioningCode", "TestValue55-2").await;
    t.no_notify(Duration::from_secs(10), |_| true).await;
}

pub async fn retry_expiration_using_value_change(t: &mut Bench) {
    let (controller, code) = prepared(t).await;
    assert_eq!(t.value(&format!("{controller}USPNotifRetryMinimumWaitInterval")).await, "5");
    t.silent = true;
    let settings: Vec<_> = on_change("notify56", &code).into_iter().chain([may("NotifExpiration", "20")]).collect();
    add(t, &settings).await;
    t.put(&controller, "ProvisioningCode", "TestValue56").await;
    let first = t.notify_within(PATIENCE, of("notify56")).await.expect("a Notify");
    let end = first.at + Duration::from_secs(60);
    let mut retries = Vec::new();
    while let Some(again) = t.notify_within(end.saturating_duration_since(Instant::now()), of("notify56")).await {
        retries.push(again.at - first.at);
    }
    assert!(!retries.is_empty(), "no retry within 20 seconds");
    assert!(retries.iter().all(|time| *time <= Duration::from_secs(20) + LATE), "{retries:?}");
}

pub async fn object_creation(t: &mut Bench) {
    let controller = t.controller().await;
    let creation = [
        may("Enable", "true"),
        may("ID", "notify57"),
        may("NotifType", "ObjectCreation"),
        must("ReferenceList", SUBSCRIPTION),
        may("NotifRetry", "true"),
    ];
    add(t, &creation).await;
    let code = format!("{controller}ProvisioningCode");
    let row = add(t, &on_change("notify57-2", &code)).await;
    let notify = t.notify("notify57").await;
    let Some(Notification::ObjCreation(created)) = notify.notification else { panic!("{notify:?}") };
    assert_eq!(created.obj_path, row);
    assert_eq!(created.unique_keys["ID"], "notify57-2");
    assert_eq!(created.unique_keys["Recipient"], controller.trim_end_matches('.'));
}

pub async fn object_deletion(t: &mut Bench) {
    let row = subscription(t, "notify58-setup").await;
    let deletion = [
        may("Enable", "true"),
        may("ID", "notify58"),
        may("NotifType", "ObjectDeletion"),
        must("ReferenceList", SUBSCRIPTION),
        may("NotifRetry", "true"),
    ];
    add(t, &deletion).await;
    accepted(t.delete(WHOLE, &[&row]).await);
    let notify = t.notify("notify58").await;
    let Some(Notification::ObjDeletion(deleted)) = notify.notification else { panic!("{notify:?}") };
    assert_eq!(deleted.obj_path, row);
}

pub async fn event_using_periodic(t: &mut Bench) {
    let interval = seconds(60, 15);
    let controller = t.controller().await;
    let value = interval.as_secs().to_string();
    let settings = [may("PeriodicNotifInterval", &value), may("PeriodicNotifTime", "2019-01-01T00:00:00Z")];
    let updated = single(accepted(t.set(WHOLE, &[(&controller, &settings)]).await));
    assert!(single(updated.outcome.unwrap()).param_errs.is_empty());
    let settings = [
        may("Enable", "true"),
        may("ID", "sub-103"),
        may("NotifType", "Event"),
        may("ReferenceList", "Device.LocalAgent.Periodic!"),
    ];
    add(t, &settings).await;
    let mut times = Vec::new();
    for _ in 0..2 {
        let heard = t.notify_within(interval + PATIENCE, of("sub-103")).await.expect("a Notify");
        let Some(Notification::Event(event)) = &heard.notify.notification else { panic!("{:?}", heard.notify) };
        assert_eq!((&*event.obj_path, &*event.event_name), ("Device.LocalAgent.", "Periodic!"));
        times.push(heard.at);
    }
    let tolerance = seconds(4, 2);
    let apart = times[1] - times[0];
    assert!(apart + tolerance >= interval && apart <= interval + tolerance, "{apart:?} apart");
}

/// SendOnBoardRequest() of the tester's own row, without a response.
async fn send_on_board_request(t: &mut Bench, key: &str) {
    let command = format!("{}SendOnBoardRequest()", t.controller().await);
    t.send(operate(&command, key, false, &[]));
}

fn on_boards(notify: &Notify) -> bool {
    matches!(notify.notification, Some(Notification::OnBoardReq(_)))
}

async fn on_board_request(t: &mut Bench) -> OnBoardRequest {
    let notify = t.notify_within(PATIENCE, on_boards).await.expect("an OnBoardRequest").notify;
    assert_eq!(notify.subscription_id, "");
    assert!(notify.send_resp, "an OnBoardRequest is repeated until it is answered");
    match notify.notification {
        Some(Notification::OnBoardReq(request)) => request,
        other => panic!("{other:?}"),
    }
}

pub async fn on_board_request_notification(t: &mut Bench) {
    send_on_board_request(t, "test60").await;
    let request = on_board_request(t).await;
    assert!(request.oui.len() == 6 && request.oui.bytes().all(|b| b.is_ascii_hexdigit()), "{request:?}");
    assert!(!request.product_class.is_empty() && !request.serial_number.is_empty(), "{request:?}");
    assert!(request.agent_supported_protocol_versions.split(',').any(|v| v == "1.4"), "{request:?}");
}

pub async fn on_boarding_complete_set_to_false(t: &mut Bench) {
    let controller = t.controller().await;
    send_on_board_request(t, "test101").await;
    on_board_request(t).await;
    assert_eq!(t.value(&format!("{controller}OnBoardingComplete")).await, "false");
    t.put(&controller, "OnBoardingComplete", "true").await;
}

pub async fn on_boarding_restart_time(t: &mut Bench) {
    let restart = seconds(60, 10);
    let controller = t.controller().await;
    t.put(&controller, "OnBoardingRestartTime", &restart.as_secs().to_string()).await;
    send_on_board_request(t, "test102").await;
    let first = t.notify_within(PATIENCE, on_boards).await.expect("an OnBoardRequest");
    let second = t.notify_within(restart + PATIENCE, on_boards).await.expect("another OnBoardRequest");
    is_between(second.at - first.at, restart.as_secs(), restart.as_secs());
    t.put(&controller, "OnBoardingComplete", "true").await;
    t.no_notify(restart + seconds(0, 5), on_boards).await;
}

pub async fn on_boarding_restart_time_disabled(t: &mut Bench) {
    let controller = t.controller().await;
    t.put(&controller, "OnBoardingRestartTime", "0").await;
    send_on_board_request(t, "test103").await;
    on_board_request(t).await;
    t.no_notify(seconds(60, 20), on_boards).await;
}

pub async fn removal_of_subscriptions_without_controller(t: &mut Bench) {
    let settings = [
        ("Enable", "true"),
        ("ID", "theirs"),
        ("NotifType", "ValueChange"),
        ("ReferenceList", "Device.LocalAgent.SoftwareVersion"),
    ];
    let second = t.second();
    let secondary = second.controller().await;
    let row = second.make(SUBSCRIPTION, &settings).await;
    let own = subscription(t, "own").await;
    let deleted = single(accepted(t.delete(WHOLE, &[&secondary]).await));
    assert!(deleted.outcome.unwrap().affected_paths.contains(&secondary));
    let there = t.objects(SUBSCRIPTION).await;
    assert!(!there.contains_key(&row), "{there:?}");
    assert!(there.contains_key(&own), "{there:?}");
}

/// The plan writes the path of the Set without its final dot.
pub async fn subscription_using_search_paths(t: &mut Bench) {
    let row = boot_parameter(t, "Device.LocalAgent.SoftwareVersion", "true").await;
    boot_parameter(t, "Device.LocalAgent.EndpointID", "true").await;
    let reference = format!("{}BootParameter.*.Enable", t.controller().await);
    let settings = [
        may("Enable", "true"),
        may("ID", "notify84"),
        may("NotifType", "ValueChange"),
        must("ReferenceList", &reference),
    ];
    add(t, &settings).await;
    t.put(row.trim_end_matches('.'), "Enable", "false").await;
    let notify = t.notify("notify84").await;
    assert_eq!(value_change(&notify), (&*format!("{row}Enable"), "false"));
}

pub async fn trigger_action_config(t: &mut Bench) {
    triggers(t, "Config", "notify93", "TestValue93").await;
    t.no_notify(Duration::from_secs(2), of("notify93")).await;
}

pub async fn trigger_action_notify_and_config(t: &mut Bench) {
    let code = triggers(t, "NotifyAndConfig", "notify94", "TestValue94").await;
    let notify = t.notify("notify94").await;
    assert_eq!(value_change(&notify), (&*code, "TestValue94"));
}

/// A ValueChange disables the subscription itself; gives the parameter's path.
async fn triggers(t: &mut Bench, action: &str, id: &str, value: &str) -> String {
    let (controller, code) = prepared(t).await;
    let settings: Vec<_> = on_change(id, &code).into_iter().chain([may("TriggerAction", action)]).collect();
    let row = add(t, &settings).await;
    t.put(&row, "TriggerConfigSettings", &format!("{row}Enable=false")).await;
    t.put(&controller, "ProvisioningCode", value).await;
    let until = Instant::now() + PATIENCE;
    while t.value(&format!("{row}Enable")).await != "false" {
        assert!(Instant::now() < until, "Enable stays true");
        sleep(Duration::from_millis(200)).await;
    }
    code
}
