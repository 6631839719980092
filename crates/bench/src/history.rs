//! Queries over a day of history that every program has on disk before the clock starts.
//!
//! `promtool` makes the blocks, so Prometheus and Bartizan open the very same bytes; VictoriaMetrics
//! imports the same samples.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::program::{Kind, Running, disk_bytes};
use crate::report::{self, Figures};
use crate::scenario::{BenchError, READY_LIMIT, fresh_dir, now_s, write_config};
use crate::shape::{self, Block};
use crate::{History, http, queries};

const SERIES_PER_TARGET: usize = 500;

/// Runs the history queries on each program in turn.
pub fn run(options: &History) -> Result<(), BenchError> {
    std::fs::create_dir_all(&options.common.dir)?;
    let root = std::path::absolute(&options.common.dir)?;
    // Aligned to the length of a block, so that no program has a half-filled one to treat specially.
    let end_s = now_s() / 7200 * 7200 - 7200;
    let start_s = end_s - options.hours * 3600;
    let blocks = root.join("blocks");
    make_blocks(options, start_s, end_s, &root.join("history.om"), &blocks)?;
    let mut all = Vec::new();
    for &kind in options.common.programs.iter().filter(|kind| kind.stores_samples()) {
        eprintln!("bench: {} ...", kind.name());
        all.push(run_one(kind, options, start_s, end_s, &blocks)?);
    }
    std::fs::remove_dir_all(&blocks)?;
    let setting = format!(
        "{} series, {} h of samples every {} s, in blocks on disk",
        options.series, options.hours, options.interval_s
    );
    report::publish("history", &setting, &all, options.common.out.as_deref())
}

fn run_one(
    kind: Kind,
    options: &History,
    start_s: u64,
    end_s: u64,
    blocks: &Path,
) -> Result<Figures, BenchError> {
    let dir = fresh_dir(&options.common, kind)?;
    let data = dir.join("data");
    if kind != Kind::VictoriaMetrics {
        std::fs::remove_dir(&data)?;
        copy_dir(blocks, &data)?;
    }
    let config = write_config(&dir, 15, None)?;
    let mut figures = Figures::new(kind);
    let mut program = Running::start(kind, &options.common.bartizan, &config, &data)?;
    figures.ready_s = program.wait_ready(READY_LIMIT)?.as_secs_f64();
    if kind == Kind::VictoriaMetrics {
        import(program.port, options, start_s, end_s)?;
    }
    figures.samples = options.series as u64 * (options.hours * 3600 / options.interval_s);
    figures.queries = queries::run(kind, program.port, &queries::HISTORY, end_s - 60, options.common.repeat);
    figures.memory = program.memory()?;
    figures.disk_bytes_per_sample = disk_bytes(&data)? as f64 / figures.samples as f64;
    drop(program);
    std::fs::remove_dir_all(&dir)?;
    Ok(figures)
}

fn make_blocks(
    options: &History,
    start_s: u64,
    end_s: u64,
    text: &Path,
    blocks: &Path,
) -> Result<(), BenchError> {
    eprintln!("bench: making blocks ...");
    let mut out = BufWriter::new(File::create(text)?);
    let all = all_blocks(options);
    for (target, block) in &all {
        out.write_all(block.meta.as_bytes())?;
        let times = (start_s..end_s).step_by(options.interval_s as usize);
        for series in &block.series {
            for t in times.clone() {
                let value = series.value((t - start_s) as f64);
                writeln!(out, "{} {value} {t}", with_instance(&series.head, *target))?;
            }
        }
    }
    out.write_all(b"# EOF\n")?;
    out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
    let mut promtool = Command::new("promtool");
    promtool.args(["tsdb", "create-blocks-from", "openmetrics", "-q"]).arg(text).arg(blocks);
    let status = promtool.stdout(Stdio::null()).status().map_err(|e| BenchError::Start("promtool", e))?;
    std::fs::remove_file(text)?;
    if !status.success() {
        return Err(BenchError::Answer(format!("promtool could not make the blocks: {status}")));
    }
    Ok(())
}

/// The generated families of all targets, families of one name together, as OpenMetrics wants them.
fn all_blocks(options: &History) -> Vec<(usize, Block)> {
    let targets = options.series.div_ceil(SERIES_PER_TARGET);
    let of_target = |t| shape::target(t, 0, SERIES_PER_TARGET).into_iter().map(move |block| (t, block));
    let mut all: Vec<_> = (0..targets).flat_map(of_target).collect();
    all.sort_by(|(_, a), (_, b)| a.meta.cmp(&b.meta));
    let mut previous = String::new();
    for (_, block) in &mut all {
        if block.meta == previous {
            block.meta.clear();
        } else {
            previous.clone_from(&block.meta);
        }
        // The generator's histograms and counters carry no type rules here: promtool wants untyped text.
        if let Some(name) = block.meta.split(' ').nth(2) {
            block.meta = format!("# TYPE {name} unknown\n");
        }
    }
    all
}

fn with_instance(head: &str, target: usize) -> String {
    let open = head.trim_end().trim_end_matches('}');
    format!("{open},instance=\"10.0.{}.{}:8080\",job=\"load\"}}", target >> 8, target & 255)
}

fn import(port: u16, options: &History, start_s: u64, end_s: u64) -> Result<(), BenchError> {
    let mut body = Vec::new();
    for (target, block) in all_blocks(options) {
        for series in &block.series {
            for t in (start_s..end_s).step_by(options.interval_s as usize) {
                let value = series.value((t - start_s) as f64);
                writeln!(body, "{} {value} {}", with_instance(&series.head, target), t * 1000)?;
            }
            if body.len() > 8 << 20 {
                http::post(port, "/api/v1/import/prometheus", &body)?;
                body.clear();
            }
        }
    }
    http::post(port, "/api/v1/import/prometheus", &body)?;
    http::get(port, "/internal/force_flush")?;
    Ok(())
}

fn copy_dir(from: &Path, to: &Path) -> Result<(), BenchError> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
