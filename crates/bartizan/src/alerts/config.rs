//! Configurations: shown and checked.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use config::alertmanager::{AlertmanagerSettings, MatcherMode};
use httpclient::Method;

use super::{Common, print_json, text};

/// Prints the configuration a server runs with, and what it says of itself.
pub(super) fn show(common: &Common) -> anyhow::Result<()> {
    let status = common.ask(Method::GET, &common.at("status", &[]), None)?;
    if let Some(output) = common.output {
        print!("{}", output.config(&status));
        return Ok(());
    }
    if common.json {
        return print_json(&status);
    }
    let (version, since) = (text(&status, "/versionInfo/version"), text(&status, "/uptime"));
    println!("# version {version}, up since {since}, cluster {}", text(&status, "/cluster/status"));
    print!("{}", text(&status, "/config/original"));
    Ok(())
}

/// Checks configuration files and the templates they name.
pub(super) fn check(files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut failed = 0;
    for file in files {
        match check_one(file) {
            Ok(found) => println!("{}: fine: {found}", file.display()),
            Err(error) => {
                failed += 1;
                eprintln!("{}: {error}", file.display());
            }
        }
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check_one(file: &Path) -> Result<String, String> {
    let settings =
        AlertmanagerSettings::load(file, MatcherMode::Fallback).map_err(|error| error.to_string())?;
    settings.warnings.iter().for_each(|warning| eprintln!("{}: {warning}", file.display()));
    let integrations = alerting::engine::check(&settings)?;
    Ok(format!(
        "{} receivers with {integrations} integrations, {} inhibit rules, {} time intervals, {} templates",
        settings.receivers.len(),
        settings.inhibit_rules.len(),
        settings.intervals.len(),
        settings.templates.len()
    ))
}

/// Prints the cluster a server belongs to.
pub(super) fn cluster(common: &Common) -> anyhow::Result<()> {
    let status = common.ask(Method::GET, &common.at("status", &[]), None)?;
    if let Some(output) = common.output {
        print!("{}", output.cluster(&status["cluster"]));
        return Ok(());
    }
    if common.json {
        return print_json(&status["cluster"]);
    }
    println!("status {}  name {}", text(&status, "/cluster/status"), text(&status, "/cluster/name"));
    for peer in super::items(&status["cluster"]["peers"]) {
        println!("peer {}  {}", text(peer, "/name"), text(peer, "/address"));
    }
    Ok(())
}
