//! The index of a log object: what is read of the newest version is written the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logdb::segment::SegmentIndex;

fuzz_target!(|data: &[u8]| {
    let Ok(index) = SegmentIndex::decode(data) else { return };
    // Earlier versions are only read.
    if index.version == SegmentIndex::default().version {
        assert_eq!(SegmentIndex::decode(&index.encode()).expect("what is written is read"), index);
    }
});
