//! WPS of an access point: one option of OpenWrt for each way to use it.

use crate::backend::Value;
use crate::backend::uci::{OptValue, Section};
use crate::model::eval::Scope;
use crate::model::stage::Staging;
use crate::model::value::truth;
use crate::usp::fault::{Code, Fault};

/// TR-181's ways and OpenWrt's options.
const METHODS: [(&str, &str); 2] = [("PushButton", "wps_pushbutton"), ("Label", "wps_label")];

fn is_on(section: &Section, option: &str) -> bool {
    section.text(option).and_then(truth).unwrap_or(false)
}

/// The ways that are on.
pub(super) fn methods(scope: &Scope<'_>) -> Option<Value> {
    let section = scope.section()?.1;
    let on = METHODS.iter().filter(|(_, option)| is_on(section, option));
    Some(Value::Array(on.map(|(method, _)| Value::from(*method)).collect()))
}

/// Switches ways on and off.
pub(super) fn set_methods(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let wanted = |method: &str| value.split(',').any(|wanted| wanted == method);
    if value.split(',').any(|wanted| !wanted.is_empty() && METHODS.iter().all(|(method, _)| *method != wanted)) {
        return Err(Fault::new(Code::InvalidValue, "ConfigMethodsEnabled is not one of ConfigMethodsSupported"));
    }
    switch(scope, staging, &wanted)
}

/// One way is on.
pub(super) fn enable(scope: &Scope<'_>) -> Option<Value> {
    let section = scope.section()?.1;
    Some(Value::from(METHODS.iter().any(|(_, option)| is_on(section, option))))
}

/// Off: no way. On: the push button, where no way is on.
pub(super) fn set_enable(scope: &Scope<'_>, value: &str, staging: &mut Staging) -> Result<(), Fault> {
    let on = truth(value) == Some(true);
    let is = enable(scope).as_ref().and_then(Value::as_i64) == Some(1);
    if on == is {
        return Ok(());
    }
    switch(scope, staging, &|method| on && method == METHODS[0].0)
}

fn switch(scope: &Scope<'_>, staging: &mut Staging, wanted: &dyn Fn(&str) -> bool) -> Result<(), Fault> {
    let (package, section) = scope.section().ok_or_else(|| Fault::new(Code::InternalError, "no such network"))?;
    for (method, option) in METHODS {
        let on = wanted(method);
        if on != is_on(section, option) {
            let value = if on { "1" } else { "0" };
            staging.set(&package.name, &section.name, option, Some(OptValue::One(value.into())));
        }
    }
    Ok(())
}
