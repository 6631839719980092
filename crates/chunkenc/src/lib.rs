//! Encodings of samples in chunks, byte for byte those of a Prometheus data directory.
//!
//! Pure functions over bytes: this crate does no I/O and must not know files, series or time. Bytes
//! from disk are untrusted: a damaged chunk is an error, never a panic, and never makes more memory
//! than a fixed multiple of its size.
//!
//! In reading order: [`bits`] and [`varbit`] (the alphabet), [`window`] (XOR-compressed floats),
//! [`xor`], [`start_time`], [`xor2`], [`histogram`], then what most callers need: [`decode`] (any
//! chunk into columns) and [`encode`] (any samples into chunks).

mod bits;
pub mod decode;
pub mod encode;
mod encoding;
pub mod histogram;
mod start_time;
mod varbit;
mod window;
pub mod xor;
pub mod xor2;

pub use decode::{RawSample, RawValue, decode_into, decode_last, for_each, time_range};
pub use encode::{EncodedChunk, SeriesEncoder};
pub use encoding::{ChunkError, Encoding, num_samples};
pub use histogram::{
    AppendOutcome, FloatHistogramAppender, HistogramAppender, HistogramReader, counter_reset_hint,
};
pub use xor::XorAppender;
pub use xor2::Xor2Appender;
