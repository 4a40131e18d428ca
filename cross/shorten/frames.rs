//! Saving and restoring of registers by routines that functions share.

use std::collections::{BTreeMap, HashMap};

use super::Piece;
use super::assembly::{Function, Item, Kind, Set, Unit, live_after};

/// `-40` of `addiu\t$sp, $sp, -40`.
fn moves_stack(text: &str) -> Option<i32> {
    text.strip_prefix("addiu\t$sp, $sp, ")?.parse().ok()
}

/// The register of `sw\t$16, 20($sp)`.
fn saved(text: &str, name: &str, offset: i32) -> Option<String> {
    let (register, place) = text.strip_prefix(name)?.strip_prefix('\t')?.split_once(", ")?;
    let kept = matches!(register, "$ra" | "$fp" | "$16" | "$17" | "$18" | "$19" | "$20" | "$21" | "$22" | "$23");
    (kept && place.strip_suffix("($sp)")?.parse::<i32>().ok()? == offset).then(|| register.to_owned())
}

fn unit(items: &[Item], at: usize) -> Option<&Unit> {
    match items.get(at)? {
        Item::Unit(unit) => Some(unit),
        Item::Line(_) | Item::Label(_) => None,
    }
}

/// Items of a run of code: indices of units that follow one another from `at` on with only lines between.
fn run(items: &[Item], at: usize) -> impl Iterator<Item = (usize, &Unit)> {
    items.iter().enumerate().skip(at).take_while(|(_, item)| !matches!(item, Item::Label(_))).filter_map(
        |(at, item)| match item {
            Item::Unit(unit) => Some((at, unit)),
            Item::Line(_) | Item::Label(_) => None,
        },
    )
}

/// A place where a function makes its frame and saves registers.
struct Prologue {
    frame: i32,
    /// From the top of the frame downwards, `$ra` first.
    registers: Vec<String>,
    /// The items that are these instructions.
    items: Vec<usize>,
}

fn prologue(items: &[Item], at: usize) -> Option<Prologue> {
    let first = unit(items, at)?;
    let frame = -moves_stack(&first.text)?;
    if first.kind != Kind::Plain || frame <= 0 {
        return None;
    }
    let mut found = Prologue { frame, registers: Vec::new(), items: vec![at] };
    for (place, next) in run(items, at + 1) {
        let offset = frame - 4 * (i32::try_from(found.registers.len()).ok()? + 1);
        let register = match saved(&next.text, "sw", offset) {
            Some(register) if next.kind == Kind::Plain && offset >= 0 => register,
            _ => break,
        };
        if (register == "$ra") != found.registers.is_empty() || found.registers.contains(&register) {
            break;
        }
        found.registers.push(register);
        found.items.push(place);
    }
    (found.registers.len() >= 3).then_some(found)
}

/// All of them where `$ra` and `$at` are free afterwards.
fn prologues(function: &Function, entry: &HashMap<String, Set>) -> Vec<Prologue> {
    let after = live_after(&function.items, entry);
    let all = (0..function.items.len()).filter_map(|at| prologue(&function.items, at));
    all.filter(|found| found.items.last().is_some_and(|last| after[*last] == 0)).collect()
}

/// Saves registers by routines. A frame has a routine of its own where that pays; others use one of a smaller frame.
pub fn share_saving(functions: &mut [Function], made: &mut Vec<Piece>) {
    let none = HashMap::new();
    let mut uses: BTreeMap<(Vec<String>, i32), usize> = BTreeMap::new();
    for (_, function) in functions.iter().enumerate().filter(|(at, function)| function.same == *at) {
        for found in prologues(function, &none) {
            *uses.entry((found.registers, found.frame)).or_default() += 1;
        }
    }
    // Three instructions instead of one more than registers, for a routine of one more than registers.
    uses.retain(|(registers, _), count| *count * (registers.len() - 2) > registers.len() + 1);
    for (registers, frame) in uses.keys() {
        let name = save_name(registers, *frame);
        let mut items = vec![Item::Label(name.clone())];
        for (offset, register) in (2..).zip(&registers[1..]) {
            items.push(Item::Unit(Unit::plain(format!("sw\t{register}, {}($sp)", frame - 4 * offset))));
        }
        items.push(Item::Unit(Unit::with_slot(Kind::Leave, "jr\t$ra", format!("sw\t$1, {}($sp)", frame - 4))));
        made.push(Piece { name, items });
    }
    for function in functions {
        for found in prologues(function, &none).into_iter().rev() {
            let routine = |frame| uses.contains_key(&(found.registers.clone(), frame));
            let smaller = || (1..found.frame).rev().find(|frame| routine(*frame));
            let frame = match Some(found.frame).filter(|frame| routine(*frame)) {
                Some(frame) => frame,
                // One instruction more.
                None if found.registers.len() > 3 => match smaller() {
                    Some(frame) => frame,
                    None => continue,
                },
                None => continue,
            };
            let mut code = vec![
                Unit::plain("move\t$1, $ra"),
                Unit::with_slot(
                    Kind::Call,
                    format!("jal\t{}", save_name(&found.registers, frame)),
                    format!("addiu\t$sp, $sp, -{frame}"),
                ),
            ];
            if frame < found.frame {
                code.push(Unit::plain(format!("addiu\t$sp, $sp, -{}", found.frame - frame)));
            }
            replace(&mut function.items, &found.items, code);
            function.changed = true;
        }
    }
}

fn save_name(registers: &[String], frame: i32) -> String {
    format!("shortened.save{}.{frame}", registers.concat().replace('$', "."))
}

/// Puts code in the place of those items, where the first of them is; what is no code stays.
pub fn replace(items: &mut Vec<Item>, taken: &[usize], code: Vec<Unit>) {
    let Some(first) = taken.first() else { return };
    for at in taken.iter().rev() {
        items.remove(*at);
    }
    items.splice(first..first, code.into_iter().map(Item::Unit));
}

/// The end of a function that calls another one with its frame gone: loads up to `$ra`, then the jump.
struct Ending {
    frame: i32,
    /// In their order.
    loads: Vec<String>,
    items: Vec<usize>,
    /// Runs in the delay slot of the call of the routine.
    before: Option<usize>,
}

fn ending(items: &[Item], at: usize) -> Option<Ending> {
    let jump = unit(items, at)?;
    let frame = moves_stack(jump.slot.as_ref()?)?;
    let leaves = jump.kind == Kind::Leave
        && (jump.text == "jr\t$25" || jump.target().is_some_and(|target| !target.starts_with("shortened.")));
    if !leaves || frame <= 0 {
        return None;
    }
    let mut found = Ending { frame, loads: Vec::new(), items: vec![at], before: None };
    for place in (0..at).rev() {
        match &items[place] {
            Item::Line(_) => {}
            Item::Label(_) => break,
            Item::Unit(load) => {
                let offset = frame - 4 * (i32::try_from(found.loads.len()).ok()? + 1);
                let register = saved(&load.text, "lw", offset).filter(|_| load.kind == Kind::Plain);
                if register.is_none_or(|register| (register == "$ra") != found.loads.is_empty()) {
                    found.before = (load.kind == Kind::Plain && !load.names("$ra")).then_some(place);
                    break;
                }
                found.loads.insert(0, load.text.clone());
                found.items.insert(0, place);
            }
        }
    }
    (found.loads.len() > 1).then_some(found)
}

/// Restores registers by routines where another function is called afterwards: a routine that comes back, by `$at`.
pub fn share_restoring(functions: &mut [Function], made: &mut Vec<Piece>) {
    let endings = |function: &Function| {
        (0..function.items.len()).filter_map(|at| ending(&function.items, at)).collect::<Vec<_>>()
    };
    let mut uses: BTreeMap<(Vec<String>, i32), usize> = BTreeMap::new();
    for (_, function) in functions.iter().enumerate().filter(|(at, function)| function.same == *at) {
        for found in endings(function) {
            let saved = found.loads.len() - 1 - usize::from(found.before.is_none());
            *uses.entry((found.loads, found.frame)).or_default() += saved;
        }
    }
    uses.retain(|(loads, _), saved| *saved > loads.len() + 3);
    let names: BTreeMap<_, _> = uses.into_keys().zip((0..).map(|at| format!("shortened.restore.{at}"))).collect();
    for ((loads, frame), name) in &names {
        let mut items = vec![Item::Label(name.clone()), Item::Unit(Unit::plain("move\t$1, $ra"))];
        items.extend(loads.iter().map(|load| Item::Unit(Unit::plain(load))));
        items.push(Item::Unit(Unit::with_slot(Kind::Leave, "jr\t$1", format!("addiu\t$sp, $sp, {frame}"))));
        made.push(Piece { name: name.clone(), items });
    }
    for function in functions {
        for mut found in endings(function).into_iter().rev() {
            let Some(name) = names.get(&(found.loads, found.frame)) else { continue };
            let Some(jump) = found.items.last().and_then(|at| unit(&function.items, *at)) else { continue };
            let jump = jump.text.clone();
            let before =
                found.before.and_then(|at| unit(&function.items, at)).map_or("nop", |unit| &unit.text).to_owned();
            if found.items.len() == 3 && before == "nop" {
                continue;
            }
            found.items.splice(0..0, found.before);
            let code = vec![
                Unit::with_slot(Kind::Call, format!("jal\t{name}"), before),
                Unit::with_slot(Kind::Leave, jump, "nop"),
            ];
            replace(&mut function.items, &found.items, code);
            function.changed = true;
        }
    }
}
