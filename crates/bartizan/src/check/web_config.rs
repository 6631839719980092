//! `check web-config`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use config::WebConfig;

/// Checks web configuration files and the certificates they name.
pub fn run(files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut failed = false;
    for file in files {
        match check(file) {
            Ok(()) => eprintln!("{} SUCCESS", file.display()),
            Err(problem) => {
                failed = true;
                eprintln!("{} FAILED: {problem}", file.display());
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn check(file: &Path) -> Result<(), String> {
    let config = WebConfig::load(file).map_err(|error| error.to_string())?;
    // What the server would be started with.
    crate::roles::tls_options(file, &config).map_or(Ok(()), |options| options.check())
}
