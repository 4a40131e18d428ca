//! What a run found: on the screen, and as docs/CONFORMANCE.md.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::bench::Transport;
use crate::cases::Case;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Fail(String),
    NotRun(String),
}

pub struct Outcome {
    pub case: &'static Case,
    pub transport: Transport,
    pub verdict: Verdict,
}

impl Outcome {
    /// Chapter and number, then transport.
    pub fn order(&self) -> (u32, u32, Transport) {
        let (chapter, number) = self.case.id.split_once('.').expect("chapter.number");
        (chapter.parse().expect("a chapter"), number.parse().expect("a number"), self.transport)
    }
}

/// What a case's panic says; the agent's log goes to the screen where it failed.
pub fn verdict(panic: &Box<dyn Any + Send>, id: &str, transport: Transport, log: &str) -> Verdict {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    println!("--- {id} over {}: the agent's log ---\n{log}", transport.name());
    Verdict::Fail(text.unwrap_or("?").to_owned())
}

/// One line per case that did not pass, and the counts.
pub fn show(outcomes: &[Outcome]) {
    for Outcome { case, transport, verdict } in outcomes {
        match verdict {
            Verdict::Pass => {}
            Verdict::Fail(why) => println!("FAIL     {:6} {}: {why}", case.id, transport.name()),
            Verdict::NotRun(why) => println!("not run  {:6} {}: {why}", case.id, transport.name()),
        }
    }
    for line in counts(outcomes) {
        println!("{line}");
    }
}

/// Per chapter and transport: passed, failed, not run.
fn counts(outcomes: &[Outcome]) -> Vec<String> {
    let mut table: BTreeMap<(u32, Transport), [u32; 3]> = BTreeMap::new();
    for outcome in outcomes {
        let (chapter, _, transport) = outcome.order();
        let column = match outcome.verdict {
            Verdict::Pass => 0,
            Verdict::Fail(_) => 1,
            Verdict::NotRun(_) => 2,
        };
        table.entry((chapter, transport)).or_default()[column] += 1;
    }
    let line = |((chapter, transport), [pass, fail, not]): (&(u32, Transport), &[u32; 3])| {
        format!("| {chapter} | {} | {pass} | {fail} | {not} |", transport.name())
    };
    table.iter().map(line).collect()
}

const HEAD: &str = "# Conformance to TP-469 1.4

<!-- Made by `UPDATE=1 cargo test --test conformance`; the test compares. -->

The Broadband Forum's test plan for USP agents, run against the real program by `cargo test --test conformance`: a
controller that knows the agent only through a transport and a configuration file, a simulated router beneath it, and
mosquitto as the MQTT broker. One function per case, in `tests/conformance/`, asserts the metrics of the plan. This is the
project's own reading of the plan, not a certificate. Cases of other chapters are not in the runner.

| Chapter | Transport | passed | failed | not run |
|---|---|---|---|---|
";

fn render(outcomes: &[Outcome]) -> String {
    let mut text = HEAD.to_owned();
    for line in counts(outcomes) {
        let _ = writeln!(text, "{line}");
    }
    let names = Transport::ALL.map(Transport::name);
    let _ = writeln!(text, "\n| Case | Title | {} |\n|---|---|{}", names.join(" | "), "---|".repeat(names.len()));
    let mut reasons: Vec<&str> = Vec::new();
    for row in outcomes.chunk_by(|a, b| a.case.id == b.case.id) {
        let _ = write!(text, "| {} | {} |", row[0].case.id, row[0].case.title);
        for transport in Transport::ALL {
            let word = match row.iter().find(|outcome| outcome.transport == transport).map(|outcome| &outcome.verdict) {
                Some(Verdict::Pass) => "pass".to_owned(),
                Some(Verdict::Fail(_)) => "**fail**".to_owned(),
                Some(Verdict::NotRun(why)) => format!("not run ({})", number(&mut reasons, why)),
                None => "-".to_owned(),
            };
            let _ = write!(text, " {word} |");
        }
        text.push('\n');
    }
    for (index, why) in reasons.iter().enumerate() {
        let _ = write!(text, "\n({}) {why}\n", index + 1);
    }
    text
}

fn number<'a>(reasons: &mut Vec<&'a str>, why: &'a str) -> usize {
    let at = reasons.iter().position(|known| *known == why).unwrap_or_else(|| {
        reasons.push(why);
        reasons.len() - 1
    });
    at + 1
}

/// Writes docs/CONFORMANCE.md, or compares it.
pub fn keep(outcomes: &[Outcome]) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONFORMANCE.md");
    let text = render(outcomes);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, text).expect("docs/CONFORMANCE.md is written");
        return;
    }
    let missing =
        outcomes.iter().any(|outcome| matches!(&outcome.verdict, Verdict::NotRun(why) if why.contains("installed")));
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(missing || kept == text, "docs/CONFORMANCE.md is not what this run found: look, then UPDATE=1");
}
