//! The file that failed scrapes are logged to, one JSON object a line.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

/// An open log. Clones share the file.
#[derive(Debug, Clone)]
pub(super) struct FailureLog(Arc<Mutex<File>>);

impl FailureLog {
    /// Opens or creates the file, to be appended to.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let file = File::options().append(true).create(true).open(path)?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    /// Adds a failed scrape.
    pub fn log(&self, now_ms: i64, job: &str, target: &str, error: &str) {
        let time = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default().to_string();
        let line = serde_json::json!({
            "time": time, "level": "ERROR", "msg": error, "job_name": job, "target": target,
        });
        if let Err(error) = writeln!(self.0.lock(), "{line}") {
            tracing::warn!(%error, "cannot write to the scrape failure log");
        }
    }
}
