//! Chunks of every encoding: damaged ones give an error, never a panic or samples without end.

#![no_main]

use chunkenc::{Encoding, decode_into, decode_last, for_each};
use libfuzzer_sys::fuzz_target;
use model::{SampleColumns, TimeRange};

fuzz_target!(|data: &[u8]| {
    let Some((&first, bytes)) = data.split_first() else { return };
    // The first byte picks the encoding, so that one corpus serves all of them.
    let encodings: Vec<Encoding> = (0..=u8::MAX).filter_map(|byte| Encoding::from_byte(byte).ok()).collect();
    let encoding = encodings[usize::from(first) % encodings.len()];
    let mut samples = SampleColumns::default();
    if decode_into(bytes, encoding, TimeRange::ALL, usize::MAX, &mut samples).is_err() {
        assert!(samples.is_empty(), "a failed decode leaves nothing behind");
    }
    let _ = decode_last(bytes, encoding, TimeRange::ALL, usize::MAX, &mut SampleColumns::default());
    let _ = for_each(bytes, encoding, |_| Ok::<(), chunkenc::ChunkError>(()));
});
