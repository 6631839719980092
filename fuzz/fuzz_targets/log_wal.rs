//! A segment of the log of entries, and a record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logdb::wal::{record, segment};

fuzz_target!(|data: &[u8]| {
    for record in segment::replay(data.to_vec()).records {
        let _ = record::decode(&record);
    }
    let bytes = bytes::Bytes::copy_from_slice(data);
    if let Ok((tenant, batches)) = record::decode(&bytes) {
        let mut again = Vec::new();
        record::encode(&mut again, &tenant, &batches);
        assert_eq!(record::decode(&again.into()).expect("what is written is read"), (tenant, batches));
    }
});
