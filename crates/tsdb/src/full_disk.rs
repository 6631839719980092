//! Tests of a full disk that need no disk of their own: files of a process may not grow beyond a size.
//!
//! The limit holds for the whole process, and a process that does not expect it is ended by a signal: such a
//! test runs in a process of its own that ignores the signal. Its writes then fail as on a full disk.

use std::process::Command;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Runs the test `name` of `module` again in a process of its own; true in that process. It must be called
/// before anything else, and the test must end where it returns false.
pub(crate) fn in_own_process(module: &str, name: &str) -> bool {
    const MARK: &str = "BARTIZAN_TEST_IN_OWN_PROCESS";
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let (_, module) = module.split_once("::").unwrap();
    let test = format!("{module}::{name}");
    let run = Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#])
        .arg(std::env::current_exe().unwrap())
        .args([&test, "--exact", "--nocapture"])
        .env(MARK, "1")
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success() && out.contains("1 passed"), "{out}{err}");
    false
}

/// From now on files may not grow beyond so many bytes; without a number there is room again.
pub(crate) fn limit_files(bytes: Option<u64>) {
    setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}
