//! Straight-line code that occurs more than once, kept once. A place of it becomes a jump or a call, in whose delay slot
//! runs the instruction before, where there is one.
//!
//! * The end of a function: a jump, and nothing else differs.
//! * A sequence up to a call: a call of the piece, which ends by a jump to what it calls. `$ra` was about to be written.
//! * Any other sequence: a call, where `$ra` is not read before it is written again.
//!
//! The one that saves most is taken first, at all its places; then the next, of what is left.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::Piece;
use super::assembly::{AT, Function, Item, Kind, RA, Set, Unit, live_after};

/// Which sequences are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Ends of functions.
    Ends,
    /// All.
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    End,
    UpToCall,
    Inner,
}

/// Where a token is from: the number of the source, and of the label or unit within it.
#[derive(Debug, Clone, Copy)]
struct Origin {
    source: usize,
    place: usize,
}

/// All code that is looked at, as numbers: the same for the same unit. What nothing may contain has a number of its own.
#[derive(Default)]
struct Text<'a> {
    tokens: Vec<u32>,
    origins: Vec<Origin>,
    units: Vec<Option<&'a Unit>>,
    /// `$ra` is free after it.
    free: Vec<bool>,
    used: Vec<bool>,
    /// How many names of pieces there are.
    labels: usize,
}

/// A repeated sequence: `sorted[from..to]` begin with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    gain: usize,
    order: Reverse<(usize, usize, usize)>,
    shape: Shape,
}

/// One change of a source, by the numbers of its labels and units.
#[derive(Debug, Clone)]
struct Edit {
    before: Option<usize>,
    first: usize,
    length: usize,
    code: Item,
}

struct Places {
    gain: usize,
    /// Where it begins, and whether the one before fills the delay slot.
    taken: Vec<(usize, bool)>,
    /// A piece that ends with it.
    host: Option<usize>,
}

/// Makes pieces of what occurs more than once; how many instructions that saves.
pub fn share(functions: &mut [Function], made: &mut Vec<Piece>, which: Which) -> usize {
    let entry = entries(made);
    let first_piece = functions.len();
    let mut edits: HashMap<usize, Vec<Edit>> = HashMap::new();
    let mut new = Vec::new();
    let mut saved = 0;
    {
        let mut text = Text { labels: entry.len(), ..Text::default() };
        let mut known = HashMap::new();
        let sources = functions.iter().map(|function| &function.items).chain(made.iter().map(|piece| &piece.items));
        for (source, items) in sources.enumerate() {
            if functions.get(source).is_none_or(|function| function.same == source) {
                text.add(source, items, &entry, &mut known);
            }
        }
        let sorted = text.sorted();
        let mut heap = text.candidates(&sorted, which);
        while let Some(candidate) = heap.pop() {
            let Reverse((from, to, length)) = candidate.order;
            let places = text.places(&sorted[from..to], length, candidate.shape, first_piece);
            if places.gain == 0 {
                continue;
            }
            if heap.peek().is_some_and(|next| next.gain > places.gain) {
                heap.push(Candidate { gain: places.gain, ..candidate });
                continue;
            }
            saved += places.gain;
            text.take(&places, length, candidate.shape, &mut new, &mut edits);
        }
    }
    for (at, function) in functions.iter_mut().enumerate() {
        if let Some(edits) = edits.get(&if function.same == at { at } else { function.same }) {
            function.items = edited(std::mem::take(&mut function.items), edits);
            function.changed = true;
        }
    }
    for (at, piece) in made.iter_mut().enumerate() {
        if let Some(edits) = edits.get(&(first_piece + at)) {
            piece.items = edited(std::mem::take(&mut piece.items), edits);
        }
    }
    made.append(&mut new);
    saved
}

/// What pieces read of what they are given.
fn entries(made: &[Piece]) -> HashMap<String, Set> {
    let mut entries = HashMap::new();
    for piece in made {
        for item in &piece.items {
            if let Item::Label(label) = item {
                entries.insert(label.clone(), RA | AT);
            }
        }
    }
    // It only becomes less, and each time it is true.
    for _ in 0..4 {
        for piece in made {
            let after = live_after(&piece.items, &entries);
            for (item, after) in piece.items.iter().zip(after) {
                if let Item::Label(label) = item {
                    entries.insert(label.clone(), after);
                }
            }
        }
    }
    entries
}

fn moves_stack_pointer(text: &str) -> bool {
    text.split_once('\t').is_some_and(|(name, operands)| operands.starts_with("$sp,") && name != "sw")
}

/// May be in a piece that is called.
fn fits_inside(unit: &Unit) -> bool {
    matches!(unit.kind, Kind::Plain | Kind::Call)
        && !unit.names("$ra")
        && !moves_stack_pointer(&unit.text)
        && !unit.slot.as_ref().is_some_and(|slot| moves_stack_pointer(slot))
}

impl<'a> Text<'a> {
    fn add(
        &mut self,
        source: usize,
        items: &'a [Item],
        entry: &HashMap<String, Set>,
        known: &mut HashMap<&'a Unit, u32>,
    ) {
        let after = live_after(items, entry);
        let mut place = 0;
        for (item, after) in items.iter().zip(after) {
            let unit = match item {
                Item::Line(_) => continue,
                Item::Label(_) => None,
                Item::Unit(unit) => Some(unit),
            };
            let shared = unit.filter(|unit| matches!(unit.kind, Kind::Plain | Kind::Call | Kind::Leave));
            let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
            let token = shared.map_or_else(|| self.border(), |unit| *known.entry(unit).or_insert(next));
            self.push(token, Origin { source, place }, unit.filter(|_| shared.is_some()), after & RA == 0);
            place += 1;
        }
        self.push(self.border(), Origin { source, place }, None, false);
    }

    /// A number that nothing else has.
    fn border(&self) -> u32 {
        u32::MAX - u32::try_from(self.tokens.len()).unwrap_or(0)
    }

    fn push(&mut self, token: u32, origin: Origin, unit: Option<&'a Unit>, free: bool) {
        self.tokens.push(token);
        self.origins.push(origin);
        self.units.push(unit);
        self.free.push(free);
        self.used.push(false);
    }

    /// All places where a unit is, by what follows. Borders differ, so no comparison goes far.
    fn sorted(&self) -> Vec<usize> {
        let mut sorted: Vec<usize> = (0..self.tokens.len()).filter(|at| self.units[*at].is_some()).collect();
        sorted.sort_unstable_by(|one, other| self.tokens[*one..].cmp(&self.tokens[*other..]));
        sorted
    }

    /// Every sequence that occurs more than once and goes on differently, with the most that it can save.
    fn candidates(&self, sorted: &[usize], which: Which) -> BinaryHeap<Candidate> {
        let mut found = BinaryHeap::new();
        let mut open: Vec<(usize, usize)> = Vec::new();
        for at in 1..=sorted.len() {
            let common = sorted.get(at).map_or(0, |next| {
                let (one, other) = (&self.tokens[sorted[at - 1]..], &self.tokens[*next..]);
                one.iter().zip(other).take_while(|(one, other)| one == other).count()
            });
            let mut from = at - 1;
            while let Some((length, begun)) = open.last().copied().filter(|(length, _)| *length > common) {
                open.pop();
                self.offer(&mut found, sorted, begun..at, length, which);
                from = begun;
            }
            if common > 0 && open.last().is_none_or(|(length, _)| *length < common) {
                open.push((common, from));
            }
        }
        found
    }

    fn offer(
        &self,
        found: &mut BinaryHeap<Candidate>,
        sorted: &[usize],
        range: std::ops::Range<usize>,
        length: usize,
        which: Which,
    ) {
        let units = &self.units[sorted[range.start]..][..length];
        let mut push = |length: usize, shape| {
            let (instructions, cost) = sizes(&units[..length], shape);
            let gain = (range.len() * (instructions - 1)).saturating_sub(cost);
            // A piece that ends with it costs nothing.
            let gain = if shape == Shape::End { gain.max((range.len() - 1) * (instructions - 1)) } else { gain };
            if gain > 0 {
                found.push(Candidate { gain, order: Reverse((range.start, range.end, length)), shape });
            }
        };
        if units.last().copied().flatten().is_some_and(|unit| unit.kind == Kind::Leave) {
            push(length, Shape::End);
        }
        if which == Which::Ends {
            return;
        }
        let inside = units.iter().map_while(|unit| unit.filter(|unit| fits_inside(unit)));
        let plain = inside.clone().take_while(|unit| unit.kind == Kind::Plain).count();
        if inside.clone().nth(plain).is_some() {
            push(plain + 1, Shape::UpToCall);
        } else if plain > 1 {
            push(plain, Shape::Inner);
        }
    }

    fn places(&self, starts: &[usize], length: usize, shape: Shape, first_piece: usize) -> Places {
        let mut starts = starts.to_vec();
        starts.sort_unstable();
        let mut places = Places { gain: 0, taken: Vec::new(), host: None };
        let Some((instructions, cost)) = starts.first().map(|at| sizes(&self.units[*at..][..length], shape)) else {
            return places;
        };
        let is_free = |at: usize| !self.used[at..at + length].contains(&true);
        if shape == Shape::End {
            places.host = starts.iter().copied().find(|at| self.origins[*at].source >= first_piece && is_free(*at));
        }
        let mut end = 0;
        for at in starts {
            if at < end || !is_free(at) || places.host == Some(at) {
                continue;
            }
            if shape == Shape::Inner && !self.free[at + length - 1] {
                continue;
            }
            let filled =
                at > end && self.fills_slot(at - 1, shape) && places.host.is_none_or(|host| at != host + length);
            let gain = instructions - if filled { 1 } else { 2 };
            if gain > 0 {
                places.gain += gain;
                places.taken.push((at, filled));
                end = at + length;
            }
        }
        let cost = if places.host.is_some() { 0 } else { cost };
        // One place is where it is.
        places.gain = if places.taken.len() + usize::from(places.host.is_some()) < 2 {
            0
        } else {
            places.gain.saturating_sub(cost)
        };
        places
    }

    /// Whether it can run in the delay slot of what comes after it. In one of a call `$ra` is written already.
    fn fills_slot(&self, at: usize, shape: Shape) -> bool {
        let plain = self.units[at].filter(|unit| unit.kind == Kind::Plain && !self.used[at]);
        plain.is_some_and(|unit| shape == Shape::End || !unit.names("$ra"))
    }

    fn take(
        &mut self,
        places: &Places,
        length: usize,
        shape: Shape,
        new: &mut Vec<Piece>,
        edits: &mut HashMap<usize, Vec<Edit>>,
    ) {
        let name = format!("shortened.{}", self.labels);
        self.labels += 1;
        match places.host {
            Some(host) => {
                self.used[host..host + length].fill(true);
                let Origin { source, place } = self.origins[host];
                let code = Item::Label(name.clone());
                edits.entry(source).or_default().push(Edit { before: None, first: place, length: 0, code });
            }
            None => {
                let Some((first, _)) = places.taken.first() else { return };
                let units = self.units[*first..][..length].iter().copied().flatten();
                new.push(Piece { name: name.clone(), items: piece(&name, units, shape) });
            }
        }
        for (at, filled) in &places.taken {
            let before = filled.then(|| at - 1);
            let slot = before.and_then(|at| self.units[at]).map_or("nop", |unit| &unit.text);
            let code = match shape {
                Shape::End => Unit::with_slot(Kind::Leave, format!("j\t{name}"), slot),
                Shape::UpToCall | Shape::Inner => Unit::with_slot(Kind::Call, format!("jal\t{name}"), slot),
            };
            self.used[before.unwrap_or(*at)..at + length].fill(true);
            let Origin { source, place } = self.origins[*at];
            let before = before.map(|before| self.origins[before].place);
            edits.entry(source).or_default().push(Edit { before, first: place, length, code: Item::Unit(code) });
        }
    }
}

/// How many instructions the sequence is, and its piece.
fn sizes(units: &[Option<&Unit>], shape: Shape) -> (usize, usize) {
    let instructions = units.iter().flatten().map(|unit| unit.length()).sum();
    (instructions, instructions + usize::from(shape == Shape::Inner))
}

fn piece<'a>(name: &str, units: impl Iterator<Item = &'a Unit>, shape: Shape) -> Vec<Item> {
    let mut units: Vec<Unit> = units.cloned().collect();
    match shape {
        Shape::End => {}
        Shape::UpToCall => {
            if let Some(last) = units.last_mut() {
                last.kind = Kind::Leave;
                last.text = match last.text.strip_prefix("jal\t") {
                    Some(target) => format!("j\t{target}"),
                    None => "jr\t$25".to_owned(),
                };
            }
        }
        Shape::Inner => {
            if let Some(last) = units.pop() {
                units.push(Unit::with_slot(Kind::Leave, "jr\t$ra", last.text));
            }
        }
    }
    std::iter::once(Item::Label(name.to_owned())).chain(units.into_iter().map(Item::Unit)).collect()
}

fn edited(items: Vec<Item>, edits: &[Edit]) -> Vec<Item> {
    let mut gone = std::collections::HashSet::new();
    let mut here: HashMap<usize, Vec<&Item>> = HashMap::new();
    for edit in edits {
        gone.extend(edit.before.into_iter().chain(edit.first..edit.first + edit.length));
        here.entry(edit.first).or_default().push(&edit.code);
    }
    let mut output = Vec::with_capacity(items.len());
    let mut place = 0;
    for item in items {
        if matches!(item, Item::Line(_)) {
            output.push(item);
            continue;
        }
        output.extend(here.remove(&place).into_iter().flatten().cloned());
        if !gone.contains(&place) {
            output.push(item);
        }
        place += 1;
    }
    output
}
