//! Several sources of series seen as one.

use base::Reservation;
use hashbrown::HashMap;
use model::context::QueryStop;
use model::{
    CounterResetHint, Labels, Projection, QueryContext, RawChunk, SampleColumns, SeriesSet, SourceError,
    TimeRange,
};
use rayon::prelude::*;

use crate::identity::{SeriesHash, hash_labels};

/// A series of one part in a [`MergedSet`]: a member, and where a group begins.
const MEMBER_BYTES: usize = size_of::<(u32, u32)>() + size_of::<u32>();
/// What it takes on top while series are told apart: its hash in a list and in a table, and its group's number.
const MERGING_BYTES: usize = MEMBER_BYTES + 4 * size_of::<SeriesHash>() + size_of::<u32>();
/// Series whose labels are made at once to be sorted.
const SORTED_AT_ONCE: usize = 16 << 10;
/// What a label set takes beside its text.
const LABELS_BYTES: usize = 32;

/// One source of a [`MergedSet`].
pub struct Part {
    /// Its series, with all labels.
    pub set: Box<dyn SeriesSet>,
    /// What each series is recognised by in other sources.
    pub hashes: Vec<SeriesHash>,
    /// No sample of it is later.
    pub end_ms: i64,
}

impl Part {
    /// A source that knows its series by their labels alone.
    pub fn of(set: Box<dyn SeriesSet>, end_ms: i64) -> Self {
        let hash = |i| hash_labels(set.labels(i).iter());
        let hashes = (0..set.len()).into_par_iter().map(hash).collect();
        Self { set, hashes, end_ms }
    }
}

/// The union of several sets: a series that is in more than one is read from all of them.
pub struct MergedSet {
    parts: Vec<Part>,
    /// Part and index there, grouped by series, in the order of the parts.
    members: Vec<(u32, u32)>,
    /// Where in `members` each series begins; one more at the end.
    starts: Vec<u32>,
    projection: Projection,
    memory: Reservation,
}

impl std::fmt::Debug for MergedSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MergedSet").field("parts", &self.parts.len()).field("series", &self.len()).finish()
    }
}

impl MergedSet {
    /// Joins sets. Of samples at the same time that of the earlier part wins. `limit` 0 means all.
    pub fn new(
        mut parts: Vec<Part>,
        projection: Projection,
        sorted: bool,
        limit: usize,
        ctx: &QueryContext,
    ) -> Result<Self, SourceError> {
        let total: usize = parts.iter().map(|part| part.set.len()).sum();
        let memory = ctx.reserve(total * MERGING_BYTES)?;
        let mut groups = Groups::default();
        let mut group_of: Vec<Vec<u32>> = Vec::with_capacity(parts.len());
        for part in &mut parts {
            ctx.check("merging series")?;
            group_of.push(groups.number(&std::mem::take(&mut part.hashes)));
        }
        let (members, starts) = group_members(&group_of, groups.in_order.len());
        drop((group_of, groups));
        let mut merged = Self { parts, members, starts, projection, memory };
        merged.memory.shrink_to(total * MEMBER_BYTES);
        if sorted {
            merged.sort(ctx)?;
        }
        if limit > 0 && merged.len() > limit {
            merged.starts.truncate(limit + 1);
        }
        Ok(merged)
    }

    fn sort(&mut self, ctx: &QueryContext) -> Result<(), SourceError> {
        let mut memory =
            ctx.reserve(self.len() * size_of::<(Labels, u32)>() + self.members.len() * MEMBER_BYTES)?;
        let mut order: Vec<(Labels, u32)> = Vec::with_capacity(self.len());
        for first in (0..self.len()).step_by(SORTED_AT_ONCE) {
            let numbers = first..self.len().min(first + SORTED_AT_ONCE);
            order.par_extend(numbers.into_par_iter().map(|i| (self.full_labels(i), i as u32)));
            let bytes = order[first..].iter().map(|(labels, _)| labels.as_bytes().len() + LABELS_BYTES).sum();
            memory.grow(bytes).map_err(QueryStop::from)?;
        }
        order.par_sort_unstable();
        let mut members = Vec::with_capacity(self.members.len());
        let mut starts = Vec::with_capacity(self.starts.len());
        for (_, i) in order {
            starts.push(members.len() as u32);
            members.extend_from_slice(self.members_of(i as usize));
        }
        starts.push(members.len() as u32);
        (self.members, self.starts) = (members, starts);
        Ok(())
    }

    fn members_of(&self, i: usize) -> &[(u32, u32)] {
        &self.members[self.starts[i] as usize..self.starts[i + 1] as usize]
    }

    fn full_labels(&self, i: usize) -> Labels {
        let (part, index) = self.members_of(i)[0];
        self.parts[part as usize].set.labels(index as usize)
    }
}

/// Numbers series in the order they first come in.
#[derive(Default)]
struct Groups {
    in_order: Vec<SeriesHash>,
    known: HashMap<SeriesHash, u32>,
}

impl Groups {
    /// The number of each series of one part.
    fn number(&mut self, hashes: &[SeriesHash]) -> Vec<u32> {
        // Parts list what they have in common in the same order: mostly the next one is the next known one.
        let mut expected = 0;
        let number = |hash: &SeriesHash| {
            let group = match self.in_order.get(expected) {
                Some(known) if known == hash => expected as u32,
                _ => {
                    let next = self.in_order.len() as u32;
                    let group = *self.known.entry(*hash).or_insert(next);
                    if group == next {
                        self.in_order.push(*hash);
                    }
                    group
                }
            };
            expected = group as usize + 1;
            group
        };
        hashes.iter().map(number).collect()
    }
}

/// Lists the members of each group, and where each group begins.
fn group_members(group_of: &[Vec<u32>], groups: usize) -> (Vec<(u32, u32)>, Vec<u32>) {
    let mut starts = vec![0_u32; groups + 1];
    for &group in group_of.iter().flatten() {
        starts[group as usize + 1] += 1;
    }
    for i in 0..groups {
        starts[i + 1] += starts[i];
    }
    let mut next = starts.clone();
    let mut members = vec![(0, 0); group_of.iter().map(Vec::len).sum()];
    for (part, ids) in group_of.iter().enumerate() {
        for (i, &group) in ids.iter().enumerate() {
            members[next[group as usize] as usize] = (part as u32, i as u32);
            next[group as usize] += 1;
        }
    }
    (members, starts)
}

impl SeriesSet for MergedSet {
    fn len(&self) -> usize {
        self.starts.len() - 1
    }

    fn labels(&self, i: usize) -> Labels {
        let labels = self.full_labels(i);
        match &self.projection {
            Projection::All => labels,
            Projection::Only(names) => labels.keep(names),
            Projection::Without(names) => labels.drop(names),
        }
    }

    fn visit_labels(&self, i: usize, visit: &mut dyn FnMut(&str, &str)) {
        let (part, index) = self.members_of(i)[0];
        let visit_projected: &mut dyn FnMut(&str, &str) = match &self.projection {
            Projection::All => visit,
            Projection::Only(names) => &mut |name, value| {
                if names.iter().any(|k| k == name) {
                    visit(name, value);
                }
            },
            Projection::Without(names) => &mut |name, value| {
                if !names.iter().any(|k| k == name) {
                    visit(name, value);
                }
            },
        };
        self.parts[part as usize].set.visit_labels(index as usize, visit_projected);
    }

    fn read(
        &self,
        i: usize,
        range: TimeRange,
        out: &mut SampleColumns,
        ctx: &QueryContext,
    ) -> Result<(), SourceError> {
        let first = out.len();
        for &(part, index) in self.members_of(i) {
            let before = out.len();
            self.parts[part as usize].set.read(index as usize, range, out, ctx)?;
            let overlaps = before > first && out.len() > before;
            if overlaps && out.timestamps_ms[before] <= out.timestamps_ms[before - 1] {
                interleave(out, first, before);
            }
        }
        Ok(())
    }

    fn read_last(
        &self,
        i: usize,
        range: TimeRange,
        out: &mut SampleColumns,
        ctx: &QueryContext,
    ) -> Result<(), SourceError> {
        let mut best = SampleColumns::default();
        let mut one = SampleColumns::default();
        for &(part, index) in self.members_of(i).iter().rev() {
            let part = &self.parts[part as usize];
            // Earlier parts win ties, so only parts that end before the best sample can be left out.
            if best.timestamps_ms.first().is_some_and(|&t_ms| part.end_ms < t_ms) {
                continue;
            }
            one.clear();
            part.set.read_last(index as usize, range, &mut one, ctx)?;
            if one.timestamps_ms.first() >= best.timestamps_ms.first() {
                std::mem::swap(&mut one, &mut best);
            }
        }
        if !best.is_empty() {
            push_from(out, &best, 0, false);
        }
        Ok(())
    }

    fn chunks(
        &self,
        i: usize,
        range: TimeRange,
        ctx: &QueryContext,
    ) -> Result<Option<Vec<RawChunk>>, SourceError> {
        let mut all = Vec::new();
        for &(part, index) in self.members_of(i) {
            match self.parts[part as usize].set.chunks(index as usize, range, ctx)? {
                Some(chunks) => all.extend(chunks),
                None => return Ok(None),
            }
        }
        Ok(Some(crate::rechunk::join(all).map_err(|error| SourceError::Corruption(error.to_string()))?))
    }

    fn warnings(&self) -> Vec<String> {
        self.parts.iter().flat_map(|part| part.set.warnings()).collect()
    }
}

/// Joins the ascending runs `first..middle` and `middle..` into one. Of samples at the same time that
/// of the first run stays.
fn interleave(out: &mut SampleColumns, first: usize, middle: usize) {
    let second = split_off(out, middle);
    let first_run = split_off(out, first);
    let (mut a, mut b) = (0, 0);
    let mut last_was_b = None;
    loop {
        let (ta, tb) = (first_run.timestamps_ms.get(a), second.timestamps_ms.get(b));
        let take_b = match (ta, tb) {
            (None, None) => return,
            (Some(ta), Some(tb)) if ta == tb => {
                b += 1;
                false
            }
            (Some(ta), Some(tb)) => tb < ta,
            (None, Some(_)) => true,
            (Some(_), None) => false,
        };
        // Whether counters were reset is known within a run only.
        let switched = last_was_b.is_some_and(|last| last != take_b);
        last_was_b = Some(take_b);
        if take_b {
            push_from(out, &second, b, switched);
            b += 1;
        } else {
            push_from(out, &first_run, a, switched);
            a += 1;
        }
    }
}

fn push_from(out: &mut SampleColumns, from: &SampleColumns, i: usize, forget_hint: bool) {
    match from.histogram(i) {
        Some(h) if forget_hint && h.counter_reset_hint == CounterResetHint::NotCounterReset => {
            let mut h = model::FloatHistogram::clone(h);
            h.counter_reset_hint = CounterResetHint::Unknown;
            out.push_histogram(from.timestamps_ms[i], h.into());
        }
        Some(h) => out.push_histogram(from.timestamps_ms[i], h.clone()),
        None => out.push_float(from.timestamps_ms[i], from.values[i]),
    }
    out.set_last_start_timestamp(from.start_timestamp_ms(i));
}

fn split_off(columns: &mut SampleColumns, at: usize) -> SampleColumns {
    fn tail<T>(column: &mut Vec<T>, at: usize) -> Vec<T> {
        if column.is_empty() { Vec::new() } else { column.split_off(at) }
    }
    SampleColumns {
        timestamps_ms: columns.timestamps_ms.split_off(at),
        values: columns.values.split_off(at),
        histograms: tail(&mut columns.histograms, at),
        start_timestamps_ms: tail(&mut columns.start_timestamps_ms, at),
    }
}

/// The union of sorted lists, at most `limit` long when that is not 0.
pub fn merge_sorted(lists: Vec<Vec<String>>, limit: usize) -> Vec<String> {
    let mut lists = lists.into_iter();
    let Some(mut merged) = lists.next() else { return Vec::new() };
    for list in lists {
        merged.extend(list);
    }
    merged.sort();
    merged.dedup();
    if limit > 0 {
        merged.truncate(limit);
    }
    merged
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::block::tests::{block_of, contents, series};
    use model::{Matcher, SelectRequest, SeriesSource};

    fn merged(blocks: &[crate::block::Block], request: &SelectRequest) -> MergedSet {
        let ctx = QueryContext::unbounded();
        let full = SelectRequest { projection: Projection::All, limit: 0, ..request.clone() };
        let part = |b: &crate::block::Block| b.select_part(&full, &ctx).unwrap();
        let parts = blocks.iter().map(part).collect();
        MergedSet::new(parts, request.projection.clone(), request.sorted, request.limit, &ctx).unwrap()
    }

    struct Both(Vec<crate::block::Block>);

    impl SeriesSource for Both {
        fn select(&self, r: &SelectRequest, _: &QueryContext) -> Result<Box<dyn SeriesSet>, SourceError> {
            Ok(Box::new(merged(&self.0, r)))
        }
        fn label_names(&self, _: &model::LabelRequest, _: &QueryContext) -> Result<Vec<String>, SourceError> {
            Ok(Vec::new())
        }
        fn label_values(
            &self,
            _: &str,
            _: &model::LabelRequest,
            _: &QueryContext,
        ) -> Result<Vec<String>, SourceError> {
            Ok(Vec::new())
        }
        fn exemplars(
            &self,
            _: TimeRange,
            _: &[Vec<Matcher>],
            _: &QueryContext,
        ) -> Result<Vec<(Labels, Vec<model::Exemplar>)>, SourceError> {
            Ok(Vec::new())
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn the_union_has_every_sample_once_and_the_earlier_part_wins(
            parts in proptest::collection::vec(
                proptest::collection::btree_map(0..6_u8, proptest::collection::btree_set(0..100_i64, 1..30), 1..5), 1..4),
            range in (0..100_i64, 0..100_i64),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let labels = |n: u8| Labels::from_pairs([("__name__", format!("m{n}"))]);
            let mut wanted = std::collections::BTreeMap::<Labels, std::collections::BTreeMap<i64, f64>>::new();
            let mut blocks = Vec::new();
            let range = TimeRange::new(range.0.min(range.1), range.0.max(range.1));
            for (p, part) in parts.iter().enumerate() {
                let mut all = Vec::new();
                for (&n, times) in part {
                    let samples: Vec<_> = times.iter().map(|&t| (t, (p * 1000) as f64 + t as f64)).collect();
                    for &(t, v) in samples.iter().filter(|s| range.contains(s.0)) {
                        wanted.entry(labels(n)).or_default().entry(t).or_insert(v);
                    }
                    all.push(series(&labels(n), &samples));
                }
                blocks.push(block_of(dir.path(), p as u64 + 1, (0, 100), all));
            }
            let all = vec![Matcher::new(model::MatchOp::Regex, "__name__", "m.*").unwrap()];
            let mut found = contents(&Both(blocks), all, range);
            found.retain(|_, samples| !samples.is_empty());
            let wanted: crate::block::tests::Contents =
                wanted.into_iter().map(|(l, samples)| (l, samples.into_iter().collect())).collect();
            prop_assert_eq!(found, wanted);
        }
    }

    #[test]
    fn sorted_and_limited_sets_are_in_label_order() {
        let dir = tempfile::tempdir().unwrap();
        let labels = |n: u8| Labels::from_pairs([("__name__", format!("m{n}"))]);
        let block = |number, names: &[u8]| {
            block_of(
                dir.path(),
                number,
                (0, 10),
                names.iter().map(|&n| series(&labels(n), &[(1, 1.0)])).collect(),
            )
        };
        let blocks = [block(1, &[5, 3]), block(2, &[4, 1, 3])];
        let matchers = vec![Matcher::new(model::MatchOp::NotEqual, "__name__", "").unwrap()];
        let request = SelectRequest {
            range: TimeRange::ALL,
            matchers,
            projection: Projection::All,
            sorted: true,
            limit: 3,
        };
        let set = merged(&blocks, &request);
        let names: Vec<_> = (0..set.len()).map(|i| set.labels(i).metric_name().to_owned()).collect();
        assert_eq!(names, ["m1", "m3", "m4"]);
    }

    #[test]
    fn a_hint_is_forgotten_where_runs_are_interleaved() {
        let hint =
            |h| std::sync::Arc::new(model::FloatHistogram { counter_reset_hint: h, ..Default::default() });
        let mut out = SampleColumns::default();
        for t_ms in [10, 30, 20] {
            out.push_histogram(t_ms, hint(CounterResetHint::NotCounterReset));
        }
        interleave(&mut out, 0, 2);
        let hints: Vec<_> = out.histograms.iter().flatten().map(|h| h.counter_reset_hint).collect();
        assert_eq!(out.timestamps_ms, [10, 20, 30]);
        let (known, unknown) = (CounterResetHint::NotCounterReset, CounterResetHint::Unknown);
        assert_eq!(hints, [known, unknown, unknown]);
    }

    #[test]
    fn sorted_lists_join_without_repetition() {
        let lists = vec![vec!["a".to_owned(), "c".into()], vec!["b".into(), "c".into()]];
        assert_eq!(merge_sorted(lists.clone(), 0), ["a", "b", "c"]);
        assert_eq!(merge_sorted(lists, 2), ["a", "b"]);
    }
}
