//! Verifying a block.

use std::collections::HashMap;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use chunkenc::{ChunkError, Encoding};
use model::labels::Quoted;
use model::{Labels, TimeRange};
use tsdb::TsdbError;
use tsdb::block::chunk_files::{CHUNKS_DIR, ChunkFiles};
use tsdb::block::index_reader::{ChunkMeta, INDEX_FILE, IndexReader};
use tsdb::block::meta::META_FILE;
use tsdb::block::postings::Postings;
use tsdb::block::tombstones::TOMBSTONES_FILE;
use tsdb::block::{BlockMeta, Tombstones};
use ulid::Ulid;

use super::{Findings, Totals};

/// Reads everything in the block `name` in `dir`.
pub fn verify(
    dir: &Path,
    name: Ulid,
    findings: &mut Findings<'_>,
    totals: &mut Totals,
) -> anyhow::Result<()> {
    let meta = keep(BlockMeta::read(dir), findings)?;
    let meta_path = dir.join(META_FILE);
    if let Some(meta) = meta.as_ref().filter(|meta| meta.ulid != name) {
        findings.problem_in(&meta_path, format_args!("is of block {}", meta.ulid))?;
    }
    let index = keep(IndexReader::open(dir), findings)?;
    let chunks = keep(ChunkFiles::open(&dir.join(CHUNKS_DIR)), findings)?;
    let tombstones = keep(Tombstones::read(dir), findings)?;
    // Without an index nothing else has a meaning.
    let Some(index) = index else { return Ok(()) };
    let range = meta
        .as_ref()
        .map_or(TimeRange::ALL, |meta| TimeRange::new(meta.min_ms, meta.max_ms.saturating_sub(1)));
    let mut check = BlockCheck {
        path: dir.join(INDEX_FILE),
        index: &index,
        chunks: chunks.as_ref(),
        range,
        pairs: HashMap::new(),
        unreadable: 0,
        counted: Totals::default(),
        findings,
    };
    check.symbols()?;
    let Some(ids) = check.series()? else { return Ok(()) };
    if check.unreadable == 0 {
        check.postings()?;
    }
    let BlockCheck { unreadable, counted, .. } = check;
    if let Some(tombstones) = tombstones {
        let path = dir.join(TOMBSTONES_FILE);
        for (series, _) in tombstones.iter() {
            if !u32::try_from(series).is_ok_and(|id| ids.binary_search(&id).is_ok()) {
                findings.problem_in(
                    &path,
                    format_args!("deletes samples of series {series}, which is not there"),
                )?;
            }
        }
    }
    if let Some(meta) = meta.filter(|_| unreadable == 0 && chunks.is_some()) {
        let stats = meta.stats;
        let counts = [
            ("series", stats.num_series, counted.series),
            ("chunks", stats.num_chunks, counted.chunks),
            ("samples", stats.num_samples, counted.samples),
        ];
        for (what, told, found) in counts {
            if told != 0 && told != found {
                findings.problem_in(&meta_path, format_args!("tells of {told} {what}, found are {found}"))?;
            }
        }
    }
    totals.series += counted.series;
    totals.chunks += counted.chunks;
    totals.samples += counted.samples;
    Ok(())
}

/// The value, or `None` after naming the damage.
fn keep<T>(read: Result<T, TsdbError>, findings: &mut Findings<'_>) -> io::Result<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) => findings.problem(error).map(|()| None),
    }
}

/// The series that have a label pair, as a number that hardly any other set has too. It does not depend on
/// order, so that it can be computed both from the series and from the postings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Fingerprint {
    count: u64,
    sum: u64,
}

impl Fingerprint {
    fn add(&mut self, id: u32) {
        self.count += 1;
        // The finalizer of splitmix64: neighbouring references become unrelated numbers.
        let mut x = u64::from(id).wrapping_add(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.sum = self.sum.wrapping_add(x ^ (x >> 31));
    }
}

struct BlockCheck<'a, 'w> {
    path: PathBuf,
    index: &'a IndexReader,
    chunks: Option<&'a ChunkFiles>,
    /// The closed range the block is for.
    range: TimeRange,
    /// The series that have each label pair, by symbols.
    pairs: HashMap<(u32, u32), Fingerprint>,
    /// Series and chunks that could not be read.
    unreadable: u64,
    counted: Totals,
    findings: &'a mut Findings<'w>,
}

impl BlockCheck<'_, '_> {
    fn problem(&mut self, text: impl std::fmt::Display) -> io::Result<()> {
        self.findings.problem_in(&self.path, text)
    }

    /// Symbols ascend, which searching relies on.
    fn symbols(&mut self) -> io::Result<()> {
        let mut before: Option<&str> = None;
        for id in 0..self.index.symbol_count() {
            match self.index.nth_symbol(id) {
                Ok(symbol) => {
                    if before.is_some_and(|before| before >= symbol) {
                        self.problem(format_args!("symbol {id} ({}) is out of order", Quoted(symbol)))?;
                    }
                    before = Some(symbol);
                }
                Err(error) => self.findings.problem(error)?,
            }
        }
        Ok(())
    }

    /// Reads all series and their chunks. `None` when there is no list of them.
    fn series(&mut self) -> anyhow::Result<Option<Vec<u32>>> {
        let ids = match self.index.all_postings() {
            Ok(postings) => postings.into_vec(),
            Err(error) => {
                self.findings.problem(error)?;
                return Ok(None);
            }
        };
        if !ids.is_sorted_by(|a, b| a < b) {
            self.problem("the list of all series does not ascend")?;
        }
        let mut before = None;
        for &id in &ids {
            self.counted.series += 1;
            match self.one_series(id)? {
                Some(labels) => {
                    if before.is_some_and(|before| before >= labels) {
                        self.problem(format_args!(
                            "series at {} {labels} is out of order",
                            self.index.series_offset(id)
                        ))?;
                    }
                    before = Some(labels);
                }
                None => self.unreadable += 1,
            }
        }
        Ok(Some(ids))
    }

    /// The labels of a series, after reading its chunks. `None` when they cannot be read.
    fn one_series(&mut self, id: u32) -> io::Result<Option<Labels>> {
        let entry = match self.index.series(id) {
            Ok(entry) => entry,
            Err(error) => return self.findings.problem(error).map(|()| None),
        };
        let mut symbols = Vec::new();
        let metas = entry.labels(|name, value| symbols.push((name, value)));
        let metas = metas.and_then(|chunks| chunks.collect::<Result<Vec<ChunkMeta>, _>>());
        let metas = match metas {
            Ok(metas) => metas,
            Err(error) => {
                self.problem(format_args!("series at {}: {error}", self.index.series_offset(id)))?;
                return Ok(None);
            }
        };
        let mut pairs = Vec::with_capacity(symbols.len());
        for &(name, value) in &symbols {
            match (self.index.symbol(name), self.index.symbol(value)) {
                (Ok(name), Ok(value)) => pairs.push((name, value)),
                (Err(error), _) | (_, Err(error)) => {
                    self.problem(format_args!("series at {}: {error}", self.index.series_offset(id)))?;
                    return Ok(None);
                }
            }
        }
        let labels = Labels::from_pairs(pairs.iter().copied());
        if pairs.is_empty() || !pairs.is_sorted_by(|a, b| a.0 < b.0) {
            self.problem(format_args!(
                "series at {} {labels}: label names do not ascend",
                self.index.series_offset(id)
            ))?;
        }
        for &pair in &symbols {
            self.pairs.entry(pair).or_default().add(id);
        }
        self.chunks_of(id, &labels, &metas)?;
        Ok(Some(labels))
    }

    fn chunks_of(&mut self, id: u32, labels: &Labels, metas: &[ChunkMeta]) -> io::Result<()> {
        let at = self.index.series_offset(id);
        let place = || format!("series at {at} {labels}");
        if metas.is_empty() {
            self.problem(format_args!("{} has no chunks", place()))?;
        }
        let mut before: Option<ChunkMeta> = None;
        for &meta in metas {
            self.counted.chunks += 1;
            let ChunkMeta { min_ms, max_ms, .. } = meta;
            if min_ms > max_ms || !self.range.contains(min_ms) || !self.range.contains(max_ms) {
                let TimeRange { start_ms, end_ms } = self.range;
                let text =
                    format!("chunk of [{min_ms}, {max_ms}] is not within the block's [{start_ms}, {end_ms}]");
                self.problem(format_args!("{}: {text}", place()))?;
            }
            if let Some(before) = before.filter(|before| before.max_ms >= min_ms) {
                let text = format!("chunk from {min_ms} begins before the one until {} ends", before.max_ms);
                self.problem(format_args!("{}: {text}", place()))?;
            }
            before = Some(meta);
            let Some(chunks) = self.chunks else { continue };
            match chunks.chunk(meta.reference) {
                Err(error) => {
                    self.unreadable += 1;
                    self.findings.problem(format_args!("{error} (of {})", place()))?;
                }
                Ok((encoding, bytes)) => match read_chunk(bytes, encoding, TimeRange::new(min_ms, max_ms)) {
                    Ok(samples) => self.counted.samples += samples,
                    Err(problem) => {
                        self.unreadable += 1;
                        let (segment, at) = (meta.reference >> 32, meta.reference & 0xffff_ffff);
                        let text = format!("chunk at offset {at} of segment {:06}: {problem}", segment + 1);
                        self.problem(format_args!("{}: {text}", place()))?;
                    }
                },
            }
        }
        Ok(())
    }

    /// Compares the postings with what the series say.
    fn postings(&mut self) -> io::Result<()> {
        let index = self.index;
        let names: Vec<&str> = index.label_names().collect();
        for name in names {
            let mut problems: Vec<String> = Vec::new();
            let pairs = &mut self.pairs;
            let scanned = index.scan_values(name, "", |value, postings| {
                let pair = (index.find_symbol(name)?, index.find_symbol(value)?);
                let expected = match pair {
                    (Some(name), Some(value)) => pairs.remove(&(name, value)).unwrap_or_default(),
                    _ => Fingerprint::default(),
                };
                if let Err(problem) =
                    postings().map_err(|e| e.to_string()).and_then(|list| compare(&list, expected))
                {
                    problems.push(format!("postings of {name}={}: {problem}", Quoted(value)));
                }
                Ok(ControlFlow::Continue(()))
            });
            for problem in problems {
                self.problem(problem)?;
            }
            if let Err(error) = scanned {
                self.findings.problem(error)?;
            }
        }
        let mut missing: Vec<(u32, u32)> = self.pairs.keys().copied().collect();
        missing.sort_unstable();
        for (name, value) in missing {
            let (name, value) = (index.symbol(name).unwrap_or("?"), index.symbol(value).unwrap_or("?"));
            self.problem(format_args!("no postings of {name}={}", Quoted(value)))?;
        }
        Ok(())
    }
}

fn compare(list: &Postings<'_>, expected: Fingerprint) -> Result<(), String> {
    let (mut found, mut before, mut ascends) = (Fingerprint::default(), None, true);
    list.for_each(|id| {
        ascends &= before.is_none_or(|before| before < id);
        before = Some(id);
        found.add(id);
    });
    if !ascends {
        return Err("do not ascend".to_owned());
    }
    if found != expected {
        return Err(format!(
            "list {} series, {} series have the label, and they are not the same",
            found.count, expected.count
        ));
    }
    Ok(())
}

/// Decodes a chunk and returns how many samples it has. Its samples ascend and cover `range` exactly.
pub fn read_chunk(bytes: &[u8], encoding: Encoding, range: TimeRange) -> Result<u64, String> {
    let (mut samples, mut first_ms, mut last_ms, mut ascends) = (0_u64, None, i64::MIN, true);
    let read = chunkenc::for_each(bytes, encoding, |sample| {
        first_ms.get_or_insert(sample.t_ms);
        ascends &= samples == 0 || sample.t_ms > last_ms;
        last_ms = sample.t_ms;
        samples += 1;
        Ok::<_, ChunkError>(())
    });
    read.map_err(|error| error.to_string())?;
    let told = chunkenc::num_samples(bytes, encoding).map_err(|error| error.to_string())?;
    if samples != u64::from(told) {
        return Err(format!("tells of {told} samples, found are {samples}"));
    }
    if !ascends {
        return Err("samples do not ascend in time".to_owned());
    }
    match first_ms {
        Some(first_ms) if (first_ms, last_ms) == (range.start_ms, range.end_ms) => Ok(samples),
        Some(first_ms) => {
            let TimeRange { start_ms, end_ms } = range;
            Err(format!("samples are of [{first_ms}, {last_ms}], expected are [{start_ms}, {end_ms}]"))
        }
        None => Err("has no samples".to_owned()),
    }
}
