//! The whole configuration, and how it is loaded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Labels;

use crate::decode::{At, Cx, Setting, join_dir};
use crate::error::{ConfigError, Fault, Source};
use crate::section::{Check, section};
use crate::sections::alerting::AlertingConfig;
use crate::sections::global::{Defaults, GlobalConfig, RuntimeConfig};
use crate::sections::limits::LimitsConfig;
use crate::sections::otlp::OtlpConfig;
use crate::sections::remote::{RemoteReadConfig, RemoteWriteConfig, check_unique_names};
use crate::sections::scrape::{ScrapeConfig, ScrapeFile};
use crate::sections::sd::is_one_star_path;
use crate::sections::storage::StorageConfig;
use crate::sections::tracing::TracingConfig;
use crate::yaml::{Limits, parse_bytes, to_string};

section! {
    /// The configuration file.
    pub struct ConfigFile ("Configuration file", "config.plain") {
        /// Defaults of all jobs.
        always global: GlobalConfig;
        /// Settings of the process.
        set runtime: RuntimeConfig;
        /// Where alerts are sent.
        set alerting: AlertingConfig;
        /// Files with recording and alerting rules; the last path element may hold one `*`.
        set rule_files: Vec<PathBuf>;
        /// Files with further scrape jobs; the last path element may hold one `*`.
        set scrape_config_files: Vec<PathBuf>;
        /// Scrape jobs.
        set scrape_configs: Vec<ScrapeConfig>;
        /// Storage settings.
        set storage: StorageConfig;
        /// Where the server's own traces are sent.
        set tracing: Option<TracingConfig>;
        /// Servers samples are sent to.
        set remote_write: Vec<RemoteWriteConfig>;
        /// Servers queries also read from.
        set remote_read: Vec<RemoteReadConfig>;
        /// How OTLP metrics become series.
        set otlp: OtlpConfig;
        /// What each tenant may push to this server. Not a section of Prometheus.
        set limits: LimitsConfig;
        /// What single tenants may push, by name; what is absent is as in `limits`. Not a section of Prometheus.
        set overrides: BTreeMap<String, LimitsConfig>;
    }
}

/// How a configuration file is loaded.
pub struct LoadOptions<'o> {
    /// Whether only what an agent needs is allowed.
    pub agent_mode: bool,
    /// Defaults that feature flags change.
    pub defaults: Defaults,
    /// Looks up a variable of the environment, for external labels.
    pub env: &'o dyn Fn(&str) -> Option<String>,
}

impl Default for LoadOptions<'_> {
    fn default() -> Self {
        Self { agent_mode: false, defaults: Defaults::default(), env: &|name| std::env::var(name).ok() }
    }
}

impl std::fmt::Debug for LoadOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadOptions")
            .field("agent_mode", &self.agent_mode)
            .field("defaults", &self.defaults)
            .finish()
    }
}

/// A loaded configuration: validated, completed with defaults, paths seen from the file's directory.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The main file's content.
    pub file: ConfigFile,
    /// All jobs: those of the main file, then those of `scrape_config_files`.
    pub jobs: Vec<Arc<ScrapeConfig>>,
    /// External labels with the environment filled in; empty values are gone.
    pub external_labels: Labels,
    /// What an operator should know although the file loads.
    pub warnings: Vec<String>,
    path: PathBuf,
    places: Vec<(&'static str, usize)>,
}

impl Default for Config {
    /// What an empty file means.
    fn default() -> Self {
        let mut file = ConfigFile::default();
        file.global.complete(&Defaults::default());
        let external_labels = Labels::empty();
        Self {
            file,
            jobs: Vec::new(),
            external_labels,
            warnings: Vec::new(),
            path: PathBuf::new(),
            places: Vec::new(),
        }
    }
}

impl Config {
    /// Loads a file, and the files it names in `scrape_config_files`.
    pub fn load(path: &Path, options: &LoadOptions<'_>) -> Result<Self, ConfigError> {
        let bytes = std::fs::read(path).map_err(|error| ConfigError::unreadable(path, &error))?;
        Self::from_bytes(path, &bytes, options)
    }

    /// Loads a configuration from memory; `path` names it in errors and is where relative paths start.
    pub fn from_bytes(path: &Path, bytes: &[u8], options: &LoadOptions<'_>) -> Result<Self, ConfigError> {
        let source = Source::new(path, String::from_utf8_lossy(bytes));
        let failed = |fault: Fault| ConfigError::new(&source, &[fault]);
        let root = parse_bytes(bytes, Limits::default()).map_err(failed)?;
        let cx = Cx::new(path);
        let decoded = if root.is_null() { Ok(ConfigFile::default()) } else { ConfigFile::decode(&root, &cx) };
        let mut file = cx.finish(decoded).map_err(|faults| ConfigError::new(&source, &faults))?;
        file.global.complete(&options.defaults);
        file.complete(At { node: &root }, options.agent_mode).map_err(failed)?;
        let mut warnings = Vec::new();
        file.expand_external_labels(options.env, &mut warnings);
        let external_labels = file.global.external_labels.to_labels();
        let jobs = file.scrape_configs.iter().cloned().map(Arc::new).collect();
        let places = TOP_LEVEL.iter().filter_map(|key| Some((*key, root.entry(key)?.0.pos.line))).collect();
        let mut config = Self { file, jobs, external_labels, warnings, path: path.to_owned(), places };
        config.read_scrape_files()?;
        Ok(config)
    }

    /// The file the configuration came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The line a top-level section begins at in the main file; 0 when it is not there.
    pub(crate) fn line_of(&self, section: &str) -> usize {
        self.places.iter().find(|(key, _)| *key == section).map_or(0, |(_, line)| *line)
    }

    /// The configuration as YAML, completed with defaults, secrets masked: what
    /// `/api/v1/status/config` shows. Jobs of `scrape_config_files` are not part of it.
    pub fn to_yaml(&self) -> String {
        to_string(&self.file.emit())
    }

    fn read_scrape_files(&mut self) -> Result<(), ConfigError> {
        let mut owners: Vec<(String, String)> =
            self.jobs.iter().map(|job| (job.job_name.clone(), "main config file".to_owned())).collect();
        for pattern in &self.file.scrape_config_files {
            let files =
                crate::glob::glob(pattern).map_err(|error| ConfigError::unreadable(pattern, &error))?;
            for file in files {
                let jobs = read_scrape_file(&file, &self.file.global, &mut owners)?;
                self.jobs.extend(jobs.into_iter().map(Arc::new));
            }
        }
        Ok(())
    }
}

const TOP_LEVEL: [&str; 13] = [
    "global",
    "runtime",
    "alerting",
    "rule_files",
    "scrape_config_files",
    "scrape_configs",
    "storage",
    "tracing",
    "remote_write",
    "remote_read",
    "otlp",
    "limits",
    "overrides",
];

/// Reads one file of jobs. `owners` holds the names taken, and by which file.
fn read_scrape_file(
    path: &Path,
    global: &GlobalConfig,
    owners: &mut Vec<(String, String)>,
) -> Result<Vec<ScrapeConfig>, ConfigError> {
    let bytes = std::fs::read(path).map_err(|error| ConfigError::unreadable(path, &error))?;
    let source = Source::new(path, String::from_utf8_lossy(&bytes));
    let failed = |fault: Fault| ConfigError::new(&source, &[fault]);
    let root = parse_bytes(&bytes, Limits::default()).map_err(failed)?;
    if root.is_null() {
        return Ok(Vec::new());
    }
    let cx = Cx::new(path);
    let decoded = ScrapeFile::decode(&root, &cx);
    let decoded = cx.finish(decoded).map_err(|faults| ConfigError::new(&source, &faults))?;
    let mut jobs = decoded.scrape_configs;
    let at = At { node: &root };
    complete_jobs(&mut jobs, global, at).map_err(failed)?;
    for (i, job) in jobs.iter().enumerate() {
        if let Some((_, owner)) = owners.iter().find(|(name, _)| *name == job.job_name) {
            let name = model::labels::Quoted(&job.job_name);
            let message =
                format!("found multiple scrape configs with job name {name}, first found in {owner}");
            let fault = at.item("scrape_configs", i).fault("job_name", message);
            return Err(failed(fault.remedy("choose another name")));
        }
        owners.push((job.job_name.clone(), format!("{:?}", path.display().to_string())));
    }
    Ok(jobs)
}

fn complete_jobs(jobs: &mut [ScrapeConfig], global: &GlobalConfig, at: At<'_>) -> Result<(), Fault> {
    at.no_null_items("scrape_configs", "empty or null scrape config section")?;
    for (i, job) in jobs.iter_mut().enumerate() {
        job.complete(global, at.item("scrape_configs", i))?;
    }
    Ok(())
}

impl Check for ConfigFile {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        for (key, what) in [("rule_files", "rule"), ("scrape_config_files", "scrape config")] {
            for node in at.items(key) {
                let path = node.text().unwrap_or_default();
                if !is_one_star_path(path) {
                    let message = format!("invalid {what} file path {}", model::labels::Quoted(path));
                    return Err(
                        Fault::new(node.pos, message).remedy("use * only in the last path element, once")
                    );
                }
            }
        }
        Ok(())
    }
}

impl ConfigFile {
    /// Checks what needs more than one section, and completes jobs from `global`.
    fn complete(&mut self, at: At<'_>, agent_mode: bool) -> Result<(), Fault> {
        let scheme = self.global.name_validation();
        complete_jobs(&mut self.scrape_configs, &self.global, at)?;
        let jobs = self.scrape_configs.iter().map(|job| job.job_name.as_str());
        check_unique_names(jobs, at, "scrape_configs", "job_name", "scrape")?;
        self.alerting.complete(scheme, at.child("alerting"))?;
        at.no_null_items("remote_write", "empty or null remote write config section")?;
        let names = self.remote_write.iter().map(|write| write.name.as_str());
        check_unique_names(names, at, "remote_write", "name", "remote write")?;
        for (i, write) in self.remote_write.iter_mut().enumerate() {
            write.complete(scheme, at.item("remote_write", i))?;
        }
        at.no_null_items("remote_read", "empty or null remote read config section")?;
        let names = self.remote_read.iter().map(|read| read.name.as_str());
        check_unique_names(names, at, "remote_read", "name", "remote read")?;
        let strategy = self.otlp.translation_strategy;
        if strategy.needs_utf8() && scheme == crate::NameValidation::Legacy {
            let message = format!(
                "OTLP translation strategy {:?} is not allowed when UTF8 is disabled",
                strategy.as_str()
            );
            let remedy = "set metric_name_validation_scheme: utf8, or a strategy with underscore escaping";
            return Err(at.child("otlp").fault("translation_strategy", message).remedy(remedy));
        }
        if agent_mode { self.check_agent(at) } else { Ok(()) }
    }

    fn check_agent(&self, at: At<'_>) -> Result<(), Fault> {
        let present = [
            (
                "alerting",
                !self.alerting.alertmanagers.is_empty() || !self.alerting.alert_relabel_configs.is_empty(),
            ),
            ("rule_files", !self.rule_files.is_empty()),
            ("remote_read", !self.remote_read.is_empty()),
        ];
        match present.into_iter().find(|(_, present)| *present) {
            Some((key, _)) => Err(at
                .fault(key, format!("field {key} is not allowed in agent mode"))
                .remedy(format!("remove {key}"))),
            None => Ok(()),
        }
    }

    fn expand_external_labels(&mut self, env: &dyn Fn(&str) -> Option<String>, warnings: &mut Vec<String>) {
        for value in self.global.external_labels.0.values_mut() {
            *value = expand(value, |name| match env(name).filter(|value| !value.is_empty()) {
                Some(value) => value,
                None => {
                    warnings.push(format!("empty environment variable {name:?} in external_labels"));
                    String::new()
                }
            });
        }
    }
}

/// Replaces `$name` and `${name}`; `$$` is a dollar sign.
fn expand(text: &str, mut variable: impl FnMut(&str) -> String) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let word = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        if let Some(braced) = rest.strip_prefix('{') {
            // Bad syntax such as `${}` or an unclosed brace vanishes, as in the reference.
            let Some(end) = braced.find('}') else {
                rest = braced;
                continue;
            };
            match &braced[..end] {
                "" => {}
                "$" => expanded.push('$'),
                name => expanded.push_str(&variable(name)),
            }
            rest = &braced[end + 1..];
        } else if let Some(behind) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = behind;
        } else if word > 0 {
            // A digit is a name by itself, as in a shell.
            let word = if rest.as_bytes()[0].is_ascii_digit() { 1 } else { word };
            expanded.push_str(&variable(&rest[..word]));
            rest = &rest[word..];
        } else {
            expanded.push('$');
        }
    }
    expanded + rest
}

/// A path of the configuration seen from the directory of `file`.
pub fn path_seen_from(file: &Path, path: &str) -> PathBuf {
    join_dir(file.parent().unwrap_or(Path::new("")), path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_expand_as_in_a_shell() {
        let env = |name: &str| format!("<{name}>");
        let cases = [
            ("a${TEST}b", "a<TEST>b"),
            ("$TEST-$$", "<TEST>-$"),
            ("${foo-bar}", "<foo-bar>"),
            ("$", "$"),
            ("a$ b", "a$ b"),
            ("${}x", "x"),
            ("${open", "open"),
            ("plain", "plain"),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(text, env), expected, "{text}");
        }
    }
}
