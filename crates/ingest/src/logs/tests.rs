use std::sync::Arc;

use base::{ByteBudget, SimClock};
use bytes::Bytes;
use model::logs::{LogAppendError, LogAppender, LogBatch, LogObserver, RefusalKind};
use model::{MatchOp, Matcher, TenantId};
use parking_lot::Mutex;
use wire::loki::{PushEntry, PushLabels, PushRequest, PushStream};
use wire::protobuf::{put_bytes, put_message};

use super::limits::{LogLimits, LogRetention};
use super::otlp::{self, Room};
use super::prepare::{Prepared, prepare};
use super::receiver::LogReceiver;

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
        &TenantId::default(),
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
    let prepared =
        prepare(request(&[("a", "b")], entries), &TenantId::default(), &LogLimits::default(), NOW_NS)
            .unwrap();
    assert_eq!(prepared.amount.entries, 1);
    assert_eq!(prepared.discarded["too_far_in_future"].entries, 1);
    assert!(prepared.problem.unwrap().text.contains("has timestamp too new"));
}

#[test]
fn names_that_are_none_are_told_with_their_place() {
    let refused = |name: &str| {
        let request = request(&[("case", "c"), (name, "v")], vec![entry(1, "x")]);
        prepare(request, &TenantId::default(), &LogLimits::default(), NOW_NS).unwrap_err().text
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

#[test]
fn labels_written_out_are_read_with_their_mistakes() {
    let told = |text: &str| {
        let stream = PushStream { labels: PushLabels::Text(text.to_owned()), entries: vec![entry(1, "x")] };
        let request = PushRequest { streams: vec![stream] };
        prepare(request, &TenantId::default(), &LogLimits::default(), NOW_NS).map_err(|problem| problem.text)
    };
    let problem = |text: &str| match told(text) {
        Ok(prepared) => prepared.problem.unwrap().text,
        Err(text) => text,
    };
    assert_eq!(
        problem(r#"{k="1", a="b", k="2"}"#),
        r#"stream '{a="b", k="1", k="2", service_name="unknown_service"}' has duplicate label name: 'k'"#
    );
    let at = |place: &str| format!("couldn't parse labels: {place}: parse error: unexpected identifier");
    assert_eq!(problem(r#"{a b="c"}"#), at("1:4") + r#" "b" in label set, expected "=""#);
    assert_eq!(problem(r#"{a="b" c="d"}"#), at("1:8") + r#" "c" in label set, expected "," or "}""#);
    assert!(told(r#"{a="", k="1"}"#).is_ok());
}

const DAY_NS: i64 = 86_400 * 1_000_000_000;

fn entries(prepared: &Prepared) -> Vec<(i64, String)> {
    let all = prepared.batches.iter().flat_map(|batch| &batch.entries);
    all.map(|entry| (entry.timestamp_ns, String::from_utf8_lossy(&entry.line).into_owned())).collect()
}

#[test]
fn what_would_be_gone_at_once_is_refused_by_the_retention_of_its_stream() {
    let short = vec![Matcher::new(MatchOp::Equal, "app", "debug").unwrap()];
    let retention = LogRetention { default_ns: 31 * DAY_NS, rules: vec![(short, DAY_NS)] };
    let limits = LogLimits { retention, ..LogLimits::default() };
    for (app, age_days, is_taken) in [("web", 30, true), ("web", 32, false), ("debug", 2, false)] {
        let entries = vec![entry(NOW_NS - age_days * DAY_NS, "x")];
        let prepared =
            prepare(request(&[("app", app)], entries), &TenantId::default(), &limits, NOW_NS).unwrap();
        assert_eq!(prepared.amount.entries == 1, is_taken, "{app} {age_days}");
        if let Some(problem) = prepared.problem {
            assert!(problem.text.contains("has timestamp too old: "), "{}", problem.text);
        }
    }
}

#[test]
fn one_push_is_about_a_bounded_number_of_days() {
    let limits = LogLimits { max_days: 3, ..LogLimits::default() };
    let sent = (0..10).map(|day| entry(NOW_NS - day / 2 * DAY_NS, "x")).collect();
    let prepared = prepare(request(&[("a", "b")], sent), &TenantId::default(), &limits, NOW_NS).unwrap();
    assert_eq!(prepared.amount.entries, 6);
    assert_eq!(prepared.discarded["too_many_days"].entries, 4);
}

#[test]
fn long_lines_are_cut_between_characters_where_that_is_wanted() {
    let limits =
        LogLimits { max_line_bytes: 6, truncate_with: Some("..".to_owned()), ..LogLimits::default() };
    let sent = vec![entry(1, "abcdef"), entry(2, "abc\u{e9}fgh")];
    let prepared = prepare(request(&[("a", "b")], sent), &TenantId::default(), &limits, NOW_NS).unwrap();
    assert_eq!(entries(&prepared), [(1, "abcdef".to_owned()), (2, "abc..".to_owned())]);
    assert_eq!((prepared.truncated.entries, prepared.truncated.bytes), (1, 3));
}

#[test]
fn equal_times_are_counted_up_where_that_is_wanted() {
    let limits = LogLimits { increment_duplicate_timestamps: true, ..LogLimits::default() };
    let sent = vec![entry(5, "a"), entry(5, "b"), entry(5, "c"), entry(9, "d"), entry(5, "e")];
    let prepared = prepare(request(&[("a", "b")], sent), &TenantId::default(), &limits, NOW_NS).unwrap();
    assert_eq!(entries(&prepared).iter().map(|(at, _)| *at).collect::<Vec<_>>(), [5, 6, 7, 9, 5]);
}

/// A request with one resource that has an attribute of `attribute_bytes`, and that many empty records.
fn resource_with(attribute_bytes: usize, records: usize) -> Vec<u8> {
    let mut body = Vec::new();
    put_message(&mut body, 1, |resource_logs| {
        put_message(resource_logs, 1, |resource| {
            put_message(resource, 1, |attribute| {
                put_bytes(attribute, 1, b"text");
                put_message(attribute, 2, |value| put_bytes(value, 1, &vec![b'x'; attribute_bytes]));
            });
        });
        put_message(resource_logs, 2, |scope_logs| {
            (0..records).for_each(|_| put_bytes(scope_logs, 2, b""));
        });
    });
    body
}

#[test]
fn what_a_resource_says_is_there_once_however_many_records_it_has() {
    let body = resource_with(60_000, 100);
    let budget = ByteBudget::new("logs.max-push-memory", 1 << 20);
    let mut memory = budget.reserve(0).unwrap();
    let room = Room { max_bytes: 64 << 20, memory: &mut memory };
    let prepared = otlp::prepare(&body, &TenantId::default(), &LogLimits::default(), NOW_NS, room).unwrap();
    let of = |at: usize| &prepared.batches[0].entries[at].metadata;
    let text = |at: usize| of(at).iter().find(|(name, _)| &**name == "text").unwrap().1.clone();
    assert_eq!(prepared.amount.entries, 100);
    assert!(Arc::ptr_eq(&text(0), &text(99)));
}

#[test]
fn a_request_of_a_megabyte_does_not_become_gigabytes() {
    let body = resource_with(60_000, 500_000);
    for (budget_bytes, kind) in [(64 << 20, RefusalKind::TooLarge), (1 << 18, RefusalKind::Busy)] {
        let budget = ByteBudget::new("logs.max-push-memory", budget_bytes);
        let mut memory = budget.reserve(0).unwrap();
        let room = Room { max_bytes: 60 << 20, memory: &mut memory };
        let refused =
            otlp::prepare(&body, &TenantId::default(), &LogLimits::default(), NOW_NS, room).unwrap_err();
        assert_eq!(refused.kind, kind, "{}", refused.text);
        assert!(budget.peak_bytes() <= budget_bytes);
    }
    let metadata = LogLimits { max_metadata_bytes: 0, ..LogLimits::default() };
    let mut memory = ByteBudget::unlimited().reserve(0).unwrap();
    let room = Room { max_bytes: 60 << 20, memory: &mut memory };
    let refused = otlp::prepare(&body, &TenantId::default(), &metadata, NOW_NS, room).unwrap_err();
    assert_eq!(refused.kind, RefusalKind::TooLarge);
    assert!(memory.bytes() < 4 << 20, "{}", memory.bytes());
}

#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl LogAppender for Notes {
    fn append(&self, _: &TenantId, batches: Vec<LogBatch>) -> Result<(), LogAppendError> {
        self.0.lock().extend(batches.iter().map(|batch| format!("append {}", batch.stream)));
        Ok(())
    }
}

impl LogObserver for Notes {
    fn choose(&self, _: &TenantId, batches: &[LogBatch]) -> Vec<LogBatch> {
        batches.iter().filter(|batch| batch.stream.get("a") == Some("1")).cloned().collect()
    }

    fn stored(&self, _: &TenantId, chosen: Vec<LogBatch>) {
        self.0.lock().extend(chosen.iter().map(|batch| format!("stored {}", batch.stream)));
    }
}

#[test]
fn streams_beyond_the_limit_are_left_out_and_the_rest_is_stored_and_told() {
    let notes = Arc::new(Notes::default());
    let limits = LogLimits {
        max_streams: 2,
        service_labels: Vec::new(),
        discover_levels: false,
        ..LogLimits::default()
    };
    let clock = SimClock::at(NOW_NS / 1_000_000);
    let registry = base::metrics::Registry::new();
    let receiver =
        LogReceiver::new(notes.clone(), limits, clock).observed_by(notes.clone()).published_by(&registry);
    let mut request = request(&[("a", "1")], vec![entry(1, "x")]);
    for value in ["2", "3"] {
        request.streams.extend(self::request(&[("a", value)], vec![entry(1, "yy")]).streams);
    }
    let refused = receiver.push(&TenantId::default(), request).unwrap_err();
    assert_eq!(refused.kind, RefusalKind::Limited);
    assert!(refused.text.starts_with("Maximum active stream limit exceeded"), "{}", refused.text);
    assert_eq!(*notes.0.lock(), [r#"append {a="1"}"#, r#"append {a="2"}"#, r#"stored {a="1"}"#]);
    let families = registry.gather();
    let value = |name: &str| match families.iter().find(|family| family.name == name).unwrap().points[0].value
    {
        base::metrics::Value::Number(value) => value,
        _ => panic!("{name} is no number"),
    };
    assert_eq!(value("loki_distributor_lines_received_total"), 3.0);
    assert_eq!(value("loki_distributor_bytes_received_total"), 5.0);
    assert_eq!(value("loki_discarded_samples_total"), 1.0);
    assert_eq!(value("loki_discarded_bytes_total"), 2.0);
}

#[test]
fn streams_have_the_labels_that_are_enforced() {
    let limits = LogLimits {
        enforced_labels: vec!["app".to_owned(), "env".to_owned()],
        service_labels: Vec::new(),
        ..LogLimits::default()
    };
    let mut request = request(&[("app", "a")], vec![entry(1, "x")]);
    request.streams.extend(self::request(&[("app", "a"), ("env", "b")], vec![entry(1, "y")]).streams);
    let prepared = prepare(request, &TenantId("me".into()), &limits, NOW_NS).unwrap();
    assert_eq!(prepared.batches.len(), 1);
    assert_eq!(prepared.discarded["missing_enforced_labels"].entries, 1);
    assert_eq!(
        prepared.problem.unwrap().text,
        r#"missing required labels env for user me for stream {app="a"}"#
    );
}

#[test]
fn pushes_are_refused_for_as_long_as_they_are_blocked() {
    let clock = SimClock::at(NOW_NS / 1_000_000);
    let limits = |status: u16| LogLimits {
        blocked_until_ns: NOW_NS + 1_000_000_000,
        blocked_status: status,
        service_labels: Vec::new(),
        ..LogLimits::default()
    };
    let notes = Arc::new(Notes::default());
    let receiver = LogReceiver::new(notes.clone(), limits(260), clock.clone());
    let push = || receiver.push(&TenantId("me".into()), request(&[("a", "1")], vec![entry(1, "x")]));
    let refused = push().unwrap_err();
    assert_eq!(refused.kind, RefusalKind::Blocked(260));
    assert_eq!(
        refused.text,
        "ingestion blocked for user me until '2027-01-15T08:00:01Z' with status code '260'"
    );
    receiver.set_limits(limits(200).into());
    push().unwrap();
    assert!(notes.0.lock().is_empty());
    clock.advance(std::time::Duration::from_secs(1));
    push().unwrap();
    assert_eq!(*notes.0.lock(), [r#"append {a="1"}"#]);
}
