//! The storage of logs and its door: opened beside the listener, and seen by the API through its traits.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use api::handlers::loki::{LogOptions, LogPush, LogPushProblem, LogState, shared};
use base::ByteBudget;
use base::clock::SharedClock;
use base::metrics::Registry;
use blob::LocalBucket;
use ingest::{LogLimits, LogReceiver, Refusal};
use logdb::wal::LocalDisk;
use logdb::{Background, LogDb, Options, Retention};
use model::logs::{
    LogAppendError, LogAppender, LogBatch, LogRange, LogRequest, LogSource, PageGroup, StreamVolume,
};
use model::{Labels, Matcher, QueryContext, SourceError, TenantId};
use parking_lot::Mutex;
use wire::loki::PushRequest;

use super::settings::LogSettings;

/// Bodies of pushes may take that much memory at a time.
const MAX_BODY_BYTES: usize = 128 << 20;

/// The storage of logs, once it is open. Clones share it.
#[derive(Clone)]
pub struct Logs {
    store: Store,
    clock: SharedClock,
    query_budget: ByteBudget,
}

/// The storage as the traits of the API see it.
#[derive(Clone, Default)]
struct Store(Arc<Inner>);

#[derive(Default)]
struct Inner {
    db: OnceLock<Arc<LogDb>>,
    background: Mutex<Option<Background>>,
}

impl Logs {
    /// A storage that is not open yet. Queries take memory from `query_budget`, as others do.
    pub fn new(clock: SharedClock, query_budget: &ByteBudget) -> Self {
        Self { store: Store::default(), clock, query_budget: query_budget.clone() }
    }

    /// The logs, for whoever reads them.
    pub fn source(&self) -> Arc<dyn LogSource> {
        Arc::new(self.store.clone())
    }

    /// The paths of the API of logs.
    pub fn routes(&self) -> axum::Router {
        let appender = Arc::new(self.store.clone());
        let receiver = LogReceiver::new(appender, LogLimits::default(), self.clock.clone());
        let options = LogOptions::default();
        shared(Arc::new(LogState {
            source: Arc::new(self.store.clone()),
            receiver: Arc::new(Door { receiver, store: self.store.clone() }),
            clock: self.clock.clone(),
            query_budget: self.query_budget.clone(),
            body_budget: ByteBudget::new("logs.max-push-memory", MAX_BODY_BYTES),
            tails: Arc::new(tokio::sync::Semaphore::new(options.max_tails)),
            options,
        }))
    }

    /// Opens the storage, which reads its log, and begins to flush and compact. Blocks.
    pub fn open(
        &self,
        settings: &LogSettings,
        clock: SharedClock,
        registry: &Registry,
    ) -> anyhow::Result<()> {
        let db = Arc::new(open(settings, clock, registry)?);
        let background = Background::start(db.clone()).context("starting threads of the storage of logs")?;
        let Inner { db: place, background: running } = &*self.store.0;
        *running.lock() = Some(background);
        tracing::info!(path = %settings.path.display(), retention = ?settings.retention, "storage of logs is open");
        // Opened once, by the one who started it.
        let _ = place.set(db);
        Ok(())
    }

    /// Brings what is in memory to the bucket and ends. Blocks.
    pub fn close(&self) {
        if let Some(background) = self.store.0.background.lock().take() {
            background.stop();
        }
    }
}

fn open(settings: &LogSettings, clock: SharedClock, registry: &Registry) -> anyhow::Result<LogDb> {
    let LogSettings { path, retention } = settings;
    let told = |part: &Path| format!("opening {}", part.display());
    let (wal, bucket) = (path.join("wal"), path.join("bucket"));
    let disk = LocalDisk::open(&wal).with_context(|| told(&wal))?;
    let bucket = LocalBucket::open(&bucket).with_context(|| told(&bucket))?;
    let retention = Retention { default: *retention, ..Retention::default() };
    let options = Options { retention, ..Options::default() };
    LogDb::open(options, Arc::new(disk), Arc::new(bucket), clock, registry).with_context(|| told(path))
}

/// Where pushes come in.
struct Door {
    receiver: LogReceiver,
    store: Store,
}

fn problem(refusal: Refusal) -> LogPushProblem {
    let Refusal { kind, is_empty, text, retry_after } = refusal;
    LogPushProblem { kind, is_empty, text, retry_after }
}

impl LogPush for Door {
    fn push(&self, tenant: &TenantId, request: PushRequest) -> Result<(), LogPushProblem> {
        self.receiver.push(tenant, request).map_err(problem)
    }

    fn push_otlp(&self, tenant: &TenantId, body: &[u8]) -> Result<(), LogPushProblem> {
        self.receiver.push_otlp(tenant, body).map_err(problem)
    }

    fn flush(&self) -> Result<(), String> {
        let db = self.store.db().map_err(|error| error.to_string())?;
        db.flush().map(drop).map_err(|error| error.to_string())
    }

    fn is_ready(&self) -> bool {
        self.store.db().is_ok()
    }
}

impl Store {
    fn db(&self) -> Result<&Arc<LogDb>, SourceError> {
        self.0.db.get().ok_or_else(|| SourceError::Storage("the storage of logs is not open yet".to_owned()))
    }
}

impl LogAppender for Store {
    fn append(&self, tenant: &TenantId, batches: Vec<LogBatch>) -> Result<(), LogAppendError> {
        match self.db() {
            Ok(db) => db.append(tenant, batches),
            Err(error) => Err(LogAppendError::Busy(error.to_string())),
        }
    }
}

impl LogSource for Store {
    fn select(&self, request: &LogRequest, ctx: &QueryContext) -> Result<Vec<PageGroup>, SourceError> {
        self.db()?.select(request, ctx)
    }

    fn streams(
        &self,
        range: LogRange,
        matcher_sets: &[Vec<Matcher>],
        ctx: &QueryContext,
    ) -> Result<Vec<Labels>, SourceError> {
        self.db()?.streams(range, matcher_sets, ctx)
    }

    fn volumes(
        &self,
        range: LogRange,
        matchers: &[Matcher],
        ctx: &QueryContext,
    ) -> Result<Vec<StreamVolume>, SourceError> {
        self.db()?.volumes(range, matchers, ctx)
    }
}
