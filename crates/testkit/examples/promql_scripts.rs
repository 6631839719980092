//! Runs PromQL test scripts on the storage in memory:
//! `cargo run -p testkit --example promql_scripts -- FILE... [--line N]`.

use std::process::ExitCode;

use promql::engine::Engine;
use testkit::promql::engine::script_options;
use testkit::promql::storage::InMemory;
use testkit::promql::{Report, run_text_at};

fn main() -> ExitCode {
    let engine = Engine::new(script_options());
    let (mut files, mut only_line) = (Vec::new(), None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--line" => only_line = args.next().and_then(|line| line.parse().ok()),
            _ => files.push(arg),
        }
    }
    let mut report = Report::default();
    for file in files {
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                let of_file = run_text_at(&file, &text, only_line, &InMemory, &engine);
                println!("{file}: {of_file}");
                report.merge(of_file);
            }
            Err(error) => println!("{file}: {error}"),
        }
    }
    report.failed.iter().for_each(|failure| println!("{failure}"));
    println!("{report}");
    if report.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
