//! Logs: pushed over HTTP, compacted, asked in LogQL.
//!
//! Each kind of lines has a day of its own, so that its objects lie in a folder of their own. Beside the figures of the program
//! stand those of what it is made of, in the same run on the same lines: `zstd` and a plain search, and DuckDB over the objects
//! the program wrote. A figure that cannot be had is told, and the rest is measured all the same. In reading order: this file (the
//! run), [`lines`], [`load`] (pushing), [`objects`] (what is stored), [`asking`] (queries), [`steady`] (memory), [`peers`] (zstd,
//! search, DuckDB) and [`table`] (the report).

mod asking;
pub mod lines;
mod load;
mod objects;
mod peers;
mod steady;
mod table;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::program::{Running, disk_bytes};
use crate::scenario::{BenchError, READY_LIMIT, now_s};
use crate::{Logs, report};
use lines::Kind;
use load::Sender;
use peers::Peers;
use table::Table;

const DAY_S: u64 = 86_400;
/// Four bytes no line holds: too few for any filter, so that every line is read.
const UNPRUNED: &str = "~zq~";
/// Share of a core below which a program is taken to rest.
const IDLE: f64 = 0.05;
/// Compaction is waited for no longer than this.
const COMPACTION_LIMIT: Duration = Duration::from_secs(1800);

/// One kind of lines and where they are.
struct Set {
    kind: Kind,
    /// The first second of its day.
    start_s: u64,
    folder: PathBuf,
    raw_bytes: u64,
    /// Samples for the reference.
    sample: load::Sample,
}

/// Runs the whole.
pub fn run(options: &Logs) -> Result<(), BenchError> {
    let dir = std::path::absolute(options.common.dir.join("logs"))?;
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    std::fs::create_dir_all(&dir)?;
    let data = dir.join("data");
    let mut program = Running::start_with_logs(&options.common.bartizan, &data)?;
    program.wait_ready(READY_LIMIT)?;
    let mut table = Table::default();
    let sets = ingest(options, &program, &data, &mut table)?;
    let peers = Peers::new(&options.python, &mut table);
    let settled = settle(&program, &sets, &mut table);
    table.note("compaction", settled);
    for set in &sets {
        let measured = measure(options, &program, set, &peers, &dir, &mut table);
        table.note(set.kind.name(), measured);
    }
    let found = asking::rare_identifiers(&program, &sets, options.common.repeat.min(3), &mut table);
    table.note("identifiers", found);
    if options.paced_s > 0 {
        let steady = steady::run(options, &program, &sets, &mut table);
        table.note("memory", steady);
    }
    drop(program);
    if !options.keep {
        std::fs::remove_dir_all(&dir)?;
    }
    let raw: u64 = sets.iter().map(|set| set.raw_bytes).sum();
    let setting = format!(
        "{:.2} GB of lines ({}), each kind spread over a day of its own; pushes of about 1 MB as snappy protobuf over two \
         connections, queries over HTTP",
        raw as f64 / 1e9,
        sets.iter().map(|set| set.kind.name()).collect::<Vec<_>>().join(", ")
    );
    let text = table.render("logs", &setting);
    report::publish_text("logs", &text, options.common.out.as_deref())?;
    match table.failures() {
        0 => Ok(()),
        failures => Err(BenchError::Answer(format!("{failures} parts could not be measured"))),
    }
}

/// All figures of one kind of lines.
fn measure(
    options: &Logs,
    program: &Running,
    set: &Set,
    peers: &Peers,
    dir: &Path,
    table: &mut Table,
) -> Result<(), BenchError> {
    let reference = peers.measure(set, dir)?;
    objects::sizes(set, &reference, table)?;
    let live = objects::live(&set.folder)?;
    let repeat = options.common.repeat.min(3);
    let pure = asking::scan(program, set, (peers, &reference, &live), repeat, table)?;
    asking::counts(program, set, (peers, &live), repeat, table)?;
    if set.kind == Kind::Json {
        asking::parsed(program, set, pure, repeat, table)?;
    }
    Ok(())
}

/// Pushes everything as fast as it is taken.
fn ingest(options: &Logs, program: &Running, data: &Path, table: &mut Table) -> Result<Vec<Set>, BenchError> {
    let today_s = now_s() / DAY_S * DAY_S;
    let bytes_of_each = (options.gigabytes * 1e9 / Kind::ALL.len() as f64) as u64;
    let senders: Vec<Sender> = Kind::ALL
        .into_iter()
        .zip(2..)
        .map(|(kind, days)| Sender::new(kind, today_s - days * DAY_S, bytes_of_each))
        .collect();
    let (started, cpu) = (Instant::now(), program.cpu_seconds()?);
    let senders = load::push_all(program.port, senders)?;
    let (wall_s, cpu_s) = (started.elapsed().as_secs_f64(), program.cpu_seconds()? - cpu);
    let raw: u64 = senders.iter().map(|sender| sender.raw_bytes).sum();
    let refused: u64 = senders.iter().map(|sender| sender.refused).sum();
    table.add("ingest, MB/s of wall time", raw as f64 / 1e6 / wall_s, "two cores, shared with the sender");
    table.add(
        "ingest to durable, MB/s per core",
        raw as f64 / 1e6 / cpu_s,
        "CPU of the program, with flushing and the compaction that ran meanwhile; at least 20",
    );
    table.add("pushes refused and sent again", refused as f64, "");
    table.add(
        "peak resident memory while pushing at full speed, MB",
        program.memory()?.peak_rss_bytes as f64 / 1e6,
        "",
    );
    let set = |sender: Sender| Set {
        kind: sender.kind,
        start_s: sender.start_s,
        folder: data.join("logs/bucket/logs/v1/anonymous").join(table::date_of(sender.start_s)),
        raw_bytes: sender.raw_bytes,
        sample: sender.sample,
    };
    Ok(senders.into_iter().map(set).collect())
}

/// Waits until nothing is flushed or compacted any more.
fn settle(program: &Running, sets: &[Set], table: &mut Table) -> Result<(), BenchError> {
    let written: u64 = sets.iter().map(|set| disk_bytes(&set.folder).unwrap_or(0)).sum();
    let raw: u64 = sets.iter().map(|set| set.raw_bytes).sum();
    table.add(
        "disk space right after the last push, share of raw text",
        written as f64 / raw as f64,
        "fresh objects, with those that were replaced and stay for queries that read them",
    );
    let (started, before) = (Instant::now(), program.cpu_seconds()?);
    let mut quiet = 0;
    while quiet < 3 {
        let cpu = program.cpu_seconds()?;
        std::thread::sleep(Duration::from_secs(4));
        let is_idle = program.cpu_seconds()? - cpu < 4.0 * IDLE;
        let mut is_done = true;
        for set in sets {
            is_done &= objects::are_final(&objects::live(&set.folder)?);
        }
        quiet = if is_idle && is_done { quiet + 1 } else { 0 };
        eprintln!("bench: compacting, {:.0} s", started.elapsed().as_secs_f64());
        if started.elapsed() > COMPACTION_LIMIT {
            return Err(BenchError::Answer(format!("compaction is not done after {COMPACTION_LIMIT:?}")));
        }
    }
    let cpu_s = program.cpu_seconds()? - before;
    let what = "all of the days, at the level of objects that stay";
    table.add("compaction after the last push, MB of raw text/s per core", raw as f64 / 1e6 / cpu_s, what);
    table.add("peak resident memory since the start, MB", program.memory()?.peak_rss_bytes as f64 / 1e6, "");
    Ok(())
}
