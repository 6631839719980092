//! Which streams there are, and how much they hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::context::QueryContext;
use model::labels::Labels;
use model::logs::{LogColumns, LogRange, StreamVolume};
use model::matcher::Matcher;

use super::{SelectError, Streams, UnitData, UnitRun, matches_all};
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
        let matches = |labels: &Labels| matches_all(matchers, labels);
        let mut streams = Streams::new(&matches);
        let mut volumes: BTreeMap<Arc<Labels>, StreamVolume> = BTreeMap::new();
        for unit in self.units(&ctx.tenant, range, &mut streams, ctx)? {
            let mut previous: Option<*const Labels> = None;
            for run in &unit.runs {
                let (entries, bytes) = match part_inside(&unit.data, run, range, ctx)? {
                    Ok(part) => part,
                    Err(error) => {
                        self.unit_failed(&unit.data, error, ctx)?;
                        continue;
                    }
                };
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
}

/// Entries and bytes of a run inside a range. Those of a run that is cut by the range are counted by their times, and
/// their bytes taken to be as long as others.
fn part_inside(
    data: &UnitData,
    run: &UnitRun,
    range: LogRange,
    ctx: &QueryContext,
) -> Result<Result<(u64, u64), SegmentError>, SelectError> {
    let (rows, bytes) = (run.rows.len() as u64, run.line_bytes + run.metadata_bytes);
    let is_whole = range.contains(run.first_ns) && range.contains(run.last_ns);
    let UnitData::Group { segment, group, .. } = data else { return Ok(Ok((rows, bytes))) };
    if is_whole {
        return Ok(Ok((rows, bytes)));
    }
    let entry = &segment.index().groups[*group];
    let columns = LogColumns::default();
    let _held = ctx.reserve(segment.memory_of(entry, columns)).map_err(model::source::SourceError::from)?;
    let page = match segment.read(entry, columns) {
        Ok(page) => page,
        Err(error) => return Ok(Err(error)),
    };
    let times = &page.timestamps_ns[run.rows.clone()];
    let inside = times.iter().filter(|&&time| range.contains(time)).count() as u64;
    Ok(Ok((inside, (u128::from(bytes) * u128::from(inside) / u128::from(rows.max(1))) as u64)))
}
