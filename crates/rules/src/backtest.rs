//! Rules over history: when each alert would have fired.
//!
//! All groups are evaluated at the times they would have been due between two moments, on stored samples, faster
//! than time passes. What rules write goes into a storage of its own and hides what the same rules wrote when
//! they ran for real ([`overlay`]), so that changed rules are judged by what they are now.

mod overlay;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base::metrics::Registry;
use base::{ByteBudget, CancelFlag};
use model::{Labels, SeriesSource, TenantId};
use promql::engine::{Engine, EngineOptions};

use crate::alert::{Alert, AlertState, Annotations};
use crate::expression::{PromQl, PromQlLanguage, QueryLimits};
use crate::file::RuleFile;
use crate::group::{Evaluator, Group, GroupDefaults, NoSink, Permits};
use crate::manager::load_groups;
use crate::metrics::Metrics;
use crate::unit_test::TestStorage;
use overlay::{Overlay, Written};

/// What is evaluated, and on what.
pub struct Backtest<'b> {
    /// The rule files, by name.
    pub files: &'b [(String, RuleFile)],
    /// Stored samples.
    pub history: Arc<dyn SeriesSource>,
    /// An empty storage for what rules write.
    pub scratch: TestStorage,
    /// How expressions are evaluated.
    pub engine: EngineOptions,
    /// What groups take that do not say it.
    pub defaults: GroupDefaults,
    /// The first moment, in milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// The last moment.
    pub to_ms: i64,
}

/// One time an alert was active. Times are in milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// The file of its rule.
    pub file: String,
    /// The group of its rule.
    pub group: String,
    /// Its labels.
    pub labels: Labels,
    /// Its annotations as they were last.
    pub annotations: Annotations,
    /// Since when it was active.
    pub active_at_ms: i64,
    /// Since when it fired; `None` when it ended before that.
    pub fired_at_ms: Option<i64>,
    /// When it ended; `None` when it was active at the end.
    pub ended_at_ms: Option<i64>,
    /// The value when it was active last.
    pub value: f64,
}

/// What came out.
#[derive(Debug, Clone, Default)]
pub struct BacktestReport {
    /// In order of their beginning.
    pub episodes: Vec<Episode>,
    /// Rules that failed: group, rule, how often, and why the last time.
    pub failures: Vec<RuleFailure>,
    /// Evaluations of groups.
    pub evaluations: u64,
}

/// A rule that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFailure {
    /// Its group.
    pub group: String,
    /// Its name.
    pub rule: String,
    /// How often.
    pub count: u64,
    /// Why, the last time.
    pub error: String,
}

/// Time a single query may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(120);

/// Evaluates the rules. `progress` is told how far it is, in milliseconds since the Unix epoch, and answers whether
/// to go on.
pub fn run(backtest: Backtest<'_>, mut progress: impl FnMut(i64) -> bool) -> Result<BacktestReport, String> {
    let written = Arc::new(Written::of(backtest.files));
    let source = Overlay::new(backtest.scratch.source.clone(), backtest.history.clone(), written);
    let source: Arc<dyn SeriesSource> = Arc::new(source);
    let evaluator = evaluator(&backtest, source);
    let groups = load_groups(backtest.files, &backtest.defaults, &evaluator)?;
    let mut due: BTreeMap<(i64, usize), ()> = BTreeMap::new();
    for (i, group) in groups.iter().enumerate() {
        let slot_ms = group.slot_before(backtest.from_ms);
        let first_ms = if slot_ms < backtest.from_ms { slot_ms + group.interval_ms } else { slot_ms };
        due.insert((first_ms, i), ());
    }
    let (mut open, mut report) = (Open::default(), BacktestReport::default());
    let mut failures: BTreeMap<(usize, usize), RuleFailure> = BTreeMap::new();
    while let Some(((t_ms, i), ())) = due.pop_first() {
        if t_ms > backtest.to_ms || !progress(t_ms) {
            break;
        }
        let group = &groups[i];
        group.evaluate(&evaluator, t_ms);
        report.evaluations += 1;
        open.follow(i, group, t_ms, &mut report.episodes);
        for (at, rule) in group.rules.iter().enumerate() {
            let Some(error) = rule.status().error else { continue };
            let failure = failures.entry((i, at)).or_insert_with(|| RuleFailure {
                group: group.name.clone(),
                rule: rule.name.clone(),
                count: 0,
                error: String::new(),
            });
            failure.count += 1;
            failure.error = error.to_string();
        }
        due.insert((t_ms + group.interval_ms, i), ());
    }
    report.episodes.extend(open.0.into_values());
    report.episodes.sort_by(|a, b| (a.active_at_ms, &a.labels).cmp(&(b.active_at_ms, &b.labels)));
    report.failures = failures.into_values().collect();
    Ok(report)
}

fn evaluator(backtest: &Backtest<'_>, source: Arc<dyn SeriesSource>) -> Evaluator {
    let clock = base::SystemClock::shared();
    let limits = QueryLimits {
        tenant: TenantId::default(),
        timeout: QUERY_TIMEOUT,
        budget: ByteBudget::unlimited(),
        clock: clock.clone(),
    };
    let language = Arc::new(PromQlLanguage { options: backtest.engine.parse });
    let engine = Arc::new(Engine::new(backtest.engine.clone()));
    Evaluator {
        queries: Arc::new(PromQl::new(engine, source.clone(), limits.clone())),
        language,
        appendable: backtest.scratch.appendable.clone(),
        source,
        limits,
        tenant: TenantId::default(),
        sink: Arc::new(NoSink),
        clock,
        metrics: Metrics::new(&Registry::new()),
        resend_delay: Duration::ZERO,
        outage_tolerance: Duration::ZERO,
        grace_period: Duration::ZERO,
        concurrency: Permits::new(0),
        cancel: CancelFlag::new(),
    }
}

/// Alerts that are active, by group, rule and labels.
#[derive(Default)]
struct Open(BTreeMap<(usize, usize, Labels), Episode>);

impl Open {
    /// Brings the episodes up to date with an evaluation at `t_ms`; those that ended go to `ended`.
    fn follow(&mut self, index: usize, group: &Group, t_ms: i64, ended: &mut Vec<Episode>) {
        let mut before = BTreeMap::new();
        let mut later = self.0.split_off(&(index, 0, Labels::empty()));
        let mut others = later.split_off(&(index + 1, 0, Labels::empty()));
        before.append(&mut later);
        self.0.append(&mut others);
        for (at, rule) in group.rules.iter().enumerate() {
            let Some(alerting) = rule.alerting() else { continue };
            for alert in alerting.active_alerts() {
                let key = (index, at, alert.labels.clone());
                let known = before.remove(&key).filter(|episode| episode.active_at_ms == alert.active_at_ms);
                let episode = known.unwrap_or_else(|| episode(group, &alert));
                self.0.insert(key, updated(episode, &alert));
            }
        }
        ended.extend(before.into_values().map(|mut episode| {
            episode.ended_at_ms = Some(t_ms);
            episode
        }));
    }
}

fn episode(group: &Group, alert: &Alert) -> Episode {
    Episode {
        file: group.file.clone(),
        group: group.name.clone(),
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        active_at_ms: alert.active_at_ms,
        fired_at_ms: None,
        ended_at_ms: None,
        value: alert.value,
    }
}

fn updated(mut episode: Episode, alert: &Alert) -> Episode {
    if alert.state == AlertState::Firing {
        episode.fired_at_ms = episode.fired_at_ms.or(alert.fired_at_ms);
    }
    episode.annotations = alert.annotations.clone();
    episode.value = alert.value;
    episode
}
