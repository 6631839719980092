//! Targets listed in files, which are watched and also read at an interval.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::FileSd;
use config::yaml::{Limits, parse_bytes};
use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::TargetGroup;
use crate::group::read_groups;
use crate::metrics::Metrics;
use crate::provider::{DiscoveryError, Updates};

/// The label that names the file a target is listed in.
const FILE_PATH: &str = "__meta_filepath";
/// Editors write a file in several steps: changes this close together are one.
const SETTLE: Duration = Duration::from_millis(50);

/// The files of one provider and what was read from them last.
#[derive(Debug)]
pub struct Files {
    patterns: Vec<PathBuf>,
    known: BTreeMap<PathBuf, Vec<TargetGroup>>,
}

impl Files {
    /// Nothing is read yet.
    pub fn new(patterns: Vec<PathBuf>) -> Self {
        Self { patterns, known: BTreeMap::new() }
    }

    /// Reads all files that exist. A file that cannot be read or understood keeps its groups; one that is
    /// gone loses them.
    pub fn refresh(&mut self, metrics: &Metrics) -> Vec<TargetGroup> {
        let mut present = BTreeSet::new();
        for pattern in &self.patterns {
            match config::glob::glob(pattern) {
                Ok(paths) => present.extend(paths),
                Err(error) => {
                    tracing::error!(pattern = %pattern.display(), %error, "cannot list discovery files");
                }
            }
        }
        self.known.retain(|path, _| present.contains(path));
        for path in present {
            match read(&path) {
                Ok(groups) => {
                    self.known.insert(path, groups);
                }
                Err(error) => {
                    metrics.file_read_errors.inc();
                    tracing::error!(path = %path.display(), %error, "keeping the targets read before");
                }
            }
        }
        self.known.values().flatten().cloned().collect()
    }

    fn directories(&self) -> BTreeSet<PathBuf> {
        let parent = |path: &PathBuf| match path.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        self.patterns.iter().map(parent).collect()
    }
}

/// The groups a file lists.
pub fn read(path: &Path) -> Result<Vec<TargetGroup>, DiscoveryError> {
    let failed = |problem: String| DiscoveryError(format!("{}: {problem}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    // JSON is checked by its own rules first: it is stricter than YAML, of which it is a part.
    let is_json = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    if is_json && let Err(error) = serde_json::from_slice::<serde_json::Value>(&bytes) {
        return Err(failed(error.to_string()));
    }
    let root = parse_bytes(&bytes, Limits::default())
        .map_err(|fault| failed(format!("line {}: {}", fault.pos.line, fault.message)))?;
    let name = path.display().to_string();
    read_groups(&root, &name, &[(FILE_PATH, &name)]).map_err(failed)
}

/// Reads the files now, when they change, and every refresh interval.
pub async fn run(settings: &FileSd, updates: &Updates, metrics: &Metrics) -> Result<(), DiscoveryError> {
    let mut files = Files::new(settings.files.clone());
    let (changed, mut changes) = mpsc::channel::<()>(1);
    let _watcher = watch(&files, changed.clone(), metrics);
    let mut ticks = tokio::time::interval(settings.refresh_interval.get().max(Duration::from_millis(1)));
    let mut sent: Option<Vec<TargetGroup>> = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            Some(()) = changes.recv() => tokio::time::sleep(SETTLE).await,
            () = updates.closed() => return Ok(()),
        }
        // What changed while the files settled is part of this reading.
        while changes.try_recv().is_ok() {}
        let groups = tokio::task::block_in_place(|| files.refresh(metrics));
        if sent.as_ref() == Some(&groups) {
            continue;
        }
        sent = Some(groups.clone());
        if updates.send(groups).await.is_err() {
            return Ok(());
        }
    }
}

/// Watches the directories of the files. Without a watcher the refresh interval still finds changes.
fn watch(files: &Files, changed: mpsc::Sender<()>, metrics: &Metrics) -> Option<notify::RecommendedWatcher> {
    let on_event = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            // A full channel means that a reading is due already.
            let _ = changed.try_send(());
        }
    };
    let mut watcher = match notify::recommended_watcher(on_event) {
        Ok(watcher) => watcher,
        Err(error) => {
            metrics.file_watcher_errors.inc();
            tracing::error!(%error, "cannot watch discovery files; they are read at the refresh interval");
            return None;
        }
    };
    for directory in files.directories() {
        if let Err(error) = watcher.watch(&directory, RecursiveMode::NonRecursive) {
            metrics.file_watcher_errors.inc();
            tracing::error!(directory = %directory.display(), %error, "cannot watch discovery files");
        }
    }
    Some(watcher)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(groups: &[TargetGroup]) -> Vec<String> {
        let targets = groups.iter().flat_map(TargetGroup::target_labels);
        targets.map(|labels| labels.get_or_empty("__address__").to_owned()).collect()
    }

    #[test]
    fn a_bad_file_keeps_its_targets_and_a_missing_one_loses_them() {
        let dir = tempfile::tempdir().unwrap();
        let metrics = Metrics::new(&base::metrics::Registry::new());
        let (a, b) = (dir.path().join("a.json"), dir.path().join("b.yml"));
        std::fs::write(&a, r#"[{"targets": ["a:1"]}]"#).unwrap();
        std::fs::write(&b, "- targets: [b:1]\n").unwrap();
        let mut files = Files::new(vec![dir.path().join("*.json"), dir.path().join("*.yml")]);
        assert_eq!(addresses(&files.refresh(&metrics)), ["a:1", "b:1"]);
        std::fs::write(&a, "[{").unwrap();
        std::fs::remove_file(&b).unwrap();
        assert_eq!(addresses(&files.refresh(&metrics)), ["a:1"]);
        assert_eq!(metrics.file_read_errors.get(), 1);
        std::fs::write(&a, r#"[{"targets": ["a:2"]}]"#).unwrap();
        assert_eq!(addresses(&files.refresh(&metrics)), ["a:2"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_change_is_noticed_without_waiting_for_the_interval() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("targets.json");
        std::fs::write(&path, r#"[{"targets": ["a:1"]}]"#).unwrap();
        let hour = config::PromDuration::from_secs(3600);
        let settings = FileSd { files: vec![path.clone()], refresh_interval: hour };
        let (updates, mut received) = mpsc::channel(4);
        let metrics = Metrics::new(&base::metrics::Registry::new());
        let running = tokio::spawn(async move { run(&settings, &updates, &metrics).await });
        assert_eq!(addresses(&received.recv().await.unwrap()), ["a:1"]);
        std::fs::write(&path, r#"[{"targets": ["a:2"]}]"#).unwrap();
        assert_eq!(addresses(&received.recv().await.unwrap()), ["a:2"]);
        drop(received);
        running.await.unwrap().unwrap();
    }
}
