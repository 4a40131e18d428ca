//! The help, and docs/command-line.md, are made of the table of verbs.

use super::*;
use std::fs;

const DOC: &str = "docs/command-line.md";
const HEAD: &str = "# The command line

<!-- Made of the table in src/cli/mod.rs by `UPDATE=1 cargo test --lib the_document`. -->

The verbs of a running agent go over its object `usp-agent` on ubus, as root. Nothing needs quotes but values with
blanks, and searches: `usp-agent get Device.WiFi.SSID.*.SSID`, `usp-agent set Device.DeviceInfo.HostName=castle`,
`usp-agent operate Device.IP.Diagnostics.IPPing Host=192.0.2.1 ...`. With `--json` stdout holds the answer of ubus, and
nothing else.

";
const BUS: &str = "
## On ubus

`ubus -v list usp-agent` names the methods with their arguments; `ubus call usp-agent get '{\"path\":\"Device.Time.\"}'`
answers `{\"values\": {...}}`. A request that fails ends with a status that is not 0 and with `error`: `code` (of USP),
`message`, and `paths` where several failed. `operate` answers when the command is done, or after 25 s, or at once with
`\"wait\": false`, with the path of its Request. `watch` and `trace` hold for the `seconds` they are asked for, 300 at most.

| Event | Tells |
|---|---|
| `usp-agent.connected`, `usp-agent.disconnected` | `controller`, `endpoint_id`, `transport` |
| `usp-agent.config_applied` | `packages` that were written, `on_trial` |
| `usp-agent.confirmed`, `usp-agent.reverted` | what became of a change on trial; `packages`, `changes`, `cause` |
| `usp-agent.operation_complete` | `request`, `command`, `output` or `error` and `message` |
| `usp-agent.changed` | of `watch`: `type`, `path`, `value` |
| `usp-agent.trace` | of `trace`: `direction`, `controller`, `link`, `text` |
";

fn document() -> String {
    let mut text = HEAD.to_owned();
    for verb in VERBS {
        text += &format!("## usp-agent {} {}", verb.name, verb.words).trim_end().replace('|', "\\|");
        text += &format!("\n\n{}.\n\n", verb.doc);
        for flag in verb.flags {
            let usage = flag.value.map_or(format!("--{}", flag.name), |value| format!("--{} {value}", flag.name));
            text += &format!("- `{usage}`: {}\n", flag.doc);
        }
        if !verb.flags.is_empty() {
            text.push('\n');
        }
    }
    text += "## Exit codes\n\n| Code | Name | Means |\n|---|---|---|\n";
    for (exit, name, doc) in EXITS {
        text += &format!("| {} | {name} | {doc} |\n", exit.code());
    }
    text + BUS
}

#[test]
fn the_document_is_made_of_the_table() {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(DOC, document()).unwrap();
    }
    let written = fs::read_to_string(DOC).unwrap_or_default();
    assert!(written == document(), "{DOC} is not what UPDATE=1 cargo test --lib the_document would write");
}

#[test]
fn the_help_names_every_command_and_every_option() {
    let all = overview();
    for verb in VERBS {
        assert!(all.contains(&format!("usp-agent {} ", verb.name)), "{}", verb.name);
        for flag in verb.flags {
            assert!(help_of(verb).contains(&format!("--{}", flag.name)));
        }
    }
    assert!(all.lines().all(|line| line.len() <= 100), "too wide:\n{all}");
}

#[test]
fn every_exit_code_has_its_own_number() {
    for (number, (exit, ..)) in EXITS.iter().enumerate() {
        assert_eq!(usize::from(exit.code()), number);
    }
}
