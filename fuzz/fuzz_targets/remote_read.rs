//! Remote read: what is asked, and both kinds of answers, which come from other programs.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::protobuf::ProtobufError;
use wire::remote_read::{FrameReader, ReadRequest, chunks, labels, samples};

/// Requests may hold this much.
const BUDGET_BYTES: usize = 1 << 20;

fuzz_target!(|body: &[u8]| {
    let budget = base::ByteBudget::new("fuzz", BUDGET_BYTES);
    if let Ok(mut memory) = budget.reserve(0)
        && let Ok(request) = ReadRequest::decode(body, &mut memory)
    {
        let mut again = Vec::new();
        request.encode(&mut again);
        let mut memory = base::ByteBudget::unlimited().reserve(0).unwrap();
        assert_eq!(ReadRequest::decode(&again, &mut memory).unwrap(), request);
    }
    let _ = samples::for_each_series(body, |_, place| {
        labels(body, place, &mut Vec::new())?;
        samples::for_each_sample(body, place, |_| Ok::<_, ProtobufError>(()))
    });
    let mut frames = FrameReader::new(1 << 16);
    for piece in body.chunks(100) {
        frames.push(piece);
        assert!(frames.buffered_bytes() < (1 << 16) + 1000);
        while let Ok(Some(message)) = frames.next() {
            let _ = chunks::for_each_series(message, |place| {
                labels(message, place, &mut Vec::new())?;
                chunks::for_each_chunk(message, place, |_| Ok::<_, ProtobufError>(()))
            });
        }
    }
    // Checksums keep chance away from the messages of a stream: they are tried without a frame as well.
    let _ = chunks::for_each_series(body, |place| {
        labels(body, place, &mut Vec::new())?;
        chunks::for_each_chunk(body, place, |_| Ok::<_, ProtobufError>(()))
    });
});
