//! Samples the storage refused one by one, counted over a scrape.

use crate::scrape::rules::cut;

/// Samples the storage refused one by one.
#[derive(Debug, Clone, Default)]
pub(in crate::scrape) struct Refusals {
    pub out_of_order: usize,
    pub duplicate: usize,
    pub out_of_bounds: usize,
    pub exemplars_out_of_order: usize,
    pub series_limit: SeriesRefusals,
}

/// New series the storage refused because of its limit.
#[derive(Debug, Clone, Default)]
pub(in crate::scrape) struct SeriesRefusals {
    limit: usize,
    pub count: usize,
    /// The metrics seen first, with how many series each.
    pub by_metric: Vec<(String, usize)>,
}

/// How many metrics of a scrape are named when their series are refused.
const NAMED_METRICS: usize = 10;

impl SeriesRefusals {
    pub(super) fn add(&mut self, limit: usize, metric: &str) {
        self.limit = limit;
        self.count += 1;
        let metric = cut(metric);
        let has_room = self.by_metric.len() < NAMED_METRICS;
        match self.by_metric.iter_mut().find(|(name, _)| *name == metric) {
            Some((_, count)) => *count += 1,
            None if has_room => self.by_metric.push((metric, 1)),
            None => {}
        }
    }

    /// What happened, most refused metrics first; `None` if nothing was refused.
    pub fn explain(&self) -> Option<String> {
        if self.count == 0 {
            return None;
        }
        let mut metrics: Vec<_> = self.by_metric.iter().collect();
        metrics.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let metrics: Vec<_> = metrics.iter().map(|(name, count)| format!("{name} ({count})")).collect();
        Some(format!(
            "storage.tsdb.max-series: limit of {} series reached, {} new series not stored, of metrics: {}",
            self.limit,
            self.count,
            metrics.join(", ")
        ))
    }
}
