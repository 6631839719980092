//! Bodies that mean harm: whatever comes, reading it ends with entries or a refusal, in the memory it was given.

use base::ByteBudget;
use model::TenantId;
use proptest::prelude::*;
use wire::protobuf::{put_bytes, put_message};

use super::limits::LogLimits;
use super::otlp::{self, Room};
use super::prepare::prepare;

const MEMORY_BYTES: usize = 1 << 20;
const NOW_NS: i64 = 1_800_000_000_000_000_000;

/// A push of log shippers, in protobuf.
fn protobuf(lines: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    put_message(&mut body, 1, |stream| {
        put_bytes(stream, 1, b"{a=\"b\"}");
        for line in lines {
            put_message(stream, 2, |entry| {
                put_bytes(entry, 1, &[8, 1]);
                put_bytes(entry, 2, line);
                put_message(entry, 3, |pair| {
                    put_bytes(pair, 1, b"name");
                    put_bytes(pair, 2, line);
                });
            });
        }
    });
    body
}

/// A request of OpenTelemetry, in protobuf.
fn otlp(lines: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    let attribute = |out: &mut Vec<u8>, field: u32, text: &[u8]| {
        put_message(out, field, |attribute| {
            put_bytes(attribute, 1, b"service.name");
            put_message(attribute, 2, |value| put_bytes(value, 1, text));
        });
    };
    put_message(&mut body, 1, |resource_logs| {
        put_message(resource_logs, 1, |resource| attribute(resource, 1, b"shop"));
        put_message(resource_logs, 2, |scope_logs| {
            for line in lines {
                put_message(scope_logs, 2, |record| {
                    put_message(record, 5, |value| put_bytes(value, 1, line));
                    attribute(record, 6, line);
                });
            }
        });
    });
    body
}

/// A body with some bytes changed, and perhaps its end cut off.
fn damaged(mut body: Vec<u8>, changes: &[(usize, u8)], cut: usize) -> Vec<u8> {
    let len = body.len().max(1);
    for (at, byte) in changes {
        if let Some(place) = body.get_mut(at % len) {
            *place = *byte;
        }
    }
    body.truncate(len - cut % len);
    body
}

fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8)
}

fn changes() -> impl Strategy<Value = Vec<(usize, u8)>> {
    prop::collection::vec((any::<usize>(), any::<u8>()), 0..6)
}

proptest! {
    #[test]
    fn pushes_in_protobuf(lines in lines(), changes in changes(), cut in 0_usize..4) {
        let budget = ByteBudget::new("memory", MEMORY_BYTES);
        let mut memory = budget.reserve(0).unwrap();
        let body = damaged(protobuf(&lines), &changes, cut).into();
        if let Ok(request) = wire::loki::protobuf::decode(&body, &mut memory) {
            let _ = prepare(request, &TenantId::default(), &LogLimits::default(), NOW_NS);
        }
        prop_assert!(memory.bytes() <= MEMORY_BYTES);
    }

    #[test]
    fn pushes_in_json(changes in changes(), cut in 0_usize..4) {
        let budget = ByteBudget::new("memory", MEMORY_BYTES);
        let text = br#"{"streams":[{"stream":{"a":"\u00e9"},"values":[["7","l\n",{"m":"v"}],["8",""]]},{"labels":"{a=\"b\"}","entries":[{"ts":"2026-01-15T12:00:00Z","line":"x"}]}]}"#;
        let body = damaged(text.to_vec(), &changes, cut);
        for decode in [wire::loki::json::decode, wire::loki::json::decode_legacy] {
            let mut memory = budget.reserve(0).unwrap();
            if let Ok(request) = decode(&body, &mut memory) {
                let _ = prepare(request, &TenantId::default(), &LogLimits::default(), NOW_NS);
            }
            prop_assert!(memory.bytes() <= MEMORY_BYTES);
        }
    }

    #[test]
    fn requests_of_opentelemetry(lines in lines(), changes in changes(), cut in 0_usize..4) {
        let budget = ByteBudget::new("memory", MEMORY_BYTES);
        let mut memory = budget.reserve(0).unwrap();
        let body = damaged(otlp(&lines), &changes, cut);
        let room = Room { max_bytes: 1 << 16, memory: &mut memory };
        if let Ok(prepared) = otlp::prepare(&body, &TenantId::default(), &LogLimits::default(), NOW_NS, room) {
            prop_assert!(prepared.amount.bytes as usize + prepared.metadata_bytes <= 1 << 16);
        }
        prop_assert!(memory.bytes() <= MEMORY_BYTES);
    }
}

#[test]
fn what_fuzzing_begins_with_is_stored_and_what_is_near_to_it_does_no_harm() {
    let budget = ByteBudget::new("memory", MEMORY_BYTES);
    let stored = |request: Option<wire::loki::PushRequest>| {
        let prepared = prepare(request?, &TenantId::default(), &LogLimits::default(), NOW_NS).ok()?;
        Some(prepared.amount.entries)
    };
    let take = |target: &str, body: &[u8]| -> Option<u64> {
        let mut memory = budget.reserve(0).unwrap();
        if target == "log_push_protobuf" {
            let body = bytes::Bytes::copy_from_slice(body);
            return stored(wire::loki::protobuf::decode(&body, &mut memory).ok());
        }
        // What is in one shape may be read as no entries in the other one.
        let decode = [wire::loki::json::decode, wire::loki::json::decode_legacy];
        decode.into_iter().filter_map(|decode| stored(decode(body, &mut memory).ok())).max()
    };
    for target in ["log_push_protobuf", "log_push_json"] {
        for (name, seed) in testkit::seeds::of(target) {
            assert!(take(target, &seed) > Some(0), "{target}/{name}");
            testkit::seeds::near(&seed, 500).for_each(|near| {
                take(target, &near);
            });
        }
    }
    let take = |body: &[u8]| {
        let mut memory = budget.reserve(0).unwrap();
        let room = Room { max_bytes: 1 << 16, memory: &mut memory };
        let prepared = otlp::prepare(body, &TenantId::default(), &LogLimits::default(), NOW_NS, room);
        prepared.ok().map(|prepared| prepared.amount.entries)
    };
    for (name, seed) in testkit::seeds::of("otlp_logs") {
        let is_json = seed.starts_with(b"{");
        let body = if is_json { wire::otlp::logs::json_to_protobuf(&seed).unwrap() } else { seed.clone() };
        assert!(take(&body) > Some(0), "{name}");
        testkit::seeds::near(&body, 500).for_each(|near| {
            take(&near);
        });
        for near in testkit::seeds::near(&seed, 500).filter(|_| is_json) {
            drop(wire::otlp::logs::json_to_protobuf(&near).map(|body| take(&body)));
        }
    }
}
