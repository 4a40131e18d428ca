//! The closed list of sources and filters a mapping row can name, as parsed. No expressions, no shell.

use crate::backend::Value;

/// A text with places to fill: `hostapd.{ifname}`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template(pub Vec<Piece>);

/// One piece of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Text(Box<str>),
    /// `{key}`: the key of the nearest row.
    Key,
    /// `{parent.key}`: the key of the row that holds the nearest row.
    ParentKey,
    /// `{name}`: the text of a `let`.
    Let(Box<str>),
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
        method: Box<str>,
        /// Arguments (names and values; a string value may hold places to fill, see [`Template`]).
        args: Vec<(Box<str>, Argument)>,
        /// Into the answer.
        pointer: Pointer,
    },
    /// `uci PACKAGE.SECTION.OPTION[INDEX]`
    Uci {
        /// The package.
        package: Box<str>,
        /// The section.
        section: SectionRef,
        /// The option.
        option: Box<str>,
        /// Element of a list, from 0.
        index: Option<u16>,
    },
    /// `option NAME[INDEX]`: an option of the UCI section of the nearest row.
    Option {
        /// The option.
        option: Box<str>,
        /// Element of a list, from 0.
        index: Option<u16>,
    },
    /// `item [/POINTER]`: into the element that made the nearest row.
    Item(Pointer),
    /// `$NAME [/POINTER]`: a `let`.
    Let(Box<str>, Pointer),
    /// `file PATH`: the text of a file, its final newline removed.
    File(Template),
    /// `list PATH`: the names in a folder.
    List(Template),
    /// `link PATH`: where a symbolic link points.
    Link(Template),
    /// `key`: the key of the nearest row.
    Key,
    /// `agent NAME`: what the agent knows of itself, under the key of the nearest row.
    Agent(Box<str>),
    /// `text VALUE`: the value itself, which must be true of every router.
    Text(Template),
    /// `native NAME`: a Rust function of `model::native`.
    Native(Box<str>),
}

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
    Typed(Box<str>, i16),
}

/// A way into a value: `/a/b`, `/list[name=lan]/x`, `/list/0`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pointer(pub Vec<PointerStep>);

/// One step of a [`Pointer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PointerStep {
    /// A member of a table.
    Member(Template),
    /// An element of an array, from 0.
    Index(u16),
    /// The first element of an array (or of a table's values) whose member has this text.
    Select(Box<str>, Template),
}

/// What happens to a value on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// `default TEXT`: where there is none.
    Default(Box<str>),
    /// `map a:b c:d *:e`: from the router's word to TR-181's; `*` for any other, not written back.
    Map(Vec<(Box<str>, Box<str>)>, Option<Box<str>>),
    /// `not`: the other boolean.
    Not,
    /// `mul N`.
    Mul(i64),
    /// `div N`: whole numbers, rounded down.
    Div(i64),
    /// `add N`.
    Add(i64),
    /// `line PREFIX`: the rest of the first line that starts so, trimmed.
    Line(Box<str>),
    /// `word N`: the N-th word, from 1.
    Word(u16),
    /// `after TEXT`: what follows its first occurrence; no value where it is not there.
    After(Box<str>),
    /// `before TEXT`: what precedes its first occurrence; all of it where it is not there.
    Before(Box<str>),
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
    /// `netmask`: prefix length to dotted mask, and back.
    Netmask,
    /// `date`: seconds since 1970 to dateTime; 0 is the Unknown Time.
    Date,
    /// `ago`: seconds before now to dateTime.
    Ago,
    /// `ref TABLE`: a row's key to its path, and back.
    Ref(Box<str>),
    /// `has TEXT`: true where the value is, or (a list or array) holds, TEXT.
    Has(Box<str>),
    /// `exists`: true where there is a value.
    Exists,
    /// `count`: how many elements an array, table or list has.
    Count,
    /// `native NAME`: a Rust function of `model::native` from text to text.
    Native(Box<str>),
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
        package: Box<str>,
        /// The section type.
        kind: Box<str>,
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
    Agent(Box<str>),
    /// `each native NAME`: rows of a Rust function.
    Native(Box<str>),
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
    pub options: Vec<(Box<str>, Template)>,
    /// `new native NAME`: a Rust function creates and deletes the rows.
    pub native: Option<Box<str>>,
}

/// What performs a command.
#[derive(Debug, Clone, PartialEq)]
pub enum CommandSource {
    /// `ubus OBJECT METHOD [ARGS]`: a call; its status is the result.
    Ubus {
        /// The object path.
        object: Template,
        /// The method.
        method: Box<str>,
        /// Arguments.
        args: Vec<(Box<str>, Argument)>,
    },
    /// `agent NAME`: the agent itself (Reboot(), ScheduleTimer(), ...).
    Agent(Box<str>),
    /// `operation NAME`: a long-running operation of the daemon (IPPing(), ...).
    Operation(Box<str>),
}
