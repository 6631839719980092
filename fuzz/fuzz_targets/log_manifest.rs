//! A manifest of logs: what is read is written the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logdb::manifest::{Document, Manifest};

fuzz_target!(|data: &[u8]| {
    if let Ok(manifest) = Manifest::decode(data) {
        assert_eq!(Manifest::decode(&manifest.encode()).as_ref(), Ok(&manifest));
    }
});
