//! Segments of the write-ahead log: reading ends, and what is damaged is told.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tsdb::wal::reader::{ReadEvent, SegmentReader};

fuzz_target!(|data: &[u8]| {
    let path = std::env::temp_dir().join(format!("bartizan-fuzz-segment-{}", std::process::id()));
    std::fs::write(&path, data).expect("the temporary directory can be written");
    let mut reader = SegmentReader::open(&path).expect("the file is there");
    // Every event takes at least one byte of the segment.
    for _ in 0..=data.len() {
        match reader.next() {
            Ok(ReadEvent::End) | Err(_) => return,
            Ok(_) => {}
        }
    }
    panic!("reading did not end");
});
