//! The storage engine: opened once the log is replayed, and seen by the API through its traits.

use std::sync::{Arc, OnceLock};

use api::state::{Count, HeadStatus};
use base::clock::SharedClock;
use base::metrics::Registry;
use config::Config;
use model::{
    Appendable, Appender, Exemplar, LabelRequest, Labels, Matcher, QueryContext, SelectRequest, SeriesSet,
    SeriesSource, SourceError, TenantId, TimeRange,
};
use tsdb::compact::retention::Retention;
use tsdb::wal::{LogTail, ReplayProgress};
use tsdb::{Agent, AgentOptions, Db, Options, TsdbError};

use super::settings::Settings;
use super::system::Reloadable;

/// Kept when nothing is configured: 15 days.
const DEFAULT_RETENTION_MS: i64 = 15 * 24 * 3_600_000;
/// No block is longer: 31 days.
const MAX_BLOCK_MS: i64 = 31 * 24 * 3_600_000;

/// The options the flags and the configuration ask for.
fn options(settings: &Settings, config: &Config) -> Options {
    let args = &settings.args;
    let ms = |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let retention = retention(settings, config);
    let max_block_duration_ms = match ms(args.max_block_duration.value) {
        // A tenth of the retention, so that dropping a block never drops much too much.
        0 if retention.duration_ms > 0 => (retention.duration_ms / 10).min(MAX_BLOCK_MS),
        0 => MAX_BLOCK_MS,
        given => given,
    };
    let (tsdb, defaults) = (&config.file.storage.tsdb, Options::default());
    let exemplars = if settings.features.exemplar_storage { config.file.storage.max_exemplars() } else { 0 };
    Options {
        retention,
        min_block_duration_ms: ms(args.min_block_duration.value),
        max_block_duration_ms,
        max_chunk_segment_bytes: args
            .tuning
            .chunk_segment_bytes()
            .unwrap_or(defaults.max_chunk_segment_bytes),
        compact_overlaps: args.tuning.compact_overlaps(),
        uploads_file: args.tuning.uploads_file(),
        samples_per_chunk: args.tuning.samples_per_chunk,
        no_lockfile: args.no_lockfile,
        wal_compression: settings.wal_compression(),
        // As with Prometheus, 0 stands for the default.
        wal_segment_bytes: match args.wal_segment_size.value {
            0 => defaults.wal_segment_bytes,
            given => given,
        },
        out_of_order_window_ms: tsdb.out_of_order_time_window.as_ms(),
        max_exemplars: usize::try_from(exemplars).unwrap_or(0),
        series_limit: args.max_series,
        metadata_records: settings.features.metadata_wal_records,
        start_timestamps: settings.features.st_storage,
        snapshot_on_shutdown: settings.features.memory_snapshot_on_shutdown,
        compaction_delay_ms: compaction_delay_ms(settings),
        stale_series_threshold: tsdb.stale_series_compaction_threshold,
        ..defaults
    }
}

/// With the feature on, a random part of the longest delay the flag allows; otherwise none.
fn compaction_delay_ms(settings: &Settings) -> i64 {
    if !settings.features.delayed_compaction {
        return 0;
    }
    let range_ms = i64::try_from(settings.args.min_block_duration.value.as_millis()).unwrap_or(0);
    let longest_ms = range_ms.saturating_mul(settings.compaction_delay_percent()) / 100;
    let mut random = [0_u8; 8];
    match rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()) {
        Ok(_) => i64::from_le_bytes(random).rem_euclid(longest_ms.max(1)),
        // Any delay will do; it only keeps servers apart.
        Err(_) => longest_ms / 2,
    }
}

/// What to keep: the configuration file wins over the flags, and 15 days is the default without either.
pub fn retention(settings: &Settings, config: &Config) -> Retention {
    let (flags, file) = (&settings.args, &config.file.storage.tsdb.retention);
    let flag_ms = i64::try_from(flags.retention_time.value.as_millis()).unwrap_or(i64::MAX);
    let in_file = file.time.as_ms() > 0 || file.size.bytes() > 0 || file.percentage > 0.0;
    let mut kept = if in_file {
        Retention {
            duration_ms: file.time.as_ms(),
            max_bytes: file.size.bytes(),
            max_percent: file.percentage,
        }
    } else {
        Retention { duration_ms: flag_ms, max_bytes: flags.retention_size.value, max_percent: 0.0 }
    };
    if kept == Retention::default() {
        kept.duration_ms = DEFAULT_RETENTION_MS;
    }
    kept
}

/// Opens the data directory: locks it and replays the log, which may take long.
pub fn open(
    settings: &Settings,
    config: &Config,
    clock: SharedClock,
    registry: &Registry,
    progress: ReplayProgress,
) -> anyhow::Result<Store> {
    let path = settings.storage_path.as_path();
    if settings.args.agent.agent {
        let options = AgentOptions { replay_progress: progress, ..super::agent::options(settings, config)? };
        let agent = Agent::open(path, options, clock, registry)?;
        tracing::info!(path = %path.display(), series = agent.series_count(), "log of the agent is open");
        return Ok(Store::Agent(agent));
    }
    let options = Options { replay_progress: progress, ..options(settings, config) };
    let started = clock.monotonic();
    let db = Db::open(path, options, clock.clone(), registry)?;
    let took_ms = u64::try_from(clock.monotonic().saturating_sub(started).as_millis()).unwrap_or(u64::MAX);
    let (series, blocks) = (db.head().series_count(), db.blocks().len());
    tracing::info!(path = %path.display(), series, blocks, took_ms, "storage is open");
    Ok(Store::Server(db))
}

/// Where samples are stored.
pub enum Store {
    /// To be queried.
    Server(Db),
    /// Only to be sent on.
    Agent(Agent),
}

/// The storage, as soon as it is open. Until then reads and writes fail with a text that says so.
#[derive(Clone, Default)]
pub struct Opened {
    store: Arc<OnceLock<Store>>,
    progress: ReplayProgress,
}

const NOT_READY: &str = "TSDB not ready";

impl Opened {
    /// How far the log is read.
    pub fn progress(&self) -> ReplayProgress {
        self.progress.clone()
    }

    /// Makes the storage known to everybody; only the first call counts.
    pub fn set(&self, store: Store) {
        let _ = self.store.set(store);
    }

    /// The database, if it is open and there is one.
    pub fn get(&self) -> Option<&Db> {
        match self.store.get()? {
            Store::Server(db) => Some(db),
            Store::Agent(_) => None,
        }
    }

    /// The log, for those who send what it gains.
    pub fn log(&self) -> Option<LogTail> {
        match self.store.get()? {
            Store::Server(db) => db.head().log_tail(),
            Store::Agent(agent) => Some(agent.log().clone()),
        }
    }

    fn for_reading(&self) -> Result<&dyn SeriesSource, SourceError> {
        match self.store.get() {
            Some(Store::Server(db)) => Ok(db),
            Some(Store::Agent(agent)) => Ok(agent),
            None => Err(SourceError::Storage(NOT_READY.to_owned())),
        }
    }

    fn for_admin(&self) -> Result<&Db, String> {
        match self.store.get() {
            Some(Store::Server(db)) => Ok(db),
            Some(Store::Agent(_)) => Err("unsupported operation with WAL-only storage".to_owned()),
            None => Err(NOT_READY.to_owned()),
        }
    }

    /// Does what is due.
    pub fn maintain(&self) -> Result<(), TsdbError> {
        match self.store.get() {
            Some(Store::Server(db)) => db.maintain().map(drop),
            Some(Store::Agent(agent)) => Ok(agent.maintain()?),
            None => Ok(()),
        }
    }

    /// Makes everything durable.
    pub fn close(&self) -> Result<(), TsdbError> {
        match self.store.get() {
            Some(Store::Server(db)) => db.close(),
            Some(Store::Agent(agent)) => Ok(agent.close()?),
            None => Ok(()),
        }
    }
}

impl SeriesSource for Opened {
    fn select(&self, request: &SelectRequest, ctx: &QueryContext) -> Result<Box<dyn SeriesSet>, SourceError> {
        self.for_reading()?.select(request, ctx)
    }

    fn label_names(&self, request: &LabelRequest, ctx: &QueryContext) -> Result<Vec<String>, SourceError> {
        self.for_reading()?.label_names(request, ctx)
    }

    fn label_values(
        &self,
        name: &str,
        request: &LabelRequest,
        ctx: &QueryContext,
    ) -> Result<Vec<String>, SourceError> {
        self.for_reading()?.label_values(name, request, ctx)
    }

    fn exemplars(
        &self,
        range: TimeRange,
        matcher_sets: &[Vec<Matcher>],
        ctx: &QueryContext,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, SourceError> {
        self.for_reading()?.exemplars(range, matcher_sets, ctx)
    }
}

impl Appendable for Opened {
    fn appender(&self, tenant: &TenantId) -> Box<dyn Appender> {
        match self.store.get().expect("scraping starts after the storage is open") {
            Store::Server(db) => db.appender(tenant),
            Store::Agent(agent) => agent.appender(tenant),
        }
    }
}

impl Reloadable for Opened {
    fn reload(&self, settings: &Settings, config: &Config) -> Result<(), String> {
        let window_ms = config.file.storage.tsdb.out_of_order_time_window.as_ms();
        let db = match self.store.get() {
            Some(Store::Server(db)) => db,
            Some(Store::Agent(agent)) => {
                agent.set_out_of_order_window_ms(window_ms);
                return Ok(());
            }
            None => return Ok(()),
        };
        db.set_retention(retention(settings, config));
        db.set_stale_series_threshold(config.file.storage.tsdb.stale_series_compaction_threshold);
        db.head().set_out_of_order_window_ms(window_ms).map_err(|error| error.to_string())?;
        if settings.features.exemplar_storage {
            db.head().set_max_exemplars(usize::try_from(config.file.storage.max_exemplars()).unwrap_or(0));
        }
        Ok(())
    }
}

impl api::state::Storage for Opened {
    fn head_status(&self, limit: usize) -> Result<HeadStatus, String> {
        let stats = self.for_admin()?.head().stats(model::METRIC_NAME, limit);
        let counts = |list: Vec<tsdb::head::LabelCount>| {
            list.into_iter().map(|count| Count { name: count.name, value: count.value }).collect()
        };
        Ok(HeadStatus {
            series: stats.series,
            label_pairs: stats.label_pairs,
            chunks: u64::try_from(stats.chunks).unwrap_or(0),
            min_time_ms: stats.min_ms,
            max_time_ms: stats.max_ms,
            series_by_metric: counts(stats.series_by_metric),
            values_by_label: counts(stats.values_by_name),
            memory_by_label: counts(stats.bytes_by_name),
            series_by_pair: counts(stats.series_by_pair),
        })
    }

    fn blocks(&self) -> Result<Vec<serde_json::Value>, String> {
        let blocks = self.for_admin()?.blocks();
        blocks.iter().map(|meta| serde_json::to_value(meta).map_err(|error| error.to_string())).collect()
    }

    fn wal_replay(&self) -> (u64, u64, u64) {
        let status = self.progress.status();
        (status.first.into(), status.last.into(), status.current.into())
    }

    fn delete(&self, range: TimeRange, matchers: &[Matcher]) -> Result<(), String> {
        self.for_admin()?.delete(range, matchers).map_err(|error| error.to_string())
    }

    fn clean_tombstones(&self) -> Result<(), String> {
        self.for_admin()?.clean_tombstones().map_err(|error| error.to_string())
    }

    fn snapshot(&self, skip_head: bool) -> Result<String, String> {
        use base::Clock;
        let db = self.for_admin()?;
        let now = jiff::Timestamp::from_millisecond(base::SystemClock::new().now_ms())
            .map_err(|e| e.to_string())?;
        let mut random = [0_u8; 8];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
            .map_err(|e| e.to_string())?;
        let name = format!("{}-{:016x}", now.strftime("%Y%m%dT%H%M%SZ"), u64::from_le_bytes(random) >> 1);
        let dir = db.dir().join("snapshots").join(&name);
        db.snapshot(&dir, !skip_head).map_err(|error| format!("create snapshot: {error}"))?;
        Ok(name)
    }
}

/// What is kept, as the status page shows it: `15d or 512MB`.
pub fn retention_text(settings: &Settings, config: &Config) -> String {
    let kept = retention(settings, config);
    let mut parts = Vec::new();
    if kept.duration_ms > 0 {
        parts.push(model::duration::format_duration_ms(kept.duration_ms));
    }
    if kept.max_percent > 0.0 {
        parts.push(format!("{}%", kept.max_percent));
    } else if kept.max_bytes > 0 {
        parts.push(config::ByteSize(i64::try_from(kept.max_bytes).unwrap_or(i64::MAX)).to_string());
    }
    parts.join(" or ")
}
