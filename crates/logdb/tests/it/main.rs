//! The engine on real files: killed, and read by others.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers as well")]

mod crash;
mod duckdb;
mod golden;
mod hostile;
mod s3;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base::SystemClock;
use base::metrics::Registry;
use blob::LocalBucket;
use logdb::wal::LocalDisk;
use logdb::{LogDb, Options, Retention};

/// An engine on a directory, as the embedded default has it.
fn open(dir: &Path, options: Options) -> LogDb {
    let disk = LocalDisk::open(&dir.join("wal")).unwrap();
    let bucket = LocalBucket::open(&dir.join("bucket")).unwrap();
    LogDb::open(options, Arc::new(disk), Arc::new(bucket), SystemClock::shared(), &Registry::new()).unwrap()
}

fn keep_for_ever() -> Options {
    Options { retention: Retention::default(), quiet_after: Duration::ZERO, ..Options::default() }
}
