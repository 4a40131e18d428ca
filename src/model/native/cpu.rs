//! How busy the processors are: the share of time since the last look.

use crate::backend::Value;
use crate::model::eval::Scope;
use std::cell::Cell;

/// Ticks since start, as /proc/stat counts them.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Ticks {
    busy: u64,
    all: u64,
}

thread_local! {
    /// The look before the last, and the last. One look is evaluated more than once, so both are needed.
    static LOOKS: Cell<(Ticks, Ticks)> = const { Cell::new((Ticks { busy: 0, all: 0 }, Ticks { busy: 0, all: 0 })) };
}

/// Percent of time the processors were busy between the last two looks; at the first look, since start.
pub(super) fn usage(scope: &Scope<'_>) -> Option<Value> {
    let now = ticks(scope.file("/proc/stat")?)?;
    let (mut before, last) = LOOKS.get();
    if now != last {
        before = if now.all > last.all { last } else { Ticks::default() };
        LOOKS.set((before, now));
    }
    percent(before, now).map(|p| Value::Int32(p.into()))
}

fn percent(from: Ticks, to: Ticks) -> Option<u8> {
    let (busy, all) = (to.busy.saturating_sub(from.busy), to.all.saturating_sub(from.all));
    u8::try_from(busy.saturating_mul(100).checked_div(all)?.min(100)).ok()
}

/// `cpu  user nice system idle iowait irq softirq steal`; what follows is counted in user already.
fn ticks(stat: &str) -> Option<Ticks> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let counters: Vec<u64> = line.split_whitespace().take(8).map_while(|n| n.parse().ok()).collect();
    let all = counters.iter().sum();
    let idle = counters.get(3)? + counters.get(4).copied().unwrap_or(0);
    Some(Ticks { busy: u64::saturating_sub(all, idle), all })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_not_busy() {
        let a = ticks("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 2 3 4").unwrap();
        let b = ticks("cpu  150 0 150 750 150 0 0 0 0 0").unwrap();
        assert_eq!(percent(Ticks::default(), a), Some(20));
        assert_eq!(percent(a, b), Some(50));
        assert_eq!(percent(a, a), None);
        assert!(ticks("intr 1 2 3").is_none());
    }
}
