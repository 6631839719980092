//! The newest exemplars, in a ring of fixed size.

use hashbrown::HashMap;
use model::{Exemplar, Labels, Matcher, TimeRange};

/// Label names and values of an exemplar together may have this many characters.
const MAX_LABEL_CHARS: usize = 128;

/// Why an exemplar is not kept. Texts are Prometheus's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExemplarError {
    /// It is the newest one of its series again.
    #[error("duplicate exemplar")]
    Duplicate,
    /// It is older than the newest one of its series.
    #[error("out of order exemplar")]
    OutOfOrder,
    /// Its labels are too long.
    #[error("label length for exemplar exceeds maximum of 128 UTF-8 characters")]
    TooLong,
    /// Exemplars are not kept at all.
    #[error("exemplar storage is disabled or max exemplars is less than or equal to 0")]
    Disabled,
}

#[derive(Debug)]
struct Entry {
    series: Labels,
    exemplar: Exemplar,
}

/// Fails when the labels of an exemplar are too long.
pub fn check_length(exemplar: &Exemplar) -> Result<(), ExemplarError> {
    let chars = exemplar.labels.iter().map(|(n, v)| n.chars().count() + v.chars().count()).sum::<usize>();
    if chars > MAX_LABEL_CHARS { Err(ExemplarError::TooLong) } else { Ok(()) }
}

/// A ring of exemplars: the oldest ones added make room for new ones.
#[derive(Debug, Default)]
pub struct Exemplars {
    capacity: usize,
    ring: Vec<Entry>,
    next: usize,
    /// Places in the ring of each series' exemplars, by time.
    by_series: HashMap<Labels, Vec<usize>>,
    out_of_order_window_ms: i64,
    /// Exemplars added since the start.
    pub appended: u64,
    /// Exemplars refused since the start for their order.
    pub out_of_order: u64,
}

impl Exemplars {
    /// Room for `capacity` exemplars.
    pub fn new(capacity: usize, out_of_order_window_ms: i64) -> Self {
        Self { capacity, out_of_order_window_ms, ..Self::default() }
    }

    /// Most exemplars kept.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Exemplars kept.
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Series with exemplars.
    pub fn series(&self) -> usize {
        self.by_series.len()
    }

    /// Time of the exemplar that will make room next.
    pub fn oldest_added_ms(&self) -> Option<i64> {
        let at = if self.ring.len() < self.capacity { 0 } else { self.next };
        self.ring.get(at).map(|entry| entry.exemplar.timestamp_ms)
    }

    /// Whether an exemplar of `series` would be kept.
    pub fn check(&self, series: &Labels, exemplar: &Exemplar) -> Result<(), ExemplarError> {
        if self.capacity == 0 {
            return Err(ExemplarError::Disabled);
        }
        check_length(exemplar)?;
        let Some(&newest) = self.by_series.get(series).and_then(|places| places.last()) else {
            return Ok(());
        };
        let newest = &self.ring[newest].exemplar;
        let same_time =
            !(newest.has_timestamp && exemplar.has_timestamp) || newest.timestamp_ms == exemplar.timestamp_ms;
        if same_time && newest.labels == exemplar.labels && newest.value.to_bits() == exemplar.value.to_bits()
        {
            return Err(ExemplarError::Duplicate);
        }
        let (t_ms, newest_t_ms) = (exemplar.timestamp_ms, newest.timestamp_ms);
        let too_old = t_ms < newest_t_ms && t_ms <= newest_t_ms.saturating_sub(self.out_of_order_window_ms);
        let lower = t_ms == newest_t_ms
            && (exemplar.value < newest.value
                || exemplar.value == newest.value && exemplar.labels.hash64() < newest.labels.hash64());
        if too_old || lower { Err(ExemplarError::OutOfOrder) } else { Ok(()) }
    }

    /// Keeps an exemplar of `series`.
    pub fn add(&mut self, series: &Labels, exemplar: Exemplar) -> Result<(), ExemplarError> {
        match self.check(series, &exemplar) {
            Err(error @ ExemplarError::OutOfOrder) => {
                self.out_of_order += 1;
                return Err(error);
            }
            other => other?,
        }
        if let Some(places) = self.by_series.get(series)
            && let Some(&newest) = places.last()
            && exemplar.timestamp_ms < self.ring[newest].exemplar.timestamp_ms
            && places.iter().any(|&at| self.ring[at].exemplar.timestamp_ms == exemplar.timestamp_ms)
        {
            return Ok(());
        }
        let place = self.make_room();
        let t_ms = exemplar.timestamp_ms;
        let entry = Entry { series: series.clone(), exemplar };
        if place < self.ring.len() {
            self.ring[place] = entry;
        } else {
            self.ring.push(entry);
        }
        let places = self.by_series.entry(series.clone()).or_default();
        let ring = &self.ring;
        let at = places.partition_point(|&other| ring[other].exemplar.timestamp_ms <= t_ms);
        places.insert(at, place);
        self.next = (place + 1) % self.capacity;
        self.appended += 1;
        Ok(())
    }

    fn make_room(&mut self) -> usize {
        if self.ring.len() < self.capacity {
            return self.ring.len();
        }
        let place = self.next;
        let series = &self.ring[place].series;
        if let Some(places) = self.by_series.get_mut(series) {
            places.retain(|&other| other != place);
            if places.is_empty() {
                self.by_series.remove(series);
            }
        }
        place
    }

    /// Exemplars within `range` of series that match any of the matcher sets, by series, in time order.
    pub fn select(&self, range: TimeRange, matcher_sets: &[Vec<Matcher>]) -> Vec<(Labels, Vec<Exemplar>)> {
        let matches = |labels: &Labels| {
            let all = |set: &Vec<Matcher>| set.iter().all(|m| m.matches(labels.get_or_empty(&m.name)));
            matcher_sets.iter().any(all)
        };
        let mut selected = Vec::new();
        for (series, places) in &self.by_series {
            let within = places.iter().map(|&at| &self.ring[at].exemplar);
            let within: Vec<_> = within.filter(|e| range.contains(e.timestamp_ms)).cloned().collect();
            if !within.is_empty() && matches(series) {
                selected.push((series.clone(), within));
            }
        }
        selected.sort_by(|a, b| a.0.cmp(&b.0));
        selected
    }

    /// All exemplars, oldest added first.
    pub fn iter(&self) -> impl Iterator<Item = (&Labels, &Exemplar)> {
        let (recent, old) = self.ring.split_at(self.next.min(self.ring.len()));
        let entries =
            if self.ring.len() < self.capacity { (&self.ring[..], &self.ring[..0]) } else { (old, recent) };
        entries.0.iter().chain(entries.1).map(|entry| (&entry.series, &entry.exemplar))
    }

    /// Changes the number of exemplars kept; the oldest ones go when it shrinks.
    pub fn resize(&mut self, capacity: usize) {
        let kept: Vec<_> = self.iter().map(|(s, e)| (s.clone(), e.clone())).collect();
        let (appended, out_of_order) = (self.appended, self.out_of_order);
        *self = Self::new(capacity, self.out_of_order_window_ms);
        let skip = kept.len().saturating_sub(capacity);
        for (series, exemplar) in kept.into_iter().skip(skip) {
            // They were accepted before and come in the same order.
            let _ = self.add(&series, exemplar);
        }
        (self.appended, self.out_of_order) = (appended, out_of_order);
    }

    /// Sets how far exemplars may be out of order.
    pub fn set_out_of_order_window_ms(&mut self, window_ms: i64) {
        self.out_of_order_window_ms = window_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exemplar(t_ms: i64, id: &str) -> Exemplar {
        Exemplar {
            labels: Labels::from_pairs([("trace_id", id)]),
            value: 1.0,
            timestamp_ms: t_ms,
            has_timestamp: true,
        }
    }

    #[test]
    fn the_ring_keeps_the_newest_and_refuses_repeats_and_the_past() {
        let mut ring = Exemplars::new(3, 0);
        let (a, b) = (Labels::from_pairs([("s", "a")]), Labels::from_pairs([("s", "b")]));
        ring.add(&a, exemplar(1, "1")).unwrap();
        assert_eq!(ring.add(&a, exemplar(1, "1")), Err(ExemplarError::Duplicate));
        ring.add(&a, exemplar(3, "2")).unwrap();
        assert_eq!(ring.add(&a, exemplar(2, "3")), Err(ExemplarError::OutOfOrder));
        ring.add(&b, exemplar(1, "4")).unwrap();
        ring.add(&b, exemplar(2, "5")).unwrap();
        let matchers = vec![vec![Matcher::equal("s", "a")], vec![Matcher::equal("s", "b")]];
        let selected = ring.select(TimeRange::ALL, &matchers);
        let times: Vec<Vec<i64>> =
            selected.iter().map(|(_, es)| es.iter().map(|e| e.timestamp_ms).collect()).collect();
        assert_eq!(times, [vec![3], vec![1, 2]]);
        let long = exemplar(9, &"x".repeat(121));
        assert_eq!(ring.add(&b, long), Err(ExemplarError::TooLong));
        ring.resize(1);
        assert_eq!(ring.iter().map(|(_, e)| e.timestamp_ms).collect::<Vec<_>>(), [2]);
        assert_eq!((ring.len(), ring.series()), (1, 1));
    }
}
