//! TP-469 1.4, the test plan of USP agents, run against the real program: one case per number of the plan, over every
//! transport the agent speaks.
//!
//! `CASE=1.54 TRANSPORT=mqtt5 cargo test --test conformance` runs a part; `UPDATE=1` writes docs/CONFORMANCE.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

#[path = "conformance/access.rs"]
mod access;
#[path = "conformance/add.rs"]
mod add;
#[path = "conformance/bench.rs"]
mod bench;
#[path = "conformance/cases.rs"]
mod cases;
#[path = "support/certificates.rs"]
mod certificates;
#[path = "conformance/delete.rs"]
mod delete;
#[path = "conformance/get.rs"]
mod get;
#[path = "conformance/instances.rs"]
mod instances;
#[path = "conformance/messages.rs"]
mod messages;
#[path = "support/mosquitto.rs"]
mod mosquitto;
#[path = "conformance/notify.rs"]
mod notify;
#[path = "conformance/operate.rs"]
mod operate;
#[path = "conformance/report.rs"]
mod report;
#[path = "conformance/secure.rs"]
mod secure;
#[path = "conformance/set.rs"]
mod set;
#[path = "conformance/supported.rs"]
mod supported;
#[path = "conformance/tester.rs"]
mod tester;

use std::rc::Rc;
use std::time::Duration;

use bench::{Bench, Laboratory, Transport};
use cases::{CASES, Case, Run};
use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};
use mosquitto::Mosquitto;
use report::{Outcome, Verdict};
use tokio::sync::Semaphore;

/// Cases at work at the same time, beside those that mostly wait.
const AT_ONCE: usize = 3;
/// No case takes longer, with the plan's own waits.
const LONGEST: Duration = Duration::from_secs(240);

#[test]
fn tp_469() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcomes = tokio::task::LocalSet::new().block_on(&runtime, run_all());
    report::show(&outcomes);
    if std::env::var_os("CASE").is_none() && std::env::var_os("TRANSPORT").is_none() {
        report::keep(&outcomes);
    }
    let failed: Vec<_> = outcomes.iter().filter(|outcome| matches!(outcome.verdict, Verdict::Fail(_))).collect();
    assert!(failed.is_empty(), "{} cases failed", failed.len());
}

/// Whether `CASE=` or `TRANSPORT=` asks for this word; a missing variable asks for all.
fn wanted(variable: &str, word: &str) -> bool {
    std::env::var(variable)
        .is_ok_and(|list| list.split(',').any(|one| one == word || word.starts_with(&format!("{one}@"))))
        || std::env::var_os(variable).is_none()
}

async fn run_all() -> Vec<Outcome> {
    let broker = Mosquitto::start(|_| "allow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 0".into());
    let laboratory = Rc::new(Laboratory { broker, starting: Semaphore::new(2) });
    let mut number = 0;
    let (mut waiting, mut working) = (Vec::new(), Vec::new());
    for transport in Transport::ALL.into_iter().filter(|transport| wanted("TRANSPORT", transport.word())) {
        for case in CASES.iter().filter(|case| wanted("CASE", case.id)) {
            number += 1;
            let play = play(Rc::clone(&laboratory), transport, case, number);
            if case.waits { &mut waiting } else { &mut working }.push(play.boxed_local());
        }
    }
    let waiting = stream::iter(waiting).buffer_unordered(usize::MAX).collect::<Vec<_>>();
    let working = stream::iter(working).buffer_unordered(AT_ONCE).collect::<Vec<_>>();
    let (mut outcomes, more) = futures_util::future::join(waiting, working).await;
    outcomes.extend(more);
    outcomes.sort_by_key(Outcome::order);
    outcomes
}

/// Runs one case on a bench of its own.
async fn play(laboratory: Rc<Laboratory>, transport: Transport, case: &'static Case, number: u32) -> Outcome {
    let verdict = match case.run {
        Run::No(why) => Verdict::NotRun(why.to_owned()),
        Run::Yes(_) if transport.needs_broker() && case.direct => {
            Verdict::NotRun("through a broker the agent sees the broker's certificate, not the controller's".to_owned())
        }
        Run::Yes(_) if transport.needs_broker() && laboratory.broker.is_none() => {
            Verdict::NotRun("mosquitto is not installed".to_owned())
        }
        Run::Yes(run) => {
            let playing = async {
                let mut bench = Bench::start(&laboratory, transport, number, case).await;
                let case =
                    tokio::time::timeout(LONGEST, run(&mut bench)).map(|done| done.expect("the case does not end"));
                let result = std::panic::AssertUnwindSafe(case).catch_unwind().await;
                (result, bench.log())
            };
            match std::panic::AssertUnwindSafe(playing).catch_unwind().await {
                Ok((Ok(()), _)) => Verdict::Pass,
                Ok((Err(panic), log)) => report::verdict(&panic, case.id, transport, &log),
                Err(panic) => report::verdict(&panic, case.id, transport, "the EUT did not come to the testers"),
            }
        }
    };
    Outcome { case, transport, verdict }
}
