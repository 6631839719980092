//! Raw figures of each program, and their ratios to Bartizan's.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

use crate::program::{Kind, Memory};
use crate::queries::Timing;
use crate::scenario::BenchError;

/// What one program did in one run; `NaN` where the run does not measure it.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// The program.
    pub kind: Kind,
    /// Seconds from the start of the process until it was ready.
    pub ready_s: f64,
    /// Samples served to it while measuring.
    pub samples: u64,
    /// Samples served to it each second.
    pub samples_per_s: f64,
    /// CPU time per sample, scrape to stored.
    pub cpu_us_per_sample: f64,
    /// CPU time per sample sent to another store, beyond that of storing it.
    pub sender_cpu_us_per_sample: f64,
    /// Compressed bytes per sample sent.
    pub sent_bytes_per_sample: f64,
    /// CPU time per sample that makes its series.
    pub first_cpu_us_per_sample: f64,
    /// Requests that were not answered with success.
    pub failed_requests: u64,
    /// Memory at the end of the measurement.
    pub memory: Memory,
    /// Resident memory per active series.
    pub memory_bytes_per_series: f64,
    /// Disk space per sample stored.
    pub disk_bytes_per_sample: f64,
    /// Memory after the queries.
    pub memory_after_queries: Memory,
    /// Seconds from a start after kill -9 until it is ready and answers a query, of each restart.
    pub restarts_s: Vec<f64>,
    /// Peak of resident memory during any of them.
    pub restart_peak_bytes: u64,
    /// The query set.
    pub queries: Vec<Timing>,
    /// What only this scenario measures, by what it is and its unit.
    pub own: Vec<(String, f64)>,
}

impl Figures {
    /// Nothing measured yet.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            ready_s: f64::NAN,
            samples: 0,
            samples_per_s: f64::NAN,
            cpu_us_per_sample: f64::NAN,
            sender_cpu_us_per_sample: f64::NAN,
            sent_bytes_per_sample: f64::NAN,
            first_cpu_us_per_sample: f64::NAN,
            failed_requests: 0,
            memory: Memory::default(),
            memory_bytes_per_series: f64::NAN,
            disk_bytes_per_sample: f64::NAN,
            memory_after_queries: Memory::default(),
            restarts_s: Vec::new(),
            restart_peak_bytes: 0,
            queries: Vec::new(),
            own: Vec::new(),
        }
    }

    /// Adds a figure only this scenario has.
    pub fn add(&mut self, what: &str, value: f64) {
        self.own.push((what.to_owned(), value));
    }

    fn rows(&self) -> Vec<(String, f64)> {
        let mib = |bytes: u64| if bytes == 0 { f64::NAN } else { bytes as f64 / f64::from(1 << 20) };
        let mut rows = vec![
            ("ready, s".to_owned(), self.ready_s),
            ("samples/s served".to_owned(), self.samples_per_s),
            ("CPU per sample, us".to_owned(), self.cpu_us_per_sample),
            ("CPU per sample sent, us".to_owned(), self.sender_cpu_us_per_sample),
            ("bytes per sample sent".to_owned(), self.sent_bytes_per_sample),
            ("CPU per sample of new series, us".to_owned(), self.first_cpu_us_per_sample),
            ("resident memory, MiB".to_owned(), mib(self.memory.rss_bytes)),
            ("anonymous memory, MiB".to_owned(), mib(self.memory.anonymous_bytes)),
            ("resident memory per series, B".to_owned(), self.memory_bytes_per_series),
            ("peak resident memory, MiB".to_owned(), mib(self.memory.peak_rss_bytes)),
            ("resident memory after queries, MiB".to_owned(), mib(self.memory_after_queries.rss_bytes)),
            ("disk per sample, B".to_owned(), self.disk_bytes_per_sample),
            ("restart after kill -9, median, s".to_owned(), median(&self.restarts_s)),
            ("peak memory of the restart, MiB".to_owned(), mib(self.restart_peak_bytes)),
        ];
        rows.extend(self.own.iter().cloned());
        rows.extend(self.queries.iter().map(|q| (format!("query: {}, ms", q.name), q.median_ms)));
        rows.push(("queries, geometric mean, ms".to_owned(), geometric_mean(&self.queries)));
        rows
    }
}

fn geometric_mean(queries: &[Timing]) -> f64 {
    let logs: Vec<f64> = queries.iter().filter(|q| q.error.is_none()).map(|q| q.median_ms.ln()).collect();
    (logs.iter().sum::<f64>() / logs.len() as f64).exp()
}

/// Prints the comparison and, with `out`, keeps it as a dated file there.
pub fn publish(scenario: &str, setting: &str, all: &[Figures], out: Option<&Path>) -> Result<(), BenchError> {
    publish_text(scenario, &render(scenario, setting, all)?, out)
}

/// The same for a report that is written already.
pub fn publish_text(scenario: &str, text: &str, out: Option<&Path>) -> Result<(), BenchError> {
    println!("{text}");
    if let Some(dir) = out {
        std::fs::create_dir_all(dir)?;
        let path = dir.join(format!("{}-{scenario}.md", shell("date", &["-u", "+%Y-%m-%d-%H%M"])));
        std::fs::write(&path, text)?;
        eprintln!("bench: written to {}", path.display());
    }
    Ok(())
}

/// What every report begins with.
pub fn head(scenario: &str, setting: &str) -> String {
    let command = without_paths(std::env::args().skip(1)).join(" ");
    let mut text = format!("# {scenario}\n\n{setting}\n\n* command: `bench {command}`\n");
    let _ = writeln!(text, "* machine: {}", machine());
    let _ = writeln!(text, "* date: {}\n", shell("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]));
    text
}

/// Options that say where something is on the machine of the run, which is nobody else's concern.
const PATHS: [&str; 4] = ["--bartizan", "--dir", "--out", "--python"];

/// The arguments of a command without options that are paths.
fn without_paths(mut arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut kept = Vec::new();
    while let Some(argument) = arguments.next() {
        let name = argument.split('=').next().unwrap_or_default();
        if !PATHS.contains(&name) {
            kept.push(argument);
        } else if name == argument {
            arguments.next();
        }
    }
    kept
}

fn render(scenario: &str, setting: &str, all: &[Figures]) -> Result<String, BenchError> {
    let mut text = head(scenario, setting);
    let ours = all.iter().find(|figures| figures.kind == Kind::Bartizan).map(Figures::rows);
    let _ = write!(text, "| figure |");
    for figures in all {
        let _ = write!(text, " {} |", figures.kind.name());
        if figures.kind != Kind::Bartizan && ours.is_some() {
            let _ = write!(text, " / bartizan |");
        }
    }
    text.push_str("\n|---|");
    let peers = all.iter().filter(|figures| figures.kind != Kind::Bartizan && ours.is_some()).count();
    text.push_str(&"---:|".repeat(all.len() + peers));
    text.push('\n');
    let tables: Vec<Vec<(String, f64)>> = all.iter().map(Figures::rows).collect();
    for row in 0..tables.first().map_or(0, Vec::len) {
        if tables.iter().all(|table| table[row].1.is_nan()) {
            continue;
        }
        let _ = write!(text, "| {} |", tables[0][row].0);
        for (figures, table) in all.iter().zip(&tables) {
            let _ = write!(text, " {} |", number(table[row].1));
            if let (true, Some(ours)) = (figures.kind != Kind::Bartizan, &ours) {
                let _ = write!(text, " {} |", number(table[row].1 / ours[row].1));
            }
        }
        text.push('\n');
    }
    for figures in all {
        for query in &figures.queries {
            if let Some(error) = &query.error {
                let _ = writeln!(text, "\n{}: {}: {error}", figures.kind.name(), query.name);
            }
        }
    }
    text.push_str("\nRaw figures:\n\n```json\n");
    for figures in all {
        text.push_str(&serde_json::to_string(figures)?);
        text.push('\n');
    }
    text.push_str("```\n");
    Ok(text)
}

/// A number with as many digits as tell something.
pub fn number(value: f64) -> String {
    match value.abs() {
        _ if value.is_nan() => "-".to_owned(),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!("{} cores,{}, load average {}", cores, model.trim_start_matches(['\t', ' ', ':']), load.trim())
}

fn shell(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(|_| String::new(), |o| String::from_utf8_lossy(&o.stdout).trim().to_owned())
}

/// The value in the middle, or nothing of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_do_not_say_where_things_are() {
        let given = ["rules", "--bartizan", "/a/b", "--rules", "5", "--out=/c", "--dir", "d", "--repeat=3"];
        let kept = without_paths(given.into_iter().map(str::to_owned));
        assert_eq!(kept, ["rules", "--rules", "5", "--repeat=3"]);
    }
}
