//! The threads of a replay that append: each has pages of its own.

use std::sync::mpsc::Receiver;

use chunkenc::ChunkError;

use super::Spares;
use crate::head::Inner;
use crate::head::apply::{Applier, ChunkOptions, Place};
use crate::head::commit::{PREFETCH_AHEAD, replay_float};
use crate::head::table::{NO_SAMPLE, NO_SERIES, Series, Slot, locate};
use crate::trouble::Tally;
use crate::wal::histogram::HistogramSample;
use crate::wal::record::FloatSample;

/// Float samples of the series in some slots, in the order of the log.
pub(super) type Floats = Vec<(Slot, FloatSample)>;

/// Work for the threads that append.
pub(super) enum Work {
    Floats(Floats),
    Histograms(Vec<(Slot, HistogramSample)>),
    /// A series was created again: what the first life had is in blocks, the chunks of the second life are
    /// in the slot `from`.
    Restart {
        slot: Slot,
        from: Slot,
    },
}

/// What a thread that appends has done.
#[derive(Default)]
pub(super) struct Applied {
    pub(super) samples: u64,
    pub(super) lost: Tally,
}

impl Applied {
    fn count(&mut self, done: Result<(), ChunkError>) {
        match done {
            Ok(()) => self.samples += 1,
            Err(error) => self.lost.add(|| error.to_string()),
        }
    }
}

pub(super) fn apply_work(inner: &Inner, work: &Receiver<Work>, spare_floats: &Spares<Floats>) -> Applied {
    let options: ChunkOptions = inner.chunk_options();
    let mut applier = Applier { commit: 0, options, store: &inner.store, changes: Default::default() };
    let mut applied = Applied::default();
    for work in work {
        match work {
            Work::Floats(mut floats) => {
                apply_floats(inner, &mut applier, &floats, &mut applied);
                floats.clear();
                spare_floats.give(floats);
            }
            Work::Histograms(histograms) => {
                for (slot, sample) in histograms {
                    apply_histogram(inner, &mut applier, slot, &sample, &mut applied);
                }
            }
            Work::Restart { slot, from } => restart_series(inner, slot, from),
        }
    }
    inner.note_changes(&applier.changes);
    applied
}

fn apply_floats(
    inner: &Inner,
    applier: &mut Applier<'_>,
    floats: &[(Slot, FloatSample)],
    applied: &mut Applied,
) {
    let mut rest = floats;
    while let Some(&(first, _)) = rest.first() {
        let (number, _) = locate(first);
        let run = rest.iter().take_while(|(slot, _)| locate(*slot).0 == number).count();
        let (now, after) = rest.split_at(run);
        rest = after;
        let Some(page) = inner.table.page(number) else { continue };
        let mut all = page.series.write();
        for (i, &(slot, ref sample)) in now.iter().enumerate() {
            if let Some(&(ahead, _)) = now.get(i + PREFETCH_AHEAD) {
                all[locate(ahead).1].prefetch();
            }
            let at = locate(slot).1;
            if sample.t_ms > page.last_t_ms(at) {
                let done = replay_float(applier, &page, at, &mut all[at], inner.series_ref(slot), sample);
                applied.count(done);
            }
        }
    }
}

fn apply_histogram(
    inner: &Inner,
    applier: &mut Applier<'_>,
    slot: Slot,
    sample: &HistogramSample,
    applied: &mut Applied,
) {
    let (number, at) = locate(slot);
    let Some(page) = inner.table.page(number) else { return };
    let mut all = page.series.write();
    if sample.t_ms > page.last_t_ms(at) {
        let place = Place { page: &page, at, series_ref: inner.series_ref(slot) };
        applied.count(applier.histogram(place, &mut all[at], sample.start_ms, sample.t_ms, &sample.value));
    }
}

/// Takes over the chunks that were found under a series' second reference.
fn restart_series(inner: &Inner, slot: Slot, from: Slot) {
    let (number, at) = locate(from);
    let mut second = (Series::default(), NO_SERIES);
    if let Some(page) = inner.table.page(number) {
        let mut all = page.series.write();
        if all[at].cold.as_ref().is_some_and(|cold| cold.labels.is_empty()) {
            second = (std::mem::take(&mut all[at]), page.last_t_ms(at));
            page.set_last_t_ms(at, NO_SERIES);
        }
    }
    let (number, at) = locate(slot);
    let Some(page) = inner.table.page(number) else { return };
    let mut all = page.series.write();
    let labels = all[at].cold.as_mut().map(|cold| std::mem::take(&mut cold.labels)).unwrap_or_default();
    let (mut series, last_t_ms) = second;
    series.cold.get_or_insert_default().labels = labels;
    all[at] = series;
    page.set_last_t_ms(at, if last_t_ms == NO_SERIES { NO_SAMPLE } else { last_t_ms });
}
