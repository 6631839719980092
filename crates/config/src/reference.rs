//! The generated reference of all settings: one page, from the definitions the readers use.

use std::fmt::Write as _;

use crate::loki::LokiFile;
use crate::loki::limits::Overrides;
use crate::root::ConfigFile;
use crate::section::{FieldDoc, Section, SectionDoc, Shape};
use crate::sections::web::WebConfig;

const HEAD: &str = "# Configuration reference

Generated from the definitions in `crates/config` by `cargo run -p config --example reference`; do not edit.

The file has the format of Prometheus 3.14. Unknown keys and repeated keys are errors. Relative paths start
from the directory of the file they stand in. Durations are written like `15s` or `1h30m`, sizes like `15MB`
(powers of 1024). Secrets are never shown.
";

const LOKI_HEAD: &str = "# Configuration reference of `bartizan loki`

Generated from the definitions in `crates/config` by `cargo run -p config --example reference`; do not edit.

The file has the format of Loki 3.7 in its single-binary form. These keys are honoured. All others a Loki knows are
taken: those that cannot apply are listed at start with their line and the reason, and those with which the file would mean
something else are errors, as unknown keys are. Paths are seen from the working directory. Sizes count in powers of 1024.
Secrets are never shown.

Objects lie in the folder `bartizan` of the folder the configuration names, and so does the log of entries: what a Loki
stored is not touched, and not read.
";

/// The page, as Markdown.
pub fn page() -> String {
    page_of(HEAD, [ConfigFile::doc(), WebConfig::doc()])
}

/// The page of Loki's configuration, as Markdown.
pub fn loki_page() -> String {
    page_of(LOKI_HEAD, [LokiFile::doc(), Overrides::doc()])
}

fn page_of(head: &str, roots: impl IntoIterator<Item = SectionDoc>) -> String {
    let mut page = head.to_owned();
    let mut sections = Vec::new();
    for root in roots {
        collect(root, &mut sections);
    }
    for section in &sections {
        writeln!(page, "\n## {}\n\n{}\n", section.title, section.doc)
            .expect("writing to a String cannot fail");
        page.push_str("| key | holds | default | what it does |\n|---|---|---|---|\n");
        for field in section.fields.iter().filter(|field| !is_hidden(field)) {
            page.push_str(&row(field));
        }
    }
    page
}

/// The section and those below it, each once, parents before children.
fn collect(section: SectionDoc, sections: &mut Vec<SectionDoc>) {
    if section.title.is_empty() || sections.iter().any(|known| known.title == section.title) {
        return;
    }
    let children: Vec<SectionDoc> = section.fields.iter().filter_map(|field| child(&field.shape)).collect();
    sections.push(section);
    for child in children {
        collect(child, sections);
    }
}

fn child(shape: &Shape) -> Option<SectionDoc> {
    match shape {
        Shape::Section(doc) => Some(doc()),
        Shape::List(item) | Shape::Map(item) => child(item),
        Shape::Scalar(_) | Shape::OneOf(_) => None,
    }
}

/// A field that is not part of the file.
fn is_hidden(field: &FieldDoc) -> bool {
    field.key.is_empty() && child(&field.shape).is_some_and(|section| section.title.is_empty())
}

fn row(field: &FieldDoc) -> String {
    let key = if field.key.is_empty() { String::new() } else { format!("`{}`", field.key) };
    let default = if field.default.is_empty() { String::new() } else { format!("`{}`", field.default) };
    let holds = if field.key.is_empty() {
        format!("the keys of {}", describe(&field.shape))
    } else {
        describe(&field.shape)
    };
    let cell = |text: &str| text.replace('|', "\\|");
    format!("| {key} | {} | {} | {} |\n", cell(&holds), cell(&default), cell(&field.doc))
}

fn describe(shape: &Shape) -> String {
    match shape {
        Shape::Scalar(name) => (*name).to_owned(),
        Shape::OneOf(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Shape::List(item) => format!("list of {}", describe(item)),
        Shape::Map(item) => format!("map of name to {}", describe(item)),
        Shape::Section(doc) => {
            let title = doc().title;
            format!("[{title}](#{})", anchor(title))
        }
    }
}

/// The anchor a Markdown viewer gives a heading.
fn anchor(title: &str) -> String {
    let keep = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    title.to_lowercase().chars().filter(|c| keep(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}
