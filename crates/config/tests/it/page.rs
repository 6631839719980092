//! The committed reference pages.

#[test]
fn the_committed_references_are_what_the_definitions_say() {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
    for (name, page) in [
        ("configuration.md", config::reference::page()),
        ("loki-configuration.md", config::reference::loki_page()),
    ] {
        let committed = std::fs::read_to_string(format!("{docs}/{name}")).unwrap_or_default();
        assert!(
            committed == page,
            "docs/{name} is out of date: run `cargo run -p config --example reference`"
        );
    }
}
