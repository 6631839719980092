//! What the tests share: running the program and the real ones beside it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// How a program ended and what it printed.
#[derive(Debug)]
pub struct Done {
    /// The exit code.
    pub code: i32,
    /// The standard output stream.
    pub out: String,
    /// The standard error stream.
    pub err: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("programs print UTF-8");
        let code = output.status.code().expect("no signal was sent");
        Self { code, out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs the program with these arguments.
pub fn bartizan<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Done {
    command().args(arguments).output().expect("the program was built for this test").into()
}

/// The program, to be run.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bartizan"));
    command.stdin(Stdio::null());
    command
}

/// The path of an installed program; absence skips the test, but fails it in CI.
pub fn program(name: &str, test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
    if found.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{name} is not installed");
        println!("skipped: {test}: {name} is not installed");
    }
    found
}

/// Every file below a directory with its content, to see that nothing changed.
pub fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.push((path.clone(), Vec::new()));
                pending.push(path);
            } else {
                found.push((path.clone(), std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
