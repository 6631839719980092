//! Which objects are compacted next.
//!
//! Of an open day those of about one size, so that each entry is written anew only as often as sizes have classes; of a day
//! that is over, in the same way until few are left, and these then into as few as there can be. Always those that follow
//! each other in time: what is made of them overlaps no other in time where they did not, and queries that find objects
//! that overlap look for entries that are in both.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::source::TenantId;

use super::{FINAL_LEVEL, MERGED_LEVEL, Plan, SETTLED_LEVEL};
use crate::day::Day;
use crate::db::LogDb;
use crate::manifest::{Manifest, ObjectMeta};

/// Entries of this many bytes, before compression, are worth compressing well.
const FINAL_LINE_BYTES: u64 = 512 << 20;

impl LogDb {
    pub(super) fn plan(&self) -> Option<Plan> {
        self.rewrite_plan().or_else(|| self.expiry_plan()).or_else(|| self.merge_plan())
    }

    /// An object with many entries that are past their time.
    fn expiry_plan(&self) -> Option<Plan> {
        let (tenant, day, object) = self.expired_object()?;
        Some(Plan { tenant, day, level: object.level.max(MERGED_LEVEL), inputs: vec![object] })
    }

    /// An object with entries that are to be gone.
    fn rewrite_plan(&self) -> Option<Plan> {
        let tombstones = self.state.read().tombstones.clone();
        tombstones.into_iter().find_map(|(tenant, known)| {
            let (day, object) = self.rewrite_for(&tenant, &known)?;
            Some(Plan { tenant, day, level: object.level.max(MERGED_LEVEL), inputs: vec![object] })
        })
    }

    fn merge_plan(&self) -> Option<Plan> {
        let state = self.state.read();
        let mut days: Vec<_> = state.catalog.all().collect();
        days.sort_by_key(|(tenant, day, _)| ((*tenant).clone(), *day));
        let plan = |&(tenant, day, manifest): &(&TenantId, Day, &Arc<Manifest>), is_last: bool| {
            let is_settled = self.is_settled(day, manifest);
            let (inputs, level) =
                if is_last { self.last(manifest, is_settled) } else { self.alike(manifest, is_settled) }?;
            Some(Plan { tenant: tenant.clone(), day, inputs, level })
        };
        // What comes in now is looked at most, and has the most objects: finishing days that are over can wait for it.
        days.iter()
            .rev()
            .find_map(|day| plan(day, false))
            .or_else(|| days.iter().find_map(|day| plan(day, true)))
    }

    /// Whether a day is over and nothing came for a while: late entries would have everything written anew each time, so they
    /// are taken together first, as those of today.
    fn is_settled(&self, day: Day, manifest: &Manifest) -> bool {
        let quiet_ms = u64::try_from(self.instant_before(self.options.quiet_after) / 1_000_000).unwrap_or(0);
        let mut late = manifest.objects.iter().filter(|object| object.level < FINAL_LEVEL);
        day.last_ns() < self.instant_before(self.options.day_closes_after)
            && late.all(|object| object.id.timestamp_ms() <= quiet_ms)
    }

    /// Objects in the order of time.
    fn in_time(manifest: &Manifest) -> Vec<&ObjectMeta> {
        let mut objects: Vec<&ObjectMeta> = manifest.objects.iter().collect();
        objects.sort_by_key(|object| (object.first_ns, object.last_ns, object.id));
        objects
    }

    /// Whether an object is as large as it is to be, or cannot be compacted.
    fn stays(&self, object: &ObjectMeta) -> bool {
        object.size_bytes >= self.options.target_object_bytes / 2
            || self.segments.is_full(object.id)
            || self.segments.is_damaged(object.id)
    }

    /// Objects of about one size, when there are enough of them next to each other, and the level of what they become. Those that
    /// are smaller and lie between go with them.
    fn alike(&self, manifest: &Manifest, is_settled: bool) -> Option<(Vec<ObjectMeta>, u8)> {
        let options = &self.options;
        // Those one compaction takes become the last of a day that is over at once.
        let fewest = if is_settled { options.max_compaction_inputs + 1 } else { options.compaction_inputs };
        if manifest.objects.len() < fewest {
            return None;
        }
        let objects = Self::in_time(manifest);
        let class = |object: &ObjectMeta| (object.size_bytes / 1024 + 1).ilog2() / 3;
        let classes: BTreeSet<u32> = objects.iter().map(|object| class(object)).collect();
        let inputs = classes.into_iter().find_map(|most| {
            let runs = objects.split(|object| class(object) > most || self.stays(object));
            let enough = runs.filter(|run| run.len() >= fewest);
            enough.map(|run| self.first_of(run)).find(|inputs| !is_lopsided(inputs))
        })?;
        let lines: u64 = inputs.iter().map(|object| object.line_bytes).sum();
        let level = match (lines >= FINAL_LINE_BYTES, is_settled) {
            (true, _) => FINAL_LEVEL,
            (false, true) => SETTLED_LEVEL,
            (false, false) => MERGED_LEVEL,
        };
        Some((inputs, level))
    }

    /// What is left to be done of a day that is over.
    fn last(&self, manifest: &Manifest, is_settled: bool) -> Option<(Vec<ObjectMeta>, u8)> {
        if !is_settled {
            return None;
        }
        let objects = Self::in_time(manifest);
        if let Some(run) = objects.split(|object| self.stays(object)).find(|run| run.len() > 1) {
            let most = self.options.max_compaction_inputs;
            let least = run.windows(most).min_by_key(|objects| bytes(objects));
            return Some(match least.filter(|_| run.len() > most) {
                Some(objects) => (self.first_of(objects), SETTLED_LEVEL),
                None => (self.first_of(run), FINAL_LEVEL),
            });
        }
        // One that was never compressed well.
        let is_rough =
            |object: &&&ObjectMeta| object.level != FINAL_LEVEL && !self.segments.is_damaged(object.id);
        objects.iter().find(is_rough).map(|&object| (vec![object.clone()], FINAL_LEVEL))
    }

    /// The first of some objects that follow each other in time, as many as one compaction takes, and at least two of those that are
    /// not large.
    fn first_of(&self, objects: &[&ObjectMeta]) -> Vec<ObjectMeta> {
        let mut total = 0;
        let fits = |object: &&&ObjectMeta| {
            total += object.size_bytes;
            total <= self.options.target_object_bytes
        };
        let most = objects.iter().take(self.options.max_compaction_inputs);
        most.take_while(fits).map(|&object| object.clone()).collect()
    }
}

fn bytes(objects: &[&ObjectMeta]) -> u64 {
    objects.iter().map(|object| object.size_bytes).sum()
}

/// Whether one of some objects is most of them: to write it anew for the others is not worth it.
fn is_lopsided(objects: &[ObjectMeta]) -> bool {
    let sizes = || objects.iter().map(|object| object.size_bytes);
    sizes().max().unwrap_or(0) * 2 > sizes().sum()
}
