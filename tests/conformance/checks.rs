//! Checks of the runner itself, beside the cases.

use std::path::Path;
use std::process::Command;

use crate::cases::{self, Run};

/// A name and what is checked, with what is wrong.
pub struct Check(pub &'static str, fn() -> Result<(), String>);

/// Every check.
pub const ALL: &[Check] = &[
    Check("runner::drives_another_agent", drives_another_agent),
    Check("runner::maps_every_requirement", maps_every_requirement),
];

impl Check {
    pub fn passes(&self) -> bool {
        let result = (self.1)();
        if let Err(why) = &result {
            println!("FAIL     {}: {why}", self.0);
        }
        result.is_ok()
    }
}

/// Our own agent as any other: told by the environment of a command, not by the runner's knowledge of it.
fn drives_another_agent() -> Result<(), String> {
    let command = concat!("exec sh ", env!("CARGO_MANIFEST_DIR"), "/tests/conformance/agent.sh");
    let mut runner = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
    runner.args(["--agent-command", command, "--case", "1.1,1.36,1.62,1.78,2.9,4.1", "--verbose"]);
    let output = runner.output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let passed = text.lines().filter(|line| line.starts_with("pass")).count();
    // 4.1 is of TLS.
    let wanted: usize =
        crate::place::Transport::ALL.iter().map(|transport| if transport.is_local() { 5 } else { 6 }).sum();
    if output.status.success() && passed == wanted {
        return Ok(());
    }
    Err(format!("{passed} of {wanted} cases passed\n{text}"))
}

/// docs/REQUIREMENTS.md has a row for every requirement, and names only cases and tests that are there.
fn maps_every_requirement() -> Result<(), String> {
    let page = include_str!("../../docs/REQUIREMENTS.md");
    let mut wanted: Vec<&str> =
        include_str!("requirements.txt").lines().filter(|line| line.starts_with("R-")).collect();
    let mut wrong = Vec::new();
    for row in page.lines().filter(|line| line.starts_with("| R-")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, id, asks, shown, _] = cells[..] else { return Err(format!("not three cells: {row}")) };
        match wanted.iter().position(|one| *one == id) {
            Some(at) => drop(wanted.remove(at)),
            None => wrong.push(format!("{id} is no requirement, or stands there twice")),
        }
        let references: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        let reason = shown.strip_prefix("none: ").is_some_and(|why| !why.is_empty());
        if asks.is_empty() || references.is_empty() != reason {
            wrong.push(format!("{id} is neither shown nor excused"));
        }
        wrong.extend(references.into_iter().filter(|one| !is_there(one)).map(|one| format!("{id}: there is no {one}")));
    }
    wrong.extend(wanted.into_iter().map(|id| format!("{id} has no row")));
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// A case of the runner that can run, or a test of the project.
fn is_there(reference: &str) -> bool {
    let Some((file, function)) = reference.split_once("::") else {
        return cases::all().any(|case| case.id == reference && !matches!(case.run, Run::No(_)));
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = ["tests", "src"].iter().find_map(|folder| std::fs::read_to_string(root.join(folder).join(file)).ok());
    text.is_some_and(|text| text.contains(&format!("fn {function}(")))
}
