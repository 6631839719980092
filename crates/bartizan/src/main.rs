//! The binary: command line and roles.
//!
//! It joins the engines the other crates provide and does little of its own. In reading order: [`cli`]
//! (the one definition of the command line), [`roles`] (what starts and stops, in which order), then
//! the commands: [`query`], [`check`], [`inspect`], [`script`].

mod check;
mod cli;
mod client;
mod inspect;
mod logging;
mod memory;
mod query;
mod report;
mod roles;
mod script;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::cli::{Cli, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    memory::start();
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let outcome = match &cli.command {
        Command::Up(args) => roles::up(args),
        Command::Prometheus(args) => {
            let given = matches.subcommand_matches("prometheus").unwrap_or(&matches);
            roles::prometheus(args, given)
        }
        Command::Query(command) => query::run(command).map(|()| ExitCode::SUCCESS),
        Command::Check(command) => check::run(command),
        Command::Tsdb(command) => inspect::run(command),
        Command::Test(command) => script::run(command),
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "bartizan", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Man => man().map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("bartizan: {error:#}");
        ExitCode::FAILURE
    })
}

fn man() -> anyhow::Result<()> {
    clap_mangen::Man::new(Cli::command()).render(&mut std::io::stdout())?;
    Ok(())
}
