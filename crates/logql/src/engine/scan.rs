//! From page groups to rows: selecting what may match, and reading columns of it.

use std::sync::Arc;

use bytes::Bytes;
use model::logs::{LogColumns, LogHint, LogRange, LogRequest, Page, PageGroup, PageRun};
use model::{MatchOp, Matcher};

use super::{Engine, stream_matchers};
use crate::ast::{LabelFilter, Stage};
use crate::error::QueryError;
use crate::labels::RowLabels;
use crate::stage::{Pipeline, Row};

/// The page groups a query must look at.
pub(super) fn select(
    engine: &Engine<'_>,
    matchers: &[Matcher],
    stages: &[Stage],
    pipeline: &Pipeline,
    range: LogRange,
) -> Result<Vec<PageGroup>, QueryError> {
    let mut hints: Vec<LogHint> = pipeline.leading.iter().filter_map(|filter| filter.hint()).collect();
    hints.extend(metadata_hints(stages));
    let request = LogRequest { range, matchers: stream_matchers(matchers), hints };
    let groups = engine.source.select(&request, engine.ctx)?;
    engine.cost.found(groups.len());
    Ok(groups)
}

/// Values of labels that are asked for before any stage could have set them.
fn metadata_hints(stages: &[Stage]) -> Vec<LogHint> {
    let mut hints = Vec::new();
    for stage in stages {
        match stage {
            Stage::LineFilter(_) => {}
            Stage::LabelFilter(LabelFilter::Text(matcher))
                if matcher.op == MatchOp::Equal
                    && !matcher.value.is_empty()
                    && !matcher.name.starts_with("__")
                    && !matcher.name.ends_with("_extracted") =>
            {
                hints.push(LogHint::Metadata { name: matcher.name.clone(), value: matcher.value.clone() });
            }
            Stage::LabelFilter(_) => {}
            _ => break,
        }
    }
    hints
}

/// Rows of a run inside a range.
pub(super) fn rows_inside(page: &Page, run: &PageRun, range: LogRange) -> std::ops::Range<usize> {
    let times = &page.timestamps_ns[run.rows.clone()];
    let first = times.partition_point(|&t| t < range.start_ns);
    let last = times.partition_point(|&t| t < range.end_ns);
    run.rows.start + first..run.rows.start + last.max(first)
}

/// Reads the columns of a group and counts what that cost.
pub(super) fn read(engine: &Engine<'_>, group: &PageGroup, columns: LogColumns) -> Result<Page, QueryError> {
    engine.ctx.check("log query")?;
    let page = group.reader.read(columns, engine.ctx)?;
    let lines: usize = group.runs.iter().map(|run| run.rows.len()).sum();
    let metadata_bytes = page.metadata.bytes();
    engine.cost.read(lines, page.lines.bytes.len(), metadata_bytes);
    Ok(page)
}

/// The rows of a run that pass the line filters at the beginning of a pipeline.
pub(super) fn filtered_rows(page: &Page, rows: std::ops::Range<usize>, pipeline: &Pipeline) -> Vec<u32> {
    // Page groups have a few megabytes: rows fit 32 bits.
    let mut rows: Vec<u32> = (rows.start as u32..rows.end as u32).collect();
    for filter in &pipeline.leading {
        if rows.is_empty() {
            break;
        }
        filter.retain(&page.lines, &mut rows);
    }
    rows
}

/// Goes through the rows of one run, one at a time, with all that is kept from row to row.
pub(super) struct RowReader<'p> {
    page: &'p Page,
    pub labels: RowLabels,
}

impl<'p> RowReader<'p> {
    pub fn new(page: &'p Page, run: &PageRun) -> Self {
        Self { page, labels: RowLabels::new(Arc::clone(&run.stream)) }
    }

    /// A line with its labels as they are stored.
    pub fn row(&mut self, row: u32) -> Row<'p> {
        let at = row as usize;
        self.labels.reset();
        for (name, value) in self.page.metadata.row(at) {
            self.labels.add_metadata(name, &crate::text::lossy(value));
        }
        let line =
            if self.page.lines.is_empty() { "".into() } else { crate::text::lossy(self.page.lines.get(at)) };
        Row { timestamp_ns: self.page.timestamps_ns[at], line }
    }

    /// The bytes of a line as they are stored.
    pub fn raw(&self, row: u32) -> Bytes {
        let lines = &self.page.lines;
        let (start, end) = (lines.offsets[row as usize] as usize, lines.offsets[row as usize + 1] as usize);
        Bytes::copy_from_slice(&lines.bytes[start..end])
    }
}
