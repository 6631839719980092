//! `bartizan tsdb`: looks into a data directory.
//!
//! Nothing here changes the directory or takes its lock, so that all of it may run beside a server. In
//! reading order: [`directory`] (the blocks there are), [`list`], [`analyze`] with [`distribution`],
//! [`sandbox`] (replaying the head elsewhere), [`dump`], and [`verify`].

mod analyze;
mod directory;
mod distribution;
mod dump;
mod list;
mod sandbox;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

pub use self::analyze::AnalyzeArgs;
pub use self::dump::DumpArgs;

/// What to look at.
#[derive(Subcommand, Debug)]
pub enum TsdbCommand {
    /// List the blocks.
    List {
        #[command(flatten)]
        place: Place,
        /// Print times and sizes as people read them.
        #[arg(long, short = 'r')]
        human_readable: bool,
    },
    /// Tell what a block holds: churn, cardinality, and how well samples are compressed.
    Analyze(AnalyzeArgs),
    /// Print samples, of the blocks and of the head.
    Dump(DumpArgs),
    /// Read everything and name what is damaged: blocks, head chunks and logs.
    ///
    /// Prints a line for each problem, with the file and the place in it. The exit code is 1 when there is
    /// damage.
    Verify {
        #[command(flatten)]
        place: Place,
    },
}

/// The data directory.
#[derive(Args, Debug)]
pub struct Place {
    /// The data directory.
    #[arg(default_value = "data/", value_name = "DIR")]
    dir: PathBuf,
}

/// Looks and prints. The exit code is 1 when something could not be read.
pub fn run(command: &TsdbCommand) -> anyhow::Result<ExitCode> {
    let done = match command {
        TsdbCommand::List { place, human_readable } => list::run(&place.dir, *human_readable),
        TsdbCommand::Analyze(args) => analyze::run(args),
        TsdbCommand::Dump(args) => dump::run(args),
        TsdbCommand::Verify { place } => verify::run(&place.dir),
    };
    crate::report::unless_closed(done)
}
