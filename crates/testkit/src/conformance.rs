//! Where the reference data lies that conformance tests read.

use std::path::PathBuf;

/// The folder `name` of the conformance data: below `$BARTIZAN_CONFORMANCE`, else below
/// `../shared/conformance` next to the workspace.
///
/// When it is absent this prints that `test` is skipped and answers `None`; with `CI=true` it panics.
pub fn folder(name: &str, test: &str) -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance");
    let root = std::env::var_os("BARTIZAN_CONFORMANCE").map_or_else(|| PathBuf::from(default), PathBuf::from);
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    let absent = format!("no conformance data at {}", folder.display());
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{test}: {absent}");
    println!("skipped: {test}: {absent}");
    None
}
