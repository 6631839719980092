//! The rules the embedded default comes with: for the program itself and for its host.

/// The files, by the name they are shown under. Beside each lies one in `tests` that shows its alerts firing.
pub fn files() -> Vec<(String, String)> {
    let files = [
        ("self.yml", include_str!("defaults/self.yml")),
        ("alerts.yml", include_str!("defaults/alerts.yml")),
        ("logs.yml", include_str!("defaults/logs.yml")),
        ("host.yml", include_str!("defaults/host.yml")),
    ];
    files.map(|(name, text)| (format!("embedded/{name}"), text.to_owned())).to_vec()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use config::NameValidation;
    use promql::engine::EngineOptions;
    use testkit::memory::MemoryStorage;

    use crate::expression::PromQlLanguage;
    use crate::file::{FileOptions, RuleFile, lint};
    use crate::unit_test::{TestOptions, TestStorage, run_file};

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

    fn memory() -> Result<TestStorage, String> {
        let storage = Arc::new(MemoryStorage::new());
        Ok(TestStorage { appendable: storage.clone(), source: storage, keep: None })
    }

    #[test]
    fn each_alert_is_shown_firing() {
        let options = TestOptions {
            storage: &memory,
            engine: EngineOptions::default(),
            only: None,
            diff: false,
            ignore_unknown_fields: false,
            debug: false,
        };
        for (name, text) in super::files() {
            let file = name.trim_start_matches("embedded/");
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/defaults/tests").join(file);
            let outcome = run_file(&path, &options);
            let failures: Vec<_> = outcome.failures().collect();
            assert!(failures.is_empty(), "{}", failures.join("\n"));
            let alerts = text.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
            let alerts: Vec<_> = alerts.collect();
            let cases: Vec<_> = outcome.cases.iter().map(|case| case.name.as_str()).collect();
            assert_eq!(cases, alerts, "{name}");
        }
    }
}
