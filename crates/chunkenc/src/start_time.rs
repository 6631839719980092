//! Start timestamps beside samples, stored only from the sample on where they begin to change.

use crate::bits::{BitReader, BitWriter};
use crate::encoding::ChunkError;

/// The byte of the chunk that holds the header of start timestamps.
const HEADER_AT: usize = 2;
/// Set when the first sample has a start timestamp.
const FIRST_KNOWN: u8 = 0x80;
/// The highest sample index the header can name: from there on start timestamps are always stored.
const LAST_CHANGE_AT: u16 = 0x7f;

/// The state both encoder and decoder keep.
#[derive(Debug, Clone, Copy, Default)]
pub struct StartTimes {
    /// The start timestamp of the last sample, 0 when unknown.
    pub(crate) start_ms: i64,
    /// Distance of that start timestamp from the timestamp of the sample before.
    distance_ms: i64,
    first_known: bool,
    /// The index of the first sample whose start timestamp is stored beside it; 0 for none.
    stored_from: u16,
}

impl StartTimes {
    /// The state before the first sample of a chunk with this header.
    pub(crate) fn from_header(bytes: &[u8]) -> Self {
        let header = bytes.get(HEADER_AT).copied().unwrap_or_default();
        let stored_from = u16::from(header & !FIRST_KNOWN);
        Self { first_known: header & FIRST_KNOWN != 0, stored_from, ..Self::default() }
    }

    /// Whether the chunk holds any start timestamp.
    pub(crate) fn present(&self) -> bool {
        self.first_known || self.stored_from > 0
    }

    /// Writes what belongs to sample `index`, after the sample itself.
    pub(crate) fn write(
        &mut self,
        writer: &mut BitWriter,
        index: u16,
        t_ms: i64,
        previous_t_ms: i64,
        start_ms: i64,
    ) {
        let distance_ms = previous_t_ms.wrapping_sub(start_ms);
        if index == 0 {
            if start_ms != 0 {
                writer.put_varint(t_ms.wrapping_sub(start_ms));
                writer.bytes_mut()[HEADER_AT] = FIRST_KNOWN;
                self.first_known = true;
            }
        } else if self.stored_from > 0 {
            writer.put_varbit_int(distance_ms.wrapping_sub(self.distance_ms));
            self.distance_ms = distance_ms;
        } else if start_ms != self.start_ms || index == LAST_CHANGE_AT {
            writer.bytes_mut()[HEADER_AT] |= index as u8;
            writer.put_varbit_int(distance_ms);
            self.stored_from = index;
            self.distance_ms = distance_ms;
        }
        self.start_ms = start_ms;
    }

    /// Reads what belongs to sample `index`, after the sample itself.
    #[inline]
    pub(crate) fn read(
        &mut self,
        reader: &mut BitReader<'_>,
        index: usize,
        t_ms: i64,
        previous_t_ms: i64,
    ) -> Result<(), ChunkError> {
        if index == 0 {
            if self.first_known {
                self.start_ms = t_ms.wrapping_sub(reader.read_varint()?);
            }
        } else if self.stored_from > 0 && index >= usize::from(self.stored_from) {
            let stored = reader.read_varbit_int();
            let base = if index == usize::from(self.stored_from) { 0 } else { self.distance_ms };
            self.distance_ms = stored.wrapping_add(base);
            self.start_ms = previous_t_ms.wrapping_sub(self.distance_ms);
        }
        Ok(())
    }
}
