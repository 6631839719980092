//! Which streams there are, and how much they hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Reservation;
use model::context::{QueryContext, QueryStop};
use model::labels::Labels;
use model::logs::{LogColumns, LogRange, LogSteps, Page, StreamVolume};
use model::matcher::Matcher;
use model::source::SourceError;

use super::{STAGE, SelectError, Streams, Unit, UnitData, UnitRun, matches_all};
use crate::db::LogDb;
use crate::segment::reader::SegmentError;

impl LogDb {
    pub(super) fn streams_in(
        &self,
        range: LogRange,
        matcher_sets: &[Vec<Matcher>],
        ctx: &QueryContext,
    ) -> Result<Vec<Labels>, SelectError> {
        let matches = |labels: &Labels| {
            matcher_sets.is_empty() || matcher_sets.iter().any(|matchers| matches_all(matchers, labels))
        };
        let mut streams = Streams::new(&matches);
        let units = self.units(&ctx.tenant, range, &mut streams, ctx)?;
        let mut found: Vec<Labels> =
            units.iter().flat_map(|unit| &unit.runs).map(|run| (*run.stream).clone()).collect();
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    pub(super) fn volumes_in(
        &self,
        range: LogRange,
        matchers: &[Matcher],
        ctx: &QueryContext,
    ) -> Result<Vec<StreamVolume>, SelectError> {
        let mut volumes: BTreeMap<Arc<Labels>, StreamVolume> = BTreeMap::new();
        for unit in self.distinct_units(range, matchers, ctx)? {
            let mut previous: Option<*const Labels> = None;
            let mut times = Times::new(&unit.data, ctx);
            for run in &unit.runs {
                let inside = times.inside(run, range)?;
                let Some((entries, bytes)) = self.told(&unit.data, inside, ctx)? else { continue };
                let volume = volumes.entry(run.stream.clone()).or_insert_with(|| StreamVolume {
                    stream: (*run.stream).clone(),
                    chunks: 0,
                    entries: 0,
                    bytes: 0,
                });
                // A stream with several runs in a group is in one stored unit.
                volume.chunks += u64::from(previous != Some(Arc::as_ptr(&run.stream)));
                volume.entries += entries;
                volume.bytes += bytes;
                previous = Some(Arc::as_ptr(&run.stream));
            }
        }
        Ok(volumes.into_values().filter(|volume| volume.entries > 0).collect())
    }

    pub(super) fn volumes_by_step_in(
        &self,
        steps: LogSteps,
        matchers: &[Matcher],
        ctx: &QueryContext,
    ) -> Result<Vec<StepVolume>, SelectError> {
        let mut memory = ctx.reserve(0).map_err(SourceError::from)?;
        let mut found: Vec<StepVolume> = Vec::new();
        for unit in self.distinct_units(steps.range, matchers, ctx)? {
            let mut times = Times::new(&unit.data, ctx);
            for run in &unit.runs {
                let first = steps.of(run.first_ns.max(steps.range.start_ns));
                let last = steps.of(run.last_ns.min(steps.range.end_ns.saturating_sub(1)));
                for step in first..=last {
                    let inside = times.inside(run, steps.at(step))?;
                    let Some((_, bytes)) = self.told(&unit.data, inside, ctx)? else { break };
                    if bytes == 0 {
                        continue;
                    }
                    let same = found.last_mut().filter(|last| last.step == step && last.stream == run.stream);
                    match same {
                        Some(same) => same.bytes += bytes,
                        None => {
                            memory
                                .grow(size_of::<StepVolume>())
                                .map_err(QueryStop::from)
                                .map_err(SourceError::from)?;
                            found.push(StepVolume { stream: run.stream.clone(), step, bytes });
                        }
                    }
                }
            }
        }
        Ok(found)
    }

    /// The units of matching streams, each entry in one of them.
    fn distinct_units(
        &self,
        range: LogRange,
        matchers: &[Matcher],
        ctx: &QueryContext,
    ) -> Result<Vec<Unit>, SelectError> {
        let matches = |labels: &Labels| matches_all(matchers, labels);
        let mut streams = Streams::new(&matches);
        let mut units = self.units(&ctx.tenant, range, &mut streams, ctx)?;
        self.drop_duplicates(&mut units, ctx)?;
        Ok(units)
    }

    /// What was counted, or nothing where a page is damaged, which the query is told.
    fn told(
        &self,
        data: &UnitData,
        counted: Result<(u64, u64), SegmentError>,
        ctx: &QueryContext,
    ) -> Result<Option<(u64, u64)>, SelectError> {
        match counted {
            Ok(counted) => Ok(Some(counted)),
            Err(error) => {
                self.unit_failed(data, error, ctx)?;
                Ok(None)
            }
        }
    }
}

/// Bytes of a stream in a step.
pub(super) struct StepVolume {
    pub stream: Arc<Labels>,
    pub step: usize,
    pub bytes: u64,
}

/// The times of a unit, read when they are needed.
struct Times<'a> {
    data: &'a UnitData,
    ctx: &'a QueryContext,
    page: Option<(Page, Reservation)>,
}

impl<'a> Times<'a> {
    fn new(data: &'a UnitData, ctx: &'a QueryContext) -> Self {
        Self { data, ctx, page: None }
    }

    /// Entries and bytes of a run inside a range. Those of a run that is cut by the range are counted by their times, and their
    /// bytes taken to be as long as others.
    fn inside(
        &mut self,
        run: &UnitRun,
        range: LogRange,
    ) -> Result<Result<(u64, u64), SegmentError>, SelectError> {
        let (rows, bytes) = (run.rows.len() as u64, run.line_bytes + run.metadata_bytes);
        if range.contains(run.first_ns) && range.contains(run.last_ns) {
            return Ok(Ok((rows, bytes)));
        }
        let times = match self.times() {
            Ok(Ok(times)) => &times[run.rows.clone()],
            Ok(Err(error)) => return Ok(Err(error)),
            Err(error) => return Err(error),
        };
        // Times of a run ascend.
        let begin = times.partition_point(|&time| time < range.start_ns);
        let end = times.partition_point(|&time| time < range.end_ns).max(begin);
        let inside = (end - begin) as u64;
        Ok(Ok((inside, (u128::from(bytes) * u128::from(inside) / u128::from(rows.max(1))) as u64)))
    }

    fn times(&mut self) -> Result<Result<&[i64], SegmentError>, SelectError> {
        let (segment, group) = match self.data {
            UnitData::Rows(rows) => return Ok(Ok(rows.timestamps())),
            UnitData::Group { segment, group, .. } => (segment, *group),
        };
        if self.page.is_none() {
            self.ctx.check(STAGE).map_err(SourceError::from)?;
            let entry = &segment.index().groups[group];
            let columns = LogColumns::TIMESTAMPS;
            let held = self.ctx.reserve(segment.memory_of(entry, columns)).map_err(SourceError::from)?;
            match segment.read(entry, columns) {
                Ok(page) => self.page = Some((page, held)),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(self.page.as_ref().map_or(&[][..], |(page, _)| &page.timestamps_ns)))
    }
}
