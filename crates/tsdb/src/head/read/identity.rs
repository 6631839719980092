//! What series of the head are recognised by in other sources.

use std::convert::Infallible;

use rayon::prelude::*;

use super::HeadSeriesSet;
use crate::head::table::{Slot, locate};
use crate::identity::{LabelHasher, SeriesHash};

/// Series of one parallel task.
const TASK_SERIES: usize = 4096;

impl HeadSeriesSet {
    /// A hash of all labels of each series.
    pub(crate) fn label_hashes(&self) -> Vec<SeriesHash> {
        self.slots.par_chunks(TASK_SERIES).flat_map_iter(|slots| self.hash_slots(slots)).collect()
    }

    fn hash_slots(&self, slots: &[Slot]) -> Vec<SeriesHash> {
        let state = self.inner.index.read();
        let index = &state.index;
        let mut hasher = LabelHasher::default();
        let hash = |&slot: &Slot| {
            hasher.begin();
            let (number, at) = locate(slot);
            if let Some(page) = self.inner.table.page(number)
                && let Some(cold) = &page.series.read()[at].cold
                && let Some((&shape, values)) = cold.labels.split_first()
            {
                for (&name, &value) in index.shapes.names(shape).iter().zip(values) {
                    for symbol in [name, value] {
                        let Ok(()) = hasher.add(symbol, || Ok::<_, Infallible>(index.symbols.text(symbol)));
                    }
                }
            }
            hasher.finish()
        };
        slots.iter().map(hash).collect()
    }
}
