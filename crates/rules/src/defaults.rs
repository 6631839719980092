//! The rules the embedded default comes with: for the program itself and for its host.

/// The files, by the name they are shown under.
pub fn files() -> Vec<(String, String)> {
    let files =
        [("self.yml", include_str!("defaults/self.yml")), ("host.yml", include_str!("defaults/host.yml"))];
    files.map(|(name, text)| (format!("embedded/{name}"), text.to_owned())).to_vec()
}

#[cfg(test)]
mod tests {
    use config::NameValidation;

    use crate::expression::PromQlLanguage;
    use crate::file::{FileOptions, RuleFile, lint};

    #[test]
    fn the_defaults_are_valid_and_say_what_to_do() {
        let language = PromQlLanguage::default();
        let options =
            FileOptions { language: &language, names: NameValidation::Utf8, ignore_unknown_fields: false };
        for (name, text) in super::files() {
            let file =
                RuleFile::parse(&text, &options).unwrap_or_else(|faults| panic!("{name}: {}", faults[0]));
            assert!(lint::duplicates(&file).is_empty());
            for rule in
                file.groups.iter().flat_map(|group| &group.rules).filter(|rule| !rule.alert.is_empty())
            {
                assert!(rule.labels.contains_key("severity"), "{}", rule.alert);
                for annotation in ["summary", "description", "runbook"] {
                    assert!(rule.annotations.contains_key(annotation), "{}: {annotation}", rule.alert);
                }
            }
        }
    }
}
