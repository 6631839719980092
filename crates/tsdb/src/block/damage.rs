//! Damage that only shows when a block is read: it is left out of the answer, told and counted.

use std::collections::HashSet;

use base::metrics::{Counter, Registry};
use model::QueryContext;
use parking_lot::Mutex;

use crate::error::TsdbError;

/// How many damaged places are told apart; more are neither counted nor logged again.
const MAX_PLACES: usize = 10_000;

/// The damaged places found so far.
#[derive(Debug, Default)]
pub struct DamageLog {
    found: Counter,
    places: Mutex<HashSet<String>>,
}

impl DamageLog {
    /// A log whose counter is published in `registry`.
    pub fn new(registry: &Registry) -> Self {
        let help = "Number of damaged places of blocks that were found while reading and are left out.";
        let found = registry.counter("bartizan_tsdb_damaged_reads_total", help, &[]);
        Self { found, places: Mutex::default() }
    }

    /// What was read, or if that is damaged `instead`: whoever asked is warned, and a place not seen before
    /// is counted and logged. Other errors stay errors.
    pub(super) fn skip<T>(
        &self,
        ctx: &QueryContext,
        read: Result<T, TsdbError>,
        instead: T,
    ) -> Result<T, TsdbError> {
        let error = match read {
            Err(error @ TsdbError::Corrupt { .. }) => error,
            read => return read,
        };
        let place = error.to_string();
        let mut places = self.places.lock();
        if places.len() < MAX_PLACES && places.insert(place.clone()) {
            self.found.inc();
            tracing::error!(%error, "damaged data of a block is left out");
        }
        drop(places);
        ctx.warn(format!("damaged data is left out: {place}"));
        Ok(instead)
    }
}
