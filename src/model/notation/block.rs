//! The blocks of a file, line after line: which line opens a block, which belongs to it.

use super::head::{head, live};
use super::row::{continue_row, item};
use super::{MAX_LINE, MAX_LINES, Position, Reason, Words};
use crate::model::schema::{Access, Kind, Live};
use crate::model::source::{CommandSource, Condition, Each, Pipeline, Raised, Template, Text};

/// A block of a mapping file.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// `object PATH` or `table PATH` with its lines.
    Object(ObjectBlock),
    /// `live ... on ...`
    Live(Position, Live),
    /// `hide object PATH`
    Hide(Position, Text),
}

/// `object PATH` or `table PATH` with its lines.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectBlock {
    /// Where it begins.
    pub at: Position,
    /// With its final dot.
    pub path: Text,
    /// Said with `table`.
    pub table: bool,
    /// `rw` of a vendor table: a controller creates and deletes rows.
    pub creatable: bool,
    /// `keys A,B C` of a vendor table.
    pub keys: Vec<Vec<Box<str>>>,
    /// Its lines in order.
    pub items: Vec<Item>,
}

/// A line inside a block.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Where it stands.
    pub at: Position,
    /// What it says.
    pub kind: ItemKind,
}

/// What a line inside a block says.
#[derive(Debug, Clone, PartialEq)]
pub enum ItemKind {
    /// `when CONDITION`
    When(Condition),
    /// `each ...`
    Each(Each),
    /// `let NAME = VALUE`
    Let(Text, Vec<Pipeline>),
    /// `new set OPTION TEXT`
    NewOption(Text, Template),
    /// `new native NAME`
    NewNative(Text),
    /// `new name PREFIX`
    NewName(Text),
    /// `new before PREFIX`
    NewBefore(Text),
    /// `NAME = ...`, `NAME() = ...`, `NAME! = ...`
    Row(Row),
    /// `hide NAME`
    Hide(Text),
}

/// A parameter, command or event.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// With its brackets or mark.
    pub name: Text,
    /// Said with `replace`.
    pub replace: bool,
    /// Type and access of a vendor parameter.
    pub declared: Option<(Kind, Access)>,
    /// Where it comes from.
    pub source: RowSourceText,
}

/// Where a row comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum RowSourceText {
    /// Of a parameter: alternatives.
    Parameter(Vec<Pipeline>),
    /// Of a command.
    Command(CommandSource),
    /// Of an event: the agent, or a ubus event.
    Event(Option<Raised>),
}

/// Collects blocks while the lines of a file go by.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) blocks: Vec<Block>,
    lines: usize,
}

impl Reader {
    /// Reads one line.
    pub(super) fn line(&mut self, at: Position, line: Text) -> Result<(), Reason> {
        if line.len() > MAX_LINE {
            return Err(format!("the line is longer than {MAX_LINE} bytes"));
        }
        let mut words = Words::of(line)?;
        let Some(first) = words.peek() else { return Ok(()) };
        self.lines += 1;
        if self.lines > MAX_LINES {
            return Err(format!("more than {MAX_LINES} lines"));
        }
        match first.0 {
            "object" | "table" => self.blocks.push(Block::Object(head(at, &mut words)?)),
            "live" => {
                // Before the block that is open, so that the block's lines still find it last.
                let place = self.blocks.len().saturating_sub(usize::from(self.in_object()));
                self.blocks.insert(place, Block::Live(at, live(&mut words)?));
            }
            "hide" if words.peek_second().is_some_and(|word| word.0 == "object") => {
                self.blocks.push(hide_object(at, &mut words)?)
            }
            "or" => continue_row(self.last_item()?, &mut words)?,
            _ => {
                let block = self.open_block()?;
                block.items.push(Item { at, kind: item(&mut words)? });
            }
        }
        words.end()
    }

    fn in_object(&self) -> bool {
        matches!(self.blocks.last(), Some(Block::Object(_)))
    }

    fn open_block(&mut self) -> Result<&mut ObjectBlock, Reason> {
        match self.blocks.last_mut() {
            Some(Block::Object(block)) => Ok(block),
            _ => Err("a line of a block before any `object PATH` or `table PATH`".into()),
        }
    }

    fn last_item(&mut self) -> Result<&mut Item, Reason> {
        self.open_block()?.items.last_mut().ok_or_else(|| "`or` continues a row, and there is none".into())
    }
}

fn hide_object(at: Position, words: &mut Words<'static>) -> Result<Block, Reason> {
    words.next();
    words.next();
    let path = super::head::path(words)?;
    Ok(Block::Hide(at, path))
}
