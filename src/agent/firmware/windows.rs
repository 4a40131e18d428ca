//! The time windows of Activate().

use super::super::Now;
use crate::order;
use crate::usp::fault::{Code, Fault};

/// `MaxNumberOfActivateTimeWindows`, as data-model/system.dm tells it.
pub(super) const MAX_WINDOWS: usize = 5;

/// When an image may be activated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    AnyTime,
    Immediately,
    WhenIdle,
    ConfirmationNeeded,
}

impl Mode {
    const NAMES: [(Self, &'static str); 4] = [
        (Self::AnyTime, "AnyTime"),
        (Self::Immediately, "Immediately"),
        (Self::WhenIdle, "WhenIdle"),
        (Self::ConfirmationNeeded, "ConfirmationNeeded"),
    ];

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(_, name)| *name == text).map(|(mode, _)| mode)
    }

    pub(super) fn name(self) -> &'static str {
        Self::NAMES.into_iter().find(|(mode, _)| *mode == self).map_or("", |(_, name)| name)
    }
}

/// One window, in milliseconds of the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) mode: Mode,
}

impl Window {
    pub(super) fn now(now: Now) -> Self {
        Self { start: now.monotonic_ms, end: now.monotonic_ms, mode: Mode::Immediately }
    }
}

/// The windows of the input arguments, in their order of time; those that need a confirmation are left out: there is
/// nobody here to ask.
pub(super) fn parse(input: &[(String, String)], now: Now) -> Result<Vec<Window>, Fault> {
    let wrong = |why: &str| Fault::new(Code::InvalidCommandArguments, format!("TimeWindow: {why}"));
    let given = |name: String| input.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str());
    let mut windows = Vec::new();
    for (name, mode) in input {
        let Some(row) = name.strip_suffix(".Mode") else { continue };
        let seconds = |name: &str| given(format!("{row}.{name}")).and_then(|text| text.parse::<u32>().ok());
        let at = |seconds: u32| now.monotonic_ms.saturating_add(u64::from(seconds) * 1000);
        let start = at(seconds("Start").ok_or_else(|| wrong("no Start"))?);
        let end = at(seconds("End").ok_or_else(|| wrong("no End"))?);
        if end < start {
            return Err(wrong("End is before Start"));
        }
        windows.push(Window { start, end, mode: Mode::parse(mode).ok_or_else(|| wrong("no such Mode"))? });
    }
    if windows.is_empty() || windows.len() > MAX_WINDOWS {
        return Err(wrong("one to five are needed"));
    }
    order::sort_by(&mut windows, |one, other| one.start.cmp(&other.start));
    if windows.iter().zip(windows.iter().skip(1)).any(|(one, next)| next.start < one.end) {
        return Err(wrong("two of them overlap"));
    }
    windows.retain(|window| window.mode != Mode::ConfirmationNeeded);
    match windows.is_empty() {
        true => Err(super::failure("nobody can be asked for a confirmation here; use another Mode")),
        false => Ok(windows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now { monotonic_ms: 1000, unix_ms: 0, clock_is_set: false };

    fn parsed(rows: &[(u32, u32, &str)]) -> Result<Vec<(u64, u64, &'static str)>, Code> {
        let rows = rows.iter().enumerate().flat_map(|(at, (start, end, mode))| {
            let name = |name: &str| format!("TimeWindow.{}.{name}", at + 1);
            [(name("Start"), start.to_string()), (name("End"), end.to_string()), (name("Mode"), (*mode).to_owned())]
        });
        let windows = parse(&rows.collect::<Vec<_>>(), NOW).map_err(|fault| fault.code)?;
        Ok(windows.into_iter().map(|window| (window.start, window.end, window.mode.name())).collect())
    }

    #[test]
    fn windows_are_put_in_order_and_those_nobody_can_confirm_left_out() {
        let given = [(60, 70, "WhenIdle"), (0, 10, "AnyTime"), (10, 60, "ConfirmationNeeded")];
        assert_eq!(parsed(&given), Ok(vec![(1000, 11_000, "AnyTime"), (61_000, 71_000, "WhenIdle")]));
        assert_eq!(parsed(&[(0, 10, "ConfirmationNeeded")]), Err(Code::CommandFailure));
    }

    #[test]
    fn what_is_no_window_is_refused() {
        let overlap = [(0, 10, "AnyTime"), (9, 20, "AnyTime")];
        for rows in [&[][..], &[(5, 4, "AnyTime")], &overlap, &[(0, 0, "AnyTime"); 6], &[(0, 0, "Never")]] {
            assert_eq!(parsed(rows), Err(Code::InvalidCommandArguments), "{rows:?}");
        }
    }
}
