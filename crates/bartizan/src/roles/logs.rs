//! The storage of logs and its door: opened beside the listener, and seen by the API through its traits.
//!
//! In reading order: this file (what there is, and opening it), [`place`] (where objects are), [`limits`] (what a Loki's
//! configuration says of tenants), [`store`] (the traits).

pub mod limits;
pub mod place;
mod store;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use api::handlers::loki::{
    Followers, LogOptions, LogParts, LogQueryLimits, LogQueryLimitsBook, LogState, LokiMetrics, router,
    shared,
};
use api::queries::QueryList;
use arc_swap::ArcSwap;
use base::ByteBudget;
use base::clock::SharedClock;
use base::metrics::{Family, Kind, Registry};
use ingest::{LogLimits, LogLimitsBook, LogReceiver, LogRetention};
use logdb::wal::LocalDisk;
use logdb::{Background, LogDb, Options, Retention, RetentionRule};
use model::logs::LogSource;

use self::place::BucketPlace;
use self::store::{Door, Store};

/// Bodies of pushes may take that much memory at a time, with what they stand for.
const MAX_BODY_BYTES: usize = 192 << 20;

/// Where logs are, what may be pushed and asked, and for how long they are kept.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// The folder of the log of entries.
    pub wal: PathBuf,
    /// Where objects are.
    pub bucket: BucketPlace,
    /// How long entries are kept.
    pub retention: Retention,
    /// Days that are over are compacted for good when nothing came for them for this long.
    pub quiet_after: Duration,
    /// What tenants may push.
    pub push_limits: LogLimitsBook,
    /// What tenants may ask.
    pub query_limits: LogQueryLimitsBook,
    /// Settings of the API.
    pub options: LogOptions,
}

impl LogSettings {
    /// Logs in a folder, which are kept for `retention`, or for ever; what is older is not taken.
    pub fn in_folder(path: &Path, retention: Option<Duration>) -> Self {
        let retention_ns = retention.map_or(0, |period| i64::try_from(period.as_nanos()).unwrap_or(i64::MAX));
        let keep = LogRetention { default_ns: retention_ns, rules: Vec::new() };
        Self {
            wal: path.join("wal"),
            bucket: BucketPlace::Folder(path.join("bucket")),
            retention: Retention { default: retention, ..Retention::default() },
            quiet_after: Options::default().quiet_after,
            push_limits: LogLimits { retention: keep, ..LogLimits::default() }.into(),
            query_limits: LogQueryLimits { retention_ns, ..LogQueryLimits::default() }.into(),
            options: LogOptions::default(),
        }
    }

    /// Keeps the entries of some streams for other times: `{app="debug"}=7d`. The first that matches counts.
    pub fn keep_streams(&mut self, rules: &[String]) -> anyhow::Result<()> {
        let (mut periods, mut stored) = (Vec::new(), Vec::new());
        for rule in rules {
            let told = || {
                format!("--logs-retention-stream={rule}: write a selector and a duration: {{app=\"x\"}}=7d")
            };
            let (selector, period) = rule.rsplit_once('=').with_context(told)?;
            let matchers = logql::parse_matchers(selector).map_err(|error| anyhow::anyhow!("{error}"));
            let matchers = logql::engine::stream_matchers(&matchers.with_context(told)?);
            let period_ms = model::duration::parse_duration_ms(period).with_context(told)?;
            let period = Duration::from_millis(u64::try_from(period_ms).unwrap_or(0));
            let kept = Some(period).filter(|period| !period.is_zero());
            periods.push((matchers.clone(), i64::try_from(period.as_nanos()).unwrap_or(i64::MAX)));
            stored.push(RetentionRule { tenant: None, matchers, period: kept });
        }
        let mut limits = (*self.push_limits.default).clone();
        limits.retention.rules = periods;
        self.push_limits.default = Arc::new(limits);
        self.retention.rules = Arc::new(stored);
        Ok(())
    }
}

/// The storage of logs, once it is open. Clones share it.
#[derive(Clone)]
pub struct Logs {
    store: Store,
    receiver: Arc<LogReceiver>,
    state: Arc<LogState>,
    retention: Arc<ArcSwap<Retention>>,
}

impl Logs {
    /// A storage that is not open yet. Queries take memory from the budget, as others do, and are seen in the list.
    pub fn new(
        settings: &LogSettings,
        clock: SharedClock,
        (query_budget, queries): (&ByteBudget, &Arc<QueryList>),
        registry: &Registry,
    ) -> Self {
        let (store, followers) = (Store::default(), Arc::<Followers>::default());
        let receiver = LogReceiver::new(Arc::new(store.clone()), settings.push_limits.clone(), clock.clone())
            .observed_by(followers.clone())
            .published_by(registry);
        let receiver = Arc::new(receiver);
        let parts = LogParts {
            source: Arc::new(store.clone()),
            receiver: Arc::new(Door { receiver: receiver.clone(), store: store.clone() }),
            clock,
            query_budget: query_budget.clone(),
            body_budget: ByteBudget::new("logs.max-push-memory", MAX_BODY_BYTES),
            followers,
            running: queries.clone(),
            deletes: Some(Arc::new(store.clone())),
            metrics: Some(LokiMetrics::new(registry, &settings.options.version)),
        };
        let retention = Arc::new(ArcSwap::from_pointee(settings.retention.clone()));
        publish_retention(registry, retention.clone());
        let state = LogState::new(parts, settings.options.clone(), settings.query_limits.clone());
        Self { store, receiver, state, retention }
    }

    /// The logs, for whoever reads them.
    pub fn source(&self) -> Arc<dyn LogSource> {
        Arc::new(self.store.clone())
    }

    /// The door, for logs of this process and its host.
    pub fn receiver(&self) -> Arc<LogReceiver> {
        self.receiver.clone()
    }

    /// The paths of the API of logs.
    pub fn routes(&self) -> axum::Router {
        shared(self.state.clone())
    }

    /// The paths where the API of logs is alone on a listener.
    pub fn seat(&self) -> axum::Router {
        router(self.state.clone())
    }

    /// Goes on with other limits.
    pub fn set_limits(&self, push: LogLimitsBook, query: LogQueryLimitsBook, retention: Retention) {
        self.receiver.set_limits(push);
        self.state.set_limits(query);
        self.retention.store(Arc::new(retention.clone()));
        if let Some(db) = self.store.opened() {
            db.set_retention(retention);
        }
    }

    /// Opens the storage, which reads its log, and begins to flush and compact. Blocks; must be called within a tokio
    /// runtime, which drives the connections to a bucket that is far away.
    pub fn open(
        &self,
        settings: &LogSettings,
        clock: SharedClock,
        registry: &Registry,
    ) -> anyhow::Result<()> {
        let db = Arc::new(open(settings, clock, registry)?);
        let background = Background::start(db.clone()).context("starting threads of the storage of logs")?;
        let retention = told(settings.retention.default);
        tracing::info!(wal = %settings.wal.display(), bucket = %settings.bucket, retention, "storage of logs is open");
        // What was read again while it opened holds.
        db.set_retention(Retention::clone(&self.retention.load()));
        self.store.set(db, background, settings.bucket.to_string());
        Ok(())
    }

    /// Brings what is in memory to the bucket and ends. Blocks.
    pub fn close(&self) {
        self.store.close();
    }
}

/// How long entries are kept, as settings say it.
fn told(retention: Option<Duration>) -> String {
    retention.map_or_else(
        || "off".to_owned(),
        |period| {
            let ms = i64::try_from(period.as_millis()).unwrap_or(i64::MAX);
            model::duration::format_duration_ms(ms).to_string()
        },
    )
}

fn open(settings: &LogSettings, clock: SharedClock, registry: &Registry) -> anyhow::Result<LogDb> {
    let told = |part: &Path| format!("opening {}", part.display());
    let disk = LocalDisk::open(&settings.wal).with_context(|| told(&settings.wal))?;
    let bucket = settings.bucket.open(clock.clone(), registry)?;
    let is_shared = settings.bucket.is_remote();
    let options = Options {
        retention: settings.retention.clone(),
        quiet_after: settings.quiet_after,
        // Others may write to a bucket that is not on this host.
        refresh_every: is_shared.then_some(Duration::from_secs(15)),
        ..Options::default()
    };
    LogDb::open(options, Arc::new(disk), bucket, clock, registry).context("opening the storage of logs")
}

/// Shows how long entries are kept.
fn publish_retention(registry: &Registry, retention: Arc<ArcSwap<Retention>>) {
    registry.collect_with(move |families| {
        let retention = retention.load();
        let help = "How long log entries are kept, by the selector of their streams; 0 is for ever.";
        let mut family = Family::new("bartizan_logs_retention_seconds", help, Kind::Gauge);
        let seconds = |period: Option<Duration>| period.map_or(0.0, |period| period.as_secs_f64());
        family.push(&[("selector", "{}"), ("tenant", "")], seconds(retention.default));
        for rule in retention.rules.iter() {
            let matchers: Vec<String> = rule.matchers.iter().map(ToString::to_string).collect();
            let (selector, tenant) =
                (format!("{{{}}}", matchers.join(", ")), rule.tenant.as_ref().map_or("", |tenant| &tenant.0));
            family.push(&[("selector", &selector), ("tenant", tenant)], seconds(rule.period));
        }
        families.push(family);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_is_told_as_it_is_set() {
        assert_eq!(told(Some(Duration::from_secs(31 * 86_400))), "31d");
        assert_eq!(told(Some(Duration::from_secs(90 * 60))), "1h30m");
        assert_eq!(told(None), "off");
    }
}
