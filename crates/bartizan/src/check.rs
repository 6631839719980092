//! `bartizan check`: checks files before they are used.
//!
//! In reading order: [`configuration`] (configuration files and what they name), [`rules`], [`web_config`] and
//! [`metrics`].

mod configuration;
mod metrics;
mod rules;
mod web_config;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

/// What to check.
#[derive(Subcommand, Debug)]
pub enum CheckCommand {
    /// Check configuration files, and the files they name.
    ///
    /// The exit code is 1 when a server would not start with one of them.
    Config {
        /// The configuration files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Check them as an agent would read them.
        #[arg(long)]
        agent: bool,
        /// Do not look at the files they name.
        #[arg(long)]
        syntax_only: bool,
        /// Comma-separated names of features the server runs with. Can be repeated.
        #[arg(long, value_delimiter = ',', value_name = "FEATURE")]
        enable_feature: Vec<String>,
    },
    /// Check an exposition for what is legal but not good practice.
    ///
    /// OpenMetrics, which ends with `# EOF`, is checked against its standard instead. The exit code is 1
    /// when the exposition cannot be read and 3 when something could be better.
    Metrics {
        /// The exposition; the standard input stream by default.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// Print how many series each metric has.
        #[arg(long)]
        extended: bool,
        /// What to look for.
        #[arg(long, default_value = "all")]
        lint: Lint,
    },
    /// Check rule files.
    ///
    /// The exit code is 1 when a server would not start with one of them, and 3 with --lint-fatal when something
    /// could be better.
    Rules(rules::RulesArgs),
    /// Check web configuration files.
    WebConfig {
        /// The web configuration files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// What to look for in an exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Lint {
    /// Everything that could be better.
    All,
    /// Nothing.
    None,
}

/// Checks and prints.
pub fn run(command: &CheckCommand) -> anyhow::Result<ExitCode> {
    let done = match command {
        CheckCommand::Config { files, agent, syntax_only, enable_feature } => {
            configuration::run(files, *agent, *syntax_only, enable_feature)
        }
        CheckCommand::Metrics { file, extended, lint } => metrics::run(file.as_deref(), *extended, *lint),
        CheckCommand::Rules(args) => rules::run(args),
        CheckCommand::WebConfig { files } => web_config::run(files),
    };
    crate::report::unless_closed(done)
}
