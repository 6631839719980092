//! Parquet, as much of it as log objects use: pages, and the footer any reader begins with.
//!
//! It must not know logs. Only writing is here: a log object has an index of its own by which we read it, and no
//! lying footer can lead astray.

pub mod delta;
pub mod levels;
mod thrift;

use thrift::Struct;

/// The bytes a Parquet file begins and ends with.
pub const MAGIC: &[u8; 4] = b"PAR1";

/// How the values of a column are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Differences of integers.
    DeltaBinaryPacked,
    /// Lengths as differences of integers, then the bytes.
    DeltaLengthByteArray,
    /// Numbers of a dictionary, which is a page of its own.
    Dictionary,
}

impl Encoding {
    fn number(self) -> i32 {
        match self {
            Self::DeltaBinaryPacked => 5,
            Self::DeltaLengthByteArray => 6,
            Self::Dictionary => 8,
        }
    }
}

const PLAIN: i32 = 0;
const RLE: i32 = 3;
const ZSTD: i32 = 6;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Milliseconds since the epoch, in UTC.
    TimestampMillis,
    /// Microseconds since the epoch, in UTC.
    TimestampMicros,
    /// Nanoseconds since the epoch, in UTC.
    TimestampNanos,
    /// Integers of 32 bits.
    Int32,
    /// UTF-8.
    Text,
    /// Bytes.
    Binary,
}

/// A column, as the schema tells of it.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its path; all but map columns have one part.
    pub path: Vec<String>,
    /// What it holds.
    pub kind: ColumnKind,
    /// Whether rows may lack a value.
    pub is_optional: bool,
}

/// The pages of one column in one row group, as they were written.
#[derive(Debug, Clone, Default)]
pub struct Chunk {
    /// Number of values, missing ones included.
    pub values: u64,
    /// Length with headers, as if not compressed.
    pub raw_bytes: u64,
    /// Length with headers.
    pub stored_bytes: u64,
    /// Where its dictionary begins in the file, if it has one.
    pub dictionary_at: Option<u64>,
    /// Where its first data page begins in the file.
    pub data_at: u64,
    /// How its pages are encoded.
    pub encodings: Vec<Encoding>,
    /// Least and greatest value, for integers.
    pub bounds: Option<(i64, i64)>,
}

/// Some rows, column by column.
#[derive(Debug, Clone, Default)]
pub struct RowGroup {
    /// Number of rows.
    pub rows: u64,
    /// One for each column.
    pub chunks: Vec<Chunk>,
}

/// Appends the header of a data page.
pub fn data_page_header(out: &mut Vec<u8>, encoding: Encoding, values: usize, raw: usize, stored: usize) {
    Struct::write(out, |page| {
        page.i32(1, 0);
        page.i32(2, raw as i32);
        page.i32(3, stored as i32);
        page.nested(5, |data| {
            data.i32(1, values as i32);
            data.i32(2, encoding.number());
            data.i32(3, RLE);
            data.i32(4, RLE);
        });
    });
}

/// Appends the header of a dictionary page.
pub fn dictionary_page_header(out: &mut Vec<u8>, values: usize, raw: usize, stored: usize) {
    Struct::write(out, |page| {
        page.i32(1, 2);
        page.i32(2, raw as i32);
        page.i32(3, stored as i32);
        page.nested(7, |dictionary| {
            dictionary.i32(1, values as i32);
            dictionary.i32(2, PLAIN);
        });
    });
}

enum Element<'a> {
    Group { name: &'a str, children: usize, repetition: Option<i32>, is_map: bool },
    Leaf { name: &'a str, column: &'a Column },
}

/// The schema as Parquet lists it: depth first. Columns whose path has three parts follow each other and are a map.
fn schema(columns: &[Column]) -> Vec<Element<'_>> {
    let maps = columns.iter().filter(|column| column.path.len() == 3).count() / 2;
    let children = columns.len() - maps;
    let mut elements = vec![Element::Group { name: "entry", children, repetition: None, is_map: false }];
    let mut open = None;
    for column in columns {
        if let [outer, middle, _] = &column.path[..]
            && open != Some(outer)
        {
            open = Some(outer);
            elements.push(Element::Group { name: outer, children: 1, repetition: Some(0), is_map: true });
            elements.push(Element::Group { name: middle, children: 2, repetition: Some(2), is_map: false });
        }
        let name = column.path.last().map_or("", String::as_str);
        elements.push(Element::Leaf { name, column });
    }
    elements
}

fn write_element(element: &mut Struct<'_>, what: &Element<'_>) {
    match what {
        Element::Group { name, children, repetition, is_map } => {
            if let Some(repetition) = repetition {
                element.i32(3, *repetition);
            }
            element.binary(4, name.as_bytes());
            element.i32(5, *children as i32);
            if *is_map {
                element.i32(6, 1);
                element.nested(10, |logical| logical.choice(2));
            }
        }
        Element::Leaf { name, column } => {
            element.i32(1, physical_type(column.kind));
            element.i32(3, i32::from(column.is_optional));
            element.binary(4, name.as_bytes());
            match column.kind {
                ColumnKind::Binary | ColumnKind::Int32 => {}
                ColumnKind::Text => {
                    element.i32(6, 0);
                    element.nested(10, |logical| logical.choice(1));
                }
                ColumnKind::TimestampMillis => timestamp(element, Some(9), 1),
                ColumnKind::TimestampMicros => timestamp(element, Some(10), 2),
                // Older readers, which know converted types only, see an integer.
                ColumnKind::TimestampNanos => timestamp(element, None, 3),
            }
        }
    }
}

/// The types of a column of timestamps: the older kind, where there is one, and the unit of the newer.
fn timestamp(element: &mut Struct<'_>, converted: Option<i32>, unit: u8) {
    if let Some(converted) = converted {
        element.i32(6, converted);
    }
    element.nested(10, |logical| {
        logical.nested(8, |timestamp| {
            timestamp.bool(1, true);
            timestamp.nested(2, |units| units.choice(unit));
        });
    });
}

fn physical_type(kind: ColumnKind) -> i32 {
    match kind {
        ColumnKind::Int32 => 1,
        ColumnKind::TimestampMillis | ColumnKind::TimestampMicros | ColumnKind::TimestampNanos => 2,
        ColumnKind::Text | ColumnKind::Binary => 6,
    }
}

fn write_chunk(out: &mut Struct<'_>, column: &Column, chunk: &Chunk) {
    out.i64(2, 0);
    out.nested(3, |meta| {
        meta.i32(1, physical_type(column.kind));
        let mut encodings = vec![RLE];
        encodings.extend(chunk.dictionary_at.map(|_| PLAIN));
        encodings.extend(chunk.encodings.iter().map(|encoding| encoding.number()));
        meta.i32_list(2, &encodings);
        meta.text_list(3, &column.path.iter().map(String::as_str).collect::<Vec<_>>());
        meta.i32(4, ZSTD);
        meta.i64(5, chunk.values as i64);
        meta.i64(6, chunk.raw_bytes as i64);
        meta.i64(7, chunk.stored_bytes as i64);
        meta.i64(9, chunk.data_at as i64);
        if let Some(at) = chunk.dictionary_at {
            meta.i64(11, at as i64);
        }
        if let Some((least, greatest)) = chunk.bounds {
            meta.nested(12, |statistics| {
                statistics.i64(3, 0);
                statistics.binary(5, &greatest.to_le_bytes());
                statistics.binary(6, &least.to_le_bytes());
            });
        }
    });
}

/// Appends the footer: metadata, its length and the magic bytes. `notes` are its key-value metadata.
pub fn footer(out: &mut Vec<u8>, columns: &[Column], groups: &[RowGroup], notes: &[(&str, String)]) {
    let start = out.len();
    let rows: u64 = groups.iter().map(|group| group.rows).sum();
    Struct::write(out, |file| {
        file.i32(1, 2);
        file.struct_list(2, &schema(columns), write_element);
        file.i64(3, rows as i64);
        file.struct_list(4, groups, |out, group| {
            let pairs: Vec<_> = columns.iter().zip(&group.chunks).collect();
            out.struct_list(1, &pairs, |out, (column, chunk)| write_chunk(out, column, chunk));
            out.i64(2, group.chunks.iter().map(|chunk| chunk.raw_bytes).sum::<u64>() as i64);
            out.i64(3, group.rows as i64);
            out.i64(6, group.chunks.iter().map(|chunk| chunk.stored_bytes).sum::<u64>() as i64);
        });
        file.struct_list(5, notes, |note, (key, value)| {
            note.binary(1, key.as_bytes());
            note.binary(2, value.as_bytes());
        });
        file.binary(6, b"bartizan");
        file.struct_list(7, columns, |order, _| order.choice(1));
    });
    let len = (out.len() - start) as u32;
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(MAGIC);
}
