//! What a tenant may push, under the names users of multi-tenant stores know.

use std::collections::HashMap;
use std::time::Duration;

use smol_str::SmolStr;

/// Limits of one tenant; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Samples (floats, histograms and exemplars) a second, on average.
    pub ingestion_rate: f64,
    /// Samples that may come at once.
    pub ingestion_burst_size: u64,
    /// Series the tenant may feed at a time.
    pub max_series: u64,
    /// Labels of a series.
    pub max_label_names: u64,
    /// Bytes of a label name.
    pub max_label_name_length: u64,
    /// Bytes of a label value.
    pub max_label_value_length: u64,
    /// Bytes of a request after decompression.
    pub max_request_bytes: u64,
}

impl Limits {
    /// No limits.
    pub const NONE: Self = Self {
        ingestion_rate: 0.0,
        ingestion_burst_size: 0,
        max_series: 0,
        max_label_names: 0,
        max_label_name_length: 0,
        max_label_value_length: 0,
        max_request_bytes: 0,
    };

    /// The burst in force: without one of its own, what comes in a second.
    pub fn burst(&self) -> f64 {
        match self.ingestion_burst_size {
            0 => self.ingestion_rate.max(1.0),
            burst => burst as f64,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::NONE
    }
}

/// The limits of all tenants.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LimitsBook {
    /// Limits of tenants that have none of their own.
    pub default: Limits,
    /// Limits of tenants by name.
    pub tenants: HashMap<SmolStr, Limits>,
}

impl LimitsBook {
    /// The limits of a tenant.
    pub fn of(&self, tenant: &str) -> Limits {
        self.tenants.get(tenant).copied().unwrap_or(self.default)
    }
}

/// A bucket of tokens, one for each sample, that fills at the rate allowed.
#[derive(Debug, Default)]
pub(crate) struct TokenBucket {
    /// Tokens there were, and when. A tenant begins with a full bucket.
    filled: Option<(f64, Duration)>,
}

/// Why a request must wait, or may not come at all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Refused {
    /// It passes after this time.
    Wait(Duration),
    /// It is larger than the bucket.
    Never,
}

impl TokenBucket {
    /// Takes `wanted` tokens or none.
    pub fn take(&mut self, wanted: usize, limits: &Limits, now: Duration) -> Result<(), Refused> {
        let (rate, burst, wanted) = (limits.ingestion_rate, limits.burst(), wanted as f64);
        let (had, at) = self.filled.unwrap_or((burst, now));
        let have = (had + now.saturating_sub(at).as_secs_f64() * rate).min(burst);
        let granted = wanted <= have;
        self.filled = Some((if granted { have - wanted } else { have }, now));
        match granted {
            true => Ok(()),
            false if wanted > burst => Err(Refused::Never),
            false => Err(Refused::Wait(Duration::from_secs_f64((wanted - have) / rate))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_holds_on_average_and_the_burst_at_once() {
        let limits = Limits { ingestion_rate: 10.0, ingestion_burst_size: 30, ..Limits::NONE };
        let mut bucket = TokenBucket::default();
        let at = Duration::from_secs;
        assert_eq!(bucket.take(31, &limits, at(100)), Err(Refused::Never));
        assert_eq!(bucket.take(30, &limits, at(100)), Ok(()));
        assert_eq!(bucket.take(20, &limits, at(101)), Err(Refused::Wait(at(1))));
        assert_eq!(bucket.take(20, &limits, at(102)), Ok(()));
        // An hour of silence fills no more than the bucket.
        assert_eq!(bucket.take(30, &limits, at(3702)), Ok(()));
        assert_eq!(bucket.take(1, &limits, at(3702)), Err(Refused::Wait(Duration::from_millis(100))));
    }

    #[test]
    fn without_a_burst_it_is_what_comes_in_a_second() {
        let limits = Limits { ingestion_rate: 10.0, ..Limits::NONE };
        assert_eq!(TokenBucket::default().take(10, &limits, Duration::ZERO), Ok(()));
        assert_eq!(TokenBucket::default().take(11, &limits, Duration::ZERO), Err(Refused::Never));
    }

    #[test]
    fn tenants_have_their_own_limits_or_the_default() {
        let own = Limits { max_series: 5, ..Limits::NONE };
        let book = LimitsBook { default: Limits::NONE, tenants: HashMap::from([("a".into(), own)]) };
        assert_eq!((book.of("a"), book.of("b")), (own, Limits::NONE));
    }
}
