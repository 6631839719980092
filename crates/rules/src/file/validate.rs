//! What is demanded of rules beyond the shape of their fields.

use std::collections::HashSet;

use model::METRIC_NAME;
use model::labels::Quoted;

use super::{FileFault, FileOptions, Place, RuleFile, RuleGroup, RuleSpec};
use crate::template;

/// All faults, group by group.
pub(super) fn faults(file: &RuleFile, text: &str, options: &FileOptions<'_>) -> Vec<FileFault> {
    let (mut faults, mut seen) = (Vec::new(), HashSet::new());
    let mut about = |place: Vec<Place>, message: String| {
        faults.push(FileFault { places: place, rule: None, message });
    };
    let mut of_rules = Vec::new();
    for group in &file.groups {
        let place = || vec![Place::of(group.place, text)];
        if group.name.is_empty() {
            about(place(), "Groupname must not be empty".to_owned());
        }
        if !seen.insert(group.name.as_str()) {
            about(place(), format!("groupname: \"{}\" is repeated in the same file", group.name));
        }
        for name in group.labels.keys().filter(|name| !is_label_name(name, options)) {
            about(Vec::new(), format!("invalid label name: {name}"));
        }
        of_rules.push(rule_faults(group, text, options));
    }
    faults.extend(of_rules.into_iter().flatten());
    faults
}

fn is_label_name(name: &str, options: &FileOptions<'_>) -> bool {
    options.names.is_valid_label_name(name) && name != METRIC_NAME
}

fn rule_faults(group: &RuleGroup, text: &str, options: &FileOptions<'_>) -> Vec<FileFault> {
    let mut faults = Vec::new();
    for (i, rule) in group.rules.iter().enumerate() {
        let check = Check { rule, text, options };
        let about = |(places, message): (Vec<Place>, String)| FileFault {
            places,
            rule: Some((group.name.clone(), i + 1, rule.name().to_owned())),
            message,
        };
        faults.extend(check.all().into_iter().map(about));
    }
    faults
}

struct Check<'r> {
    rule: &'r RuleSpec,
    text: &'r str,
    options: &'r FileOptions<'r>,
}

type Found = Vec<(Vec<Place>, String)>;

impl Check<'_> {
    fn all(&self) -> Found {
        let mut found = Vec::new();
        self.kind(&mut found);
        self.expression(&mut found);
        if !self.rule.record.is_empty() {
            self.recording(&mut found);
        }
        for name in self.rule.labels.keys().filter(|name| !is_label_name(name, self.options)) {
            found.push((Vec::new(), format!("invalid label name: {name}")));
        }
        let names = self.options.names;
        for name in self.rule.annotations.keys().filter(|name| !names.is_valid_label_name(name)) {
            found.push((Vec::new(), format!("invalid annotation name: {name}")));
        }
        if !self.rule.alert.is_empty() {
            self.templates(&mut found);
        }
        found
    }

    fn places(&self) -> (Place, Place, Place) {
        let places = self.rule.places;
        let of = |pos| Place::of(pos, self.text);
        (of(places.record), of(places.alert), of(places.expr))
    }

    fn kind(&self, found: &mut Found) {
        let (record, alert, _) = self.places();
        let message = match (self.rule.record.is_empty(), self.rule.alert.is_empty()) {
            (false, false) => "only one of 'record' and 'alert' must be set",
            (true, true) => "one of 'record' or 'alert' must be set",
            _ => return,
        };
        found.push((vec![record, alert], message.to_owned()));
    }

    fn expression(&self, found: &mut Found) {
        let (_, _, expr) = self.places();
        if self.rule.expr.is_empty() {
            found.push((vec![expr], "field 'expr' must be set in rule".to_owned()));
        } else if let Err(problem) = self.options.language.parse(&self.rule.expr) {
            found.push((vec![expr], format!("could not parse expression: {problem}")));
        }
    }

    fn recording(&self, found: &mut Found) {
        let (place, ..) = self.places();
        let rule = self.rule;
        let unfit = [
            ("annotations", !rule.annotations.is_empty()),
            ("for", rule.hold.as_ms() != 0),
            ("keep_firing_for", rule.keep_firing_for.as_ms() != 0),
        ];
        for (field, _) in unfit.into_iter().filter(|(_, is_set)| *is_set) {
            found.push((vec![place], format!("invalid field '{field}' in recording rule")));
        }
        if !self.options.names.is_valid_metric_name(&rule.record) {
            found.push((vec![place], format!("invalid recording rule name: {}", rule.record)));
        }
        // Legal in UTF-8 names, but it was meant for the expression.
        if rule.record.contains(['{', '}']) {
            let message =
                format!("braces present in the recording rule name; should it be in expr?: {}", rule.record);
            found.push((vec![place], message));
        }
    }

    fn templates(&self, found: &mut Found) {
        let kinds = [("label", &self.rule.labels), ("annotation", &self.rule.annotations)];
        for (kind, texts) in kinds {
            for (name, text) in texts {
                if let Err(problem) = template::check(&self.rule.alert, text) {
                    found.push((Vec::new(), format!("{kind} {}: {problem}", Quoted(name))));
                }
            }
        }
    }
}
