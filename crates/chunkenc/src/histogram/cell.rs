//! How one count of a histogram is stored.

use crate::bits::{BitReader, BitWriter};
use crate::encoding::ChunkError;
use crate::window::XorFloat;

/// The running state of one stored count: the same on the writing and the reading side.
pub trait Cell: Copy + Default + std::fmt::Debug {
    /// The count as the histogram holds it.
    type Raw: Copy;

    /// Bits of the smallest first count, which bounds how many buckets a chunk can hold.
    const MIN_FIRST_BITS: usize;

    /// Writes the first total (never negative) of a chunk.
    fn start_total(writer: &mut BitWriter, raw: Self::Raw) -> Self;
    /// Writes the first count of a bucket.
    fn start_bucket(writer: &mut BitWriter, raw: Self::Raw) -> Self;
    /// Writes a further count.
    fn write(&mut self, writer: &mut BitWriter, raw: Self::Raw);
    /// Writes "as before" for a total of a stale sample.
    fn write_stale(&mut self, writer: &mut BitWriter);
    /// Reads what [`Self::start_total`] wrote.
    fn read_total(reader: &mut BitReader<'_>) -> Self;
    /// Reads what [`Self::start_bucket`] wrote.
    fn read_bucket(reader: &mut BitReader<'_>) -> Self;
    /// Reads a further count.
    fn read(&mut self, reader: &mut BitReader<'_>) -> Result<(), ChunkError>;
    /// The last count.
    fn raw(&self) -> Self::Raw;
}

/// An integer count, stored as the change of its change.
#[derive(Debug, Clone, Copy, Default)]
pub struct IntegerCell {
    value: i64,
    delta: i64,
}

impl Cell for IntegerCell {
    type Raw = i64;

    const MIN_FIRST_BITS: usize = 1;

    fn start_total(writer: &mut BitWriter, raw: i64) -> Self {
        writer.put_varbit_uint(raw as u64);
        Self { value: raw, delta: 0 }
    }

    fn start_bucket(writer: &mut BitWriter, raw: i64) -> Self {
        writer.put_varbit_int(raw);
        Self { value: raw, delta: 0 }
    }

    #[inline]
    fn write(&mut self, writer: &mut BitWriter, raw: i64) {
        let delta = raw.wrapping_sub(self.value);
        writer.put_varbit_int(delta.wrapping_sub(self.delta));
        *self = Self { value: raw, delta };
    }

    fn write_stale(&mut self, writer: &mut BitWriter) {
        writer.put(0, 1);
    }

    fn read_total(reader: &mut BitReader<'_>) -> Self {
        Self { value: reader.read_varbit_uint() as i64, delta: 0 }
    }

    fn read_bucket(reader: &mut BitReader<'_>) -> Self {
        Self { value: reader.read_varbit_int(), delta: 0 }
    }

    #[inline]
    fn read(&mut self, reader: &mut BitReader<'_>) -> Result<(), ChunkError> {
        self.delta = self.delta.wrapping_add(reader.read_varbit_int());
        self.value = self.value.wrapping_add(self.delta);
        Ok(())
    }

    #[inline]
    fn raw(&self) -> i64 {
        self.value
    }
}

/// A float count, stored as the XOR with the one before.
impl Cell for XorFloat {
    type Raw = f64;

    const MIN_FIRST_BITS: usize = 64;

    fn start_total(writer: &mut BitWriter, raw: f64) -> Self {
        writer.put(raw.to_bits(), 64);
        Self::new(raw.to_bits())
    }

    fn start_bucket(writer: &mut BitWriter, raw: f64) -> Self {
        Self::start_total(writer, raw)
    }

    #[inline]
    fn write(&mut self, writer: &mut BitWriter, raw: f64) {
        XorFloat::write(self, writer, raw.to_bits());
    }

    fn write_stale(&mut self, writer: &mut BitWriter) {
        XorFloat::write(self, writer, 0);
    }

    fn read_total(reader: &mut BitReader<'_>) -> Self {
        Self::new(reader.read(64))
    }

    fn read_bucket(reader: &mut BitReader<'_>) -> Self {
        Self::new(reader.read(64))
    }

    #[inline]
    fn read(&mut self, reader: &mut BitReader<'_>) -> Result<(), ChunkError> {
        XorFloat::read(self, reader)
    }

    #[inline]
    fn raw(&self) -> f64 {
        f64::from_bits(self.bits)
    }
}
