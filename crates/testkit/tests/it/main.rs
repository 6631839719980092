//! Scripts against the engine on the storage in memory.

use std::path::Path;

use promql::engine::Engine;
use testkit::promql::engine::script_options;
use testkit::promql::storage::InMemory;
use testkit::promql::{Report, run_file};

fn run_folder(folder: &Path) -> Report {
    let engine = Engine::new(script_options());
    let mut report = Report::default();
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "test"));
    files.sort();
    for file in files {
        report.merge(run_file(&file, &InMemory, &engine));
    }
    report
}

fn assert_all_pass(report: &Report) {
    report.failed.iter().for_each(|failure| println!("{failure}"));
    assert!(report.passed > 0 && report.failed.is_empty(), "{report}");
}

#[test]
fn conformance_scripts_pass() {
    if let Some(folder) = testkit::conformance::folder("promql", "conformance_scripts_pass") {
        assert_all_pass(&run_folder(&folder));
    }
}

#[test]
fn own_scripts_pass() {
    assert_all_pass(&run_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../promql/testdata")));
}
