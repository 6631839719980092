//! Rules: evaluated on what queries read, written to the own storage; alerts go to the Alertmanagers.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use api::state::{AlertView, AlertingView, Alertmanagers, RuleGroupView, RuleView};
use base::CancelFlag;
use base::clock::SharedClock;
use base::metrics::Registry;
use config::{Config, NameValidation};
use model::TenantId;
use rules::alert::{Alert, AlertState};
use rules::expression::{PromQl, PromQlLanguage, QueryLimits};
use rules::group::{Evaluator, Group, GroupDefaults, Permits};
use rules::manager::{Manager, RuleSettings};
use rules::metrics::Metrics;
use rules::notify::{Notifier, NotifyOptions};
use rules::rule::Rule;

use super::querying::Querying;
use super::reading::Reading;
use super::scraping::Scraping;
use super::settings::Settings;
use super::storage::Opened;
use super::system::Reloadable;

/// The evaluation of rules and the delivery of alerts. Clones share it.
#[derive(Clone)]
pub struct Rules(Arc<Inner>);

struct Inner {
    manager: Manager,
    notifier: Notifier,
}

/// What rules are made from.
pub struct Sources<'s> {
    /// Where series are written.
    pub opened: &'s Opened,
    /// What rules read.
    pub reading: &'s Reading,
    /// What evaluates.
    pub querying: &'s Querying,
    /// Discovery, whose counts are shared.
    pub scraping: &'s Scraping,
}

impl Rules {
    /// Nothing is evaluated until a configuration is applied.
    pub fn new(settings: &Settings, registry: &Registry, clock: SharedClock, from: &Sources<'_>) -> Self {
        let (args, alerting) = (&settings.args, &settings.args.alerting);
        let limits = QueryLimits {
            tenant: TenantId::default(),
            timeout: args.query_timeout.value,
            budget: from.querying.rules_budget.clone(),
            clock: clock.clone(),
        };
        let queries = PromQl::new(from.querying.rules_engine.clone(), from.reading.source(), limits.clone());
        let notifier = Notifier::new(
            NotifyOptions {
                queue_capacity: alerting.queue_capacity(),
                max_batch_size: alerting.batch_size(),
                drain_on_shutdown: alerting.drain_on_shutdown(),
                external_url: external_url(settings),
            },
            clock.clone(),
            from.scraping.discovery_metrics().of_consumer("notify", registry),
            registry,
        );
        let evaluator = Evaluator {
            queries: Arc::new(queries),
            language: Arc::new(PromQlLanguage { options: settings.features.parse_options() }),
            appendable: Arc::new(from.opened.clone()),
            source: Arc::new(from.opened.clone()),
            limits,
            tenant: TenantId::default(),
            sink: Arc::new(notifier.clone()),
            clock,
            metrics: Metrics::new(registry),
            resend_delay: alerting.resend_delay.value,
            outage_tolerance: alerting.for_outage_tolerance.value,
            grace_period: alerting.for_grace_period.value,
            concurrency: Permits::new(alerting.max_concurrent_evals()),
            cancel: CancelFlag::new(),
        };
        let manager = Manager::new(evaluator, args.query_max_concurrency);
        Self(Arc::new(Inner { manager, notifier }))
    }

    /// The way of alerts that are looked at under other links.
    pub fn sink_linking_to(&self, link: rules::notify::Link) -> rules::notify::LinkingTo {
        self.0.notifier.linking_to(link)
    }

    /// Ends evaluation, then delivery.
    pub async fn stop(&self) {
        self.0.manager.stop().await;
        self.0.notifier.stop().await;
    }
}

/// Where users reach the server, without a slash at the end.
pub(super) fn external_url(settings: &Settings) -> String {
    settings.external_url.as_str().trim_end_matches('/').to_owned()
}

impl Reloadable for Rules {
    /// Runs on a blocking thread, as reloads do.
    fn reload(&self, settings: &Settings, config: &Config) -> Result<(), String> {
        if settings.args.agent.agent {
            return Ok(());
        }
        let told = self.0.notifier.apply(config);
        let global = &config.file.global;
        let embedded = match settings.host_metrics {
            true => rules::defaults::files(),
            false => Vec::new(),
        };
        let loaded = self.0.manager.update(&RuleSettings {
            files: rule_files(&config.file.rule_files)?,
            embedded,
            defaults: GroupDefaults {
                interval_ms: global.evaluation_interval.as_ms(),
                query_offset_ms: global.rule_query_offset.as_ms(),
                external_labels: config.external_labels.clone(),
                external_url: external_url(settings),
            },
            names: global.metric_name_validation_scheme.unwrap_or(NameValidation::Utf8),
        });
        told.and(loaded)
    }
}

/// The files the patterns stand for, each once.
pub(super) fn rule_files(patterns: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = BTreeSet::new();
    for pattern in patterns {
        let found = config::glob::glob(pattern)
            .map_err(|error| format!("error retrieving rule files for {}: {error}", pattern.display()))?;
        files.extend(found);
    }
    Ok(files.into_iter().collect())
}

impl api::state::Rules for Rules {
    fn groups(&self, with_alerts: bool) -> Vec<RuleGroupView> {
        self.0.manager.groups().iter().map(|group| group_view(group, with_alerts)).collect()
    }

    fn alertmanagers(&self) -> Alertmanagers {
        let known = self.0.notifier.alertmanagers();
        Alertmanagers { active: known.active, dropped: known.dropped }
    }
}

fn ms(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

pub(super) fn group_view(group: &Group, with_alerts: bool) -> RuleGroupView {
    let last = group.last_evaluation();
    RuleGroupView {
        name: group.name.clone(),
        file: group.file.clone(),
        interval: ms(group.interval_ms),
        limit: group.limit,
        evaluation_time: last.duration,
        last_evaluation_ms: last.began_ms,
        rules: group.rules.iter().map(|rule| rule_view(rule, with_alerts)).collect(),
    }
}

fn rule_view(rule: &Rule, with_alerts: bool) -> RuleView {
    let status = rule.status();
    let alerting = rule.alerting().map(|alerting| AlertingView {
        state: match status.began_ms {
            Some(_) => alerting.state(),
            None => AlertState::Unknown,
        }
        .as_str(),
        hold: ms(alerting.hold_ms),
        keep_firing_for: ms(alerting.keep_firing_for_ms),
        annotations: alerting.annotations.to_vec(),
        alerts: match with_alerts {
            true => alerting.active_alerts().iter().map(alert_view).collect(),
            false => Vec::new(),
        },
    });
    RuleView {
        name: rule.name.clone(),
        query: rule.expression.text.clone(),
        labels: rule.labels.clone(),
        health: status.health.as_str(),
        last_error: status.error.map_or_else(String::new, |error| error.to_string()),
        evaluation_time: status.duration,
        last_evaluation_ms: status.began_ms,
        alerting,
    }
}

fn alert_view(alert: &Alert) -> AlertView {
    AlertView {
        labels: alert.labels.clone(),
        annotations: alert.annotations.to_vec(),
        state: alert.state.as_str(),
        active_at_ms: alert.active_at_ms,
        keep_firing_since_ms: alert.keep_firing_since_ms,
        value: alert.value,
    }
}
