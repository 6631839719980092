//! What a query reads: memory and objects as one set of page groups, in which each entry is once.
//!
//! In reading order: this file (pinning and pruning), [`overlap`] (entries that are stored twice), [`reader`] (pages),
//! [`labels`] (streams and volumes), `threads` (who waits for objects).

mod labels;
mod overlap;
mod reader;
mod threads;

use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashMap;
use model::context::QueryContext;
use model::labels::Labels;
use model::logs::{LogHint, LogRange, LogRequest, LogSource, LogSteps, PageGroup, PageRun, StreamVolume};
use model::matcher::Matcher;
use model::source::{SourceError, TenantId};
use rayon::prelude::*;
use ulid::Ulid;

use crate::day::Day;
use crate::db::LogDb;
use crate::deletes::Tombstones;
use crate::manifest::object_key;
use crate::memtable::{MemTable, Rows};
use crate::segment::grams::{Needle, value_hash};
use crate::segment::reader::SegmentError;
use crate::segment::{Probe, Segment};

/// The name under which the work is in errors.
const STAGE: &str = "log selection";
/// Memory is handed out in groups of about this many bytes.
const MEMORY_GROUP_BYTES: usize = 2 << 20;
/// How often a selection begins anew because an object went away under it.
const MAX_TRIES: u32 = 3;

/// A page group of an object, or a run of rows in memory.
pub(crate) struct Unit {
    /// Units of one source have no entry in common. A lower number is an older source.
    source: u32,
    data: UnitData,
    runs: Vec<UnitRun>,
    /// The last revision of delete requests that its writer followed.
    deletes: u64,
}

pub(crate) enum UnitData {
    Rows(Arc<Rows>),
    Group { segment: Arc<Segment>, group: usize, object: Option<ObjectName> },
}

/// An object, by all that is needed to tell of it.
#[derive(Clone)]
pub(crate) struct ObjectName {
    pub tenant: TenantId,
    pub day: Day,
    pub id: Ulid,
}

/// Rows of one stream.
#[derive(Clone)]
pub(crate) struct UnitRun {
    stream: Arc<Labels>,
    rows: Range<usize>,
    first_ns: i64,
    last_ns: i64,
    line_bytes: u64,
    metadata_bytes: u64,
}

/// Which streams match, each looked at once, and their labels, each kept once.
pub(crate) struct Streams<'a> {
    matches: &'a dyn Fn(&Labels) -> bool,
    known: HashMap<Labels, Option<Arc<Labels>>>,
}

impl<'a> Streams<'a> {
    fn new(matches: &'a dyn Fn(&Labels) -> bool) -> Self {
        Self { matches, known: HashMap::new() }
    }

    fn get(&mut self, labels: &Labels) -> Option<Arc<Labels>> {
        match self.known.get(labels) {
            Some(known) => known.clone(),
            None => {
                let known = (self.matches)(labels).then(|| Arc::new(labels.clone()));
                self.known.insert(labels.clone(), known.clone());
                known
            }
        }
    }
}

pub(crate) fn matches_all(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.get_or_empty(&matcher.name)))
}

/// What a selection reads, as it was at one moment.
pub(crate) struct Pinned {
    units: Vec<Unit>,
    objects: Vec<(u32, ObjectName, u64)>,
    tombstones: Arc<Tombstones>,
}

/// Why a selection failed.
pub(crate) enum SelectError {
    /// An object is gone: someone compacted it, and the catalog is up to date now.
    Gone,
    Source(SourceError),
}

impl<E: Into<SourceError>> From<E> for SelectError {
    fn from(error: E) -> Self {
        Self::Source(error.into())
    }
}

impl LogDb {
    /// Pins everything of a tenant that overlaps a range: memory as units, objects by name.
    fn pin(&self, tenant: &TenantId, range: LogRange, streams: &mut Streams<'_>) -> Pinned {
        let mut source = 0;
        let mut next_source = || {
            source += 1;
            source
        };
        let last_ns = range.end_ns.saturating_sub(1);
        let state = self.state.read();
        let tombstones = state.tombstones.get(tenant).cloned().unwrap_or_default();
        let mut pinned = Pinned { units: Vec::new(), objects: Vec::new(), tombstones };
        for (day, manifest) in state.catalog.days(tenant, Day::of_ns(range.start_ns), Day::of_ns(last_ns)) {
            for object in manifest.objects.iter().filter(|o| range.overlaps(o.first_ns, o.last_ns)) {
                let name = ObjectName { tenant: tenant.clone(), day, id: object.id };
                pinned.objects.push((next_source(), name, object.deletes));
            }
        }
        for pending in state.pending.iter().filter(|pending| pending.tenant == *tenant) {
            let source = next_source();
            let units = units_of(&pending.segment, source, None, range, streams);
            pinned.units.extend(units.map(|unit| Unit { deletes: pending.meta.deletes, ..unit }));
        }
        let tables = state.sealed.iter().map(|sealed| &sealed.table).chain([&state.active]);
        for table in tables {
            let source = next_source();
            pin_table(&mut pinned.units, table, source, tenant, range, streams);
        }
        pinned
    }

    /// The units of all objects that were pinned, and those of memory.
    fn units(
        &self,
        tenant: &TenantId,
        range: LogRange,
        streams: &mut Streams<'_>,
        ctx: &QueryContext,
    ) -> Result<Vec<Unit>, SelectError> {
        if !self.is_catalog_loaded() {
            ctx.warn(
                "the bucket of logs could not be read as a whole yet: entries may be missing".to_owned(),
            );
        }
        let Pinned { units: memory, objects, tombstones } = self.pin(tenant, range, streams);
        let mut units = Vec::new();
        // Opening one that is not in memory takes a few reads: all at once, since they may be far away.
        let opened: Result<Vec<Option<Arc<Segment>>>, SelectError> = objects
            .par_iter()
            .map(|(_, object, _)| {
                ctx.check(STAGE).map_err(SourceError::from)?;
                self.open_object(object, ctx)
            })
            .collect();
        for ((source, object, deletes), segment) in objects.into_iter().zip(opened?) {
            let Some(segment) = segment else { continue };
            let damaged = self.segments.groups().of(object.id);
            for (group, reason) in &damaged {
                let key = object_key(&object.tenant, object.day, object.id);
                ctx.warn(reader::left_out(&key, *group, reason));
            }
            let of_object = units_of(&segment, source, Some(&object), range, streams);
            let is_whole = |unit: &Unit| match &unit.data {
                UnitData::Group { group, .. } => !damaged.contains_key(group),
                UnitData::Rows(_) => true,
            };
            units.extend(of_object.filter(is_whole).map(|unit| Unit { deletes, ..unit }));
        }
        units.extend(memory);
        // Retention ends what is seen at once; objects are rewritten later.
        let mut cutoffs: HashMap<*const Labels, i64> = HashMap::new();
        let mut cutoff_ns = |stream: &Arc<Labels>| {
            let known = cutoffs.entry(Arc::as_ptr(stream));
            *known.or_insert_with(|| self.cutoff_ns(tenant, stream))
        };
        for unit in &mut units {
            unit.runs.retain(|run| run.last_ns >= cutoff_ns(&run.stream));
        }
        self.drop_deleted(&mut units, &tombstones, &mut cutoff_ns, ctx)?;
        units.retain(|unit| !unit.runs.is_empty());
        Ok(units)
    }

    /// An object that a manifest names; `None` when it is damaged, which the query is told.
    fn open_object(
        &self,
        object: &ObjectName,
        ctx: &QueryContext,
    ) -> Result<Option<Arc<Segment>>, SelectError> {
        let key = object_key(&object.tenant, object.day, object.id);
        if let Some(reason) = self.segments.damage_of(object.id) {
            ctx.warn(format!("log object {key} is damaged and left out: {reason}"));
            return Ok(None);
        }
        let error = match self.segments.open(&object.tenant, object.day, object.id) {
            Ok(segment) => return Ok(Some(segment)),
            Err(error) => error,
        };
        if matches!(error, SegmentError::Blob(blob::BlobError::NotFound(_))) {
            self.refresh_day(&object.tenant, object.day)
                .map_err(|error| SourceError::Storage(error.to_string()))?;
            let state = self.state.read();
            let manifest = state.catalog.get(&object.tenant, object.day);
            if manifest.is_none_or(|manifest| manifest.object(object.id).is_none()) {
                return Err(SelectError::Gone);
            }
            drop(state);
            if !self.absences.note(object.id, self.clock.monotonic()) {
                ctx.warn(format!("log object {key} is missing and left out"));
                return Ok(None);
            }
        }
        if error.is_damage() {
            self.suspect(object.id, &key, &error.to_string());
            ctx.warn(format!("log object {key} is damaged and left out: {error}"));
            return Ok(None);
        }
        Err(SourceError::Storage(format!("{key}: {error}")).into())
    }

    /// Notes that a page of a unit could not be read; the error for the query, or nothing when it can go on without.
    fn unit_failed(
        &self,
        unit: &UnitData,
        error: SegmentError,
        ctx: &QueryContext,
    ) -> Result<(), SourceError> {
        let UnitData::Group { object: Some(object), group, .. } = unit else {
            return Err(SourceError::Storage(error.to_string()));
        };
        let key = object_key(&object.tenant, object.day, object.id);
        if !error.is_damage() || matches!(error, SegmentError::Blob(_)) {
            return Err(SourceError::Storage(format!("{key}: {error}")));
        }
        self.segments.groups().note(object.id, *group, &key, &error.to_string());
        ctx.warn(reader::left_out(&key, *group, &error.to_string()));
        Ok(())
    }

    fn try_select(&self, request: &LogRequest, ctx: &QueryContext) -> Result<Vec<PageGroup>, SelectError> {
        let matches = |labels: &Labels| matches_all(&request.matchers, labels);
        let mut streams = Streams::new(&matches);
        let mut units = self.units(&ctx.tenant, request.range, &mut streams, ctx)?;
        self.prune(&mut units, &request.hints, ctx)?;
        self.drop_duplicates(&mut units, ctx)?;
        Ok(reader::groups_of(units, self.segments.groups()))
    }

    /// Leaves out the page groups whose filters say that nothing in them is wanted.
    fn prune(&self, units: &mut Vec<Unit>, hints: &[LogHint], ctx: &QueryContext) -> Result<(), SourceError> {
        let wanted: Vec<Wanted> = hints.iter().filter_map(Wanted::new).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let considered = units.len();
        // The filters of an object are asked once for all of its groups.
        let of_objects: Vec<&[Unit]> =
            units.chunk_by(|a, b| a.segment().is_some() && a.segment() == b.segment()).collect();
        let verdicts: Result<Vec<Vec<bool>>, SourceError> = of_objects
            .into_par_iter()
            .map(|units| {
                ctx.check(STAGE)?;
                Wanted::all_may_be_in(&wanted, units)
            })
            .collect();
        let mut verdicts = verdicts?.into_iter().flatten();
        units.retain(|_| verdicts.next().unwrap_or(true));
        self.metrics.groups_seen.add(considered as u64);
        self.metrics.groups_skipped.add((considered - units.len()) as u64);
        Ok(())
    }

    fn again<T: Send>(
        &self,
        attempt: impl FnMut() -> Result<T, SelectError> + Send,
    ) -> Result<T, SourceError> {
        threads::apart(|| Self::try_again(attempt))
    }

    fn try_again<T>(mut attempt: impl FnMut() -> Result<T, SelectError>) -> Result<T, SourceError> {
        for _ in 1..MAX_TRIES {
            match attempt() {
                Ok(done) => return Ok(done),
                Err(SelectError::Source(error)) => return Err(error),
                Err(SelectError::Gone) => {}
            }
        }
        attempt().map_err(|error| match error {
            SelectError::Source(error) => error,
            SelectError::Gone => {
                SourceError::Storage("objects are replaced faster than they are read".to_owned())
            }
        })
    }
}

impl LogSource for LogDb {
    fn select(&self, request: &LogRequest, ctx: &QueryContext) -> Result<Vec<PageGroup>, SourceError> {
        self.again(|| self.try_select(request, ctx))
    }

    fn streams(
        &self,
        range: LogRange,
        matcher_sets: &[Vec<Matcher>],
        ctx: &QueryContext,
    ) -> Result<Vec<Labels>, SourceError> {
        self.again(|| self.streams_in(range, matcher_sets, ctx))
    }

    fn volumes(
        &self,
        range: LogRange,
        matchers: &[Matcher],
        ctx: &QueryContext,
    ) -> Result<Vec<StreamVolume>, SourceError> {
        self.again(|| self.volumes_in(range, matchers, ctx))
    }

    fn volumes_by_step(
        &self,
        steps: LogSteps,
        matchers: &[Matcher],
        ctx: &QueryContext,
        add: &mut dyn FnMut(&Labels, usize, u64) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let found = self.again(|| self.volumes_by_step_in(steps, matchers, ctx))?;
        found.iter().try_for_each(|volume| add(&volume.stream, volume.step, volume.bytes))
    }
}

impl Unit {
    /// The object it is in, to tell objects apart.
    fn segment(&self) -> Option<*const Segment> {
        match &self.data {
            UnitData::Group { segment, .. } => Some(Arc::as_ptr(segment)),
            UnitData::Rows(_) => None,
        }
    }
}

/// A hint, made ready to ask filters.
struct Wanted {
    probe: Probe,
    /// A label of streams that would do as well.
    label: Option<(String, String)>,
}

impl Wanted {
    /// `None` when filters cannot tell.
    fn new(hint: &LogHint) -> Option<Self> {
        match hint {
            LogHint::LineContains(any) => {
                let needles: Option<Vec<Needle>> = any.iter().map(|text| Needle::new(text)).collect();
                let needles = needles.filter(|needles| !needles.is_empty())?;
                Some(Self { probe: Probe::Lines(needles), label: None })
            }
            // Absent is empty, and no filter tells of what is absent.
            LogHint::Metadata { value, .. } if value.is_empty() => None,
            LogHint::Metadata { name, value } => {
                let probe = Probe::Value(value_hash(name, value.as_bytes()));
                Some(Self { probe, label: Some((name.clone(), value.clone())) })
            }
        }
    }

    fn is_label_of(&self, unit: &Unit) -> bool {
        self.label.as_ref().is_some_and(|(name, value)| {
            unit.runs.iter().any(|run| run.stream.get(name) == Some(value.as_str()))
        })
    }

    /// Whether all that is wanted may be in each of these units, which are of one object, or one in memory.
    fn all_may_be_in(wanted: &[Self], units: &[Unit]) -> Result<Vec<bool>, SourceError> {
        let mut verdicts = vec![true; units.len()];
        let Some(UnitData::Group { segment, .. }) = units.first().map(|unit| &unit.data) else {
            return Ok(verdicts);
        };
        let group_of = |unit: &Unit| match &unit.data {
            UnitData::Group { group, .. } => *group,
            UnitData::Rows(_) => 0,
        };
        let groups: Vec<usize> = units.iter().map(group_of).collect();
        for wanted in wanted {
            match segment.may_hold(&wanted.probe, &groups) {
                Ok(found) => {
                    for ((verdict, found), unit) in verdicts.iter_mut().zip(found).zip(units) {
                        *verdict = *verdict && (found || wanted.is_label_of(unit));
                    }
                }
                // A filter that cannot be read skips nothing; the pages may be whole.
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(SourceError::Storage(error.to_string())),
            }
        }
        Ok(verdicts)
    }
}

/// The groups of an object that have rows of matching streams inside the range.
fn units_of(
    segment: &Arc<Segment>,
    source: u32,
    object: Option<&ObjectName>,
    range: LogRange,
    streams: &mut Streams<'_>,
) -> impl Iterator<Item = Unit> {
    let index = segment.index();
    let matching: Vec<Option<Arc<Labels>>> = index.streams.iter().map(|labels| streams.get(labels)).collect();
    let mut units = Vec::new();
    for (group, entry) in index.groups.iter().enumerate() {
        let wanted = entry.runs.iter().filter(|run| range.overlaps(run.first_ns, run.last_ns));
        let runs: Vec<UnitRun> = wanted
            .filter_map(|run| {
                let first = run.first_row as usize;
                Some(UnitRun {
                    stream: matching[run.stream as usize].clone()?,
                    rows: first..first + run.rows as usize,
                    first_ns: run.first_ns,
                    last_ns: run.last_ns,
                    line_bytes: run.line_bytes,
                    metadata_bytes: run.metadata_bytes,
                })
            })
            .collect();
        if !runs.is_empty() {
            let data = UnitData::Group { segment: segment.clone(), group, object: object.cloned() };
            units.push(Unit { source, data, runs, deletes: 0 });
        }
    }
    units.into_iter()
}

fn pin_table(
    units: &mut Vec<Unit>,
    table: &MemTable,
    source: u32,
    tenant: &TenantId,
    range: LogRange,
    streams: &mut Streams<'_>,
) {
    for (labels, stream) in table.streams(tenant) {
        let Some(labels) = streams.get(labels) else { continue };
        for rows in stream.runs() {
            // Only the rows inside: finding them costs two searches, and what is outside need not be read.
            let times = rows.timestamps();
            let begin = times.partition_point(|&time| time < range.start_ns);
            let end = times.partition_point(|&time| time < range.end_ns);
            if begin >= end {
                continue;
            }
            let run = UnitRun {
                stream: labels.clone(),
                rows: begin..end,
                first_ns: times[begin],
                last_ns: times[end - 1],
                line_bytes: rows.line_bytes(begin, end),
                metadata_bytes: rows.metadata_bytes(begin, end),
            };
            units.push(Unit { source, data: UnitData::Rows(rows.clone()), runs: vec![run], deletes: 0 });
        }
    }
}

impl UnitRun {
    fn to_page_run(&self, first_row: usize) -> PageRun {
        PageRun {
            stream: self.stream.clone(),
            rows: first_row + self.rows.start..first_row + self.rows.end,
            first_ns: self.first_ns,
            last_ns: self.last_ns,
            line_bytes: self.line_bytes,
        }
    }
}
