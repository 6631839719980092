//! From page groups to rows: selecting what may match, and reading columns of it.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use model::logs::{LogColumns, LogHint, LogRange, LogRequest, Page, PageGroup, PageRun};
use model::{MatchOp, Matcher, SourceError};

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
    // All of it may be further back than may be looked at.
    if range.start_ns >= range.end_ns {
        return Ok(Vec::new());
    }
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

/// What a query wants of a page group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub pipeline: &'a Pipeline,
    /// Rows outside are left out.
    pub range: LogRange,
    /// Lines are looked at behind the filters, too.
    pub lines: bool,
    /// Structured metadata of the rows that pass the filters is looked at.
    pub metadata: bool,
}

/// The rows of a page group that pass the line filters at the beginning of a pipeline.
pub(super) struct Scanned {
    pub page: Page,
    /// Ascending.
    rows: Vec<u32>,
}

impl Scanned {
    /// Those of one run.
    pub fn rows_of(&self, run: &PageRun) -> &[u32] {
        let at = |row: usize| self.rows.partition_point(|&passed| (passed as usize) < row);
        &self.rows[at(run.rows.start)..at(run.rows.end)]
    }
}

/// Reads columns of a group; nothing when the group is damaged, which the query is told.
pub(super) fn read(
    engine: &Engine<'_>,
    group: &PageGroup,
    columns: LogColumns,
) -> Result<Option<Page>, QueryError> {
    engine.ctx.check("log query")?;
    match group.reader.read(columns, engine.ctx) {
        Ok(page) => Ok(Some(page)),
        Err(SourceError::Corruption(what)) => {
            engine.ctx.warn(what);
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads the lines of a group and searches them, all runs at once; metadata is read only where something was found, and so are
/// timestamps, unless they tell which rows are wanted.
pub(super) fn scan(
    engine: &Engine<'_>,
    group: &PageGroup,
    runs: &[&PageRun],
    wanted: &Wanted<'_>,
) -> Result<Option<Scanned>, QueryError> {
    let filters = &wanted.pipeline.leading;
    let lines = wanted.lines || !filters.is_empty();
    let is_inside =
        |run: &&PageRun| wanted.range.contains(run.first_ns) && wanted.range.contains(run.last_ns);
    let at_once = LogColumns {
        timestamps: filters.is_empty() || !runs.iter().all(is_inside),
        lines,
        metadata: wanted.metadata && filters.is_empty(),
    };
    let Some(mut page) = read(engine, group, at_once)? else { return Ok(None) };
    // Page groups have a few megabytes: rows fit 32 bits.
    let mut rows: Vec<u32> = Vec::with_capacity(runs.iter().map(|run| run.rows.len()).sum());
    for run in runs {
        let inside =
            if at_once.timestamps { rows_inside(&page, run, wanted.range) } else { run.rows.clone() };
        rows.extend(inside.start as u32..inside.end as u32);
    }
    for filter in filters {
        if rows.is_empty() {
            break;
        }
        filter.retain(&page.lines, &mut rows);
    }
    let later = LogColumns {
        timestamps: !at_once.timestamps,
        lines: false,
        metadata: wanted.metadata && !at_once.metadata,
    };
    if !rows.is_empty() && !read_more(engine, group, later, &mut page)? {
        return Ok(None);
    }
    if lines && wanted.metadata {
        for needed in &wanted.pipeline.needed {
            let is_label = runs.iter().any(|run| run.stream.get(&needed.label).is_some());
            if !is_label && !page.metadata.has(&needed.label) {
                needed.retain(&page.lines, &mut rows);
            }
        }
    }
    let looked_at = runs.iter().map(|run| run.rows.len()).sum();
    engine.cost.read(looked_at, page.lines.bytes.len(), page.metadata.bytes());
    Ok(Some(Scanned { page, rows }))
}

/// Reads further columns of a group into its page; false when the group is damaged.
fn read_more(
    engine: &Engine<'_>,
    group: &PageGroup,
    columns: LogColumns,
    page: &mut Page,
) -> Result<bool, QueryError> {
    if !columns.timestamps && !columns.metadata {
        return Ok(true);
    }
    let Some(more) = read(engine, group, columns)? else { return Ok(false) };
    if columns.timestamps {
        page.timestamps_ns = more.timestamps_ns;
    }
    if columns.metadata {
        page.metadata = more.metadata;
    }
    match (&mut page.reservation, more.reservation) {
        (Some(held), Some(more)) => held.absorb(more),
        (held, more) => *held = held.take().or(more),
    }
    Ok(true)
}

/// Goes through the rows of one run, one at a time, with all that is kept from row to row.
pub(super) struct RowReader<'p> {
    page: &'p Page,
    pipeline: &'p Pipeline,
    /// Whether structured metadata of the page is looked at.
    metadata: bool,
    /// Where the lines of the run begin, and all of them as one text.
    text: Option<(usize, &'p str)>,
    pub labels: RowLabels,
}

impl<'p> RowReader<'p> {
    pub fn new(page: &'p Page, run: &PageRun, pipeline: &'p Pipeline) -> Self {
        let metadata = page.metadata.names().any(|name| pipeline.looks_at(name));
        Self { page, pipeline, metadata, text: None, labels: RowLabels::new(Arc::clone(&run.stream)) }
    }

    /// A reader of so many rows of the run. Whether bytes are text is told faster of all lines at once than of each one.
    pub fn of_many(page: &'p Page, run: &PageRun, rows: usize, pipeline: &'p Pipeline) -> Self {
        let mut reader = Self::new(page, run, pipeline);
        if !page.lines.is_empty() && rows > run.rows.len() / 2 {
            let place = |row: usize| page.lines.offsets[row] as usize;
            let begin = place(run.rows.start);
            let text = std::str::from_utf8(&page.lines.bytes[begin..place(run.rows.end)]);
            reader.text = text.ok().map(|text| (begin, text));
        }
        reader
    }

    /// A line with its labels as they are stored.
    pub fn row(&mut self, row: u32) -> Row<'p> {
        let at = row as usize;
        self.labels.reset();
        if self.metadata {
            for (name, value) in self.page.metadata.row(at).filter(|(name, _)| self.pipeline.looks_at(name)) {
                self.labels.add_metadata(name, &crate::text::lossy(value));
            }
        }
        Row { timestamp_ns: self.page.timestamps_ns[at], line: self.line(at) }
    }

    fn line(&self, row: usize) -> Cow<'p, str> {
        let lines = &self.page.lines;
        if lines.is_empty() {
            return "".into();
        }
        let place = |row: usize| lines.offsets[row] as usize;
        // Parts of a character at the end of one line and the beginning of the next are text together only.
        let in_text =
            self.text.and_then(|(begin, text)| text.get(place(row) - begin..place(row + 1) - begin));
        in_text.map_or_else(|| crate::text::lossy(lines.get(row)), Cow::Borrowed)
    }

    /// The bytes of a line as they are stored.
    pub fn raw(&self, row: u32) -> Bytes {
        let lines = &self.page.lines;
        let (start, end) = (lines.offsets[row as usize] as usize, lines.offsets[row as usize + 1] as usize);
        Bytes::copy_from_slice(&lines.bytes[start..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::hints::Hints;
    use model::Labels;
    use model::logs::ByteColumn;

    #[test]
    fn lines_are_the_same_however_many_are_read() {
        let stored: [&[u8]; 5] = ["é".as_bytes(), b"ab\xc3", b"\xa9cd", b"", b"e\xff"];
        let ends = stored.iter().scan(0, |end, line| {
            *end += line.len() as u32;
            Some(*end)
        });
        let offsets = [0].into_iter().chain(ends).collect();
        let lines = ByteColumn { bytes: stored.concat().into(), offsets };
        let page = Page { timestamps_ns: vec![0; 5], lines, ..Page::default() };
        let pipeline = Pipeline::new(&[], Hints::default()).unwrap();
        let read = |rows: std::ops::Range<usize>, many: usize| {
            let stream = Arc::new(Labels::from_pairs([("app", "x")]));
            let run = PageRun { stream, rows: rows.clone(), first_ns: 0, last_ns: 0, line_bytes: 0 };
            let mut reader = RowReader::of_many(&page, &run, many, &pipeline);
            rows.map(|row| reader.row(row as u32).line.into_owned()).collect::<Vec<_>>()
        };
        let expected = ["é", "ab\u{fffd}", "\u{fffd}cd", "", "e\u{fffd}"];
        for rows in [0..5, 0..4, 1..3, 2..4] {
            assert_eq!(read(rows.clone(), rows.len()), expected[rows.clone()]);
            assert_eq!(read(rows.clone(), 0), expected[rows]);
        }
    }
}
