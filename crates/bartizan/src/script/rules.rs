//! `test rules`: unit tests of rules, and rules over history.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use model::regex::Regex;
use promql::engine::EngineOptions;
use rules::unit_test::{FileOutcome, TestOptions, TestStorage, report, run_file};

use super::backtest::{self, HistoryArgs};
use super::fresh_database;
use crate::roles::features::Features;

/// What to test.
#[derive(clap::Args, Debug, Clone)]
pub struct RulesArgs {
    /// Test files in promtool's format; with `--against`, rule files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Only run tests whose names match this pattern. Can be repeated.
    #[arg(long, value_name = "PATTERN")]
    run: Vec<String>,
    /// Show what differs rather than both sides.
    #[arg(long)]
    diff: bool,
    /// Show the data at the end of each test.
    #[arg(long)]
    debug: bool,
    /// Pass over keys of rule files nobody knows.
    #[arg(long)]
    ignore_unknown_fields: bool,
    /// Write the outcome as JUnit XML to this file.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Comma-separated names of features the server runs with. Can be repeated.
    #[arg(long, value_delimiter = ',', value_name = "FEATURE")]
    enable_feature: Vec<String>,
    #[command(flatten)]
    history: HistoryArgs,
}

/// Runs the tests. The exit code is 1 when one failed.
pub fn run(args: &RulesArgs) -> anyhow::Result<ExitCode> {
    let features = Features::from_names(&args.enable_feature);
    for unknown in &features.unknown {
        eprintln!("  WARNING: unknown option for --enable-feature: {unknown}");
    }
    let engine = EngineOptions {
        parse: features.parse_options(),
        delayed_name_removal: features.delayed_name_removal,
        type_and_unit_labels: features.type_and_unit_labels,
        start_timestamps: features.use_start_timestamps,
        ..EngineOptions::default()
    };
    if let Some(against) = &args.history.against {
        return backtest::run(&args.files, against, &args.history, engine, args.ignore_unknown_fields);
    }
    let only = (!args.run.is_empty()).then(|| Regex::new(&args.run.join("|"))).transpose()?;
    let options = TestOptions {
        storage: &open,
        engine,
        only,
        diff: args.diff,
        ignore_unknown_fields: args.ignore_unknown_fields,
        debug: args.debug,
    };
    let mut outcomes = Vec::with_capacity(args.files.len());
    for file in &args.files {
        let outcome = run_file(file, &options);
        show(&outcome)?;
        outcomes.push(outcome);
    }
    if let Some(path) = &args.junit {
        write_report(path, &outcomes)?;
    }
    let failed = outcomes.iter().any(|outcome| !outcome.is_success());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn open() -> Result<TestStorage, String> {
    let storage = fresh_database()?;
    Ok(TestStorage { appendable: storage.appendable, source: storage.source, keep: storage.keep })
}

fn show(outcome: &FileOutcome) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "Unit Testing:  {}", outcome.file)?;
    out.flush()?;
    for warning in &outcome.warnings {
        eprintln!("  WARNING: {warning}");
    }
    outcome.cases.iter().flat_map(|case| &case.notes).for_each(|note| eprintln!("{note}"));
    if outcome.is_success() {
        writeln!(out, "  SUCCESS")?;
    } else {
        eprintln!("  FAILED:");
        for failure in outcome.failures() {
            eprintln!("{failure}");
            writeln!(out)?;
        }
    }
    writeln!(out)?;
    out.flush()
}

fn write_report(path: &Path, outcomes: &[FileOutcome]) -> anyhow::Result<()> {
    use anyhow::Context;
    use base::Clock;
    let now = jiff::Timestamp::from_millisecond(base::SystemClock::new().now_ms())?;
    let text = report::junit(outcomes, &now.strftime("%Y-%m-%dT%H:%M:%S").to_string());
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
