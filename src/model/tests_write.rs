//! Writing where it is easy to get wrong: keys over a whole message, numbers over undone changes, short forms.

use super::docs::View;
use super::pipeline::invert;
use super::source::Filter;
use super::tests::{MAPPING, Router, get, model, now, schema};
use super::{Committed, Everything, Instances, Model, Transaction};
use crate::backend::uci::{Opt, OptValue, Package, Section};
use crate::usp::fault::{Code, Fault};

const STATIC: &str = "Device.DHCPv4.Server.Pool.1.StaticAddress.";
const SUBSCRIPTIONS: &str = "Device.LocalAgent.Subscription.";

async fn set(change: &mut Transaction<'_, Router>, path: &str, name: &str, value: &str) -> Result<(), Fault> {
    let row = change.objects(&Everything, path).await?.remove(0);
    change.set(&Everything, &row, name, value).await
}

/// Sets all of `path`, name and value, in one message.
fn set_all(model: &Model<Router>, settings: &[(String, &str, &str)]) -> Result<Committed, Code> {
    let done = now(async {
        let mut change = model.begin();
        for (path, name, value) in settings {
            set(&mut change, path, name, value).await?;
        }
        change.commit().await
    });
    done.map_err(|fault| fault.code)
}

fn row(number: u32) -> String {
    format!("{STATIC}{number}.")
}

async fn add(model: &Model<Router>, table: &str) -> Result<Committed, Fault> {
    let mut change = model.begin();
    let place = change.tables(&Everything, table).await?.remove(0);
    let row = change.create(&Everything, &place).await?;
    change.finish(&Everything, &row).await?;
    change.commit().await
}

#[test]
fn keys_that_a_set_gives_twice_are_refused() {
    let taken = (row(2), "Chaddr", "aa:bb:cc:00:00:01");
    assert_eq!(set_all(&model(), &[taken]).unwrap_err(), Code::UniqueKeyExists);
    let aliases = [(row(1), "Alias", "same"), (row(2), "Alias", "same")];
    assert_eq!(set_all(&model(), &aliases).unwrap_err(), Code::UniqueKeyExists);
}

#[test]
fn keys_may_be_exchanged_in_one_message() {
    let model = model();
    let swap = [(row(1), "Chaddr", "aa:bb:cc:00:00:02"), (row(2), "Chaddr", "aa:bb:cc:00:00:01")];
    set_all(&model, &swap).unwrap();
    assert_eq!(get(&model, &format!("{STATIC}1.Yiaddr")), [format!("{STATIC}1.Yiaddr=192.168.1.11")]);
    assert_eq!(get(&model, &format!("{STATIC}1.Chaddr")), [format!("{STATIC}1.Chaddr=AA:BB:CC:00:00:02")]);
}

#[test]
fn an_anonymous_row_keeps_its_number_when_all_of_it_changes() {
    let model = model();
    let all = [(row(2), "Chaddr", "aa:bb:cc:00:00:33"), (row(2), "Yiaddr", "192.168.1.33")];
    set_all(&model, &all).unwrap();
    assert_eq!(
        get(&model, &format!("{STATIC}*.Yiaddr")),
        [format!("{STATIC}1.Yiaddr=192.168.1.11"), format!("{STATIC}2.Yiaddr=192.168.1.33")]
    );
}

#[test]
fn an_anonymous_row_keeps_its_number_when_its_change_is_undone() {
    let model = model();
    now(async {
        let mut change = model.begin();
        set(&mut change, &row(2), "Chaddr", "aa:bb:cc:00:00:33").await?;
        set(&mut change, &row(2), "Yiaddr", "192.168.1.33").await?;
        set(&mut change, &row(2), "Yiaddr", "192.168.1.34").await
    })
    .unwrap();
    assert_eq!(get(&model, &format!("{STATIC}2.Yiaddr")), [format!("{STATIC}2.Yiaddr=192.168.1.12")]);
}

#[test]
fn a_row_that_the_owner_removed_does_not_come_back_with_the_next() {
    let model = model();
    now(add(&model, SUBSCRIPTIONS)).unwrap();
    model.backend().package("agent", super::tests::AGENT);
    assert_eq!(now(add(&model, SUBSCRIPTIONS)).unwrap().created[0].path, "Device.LocalAgent.Subscription.2.");
}

#[test]
fn a_row_that_was_not_created_costs_no_number() {
    let model = model();
    now(async {
        let mut change = model.begin();
        let place = change.tables(&Everything, SUBSCRIPTIONS).await?.remove(0);
        let start = change.savepoint();
        change.create(&Everything, &place).await?;
        change.rollback(start);
        change.create(&Everything, &place).await
    })
    .unwrap();
    assert!(!model.instance_numbers().save().contains("subscription"), "what was never there is remembered");
    assert_eq!(now(add(&model, SUBSCRIPTIONS)).unwrap().created[0].path, "Device.LocalAgent.Subscription.1.");
}

#[test]
fn a_key_that_cannot_be_made_up_stays_empty() {
    let model = model();
    now(add(&model, STATIC)).unwrap();
    assert!(!model.backend().text("dhcp").contains("option mac 'cpe-"), "{}", model.backend().text("dhcp"));
}

#[test]
fn edits_go_against_the_package_as_it_was_read() {
    let model = model();
    now(async {
        let mut change = model.begin();
        set(&mut change, &row(2), "Yiaddr", "192.168.1.33").await?;
        model.backend().package("dhcp", "config dhcp lan\nconfig host\n\toption mac aa:bb:cc:00:00:02\n");
        change.commit().await
    })
    .unwrap();
    // A router merges; the one in memory writes base and edits.
    assert!(model.backend().text("dhcp").contains("00:01"), "{}", model.backend().text("dhcp"));
}

#[test]
fn one_reference_is_not_two() {
    let two = "Device.IP.Interface.1,Device.IP.Interface.2";
    let settings = [("Device.DHCPv4.Server.Pool.1.".to_string(), "Interface", two)];
    assert_eq!(set_all(&model(), &settings).unwrap_err(), Code::InvalidValue);
}

#[test]
fn an_element_of_a_list_goes_to_its_own_place_or_nowhere() {
    let mapping = MAPPING.replace("  UpTime ", "  ProvisioningCode = uci system.@system[0].codes[1]\n  UpTime ");
    let write = |system: &str| {
        let router = Router::default();
        router.package("system", system);
        let model = Model::new(schema(&mapping), router, Instances::default(), Vec::new());
        let settings = [("Device.DeviceInfo.".to_string(), "ProvisioningCode", "x")];
        set_all(&model, &settings).map(|_| get(&model, "Device.DeviceInfo.ProvisioningCode").remove(0))
    };
    assert_eq!(write("config system\n\tlist codes a\n").unwrap(), "Device.DeviceInfo.ProvisioningCode=x");
    assert_eq!(write("config system\n").unwrap_err(), Code::InvalidValue);
}

#[test]
fn a_number_without_a_way_back_is_refused() {
    assert_eq!(invert(&Filter::Mul(0), "5".into()), None);
    assert_eq!(invert(&Filter::Mul(-1), i64::MIN.to_string()), None);
    assert_eq!(invert(&Filter::Mul(60), "120".into()).as_deref(), Some("2"));
}

/// `option url` of a controller stands for a link and for a subscription.
fn expand(package: &Package) -> Package {
    written(package, |_| true)
}

fn expand_section(package: &Package, name: &str) -> Package {
    written(package, |controller| [format!("{controller}_link"), format!("{controller}_sub")].iter().any(|n| n == name))
}

fn written(package: &Package, wanted: impl Fn(&str) -> bool) -> Package {
    let mut long = package.clone();
    for section in &package.sections {
        let Some(url) = section.text("url").filter(|_| wanted(&section.name)) else { continue };
        long.sections
            .iter_mut()
            .filter(|s| s.name == section.name)
            .for_each(|s| s.options.retain(|o| &*o.name != "url"));
        let link = [("controller", &*section.name), ("Topic", url)];
        long.sections.push(made(&format!("{}_link", section.name), "controller_mtp", &link));
        long.sections.push(made(&format!("{}_sub", section.name), "subscription", &[("ID", url)]));
    }
    long
}

fn made(name: &str, kind: &str, options: &[(&str, &str)]) -> Section {
    let option = |&(name, value): &(&str, &str)| Opt { name: name.into(), value: OptValue::One(value.into()), line: 0 };
    let options = options.iter().map(option).collect();
    Section { name: name.into(), kind: kind.into(), anonymous: false, options, line: 0 }
}

fn short() -> Model<Router> {
    let router = Router::default();
    router.package("agent", "config controller acs\n\toption EndpointID proto::acs\n\toption url there\n");
    let view = View { package: "agent", expand, expand_section, refused: |_, _, _| None };
    Model::new(schema(MAPPING), router, Instances::default(), vec![view])
}

#[test]
fn a_change_beside_a_short_form_leaves_it() {
    let model = short();
    set_all(&model, &[("Device.LocalAgent.Controller.1.".into(), "PeriodicNotifInterval", "60")]).unwrap();
    let text = model.backend().text("agent");
    assert!(text.contains("option url 'there'") && text.contains("PeriodicNotifInterval '60'"), "{text}");
}

#[test]
fn a_change_behind_a_short_form_writes_it_out() {
    let model = short();
    set_all(&model, &[("Device.LocalAgent.Controller.1.MTP.1.".into(), "Protocol", "MQTT")]).unwrap();
    let text = model.backend().text("agent");
    assert!(!text.contains("url") && text.contains("option Topic 'there'"), "{text}");
    assert_eq!(get(&model, "Device.LocalAgent.Subscription.1.ID"), ["Device.LocalAgent.Subscription.1.ID=there"]);
}

#[test]
fn deleting_behind_a_short_form_leaves_the_rest_of_it() {
    let model = short();
    now(async {
        let mut change = model.begin();
        let row = change.objects(&Everything, "Device.LocalAgent.Controller.1.MTP.1.").await?.remove(0);
        change.delete(&Everything, &row).await?;
        change.commit().await
    })
    .unwrap();
    assert_eq!(get(&model, "Device.LocalAgent.Controller.1.MTP."), [""; 0]);
    assert_eq!(get(&model, "Device.LocalAgent.Subscription.*.ID").len(), 1);
}

#[test]
fn what_a_file_cannot_lose_is_not_deleted() {
    fn always(package: &Package) -> Package {
        let mut long = package.clone();
        if long.section("built_in").is_none() {
            long.sections.push(made("built_in", "subscription", &[("ID", "x")]));
        }
        long
    }
    let router = Router::default();
    router.package("agent", "config controller acs\n");
    let view = View {
        package: "agent",
        expand: always,
        expand_section: |package, _| always(package),
        refused: |_, _, _| None,
    };
    let model = Model::new(schema(MAPPING), router, Instances::default(), vec![view]);
    let refused = now(async {
        let mut change = model.begin();
        let row = change.objects(&Everything, "Device.LocalAgent.Subscription.1.").await?.remove(0);
        change.delete(&Everything, &row).await
    });
    assert_eq!(refused.unwrap_err().code, Code::ObjectNotDeleted);
}
