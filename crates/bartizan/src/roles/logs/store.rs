//! The storage of logs as the traits of the API see it, before and after it is open.

use std::sync::{Arc, OnceLock};

use api::handlers::loki::{DeleteProblem, DeleteRequested, LogDelete, LogDeletes, LogPush};
use base::Reservation;
use ingest::LogReceiver;
use logdb::{Background, DeleteRequest, LineCondition, LogDb, LogDbError, StoredDelete};
use model::logs::{
    LogAppendError, LogAppender, LogBatch, LogRange, LogRequest, LogSource, PageGroup, PushRefusal,
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
}

impl Store {
    /// Begins to be open.
    pub fn set(&self, db: Arc<LogDb>, background: Background) {
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

    fn is_ready(&self) -> bool {
        self.store.opened().is_some()
    }
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
