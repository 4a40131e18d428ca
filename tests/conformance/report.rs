//! What a run found: on the screen, and as docs/CONFORMANCE.md.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::arguments::name;
use crate::cases::{self, Case};
use crate::eut::Impossible;
use crate::place::Transport;

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
    pub took: Duration,
}

/// A part of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Chapter(u32),
    /// Cases beside the plan's.
    Own,
}

impl Part {
    fn of(case: &Case) -> Self {
        case.number().map_or(Self::Own, |(chapter, _)| Self::Chapter(chapter))
    }

    fn heading(self) -> String {
        match self {
            Self::Chapter(chapter) => format!("Chapter {chapter}"),
            Self::Own => "Beside the plan".to_owned(),
        }
    }
}

impl Outcome {
    /// Part, place in it, then transport.
    pub fn order(&self) -> (Part, usize, Transport) {
        let place = match self.case.number() {
            Some((_, number)) => number as usize,
            None => cases::all().position(|case| case.id == self.case.id).unwrap_or(usize::MAX),
        };
        (Part::of(self.case), place, self.transport)
    }

    /// One line for the screen.
    pub fn line(&self) -> String {
        let (word, why) = match &self.verdict {
            Verdict::Pass => ("pass   ", ""),
            Verdict::Fail(why) => ("FAIL   ", &**why),
            Verdict::NotRun(why) => ("not run", &**why),
        };
        format!("{word}  {} {:.1} s {why}", name(self.case, self.transport), self.took.as_secs_f32())
    }
}

/// What a case's panic says; the log goes to the screen where it failed.
pub fn verdict(panic: &Box<dyn Any + Send>, case: &Case, transport: Transport, log: &str) -> Verdict {
    if let Some(Impossible(why)) = panic.downcast_ref() {
        return Verdict::NotRun((*why).to_owned());
    }
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    println!("--- {}: the agent's log ---\n{log}", name(case, transport));
    Verdict::Fail(text.unwrap_or("?").to_owned())
}

/// Passed, failed, not run.
pub fn sum(outcomes: &[Outcome]) -> [usize; 3] {
    let mut counts = [0; 3];
    for outcome in outcomes {
        counts[column(&outcome.verdict)] += 1;
    }
    counts
}

fn column(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Pass => 0,
        Verdict::Fail(_) => 1,
        Verdict::NotRun(_) => 2,
    }
}

/// Per part and transport: passed, failed, not run.
pub fn counts(outcomes: &[Outcome]) -> Vec<String> {
    let mut table: BTreeMap<(Part, Transport), [u32; 3]> = BTreeMap::new();
    for outcome in outcomes {
        table.entry((Part::of(outcome.case), outcome.transport)).or_default()[column(&outcome.verdict)] += 1;
    }
    let line = |((part, transport), [pass, fail, not]): (&(Part, Transport), &[u32; 3])| {
        format!("| {} | {} | {pass} | {fail} | {not} |", part.heading(), transport.name())
    };
    table.iter().map(line).collect()
}

const HEAD: &str = include_str!("report.md");

fn render(outcomes: &[Outcome]) -> String {
    let mut text = HEAD.to_owned();
    for line in counts(outcomes) {
        let _ = writeln!(text, "{line}");
    }
    let mut reasons: Vec<&str> = Vec::new();
    for part in outcomes.chunk_by(|a, b| Part::of(a.case) == Part::of(b.case)) {
        render_part(part, &mut text, &mut reasons);
    }
    text.push_str("\n## Why not run\n");
    for (index, why) in reasons.iter().enumerate() {
        let _ = write!(text, "\n({}) {why}\n", index + 1);
    }
    text
}

/// One table, with a column for each transport that the part has cases for.
fn render_part<'a>(part: &'a [Outcome], text: &mut String, reasons: &mut Vec<&'a str>) {
    let there = |transport: &&Transport| part.iter().any(|outcome| outcome.transport == **transport);
    let transports: Vec<Transport> = Transport::ALL.iter().filter(there).copied().collect();
    let names: Vec<&str> = transports.iter().map(|transport| transport.name()).collect();
    let _ = writeln!(text, "\n## {}\n", Part::of(part[0].case).heading());
    let _ = writeln!(text, "| Case | Title | {} |\n|---|---|{}", names.join(" | "), "---|".repeat(names.len()));
    for row in part.chunk_by(|a, b| a.case.id == b.case.id) {
        let _ = write!(text, "| {} | {} |", row[0].case.id, row[0].case.title);
        for transport in &transports {
            let word = match row.iter().find(|outcome| outcome.transport == *transport) {
                Some(outcome) => cell(outcome, reasons),
                None => "-".to_owned(),
            };
            let _ = write!(text, " {word} |");
        }
        text.push('\n');
    }
}

fn cell<'a>(outcome: &'a Outcome, reasons: &mut Vec<&'a str>) -> String {
    let time = format!("{:.1} s", outcome.took.as_secs_f32());
    match &outcome.verdict {
        Verdict::Pass => format!("pass {time}"),
        Verdict::Fail(_) => format!("**fail** {time}"),
        Verdict::NotRun(why) => format!("not run ({})", number(reasons, why)),
    }
}

fn number<'a>(reasons: &mut Vec<&'a str>, why: &'a str) -> usize {
    let at = reasons.iter().position(|known| *known == why).unwrap_or_else(|| {
        reasons.push(why);
        reasons.len() - 1
    });
    at + 1
}

/// Everything but the times.
fn timeless(text: &str) -> String {
    let cell = |cell: &str| match cell.split_once(' ') {
        Some((word @ ("pass" | "**fail**"), _)) => word.to_owned(),
        _ => cell.to_owned(),
    };
    let row = |line: &str| line.split(" | ").map(cell).collect::<Vec<_>>().join(" | ");
    text.lines().map(|line| row(line.trim_end_matches(" |"))).collect::<Vec<_>>().join("\n")
}

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CONFORMANCE.md");

/// Writes docs/CONFORMANCE.md.
pub fn write(outcomes: &[Outcome]) {
    std::fs::write(PATH, render(outcomes)).expect("docs/CONFORMANCE.md is written");
}

/// Whether docs/CONFORMANCE.md says what the run found; times aside.
pub fn is_kept(outcomes: &[Outcome]) -> bool {
    let missing =
        outcomes.iter().any(|outcome| matches!(&outcome.verdict, Verdict::NotRun(why) if why.contains("installed")));
    let kept = std::fs::read_to_string(PATH).unwrap_or_default();
    missing || timeless(&kept) == timeless(&render(outcomes))
}
