//! What the tests share.

use std::path::PathBuf;

use config::{Config, ConfigError, LoadOptions};

/// The directory of the reference's configuration files; `None`, with a message, when it is absent.
pub fn conformance(test: &str) -> Option<PathBuf> {
    conformance_dir("prometheus-config", test)
}

/// A directory of the conformance data; `None`, with a message, when it is absent.
pub fn conformance_dir(name: &str, test: &str) -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance");
    let root = std::env::var_os("BARTIZAN_CONFORMANCE").map_or(PathBuf::from(default), PathBuf::from);
    let dir = root.join(name);
    if dir.is_dir() {
        return dir.canonicalize().ok();
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "conformance data is missing: {}", dir.display());
    println!("skipped {test}: {} is missing", dir.display());
    None
}

/// Loads a text as if it stood in `p.yml`.
pub fn load(text: &str) -> Result<Config, ConfigError> {
    Config::from_bytes("p.yml".as_ref(), text.as_bytes(), &LoadOptions::default())
}

/// Loads a file with an environment of one variable, `TEST`.
pub fn load_file(path: &std::path::Path, agent_mode: bool) -> Result<Config, ConfigError> {
    let env = |name: &str| (name == "TEST").then(|| "TestValue".to_owned());
    Config::load(path, &LoadOptions { agent_mode, env: &env, ..LoadOptions::default() })
}
