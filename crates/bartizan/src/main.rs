//! The binary: command line and roles.
//!
//! It joins the engines the other crates provide and does little of its own. In reading order: [`cli`]
//! (the one definition of the command line), [`roles`] (what starts and stops, in which order), then
//! the commands: [`query`], [`mod@logs`], [`alerts`], [`check`], [`inspect`], [`logs_bucket`], [`script`].

mod alerts;
mod check;
mod cli;
mod client;
mod dashboards;
mod inspect;
mod logging;
mod logs;
mod logs_bucket;
mod memory;
mod query;
mod report;
mod roles;
mod script;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::cli::{Cli, Command};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    memory::start();
    let matches = Cli::command().get_matches_from(cli::loki::with_two_dashes(std::env::args_os()));
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let outcome = match &cli.command {
        Command::Up(args) => roles::up(args),
        Command::Prometheus(args) => {
            let given = matches.subcommand_matches("prometheus").unwrap_or(&matches);
            roles::prometheus(args, given)
        }
        Command::Alertmanager(args) => roles::alertmanager(args),
        Command::Loki(args) => roles::loki(args),
        Command::Alerts(command) => alerts::run(command),
        Command::Query(command) => query::run(command).map(|()| ExitCode::SUCCESS),
        Command::Logs(args) => logs::run(args).map(|()| ExitCode::SUCCESS),
        Command::Check(command) => check::run(command),
        Command::Tsdb(command) => inspect::run(command),
        Command::LogsBucket(command) => logs_bucket::run(command),
        Command::Test(command) => script::run(command),
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "bartizan", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Man => man().map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        // A reader that went away has had what it wanted of the message.
        let _ = writeln!(std::io::stderr(), "bartizan: {}", explained(&error));
        ExitCode::FAILURE
    })
}

/// An error and its causes, leaving out those whose text the one before tells already.
fn explained(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

/// Prints one page on all commands: those below the first have sections of their own.
fn man() -> anyhow::Result<()> {
    let mut command = Cli::command();
    command.build();
    let mut out = std::io::stdout().lock();
    clap_mangen::Man::new(command.clone()).render(&mut out)?;
    command.get_subcommands().try_for_each(|sub| manual_section(sub, "bartizan", &mut out))
}

fn manual_section(command: &clap::Command, parent: &str, out: &mut impl Write) -> anyhow::Result<()> {
    let path = format!("{parent} {}", command.get_name());
    if command.is_hide_set() || command.get_name() == "help" {
        return Ok(());
    }
    let page = clap_mangen::Man::new(command.clone());
    let mut text = Vec::new();
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    writeln!(out, ".SH \"{}\"", path.to_uppercase())?;
    // What heads a page is below the heading of the command here.
    out.write_all(String::from_utf8_lossy(&text).replace(".SH ", ".SS ").as_bytes())?;
    command.get_subcommands().try_for_each(|sub| manual_section(sub, &path, out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_tells_each_cause_once() {
        let cause = std::io::Error::other("no room");
        let error = anyhow::Error::new(cause).context("write x: no room").context("storage");
        assert_eq!(explained(&error), "storage: write x: no room");
        assert_eq!(explained(&anyhow::anyhow!("b").context("a")), "a: b");
    }
}
