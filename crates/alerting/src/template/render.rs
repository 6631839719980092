//! Carrying out the texts of one notification.

use std::cell::RefCell;

use config::alertmanager::values::Any;
use gotmpl::{MissingKey, Templates, Value};
use serde_json::Value as Json;

use super::functions;

/// Carries out texts with the same data.
pub struct Renderer {
    templates: RefCell<Templates>,
    data: Value,
}

impl std::fmt::Debug for Renderer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Renderer").finish_non_exhaustive()
    }
}

/// Whether a text may define templates, which only it may see.
fn may_define(text: &str) -> bool {
    text.contains("define") || text.contains("block")
}

impl Renderer {
    pub(super) fn new(templates: Templates, data: Value) -> Self {
        Self { templates: RefCell::new(templates), data }
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
        if may_define(text) {
            return self.run_in(&mut self.templates.borrow().clone(), text, html);
        }
        let mut templates = self.templates.borrow_mut();
        let rendered = self.run_in(&mut templates, text, html);
        // The next text may be blank, which does not take the place of one that is not.
        templates.remove("");
        rendered
    }

    fn run_in(&self, templates: &mut Templates, text: &str, html: bool) -> Result<String, String> {
        templates.parse("", text).map_err(|error| error.to_string())?;
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
