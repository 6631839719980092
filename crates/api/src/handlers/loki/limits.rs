//! What a tenant may ask.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use model::TenantId;

use super::policy::BlockedQuery;

/// Limits of the queries of one tenant; 0 is none.
#[derive(Debug, Clone)]
pub struct LogQueryLimits {
    /// Time a query may take.
    pub query_timeout: Duration,
    /// Bytes of memory a query may hold.
    pub max_memory_bytes: usize,
    /// Bytes of lines and metadata a query may be about.
    pub max_bytes_read: u64,
    /// The longest time a query may span, in nanoseconds.
    pub max_length_ns: i64,
    /// How far back a query may look, in nanoseconds; what is older is left out.
    pub max_lookback_ns: i64,
    /// The longest range of a function over time, in nanoseconds.
    pub max_range_ns: i64,
    /// Entries of an answer.
    pub max_entries: usize,
    /// Series of an answer.
    pub max_series: usize,
    /// Followers of live logs at a time.
    pub max_tails: usize,
    /// Whether volumes are told.
    pub volume_enabled: bool,
    /// Series of an answer about volumes.
    pub volume_max_series: usize,
    /// How long entries are kept where no selector says otherwise, in nanoseconds: told, not enforced here.
    pub retention_ns: i64,
    /// Whether entries may be deleted by request.
    pub deletion: DeletionMode,
    /// Labels every selector of a query must have a matcher of.
    pub required_labels: Vec<String>,
    /// Labels, at least, every selector of a query must have a matcher of.
    pub min_labels: usize,
    /// Matchers of a selector.
    pub max_matchers: usize,
    /// Queries that are refused.
    pub blocked: Vec<BlockedQuery>,
}

/// What becomes of requests to delete entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeletionMode {
    /// They are refused.
    Disabled,
    /// Queries leave out what they are about, and objects are written anew without it.
    #[default]
    FilterAndDelete,
}

impl Default for LogQueryLimits {
    fn default() -> Self {
        Self {
            query_timeout: Duration::from_secs(60),
            max_memory_bytes: 512 << 20,
            max_bytes_read: 0,
            max_length_ns: 721 * 3_600_000_000_000,
            max_lookback_ns: 0,
            max_range_ns: 0,
            max_entries: 5000,
            max_series: 500,
            max_tails: 64,
            volume_enabled: true,
            volume_max_series: 1000,
            retention_ns: 0,
            deletion: DeletionMode::default(),
            required_labels: Vec::new(),
            min_labels: 0,
            max_matchers: 0,
            blocked: Vec::new(),
        }
    }
}

/// The limits of all tenants.
#[derive(Debug, Clone, Default)]
pub struct LogQueryLimitsBook {
    /// Limits of tenants that have none of their own.
    pub default: Arc<LogQueryLimits>,
    /// Limits of tenants by name.
    pub tenants: HashMap<TenantId, Arc<LogQueryLimits>>,
}

impl From<LogQueryLimits> for LogQueryLimitsBook {
    fn from(default: LogQueryLimits) -> Self {
        Self { default: Arc::new(default), tenants: HashMap::new() }
    }
}

impl LogQueryLimitsBook {
    /// The limits of a tenant.
    pub fn of(&self, tenant: &TenantId) -> Arc<LogQueryLimits> {
        Arc::clone(self.tenants.get(tenant).unwrap_or(&self.default))
    }
}

/// Bytes of the name of a tenant.
const MAX_TENANT_BYTES: usize = 150;

/// Why a name cannot be a tenant's: names become parts of the keys of objects.
pub(in crate::handlers) fn check_tenant(name: &str) -> Result<(), String> {
    if name.len() > MAX_TENANT_BYTES {
        return Err(format!("tenant ID is too long: max {MAX_TENANT_BYTES} characters"));
    }
    if matches!(name, "." | "..") {
        return Err("tenant ID is '.' or '..'".to_owned());
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "!-_.*'()".contains(c);
    match name.chars().find(|c| !is_allowed(*c)) {
        Some(other) => Err(format!("tenant ID '{name}' contains unsupported character '{other}'")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tenants_are_what_can_be_part_of_a_key() {
        assert_eq!(check_tenant("team-a_(1).x"), Ok(()));
        assert!(check_tenant("a/b").unwrap_err().contains("unsupported character '/'"));
        assert!(check_tenant("a|b").is_err() && check_tenant("..").is_err());
        assert!(check_tenant(&"x".repeat(150)).is_ok() && check_tenant(&"x".repeat(151)).is_err());
    }
}
