//! TP-469 1.4, the test plan of USP agents, run against the real program: one case per number of the plan, over every
//! transport the agent speaks.
//!
//! `cargo test --test conformance -- --case 1.54 --transport mqtt5` runs a part, `--help` names every option; `UPDATE=1`
//! writes docs/CONFORMANCE.md. Any other agent can be driven in place of ours, see there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, unreachable_pub)]

#[path = "conformance/access.rs"]
mod access;
#[path = "conformance/add.rs"]
mod add;
#[path = "conformance/arguments.rs"]
mod arguments;
#[path = "conformance/bench.rs"]
mod bench;
#[path = "conformance/broker.rs"]
mod broker;
#[path = "conformance/cases.rs"]
mod cases;
#[path = "support/certificates.rs"]
mod certificates;
#[path = "conformance/checks.rs"]
mod checks;
#[path = "conformance/delete.rs"]
mod delete;
#[path = "conformance/eut.rs"]
mod eut;
#[path = "conformance/get.rs"]
mod get;
#[path = "conformance/instances.rs"]
mod instances;
#[path = "conformance/messages.rs"]
mod messages;
#[path = "support/mosquitto.rs"]
mod mosquitto;
#[path = "conformance/mqtt.rs"]
mod mqtt;
#[path = "support/mqtt_broker.rs"]
mod mqtt_broker;
#[path = "conformance/notify.rs"]
mod notify;
#[path = "conformance/operate.rs"]
mod operate;
#[path = "conformance/own.rs"]
mod own;
#[path = "conformance/place.rs"]
mod place;
#[path = "conformance/plan.rs"]
mod plan;
#[path = "support/rabbitmq.rs"]
mod rabbitmq;
#[path = "support/raw_websocket.rs"]
mod raw_websocket;
#[path = "conformance/report.rs"]
mod report;
#[path = "conformance/secure.rs"]
mod secure;
#[path = "conformance/set.rs"]
mod set;
#[path = "conformance/stomp.rs"]
mod stomp;
#[path = "support/stomp_broker.rs"]
mod stomp_broker;
#[path = "conformance/supported.rs"]
mod supported;
#[path = "conformance/tester.rs"]
mod tester;
#[path = "conformance/trace.rs"]
mod trace;
#[path = "conformance/trust.rs"]
mod trust;
#[path = "conformance/unix_socket.rs"]
mod unix_socket;
#[path = "conformance/websocket.rs"]
mod websocket;
#[path = "conformance/wire.rs"]
mod wire;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use arguments::{Agent, Arguments, name};
use bench::{Bench, Laboratory};
use cases::{Case, Run};
use eut::{Impossible, Scene};
use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};
use mosquitto::Mosquitto;
use place::Transport;
use rabbitmq::RabbitMq;
use report::{Outcome, Verdict};
use tokio::sync::Semaphore;

/// Cases at work at the same time, beside those that mostly wait.
const AT_ONCE: usize = 4;
/// No case takes longer, with the plan's own waits.
const LONGEST: Duration = Duration::from_secs(240);

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    let plays: Vec<(&'static Case, Transport)> = Transport::ALL
        .iter()
        .flat_map(|transport| cases::all().map(move |case| (case, *transport)))
        .filter(|(case, transport)| case.is_on(*transport) && arguments.wants(case, *transport))
        .collect();
    let checks: Vec<_> = checks::ALL.iter().filter(|check| arguments.wants_check(check.0)).collect();
    if arguments.list {
        plays.iter().for_each(|(case, transport)| println!("{}: test", name(case, *transport)));
        checks.iter().for_each(|check| println!("{}: test", check.0));
        return ExitCode::SUCCESS;
    }
    silence_the_impossible();
    let begun = Instant::now();
    println!("\nrunning {} tests", plays.len() + checks.len());
    let mut outcomes = if plays.is_empty() { Vec::new() } else { run(&arguments, plays) };
    outcomes.sort_by_key(Outcome::order);
    let failed_checks = checks.iter().filter(|check| !check.passes()).count();
    conclude(&arguments, &outcomes, checks.len(), failed_checks, begun)
}

/// Says what came of it, in the words of other tests.
fn conclude(
    arguments: &Arguments,
    outcomes: &[Outcome],
    checks: usize,
    failed_checks: usize,
    begun: Instant,
) -> ExitCode {
    for outcome in outcomes {
        let told = arguments.verbose || outcome.verdict != Verdict::Pass;
        told.then(|| println!("{}", outcome.line()));
    }
    report::counts(outcomes).iter().for_each(|line| println!("{line}"));
    let [mut passed, mut failed, not_run] = report::sum(outcomes);
    passed += checks - failed_checks;
    failed += failed_checks;
    if arguments.whole() && arguments.update {
        report::write(outcomes);
    } else if arguments.whole() && !report::is_kept(outcomes) {
        println!("FAIL     docs/CONFORMANCE.md is not what this run found: look, then UPDATE=1");
        failed += 1;
    }
    println!("\n{passed} passed, {failed} failed, {not_run} not run");
    let word = if failed == 0 { "ok" } else { "FAILED" };
    let took = begun.elapsed().as_secs_f32();
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; {not_run} ignored; 0 measured; 0 filtered out; \
         finished in {took:.2}s\n"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A case that cannot be run says so in the report.
fn silence_the_impossible() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<Impossible>().is_none() {
            usual(info);
        }
    }));
}

fn run(arguments: &Arguments, plays: Vec<(&'static Case, Transport)>) -> Vec<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, run_all(arguments, plays))
}

async fn run_all(arguments: &Arguments, plays: Vec<(&'static Case, Transport)>) -> Vec<Outcome> {
    let running = matches!(arguments.agent, Agent::Running(_));
    let broker = plays.iter().any(|(_, transport)| transport.needs_broker()) && !running;
    let lines = "allow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 0";
    let broker = broker.then(|| Mosquitto::start(|_| lines.into())).flatten();
    let at_stomp = plays.iter().any(|(_, transport)| *transport == Transport::Stomp) && !running;
    let wants_rabbit = std::env::var("STOMP_SERVER").is_ok_and(|server| server == "rabbitmq");
    let rabbit = (at_stomp && wants_rabbit).then(|| RabbitMq::start("").inspect_err(|why| println!("{why}")).ok());
    let starting = Semaphore::new(2);
    let laboratory = Rc::new(Laboratory { agent: arguments.agent.clone(), broker, rabbit, starting });
    let (mut waiting, mut working) = (Vec::new(), Vec::new());
    for ((case, transport), number) in plays.into_iter().zip(1..) {
        let play = play(Rc::clone(&laboratory), transport, case, number);
        if case.waits && !running { &mut waiting } else { &mut working }.push(play.boxed_local());
    }
    let waiting = stream::iter(waiting).buffer_unordered(usize::MAX).collect::<Vec<_>>();
    let at_once = if running { 1 } else { AT_ONCE };
    let working = stream::iter(working).buffer_unordered(at_once).collect::<Vec<_>>();
    let (mut outcomes, more) = futures_util::future::join(waiting, working).await;
    outcomes.extend(more);
    outcomes
}

/// Runs one case on a bench of its own.
async fn play(laboratory: Rc<Laboratory>, transport: Transport, case: &'static Case, number: u32) -> Outcome {
    let (verdict, took) = match why_not(&laboratory, transport, case) {
        Some(why) => (Verdict::NotRun(why.to_owned()), Duration::ZERO),
        None => play_it(&laboratory, transport, case, number).await,
    };
    Outcome { case, transport, verdict, took }
}

/// Why a case cannot be run here.
fn why_not(laboratory: &Laboratory, transport: Transport, case: &Case) -> Option<&'static str> {
    let running = matches!(laboratory.agent, Agent::Running(_));
    match &case.run {
        Run::No(why) => Some(why),
        _ if transport.is_local() && case.tls.is_some() => Some("a UNIX socket needs no TLS, and this one has none"),
        _ if transport.is_brokered() && case.direct => {
            Some("through a broker the agent sees the broker's certificate, not the controller's")
        }
        Run::Yes(_) if transport.needs_broker() && laboratory.broker.is_none() && !running => {
            Some("mosquitto is not installed")
        }
        Run::Yes(_) if transport == Transport::Stomp && matches!(laboratory.rabbit, Some(None)) => {
            Some("rabbitmq-server is not installed")
        }
        Run::Wire(_) if running => Some("a running agent has its link already"),
        _ if running && (case.tls.is_some() || case.second.is_some()) => {
            Some("a running agent knows one controller, by the certificates it has")
        }
        _ => None,
    }
}

async fn play_it(
    laboratory: &Rc<Laboratory>,
    transport: Transport,
    case: &'static Case,
    number: u32,
) -> (Verdict, Duration) {
    let begun = Instant::now();
    let playing = async {
        match case.run {
            Run::Yes(run) => {
                let mut bench = Bench::start(laboratory, transport, number, case).await;
                let result = judged(run(&mut bench)).await;
                (result, bench.log())
            }
            Run::Wire(run) => {
                let mut scene = Scene::new(laboratory, transport, number);
                let result = judged(run(&mut scene)).await;
                (result, scene.eut.log())
            }
            Run::No(why) => eut::impossible(why),
        }
    };
    let verdict = match AssertUnwindSafe(playing).catch_unwind().await {
        Ok((Ok(()), _)) => Verdict::Pass,
        Ok((Err(panic), log)) => report::verdict(&panic, case, transport, &log),
        Err(panic) => report::verdict(&panic, case, transport, "the EUT did not come to the testers"),
    };
    (verdict, begun.elapsed())
}

async fn judged(case: impl Future<Output = ()>) -> std::thread::Result<()> {
    let case = tokio::time::timeout(LONGEST, case).map(|done| done.expect("the case does not end"));
    AssertUnwindSafe(case).catch_unwind().await
}
