//! What is stored, where, and for how long: for operators.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;

use super::respond::Failure;
use super::{Logs, json, run};

/// What is stored of a tenant.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageView {
    /// Where objects are, in words.
    pub bucket: String,
    /// Bytes of all tenants in memory that are not in the bucket yet.
    pub memory_bytes: u64,
    /// As many may be there before pushes have to wait.
    pub max_memory_bytes: u64,
    /// Streams of the tenant in memory.
    pub memory_streams: u64,
    /// Bytes of the log of entries, of all tenants.
    pub wal_bytes: u64,
    /// As many may be there before pushes have to wait.
    pub max_wal_bytes: u64,
    /// Segments of that log.
    pub wal_segments: u64,
    /// Memtables and objects, of all tenants, that wait to be in the bucket.
    pub waiting: u64,
    /// The days there are, the latest first.
    pub days: Vec<DayView>,
    /// How long entries are kept, by the streams they belong to: the first rule whose selector fits holds.
    pub retention: Vec<RetentionView>,
}

/// What the bucket holds of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DayView {
    /// The day, such as `2026-11-21`.
    pub day: String,
    /// Objects that are read.
    pub objects: u64,
    /// Entries in them.
    pub entries: u64,
    /// Their bytes in the bucket.
    pub size_bytes: u64,
    /// Bytes of their lines, before compression.
    pub line_bytes: u64,
    /// Objects that were found damaged and are set aside.
    pub quarantined: u64,
    /// How many objects of each level of compaction there are, from 0.
    pub levels: Vec<u64>,
}

/// How long entries of some streams are kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetentionView {
    /// The streams it is for.
    pub selector: String,
    /// How long, in seconds; `None` is for ever.
    pub seconds: Option<f64>,
}

/// `GET /storage`: a [`StorageView`].
pub(super) async fn storage(State(state): State<Logs>, headers: HeaderMap) -> Result<Response, Failure> {
    let view = run(&state, &headers, |state, ctx| {
        let view = state.receiver.storage(&ctx.tenant);
        view.ok_or_else(|| Failure::new(503, "the storage of logs is not open yet"))
    });
    let body = serde_json::to_vec(&view.await?).map_err(|error| Failure::new(500, error.to_string()))?;
    Ok(json(body))
}
