//! Templates of notifications: what they see, what they can call, and those that come with the program.

mod data;
mod functions;
mod render;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::clock::SharedClock;
use gotmpl::{Functions, Templates, Value};
use parking_lot::Mutex;

use crate::core::Delivery;

pub use data::{AlertData, Data, status};
pub(crate) use functions::go_json;
use render::Library;
pub use render::Renderer;

/// Names used by configurations everywhere; the texts are ours.
const DEFAULTS: [(&str, &str); 2] = [
    ("default.tmpl", include_str!("template/default.tmpl")),
    ("email.tmpl", include_str!("template/email.tmpl")),
];

/// The templates of a configuration, and those that come with the program.
#[derive(Debug, Clone)]
pub struct TemplateSet {
    library: Arc<Library>,
    /// All functions, but for that of the labels of the route, which is another for each notification.
    functions: Functions,
}

/// A clock in a structure that is printed for debugging.
#[derive(Clone)]
pub(crate) struct ClockDebug(pub SharedClock);

impl std::fmt::Debug for ClockDebug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

impl TemplateSet {
    /// The templates that come with the program, and those in the files that `patterns` name. The error names
    /// the file.
    pub fn load(patterns: &[PathBuf], clock: SharedClock) -> Result<Self, String> {
        let no_labels = functions::Labels::none();
        let functions = functions::all(&clock, no_labels);
        let mut templates = Templates::new(functions.clone());
        for (name, text) in DEFAULTS {
            templates.parse(name, text).map_err(|error| error.to_string())?;
        }
        for pattern in patterns {
            let files =
                config::glob::glob(pattern).map_err(|error| format!("{}: {error}", pattern.display()))?;
            for file in files {
                parse_file(&mut templates, &file)?;
            }
        }
        Ok(Self { library: Arc::new(Library::new(templates)), functions })
    }

    /// What carries out texts with these data.
    pub fn renderer(&self, data: &Arc<Data>) -> Renderer {
        let labels = functions::Labels::rendered(data.route_labels.clone());
        Renderer::new(self.library.clone(), labels.added_to(&self.functions), data.value())
    }

    /// Carries out a text as a template.
    pub fn text(&self, text: &str, data: &Data) -> Result<String, String> {
        self.renderer(&Arc::new(data.clone())).text(text)
    }

    /// Carries out a text as an HTML template.
    pub fn html(&self, text: &str, data: &Data) -> Result<String, String> {
        self.renderer(&Arc::new(data.clone())).html(text)
    }

    /// The labels of the route of a notification: carried out on all alerts of the group, whichever of them are told
    /// and why, so that all integrations see the same.
    pub fn labels_of_route(&self, delivery: &Delivery, external_url: &str) -> BTreeMap<String, String> {
        if !needs_rendering(&delivery.route_labels) {
            return (*delivery.route_labels).clone();
        }
        let mut data = Data::new(delivery, &delivery.group_alerts, external_url);
        data.reason = data::UNKNOWN_REASON;
        self.route_labels(&delivery.route_labels, &data)
    }

    /// Carries out the labels of a route, which may refer to each other.
    pub fn route_labels(&self, labels: &BTreeMap<String, String>, data: &Data) -> BTreeMap<String, String> {
        if !needs_rendering(labels) {
            return labels.clone();
        }
        let resolver = Arc::new(Resolver {
            raw: labels.clone(),
            templates: self.clone(),
            data: Arc::new(data.clone()).value(),
            stack: Mutex::default(),
        });
        let mut rendered = BTreeMap::new();
        for name in labels.keys() {
            match resolver.resolve(name) {
                Ok(text) => {
                    rendered.insert(name.clone(), text);
                }
                Err(error) => tracing::error!(label = name, "route label cannot be rendered: {error}"),
            }
        }
        rendered
    }
}

/// Whether one of the labels is a template.
fn needs_rendering(labels: &BTreeMap<String, String>) -> bool {
    labels.values().any(|value| value.contains("{{"))
}

fn parse_file(templates: &mut Templates, file: &Path) -> Result<(), String> {
    let text = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    // A file is a template under its own name too.
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    templates.parse(&name, text).map_err(|error| error.to_string())
}

/// Resolves labels of a route, each of which may be a template that refers to others.
struct Resolver {
    raw: BTreeMap<String, String>,
    templates: TemplateSet,
    data: Value,
    /// Labels being resolved, the outermost first.
    stack: Mutex<Vec<String>>,
}

impl Resolver {
    fn resolve(self: &Arc<Self>, name: &str) -> Result<String, String> {
        let Some(text) = self.raw.get(name) else { return Ok(String::new()) };
        {
            let mut stack = self.stack.lock();
            if stack.iter().any(|busy| busy == name) {
                let cycle: Vec<&str> = stack.iter().map(String::as_str).chain([name]).collect();
                return Err(format!("route label cycle detected: {}", cycle.join(" -> ")));
            }
            stack.push(name.to_owned());
        }
        let inner = self.clone();
        let labels = functions::Labels::resolved(move |name| inner.resolve(name));
        let TemplateSet { library, functions } = &self.templates;
        let renderer = Renderer::new(library.clone(), labels.added_to(functions), self.data.clone());
        let rendered = renderer.text(text);
        self.stack.lock().pop();
        rendered
    }
}

#[cfg(test)]
mod tests;
