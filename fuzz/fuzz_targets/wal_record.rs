//! Records of the write-ahead log, whatever kind they claim to be.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tsdb::wal::histogram::for_each_histogram;
use tsdb::wal::record::{
    for_each_exemplar, for_each_float, for_each_metadata, for_each_mmap_marker, for_each_series, for_each_tombstone,
};

fuzz_target!(|record: &[u8]| {
    let _ = for_each_series(record, |_, _| {});
    let _ = for_each_float(record, |_| {});
    let _ = for_each_histogram(record, |_| {});
    let _ = for_each_exemplar(record, |_| {});
    let _ = for_each_metadata(record, |_| {});
    let _ = for_each_tombstone(record, |_| {});
    let _ = for_each_mmap_marker(record, |_| {});
});
