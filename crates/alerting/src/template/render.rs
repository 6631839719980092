//! Carrying out the texts of one notification.

use std::collections::HashMap;
use std::sync::Arc;

use config::alertmanager::values::Any;
use gotmpl::{Functions, MissingKey, Templates, Value};
use parking_lot::Mutex;
use serde_json::Value as Json;

use super::functions;

/// The most texts that are kept, and the longest of them in bytes. Texts of configurations are few and short.
const MOST_TEXTS: usize = 1000;
const LONGEST_TEXT_BYTES: usize = 64 << 10;

/// The templates of a configuration, and texts that were read with them: the same few are carried out for each
/// notification.
#[derive(Debug, Default)]
pub(super) struct Library {
    pub(super) templates: Templates,
    read: Mutex<HashMap<String, Templates>>,
}

impl Library {
    pub fn new(templates: Templates) -> Self {
        Self { templates, read: Mutex::default() }
    }

    /// The templates with a text among them, without a name. What it defines only it sees.
    fn with_text(&self, text: &str) -> Result<Templates, String> {
        if let Some(known) = self.read.lock().get(text) {
            return Ok(known.clone());
        }
        let mut templates = self.templates.clone();
        templates.parse("", text).map_err(|error| error.to_string())?;
        let mut read = self.read.lock();
        if read.len() < MOST_TEXTS && text.len() <= LONGEST_TEXT_BYTES {
            read.insert(text.to_owned(), templates.clone());
        }
        Ok(templates)
    }
}

/// Carries out texts with the same data.
pub struct Renderer {
    library: Arc<Library>,
    functions: Functions,
    data: Value,
}

impl std::fmt::Debug for Renderer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Renderer").finish_non_exhaustive()
    }
}

impl Renderer {
    pub(super) fn new(library: Arc<Library>, functions: Functions, data: Value) -> Self {
        Self { library, functions, data }
    }

    /// Carries out a text as a template.
    pub fn text(&self, text: &str) -> Result<String, String> {
        self.run(text, false)
    }

    /// Carries out a text as an HTML template.
    pub fn html(&self, text: &str) -> Result<String, String> {
        self.run(text, true)
    }

    fn run(&self, text: &str, html: bool) -> Result<String, String> {
        if !text.contains("{{") {
            return Ok(text.to_owned());
        }
        let templates = self.library.with_text(text)?.with_functions(self.functions.clone());
        let (data, mut out) = (self.data.clone(), Vec::new());
        let done = if html {
            templates.render_html("", data, MissingKey::Zero, &mut out)
        } else if templates.contains("") {
            templates.render("", data, MissingKey::Zero, &mut out)
        } else {
            Ok(())
        };
        done.map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// Carries out all texts in a value. A text that then reads as a number, list or mapping of YAML becomes one.
    pub fn any(&self, value: &Any) -> Result<Json, String> {
        Ok(match value {
            Any::Null => Json::Null,
            Any::Bool(value) => Json::Bool(*value),
            Any::Int(value) => Json::from(*value),
            Any::Float(value) => Json::from(*value),
            Any::Text(text) => functions::inline_yaml(self.text(text)?),
            Any::List(items) => {
                Json::Array(items.iter().map(|item| self.any(item)).collect::<Result<_, _>>()?)
            }
            Any::Map(entries) => {
                let entry = |(name, value): &(String, Any)| Ok((self.text(name)?, self.any(value)?));
                Json::Object(entries.iter().map(entry).collect::<Result<_, String>>()?)
            }
        })
    }
}
