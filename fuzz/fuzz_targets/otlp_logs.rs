//! Logs of OpenTelemetry, in protobuf and in JSON, from the body to what is stored.
#![no_main]

use base::ByteBudget;
use ingest::LogLimits;
use ingest::logs::otlp::{Room, prepare};
use libfuzzer_sys::fuzz_target;
use model::TenantId;

const MEMORY_BYTES: usize = 16 << 20;

fn take(body: &[u8]) {
    let budget = ByteBudget::new("memory", MEMORY_BYTES);
    let mut memory = budget.reserve(0).expect("nothing fits");
    let room = Room { max_bytes: 4 << 20, memory: &mut memory };
    if let Ok(prepared) = prepare(body, &TenantId::default(), &LogLimits::default(), 1_800_000_000_000_000_000, room) {
        assert!(prepared.amount.bytes as usize + prepared.metadata_bytes <= 4 << 20);
    }
    assert!(memory.bytes() <= MEMORY_BYTES);
}

fuzz_target!(|body: &[u8]| {
    take(body);
    if let Ok(translated) = wire::otlp::logs::json_to_protobuf(body) {
        take(&translated);
    }
});
