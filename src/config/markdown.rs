//! The option table as a page for people: `docs/configuration.md`, `usp-agent check --print-options`.

use super::options::{Form, KINDS, Kind, Row};
use std::fmt::Write;

const INTRODUCTION: &str = "\
# /etc/config/usp-agent

<!-- Made by `usp-agent check --print-options > docs/configuration.md`; a test compares. -->

The one truth for what an owner or a controller configures; `Device.LocalAgent.`, `Device.MQTT.`, `Device.STOMP.` and
their tables are views on it. A controller needs three options:

```
config controller 'acs'
\toption url 'mqtts://acs.example.net'
\toption EndpointID 'proto::acs.example.net'
\tlist role 'full'
```

`url` is a short form. It stands for sections of the types below, named after the controller: `mqtt 'acs_mqtt'`,
`mtp 'acs_mtp'` and `controller_mtp 'acs_link'` for an MQTT broker; with `stomp 'acs_stomp'` likewise for a STOMP
server, where the path of the `url` is the controller's destination; `controller_mtp 'acs_link'` for `ws://` and
`wss://`; `mtp 'acs_mtp'` for `listen ws://[::]:8183/usp`, where the controller connects to the agent; for a UNIX socket
(`unix:///path`, or `listen unix:///path`) `unix_socket 'acs_socket'` and the sections that use it. The data model shows
these sections as if they were in the file. When a controller changes one of them, the long form is written to the
file and `url` goes. `{EndpointID}` in a topic or destination is the agent's own endpoint id.

A controller may be reached in several ways, each a `controller_mtp` section: the connected ones of the lowest `Order`
carry what the agent sends of itself, all of them where several have that number. An answer goes back where the request
came in. A controller that comes to the agent has the `Order` of its section with the same protocol (for WebSocket one
without `Host`); without one its connection is used last.

A controller on a link without TLS has only the role `untrusted`, unless its section says `option AllowUnencrypted
'1'`. A UNIX socket counts as encrypted: the permissions of its file say who may connect. An unknown section or option, and a value that cannot be, is a warning with file and line in the log and in
`usp-agent check`; the rest still counts.

## Whom the agent believes

A controller is believed where its certificate names its endpoint id and an authority of `ca_file` signed it, or where
its certificate is one of its `Credential`s. Beyond that, a `credential` says what else an authority or broker may vouch
for, and which roles controllers inherit from it; `TOFUAllowed` takes in who has nobody to vouch for him, with
`UntrustedRole`, and keeps his certificate. A `challenge` gives a role to a controller whose user knows a secret; the
untrusted role must be allowed to see the challenge and to run the two commands:

```
config certificate 'acme'
	option certificate '-----BEGIN CERTIFICATE-----
...
-----END CERTIFICATE-----'

config credential 'acme_controllers'
	option certificate 'acme'
	option AllowedUses 'MTP-and-USP'
	list role 'readonly'

config challenge 'owner'
	option Description 'Full access for the owner'
	list role 'full'
	option Value 'c2VzYW1l'
	option Instruction 'U2VlIHRoZSBsYWJlbA=='

config role 'untrusted'

config permission 'untrusted_challenge'
	option role 'untrusted'
	list Targets 'Device.LocalAgent.ControllerTrust.Challenge.'
	list Targets 'Device.LocalAgent.ControllerTrust.RequestChallenge()'
	list Targets 'Device.LocalAgent.ControllerTrust.ChallengeResponse()'
	option Param 'r---'
	option Obj 'r---'
	option CommandEvent 'r-x-'
```

A controller is banned by `BannedRole` as its role: nothing is taken from it, and nothing sent. The agent gives that role
itself where a certificate kept for a controller stands on a list of `crl_file`.
";

/// The page.
pub fn markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    for kind in KINDS {
        section(&mut page, kind);
    }
    page
}

fn section(page: &mut String, kind: &Kind) {
    let _ = write!(page, "\n## config {}\n\n{}.\n", kind.name, capital(kind.doc));
    if !kind.object.is_empty() {
        let _ = writeln!(page, "In the data model: `{}`", kind.object);
    }
    page.push_str("\n| Option | Value | Default | Parameter | Meaning |\n|---|---|---|---|---|\n");
    for row in kind.options {
        let _ = writeln!(
            page,
            "| {}{} | {}{} | {} | {} | {} |",
            code(row.name),
            if row.required { " (required)" } else { "" },
            if row.list { "list: " } else { "" },
            form(row),
            code(row.default),
            code(row.parameter),
            row.doc,
        );
    }
}

fn form(row: &Row) -> String {
    match row.form {
        Form::Word(words) => words.iter().map(|word| code(word)).collect::<Vec<_>>().join(", "),
        Form::Section(kind) => format!("a `{kind}` section"),
        form => form.to_string(),
    }
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| std::iter::once(first.to_ascii_uppercase()).chain(letters).collect())
}
