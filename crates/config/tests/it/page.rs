//! The committed reference page.

#[test]
fn the_committed_reference_is_what_the_definitions_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == config::reference::page(),
        "docs/configuration.md is out of date: run `cargo run -p config --example reference`"
    );
}
