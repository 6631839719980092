//! The loop of one target: wait, fetch, take in, report.

use std::sync::Arc;
use std::time::Duration;

use base::clock::SharedClock;
use model::{Appendable, Appender, TenantId};
use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_util::sync::CancellationToken;

use super::ScrapeOptions;
use super::failure_log::FailureLog;
use super::fetch::{Buffers, FetchError, Fetched, Fetcher};
use super::grid::Grid;
use super::ingest::{Counts, Ingest, IngestSettings, Refusals, TargetState, append_stale_markers};
use super::metadata::TextPool;
use super::metrics::ScrapeMetrics;
use super::report::{Report, ReportOptions};
use super::target::{Health, LastScrape, ScrapeCost, Target};

/// Bodies beyond this are taken in off the reactor. Smaller ones take less than a millisecond, and moving
/// them to another thread and back would cost more than that.
const LARGE_BODY_BYTES: usize = 512 << 10;

/// What all targets of all jobs share.
#[derive(Clone)]
pub(super) struct Shared {
    pub appendable: Arc<dyn Appendable>,
    pub tenant: TenantId,
    pub clock: SharedClock,
    pub metrics: ScrapeMetrics,
    pub options: ScrapeOptions,
    pub buffers: Buffers,
    pub texts: TextPool,
    /// The server is stopping: nothing more is written.
    pub shutdown: CancellationToken,
}

/// What all targets of a job share and may change while they run.
#[derive(Debug, Default)]
pub(super) struct PoolState {
    /// Fails all scrapes: the job has too many targets.
    pub forced_error: Mutex<Option<String>>,
    pub failure_log: Mutex<Option<FailureLog>>,
}

/// The task of one target.
pub(super) struct Task {
    pub shared: Shared,
    pub pool: Arc<PoolState>,
    pub job: String,
    pub target: Arc<Target>,
    pub fetcher: Result<Fetcher, String>,
    pub settings: Arc<IngestSettings>,
    pub extra_metrics: bool,
    pub offset_seed: u64,
    /// This target is to be scraped no longer.
    pub stop: CancellationToken,
    pub state: Box<TargetState>,
    pub last_body_bytes: usize,
}

/// What is left of a task that was stopped.
pub(super) struct Stopped {
    task: Task,
    /// The start of the last scrape, if there was one.
    last: Option<Duration>,
    /// When the next scrape would have been.
    next: Option<Instant>,
}

impl Stopped {
    /// The memory of the task, for the one that goes on in its place.
    pub fn into_state(self) -> Box<TargetState> {
        self.task.state
    }
}

/// One scrape, fetched and waiting to be stored.
struct Scraped {
    fetched: Fetched,
    error: Option<FetchFailure>,
    t_ms: i64,
    started: Duration,
}

/// Why there is no body.
struct FetchFailure {
    text: String,
    is_body_size_limit: bool,
}

impl Task {
    /// Scrapes until stopped.
    pub async fn run(mut self) -> Stopped {
        let now_ms = self.shared.clock.now_ms();
        let offset = self.shared.options.initial_offset + self.target.offset(now_ms, self.offset_seed);
        let mut last = None;
        tokio::select! {
            () = sleep(offset) => {}
            () = self.stop.cancelled() => return Stopped { task: self, last, next: None },
        }
        let interval = self.target.interval;
        let first = Instant::now();
        let mut ticker = interval_at(first + interval, interval);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let tolerance = self.shared.options.timestamp_tolerance;
        let mut grid = Grid::new(self.shared.clock.now_ms(), interval, tolerance);
        while !self.stop.is_cancelled() {
            let t_ms = grid.place(self.shared.clock.now_ms());
            last = Some(self.scrape(last, t_ms).await);
            tokio::select! {
                _ = ticker.tick() => {}
                () = self.stop.cancelled() => {}
            }
        }
        if self.shared.options.scrape_on_shutdown && self.shared.shutdown.is_cancelled() {
            let t_ms = self.shared.clock.now_ms();
            last = Some(self.scrape(last, t_ms).await);
        }
        let ticks = (Instant::now() - first).as_nanos() / interval.as_nanos().max(1) + 1;
        let next = first + interval * u32::try_from(ticks).unwrap_or(u32::MAX);
        Stopped { task: self, last, next: Some(next) }
    }

    /// One scrape; returns its start.
    async fn scrape(&mut self, last: Option<Duration>, t_ms: i64) -> Duration {
        let started = self.shared.clock.monotonic();
        if let Some(last) = last {
            let interval = super::metrics::interval_text(self.target.interval);
            let length = self.shared.metrics.interval_length(&interval);
            length.observe(started.saturating_sub(last));
        }
        let scraped = self.fetch(t_ms, started).await;
        self.store(scraped).await;
        started
    }

    async fn fetch(&mut self, t_ms: i64, started: Duration) -> Scraped {
        let failed = |text: String, is_body_size_limit| {
            let error = Some(FetchFailure { text, is_body_size_limit });
            Scraped { fetched: Fetched::default(), error, t_ms, started }
        };
        if let Some(error) = self.pool.forced_error.lock().clone() {
            return failed(error, false);
        }
        let fetcher = match &self.fetcher {
            Ok(fetcher) => fetcher,
            Err(error) => return failed(error.clone(), false),
        };
        // A reload lets the scrape finish; the end of the server does not wait for it.
        let fetched = tokio::select! {
            fetched = fetcher.fetch(&self.shared.buffers, self.last_body_bytes) => fetched,
            () = self.shared.shutdown.cancelled(), if !self.shared.options.scrape_on_shutdown => {
                Err(FetchError::Canceled)
            }
        };
        match fetched {
            Ok(fetched) => {
                if !fetched.body.is_empty() {
                    self.last_body_bytes = fetched.body.len();
                }
                Scraped { fetched, error: None, t_ms, started }
            }
            Err(error) => {
                let is_body_size_limit =
                    matches!(error, FetchError::BodySizeLimit | FetchError::BuiltInLimit);
                if is_body_size_limit {
                    self.shared.metrics.exceeded_body_size_limit.inc();
                }
                let text = error.to_string();
                tracing::debug!(scrape_pool = %self.job, target = %self.target.url(), error = %text, "scrape failed");
                if let Some(log) = self.pool.failure_log.lock().clone() {
                    log.log(self.shared.clock.now_ms(), &self.job, self.target.url(), &text);
                }
                failed(text, is_body_size_limit)
            }
        }
    }

    /// Stores a scrape, large ones off the reactor.
    async fn store(&mut self, scraped: Scraped) {
        if self.shared.shutdown.is_cancelled() && !self.shared.options.scrape_on_shutdown {
            self.shared.buffers.give_back(scraped.fetched.body);
            return;
        }
        if scraped.fetched.body.len() < LARGE_BODY_BYTES {
            self.storer().store(&mut self.state, scraped);
            return;
        }
        let storer = self.storer();
        let placeholder = Box::new(TargetState::new(self.shared.texts.clone()));
        let mut state = std::mem::replace(&mut self.state, placeholder);
        let stored = tokio::task::spawn_blocking(move || {
            storer.store(&mut state, scraped);
            state
        });
        match stored.await {
            Ok(state) => self.state = state,
            Err(error) => tracing::error!(target = %self.target.url(), %error, "storing a scrape failed"),
        }
    }

    fn storer(&self) -> Storer {
        Storer {
            shared: self.shared.clone(),
            target: self.target.clone(),
            settings: self.settings.clone(),
            job: self.job.clone(),
            extra_metrics: self.extra_metrics,
        }
    }
}

impl Stopped {
    /// Ends the series of a target that is scraped no longer. It may come back at once as another task, and
    /// its samples must then be there before the markers, which are refused if so: hence the wait of two
    /// intervals and a bit. When the server stops nothing is written, for it may be back soon.
    pub async fn end_series(mut self) {
        let (Some(_), Some(next)) = (self.last, self.next) else { return };
        let task = &mut self.task;
        let interval = task.target.interval;
        let shutdown = task.shared.shutdown.clone();
        let wait_until = async |deadline: Instant| {
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => true,
                () = shutdown.cancelled() => false,
            }
        };
        if !wait_until(next).await {
            return;
        }
        let t_ms = task.shared.clock.now_ms();
        if wait_until(next + interval + interval / 10).await {
            task.storer().end_series(&mut task.state, t_ms);
        }
    }
}

/// What storing a scrape needs, apart from the loop.
struct Storer {
    shared: Shared,
    target: Arc<Target>,
    settings: Arc<IngestSettings>,
    job: String,
    extra_metrics: bool,
}

impl Storer {
    fn appender(&self) -> Box<dyn Appender> {
        self.shared.appendable.appender(&self.shared.tenant)
    }

    fn report_options(&self) -> ReportOptions {
        ReportOptions { extra: self.extra_metrics, metadata: self.shared.options.append_metadata }
    }

    /// Stores samples, staleness markers and report in one transaction.
    fn store(&self, state: &mut TargetState, scraped: Scraped) {
        let Scraped { fetched, error, t_ms, started } = scraped;
        let clock = &self.shared.clock;
        let mut appender = self.appender();
        let mut error_text = error.as_ref().map(|e| e.text.clone());
        let (mut counts, mut refusals) = (Counts::default(), Refusals::default());
        state.cache.begin();
        let mut succeeded = false;
        if !fetched.body.is_empty() {
            let times = (t_ms, clock.now_ms());
            let mut ingest = Ingest::new(&self.settings, state, &mut *appender, &self.shared.metrics, times);
            let result = ingest.run(&fetched.body, &fetched.content_type);
            (counts, refusals) = (ingest.counts, std::mem::take(&mut ingest.refusals));
            match result {
                Ok(()) => succeeded = true,
                Err(error) => {
                    tracing::debug!(target = %self.target.url(), %error, "append failed");
                    appender = self.appender();
                    state.cache.forget_tracking();
                    error_text = Some(error.to_string());
                }
            }
        }
        if let Err(error) = append_stale_markers(&state.cache, &mut *appender, t_ms) {
            tracing::warn!(target = %self.target.url(), %error, "append of staleness markers failed");
            appender = self.appender();
            if succeeded {
                error_text = Some(error.to_string());
            }
        }
        self.log_refusals(&refusals);
        if state.cache.finish(succeeded) {
            self.shared.metrics.cache_flush_forced.inc();
        }
        state.metadata.lock().finish(succeeded);
        state.starts.finish(succeeded);

        let body_bytes = match &error {
            Some(failure) if failure.is_body_size_limit => -1.0,
            Some(_) => 0.0,
            None => fetched.body.len() as f64,
        };
        let cost = ScrapeCost {
            samples: counts.scraped as u64,
            samples_kept: counts.kept as u64,
            series_added: counts.series_added as u64,
            body_bytes: fetched.body.len() as u64,
        };
        self.shared.buffers.give_back(fetched.body);
        let duration = clock.monotonic().saturating_sub(started);
        let report = self.report(&counts, duration, error_text.is_none(), body_bytes);
        if let Err(error) = self.append_report(state, &report, appender, t_ms) {
            error_text.get_or_insert(error);
        }
        self.target.report(LastScrape {
            health: if error_text.is_none() { Health::Up } else { Health::Down },
            began_ms: Some(t_ms),
            duration,
            // A target of which a part is not stored is up, but whoever looks must know.
            error: error_text.or_else(|| refusals.series_limit.explain()).unwrap_or_default(),
            cost,
        });
        if self.extra_metrics {
            self.shared
                .metrics
                .scrape_duration
                .observe(clock.monotonic().saturating_sub(started).as_secs_f64());
        }
    }

    fn report(&self, counts: &Counts, duration: Duration, up: bool, body_bytes: f64) -> Report {
        let values = [
            f64::from(u8::from(up)),
            duration.as_secs_f64(),
            counts.scraped as f64,
            counts.kept as f64,
            counts.series_added as f64,
            self.target.timeout.as_secs_f64(),
            self.settings.sample_limit as f64,
            body_bytes,
        ];
        Report { values }
    }

    /// Appends the report and commits. Without a commit nothing of the scrape is stored, and the text says
    /// why.
    fn append_report(
        &self,
        state: &mut TargetState,
        report: &Report,
        mut appender: Box<dyn Appender>,
        t_ms: i64,
    ) -> Result<(), String> {
        let rules = &self.settings.rules;
        if let Err(error) = state.report.append(report, rules, self.report_options(), &mut *appender, t_ms) {
            tracing::warn!(target = %self.target.url(), %error, "appending scrape report failed");
            return Err(format!("appending scrape report failed: {error}"));
        }
        appender.commit().map_err(|error| {
            tracing::error!(target = %self.target.url(), %error, "scrape commit failed");
            format!("scrape commit failed: {error}")
        })
    }

    /// Tells once a scrape what was refused, and of how much.
    fn log_refusals(&self, refusals: &Refusals) {
        let (pool, target) = (&self.job, self.target.url());
        if refusals.out_of_order > 0 {
            let count = refusals.out_of_order;
            tracing::warn!(scrape_pool = %pool, target, num_dropped = count, "error on ingesting out-of-order samples");
        }
        if refusals.duplicate > 0 {
            let count = refusals.duplicate;
            tracing::warn!(
                scrape_pool = %pool, target, num_dropped = count,
                "error on ingesting samples with different value but same timestamp"
            );
        }
        if refusals.out_of_bounds > 0 {
            let count = refusals.out_of_bounds;
            tracing::warn!(
                scrape_pool = %pool, target, num_dropped = count,
                "error on ingesting samples that are too old or are too far into the future"
            );
        }
        if refusals.exemplars_out_of_order > 0 {
            let count = refusals.exemplars_out_of_order;
            tracing::warn!(scrape_pool = %pool, target, num_dropped = count, "error on ingesting out-of-order exemplars");
        }
        if let Some(problem) = refusals.series_limit.explain() {
            let count = refusals.series_limit.count;
            tracing::warn!(scrape_pool = %pool, target, num_dropped = count, problem, "new series are not stored");
            self.shared.metrics.series_refused(pool, target, &refusals.series_limit.by_metric);
        }
    }

    fn end_series(&self, state: &mut TargetState, t_ms: i64) {
        let mut appender = self.appender();
        state.cache.begin();
        if let Err(error) = append_stale_markers(&state.cache, &mut *appender, t_ms) {
            tracing::warn!(target = %self.target.url(), %error, "append of staleness markers failed");
            appender = self.appender();
        }
        state.cache.finish(false);
        // A failure is logged, and there is no target any more to tell it of.
        let _ = self.append_report(state, &Report::stale(), appender, t_ms);
    }
}
