//! The storage of logs as the traits of the API see it, before and after it is open.

use std::sync::{Arc, OnceLock};

use api::handlers::loki::{
    DayView, DeleteProblem, DeleteRequested, LogDelete, LogDeletes, LogPush, RetentionView, StorageView,
};
use base::Reservation;
use ingest::LogReceiver;
use logdb::{Background, DeleteRequest, LineCondition, LogDb, LogDbError, StoredDelete};
use model::logs::{
    LogAppendError, LogAppender, LogBatch, LogRange, LogRequest, LogSource, LogSteps, PageGroup, PushRefusal,
    StreamVolume,
};
use model::{Labels, Matcher, QueryContext, SourceError, TenantId};
use parking_lot::Mutex;
use wire::loki::PushRequest;

const NOT_OPEN: &str = "the storage of logs is not open yet";

/// The storage. Clones share it.
#[derive(Clone, Default)]
pub struct Store(Arc<Inner>);

#[derive(Default)]
struct Inner {
    db: OnceLock<Arc<LogDb>>,
    background: Mutex<Option<Background>>,
    /// Where objects are, in words.
    bucket: OnceLock<String>,
}

impl Store {
    /// Begins to be open.
    pub fn set(&self, db: Arc<LogDb>, background: Background, bucket: String) {
        let _ = self.0.bucket.set(bucket);
        *self.0.background.lock() = Some(background);
        // Opened once, by the one who started it.
        let _ = self.0.db.set(db);
    }

    /// Brings what is in memory to the bucket and ends. Blocks.
    pub fn close(&self) {
        if let Some(background) = self.0.background.lock().take() {
            background.stop();
        }
    }

    /// The engine, once it is open.
    pub fn opened(&self) -> Option<&Arc<LogDb>> {
        self.0.db.get()
    }

    fn db(&self) -> Result<&Arc<LogDb>, SourceError> {
        self.opened().ok_or_else(|| SourceError::Storage(NOT_OPEN.to_owned()))
    }
}

impl LogAppender for Store {
    fn append(&self, tenant: &TenantId, batches: Vec<LogBatch>) -> Result<(), LogAppendError> {
        match self.opened() {
            Some(db) => db.append(tenant, batches),
            None => Err(LogAppendError::Busy(NOT_OPEN.to_owned())),
        }
    }

    fn lack_of_room(&self) -> Option<String> {
        match self.opened() {
            Some(db) => db.lack_of_room(),
            None => Some(NOT_OPEN.to_owned()),
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

    fn volumes_by_step(
        &self,
        steps: LogSteps,
        matchers: &[Matcher],
        ctx: &QueryContext,
        add: &mut dyn FnMut(&Labels, usize, u64) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        self.db()?.volumes_by_step(steps, matchers, ctx, add)
    }
}

/// Where pushes come in.
pub struct Door {
    /// What they go through.
    pub receiver: Arc<LogReceiver>,
    /// Where they end.
    pub store: Store,
}

impl LogPush for Door {
    fn push(
        &self,
        tenant: &TenantId,
        request: PushRequest,
        memory: &mut Reservation,
    ) -> Result<(), PushRefusal> {
        self.receiver.push_within(tenant, request, memory)
    }

    fn push_otlp(&self, tenant: &TenantId, body: &[u8], memory: &mut Reservation) -> Result<(), PushRefusal> {
        self.receiver.push_otlp(tenant, body, memory)
    }

    fn lack_of_room(&self) -> Option<String> {
        self.receiver.lack_of_room()
    }

    fn flush(&self) -> Result<(), String> {
        let db = self.store.opened().ok_or(NOT_OPEN)?;
        db.flush().map(drop).map_err(|error| error.to_string())
    }

    fn storage(&self, tenant: &TenantId) -> Option<StorageView> {
        let db = self.store.opened()?;
        Some(storage_view(db, tenant, self.store.0.bucket.get().cloned().unwrap_or_default()))
    }

    fn is_ready(&self) -> bool {
        self.store.opened().is_some()
    }
}

fn storage_view(db: &LogDb, tenant: &TenantId, bucket: String) -> StorageView {
    let (overview, options, retention) = (db.overview(tenant), db.options(), db.retention());
    let day = |day: logdb::DayOverview| DayView {
        day: day.day.to_string(),
        objects: day.objects,
        entries: day.entries,
        size_bytes: day.size_bytes,
        line_bytes: day.line_bytes,
        quarantined: day.quarantined,
        levels: day.levels,
    };
    let rules = retention.rules.iter();
    let rules = rules.filter(|rule| rule.tenant.as_ref().is_none_or(|of| of == tenant)).map(|rule| {
        let matchers: Vec<String> = rule.matchers.iter().map(ToString::to_string).collect();
        RetentionView { selector: format!("{{{}}}", matchers.join(", ")), seconds: seconds(rule.period) }
    });
    let default = RetentionView { selector: "{}".to_owned(), seconds: seconds(retention.default) };
    StorageView {
        bucket,
        memory_bytes: overview.memory_bytes,
        max_memory_bytes: options.max_unflushed_bytes as u64,
        memory_streams: overview.memory_streams,
        wal_bytes: overview.wal_bytes,
        max_wal_bytes: options.max_wal_bytes,
        wal_segments: overview.wal_segments,
        waiting: overview.waiting,
        days: overview.days.into_iter().map(day).collect(),
        retention: rules.chain([default]).collect(),
    }
}

fn seconds(period: Option<std::time::Duration>) -> Option<f64> {
    period.map(|period| period.as_secs_f64())
}

impl LogDeletes for Store {
    fn add(&self, tenant: &TenantId, request: &LogDelete) -> Result<String, DeleteProblem> {
        let condition = |(text, contains): &(String, bool)| match contains {
            true => LineCondition::Contains(text.clone()),
            false => LineCondition::Lacks(text.clone()),
        };
        let request = DeleteRequest {
            matchers: request.matchers.clone(),
            lines: request.lines.iter().map(condition).collect(),
            range: request.range,
        };
        let added = self.engine()?.delete(tenant, &request);
        added.map(|id| id.to_string()).map_err(problem)
    }

    fn all(&self, tenant: &TenantId) -> Result<Vec<DeleteRequested>, DeleteProblem> {
        Ok(self.engine()?.deletes(tenant).iter().map(told).collect())
    }

    fn cancel(&self, tenant: &TenantId, id: &str) -> Result<(), DeleteProblem> {
        let id = id.parse().map_err(|_| DeleteProblem::NotFound)?;
        match self.engine()?.cancel_delete(tenant, id).map_err(problem)? {
            true => Ok(()),
            false => Err(DeleteProblem::NotFound),
        }
    }
}

impl Store {
    fn engine(&self) -> Result<&Arc<LogDb>, DeleteProblem> {
        self.opened().ok_or_else(|| DeleteProblem::Failed(NOT_OPEN.to_owned()))
    }
}

fn problem(error: LogDbError) -> DeleteProblem {
    match error {
        LogDbError::Request(text) => DeleteProblem::Invalid(text.to_owned()),
        other => DeleteProblem::Failed(other.to_string()),
    }
}

fn told(stored: &StoredDelete) -> DeleteRequested {
    let quoted = |text: &str| format!("{}", model::labels::Quoted(text));
    let matchers: Vec<String> =
        stored.matchers.iter().map(|(op, name, value)| format!("{name}{op}{}", quoted(value))).collect();
    let mut query = format!("{{{}}}", matchers.join(", "));
    for condition in &stored.lines {
        let (op, text) = match condition {
            LineCondition::Contains(text) => ("|=", text),
            LineCondition::Lacks(text) => ("!=", text),
        };
        query.push_str(&format!(" {op} {}", quoted(text)));
    }
    DeleteRequested {
        id: stored.id.to_string(),
        created_ms: stored.created_ms,
        start_ns: stored.start_ns,
        end_ns: stored.end_ns,
        query,
        is_done: stored.is_done,
    }
}
