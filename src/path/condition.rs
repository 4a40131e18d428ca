//! Whether a condition holds for a value, by the value's TR-181 type.

use std::cmp::Ordering;

use super::compare::{self, Kind, Mismatch, Scalar};
use super::{Condition, Constant, Operator};

impl Condition<'_> {
    /// Compares `value`, as the data model reports it, with the constant.
    ///
    /// `==` and `!=` go with every type, `<` and its kin with numbers and times only, `~=` with
    /// lists only (TR-369, "Searching with Expressions").
    ///
    /// # Errors
    /// [`Mismatch`] where operator or constant do not fit the type, whatever the value; the path is
    /// then invalid (7008).
    pub fn holds(&self, value: &str, kind: Kind) -> Result<bool, Mismatch> {
        match kind {
            Kind::List(element) if self.operator == Operator::Contains => self.contains(value, element),
            Kind::List(_) => self.list_holds(value),
            Kind::One(_) if self.operator == Operator::Contains => Err(Mismatch::Operator),
            Kind::One(scalar) => self.scalar_holds(value, scalar),
        }
    }

    fn contains(&self, list: &str, element: Scalar) -> Result<bool, Mismatch> {
        let constant = self.constant.of(element)?;
        Ok(compare::items(list).any(|item| element.compare(&item, &constant) == Some(Ordering::Equal)))
    }

    /// A whole list is a string: equal if its items are, one by one.
    fn list_holds(&self, list: &str) -> Result<bool, Mismatch> {
        let equal_wanted = match self.operator {
            Operator::Equal => true,
            Operator::NotEqual => false,
            _ => return Err(Mismatch::Operator),
        };
        let constant = self.constant.of(Scalar::String)?;
        Ok(compare::items(list).eq(compare::items(&constant)) == equal_wanted)
    }

    fn scalar_holds(&self, value: &str, scalar: Scalar) -> Result<bool, Mismatch> {
        let constant = self.constant.of(scalar)?;
        let by_order = !matches!(self.operator, Operator::Equal | Operator::NotEqual);
        if by_order && (!scalar.is_ordered() || is_unknown_time(scalar, &constant)) {
            return Err(Mismatch::Operator);
        }
        // An unknown time is neither before nor after any other, and a value that is not of its
        // type (an empty number) compares with nothing.
        if by_order && is_unknown_time(scalar, value) {
            return Ok(false);
        }
        let order = scalar.compare(value, &constant);
        Ok(match self.operator {
            Operator::Equal | Operator::Contains => order == Some(Ordering::Equal),
            Operator::NotEqual => order != Some(Ordering::Equal),
            Operator::Less => order == Some(Ordering::Less),
            Operator::Greater => order == Some(Ordering::Greater),
            Operator::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Operator::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        })
    }
}

impl Constant<'_> {
    /// The constant as a value of this type: strings quoted, everything else not.
    fn of(&self, scalar: Scalar) -> Result<std::borrow::Cow<'_, str>, Mismatch> {
        let quotes_fit = match scalar {
            Scalar::String => self.quoted || self.lenient,
            Scalar::HexBinary | Scalar::Base64 => true,
            Scalar::Boolean | Scalar::Number | Scalar::DateTime => !self.quoted,
        };
        let text = self.text();
        if quotes_fit && scalar.accepts(&text) { Ok(text) } else { Err(Mismatch::Constant) }
    }
}

fn is_unknown_time(scalar: Scalar, text: &str) -> bool {
    scalar == Scalar::DateTime && text.starts_with("0001-01-01T00:00:00")
}
