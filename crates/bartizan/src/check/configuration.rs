//! `check config`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use collect::scrape::target::Target;
use config::{
    Config, Consequence, Defaults, HttpClientConfig, LoadOptions, PROTO_FIRST_SCRAPE_PROTOCOLS, ScrapeConfig,
    ServiceDiscovery,
};
use discovery::TargetGroup;
use model::labels::Quoted;

use crate::roles::features::Features;

/// Checks the files and what they name.
pub fn run(
    files: &[PathBuf],
    agent: bool,
    syntax_only: bool,
    features: &[String],
) -> anyhow::Result<ExitCode> {
    let features = Features::from_names(features);
    for unknown in &features.unknown {
        eprintln!("  WARNING: unknown option for --enable-feature: {unknown}");
    }
    let options = LoadOptions { agent_mode: agent, defaults: defaults(&features), ..LoadOptions::default() };
    let (mut out, mut failed) = (io::stdout().lock(), false);
    for file in files {
        let report = check_file(&mut out, file, &options, syntax_only)?;
        failed |= !report.failures.is_empty();
        if report.failures.is_empty() && !syntax_only {
            failed |= !super::rules::check(&mut out, &report.rule_files, &features)?;
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What features change about a configuration.
fn defaults(features: &Features) -> Defaults {
    let protocols_first = features.created_timestamp_zero_ingestion || features.st_storage;
    Defaults {
        scrape_protocols: if protocols_first { PROTO_FIRST_SCRAPE_PROTOCOLS.to_vec() } else { Vec::new() },
        extra_scrape_metrics: features.extra_scrape_metrics,
        ..Defaults::default()
    }
}

/// What is wrong with the file, rules aside; it is printed.
fn check_file(
    out: &mut dyn Write,
    file: &Path,
    options: &LoadOptions<'_>,
    syntax_only: bool,
) -> io::Result<Report> {
    let shown = file.display();
    writeln!(out, "Checking {shown}")?;
    let mut report = Report::default();
    match Config::load(file, options) {
        Ok(config) => report.check(&config, syntax_only),
        Err(error) => report.failures.push(error.to_string()),
    }
    for warning in &report.warnings {
        writeln!(out, "  WARNING: {warning}")?;
    }
    let valid = report.failures.is_empty();
    if valid {
        if !report.rule_files.is_empty() {
            writeln!(out, "  SUCCESS: {} rule files found", report.rule_files.len())?;
        }
        if report.discovery_files > 0 {
            writeln!(out, "  SUCCESS: {} target files found", report.discovery_files)?;
        }
        writeln!(out, " SUCCESS: {shown} is valid prometheus config file syntax")?;
    }
    // What goes to the other stream should not overtake what was printed before.
    out.flush()?;
    for failure in &report.failures {
        eprintln!("  FAILED: {failure}");
    }
    writeln!(out)?;
    out.flush()?;
    Ok(report)
}

/// What was found in and behind one file.
#[derive(Debug, Default)]
struct Report {
    warnings: Vec<String>,
    failures: Vec<String>,
    rule_files: Vec<PathBuf>,
    discovery_files: usize,
}

impl Report {
    fn check(&mut self, config: &Config, syntax_only: bool) {
        self.warnings.extend(config.warnings.iter().cloned());
        for section in config.unsupported() {
            match section.consequence {
                Consequence::Ignore => self.warnings.push(section.to_string()),
                Consequence::Refuse => self.failures.push(section.to_string()),
            }
        }
        for job in &config.jobs {
            let groups = static_groups(&job.discovery);
            self.targets(&groups, job);
        }
        if syntax_only {
            return;
        }
        self.rule_files(config);
        for job in &config.jobs {
            let owner = format!("scrape job {}", Quoted(&job.job_name));
            self.client_files(&job.http, &owner);
            let groups = self.target_files(&job.discovery, &owner);
            self.targets(&groups, job);
        }
        for manager in &config.file.alerting.alertmanagers {
            self.target_files(&manager.discovery, "alertmanager config");
        }
    }

    fn rule_files(&mut self, config: &Config) {
        for pattern in &config.file.rule_files {
            let shown = Quoted(&pattern.display().to_string()).to_string();
            match config::glob::glob(pattern) {
                Err(error) => self.failures.push(format!("error checking rule file {shown}: {error}")),
                Ok(found) => {
                    if found.is_empty() && !shown.contains('*') {
                        self.failures.push(format!("{shown} does not point to an existing file"));
                    }
                    self.rule_files.extend(found);
                }
            }
        }
    }

    /// Files without which no target of a job can be scraped.
    fn client_files(&mut self, http: &HttpClientConfig, owner: &str) {
        let mut needed = Vec::new();
        if let Some(authorization) = &http.authorization {
            needed.push(("authorization credentials or bearer token file", &authorization.credentials_file));
        }
        let tls = &http.tls_config;
        needed.extend([("client cert file", &tls.cert_file), ("client key file", &tls.key_file)]);
        for (what, file) in needed {
            if let Some(problem) = unreadable(file) {
                self.failures.push(format!("error checking {what} {:?}: {problem}", file.display()));
            }
        }
        let mut wanted = vec![("ca_file", &tls.ca_file)];
        if let Some(basic) = &http.basic_auth {
            wanted.extend([("username_file", &basic.username_file), ("password_file", &basic.password_file)]);
        }
        if let Some(oauth2) = &http.oauth2 {
            wanted.push(("client_secret_file", &oauth2.client_secret_file));
        }
        for (what, file) in wanted {
            if let Some(problem) = unreadable(file) {
                self.warnings.push(format!("{what} {:?} of {owner}: {problem}", file.display()));
            }
        }
    }

    /// Reads the files that list targets.
    fn target_files(&mut self, discovery: &ServiceDiscovery, owner: &str) -> Vec<TargetGroup> {
        let mut groups = Vec::new();
        for pattern in discovery.file_sd_configs.iter().flat_map(|section| &section.files) {
            let shown = Quoted(&pattern.display().to_string()).to_string();
            let found = match config::glob::glob(pattern) {
                Ok(found) => found,
                Err(error) => {
                    self.failures.push(format!("checking SD file {shown}: {error}"));
                    continue;
                }
            };
            if found.is_empty() {
                self.warnings.push(format!("file {shown} for file_sd in {owner} does not exist"));
            }
            for file in found {
                self.discovery_files += 1;
                match discovery::file::read(&file) {
                    Ok(read) => groups.extend(read),
                    Err(error) => self.failures.push(format!("checking SD file {shown}: {error}")),
                }
            }
        }
        groups
    }

    /// Whether the targets of a job can be scraped.
    fn targets(&mut self, groups: &[TargetGroup], job: &ScrapeConfig) {
        for group in groups {
            let first = Target::of_group(job, group).into_iter().find_map(Result::err);
            self.failures
                .extend(first.map(|problem| format!("scrape job {}: {problem}", Quoted(&job.job_name))));
        }
    }
}

fn static_groups(discovery: &ServiceDiscovery) -> Vec<TargetGroup> {
    let groups = discovery.static_configs.iter().enumerate();
    groups
        .map(|(i, group)| TargetGroup::of_addresses(i.to_string(), group.labels.to_labels(), &group.targets))
        .collect()
}

/// Why a file cannot be read; `None` when it can, or when none is given.
fn unreadable(file: &Path) -> Option<String> {
    if file.as_os_str().is_empty() {
        return None;
    }
    let error = std::fs::File::open(file).err()?;
    Some(match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        _ => error.to_string(),
    })
}
