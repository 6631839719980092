//! Dividing series into groups by some of their labels. Done once per query.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use model::{Labels, METRIC_NAME};
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::env::{Env, HeldBytes};
use super::error::EvalResult;
use super::operator::Operator;
use super::plan::Grouping;

/// Which group each series belongs to. Groups are numbered by their first series.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// The group of each series.
    pub of_series: Vec<u32>,
    /// The first series of each group.
    pub first_series: Vec<usize>,
    _held: Option<HeldBytes>,
}

impl Groups {
    /// All of `series` series in one group; `of_series` stays empty.
    pub fn single(series: usize) -> Self {
        let first_series = if series > 0 { vec![0] } else { Vec::new() };
        Self { of_series: Vec::new(), first_series, _held: None }
    }
}

/// Groups of the series on two sides.
#[derive(Debug)]
pub(crate) struct BothGroups {
    /// The group of each series on the left.
    pub of_lhs: Vec<u32>,
    /// The group of each series on the right.
    pub of_rhs: Vec<u32>,
    /// Number of groups.
    pub count: usize,
    _held: HeldBytes,
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

/// The key that tells label sets apart.
pub(crate) struct AllLabels;

impl GroupKey for AllLabels {
    fn takes(&self, _at: &mut usize, _name: &str) -> bool {
        true
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
const CHUNK: usize = 2048;
/// What grouping a chunk takes for each of its series at most: number, key, and place in a table that grows.
const CHUNK_SERIES_BYTES: usize = 160;

/// Groups the series of `operator` by `key`.
pub(crate) fn group_series(env: &Env, operator: &dyn Operator, key: &impl GroupKey) -> EvalResult<Groups> {
    let mut numbering = Numbering::new(env)?;
    let of_series = numbering.number(env, operator, key)?;
    let (first_series, held) = numbering.finish();
    Ok(Groups { of_series, first_series, _held: Some(held) })
}

/// Groups the series of two operators by one `key`.
pub(crate) fn group_both(
    env: &Env,
    lhs: &dyn Operator,
    rhs: &dyn Operator,
    key: &impl GroupKey,
) -> EvalResult<BothGroups> {
    let mut numbering = Numbering::new(env)?;
    let of_lhs = numbering.number(env, lhs, key)?;
    let of_rhs = numbering.number(env, rhs, key)?;
    let (first_series, held) = numbering.finish();
    Ok(BothGroups { of_lhs, of_rhs, count: first_series.len(), _held: held })
}

/// The hash of a group's key. 128 bits under a seed of the query's own: two keys of one query never have
/// the same, and nobody can choose labels so that they do.
pub(crate) type KeyHash = u128;

/// Makes the hashes of keys.
#[derive(Debug, Clone)]
pub(crate) struct KeyHasher {
    seed: u64,
    buffer: Vec<u8>,
}

impl KeyHasher {
    fn new() -> Self {
        Self { seed: RandomState::new().hash_one(0_u64), buffer: Vec::new() }
    }

    /// The hash of the key of series `i`.
    pub fn hash(&mut self, operator: &dyn Operator, key: &impl GroupKey, i: usize) -> KeyHash {
        self.buffer.clear();
        let mut at = 0;
        operator.visit_labels(i, &mut |name, value| {
            if key.takes(&mut at, name) {
                append_pair(name, value, &mut self.buffer);
            }
        });
        xxh3_128_with_seed(&self.buffer, self.seed)
    }

    /// The hash of a label set.
    pub fn hash_labels(&self, labels: &Labels) -> KeyHash {
        xxh3_128_with_seed(labels.as_bytes(), self.seed)
    }
}

/// Whether the hashes of `0..len` all differ.
pub(crate) fn all_differ(
    env: &Env,
    len: usize,
    hash: impl Fn(usize, &mut KeyHasher) -> KeyHash + Sync,
) -> EvalResult<bool> {
    let _held = HeldBytes::of(env, len * size_of::<KeyHash>())?;
    let mut hasher = KeyHasher::new();
    let mut hashes: Vec<KeyHash> = Vec::with_capacity(len);
    if len <= CHUNK {
        hashes.extend((0..len).map(|i| hash(i, &mut hasher)));
        hashes.sort_unstable();
    } else {
        let of_all = (0..len).into_par_iter().with_min_len(CHUNK / 2);
        hashes.par_extend(of_all.map_with(hasher, |hasher, i| hash(i, hasher)));
        hashes.par_sort_unstable();
    }
    Ok(hashes.windows(2).all(|pair| pair[0] != pair[1]))
}

/// Numbers groups in the order of their first series.
struct Numbering {
    known: HashMap<KeyHash, u32>,
    first_series: Vec<usize>,
    hasher: KeyHasher,
    /// Bytes of `known`.
    held_known: HeldBytes,
    /// Bytes of everything that remains.
    held: HeldBytes,
}

impl Numbering {
    fn new(env: &Env) -> EvalResult<Self> {
        Ok(Self {
            known: HashMap::new(),
            first_series: Vec::new(),
            hasher: KeyHasher::new(),
            held_known: HeldBytes::new(env)?,
            held: HeldBytes::new(env)?,
        })
    }

    /// The first series of each group.
    fn finish(self) -> (Vec<usize>, HeldBytes) {
        (self.first_series, self.held)
    }

    fn number(&mut self, env: &Env, operator: &dyn Operator, key: &impl GroupKey) -> EvalResult<Vec<u32>> {
        let series = operator.len();
        self.held.add(series * size_of::<u32>())?;
        let mut of_series = Vec::with_capacity(series);
        // As many chunks at once as there are threads, so that what they take does not grow with the series.
        let wave = CHUNK * rayon::current_num_threads().max(1);
        let _working = HeldBytes::of(env, wave.min(series) * CHUNK_SERIES_BYTES)?;
        for first in (0..series).step_by(wave) {
            env.check()?;
            let wave = first..(first + wave).min(series);
            if wave.len() <= CHUNK {
                let chunk = LocalGroups::new(operator, key, wave, &mut self.hasher);
                self.add(chunk, &mut of_series)?;
                continue;
            }
            let chunks: Vec<LocalGroups> = (0..wave.len().div_ceil(CHUNK))
                .into_par_iter()
                .map_with(self.hasher.clone(), |hasher, chunk| {
                    let from = wave.start + chunk * CHUNK;
                    LocalGroups::new(operator, key, from..(from + CHUNK).min(wave.end), hasher)
                })
                .collect();
            for chunk in chunks {
                self.add(chunk, &mut of_series)?;
            }
        }
        Ok(of_series)
    }

    fn add(&mut self, chunk: LocalGroups, of_series: &mut Vec<u32>) -> EvalResult<()> {
        // Chunks that bring nothing new are the rule where groups are few.
        let new = chunk.keys.iter().filter(|(key, _)| !self.known.contains_key(key)).count();
        if new > 0 {
            self.held_known.make_table_room(&mut self.known, new)?;
            self.held.make_room(&mut self.first_series, new)?;
        }
        let global: Vec<u32> = chunk.keys.into_iter().map(|(key, first)| self.group(key, first)).collect();
        of_series.extend(chunk.of_series.iter().map(|&local| global[local as usize]));
        Ok(())
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
    fn new(
        operator: &dyn Operator,
        key: &impl GroupKey,
        range: std::ops::Range<usize>,
        hasher: &mut KeyHasher,
    ) -> Self {
        let mut groups = Self { of_series: Vec::with_capacity(range.len()), keys: Vec::new() };
        let mut known: HashMap<KeyHash, u32> = HashMap::new();
        // Neighbours in the storage's order often share a group.
        let mut last: Option<(KeyHash, u32)> = None;
        for i in range {
            let hash = hasher.hash(operator, key, i);
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
