use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base::metrics::{Registry, Value};
use base::{ByteBudget, ErrorKind, SimClock};
use model::{
    Appendable, MatchOp, Matcher, Projection, QueryContext, SampleColumns, SelectRequest, SeriesSource,
    TenantId, TimeRange,
};
use proptest::prelude::*;
use wire::protobuf::{put_bytes, put_double, put_message, put_uint, to_zigzag};
use wire::remote_write::MessageType;

use super::{Outcome, Written};
use crate::cache::SECRET_BYTES;
use crate::limits::{Limits, LimitsBook};
use crate::receiver::{Options, PushError, Receiver};

/// Now, in all tests.
const NOW_MS: i64 = 1_700_000_000_000;

struct Bench {
    receiver: Receiver,
    db: Arc<tsdb::Db>,
    clock: Arc<SimClock>,
    registry: Registry,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::with(Options::default(), tsdb::Options { max_exemplars: 100, ..tsdb::Options::default() })
    }

    fn with(options: Options, storage: tsdb::Options) -> Self {
        let (dir, clock, registry) = (tempfile::tempdir().unwrap(), SimClock::at(NOW_MS), Registry::new());
        let db = Arc::new(tsdb::Db::open(dir.path(), storage, clock.clone(), &registry).unwrap());
        let budget = ByteBudget::new("ingest.max-memory", 64 << 20);
        let receiver = Receiver::new(
            db.clone() as Arc<dyn Appendable>,
            clock.clone(),
            options,
            budget,
            [3; SECRET_BYTES],
            &registry,
        );
        Self { receiver, db, clock, registry, dir }
    }

    fn push(&self, message: MessageType, body: &[u8]) -> Outcome {
        self.push_for("anonymous", message, body)
    }

    fn push_for(&self, tenant: &str, message: MessageType, body: &[u8]) -> Outcome {
        let packed = snap::raw::Encoder::new().compress_vec(body).unwrap();
        let outcome = self.receiver.remote_write(&TenantId(tenant.into()), message, &packed);
        assert_eq!(self.receiver.budget().used_bytes(), 0, "memory is given back");
        outcome
    }

    /// All samples by series, as text.
    fn stored(&self) -> Vec<String> {
        let ctx = QueryContext::new(self.clock.clone(), Duration::from_secs(60), ByteBudget::unlimited());
        let all = SelectRequest {
            range: TimeRange::ALL,
            matchers: vec![Matcher::new(MatchOp::NotEqual, "__name__", "").unwrap()],
            projection: Projection::All,
            sorted: true,
            limit: 0,
        };
        let set = self.db.select(&all, &ctx).unwrap();
        (0..set.len())
            .map(|i| {
                let mut columns = SampleColumns::default();
                set.read(i, TimeRange::ALL, &mut columns, &ctx).unwrap();
                let samples: Vec<String> = (0..columns.len())
                    .map(|at| {
                        let t = columns.timestamps_ms[at] - NOW_MS;
                        match (columns.histogram(at), columns.start_timestamp_ms(at)) {
                            (Some(h), _) => format!("{t}:h{}", h.count),
                            (None, 0) => format!("{t}:{}", columns.values[at]),
                            (None, start) => format!("{t}:{} since {}", columns.values[at], start - NOW_MS),
                        }
                    })
                    .collect();
                format!("{} {}", set.labels(i), samples.join(" "))
            })
            .collect()
    }

    fn metric(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let points = families.iter().filter(|family| family.name == name).flat_map(|family| &family.points);
        points.map(|point| if let Value::Number(n) = point.value { n } else { f64::NAN }).sum()
    }
}

/// Labels and samples of a series.
type SeriesOf<'a> = (&'a [(&'a str, &'a str)], &'a [(i64, f64)]);

/// A version 1.0 request of float series.
fn v1(series: &[SeriesOf<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for (labels, samples) in series {
        put_message(&mut body, 1, |out| {
            labels.iter().for_each(|(name, value)| put_label(out, name, value));
            for (t, value) in *samples {
                put_message(out, 2, |out| {
                    put_double(out, 1, *value);
                    put_uint(out, 2, (NOW_MS + t) as u64);
                });
            }
        });
    }
    body
}

fn put_label(out: &mut Vec<u8>, name: &str, value: &str) {
    put_message(out, 1, |out| {
        put_bytes(out, 1, name.as_bytes());
        put_bytes(out, 2, value.as_bytes());
    });
}

/// A version 2.0 request: symbols, then series made of encoded fields.
fn v2(symbols: &[&str], series: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    symbols.iter().for_each(|symbol| put_bytes(&mut body, 4, symbol.as_bytes()));
    series.iter().for_each(|series| put_bytes(&mut body, 5, series));
    body
}

/// Fields of a version 2.0 series.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn labels(mut self, references: &[u8]) -> Self {
        put_bytes(&mut self.0, 1, references);
        self
    }

    fn sample(mut self, t: i64, value: f64, start: Option<i64>) -> Self {
        put_message(&mut self.0, 2, |out| {
            put_double(out, 1, value);
            put_uint(out, 2, (NOW_MS + t) as u64);
            if let Some(start) = start {
                put_uint(out, 3, (NOW_MS + start) as u64);
            }
        });
        self
    }

    fn histogram(mut self, t: i64, count: u64, schema: i64, start: Option<i64>) -> Self {
        put_message(&mut self.0, 3, |out| {
            put_uint(out, 1, count);
            put_double(out, 3, 1.0);
            put_uint(out, 4, to_zigzag(schema));
            put_message(out, 11, |out| put_uint(out, 2, 1));
            put_bytes(out, 12, &[to_zigzag(count as i64) as u8]);
            put_uint(out, 15, (NOW_MS + t) as u64);
            if let Some(start) = start {
                put_uint(out, 17, (NOW_MS + start) as u64);
            }
        });
        self
    }

    fn exemplar(mut self, references: &[u8], t: i64) -> Self {
        put_message(&mut self.0, 4, |out| {
            put_bytes(out, 1, references);
            put_double(out, 2, 0.5);
            put_uint(out, 3, (NOW_MS + t) as u64);
        });
        self
    }

    fn metadata(mut self, metric_type: u64, help: u64, unit: u64) -> Self {
        put_message(&mut self.0, 5, |out| {
            put_uint(out, 1, metric_type);
            put_uint(out, 3, help);
            put_uint(out, 4, unit);
        });
        self
    }
}

const SYMBOLS: [&str; 7] = ["", "__name__", "x_total", "a", "b", "seconds", "trace_id"];

fn text(outcome: &Outcome) -> String {
    outcome.error.as_ref().map(PushError::to_string).unwrap_or_default()
}

fn samples(samples: usize) -> Written {
    Written { samples, ..Written::default() }
}

#[test]
fn known_series_cost_no_reading_of_labels() {
    let bench = Bench::new();
    let body =
        |t| v1(&[(&[("__name__", "up"), ("a", "1")], &[(t, 1.0)]), (&[("__name__", "down")], &[(t, 2.0)])]);
    assert_eq!(bench.push(MessageType::V1, &body(0)), Outcome { written: samples(2), error: None });
    assert_eq!(bench.push(MessageType::V1, &body(1)).written, samples(2));
    assert_eq!(bench.metric("bartizan_ingest_series_resolved_total"), 2.0);
    assert_eq!(bench.stored(), [r#"{__name__="down"} 0:2 1:2"#, r#"{__name__="up", a="1"} 0:1 1:1"#]);
    assert_eq!(bench.metric("bartizan_ingest_active_series"), 2.0);
}

#[test]
fn both_versions_and_any_order_of_labels_feed_one_series() {
    let bench = Bench::new();
    bench.push(MessageType::V1, &v1(&[(&[("a", "b"), ("__name__", "x_total"), ("c", "")], &[(0, 1.0)])]));
    bench.push(MessageType::V1, &v1(&[(&[("__name__", "x_total"), ("a", "b")], &[(1, 2.0)])]));
    let outcome = bench.push(
        MessageType::V2,
        &v2(&SYMBOLS, &[Fields::default().labels(&[3, 4, 1, 2]).sample(2, 3.0, None).0]),
    );
    assert_eq!(outcome, Outcome { written: samples(1), error: None });
    assert_eq!(bench.stored(), [r#"{__name__="x_total", a="b"} 0:1 1:2 2:3"#]);
}

#[test]
fn series_that_are_none_are_passed_over_and_counted_in_version_one() {
    let bench = Bench::new();
    let body = v1(&[
        (&[("a", "no name")], &[(0, 1.0)]),
        (&[("__name__", "twice"), ("a", "1"), ("a", "2")], &[(0, 1.0)]),
        (&[("__name__", "up")], &[(0, 1.0)]),
    ]);
    assert_eq!(bench.push(MessageType::V1, &body), Outcome { written: samples(1), error: None });
    assert_eq!(bench.metric("prometheus_api_remote_write_invalid_labels_samples_total"), 2.0);
    assert_eq!(bench.metric("bartizan_ingest_discarded_samples_total"), 2.0);
}

#[test]
fn one_bad_sample_does_not_cost_the_others() {
    let bench = Bench::new();
    bench.push(MessageType::V1, &v1(&[(&[("__name__", "old")], &[(100, 1.0)])]));
    let body = v1(&[
        (&[("__name__", "old")], &[(50, 1.0), (100, 2.0), (101, 3.0)]),
        (&[("__name__", "new")], &[(50, 1.0), (700_000, 1.0)]),
    ]);
    let outcome = bench.push(MessageType::V1, &body);
    assert_eq!(outcome.written, samples(2));
    let error = outcome.error.unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
    assert_eq!(
        lines,
        [
            r#"out of order sample for series {__name__="old"}"#,
            "duplicate sample for timestamp 1700000000100; overrides not allowed: existing 1, new value 2 for \
             series {__name__=\"old\"}",
            r#"out of bounds: timestamp is too far in the future for series {__name__="new"}"#,
        ]
    );
    assert_eq!(bench.stored(), [r#"{__name__="new"} 50:1"#, r#"{__name__="old"} 100:1 101:3"#]);
}

#[test]
fn a_request_that_comes_twice_is_stored_once() {
    let bench = Bench::new();
    let body = v1(&[(&[("__name__", "up")], &[(0, 1.0)])]);
    for _ in 0..3 {
        assert_eq!(bench.push(MessageType::V1, &body).error, None);
    }
    assert_eq!(bench.stored(), [r#"{__name__="up"} 0:1"#]);
}

#[test]
fn late_samples_are_taken_while_the_window_is_open() {
    let storage = tsdb::Options { out_of_order_window_ms: 60_000, ..tsdb::Options::default() };
    let bench = Bench::with(Options::default(), storage);
    let push = |t| bench.push(MessageType::V1, &v1(&[(&[("__name__", "up")], &[(t, 1.0)])]));
    assert_eq!(push(0).error, None);
    assert_eq!(push(-50_000).error, None);
    assert_eq!(text(&push(-4_000_000)), r#"too old sample for series {__name__="up"}"#);
    assert_eq!(bench.stored(), [r#"{__name__="up"} -50000:1 0:1"#]);
}

#[test]
fn version_two_tells_of_every_series_it_refuses() {
    let bench = Bench::new();
    let good = || Fields::default().labels(&[1, 2, 3, 4]);
    let series = [
        Fields::default().labels(&[1, 2, 3]).sample(0, 1.0, None).0,
        Fields::default().labels(&[1, 99]).sample(0, 1.0, None).0,
        Fields::default().labels(&[3, 4]).sample(0, 1.0, None).0,
        Fields::default().labels(&[1, 2, 3, 4, 3, 4]).sample(0, 1.0, None).0,
        good().metadata(1, 99, 0).sample(0, 1.0, None).0,
        good().metadata(1, 0, 99).sample(0, 1.0, None).0,
        good().exemplar(&[6, 4], 0).0,
        good().sample(0, 1.0, None).sample(1, 2.0, None).0,
    ];
    let outcome = bench.push(MessageType::V2, &v2(&SYMBOLS, &series));
    assert_eq!(outcome.written, samples(2));
    let told = text(&outcome);
    let expected = [
        "parsing labels for series [1 2 3]: invalid labelRefs length 3",
        "parsing labels for series [1 99]: labelRefs 1 (name) = 99 (value) outside of symbols table (size 7)",
        r#"invalid metric name or labels, got {a="b"}"#,
        r#"invalid labels for series, labels {__name__="x_total", a="b", a="b"}, duplicated label a"#,
        "parsing metadata for series [1 2 3 4]: metadata help_ref 99 outside of symbols table (size 7)",
        "parsing metadata for series [1 2 3 4]: metadata unit_ref 99 outside of symbols table (size 7)",
        r#"TimeSeries must contain at least one sample or histogram for series {__name__="x_total", a="b"}"#,
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
    assert_eq!(bench.metric("prometheus_api_remote_write_invalid_labels_samples_total"), 4.0);
}

#[test]
fn histograms_are_reduced_validated_and_counted() {
    let bench = Bench::new();
    let good = || Fields::default().labels(&[1, 2]);
    let outcome = bench
        .push(MessageType::V2, &v2(&SYMBOLS, &[good().histogram(0, 3, 2, None).histogram(1, 4, 20, None).0]));
    assert_eq!(outcome, Outcome { written: Written { histograms: 2, ..Written::default() }, error: None });
    assert_eq!(bench.stored(), [r#"{__name__="x_total"} 0:h3 1:h4"#]);
    let outcome = bench.push(MessageType::V2, &v2(&SYMBOLS, &[good().histogram(2, 3, -40, None).0]));
    assert_eq!(outcome.written, Written::default());
    assert!(text(&outcome).starts_with("histogram has an invalid schema"), "{}", text(&outcome));
    assert!(text(&outcome).ends_with(r#" for series {__name__="x_total"}"#));
}

#[test]
fn start_timestamps_are_stored_or_make_zeros() {
    let series = || {
        let counter = Fields::default().labels(&[1, 2]).sample(0, 5.0, Some(-30)).sample(10, 6.0, Some(-30));
        let histogram = Fields::default().labels(&[1, 4]).histogram(0, 3, 2, Some(-30));
        v2(&SYMBOLS, &[counter.0, histogram.0])
    };
    let plain = Bench::new();
    assert_eq!(plain.push(MessageType::V2, &series()).error, None);
    assert_eq!(plain.stored(), [r#"{__name__="b"} 0:h3"#, r#"{__name__="x_total"} 0:5 10:6"#]);

    let options = Options { start_timestamps: true, ..Options::default() };
    let kept = Bench::with(options, tsdb::Options { start_timestamps: true, ..tsdb::Options::default() });
    assert_eq!(kept.push(MessageType::V2, &series()).error, None);
    assert_eq!(kept.stored()[1], r#"{__name__="x_total"} 0:5 since -30 10:6 since -30"#);

    let zeros = Bench::with(Options { zero_at_start: true, ..Options::default() }, tsdb::Options::default());
    let outcome = zeros.push(MessageType::V2, &series());
    assert_eq!(
        outcome,
        Outcome { written: Written { samples: 2, histograms: 1, exemplars: 0 }, error: None }
    );
    assert_eq!(zeros.stored(), [r#"{__name__="b"} -30:h0 0:h3"#, r#"{__name__="x_total"} -30:0 0:5 10:6"#]);
    // The start is sent again with every sample, and is old news then.
    let next = v2(&SYMBOLS, &[Fields::default().labels(&[1, 2]).sample(20, 7.0, Some(-30)).0]);
    assert_eq!(zeros.push(MessageType::V2, &next).error, None);
    assert_eq!(zeros.stored()[1], r#"{__name__="x_total"} -30:0 0:5 10:6 20:7"#);
}

#[test]
fn exemplars_that_are_out_of_order_are_told_only_in_version_two() {
    let bench = Bench::new();
    let series = |t, at| {
        v2(&SYMBOLS, &[Fields::default().labels(&[1, 2]).sample(t, 1.0, None).exemplar(&[6, 4], at).0])
    };
    let outcome = bench.push(MessageType::V2, &series(0, 50));
    assert_eq!(outcome.written, Written { samples: 1, histograms: 0, exemplars: 1 });
    let outcome = bench.push(MessageType::V2, &series(1, 20));
    assert_eq!(outcome.written, samples(1));
    assert_eq!(text(&outcome), r#"out of order exemplar for series {__name__="x_total"}"#);
    let mut body = Vec::new();
    put_message(&mut body, 1, |out| {
        put_label(out, "__name__", "x_total");
        put_message(out, 2, |out| {
            put_double(out, 1, 1.0);
            put_uint(out, 2, NOW_MS as u64 + 5);
        });
        put_message(out, 3, |out| {
            put_label(out, "trace_id", "z");
            put_uint(out, 3, NOW_MS as u64 + 10);
        });
    });
    assert_eq!(bench.push(MessageType::V1, &body), Outcome { written: samples(1), error: None });
}

#[test]
fn type_and_unit_become_labels_where_that_is_asked_for() {
    let options = Options { type_and_unit_labels: true, ..Options::default() };
    let bench = Bench::with(options, tsdb::Options::default());
    let series = |kind, t| Fields::default().labels(&[1, 2]).metadata(kind, 0, 5).sample(t, 1.0, None).0;
    bench.push(MessageType::V2, &v2(&SYMBOLS, &[series(1, 0)]));
    bench.push(MessageType::V2, &v2(&SYMBOLS, &[series(2, 0), series(1, 1)]));
    assert_eq!(
        bench.stored(),
        [
            r#"{__name__="x_total", __type__="counter", __unit__="seconds"} 0:1 1:1"#,
            r#"{__name__="x_total", __type__="gauge", __unit__="seconds"} 0:1"#,
        ]
    );
}

#[test]
fn tenants_are_held_to_their_limits_by_name() {
    let bench = Bench::new();
    let limits = Limits { max_series: 2, ingestion_rate: 10.0, max_label_value_length: 5, ..Limits::NONE };
    bench
        .receiver
        .set_limits(LimitsBook { default: Limits::NONE, tenants: HashMap::from([("small".into(), limits)]) });
    let three = |t| {
        v1(&[
            (&[("__name__", "one")], &[(t, 1.0)]),
            (&[("__name__", "two")], &[(t, 1.0)]),
            (&[("__name__", "three")], &[(t, 1.0)]),
        ])
    };
    let outcome = bench.push_for("small", MessageType::V1, &three(0));
    assert_eq!(outcome.written, samples(2));
    assert_eq!(
        text(&outcome),
        "limits.max_global_series_per_user: tenant \"small\" feeds as many series as its limit of 2 allows: series \
         {__name__=\"three\"}"
    );
    let outcome = bench.push_for("small", MessageType::V1, &v1(&[(&[("__name__", "longer")], &[(0, 1.0)])]));
    assert!(text(&outcome).starts_with("limits.max_label_value_length: "), "{}", text(&outcome));
    // Six left of ten, three of them gone again with the next.
    bench.push_for("small", MessageType::V1, &three(1));
    bench.push_for("small", MessageType::V1, &three(2));
    let error = bench.push_for("small", MessageType::V1, &three(3)).error.unwrap();
    assert_eq!(
        (error.kind(), error.retry_after()),
        (ErrorKind::LimitExceeded, Some(Duration::from_millis(300)))
    );
    assert_eq!(
        error.to_string(),
        "limits.ingestion_rate: tenant \"small\" may push 10 samples a second, 10 at once; this request has 3"
    );
    bench.clock.advance(Duration::from_millis(300));
    assert_eq!(bench.push_for("small", MessageType::V1, &three(3)).written, samples(2));
    assert_eq!(bench.push_for("other", MessageType::V1, &three(3)).error, None);
    // A larger limit is in force at once.
    bench.receiver.set_limits(LimitsBook::default());
    assert_eq!(
        bench.push_for("small", MessageType::V1, &three(4)),
        Outcome { written: samples(3), error: None }
    );
}

#[test]
fn bodies_are_refused_before_memory_is_taken() {
    let options = Options { max_request_bytes: 1000, ..Options::default() };
    let bench = Bench::with(options, tsdb::Options::default());
    let error = bench.push(MessageType::V1, &[0; 1001]).error.unwrap();
    assert_eq!(error.to_string(), "decoded size exceeds the 1000 bytes limit (ingest.max-request-size)");
    bench.receiver.set_limits(LimitsBook {
        default: Limits { max_request_bytes: 500, ..Limits::NONE },
        tenants: HashMap::new(),
    });
    let error = bench.push(MessageType::V1, &[0; 501]).error.unwrap();
    assert_eq!(error.to_string(), "decoded size exceeds the 500 bytes limit (limits.max_request_size)");
    // A length nobody could send, and then nothing.
    let lying = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
    let error = bench.receiver.remote_write(&TenantId::default(), MessageType::V1, &lying).error.unwrap();
    assert!(matches!(error, PushError::TooLarge { .. }), "{error}");
    let error =
        bench.receiver.remote_write(&TenantId::default(), MessageType::V1, b"\x10garbage").error.unwrap();
    assert!(matches!(error, PushError::Encoding(_)), "{error}");
    let error = bench.push_for("a|b", MessageType::V1, &[]).error.unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn nothing_of_a_damaged_message_is_stored() {
    let bench = Bench::new();
    let mut body = v1(&[(&[("__name__", "up")], &[(0, 1.0)])]);
    put_message(&mut body, 1, |out| {
        // A label that reaches beyond itself.
        put_bytes(out, 1, &[0x0a, 9, b'x']);
        put_message(out, 2, |out| put_uint(out, 2, NOW_MS as u64));
    });
    let error = bench.push(MessageType::V1, &body).error.unwrap();
    assert!(error.to_string().contains("prometheus.Label.name at byte "), "{error}");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(bench.stored().iter().all(|series| series.ends_with(' ')), "{:?}", bench.stored());
}

#[test]
fn series_the_storage_dropped_are_found_again() {
    let bench = Bench::new();
    let body = |t| v1(&[(&[("__name__", "up")], &[(t, 1.0)])]);
    const DAY_MS: i64 = 24 * 3_600_000;
    bench.push(MessageType::V1, &body(-DAY_MS));
    bench.push(MessageType::V1, &v1(&[(&[("__name__", "other")], &[(-DAY_MS + 4 * 3_600_000, 1.0)])]));
    bench.db.maintain().unwrap();
    assert_eq!(bench.push(MessageType::V1, &body(0)), Outcome { written: samples(1), error: None });
    assert_eq!(bench.stored()[1], format!("{{__name__=\"up\"}} {}:1 0:1", -DAY_MS));
}

#[test]
fn what_was_acknowledged_is_in_the_log() {
    let bench = Bench::new();
    let body = v1(&[(&[("__name__", "up")], &[(0, 1.0)])]);
    assert_eq!(bench.push(MessageType::V1, &body).error, None);
    // As after a crash: a copy of the directory, the first process never closed.
    let copy = tempfile::tempdir().unwrap();
    copy_dir(bench.dir.path(), copy.path());
    let again = tsdb::Db::open(copy.path(), tsdb::Options::default(), bench.clock.clone(), &Registry::new());
    let found = Bench { db: Arc::new(again.unwrap()), ..bench };
    assert_eq!(found.stored(), [r#"{__name__="up"} 0:1"#]);
}

fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy_dir(&entry.path(), &target);
        } else if entry.file_name() != "lock" {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn many_senders_at_once_lose_nothing() {
    const SENDERS: usize = 8;
    const ROUNDS: i64 = 50;
    let bench = Bench::new();
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let bench = &bench;
            scope.spawn(move || {
                for t in 0..ROUNDS {
                    let own = format!("own{sender}");
                    // All push the same sample of one series, and each those of its own.
                    let body =
                        v1(&[(&[("__name__", "shared")], &[(0, 1.0)]), (&[("__name__", &own)], &[(t, 1.0)])]);
                    let packed = snap::raw::Encoder::new().compress_vec(&body).unwrap();
                    let outcome = bench.receiver.remote_write(&TenantId::default(), MessageType::V1, &packed);
                    assert_eq!(outcome.error, None);
                }
            });
        }
    });
    let stored = bench.stored();
    assert_eq!(stored.len(), SENDERS + 1);
    let samples =
        |series: &String| series.rsplit("} ").next().map_or(0, |samples| samples.split(' ').count());
    assert_eq!(stored.iter().map(samples).sum::<usize>(), SENDERS * ROUNDS as usize + 1);
}

#[test]
fn labels_never_meet_by_their_hash() {
    let bench = Bench::new();
    let names: Vec<String> = (0..5000).map(|i| format!("m{i}")).collect();
    let labels: Vec<[(&str, &str); 1]> = names.iter().map(|name| [("__name__", name.as_str())]).collect();
    for t in 0..2 {
        let sample = [(t, 1.0)];
        let series: Vec<SeriesOf<'_>> = labels.iter().map(|l| (&l[..], &sample[..])).collect();
        assert_eq!(
            bench.push(MessageType::V1, &v1(&series)),
            Outcome { written: samples(5000), error: None }
        );
    }
    assert_eq!(bench.stored().len(), 5000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn garbage_never_panics_and_gives_its_memory_back(body: Vec<u8>) {
        let bench = Bench::new();
        bench.push(MessageType::V1, &body);
        bench.push(MessageType::V2, &body);
        let _ = bench.receiver.remote_write(&TenantId::default(), MessageType::V1, &body);
    }
}
