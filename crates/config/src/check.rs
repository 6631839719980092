//! `check config`: everything that can be said about a configuration file before a server starts with
//! it. Unlike loading, it goes on after a problem and also looks at the files the configuration names.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::ConfigError;
use crate::glob::glob;
use crate::root::{Config, LoadOptions};
use crate::sections::http::HttpClientConfig;
use crate::sections::sd::FileSd;
use crate::unsupported::{Consequence, Unsupported};

/// What to check, and how far.
pub struct CheckOptions<'c> {
    /// How the file is loaded.
    pub load: LoadOptions<'c>,
    /// Only the file itself, not the files it names.
    pub syntax_only: bool,
    /// Reads a discovery file; its error says what is wrong with the file.
    pub read_discovery_file: &'c dyn Fn(&Path) -> Result<(), String>,
}

/// What was found in one configuration file.
#[derive(Debug)]
pub struct Report {
    path: PathBuf,
    failed_to_load: Option<ConfigError>,
    /// The rule files that the configuration names and that exist.
    pub rule_files: Vec<PathBuf>,
    /// What keeps the configuration from working.
    pub failures: Vec<String>,
    /// What is probably not meant.
    pub warnings: Vec<String>,
    /// What is valid but not supported yet.
    pub unsupported: Vec<Unsupported>,
}

impl Report {
    /// Whether a server would start with this configuration, and find what it needs.
    pub fn is_good(&self) -> bool {
        let refused = |unsupported: &Unsupported| unsupported.consequence == Consequence::Refuse;
        self.failed_to_load.is_none() && self.failures.is_empty() && !self.unsupported.iter().any(refused)
    }
}

/// Checks a configuration file.
pub fn check(path: &Path, options: &CheckOptions<'_>) -> Report {
    let mut report = Report {
        path: path.to_owned(),
        failed_to_load: None,
        rule_files: Vec::new(),
        failures: Vec::new(),
        warnings: Vec::new(),
        unsupported: Vec::new(),
    };
    match Config::load(path, &options.load) {
        Ok(config) => report.look_at(&config, options),
        Err(error) => report.failed_to_load = Some(error),
    }
    report
}

impl Report {
    fn look_at(&mut self, config: &Config, options: &CheckOptions<'_>) {
        self.unsupported = config.unsupported();
        self.warnings.clone_from(&config.warnings);
        if options.syntax_only {
            return;
        }
        for pattern in &config.file.rule_files {
            let found = self.expand(pattern);
            if found.is_empty() && !is_pattern(pattern) {
                self.failures
                    .push(format!("{:?} does not point to an existing file", pattern.display().to_string()));
            }
            self.rule_files.extend(found);
        }
        for job in &config.jobs {
            let of = format!("scrape job {:?}", job.job_name);
            self.look_at_http(&job.http, &of);
            self.look_at_discovery(&job.discovery.file_sd_configs, &of, options);
        }
        for manager in &config.file.alerting.alertmanagers {
            self.look_at_http(&manager.http, "an alertmanager section");
            self.look_at_discovery(&manager.discovery.file_sd_configs, "an alertmanager section", options);
        }
        for write in &config.file.remote_write {
            self.look_at_http(&write.http, "a remote_write section");
        }
        for read in &config.file.remote_read {
            self.look_at_http(&read.http, "a remote_read section");
        }
    }

    fn expand(&mut self, pattern: &Path) -> Vec<PathBuf> {
        glob(pattern).unwrap_or_else(|error| {
            self.failures.push(format!("cannot list {}: {error}", pattern.display()));
            Vec::new()
        })
    }

    /// Certificates and secrets that are not there would only be missed when a target is scraped.
    fn look_at_http(&mut self, http: &HttpClientConfig, of: &str) {
        let tls = &http.tls_config;
        let mut files = vec![
            ("CA file", &tls.ca_file),
            ("client cert file", &tls.cert_file),
            ("client key file", &tls.key_file),
        ];
        if let Some(authorization) = &http.authorization {
            files.push(("authorization credentials or bearer token file", &authorization.credentials_file));
        }
        if let Some(basic) = &http.basic_auth {
            files.extend([("user name file", &basic.username_file), ("password file", &basic.password_file)]);
        }
        if let Some(oauth2) = &http.oauth2 {
            files.push(("client secret file", &oauth2.client_secret_file));
        }
        files.extend(
            http.http_headers.values().flat_map(|header| &header.files).map(|file| ("header file", file)),
        );
        for (what, file) in files.into_iter().filter(|(_, file)| !file.as_os_str().is_empty()) {
            if let Err(error) = std::fs::metadata(file) {
                let file = file.display().to_string();
                self.failures.push(format!("error checking {what} {file:?} of {of}: {error}"));
            }
        }
    }

    fn look_at_discovery(&mut self, sections: &[FileSd], of: &str, options: &CheckOptions<'_>) {
        for pattern in sections.iter().flat_map(|section| &section.files) {
            let found = self.expand(pattern);
            if found.is_empty() {
                let pattern = pattern.display().to_string();
                self.warnings.push(format!("file {pattern:?} for file_sd in {of} does not exist"));
            }
            for file in found {
                if let Err(problem) = (options.read_discovery_file)(&file) {
                    self.failures
                        .push(format!("checking SD file {:?}: {problem}", file.display().to_string()));
                }
            }
        }
    }
}

fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains('*')
}

/// Laid out as operators know it: one line of heading, then findings, then the verdict.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        writeln!(f, "Checking {path}")?;
        if let Some(error) = &self.failed_to_load {
            return writeln!(f, "  FAILED: {error}");
        }
        for warning in &self.warnings {
            writeln!(f, "  WARNING: {warning}")?;
        }
        for unsupported in &self.unsupported {
            let kind = if unsupported.consequence == Consequence::Refuse { "FAILED" } else { "WARNING" };
            writeln!(f, "  {kind}: {unsupported}")?;
        }
        for failure in &self.failures {
            writeln!(f, "  FAILED: {failure}")?;
        }
        if !self.rule_files.is_empty() {
            writeln!(f, "  SUCCESS: {} rule files found", self.rule_files.len())?;
        }
        let verdict = if self.is_good() { "SUCCESS" } else { "FAILED" };
        let what =
            if self.is_good() { "is valid prometheus config file syntax" } else { "cannot be used as it is" };
        writeln!(f, " {verdict}: {path} {what}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(dir: &Path, text: &str) -> Report {
        let path = dir.join("p.yml");
        std::fs::write(&path, text).unwrap();
        let read = |file: &Path| {
            if file.ends_with("bad.json") { Err("line 1: nonsense".to_owned()) } else { Ok(()) }
        };
        check(
            &path,
            &CheckOptions { load: LoadOptions::default(), syntax_only: false, read_discovery_file: &read },
        )
    }

    #[test]
    fn all_problems_of_a_file_are_told_together() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("bad.json"), "").unwrap();
        std::fs::write(dir.path().join("some.rules"), "").unwrap();
        let report = report(
            dir.path(),
            "rule_files: [missing.rules, '*.rules']\nscrape_configs:\n- job_name: a\n  tls_config: {ca_file: none.pem}\n  file_sd_configs: [{files: [bad.json, absent.yml]}]\n",
        );
        assert!(!report.is_good());
        assert_eq!(report.rule_files, [dir.path().join("some.rules")]);
        let text = report.to_string().replace(&dir.path().display().to_string(), "DIR");
        let expected = "\
Checking DIR/p.yml
  WARNING: file \"DIR/absent.yml\" for file_sd in scrape job \"a\" does not exist
  WARNING: DIR/p.yml:1: rule_files is not supported yet; it has no effect: rules are not evaluated
  FAILED: \"DIR/missing.rules\" does not point to an existing file
  FAILED: error checking CA file \"DIR/none.pem\" of scrape job \"a\": No such file or directory (os error 2)
  FAILED: checking SD file \"DIR/bad.json\": line 1: nonsense
  SUCCESS: 1 rule files found
 FAILED: DIR/p.yml cannot be used as it is
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_good_file_is_said_to_be_one_and_a_broken_one_shows_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let good = report(dir.path(), "scrape_configs: [{job_name: a}]\n");
        assert!(good.is_good());
        assert!(good.to_string().ends_with("p.yml is valid prometheus config file syntax\n"));
        let bad = report(dir.path(), "scrape_configs: [{job_nam: a}]\n");
        assert!(!bad.is_good());
        assert!(bad.to_string().contains("did you mean \"job_name\"?"), "{bad}");
    }
}
