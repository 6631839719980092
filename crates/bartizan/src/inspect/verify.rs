//! `tsdb verify`: reads everything a data directory holds and names what is damaged.

mod block;
mod head_chunks;
mod log;

use std::fmt::Display;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use super::directory::block_dirs;

/// How many problems of one kind of file are printed; the rest are counted.
const MAX_LINES: usize = 200;

/// What was found, printed as it is found.
pub struct Findings<'w> {
    out: &'w mut dyn Write,
    problems: u64,
    notes: u64,
    lines: usize,
    unprinted: u64,
}

impl<'w> Findings<'w> {
    fn new(out: &'w mut dyn Write) -> Self {
        Self { out, problems: 0, notes: 0, lines: 0, unprinted: 0 }
    }

    /// Something is damaged.
    pub fn problem(&mut self, text: impl Display) -> io::Result<()> {
        self.problems += 1;
        self.line(text)
    }

    /// Damage in a file.
    pub fn problem_in(&mut self, path: &Path, text: impl Display) -> io::Result<()> {
        self.problem(format_args!("{}: {text}", path.display()))
    }

    /// Something an operator may want to know, which is no damage.
    pub fn note(&mut self, text: impl Display) -> io::Result<()> {
        self.notes += 1;
        self.line(format_args!("note: {text}"))
    }

    fn line(&mut self, text: impl Display) -> io::Result<()> {
        if self.lines == MAX_LINES {
            self.unprinted += 1;
            return Ok(());
        }
        self.lines += 1;
        writeln!(self.out, "{text}")
    }

    /// Ends a part of the directory, whose problems are limited apart from those of others.
    fn end_part(&mut self, part: &Path) -> io::Result<()> {
        if self.unprinted > 0 {
            writeln!(self.out, "{}: {} more lines not shown", part.display(), self.unprinted)?;
        }
        (self.lines, self.unprinted) = (0, 0);
        Ok(())
    }
}

/// What was read.
#[derive(Debug, Default)]
struct Totals {
    blocks: u64,
    series: u64,
    chunks: u64,
    samples: u64,
    head_chunks: u64,
    segments: u64,
    records: u64,
}

/// Verifies a data directory.
pub fn run(dir: &Path) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut findings = Findings::new(&mut out);
    let mut totals = Totals::default();
    let blocks = block_dirs(dir)?;
    for (name, path) in &blocks {
        totals.blocks += 1;
        block::verify(path, *name, &mut findings, &mut totals)?;
        findings.end_part(path)?;
    }
    let path = dir.join("chunks_head");
    head_chunks::verify(&path, &mut findings, &mut totals)?;
    findings.end_part(&path)?;
    log::verify(dir, &mut findings, &mut totals)?;
    note_others(dir, &mut findings)?;
    let problems = findings.problems;
    let Totals { blocks, series, chunks, samples, head_chunks, segments, records } = totals;
    writeln!(
        out,
        "read {blocks} blocks with {series} series, {chunks} chunks and {samples} samples; \
         {head_chunks} head chunks; {segments} log segments with {records} records"
    )?;
    match problems {
        0 => writeln!(out, "no damage found")?,
        1 => writeln!(out, "1 problem found")?,
        _ => writeln!(out, "{problems} problems found")?,
    }
    out.flush()?;
    Ok(if problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Names what earlier operations left behind.
fn note_others(dir: &Path, findings: &mut Findings<'_>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name == "quarantine" {
            findings.note(format_args!("{}: holds damaged files that were set aside", path.display()))?;
        } else if [".tmp-for-creation", ".tmp-for-deletion", ".tmp"].iter().any(|end| name.ends_with(end)) {
            findings.note(format_args!("{}: left by an interrupted operation", path.display()))?;
        }
    }
    Ok(())
}
