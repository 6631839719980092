//! Which labels a query needs, so that parsers take no others from lines.

use crate::ast::{Grouping, LabelFilter, Stage, Unwrap};
use crate::labels::{ERROR, ERROR_DETAILS};

/// The labels parsers are to extract.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hints {
    /// These; all where there are none.
    required: Vec<String>,
    /// The first bytes of their names, a bit for each of ASCII.
    first_bytes: u128,
    /// None at all.
    nothing: bool,
    /// Errors of parsers are looked at by the query itself.
    pub preserves_errors: bool,
}

impl Hints {
    /// Every label is needed.
    pub fn all(stages: &[Stage], unwrap: Option<&Unwrap>) -> Self {
        Self { preserves_errors: filters_errors(stages, unwrap), ..Self::default() }
    }

    /// Only what the stages themselves and a grouping by labels look at is needed.
    pub fn grouped(stages: &[Stage], unwrap: Option<&Unwrap>, grouping: Option<&Grouping>) -> Self {
        let preserves_errors = filters_errors(stages, unwrap);
        if grouping.is_some_and(|grouping| grouping.without) {
            return Self { preserves_errors, ..Self::default() };
        }
        let mut required = Vec::new();
        let mut everything = false;
        for stage in stages {
            everything |= stage_names(stage, &mut required);
        }
        if everything {
            return Self { preserves_errors, ..Self::default() };
        }
        if let Some(unwrap) = unwrap {
            required.push(unwrap.label.clone());
            unwrap.filters.iter().for_each(|filter| filter_names(filter, &mut required));
        }
        required.extend(grouping.into_iter().flat_map(|grouping| grouping.names.iter().cloned()));
        let plain: Vec<String> =
            required.iter().filter_map(|name| name.strip_suffix("_extracted")).map(str::to_owned).collect();
        required.extend(plain);
        required.sort_unstable();
        required.dedup();
        let bit = |name: &String| name.bytes().next().map_or(0, |first| 1_u128 << (first & 127));
        let first_bytes = required.iter().map(bit).fold(0, |bits, bit| bits | bit);
        Self { nothing: required.is_empty(), required, first_bytes, preserves_errors }
    }

    /// Whether parsers need not run.
    pub fn wants_nothing(&self) -> bool {
        self.nothing
    }

    /// Whether a label is wanted.
    pub fn wants(&self, name: &str) -> bool {
        self.required.is_empty() || self.required.iter().any(|required| required == name)
    }

    /// Whether a key of a line, or one below it, may become a wanted label: most that do not are told by their first byte, which stays
    /// as it is when a letter.
    pub fn may_want_key(&self, key: &str) -> bool {
        match key.as_bytes().first() {
            Some(first) if first.is_ascii_alphabetic() && !self.required.is_empty() => {
                self.first_bytes >> first & 1 == 1
            }
            _ => true,
        }
    }

    /// Whether a label whose name begins so is wanted.
    pub fn wants_prefix(&self, prefix: &str) -> bool {
        self.required.is_empty() || self.required.iter().any(|required| required.starts_with(prefix))
    }

    /// Whether nothing more is wanted once so many of the wanted labels were found.
    pub fn is_satisfied(&self, found: usize) -> bool {
        !self.required.is_empty() && found >= self.required.len()
    }
}

fn filters_errors(stages: &[Stage], unwrap: Option<&Unwrap>) -> bool {
    let mut names = Vec::new();
    for stage in stages {
        if let Stage::LabelFilter(filter) = stage {
            filter_names(filter, &mut names);
        }
    }
    unwrap.iter().flat_map(|unwrap| &unwrap.filters).for_each(|filter| filter_names(filter, &mut names));
    names.iter().any(|name| matches!(name.as_str(), ERROR | ERROR_DETAILS))
}

fn filter_names(filter: &LabelFilter, out: &mut Vec<String>) {
    match filter {
        LabelFilter::Text(matcher) => out.push(matcher.name.clone()),
        LabelFilter::Number(comparison) => out.push(comparison.name.clone()),
        LabelFilter::Duration(comparison) => out.push(comparison.name.clone()),
        LabelFilter::Bytes(comparison) => out.push(comparison.name.clone()),
        LabelFilter::Ip { name, .. } => out.push(name.clone()),
        LabelFilter::And(left, right) | LabelFilter::Or(left, right) => {
            filter_names(left, out);
            filter_names(right, out);
        }
    }
}

/// Collects the labels a stage looks at; true when that cannot be told.
fn stage_names(stage: &Stage, out: &mut Vec<String>) -> bool {
    match stage {
        Stage::LabelFilter(filter) => filter_names(filter, out),
        Stage::LineFormat(text) => return template_names(text, out),
        Stage::LabelFormat(formats) => {
            for format in formats {
                if format.is_rename {
                    out.push(format.value.clone());
                } else if template_names(&format.value, out) {
                    return true;
                }
            }
        }
        Stage::Parser(_) | Stage::LineFilter(_) | Stage::Decolorize => {}
        Stage::Drop(selections) | Stage::Keep(selections) => {
            out.extend(
                selections.iter().filter(|s| s.matcher.is_some()).map(|selection| selection.name.clone()),
            );
        }
    }
    false
}

fn template_names(text: &str, out: &mut Vec<String>) -> bool {
    match super::template::field_names(text) {
        Some(names) => out.extend(names),
        None => return true,
    }
    false
}
