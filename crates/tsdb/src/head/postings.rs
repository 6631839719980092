//! Sorted lists of series.

use super::table::Slot;

/// The series of one label pair, ascending.
#[derive(Debug, Clone)]
pub enum Postings {
    /// One series, without an allocation: labels unique to a series are common.
    One(Slot),
    /// Any number.
    Many(Vec<Slot>),
}

impl Postings {
    /// The series.
    #[inline]
    pub fn as_slice(&self) -> &[Slot] {
        match self {
            Self::One(slot) => std::slice::from_ref(slot),
            Self::Many(slots) => slots,
        }
    }

    /// Adds a series behind all others. While the log is replayed the order may be broken; then
    /// [`Self::sort`] restores it.
    pub fn push(&mut self, slot: Slot) {
        match self {
            Self::One(first) => *self = Self::Many(vec![*first, slot]),
            Self::Many(slots) => {
                if slots.len() == slots.capacity() {
                    // Doubling would waste more than it saves: there are ten lists for every series.
                    slots.reserve_exact((slots.len() / 4).max(2));
                }
                slots.push(slot);
            }
        }
    }

    /// Restores the order.
    pub fn sort(&mut self) {
        if let Self::Many(slots) = self
            && !slots.is_sorted_by(|a, b| a < b)
        {
            slots.sort_unstable();
            slots.dedup();
        }
    }

    /// Keeps the series for which `keep` is true; false when none is left.
    pub fn retain(&mut self, keep: impl Fn(Slot) -> bool) -> bool {
        match self {
            Self::One(slot) => keep(*slot),
            Self::Many(slots) => {
                slots.retain(|&slot| keep(slot));
                match slots.as_slice() {
                    [] => return false,
                    &[only] => *self = Self::One(only),
                    _ if slots.capacity() > slots.len() * 2 => slots.shrink_to_fit(),
                    _ => {}
                }
                true
            }
        }
    }
}

/// What both sorted lists have. The shorter one drives; the longer one is searched from where the search
/// before ended.
pub fn intersect(a: &[Slot], b: &[Slot]) -> Vec<Slot> {
    let (short, mut long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let mut both = Vec::with_capacity(short.len());
    for &slot in short {
        long = &long[lower_bound(long, slot)..];
        match long.first() {
            Some(&found) if found == slot => both.push(slot),
            Some(_) => {}
            None => break,
        }
    }
    both
}

/// What `a` has and `b` has not; both sorted.
pub fn subtract(a: &mut Vec<Slot>, b: &[Slot]) {
    let mut rest = b;
    a.retain(|&slot| {
        rest = &rest[lower_bound(rest, slot)..];
        rest.first() != Some(&slot)
    });
}

/// The first place whose slot is not below `slot`, found by doubling steps: neighbours are near.
fn lower_bound(slots: &[Slot], slot: Slot) -> usize {
    let mut step = 1;
    while step < slots.len() && slots[step] < slot {
        step *= 2;
    }
    let (from, to) = (step / 2, (step + 1).min(slots.len()));
    from + slots[from..to].partition_point(|&other| other < slot)
}

/// The union of lists that share no series, sorted.
pub fn union_disjoint<'a>(lists: impl Iterator<Item = &'a [Slot]>) -> Vec<Slot> {
    let mut all: Vec<Slot> = Vec::new();
    let mut sorted = true;
    for list in lists {
        sorted &= match (all.last(), list.first()) {
            (Some(last), Some(first)) => last < first,
            _ => true,
        };
        all.extend_from_slice(list);
    }
    if !sorted {
        all.sort_unstable();
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn set_operations_equal_those_of_sets(
            a in prop::collection::btree_set(0_u32..300, 0..100),
            b in prop::collection::btree_set(0_u32..300, 0..100),
        ) {
            let (va, vb): (Vec<_>, Vec<_>) = (a.iter().copied().collect(), b.iter().copied().collect());
            prop_assert_eq!(intersect(&va, &vb), a.intersection(&b).copied().collect::<Vec<_>>());
            let mut difference = va.clone();
            subtract(&mut difference, &vb);
            prop_assert_eq!(difference, a.difference(&b).copied().collect::<Vec<_>>());
        }

        #[test]
        fn postings_hold_what_was_pushed(slots in prop::collection::vec(any::<u32>(), 1..100)) {
            let mut postings = Postings::One(slots[0]);
            slots[1..].iter().for_each(|&slot| postings.push(slot));
            postings.sort();
            let expected: BTreeSet<_> = slots.iter().copied().collect();
            prop_assert!(postings.as_slice().iter().eq(expected.iter()) || slots.len() == 1);
            let any_left = postings.retain(|slot| slot % 2 == 0);
            prop_assert_eq!(any_left, expected.iter().any(|slot| slot % 2 == 0));
        }
    }
}
