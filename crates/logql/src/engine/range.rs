//! Functions over ranges of lines.
//!
//! What only counts lines is added up while pages are read, and where a run of lines lies inside the same windows from
//! its first to its last, it is not read at all. Functions of values keep the values of each series.

use base::Reservation;
use hashbrown::HashMap;
use model::duration::parse_go_duration;
use model::logs::{LogColumns, LogRange, Page, PageGroup, PageRun};
use model::{Labels, MatchOp};
use rayon::prelude::*;

use super::scan::{RowReader, Wanted, read, rows_inside, scan, select};
use super::series::{Line, Steps};
use super::threads::apart;
use super::{Engine, window};
use crate::ast::{Conversion, Grouping, LogExpr, RangeAggregation, RangeOp, Stage, Unwrap};
use crate::error::QueryError;
use crate::labels::{LabelSet, RowLabels};
use crate::stage::Pipeline;
use crate::stage::hints::Hints;
use crate::stage::label_filter::Filter;

/// What a series takes besides its labels and values.
const SERIES_BYTES: usize = 128;
/// What a line is marked with whose value is no number.
const EXTRACTION_ERROR: &str = "SampleExtractionErr";

/// The windows of all steps: `(t - range, t]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    /// The end of the first window.
    first_ns: i64,
    range_ns: i64,
    step_ns: i64,
    count: usize,
    /// What is before lies in no window.
    oldest_ns: i64,
}

impl Windows {
    fn new(range: &RangeAggregation, steps: Steps, oldest_ns: i64) -> Self {
        let windows = Self::over(steps.start_ns.saturating_sub(range.offset_ns), range.range_ns, steps);
        Self { oldest_ns, ..windows }
    }

    /// As many windows as there are steps, the first of which ends at `first_ns`.
    pub(super) fn over(first_ns: i64, range_ns: i64, steps: Steps) -> Self {
        Self { first_ns, range_ns, step_ns: steps.step_ns.max(1), count: steps.len(), oldest_ns: i64::MIN }
    }

    /// Everything any window holds.
    pub(super) fn covered(&self) -> LogRange {
        let last_ns =
            self.first_ns.saturating_add(self.step_ns.saturating_mul(self.count.saturating_sub(1) as i64));
        LogRange {
            start_ns: self.first_ns.saturating_sub(self.range_ns).saturating_add(1).max(self.oldest_ns),
            end_ns: last_ns.saturating_add(1),
        }
    }

    /// The windows that hold an instant: from the first on, up to but without the second.
    fn holding(&self, at_ns: i64) -> (usize, usize) {
        if at_ns < self.oldest_ns {
            return (0, 0);
        }
        let index = |from_first: i128| {
            let step = i128::from(self.step_ns);
            // The first window that ends at or after the instant.
            let ceiling = (from_first + step - 1).div_euclid(step);
            ceiling.clamp(0, self.count as i128) as usize
        };
        let from_first = i128::from(at_ns) - i128::from(self.first_ns);
        (index(from_first), index(from_first + i128::from(self.range_ns)))
    }

    /// The last instant that lies in the same windows as this one.
    fn same_until(&self, at_ns: i64) -> i64 {
        let step = i128::from(self.step_ns);
        // Windows end, and begin, a step apart: the next of either that is not before the instant.
        let next = |phase_ns: i64| {
            let from = i128::from(at_ns) - i128::from(phase_ns);
            let ceiling = -(-from).div_euclid(step);
            i128::from(phase_ns) + ceiling * step
        };
        let until = next(self.first_ns).min(next(self.first_ns.saturating_sub(self.range_ns)));
        i64::try_from(until).unwrap_or(i64::MAX)
    }

    pub(super) fn end_ns(&self, window: usize) -> i64 {
        self.first_ns.saturating_add(self.step_ns.saturating_mul(window as i64))
    }

    pub(super) fn range_ns(&self) -> i64 {
        self.range_ns
    }
}

/// What a series has gathered.
#[derive(Debug)]
enum Gathered {
    /// What changes from one window to the next: summed up, it is the number of each window. `seen` counts lines.
    Counts { changes: Vec<i64>, seen: Vec<i64> },
    /// Values with their times.
    Values(Vec<(i64, f64)>),
}

/// The windows that hold an instant, and until when others are in the same ones.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    from_ns: i64,
    until_ns: i64,
    windows: (usize, usize),
}

impl Stretch {
    fn at(windows: &Windows, at_ns: i64) -> Self {
        Self { from_ns: at_ns, until_ns: windows.same_until(at_ns), windows: windows.holding(at_ns) }
    }

    fn holds(&self, at_ns: i64) -> bool {
        self.from_ns <= at_ns && at_ns <= self.until_ns
    }
}

/// The series of a part of the page groups.
#[derive(Default)]
struct Part {
    series: HashMap<LabelSet, Gathered>,
    /// What holds their memory.
    held: Option<Reservation>,
}

/// A range aggregation, ready to run.
struct Plan<'a> {
    range: &'a RangeAggregation,
    grouping: Option<&'a Grouping>,
    pipeline: Pipeline,
    filters: Vec<Filter>,
    windows: Windows,
    /// Bytes of lines are counted, not lines.
    bytes: bool,
}

impl Engine<'_> {
    /// The series of a range aggregation. With an outer grouping they are summed by it at once.
    pub(super) fn range(
        &self,
        range: &RangeAggregation,
        outer: Option<&Grouping>,
        steps: Steps,
    ) -> Result<Vec<Line>, QueryError> {
        let plan = Plan::new(range, outer, steps, self.limits.oldest_ns)?;
        let stages = &range.log.stages;
        let covered = plan.windows.covered();
        let groups = select(self, &range.log.matchers, stages, &plan.pipeline, covered)?;
        let add = |mut part: Part, group: &PageGroup| {
            self.ctx.check("log query evaluation")?;
            plan.add_group(self, group, &mut part)?;
            Ok::<Part, QueryError>(part)
        };
        let part = apart(|| {
            let parts = groups.par_iter().try_fold(Part::default, add);
            parts.try_reduce(Part::default, |a, b| Ok(a.joined(b)))
        })?;
        let mut lines = plan.finish(part, steps.len());
        if range.op == RangeOp::AbsentOverTime {
            lines = vec![absent(&range.log, &lines, steps.len())];
        }
        Ok(lines)
    }
}

impl Part {
    fn reserve(&mut self, engine: &Engine<'_>, bytes: usize) -> Result<(), QueryError> {
        let more = engine.ctx.reserve(bytes)?;
        match &mut self.held {
            Some(held) => held.absorb(more),
            none => *none = Some(more),
        }
        Ok(())
    }

    /// The series of both; the other part is of later page groups.
    fn joined(mut self, other: Self) -> Self {
        if let Some(held) = other.held {
            match &mut self.held {
                Some(own) => own.absorb(held),
                none => *none = Some(held),
            }
        }
        for (labels, gathered) in other.series {
            match self.series.entry(labels) {
                hashbrown::hash_map::Entry::Vacant(entry) => drop(entry.insert(gathered)),
                hashbrown::hash_map::Entry::Occupied(mut entry) => {
                    let freed = entry.key().bytes() + gathered.freed_bytes();
                    entry.get_mut().join(gathered);
                    if let Some(held) = &mut self.held {
                        held.shrink_to(held.bytes().saturating_sub(freed));
                    }
                }
            }
        }
        self
    }
}

impl Gathered {
    /// Memory of counts that are not needed any more once they are added to others.
    fn freed_bytes(&self) -> usize {
        match self {
            Self::Counts { changes, .. } => changes.len() * 16 + SERIES_BYTES,
            Self::Values(_) => 0,
        }
    }

    fn join(&mut self, other: Self) {
        match (self, other) {
            (Self::Counts { changes, seen }, Self::Counts { changes: more, seen: more_seen }) => {
                changes.iter_mut().zip(more).for_each(|(a, b)| *a += b);
                seen.iter_mut().zip(more_seen).for_each(|(a, b)| *a += b);
            }
            (Self::Values(values), Self::Values(more)) => values.extend(more),
            _ => {}
        }
    }
}

impl<'a> Plan<'a> {
    fn new(
        range: &'a RangeAggregation,
        outer: Option<&'a Grouping>,
        steps: Steps,
        oldest_ns: i64,
    ) -> Result<Self, QueryError> {
        let grouping = range.grouping.as_ref().or(outer);
        let unwrap = range.unwrap.as_ref();
        let bytes = matches!(range.op, RangeOp::BytesOverTime | RangeOp::BytesRate);
        let stages = if bytes { range.log.stages.clone() } else { without_idle_formats(&range.log.stages) };
        let hints = match grouping {
            Some(_) => Hints::grouped(&stages, unwrap, grouping),
            None => Hints::all(&stages, unwrap),
        };
        let filters =
            unwrap.iter().flat_map(|unwrap| &unwrap.filters).map(Filter::new).collect::<Result<_, String>>();
        let filters = filters.map_err(crate::error::ParseError::general)?;
        Ok(Self {
            range,
            grouping,
            pipeline: Pipeline::new(&stages, hints)?,
            filters,
            windows: Windows::new(range, steps, oldest_ns),
            bytes,
        })
    }

    /// Whether lines are only counted, without looking at any of their labels but those of the stream.
    fn counts_by_stream(&self, stream: &Labels) -> bool {
        let by_stream = self.grouping.is_some_and(|grouping| {
            !grouping.without && grouping.names.iter().all(|name| stream.get(name).is_some())
        });
        by_stream && self.range.unwrap.is_none() && self.pipeline.is_trivial()
    }

    fn add_group(&self, engine: &Engine<'_>, group: &PageGroup, part: &mut Part) -> Result<(), QueryError> {
        let mut rest: Vec<&PageRun> = Vec::new();
        for run in &group.runs {
            if !self.add_unread(run, engine, part)? {
                rest.push(run);
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
        let by_stream = rest.iter().all(|run| self.counts_by_stream(&run.stream));
        if by_stream && !self.bytes && self.pipeline.leading.is_empty() {
            return self.add_times(engine, group, &rest, part);
        }
        let wanted = Wanted {
            pipeline: &self.pipeline,
            range: self.windows.covered(),
            lines: self.bytes || !self.pipeline.is_trivial(),
            metadata: !by_stream,
        };
        let Some(scanned) = scan(engine, group, &rest, &wanted)? else { return Ok(()) };
        for run in rest {
            let rows = scanned.rows_of(run);
            if !rows.is_empty() {
                self.add_run(engine, &scanned.page, run, rows, part)?;
            }
        }
        Ok(())
    }

    /// Counts a run by what is known of it without reading; false where that is not enough.
    fn add_unread(&self, run: &PageRun, engine: &Engine<'_>, part: &mut Part) -> Result<bool, QueryError> {
        let windows = self.windows.holding(run.first_ns);
        let is_known = self.pipeline.leading.is_empty()
            && windows == self.windows.holding(run.last_ns)
            && self.counts_by_stream(&run.stream);
        if is_known {
            let amount = if self.bytes { run.line_bytes as i64 } else { run.rows.len() as i64 };
            let labels = self.stream_labels(&run.stream);
            self.count(part, engine, labels.as_bytes(), windows, amount, run.rows.len() as i64)?;
        }
        Ok(is_known)
    }

    fn stream_labels(&self, stream: &Labels) -> LabelSet {
        LabelSet::from(stream).project(self.grouping.map_or(&[], |grouping| &grouping.names), false)
    }

    /// Counts runs by their timestamps alone.
    fn add_times(
        &self,
        engine: &Engine<'_>,
        group: &PageGroup,
        runs: &[&PageRun],
        part: &mut Part,
    ) -> Result<(), QueryError> {
        let Some(page) = read(engine, group, LogColumns::TIMESTAMPS)? else { return Ok(()) };
        let mut passed = 0;
        for run in runs {
            let labels = self.stream_labels(&run.stream);
            let inside = rows_inside(&page, run, self.windows.covered());
            let mut times = &page.timestamps_ns[inside];
            passed += times.len();
            while let Some(&first) = times.first() {
                let stretch = Stretch::at(&self.windows, first);
                let count = times.partition_point(|&time| time <= stretch.until_ns);
                let lines = count as i64;
                self.count(part, engine, labels.as_bytes(), stretch.windows, lines, lines)?;
                times = &times[count..];
            }
        }
        engine.cost.read(passed, 0, 0);
        engine.cost.passed(passed);
        Ok(())
    }

    fn add_run(
        &self,
        engine: &Engine<'_>,
        page: &Page,
        run: &PageRun,
        rows: &[u32],
        part: &mut Part,
    ) -> Result<(), QueryError> {
        if self.counts_by_stream(&run.stream) {
            return self.add_counted(engine, page, run, rows, part);
        }
        let mut reader = RowReader::of_many(page, run, rows.len(), &self.pipeline);
        let (mut passed, mut key, mut stretch) = (0, Vec::new(), None::<Stretch>);
        for &at in rows {
            let mut row = reader.row(at);
            if !self.pipeline.run(&mut row, &mut reader.labels) {
                continue;
            }
            let value = match &self.range.unwrap {
                Some(unwrap) => match self.unwrapped(unwrap, &mut reader.labels) {
                    Some(value) => Some(value),
                    None => continue,
                },
                None => None,
            };
            passed += 1;
            let labels = &reader.labels;
            if labels.has_error() && !labels.preserves_error() {
                return Err(pipeline_error(labels));
            }
            let known = stretch.filter(|stretch| stretch.holds(row.timestamp_ns));
            let known = known.unwrap_or_else(|| Stretch::at(&self.windows, row.timestamp_ns));
            stretch = Some(known);
            let windows = known.windows;
            if windows.0 >= windows.1 {
                continue;
            }
            labels.encode(&mut key, |name, _| self.keeps(name, labels));
            match value {
                Some(value) => self.keep_value(part, engine, &key, (row.timestamp_ns, value))?,
                None => {
                    let amount = if self.bytes { row.line.len() as i64 } else { 1 };
                    self.count(part, engine, &key, windows, amount, 1)?;
                }
            }
        }
        engine.cost.passed(passed);
        Ok(())
    }

    fn add_counted(
        &self,
        engine: &Engine<'_>,
        page: &Page,
        run: &PageRun,
        rows: &[u32],
        part: &mut Part,
    ) -> Result<(), QueryError> {
        let labels = self.stream_labels(&run.stream);
        let mut rows = rows;
        engine.cost.passed(rows.len());
        // Lines in the same windows are added at once: times ascend.
        while let Some(&first) = rows.first() {
            let stretch = Stretch::at(&self.windows, page.timestamps_ns[first as usize]);
            let is_same = |row: &u32| page.timestamps_ns[*row as usize] <= stretch.until_ns;
            let (same, rest) = rows.split_at(rows.partition_point(is_same));
            let lines = same.len() as i64;
            let length = |row: &u32| page.lines.get(*row as usize).len() as i64;
            let amount = if self.bytes { same.iter().map(length).sum() } else { lines };
            self.count(part, engine, labels.as_bytes(), stretch.windows, amount, lines)?;
            rows = rest;
        }
        Ok(())
    }

    /// The value of a line; `None` where it has none, or conditions on it do not hold.
    fn unwrapped(&self, unwrap: &Unwrap, labels: &mut RowLabels) -> Option<f64> {
        let text = labels.get(&unwrap.label)?;
        let value = match unwrap.conversion {
            Conversion::None => model::number::parse_float(text).map_err(|problem| problem.to_string()),
            Conversion::Bytes => crate::units::parse_bytes_text(text).map(|bytes| bytes as f64),
            Conversion::Duration | Conversion::DurationSeconds => {
                parse_go_duration(text).map(|ns| ns as f64 / 1e9).map_err(|problem| problem.to_string())
            }
        };
        let value = value.unwrap_or_else(|problem| {
            labels.set_error(EXTRACTION_ERROR, Some(problem));
            0.0
        });
        self.filters.iter().all(|filter| filter.matches(labels)).then_some(value)
    }

    /// Whether a label is one of the series. Series of lines with errors keep all labels: they tell about the error.
    fn keeps(&self, name: &str, labels: &RowLabels) -> bool {
        let is_value = self.range.unwrap.as_ref().is_some_and(|unwrap| unwrap.label == name);
        match self.grouping {
            Some(_) if labels.has_error() => true,
            Some(grouping) if grouping.without => {
                !is_value && !grouping.names.iter().any(|other| other == name)
            }
            Some(grouping) => grouping.names.iter().any(|other| other == name),
            None => !is_value,
        }
    }

    fn count(
        &self,
        part: &mut Part,
        engine: &Engine<'_>,
        key: &[u8],
        (first, last): (usize, usize),
        amount: i64,
        lines: i64,
    ) -> Result<(), QueryError> {
        if first >= last {
            return Ok(());
        }
        if !part.series.contains_key(key) {
            let count = self.windows.count + 1;
            part.reserve(engine, key.len() + count * 16 + SERIES_BYTES)?;
            let counts = Gathered::Counts { changes: vec![0; count], seen: vec![0; count] };
            part.series.insert(LabelSet::from_bytes(key), counts);
        }
        if let Some(Gathered::Counts { changes, seen }) = part.series.get_mut(key) {
            changes[first] += amount;
            changes[last] -= amount;
            seen[first] += lines;
            seen[last] -= lines;
        }
        Ok(())
    }

    fn keep_value(
        &self,
        part: &mut Part,
        engine: &Engine<'_>,
        key: &[u8],
        value: (i64, f64),
    ) -> Result<(), QueryError> {
        if !part.series.contains_key(key) {
            part.reserve(engine, key.len() + SERIES_BYTES)?;
            part.series.insert(LabelSet::from_bytes(key), Gathered::Values(Vec::new()));
        }
        let Part { series, held } = part;
        if let Some(Gathered::Values(values)) = series.get_mut(key) {
            if values.len() == values.capacity() {
                let more = values.capacity().max(4);
                if let Some(held) = held {
                    held.absorb(engine.ctx.reserve(more * size_of::<(i64, f64)>())?);
                }
                values.reserve_exact(more);
            }
            values.push(value);
        }
        Ok(())
    }

    fn finish(&self, part: Part, steps: usize) -> Vec<Line> {
        let seconds = self.windows.range_ns as f64 / 1e9;
        let all: Vec<(LabelSet, Gathered)> = part.series.into_iter().collect();
        let series = all.into_par_iter().map(|(labels, gathered)| {
            let values = match gathered {
                Gathered::Counts { changes, seen } => counted(self.range.op, &changes, &seen, seconds, steps),
                Gathered::Values(mut values) => {
                    values.sort_by_key(|(at, _)| *at);
                    window::values((self.range.op, self.range.parameter), &values, &self.windows, steps)
                }
            };
            Line { labels, values }
        });
        series.collect()
    }
}

/// The values of windows whose lines were counted.
fn counted(op: RangeOp, changes: &[i64], seen: &[i64], seconds: f64, steps: usize) -> Vec<Option<f64>> {
    let (mut amount, mut lines) = (0, 0);
    let value = |step: usize| {
        amount += changes[step];
        lines += seen[step];
        let value = match op {
            RangeOp::Rate | RangeOp::BytesRate => amount as f64 / seconds,
            _ => amount as f64,
        };
        (lines > 0).then_some(value)
    };
    (0..steps).map(value).collect()
}

/// One where no series has a value, with the labels the selector asks for.
fn absent(log: &LogExpr, lines: &[Line], steps: usize) -> Line {
    let equal = |matcher: &&model::Matcher| matcher.op == MatchOp::Equal && !matcher.value.is_empty();
    let unique = |matcher: &&model::Matcher| {
        log.matchers.iter().filter(|other| other.name == matcher.name).count() == 1
    };
    let matchers = log.matchers.iter().filter(equal).filter(unique);
    let labels =
        LabelSet::from_pairs(matchers.map(|matcher| (matcher.name.as_str(), matcher.value.as_str())));
    let is_absent = |step: usize| lines.iter().all(|line| line.values[step].is_none());
    Line { labels, values: (0..steps).map(|step| is_absent(step).then_some(1.0)).collect() }
}

fn pipeline_error(labels: &RowLabels) -> QueryError {
    let all = labels.collect(|_, _| true);
    QueryError::Pipeline { error: labels.error().unwrap_or_default().to_owned(), series: all.to_string() }
}

/// Stages without those that format lines nobody looks at.
fn without_idle_formats(stages: &[Stage]) -> Vec<Stage> {
    let reads_line = |stage: &Stage| match stage {
        Stage::LineFilter(_) | Stage::Parser(_) | Stage::Decolorize => true,
        Stage::LineFormat(text) => text.contains("__line__"),
        Stage::LabelFormat(formats) => formats.iter().any(|format| format.value.contains("__line__")),
        _ => false,
    };
    let is_idle =
        |at: usize| matches!(stages[at], Stage::LineFormat(_)) && !stages[at + 1..].iter().any(reads_line);
    (0..stages.len()).filter(|at| !is_idle(*at)).map(|at| stages[at].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_hold_their_end_and_not_their_beginning() {
        let windows = Windows { first_ns: 100, range_ns: 20, step_ns: 10, count: 5, oldest_ns: i64::MIN };
        assert_eq!(windows.covered(), LogRange { start_ns: 81, end_ns: 141 });
        for at in 70..150 {
            let (first, last) = windows.holding(at);
            for window in 0..5 {
                let end = windows.end_ns(window);
                let holds = end - 20 < at && at <= end;
                assert_eq!((first..last).contains(&window), holds, "{at} in {window}");
            }
            let until = windows.same_until(at);
            assert!((at..=until).all(|other| windows.holding(other) == (first, last)), "{at} to {until}");
            assert!(until - at < 10);
        }
        let windows = Windows { oldest_ns: 95, ..windows };
        assert_eq!(windows.covered(), LogRange { start_ns: 95, end_ns: 141 });
        assert_eq!((windows.holding(94), windows.holding(95)), ((0, 0), (0, 2)));
    }
}
