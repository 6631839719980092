//! The API of logs over a store in memory, for `run.py` of the LogQL conformance data and for trying queries out:
//! `logs_fixture 127.0.0.1:3100`.

use std::sync::Arc;

use api::handlers::loki::{LogOptions, LogPush, LogPushProblem, LogState, router};
use base::{ByteBudget, ErrorKind, SystemClock};
use ingest::{LogLimits, LogReceiver, Refusal};
use model::TenantId;
use testkit::logs::MemoryLogs;
use wire::loki::PushRequest;

struct Door(LogReceiver);

fn problem(refusal: Refusal) -> LogPushProblem {
    let status = match refusal.kind {
        _ if refusal.is_empty => 422,
        ErrorKind::InvalidInput => 400,
        ErrorKind::LimitExceeded => 429,
        ErrorKind::Unavailable => 503,
        _ => 500,
    };
    LogPushProblem { status, text: refusal.text, retry_after: refusal.retry_after }
}

impl LogPush for Door {
    fn push(&self, tenant: &TenantId, request: PushRequest) -> Result<(), LogPushProblem> {
        self.0.push(tenant, request).map_err(problem)
    }

    fn push_otlp(&self, tenant: &TenantId, body: &[u8]) -> Result<(), LogPushProblem> {
        self.0.push_otlp(tenant, body).map_err(problem)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3100".to_owned());
    let store = MemoryLogs::default();
    let clock = SystemClock::shared();
    let receiver = LogReceiver::new(Arc::new(store.clone()), LogLimits::default(), clock.clone());
    let state = LogState {
        source: Arc::new(store),
        receiver: Arc::new(Door(receiver)),
        clock,
        query_budget: ByteBudget::new("query.max-memory", 1 << 30),
        body_budget: ByteBudget::new("server.max-push-bytes", 256 << 20),
        options: LogOptions::default(),
        tails: Arc::new(tokio::sync::Semaphore::new(16)),
    };
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::bind(&address).await?;
        println!("listening on {}", listener.local_addr()?);
        axum::serve(listener, router(state)).await?;
        Ok(())
    })
}
