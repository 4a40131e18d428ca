//! The methods of a ubus object and the types of their arguments.
//!
//! A provider ignores an argument of another type than its policy states, so arguments are
//! fitted to the signature that LOOKUP tells. Only widths are fitted: no text becomes a number.

use crate::backend::ubus::blobmsg::{self, Refusal, kind};
use crate::backend::{Table, Value};

/// Methods in wire order, each with its arguments and their blobmsg type numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signature(Vec<(Box<str>, Arguments)>);

type Arguments = Vec<(Box<str>, u8)>;

impl Signature {
    /// Appends a method and returns the signature, for building in a row. Types are those of [`kind`].
    #[must_use]
    pub fn method(mut self, name: &str, arguments: &[(&str, u8)]) -> Self {
        let arguments = arguments.iter().map(|(name, kind)| ((*name).into(), *kind)).collect();
        self.0.push((name.into(), arguments));
        self
    }

    /// Whether the object has this method.
    pub fn has(&self, method: &str) -> bool {
        self.arguments(method).is_some()
    }

    /// The names of the methods, in wire order.
    pub fn methods(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    fn arguments(&self, method: &str) -> Option<&[(Box<str>, u8)]> {
        self.0.iter().find(|(name, _)| &**name == method).map(|(_, arguments)| &**arguments)
    }

    /// From the bytes of a SIGNATURE attribute; what is not a type number is left out.
    ///
    /// # Errors
    /// Those of [`blobmsg::decode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        let methods = blobmsg::decode(bytes)?.0.into_iter();
        Ok(Self(methods.filter_map(|(name, arguments)| Some((name, argument_kinds(arguments.as_table()?)))).collect()))
    }

    /// As the bytes of a SIGNATURE attribute.
    ///
    /// # Errors
    /// Those of [`blobmsg::encode`].
    pub fn encode(&self) -> Result<Vec<u8>, Refusal> {
        let table = |arguments: &[(Box<str>, u8)]| {
            Value::Table(Table(arguments.iter().map(|(name, kind)| (name.clone(), i32::from(*kind).into())).collect()))
        };
        blobmsg::encode(&Table(self.0.iter().map(|(name, arguments)| (name.clone(), table(arguments))).collect()))
    }

    /// The arguments with the widths `method` declares; what does not fit stays as it is.
    #[must_use]
    pub fn fit(&self, method: &str, mut args: Table) -> Table {
        let declared = self.arguments(method).unwrap_or_default();
        for (name, value) in &mut args.0 {
            let kind = declared.iter().find(|(argument, _)| argument == name).map(|(_, kind)| *kind);
            if let Some(fitted) = kind.and_then(|kind| fitted(value, kind)) {
                *value = fitted;
            }
        }
        args
    }
}

fn argument_kinds(arguments: &Table) -> Arguments {
    let kind = |(name, kind): &(Box<str>, Value)| Some((name.clone(), u8::try_from(kind.as_i64()?).ok()?));
    arguments.0.iter().filter_map(kind).collect()
}

/// The number in another width; unsigned values of that width count as fitting.
fn fitted(value: &Value, kind: u8) -> Option<Value> {
    let number = value.as_i64()?;
    Some(match kind {
        kind::INT8 => Value::Int8(i8::try_from(number).or_else(|_| u8::try_from(number).map(|n| n as i8)).ok()?),
        kind::INT16 => Value::Int16(i16::try_from(number).or_else(|_| u16::try_from(number).map(|n| n as i16)).ok()?),
        kind::INT32 => Value::Int32(i32::try_from(number).or_else(|_| u32::try_from(number).map(|n| n as i32)).ok()?),
        kind::INT64 => Value::Int64(number),
        kind::DOUBLE => Value::Double(number as f64),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature() -> Signature {
        Signature::default()
            .method("set", &[("wide", kind::INT64), ("flag", kind::INT8), ("u32", kind::INT32)])
            .method("any", &[("it", kind::UNSPEC)])
    }

    #[test]
    fn survives_the_wire() {
        assert_eq!(Signature::decode(&signature().encode().unwrap()), Ok(signature()));
        assert!(signature().has("any") && !signature().has("none"));
    }

    #[test]
    fn arguments_take_the_declared_width() {
        let args =
            Table::default().with("wide", 1).with("flag", 1).with("u32", Value::Int64(4_294_967_295)).with("x", 1);
        let fitted = Table::default().with("wide", Value::Int64(1)).with("flag", true).with("u32", -1).with("x", 1);
        assert_eq!(signature().fit("set", args), fitted);
    }

    #[test]
    fn what_does_not_fit_stays() {
        let args = Table::default().with("flag", 300).with("wide", "1").with("u32", Value::Int64(1 << 40));
        assert_eq!(signature().fit("set", args.clone()), args);
        let any = Table::default().with("it", 5);
        assert_eq!(signature().fit("any", any.clone()), any);
        assert_eq!(signature().fit("unknown", any.clone()), any);
    }
}
