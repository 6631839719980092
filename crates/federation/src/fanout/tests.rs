use model::{Appendable, SampleValue, TenantId};
use testkit::memory::MemoryStorage;

use super::*;

fn storage(series: &[(&str, &[(i64, f64)])]) -> Arc<dyn SeriesSource> {
    let storage = MemoryStorage::new();
    let mut appender = storage.appender(&TenantId::default());
    for (name, samples) in series {
        let resolved = appender.resolve(&Labels::from_pairs([("__name__", *name)])).unwrap();
        for &(t_ms, value) in *samples {
            appender.append(resolved, 0, t_ms, SampleValue::Float(value)).unwrap();
        }
    }
    appender.commit().unwrap();
    Arc::new(storage)
}

/// Fails whatever is asked.
struct Broken(SourceError);

impl SeriesSource for Broken {
    fn select(&self, _: &SelectRequest, _: &QueryContext) -> Result<Box<dyn SeriesSet>, SourceError> {
        Err(self.0.clone())
    }
    fn label_names(&self, _: &LabelRequest, _: &QueryContext) -> Result<Vec<String>, SourceError> {
        Err(self.0.clone())
    }
    fn label_values(&self, _: &str, _: &LabelRequest, _: &QueryContext) -> Result<Vec<String>, SourceError> {
        Err(self.0.clone())
    }
    fn exemplars(
        &self,
        _: TimeRange,
        _: &[Vec<Matcher>],
        _: &QueryContext,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, SourceError> {
        Err(self.0.clone())
    }
}

fn broken(text: &str) -> Arc<dyn SeriesSource> {
    Arc::new(Broken(SourceError::Storage(text.to_owned())))
}

fn everything(limit: usize) -> SelectRequest {
    SelectRequest {
        range: TimeRange::ALL,
        matchers: vec![Matcher::new(model::MatchOp::Regex, "__name__", ".+").unwrap()],
        projection: Projection::All,
        sorted: true,
        limit,
    }
}

type Contents = Vec<(String, Vec<(i64, f64)>)>;

fn contents(set: &dyn SeriesSet) -> Contents {
    let ctx = QueryContext::unbounded();
    let read = |i| {
        let mut out = SampleColumns::default();
        set.read(i, TimeRange::ALL, &mut out, &ctx).unwrap();
        let samples = out.timestamps_ms.iter().copied().zip(out.values.iter().copied()).collect();
        (set.labels(i).metric_name().to_owned(), samples)
    };
    (0..set.len()).map(read).collect()
}

#[test]
fn series_of_all_sources_are_joined_and_the_primary_wins() {
    let all = FanOut::new(storage(&[("a", &[(10, 1.0), (30, 1.0)])]));
    all.set_secondaries(vec![
        storage(&[("a", &[(10, 2.0), (20, 2.0)]), ("b", &[(5, 2.0)])]),
        storage(&[("a", &[(20, 3.0), (40, 3.0)])]),
    ]);
    let ctx = QueryContext::unbounded();
    let set = all.select(&everything(0), &ctx).unwrap();
    let expected: Contents = vec![
        ("a".to_owned(), vec![(10, 1.0), (20, 2.0), (30, 1.0), (40, 3.0)]),
        ("b".to_owned(), vec![(5, 2.0)]),
    ];
    assert_eq!(contents(&*set), expected);
    assert_eq!(set.warnings(), Vec::<String>::new());
    assert_eq!(contents(&*all.select(&everything(1), &ctx).unwrap()), expected[..1]);
    let request = LabelRequest::default();
    assert_eq!(all.label_values("__name__", &request, &ctx).unwrap(), ["a", "b"]);
}

#[test]
fn a_secondary_that_fails_is_a_warning_and_the_primary_an_error() {
    let ctx = QueryContext::unbounded();
    let all = FanOut::new(storage(&[("a", &[(10, 1.0)])]));
    all.set_secondaries(vec![broken("far away"), storage(&[("b", &[(1, 2.0)])])]);
    let set = all.select(&everything(0), &ctx).unwrap();
    assert_eq!((set.len(), set.warnings()), (2, vec!["far away".to_owned()]));
    assert_eq!(all.label_names(&LabelRequest::default(), &ctx).unwrap(), ["__name__"]);
    assert_eq!(ctx.take_warnings(), ["far away"]);
    let all = FanOut::new(broken("here"));
    all.set_secondaries(vec![storage(&[("b", &[(1, 2.0)])])]);
    assert_eq!(all.select(&everything(0), &ctx).err().unwrap().to_string(), "here");
}

#[test]
fn a_limit_of_the_query_ends_it_wherever_it_is_hit() {
    let ctx = QueryContext::unbounded();
    let all = FanOut::new(storage(&[]));
    let stop = model::QueryStop::Timeout("remote read");
    all.set_secondaries(vec![Arc::new(Broken(stop.into()))]);
    let error = all.select(&everything(0), &ctx).err().unwrap();
    assert!(matches!(error, SourceError::Stopped(_)), "{error}");
}
