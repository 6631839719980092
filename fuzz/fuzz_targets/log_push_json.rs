//! Pushes of logs in JSON, in both shapes, from the body to what is stored.
#![no_main]

use base::ByteBudget;
use ingest::LogLimits;
use libfuzzer_sys::fuzz_target;
use model::TenantId;

const MEMORY_BYTES: usize = 16 << 20;

fuzz_target!(|body: &[u8]| {
    let budget = ByteBudget::new("memory", MEMORY_BYTES);
    for decode in [wire::loki::json::decode, wire::loki::json::decode_legacy] {
        let mut memory = budget.reserve(0).expect("nothing fits");
        if let Ok(request) = decode(body, &mut memory) {
            let _ = ingest::logs::prepare::prepare(request, &TenantId::default(), &LogLimits::default(), 1_800_000_000_000_000_000);
        }
        assert!(memory.bytes() <= MEMORY_BYTES);
    }
});
