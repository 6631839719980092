//! Entries that are stored twice: once is enough for a query.
//!
//! An entry that is sent again after it was flushed is in two objects until they are compacted. Only rows of equal time
//! can be equal, so only runs of one stream that overlap in time, from different sources, are looked at: first at their
//! times, and at lines only where times are equal. What is left out is cut out of the runs, so that counting them
//! stays exact.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use base::Reservation;
use hashbrown::{HashMap, HashSet};
use model::context::QueryContext;
use model::labels::Labels;
use model::logs::{LogColumns, Page};
use model::source::SourceError;
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_128;

use super::{STAGE, Unit, UnitData, UnitRun};
use crate::db::LogDb;
use crate::deletes::Tombstones;
use crate::memtable::Rows;

/// A run, by where it is.
#[derive(Clone, Copy)]
struct Place {
    unit: usize,
    run: usize,
    source: u32,
    first_ns: i64,
    last_ns: i64,
}

impl LogDb {
    /// Cuts rows out of runs that are to be gone: because a request wants it, or because they are before the instant `cutoff_ns`
    /// tells for their stream.
    pub(super) fn drop_deleted(
        &self,
        units: &mut [Unit],
        tombstones: &Tombstones,
        cutoff_ns: &mut dyn FnMut(&Arc<Labels>) -> i64,
        ctx: &QueryContext,
    ) -> Result<(), SourceError> {
        for unit in units {
            if tombstones.is_empty() && !unit.runs.iter().any(|run| run.first_ns < cutoff_ns(&run.stream)) {
                continue;
            }
            let mut left = Vec::with_capacity(unit.runs.len());
            for run in std::mem::take(&mut unit.runs) {
                let gone = tombstones.concerning(&run.stream, run.first_ns, run.last_ns, unit.deletes);
                let oldest_ns = cutoff_ns(&run.stream);
                if gone.is_empty() && run.first_ns >= oldest_ns {
                    left.push(run);
                } else if !gone.iter().any(|tombstone| tombstone.covers_all(run.first_ns, run.last_ns)) {
                    ctx.check(STAGE)?;
                    let content = match read(&unit.data, true, ctx) {
                        Ok(content) => content,
                        Err(ReadError::Source(error)) => return Err(error),
                        Err(ReadError::Segment(error)) => {
                            self.unit_failed(&unit.data, error, ctx)?;
                            continue;
                        }
                    };
                    let is_gone = |&row: &usize| {
                        let time = content.time(row);
                        time < oldest_ns
                            || gone.iter().any(|tombstone| tombstone.covers(time, content.line(row)))
                    };
                    let rows: Vec<usize> = run.rows.clone().filter(is_gone).collect();
                    left.extend(cut(&content, &run, &rows));
                }
            }
            unit.runs = left;
        }
        Ok(())
    }

    /// Cuts rows out of runs that are in an older source, too.
    pub(super) fn drop_duplicates(
        &self,
        units: &mut Vec<Unit>,
        ctx: &QueryContext,
    ) -> Result<(), SourceError> {
        let suspicious = suspicious_streams(units);
        if suspicious.is_empty() {
            return Ok(());
        }
        // Sources have their streams in order: a part of the streams is a part of each source, which is read front to back once.
        let at_once = suspicious.len().div_ceil(rayon::current_num_threads().max(1));
        let found: Result<Vec<Found>, SourceError> = suspicious
            .par_chunks(at_once)
            .map(|streams| {
                let mut comparison =
                    Comparison { db: self, units, ctx, pages: HashMap::new(), found: Found::default() };
                streams.iter().try_for_each(|places| comparison.run(places))?;
                Ok(comparison.found)
            })
            .collect();
        let (mut twice, mut damaged) = (Twice::new(), HashSet::new());
        for found in found? {
            twice.extend(found.twice);
            damaged.extend(found.damaged);
        }
        cut_all(units, twice, ctx)?;
        let mut number = 0;
        units.retain(|unit| {
            number += 1;
            !unit.runs.is_empty() && !damaged.contains(&(number - 1))
        });
        Ok(())
    }
}

/// The rows of runs, by unit and run, that are in an older source, too.
type Twice = HashMap<(usize, usize), Vec<usize>>;

/// The runs that overlap such of other sources, stream by stream in the order of streams.
fn suspicious_streams(units: &[Unit]) -> Vec<Vec<Place>> {
    if units.windows(2).all(|pair| pair[0].source == pair[1].source) {
        return Vec::new();
    }
    let mut by_stream: HashMap<*const Labels, (&Arc<Labels>, Vec<Place>)> = HashMap::new();
    for (unit, Unit { source, runs, .. }) in units.iter().enumerate() {
        for (run, UnitRun { stream, first_ns, last_ns, .. }) in runs.iter().enumerate() {
            let place = Place { unit, run, source: *source, first_ns: *first_ns, last_ns: *last_ns };
            by_stream.entry(Arc::as_ptr(stream)).or_insert_with(|| (stream, Vec::new())).1.push(place);
        }
    }
    let found = by_stream.into_values().map(|(labels, places)| (labels, suspects(places)));
    let mut found: Vec<_> = found.filter(|(_, suspects)| suspects.len() > 1).collect();
    found.sort_unstable_by_key(|(labels, _)| *labels);
    found.into_iter().map(|(_, suspects)| suspects).collect()
}

fn cut_all(units: &mut [Unit], twice: Twice, ctx: &QueryContext) -> Result<(), SourceError> {
    let mut cuts: Vec<_> = twice.into_iter().collect();
    // From the back, so that the numbers of runs stay true while they are replaced.
    cuts.sort_by_key(|(place, _)| Reverse(*place));
    let mut latest: Option<(usize, Arc<Content>)> = None;
    for ((unit, run), mut rows) in cuts {
        rows.sort_unstable();
        let whole = units[unit].runs[run].clone();
        let content = match latest.take().filter(|(other, _)| *other == unit) {
            Some((_, content)) => content,
            None => read(&units[unit].data, true, ctx).map_err(|error| match error {
                ReadError::Source(error) => error,
                ReadError::Segment(error) => SourceError::Storage(error.to_string()),
            })?,
        };
        units[unit].runs.splice(run..=run, cut(&content, &whole, &rows));
        latest = Some((unit, content));
    }
    Ok(())
}

/// What is left of a run without some of its rows, which are in order.
fn cut(content: &Content, whole: &UnitRun, rows: &[usize]) -> Vec<UnitRun> {
    let mut left = Vec::new();
    let mut begin = whole.rows.start;
    for end in rows.iter().copied().chain([whole.rows.end]) {
        if begin < end {
            left.push(UnitRun {
                stream: whole.stream.clone(),
                rows: begin..end,
                first_ns: content.time(begin),
                last_ns: content.time(end - 1),
                line_bytes: content.line_bytes(begin, end),
                metadata_bytes: whole.metadata_bytes * (end - begin) as u64 / whole.rows.len() as u64,
            });
        }
        begin = end + 1;
    }
    left
}

/// The runs that overlap one of another source, in order of their first times.
fn suspects(mut places: Vec<Place>) -> Vec<Place> {
    places.sort_by_key(|place| (place.first_ns, place.last_ns, place.source));
    let mut suspicious = vec![false; places.len()];
    // The latest end so far, and the latest of any source but that one's.
    let (mut latest, mut other) = ((i64::MIN, 0), (i64::MIN, 0));
    for (i, place) in places.iter().enumerate() {
        let before = if latest.1 == place.source { other } else { latest };
        suspicious[i] = before.1 != 0 && before.0 >= place.first_ns;
        let own = (place.last_ns, place.source);
        if latest.1 == place.source {
            latest = latest.max(own);
        } else if latest.1 == 0 || own.0 > latest.0 {
            (other, latest) = (latest, own);
        } else if own.0 >= other.0 {
            other = own;
        }
    }
    let mut next: [Option<(i64, u32)>; 2] = [None, None];
    for (i, place) in places.iter().enumerate().rev() {
        let after = next.iter().flatten().find(|(_, source)| *source != place.source);
        suspicious[i] |= after.is_some_and(|&(first_ns, _)| first_ns <= place.last_ns);
        if next[0].is_none_or(|(_, source)| source != place.source) {
            next[1] = next[0];
        }
        next[0] = Some((place.first_ns, place.source));
    }
    let mut flags = suspicious.into_iter();
    places.retain(|_| flags.next().unwrap_or(false));
    places
}

/// The rows of a unit, as far as they are needed to compare.
enum Content {
    Rows(Arc<Rows>),
    Page { page: Box<Page>, _reservation: Reservation },
}

impl Content {
    fn time(&self, row: usize) -> i64 {
        match self {
            Self::Rows(rows) => rows.timestamps()[row],
            Self::Page { page, .. } => page.timestamps_ns[row],
        }
    }

    fn line(&self, row: usize) -> &[u8] {
        match self {
            Self::Rows(rows) => rows.line(row),
            Self::Page { page, .. } => page.lines.get(row),
        }
    }

    fn line_bytes(&self, begin: usize, end: usize) -> u64 {
        match self {
            Self::Rows(rows) => rows.line_bytes(begin, end),
            Self::Page { page, .. } => u64::from(page.lines.offsets[end] - page.lines.offsets[begin]),
        }
    }
}

enum ReadError {
    Source(SourceError),
    Segment(crate::segment::reader::SegmentError),
}

fn read(data: &UnitData, lines: bool, ctx: &QueryContext) -> Result<Arc<Content>, ReadError> {
    match data {
        UnitData::Rows(rows) => Ok(Arc::new(Content::Rows(rows.clone()))),
        UnitData::Group { segment, group, .. } => {
            let entry = &segment.index().groups[*group];
            let columns = LogColumns { lines, ..LogColumns::TIMESTAMPS };
            let reservation = ctx.reserve(segment.memory_of(entry, columns));
            let reservation = reservation.map_err(|error| ReadError::Source(error.into()))?;
            let page = segment.read(entry, columns).map_err(ReadError::Segment)?;
            Ok(Arc::new(Content::Page { page: Box::new(page), _reservation: reservation }))
        }
    }
}

struct Comparison<'a> {
    db: &'a LogDb,
    units: &'a [Unit],
    ctx: &'a QueryContext,
    /// The last unit that was read of each source, without lines and with them: what follows of the source is mostly in it, too.
    pages: HashMap<(u32, bool), (usize, Arc<Content>)>,
    found: Found,
}

/// What comparing found.
#[derive(Default)]
struct Found {
    twice: Twice,
    /// Units that cannot be read.
    damaged: HashSet<usize>,
}

/// A run that is being walked.
struct Cursor {
    place: Place,
    times: Arc<Content>,
    lines: Option<Arc<Content>>,
    row: usize,
    end: usize,
}

impl Comparison<'_> {
    /// The content of a unit; `None` when it is damaged, which is noted.
    fn content(&mut self, unit: usize, lines: bool) -> Result<Option<Arc<Content>>, SourceError> {
        if self.found.damaged.contains(&unit) {
            return Ok(None);
        }
        let place = (self.units[unit].source, lines);
        if let Some((_, content)) = self.pages.get(&place).filter(|(other, _)| *other == unit) {
            return Ok(Some(content.clone()));
        }
        self.ctx.check(STAGE)?;
        match read(&self.units[unit].data, lines, self.ctx) {
            Ok(content) => {
                self.pages.insert(place, (unit, content.clone()));
                Ok(Some(content))
            }
            Err(ReadError::Source(error)) => Err(error),
            Err(ReadError::Segment(error)) => {
                self.db.unit_failed(&self.units[unit].data, error, self.ctx)?;
                self.found.damaged.insert(unit);
                Ok(None)
            }
        }
    }

    /// Walks the runs of a stream together in order of time, and notes the rows that are in an older source, too.
    fn run(&mut self, suspects: &[Place]) -> Result<(), SourceError> {
        let mut waiting = suspects.iter().peekable();
        let mut cursors: HashMap<usize, Cursor> = HashMap::new();
        let mut heap: BinaryHeap<Reverse<(i64, u32, usize)>> = BinaryHeap::new();
        let mut number = 0;
        let mut same: Vec<usize> = Vec::new();
        loop {
            let now = heap.peek().map(|Reverse((time, ..))| *time);
            if let Some(place) = waiting.next_if(|place| now.is_none_or(|now| place.first_ns <= now)) {
                if let Some(times) = self.content(place.unit, false)? {
                    let rows = &self.units[place.unit].runs[place.run].rows;
                    heap.push(Reverse((times.time(rows.start), place.source, number)));
                    let (row, end) = (rows.start, rows.end);
                    cursors.insert(number, Cursor { place: *place, times, lines: None, row, end });
                    number += 1;
                }
                continue;
            }
            let Some(now) = now else { return Ok(()) };
            same.clear();
            while let Some(Reverse((_, _, number))) = heap.peek().filter(|Reverse((time, ..))| *time == now) {
                same.push(*number);
                heap.pop();
            }
            let first_source = cursors[&same[0]].place.source;
            if same.iter().any(|number| cursors[number].place.source != first_source) {
                self.compare(now, &same, &mut cursors)?;
            }
            for number in &same {
                let Some(cursor) = cursors.get_mut(number) else { continue };
                while cursor.row < cursor.end && cursor.times.time(cursor.row) == now {
                    cursor.row += 1;
                }
                if cursor.row < cursor.end {
                    heap.push(Reverse((cursor.times.time(cursor.row), cursor.place.source, *number)));
                } else {
                    cursors.remove(number);
                }
            }
        }
    }

    /// Compares the lines of rows of one time. The cursors are in order of sources: the oldest keeps its row.
    fn compare(
        &mut self,
        now: i64,
        same: &[usize],
        cursors: &mut HashMap<usize, Cursor>,
    ) -> Result<(), SourceError> {
        let mut seen: HashMap<u128, u32> = HashMap::new();
        for number in same {
            let Some(cursor) = cursors.get_mut(number) else { continue };
            let lines = match &cursor.lines {
                Some(lines) => lines.clone(),
                None => match self.content(cursor.place.unit, true)? {
                    Some(lines) => cursor.lines.insert(lines).clone(),
                    None => continue,
                },
            };
            for row in (cursor.row..cursor.end).take_while(|&row| cursor.times.time(row) == now) {
                let source = *seen.entry(xxh3_128(lines.line(row))).or_insert(cursor.place.source);
                if source != cursor.place.source {
                    self.found.twice.entry((cursor.place.unit, cursor.place.run)).or_default().push(row);
                }
            }
        }
        Ok(())
    }
}
