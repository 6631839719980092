//! The wire encoding of protobuf, read in place and written by hand.
//!
//! Messages are described by a [`Schema`], which exists for error texts alone: a damaged body is refused with the
//! place of the damage in bytes and the name of the field that holds it. A [`Reader`] walks the fields of one
//! message; nested messages are read by readers over the same body, so that places stay absolute and
//! nothing is copied. Readers recurse as deep as their caller does, never as deep as the body says.

use std::fmt;

/// The names of a message and its fields, for errors.
#[derive(Debug)]
pub struct Schema {
    /// The fully qualified name of the message.
    pub message: &'static str,
    /// Field numbers and names.
    pub fields: &'static [(u32, &'static str)],
}

impl Schema {
    fn field_name(&self, number: u32) -> Option<&'static str> {
        self.fields.iter().find(|(n, _)| *n == number).map(|(_, name)| *name)
    }
}

/// What is wrong at a place of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The message ends within the field.
    #[error("unexpected end of message")]
    Truncated,
    /// An integer has more than 64 bits.
    #[error("integer overflow")]
    IntegerOverflow,
    /// The field's wire type is not that of its schema.
    #[error("wrong wire type {0}")]
    WrongWireType(u8),
    /// The wire type does not exist, or is that of a group, which no message here has.
    #[error("illegal wire type {0}")]
    IllegalWireType(u8),
    /// Fields are numbered from 1 to 2^29-1.
    #[error("illegal field number {0}")]
    IllegalField(u64),
    /// A packed list of doubles whose length is not a multiple of eight.
    #[error("packed list of {0} bytes does not hold whole numbers")]
    RaggedList(usize),
    /// Text that is not UTF-8, where the protocol cannot go on without.
    #[error("invalid UTF-8")]
    InvalidUtf8,
}

/// A body that does not follow its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtobufError {
    /// Where in the whole body the field begins that cannot be read.
    pub offset: usize,
    /// The message.
    pub message: &'static str,
    /// The number of the field, 0 where not even that could be read.
    pub field: u32,
    /// The name of the field, if the schema has it.
    pub field_name: Option<&'static str>,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for ProtobufError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, message, field, field_name, problem } = self;
        write!(f, "protobuf: {message}")?;
        match (field_name, field) {
            (Some(name), _) => write!(f, ".{name}")?,
            (None, 0) => {}
            (None, number) => write!(f, " field {number}")?,
        }
        write!(f, " at byte {offset}: {problem}")
    }
}

impl std::error::Error for ProtobufError {}

/// Wire type of integers.
pub const VARINT: u8 = 0;
/// Wire type of eight bytes.
pub const FIXED64: u8 = 1;
/// Wire type of strings, bytes, messages and packed lists.
pub const BYTES: u8 = 2;
/// Wire type of four bytes.
pub const FIXED32: u8 = 5;

/// The key of a field, for fields below 16 one byte.
pub const fn key(field: u32, wire_type: u8) -> u32 {
    field << 3 | wire_type as u32
}

/// Walks the fields of one message.
///
/// [`Reader::field`] tells the next field's number; then one of the typed methods takes its value, or
/// [`Reader::skip`] passes over it.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// The whole body, up to the end of this message.
    body: &'a [u8],
    pos: usize,
    /// Where the current field began.
    field_at: usize,
    field: u32,
    wire_type: u8,
    schema: &'static Schema,
}

impl<'a> Reader<'a> {
    /// The fields of a message that is a whole body.
    pub fn new(body: &'a [u8], schema: &'static Schema) -> Self {
        Self { body, pos: 0, field_at: 0, field: 0, wire_type: 0, schema }
    }

    /// The fields of a message that lies in `body` from `start` to `end`, as [`Reader::place`] told.
    pub fn at(body: &'a [u8], (start, end): (usize, usize), schema: &'static Schema) -> Self {
        let body = &body[..end.min(body.len())];
        Self { body, pos: start.min(body.len()), field_at: start, field: 0, wire_type: 0, schema }
    }

    /// The whole body, up to the end of this message: where [`Reader::place`] points into.
    #[inline]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Offset of the next byte in the whole body.
    #[inline]
    pub fn pos(&self) -> usize {
        self.pos
    }

    /// Offset of the end of this message in the whole body.
    #[inline]
    pub fn end(&self) -> usize {
        self.body.len()
    }

    /// Offset at which the current field began.
    #[inline]
    pub fn field_offset(&self) -> usize {
        self.field_at
    }

    /// The error of the current field.
    #[cold]
    pub fn error(&self, problem: Problem) -> ProtobufError {
        ProtobufError {
            offset: self.field_at,
            message: self.schema.message,
            field: self.field,
            field_name: self.schema.field_name(self.field),
            problem,
        }
    }

    /// The number of the next field; `None` at the end of the message.
    #[inline]
    pub fn field(&mut self) -> Result<Option<u32>, ProtobufError> {
        self.field_at = self.pos;
        let key = match self.body.get(self.pos) {
            None => return Ok(None),
            Some(&byte) if byte < 0x80 => {
                self.pos += 1;
                u64::from(byte)
            }
            Some(_) => {
                self.field = 0;
                self.raw_varint()?
            }
        };
        self.wire_type = (key & 7) as u8;
        let number = key >> 3;
        if number == 0 || number >= 1 << 29 {
            self.field = 0;
            return Err(self.error(Problem::IllegalField(number)));
        }
        self.field = number as u32;
        Ok(Some(self.field))
    }

    #[inline]
    fn raw_varint(&mut self) -> Result<u64, ProtobufError> {
        match self.body.get(self.pos) {
            Some(&byte) if byte < 0x80 => {
                self.pos += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, ProtobufError> {
        match varint(self.body, self.pos) {
            Ok((value, pos)) => {
                self.pos = pos;
                Ok(value)
            }
            Err(problem) => Err(self.error(problem)),
        }
    }

    #[inline]
    fn expect(&self, wire_type: u8) -> Result<(), ProtobufError> {
        if self.wire_type == wire_type { Ok(()) } else { Err(self.wrong_wire_type()) }
    }

    #[cold]
    fn wrong_wire_type(&self) -> ProtobufError {
        match self.wire_type {
            known @ (VARINT | FIXED64 | BYTES | FIXED32) => self.error(Problem::WrongWireType(known)),
            illegal => self.error(Problem::IllegalWireType(illegal)),
        }
    }

    /// An unsigned integer, or a signed or boolean one in its plain form.
    #[inline]
    pub fn uint(&mut self) -> Result<u64, ProtobufError> {
        self.expect(VARINT)?;
        self.raw_varint()
    }

    /// A signed integer in plain form: negative ones take ten bytes.
    #[inline]
    pub fn int(&mut self) -> Result<i64, ProtobufError> {
        self.uint().map(|value| value as i64)
    }

    /// A signed integer in zigzag form.
    #[inline]
    pub fn sint(&mut self) -> Result<i64, ProtobufError> {
        self.uint().map(zigzag)
    }

    /// Eight bytes, little-endian.
    #[inline]
    pub fn fixed64(&mut self) -> Result<u64, ProtobufError> {
        self.expect(FIXED64)?;
        match self.body.get(self.pos..).and_then(|rest| rest.first_chunk::<8>()) {
            Some(bytes) => {
                self.pos += 8;
                Ok(u64::from_le_bytes(*bytes))
            }
            None => Err(self.error(Problem::Truncated)),
        }
    }

    /// A double, bit for bit: staleness markers are NaNs.
    #[inline]
    pub fn double(&mut self) -> Result<f64, ProtobufError> {
        self.fixed64().map(f64::from_bits)
    }

    /// Four bytes, little-endian.
    #[inline]
    pub fn fixed32(&mut self) -> Result<u32, ProtobufError> {
        self.expect(FIXED32)?;
        match self.body.get(self.pos..).and_then(|rest| rest.first_chunk::<4>()) {
            Some(bytes) => {
                self.pos += 4;
                Ok(u32::from_le_bytes(*bytes))
            }
            None => Err(self.error(Problem::Truncated)),
        }
    }

    /// Where the bytes of the current field lie in the whole body.
    #[inline]
    pub fn place(&mut self) -> Result<(usize, usize), ProtobufError> {
        self.expect(BYTES)?;
        let len = self.raw_varint()?;
        let start = self.pos;
        if len > (self.body.len() - start) as u64 {
            return Err(self.error(Problem::Truncated));
        }
        self.pos = start + len as usize;
        Ok((start, self.pos))
    }

    /// The bytes of the current field.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], ProtobufError> {
        let (start, end) = self.place()?;
        Ok(&self.body[start..end])
    }

    /// The text of the current field, which must be UTF-8.
    pub fn text(&mut self) -> Result<&'a str, ProtobufError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.error(Problem::InvalidUtf8))
    }

    /// The fields of the message in the current field.
    #[inline]
    pub fn message(&mut self, schema: &'static Schema) -> Result<Reader<'a>, ProtobufError> {
        let place = self.place()?;
        Ok(Reader::at(self.body, place, schema))
    }

    /// Hands on each number of a repeated integer field, packed or not, in its raw form.
    #[inline]
    pub fn uints(
        &mut self,
        mut push: impl FnMut(u64) -> Result<(), ProtobufError>,
    ) -> Result<(), ProtobufError> {
        if self.wire_type == VARINT {
            return push(self.raw_varint()?);
        }
        let (start, end) = self.place()?;
        let mut packed = Self { body: &self.body[..end], pos: start, ..*self };
        while packed.pos < end {
            push(packed.raw_varint()?)?;
        }
        Ok(())
    }

    /// Hands on each number of a repeated double, packed or not, bit for bit.
    pub fn doubles(
        &mut self,
        mut push: impl FnMut(f64) -> Result<(), ProtobufError>,
    ) -> Result<(), ProtobufError> {
        if self.wire_type == FIXED64 {
            return push(self.double()?);
        }
        let bytes = self.bytes()?;
        let (numbers, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(self.error(Problem::RaggedList(bytes.len())));
        }
        numbers.iter().try_for_each(|number| push(f64::from_bits(u64::from_le_bytes(*number))))
    }

    /// Passes over a run of fields of bytes that all begin with the key `key`, and tells where the run lies,
    /// keys and lengths included.
    #[inline]
    pub fn run_of(&mut self, key: u8) -> Result<(usize, usize), ProtobufError> {
        let start = self.pos;
        while self.body.get(self.pos) == Some(&key) {
            (self.field_at, self.field, self.wire_type) = (self.pos, u32::from(key >> 3), key & 7);
            self.pos += 1;
            self.place()?;
        }
        Ok((start, self.pos))
    }

    /// The whole message if it is a double with the key `double`, then an integer with the key `int`, and
    /// nothing else: what nearly all samples look like.
    #[inline]
    pub fn double_and_int(&mut self, double: u8, int: u8) -> Option<(f64, i64)> {
        let message = self.body.get(self.pos..)?;
        let (head, rest) = message.split_first_chunk::<10>()?;
        if head[0] != double || head[9] != int {
            return None;
        }
        let (value, len) = varint(rest, 0).ok()?;
        if len != rest.len() {
            return None;
        }
        let bits: [u8; 8] = *head[1..].first_chunk()?;
        self.pos = self.body.len();
        Some((f64::from_bits(u64::from_le_bytes(bits)), value as i64))
    }

    /// Passes over the current field.
    #[inline]
    pub fn skip(&mut self) -> Result<(), ProtobufError> {
        match self.wire_type {
            VARINT => self.raw_varint().map(drop),
            FIXED64 => self.fixed64().map(drop),
            BYTES => self.place().map(drop),
            FIXED32 => self.fixed32().map(drop),
            _ => Err(self.wrong_wire_type()),
        }
    }
}

/// The integer at `pos` and the place behind it.
#[inline]
pub fn varint(bytes: &[u8], mut pos: usize) -> Result<(u64, usize), Problem> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let Some(&byte) = bytes.get(pos) else { return Err(Problem::Truncated) };
        pos += 1;
        // The tenth byte has room for one bit only.
        if shift == 63 && byte > 1 {
            return Err(Problem::IntegerOverflow);
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok((value, pos));
        }
    }
    Err(Problem::IntegerOverflow)
}

/// A signed integer from its zigzag form.
#[inline]
pub const fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// The zigzag form of a signed integer.
#[inline]
pub const fn to_zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

/// Bytes an integer takes.
#[inline]
pub const fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Appends an integer.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends an integer field, also when it is zero.
#[inline]
pub fn put_uint(out: &mut Vec<u8>, field: u32, value: u64) {
    put_varint(out, u64::from(key(field, VARINT)));
    put_varint(out, value);
}

/// Appends a double field, also when it is zero.
#[inline]
pub fn put_double(out: &mut Vec<u8>, field: u32, value: f64) {
    put_varint(out, u64::from(key(field, FIXED64)));
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

/// Appends a field of bytes, text or an encoded message.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    put_varint(out, u64::from(key(field, BYTES)));
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a message whose length is not known before: `write` appends its fields.
pub fn put_message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    put_varint(out, u64::from(key(field, BYTES)));
    let at = out.len();
    // Nearly all messages are shorter than 128 bytes, whose length takes one byte; longer ones are moved.
    out.push(0);
    write(out);
    let len = out.len() - at - 1;
    let extra = varint_len(len as u64) - 1;
    if extra > 0 {
        out.resize(out.len() + extra, 0);
        out.copy_within(at + 1..at + 1 + len, at + 1 + extra);
    }
    let mut value = len;
    for byte in &mut out[at..at + extra] {
        *byte = value as u8 | 0x80;
        value >>= 7;
    }
    out[at + extra] = value as u8;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    static INNER: Schema = Schema { message: "test.Inner", fields: &[(1, "value")] };
    static OUTER: Schema = Schema { message: "test.Outer", fields: &[(1, "name"), (2, "inner")] };

    fn sum(body: &[u8]) -> Result<f64, ProtobufError> {
        let mut total = 0.0;
        let mut outer = Reader::new(body, &OUTER);
        while let Some(field) = outer.field()? {
            match field {
                1 => drop(outer.text()?),
                2 => {
                    let mut inner = outer.message(&INNER)?;
                    while let Some(field) = inner.field()? {
                        match field {
                            1 => total += inner.double()?,
                            _ => inner.skip()?,
                        }
                    }
                }
                _ => outer.skip()?,
            }
        }
        Ok(total)
    }

    fn body() -> Vec<u8> {
        let mut body = Vec::new();
        put_bytes(&mut body, 1, b"name");
        put_uint(&mut body, 9, u64::MAX);
        put_message(&mut body, 2, |out| {
            put_double(out, 1, 1.5);
            put_bytes(out, 3, &[b'x'; 300]);
        });
        put_message(&mut body, 2, |out| put_double(out, 1, 2.0));
        body
    }

    #[test]
    fn unknown_fields_are_passed_over_and_nested_ones_read() {
        assert_eq!(sum(&body()), Ok(3.5));
    }

    #[test]
    fn every_cut_is_an_error_with_its_place_or_leaves_whole_fields() {
        let body = body();
        for cut in 0..body.len() {
            if let Err(error) = sum(&body[..cut]) {
                assert_eq!(error.problem, Problem::Truncated, "{cut}");
                assert!(error.offset < cut);
            }
        }
        // A nested field that reaches beyond its message does not take bytes of what follows.
        let mut lying = Vec::new();
        put_bytes(&mut lying, 2, &[0x09, 1, 2, 3]);
        put_double(&mut lying, 9, 1.0);
        let error = sum(&lying).unwrap_err();
        assert_eq!(error.to_string(), "protobuf: test.Inner.value at byte 2: unexpected end of message");
    }

    #[test]
    fn errors_name_field_and_place() {
        let told = |body: &[u8]| sum(body).unwrap_err().to_string();
        assert_eq!(told(&[0x08, 1]), "protobuf: test.Outer.name at byte 0: wrong wire type 0");
        assert_eq!(told(&[0x0a, 1, 0xff]), "protobuf: test.Outer.name at byte 0: invalid UTF-8");
        assert_eq!(told(&[0x13]), "protobuf: test.Outer.inner at byte 0: illegal wire type 3");
        assert_eq!(told(&[0x4b]), "protobuf: test.Outer field 9 at byte 0: illegal wire type 3");
        assert_eq!(told(&[0x00]), "protobuf: test.Outer at byte 0: illegal field number 0");
        assert_eq!(told(&[0x80; 11]), "protobuf: test.Outer at byte 0: integer overflow");
    }

    proptest! {
        #[test]
        fn integers_survive(value: u64, signed: i64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(out.len(), varint_len(value));
            prop_assert_eq!(varint(&out, 0), Ok((value, out.len())));
            prop_assert_eq!(zigzag(to_zigzag(signed)), signed);
        }

        #[test]
        fn messages_of_any_length_are_framed(len in prop_oneof![0_usize..300, 16_000_usize..17_000]) {
            let content = vec![7; len];
            let (mut framed, mut expected) = (Vec::new(), Vec::new());
            put_message(&mut framed, 4, |out| out.extend_from_slice(&content));
            put_bytes(&mut expected, 4, &content);
            prop_assert_eq!(framed, expected);
        }

        #[test]
        fn garbage_never_panics(body: Vec<u8>) {
            let _ = sum(&body);
        }
    }
}
