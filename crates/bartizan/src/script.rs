//! `bartizan test`: runs scripted tests.

mod backtest;
mod rules;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use base::metrics::Registry;
use clap::Subcommand;
use promql::engine::Engine;
use testkit::promql::engine::script_options;
use testkit::promql::{OpenStorage, Report, run_file};
use tsdb::compact::retention::Retention;
use tsdb::db::{Db, Options};

/// What to test.
#[derive(Subcommand, Debug)]
pub enum TestCommand {
    /// Run PromQL test scripts on the storage engine.
    ///
    /// Every feature of the language is on. Prints what failed as FILE:LINE: MESSAGE and ends with the line
    /// `N passed, M failed`.
    Promql {
        /// The scripts.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Accepted so that command lines of servers can be reused: all features are on.
        #[arg(long, value_delimiter = ',', value_name = "FEATURE")]
        enable_feature: Vec<String>,
    },
    /// Run unit tests of rules, or evaluate rules over history.
    ///
    /// The files are those of `promtool test rules`. With --against they are rule files, which are evaluated on
    /// stored samples to say when each alert would have fired.
    Rules(rules::RulesArgs),
}

/// Runs the tests. The exit code is 1 when one failed.
pub fn run(command: &TestCommand) -> anyhow::Result<ExitCode> {
    crate::report::unless_closed(match command {
        TestCommand::Promql { files, .. } => run_scripts(files),
        TestCommand::Rules(args) => rules::run(args),
    })
}

fn run_scripts(files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let engine = Engine::new(script_options());
    let mut out = std::io::stdout().lock();
    let mut total = Report::default();
    for file in files {
        let report = run_file(file, &fresh_database, &engine);
        for failure in &report.failed {
            writeln!(out, "{failure}")?;
        }
        total.merge(report);
    }
    writeln!(out, "{total}")?;
    out.flush()?;
    Ok(if total.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// An empty database in a directory of its own, which goes when the database does.
fn fresh_database() -> Result<OpenStorage, String> {
    const DAY_MS: i64 = 24 * 3_600_000;
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let options = Options {
        // Scripts live around the year 1970.
        retention: Retention { duration_ms: 0, ..Retention::default() },
        min_block_duration_ms: DAY_MS,
        max_block_duration_ms: DAY_MS,
        start_timestamps: true,
        ..Options::default()
    };
    let opened = Db::open(dir.path(), options, base::SystemClock::shared(), &Registry::new());
    let db = Arc::new(opened.map_err(|error| error.to_string())?);
    Ok(OpenStorage { appendable: db.clone(), source: db, keep: Some(Box::new(dir)) })
}
