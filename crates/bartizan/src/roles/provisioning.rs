//! Files that bring dashboards and data sources: read at the start, and again when they change.
//!
//! The folder is laid out as Grafana's: `dashboards/*.yaml` name folders of dashboards, and
//! `datasources/*.yaml` have data sources. The dashboards this program ships are a provider of their own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::alertmanager::values::Any;
use config::provisioning::{DashboardProvider, DataSource, load_dashboards, load_data_sources};
use ring::digest::{SHA256, digest};
use serde_json::Value as Json;
use state::Store;
use state::provisioned::FromFile;
use state::sources::{Source, SourceKind};

/// The provider of the dashboards of this program.
const SHIPPED_BY: &str = "bartizan";
/// How often files are looked at where nothing says otherwise.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
/// Files a provider may have.
const MAX_FILES: usize = 10_000;
/// How deep folders of files may lie in each other.
const MAX_DEPTH: usize = 4;

/// What a file is known by without reading it: path, size, and when it was changed.
type Seen = Vec<(PathBuf, u64, Option<std::time::SystemTime>)>;

/// Keeps a store in line with files.
pub struct Provisioning {
    store: Store,
    folder: Option<PathBuf>,
    sources_changed: Box<dyn Fn() + Send>,
    seen_sources: Option<Seen>,
    seen_dashboards: BTreeMap<String, Seen>,
}

impl Provisioning {
    /// What `folder` has goes to `store`; `sources_changed` hears of new data sources.
    pub fn new(store: Store, folder: Option<PathBuf>, sources_changed: impl Fn() + Send + 'static) -> Self {
        let sources_changed = Box::new(sources_changed);
        Self { store, folder, sources_changed, seen_sources: None, seen_dashboards: BTreeMap::new() }
    }

    /// Looks at the files, again and again.
    pub async fn run(mut self) {
        loop {
            let step = tokio::task::spawn_blocking(move || {
                let interval = self.step();
                (self, interval)
            });
            // A step that panicked has taken the state with it: what is stored stays as it is.
            let Ok((next, interval)) = step.await else { return };
            self = next;
            tokio::time::sleep(interval).await;
        }
    }

    /// Looks at the files once; says when to look again.
    fn step(&mut self) -> Duration {
        self.shipped();
        let Some(folder) = self.folder.clone() else {
            self.forget_others(&[]);
            // Nothing to look at again.
            return Duration::from_secs(24 * 60 * 60);
        };
        self.data_sources(&folder.join("datasources"));
        self.dashboards(&folder.join("dashboards"))
    }

    /// The dashboards of this version of the program, once.
    fn shipped(&mut self) {
        if self.seen_dashboards.contains_key(SHIPPED_BY) {
            return;
        }
        let mut files = Vec::new();
        for (path, text) in crate::dashboards::SHIPPED {
            let folders = path.split_once('/').map(|(folder, _)| folder.to_owned()).into_iter().collect();
            match from_text(path, folders, text.as_bytes()) {
                Ok(file) => files.push(file),
                Err(why) => tracing::error!(path, why, "a dashboard of this program cannot be read"),
            }
        }
        if let Err(error) = self.store.provision_dashboards(SHIPPED_BY, files, false) {
            return tracing::error!(%error, "the dashboards of this program are not stored");
        }
        self.seen_dashboards.insert(SHIPPED_BY.to_owned(), Seen::new());
    }

    fn data_sources(&mut self, folder: &Path) {
        let (files, seen) = configuration_files(folder);
        if self.seen_sources.as_ref() == Some(&seen) {
            return;
        }
        self.seen_sources = Some(seen);
        let (mut sources, mut deleted) = (Vec::new(), Vec::new());
        for file in files {
            let loaded = match load_data_sources(&file, &environment) {
                Ok(loaded) => loaded,
                // What the file brought before stays: the whole step waits for it to be right again.
                Err(error) => return tracing::error!(%error, "data sources are not provisioned"),
            };
            warn(&loaded.warnings);
            sources.extend(loaded.value.data_sources.iter().filter_map(source));
            deleted.extend(loaded.value.deleted);
        }
        match self.store.provision_sources(&sources, &deleted) {
            Ok(()) => tracing::info!(count = sources.len(), "data sources are provisioned"),
            Err(error) => tracing::error!(%error, "data sources are not provisioned"),
        }
        (self.sources_changed)();
    }

    fn dashboards(&mut self, folder: &Path) -> Duration {
        let mut providers: Vec<DashboardProvider> = Vec::new();
        for file in configuration_files(folder).0 {
            match load_dashboards(&file, &environment) {
                Ok(loaded) => {
                    warn(&loaded.warnings);
                    providers.extend(loaded.value);
                }
                Err(error) => {
                    tracing::error!(%error, "dashboards are not provisioned");
                    return DEFAULT_INTERVAL;
                }
            }
        }
        for provider in &providers {
            self.provider(provider);
        }
        let names: Vec<String> = providers.iter().map(|provider| provider.name.clone()).collect();
        self.forget_others(&names);
        let shortest = providers.iter().map(|provider| provider.update_interval_s).min();
        shortest.map_or(DEFAULT_INTERVAL, Duration::from_secs)
    }

    fn provider(&mut self, provider: &DashboardProvider) {
        let DashboardProvider { name, path, .. } = provider;
        let mut seen = Seen::new();
        if let Err(error) = find_json(path, 0, &mut seen) {
            return tracing::error!(provider = name, path = %path.display(), %error, "dashboards are not provisioned");
        }
        seen.sort();
        if self.seen_dashboards.get(name) == Some(&seen) {
            return;
        }
        let mut files = Vec::new();
        for (file, _, _) in &seen {
            match read_dashboard(provider, file) {
                Ok(read) => files.push(read),
                Err(why) => {
                    tracing::error!(provider = name, file = %file.display(), why, "a dashboard cannot be read")
                }
            }
        }
        match self.store.provision_dashboards(name, files, provider.disable_deletion) {
            Ok(outcome) => {
                for why in &outcome.refused {
                    tracing::error!(provider = name, why, "a dashboard is not provisioned");
                }
                let (added, changed, removed) = (outcome.added, outcome.changed, outcome.removed);
                if added + changed + removed > 0 {
                    tracing::info!(provider = name, added, changed, removed, "dashboards are provisioned");
                }
                self.seen_dashboards.insert(name.clone(), seen);
            }
            Err(error) => tracing::error!(provider = name, %error, "dashboards are not provisioned"),
        }
    }

    fn forget_others(&self, configured: &[String]) {
        let all: Vec<String> = configured.iter().cloned().chain([SHIPPED_BY.to_owned()]).collect();
        if let Err(error) = self.store.forget_providers_but(&all) {
            tracing::error!(%error, "dashboards of providers that are gone stay");
        }
    }
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The YAML files of a folder, by name.
fn configuration_files(folder: &Path) -> (Vec<PathBuf>, Seen) {
    let is_yaml = |path: &Path| path.extension().is_some_and(|end| end == "yaml" || end == "yml");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| is_yaml(path)).collect();
    files.sort();
    let seen = files.iter().map(|file| look(file)).collect();
    (files, seen)
}

fn look(file: &Path) -> (PathBuf, u64, Option<std::time::SystemTime>) {
    let metadata = std::fs::metadata(file).ok();
    let changed = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
    (file.to_path_buf(), metadata.map_or(0, |metadata| metadata.len()), changed)
}

/// The JSON files of a folder and of those in it; hidden ones are left out, as mounted volumes have such.
fn find_json(folder: &Path, depth: usize, found: &mut Seen) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if is_hidden {
            continue;
        }
        // Through links: files of a mounted volume are links.
        if path.is_dir() && depth < MAX_DEPTH {
            find_json(&path, depth + 1, found)?;
        } else if path.extension().is_some_and(|end| end == "json") {
            if found.len() == MAX_FILES {
                return Err(std::io::Error::other(format!("more than {MAX_FILES} files")));
            }
            found.push(look(&path));
        }
    }
    Ok(())
}

fn read_dashboard(provider: &DashboardProvider, file: &Path) -> Result<FromFile, String> {
    let size = std::fs::metadata(file).map_err(|error| error.to_string())?.len();
    let limit = state::dashboards::MAX_JSON_BYTES as u64 * 2;
    if size > limit {
        return Err(format!("{size} bytes; {limit} are allowed"));
    }
    let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
    let relative = file.strip_prefix(&provider.path).unwrap_or(file);
    let folders = if provider.folders_from_files {
        let parents = relative.parent().into_iter().flat_map(Path::components);
        parents.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect()
    } else {
        Some(provider.folder.clone()).filter(|folder| !folder.is_empty()).into_iter().collect()
    };
    from_text(&relative.display().to_string(), folders, &bytes)
}

fn from_text(path: &str, folders: Vec<String>, text: &[u8]) -> Result<FromFile, String> {
    let dashboard: Json = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    Ok(FromFile { path: path.to_owned(), hash: digest(&SHA256, text).as_ref().to_vec(), folders, dashboard })
}

/// A data source as it is stored; `None`, and a word about it, where this program cannot ask it.
fn source(from: &DataSource) -> Option<(Source, BTreeMap<String, String>)> {
    let Some(kind) = SourceKind::from_name(&from.kind) else {
        let (name, kind) = (&from.name, &from.kind);
        tracing::warn!(
            name,
            kind,
            "a data source of this type cannot be asked: prometheus, loki and alertmanager can"
        );
        return None;
    };
    let mut settings: BTreeMap<String, Json> =
        from.json_data.iter().map(|(key, value)| (key.clone(), json(value))).collect();
    if !from.basic_auth_user.is_empty() {
        settings.insert("basicAuthUser".to_owned(), Json::from(from.basic_auth_user.as_str()));
    }
    let uid = if from.uid.is_empty() { uid_of(&from.name) } else { from.uid.clone() };
    let (name, url, is_default) = (from.name.clone(), from.url.clone(), from.is_default);
    let secrets = from.secure_json_data.iter().map(|(key, value)| (key.clone(), value.expose().to_owned()));
    let (is_provisioned, secret_names) = (true, Vec::new());
    let source = Source { uid, name, kind, url, is_default, is_provisioned, settings, secret_names };
    Some((source, secrets.collect()))
}

/// The identifier a data source without one has in dashboards made elsewhere: `P` and half of a hash of its name.
fn uid_of(name: &str) -> String {
    let hash = digest(&SHA256, name.as_bytes());
    let text: String = hash.as_ref()[..8].iter().map(|byte| format!("{byte:02X}")).collect();
    format!("P{text}")
}

fn json(value: &Any) -> Json {
    match value {
        Any::Null => Json::Null,
        Any::Bool(value) => Json::from(*value),
        Any::Int(value) => Json::from(*value),
        Any::Float(value) => Json::from(*value),
        Any::Text(text) => Json::from(text.as_str()),
        Any::List(items) => items.iter().map(json).collect(),
        Any::Map(entries) => {
            Json::Object(entries.iter().map(|(key, value)| (key.clone(), json(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use base::SimClock;
    use state::search::Search;

    use super::*;

    struct Fixture {
        dir: tempfile::TempDir,
        store: Store,
        provisioning: Provisioning,
    }

    impl Fixture {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let random = std::sync::Arc::new(|buffer: &mut [u8]| buffer.fill(7));
            let store = Store::open(&dir.path().join("state.db"), SimClock::at(0), random).unwrap();
            let provisioning = Provisioning::new(store.clone(), Some(dir.path().join("p")), || {});
            Self { dir, store, provisioning }
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }

        fn titles(&self) -> Vec<String> {
            let found = self.store.search(&Search::default()).unwrap().into_iter();
            // Those of this program are always there.
            found
                .filter(|found| !found.uid.starts_with("bartizan-"))
                .map(|found| format!("{}/{}", found.folder_title.unwrap_or_default(), found.title))
                .collect()
        }
    }

    #[test]
    fn dashboards_follow_their_files() {
        let mut fixture = Fixture::new();
        fixture.write(
            "p/dashboards/all.yaml",
            "providers:\n- name: a\n  updateIntervalSeconds: 3\n  options: {path: ../../boards, foldersFromFilesStructure: true}\n",
        );
        fixture.write("boards/Team/one.json", r#"{"title": "One", "uid": "one"}"#);
        fixture.write("boards/two.json", r#"{"title": "Two"}"#);
        fixture.write("boards/..data/two.json", r#"{"title": "Hidden"}"#);
        assert_eq!(fixture.provisioning.step(), Duration::from_secs(3));
        assert_eq!(fixture.titles(), ["Team/One", "/Two"]);

        fixture.write("boards/Team/one.json", r#"{"title": "One changed", "uid": "one"}"#);
        fixture.write("boards/broken.json", "{");
        std::fs::remove_file(fixture.dir.path().join("boards/two.json")).unwrap();
        fixture.provisioning.step();
        assert_eq!(fixture.titles(), ["Team/One changed"]);

        std::fs::remove_file(fixture.dir.path().join("p/dashboards/all.yaml")).unwrap();
        fixture.provisioning.step();
        assert_eq!(fixture.titles(), Vec::<String>::new());
    }

    #[test]
    fn data_sources_follow_their_files() {
        let mut fixture = Fixture::new();
        let file = "p/datasources/all.yml";
        let text = "datasources:\n- {name: Prometheus, type: prometheus, url: 'http://127.0.0.1:1'}\n- {name: T, type: tempo}\n";
        fixture.write(file, text);
        fixture.provisioning.step();
        let uids = |fixture: &Fixture| -> Vec<String> {
            fixture.store.sources().unwrap().into_iter().map(|source| source.uid).collect()
        };
        // What Grafana calls a data source of that name, so that dashboards made there find it.
        assert_eq!(uids(&fixture), ["PBFA97CFB590B2093"]);
        fixture.write(file, "datasources: []\n");
        fixture.provisioning.step();
        assert_eq!(uids(&fixture), Vec::<String>::new());
        fixture.write(file, "datasources: [{name: x}]\n");
        fixture.provisioning.step();
    }
}
