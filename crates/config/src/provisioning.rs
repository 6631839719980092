//! Files that bring dashboards and data sources, in the form of Grafana's provisioning.
//!
//! Keys this program has no use for are warnings, as a file that serves Grafana is to serve here unchanged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::alertmanager::values::Any;
use crate::decode::{At, Cx, Fields, Setting};
use crate::error::{ConfigError, Fault, Source};
use crate::scalar::Secret;
use crate::section::Shape;
use crate::yaml::{Limits, Node, Out, parse_bytes};

/// A folder of dashboards.
#[derive(Debug, Clone, PartialEq)]
pub struct DashboardProvider {
    /// The name of the provider.
    pub name: String,
    /// The title of the folder its dashboards lie in; empty is the top.
    pub folder: String,
    /// Whether dashboards stay whose file is gone.
    pub disable_deletion: bool,
    /// How often the files are looked at, in seconds.
    pub update_interval_s: u64,
    /// The folder of the files.
    pub path: PathBuf,
    /// Whether folders of files are folders of dashboards.
    pub folders_from_files: bool,
}

/// Data sources, and those that are to go.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DataSources {
    /// The data sources.
    pub data_sources: Vec<DataSource>,
    /// Names of data sources that are taken away.
    pub deleted: Vec<String>,
}

/// Another server that dashboards may ask.
#[derive(Debug, Clone, PartialEq)]
pub struct DataSource {
    /// The name.
    pub name: String,
    /// What names it in dashboards; empty to have it derived from the name.
    pub uid: String,
    /// `prometheus`, `loki`, `alertmanager`, or what is not known here.
    pub kind: String,
    /// Where it is.
    pub url: String,
    /// Whether panels that name none ask this one.
    pub is_default: bool,
    /// The user of basic authentication; empty for none.
    pub basic_auth_user: String,
    /// Settings of the kind.
    pub json_data: BTreeMap<String, Any>,
    /// Settings nobody is shown.
    pub secure_json_data: BTreeMap<String, Secret>,
}

/// What a file said, and what of it has no effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded<T> {
    /// What it said.
    pub value: T,
    /// One line each.
    pub warnings: Vec<String>,
}

/// The only version of the files there is.
const API_VERSION: i64 = 1;
/// Looking more often than this is no use and costs time.
const DEFAULT_UPDATE_INTERVAL_S: u64 = 10;

/// Reads a file of dashboard providers.
pub fn load_dashboards(file: &Path, env: Env<'_>) -> Result<Loaded<Vec<DashboardProvider>>, ConfigError> {
    load(file, env, |fields| {
        let Providers(providers) = fields.take("providers", Providers::zero)?;
        Ok(providers)
    })
}

/// Reads a file of data sources.
pub fn load_data_sources(file: &Path, env: Env<'_>) -> Result<Loaded<DataSources>, ConfigError> {
    load(file, env, |fields| {
        let Sources(data_sources) = fields.take("datasources", Sources::zero)?;
        let Names(deleted) = fields.take("deleteDatasources", Names::zero)?;
        // What a file had and has no more always goes.
        fields.raw("prune");
        Ok(DataSources { data_sources, deleted })
    })
}

/// Looks up a variable of the environment.
pub type Env<'e> = &'e dyn Fn(&str) -> Option<String>;

fn load<T>(
    file: &Path,
    env: Env<'_>,
    read: impl FnOnce(&mut Fields<'_, '_>) -> Result<T, Fault>,
) -> Result<Loaded<T>, ConfigError> {
    let bytes = std::fs::read(file).map_err(|error| ConfigError::unreadable(file, &error))?;
    let source = Source::new(file, String::from_utf8_lossy(&bytes));
    let failed = |fault: Fault| ConfigError::new(&source, &[fault]);
    let mut root = parse_bytes(&bytes, Limits::default()).map_err(failed)?;
    expand(&mut root, env);
    let cx = Cx::new(file);
    let decoded = Fields::new(&root, "provisioning file", &cx).and_then(|mut fields| {
        let version = fields.take("apiVersion", || API_VERSION)?;
        if version != API_VERSION {
            let fault = At { node: &root }.fault("apiVersion", format!("unknown apiVersion {version}"));
            return Err(fault.remedy(format!("write apiVersion: {API_VERSION}")));
        }
        let value = read(&mut fields)?;
        fields.finish_with_warnings();
        Ok(value)
    });
    let warnings = cx.take_warnings();
    cx.finish(decoded)
        .map(|value| Loaded { value, warnings })
        .map_err(|faults| ConfigError::new(&source, &faults))
}

/// Puts variables of the environment for `$NAME` and `${NAME}` into all texts; `$$` is a dollar sign.
fn expand(node: &mut Node, env: Env<'_>) {
    match &mut node.value {
        crate::yaml::Value::Null => {}
        crate::yaml::Value::Scalar(scalar) => {
            if scalar.text.contains('$') {
                scalar.text = expanded(&scalar.text, env);
            }
        }
        crate::yaml::Value::Sequence(items) => items.iter_mut().for_each(|item| expand(item, env)),
        crate::yaml::Value::Mapping(entries) => entries.iter_mut().for_each(|(_, value)| expand(value, env)),
    }
}

fn expanded(text: &str, env: Env<'_>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let braced = rest.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, after) = match braced {
            Some(found) => found,
            None => rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len())),
        };
        if name.is_empty() {
            out.push('$');
        } else {
            out.push_str(&env(name).unwrap_or_default());
            rest = after;
        }
    }
    out + rest
}

/// A list that is only read.
macro_rules! list {
    ($name:ident, $item:ty, $decode:path) => {
        struct $name(Vec<$item>);

        impl Setting for $name {
            fn zero() -> Self {
                Self(Vec::new())
            }

            fn decode(node: &Node, cx: &Cx<'_>) -> Result<Self, Fault> {
                node.items().iter().map(|item| $decode(item, cx)).collect::<Result<_, _>>().map(Self)
            }

            fn is_zero(&self) -> bool {
                self.0.is_empty()
            }

            fn emit(&self) -> Out {
                Out::Null
            }

            fn shape() -> Shape {
                Shape::Scalar("list")
            }
        }
    };
}

list!(Providers, DashboardProvider, provider);
list!(Sources, DataSource, data_source);
list!(Names, String, name);

fn provider(node: &Node, cx: &Cx<'_>) -> Result<DashboardProvider, Fault> {
    let at = At { node };
    let mut fields = Fields::new(node, "dashboard provider", cx)?;
    let kind = fields.take("type", || "file".to_owned())?;
    if !matches!(kind.as_str(), "file" | "") {
        return Err(at.fault("type", format!("unknown provider type {kind:?}")).remedy("write type: file"));
    }
    let folder = fields.take("folder", String::new)?;
    let options = fields.raw("options").filter(|options| !options.is_null());
    let Some(options) = options else {
        return Err(at
            .fault("options", "a dashboard provider needs options")
            .remedy("add options with a path"));
    };
    let mut inner = Fields::new(options, "options of a dashboard provider", cx)?;
    let path = inner.take("path", PathBuf::new)?;
    let folders_from_files = inner.take("foldersFromFilesStructure", bool::default)?;
    inner.finish_with_warnings();
    if path.as_os_str().is_empty() {
        let fault = At { node: options }.fault("path", "a dashboard provider needs a path");
        return Err(fault.remedy("add the folder of the files as path"));
    }
    if folders_from_files && !folder.is_empty() {
        let message = "'folder' should be empty using 'foldersFromFilesStructure' option";
        return Err(at.fault("folder", message).remedy("remove one of them"));
    }
    let interval = fields.take("updateIntervalSeconds", || DEFAULT_UPDATE_INTERVAL_S)?;
    let provider = DashboardProvider {
        name: fields.take("name", || "default".to_owned())?,
        folder,
        disable_deletion: fields.take("disableDeletion", bool::default)?,
        update_interval_s: if interval == 0 { DEFAULT_UPDATE_INTERVAL_S } else { interval },
        path,
        folders_from_files,
    };
    fields.raw("orgId");
    fields.finish_with_warnings();
    Ok(provider)
}

fn data_source(node: &Node, cx: &Cx<'_>) -> Result<DataSource, Fault> {
    let at = At { node };
    let mut fields = Fields::new(node, "data source", cx)?;
    let access = fields.take("access", || "proxy".to_owned())?;
    if !matches!(access.as_str(), "" | "proxy" | "server") {
        let message = format!("access {access:?}: browsers ask this server, which asks the data source");
        cx.warn(format!("{}: line {}: {message}", cx.file.display(), node.pos.line));
    }
    let has_auth = fields.take("basicAuth", bool::default)?;
    let user = fields.take("basicAuthUser", String::new)?;
    let source = DataSource {
        name: fields.take("name", String::new)?,
        uid: fields.take("uid", String::new)?,
        kind: fields.take("type", String::new)?,
        url: fields.take("url", String::new)?,
        is_default: fields.take("isDefault", bool::default)?,
        basic_auth_user: if has_auth { user } else { String::new() },
        json_data: fields.take("jsonData", BTreeMap::new)?,
        secure_json_data: fields.take("secureJsonData", BTreeMap::new)?,
    };
    for key in
        ["orgId", "version", "editable", "readOnly", "apiVersion", "user", "database", "withCredentials"]
    {
        fields.raw(key);
    }
    fields.finish_with_warnings();
    for (key, value) in [("name", &source.name), ("type", &source.kind)] {
        if value.is_empty() {
            return Err(at.fault(key, format!("a data source needs a {key}")).remedy(format!("add {key}")));
        }
    }
    Ok(source)
}

fn name(node: &Node, cx: &Cx<'_>) -> Result<String, Fault> {
    let mut fields = Fields::new(node, "data source to delete", cx)?;
    fields.raw("orgId");
    fields.take("name", String::new)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.yaml");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    fn env(name: &str) -> Option<String> {
        (name == "HOST").then(|| "mimir.example".to_owned())
    }

    #[test]
    fn providers_of_dashboards_load() {
        let (dir, path) = file(
            "apiVersion: 1\nproviders:\n- name: main\n  orgId: 1\n  folder: Ours\n  type: file\n  allowUiUpdates: true\n  \
             options:\n    path: boards\n- options: {path: /srv/b, foldersFromFilesStructure: true}\n",
        );
        let loaded = load_dashboards(&path, &env).unwrap();
        let [first, second] = &loaded.value[..] else { panic!("{loaded:?}") };
        assert_eq!((first.name.as_str(), first.folder.as_str()), ("main", "Ours"));
        assert_eq!(first.path, dir.path().join("boards"));
        assert_eq!(
            (second.name.as_str(), second.folders_from_files, second.update_interval_s),
            ("default", true, 10)
        );
        assert!(
            loaded.warnings.len() == 1 && loaded.warnings[0].contains("allowUiUpdates"),
            "{:?}",
            loaded.warnings
        );
    }

    #[test]
    fn data_sources_load() {
        let (_dir, path) = file(
            "datasources:\n- name: Mimir\n  type: prometheus\n  access: proxy\n  url: http://$HOST:9009/prometheus\n  \
             basicAuth: true\n  basicAuthUser: ann\n  isDefault: true\n  jsonData: {timeInterval: 30s, manageAlerts: false}\n  \
             secureJsonData: {basicAuthPassword: 'a$$b${NOTHING}'}\ndeleteDatasources: [{name: Old, orgId: 1}]\n",
        );
        let loaded = load_data_sources(&path, &env).unwrap();
        let source = &loaded.value.data_sources[0];
        assert_eq!(source.url, "http://mimir.example:9009/prometheus");
        assert_eq!(source.basic_auth_user, "ann");
        assert_eq!(source.json_data["timeInterval"], Any::Text("30s".to_owned()));
        assert_eq!(source.secure_json_data["basicAuthPassword"].expose(), "a$b");
        assert_eq!((loaded.value.deleted, loaded.warnings), (vec!["Old".to_owned()], vec![]));
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_line() {
        for (text, message, line) in [
            ("providers:\n- name: a\n", "a dashboard provider needs options", 2),
            ("providers:\n- options: {x: 1}\n", "a dashboard provider needs a path", 2),
            ("providers:\n- type: git\n  options: {path: a}\n", "unknown provider type \"git\"", 2),
            ("apiVersion: 2\n", "unknown apiVersion 2", 1),
            (
                "providers:\n- folder: a\n  options: {path: a, foldersFromFilesStructure: true}\n",
                "'folder' should be empty",
                2,
            ),
        ] {
            let (_dir, path) = file(text);
            let error = load_dashboards(&path, &env).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
            assert_eq!(error.line(), line, "{error}");
        }
        let (_dir, path) = file("datasources:\n- name: a\n");
        let error = load_data_sources(&path, &env).unwrap_err();
        assert!(error.to_string().contains("a data source needs a type"), "{error}");
    }
}
