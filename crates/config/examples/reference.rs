//! Writes `docs/configuration.md` and `docs/loki-configuration.md` from the definitions of the settings.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    std::fs::create_dir_all(&docs)?;
    std::fs::write(docs.join("configuration.md"), config::reference::page())?;
    std::fs::write(docs.join("loki-configuration.md"), config::reference::loki_page())
}
