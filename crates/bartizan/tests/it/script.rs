//! `bartizan test`.

use crate::support::bartizan;

#[test]
fn scripts_name_what_failed_and_end_with_the_count() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.test");
    let script = "load 1m\n  up{job=\"a\"} 0+1x10\n\neval instant at 5m up\n  up{job=\"a\"} 5\n\n\
                  clear\n\neval instant at 5m up\n\neval instant at 5m 1 + 1\n  3\n";
    std::fs::write(&file, script).unwrap();
    let done = bartizan(["test", "promql", file.to_str().unwrap()]);
    assert_eq!(done.code, 1, "{done:?}");
    let lines: Vec<&str> = done.out.lines().collect();
    assert!(lines[0].starts_with(&format!("{}:11: ", file.display())), "{done:?}");
    assert_eq!(lines.last(), Some(&"2 passed, 1 failed"));

    std::fs::write(&file, script.replace("  3\n", "  2\n")).unwrap();
    let done = bartizan(["test", "promql", "--enable-feature=a,b", file.to_str().unwrap()]);
    assert_eq!((done.code, done.out.as_str()), (0, "3 passed, 0 failed\n"));
    let done = bartizan(["test", "promql", "/no/such/file"]);
    assert!(done.code == 1 && done.out.ends_with("\n0 passed, 1 failed\n"), "{done:?}");
}

#[test]
fn reference_scripts_pass_on_the_storage_engine() {
    let test = "reference_scripts_pass_on_the_storage_engine";
    let Some(dir) = testkit::conformance::folder("promql", test) else { return };
    let mut files: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "test"));
    files.sort();
    let arguments = ["test", "promql"].map(std::path::PathBuf::from);
    let done = bartizan(arguments.iter().chain(&files));
    assert_eq!(done.code, 0, "{}", done.out);
    assert!(done.out.ends_with(" passed, 0 failed\n"), "{}", done.out);
}
