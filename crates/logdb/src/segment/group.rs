//! The rows of one page group while they are gathered, column by column.

use hashbrown::{HashMap, HashSet};

use super::grams::value_hash;
use super::index::Run;
use super::squeeze::Squeezer;
use crate::parquet::{delta, levels};

/// A run ends where a time of that length does, in nanoseconds, once it has that many rows: counting by time seldom has to look at
/// timestamps then. The longer the time, the likelier queries count by it.
const RUN_ENDS: [(i64, u32); 3] = [(MINUTE_NS, 256), (5 * MINUTE_NS, 64), (60 * MINUTE_NS, 16)];
const MINUTE_NS: i64 = 60_000_000_000;
/// A dictionary has at most this many values, which a byte tells apart.
const MAX_DICTIONARY: usize = 256;
/// Bytes of the values of a dictionary.
const MAX_DICTIONARY_BYTES: usize = 64 << 10;

/// Byte strings gathered for one page.
#[derive(Default)]
pub struct Strings {
    lengths: Vec<i64>,
    pub bytes: Vec<u8>,
}

impl Strings {
    fn push(&mut self, value: &[u8]) {
        self.lengths.push(value.len() as i64);
        self.bytes.extend_from_slice(value);
    }

    /// Number of strings.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Lengths, then bytes; after that it is empty.
    pub fn encode(&mut self, squeezer: &mut Squeezer, out: &mut Vec<u8>) -> Result<(), blob::BlobError> {
        integers(&self.lengths, squeezer, out)?;
        out.extend_from_slice(&self.bytes);
        self.clear();
        Ok(())
    }

    pub fn clear(&mut self) {
        self.lengths.clear();
        self.bytes.clear();
    }

    /// Each string.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.bytes[..];
        self.lengths.iter().map(move |&length| {
            let (value, behind) = rest.split_at(length as usize);
            rest = behind;
            value
        })
    }
}

/// Appends integers in bits or in bytes, as they compress better.
pub fn integers(values: &[i64], squeezer: &mut Squeezer, out: &mut Vec<u8>) -> Result<(), blob::BlobError> {
    let (mut bits, mut bytes) = (Vec::new(), Vec::new());
    delta::encode(&mut bits, values);
    delta::encode_bytes(&mut bytes, values);
    let better = if squeezer.prefers(&bits, &bytes)? { &bytes } else { &bits };
    out.extend_from_slice(better);
    Ok(())
}

/// The values of a hot name in one page group, and the dictionary of its row group.
#[derive(Default)]
pub struct HotColumn {
    pub present: Vec<bool>,
    pub values: Strings,
    codes: Vec<u8>,
    known: HashMap<Box<[u8]>, u8>,
    /// The values of the dictionary, each after its length in four bytes.
    pub dictionary: Vec<u8>,
    is_full: bool,
}

impl HotColumn {
    fn push(&mut self, value: &[u8]) {
        self.present.push(true);
        self.values.push(value);
        if self.is_full {
            return;
        }
        let code = match self.known.get(value) {
            Some(&code) => code,
            None if self.known.len() >= MAX_DICTIONARY
                || self.dictionary.len() + value.len() > MAX_DICTIONARY_BYTES =>
            {
                self.is_full = true;
                return;
            }
            None => {
                let code = self.known.len() as u8;
                self.known.insert(value.into(), code);
                self.dictionary.extend_from_slice(&(value.len() as u32).to_le_bytes());
                self.dictionary.extend_from_slice(value);
                code
            }
        };
        self.codes.push(code);
    }

    /// Number of values of the dictionary.
    pub fn dictionary_len(&self) -> usize {
        self.known.len()
    }

    /// The page of the group, and whether it is one of codes; after that the column has no rows.
    pub fn encode(&mut self, squeezer: &mut Squeezer, out: &mut Vec<u8>) -> Result<bool, blob::BlobError> {
        levels::encode_bits(out, &self.present);
        if self.is_full {
            self.values.encode(squeezer, out)?;
        } else {
            levels::encode_codes(out, &self.codes);
        }
        self.clear_rows();
        Ok(!self.is_full)
    }

    /// Forgets the rows.
    pub fn clear_rows(&mut self) {
        self.present.clear();
        self.values.clear();
        self.codes.clear();
    }

    /// Begins the next row group.
    pub fn clear_dictionary(&mut self) {
        self.known.clear();
        self.dictionary.clear();
        self.is_full = false;
    }
}

/// The page group that is being filled.
#[derive(Default)]
pub struct Group {
    pub timestamps: Vec<i64>,
    pub lines: Strings,
    pub hot: Vec<HotColumn>,
    /// For each level whether it goes on with the row of the one before, and whether there is an entry.
    pub goes_on: Vec<bool>,
    pub has_entry: Vec<bool>,
    pub keys: Strings,
    pub values: Strings,
    pub value_hashes: HashSet<u64>,
    pub runs: Vec<Run>,
    pub metadata_bytes: usize,
}

impl Group {
    /// Begins a run, unless the row that is to be added goes on with the last one.
    pub fn begin_run(&mut self, stream: u32, timestamp_ns: i64) {
        let is_end = |run: &Run| {
            RUN_ENDS.iter().any(|&(length_ns, rows)| {
                run.rows >= rows && run.last_ns.div_euclid(length_ns) != timestamp_ns.div_euclid(length_ns)
            })
        };
        let goes_on = self.runs.last().is_some_and(|run| run.stream == stream && !is_end(run));
        if !goes_on {
            self.runs.push(Run {
                stream,
                first_row: self.timestamps.len() as u32,
                rows: 0,
                first_ns: timestamp_ns,
                last_ns: timestamp_ns,
                line_bytes: 0,
                metadata_bytes: 0,
            });
        }
    }

    /// Counts the row that was added as one of the last run.
    pub fn count_row(&mut self, timestamp_ns: i64, line_bytes: usize, metadata_bytes: usize) {
        if let Some(run) = self.runs.last_mut() {
            run.rows += 1;
            run.last_ns = timestamp_ns;
            run.line_bytes += line_bytes as u64;
            run.metadata_bytes += metadata_bytes as u64;
        }
    }

    /// Adds a row, with metadata as pairs and the number of the hot column of each, if it has one.
    pub fn push<'a>(
        &mut self,
        timestamp_ns: i64,
        line: &[u8],
        metadata: impl Iterator<Item = (&'a str, &'a [u8], Option<usize>)>,
    ) -> usize {
        let row = self.timestamps.len();
        let (mut bytes, mut rest) = (0, 0);
        for (name, value, column) in metadata {
            bytes += name.len() + value.len();
            self.value_hashes.insert(value_hash(name, value));
            if let Some(column) = column {
                self.hot[column].push(value);
            } else {
                self.goes_on.push(rest > 0);
                self.has_entry.push(true);
                self.keys.push(name.as_bytes());
                self.values.push(value);
                rest += 1;
            }
        }
        if rest == 0 {
            self.goes_on.push(false);
            self.has_entry.push(false);
        }
        for column in &mut self.hot {
            column.present.resize(row + 1, false);
        }
        self.timestamps.push(timestamp_ns);
        self.lines.push(line);
        self.metadata_bytes += bytes;
        bytes
    }

    /// Forgets the rows, and keeps the memory.
    pub fn clear(&mut self) {
        self.timestamps.clear();
        self.lines.clear();
        self.goes_on.clear();
        self.has_entry.clear();
        self.keys.clear();
        self.values.clear();
        self.value_hashes.clear();
        self.metadata_bytes = 0;
    }
}
