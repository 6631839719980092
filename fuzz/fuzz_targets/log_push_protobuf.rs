//! Pushes of logs in protobuf, from the body to what is stored: no input may panic, or take more memory than it was given.
#![no_main]

use base::ByteBudget;
use ingest::LogLimits;
use libfuzzer_sys::fuzz_target;
use model::TenantId;

const MEMORY_BYTES: usize = 16 << 20;

fuzz_target!(|body: &[u8]| {
    let budget = ByteBudget::new("memory", MEMORY_BYTES);
    let mut memory = budget.reserve(0).expect("nothing fits");
    let body = bytes::Bytes::copy_from_slice(body);
    if let Ok(request) = wire::loki::protobuf::decode(&body, &mut memory) {
        let _ = ingest::logs::prepare::prepare(request, &TenantId::default(), &LogLimits::default(), 1_800_000_000_000_000_000);
    }
    assert!(memory.bytes() <= MEMORY_BYTES);
});
