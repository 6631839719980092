//! Templates of notifications: what they see, what they can call, and those that come with the program.

mod data;
mod functions;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::clock::SharedClock;
use config::alertmanager::values::Any;
use gotmpl::{Functions, MissingKey, Templates, Value};
use parking_lot::Mutex;

pub use data::{AlertData, Data, status};
pub(crate) use functions::go_json;

/// Names used by configurations everywhere; the texts are ours.
const DEFAULTS: [(&str, &str); 2] = [
    ("default.tmpl", include_str!("template/default.tmpl")),
    ("email.tmpl", include_str!("template/email.tmpl")),
];

/// The templates of a configuration, and those that come with the program.
#[derive(Debug, Clone)]
pub struct TemplateSet {
    templates: Templates,
    clock: SharedClockDebug,
}

/// A clock in a structure that is printed for debugging.
#[derive(Clone)]
struct SharedClockDebug(SharedClock);

impl std::fmt::Debug for SharedClockDebug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

impl TemplateSet {
    /// The templates that come with the program, and those in the files that `patterns` name. The error names
    /// the file.
    pub fn load(patterns: &[PathBuf], clock: SharedClock) -> Result<Self, String> {
        let no_labels = functions::Labels::none();
        let mut templates = Templates::new(functions::all(&clock, no_labels));
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
        Ok(Self { templates, clock: SharedClockDebug(clock) })
    }

    /// Carries out a text as a template.
    pub fn text(&self, text: &str, data: &Data) -> Result<String, String> {
        self.run(text, data, false)
    }

    /// Carries out a text as an HTML template.
    pub fn html(&self, text: &str, data: &Data) -> Result<String, String> {
        self.run(text, data, true)
    }

    fn run(&self, text: &str, data: &Data, html: bool) -> Result<String, String> {
        if !text.contains("{{") {
            return Ok(text.to_owned());
        }
        let labels = functions::Labels::rendered(data.route_labels.clone());
        let templates = self.templates.with_functions(functions::all(&self.clock.0, labels));
        render(templates, text, data.value(), html)
    }

    /// Carries out the labels of a route, which may refer to each other.
    pub fn route_labels(&self, labels: &BTreeMap<String, String>, data: &Data) -> BTreeMap<String, String> {
        if labels.values().all(|value| !value.contains("{{")) {
            return labels.clone();
        }
        let resolver = Arc::new(Resolver {
            raw: labels.clone(),
            templates: self.templates.clone(),
            clock: self.clock.0.clone(),
            data: data.value(),
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

    /// Carries out all texts in a value. A text that then reads as a number, list or mapping of YAML becomes one.
    pub fn any(&self, value: &Any, data: &Data) -> Result<serde_json::Value, String> {
        use serde_json::Value as Json;
        Ok(match value {
            Any::Null => Json::Null,
            Any::Bool(value) => Json::Bool(*value),
            Any::Int(value) => Json::from(*value),
            Any::Float(value) => Json::from(*value),
            Any::Text(text) => functions::inline_yaml(self.text(text, data)?),
            Any::List(items) => {
                Json::Array(items.iter().map(|item| self.any(item, data)).collect::<Result<_, _>>()?)
            }
            Any::Map(entries) => {
                let entry =
                    |(name, value): &(String, Any)| Ok((self.text(name, data)?, self.any(value, data)?));
                Json::Object(entries.iter().map(entry).collect::<Result<_, String>>()?)
            }
        })
    }
}

fn parse_file(templates: &mut Templates, file: &Path) -> Result<(), String> {
    let text = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    // A file is a template under its own name too.
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    templates.parse(&name, text).map_err(|error| error.to_string())
}

fn render(mut templates: Templates, text: &str, data: Value, html: bool) -> Result<String, String> {
    templates.parse("", text).map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    let done = if html {
        templates.render_html("", data, MissingKey::Zero, &mut out)
    } else if templates.contains("") {
        templates.render("", data, MissingKey::Zero, &mut out)
    } else {
        Ok(())
    };
    done.map_err(|error| error.to_string())?;
    Ok(String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// Resolves labels of a route, each of which may be a template that refers to others.
struct Resolver {
    raw: BTreeMap<String, String>,
    templates: Templates,
    clock: SharedClock,
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
        let functions: Functions = functions::all(&self.clock, labels);
        let rendered = render(self.templates.with_functions(functions), text, self.data.clone(), false);
        self.stack.lock().pop();
        rendered
    }
}

#[cfg(test)]
mod tests;
