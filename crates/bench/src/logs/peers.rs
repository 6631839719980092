//! What the same lines take elsewhere: zstd, a plain search, and DuckDB over the objects the program wrote.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::objects::Live;
use super::table::Table;
use super::{Set, UNPRUNED};
use crate::report;
use crate::scenario::BenchError;

/// The figures of one kind.
#[derive(Debug, Clone, Copy)]
pub struct Reference {
    /// What zstd -9 over blocks of 2 MB leaves of the lines.
    pub share: f64,
    /// The same of lines with the timestamps of a container runtime.
    pub stamped_share: Option<f64>,
    /// Gigabytes of text a second that zstd unpacks on one core.
    pub unpack_gbps: f64,
    /// Gigabytes of text a second that are searched in memory on one core.
    pub search_gbps: f64,
}

/// What is compared with.
pub struct Peers {
    python: Option<PathBuf>,
}

impl Peers {
    /// Looks which of them there are.
    pub fn new(python: &Path, table: &mut Table) -> Self {
        let has_duckdb =
            Command::new(python).args(["-c", "import duckdb"]).output().is_ok_and(|out| out.status.success());
        if !has_duckdb {
            table.add("DuckDB", f64::NAN, "no Python with the module duckdb");
        }
        Self { python: has_duckdb.then(|| python.to_owned()) }
    }

    /// Measures zstd and a plain search on lines of one kind.
    pub fn measure(&self, set: &Set, dir: &Path) -> Result<Reference, BenchError> {
        let text = set.sample.lines.concat();
        let (share, unpack_gbps) = zstd(dir, &text)?;
        let stamped = set.sample.stamped.concat();
        let stamped_share = match stamped.len() {
            0 => None,
            // Of the lines alone, so that it compares with other shares.
            bytes => Some(zstd(dir, &stamped)?.0 * bytes as f64 / text.len() as f64),
        };
        let finder = memchr::memmem::Finder::new(UNPRUNED);
        let times: Vec<f64> = (0..5)
            .map(|_| {
                let started = Instant::now();
                black_box(finder.find(black_box(text.as_bytes())));
                started.elapsed().as_secs_f64()
            })
            .collect();
        let search_gbps = text.len() as f64 / 1e9 / report::median(&times);
        Ok(Reference { share, stamped_share, unpack_gbps, search_gbps })
    }

    /// Seconds DuckDB takes to search all lines.
    pub fn duckdb_scan_s(&self, live: &[Live], needle: &str) -> Result<Option<f64>, BenchError> {
        self.duckdb(live, &format!("select count(*) from FILES where contains(line, '{needle}')"))
    }

    /// Seconds DuckDB takes to count lines by a label and five minutes.
    pub fn duckdb_count_s(&self, live: &[Live]) -> Result<Option<f64>, BenchError> {
        let sql = "select stream->>'namespace', epoch_ns(timestamp) // 300000000000, count(*) from FILES group by all";
        self.duckdb(live, sql)
    }

    fn duckdb(&self, live: &[Live], sql: &str) -> Result<Option<f64>, BenchError> {
        let Some(python) = &self.python else { return Ok(None) };
        let paths: Vec<String> = live.iter().map(|object| format!("'{}'", object.path.display())).collect();
        let files = format!("read_parquet([{}])", paths.join(", "));
        let program = format!(
            "import duckdb, time\nduckdb.sql('set threads=2')\nq = \"\"\"{}\"\"\"\nduckdb.sql(q).fetchall()\nt = time.perf_counter()\nduckdb.sql(q).fetchall()\nprint(time.perf_counter() - t)",
            sql.replace("FILES", &files)
        );
        let out = Command::new(python).args(["-c", &program]).output()?;
        let text = String::from_utf8_lossy(&out.stdout);
        match text.trim().parse() {
            Ok(seconds) if out.status.success() => Ok(Some(seconds)),
            _ => Err(BenchError::Answer(format!("DuckDB: {}", String::from_utf8_lossy(&out.stderr)))),
        }
    }
}

/// The share that `zstd -9` in blocks of 2 MB leaves of a text, and the gigabytes a second it unpacks.
fn zstd(dir: &Path, text: &str) -> Result<(f64, f64), BenchError> {
    let path = dir.join("sample.txt");
    std::fs::write(&path, text)?;
    let out = Command::new("zstd").args(["-b9", "-e9", "-i2", "-B2MB"]).arg(&path).output();
    std::fs::remove_file(&path)?;
    let out = out.map_err(|error| BenchError::Start("zstd", error))?;
    let told = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    figures(&told).ok_or_else(|| BenchError::Answer(format!("zstd -b told {told:?}")))
}

/// From `-9#name : 100 -> 20 (x5.000), 100.0 MB/s, 2000.0 MB/s`, of which the last counts.
fn figures(told: &str) -> Option<(f64, f64)> {
    let last = told.split(['\r', '\n']).rfind(|part| part.matches("MB/s").count() == 2)?;
    let ratio = last.split("(x").nth(1).or_else(|| last.split('(').nth(1))?.split(')').next()?;
    let before = |at: usize| last.split("MB/s").nth(at)?.split_whitespace().next_back()?.parse::<f64>().ok();
    Some((1.0 / ratio.trim().parse::<f64>().ok()?, before(1)? / 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_zstd_tells_is_read() {
        let told = " 9#sample.txt :  16777265 ->   1668575 (x10.055),  118.2 MB/s, 3083.1 MB/s\r 9#sample.txt :  16777265 ->   1668575 (x10.000),  118.2 MB/s, 3000.0 MB/s\n";
        assert_eq!(figures(told), Some((0.1, 3.0)));
        assert_eq!(figures("-9      1668575 (10.000) 118.22 MB/s 3000.0 MB/s  access.txt"), Some((0.1, 3.0)));
        assert_eq!(figures("nothing"), None);
    }
}
