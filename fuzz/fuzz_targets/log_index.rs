//! The index of a log object: what is read can be written, as the newest version, and that is read the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logdb::segment::SegmentIndex;

fuzz_target!(|data: &[u8]| {
    if let Ok(index) = SegmentIndex::decode(data) {
        let again = SegmentIndex::decode(&index.encode()).expect("what is written is read");
        assert_eq!(SegmentIndex::decode(&again.encode()).expect("what is written is read"), again);
    }
});
