//! The routing tree of a configuration.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use alerting::route::{Route, RouteTree};
use clap::{Args, Subcommand};
use config::alertmanager::{AlertmanagerSettings, MatcherMode};
use httpclient::Method;
use model::Labels;

use super::{Common, parse, text};

/// What to do with the routing tree.
#[derive(Subcommand, Debug)]
pub enum RoutesCommand {
    /// Print the tree.
    Show {
        #[command(flatten)]
        from: Source,
    },
    /// Print the receivers an alert with these labels goes to.
    Test {
        /// Labels such as `alertname=Down`.
        labels: Vec<String>,
        #[command(flatten)]
        from: Source,
        /// The receivers expected, separated by commas; others are a failure.
        #[arg(long = "verify.receivers", value_name = "NAMES")]
        expected: Option<String>,
    },
}

/// Where the configuration comes from.
#[derive(Args, Debug)]
pub struct Source {
    /// The configuration file; by default the server is asked.
    #[arg(long = "config.file", value_name = "FILE")]
    config_file: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

impl Source {
    fn load(&self) -> anyhow::Result<RouteTree> {
        let mode = MatcherMode::Fallback;
        let settings = match &self.config_file {
            Some(file) => AlertmanagerSettings::load(file, mode)?,
            None => {
                let status = self.common.ask(Method::GET, &self.common.at("status", &[]), None)?;
                let yaml = text(&status, "/config/original").as_bytes();
                AlertmanagerSettings::from_bytes(Path::new(self.common.url.as_str()), yaml, mode)?
            }
        };
        Ok(RouteTree::new(&settings.route))
    }
}

/// Runs a command.
pub(super) fn routes(command: &RoutesCommand) -> anyhow::Result<ExitCode> {
    match command {
        RoutesCommand::Show { from } => {
            let tree = from.load()?;
            show_route(&tree, tree.root(), 0);
        }
        RoutesCommand::Test { labels, from, expected } => {
            let tree = from.load()?;
            let pairs = parse(labels)?.into_iter().map(|matcher| (matcher.name, matcher.value));
            let found = tree.matching(&Labels::from_pairs(pairs));
            let receivers = found.iter().map(|route| route.receiver.as_str()).collect::<Vec<_>>().join(",");
            println!("{receivers}");
            if let Some(expected) = expected
                && *expected != receivers
            {
                eprintln!("WARNING: Expected receivers did not match resolved receivers.");
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show_route(tree: &RouteTree, route: &Route, depth: usize) {
    let continues = if route.continues { "  continue: true" } else { "" };
    let what = if depth == 0 { "default-route".to_owned() } else { route.matchers.to_string() };
    println!("{:indent$}{what}{continues}  receiver: {}", "", route.receiver, indent = depth * 2);
    let children = route.children.iter().filter_map(|&index| tree.get(index));
    children.for_each(|child| show_route(tree, child, depth + 1));
}
