//! The text of a path into its steps. One loop, no recursion, nothing copied.

use super::cursor::Cursor;
use super::{
    Condition, Constant, Dialect, Expression, Follow, Leaf, MAX_CONDITIONS, MAX_LENGTH, MAX_STEPS, Operator, Path,
    PathError, Reason, RelativePath, Step, Which,
};

/// Parses a path of the instantiated or the supported data model.
///
/// A path that ends in a row may lack its final dot, as references do.
pub fn parse(text: &str, dialect: Dialect) -> Result<Path<'_>, PathError> {
    let mut parser = Parser::new(text, dialect)?;
    let leaf = parser.path()?;
    if parser.steps.is_empty() && !dialect.lenient {
        return Err(parser.cursor.error(Reason::ExpectedDot));
    }
    Ok(Path { text, steps: parser.steps, leaf, object_end: parser.object_end })
}

/// Parses the name of a parameter in an Add or a Set: one of the object itself, or one below it
/// (`MTP.STOMP.Destination`). Rows may be named by number; searching and following may not.
pub fn parse_relative(text: &str) -> Result<RelativePath<'_>, PathError> {
    let mut parser = Parser::new(text, Dialect::STRICT)?;
    let leaf = parser.path()?;
    let plain = parser.steps.iter().all(|step| matches!(step, Step::Name(_) | Step::Instance(_)));
    match leaf {
        Leaf::Parameter(parameter) if plain => Ok(RelativePath { text, steps: parser.steps, parameter }),
        _ => Err(PathError { at: 0, reason: Reason::NotAParameter }),
    }
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    dialect: Dialect,
    steps: Vec<Step<'a>>,
    object_end: usize,
    template_seen: bool,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, dialect: Dialect) -> Result<Self, PathError> {
        match text.len() {
            0 => Err(PathError { at: 0, reason: Reason::Empty }),
            length if length > MAX_LENGTH => Err(PathError { at: MAX_LENGTH, reason: Reason::TooLong }),
            _ => {
                Ok(Self { cursor: Cursor::new(text), dialect, steps: Vec::new(), object_end: 0, template_seen: false })
            }
        }
    }

    fn path(&mut self) -> Result<Leaf<'a>, PathError> {
        loop {
            self.object_end = self.cursor.at();
            let leaf = match self.cursor.peek() {
                None => Some(Leaf::Object),
                Some(b'0'..=b'9' | b'*' | b'[' | b'{') => self.row()?,
                Some(_) => self.name()?,
            };
            if let Some(leaf) = leaf {
                return Ok(leaf);
            }
        }
    }

    /// A name, with what may follow it; the leaf if it is the last.
    fn name(&mut self) -> Result<Option<Leaf<'a>>, PathError> {
        let name = self.cursor.name()?;
        if self.cursor.is_end() {
            return Ok(Some(Leaf::Parameter(name)));
        }
        if self.cursor.take(".") {
            self.push(Step::Name(name))?;
            return Ok(None);
        }
        if self.cursor.take("()") {
            return self.end(Leaf::Command(name));
        }
        if self.cursor.take("!") {
            return self.end(Leaf::Event(name));
        }
        match follow(&mut self.cursor)? {
            Some(which) => self.address(Step::Follow(Follow { parameter: name, which })),
            None => Err(self.cursor.error(Reason::Unexpected)),
        }
    }

    /// What stands for the row of a table.
    fn row(&mut self) -> Result<Option<Leaf<'a>>, PathError> {
        if !matches!(self.steps.last(), Some(Step::Name(_))) {
            return Err(self.cursor.error(Reason::MisplacedInstance));
        }
        if self.cursor.take("{i}") {
            self.template_seen = true;
            self.push(Step::Template)?;
            return self.dot_or_end();
        }
        let step = match self.cursor.peek() {
            Some(b'{') => return Err(self.cursor.error(Reason::InvalidTemplate)),
            Some(b'[') => Step::Search(expression(&mut self.cursor, self.dialect)?),
            Some(b'*') => {
                self.cursor.advance(1);
                Step::Wildcard
            }
            _ => Step::Instance(self.cursor.positive()?),
        };
        self.address(step)
    }

    /// A step that only an instantiated path can have.
    fn address(&mut self, step: Step<'a>) -> Result<Option<Leaf<'a>>, PathError> {
        if self.template_seen {
            return Err(PathError { at: self.object_end, reason: Reason::AfterTemplate });
        }
        self.push(step)?;
        self.dot_or_end()
    }

    fn push(&mut self, step: Step<'a>) -> Result<(), PathError> {
        if self.steps.len() >= MAX_STEPS {
            return Err(PathError { at: self.object_end, reason: Reason::TooDeep });
        }
        self.steps.push(step);
        Ok(())
    }

    fn dot_or_end(&mut self) -> Result<Option<Leaf<'a>>, PathError> {
        if self.cursor.is_end() {
            self.object_end = self.cursor.at();
            return Ok(Some(Leaf::Object));
        }
        if self.cursor.take(".") { Ok(None) } else { Err(self.cursor.error(Reason::ExpectedDot)) }
    }

    fn end(&self, leaf: Leaf<'a>) -> Result<Option<Leaf<'a>>, PathError> {
        if self.cursor.is_end() { Ok(Some(leaf)) } else { Err(self.cursor.error(Reason::Unexpected)) }
    }
}

/// `+`, `#N+` or `#*+`, or none of them.
fn follow(cursor: &mut Cursor<'_>) -> Result<Option<Which>, PathError> {
    if cursor.take("+") {
        return Ok(Some(Which::One));
    }
    if !cursor.take("#") {
        return Ok(None);
    }
    let which = if cursor.take("*") { Which::All } else { Which::Nth(list_item(cursor)?) };
    if cursor.take("+") { Ok(Some(which)) } else { Err(cursor.error(Reason::InvalidFollow)) }
}

fn list_item(cursor: &mut Cursor<'_>) -> Result<u32, PathError> {
    cursor.positive().map_err(|error| PathError { reason: Reason::InvalidFollow, ..error })
}

/// `'[' condition ('&&' condition)* ']'`
fn expression<'a>(cursor: &mut Cursor<'a>, dialect: Dialect) -> Result<Expression<'a>, PathError> {
    cursor.take("[");
    cursor.skip_blanks();
    if cursor.peek() == Some(b']') {
        return Err(cursor.error(Reason::EmptyExpression));
    }
    let mut conditions = Vec::with_capacity(1);
    loop {
        if conditions.len() >= MAX_CONDITIONS {
            return Err(cursor.error(Reason::TooManyConditions));
        }
        conditions.push(condition(cursor, dialect)?);
        if cursor.take("]") {
            return Ok(Expression { conditions });
        }
        if !cursor.take("&&") {
            return Err(cursor.error(Reason::ExpectedAndOrClose));
        }
    }
}

/// R-ARC.9a: blanks around the operator, and then around the whole condition, are tolerated.
fn condition<'a>(cursor: &mut Cursor<'a>, dialect: Dialect) -> Result<Condition<'a>, PathError> {
    cursor.skip_blanks();
    let parameter = condition_parameter(cursor)?;
    cursor.skip_blanks();
    let operator = operator(cursor)?;
    cursor.skip_blanks();
    let constant = constant(cursor, dialect)?;
    cursor.skip_blanks();
    Ok(Condition { parameter, operator, constant })
}

/// `name (reffollow? '.' name)*`
fn condition_parameter<'a>(cursor: &mut Cursor<'a>) -> Result<RelativePath<'a>, PathError> {
    let start = cursor.at();
    let mut steps = Vec::new();
    loop {
        if matches!(cursor.peek(), Some(b'0'..=b'9' | b'*' | b'[' | b'{')) {
            return Err(cursor.error(Reason::ChildTable));
        }
        let name = cursor.name()?;
        let step = match follow(cursor)? {
            Some(which) => Step::Follow(Follow { parameter: name, which }),
            None => Step::Name(name),
        };
        if !cursor.take(".") {
            return match step {
                Step::Name(parameter) => Ok(RelativePath { text: cursor.since(start), steps, parameter }),
                _ => Err(cursor.error(Reason::ExpectedDot)),
            };
        }
        if steps.len() >= MAX_STEPS {
            return Err(cursor.error(Reason::TooDeep));
        }
        steps.push(step);
    }
}

fn operator(cursor: &mut Cursor<'_>) -> Result<Operator, PathError> {
    // The two-character ones first, `<` being a part of `<=`.
    const OPERATORS: [(&str, Operator); 7] = [
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("~=", Operator::Contains),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ];
    let found = OPERATORS.iter().find(|(sign, _)| cursor.take(sign));
    found.map(|&(_, operator)| operator).ok_or(cursor.error(Reason::ExpectedOperator))
}

fn constant<'a>(cursor: &mut Cursor<'a>, dialect: Dialect) -> Result<Constant<'a>, PathError> {
    let lenient = dialect.lenient;
    if cursor.take("\"") {
        let Some(length) = cursor.rest().find('"') else {
            return Err(cursor.error(Reason::UnclosedString));
        };
        let raw = cursor.advance(length);
        cursor.advance(1);
        return Ok(Constant { raw, quoted: true, lenient });
    }
    let raw = if lenient { free_word(cursor) } else { bare_word(cursor) };
    if raw.is_empty() {
        return Err(cursor.error(Reason::ExpectedConstant));
    }
    Ok(Constant { raw, quoted: false, lenient })
}

/// A number, a boolean, a date and time or hexadecimal digits.
fn bare_word<'a>(cursor: &mut Cursor<'a>) -> &'a str {
    cursor.take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b':'))
}

/// Everything up to `&&` or `]`, unless that looks like syntax gone wrong.
fn free_word<'a>(cursor: &mut Cursor<'a>) -> &'a str {
    let rest = cursor.rest();
    let end = rest.find(']').unwrap_or(0);
    let candidate = rest.get(..end).unwrap_or_default();
    let candidate = candidate.split("&&").next().unwrap_or_default();
    if ["\"", "[", "||", "=="].iter().any(|sign| candidate.contains(sign)) {
        return bare_word(cursor);
    }
    cursor.advance(candidate.trim_end().len())
}
