//! Writing Thrift's compact protocol, as far as Parquet's structures need it.

use crate::codec::{put_bytes, put_ivarint, put_uvarint};

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// One structure being written; its fields go in ascending order.
pub struct Struct<'a> {
    out: &'a mut Vec<u8>,
    last: u8,
}

impl<'a> Struct<'a> {
    /// Writes a structure at the end of `out`.
    pub fn write(out: &'a mut Vec<u8>, fields: impl FnOnce(&mut Struct<'_>)) {
        let mut this = Struct { out, last: 0 };
        fields(&mut this);
        this.out.push(0);
    }

    fn field(&mut self, number: u8, kind: u8) {
        debug_assert!(number > self.last && number - self.last < 16, "fields in ascending order");
        self.out.push((number - self.last) << 4 | kind);
        self.last = number;
    }

    /// A truth value.
    pub fn bool(&mut self, number: u8, value: bool) {
        self.field(number, if value { TRUE } else { FALSE });
    }

    /// A 32-bit integer, or an enumeration.
    pub fn i32(&mut self, number: u8, value: i32) {
        self.field(number, I32);
        put_ivarint(self.out, i64::from(value));
    }

    /// A 64-bit integer.
    pub fn i64(&mut self, number: u8, value: i64) {
        self.field(number, I64);
        put_ivarint(self.out, value);
    }

    /// Bytes or text.
    pub fn binary(&mut self, number: u8, value: &[u8]) {
        self.field(number, BINARY);
        put_bytes(self.out, value);
    }

    /// A structure.
    pub fn nested(&mut self, number: u8, fields: impl FnOnce(&mut Struct<'_>)) {
        self.field(number, STRUCT);
        Struct::write(self.out, fields);
    }

    /// A structure without fields: the choice of a union.
    pub fn choice(&mut self, number: u8) {
        self.nested(number, |_| {});
    }

    fn list(&mut self, number: u8, kind: u8, len: usize) {
        self.field(number, LIST);
        if len < 15 {
            self.out.push((len as u8) << 4 | kind);
        } else {
            self.out.push(0xf0 | kind);
            put_uvarint(self.out, len as u64);
        }
    }

    /// A list of enumerations.
    pub fn i32_list(&mut self, number: u8, values: &[i32]) {
        self.list(number, I32, values.len());
        values.iter().for_each(|&value| put_ivarint(self.out, i64::from(value)));
    }

    /// A list of texts.
    pub fn text_list(&mut self, number: u8, values: &[&str]) {
        self.list(number, BINARY, values.len());
        values.iter().for_each(|value| put_bytes(self.out, value.as_bytes()));
    }

    /// A list of structures.
    pub fn struct_list<T>(&mut self, number: u8, items: &[T], mut fields: impl FnMut(&mut Struct<'_>, &T)) {
        self.list(number, STRUCT, items.len());
        for item in items {
            Struct::write(self.out, |s| fields(s, item));
        }
    }
}
