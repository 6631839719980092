//! Dividing series into groups by some of their labels. Done once per query.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use model::{Labels, METRIC_NAME};
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::operator::Operator;
use super::plan::Grouping;

/// Which group each series belongs to. Groups are numbered by their first series.
#[derive(Debug, Clone, Default)]
pub(crate) struct Groups {
    /// The group of each series.
    pub of_series: Vec<u32>,
    /// The first series of each group.
    pub first_series: Vec<usize>,
}

/// The part of a label set by which series are grouped.
pub(crate) trait GroupKey: Sync {
    /// Whether the label `name` belongs to the key. Asked for a series' labels in the order of names;
    /// `at` begins at 0 for each series and is the key's to use.
    fn takes(&self, at: &mut usize, name: &str) -> bool;
}

impl GroupKey for Grouping {
    fn takes(&self, at: &mut usize, name: &str) -> bool {
        if self.without {
            name != METRIC_NAME && !is_among(&self.labels, at, name)
        } else {
            is_among(&self.labels, at, name)
        }
    }
}

/// Whether `name` is among `names`, which are sorted; `at` moves along them from one name to the next.
pub(crate) fn is_among(names: &[String], at: &mut usize, name: &str) -> bool {
    while names.get(*at).is_some_and(|n| n.as_str() < name) {
        *at += 1;
    }
    names.get(*at).is_some_and(|n| n == name)
}

/// Appends what tells one label from every other.
pub(crate) fn append_pair(name: &str, value: &str, key: &mut Vec<u8>) {
    for text in [name, value] {
        key.extend_from_slice(&(text.len() as u32).to_le_bytes());
        key.extend_from_slice(text.as_bytes());
    }
}

impl Grouping {
    /// Whether all series form one group.
    pub fn is_single(&self) -> bool {
        !self.without && self.labels.is_empty()
    }

    /// The labels of the group of a series.
    pub fn labels_of(&self, labels: &Labels) -> Labels {
        if self.without {
            let kept = |name: &str| {
                name != METRIC_NAME && self.labels.binary_search_by(|l| l.as_str().cmp(name)).is_err()
            };
            Labels::from_sorted(labels.iter().filter(|(name, _)| kept(name)))
        } else {
            labels.keep(&self.labels)
        }
    }
}

/// Series handled by one task when keys are computed in parallel.
const CHUNK: usize = 8192;

/// Groups the series of `operator` by `key`.
pub(crate) fn group_series(operator: &dyn Operator, key: &impl GroupKey) -> Groups {
    let mut numbering = Numbering::default();
    let of_series = numbering.number(operator, key);
    Groups { of_series, first_series: numbering.first_series }
}

/// Groups the series of two operators by one `key`: the group of each series on either side, and the
/// number of groups.
pub(crate) fn group_both(
    lhs: &dyn Operator,
    rhs: &dyn Operator,
    key: &impl GroupKey,
) -> (Vec<u32>, Vec<u32>, usize) {
    let mut numbering = Numbering::default();
    let of_lhs = numbering.number(lhs, key);
    let of_rhs = numbering.number(rhs, key);
    (of_lhs, of_rhs, numbering.first_series.len())
}

/// The hash of a group's key. 128 bits under a seed of the query's own: two keys of one query never have
/// the same, and nobody can choose labels so that they do.
pub(crate) type KeyHash = u128;

/// Numbers groups in the order of their first series.
struct Numbering {
    known: HashMap<KeyHash, u32>,
    first_series: Vec<usize>,
    seed: u64,
}

impl Default for Numbering {
    fn default() -> Self {
        let seed = RandomState::new().hash_one(0_u64);
        Self { known: HashMap::new(), first_series: Vec::new(), seed }
    }
}

impl Numbering {
    fn number(&mut self, operator: &dyn Operator, key: &impl GroupKey) -> Vec<u32> {
        let series = operator.len();
        let chunk_range = |chunk: usize| chunk * CHUNK..((chunk + 1) * CHUNK).min(series);
        let seed = self.seed;
        let chunks: Vec<LocalGroups> = if series <= CHUNK {
            vec![LocalGroups::new(operator, key, 0..series, self.seed)]
        } else {
            let chunks = (0..series.div_ceil(CHUNK)).into_par_iter();
            chunks.map(|chunk| LocalGroups::new(operator, key, chunk_range(chunk), seed)).collect()
        };
        let mut of_series = Vec::with_capacity(series);
        for chunk in chunks {
            let global: Vec<u32> =
                chunk.keys.into_iter().map(|(key, first)| self.group(key, first)).collect();
            of_series.extend(chunk.of_series.iter().map(|&local| global[local as usize]));
        }
        of_series
    }

    fn group(&mut self, key: KeyHash, first: usize) -> u32 {
        let next = self.first_series.len() as u32;
        let group = *self.known.entry(key).or_insert(next);
        if group == next {
            self.first_series.push(first);
        }
        group
    }
}

/// The groups of a run of series, numbered for themselves.
struct LocalGroups {
    of_series: Vec<u32>,
    /// The key and the first series of each group.
    keys: Vec<(KeyHash, usize)>,
}

impl LocalGroups {
    fn new(operator: &dyn Operator, key: &impl GroupKey, range: std::ops::Range<usize>, seed: u64) -> Self {
        let mut groups = Self { of_series: Vec::with_capacity(range.len()), keys: Vec::new() };
        let mut known: HashMap<KeyHash, u32> = HashMap::new();
        let mut buffer = Vec::with_capacity(256);
        // Neighbours in the storage's order often share a group.
        let mut last: Option<(KeyHash, u32)> = None;
        for i in range {
            buffer.clear();
            let mut at = 0;
            operator.visit_labels(i, &mut |name, value| {
                if key.takes(&mut at, name) {
                    append_pair(name, value, &mut buffer);
                }
            });
            let hash = xxh3_128_with_seed(&buffer, seed);
            let group = match last {
                Some((of_last, group)) if of_last == hash => group,
                _ => *known.entry(hash).or_insert_with(|| {
                    groups.keys.push((hash, i));
                    groups.keys.len() as u32 - 1
                }),
            };
            last = Some((hash, group));
            groups.of_series.push(group);
        }
        groups
    }
}
