//! Recorded behaviour of Go, for this crate's tests.

use std::path::PathBuf;

/// The cases of one file of the `golang` conformance data, or `None` (said on the test's output) when
/// the data is absent. Absence fails the test on CI.
pub(crate) fn golang_cases(test: &str, file: &str) -> Option<Vec<serde_json::Value>> {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    let root = std::env::var_os("BARTIZAN_CONFORMANCE").map_or_else(default, PathBuf::from);
    let path = root.join("golang").join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{test}: {} is missing", path.display());
        println!("skipped {test}: {} is missing", path.display());
        return None;
    };
    let mut document: serde_json::Value = serde_json::from_str(&text).expect("conformance data is JSON");
    match document["cases"].take() {
        serde_json::Value::Array(cases) => Some(cases),
        _ => panic!("{}: no cases", path.display()),
    }
}
