//! `tsdb analyze`: what makes a block large.

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use chunkenc::{Encoding, RawValue};
use model::{METRIC_NAME, Matcher};
use promql::parser::{ParseOptions, parse_selector};
use tsdb::TsdbError;
use tsdb::block::chunk_files::{CHUNKS_DIR, ChunkFiles};
use tsdb::block::index_reader::IndexReader;
use tsdb::block::select::select_series;
use tsdb::block::{Block, BlockMeta};

use super::directory::block_dirs;
use super::distribution;
use super::list::duration_ns;

/// Settings of `tsdb analyze`.
#[derive(clap::Args, Debug)]
pub struct AnalyzeArgs {
    /// The data directory.
    #[arg(default_value = "data/", value_name = "DIR")]
    dir: PathBuf,
    /// The block; the one made last by default.
    #[arg(value_name = "BLOCK")]
    block: Option<String>,
    /// How many items of each list to show.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Read the chunks as well and tell how they are filled.
    #[arg(long)]
    extended: bool,
    /// Only series that match this selector.
    #[arg(long = "match", value_name = "SELECTOR")]
    selector: Option<String>,
}

/// Analyses a block.
pub fn run(args: &AnalyzeArgs) -> anyhow::Result<ExitCode> {
    let dirs = block_dirs(&args.dir)?;
    let found = match &args.block {
        Some(name) => dirs.into_iter().find(|(ulid, _)| ulid.to_string() == *name),
        None => dirs.into_iter().next_back(),
    };
    let Some((_, dir)) = found else {
        match &args.block {
            Some(name) => bail!("there is no block {name} in {}", args.dir.display()),
            None => bail!("there are no blocks in {}", args.dir.display()),
        }
    };
    let matchers = match &args.selector {
        Some(text) => parse_selector(text, &ParseOptions::ALL).with_context(|| format!("--match {text}"))?,
        None => Vec::new(),
    };
    let block = Block::open(&dir)?;
    let mut out = BufWriter::new(io::stdout().lock());
    analyze(&mut out, &block, &matchers, args)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn analyze(
    out: &mut dyn Write,
    block: &Block,
    matchers: &[Matcher],
    args: &AnalyzeArgs,
) -> anyhow::Result<()> {
    let (meta, index) = (block.meta(), block.index());
    let series = match args.selector {
        Some(_) => select_series(index, matchers)?,
        None => index.all_postings()?.into_vec(),
    };
    let pairs = Pairs::of(&meta, index, &series)?;
    writeln!(out, "Block ID: {}", meta.ulid)?;
    writeln!(out, "Duration: {}", format_duration(&meta))?;
    writeln!(out, "Total Series: {}", meta.stats.num_series)?;
    if let Some(selector) = &args.selector {
        writeln!(out, "Matcher: {selector}")?;
    }
    writeln!(out, "Label names: {}", pairs.names.len())?;
    if args.selector.is_some() {
        writeln!(out, "Matched series: {}", series.len())?;
    }
    writeln!(out, "Postings (unique label pairs): {}", pairs.pairs.len())?;
    writeln!(out, "Postings entries (total label pairs): {}", pairs.entries)?;
    pairs.print(out, index, block_ms(&meta), args.limit)?;
    if args.extended {
        print_chunks(out, block, &series)?;
    }
    Ok(())
}

fn block_ms(meta: &BlockMeta) -> u64 {
    meta.max_ms.abs_diff(meta.min_ms)
}

fn format_duration(meta: &BlockMeta) -> String {
    model::duration::format_go_duration(duration_ns(meta.min_ms, meta.max_ms))
}

/// What a label pair or a label name occurs in.
#[derive(Debug, Clone, Copy, Default)]
struct Use {
    /// Series that have it.
    series: u64,
    /// Parts of the block's range in which those series have no samples, added up in milliseconds.
    uncovered_ms: u64,
}

/// What a label name occurs in.
#[derive(Debug, Clone, Copy, Default)]
struct NameUse {
    uncovered_ms: u64,
    values: u64,
    values_bytes: u64,
}

/// The label pairs of the series of a block, as numbers of symbols. Symbols are numbered in the order of
/// their texts.
#[derive(Debug, Default)]
struct Pairs {
    pairs: HashMap<(u32, u32), Use>,
    names: HashMap<u32, NameUse>,
    entries: u64,
}

impl Pairs {
    fn of(meta: &BlockMeta, index: &IndexReader, series: &[u32]) -> anyhow::Result<Self> {
        let mut all = Self::default();
        let mut labels = Vec::new();
        for &id in series {
            let bad = |error| anyhow::anyhow!("{}: series {id}: {error}", meta.ulid);
            labels.clear();
            let chunks = index.series(id)?.labels(|name, value| labels.push((name, value))).map_err(bad)?;
            let (mut first_ms, mut last_ms) = (None, 0);
            for chunk in chunks {
                let chunk = chunk.map_err(bad)?;
                first_ms.get_or_insert(chunk.min_ms);
                last_ms = chunk.max_ms;
            }
            let covered_ms = first_ms.map_or(0, |first_ms| last_ms.saturating_sub(first_ms).max(0) as u64);
            let uncovered_ms = block_ms(meta).saturating_sub(covered_ms);
            for &(name, value) in &labels {
                let pair = all.pairs.entry((name, value)).or_default();
                pair.series += 1;
                pair.uncovered_ms = pair.uncovered_ms.saturating_add(uncovered_ms);
                let name = all.names.entry(name).or_default();
                name.uncovered_ms = name.uncovered_ms.saturating_add(uncovered_ms);
                all.entries += 1;
            }
        }
        for &(name, value) in all.pairs.keys() {
            let bytes = index.symbol(value)?.len() as u64;
            let name = all.names.entry(name).or_default();
            name.values += 1;
            name.values_bytes += bytes;
        }
        Ok(all)
    }

    fn print(
        &self,
        out: &mut dyn Write,
        index: &IndexReader,
        block_ms: u64,
        limit: usize,
    ) -> anyhow::Result<()> {
        // Series that live for a part of the block only, in whole series.
        let churn = |uncovered_ms: u64| match block_ms {
            0 => 0,
            block_ms => (uncovered_ms as f64 / block_ms as f64) as u64,
        };
        let pair = |(name, value): (u32, u32)| -> Result<String, TsdbError> {
            Ok(format!("{}={}", index.symbol(name)?, index.symbol(value)?))
        };
        let text = |symbol: u32| index.symbol(symbol).map(str::to_owned);
        let pairs = || self.pairs.iter();
        let names = || self.names.iter();
        let metric_name = index.find_symbol(METRIC_NAME)?;

        writeln!(out, "\nLabel pairs most involved in churning:")?;
        print_top(out, pairs().map(|(&key, with)| (churn(with.uncovered_ms), key)), limit, pair)?;
        writeln!(out, "\nLabel names most involved in churning:")?;
        print_top(out, names().map(|(&key, with)| (churn(with.uncovered_ms), key)), limit, text)?;
        writeln!(out, "\nMost common label pairs:")?;
        print_top(out, pairs().map(|(&key, with)| (with.series, key)), limit, pair)?;
        writeln!(out, "\nLabel names with highest cumulative label value length:")?;
        print_top(out, names().map(|(&key, with)| (with.values_bytes, key)), limit, text)?;
        writeln!(out, "\nHighest cardinality labels:")?;
        print_top(out, names().map(|(&key, with)| (with.values, key)), limit, text)?;
        writeln!(out, "\nHighest cardinality metric names:")?;
        let metrics = pairs().filter(|((name, _), _)| Some(*name) == metric_name);
        print_top(out, metrics.map(|(&(_, value), with)| (with.series, value)), limit, text)
    }
}

/// Prints the items with the largest numbers, in the order of their keys where numbers are equal.
fn print_top<K: Ord + Copy>(
    out: &mut dyn Write,
    items: impl Iterator<Item = (u64, K)>,
    limit: usize,
    text: impl Fn(K) -> Result<String, TsdbError>,
) -> anyhow::Result<()> {
    let mut items: Vec<(u64, K)> = items.collect();
    let order = |a: &(u64, K), b: &(u64, K)| b.0.cmp(&a.0).then(a.1.cmp(&b.1));
    if limit < items.len() {
        items.select_nth_unstable_by(limit, order);
        items.truncate(limit);
    }
    items.sort_unstable_by(order);
    for (number, key) in items {
        writeln!(out, "{number} {}", text(key)?)?;
    }
    Ok(())
}

/// How chunks are filled.
fn print_chunks(out: &mut dyn Write, block: &Block, series: &[u32]) -> anyhow::Result<()> {
    let index = block.index();
    let files = ChunkFiles::open(&block.dir().join(CHUNKS_DIR))?;
    let (mut float_samples, mut float_bytes) = (Vec::new(), Vec::new());
    let (mut histogram_samples, mut histogram_bytes, mut buckets) = (Vec::new(), Vec::new(), Vec::new());
    for &id in series {
        let bad = |error: &dyn std::fmt::Display| {
            anyhow::anyhow!("{}: series {id}: {error}", block.dir().display())
        };
        for chunk in index.series(id)?.chunks().map_err(|error| bad(&error))? {
            let chunk = chunk.map_err(|error| bad(&error))?;
            let (encoding, bytes) = files.chunk(chunk.reference)?;
            let samples = chunkenc::num_samples(bytes, encoding).map_err(|error| bad(&error))?;
            if encoding.is_float() {
                float_samples.push(usize::from(samples));
                float_bytes.push(bytes.len());
            } else {
                histogram_samples.push(usize::from(samples));
                histogram_bytes.push(bytes.len());
                buckets.push(count_buckets(bytes, encoding).map_err(|error| bad(&error))?);
            }
        }
    }
    let total = float_samples.len() + histogram_samples.len();
    writeln!(out, "\nCompaction analysis:\n")?;
    let sections = [
        ("samples per float chunk", float_samples),
        ("bytes per float chunk", float_bytes),
        ("samples per histogram chunk", histogram_samples),
        ("bytes per histogram chunk", histogram_bytes),
        ("buckets per histogram chunk", buckets),
    ];
    for (what, values) in sections {
        distribution::print(out, what, values, total)?;
    }
    Ok(())
}

/// The buckets of all histograms of a chunk.
fn count_buckets(bytes: &[u8], encoding: Encoding) -> Result<usize, chunkenc::ChunkError> {
    let mut buckets = 0;
    chunkenc::for_each(bytes, encoding, |sample| {
        buckets += match &sample.value {
            RawValue::Float(_) => 0,
            RawValue::Histogram(h) => h.0.positive_buckets.len() + h.0.negative_buckets.len(),
            RawValue::FloatHistogram(h) => h.positive_buckets.len() + h.negative_buckets.len(),
        };
        Ok::<_, chunkenc::ChunkError>(())
    })?;
    Ok(buckets)
}
