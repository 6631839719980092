//! A log object: any bytes are refused or read, never more than they can hold.
#![no_main]

use std::sync::Arc;

use blob::memory::MemoryObject;
use libfuzzer_sys::fuzz_target;
use logdb::segment::Segment;
use model::logs::LogColumns;

fuzz_target!(|data: &[u8]| {
    let object = Arc::new(MemoryObject::new("fuzz", data.to_vec().into()));
    let Ok(segment) = Segment::open(object) else { return };
    for group in &segment.index().groups {
        let _ = segment.grams(group);
        let _ = segment.values(group);
        if let Ok(page) = segment.read(group, LogColumns { lines: true, metadata: true }) {
            assert_eq!(page.timestamps_ns.len(), page.lines.len());
            for row in 0..page.lines.len() {
                page.lines.get(row);
                for column in &page.metadata {
                    column.get(row);
                }
            }
        }
    }
});
