//! An open block.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Labels, TimeRange};
use parking_lot::RwLock;

use super::chunk_files::{CHUNKS_DIR, ChunkFiles};
use super::damage::DamageLog;
use super::index_reader::{ChunkMeta, IndexReader};
use super::meta::BlockMeta;
use super::postings::Postings;
use super::select::select_series;
use super::tombstones::{TOMBSTONES_FILE, Tombstones, subtract};
use crate::chunk_source::{ChunkSource, SourceChunk, SourceSeries};
use crate::error::TsdbError;

/// An open block. Clones share it; files stay readable until the last clone is gone, even when the
/// directory was removed.
#[derive(Debug, Clone)]
pub struct Block(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) dir: PathBuf,
    pub(super) index: IndexReader,
    pub(super) chunks: ChunkFiles,
    pub(super) damage: Arc<DamageLog>,
    meta: RwLock<BlockMeta>,
    tombstones: RwLock<Arc<Tombstones>>,
}

impl Block {
    /// Opens the block in `dir`, verifying everything but series, postings and chunks, which are
    /// verified as they are read.
    pub fn open(dir: &Path) -> Result<Self, TsdbError> {
        Self::open_noting(dir, Arc::default())
    }

    /// Opens the block in `dir`; damage that queries find is noted in `damage`.
    pub(crate) fn open_noting(dir: &Path, damage: Arc<DamageLog>) -> Result<Self, TsdbError> {
        let mut meta = BlockMeta::read(dir)?;
        let index = IndexReader::open(dir)?;
        let chunks = ChunkFiles::open(&dir.join(CHUNKS_DIR))?;
        let tombstones = Tombstones::read(dir)?;
        meta.stats.num_tombstones = tombstones.len() as u64;
        let (meta, tombstones) = (RwLock::new(meta), RwLock::new(Arc::new(tombstones)));
        Ok(Self(Arc::new(Inner { dir: dir.to_path_buf(), index, chunks, damage, meta, tombstones })))
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// The description.
    pub fn meta(&self) -> BlockMeta {
        self.0.meta.read().clone()
    }

    /// The half-open range as a closed one.
    pub fn range(&self) -> TimeRange {
        let meta = self.0.meta.read();
        TimeRange::new(meta.min_ms, meta.max_ms.saturating_sub(1))
    }

    /// The index.
    pub fn index(&self) -> &IndexReader {
        &self.0.index
    }

    /// What is deleted now.
    pub fn tombstones(&self) -> Arc<Tombstones> {
        self.0.tombstones.read().clone()
    }

    /// Size of all files.
    pub fn size_bytes(&self) -> u64 {
        let small = [super::meta::META_FILE, TOMBSTONES_FILE];
        let sizes = small.map(|name| std::fs::metadata(self.0.dir.join(name)).map_or(0, |m| m.len()));
        self.0.index.size_bytes() + self.0.chunks.size_bytes() + sizes.iter().sum::<u64>()
    }

    /// Changes the description, on disk first.
    pub fn update_meta(&self, change: impl FnOnce(&mut BlockMeta)) -> Result<(), TsdbError> {
        let mut meta = self.0.meta.write();
        let mut changed = meta.clone();
        change(&mut changed);
        changed.write(&self.0.dir)?;
        *meta = changed;
        Ok(())
    }

    /// Marks samples of the matching series in the closed `range` as deleted.
    pub fn delete(&self, range: TimeRange, matchers: &[model::Matcher]) -> Result<(), TsdbError> {
        let mut tombstones = Tombstones::clone(&self.tombstones());
        for id in select_series(&self.0.index, matchers)? {
            let mut span: Option<TimeRange> = None;
            for chunk in self.chunk_metas(id)? {
                let first = span.map_or(chunk.min_ms, |s| s.start_ms);
                span = Some(TimeRange::new(first, chunk.max_ms));
            }
            // An interval no longer than the data keeps the file small and its count meaningful.
            if let Some(span) = span.filter(|span| span.overlaps(&range)) {
                let start_ms = range.start_ms.max(span.start_ms);
                tombstones.add(u64::from(id), TimeRange::new(start_ms, range.end_ms.min(span.end_ms)));
            }
        }
        tombstones.write(&self.0.dir)?;
        let count = tombstones.len() as u64;
        *self.0.tombstones.write() = Arc::new(tombstones);
        self.update_meta(|meta| meta.stats.num_tombstones = count)
    }

    pub(super) fn chunk_metas(&self, id: u32) -> Result<Vec<ChunkMeta>, TsdbError> {
        let bad = |error| self.0.index.bad_series(id, error);
        let chunks = self.0.index.series(id)?.chunks().map_err(bad)?;
        chunks.collect::<Result<_, _>>().map_err(bad)
    }

    /// The labels of a series.
    pub fn labels(&self, id: u32) -> Result<Labels, TsdbError> {
        self.0.labels_where(id, |_| true)
    }

    /// Reads everything once, checksums included; tells the first damage.
    pub fn verify(&self) -> Result<(), TsdbError> {
        let index = &self.0.index;
        let mut samples = 0;
        for id in index.all_postings()?.into_vec() {
            let labels = self.labels(id)?;
            for meta in self.chunk_metas(id)? {
                let (encoding, bytes) = self.0.chunks.chunk(meta.reference)?;
                let problem = |e: &dyn std::fmt::Display| {
                    TsdbError::corrupt(&self.0.dir, format!("series {labels}: {e}"))
                };
                let found = chunkenc::time_range(bytes, encoding).map_err(|e| problem(&e))?;
                if found != Some(TimeRange::new(meta.min_ms, meta.max_ms)) {
                    return Err(problem(&"time range of a chunk differs from the index"));
                }
                samples += u64::from(chunkenc::num_samples(bytes, encoding).map_err(|e| problem(&e))?);
            }
        }
        let names: Vec<_> = index.label_names().collect();
        for name in names {
            index.scan_values(name, "", |_, postings| {
                postings().map(|_| std::ops::ControlFlow::Continue(()))
            })?;
        }
        let expected = self.0.meta.read().stats.num_samples;
        if expected != 0 && expected != samples {
            let problem = format!("holds {samples} samples, meta.json says {expected}");
            return Err(TsdbError::corrupt(&self.0.dir, problem));
        }
        Ok(())
    }

    /// Writes hard links to the files of the block under `dir`, as a snapshot.
    pub fn snapshot(&self, dir: &Path) -> Result<(), TsdbError> {
        let target = dir.join(self.0.meta.read().ulid.to_string());
        let chunks = target.join(CHUNKS_DIR);
        std::fs::create_dir_all(&chunks).map_err(TsdbError::io("create", &chunks))?;
        let link = |from: PathBuf, to: PathBuf| match std::fs::hard_link(&from, &to) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            // Another file system: copy.
            Err(_) => std::fs::copy(&from, &to).map(|_| ()).map_err(TsdbError::io("copy", &from)),
        };
        for name in [super::index_reader::INDEX_FILE, super::meta::META_FILE, TOMBSTONES_FILE] {
            link(self.0.dir.join(name), target.join(name))?;
        }
        let source = self.0.dir.join(CHUNKS_DIR);
        for entry in std::fs::read_dir(&source).map_err(TsdbError::io("list", &source))? {
            let entry = entry.map_err(TsdbError::io("list", &source))?;
            link(entry.path(), chunks.join(entry.file_name()))?;
        }
        super::meta::sync_dir(&target)
    }

    /// The block as a source of series for another block.
    pub fn source(&self) -> Result<BlockSource, TsdbError> {
        let ids = self.0.index.all_postings().map(Postings::into_vec)?;
        Ok(BlockSource { tombstones: self.tombstones(), block: self.clone(), ids: ids.into_iter() })
    }
}

impl Inner {
    /// The labels of a series whose name symbols satisfy `keep`.
    pub(super) fn labels_where(&self, id: u32, keep: impl FnMut(u32) -> bool) -> Result<Labels, TsdbError> {
        let pairs = self.pairs_where(id, keep)?;
        if is_label_set(&pairs) {
            Ok(Labels::from_sorted(pairs.into_iter()))
        } else {
            Ok(Labels::from_pairs(pairs))
        }
    }

    /// Calls `visit` with the labels of a series whose name symbols satisfy `keep`.
    pub(super) fn visit_labels_where(
        &self,
        id: u32,
        keep: impl FnMut(u32) -> bool,
        visit: &mut dyn FnMut(&str, &str),
    ) -> Result<(), TsdbError> {
        let pairs = self.pairs_where(id, keep)?;
        if is_label_set(&pairs) {
            pairs.into_iter().for_each(|(name, value)| visit(name, value));
        } else {
            Labels::from_pairs(pairs).iter().for_each(|(name, value)| visit(name, value));
        }
        Ok(())
    }

    fn pairs_where(
        &self,
        id: u32,
        mut keep: impl FnMut(u32) -> bool,
    ) -> Result<Vec<(&str, &str)>, TsdbError> {
        let mut symbols = Vec::with_capacity(16);
        let entry = self.index.series(id)?;
        let read = entry.labels(|name, value| {
            if keep(name) {
                symbols.push((name, value));
            }
        });
        read.map_err(|error| self.index.bad_series(id, error))?;
        let text = |(name, value)| Ok((self.index.symbol(name)?, self.index.symbol(value)?));
        symbols.into_iter().map(text).collect()
    }

    /// The parts of `range` of series `id` that are not deleted.
    pub(super) fn kept_ranges<'a>(
        tombstones: &'a Tombstones,
        id: u32,
        range: TimeRange,
    ) -> impl Iterator<Item = TimeRange> + 'a {
        subtract(range, tombstones.get(u64::from(id)))
    }
}

/// Whether pairs ascend and have values. Some early writers left labels unsorted; the set is what counts.
fn is_label_set(pairs: &[(&str, &str)]) -> bool {
    pairs.windows(2).all(|w| w[0].0 < w[1].0) && pairs.iter().all(|(_, value)| !value.is_empty())
}

/// Walks over all series of a block.
#[derive(Debug)]
pub struct BlockSource {
    block: Block,
    tombstones: Arc<Tombstones>,
    ids: std::vec::IntoIter<u32>,
}

impl ChunkSource for BlockSource {
    fn symbols(&mut self, visit: &mut dyn FnMut(&str) -> Result<(), TsdbError>) -> Result<(), TsdbError> {
        let index = self.block.index();
        (0..index.symbol_count()).try_for_each(|number| visit(index.nth_symbol(number)?))
    }

    fn next_series(&mut self) -> Result<Option<SourceSeries>, TsdbError> {
        let Some(id) = self.ids.next() else { return Ok(None) };
        let labels = self.block.labels(id)?;
        let mut chunks = Vec::new();
        for ChunkMeta { min_ms, max_ms, reference } in self.block.chunk_metas(id)? {
            let (encoding, bytes) = self.block.0.chunks.chunk(reference)?;
            chunks.push(SourceChunk { encoding, min_ms, max_ms, bytes: bytes.to_vec() });
        }
        let deleted = self.tombstones.get(u64::from(id)).to_vec();
        Ok(Some(SourceSeries { labels, chunks, deleted }))
    }
}
