//! What is stored, in numbers.

use model::source::TenantId;

use super::LogDb;
use crate::day::Day;
use crate::manifest::Manifest;

/// What is in memory, in the log of entries and in the bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overview {
    /// Bytes in memory that are not in the bucket yet, of all tenants.
    pub memory_bytes: u64,
    /// Streams of the tenant in memory.
    pub memory_streams: u64,
    /// Bytes of the log of entries, of all tenants.
    pub wal_bytes: u64,
    /// Segments of that log.
    pub wal_segments: u64,
    /// Memtables and objects that wait to be in the bucket, of all tenants.
    pub waiting: u64,
    /// The tenant's days in the bucket, the latest first.
    pub days: Vec<DayOverview>,
}

/// What the bucket holds of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayOverview {
    /// The day.
    pub day: Day,
    /// Objects that are read.
    pub objects: u64,
    /// Entries in them.
    pub entries: u64,
    /// Their bytes in the bucket.
    pub size_bytes: u64,
    /// Bytes of their lines, before compression.
    pub line_bytes: u64,
    /// Objects that are damaged and set aside.
    pub quarantined: u64,
    /// Objects by their level of compaction.
    pub levels: Vec<u64>,
}

impl LogDb {
    /// What is stored of a tenant, as far as it is known here.
    pub fn overview(&self, tenant: &TenantId) -> Overview {
        let state = self.state.read();
        let days = state.catalog.all().filter(|(of, _, _)| *of == tenant);
        let mut days: Vec<DayOverview> = days.map(|(_, day, manifest)| overview_of(day, manifest)).collect();
        days.sort_by_key(|day| std::cmp::Reverse(day.day));
        Overview {
            memory_bytes: state.unflushed_bytes() as u64,
            memory_streams: state.active.streams(tenant).count() as u64,
            wal_bytes: state.log_bytes(),
            wal_segments: state.logs.len() as u64,
            waiting: (state.sealed.len() + state.pending.len()) as u64,
            days,
        }
    }
}

fn overview_of(day: Day, manifest: &Manifest) -> DayOverview {
    let mut levels = Vec::new();
    for object in &manifest.objects {
        let level = usize::from(object.level);
        if levels.len() <= level {
            levels.resize(level + 1, 0);
        }
        levels[level] += 1;
    }
    let objects = &manifest.objects;
    DayOverview {
        day,
        objects: objects.len() as u64,
        entries: objects.iter().map(|object| object.rows).sum(),
        size_bytes: objects.iter().map(|object| object.size_bytes).sum(),
        line_bytes: objects.iter().map(|object| object.line_bytes).sum(),
        quarantined: manifest.quarantined.len() as u64,
        levels,
    }
}
