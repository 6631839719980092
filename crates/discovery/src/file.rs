//! Targets listed in files, which are watched and also read at an interval.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base::clock::SharedClock;
use config::FileSd;
use config::yaml::{Limits, parse_bytes};
use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::TargetGroup;
use crate::group::read_groups;
use crate::metrics::Metrics;
use crate::provider::{DiscoveryError, Session};

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
        self.known.retain(|path, _| {
            let stays = present.contains(path);
            if !stays {
                metrics.set_file_mtime(&path.display().to_string(), None);
            }
            stays
        });
        for path in present {
            match read(&path) {
                Ok(groups) => {
                    metrics.set_file_mtime(&path.display().to_string(), modified_s(&path));
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

/// When a file was changed last, in seconds since the Unix epoch.
fn modified_s(path: &Path) -> Option<f64> {
    let modified = std::fs::metadata(path).and_then(|meta| meta.modified()).ok()?;
    modified.duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_secs() as f64)
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
pub(crate) async fn run(settings: &FileSd, session: &Session<'_>, clock: &SharedClock) {
    let Session { updates, metrics, .. } = session;
    let mut files = Files::new(settings.files.clone());
    let (changed, mut changes) = mpsc::channel::<()>(1);
    let mut watch = Watch::new(files.directories(), changed, metrics);
    let mut ticks = tokio::time::interval(settings.refresh_interval.get().max(Duration::from_millis(1)));
    let mut sent: Option<Vec<TargetGroup>> = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            Some(()) = changes.recv() => tokio::time::sleep(SETTLE).await,
            () = updates.closed() => return,
        }
        // What changed while the files settled is part of this reading.
        while changes.try_recv().is_ok() {}
        watch.complete(metrics);
        let began = clock.monotonic();
        let counters = (*metrics).clone();
        let read = tokio::task::spawn_blocking(move || {
            let groups = files.refresh(&counters);
            (files, groups)
        });
        let Ok((read_files, groups)) = read.await else {
            tracing::error!("reading discovery files was interrupted");
            return;
        };
        files = read_files;
        metrics.file_scan_duration.observe(clock.monotonic().saturating_sub(began).as_secs_f64());
        if sent.as_ref() == Some(&groups) {
            continue;
        }
        sent = Some(groups.clone());
        if updates.send(groups).await.is_err() {
            return;
        }
    }
}

/// Watches the directories of the files. Without it the refresh interval still finds changes.
struct Watch {
    watcher: Option<notify::RecommendedWatcher>,
    /// Directories not watched yet: one may not exist before its files do.
    missing: BTreeSet<PathBuf>,
}

impl Watch {
    fn new(directories: BTreeSet<PathBuf>, changed: mpsc::Sender<()>, metrics: &Metrics) -> Self {
        let on_event = move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                // A full channel means that a reading is due already.
                let _ = changed.try_send(());
            }
        };
        let watcher = notify::recommended_watcher(on_event).map_err(|error| {
            metrics.file_watcher_errors.inc();
            tracing::error!(%error, "cannot watch discovery files; they are read at the refresh interval");
        });
        Self { watcher: watcher.ok(), missing: directories }
    }

    /// Watches the directories that could not be watched before.
    fn complete(&mut self, metrics: &Metrics) {
        let Some(watcher) = &mut self.watcher else { return };
        self.missing.retain(|directory| match watcher.watch(directory, RecursiveMode::NonRecursive) {
            Ok(()) => false,
            Err(error) => {
                metrics.file_watcher_errors.inc();
                tracing::error!(directory = %directory.display(), %error, "cannot watch discovery files");
                true
            }
        });
    }
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

    #[tokio::test]
    async fn a_change_is_noticed_without_waiting_for_the_interval() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("targets.json");
        std::fs::write(&path, r#"[{"targets": ["a:1"]}]"#).unwrap();
        let hour = config::PromDuration::from_secs(3600);
        let settings = FileSd { files: vec![path.clone()], refresh_interval: hour };
        let (updates, mut received) = mpsc::channel(4);
        let metrics = Metrics::new(&base::metrics::Registry::new());
        let running = tokio::spawn(async move {
            let session = Session { job: "a", updates: &updates, metrics: &metrics };
            run(&settings, &session, &base::SystemClock::shared()).await;
        });
        assert_eq!(addresses(&received.recv().await.unwrap()), ["a:1"]);
        std::fs::write(&path, r#"[{"targets": ["a:2"]}]"#).unwrap();
        assert_eq!(addresses(&received.recv().await.unwrap()), ["a:2"]);
        drop(received);
        running.await.unwrap();
    }
}
