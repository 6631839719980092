//! Stages of LogQL over lines of any bytes. The input is a stage, an end of line, and a line; every parser sees the line as
//! well.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use logql::engine::live::Live;
use model::Labels;
use model::logs::{LogBatch, LogEntry};

const STAGES: [&str; 9] = [
    "| json",
    "| json a=\"b[0].c\", d=\"e\"",
    "| logfmt --strict --keep-empty",
    "| logfmt a, b=\"c\"",
    "| unpack",
    "| decolorize",
    "| regexp \"(?P<first>\\\\S+) (?P<rest>.*)\"",
    "| pattern \"<a> [<b>] <_> \\\"<c>\\\"\" | label_format d=`{{.a | upper}}`",
    "|> \"<_>a<_>\" | line_format `{{__line__ | trunc 5}}`",
];

fuzz_target!(|data: &[u8]| {
    let cut = data.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (own, line) = data.split_at(cut);
    let entry = LogEntry {
        timestamp_ns: 1,
        line: Bytes::copy_from_slice(line),
        metadata: vec![("trace".into(), "t".into())],
    };
    let batch = LogBatch { stream: Labels::from_pairs([("app", "a")]), entries: vec![entry] };
    for stage in STAGES.iter().copied().chain(std::str::from_utf8(own)) {
        let Ok(query) = logql::parse_log(&format!("{{app=\"a\"}} {stage}")) else { continue };
        for categorize in [false, true] {
            if let Ok(live) = Live::new(&query, categorize) {
                let _ = live.run(&batch);
            }
        }
    }
});
