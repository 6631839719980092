//! Which blocks to compact next, by the rules of the reference.

use ulid::Ulid;

use crate::block::meta::{BlockMeta, PARTIAL_HINTS};

/// Share of deleted intervals, per series, above which a large block is rewritten.
const TOMBSTONE_SHARE: f64 = 0.05;
/// Each range of compacted blocks is this many times the one before.
const RANGE_FACTOR: i64 = 3;
/// How many ranges there are at most.
const RANGE_COUNT: usize = 10;

/// The widths of blocks, ascending: `min_ms`, and threefold widths up to `max_ms`.
pub fn block_ranges(min_ms: i64, max_ms: i64) -> Vec<i64> {
    let widths = std::iter::successors(Some(min_ms), |width| width.checked_mul(RANGE_FACTOR));
    let mut ranges: Vec<i64> = widths.take(RANGE_COUNT).take_while(|&width| width <= max_ms).collect();
    if ranges.is_empty() {
        ranges.push(min_ms);
    }
    ranges
}

/// The blocks to join next, by time; empty when there is nothing to do.
///
/// Overlapping blocks come first. Then, leaving out the newest block so that a user may copy it,
/// neighbours that fill a range of the next width, and last large blocks with many deletions.
pub fn plan(metas: &[BlockMeta], ranges: &[i64], join_overlaps: bool) -> Vec<Ulid> {
    // Blocks of some series only must stay recognisable, so they are joined with their like.
    let class =
        |meta: &BlockMeta| PARTIAL_HINTS.iter().position(|hint| meta.has_hint(hint)).map_or(0, |i| i + 1);
    for wanted in 0..=PARTIAL_HINTS.len() {
        let mut metas: Vec<&BlockMeta> = metas.iter().filter(|meta| class(meta) == wanted).collect();
        metas.sort_by_key(|meta| meta.min_ms);
        let planned = plan_class(&metas, ranges, join_overlaps);
        if !planned.is_empty() {
            return planned.iter().map(|meta| meta.ulid).collect();
        }
    }
    Vec::new()
}

fn plan_class<'a>(metas: &[&'a BlockMeta], ranges: &[i64], join_overlaps: bool) -> Vec<&'a BlockMeta> {
    if join_overlaps {
        // A block that could not be read would fail again and keep the others from being joined.
        let readable: Vec<&BlockMeta> =
            metas.iter().copied().filter(|meta| !meta.compaction.failed).collect();
        let overlapping = first_overlap(&readable);
        if !overlapping.is_empty() {
            return overlapping;
        }
    }
    let Some((_newest, older)) = metas.split_last() else { return Vec::new() };
    let level = next_level(older, ranges);
    if !level.is_empty() {
        return level;
    }
    let large_ms = ranges[ranges.len() / 2];
    for meta in older.iter().rev() {
        let stats = &meta.stats;
        if meta.max_ms - meta.min_ms < large_ms {
            // A small block is worth rewriting only when probably nothing of it is left.
            if stats.num_tombstones > 0 && stats.num_tombstones >= stats.num_series {
                return vec![meta];
            }
            break;
        }
        if stats.num_tombstones as f64 / (stats.num_series + 1) as f64 > TOMBSTONE_SHARE {
            return vec![meta];
        }
    }
    Vec::new()
}

/// The first run of blocks, sorted by start, in which each overlaps an earlier one.
fn first_overlap<'a>(metas: &[&'a BlockMeta]) -> Vec<&'a BlockMeta> {
    let mut run: Vec<&BlockMeta> = Vec::new();
    let Some(first) = metas.first() else { return run };
    let mut end_ms = first.max_ms;
    for pair in metas.windows(2) {
        if pair[1].min_ms < end_ms {
            if run.is_empty() {
                run.push(pair[0]);
            }
            run.push(pair[1]);
        } else if !run.is_empty() {
            break;
        }
        end_ms = end_ms.max(pair[1].max_ms);
    }
    run
}

/// Whether any two blocks overlap.
pub fn any_overlap(metas: &[BlockMeta]) -> bool {
    let mut sorted: Vec<&BlockMeta> = metas.iter().collect();
    sorted.sort_by_key(|meta| meta.min_ms);
    !first_overlap(&sorted).is_empty()
}

fn next_level<'a>(metas: &[&'a BlockMeta], ranges: &[i64]) -> Vec<&'a BlockMeta> {
    let Some(newest) = metas.last() else { return Vec::new() };
    for &width_ms in ranges.iter().skip(1) {
        for group in split_by_range(metas, width_ms) {
            if group.len() < 2 || group.iter().any(|meta| meta.compaction.failed) {
                continue;
            }
            let (first, last) = (group[0], group[group.len() - 1]);
            // A range that is not full waits until a block beyond it shows that it will stay so.
            if last.max_ms - first.min_ms == width_ms || last.max_ms <= newest.min_ms {
                return group;
            }
        }
    }
    Vec::new()
}

/// Blocks, sorted by start, that lie in the same range of `width_ms`; those that fit none are left out.
fn split_by_range<'a>(metas: &[&'a BlockMeta], width_ms: i64) -> Vec<Vec<&'a BlockMeta>> {
    let mut groups: Vec<Vec<&BlockMeta>> = Vec::new();
    let mut rest = metas;
    while let Some(first) = rest.first() {
        let end_ms = first.min_ms.div_euclid(width_ms) * width_ms + width_ms;
        let count = rest.iter().take_while(|meta| meta.max_ms <= end_ms).count();
        if count > 0 {
            groups.push(rest[..count].to_vec());
        }
        rest = &rest[count.max(1)..];
    }
    groups
}
