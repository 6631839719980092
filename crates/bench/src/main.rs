//! Side-by-side comparisons with real peers, and the load they are compared under.
//!
//! One run starts each program in turn on the same generated data, on loopback, for a bounded time,
//! and prints both sides' raw figures and their ratios. It knows the programs only from outside:
//! their flags, their HTTP API, and what the kernel says about their processes. In reading order:
//! [`shape`] (what the data looks like), [`targets`] (serving it to be scraped), [`program`] (starting
//! and observing a program), [`http`] (asking it), [`queries`], [`scenario`] (the runs) and [`report`].

#![allow(clippy::disallowed_methods, reason = "a benchmark measures the machine's real time")]

mod alerts;
mod history;
mod http;
mod logs;
mod program;
mod queries;
mod receive;
mod report;
mod rules;
mod scenario;
mod send;
mod shape;
mod targets;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::program::Kind;

/// Compares Bartizan with Prometheus and VictoriaMetrics on this machine.
#[derive(Parser, Debug)]
#[command(name = "bench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Scrape-to-stored CPU, memory, disk, queries and restart under a live load.
    Live(Live),
    /// Queries over a day of stored history.
    History(History),
    /// CPU and memory of received remote writes.
    Receive(Receive),
    /// What sending samples on by remote write adds to the CPU of scraping and storing them.
    Send(Send),
    /// What evaluating rules adds to the CPU of scraping what they read.
    Rules(Rules),
    /// CPU and memory of many active alerts, and the time until somebody is told.
    Alerts(Alerts),
    /// Logs: pushed, compacted, asked, beside zstd, a plain search and DuckDB.
    Logs(Logs),
    /// Time and memory until an empty server is ready.
    Start(Common),
    /// Serves the generated targets only, until the duration is over.
    Targets(Live),
}

/// What every run needs to know.
#[derive(Args, Debug, Clone)]
struct Common {
    /// The Bartizan binary.
    #[arg(long, default_value = "target/release/bartizan")]
    bartizan: PathBuf,
    /// Programs to run, in this order; those that cannot do what is measured are left out.
    #[arg(long, value_delimiter = ',', default_value = "prometheus,victoria-metrics,alertmanager,bartizan")]
    programs: Vec<Kind>,
    /// Where data goes; removed after the run.
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
    /// Also write the report as a file in this directory.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Repetitions of each query; the median is reported.
    #[arg(long, default_value_t = 7)]
    repeat: usize,
}

#[derive(Args, Debug, Clone)]
struct Live {
    #[command(flatten)]
    common: Common,
    /// Active series in all.
    #[arg(long, default_value_t = 1_000_000)]
    series: usize,
    /// Targets they are spread over.
    #[arg(long, default_value_t = 1_000)]
    targets: usize,
    /// Scrape interval in seconds.
    #[arg(long, default_value_t = 10)]
    interval_s: u64,
    /// Seconds before measuring, for every target to be scraped.
    #[arg(long, default_value_t = 40)]
    warmup_s: u64,
    /// Seconds of measurement.
    #[arg(long, default_value_t = 300)]
    duration_s: u64,
    /// Share of targets whose pods are replaced during each minute, in percent.
    #[arg(long, default_value_t = 1)]
    churn_percent: u64,
    /// Skip the kill and restart.
    #[arg(long)]
    no_restart: bool,
}

#[derive(Args, Debug, Clone)]
struct History {
    #[command(flatten)]
    common: Common,
    /// Series of history.
    #[arg(long, default_value_t = 5_000)]
    series: usize,
    /// Hours of history.
    #[arg(long, default_value_t = 24)]
    hours: u64,
    /// Seconds between samples.
    #[arg(long, default_value_t = 60)]
    interval_s: u64,
}

#[derive(Args, Debug, Clone)]
struct Receive {
    #[command(flatten)]
    common: Common,
    /// Series that are pushed.
    #[arg(long, default_value_t = 200_000)]
    series: usize,
    /// Samples of each series.
    #[arg(long, default_value_t = 60)]
    rounds: u64,
    /// Seconds from sample to sample, in the data.
    #[arg(long, default_value_t = 15)]
    interval_s: u64,
    /// Samples of a request.
    #[arg(long, default_value_t = 2_000)]
    samples_per_request: usize,
    /// Connections that push at once.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Seconds after the last request that still count.
    #[arg(long, default_value_t = 5)]
    settle_s: u64,
    /// Keep the data.
    #[arg(long)]
    keep: bool,
}

#[derive(Args, Debug, Clone)]
struct Send {
    #[command(flatten)]
    common: Common,
    /// Active series in all.
    #[arg(long, default_value_t = 200_000)]
    series: usize,
    /// Targets they are spread over.
    #[arg(long, default_value_t = 200)]
    targets: usize,
    /// Scrape interval in seconds.
    #[arg(long, default_value_t = 5)]
    interval_s: u64,
    /// Seconds before measuring.
    #[arg(long, default_value_t = 25)]
    warmup_s: u64,
    /// Seconds of measurement, with and without sending.
    #[arg(long, default_value_t = 60)]
    duration_s: u64,
    /// Lines to add to the section of remote_write, separated by semicolons.
    #[arg(long, default_value = "")]
    remote_write: String,
}

#[derive(Args, Debug, Clone)]
struct Rules {
    #[command(flatten)]
    common: Common,
    /// Rules in all.
    #[arg(long, default_value_t = 10_000)]
    rules: usize,
    /// Seconds from one evaluation of a group to the next.
    #[arg(long, default_value_t = 30)]
    rule_interval_s: u64,
    /// Active series in all.
    #[arg(long, default_value_t = 1_000_000)]
    series: usize,
    /// Targets they are spread over.
    #[arg(long, default_value_t = 1_000)]
    targets: usize,
    /// Scrape interval in seconds.
    #[arg(long, default_value_t = 30)]
    interval_s: u64,
    /// Seconds before measuring, for every target to be scraped.
    #[arg(long, default_value_t = 90)]
    warmup_s: u64,
    /// Seconds between the reload and the measurement with rules.
    #[arg(long, default_value_t = 60)]
    settle_s: u64,
    /// Seconds of measurement, with and without rules.
    #[arg(long, default_value_t = 120)]
    duration_s: u64,
}

#[derive(Args, Debug, Clone)]
struct Alerts {
    #[command(flatten)]
    common: Common,
    /// Active alerts in all.
    #[arg(long, default_value_t = 100_000)]
    alerts: usize,
    /// Groups they are spread over.
    #[arg(long, default_value_t = 1_000)]
    groups: usize,
    /// Seconds from one look at a group to the next.
    #[arg(long, default_value_t = 15)]
    group_interval_s: u64,
    /// Times all alerts are sent again.
    #[arg(long, default_value_t = 5)]
    rounds: u64,
    /// Alerts of a request.
    #[arg(long, default_value_t = 256)]
    batch: usize,
    /// Silences, each for one alert.
    #[arg(long, default_value_t = 100)]
    silences: usize,
    /// Seconds during which groups are only looked at.
    #[arg(long, default_value_t = 60)]
    duration_s: u64,
    /// Alerts whose way to a mail server is timed.
    #[arg(long, default_value_t = 60)]
    mails: usize,
    /// The Python that has aiosmtpd.
    #[arg(long, default_value = "target/tools/bin/python")]
    python: PathBuf,
}

#[derive(Args, Debug, Clone)]
struct Logs {
    #[command(flatten)]
    common: Common,
    /// Gigabytes of lines in all.
    #[arg(long, default_value_t = 10.0)]
    gigabytes: f64,
    /// A Python with the module duckdb.
    #[arg(long, default_value = "target/tools/bin/python")]
    python: PathBuf,
    /// Seconds of pushing at a steady rate with queries running, for memory.
    #[arg(long, default_value_t = 60)]
    paced_s: u64,
    /// Megabytes a second while that lasts.
    #[arg(long, default_value_t = 20.0)]
    paced_mbps: f64,
    /// Keep the data.
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Live(options) => scenario::live(&options),
        Command::History(options) => history::run(&options),
        Command::Receive(options) => receive::run(&options),
        Command::Send(options) => send::run(&options),
        Command::Rules(options) => rules::run(&options),
        Command::Alerts(options) => alerts::run(&options),
        Command::Logs(options) => logs::run(&options),
        Command::Start(options) => scenario::start(&options),
        Command::Targets(options) => scenario::targets_only(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
