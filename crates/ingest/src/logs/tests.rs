use bytes::Bytes;
use wire::loki::{PushEntry, PushLabels, PushRequest, PushStream};

use super::limits::LogLimits;
use super::prepare::prepare;

const NOW_NS: i64 = 1_800_000_000_000_000_000;

fn request(labels: &[(&str, &str)], entries: Vec<PushEntry>) -> PushRequest {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    PushRequest { streams: vec![PushStream { labels: PushLabels::Pairs(labels), entries }] }
}

fn entry(timestamp_ns: i64, line: &'static str) -> PushEntry {
    PushEntry { timestamp_ns, line: Bytes::from_static(line.as_bytes()), metadata: Vec::new() }
}

#[test]
fn streams_get_the_name_of_their_service_and_lines_their_level() {
    let prepared = prepare(
        request(&[("job", "j"), ("empty", "")], vec![entry(1, "level=warn")]),
        &LogLimits::default(),
        NOW_NS,
    )
    .unwrap();
    assert_eq!(prepared.batches[0].stream.to_string(), r#"{job="j", service_name="j"}"#);
    let metadata = &prepared.batches[0].entries[0].metadata;
    assert_eq!(metadata.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>(), ["detected_level=warn"]);
    assert_eq!(prepared.problem, None);
}

#[test]
fn what_is_refused_does_not_keep_the_rest_from_being_stored() {
    let entries = vec![entry(1, "good"), entry(i64::MAX, "future")];
    let prepared = prepare(request(&[("a", "b")], entries), &LogLimits::default(), NOW_NS).unwrap();
    assert_eq!(prepared.entries, 1);
    assert!(prepared.problem.unwrap().text.contains("has timestamp too new"));
}

#[test]
fn names_that_are_none_are_told_with_their_place() {
    let refused = |name: &str| {
        let request = request(&[("case", "c"), (name, "v")], vec![entry(1, "x")]);
        prepare(request, &LogLimits::default(), NOW_NS).unwrap_err().text
    };
    assert_eq!(
        refused("a-b"),
        "couldn't parse labels: 1:3: parse error: unexpected character inside braces: '-'"
    );
    assert_eq!(
        refused(""),
        "couldn't parse labels: 1:2: parse error: unexpected \"=\" in label set, expected identifier or \"}\""
    );
    assert_eq!(
        refused("é"),
        "couldn't parse labels: 1:12: parse error: unexpected character inside braces: 'é'"
    );
}
