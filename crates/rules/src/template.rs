//! Templates in labels and annotations of alerts.
//!
//! A template sees the labels and the value of the sample that made the alert, and may ask further queries.
//! It is parsed once, when its rule is loaded. In reading order: this file, `functions` (what templates may
//! call), `samples` (results of queries as templates see them).

mod functions;
mod samples;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};

use base::CancelFlag;
use base::metrics::Counter;
use gotmpl::{Functions, MissingKey, Object, ParseError, Templates, Value};

use crate::expression::{Queries, QueryFailure, Sample};
pub(crate) use functions::table_link;

/// What every template begins with, so that authors need not know the fields of its dot.
const PRELUDE: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
                       {{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// How many templates were carried out, and how many of them failed. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub struct Expansions {
    /// All of them.
    pub total: Counter,
    /// Those that failed.
    pub failed: Counter,
}

/// What templates of a group reach beyond the sample.
pub struct Environment {
    /// When the rules are evaluated, in milliseconds; the same for all rules of a group.
    now_ms: AtomicI64,
    external_labels: Value,
    external_url: String,
    path_prefix: String,
    queries: Arc<dyn Queries>,
    cancel: CancelFlag,
    expansions: Expansions,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").field("external_url", &self.external_url).finish_non_exhaustive()
    }
}

impl Environment {
    /// An environment of templates; `cancel` ends their queries.
    pub fn new(
        external_labels: &model::Labels,
        external_url: &str,
        queries: Arc<dyn Queries>,
        cancel: CancelFlag,
        expansions: Expansions,
    ) -> Arc<Self> {
        let path_prefix = url::Url::parse(external_url).map_or_else(
            |_| String::new(),
            |url| {
                // Go has no path where none is written; this parser has a slash.
                if url.path() == "/" && !external_url.ends_with('/') {
                    String::new()
                } else {
                    url.path().to_owned()
                }
            },
        );
        Arc::new(Self {
            now_ms: AtomicI64::new(0),
            external_labels: Value::string_map(external_labels.iter()),
            external_url: external_url.to_owned(),
            path_prefix,
            queries,
            cancel,
            expansions,
        })
    }

    /// Sets when the rules are evaluated.
    pub fn set_now_ms(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::Relaxed);
    }

    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    /// Carries out `template`; where it fails, its error stands instead of the text.
    pub fn expand(&self, template: &Template, data: &Value, alert: &str) -> String {
        self.expansions.total.inc();
        template.expand(data).unwrap_or_else(|problem| {
            self.expansions.failed.inc();
            tracing::warn!(alert, problem, "expanding alert template failed");
            problem
        })
    }

    /// The functions of templates of this environment.
    pub fn functions(self: &Arc<Self>) -> Functions {
        Functions::default().with(functions::all(self))
    }
}

/// Answers no query: for templates that are only parsed.
struct NoQueries;

impl Queries for NoQueries {
    fn instant(&self, _: &str, _: i64, _: &CancelFlag) -> Result<Vec<Sample>, QueryFailure> {
        Ok(Vec::new())
    }
}

static FOR_PARSING: LazyLock<Functions> = LazyLock::new(|| nowhere().functions());

fn nowhere() -> Arc<Environment> {
    let (labels, queries) = (model::Labels::empty(), Arc::new(NoQueries));
    Environment::new(&labels, "", queries, CancelFlag::new(), Expansions::default())
}

/// Whether the template of a label or annotation of `alert` can be parsed.
pub fn check(alert: &str, text: &str) -> Result<(), ParseError> {
    if !text.contains("{{") {
        return Ok(());
    }
    let mut templates = Templates::new(FOR_PARSING.clone());
    templates.parse(&template_name(alert), format!("{PRELUDE}{text}"))
}

/// The names of all functions a template may call beyond those of the language, sorted.
pub fn function_names() -> Vec<&'static str> {
    let mut names: Vec<_> = functions::all(&nowhere()).into_iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names
}

fn template_name(alert: &str) -> String {
    format!("__alert_{alert}")
}

/// The template of one label or annotation.
#[derive(Debug, Clone)]
pub struct Template(Form);

#[derive(Debug, Clone)]
enum Form {
    /// Nothing to carry out.
    Literal(String),
    Parsed {
        name: String,
        templates: Templates,
    },
    /// It cannot be parsed; told each time.
    Broken(String),
}

impl Template {
    /// The template `text` of an alert named `alert`.
    pub fn new(alert: &str, text: &str, functions: &Functions) -> Self {
        if !text.contains("{{") {
            return Self(Form::Literal(text.to_owned()));
        }
        let name = template_name(alert);
        let mut templates = Templates::new(functions.clone());
        Self(match templates.parse(&name, format!("{PRELUDE}{text}")) {
            Ok(()) => Form::Parsed { name, templates },
            Err(error) => Form::Broken(format!("error parsing template {name}: {error}")),
        })
    }

    /// The text for `data`; the error is that of the template, in the words shown instead of the text.
    pub fn expand(&self, data: &Value) -> Result<String, String> {
        let failed = |error: &str| format!("<error expanding template: {error}>");
        match &self.0 {
            Form::Literal(text) => Ok(text.clone()),
            Form::Broken(error) => Err(failed(error)),
            Form::Parsed { name, templates } => {
                let mut out = Vec::new();
                match templates.render(name, data.clone(), MissingKey::Zero, &mut out) {
                    Ok(()) => Ok(String::from_utf8_lossy(&out).into_owned()),
                    Err(error) => Err(failed(&format!("error executing template {name}: {error}"))),
                }
            }
        }
    }
}

/// What the templates of an alert see, for the sample that made it.
pub fn alert_data(environment: &Environment, sample: &Sample) -> Value {
    let data = AlertData {
        labels: Value::string_map(sample.labels.iter()),
        external_labels: environment.external_labels.clone(),
        external_url: environment.external_url.as_str().into(),
        value: samples::value_of(sample),
    };
    Value::Object(Arc::new(data))
}

#[derive(Debug)]
struct AlertData {
    labels: Value,
    external_labels: Value,
    external_url: Value,
    value: Value,
}

impl Object for AlertData {
    fn type_name(&self) -> &'static str {
        "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface {} }"
    }

    fn field(&self, name: &str) -> Option<Value> {
        Some(match name {
            "Labels" => self.labels.clone(),
            "ExternalLabels" => self.external_labels.clone(),
            "ExternalURL" => self.external_url.clone(),
            "Value" => self.value.clone(),
            _ => return None,
        })
    }
}
