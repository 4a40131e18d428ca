//! `completion bash`: a script for the shell, made of the table of commands.

use super::{Arguments, Exit, VERBS, print, usage};

pub(super) fn run(given: &Arguments) -> Exit {
    match given.words.first().map(String::as_str) {
        Some("bash") => print(&bash()),
        Some("ash") => usage("ash has no completion of words; `usp-agent completion bash` is for bash"),
        _ => usage("completion needs a shell: usp-agent completion bash > /etc/bash_completion.d/usp-agent"),
    }
}

/// Commands, their options, and objects of the data model one level at a time.
fn bash() -> String {
    let names: Vec<_> = VERBS.iter().map(|verb| verb.name).collect();
    let mut cases = String::new();
    for verb in VERBS.iter().filter(|verb| !verb.flags.is_empty()) {
        let flags: Vec<_> = verb.flags.iter().map(|flag| format!("--{}", flag.name)).collect();
        cases += &format!("\t{}) words='{}';;\n", verb.name, flags.join(" "));
    }
    format!(
        "_usp_agent() {{\n\tlocal word=${{COMP_WORDS[COMP_CWORD]}} words=\n\tif [ \"$COMP_CWORD\" = 1 ]; then\n\
         \t\twords='{}'\n\telse case ${{COMP_WORDS[1]}} in\n{cases}\tesac; fi\n\
         \tcase $word in Device*) compopt -o nospace; words=$(usp-agent tree 2>/dev/null | cut -d' ' -f1);; esac\n\
         \tCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}}\ncomplete -o default -F _usp_agent usp-agent\n",
        names.join(" ")
    )
}
