//! Assembly for mips as LLVM writes it: functions, their instructions, and what is read later.

use std::collections::HashMap;

/// A set of `RA` and `AT`: the two registers that a change may spoil.
pub type Set = u8;
/// The return address.
pub const RA: Set = 1;
/// `$1`; no function is given anything in it, and none gives back anything in it.
pub const AT: Set = 2;

/// Plain instructions whose first operand is written and not read.
const WRITES_FIRST: &[&str] = &[
    "addiu", "addu", "and", "andi", "clo", "clz", "ext", "lb", "lbu", "lh", "lhu", "lui", "lw", "mfhi", "mflo", "move",
    "mul", "negu", "nor", "not", "or", "ori", "rotr", "rotrv", "seb", "seh", "sll", "sllv", "slt", "slti", "sltiu",
    "sltu", "sra", "srav", "srl", "srlv", "subu", "wsbh", "xor", "xori",
];
/// Plain instructions all operands of which count as read; what they write is never taken for written.
const READS_ALL: &[&str] = &[
    "div", "divu", "ins", "lwl", "lwr", "madd", "maddu", "movn", "movz", "mthi", "mtlo", "mult", "multu", "nop", "sb",
    "sh", "sw", "swl", "swr",
];
/// Instructions that are never moved, and that nothing is moved across.
const BORDERS: &[&str] = &["break", "ll", "rdhwr", "sc", "sync", "syscall", "teq"];
/// Branches that may go on: the target is the last operand.
const CONDITIONAL: &[&str] = &["beq", "beqz", "bgez", "bgtz", "blez", "bltz", "bne", "bnez"];

/// What an instruction, with the one in its delay slot, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One instruction after which the next one runs.
    Plain,
    /// A call, which comes back.
    Call,
    /// A jump out of the function, or to an address in a register.
    Leave,
    /// A branch to a label of the function.
    Branch,
    /// Anything else: nothing is known of it.
    Other,
}

/// An instruction, and the one in its delay slot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Unit {
    /// What it is.
    pub kind: Kind,
    /// The instruction, as it is written.
    pub text: String,
    /// The one in its delay slot.
    pub slot: Option<String>,
}

impl Unit {
    /// One instruction of this kind without a delay slot.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { kind: Kind::Plain, text: text.into(), slot: None }
    }

    /// One with a delay slot.
    pub fn with_slot(kind: Kind, text: impl Into<String>, slot: impl Into<String>) -> Self {
        Self { kind, text: text.into(), slot: Some(slot.into()) }
    }

    /// How many instructions.
    pub fn length(&self) -> usize {
        1 + usize::from(self.slot.is_some())
    }

    /// Whether either instruction names the register.
    pub fn names(&self, register: &str) -> bool {
        names(&self.text, register) || self.slot.as_ref().is_some_and(|slot| names(slot, register))
    }

    /// The name that a jump or a call goes to; none where the address is in a register.
    pub fn target(&self) -> Option<&str> {
        let (_, operands) = parts(&self.text);
        operands.rsplit(", ").next().filter(|target| !is_register(target))
    }
}

/// What stands in a function, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A directive, a comment, or a label that only tables of debug information know.
    Line(String),
    /// A label that code goes to.
    Label(String),
    /// Code.
    Unit(Unit),
}

/// A function that is understood.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The lines of its code in the text that was read.
    pub lines: std::ops::Range<usize>,
    /// What stands there now.
    pub items: Vec<Item>,
    /// Whether that is something else than was read.
    pub changed: bool,
    /// Functions with the same number are the same code, of which the linker keeps one.
    pub same: usize,
}

fn parts(text: &str) -> (&str, &str) {
    text.split_once('\t').unwrap_or((text, ""))
}

fn is_register(word: &str) -> bool {
    let Some(name) = word.strip_prefix('$') else { return false };
    matches!(name, "zero" | "ra" | "sp" | "fp" | "gp") || name.parse::<u8>().is_ok_and(|number| number < 32)
}

/// The registers of an operand: `$4`, or `8($sp)`.
fn register_of(operand: &str) -> &str {
    operand.rsplit_once('(').map_or(operand, |(_, inner)| inner.trim_end_matches(')'))
}

fn names(text: &str, register: &str) -> bool {
    parts(text).1.split(", ").any(|operand| register_of(operand) == register)
}

/// What a plain instruction reads and what it writes.
fn effect(text: &str) -> (Set, Set) {
    let (name, operands) = parts(text);
    let mut read = 0;
    let mut written = 0;
    for (at, operand) in operands.split(", ").enumerate() {
        let register = match register_of(operand) {
            "$ra" => RA,
            "$1" => AT,
            _ => continue,
        };
        if at == 0 && WRITES_FIRST.contains(&name) {
            written |= register;
        } else {
            read |= register;
        }
    }
    (read, written)
}

fn is_plain(text: &str) -> bool {
    let (name, _) = parts(text);
    WRITES_FIRST.contains(&name) || READS_ALL.contains(&name)
}

fn is_border(text: &str) -> bool {
    BORDERS.contains(&parts(text).0)
}

/// What the first instruction of a unit is by its name; whether it has a delay slot.
fn kind_of(text: &str) -> (Kind, bool) {
    let (name, operands) = parts(text);
    let local = operands.rsplit(", ").next().is_some_and(|target| target.starts_with("$BB"));
    match name {
        "jal" if !operands.starts_with('$') => (Kind::Call, true),
        "jalr" if operands == "$25" => (Kind::Call, true),
        "j" | "b" if local => (Kind::Branch, true),
        "j" if !operands.starts_with('$') => (Kind::Leave, true),
        "jr" => (Kind::Leave, true),
        _ if CONDITIONAL.contains(&name) && local => (Kind::Branch, true),
        _ if is_plain(text) => (Kind::Plain, false),
        _ if is_border(text) => (Kind::Other, false),
        _ => (Kind::Other, true),
    }
}

/// The code of a function, or nothing where something in it is not understood.
fn understood(lines: &[&str]) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    let (mut locked, mut pushed, mut inline) = (false, false, false);
    let mut waiting: Option<(Kind, String)> = None;
    for line in lines {
        if line.is_empty() || line.starts_with('#') {
            items.push(Item::Line((*line).to_owned()));
            continue;
        }
        if let Some(label) = line.strip_suffix(':').filter(|_| !line.starts_with('\t')) {
            if label.starts_with("$tmp") {
                items.push(Item::Line((*line).to_owned()));
                continue;
            }
            // Nothing goes to a delay slot, and to nothing else than blocks.
            if waiting.is_some() || !label.starts_with("$BB") {
                return None;
            }
            items.push(Item::Label(label.to_owned()));
            continue;
        }
        let text = line.strip_prefix('\t')?;
        if text.starts_with(['.', '#']) {
            match text.split_whitespace().next()? {
                "#APP" => inline = true,
                "#NO_APP" => inline = false,
                ".set" if text.ends_with("\tpush") => pushed = true,
                ".set" if text.ends_with("\tpop") => pushed = false,
                ".set" if pushed => {}
                ".loc" | ".file" | ".insn" => {}
                name if name.starts_with(".cfi_") || name.starts_with('#') => {}
                _ => return None,
            }
            items.push(Item::Line((*line).to_owned()));
            continue;
        }
        // A comment, two instructions in a line, a label for tables that code goes to, half an address.
        if text.contains(['#', ';', '"', '+']) || text.contains("$tmp") || text.starts_with(char::is_whitespace) {
            return None;
        }
        if let Some((kind, first)) = waiting.take() {
            // What runs in the delay slot of a call already sees the new `$ra`.
            let simple = is_plain(text) && !(kind == Kind::Call && names(text, "$ra"));
            let kind = if simple && !(locked || pushed || inline) { kind } else { Kind::Other };
            items.push(Item::Unit(Unit::with_slot(kind, first, text)));
            continue;
        }
        let (kind, slot) = kind_of(text);
        if slot && kind == Kind::Other {
            return None;
        }
        locked |= text.starts_with("ll\t");
        let kind = if locked || pushed || inline { Kind::Other } else { kind };
        locked &= !text.starts_with("sc\t");
        if slot {
            waiting = Some((kind, text.to_owned()));
        } else {
            items.push(Item::Unit(Unit { kind, text: text.to_owned(), slot: None }));
        }
    }
    (waiting.is_none() && !pushed && !inline).then_some(items)
}

/// All functions that are understood.
pub fn functions(lines: &[&str]) -> Vec<Function> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let start = at;
        at += 1;
        let Some(name) = lines[start].strip_prefix("\t.ent\t") else { continue };
        let ended = format!("\t.end\t{name}");
        let Some(end) = lines[start..].iter().position(|line| *line == ended).map(|end| start + end) else { continue };
        at = end;
        // The code is between the two halves of this.
        let Some(first) = lines[start..end].iter().position(|line| *line == "\t.set\tnoat").map(|first| start + first)
        else {
            continue;
        };
        let begun = first >= 2 && lines[first - 2..first] == ["\t.set\tnoreorder", "\t.set\tnomacro"];
        let closed = end >= first + 4 && lines[end - 3..end] == ["\t.set\tat", "\t.set\tmacro", "\t.set\treorder"];
        if !begun || !closed {
            continue;
        }
        let code = first + 1..end - 3;
        if let Some(items) = understood(&lines[code.clone()]) {
            let same = found.len();
            found.push(Function { name: name.to_owned(), lines: code, items, changed: false, same });
        }
    }
    found
}

/// For each item, what of `RA` and `AT` is read after it before it is written. `entry` tells that of what is jumped to.
pub fn live_after(items: &[Item], entry: &HashMap<String, Set>) -> Vec<Set> {
    let mut labels: HashMap<&str, Set> = HashMap::new();
    let mut after = vec![0; items.len()];
    loop {
        let mut moved = false;
        let all = labels.values().fold(0, |all, one| all | one);
        // Past the end nothing is known.
        let mut live = RA | AT;
        for (at, item) in items.iter().enumerate().rev() {
            after[at] = live;
            match item {
                Item::Line(_) => {}
                Item::Label(label) => {
                    let known = labels.entry(label).or_default();
                    moved |= *known | live != *known;
                    *known |= live;
                }
                Item::Unit(unit) => live = live_before(unit, live, all, &labels, entry),
            }
        }
        if !moved {
            return after;
        }
    }
}

fn live_before(unit: &Unit, live: Set, all: Set, labels: &HashMap<&str, Set>, entry: &HashMap<String, Set>) -> Set {
    let (read, written) = effect(&unit.text);
    let (slot_read, slot_written) = unit.slot.as_ref().map_or((0, 0), |slot| effect(slot));
    let known = |label: Option<&str>| label.map_or(0, |label| labels.get(label).copied().unwrap_or_default());
    let after = match unit.kind {
        Kind::Plain => return live & !written | read,
        Kind::Other if unit.slot.is_none() && (is_plain(&unit.text) || is_border(&unit.text)) => {
            return live | read | written;
        }
        Kind::Other => return RA | AT,
        // What is called may be a piece, which reads `$at`.
        Kind::Call => {
            let at = unit.target().and_then(|target| entry.get(target)).map_or(0, |entry| entry & AT);
            return read | slot_read | (live & !AT | at) & !slot_written & !RA;
        }
        Kind::Branch if parts(&unit.text).1.starts_with("$BB") => known(unit.target()),
        Kind::Branch => live | known(unit.target()),
        Kind::Leave => match unit.target() {
            Some(target) => entry.get(target).copied().unwrap_or(RA),
            None if unit.text == "jr\t$ra" => RA,
            // A table of the function's own, or another function.
            None => RA | all,
        },
    };
    read | slot_read | after & !slot_written
}

/// How many instructions.
pub fn count<'a>(items: impl Iterator<Item = &'a Item>) -> usize {
    items.map(|item| if let Item::Unit(unit) = item { unit.length() } else { 0 }).sum()
}

/// Writes them as they were read.
pub fn print(text: &mut String, items: &[Item]) {
    for item in items {
        match item {
            Item::Line(line) => text.push_str(line),
            Item::Label(label) => {
                text.push_str(label);
                text.push(':');
            }
            Item::Unit(Unit { text: first, slot, .. }) => {
                text.push('\t');
                text.push_str(first);
                if let Some(slot) = slot {
                    text.push_str("\n\t");
                    text.push_str(slot);
                }
            }
        }
        text.push('\n');
    }
}
