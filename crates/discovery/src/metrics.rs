//! What discovery publishes about itself, under Prometheus's names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base::metrics::{Counter, Family, Gauge, Histogram, Kind, Point, Registry, Summary, Value};
use parking_lot::Mutex;

use crate::TargetGroup;

/// Instruments of all providers. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Updates handed to the consumer.
    pub sent_updates: Counter,
    /// Updates received from providers.
    pub received_updates: Counter,
    /// Providers that could not be started.
    pub failed_configs: Gauge,
    /// Files that could not be read.
    pub file_read_errors: Counter,
    /// Directories that could not be watched.
    pub file_watcher_errors: Counter,
    /// How long reading all files of a provider took, in seconds.
    pub file_scan_duration: Summary,
    /// Fetches over HTTP that failed.
    pub http_failures: Counter,
    /// DNS queries.
    pub dns_lookups: Counter,
    /// DNS queries that failed.
    pub dns_failures: Counter,
    state: Arc<Mutex<State>>,
}

/// Values whose labels come and go.
#[derive(Debug, Default)]
struct State {
    /// Who is handed targets.
    consumer: &'static str,
    /// Targets by job, and when they were handed on, in milliseconds since the Unix epoch.
    discovered: BTreeMap<String, (usize, i64)>,
    /// By mechanism and job.
    refreshes: BTreeMap<(&'static str, String), Refreshes>,
    /// Of all jobs, by mechanism.
    refresh_durations: BTreeMap<&'static str, Histogram>,
    /// When each file was changed last, in seconds since the Unix epoch.
    file_mtimes: BTreeMap<String, f64>,
}

#[derive(Debug)]
struct Refreshes {
    failures: u64,
    durations: Summary,
}

impl Default for Refreshes {
    fn default() -> Self {
        Self { failures: 0, durations: Summary::new(&[0.5, 0.9, 0.99]) }
    }
}

/// Instruments that are published by consumer.
struct Consumer {
    sent_updates: Counter,
    received_updates: Counter,
    failed_configs: Gauge,
}

impl Consumer {
    fn new(name: &str, registry: &Registry) -> Self {
        let labels = [("name", name)];
        // The consumer reads the newest state whenever it likes, so an update is never held up.
        registry.counter(
            "prometheus_sd_updates_delayed_total",
            "Total number of update events that couldn't be sent immediately.",
            &labels,
        );
        Self {
            sent_updates: registry.counter(
                "prometheus_sd_updates_total",
                "Total number of update events sent to the SD consumers.",
                &labels,
            ),
            received_updates: registry.counter(
                "prometheus_sd_received_updates_total",
                "Total number of update events received from the SD providers.",
                &labels,
            ),
            failed_configs: registry.gauge(
                "prometheus_sd_failed_configs",
                "Current number of service discovery configurations that failed to load.",
                &labels,
            ),
        }
    }
}

impl Metrics {
    /// Publishes in `registry`.
    pub fn new(registry: &Registry) -> Self {
        let consumer = Consumer::new("scrape", registry);
        let metrics = Self {
            sent_updates: consumer.sent_updates,
            received_updates: consumer.received_updates,
            failed_configs: consumer.failed_configs,
            file_read_errors: registry.counter(
                "prometheus_sd_file_read_errors_total",
                "The number of File-SD read errors.",
                &[],
            ),
            file_watcher_errors: registry.counter(
                "prometheus_sd_file_watcher_errors_total",
                "The number of File-SD errors caused by filesystem watch failures.",
                &[],
            ),
            file_scan_duration: registry.summary(
                "prometheus_sd_file_scan_duration_seconds",
                "The duration of the File-SD scan in seconds.",
                &[],
                &[0.5, 0.9, 0.99],
            ),
            http_failures: registry.counter(
                "prometheus_sd_http_failures_total",
                "Number of HTTP service discovery refresh failures.",
                &[],
            ),
            dns_lookups: registry.counter(
                "prometheus_sd_dns_lookups_total",
                "The number of DNS-SD lookups.",
                &[],
            ),
            dns_failures: registry.counter(
                "prometheus_sd_dns_lookup_failures_total",
                "The number of DNS-SD lookup failures.",
                &[],
            ),
            state: Arc::new(Mutex::new(State { consumer: "scrape", ..State::default() })),
        };
        let state = metrics.state.clone();
        registry.collect_with(move |families| state.lock().collect(families));
        metrics
    }

    /// Instruments of the providers of another consumer. What is not counted by consumer is counted with those of
    /// this one.
    #[must_use]
    pub fn of_consumer(&self, name: &'static str, registry: &Registry) -> Self {
        let consumer = Consumer::new(name, registry);
        let metrics = Self {
            sent_updates: consumer.sent_updates,
            received_updates: consumer.received_updates,
            failed_configs: consumer.failed_configs,
            state: Arc::new(Mutex::new(State { consumer: name, ..State::default() })),
            ..self.clone()
        };
        let state = metrics.state.clone();
        registry.collect_with(move |families| state.lock().collect_by_config(families));
        metrics
    }

    /// Notes what was handed to the consumer at `now_ms`; jobs that are gone are forgotten.
    pub(crate) fn set_discovered(&self, groups: &BTreeMap<String, Vec<TargetGroup>>, now_ms: i64) {
        let targets = |groups: &Vec<TargetGroup>| groups.iter().map(|group| group.targets.len()).sum();
        let mut state = self.state.lock();
        state.discovered =
            groups.iter().map(|(job, groups)| (job.clone(), (targets(groups), now_ms))).collect();
        let State { discovered, refreshes, .. } = &mut *state;
        refreshes.retain(|(_, job), _| discovered.contains_key(job));
    }

    /// Notes one refresh of a provider.
    pub(crate) fn refreshed(&self, mechanism: &'static str, job: &str, took: Duration, ok: bool) {
        let mut state = self.state.lock();
        let refreshes = state.refreshes.entry((mechanism, job.to_owned())).or_default();
        refreshes.durations.observe(took.as_secs_f64());
        refreshes.failures += u64::from(!ok);
        let durations = state.refresh_durations.entry(mechanism);
        let durations = durations.or_insert_with(|| Histogram::new(&[0.01, 0.1, 1.0, 10.0]));
        durations.observe(took.as_secs_f64());
    }

    /// Notes when a file was changed last; `None` when it is gone.
    pub(crate) fn set_file_mtime(&self, file: &str, mtime_s: Option<f64>) {
        let mut state = self.state.lock();
        match mtime_s {
            Some(mtime_s) => drop(state.file_mtimes.insert(file.to_owned(), mtime_s)),
            None => drop(state.file_mtimes.remove(file)),
        }
    }
}

impl State {
    fn collect(&self, families: &mut Vec<Family>) {
        self.collect_by_config(families);
        let family = |name: &str, help: &str, kind: Kind| Family::new(name, help, kind);
        let mut histograms = family(
            "prometheus_sd_refresh_duration_histogram_seconds",
            "The duration of a refresh for the given SD mechanism.",
            Kind::Histogram,
        );
        for (mechanism, durations) in &self.refresh_durations {
            histograms.points.push(point(&[("mechanism", mechanism)], durations.value()));
        }
        let mut mtimes = family(
            "prometheus_sd_file_mtime_seconds",
            "Timestamp (mtime) of files read by FileSD. Timestamp is set at read time.",
            Kind::Gauge,
        );
        for (file, mtime_s) in &self.file_mtimes {
            mtimes.push(&[("filename", file)], *mtime_s);
        }
        families.extend([histograms, mtimes]);
    }

    fn collect_by_config(&self, families: &mut Vec<Family>) {
        let family = |name: &str, help: &str, kind: Kind| Family::new(name, help, kind);
        let mut discovered =
            family("prometheus_sd_discovered_targets", "Current number of discovered targets.", Kind::Gauge);
        let mut updated = family(
            "prometheus_sd_last_update_timestamp_seconds",
            "Timestamp of the last update sent to the SD consumers.",
            Kind::Gauge,
        );
        for (job, (targets, at_ms)) in &self.discovered {
            let labels = [("name", self.consumer), ("config", job.as_str())];
            discovered.push(&labels, *targets as f64);
            updated.push(&labels, *at_ms as f64 / 1000.0);
        }
        let mut failures = family(
            "prometheus_sd_refresh_failures_total",
            "Number of refresh failures for the given SD mechanism.",
            Kind::Counter,
        );
        let mut durations = family(
            "prometheus_sd_refresh_duration_seconds",
            "The duration of a refresh in seconds for the given SD mechanism.",
            Kind::Summary,
        );
        for ((mechanism, job), refreshes) in &self.refreshes {
            let labels = [("mechanism", *mechanism), ("config", job.as_str())];
            failures.push(&labels, refreshes.failures as f64);
            durations.points.push(point(&labels, refreshes.durations.value()));
        }
        families.extend([discovered, updated, failures, durations]);
    }
}

fn point(labels: &[(&str, &str)], value: Value) -> Point {
    Point { labels: labels.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect(), value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_follow_the_jobs_and_files_there_are() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry);
        let groups = |jobs: &[&str]| -> BTreeMap<String, Vec<TargetGroup>> {
            let group = TargetGroup::of_addresses(String::new(), model::Labels::empty(), &["a:1", "b:1"]);
            jobs.iter().map(|job| ((*job).to_owned(), vec![group.clone()])).collect()
        };
        metrics.refreshed("http", "gone", Duration::from_secs(1), false);
        metrics.refreshed("http", "kept", Duration::from_secs(2), true);
        metrics.set_file_mtime("f", Some(5.0));
        metrics.set_discovered(&groups(&["gone", "kept"]), 1000);
        metrics.set_discovered(&groups(&["kept"]), 2000);
        let families = registry.gather();
        let points = |name: &str| -> Vec<String> {
            let family = families.iter().find(|family| family.name == name).unwrap();
            family.points.iter().map(|point| format!("{:?} {:?}", point.labels, point.value)).collect()
        };
        assert_eq!(
            points("prometheus_sd_discovered_targets"),
            [r#"[("name", "scrape"), ("config", "kept")] Number(2.0)"#]
        );
        assert_eq!(
            points("prometheus_sd_last_update_timestamp_seconds"),
            [r#"[("name", "scrape"), ("config", "kept")] Number(2.0)"#]
        );
        assert_eq!(points("prometheus_sd_refresh_failures_total").len(), 1);
        assert_eq!(
            points("prometheus_sd_refresh_duration_histogram_seconds"),
            [
                r#"[("mechanism", "http")] Histogram { buckets: [(0.01, 0), (0.1, 0), (1.0, 1), (10.0, 2)], sum: 3.0, count: 2 }"#
            ]
        );
        assert_eq!(points("prometheus_sd_file_mtime_seconds").len(), 1);
    }

    #[test]
    fn consumers_are_counted_apart() {
        let registry = Registry::new();
        let scrape = Metrics::new(&registry);
        let notify = scrape.of_consumer("notify", &registry);
        let group = TargetGroup::of_addresses(String::new(), model::Labels::empty(), &["a:1"]);
        let groups = |config: &str| BTreeMap::from([(config.to_owned(), vec![group.clone()])]);
        scrape.set_discovered(&groups("job"), 1000);
        notify.set_discovered(&groups("config-0"), 1000);
        notify.sent_updates.inc();
        notify.file_read_errors.inc();
        let families = registry.gather();
        let points = |name: &str| &families.iter().find(|family| family.name == name).unwrap().points;
        assert_eq!(points("prometheus_sd_discovered_targets").len(), 2);
        assert_eq!(points("prometheus_sd_updates_total").len(), 2);
        // What is not told apart by consumer is counted once.
        assert_eq!(points("prometheus_sd_file_read_errors_total")[0].value, Value::Number(1.0));
    }
}
