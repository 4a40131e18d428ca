//! The fields of an encoded protobuf message, one level at a time.
//!
//! prost merges repeated oneofs and gives up on the first bad field. TR-369 wants to know of both
//! (R-ENC.3, R-MTP.5): this looks before prost decodes, copies nothing and allocates nothing.

/// The fields of one message, in the order they were written.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

/// The encoding ended early or is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// Integers, booleans and enumerations.
    Varint(u64),
    /// Strings, bytes and messages.
    Bytes(&'a [u8]),
    /// fixed32; 0 for a fixed64, which USP does not have.
    Fixed(u32),
}

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn next_field(&mut self) -> Result<(u32, Value<'a>), Malformed> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| Malformed)?;
        let value = match key & 7 {
            _ if number == 0 => return Err(Malformed),
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed(0))?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                Value::Bytes(self.take(length)?)
            }
            5 => {
                let &bytes = self.take(4)?.first_chunk().ok_or(Malformed)?;
                Value::Fixed(u32::from_le_bytes(bytes))
            }
            // Groups are not part of proto3.
            _ => return Err(Malformed),
        };
        Ok((number, value))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or(Malformed)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.next_field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wire_type() {
        let message = [0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i', 0x1d, 1, 2, 3, 4, 0x21, 1, 2, 3, 4, 5, 6, 7, 8];
        let fields: Result<Vec<_>, _> = Fields::of(&message).collect();
        let expected = vec![
            (1, Value::Varint(150)),
            (2, Value::Bytes(b"hi")),
            (3, Value::Fixed(0x0403_0201)),
            (4, Value::Fixed(0)),
        ];
        assert_eq!(fields, Ok(expected));
    }

    #[test]
    fn malformed_ends_the_iteration() {
        for message in [&[0x08][..], &[0x12, 5, 1], &[0x00, 0x00], &[0x0b], &[0x1d, 1, 2, 3], &[0xff; 11]] {
            let fields: Vec<_> = Fields::of(message).take(5).collect();
            assert_eq!(fields, [Err(Malformed)], "{message:?}");
        }
    }
}
