//! The engine in a world that breaks: a clock that is told, disks that tear writes and lose what was not synced, a
//! bucket that fails, loses answers, is late or lies, directories that lose power, and others that come between. Everything follows from a seed;
//! a failure names it.

mod damage;
mod deletes;
mod disk;
mod hook;
mod mending;
mod overlaps;
mod scene;
mod store;
mod world;

use std::time::Duration;

use model::context::QueryContext;
use model::labels::Labels;
use model::logs::{LogBatch, LogColumns, LogEntry, LogRange, LogRequest, LogSource};
use model::source::{SourceError, TenantId};

use crate::{LogDb, Options, Retention};
pub(crate) use disk::SimDisk;

/// A stream, a time and a line.
pub(crate) type Row = (Labels, i64, String);

/// Numbers that follow from a seed.
pub(crate) struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x5851_f42d_4c95_7f2d)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

pub(crate) fn small_options(seed: u64) -> Options {
    Options {
        memtable_bytes: 3000,
        max_unflushed_bytes: 20_000,
        max_wait: Duration::ZERO,
        group_bytes: 600,
        target_object_bytes: 20_000,
        compaction_inputs: 3,
        removal_grace: Duration::from_secs(20),
        orphan_age: Duration::from_secs(60),
        index_cache_bytes: 3000,
        final_zstd_level: 1,
        retention: Retention::default(),
        seed,
        ..Options::default()
    }
}

pub(crate) const RANGE: LogRange = LogRange { start_ns: i64::MIN, end_ns: i64::MAX };

/// All rows a query sees; an error when any is there twice, or counts are not those of the rows.
pub(crate) fn read_all(db: &LogDb, request: &LogRequest) -> Result<Vec<Row>, SourceError> {
    read_told(db, request).map(|(rows, _)| rows)
}

/// The same, and what the query was warned of.
pub(crate) fn read_told(db: &LogDb, request: &LogRequest) -> Result<(Vec<Row>, Vec<String>), SourceError> {
    read_of(db, &TenantId::default(), request)
}

/// The same of some tenant.
pub(crate) fn read_of(
    db: &LogDb,
    tenant: &TenantId,
    request: &LogRequest,
) -> Result<(Vec<Row>, Vec<String>), SourceError> {
    let mut ctx = QueryContext::unbounded();
    ctx.tenant = tenant.clone();
    let mut rows = Vec::new();
    for group in db.select(request, &ctx)? {
        let page = group.reader.read(LogColumns::ALL, &ctx)?;
        for run in &group.runs {
            let times = &page.timestamps_ns[run.rows.clone()];
            assert!(times.windows(2).all(|pair| pair[0] <= pair[1]));
            assert_eq!((times.first(), times.last()), (Some(&run.first_ns), Some(&run.last_ns)));
            let mut bytes = 0;
            for row in run.rows.clone() {
                let line = page.lines.get(row);
                bytes += line.len() as u64;
                // Each line tells its own metadata.
                let line = String::from_utf8(line.to_vec()).expect("lines of the simulation are text");
                let metadata: Vec<_> = page.metadata.row(row).map(|(name, value)| (&**name, value)).collect();
                assert_eq!(metadata, [("line", line.as_bytes())]);
                rows.push(((*run.stream).clone(), page.timestamps_ns[row], line));
            }
            assert_eq!(bytes, run.line_bytes);
        }
    }
    Ok((rows, ctx.take_warnings()))
}

pub(crate) fn everything() -> LogRequest {
    LogRequest { range: RANGE, matchers: Vec::new(), hints: Vec::new() }
}

pub(crate) fn batches_of(rows: &[Row]) -> Vec<LogBatch> {
    let entry = |(stream, timestamp_ns, line): &Row| LogBatch {
        stream: stream.clone(),
        entries: vec![LogEntry {
            timestamp_ns: *timestamp_ns,
            line: line.clone().into(),
            metadata: vec![("line".into(), line.as_str().into())],
        }],
    };
    rows.iter().map(entry).collect()
}
