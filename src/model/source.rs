//! The closed list of sources and filters a mapping row can name, as parsed. No expressions, no shell.

use crate::backend::Value;

/// A word of the mapping. The texts of mapping files stay for good: they are read once, at start, and what is made of
/// them lives as long as the agent. Pointing into them costs no memory of its own.
pub type Text = &'static str;

/// A text with places to fill, as it stands: `hostapd.{ifname}`. The notation checked it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Template(pub Text);

/// One piece of a [`Template`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Text(Text),
    /// `{key}`: the key of the nearest row.
    Key,
    /// `{parent.key}`: the key of the row that holds the nearest row.
    ParentKey,
    /// `{name}`: the text of a `let`.
    Let(Text),
}

impl Template {
    /// Its pieces from the left; what stands behind a brace that is not closed is left out.
    pub fn pieces(self) -> impl Iterator<Item = Piece> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            if let Some(inner) = rest.strip_prefix('{') {
                let (name, behind) = inner.split_once('}')?;
                rest = behind;
                return Some(match name {
                    "key" => Piece::Key,
                    "parent.key" => Piece::ParentKey,
                    name => Piece::Let(name),
                });
            }
            let (text, behind) = rest.split_at_checked(rest.find('{').unwrap_or(rest.len()))?;
            rest = behind;
            (!text.is_empty()).then_some(Piece::Text(text))
        })
    }

    /// Nothing of it has to be filled.
    pub fn is_fixed(self) -> bool {
        !self.0.contains('{')
    }
}

/// A source, its filters in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// Where the value starts.
    pub source: Source,
    /// What happens to it, left to right; right to left when it is written.
    pub filters: Vec<Filter>,
}

/// Where a value starts.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// `ubus OBJECT METHOD [ARGS] [/POINTER]`
    Ubus {
        /// The object path.
        object: Template,
        /// The method.
        method: Text,
        /// Arguments (names and values; a string value may hold places to fill, see [`Template`]).
        args: Arguments,
        /// Into the answer.
        pointer: Pointer,
    },
    /// `uci PACKAGE.SECTION.OPTION[INDEX]`
    Uci {
        /// The package.
        package: Text,
        /// The section.
        section: SectionRef,
        /// The option.
        option: Text,
        /// Element of a list, from 0.
        index: Option<u16>,
    },
    /// `option NAME[INDEX]`: an option of the UCI section of the nearest row.
    Option {
        /// The option.
        option: Text,
        /// Element of a list, from 0.
        index: Option<u16>,
    },
    /// `item [/POINTER]`: into the element that made the nearest row.
    Item(Pointer),
    /// `$NAME [/POINTER]`: a `let`.
    Let(Text, Pointer),
    /// `file PATH`: the text of a file, its final newline removed.
    File(Template),
    /// `list PATH`: the names in a folder.
    List(Template),
    /// `link PATH`: where a symbolic link points.
    Link(Template),
    /// `key`: the key of the nearest row.
    Key,
    /// `agent NAME`: what the agent knows of itself, under the key of the nearest row.
    Agent(Text),
    /// `text VALUE`: the value itself, which must be true of every router.
    Text(Template),
    /// `native NAME`: a Rust function of `model::native`.
    Native(Text),
}

/// Names and values of the arguments of a ubus call.
pub type Arguments = Box<[(Box<str>, Argument)]>;

/// An argument of a ubus call.
#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    /// As it stands.
    Value(Value),
    /// A string to fill.
    Filled(Template),
}

/// A section of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SectionRef {
    /// By name, which may be filled.
    Named(Template),
    /// `@type[index]`, negative from the end.
    Typed(Text, i16),
}

/// A way into a value, as it stands: `/a/b`, `/list[name=lan]/x`, `/list/0`; empty for the value itself. The notation
/// checked it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pointer(pub Text);

/// A ubus event that becomes one of the data model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raised {
    /// Its name; a trailing `*` is a prefix.
    pub pattern: Text,
    /// Arguments, each with where its value stands in the data: `/member/member`.
    pub given: Vec<(Text, Text)>,
}

/// One step of a [`Pointer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointerStep {
    /// A member of a table.
    Member(Template),
    /// An element of an array, from 0.
    Index(u16),
    /// The first element of an array (or of a table's values) whose member has this text.
    Select(Text, Template),
}

impl Pointer {
    /// Its steps from the left.
    pub fn steps(self) -> impl Iterator<Item = PointerStep> {
        let inner = self.0.strip_prefix('/');
        inner.into_iter().flat_map(|inner| split_outside(inner, '/')).flat_map(steps_of)
    }
}

/// A name or number, and `[MEMBER=TEXT]` behind it.
fn steps_of(part: Text) -> impl Iterator<Item = PointerStep> {
    let (name, select) = part.split_once('[').unwrap_or((part, ""));
    let index = || name.bytes().all(|b| b.is_ascii_digit()).then(|| name.parse().ok()).flatten();
    let named = (!name.is_empty()).then(|| index().map_or(PointerStep::Member(Template(name)), PointerStep::Index));
    let select = select.strip_suffix(']').and_then(|inner| inner.split_once('='));
    let select = select.map(|(member, value)| PointerStep::Select(member, Template(value)));
    named.into_iter().chain(select)
}

/// The parts between `mark`s that stand outside `[]` and `{}`.
pub fn split_outside(text: &str, mark: char) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |c: char| {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && c == mark
    })
}

/// What happens to a value on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// `default TEXT`: where there is none.
    Default(Text),
    /// `map a:b c:d *:e`: from the router's word to TR-181's; `*` for any other, not written back.
    Map(Vec<(Text, Text)>, Option<Text>),
    /// `not`: the other boolean.
    Not,
    /// `mul N`.
    Mul(i64),
    /// `div N`: whole numbers, rounded down.
    Div(i64),
    /// `add N`.
    Add(i64),
    /// `line PREFIX`: the rest of the first line that starts so, trimmed.
    Line(Text),
    /// `word N`: the N-th word, from 1.
    Word(u16),
    /// `after TEXT`: what follows its first occurrence; no value where it is not there.
    After(Text),
    /// `before TEXT`: what precedes its first occurrence; all of it where it is not there.
    Before(Text),
    /// `upper`.
    Upper,
    /// `lower`.
    Lower,
    /// `unquote`: without one pair of quotes around it.
    Unquote,
    /// `basename`: what follows the last slash.
    Basename,
    /// `own-id`: `{EndpointID}` in the text stands for the agent's endpoint id; written as it is.
    OwnId,
    /// `list`: written as a UCI list, one element per comma.
    List,
    /// `fixed`: a write of what it reads is taken, any other refused.
    Fixed,
    /// `netmask`: prefix length to dotted mask, and back.
    Netmask,
    /// `date`: seconds since 1970 to dateTime; 0 is the Unknown Time.
    Date,
    /// `ago`: seconds before now to dateTime.
    Ago,
    /// `ref TABLE`: a row's key to its path, and back.
    Ref(Text),
    /// `has TEXT`: true where the value is, or (a list or array) holds, TEXT.
    Has(Text),
    /// `exists`: true where there is a value.
    Exists,
    /// `count`: how many elements an array, table or list has.
    Count,
    /// `native NAME`: a Rust function of `model::native` from text to text.
    Native(Text),
}

/// Where rows come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Each {
    /// The rows.
    pub rows: RowSource,
    /// All must hold for a row.
    pub conditions: Vec<Condition>,
}

/// The rows of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum RowSource {
    /// `each uci PACKAGE.TYPE`: sections, keyed by name (anonymous ones by content).
    Uci {
        /// The package.
        package: Text,
        /// The section type.
        kind: Text,
    },
    /// `each PIPELINE [key /POINTER]`: elements of an array (keyed by the pointer, or by position)
    /// or members of a table (keyed by name), names of a folder, lines of a text (keyed by `key word N`).
    Elements {
        /// What holds the elements.
        of: Pipeline,
        /// How an element is keyed.
        key: ElementKey,
    },
    /// `each agent NAME`: rows the agent keeps.
    Agent(Text),
    /// `each native NAME`: rows of a Rust function.
    Native(Text),
}

/// How an element of a list is keyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ElementKey {
    /// By member name (tables), by text (folders), else by position.
    Natural,
    /// By the text a pointer finds in the element.
    Pointer(Pointer),
    /// By the N-th word of a line, from 1.
    Word(u16),
}

/// `where PIPELINE == TEXT` or `!=`; `where PIPELINE` means that there is a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The value.
    pub value: Pipeline,
    /// How it is compared, None for mere existence.
    pub test: Option<(bool, Template)>,
}

/// What a new instance gets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct New {
    /// `new set OPTION VALUE`: options of the new section.
    pub options: Vec<(Text, Template)>,
    /// `new native NAME`: a Rust function creates and deletes the rows.
    pub native: Option<Text>,
    /// `new name PREFIX`: what the new section's name begins with, instead of its type.
    pub name: Option<Text>,
    /// `new before PREFIX`: a new section stands before those of its type whose names begin so.
    pub before: Option<Text>,
}

/// What performs a command.
#[derive(Debug, Clone, PartialEq)]
pub enum CommandSource {
    /// `ubus OBJECT METHOD [ARGS]`: a call; its status is the result.
    Ubus {
        /// The object path.
        object: Template,
        /// The method.
        method: Text,
        /// Arguments.
        args: Arguments,
    },
    /// `agent NAME`: the agent itself (Reboot(), ScheduleTimer(), ...).
    Agent(Text),
    /// `operation NAME`: a long-running operation of the daemon (IPPing(), ...).
    Operation(Text),
    /// The plugin that the object is mounted from.
    Mounted,
}
