use std::sync::Mutex as StdMutex;

use base::SimClock;
use base::metrics::Registry;
use config::NameValidation;
use model::{QueryContext, SampleColumns, SelectRequest, TimeRange};
use promql::engine::Engine;
use testkit::memory::MemoryStorage;

use super::*;
use crate::alert::AlertState;
use crate::expression::{PromQl, PromQlLanguage, QueryLimits};
use crate::file::{FileOptions, RuleFile};
use crate::restore::restore;
use crate::rule::Health;

const MINUTE: i64 = 60_000;

/// Remembers what was sent.
#[derive(Default)]
struct Recorder(StdMutex<Vec<Alert>>);

impl AlertSink for Recorder {
    fn send(&self, _: &str, alerts: Vec<Alert>) {
        self.0.lock().unwrap().extend(alerts);
    }
}

struct Bench {
    storage: MemoryStorage,
    evaluator: Evaluator,
    sent: Arc<Recorder>,
    clock: Arc<SimClock>,
}

impl Bench {
    fn new() -> Self {
        let (storage, sent, clock) = (MemoryStorage::new(), Arc::new(Recorder::default()), SimClock::at(0));
        let limits = QueryLimits {
            tenant: TenantId::default(),
            timeout: Duration::from_secs(60),
            budget: base::ByteBudget::unlimited(),
            clock: clock.clone(),
        };
        let shared = Arc::new(storage.clone());
        let queries = PromQl::new(Arc::new(Engine::default()), shared.clone(), limits.clone());
        let evaluator = Evaluator {
            queries: Arc::new(queries),
            language: Arc::new(PromQlLanguage::default()),
            appendable: shared.clone(),
            source: shared,
            limits,
            tenant: TenantId::default(),
            sink: sent.clone(),
            clock: clock.clone(),
            metrics: Metrics::new(&Registry::new()),
            resend_delay: Duration::from_secs(60),
            outage_tolerance: Duration::from_secs(3600),
            grace_period: Duration::from_secs(600),
            concurrency: Permits::eager(4),
            cancel: CancelFlag::new(),
        };
        Self { storage, evaluator, sent, clock }
    }

    fn group_with(&self, text: &str, restored: bool) -> Group {
        let language = PromQlLanguage::default();
        let options =
            FileOptions { language: &language, names: NameValidation::Utf8, ignore_unknown_fields: false };
        let file = RuleFile::parse(&format!("groups:\n- name: g\n{text}"), &options).unwrap();
        let defaults = GroupDefaults {
            interval_ms: MINUTE,
            query_offset_ms: 0,
            external_labels: Labels::empty(),
            external_url: "http://here:9090/".to_owned(),
        };
        Group::new("f.yml", &file.groups[0], &defaults, &self.evaluator, restored).unwrap()
    }

    fn group(&self, text: &str) -> Group {
        self.group_with(text, true)
    }

    fn put(&self, t_ms: i64, series: &[(&str, f64)]) {
        let mut appender = self.storage.appender(&TenantId::default());
        for (text, value) in series {
            let labels = promql::parser::series::parse_metric(text).unwrap();
            let series = appender.resolve(&labels).unwrap();
            appender.append(series, 0, t_ms, SampleValue::Float(*value)).unwrap();
        }
        appender.commit().unwrap();
    }

    /// All series of a metric: labels without the name, and samples as `minute=value`.
    fn stored(&self, metric: &str) -> Vec<String> {
        let ctx = QueryContext::unbounded();
        let matchers = vec![model::Matcher::equal(model::METRIC_NAME, metric)];
        let request = SelectRequest {
            range: TimeRange::ALL,
            matchers,
            projection: Default::default(),
            sorted: true,
            limit: 0,
        };
        let set = self.storage.select(&request, &ctx).unwrap();
        let of = |i: usize| {
            let mut samples = SampleColumns::default();
            set.read(i, TimeRange::ALL, &mut samples, &ctx).unwrap();
            let shown = samples.timestamps_ms.iter().zip(&samples.values).map(|(t_ms, value)| {
                let value = if model::is_stale_nan(*value) { "end".to_owned() } else { value.to_string() };
                format!("{}={value}", t_ms / MINUTE)
            });
            format!("{} {}", set.labels(i).without_name(), shown.collect::<Vec<_>>().join(" "))
        };
        (0..set.len()).map(of).collect()
    }

    fn run(&self, group: &Group, minute: i64) {
        group.evaluate(&self.evaluator, minute * MINUTE);
    }

    fn sent(&self) -> Vec<Alert> {
        std::mem::take(&mut self.sent.0.lock().unwrap())
    }
}

#[test]
fn recorded_series_are_written_and_end_when_they_vanish() {
    let bench = Bench::new();
    let group = bench.group(
        "  query_offset: 1m\n  rules:\n  - record: total\n    expr: sum by (job) (hits)\n    labels: {job: '', kind: x}\n  - record: one\n    expr: vector(1)\n",
    );
    bench.put(0, &[("hits{job=\"a\"}", 1.0)]);
    bench.run(&group, 1);
    // Beyond the lookback.
    bench.run(&group, 10);
    assert_eq!(bench.stored("total"), ["{kind=\"x\"} 0=1 9=end"]);
    assert_eq!(bench.stored("one"), ["{} 0=1 9=1"]);
    assert_eq!(group.rules[0].status().health, Health::Ok);
}

#[test]
fn faults_of_rules_are_told_and_others_go_on() {
    let bench = Bench::new();
    let group = bench.group(
        "  limit: 1\n  rules:\n  - {record: same, expr: hits, labels: {job: x}}\n  - {record: many, expr: hits}\n  - {alert: Same, expr: hits, labels: {job: x}}\n  - {alert: Many, expr: hits}\n  - {record: text, expr: '\"a\"'}\n  - {record: fine, expr: '1'}\n",
    );
    bench.put(0, &[("hits{job=\"a\"}", 1.0), ("hits{job=\"b\"}", 1.0)]);
    bench.run(&group, 1);
    let errors: Vec<_> =
        group.rules.iter().map(|r| r.status().error.map_or(String::new(), |e| e.to_string())).collect();
    assert_eq!(
        errors,
        [
            "vector contains metrics with the same labelset after applying rule labels",
            "exceeded limit of 1 with 2 series",
            "vector contains metrics with the same labelset after applying alert labels",
            "exceeded limit of 1 with 2 alerts",
            "rule result is not a vector or scalar",
            "",
        ]
    );
    assert_eq!(bench.stored("fine"), ["{} 1=1"]);
    assert_eq!((group.metrics.evaluations.get(), group.metrics.failures.get()), (6, 5));
}

#[test]
fn alerts_pend_fire_resolve_and_are_sent() {
    let bench = Bench::new();
    let group = bench.group(
        "  rules:\n  - alert: Down\n    expr: up == 0\n    for: 2m\n    labels: {severity: page, who: '{{ $labels.job }}'}\n    annotations: {text: 'value {{ $value }}', none: ''}\n",
    );
    let alerting = group.rules[0].alerting().unwrap();
    for minute in 0..=6 {
        let value = if minute < 5 { 0.0 } else { 1.0 };
        bench.put(minute * MINUTE, &[("up{job=\"a\"}", value)]);
        bench.run(&group, minute);
        let states: Vec<_> = alerting.active_alerts().iter().map(|alert| alert.state).collect();
        let sent: Vec<_> =
            bench.sent().iter().map(|a| (a.fired_at_ms, a.resolved_at_ms, a.valid_until_ms)).collect();
        let fired = Some(2 * MINUTE);
        let (expected, expected_sent) = match minute {
            0 | 1 => (vec![AlertState::Pending], vec![]),
            2 => (vec![AlertState::Firing], vec![(fired, None, 6 * MINUTE)]),
            // The delay before sending again must be exceeded.
            3 => (vec![AlertState::Firing], vec![]),
            4 => (vec![AlertState::Firing], vec![(fired, None, 8 * MINUTE)]),
            5 => (vec![], vec![(fired, Some(5 * MINUTE), 9 * MINUTE)]),
            _ => (vec![], vec![]),
        };
        assert_eq!((states, sent), (expected, expected_sent), "minute {minute}");
    }
    let labels = "{alertname=\"Down\", alertstate=\"firing\", job=\"a\", severity=\"page\", who=\"a\"}";
    assert_eq!(bench.stored("ALERTS")[0], format!("{labels} 2=1 3=1 4=1 5=end"));
    assert!(bench.stored("ALERTS")[1].ends_with("0=1 1=1 2=end"));
    assert!(bench.stored("ALERTS_FOR_STATE")[0].ends_with("0=0 1=0 2=0 3=0 4=0 5=end"));
}

#[test]
fn alerts_may_fire_on_and_are_forgotten_at_last() {
    let bench = Bench::new();
    let group = bench.group("  rules:\n  - {alert: A, expr: up == 0, keep_firing_for: 3m}\n");
    let alerting = group.rules[0].alerting().unwrap();
    bench.put(0, &[("up", 0.0)]);
    bench.run(&group, 0);
    bench.put(MINUTE, &[("up", 1.0)]);
    for minute in 1..=3 {
        bench.run(&group, minute);
        assert_eq!(alerting.active_alerts()[0].keep_firing_since_ms, Some(MINUTE), "minute {minute}");
    }
    bench.run(&group, 4);
    assert!(alerting.active_alerts().is_empty() && alerting.len() == 1);
    bench.run(&group, 4 + 15);
    assert_eq!(alerting.len(), 1);
    bench.run(&group, 4 + 16);
    assert_eq!(alerting.len(), 0);
}

#[test]
fn alerts_take_up_their_state_after_a_restart() {
    let text =
        "  rules:\n  - {alert: A, expr: up == 0, for: 30m}\n  - {alert: Short, expr: up == 0, for: 1m}\n";
    let bench = Bench::new();
    let before = bench.group(text);
    for minute in 0..=12 {
        bench.put(minute * MINUTE, &[("up", 0.0)]);
        bench.run(&before, minute);
    }
    // Ten minutes of outage, then two evaluations before the state is read.
    let after = bench.group_with(text, false);
    for minute in [22, 23] {
        bench.put(minute * MINUTE, &[("up", 0.0)]);
        bench.run(&after, minute);
    }
    bench.clock.advance(Duration::from_secs(23 * 60));
    restore(&after, &bench.evaluator, bench.evaluator.clock.now_ms());
    let active_minute =
        |rule: usize| after.rules[rule].alerting().unwrap().active_alerts()[0].active_at_ms / MINUTE;
    assert_eq!(active_minute(0), 23 - 12);
    assert_eq!(active_minute(1), 22);
    assert!(after.rules.iter().all(|rule| rule.alerting().unwrap().is_restored()));
    // Nothing was written about alerts before that.
    assert!(bench.stored("ALERTS_FOR_STATE")[0].ends_with("12=0"));
}

#[test]
fn a_changed_group_goes_on_where_the_old_one_was() {
    let bench = Bench::new();
    let old = bench.group(
        "  rules:\n  - {record: a, expr: '1'}\n  - {record: b, expr: '1'}\n  - {alert: A, expr: up == 0, for: 5m}\n",
    );
    bench.put(0, &[("up", 0.0)]);
    bench.run(&old, 0);
    let new = bench.group("  rules:\n  - {record: a, expr: '2'}\n  - {alert: A, expr: up == 0, for: 1m}\n");
    new.take_over(&old);
    bench.run(&new, 1);
    assert_eq!(bench.stored("a"), ["{} 0=1 1=2"]);
    assert_eq!(bench.stored("b"), ["{} 0=1 1=end"]);
    assert_eq!(new.rules[1].alerting().unwrap().state(), AlertState::Firing);
    let spec = new.spec.clone();
    assert!(new.is_same(&spec, &new.defaults) && !new.is_same(&old.spec, &new.defaults));
}

#[test]
fn rules_wait_for_those_they_depend_on() {
    let bench = Bench::new();
    let of = |rules: &str| bench.group(&format!("  rules:\n{rules}")).batches.clone();
    assert_eq!(of("  - {record: a, expr: x}\n  - {record: b, expr: y}\n"), [[0, 1]]);
    assert_eq!(
        of("  - {record: a, expr: x}\n  - {record: b, expr: a}\n  - {record: c, expr: x}\n"),
        [vec![0, 2], vec![1]]
    );
    // The first one reads what the second one wrote in the evaluation before.
    assert_eq!(of("  - {record: a, expr: b}\n  - {record: b, expr: x}\n"), [[0], [1]]);
    assert_eq!(of("  - {record: a, expr: x}\n  - {record: b, expr: '{job=\"x\"}'}\n"), [[0], [1]]);
    let alerts = "  - {alert: A, expr: x}\n  - {record: n, expr: 'count(ALERTS{alertname=\"A\"})'}\n  - {record: m, expr: 'count(ALERTS{alertname=\"B\"})'}\n";
    assert_eq!(of(alerts), [vec![0, 2], vec![1]]);
    // Where both give the same series the first one holds.
    assert_eq!(of("  - {record: a, expr: x}\n  - {record: a, expr: y}\n"), [[0], [1]]);
    let chosen = "  - {record: n, expr: 'sum({__name__=~\"a|b\"})'}\n  - {record: a, expr: x}\n  - {record: b, expr: 'sum({__name__!=\"a\",job=\"x\"})'}\n";
    assert_eq!(of(chosen), [vec![0], vec![1, 2]]);
}

#[test]
fn very_many_rules_are_put_in_order() {
    let bench = Bench::new();
    let rules: String = (0..10_000)
        .map(|i| format!("  - {{record: r{i}, expr: 'r{} + hits{{job=\"{i}\"}}'}}\n", i.max(5_000) - 5_000))
        .collect();
    let group = bench.group(&format!("  rules:\n{rules}"));
    assert_eq!(group.batches.len(), 3);
    assert_eq!(group.batches.iter().map(Vec::len).sum::<usize>(), 10_000);
}

/// A storage for which every sample is late.
struct Late;

impl Appendable for Late {
    fn appender(&self, _: &TenantId) -> Box<dyn Appender> {
        Box::new(Self)
    }
}

impl Appender for Late {
    fn resolve(&mut self, _: &Labels) -> Result<SeriesRef, AppendError> {
        Ok(SeriesRef(1))
    }

    fn append(&mut self, _: SeriesRef, _: i64, _: i64, _: SampleValue<'_>) -> Result<(), AppendError> {
        Err(AppendError::OutOfOrder)
    }

    fn append_exemplar(&mut self, _: SeriesRef, _: &model::Exemplar) -> Result<(), AppendError> {
        Ok(())
    }

    fn update_metadata(&mut self, _: SeriesRef, _: &model::Metadata) -> Result<(), AppendError> {
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), AppendError> {
        Ok(())
    }
}

#[test]
fn what_the_storage_discards_is_no_failure_of_the_evaluation() {
    let mut bench = Bench::new();
    bench.evaluator.appendable = Arc::new(Late);
    let group = bench.group("  rules:\n  - {record: total, expr: hits}\n");
    bench.put(MINUTE, &[("hits", 1.0)]);
    bench.run(&group, 2);
    assert_eq!(group.rules[0].status().health, Health::Err);
    assert!(matches!(group.rules[0].status().error, Some(RuleError::Discarded(_))));
    assert_eq!(group.metrics.failures.get(), 0);
}

/// Fails as code with a defect does.
struct Defect;

impl Queries for Defect {
    fn instant(
        &self,
        _: &str,
        _: i64,
        _: &CancelFlag,
    ) -> Result<Vec<Sample>, crate::expression::QueryFailure> {
        panic!("a defect")
    }
}

#[test]
fn a_defect_does_not_keep_others_from_being_evaluated_at_once() {
    let mut bench = Bench::new();
    let group = bench.group("  rules:\n  - {record: a, expr: x}\n  - {record: b, expr: x}\n");
    bench.evaluator.queries = Arc::new(Defect);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bench.run(&group, 1)));
    assert!(outcome.is_err());
    assert_eq!(bench.evaluator.concurrency.take(100), 4);
}

#[test]
fn evaluation_at_once_gives_what_one_after_the_other_gives() {
    let bench = Bench::new();
    let rules: String = (0..40).map(|i| format!("  - {{record: r{i}, expr: 'hits + {i}'}}\n")).collect();
    let group =
        bench.group(&format!("  rules:\n{rules}  - {{record: sum, expr: 'sum({{__name__=~\"r.*\"}})'}}\n"));
    bench.put(0, &[("hits", 1.0)]);
    bench.run(&group, 0);
    assert_eq!(bench.stored("sum"), [format!("{{}} 0={}", 40 + 39 * 20)]);
}

#[test]
fn groups_are_due_at_the_same_times_after_a_restart() {
    let bench = Bench::new();
    let group = bench.group("  rules: []\n");
    let slot = group.slot_before(1_000_000_000);
    assert!(slot <= 1_000_000_000 && slot > 1_000_000_000 - MINUTE);
    assert_eq!(group.slot_before(slot), slot);
    assert_eq!(group.slot_before(slot - 1), slot - MINUTE);
}

/// Whatever rules of a group read of each other, batches give what single steps give.
#[test]
fn random_groups_are_evaluated_as_if_in_order() {
    let mut state = 7_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for round in 0..40 {
        let rules: String = (0..8)
            .map(|i| {
                let (a, b) = (random(12), random(12));
                format!("  - {{record: r{i}, expr: '(r{a} or vector({i})) * 2 + (r{b} or vector(1))'}}\n")
            })
            .collect();
        let text = format!("  rules:\n{rules}");
        let (at_once, in_order) = (Bench::new(), Bench::new());
        let (group, mut single) = (at_once.group(&text), in_order.group(&text));
        single.batches = (0..8).map(|i| vec![i]).collect();
        for minute in 0..4 {
            at_once.run(&group, minute);
            in_order.run(&single, minute);
        }
        for i in 0..8 {
            let metric = format!("r{i}");
            assert_eq!(at_once.stored(&metric), in_order.stored(&metric), "round {round}: {text}");
        }
    }
}
