//! Reading where it is easy to get wrong: partial knowledge, failed sources, references, what may not be read.

use super::tests::{MAPPING, ReadOnlyLan, Router, fails, get, model, now, schema};
use super::{Instances, Model};
use crate::backend::{CallError, Table};
use crate::usp::fault::Code;

fn of(mapping: &str, packages: &[(&str, &str)]) -> Model<Router> {
    let router = Router::default();
    for (name, text) in packages {
        router.package(name, text);
    }
    Model::new(schema(mapping), router, Instances::default(), Vec::new())
}

#[test]
fn what_several_references_name_is_told_once() {
    let model = model();
    model.backend().package("dhcp", "config dhcp a\n\toption interface lan\nconfig dhcp b\n\toption interface lan\n");
    assert_eq!(get(&model, "Device.DHCPv4.Server.Pool.*.Interface+.Name"), ["Device.IP.Interface.1.Name=lan"]);
}

#[test]
fn a_condition_on_what_is_not_supported_is_invalid_without_rows_too() {
    let model = model();
    model.backend().package("dhcp", "config dhcp lan\n");
    let table = "Device.DHCPv4.Server.Pool.1.StaticAddress.";
    assert_eq!(fails(&model, &format!("{table}[Nothing==\"x\"].Yiaddr")), Code::InvalidPath);
    assert_eq!(fails(&model, &format!("{table}[Yiaddr>\"x\"].Yiaddr")), Code::InvalidPathSyntax);
    assert_eq!(get(&model, &format!("{table}[Yiaddr==\"x\"].Yiaddr")), [""; 0]);
}

#[test]
fn a_fixed_text_does_not_stand_in_for_an_answer_that_did_not_come() {
    let model = model();
    for failure in [CallError::Timeout, CallError::Status(7)] {
        model.backend().answer("system board", Err(failure));
        assert_eq!(get(&model, "Device.DeviceInfo.ModelName"), [""; 0]);
    }
    model.backend().answer("system board", Err(CallError::NotFound));
    assert_eq!(get(&model, "Device.DeviceInfo.ModelName"), ["Device.DeviceInfo.ModelName=unknown"]);
}

#[test]
fn an_object_that_may_not_be_read_is_not_in_the_supported_model() {
    let model = model();
    let code = |path| now(model.get(&ReadOnlyLan, &[path], 0)).results.remove(0).map_err(|fault| fault.code);
    assert_eq!(code("Device.DeviceInfo."), Err(Code::InvalidPath));
    assert!(code("Device.IP.").is_ok_and(|objects| !objects.is_empty()));
}

#[test]
fn a_reference_may_name_a_row_of_a_nested_table() {
    let mapping = "
table Device.Bridging.Bridge.{i}.
  each uci network.device
table Device.Bridging.Bridge.{i}.Port.{i}.
  each uci network.port where option bridge == {parent.key}
  Name = key
table Device.Ethernet.Link.{i}.
  each uci network.interface
  LowerLayers = option port | ref Device.Bridging.Bridge.{i}.Port.{i}.
";
    let network = "config device br1\nconfig device br2\nconfig port p\n\toption bridge br2\nconfig interface lan\n\toption port p\n";
    let model = of(mapping, &[("network", network)]);
    assert_eq!(
        get(&model, "Device.Ethernet.Link.1.LowerLayers"),
        ["Device.Ethernet.Link.1.LowerLayers=Device.Bridging.Bridge.2.Port.1"]
    );
    assert_eq!(get(&model, "Device.Ethernet.Link.1.LowerLayers+.Name"), ["Device.Bridging.Bridge.2.Port.1.Name=p"]);
    assert!(!model.instance_numbers().save().contains("{i}"), "a template path has no instances");
}

#[test]
fn numbers_are_given_when_everything_is_known() {
    let mapping = "
table Device.IP.Interface.{i}.
  each uci network.interface where ubus net.{key} status /type != bridge
  Name = key
";
    let model = of(mapping, &[("network", "config interface a\nconfig interface b\n")]);
    model.backend().answer("net.a status", Ok(Table::default().with("type", "bridge")));
    model.backend().answer("net.b status", Ok(Table::default().with("type", "plain")));
    assert_eq!(get(&model, "Device.IP.Interface.*.Name"), ["Device.IP.Interface.1.Name=b"]);
}

#[test]
fn anonymous_sections_of_two_kinds_do_not_take_each_others_numbers() {
    let mapping = MAPPING.replace("  each uci dhcp.host\n", "  each uci dhcp.host\n  each uci dhcp.other\n");
    let dhcp =
        "config dhcp lan\nconfig host\n\toption mac a\n\toption ip 1\nconfig other\n\toption mac b\n\toption ip 1\n";
    let model = of(&mapping, &[("dhcp", dhcp)]);
    assert_eq!(get(&model, "Device.DHCPv4.Server.Pool.1.StaticAddress.*.Chaddr").len(), 2);
}

#[test]
fn a_new_section_does_not_take_the_number_of_one_that_is_gone() {
    let model = model();
    let host = |mac: &str| {
        format!(
            "config dhcp lan\nconfig host\n\toption mac {mac}\n\toption ip {mac}\n\toption name {mac}\n\toption dns 1\n"
        )
    };
    let table = "Device.DHCPv4.Server.Pool.1.StaticAddress.";
    model.backend().package("dhcp", &host("a"));
    assert_eq!(get(&model, &format!("{table}*.Chaddr")), [format!("{table}1.Chaddr=A")]);
    model.backend().package("dhcp", &host("b"));
    assert_eq!(get(&model, &format!("{table}*.Chaddr")), [format!("{table}2.Chaddr=B")]);
}

#[test]
fn a_package_that_cannot_be_read_leaves_its_values_out() {
    let model = model();
    model.backend().break_package("network");
    let values = get(&model, "Device.IP.");
    assert!(!values.iter().any(|v| v.contains("InterfaceNumberOfEntries=")), "made up: {values:?}");
}
