//! Checks of the runner itself, beside the cases.

use std::process::Command;

/// A name and what is checked, with what is wrong.
pub struct Check(pub &'static str, fn() -> Result<(), String>);

/// Every check.
pub const ALL: &[Check] = &[Check("runner::drives_another_agent", drives_another_agent)];

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
