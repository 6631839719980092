//! The rules of the compliance suite for generators of alerts, over simulated time: when alerts pend, fire and end, what
//! is sent to an Alertmanager and how often again, what `ALERTS` says, and what templates make.
//!
//! The suite demands: an alert is sent in the evaluation in which it fires, again when more than the resend delay has
//! passed, at once when it ends, and then for 15 minutes more; as long as it fires, its end lies four times the longer
//! of interval and resend delay ahead; its start is when it fired.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::metrics::Registry;
use base::{ByteBudget, CancelFlag, SimClock};
use config::NameValidation;
use model::{
    Appendable, Labels, Matcher, QueryContext, SampleColumns, SampleValue, SelectRequest, SeriesSource,
    TenantId, TimeRange, is_stale_nan,
};
use promql::engine::Engine;
use rules::alert::{Alert, AlertState};
use rules::expression::{PromQl, PromQlLanguage, QueryLimits};
use rules::file::{FileOptions, RuleFile};
use rules::group::{AlertSink, Evaluator, Group, GroupDefaults, Permits};
use rules::manager::load_groups;
use rules::metrics::Metrics;
use testkit::memory::MemoryStorage;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
/// The interval of all groups of the suite.
const INTERVAL: i64 = 30 * SECOND;
const RESEND_DELAY: i64 = MINUTE;
/// Samples come twice as often as evaluations.
const SCRAPE: i64 = 15 * SECOND;

#[derive(Default)]
struct Recorder(Mutex<Vec<Alert>>);

impl AlertSink for Recorder {
    fn send(&self, _: &str, alerts: Vec<Alert>) {
        self.0.lock().unwrap().extend(alerts);
    }
}

/// A series, and from when on it has which value.
struct Script {
    series: String,
    values: Vec<(i64, Option<f64>)>,
}

/// A series of the suite for a rule; times are minutes.
fn script(rule: &str, group: &str, more: &str, values: &[(f64, Option<f64>)]) -> Script {
    Script {
        series: format!("alert_generator_test_suite{{alertname=\"{rule}\",rulegroup=\"{group}\"{more}}}"),
        values: values.iter().map(|&(at, value)| ((at * MINUTE as f64) as i64, value)).collect(),
    }
}

/// What an evaluation sent: name, and times of firing, end, and until when it counts, all in seconds.
#[derive(Debug, Clone, PartialEq)]
struct Sent {
    at_s: i64,
    fired_s: i64,
    resolved_s: Option<i64>,
    valid_until_s: i64,
}

/// One run of a group of the suite.
struct Run {
    group: Arc<Group>,
    evaluator: Evaluator,
    storage: MemoryStorage,
    recorder: Arc<Recorder>,
    sent: BTreeMap<String, Vec<Sent>>,
    /// State of each rule after each evaluation: seconds, and `i`, `p` or `f`.
    states: BTreeMap<String, Vec<(i64, AlertState)>>,
}

impl Run {
    /// Loads a group; `None`, and a word about it, where there is no data.
    fn open(name: &str) -> Option<Self> {
        let dir = testkit::conformance::folder("alert-generator", name)?;
        let (storage, recorder) = (MemoryStorage::new(), Arc::new(Recorder::default()));
        let clock = SimClock::at(0);
        let limits = QueryLimits {
            tenant: TenantId::default(),
            timeout: Duration::from_secs(60),
            budget: ByteBudget::unlimited(),
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
            sink: recorder.clone(),
            clock,
            metrics: Metrics::new(&Registry::new()),
            resend_delay: Duration::from_millis(RESEND_DELAY.unsigned_abs()),
            outage_tolerance: Duration::from_secs(3600),
            grace_period: Duration::from_secs(600),
            concurrency: Permits::new(2),
            cancel: CancelFlag::new(),
        };
        let language = PromQlLanguage::default();
        let options =
            FileOptions { language: &language, names: NameValidation::Utf8, ignore_unknown_fields: false };
        let mut file = RuleFile::load(&dir.join("rules.yaml"), &options).unwrap();
        file.groups.retain(|group| group.name == name);
        let defaults = GroupDefaults {
            interval_ms: MINUTE,
            query_offset_ms: 0,
            external_labels: Labels::empty(),
            external_url: "http://here/".to_owned(),
        };
        let groups = load_groups(&[("rules.yaml".to_owned(), file)], &defaults, &evaluator).unwrap();
        let group = groups.into_iter().next().unwrap();
        assert_eq!(group.interval_ms, INTERVAL);
        let (sent, states) = Default::default();
        Some(Self { group, evaluator, storage, recorder, sent, states })
    }

    /// Runs until a time in minutes.
    fn until(&mut self, minutes: i64, scripts: &[Script]) {
        let mut t_ms = 0;
        while t_ms <= minutes * MINUTE {
            self.put(t_ms, scripts);
            if t_ms % INTERVAL == 0 {
                self.group.evaluate(&self.evaluator, t_ms);
                self.note(t_ms);
            }
            t_ms += SCRAPE;
        }
    }

    fn put(&self, t_ms: i64, scripts: &[Script]) {
        let mut appender = self.storage.appender(&TenantId::default());
        for script in scripts {
            let now = script.values.iter().rfind(|(from_ms, _)| *from_ms <= t_ms);
            let Some(&(_, Some(value))) = now else { continue };
            let labels = promql::parser::series::parse_metric(&script.series).unwrap();
            let series = appender.resolve(&labels).unwrap();
            appender.append(series, 0, t_ms, SampleValue::Float(value)).unwrap();
        }
        appender.commit().unwrap();
    }

    fn note(&mut self, t_ms: i64) {
        for alert in std::mem::take(&mut *self.recorder.0.lock().unwrap()) {
            let name = alert.labels.get_or_empty("alertname").to_owned();
            self.sent.entry(name).or_default().push(Sent {
                at_s: t_ms / SECOND,
                fired_s: alert.fired_at_ms.unwrap() / SECOND,
                resolved_s: alert.resolved_at_ms.map(|ms| ms / SECOND),
                valid_until_s: alert.valid_until_ms / SECOND,
            });
        }
        for rule in &self.group.rules {
            assert_eq!(rule.status().error, None, "{} at {t_ms}", rule.name);
            let state = rule.alerting().unwrap().state();
            self.states.entry(rule.name.clone()).or_default().push((t_ms / SECOND, state));
        }
    }

    /// When the state of a rule changed, in seconds.
    fn changes(&self, rule: &str) -> Vec<(i64, &'static str)> {
        let mut changes: Vec<(i64, &'static str)> = Vec::new();
        for (at_s, state) in &self.states[rule] {
            if changes.last().is_none_or(|(_, last)| *last != state.as_str()) {
                changes.push((*at_s, state.as_str()));
            }
        }
        changes
    }

    fn active(&self, rule: usize) -> Vec<Alert> {
        self.group.rules[rule].alerting().unwrap().active_alerts()
    }

    /// First and last second with a sample of a series of `ALERTS`, by its labels without the name.
    fn alerts_series(&self) -> Vec<(String, i64, i64)> {
        let ctx = QueryContext::unbounded();
        let request = SelectRequest {
            range: TimeRange::ALL,
            matchers: vec![Matcher::equal(model::METRIC_NAME, "ALERTS")],
            projection: Default::default(),
            sorted: true,
            limit: 0,
        };
        let set = self.storage.select(&request, &ctx).unwrap();
        let of = |i: usize| {
            let mut samples = SampleColumns::default();
            set.read(i, TimeRange::ALL, &mut samples, &ctx).unwrap();
            let all = samples.timestamps_ms.iter().zip(&samples.values);
            let times: Vec<_> =
                all.filter(|(_, value)| !is_stale_nan(**value)).map(|(t_ms, _)| t_ms / SECOND).collect();
            (set.labels(i).without_name().to_string(), times[0], times[times.len() - 1])
        };
        (0..set.len()).map(of).collect()
    }
}

/// What is sent about an alert that fired and ended at these seconds, until the end of the run.
fn expected(fired_s: i64, resolved_s: Option<i64>, end_s: i64) -> Vec<Sent> {
    let (interval_s, delay_s) = (INTERVAL / SECOND, RESEND_DELAY / SECOND);
    let (mut sent, mut last_s): (Vec<Sent>, Option<i64>) = (Vec::new(), None);
    let mut at_s = fired_s;
    while at_s <= end_s {
        let resolved = resolved_s.filter(|resolved_s| *resolved_s <= at_s);
        let is_due = last_s.is_none_or(|last_s| at_s - last_s > delay_s) || resolved == Some(at_s);
        // An ended alert is kept for 15 minutes, and not a moment longer.
        let is_kept = resolved.is_none_or(|resolved_s| at_s - resolved_s <= 15 * 60);
        if is_due && is_kept {
            last_s = Some(at_s);
            sent.push(Sent { at_s, fired_s, resolved_s: resolved, valid_until_s: at_s + 4 * delay_s });
        }
        at_s += interval_s;
    }
    sent
}

#[test]
fn an_alert_pends_fires_is_told_again_and_ends() {
    let (group, rule) = ("PendingAndFiringAndResolved", "PendingAndFiringAndResolved_SimpleAlert");
    let Some(mut run) = Run::open(group) else { return };
    let values = [(0.0, Some(5.0)), (2.0, Some(11.0)), (9.0, Some(15.0)), (14.0, Some(5.0))];
    run.until(40, &[script(rule, group, "", &values)]);
    assert_eq!(
        run.changes(rule),
        [(0, "inactive"), (120, "pending"), (120 + 360, "firing"), (14 * 60, "inactive")]
    );
    assert_eq!(run.sent[rule], expected(480, Some(840), 40 * 60));
    // The first of them at once, then each 90 seconds: the delay must be exceeded.
    assert_eq!(run.sent[rule].iter().take(3).map(|sent| sent.at_s).collect::<Vec<_>>(), [480, 570, 660]);
    let labels = format!("alertname=\"{rule}\", alertstate=\"{{}}\", foo=\"bar\", rulegroup=\"{group}\"");
    let of = |state: &str| format!("{{{}}}", labels.replace("{}", state));
    assert_eq!(run.alerts_series(), [(of("firing"), 480, 810), (of("pending"), 120, 450)]);
}

#[test]
fn annotations_follow_the_value_while_an_alert_fires() {
    let (group, rule) = ("PendingAndFiringAndResolved", "PendingAndFiringAndResolved_SimpleAlert");
    let Some(mut run) = Run::open(group) else { return };
    let values = [(0.0, Some(11.0)), (7.0, Some(18.5))];
    run.until(8, &[script(rule, group, "", &values)]);
    let alert = &run.active(0)[0];
    assert_eq!((alert.value, alert.active_at_ms, alert.fired_at_ms), (18.5, 0, Some(6 * MINUTE)));
    let texts = [("description", "SimpleAlert is firing"), ("summary", "The value is 18.5 18.5")];
    assert_eq!(&*alert.annotations, texts.map(|(name, text)| (name.to_owned(), text.to_owned())));
}

#[test]
fn what_only_pends_is_told_to_nobody() {
    let group = "PendingAndResolved_AlwaysInactive";
    let Some(mut run) = Run::open(group) else { return };
    let (pending, inactive) = (format!("{group}_PendingAlert"), format!("{group}_InactiveAlert"));
    let values = [(0.0, Some(5.0)), (1.0, Some(11.0)), (3.5, Some(5.0))];
    run.until(
        10,
        &[script(&pending, group, "", &values), script(&inactive, group, "", &[(0.0, Some(50.0))])],
    );
    assert_eq!(run.changes(&pending), [(0, "inactive"), (60, "pending"), (210, "inactive")]);
    assert_eq!(run.changes(&inactive), [(0, "inactive")]);
    assert!(run.sent.is_empty());
    let series = run.alerts_series();
    assert_eq!(series.len(), 1);
    assert_eq!((series[0].1, series[0].2), (60, 180));
}

#[test]
fn without_for_an_alert_fires_at_once_and_with_a_short_one_in_the_next_evaluation() {
    let group = "ZeroFor_SmallFor";
    let Some(mut run) = Run::open(group) else { return };
    let (zero, small) = (format!("{group}_ZeroFor"), format!("{group}_SmallFor"));
    let values = [(0.0, Some(5.0)), (2.0, Some(14.0)), (5.0, Some(3.0))];
    let template = |id: &str, value| Script {
        series: format!("alert_generator_test_suite{{rulegroup=\"{group}\",for=\"template\",id=\"{id}\"}}"),
        values: vec![(0, Some(value))],
    };
    let scripts = [
        script(&zero, group, "", &values),
        script(&small, group, "", &values),
        template("2", 7.0),
        template("1", 3.5),
    ];
    run.until(4, &scripts);
    let texts = |rule: usize| run.active(rule)[0].annotations.clone();
    let expected_texts = [
        ("description", "This should immediately fire"),
        ("template_query_test", "Args are: foo bar 99. first_id:1,1:3.5,2:7,"),
        ("template_test", "1.049M 1Mi 2m 15s 95.9% 2022-01-25 12:36:43 +0000 UTC"),
    ];
    assert_eq!(&*texts(0), expected_texts.map(|(name, text)| (name.to_owned(), text.to_owned())));
    let expected_texts = [
        ("description", "This should fire after an interval"),
        ("template_test", "This Part IS TESTING the strings. ::1 127.0.0.1. 7815. replaced text. ."),
    ];
    assert_eq!(&*texts(1), expected_texts.map(|(name, text)| (name.to_owned(), text.to_owned())));

    let Some(mut run) = Run::open(group) else { return };
    run.until(30, &scripts);
    assert_eq!(run.changes(&zero), [(0, "inactive"), (120, "firing"), (300, "inactive")]);
    assert_eq!(run.changes(&small), [(0, "inactive"), (120, "pending"), (150, "firing"), (300, "inactive")]);
    assert_eq!(run.sent[&zero], expected(120, Some(300), 30 * 60));
    assert_eq!(run.sent[&small], expected(150, Some(300), 30 * 60));
}

#[test]
fn a_rule_sees_in_the_same_evaluation_what_an_earlier_one_made() {
    let group = "NewAlerts_OrderCheck";
    let Some(mut run) = Run::open(group) else { return };
    let (first, second) = (format!("{group}_Rule1"), format!("{group}_Rule2"));
    let one = script(&first, group, ",variant=\"one\"", &[(0.0, Some(20.0)), (12.0, Some(1.0))]);
    // A new alert of the same rule, four minutes later.
    let two = script(&first, group, ",variant=\"two\"", &[(4.0, Some(20.0)), (12.0, Some(1.0))]);
    let scripts = [one, two];
    run.until(9, &scripts);
    let active = run.active(0);
    assert_eq!(
        active.iter().map(|alert| (alert.active_at_ms, alert.fired_at_ms)).collect::<Vec<_>>(),
        [(0, Some(3 * MINUTE)), (4 * MINUTE, Some(7 * MINUTE))]
    );
    let derived = &run.active(1)[0];
    assert_eq!(derived.active_at_ms, 7 * MINUTE);
    assert_eq!((derived.labels.get("foo"), derived.labels.get("ba_dum")), (Some("baz"), Some("tss")));
    let told = format!("Based on ALERTS. Old alertname was {first}. foo was bar.");
    assert_eq!(derived.annotations[0].1, told);

    let Some(mut run) = Run::open(group) else { return };
    run.until(40, &scripts);
    assert_eq!(run.changes(&second), [(0, "inactive"), (7 * 60, "firing"), (12 * 60, "inactive")]);
    assert_eq!(run.sent[&second], expected(7 * 60, Some(12 * 60), 40 * 60));
    let both = &run.sent[&first];
    let of = |fired_s: i64| both.iter().filter(|sent| sent.fired_s == fired_s).cloned().collect::<Vec<_>>();
    assert_eq!(of(180), expected(180, Some(720), 40 * 60));
    assert_eq!(of(420), expected(420, Some(720), 40 * 60));
}
