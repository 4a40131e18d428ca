//! The figures of the README, measured on the program itself: CPU time of the agent's process as the kernel accounts
//! for it, over a real ubus socket and real WebSocket and MQTT links on the loopback. A figure over its ceiling ends
//! the run with a failure. `cargo bench` runs it; medians of five rounds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../tests/support/certificates.rs"]
mod certificates;
#[path = "../tests/support/flood.rs"]
mod flood;
#[path = "../tests/support/mosquitto.rs"]
mod mosquitto;

use certificates::{Asked, Authority};
use mosquitto::Mosquitto;
use std::fmt::Write as _;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use usp_agent::demo::controller::Controller;
use usp_agent::demo::router::Router;
use usp_agent::usp::endpoint_id::EndpointId;

const PROGRAM: &str = env!("CARGO_BIN_EXE_usp-agent");
const CONTROLLER: &str = "proto::bench";
const ROUNDS: usize = 5;

fn main() {
    // `cargo test` runs benches too, to see that they build; there is nothing to measure in that profile.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let over = tokio::task::LocalSet::new().block_on(&runtime, measure());
    std::process::exit(i32::from(over));
}

/// Prints every figure beside its ceiling; true where one is over it.
async fn measure() -> bool {
    let mut report = Report::default();
    report.line("binary", fs::metadata(PROGRAM).unwrap().len() as f64 / 1e6, 3.0, "MB");
    // `cargo bench -- gets` measures that part only.
    let chosen: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |part: &str| chosen.is_empty() || chosen.iter().any(|c| c == part);
    if wanted("idle") {
        tls_idle(&mut report).await;
    }
    if wanted("gets") {
        gets(&mut report).await;
    }
    if wanted("crowd") {
        crowd(&mut report).await;
    }
    if wanted("subscriptions") {
        subscriptions(&mut report).await;
    }
    if wanted("sets") {
        sets(&mut report).await;
    }
    if wanted("flood") {
        floods(&mut report).await;
    }
    report.over
}

#[derive(Default)]
struct Report {
    over: bool,
}

impl Report {
    fn line(&mut self, what: &str, figure: f64, ceiling: f64, unit: &str) {
        let verdict = if figure <= ceiling { "" } else { "  OVER" };
        self.over |= figure > ceiling;
        println!("{what:<52} {figure:>10.2} {unit:<4} (at most {ceiling} {unit}){verdict}");
    }
}

/// The agent on a simulated router.
struct Bench {
    router: Router,
    controller: Controller,
    agent: Child,
}

impl Bench {
    async fn start(more: &str) -> Self {
        let (router, driver) = Router::start().unwrap();
        tokio::task::spawn_local(driver.run());
        let (controller, port) = Controller::on_websocket(&EndpointId::parse(CONTROLLER).unwrap()).unwrap();
        router.write_config("usp-agent", &format!("{}{more}", config(&format!("ws://127.0.0.1:{port}/usp")))).unwrap();
        let agent = run(&router);
        let mut bench = Self { router, controller, agent };
        bench.controller.agent(Duration::from_secs(10)).await.unwrap();
        bench
    }

    /// Median CPU seconds of one repetition.
    async fn cpu(&mut self, times: u32, path: &str) -> (f64, usize) {
        let mut rounds = Vec::new();
        let mut values = 0;
        for _ in 0..ROUNDS {
            let before = cpu_seconds(self.agent.id());
            for _ in 0..times {
                values = self.controller.get(&[path]).await.unwrap().len();
            }
            rounds.push((cpu_seconds(self.agent.id()) - before) / f64::from(times));
        }
        (median(rounds), values)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

fn config(url: &str) -> String {
    format!(
        "config localagent 'localagent'\n\toption EndpointID 'os::00005E-BENCH'\n\nconfig controller 'acs'\n\toption url '{url}'\n\toption EndpointID '{CONTROLLER}'\n\toption role 'full'\n\toption AllowUnencrypted '1'\n"
    )
}

fn run(router: &Router) -> Child {
    let mut command = Command::new(PROGRAM);
    command.arg("run").arg("--config-dir").arg(router.config_dir()).arg("--state-dir").arg(router.state_dir());
    command.arg("--ubus").arg(router.socket()).arg("--root").arg(router.root());
    command.args(["--log-level", "error"]).stdin(Stdio::null()).spawn().unwrap()
}

async fn tls_idle(report: &mut Report) {
    let authority = Authority::new("bench");
    let server = authority.issue(Asked { names: &["localhost"], ..Asked::default() });
    let lines = format!(
        "allow_anonymous true\ncafile {}\ncertfile {}\nkeyfile {}",
        authority.file.display(),
        server.certificate.display(),
        server.key.display()
    );
    let Some(broker) = Mosquitto::start(|_| lines) else { return };
    let (router, driver) = Router::start().unwrap();
    tokio::task::spawn_local(driver.run());
    let url = format!("mqtts://localhost:{}", broker.port);
    let text = format!("{}\toption ca_file '{}'\n", config(&url), authority.file.display());
    router.write_config("usp-agent", &text).unwrap();
    let mut agent = run(&router);
    // What is written once after the start is behind it then: notifications nobody answers are kept after 10 s.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let resident = status(agent.id(), "VmRSS:") / 1000.0;
    let woken = status(agent.id(), "voluntary_ctxt_switches:");
    tokio::time::sleep(Duration::from_secs(20)).await;
    let woken = status(agent.id(), "voluntary_ctxt_switches:") - woken;
    let _ = agent.kill();
    let _ = agent.wait();
    report.line("resident, idle, one TLS link", resident, 6.0, "MB");
    report.line("wake-ups in 20 s idle, keep-alive 60 s", woken, 3.0, "");
}

/// Median milliseconds from exec to the first record at the controller.
async fn start(more: &str) -> f64 {
    let mut starts = Vec::new();
    for _ in 0..ROUNDS {
        let (router, driver) = Router::start().unwrap();
        tokio::task::spawn_local(driver.run());
        let (mut controller, port) = Controller::on_websocket(&EndpointId::parse(CONTROLLER).unwrap()).unwrap();
        let text = format!("{}{more}", config(&format!("ws://127.0.0.1:{port}/usp")));
        router.write_config("usp-agent", &text).unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let begun = Instant::now();
        let mut agent = run(&router);
        controller.agent(Duration::from_secs(10)).await.unwrap();
        starts.push(begun.elapsed().as_secs_f64() * 1e3);
        let _ = agent.kill();
        let _ = agent.wait();
    }
    median(starts)
}

/// Everything of a router with many clients, and the whole supported model.
async fn crowd(report: &mut Report) {
    let mut bench = Bench::start("").await;
    bench.router.crowd(40, 60, 200).unwrap();
    let (all, count) = bench.cpu(20, "Device.").await;
    report.line(
        &format!("Get Device. with 40 stations, 60 hosts, 200 leases: {count} parameters"),
        all * 1e3,
        25.0,
        "ms",
    );
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let before = cpu_seconds(bench.agent.id());
        for _ in 0..20 {
            bench.controller.supported("Device.").await.unwrap();
        }
        rounds.push((cpu_seconds(bench.agent.id()) - before) / 20.0);
    }
    report.line("GetSupportedDM Device., agent CPU", median(rounds) * 1e3, 5.0, "ms");
}

async fn gets(report: &mut Report) {
    report.line("start to first record", start("").await, 20.0, "ms");
    let mut bench = Bench::start("").await;
    let (one, _) = bench.cpu(2000, "Device.LocalAgent.EndpointID").await;
    report.line("Get of one parameter, agent CPU", one * 1e6, 60.0, "us");
    let (own, count) = bench.cpu(500, "Device.LocalAgent.").await;
    report.line(&format!("Get Device.LocalAgent., per parameter of {count}"), own * 1e6 / count as f64, 3.0, "us");
    let (one, _) = bench.cpu(500, "Device.DeviceInfo.ModelName").await;
    report.line("Get of one parameter behind ubus, agent CPU", one * 1e6, 150.0, "us");
    let (all, count) = bench.cpu(50, "Device.").await;
    report.line(&format!("Get Device., {count} parameters, agent CPU"), all * 1e3, 10.0, "ms");
    let begun = Instant::now();
    for _ in 0..50 {
        bench.controller.get(&["Device."]).await.unwrap();
    }
    report.line("Get Device., as the controller waits", begun.elapsed().as_secs_f64() * 1e3 / 50.0, 20.0, "ms");
    let before = status(bench.agent.id(), "VmRSS:");
    for _ in 0..5000 {
        bench.controller.get(&["Device.LocalAgent."]).await.unwrap();
    }
    let grown = status(bench.agent.id(), "VmRSS:") - before;
    report.line("memory grown by 5,000 further Gets", grown, 256.0, "kB");
}

/// 1,000 subscriptions in the configuration, each to the path `reference` gives it.
fn thousand(reference: impl Fn(usize) -> String) -> String {
    let mut more = String::new();
    for n in 0..1000 {
        let _ = write!(
            more,
            "\nconfig subscription 's{n}'\n\toption Alias 'cpe-{n}'\n\toption ID 'id-{n}'\n\toption Enable '1'\n\toption controller 'acs'\n\toption NotifType 'ValueChange'\n\tlist ReferenceList '{}'\n\toption Persistent '1'\n",
            reference(n)
        );
    }
    more
}

async fn subscriptions(report: &mut Report) {
    let same = thousand(|_| "Device.DeviceInfo.HostName".into());
    report.line("start with 1,000 subscriptions to one path", start(&same).await, 40.0, "ms");
    let own = thousand(|n| format!("Device.LocalAgent.Subscription.{}.Enable", n + 1));
    report.line("start with 1,000 subscriptions to 1,000 paths", start(&own).await, 40.0, "ms");
    let mut bench = Bench::start(&own).await;
    let path = "Device.LocalAgent.Subscription.[ID==\"id-700\"].";
    let (one, count) = bench.cpu(100, path).await;
    assert!(count > 5, "{path} found {count} parameters");
    report.line("one of 1,000 subscriptions by its ID, agent CPU", one * 1e3, 2.0, "ms");
    let (all, count) = bench.cpu(5, "Device.LocalAgent.Subscription.").await;
    report.line(&format!("all 1,000 subscriptions, {count} parameters"), all * 1e3, 50.0, "ms");
    let before = cpu_seconds(bench.agent.id());
    bench.controller.add("Device.LocalAgent.Subscription.", &[("ID", "one-more")]).await.unwrap();
    report.line("Add one more, agent CPU", (cpu_seconds(bench.agent.id()) - before) * 1e3, 100.0, "ms");
}

async fn sets(report: &mut Report) {
    let mut bench = Bench::start("").await;
    for n in 0..20 {
        let id = format!("set-{n}");
        bench.controller.add("Device.LocalAgent.Subscription.", &[("ID", &id)]).await.unwrap();
    }
    let file = bench.router.config_dir().join("usp-agent");
    let writes = Writes::of(&bench.router.config_dir());
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let begun = cpu_seconds(bench.agent.id());
        let expiration = (1000 + round).to_string();
        let settings: &[(&str, &str)] = &[
            ("NotifExpiration", &expiration),
            ("NotifRetry", "true"),
            ("TimeToLive", "0"),
            ("Persistent", "true"),
            ("Enable", "false"),
        ];
        bench.controller.set("Device.LocalAgent.Subscription.*.", settings).await.unwrap();
        rounds.push(cpu_seconds(bench.agent.id()) - begun);
        assert!(fs::read_to_string(&file).unwrap().contains(&expiration));
    }
    report.line("Set of 100 parameters in one package, agent CPU", median(rounds) * 1e3, 20.0, "ms");
    report.line("... file writes", writes.count() as f64 / ROUNDS as f64, 1.0, "");
}

/// Milliseconds a controller waits for one parameter: the median of a second.
async fn wait(bench: &mut Bench) -> f64 {
    let mut waits = Vec::new();
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        let begun = Instant::now();
        bench.controller.get(&["Device.LocalAgent.EndpointID"]).await.unwrap();
        waits.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    median(waits)
}

/// How much longer a controller waits while another link is flooded.
async fn floods(report: &mut Report) {
    for kind in flood::Kind::ALL {
        let (text, flood) = flood::Flood::new(kind);
        let mut bench = Bench::start(&text).await;
        let (mut quiet, mut flooded) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            quiet.push(wait(&mut bench).await);
            flood.begin();
            tokio::time::sleep(Duration::from_millis(100)).await;
            flooded.push(wait(&mut bench).await);
            flood.pause();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(flood.sent() > 100, "nothing is flooded");
        let what = format!("wait for an answer with {}, as a multiple", kind.name());
        report.line(&what, median(flooded) / median(quiet), 2.0, "");
    }
}

/// Counts new files in a folder: every write of a package is one, which then takes the old one's place.
struct Writes(std::os::fd::OwnedFd);

impl Writes {
    fn of(folder: &std::path::Path) -> Self {
        use rustix::fs::inotify;
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&watch, folder, inotify::WatchFlags::CREATE).unwrap();
        Self(watch)
    }

    fn count(&self) -> usize {
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let mut reader = rustix::fs::inotify::Reader::new(&self.0, &mut buffer);
        std::iter::from_fn(|| reader.next().ok().map(drop)).count()
    }
}

/// CPU seconds a process has used: nanoseconds of its threads as the scheduler counts them.
fn cpu_seconds(pid: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of = |path: std::path::PathBuf| fs::read_to_string(path).ok()?.split(' ').next()?.parse::<f64>().ok();
    threads.flatten().filter_map(|t| of(t.path().join("schedstat"))).sum::<f64>() / 1e9
}

fn status(pid: u32, name: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
