//! A log object: any bytes are refused or read, never more than they can hold.
#![no_main]

use std::sync::Arc;

use blob::memory::MemoryObject;
use libfuzzer_sys::fuzz_target;
use logdb::segment::grams::{Needle, value_hash};
use logdb::segment::{Probe, Segment};
use model::logs::LogColumns;

fuzz_target!(|data: &[u8]| {
    let object = Arc::new(MemoryObject::new("fuzz", data.to_vec().into()));
    let Ok(segment) = Segment::open(object) else { return };
    let _ = segment.check_filters();
    let all: Vec<usize> = (0..segment.index().groups.len()).collect();
    let probe = Probe::Lines(Needle::new(b"needle").into_iter().collect());
    for probe in [probe, Probe::Value(value_hash("name", b"value"))] {
        if let Ok(found) = segment.may_hold(&probe, &all) {
            assert_eq!(found.len(), all.len());
        }
    }
    for group in &segment.index().groups {
        if let Ok(page) = segment.read(group, LogColumns { lines: true, metadata: true }) {
            assert_eq!(page.timestamps_ns.len(), page.lines.len());
            for row in 0..page.lines.len() {
                page.lines.get(row);
                page.metadata.row(row).for_each(drop);
            }
        }
    }
});
