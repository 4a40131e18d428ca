//! Makes the assembly that LLVM writes for mips shorter: `shorten IN OUT`. LLVM has no shared routines that save and
//! restore registers on mips, and its outliner does not know it.
//!
//! * Registers are saved by routines that functions share; where a function ends by calling another one, they are restored
//!   by such routines too (`frames.rs`).
//! * Straight-line code that occurs more than once is kept once (`pieces.rs`).
//!
//! Each change puts in the place of some instructions of one block others that do the same, and differ in `$ra` and `$at`
//! only, where nobody reads those before they are written again. What is not understood is left as it is: a function with a
//! directive that is not known here, an instruction that is not known here (it is a border that nothing crosses), whatever
//! stands between `ll` and `sc`, inline assembler, instructions that trap on purpose (their addresses are told in the log).
//!
//! The stack pointer is lowered before anything is stored below it: handlers of signals run on this stack.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::process::ExitCode;

pub mod assembly;
mod frames;
mod pieces;

use assembly::{Function, Item, count, functions, print};

/// A routine that was made, or a piece of code that is kept once.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Its name.
    pub name: String,
    /// Its code, which begins with the name.
    pub items: Vec<Item>,
}

/// The names after `%hi(` and `%lo(`, and what is called: where in the text.
fn symbol_at(text: &str) -> Option<std::ops::Range<usize>> {
    if let Some(at) = text.find("%hi(").or_else(|| text.find("%lo(")) {
        return text[at..].find(')').map(|end| at + 4..at + end);
    }
    let start = text.strip_prefix("jal\t").or_else(|| text.strip_prefix("j\t")).map(|name| text.len() - name.len())?;
    (!text[start..].starts_with('$')).then_some(start..text.len())
}

fn renamed(text: &mut String, names: &HashMap<String, String>) -> bool {
    let Some(at) = symbol_at(text) else { return false };
    let Some(name) = names.get(&text[at.clone()]) else { return false };
    text.replace_range(at, name);
    true
}

/// Finds the functions that are the same code, also where they call functions that are. The linker keeps one of each
/// (`--icf=all`), and each counts once here, is changed as the others are, and they name the first of those they call.
fn find_the_same(functions: &mut [Function], names_own_section: &HashSet<String>) {
    loop {
        let mut first: HashMap<String, usize> = HashMap::new();
        let mut names = HashMap::new();
        for at in 0..functions.len() {
            if !names_own_section.contains(&functions[at].name) {
                continue;
            }
            let same = *first.entry(print_without_numbers(&functions[at])).or_insert(at);
            functions[at].same = same;
            if same != at {
                names.insert(functions[at].name.clone(), functions[same].name.clone());
            }
        }
        let mut any = false;
        for function in &mut *functions {
            for item in &mut function.items {
                if let Item::Unit(unit) = item {
                    let here =
                        renamed(&mut unit.text, &names) | unit.slot.as_mut().is_some_and(|slot| renamed(slot, &names));
                    function.changed |= here;
                    any |= here;
                }
            }
        }
        if !any {
            return;
        }
    }
}

/// Labels are `$BB`, the number of the function, `_`, the number of the block.
fn print_without_numbers(function: &Function) -> String {
    let mut text = String::new();
    for item in &function.items {
        let code = match item {
            Item::Line(_) => continue,
            Item::Label(label) => label.clone(),
            Item::Unit(unit) => format!("{}\n{}", unit.text, unit.slot.as_deref().unwrap_or_default()),
        };
        for (at, part) in code.split("$BB").enumerate() {
            let part = if at == 0 { part } else { part.trim_start_matches(|letter: char| letter.is_ascii_digit()) };
            text.push_str(if at == 0 { "" } else { "$BB" });
            text.push_str(part);
        }
        text.push('\n');
    }
    text
}

/// Functions with a section of their own, which alone the linker folds.
fn own_sections(lines: &[&str]) -> HashSet<String> {
    let mut section = "";
    let mut seen: HashMap<&str, Vec<&str>> = HashMap::new();
    for line in lines {
        if let Some(rest) = line.strip_prefix("\t.section\t") {
            section = rest;
        } else if matches!(*line, "\t.text" | "\t.data" | "\t.bss") {
            section = line;
        } else if let Some(name) = line.strip_prefix("\t.ent\t") {
            seen.entry(section).or_default().push(name);
        }
    }
    seen.into_values().filter(|names| names.len() == 1).flatten().map(str::to_owned).collect()
}

/// Two halves of an address find each other by their symbol, where they are in one section; a label without a name is a
/// section and a number to the linker, and half of that number is lost where the halves are apart. So they get names.
fn named(text: &str) -> Option<String> {
    let mut local: HashSet<&str> = HashSet::new();
    for line in text.lines() {
        if let Some(symbol) = line.find("%hi(").and_then(|at| line[at + 4..].split(')').next()) {
            local.insert(symbol);
        }
    }
    let mut known: HashSet<&str> = HashSet::new();
    let mut elsewhere: HashSet<&str> = HashSet::new();
    for line in text.lines() {
        if let Some(label) = line.strip_suffix(':') {
            known.insert(label);
        } else if let Some(symbol) = line.strip_prefix("\t.globl\t").or_else(|| line.strip_prefix("\t.weak\t")) {
            elsewhere.insert(symbol.split('#').next().unwrap_or_default().trim());
        }
    }
    local.retain(|symbol| known.contains(symbol) && !elsewhere.contains(symbol));
    let mut output = String::with_capacity(text.len() + text.len() / 8);
    for line in text.lines() {
        if let Some(label) = line.strip_suffix(':').filter(|label| local.contains(label)) {
            let _ = writeln!(output, "\t.globl\t{0}\n\t.hidden\t{0}\n{0}:", public(label));
        } else {
            rename_private(&mut output, line, &local);
            output.push('\n');
        }
    }
    Some(output)
}

/// The assembler keeps no name that begins with `$`.
fn public(label: &str) -> String {
    label.strip_prefix('$').map_or_else(|| label.to_owned(), |rest| format!("shortened.{rest}"))
}

fn rename_private(output: &mut String, line: &str, local: &HashSet<&str>) {
    let mut rest = line;
    while let Some(at) = rest.find('$') {
        let end = rest[at + 1..]
            .find(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '$')))
            .map_or(rest.len(), |end| at + 1 + end);
        output.push_str(&rest[..at]);
        let name = &rest[at..end];
        if local.contains(name) {
            output.push_str(&public(name))
        } else {
            output.push_str(name)
        }
        rest = &rest[end..];
    }
    output.push_str(rest);
}

/// The shorter text, and a line about it. The same text where nothing can be shortened.
pub fn shorten(text: &str) -> (String, String) {
    let lines: Vec<&str> = text.lines().collect();
    let mut functions = functions(&lines);
    let before = count(functions.iter().flat_map(|function| &function.items));
    find_the_same(&mut functions, &own_sections(&lines));
    let alike = functions.iter().enumerate().filter(|(at, function)| function.same != *at).count();
    let mut made = Vec::new();
    frames::share_saving(&mut functions, &mut made);
    pieces::share(&mut functions, &mut made, pieces::Which::Ends);
    frames::share_restoring(&mut functions, &mut made);
    while pieces::share(&mut functions, &mut made, pieces::Which::All) > 0 {}

    let mut output = String::with_capacity(text.len());
    let mut at = 0;
    for function in functions.iter().filter(|function| function.changed) {
        for line in &lines[at..function.lines.start] {
            output.push_str(line);
            output.push('\n');
        }
        print(&mut output, &function.items);
        at = function.lines.end;
    }
    for line in &lines[at..] {
        output.push_str(line);
        output.push('\n');
    }
    for piece in &made {
        let _ = writeln!(
            output,
            "\t.section\t.text.{0},\"ax\",@progbits\n\t.p2align\t2\n\t.type\t{0},@function\n\t.set\tnoreorder\n\t.set\tnomacro\n\t.set\tnoat",
            piece.name
        );
        print(&mut output, &piece.items);
        let _ = writeln!(
            output,
            "\t.set\tat\n\t.set\tmacro\n\t.set\treorder\n$end.{0}:\n\t.size\t{0}, $end.{0}-{0}",
            piece.name
        );
    }
    let changed = functions.iter().filter(|function| function.changed).count();
    let after =
        count(functions.iter().flat_map(|function| &function.items).chain(made.iter().flat_map(|piece| &piece.items)));
    let report = format!(
        "{before} instructions became {after}: {} functions, {alike} of them like others, {changed} changed, {} pieces",
        functions.len(),
        made.len()
    );
    if !made.is_empty() {
        if let Some(output) = named(&output) {
            return (output, report);
        }
    }
    (output, report)
}

/// `shorten IN OUT`.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(input), Some(output)) = (arguments.next(), arguments.next()) else { return ExitCode::from(2) };
    let done = std::fs::read_to_string(input).and_then(|text| {
        let (shorter, report) = shorten(&text);
        println!("{report}");
        std::fs::write(output, shorter)
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("shorten: {error}");
            ExitCode::FAILURE
        }
    }
}
