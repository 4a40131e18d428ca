//! `cross/shorten/`: assembly for mips becomes shorter and does the same.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, unreachable_pub, dead_code)]

use std::collections::{BTreeSet, HashMap};

#[path = "../cross/shorten/main.rs"]
mod shorten;

use shorten::assembly::{AT, Item, Kind, RA, Unit, functions, live_after};

/// A function as LLVM writes one.
fn function(name: &str, code: &str) -> String {
    let code: String = code.lines().map(str::trim).filter(|line| !line.is_empty()).map(line).collect();
    format!(
        "\t.section\t.text.{name},\"ax\",@progbits\n\t.p2align\t2\n\t.type\t{name},@function\n\t.ent\t{name}\n{name}:\n\
         \t.frame\t$sp,0,$ra\n\t.set\tnoreorder\n\t.set\tnomacro\n\t.set\tnoat\n{code}\
         \t.set\tat\n\t.set\tmacro\n\t.set\treorder\n\t.end\t{name}\n"
    )
}

/// `lw $4, 0($5)` as LLVM writes it, with tabs.
fn line(line: &str) -> String {
    if line.ends_with(':') { format!("{line}\n") } else { format!("\t{}\n", line.replacen(' ', "\t", 1)) }
}

fn shortened(text: &str) -> String {
    shorten::shorten(text).0
}

/// Functions of this code, that differ in what they do first, and in what they are called.
fn several(count: usize, code: &str) -> String {
    (0..count).map(|at| function(&format!("f{at}"), &code.replace("NUMBER", &at.to_string()))).collect()
}

/// The code of each function, each piece put back where it is called or jumped to: what the program does, in its order.
fn put_back(text: &str) -> Vec<(String, Vec<String>)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut pieces: HashMap<String, Vec<Unit>> = HashMap::new();
    for at in 0..lines.len() {
        let Some(name) = lines[at].strip_prefix("\t.section\t.text.shortened.") else { continue };
        let name = format!("shortened.{}", name.split(',').next().unwrap());
        let end = at + lines[at..].iter().position(|line| *line == "\t.set\tat").unwrap();
        let body = format!(
            "\t.ent\t{name}\n\t.set\tnoreorder\n\t.set\tnomacro\n\t.set\tnoat\n{}\n\t.set\tat\n\t.set\tmacro\n\t.set\treorder\n\t.end\t{name}\n",
            // Names within it are what blocks are in functions.
            lines[at + 6..end]
                .iter()
                .map(|line| line.strip_suffix(':').map_or((*line).to_owned(), |label| format!("$BB{label}:")))
                .collect::<Vec<_>>()
                .join("\n")
        );
        let body: Vec<&str> = body.lines().collect();
        let found = functions(&body);
        let items = &found[0].items;
        for (at, item) in items.iter().enumerate() {
            if let Item::Label(label) = item {
                let code = items[at..]
                    .iter()
                    .filter_map(|item| if let Item::Unit(unit) = item { Some(unit.clone()) } else { None });
                pieces.insert(label.strip_prefix("$BB").unwrap().to_owned(), code.collect());
            }
        }
    }
    let found = functions(&lines).into_iter().map(|function| {
        let mut code = Vec::new();
        for item in &function.items {
            match item {
                Item::Line(_) => {}
                Item::Label(label) => code.push(format!("{label}:")),
                Item::Unit(unit) => expand(unit, &pieces, &mut code, false),
            }
        }
        // Each function has a number of its own.
        let number =
            code.iter().find_map(|line| line.split_once("$BB")?.1.split_once('_')).map_or("", |(number, _)| number);
        let number = format!("$BB{number}_");
        (function.name, joined(code).iter().map(|line| line.replace(&number, "$BB_")).collect())
    });
    found.collect()
}

/// Where `$ra` is written that LLVM left alone, and where `$at` too.
const CALLED: &str = "#called";
const SAVED: &str = "#saved";

/// Without what the jump back to the caller is, where it is `called`.
fn expand(unit: &Unit, pieces: &HashMap<String, Vec<Unit>>, code: &mut Vec<String>, called: bool) {
    let target = unit.target().and_then(|target| pieces.get(target));
    let slot = unit.slot.clone();
    match (unit.kind, target) {
        (Kind::Call | Kind::Leave, Some(piece)) => {
            let routine = unit.text.contains("\tshortened.save") || unit.text.contains("\tshortened.restore");
            code.extend((unit.kind == Kind::Call && !routine).then(|| CALLED.to_owned()));
            // Nothing is said of one that only waits.
            code.extend(slot.filter(|slot| slot != "nop"));
            let inside = called || unit.kind == Kind::Call;
            for unit in piece {
                expand(unit, pieces, code, inside);
            }
        }
        (Kind::Leave, None) if called && (unit.text == "jr\t$ra" || unit.text == "jr\t$1") => code.extend(slot),
        // The last thing a piece does is to call.
        (Kind::Leave, None) if called => {
            code.push(unit.text.replace("j\t", "jal\t").replace("jr\t", "jalr\t"));
            code.extend(slot);
        }
        _ => {
            code.push(unit.text.clone());
            code.extend(slot);
        }
    }
}

/// What saves and restores registers reads as LLVM writes it.
fn joined(code: Vec<String>) -> Vec<String> {
    let mut output: Vec<String> = Vec::new();
    let stack = |line: &str| line.strip_prefix("addiu\t$sp, $sp, ").and_then(|by| by.parse::<i32>().ok());
    let mut at = 0;
    while at < code.len() {
        if code[at] == "move\t$1, $ra" && code.get(at + 1).is_some_and(|next| stack(next).is_some_and(|by| by < 0)) {
            let mut frame = -stack(&code[at + 1]).unwrap();
            let end = at + 2 + code[at + 2..].iter().position(|line| line.starts_with("sw\t$1, ")).unwrap();
            let saved = code[at + 2..end].iter().map(|line| line.split_once(", ").unwrap().0);
            let saved: Vec<_> = std::iter::once("sw\t$ra").chain(saved).collect();
            at = end;
            let called = usize::from(code.get(end + 1).is_some_and(|line| line == CALLED));
            if let Some(more) = code.get(end + 1 + called).and_then(|line| stack(line)).filter(|more| *more < 0) {
                frame -= more;
                at += 1 + called;
            }
            output.push(format!("addiu\t$sp, $sp, -{frame}"));
            output.extend((1..).zip(saved).map(|(slot, register)| format!("{register}, {}($sp)", frame - 4 * slot)));
            output.push(SAVED.to_owned());
        } else if code[at] == "move\t$1, $ra" && (code[at + 1].starts_with("lw\t") || code[at + 1] == CALLED) {
            // A routine that restores and comes back, and the jump after it.
            let end = at + code[at..].iter().position(|line| line.starts_with("addiu\t$sp")).unwrap();
            output.extend(code[at + 1..end].iter().cloned());
            output.push(code[end + 1].clone());
            assert_eq!(code[end + 2], "nop");
            output.push(code[end].clone());
            at = end + 2;
        } else {
            output.push(code[at].clone());
        }
        at += 1;
    }
    output
}

/// Every function does what it did: the same instructions in the same order, apart from the nop of a delay slot.
fn same(text: &str) -> String {
    let short = shortened(text);
    let (was, is) = (put_back(text), put_back(&short));
    assert_eq!(was.len(), is.len());
    // Of functions that are alike, others call the first; private labels have got names.
    let alike = alike(&was);
    for ((name, was), (_, is)) in was.iter().zip(&is) {
        // LLVM itself stores what it left undefined.
        let undefined = spoiled(was);
        assert!(spoiled(is).is_subset(&undefined), "{name}: {:?}", spoiled(is).difference(&undefined));
        let is: Vec<_> = is.iter().filter(|line| !line.starts_with('#')).collect();
        for (at, (one, other)) in was.iter().zip(&is).enumerate() {
            assert_eq!(named(one, &alike), named(other, &alike), "{name}, {at}");
        }
        assert_eq!(was.len(), is.len(), "{name}");
    }
    short
}

/// Where a function returns, or leaves for another, or saves it, `$ra` is what it was given. What LLVM has in `$at` is not
/// read after a routine spoiled it. Forwards, on all ways; the program looks backwards.
fn spoiled(code: &[String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut labels: HashMap<&str, (bool, bool)> = HashMap::new();
    loop {
        let before = labels.clone();
        // Whether `$ra` and `$at` are good; nothing where no code comes to.
        let mut state = Some((true, true));
        let mut at = 0;
        while at < code.len() {
            let line = &code[at];
            at += 1;
            if let Some(label) = line.strip_suffix(':') {
                state = meet(state, labels.get(label).copied());
                labels.extend(state.map(|state| (label, state)));
                continue;
            }
            let Some(now) = state else { continue };
            let (operation, operands) = line.split_once('\t').unwrap_or((line, ""));
            let target = operands.rsplit(", ").next().unwrap_or_default();
            let jumps = matches!(operation, "j" | "b" | "jr");
            if jumps
                || matches!(operation, "jal" | "jalr")
                || operation.starts_with('b') && target.starts_with('$') && operation != "break"
            {
                check(line, now, &mut found);
                let now = step(&code[at], now, &mut found);
                at += 1;
                let out = |labels: &mut HashMap<_, _>, label| {
                    let met = meet(Some(now), labels.get(label).copied());
                    labels.extend(met.map(|met| (label, met)));
                };
                if target.starts_with("$BB") {
                    out(&mut labels, target);
                } else if operation == "jr" && target != "$ra" {
                    for line in code.iter().filter_map(|line| line.strip_suffix(':')) {
                        out(&mut labels, line);
                    }
                    let table = code.iter().any(|line| line.contains("%lo($JTI") || line.contains("%lo(shortened.JTI"));
                    found.extend((!now.0 && !table).then(|| line.clone()));
                } else if jumps {
                    found.extend((!now.0).then(|| line.clone()));
                }
                state = (!jumps).then_some(if operation.starts_with("jal") { (false, true) } else { now });
                continue;
            }
            state = Some(step(line, now, &mut found));
        }
        if before == labels {
            return found;
        }
    }
}

fn meet(one: Option<(bool, bool)>, other: Option<(bool, bool)>) -> Option<(bool, bool)> {
    match (one, other) {
        (Some(one), Some(other)) => Some((one.0 && other.0, one.1 && other.1)),
        (one, other) => one.or(other),
    }
}

fn step(line: &str, now: (bool, bool), found: &mut BTreeSet<String>) -> (bool, bool) {
    match line {
        CALLED => (false, now.1),
        SAVED => (false, false),
        _ => {
            check(line, now, found);
            (now.0 || writes(line, "$ra"), now.1 || writes(line, "$1"))
        }
    }
}

fn writes(line: &str, register: &str) -> bool {
    let Some((operation, operands)) = line.split_once('\t') else { return false };
    const READ: [&str; 14] =
        ["sw", "sb", "sh", "swl", "swr", "sc", "movn", "movz", "ins", "lwl", "lwr", "teq", "mthi", "mtlo"];
    let reads = READ.contains(&operation)
        || operation.starts_with(['b', 'j'])
        || operation.starts_with("m") && operation.contains(['u', 'd']) && operation != "mul"
        || operation.starts_with("div");
    !reads && operands.split(", ").next() == Some(register)
}

fn check(line: &str, now: (bool, bool), found: &mut BTreeSet<String>) {
    for (good, register) in [(now.0, "$ra"), (now.1, "$1")] {
        let operands = line.split_once('\t').map_or("", |(_, operands)| operands);
        let named = operands.split([' ', ',', '(', ')']).filter(|operand| *operand == register).count();
        if !good && named > usize::from(writes(line, register)) {
            found.insert(line.to_owned());
        }
    }
}

fn named(line: &str, alike: &HashMap<String, String>) -> String {
    let line = line.replace("(shortened.", "($");
    let Some(at) = line.find("%hi(").or_else(|| line.find("%lo(")) else {
        return match line.split_once('\t') {
            Some((jump @ ("j" | "jal"), name)) => format!("{jump}\t{}", alike.get(name).map_or(name, |name| name)),
            _ => line,
        };
    };
    let end = at + line[at..].find(')').unwrap();
    let name = &line[at + 4..end];
    format!("{}{}{}", &line[..at + 4], alike.get(name).map_or(name, |name| name), &line[end..])
}

fn alike(all: &[(String, Vec<String>)]) -> HashMap<String, String> {
    let mut names = HashMap::new();
    loop {
        let mut first: HashMap<String, &str> = HashMap::new();
        let before = names.len();
        let mut next = HashMap::new();
        for (name, code) in all {
            let code = code.iter().map(|line| named(line, &names)).collect::<Vec<_>>().join("\n");
            let one = *first.entry(code).or_insert(name);
            if one != name {
                next.insert(name.clone(), one.to_owned());
            }
        }
        names = next;
        if names.len() == before {
            return names;
        }
    }
}

/// What LLVM wrote of the program: tests/cross.
#[test]
#[ignore = "SHORTEN_ASSEMBLY names what a build for mips left"]
fn a_whole_program_does_the_same() {
    let text = std::fs::read_to_string(std::env::var("SHORTEN_ASSEMBLY").unwrap()).unwrap();
    let short = same(&text);
    assert_eq!(short, shortened(&text), "twice the same");
}

/// Saves five registers, does something of its own, and restores them.
const FRAME: &str = "
    addiu $sp, $sp, -32
    sw $ra, 28($sp)
    sw $19, 24($sp)
    sw $18, 20($sp)
    sw $17, 16($sp)
    sw $16, 12($sp)
    .cfi_offset 16, -20
    addiu $16, $4, NUMBER
    jal work
    move $4, $5
    addiu $2, $16, NUMBER
    lw $16, 12($sp)
    lw $17, 16($sp)
    lw $18, 20($sp)
    lw $19, 24($sp)
    lw $ra, 28($sp)
    jr $ra
    addiu $sp, $sp, 32";

fn code_of(text: &str, name: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let found = functions(&lines).into_iter().find(|function| function.name == name).unwrap();
    let mut code = Vec::new();
    for item in &found.items {
        if let Item::Unit(unit) = item {
            code.push(unit.text.replace('\t', " "));
            code.extend(unit.slot.as_ref().map(|slot| format!("| {}", slot.replace('\t', " "))));
        }
    }
    code
}

fn piece(text: &str, name: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.iter().position(|line| *line == format!("{name}:")).unwrap();
    let end = start + lines[start..].iter().position(|line| *line == "\t.set\tat").unwrap();
    lines[start + 1..end].iter().map(|line| line.trim().replace('\t', " ")).collect()
}

#[test]
fn registers_are_saved_by_a_routine_with_the_stack_lowered_first_and_restored_by_one() {
    let short = same(&several(9, FRAME));
    assert_eq!(
        code_of(&short, "f3"),
        [
            "move $1, $ra",
            "jal shortened.save.ra.19.18.17.16.32",
            "| addiu $sp, $sp, -32",
            "jal shortened.2",
            "| addiu $16, $4, 3",
            "j shortened.1",
            "| addiu $2, $16, 3",
        ]
    );
    let save = ["sw $19, 24($sp)", "sw $18, 20($sp)", "sw $17, 16($sp)", "sw $16, 12($sp)", "jr $ra", "sw $1, 28($sp)"];
    assert_eq!(piece(&short, "shortened.save.ra.19.18.17.16.32"), save);
    // What is said about the frame stays.
    assert_eq!(short.matches("\t.cfi_offset\t16,").count(), 9);
}

#[test]
fn nothing_to_shorten_is_the_same_text() {
    let one = several(1, FRAME);
    assert_eq!(shortened(&one), one);
    let text = format!("\t.text\n# text\n{}\n\t.data\n$x:\n\t.4byte\t1\n", several(3, "jr $ra\naddiu $2, $4, NUMBER"));
    assert_eq!(shortened(&text), text);
    assert_eq!(shortened(""), "");
}

/// Instructions of which a piece is worth it.
const WORK: &str = "
    lw $2, 0($4)
    lw $3, 4($4)
    addu $2, $2, $3
    sw $2, 8($4)
    multu $2, $3
    mflo $5
    mfhi $6";

#[test]
fn a_piece_is_called_where_the_return_address_is_free_and_nowhere_else() {
    let saved = format!(
        "addiu $sp, $sp, -8\nsw $ra, 4($sp)\naddiu $7, $7, NUMBER{WORK}\naddiu $7, $7, NUMBER\nlw $ra, 4($sp)\njr $ra\naddiu $sp, $sp, 8"
    );
    let short = same(&several(4, &saved));
    assert_eq!(short.matches("\tjal\tshortened.").count(), 4);
    assert_eq!(
        piece(&short, "shortened.1"),
        [
            "lw $2, 0($4)",
            "lw $3, 4($4)",
            "addu $2, $2, $3",
            "sw $2, 8($4)",
            "multu $2, $3",
            "mflo $5",
            "jr $ra",
            "mfhi $6"
        ]
    );
    // A leaf.
    let leaf = several(4, &format!("addiu $7, $7, NUMBER{WORK}\naddiu $7, $7, NUMBER\njr $ra\naddiu $2, $7, NUMBER"));
    assert_eq!(shortened(&leaf), leaf);
    // A way on which it is read, from a table too.
    for way in ["beqz $7, $BBNUMBER_2", "jr $8"] {
        let code = format!(
            "addiu $7, $7, NUMBER{WORK}\n{way}\naddiu $7, $7, NUMBER\n$BBNUMBER_1:\njal f\naddiu $9, $9, NUMBER\nbreak\n$BBNUMBER_2:\njr $ra\naddiu $2, $2, NUMBER"
        );
        let text = several(4, &code);
        assert_eq!(shortened(&text), text);
    }
}

#[test]
fn up_to_a_call_and_at_the_end_it_does_not_matter() {
    let short = same(&several(4, &format!("addiu $7, $7, NUMBER{WORK}\njal work\nmove $4, $2\nbreak")));
    assert_eq!(code_of(&short, "f2"), ["jal shortened.0", "| addiu $7, $7, 2", "break"]);
    assert_eq!(piece(&short, "shortened.0").split_off(7), ["j work", "move $4, $2"]);
    let short = same(&several(4, &format!("addiu $7, $7, NUMBER{WORK}\njalr $25\nmove $4, $2\nbreak")));
    assert_eq!(piece(&short, "shortened.0").split_off(7), ["jr $25", "move $4, $2"]);
    let short = same(&several(4, &format!("addiu $7, $7, NUMBER{WORK}\njr $ra\nmove $4, $2")));
    assert_eq!(code_of(&short, "f1"), ["j shortened.0", "| addiu $7, $7, 1"]);
    // What reads the return address runs in the delay slot of a jump, of a call it does not.
    let short = same(&several(4, &format!("addiu $7, $7, NUMBER\nmove $8, $ra{WORK}\njr $8\nnop")));
    assert!(!short.contains("jal\tshortened"), "{short}");
    let short =
        same(&several(4, &format!("addiu $7, $7, NUMBER\nsw $ra, NUMBER($sp){WORK}\njal work\nmove $4, $2\nbreak")));
    assert_eq!(
        code_of(&short, "f1"),
        ["addiu $7, $7, 1", "sw $ra, 1($sp)", "jal shortened.0", "| lw $2, 0($4)", "break"]
    );
}

#[test]
fn what_is_not_understood_is_a_border() {
    for alone in [
        "ll $3, 0($4)\nlw $5, 4($5)\naddu $3, $3, $5\nlw $5, 4($5)\naddu $3, $3, $5\nsc $3, 0($4)",
        "addu $3, $3, $5\nbreak\naddu $3, $4, $5\nbreak\nlw $3, 4($5)\nsync\nlw $3, 8($5)",
        "addiu $sp, $sp, -16\naddiu $sp, $sp, -8\naddiu $sp, $sp, 16\naddiu $sp, $sp, 8",
        "teq $4, $zero, 7\nteq $5, $zero, 7\nteq $6, $zero, 7",
        "rdhwr $3, $29\nsyscall\nrdhwr $3, $29\nsyscall",
        "#APP\naddu $3, $3, $5\naddu $3, $5, $5\naddu $3, $4, $5\naddu $3, $4, $5\n#NO_APP",
        ".set push\n.set mips32r2\naddu $3, $3, $5\naddu $3, $5, $5\naddu $3, $4, $5\naddu $3, $4, $5\n.set pop",
        "jal f\nmove $4, $ra\njal f\nmove $4, $ra\njal f\nmove $4, $ra",
        "beqz $4, $BBNUMBER_1\nlw $3, 4($4)\n$BBNUMBER_1:",
        "dmfc0 $4, $5",
    ] {
        let text = several(5, &format!("addiu $7, $7, NUMBER\n{alone}\njal work\naddiu $4, $4, NUMBER\nbreak"));
        assert_eq!(shortened(&text), text, "{alone}");
    }
    // The whole function stays.
    for odd in [
        ".p2align 4",
        ".set mips64",
        "lw $3, %lo(x+4)($3)",
        "$label:",
        "beqz $4, $BBNUMBER_1\n$BBNUMBER_1:\nnop",
        "bal $BBNUMBER_1",
        "lw $4, 4($4) # x",
        "b $tmp3\nnop",
        "movf $4, $5, $fcc0\nnop",
    ] {
        let text = several(9, &format!("{odd}{FRAME}"));
        assert_eq!(shortened(&text), text, "{odd}");
    }
}

#[test]
fn what_differs_from_a_prologue_is_none() {
    let odd = [
        ("addiu $sp, $sp, -32", "lui $1, 1\nsubu $sp, $sp, $1"),
        ("addiu $sp, $sp, -32", "addiu $sp, $sp, -36"),
        ("sw $ra, 28($sp)", "sw $25, 28($sp)"),
        ("sw $ra, 28($sp)", "sw $ra, 28($4)"),
        ("sw $19, 24($sp)", "sw $19, 20($sp)"),
        ("sw $19, 24($sp)", "move $25, $4"),
        // `$at` is needed afterwards: as where a function saves registers in the midst of it.
        (".cfi_offset 16, -20", "move $2, $1"),
        // So is `$ra`.
        (".cfi_offset 16, -20", "move $2, $ra"),
    ];
    for (was, is) in odd {
        assert!(!same(&several(9, &FRAME.replace(was, is))).contains("jal\tshortened.save"), "{is}");
    }
    // Fewer registers have a routine of their own; a larger frame uses that of a smaller one.
    let short = same(&several(9, &FRAME.replace("sw $17, 16($sp)", "addiu $3, $3, NUMBER")));
    assert!(short.contains("jal\tshortened.save.ra.19.18.32"), "{short}");
    let larger = FRAME
        .replace("-32", "-64")
        .replace("28(", "60(")
        .replace("24(", "56(")
        .replace("20(", "52(")
        .replace("16(", "48(")
        .replace("12(", "44(")
        .replace("32", "64");
    let short = same(&format!("{}{}", several(9, FRAME), function("larger", &larger)));
    assert_eq!(
        code_of(&short, "larger")[..4],
        ["move $1, $ra", "jal shortened.save.ra.19.18.17.16.32", "| addiu $sp, $sp, -32", "addiu $sp, $sp, -32"]
    );
}

#[test]
fn a_function_that_leaves_for_another_restores_by_a_routine_that_comes_back() {
    let text = several(9, &FRAME.replace("jr $ra", "j gNUMBER"));
    let short = same(&text);
    assert_eq!(code_of(&short, "f3").split_off(5), ["jal shortened.restore.0", "| addiu $2, $16, 3", "j g3", "| nop"]);
    assert_eq!(
        piece(&short, "shortened.restore.0"),
        [
            "move $1, $ra",
            "lw $16, 12($sp)",
            "lw $17, 16($sp)",
            "lw $18, 20($sp)",
            "lw $19, 24($sp)",
            "lw $ra, 28($sp)",
            "jr $1",
            "addiu $sp, $sp, 32"
        ]
    );
}

#[test]
fn functions_that_are_alike_stay_alike_and_count_once() {
    // Two kinds that differ; of the first there are five, which the linker keeps once, so that one piece would not pay.
    let work =
        |name: &str| function(name, &format!("jal g{}\nmove $7, $7{WORK}\njal work\nmove $4, $2\nbreak", &name[1..]));
    let text: String = (0..5)
        .map(|at| format!("{}{}", function(&format!("g{at}"), "jal h\nnop\nbreak"), work(&format!("f{at}"))))
        .collect();
    let short = shortened(&text);
    assert!(!short.contains("\tshortened."), "{short}");
    for name in ["f0", "f3"] {
        assert_eq!(code_of(&short, name)[..2], ["jal g0", "| move $7, $7"]);
    }
    let short =
        same(&format!("{text}{}", function("other", &format!("move $8, $8{WORK}\njal work\nmove $4, $2\nbreak"))));
    for name in ["f0", "f4"] {
        assert_eq!(code_of(&short, name), ["jal g0", "| move $7, $7", "jal shortened.0", "| nop", "break"]);
    }
}

#[test]
fn halves_of_an_address_are_of_a_symbol_with_a_name() {
    let code = format!(
        "addiu $7, $7, NUMBER\nlui $3, %hi($JTI0_0){WORK}\njal work\nmove $4, $2\nlw $4, %lo($JTI0_0)($3)\nbreak"
    );
    let text = format!("{}\t.section\t.rodata\n$JTI0_0:\n\t.4byte\t($JTI0_0)\n", several(4, &code));
    let short = same(&text);
    assert!(short.contains(
        "\t.globl\tshortened.JTI0_0\n\t.hidden\tshortened.JTI0_0\nshortened.JTI0_0:\n\t.4byte\t(shortened.JTI0_0)\n"
    ));
    assert!(piece(&short, "shortened.0").contains(&"lui $3, %hi(shortened.JTI0_0)".to_owned()));
    assert!(!short.contains("$JTI"));
}

#[test]
fn what_is_read_later_is_known_on_all_ways() {
    let text =
        function("f", "addiu $4, $4, 1\nbeqz $4, $BB0_2\nlw $1, 0($4)\njal g\nnop\n$BB0_2:\nmove $2, $1\njr $ra\nnop");
    let lines: Vec<&str> = text.lines().collect();
    let items = functions(&lines).remove(0).items;
    // The call spoils both, and the way around it needs the one that it does not write.
    assert_eq!(live_after(&items, &HashMap::new()), [RA, 0, RA | AT, RA | AT, RA, RA | AT]);
}

#[test]
fn what_overlaps_is_taken_once() {
    // What repeats itself, and what begins where something else ended.
    let again =
        format!("addiu $7, $7, NUMBER{}\njal work\naddiu $4, $4, NUMBER\nbreak", "\naddu $3, $3, $5".repeat(12));
    assert!(same(&several(2, &again)).contains("jal\tshortened."));
    let more = "\nlw $8, 12($4)\nlw $9, 16($4)\nsubu $8, $8, $9\nsw $8, 20($4)\nxor $8, $8, $9\nsw $8, 24($4)";
    let after = "\njal work\naddiu $4, $4, NUMBER\nbreak";
    let both = function("both", &format!("addiu $7, $7, 0{WORK}{more}{after}").replace("NUMBER", "0"));
    let each: String = (1..6)
        .map(|at| {
            let code = |code: &str| format!("addiu $7, $7, NUMBER{code}{after}").replace("NUMBER", &at.to_string());
            format!("{}{}", function(&format!("one{at}"), &code(WORK)), function(&format!("other{at}"), &code(more)))
        })
        .collect();
    let short = same(&format!("{both}{each}"));
    assert_eq!(code_of(&short, "both")[..4], ["jal shortened.0", "| addiu $7, $7, 0", "jal shortened.1", "| nop"]);
}
