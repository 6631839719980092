//! Objects of which much is past its time though their day is not: streams that are kept for a shorter time than others.

use std::time::Duration;

use hashbrown::HashSet;
use model::source::TenantId;
use ulid::Ulid;

use super::LogDb;
use crate::day::Day;
use crate::manifest::ObjectMeta;

/// An object is looked at that often.
const LOOK_EVERY: Duration = Duration::from_secs(6 * 3600);
/// When so many of a hundred rows are past their time, an object is written anew without them.
const EXPIRED_PERCENT: u64 = 25;

impl LogDb {
    /// An object that is to be written anew without the entries that are past their time.
    pub(crate) fn expired_object(&self) -> Option<(TenantId, Day, ObjectMeta)> {
        if self.retention().rules.is_empty() {
            return None;
        }
        let now = self.clock.monotonic();
        let days = self.days();
        let mut looked = self.schedule.lock().expiry_looked_at.clone();
        looked.retain(|_, last| now.saturating_sub(*last) < LOOK_EVERY);
        let named: HashSet<Ulid> =
            days.iter().flat_map(|(_, _, manifest)| &manifest.objects).map(|object| object.id).collect();
        looked.retain(|id, _| named.contains(id));
        let mut found = None;
        'days: for (tenant, day, manifest) in &days {
            let Some(shortest) = self.retention().shortest(tenant) else { continue };
            let oldest_ns = self.instant_before(shortest);
            for object in manifest.objects.iter().filter(|object| object.first_ns < oldest_ns) {
                if looked.contains_key(&object.id) || self.segments.is_damaged(object.id) {
                    continue;
                }
                looked.insert(object.id, now);
                if self.is_largely_expired(tenant, *day, object) {
                    found = Some((tenant.clone(), *day, object.clone()));
                    break 'days;
                }
            }
        }
        self.schedule.lock().expiry_looked_at = looked;
        found
    }

    fn is_largely_expired(&self, tenant: &TenantId, day: Day, object: &ObjectMeta) -> bool {
        let Ok(segment) = self.segments.open(tenant, day, object.id) else { return false };
        let index = segment.index();
        let cutoffs: Vec<i64> = index.streams.iter().map(|labels| self.cutoff_ns(tenant, labels)).collect();
        let runs = index.groups.iter().flat_map(|group| &group.runs);
        let expired = runs.filter(|run| run.last_ns < cutoffs[run.stream as usize]);
        let rows: u64 = expired.map(|run| u64::from(run.rows)).sum();
        rows * 100 >= object.rows * EXPIRED_PERCENT && rows > 0
    }
}
