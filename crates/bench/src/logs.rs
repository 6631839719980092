//! Logs: pushed over HTTP, compacted, asked in LogQL.
//!
//! Each kind of lines has a day of its own, so that its objects lie in a folder of their own. Beside the figures of the program
//! stand those of what it is made of, in the same run on the same lines: `zstd` and a plain search, and DuckDB over the objects
//! the program wrote. In reading order: this file (the run), [`lines`], [`load`] (pushing), [`peers`] (zstd, search, DuckDB) and
//! [`table`] (the report).

pub mod lines;
mod load;
mod peers;
mod table;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::{Running, disk_bytes};
use crate::scenario::{BenchError, READY_LIMIT, now_s};
use crate::{Logs, http, report};
use lines::Kind;
use load::Sender;
use peers::Peers;
use table::Table;

const DAY_S: u64 = 86_400;
/// Four bytes no line holds: too few for any filter, so that every line is read.
const UNPRUNED: &str = "~zq~";
/// Share of a core below which a program is taken to rest.
const IDLE: f64 = 0.05;

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
    settle(&program, &sets, &mut table)?;
    let peers = Peers::measure(&sets, &dir, &options.python, &mut table)?;
    sizes(&sets, &peers, &mut table)?;
    queries(options, &program, &sets, &peers, &mut table)?;
    if options.paced_s > 0 {
        paced(options, &program, &sets, &mut table)?;
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
    report::publish_text("logs", &text, options.common.out.as_deref())
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
        "size when pushed, share of raw text",
        written as f64 / raw as f64,
        "fresh and partly compacted",
    );
    let (started, before) = (Instant::now(), program.cpu_seconds()?);
    // What is in memory is flushed after ten seconds, and upkeep looks every fifteen.
    let mut quiet = 0;
    while quiet < 8 {
        let cpu = program.cpu_seconds()?;
        std::thread::sleep(Duration::from_secs(4));
        quiet = if program.cpu_seconds()? - cpu < 4.0 * IDLE { quiet + 1 } else { 0 };
        eprintln!("bench: compacting, {:.0} s", started.elapsed().as_secs_f64());
    }
    let cpu_s = program.cpu_seconds()? - before;
    table.add("compaction after the last push, MB of raw text/s per core", raw as f64 / 1e6 / cpu_s, "");
    Ok(())
}

fn sizes(sets: &[Set], peers: &Peers, table: &mut Table) -> Result<(), BenchError> {
    for set in sets {
        let name = set.kind.name();
        let objects = std::fs::read_dir(&set.folder)?
            .filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()))
            .filter(|&bytes| bytes > 0)
            .sum::<u64>();
        let ratio = objects as f64 / set.raw_bytes as f64;
        table.add(&format!("size, {name}, share of raw text"), ratio, "");
        let reference = peers.of(set.kind);
        let what = "lines with a newline each; at most 1.10";
        table.add(&format!("size, {name}, of zstd -9 over 2 MB blocks"), ratio / reference.share, what);
        if let Some(stamped) = reference.stamped_share {
            let what = "lines as container runtimes write them, with their timestamps";
            table.add(&format!("size, {name}, of zstd -9 of the files"), ratio / stamped, what);
        }
    }
    Ok(())
}

/// How long a query takes, and its answer. The median of some.
fn ask(program: &Running, path: &str, repeat: usize) -> Result<(f64, Value), BenchError> {
    let mut times = Vec::new();
    let mut answer = Value::Null;
    for _ in 0..repeat.max(1) {
        let started = Instant::now();
        let body = http::get(program.port, path)?;
        times.push(started.elapsed().as_secs_f64());
        answer = serde_json::from_slice(&body)?;
    }
    Ok((report::median(&times), answer))
}

fn range(query: &str, start_s: u64, end_s: u64, step_s: u64) -> String {
    let query = http::encode(query);
    format!("/loki/api/v1/query_range?query={query}&start={start_s}&end={end_s}&step={step_s}&limit=100")
}

/// A counter of the program.
fn counter(program: &Running, name: &str) -> Result<f64, BenchError> {
    let text = String::from_utf8_lossy(&http::get(program.port, "/metrics")?).into_owned();
    let value = |line: &str| line.strip_prefix(name)?.split(' ').nth(1)?.parse::<f64>().ok();
    Ok(text.lines().filter_map(value).sum())
}

fn queries(
    options: &Logs,
    program: &Running,
    sets: &[Set],
    peers: &Peers,
    table: &mut Table,
) -> Result<(), BenchError> {
    let repeat = options.common.repeat.min(3);
    let mut scans_s = Vec::new();
    for set in sets {
        let name = set.kind.name();
        let end_s = set.start_s + DAY_S;
        let query = format!("sum(count_over_time({{app=\"{name}\"}} |= \"{UNPRUNED}\" [1d]))");
        let path = format!("/loki/api/v1/query?query={}&time={end_s}", http::encode(&query));
        let cpu = program.cpu_seconds()?;
        let (took_s, _) = ask(program, &path, repeat)?;
        let cpu_s = (program.cpu_seconds()? - cpu) / repeat as f64;
        let gigabytes = set.raw_bytes as f64 / 1e9;
        scans_s.push(took_s);
        let scan = format!("substring scan, {name}, GB/s");
        table.add(&format!("{scan} of wall time"), gigabytes / took_s, "two cores; nothing is pruned");
        table.add(&format!("{scan} per core"), gigabytes / cpu_s, "at least 1.5");
        let reference = peers.of(set.kind);
        table.add(&format!("{scan} of zstd -d"), reference.unpack_gbps, "one core, memory to memory");
        table.add(&format!("{scan} of memmem"), reference.search_gbps, "one core, text in memory");
        if let Some(duck_s) = peers.duckdb_scan_s(set, UNPRUNED)? {
            let what = "select count(*) ... where line like, two threads, the same objects";
            table.add(&format!("{scan} of DuckDB"), gigabytes / duck_s, what);
        }
    }
    rare_identifiers(program, sets, repeat, table)?;
    counts(program, sets, peers, repeat, table)?;
    if let Some((at, set)) = sets.iter().enumerate().find(|(_, set)| set.kind == Kind::Json) {
        // About a gigabyte of them.
        let share = (1e9 / set.raw_bytes as f64).min(1.0);
        let end_s = set.start_s + (DAY_S as f64 * share) as u64;
        let scan_s = scans_s[at] * share;
        for filter in ["status=\"500\"", "duration_ms > 2500", "status=\"500\" | user_id > 400000"] {
            let query = format!("sum(rate({{app=\"json\"}} | json | {filter} [1m]))");
            let (took_s, answer) = ask(program, &range(&query, set.start_s, end_s, 60), repeat)?;
            let found = answer["data"]["result"].as_array().map_or(0, Vec::len);
            let what = format!("ms; {found} series; at most 4 times the scan");
            table.add(&format!("json, {filter}, rate over 1 GB"), took_s * 1e3, &what);
            table.add(&format!("json, {filter}, times the pure scan"), took_s / scan_s, "");
        }
    }
    Ok(())
}

fn rare_identifiers(
    program: &Running,
    sets: &[Set],
    repeat: usize,
    table: &mut Table,
) -> Result<(), BenchError> {
    let first_s = sets.iter().map(|set| set.start_s).min().unwrap_or(0);
    let last_s = sets.iter().map(|set| set.start_s + DAY_S).max().unwrap_or(0);
    let known = sets.iter().find_map(|set| set.sample.identifier.clone());
    let absent = "5bd0e92c7a1f4c3e8d6b9a0f1e2d3c4b".to_owned();
    for (what, needle) in [("there once", known), ("absent", Some(absent))] {
        let Some(needle) = needle else { continue };
        let path = range(&format!("{{app=~\".+\"}} |= \"{needle}\""), first_s, last_s, 3600);
        let of = |kind: &str| counter(program, &format!("loki_store_page_groups_{kind}_total"));
        let (seen, skipped) = (of("considered")?, of("skipped")?);
        let (took_s, answer) = ask(program, &path, repeat)?;
        let share = (of("skipped")? - skipped) / (of("considered")? - seen);
        let found = answer["data"]["result"].as_array().map_or(0, Vec::len);
        let told = format!("{found} found; under 100");
        table.add(&format!("identifier {what}, over everything, ms"), took_s * 1e3, &told);
        table.add(&format!("identifier {what}, page groups skipped, percent"), share * 100.0, "at least 99");
    }
    Ok(())
}

fn counts(
    program: &Running,
    sets: &[Set],
    peers: &Peers,
    repeat: usize,
    table: &mut Table,
) -> Result<(), BenchError> {
    for set in sets {
        let name = set.kind.name();
        let query = format!("sum by (namespace) (count_over_time({{app=\"{name}\"}}[5m]))");
        for (what, shift_s) in [("", 0), (", not at whole minutes", 17)] {
            let (start_s, end_s) = (set.start_s + shift_s, set.start_s + DAY_S + shift_s);
            let (took_s, answer) = ask(program, &range(&query, start_s, end_s, 300), repeat)?;
            let read = &answer["data"]["stats"]["summary"]["totalBytesProcessed"];
            let told = format!("{read} bytes of lines read; under 100");
            table.add(&format!("count by label over a day, {name}{what}, ms"), took_s * 1e3, &told);
        }
        if let Some(duck_s) = peers.duckdb_count_s(set)? {
            table.add(&format!("count by label over a day, {name}, DuckDB, ms"), duck_s * 1e3, "");
        }
    }
    Ok(())
}

/// Memory while lines come in at a steady rate and queries run.
fn paced(options: &Logs, program: &Running, sets: &[Set], table: &mut Table) -> Result<(), BenchError> {
    let today_s = now_s() / DAY_S * DAY_S;
    let senders = Kind::ALL.map(|kind| Sender::new(kind, today_s - 7 * DAY_S, u64::MAX));
    program.forget_peak_memory();
    let stop = AtomicBool::new(false);
    let mut asked = 0;
    let sent = std::thread::scope(|scope| -> Result<u64, BenchError> {
        let pushing =
            scope.spawn(|| load::push_paced(program.port, senders.into(), options.paced_mbps, &stop));
        let until = Instant::now() + Duration::from_secs(options.paced_s);
        while Instant::now() < until {
            for set in sets {
                let name = set.kind.name();
                let query =
                    format!("sum by (pod) (count_over_time({{app=\"{name}\"}} |= \"{UNPRUNED}\" [5m]))");
                ask(program, &range(&query, set.start_s, set.start_s + DAY_S / 4, 300), 1)?;
                let newest =
                    range(&format!("{{app=\"{name}\"}} |= \"e\""), set.start_s, set.start_s + DAY_S, 60);
                ask(program, &newest, 1)?;
                asked += 2;
            }
        }
        stop.store(true, Ordering::Release);
        pushing.join().map_err(|_| BenchError::Answer("the sender panicked".to_owned()))?
    })?;
    let told = format!(
        "{:.1} MB/s pushed for {} s, {asked} queries meanwhile; at most 300",
        sent as f64 / 1e6 / options.paced_s as f64,
        options.paced_s
    );
    table.add(
        "peak resident memory at a steady rate, MB",
        program.memory()?.peak_rss_bytes as f64 / 1e6,
        &told,
    );
    Ok(())
}
