//! Relabelling rules applied to labels.

use config::{NameValidation, RelabelAction, RelabelConfig};
use md5::{Digest, Md5};
use model::LabelsBuilder;

/// Applies all rules in order; false as soon as one drops the labels.
pub fn process(labels: &mut LabelsBuilder, rules: &[RelabelConfig]) -> bool {
    rules.iter().all(|rule| apply(labels, rule))
}

/// Applies one rule; false if it drops the labels.
pub fn apply(labels: &mut LabelsBuilder, rule: &RelabelConfig) -> bool {
    let regex = rule.regex.compiled();
    match rule.action {
        RelabelAction::Keep => regex.is_match(&source(labels, rule)),
        RelabelAction::Drop => !regex.is_match(&source(labels, rule)),
        RelabelAction::KeepEqual => {
            source(labels, rule) == labels.get(&rule.target_label).unwrap_or_default()
        }
        RelabelAction::DropEqual => {
            source(labels, rule) != labels.get(&rule.target_label).unwrap_or_default()
        }
        RelabelAction::Replace => {
            replace(labels, rule);
            true
        }
        RelabelAction::Lowercase => {
            let value = source(labels, rule).to_lowercase();
            labels.set(&rule.target_label, &value);
            true
        }
        RelabelAction::Uppercase => {
            let value = source(labels, rule).to_uppercase();
            labels.set(&rule.target_label, &value);
            true
        }
        RelabelAction::HashMod => {
            let value = hash_modulo(&source(labels, rule), rule.modulus).to_string();
            labels.set(&rule.target_label, &value);
            true
        }
        RelabelAction::LabelMap => {
            label_map(labels, rule);
            true
        }
        RelabelAction::LabelDrop => {
            labels.retain(|name, _| !regex.is_match(name));
            true
        }
        RelabelAction::LabelKeep => {
            labels.retain(|name, _| regex.is_match(name));
            true
        }
    }
}

/// The values of the source labels, joined.
fn source(labels: &LabelsBuilder, rule: &RelabelConfig) -> String {
    let mut joined = String::new();
    for (i, name) in rule.source_labels.0.iter().enumerate() {
        if i > 0 {
            joined.push_str(&rule.separator);
        }
        joined.push_str(labels.get(name).unwrap_or_default());
    }
    joined
}

fn replace(labels: &mut LabelsBuilder, rule: &RelabelConfig) {
    let value = source(labels, rule);
    let fixed_target = !rule.target_label.contains('$');
    // The most frequent rules: copy labels, or set a fixed value. No capture is needed for these.
    if rule.regex.is_anything() && fixed_target && matches!(rule.replacement.as_str(), "$1" | "${1}") {
        labels.set(&rule.target_label, &value);
        return;
    }
    let Some(captures) = rule.regex.compiled().captures(&value) else { return };
    let (mut target, mut replacement) = (String::new(), String::new());
    captures.expand(&rule.target_label, &mut target);
    captures.expand(&rule.replacement, &mut replacement);
    if is_valid_name(rule, &target) {
        // An empty replacement removes the label.
        labels.set(&target, &replacement);
    }
}

fn is_valid_name(rule: &RelabelConfig, name: &str) -> bool {
    let scheme: NameValidation = rule.scheme.0;
    scheme.is_valid_label_name(name)
}

/// The last eight bytes of the MD5 of `value`, modulo `modulus`: other programs split targets by it too.
fn hash_modulo(value: &str, modulus: u64) -> u64 {
    let digest = Md5::digest(value.as_bytes());
    let tail = digest.iter().skip(8).fold(0_u64, |hash, &byte| hash << 8 | u64::from(byte));
    tail % modulus.max(1)
}

fn label_map(labels: &mut LabelsBuilder, rule: &RelabelConfig) {
    let regex = rule.regex.compiled();
    let mapped: Vec<(String, String)> = labels
        .iter()
        .filter_map(|(name, value)| {
            let captures = regex.captures(name)?;
            let mut new_name = String::new();
            captures.expand(&rule.replacement, &mut new_name);
            Some((new_name, value.to_owned()))
        })
        .collect();
    for (name, value) in mapped.iter().filter(|(name, _)| !name.is_empty()) {
        labels.set(name, value);
    }
}

/// What one rule did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The labels after it; empty once they were dropped.
    pub output: model::Labels,
    /// Whether they are still kept.
    pub keep: bool,
}

/// Applies the rules one by one and tells what each did, to explain why a target is or is not scraped.
pub fn explain(labels: &model::Labels, rules: &[RelabelConfig]) -> Vec<Step> {
    let mut builder = LabelsBuilder::from_labels(labels);
    let mut keep = true;
    let step = |rule| {
        keep = keep && apply(&mut builder, rule);
        Step { output: if keep { builder.build() } else { model::Labels::empty() }, keep }
    };
    rules.iter().map(step).collect()
}

#[cfg(test)]
mod tests;
