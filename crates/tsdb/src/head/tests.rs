mod append;
mod crash;
mod damage;
mod full_disk;
mod isolation;
mod late;
mod metrics;
mod peers;
mod stale;
mod truncation;

use std::path::{Path, PathBuf};

use base::SystemClock;
use base::metrics::{Registry, Value};
use model::{
    AppendError, Appender, Labels, Matcher, Projection, QueryContext, SampleColumns, SampleValue,
    SelectRequest, SeriesRef, SeriesSet, TimeRange,
};

use super::{Head, HeadOptions};

/// The path of an installed program; absence skips the test, but fails it in CI.
pub(crate) fn program(name: &str, test: &str) -> Option<PathBuf> {
    let found = std::env::var_os("PATH")
        .and_then(|path| std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file()));
    if found.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{name} is not installed");
        println!("skipped: {test}: {name} is not installed");
    }
    found
}

/// A head with small chunk ranges, in a directory of its own.
pub(super) struct Fixture {
    pub dir: tempfile::TempDir,
    pub options: HeadOptions,
    pub head: Option<Head>,
    pub registry: Registry,
}

impl Fixture {
    pub fn new(options: HeadOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut fixture = Self { dir, options, head: None, registry: Registry::new() };
        fixture.open();
        fixture
    }

    pub fn open(&mut self) -> &Head {
        self.open_from(i64::MIN)
    }

    pub fn open_from(&mut self, min_valid_ms: i64) -> &Head {
        self.head = None;
        self.registry = Registry::new();
        let clock = SystemClock::shared();
        let head =
            Head::open(self.dir.path(), self.options.clone(), min_valid_ms, clock, &self.registry).unwrap();
        self.head.insert(head)
    }

    pub fn head(&self) -> &Head {
        self.head.as_ref().unwrap()
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The sum of all points of a metric.
    pub fn metric(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name == name).unwrap();
        let number = |value: &Value| match value {
            Value::Number(n) => *n,
            other => panic!("{other:?}"),
        };
        family.points.iter().map(|point| number(&point.value)).sum()
    }
}

pub(super) fn options() -> HeadOptions {
    HeadOptions { chunk_range_ms: 100_000, replay_threads: 2, ..HeadOptions::default() }
}

pub(super) fn series(name: &str, i: usize) -> Labels {
    Labels::from_pairs([("__name__", name), ("i", &i.to_string()), ("job", "test")])
}

/// Appends one sample to each of the given series in one transaction.
pub(super) fn commit(head: &Head, samples: &[(Labels, i64, f64)]) -> Vec<Result<(), AppendError>> {
    let mut appender = Box::new(head.head_appender());
    let mut results = Vec::new();
    for (labels, t_ms, value) in samples {
        let result = appender.resolve(labels).and_then(|r| append(&mut *appender, r, *t_ms, *value));
        results.push(result);
    }
    appender.commit().unwrap();
    results
}

pub(super) fn append(
    appender: &mut dyn Appender,
    series: SeriesRef,
    t_ms: i64,
    value: f64,
) -> Result<(), AppendError> {
    appender.append(series, 0, t_ms, SampleValue::Float(value))
}

pub(super) fn request(matchers: Vec<Matcher>) -> SelectRequest {
    SelectRequest { range: TimeRange::ALL, matchers, projection: Projection::All, sorted: true, limit: 0 }
}

/// All samples of matching series, in label order.
pub(super) fn read(head: &Head, matchers: Vec<Matcher>, range: TimeRange) -> Vec<(Labels, SampleColumns)> {
    let ctx = QueryContext::unbounded();
    let set = head.select_head(&SelectRequest { range, ..request(matchers) }, &ctx).unwrap();
    let read = |i| {
        let mut out = SampleColumns::default();
        set.read(i, range, &mut out, &ctx).unwrap();
        let mut last = SampleColumns::default();
        set.read_last(i, range, &mut last, &ctx).unwrap();
        assert_eq!(last.timestamps_ms, out.timestamps_ms.last().copied().into_iter().collect::<Vec<_>>());
        assert_eq!(
            last.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
            out.values.last().map(|v| v.to_bits()).into_iter().collect::<Vec<_>>()
        );
        (set.labels(i), out)
    };
    (0..set.len()).map(read).filter(|(_, samples)| !samples.is_empty()).collect()
}

/// Everything in the head, as text that can be compared.
pub(super) fn dump(head: &Head) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for (labels, samples) in read(head, vec![], TimeRange::ALL) {
        writeln!(text, "{labels}").unwrap();
        for i in 0..samples.len() {
            let (t_ms, value, start) =
                (samples.timestamps_ms[i], samples.values[i], samples.start_timestamp_ms(i));
            match samples.histogram(i) {
                Some(h) => writeln!(text, "  {t_ms} {start} {h:?}").unwrap(),
                None => writeln!(text, "  {t_ms} {start} {value:?}").unwrap(),
            }
        }
    }
    text
}

pub(super) fn integer_histogram(i: u64) -> model::Histogram {
    model::Histogram {
        schema: 1,
        zero_threshold: 0.001,
        zero_count: i,
        count: 5 + i * 5,
        sum: 18.4 * (i + 1) as f64,
        positive_spans: vec![model::Span { offset: 0, length: 2 }, model::Span { offset: 1, length: 2 }],
        positive_buckets: vec![1 + i as i64, 1, -1, 0],
        ..model::Histogram::default()
    }
}

pub(super) fn float_histogram(i: u64) -> model::FloatHistogram {
    integer_histogram(i).to_float()
}
