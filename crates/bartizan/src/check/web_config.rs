//! `check web-config`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use api::server::TlsFiles;
use config::{ClientAuth, WebConfig};

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
    let Some(tls) = &config.tls_server_config else { return Ok(()) };
    if !tls.cert.is_empty() || !tls.key.expose().is_empty() || !tls.client_ca.is_empty() {
        // Nothing lies in files that could be looked at.
        return Ok(());
    }
    let seen = |path: &Path| config::root::path_seen_from(file, &path.to_string_lossy());
    let verifies = matches!(
        tls.client_auth_type,
        Some(ClientAuth::VerifyClientCertIfGiven | ClientAuth::RequireAndVerifyClientCert)
    );
    let files = TlsFiles {
        cert_file: seen(&tls.cert_file),
        key_file: seen(&tls.key_file),
        client_ca_file: verifies.then(|| seen(&tls.client_ca_file)),
        require_client_cert: tls.client_auth_type == Some(ClientAuth::RequireAndVerifyClientCert),
        only_tls13: false,
        http2: config.http_server_config.http2,
    };
    files.check()
}
