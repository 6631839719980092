//! What is remembered of each tenant.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use hashbrown::HashMap;
use model::TenantId;
use parking_lot::{Mutex, RwLock};

use crate::cache::SeriesCache;
use crate::limits::{Limits, Refused, TokenBucket};

/// After this time, and at most twice this time, a series that is not fed is forgotten.
const GENERATION_MS: i64 = 10 * 60_000;
/// The time between two lines about one tenant's refused samples.
const LOG_EVERY_MS: i64 = 10_000;

/// One tenant.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub id: TenantId,
    pub cache: SeriesCache,
    rate: Mutex<TokenBucket>,
    active: Mutex<ActiveSeries>,
    generation: AtomicI64,
    logged_ms: AtomicI64,
}

/// The series a tenant feeds, by identity, in two generations as the cache has them.
#[derive(Debug, Default)]
struct ActiveSeries {
    young: HashSet<u64>,
    old: HashSet<u64>,
}

impl ActiveSeries {
    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

impl Tenant {
    fn new(id: TenantId, cached_series: usize) -> Self {
        Self {
            id,
            cache: SeriesCache::new(cached_series),
            rate: Mutex::default(),
            active: Mutex::default(),
            generation: AtomicI64::new(i64::MIN),
            logged_ms: AtomicI64::new(i64::MIN),
        }
    }

    /// Takes samples from what the tenant may push.
    pub fn take(&self, samples: usize, limits: &Limits, now: Duration) -> Result<(), Refused> {
        if limits.ingestion_rate > 0.0 { self.rate.lock().take(samples, limits, now) } else { Ok(()) }
    }

    /// Begins a new generation of series when it is time.
    pub fn age(&self, now_ms: i64) {
        let now = now_ms.div_euclid(GENERATION_MS);
        let before = self.generation.load(Ordering::Relaxed);
        let is_due = before != now
            && self.generation.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_due && before != i64::MIN {
            self.cache.age();
            let mut active = self.active.lock();
            active.old = std::mem::take(&mut active.young);
        }
    }

    /// Counts a series as fed; false if that exceeds the limit.
    pub fn admit(&self, identity: u64, limits: &Limits) -> bool {
        if limits.max_series == 0 {
            return true;
        }
        let mut active = self.active.lock();
        if active.young.contains(&identity) {
            return true;
        }
        if !active.old.remove(&identity) && active.len() as u64 >= limits.max_series {
            return false;
        }
        active.young.insert(identity)
    }

    /// The series was not created after all.
    pub fn forget(&self, identity: u64) {
        let mut active = self.active.lock();
        active.young.remove(&identity);
        active.old.remove(&identity);
    }

    /// Whether to log now what was refused: not every request of a tenant that goes wrong.
    pub fn may_log(&self, now_ms: i64) -> bool {
        let before = self.logged_ms.load(Ordering::Relaxed);
        before.saturating_add(LOG_EVERY_MS) <= now_ms
            && self.logged_ms.compare_exchange(before, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Series that are fed, as far as they are counted.
    pub fn active_series(&self) -> usize {
        self.active.lock().len().max(self.cache.len())
    }

    fn is_idle(&self, now_ms: i64) -> bool {
        self.generation.load(Ordering::Relaxed) + 1 < now_ms.div_euclid(GENERATION_MS)
    }
}

/// All tenants that pushed lately.
#[derive(Debug)]
pub(crate) struct Tenants {
    tenants: RwLock<HashMap<TenantId, Arc<Tenant>>>,
    max_tenants: usize,
    cached_series: usize,
}

impl Tenants {
    pub fn new(max_tenants: usize, cached_series: usize) -> Self {
        Self { tenants: RwLock::default(), max_tenants: max_tenants.max(1), cached_series }
    }

    /// The tenant of this name; `None` if there are too many others.
    pub fn get(&self, id: &TenantId, now_ms: i64) -> Option<Arc<Tenant>> {
        if let Some(tenant) = self.tenants.read().get(id) {
            return Some(tenant.clone());
        }
        let mut tenants = self.tenants.write();
        if let Some(tenant) = tenants.get(id) {
            return Some(tenant.clone());
        }
        if tenants.len() >= self.max_tenants {
            tenants.retain(|_, tenant| !tenant.is_idle(now_ms));
            if tenants.len() >= self.max_tenants {
                return None;
            }
        }
        let tenant = Arc::new(Tenant::new(id.clone(), self.cached_series));
        tenants.insert(id.clone(), tenant.clone());
        Some(tenant)
    }

    pub fn all(&self) -> Vec<Arc<Tenant>> {
        self.tenants.read().values().cloned().collect()
    }

    pub fn max_tenants(&self) -> usize {
        self.max_tenants
    }
}

/// Whether a name may be a tenant's: what object stores and headers take without escaping.
pub fn check_tenant_name(name: &str) -> Result<(), InvalidTenant> {
    const MAX_BYTES: usize = 150;
    if name.len() > MAX_BYTES {
        return Err(InvalidTenant::TooLong(name.len()));
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "!-_.*'()".contains(c);
    match name.chars().find(|c| !is_allowed(*c)) {
        Some(other) => Err(InvalidTenant::Character(other)),
        None if matches!(name, "" | "." | "..") => Err(InvalidTenant::Reserved),
        None => Ok(()),
    }
}

/// Why a name cannot be a tenant's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTenant {
    /// It is long.
    #[error("X-Scope-OrgID: tenant name of {0} bytes is longer than 150")]
    TooLong(usize),
    /// It has a character names must not have.
    #[error("X-Scope-OrgID: tenant name contains {0:?}; letters, digits and !-_.*'() are allowed")]
    Character(char),
    /// It is empty or means a directory.
    #[error("X-Scope-OrgID: tenant name must not be empty, \".\" or \"..\"")]
    Reserved,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Key, Known};
    use model::SeriesRef;

    fn tenant(name: &str) -> TenantId {
        TenantId(name.into())
    }

    #[test]
    fn series_count_until_they_are_not_fed_for_two_generations() {
        let tenants = Tenants::new(10, 1000);
        let one = tenants.get(&tenant("a"), 0).unwrap();
        let limits = Limits { max_series: 2, ..Limits::NONE };
        one.age(0);
        assert!(one.admit(1, &limits) && one.admit(2, &limits) && one.admit(1, &limits));
        assert!(!one.admit(3, &limits));
        one.age(GENERATION_MS);
        assert!(one.admit(1, &limits) && !one.admit(3, &limits));
        one.age(2 * GENERATION_MS);
        assert!(one.admit(3, &limits) && !one.admit(2, &limits));
        one.forget(3);
        assert!(one.admit(2, &limits));
    }

    #[test]
    fn idle_tenants_make_room_and_busy_ones_do_not() {
        let tenants = Tenants::new(2, 1000);
        for name in ["a", "b"] {
            let tenant = tenants.get(&tenant(name), 0).unwrap();
            tenant.age(0);
            tenant.cache.insert(Key([1, 2]), Known { series: SeriesRef(1), identity: 1 });
        }
        assert!(tenants.get(&tenant("c"), 1).is_none());
        tenants.get(&tenant("a"), GENERATION_MS).unwrap().age(3 * GENERATION_MS);
        assert!(tenants.get(&tenant("c"), 3 * GENERATION_MS).is_some());
        assert_eq!(tenants.all().len(), 2);
    }

    #[test]
    fn names_of_tenants_are_checked() {
        assert_eq!(check_tenant_name("team-a_(1).x"), Ok(()));
        assert_eq!(check_tenant_name("a|b"), Err(InvalidTenant::Character('|')));
        assert_eq!(check_tenant_name(".."), Err(InvalidTenant::Reserved));
        assert!(check_tenant_name(&"x".repeat(151)).is_err());
    }
}
