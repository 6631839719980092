//! Remote writes of version 1.0: bodies are read or refused, in bounded memory.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::remote_write::MessageType;
use wire::remote_write::decode::hostile::drive;

fuzz_target!(|body: &[u8]| {
    let _ = drive(MessageType::V1, body);
});
