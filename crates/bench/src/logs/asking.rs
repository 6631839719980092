//! Queries over HTTP, and how long they take.

use std::time::Instant;

use serde_json::Value;

use super::objects::Live;
use super::peers::{Peers, Reference};
use super::table::Table;
use super::{DAY_S, Set, UNPRUNED};
use crate::program::Running;
use crate::scenario::BenchError;
use crate::{http, report};

/// How long a query takes, and its answer. The median of some.
pub fn ask(program: &Running, path: &str, repeat: usize) -> Result<(f64, Value), BenchError> {
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

/// The path of a query over a range.
pub fn range(query: &str, start_s: u64, end_s: u64, step_s: u64) -> String {
    let query = http::encode(query);
    format!("/loki/api/v1/query_range?query={query}&start={start_s}&end={end_s}&step={step_s}&limit=100")
}

/// A counter of the program.
fn counter(program: &Running, name: &str) -> Result<f64, BenchError> {
    let text = String::from_utf8_lossy(&http::get(program.port, "/metrics")?).into_owned();
    let value = |line: &str| line.strip_prefix(name)?.split(' ').nth(1)?.parse::<f64>().ok();
    Ok(text.lines().filter_map(value).sum())
}

/// What the pure scan of all lines of a kind takes.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    wall_s: f64,
    cpu_s: f64,
}

/// Reads every line for a few bytes none has.
pub fn scan(
    program: &Running,
    set: &Set,
    (peers, reference, live): (&Peers, &Reference, &[Live]),
    repeat: usize,
    table: &mut Table,
) -> Result<Cost, BenchError> {
    let name = set.kind.name();
    let query = format!("sum(count_over_time({{app=\"{name}\"}} |= \"{UNPRUNED}\" [1d]))");
    let path = format!("/loki/api/v1/query?query={}&time={}", http::encode(&query), set.start_s + DAY_S);
    let cpu = program.cpu_seconds()?;
    let (took_s, _) = ask(program, &path, repeat)?;
    let cpu_s = (program.cpu_seconds()? - cpu) / repeat.max(1) as f64;
    let gigabytes = set.raw_bytes as f64 / 1e9;
    let scan = format!("substring scan, {name}, GB/s");
    table.add(&format!("{scan} of wall time"), gigabytes / took_s, "two cores; nothing is pruned");
    table.add(&format!("{scan} per core"), gigabytes / cpu_s, "at least 1.5");
    table.add(&format!("{scan} of zstd -d"), reference.unpack_gbps, "one core, memory to memory");
    table.add(&format!("{scan} of memmem"), reference.search_gbps, "one core, text in memory");
    if let Some(duck_s) = peers.duckdb_scan_s(live, UNPRUNED)? {
        let what = "select count(*) ... where contains(line, ...), two threads, the same objects";
        table.add(&format!("{scan} of DuckDB"), gigabytes / duck_s, what);
    }
    Ok(Cost { wall_s: took_s, cpu_s })
}

/// Counts lines by a label and five minutes.
pub fn counts(
    program: &Running,
    set: &Set,
    (peers, live): (&Peers, &[Live]),
    repeat: usize,
    table: &mut Table,
) -> Result<(), BenchError> {
    let name = set.kind.name();
    let query = format!("sum by (namespace) (count_over_time({{app=\"{name}\"}}[5m]))");
    for (what, shift_s) in [("", 0), (", not at whole minutes", 17)] {
        let (start_s, end_s) = (set.start_s + shift_s, set.start_s + DAY_S + shift_s);
        let (took_s, answer) = ask(program, &range(&query, start_s, end_s, 300), repeat)?;
        let read = &answer["data"]["stats"]["summary"]["totalBytesProcessed"];
        let told = format!("{read} bytes of lines read; under 100");
        table.add(&format!("count by label over a day, {name}{what}, ms"), took_s * 1e3, &told);
    }
    if let Some(duck_s) = peers.duckdb_count_s(live)? {
        table.add(&format!("count by label over a day, {name}, DuckDB, ms"), duck_s * 1e3, "");
    }
    Ok(())
}

/// Takes a gigabyte of lines apart, against the pure scan of all of them.
pub fn parsed(
    program: &Running,
    set: &Set,
    pure: Cost,
    repeat: usize,
    table: &mut Table,
) -> Result<(), BenchError> {
    let share = (1e9 / set.raw_bytes as f64).min(1.0);
    let end_s = set.start_s + (DAY_S as f64 * share) as u64;
    let gigabytes = set.raw_bytes as f64 * share / 1e9;
    for filter in ["status=\"500\"", "duration_ms > 2500", "status=\"500\" | user_id > 400000"] {
        let query = format!("sum(rate({{app=\"json\"}} | json | {filter} [1m]))");
        let cpu = program.cpu_seconds()?;
        let (took_s, answer) = ask(program, &range(&query, set.start_s, end_s, 60), repeat)?;
        let cpu_s = (program.cpu_seconds()? - cpu) / repeat.max(1) as f64;
        let found = answer["data"]["result"].as_array().map_or(0, Vec::len);
        let what = format!("{found} series");
        table.add(&format!("json, {filter}, rate over {gigabytes:.2} GB, ms"), took_s * 1e3, &what);
        let (wall, cpu) = (took_s / pure.wall_s / share, cpu_s / pure.cpu_s / share);
        table.add(&format!("json, {filter}, times the pure scan"), wall, "of wall time; at most 4");
        table.add(&format!("json, {filter}, times the pure scan, CPU"), cpu, "");
    }
    Ok(())
}

/// Looks for an identifier that is in one line of everything, and for one that is in none.
pub fn rare_identifiers(
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
