//! `check metrics`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use wire::lint::{lint_text, samples_by_family, validate_open_metrics};

use super::Lint;
use crate::report::columns;

/// The largest exposition that is read.
const MAX_BODY_BYTES: u64 = 1 << 30;
/// The exit code that tells of advice.
const ADVICE: u8 = 3;

/// Checks the exposition in `file` or on the standard input stream.
pub fn run(file: Option<&Path>, extended: bool, lint: Lint) -> anyhow::Result<ExitCode> {
    if lint == Lint::None && !extended {
        bail!("nothing to do: leave out --lint=none, or ask for cardinalities with --extended");
    }
    let body = match file {
        Some(path) => File::open(path).and_then(read).with_context(|| path.display().to_string())?,
        None => read(io::stdin().lock()).context("reading the standard input stream")?,
    };
    let is_open_metrics = is_open_metrics(&body);
    let mut has_advice = false;
    if lint == Lint::All && is_open_metrics {
        validate_open_metrics(&body).context("error while linting")?;
    } else if lint == Lint::All {
        let problems = lint_text(&body).context("error while linting")?;
        has_advice = !problems.is_empty();
        for problem in problems {
            eprintln!("{} {}", problem.metric, problem.text);
        }
    }
    if extended {
        if is_open_metrics {
            bail!("--extended reads Prometheus text, not OpenMetrics");
        }
        print_cardinalities(&mut io::stdout().lock(), &body)?;
    }
    Ok(if has_advice { ExitCode::from(ADVICE) } else { ExitCode::SUCCESS })
}

/// Whether the last line is the end mark of OpenMetrics. In Prometheus text that is a comment like any
/// other, and there counters are declared by their whole name, which OpenMetrics never does.
fn is_open_metrics(body: &[u8]) -> bool {
    let declares_total = |line: &[u8]| line.starts_with(b"# TYPE ") && line.ends_with(b"_total counter");
    body.trim_ascii_end().ends_with(b"# EOF") && !body.split(|&byte| byte == b'\n').any(declares_total)
}

fn read(from: impl Read) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    from.take(MAX_BODY_BYTES + 1).read_to_end(&mut body)?;
    if body.len() as u64 > MAX_BODY_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {MAX_BODY_BYTES} bytes"),
        ));
    }
    Ok(body)
}

fn print_cardinalities(out: &mut dyn Write, body: &[u8]) -> anyhow::Result<()> {
    let counts = samples_by_family(body).context("error while parsing text to metric families")?;
    let total: usize = counts.iter().map(|(_, count)| count).sum();
    let row = |cells: [String; 3]| cells.into_iter().chain([String::new()]).collect::<Vec<_>>();
    let mut rows = vec![row(["Metric", "Cardinality", "Percentage"].map(str::to_owned))];
    for (name, count) in counts {
        let percentage = 100.0 * count as f64 / total as f64;
        rows.push(row([name, count.to_string(), format!("{percentage:.2}%")]));
    }
    rows.push(row(["Total".to_owned(), total.to_string(), "100%".to_owned()]));
    columns(out, &rows, 4, 4)?;
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_mark_alone_does_not_make_open_metrics() {
        assert!(is_open_metrics(b"# TYPE a counter\na_total 1\n# EOF\n"));
        assert!(!is_open_metrics(b"# TYPE a_total counter\na_total 1\n# EOF\n"));
        assert!(!is_open_metrics(b"a 1\n"));
    }
}
