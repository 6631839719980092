//! Sets of series, as ascending series references.

/// Stored or computed references.
#[derive(Debug, Clone)]
pub enum Postings<'a> {
    /// Big-endian 32-bit references in a mapped file.
    Stored(&'a [u8]),
    /// Computed ones.
    Owned(Vec<u32>),
}

impl Postings<'_> {
    /// No series.
    pub const EMPTY: Self = Self::Stored(&[]);

    /// Number of series.
    pub fn len(&self) -> usize {
        match self {
            Self::Stored(bytes) => bytes.len() / 4,
            Self::Owned(ids) => ids.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The reference at `i`, which is below the length.
    #[inline]
    fn get(&self, i: usize) -> u32 {
        match self {
            Self::Stored(bytes) => {
                u32::from_be_bytes([bytes[i * 4], bytes[i * 4 + 1], bytes[i * 4 + 2], bytes[i * 4 + 3]])
            }
            Self::Owned(ids) => ids[i],
        }
    }

    /// The first place from `from` on whose reference is not below `target`: doubling steps, so that a
    /// short list skips through a long one.
    #[inline]
    fn seek(&self, from: usize, target: u32) -> usize {
        let len = self.len();
        let (mut low, mut step) = (from, 1);
        while low + step < len && self.get(low + step) < target {
            low += step;
            step *= 2;
        }
        let mut high = (low + step).min(len);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle) < target { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Calls `visit` with every reference.
    #[inline]
    pub fn for_each(&self, mut visit: impl FnMut(u32)) {
        match self {
            Self::Stored(bytes) => {
                let (quads, _) = bytes.as_chunks::<4>();
                quads.iter().for_each(|quad| visit(u32::from_be_bytes(*quad)));
            }
            Self::Owned(ids) => ids.iter().for_each(|&id| visit(id)),
        }
    }

    /// The references.
    pub fn into_vec(self) -> Vec<u32> {
        match self {
            Self::Owned(ids) => ids,
            stored => {
                let mut ids = Vec::with_capacity(stored.len());
                stored.for_each(|id| ids.push(id));
                ids
            }
        }
    }
}

/// The series in all lists. No list at all means no series.
pub fn intersect(mut lists: Vec<Postings<'_>>) -> Vec<u32> {
    lists.sort_by_key(Postings::len);
    let mut lists = lists.into_iter();
    let Some(shortest) = lists.next() else { return Vec::new() };
    let mut ids = shortest.into_vec();
    for other in lists {
        let mut at = 0;
        ids.retain(|&id| {
            at = other.seek(at, id);
            at < other.len() && other.get(at) == id
        });
    }
    ids
}

/// The series in any list.
pub fn union(lists: Vec<Postings<'_>>) -> Vec<u32> {
    let total: usize = lists.iter().map(Postings::len).sum();
    if lists.len() == 1 {
        return lists.into_iter().next().map(Postings::into_vec).unwrap_or_default();
    }
    let (mut lowest, mut highest) = (u32::MAX, 0);
    for list in lists.iter().filter(|list| !list.is_empty()) {
        lowest = lowest.min(list.get(0));
        highest = highest.max(list.get(list.len() - 1));
    }
    if lowest > highest {
        return Vec::new();
    }
    let span = (highest - lowest) as usize + 1;
    // A bit for every reference between beats sorting once a sixty-fourth of them is set.
    if total > span / 64 {
        return union_by_bitmap(&lists, lowest, span, total);
    }
    let mut ids = Vec::with_capacity(total);
    lists.iter().for_each(|list| list.for_each(|id| ids.push(id)));
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn union_by_bitmap(lists: &[Postings<'_>], lowest: u32, span: usize, total: usize) -> Vec<u32> {
    let mut words = vec![0_u64; span.div_ceil(64)];
    for list in lists {
        list.for_each(|id| {
            // A damaged list may not ascend; its ends then do not bound it.
            let bit = id.wrapping_sub(lowest) as usize;
            if let Some(word) = words.get_mut(bit / 64) {
                *word |= 1 << (bit % 64);
            }
        });
    }
    let mut ids = Vec::with_capacity(total);
    for (i, &word) in words.iter().enumerate() {
        let mut left = word;
        while left != 0 {
            ids.push(lowest + (i * 64) as u32 + left.trailing_zeros());
            left &= left - 1;
        }
    }
    ids
}

/// The series of `ids` that are not in `unwanted`.
pub fn without(mut ids: Vec<u32>, unwanted: &Postings<'_>) -> Vec<u32> {
    let mut at = 0;
    ids.retain(|&id| {
        at = unwanted.seek(at, id);
        at >= unwanted.len() || unwanted.get(at) != id
    });
    ids
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn encoded(ids: &BTreeSet<u32>) -> Vec<u8> {
        ids.iter().flat_map(|id| id.to_be_bytes()).collect()
    }

    proptest! {
        #[test]
        fn algebra_is_that_of_sets(
            sets in proptest::collection::vec(proptest::collection::btree_set(0..3000_u32, 0..200), 1..5),
            sparse in proptest::collection::btree_set(any::<u32>(), 0..50),
        ) {
            let stored: Vec<_> = sets.iter().map(encoded).collect();
            let lists = || stored.iter().map(|bytes| Postings::Stored(bytes)).collect::<Vec<_>>();
            let common = sets.iter().skip(1).fold(sets[0].clone(), |a, b| &a & b);
            prop_assert_eq!(intersect(lists()), common.iter().copied().collect::<Vec<_>>());
            let any = sets.iter().fold(BTreeSet::new(), |a, b| &a | b);
            prop_assert_eq!(union(lists()), any.iter().copied().collect::<Vec<_>>());
            let sparse_bytes = encoded(&sparse);
            let mut with_sparse = lists();
            with_sparse.push(Postings::Stored(&sparse_bytes));
            prop_assert_eq!(union(with_sparse), (&any | &sparse).iter().copied().collect::<Vec<_>>());
            let rest = sets.iter().skip(1).fold(sets[0].clone(), |a, b| &a - b);
            let computed = lists().iter().skip(1).fold(sets[0].iter().copied().collect(), without);
            prop_assert_eq!(computed, rest.iter().copied().collect::<Vec<_>>());
        }
    }
}
