//! The live runs: scrape, store, query, be killed, come back.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::program::{Kind, Running, disk_bytes};
use crate::queries;
use crate::report::{self, Figures};
use crate::targets::Targets;
use crate::{Common, Live, http};

/// Why a run was given up.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A file or socket.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// An answer that is not JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A program that is not there.
    #[error("cannot start {0}: {1} (Debian packages of the peers: prometheus, victoria-metrics)")]
    Start(&'static str, std::io::Error),
    /// A program that does not do as expected.
    #[error("{0}")]
    Answer(String),
}

/// How long any program may take to be ready.
pub const READY_LIMIT: Duration = Duration::from_secs(600);

/// Scrape-to-stored CPU, memory, disk, queries and restart of each program in turn.
pub fn live(options: &Live) -> Result<(), BenchError> {
    let mut all = Vec::new();
    for &kind in options.common.programs.iter().filter(|kind| kind.stores_samples()) {
        eprintln!("bench: {} ...", kind.name());
        let figures = live_one(kind, options)?;
        eprintln!("{}", serde_json::to_string(&figures)?);
        all.push(figures);
    }
    let setting = format!(
        "{} series on {} targets, scraped every {} s; {} s of warm-up, {} s measured; churn {} % of targets a minute",
        options.series,
        options.targets,
        options.interval_s,
        options.warmup_s,
        options.duration_s,
        options.churn_percent
    );
    report::publish("live", &setting, &all, options.common.out.as_deref())
}

fn live_one(kind: Kind, options: &Live) -> Result<Figures, BenchError> {
    let dir = fresh_dir(&options.common, kind)?;
    let data = dir.join("data");
    let targets = Targets::serve(options.series, options.targets, options.churn_percent)?;
    let config = write_config(&dir, options.interval_s, Some(&targets))?;
    let mut program = Running::start(kind, &options.common.bartizan, &config, &data)?;
    let mut figures = Figures::new(kind);
    figures.ready_s = program.wait_ready(READY_LIMIT)?.as_secs_f64();
    pause(options.warmup_s);

    let (cpu_before, served_before) = (program.cpu_seconds()?, targets.samples_served());
    pause(options.duration_s);
    let cpu = program.cpu_seconds()? - cpu_before;
    let samples = targets.samples_served() - served_before;
    figures.samples = samples;
    figures.cpu_us_per_sample = cpu * 1e6 / samples as f64;
    figures.samples_per_s = samples as f64 / options.duration_s as f64;
    figures.memory = program.memory()?;
    figures.memory_bytes_per_series = figures.memory.rss_bytes as f64 / options.series as f64;
    figures.disk_bytes_per_sample = disk_bytes(&data)? as f64 / targets.samples_served() as f64;

    let end_s = now_s() - 5;
    drop(targets);
    // One interval and a little more, until every scrape has failed and the machine is quiet.
    pause(options.interval_s + 10);
    figures.queries = queries::run(kind, program.port, &queries::LIVE, end_s, options.common.repeat);
    figures.memory_after_queries = program.memory()?;
    if !options.no_restart {
        restart(kind, options, &config, &data, program, end_s, &mut figures)?;
    }
    std::fs::remove_dir_all(&dir)?;
    Ok(figures)
}

/// How often a program is killed. Each restart does the same work, and one alone tells little on a shared machine.
const RESTARTS: usize = 3;

fn restart(
    kind: Kind,
    options: &Live,
    config: &Path,
    data: &Path,
    mut program: Running,
    end_s: u64,
    figures: &mut Figures,
) -> Result<(), BenchError> {
    let path = format!("/api/v1/query?query={}&time={end_s}{}", http::encode("count(up)"), kind.uncached());
    for _ in 0..RESTARTS {
        program.kill()?;
        program = Running::start(kind, &options.common.bartizan, config, data)?;
        let mut waited = program.wait_ready(READY_LIMIT)?;
        waited +=
            program.wait_for(READY_LIMIT, |port| http::query(port, &path).is_ok_and(|r| !r.is_empty()))?;
        figures.restarts_s.push(waited.as_secs_f64());
        figures.restart_peak_bytes = figures.restart_peak_bytes.max(program.memory()?.peak_rss_bytes);
    }
    Ok(())
}

/// Time and memory until an empty server is ready.
pub fn start(options: &Common) -> Result<(), BenchError> {
    let mut all = Vec::new();
    for &kind in options.programs.iter().filter(|kind| kind.stores_samples()) {
        let dir = fresh_dir(options, kind)?;
        let config = write_config(&dir, 15, None)?;
        let mut figures = Figures::new(kind);
        let mut program = Running::start(kind, &options.bartizan, &config, &dir.join("data"))?;
        figures.ready_s = program.wait_ready(READY_LIMIT)?.as_secs_f64();
        pause(5);
        figures.memory = program.memory()?;
        drop(program);
        std::fs::remove_dir_all(&dir)?;
        all.push(figures);
    }
    report::publish(
        "start",
        "no targets, empty data directory; memory after 5 s",
        &all,
        options.out.as_deref(),
    )
}

/// Serves the targets until the duration is over, for looking at a program by hand.
pub fn targets_only(options: &Live) -> Result<(), BenchError> {
    let targets = Targets::serve(options.series, options.targets, options.churn_percent)?;
    std::fs::create_dir_all(&options.common.dir)?;
    let config = write_config(&options.common.dir, options.interval_s, Some(&targets))?;
    println!("{}", config.display());
    pause(options.duration_s);
    println!("{} scrapes, {} samples served", targets.scrapes_served(), targets.samples_served());
    Ok(())
}

/// An empty directory for one program of a run.
pub fn fresh_dir(options: &Common, kind: Kind) -> Result<PathBuf, BenchError> {
    let dir = options.dir.join(kind.name());
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    std::fs::create_dir_all(dir.join("data"))?;
    Ok(std::path::absolute(dir)?)
}

/// A scrape configuration that discovers `targets`, or has none.
pub fn write_config(dir: &Path, interval_s: u64, targets: Option<&Targets>) -> Result<PathBuf, BenchError> {
    let dir = std::path::absolute(dir)?;
    let mut text = format!("global:\n  scrape_interval: {interval_s}s\n  scrape_timeout: {interval_s}s\n");
    if let Some(targets) = targets {
        let discovery = dir.join("targets.json");
        targets.write_discovery(&discovery)?;
        let files = format!("[{:?}]", discovery.display().to_string());
        text.push_str("scrape_configs:\n  - job_name: load\n    file_sd_configs:\n      - files: ");
        text.push_str(&files);
        text.push('\n');
    }
    let path = dir.join("prometheus.yml");
    std::fs::write(&path, text)?;
    Ok(path)
}

/// Seconds since the Unix epoch.
pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn pause(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}
