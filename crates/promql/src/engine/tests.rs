//! Queries over a small source in memory.

use std::sync::Arc;

use model::{
    Exemplar, LabelRequest, Labels, Matcher, QueryContext, SampleColumns, SelectRequest, SeriesSet,
    SeriesSource, SourceError, TimeRange,
};

use super::*;

/// Series in memory, in the order they were added.
#[derive(Debug, Clone, Default)]
struct MemorySource {
    series: Vec<(Labels, SampleColumns)>,
}

impl MemorySource {
    /// Adds a series of floats every `step_s` seconds from time zero; NaN for none.
    fn add(&mut self, labels: &[(&str, &str)], step_s: i64, values: &[f64]) -> &mut Self {
        let mut samples = SampleColumns::default();
        for (i, &value) in values.iter().enumerate() {
            if !value.is_nan() || model::is_stale_nan(value) {
                samples.push_float(i as i64 * step_s * 1000, value);
            }
        }
        self.series.push((Labels::from_pairs(labels.iter().copied()), samples));
        self
    }
}

#[derive(Debug)]
struct MemorySet(Vec<(Labels, SampleColumns)>);

impl SeriesSet for MemorySet {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.0[i].0.clone()
    }

    fn read(
        &self,
        i: usize,
        range: TimeRange,
        out: &mut SampleColumns,
        _ctx: &QueryContext,
    ) -> Result<(), SourceError> {
        let samples = &self.0[i].1;
        for at in (0..samples.len()).filter(|&at| range.contains(samples.timestamps_ms[at])) {
            out.push_float(samples.timestamps_ms[at], samples.values[at]);
        }
        Ok(())
    }
}

impl SeriesSource for MemorySource {
    fn select(
        &self,
        request: &SelectRequest,
        _ctx: &QueryContext,
    ) -> Result<Box<dyn SeriesSet>, SourceError> {
        let matches = |labels: &Labels, m: &Matcher| m.matches(labels.get_or_empty(&m.name));
        let selected =
            self.series.iter().filter(|(labels, _)| request.matchers.iter().all(|m| matches(labels, m)));
        Ok(Box::new(MemorySet(selected.cloned().collect())))
    }

    fn label_names(&self, _: &LabelRequest, _: &QueryContext) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &LabelRequest, _: &QueryContext) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    fn exemplars(
        &self,
        _: TimeRange,
        _: &[Vec<Matcher>],
        _: &QueryContext,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, SourceError> {
        Ok(Vec::new())
    }
}

fn requests() -> MemorySource {
    let mut source = MemorySource::default();
    let ramp = |step: f64| (0..61).map(|i| f64::from(i) * step).collect::<Vec<_>>();
    source
        .add(&[("__name__", "requests_total"), ("job", "a"), ("instance", "1")], 10, &ramp(10.0))
        .add(&[("__name__", "requests_total"), ("job", "a"), ("instance", "2")], 10, &ramp(20.0))
        .add(&[("__name__", "requests_total"), ("job", "b"), ("instance", "1")], 10, &ramp(30.0))
        .add(&[("__name__", "limit"), ("job", "a")], 10, &[5.0; 61])
        .add(&[("__name__", "limit"), ("job", "b")], 10, &[7.0; 61]);
    source
}

/// The result as lines `labels value value ...`, `_` for none.
fn lines(value: &QueryValue, grid: &StepGrid) -> Vec<String> {
    match value {
        QueryValue::Scalar { value, .. } => vec![format!("scalar {value}")],
        QueryValue::String { value, .. } => vec![format!("string {value}")],
        QueryValue::Vector(vector) => vector.iter().map(|s| format!("{} {}", s.labels, s.value)).collect(),
        QueryValue::Matrix(matrix) => matrix
            .iter()
            .map(|series| {
                let mut line = series.labels.to_string();
                for step in 0..grid.len {
                    match series.samples.timestamps_ms.iter().position(|&t| t == grid.time_ms(step)) {
                        Some(at) => line.push_str(&format!(" {}", series.samples.values[at])),
                        None => line.push_str(" _"),
                    }
                }
                line
            })
            .collect(),
    }
}

fn engine() -> Engine {
    Engine::new(EngineOptions { parse: ParseOptions::ALL, ..EngineOptions::default() })
}

fn instant(source: &MemorySource, query: &str, t_s: i64) -> Result<Vec<String>, String> {
    let ctx = QueryContext::unbounded();
    let result = engine().instant(source, query, t_s * 1000, QueryOptions::default(), &ctx);
    result.map(|r| lines(&r.value, &StepGrid::instant(t_s * 1000))).map_err(|e| e.to_string())
}

fn range(
    source: &MemorySource,
    query: &str,
    start_s: i64,
    end_s: i64,
    step_s: i64,
) -> Result<Vec<String>, String> {
    let ctx = QueryContext::unbounded();
    let (start, end, step) = (start_s * 1000, end_s * 1000, step_s * 1000);
    let result = engine().range(source, query, start, end, step, QueryOptions::default(), &ctx);
    result.map(|r| lines(&r.value, &StepGrid::range(start, end, step))).map_err(|e| e.to_string())
}

#[test]
fn selectors_functions_and_aggregations() {
    let source = requests();
    assert_eq!(
        instant(&source, "sum by (job) (rate(requests_total[1m]))", 300).unwrap(),
        [r#"{job="a"} 3"#, r#"{job="b"} 3"#]
    );
    assert_eq!(range(&source, "sum(requests_total) + 1", 0, 20, 10).unwrap(), ["{} 1 61 121"]);
    assert_eq!(
        instant(&source, "topk(1, requests_total)", 100).unwrap(),
        [r#"{__name__="requests_total", instance="1", job="b"} 300"#]
    );
    assert_eq!(instant(&source, "max_over_time(sum(requests_total)[1m:10s])", 100).unwrap(), ["{} 600"]);
    assert_eq!(instant(&source, "scalar(limit{job=\"a\"}) * 2", 100).unwrap(), ["scalar 10"]);
    assert_eq!(instant(&source, "\"text\"", 100).unwrap(), ["string text"]);
}

#[test]
fn joins_and_sets() {
    let source = requests();
    assert_eq!(
        instant(&source, "requests_total / on (job) group_left limit", 10).unwrap(),
        [
            r#"{instance="1", job="a"} 2"#,
            r#"{instance="2", job="a"} 4"#,
            &format!(r#"{{instance="1", job="b"}} {}"#, 30.0 / 7.0),
        ]
    );
    assert_eq!(
        instant(&source, "requests_total and on (job) limit == 7", 10).unwrap(),
        [r#"{__name__="requests_total", instance="1", job="b"} 30"#]
    );
    assert_eq!(
        instant(&source, "limit unless on (job) (requests_total > 25)", 10).unwrap(),
        [r#"{__name__="limit", job="a"} 5"#]
    );
    assert!(instant(&source, "limit * on (job) requests_total", 10).unwrap_err().contains("many-to-many"));
    assert!(
        instant(&source, "requests_total * on (job) limit", 10).unwrap_err().contains("must be explicit")
    );
}

#[test]
fn staleness_and_lookback() {
    let mut source = MemorySource::default();
    source.add(&[("__name__", "m")], 60, &[1.0, 2.0, model::stale_nan(), f64::NAN, 5.0]);
    assert_eq!(range(&source, "m", 0, 660, 60).unwrap(), [r#"{__name__="m"} 1 2 _ _ 5 5 5 5 5 _ _ _"#]);
    assert_eq!(range(&source, "count_over_time(m[2m])", 60, 240, 60).unwrap(), ["{} 2 1 _ 1"]);
    assert_eq!(range(&source, "m @ 60", 600, 660, 60).unwrap(), [r#"{__name__="m"} 2 2"#]);
}

#[test]
fn equal_subexpressions_are_evaluated_once() {
    let expr = parse("sum(rate(a[5m])) / (sum(rate(a[5m])) + 1)", &ParseOptions::ALL).unwrap();
    let plan = lower(&expr, QueryTimes { start_ms: 0, end_ms: 0, step_ms: 0 });
    let plan::Kind::Binary { lhs, .. } = plan.node(plan.root()).kind else { panic!("a binary operator") };
    assert_eq!(plan.node(lhs).uses, 2);
    let plan::Kind::Aggregate { input, .. } = plan.node(lhs).kind else { panic!("an aggregation") };
    assert_eq!(plan.node(input).uses, 1);
}

#[test]
fn limits_are_named() {
    let source = requests();
    let few = Engine::new(EngineOptions { max_samples: 2, ..EngineOptions::default() });
    let ctx = QueryContext::unbounded();
    let error = few.instant(&source, "requests_total", 10_000, QueryOptions::default(), &ctx).unwrap_err();
    assert_eq!(
        error.to_string(),
        "query processing would load too many samples into memory in query execution"
    );

    let budget = base::ByteBudget::new("query.max-memory", 100);
    let clock = base::SimClock::at(0);
    let ctx = QueryContext::new(clock.clone(), Duration::from_secs(1), budget);
    let error =
        engine().instant(&source, "requests_total", 10_000, QueryOptions::default(), &ctx).unwrap_err();
    assert!(error.to_string().starts_with("query.max-memory"), "{error}");

    let ctx = QueryContext::new(clock.clone(), Duration::from_secs(1), base::ByteBudget::unlimited());
    clock.advance(Duration::from_secs(2));
    let error =
        engine().instant(&source, "requests_total", 10_000, QueryOptions::default(), &ctx).unwrap_err();
    assert_eq!(error.kind(), base::ErrorKind::Timeout);

    let ctx = QueryContext::unbounded();
    ctx.cancel.cancel();
    let error =
        engine().instant(&source, "requests_total", 10_000, QueryOptions::default(), &ctx).unwrap_err();
    assert_eq!(error.kind(), base::ErrorKind::Canceled);
}

#[test]
fn statistics_count_every_window() {
    let source = requests();
    let ctx = QueryContext::unbounded();
    let options = QueryOptions { per_step_stats: true, ..QueryOptions::default() };
    let query = "sum(rate(requests_total[1m]))";
    let stats = engine().range(&source, query, 60_000, 120_000, 60_000, options, &ctx).unwrap().stats;
    // Three series, six samples in each left-open minute.
    assert_eq!(stats.total_queryable_samples, 36);
    assert_eq!(stats.total_queryable_samples_per_step, Some(vec![(60_000, 18), (120_000, 18)]));
    assert_eq!(stats.samples_read, 36);
    assert!(stats.peak_samples >= 6);
}

#[test]
fn many_series_in_parallel_give_the_same_as_one_after_another() {
    let mut source = MemorySource::default();
    for i in 0..5000 {
        let value = 1.0 + f64::from(i) * 1e-9;
        let (group, id) = (format!("g{}", i % 7), i.to_string());
        source.add(&[("__name__", "m"), ("group", &group), ("id", &id)], 60, &[value, 1.0 / value]);
    }
    let mut expected = [(0.0, 0.0); 7];
    for i in 0..5000 {
        let (sum, compensation) = &mut expected[i % 7];
        (*sum, *compensation) = model::kahan::kahan_step(1.0 + i as f64 * 1e-9, *sum, *compensation);
    }
    let lines = instant(&source, "sum by (group) (m)", 0).unwrap();
    let wanted: Vec<String> =
        expected.iter().enumerate().map(|(g, (sum, c))| format!("{{group=\"g{g}\"}} {}", sum + c)).collect();
    assert_eq!(lines, wanted);
    assert_eq!(instant(&source, "count(m)", 0).unwrap(), ["{} 5000"]);
    let shared: Arc<dyn SeriesSource> = Arc::new(source);
    let ctx = QueryContext::unbounded();
    assert!(engine().instant(&*shared, "m", 0, QueryOptions::default(), &ctx).is_ok());
}

#[test]
fn a_subquery_of_too_many_steps_is_refused_before_memory_is_taken() {
    let source = requests();
    let error = instant(&source, "count_over_time(vector(1)[100y:1ms])", 10).unwrap_err();
    assert!(error.contains("too many samples"), "{error}");
}

#[test]
fn what_is_held_counts_against_the_budget() {
    let mut source = MemorySource::default();
    for i in 0..2000 {
        source.add(&[("__name__", "m"), ("id", &i.to_string())], 10, &[f64::from(i); 61]);
    }
    let run = |query: &str, limit_bytes: usize| {
        let budget = base::ByteBudget::new("query.max-memory", limit_bytes);
        let ctx = QueryContext::new(base::SystemClock::shared(), Duration::from_secs(60), budget.clone());
        let result = engine().range(&source, query, 0, 600_000, 1_000, QueryOptions::default(), &ctx);
        let outcome = result.map(|_| ()).map_err(|error| error.to_string());
        assert_eq!(budget.used_bytes(), 0, "{query}");
        outcome
    };
    // 2000 series of 601 steps are 9.6 MB.
    for query in [
        "sum(m or m)",
        "limitk(2000, m)",
        "count_values(\"v\", m)",
        "m + ignoring (id) group_left vector(1)",
        "m",
    ] {
        let error = run(query, 4 << 20).unwrap_err();
        assert!(error.starts_with("query.max-memory"), "{query}: {error}");
    }
    for query in ["sum(m)", "sum by (id) (rate(m[1m])) > 5", "topk(3, m)"] {
        assert_eq!(run(query, 64 << 20), Ok(()), "{query}");
    }
    assert_eq!(run("sum(m)", 4 << 20), Ok(()));
}

#[test]
fn windows_worked_on_in_parts_give_what_each_gives_alone() {
    let mut source = MemorySource::default();
    let values: Vec<f64> = (0..400).map(|i| f64::from((i * 37) % 101) / 7.0).collect();
    source.add(&[("__name__", "m")], 1, &values);
    for function in [
        "sum_over_time(m[150s])",
        "avg_over_time(m[150s])",
        "ts_of_max_over_time(m[150s])",
        "stddev_over_time(m[150s])",
        "quantile_over_time(0.7, m[150s])",
        "quantile_over_time(scalar(m) / 100, m[150s])",
        "mad_over_time(m[150s])",
        "deriv(m[150s])",
        "predict_linear(m[150s], 60)",
        "double_exponential_smoothing(m[150s], 0.5, 0.5)",
        "max_over_time(m[150s])",
        "sum_over_time(m[150s] @ 200)",
    ] {
        // The steps in the midst have 150 samples each: a few of them are a part.
        let whole = range(&source, function, 0, 420, 10).unwrap();
        let alone: Vec<String> = (0..=42)
            .map(|step| match &instant(&source, function, step * 10).unwrap()[..] {
                [] => "_".to_owned(),
                [line] => line.rsplit_once(' ').unwrap().1.to_owned(),
                more => panic!("{more:?}"),
            })
            .collect();
        assert_eq!(whole[0].split_once(' ').unwrap().1, alone.join(" "), "{function}");
    }
}

/// A clock on which a second passes whenever somebody looks.
#[derive(Debug, Default)]
struct CountingClock(std::sync::atomic::AtomicU64);

impl base::Clock for CountingClock {
    fn now_ms(&self) -> i64 {
        0
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }
}

#[test]
fn a_query_ends_in_the_midst_of_a_long_series() {
    let mut source = MemorySource::default();
    source.add(&[("__name__", "m")], 1, &[1.0; 2000]);
    let run = |query: &str| {
        let clock = Arc::new(CountingClock::default());
        let ctx = QueryContext::new(clock, Duration::from_secs(50), base::ByteBudget::unlimited());
        let result =
            engine().range(&source, query, 1_000_000, 1_100_000, 1_000, QueryOptions::default(), &ctx);
        result.map(|_| ctx.progress.samples()).map_err(|error| error.kind())
    };
    // A hundred windows of a thousand samples: too many looks. Windows that slide are one piece of work.
    assert_eq!(run("quantile_over_time(0.5, m[1000s])"), Err(base::ErrorKind::Timeout));
    assert_eq!(run("max_over_time(m[1000s])"), Ok(1100));
}
