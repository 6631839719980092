//! The configuration file of a Loki in its single-binary form: read, checked, and told apart into what applies here,
//! what cannot, and what would mean something else.
//!
//! In reading order: this file (the whole), [`server`], [`storage`], [`limits`] (with the overrides of tenants), [`ruler`],
//! `known` (every other key there is, and what becomes of it), [`values`] (notations) and [`expand`] (variables).

pub mod expand;
mod known;
pub mod limits;
pub mod ruler;
pub mod server;
pub mod storage;
#[cfg(test)]
mod tests;
pub mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use self::known::{Survey, survey};
use self::limits::{LokiLimits, Overrides};
use self::ruler::{RulerPlaces, RulerSection};
use self::server::ServerSection;
use self::storage::{CommonSection, ObjectPlace, StorageSection};
use self::values::LokiDuration;
use crate::decode::{At, Cx, Setting};
use crate::error::{ConfigError, Fault, Source};
use crate::section::{Check, section};
use crate::yaml::{Limits, parse, to_string};

section! {
    /// The configuration file of a Loki.
    pub struct LokiFile ("loki", "loki.ConfigWrapper") {
        /// Which components to run: `all`, for they are one process here.
        always target: String = "all".to_owned();
        /// Whether requests say in the header `X-Scope-OrgID` whose data they are about.
        always auth_enabled: bool = true;
        /// The listener.
        always server: ServerSection;
        /// What several sections start from.
        always common: CommonSection;
        /// The buckets.
        always storage_config: StorageSection;
        /// Which of them holds objects, by the date from which on. Only the last counts.
        set schema_config: Option<SchemaSection>;
        /// What tenants may do.
        always limits_config: LokiLimits;
        /// Limits that may change while the server runs.
        set runtime_config: RuntimeSection;
        /// The log of entries.
        always ingester: IngesterSection;
        /// Retention.
        always compactor: CompactorSection;
        /// Queries.
        always querier: QuerierSection;
        /// Rules.
        always ruler: RulerSection;
    }
}

impl Check for LokiFile {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        if self.target != "all" {
            let message =
                format!("target {:?} cannot be honoured: all components are one process here", self.target);
            return Err(at.fault("target", message).remedy("write all, or leave it out"));
        }
        Ok(())
    }
}

section! {
    /// Where objects are, by date.
    pub struct SchemaSection ("schema_config", "config.SchemaConfig") {
        /// The periods.
        set configs: Vec<PeriodSection>;
    }
}

impl Check for SchemaSection {}

section! {
    /// A period. What was stored by a Loki in it is in a format of its own and is not read.
    pub struct PeriodSection ("schema_config.configs", "config.PeriodConfig") {
        /// The first day.
        set from: String;
        /// The bucket that holds objects.
        set object_store: String;
    }
}

impl Check for PeriodSection {}

section! {
    /// Limits that may change while the server runs.
    pub struct RuntimeSection ("runtime_config", "runtimeconfig.Config") {
        /// How often to look whether they did.
        always period: LokiDuration = LokiDuration::from_secs(10);
        /// Files with `overrides`, separated by commas.
        set file: String;
    }
}

impl Check for RuntimeSection {}

section! {
    /// What takes entries in.
    pub struct IngesterSection ("ingester", "ingester.Config") {
        /// The log of entries.
        always wal: WalSection;
    }
}

impl Check for IngesterSection {}

section! {
    /// The log of entries. It cannot be switched off: what is acknowledged is on disk.
    pub struct WalSection ("ingester.wal", "ingester.WALConfig") {
        /// Where it is; by default `wal` in `common.path_prefix`.
        set dir: String;
    }
}

impl Check for WalSection {}

section! {
    /// What merges objects and ends what is too old.
    pub struct CompactorSection ("compactor", "compactor.Config") {
        /// Whether `retention_period` and `retention_stream` of `limits_config` are applied, and entries may be deleted
        /// by request.
        always retention_enabled: bool;
    }
}

impl Check for CompactorSection {}

section! {
    /// Queries.
    pub struct QuerierSection ("querier", "querier.Config") {
        /// Queries at a time.
        always max_concurrent: u64 = 4;
        /// How long live logs are followed before a client has to begin anew.
        always tail_max_duration: LokiDuration = LokiDuration::from_secs(3600);
    }
}

impl Check for QuerierSection {}

/// A file that was read and can be run.
#[derive(Debug, Clone)]
pub struct LokiSettings {
    /// The file.
    pub file: LokiFile,
    /// Where objects are.
    pub objects: ObjectPlace,
    /// The folder of the log of entries.
    pub wal: PathBuf,
    /// Where rules are.
    pub rules: RulerPlaces,
    /// Files with overrides.
    pub override_files: Vec<PathBuf>,
    /// What has no effect here, and why, with its line.
    pub without_effect: Vec<String>,
}

impl LokiSettings {
    /// Loads the first of `paths` that exists; with `expand_env`, variables are replaced first.
    pub fn load(paths: &[PathBuf], expand_env: bool) -> Result<Self, ConfigError> {
        let existing = paths.iter().find(|path| path.exists());
        let path = existing.or_else(|| paths.first()).cloned().unwrap_or_default();
        let bytes = std::fs::read(&path).map_err(|error| ConfigError::unreadable(&path, &error))?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if !expand_env {
            return Self::from_text(&path, &text);
        }
        let expanded = expand::expand(&text, &|name| std::env::var(name).ok());
        let failed = |fault: Fault| ConfigError::new(&Source::new(&*path, text.as_str()), &[fault]);
        Self::from_text(&path, &expanded.map_err(failed)?)
    }

    /// Reads a file from memory; `path` names it in errors.
    pub fn from_text(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let source = Source::new(path, text);
        let failed = |faults: &[Fault]| ConfigError::new(&source, faults);
        let root = parse(text, Limits::default()).map_err(|fault| failed(&[fault]))?;
        let Survey { rest, notes, faults } = survey(&root);
        if !faults.is_empty() {
            return Err(failed(&faults));
        }
        let cx = Cx::new(path);
        let decoded = if rest.is_null() { Ok(LokiFile::default()) } else { LokiFile::decode(&rest, &cx) };
        let file = cx.finish(decoded).map_err(|faults| failed(&faults))?;
        let told =
            |note: &known::Note| format!("{}:{}: {}: {}", path.display(), note.line, note.key, note.reason);
        let without_effect = notes.iter().map(told).collect();
        Self::complete(file, At { node: &rest }, without_effect).map_err(|fault| failed(&[fault]))
    }

    fn complete(mut file: LokiFile, at: At<'_>, mut without_effect: Vec<String>) -> Result<Self, Fault> {
        file.ruler.complete(at.child("ruler"))?;
        let rules = ruler::places(&file, at)?;
        let objects = storage::place(&file, at)?;
        let prefix = Path::new(&file.common.path_prefix);
        let wal = match file.ingester.wal.dir.as_str() {
            "" => prefix.join("wal"),
            given => PathBuf::from(given),
        };
        let limits = &file.limits_config;
        if !file.compactor.retention_enabled
            && (limits.retention_period.is_some() || !limits.retention_stream.is_empty())
        {
            without_effect.push(
                "limits_config: retention has no effect while compactor.retention_enabled is false"
                    .to_owned(),
            );
        }
        let runtime = if file.runtime_config.file.is_empty() {
            limits.per_tenant_override_config.as_str()
        } else {
            file.runtime_config.file.as_str()
        };
        let override_files =
            runtime.split(',').map(str::trim).filter(|name| !name.is_empty()).map(PathBuf::from).collect();
        Ok(Self { objects, wal, rules, override_files, without_effect, file })
    }

    /// How often files with overrides are looked at.
    pub fn override_period(&self) -> std::time::Duration {
        self.file.runtime_config.period.get()
    }

    /// Reads the files with overrides, each going on where the one before it ended.
    pub fn read_overrides(&self) -> Result<BTreeMap<String, LokiLimits>, ConfigError> {
        let mut all = BTreeMap::new();
        for path in &self.override_files {
            let bytes = std::fs::read(path).map_err(|error| ConfigError::unreadable(path, &error))?;
            let text = String::from_utf8_lossy(&bytes);
            for (tenant, limits) in read_overrides(path, &text)?.overrides {
                let merged = match all.remove(&tenant) {
                    Some(known) => limits.over(&known),
                    None => limits,
                };
                all.insert(tenant, merged);
            }
        }
        Ok(all)
    }

    /// The configuration as YAML with all defaults, secrets masked: what `/config` shows.
    pub fn to_yaml(&self) -> String {
        to_string(&self.file.emit())
    }
}

/// Reads a file with overrides from memory.
pub fn read_overrides(path: &Path, text: &str) -> Result<Overrides, ConfigError> {
    let source = Source::new(path, text);
    let failed = |faults: &[Fault]| ConfigError::new(&source, faults);
    let root = parse(text, Limits::default()).map_err(|fault| failed(&[fault]))?;
    if root.is_null() {
        return Ok(Overrides::default());
    }
    let Survey { rest, faults, .. } = known::survey_overrides(&root);
    if !faults.is_empty() {
        return Err(failed(&faults));
    }
    let cx = Cx::new(path);
    let decoded = Overrides::decode(&rest, &cx);
    cx.finish(decoded).map_err(|faults| failed(&faults))
}
