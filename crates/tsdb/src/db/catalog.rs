//! The blocks of the data directory: finding, opening, setting aside, dropping.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::metrics::{Counter, Gauge, Registry};
use model::TimeRange;
use parking_lot::RwLock;
use ulid::Ulid;

use crate::block::Block;
use crate::block::damage::DamageLog;
use crate::block::meta::{HINT_OUT_OF_ORDER, PARTIAL_HINTS, sync_dir};
use crate::block::writer::CREATION_SUFFIX;
use crate::compact::retention::{Retention, blocks_to_drop, disk_bytes};
use crate::error::TsdbError;

/// Where damaged files are kept.
pub const QUARANTINE_DIR: &str = "quarantine";
const DELETION_SUFFIX: &str = ".tmp-for-deletion";
const LEGACY_SUFFIX: &str = ".tmp";

/// The open blocks, by start of their range.
pub(super) struct Catalog {
    dir: PathBuf,
    damage: Arc<DamageLog>,
    blocks: Arc<RwLock<Arc<Vec<Block>>>>,
    metrics: CatalogMetrics,
}

struct CatalogMetrics {
    reloads: Counter,
    reload_failures: Counter,
    time_retentions: Counter,
    size_retentions: Counter,
    quarantined: Counter,
    blocks_bytes: Gauge,
}

impl CatalogMetrics {
    fn new(registry: &Registry, blocks: &Arc<RwLock<Arc<Vec<Block>>>>) -> Self {
        let blocks = blocks.clone();
        registry.collect_with(move |families| {
            use base::metrics::{Family, Kind};
            let blocks = blocks.read().clone();
            let symbols: usize = blocks.iter().map(|block| block.index().symbol_table_bytes()).sum();
            let loaded = Family::new(
                "prometheus_tsdb_blocks_loaded",
                "Number of currently loaded data blocks",
                Kind::Gauge,
            );
            families.push(loaded.with(&[], blocks.len() as f64));
            let table = Family::new(
                "prometheus_tsdb_symbol_table_size_bytes",
                "Size of symbol table in memory for loaded blocks",
                Kind::Gauge,
            );
            families.push(table.with(&[], symbols as f64));
        });
        let counter = |name, help| registry.counter(name, help, &[]);
        Self {
            reloads: counter(
                "prometheus_tsdb_reloads_total",
                "Number of times the database reloaded block data from disk.",
            ),
            reload_failures: counter(
                "prometheus_tsdb_reloads_failures_total",
                "Number of times the database failed to reloadBlocks block data from disk.",
            ),
            time_retentions: counter(
                "prometheus_tsdb_time_retentions_total",
                "The number of times that blocks were deleted because the maximum time limit was exceeded.",
            ),
            size_retentions: counter(
                "prometheus_tsdb_size_retentions_total",
                "The number of times that blocks were deleted because the maximum number of bytes was exceeded.",
            ),
            quarantined: counter(
                "bartizan_tsdb_blocks_quarantined_total",
                "Number of damaged blocks that were set aside.",
            ),
            blocks_bytes: registry.gauge(
                "prometheus_tsdb_storage_blocks_bytes",
                "The number of bytes that are currently used for local storage by all blocks.",
                &[],
            ),
        }
    }
}

/// The block a directory is named for.
fn block_name(path: &Path) -> Option<Ulid> {
    let name = path.file_name()?.to_str()?;
    Ulid::from_string(name).ok().filter(|ulid| ulid.to_string() == name)
}

fn subdirectories(dir: &Path) -> Result<Vec<PathBuf>, TsdbError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(TsdbError::io("list", dir))? {
        let path = entry.map_err(TsdbError::io("list", dir))?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

impl Catalog {
    /// The catalog of a data directory, with nothing loaded yet. Leftovers of interrupted writes and
    /// deletions are removed.
    pub(super) fn open(dir: &Path, registry: &Registry) -> Result<Self, TsdbError> {
        for path in subdirectories(dir)? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let leftover = [CREATION_SUFFIX, DELETION_SUFFIX, LEGACY_SUFFIX]
                .iter()
                .filter_map(|suffix| name.strip_suffix(suffix))
                .any(|stem| Ulid::from_string(stem).is_ok());
            if leftover {
                tracing::info!(dir = %path.display(), "remove leftover of an interrupted operation");
                // What stays is not taken for a block; it only takes space.
                if let Err(error) = std::fs::remove_dir_all(&path) {
                    tracing::error!(dir = %path.display(), %error, "leftover cannot be removed");
                }
            }
        }
        let blocks = Arc::new(RwLock::new(Arc::new(Vec::new())));
        let damage = Arc::new(DamageLog::new(registry));
        Ok(Self { dir: dir.to_path_buf(), damage, metrics: CatalogMetrics::new(registry, &blocks), blocks })
    }

    /// The open blocks, by start of their range.
    pub(super) fn blocks(&self) -> Arc<Vec<Block>> {
        self.blocks.read().clone()
    }

    /// The open blocks that touch a closed range of time.
    pub(super) fn overlapping(&self, range: TimeRange) -> Vec<Block> {
        self.blocks().iter().filter(|block| block.range().overlaps(&range)).cloned().collect()
    }

    /// Where the in-order data in blocks ends, if there is any.
    pub(super) fn in_order_end_ms(&self) -> Option<i64> {
        let partial = |block: &Block| {
            let meta = block.meta();
            meta.has_hint(HINT_OUT_OF_ORDER) || PARTIAL_HINTS.iter().any(|hint| meta.has_hint(hint))
        };
        self.blocks().iter().filter(|block| !partial(block)).map(|block| block.meta().max_ms).max()
    }

    /// Opens new blocks of the directory, and drops those that were replaced, are past retention or
    /// empty. With `quarantine`, damaged blocks are set aside; otherwise they are left where they are,
    /// as someone may be copying them.
    pub(super) fn reload(
        &self,
        retention: &Retention,
        head_bytes: u64,
        quarantine: bool,
    ) -> Result<(), TsdbError> {
        self.metrics.reloads.inc();
        let reloaded = self.try_reload(retention, head_bytes, quarantine);
        if reloaded.is_err() {
            self.metrics.reload_failures.inc();
        }
        reloaded
    }

    fn try_reload(&self, retention: &Retention, head_bytes: u64, quarantine: bool) -> Result<(), TsdbError> {
        let open = self.blocks();
        let mut loaded: BTreeMap<Ulid, Block> = BTreeMap::new();
        let mut damaged = Vec::new();
        for path in subdirectories(&self.dir)? {
            let Some(name) = block_name(&path) else { continue };
            let opened = match open.iter().find(|block| block.dir() == path) {
                Some(block) => Ok(block.clone()),
                None => Block::open_noting(&path, self.damage.clone()),
            };
            match opened {
                Ok(block) => {
                    loaded.insert(name, block);
                }
                Err(error) => damaged.push((name, path, error)),
            }
        }
        // A crash after a compaction may have left the blocks it replaced.
        let parents: Vec<Ulid> =
            loaded.values().flat_map(|b| b.meta().compaction.parents).map(|parent| parent.ulid).collect();
        for (name, path, error) in damaged {
            if parents.contains(&name) {
                tracing::warn!(block = %name, "damaged block was replaced by a compaction; deleting it");
                if let Err(error) = self.delete(&path) {
                    tracing::error!(%error, "replaced block cannot be deleted for now");
                }
            } else {
                self.set_aside(&path, &error, quarantine);
            }
        }
        let mut doomed: Vec<Block> = parents.iter().filter_map(|name| loaded.remove(name)).collect();

        let sized: Vec<_> = loaded.values().map(|block| (block.meta(), block.size_bytes())).collect();
        let disk_bytes = if retention.max_percent > 0.0 { disk_bytes(&self.dir) } else { 0 };
        let dropped = blocks_to_drop(&sized, retention, head_bytes, disk_bytes);
        if dropped.by_time {
            self.metrics.time_retentions.inc();
        }
        if dropped.by_size {
            self.metrics.size_retentions.inc();
        }
        doomed.extend(dropped.blocks.iter().filter_map(|name| loaded.remove(name)));

        let kept_bytes: u64 =
            sized.iter().filter(|(meta, _)| loaded.contains_key(&meta.ulid)).map(|(_, bytes)| bytes).sum();
        self.metrics.blocks_bytes.set(kept_bytes as f64);
        let mut blocks: Vec<Block> = loaded.into_values().collect();
        blocks.sort_by_key(|block| block.range().start_ms);
        // New readers see the new blocks before the old ones go; open ones keep the files alive.
        *self.blocks.write() = Arc::new(blocks);
        for block in doomed {
            tracing::info!(block = %block.meta().ulid, "delete obsolete block");
            // What there is must be served even from a disk that cannot be written to; it is tried again.
            if let Err(error) = self.delete(block.dir()) {
                self.metrics.reload_failures.inc();
                tracing::error!(%error, "obsolete block cannot be deleted for now");
            }
        }
        Ok(())
    }

    fn set_aside(&self, path: &Path, error: &TsdbError, quarantine: bool) {
        let damaged = match error {
            TsdbError::Corrupt { .. } => true,
            TsdbError::Io { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
            _ => false,
        };
        if !(quarantine && damaged) {
            tracing::error!(block = %path.display(), %error, "block cannot be opened; going on without it");
            return;
        }
        let target = self.dir.join(QUARANTINE_DIR).join(path.file_name().unwrap_or_default());
        let moved = std::fs::create_dir_all(self.dir.join(QUARANTINE_DIR))
            .and_then(|()| std::fs::rename(path, &target));
        self.metrics.quarantined.inc();
        match moved {
            Ok(()) => {
                tracing::error!(block = %path.display(), %error, moved_to = %target.display(), "damaged block set aside");
            }
            Err(move_error) => {
                tracing::error!(block = %path.display(), %error, %move_error, "damaged block left in place; going on without it");
            }
        }
    }

    fn delete(&self, path: &Path) -> Result<(), TsdbError> {
        let mut doomed = path.as_os_str().to_owned();
        doomed.push(DELETION_SUFFIX);
        let doomed = PathBuf::from(doomed);
        std::fs::rename(path, &doomed).map_err(TsdbError::io("rename", path))?;
        sync_dir(&self.dir)?;
        std::fs::remove_dir_all(&doomed).map_err(TsdbError::io("remove", &doomed))
    }
}
