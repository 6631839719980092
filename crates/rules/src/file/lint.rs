//! What is legal in a rule file but not good practice.

use model::Labels;

use super::RuleFile;

/// Rules that have a name and labels in common, and so write the same series; one of each kind, sorted.
pub fn duplicates(file: &RuleFile) -> Vec<(String, Labels)> {
    let mut all: Vec<(String, Labels)> = file
        .groups
        .iter()
        .flat_map(|group| group.rules.iter().map(|rule| (rule.name().to_owned(), rule.labels_in(group))))
        .collect();
    all.sort();
    let mut found: Vec<(String, Labels)> = Vec::new();
    for pair in all.windows(2) {
        if pair[0] == pair[1] && found.last() != Some(&pair[1]) {
            found.push(pair[1].clone());
        }
    }
    found
}

/// The lint as it is printed, if there is something to say.
pub fn duplicates_text(file: &RuleFile) -> Option<String> {
    let found = duplicates(file);
    if found.is_empty() {
        return None;
    }
    let mut text = format!("lint error {} duplicate rule(s) found.\n", found.len());
    for (name, labels) in &found {
        text.push_str(&format!("Metric: {name}\nLabel(s):\n"));
        labels.iter().for_each(|(name, value)| text.push_str(&format!("\t{name}: {value}\n")));
    }
    text.push_str("Might cause inconsistency while recording expressions");
    Some(text)
}
