//! Parameters as log stores read them.

use logql::Direction;
use model::QueryContext;
use model::logs::LogRange;

use super::LogState;
use super::respond::Failure;
use crate::params::Params;

const SECOND_NS: i64 = 1_000_000_000;
const HOUR_NS: i64 = 3600 * SECOND_NS;
/// Points that are asked for where no step is given.
const DEFAULT_POINTS: i64 = 250;
pub(super) const BAD_STEP: &str =
    "zero or negative query resolution step widths are not accepted. Try a positive integer";
pub(super) const BAD_ORDER: &str = "end timestamp must not be before or equal to start time";

/// When a request is about, in nanoseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub start_ns: i64,
    pub end_ns: i64,
}

impl Bounds {
    /// Start and end; without a start it is `since`, or a default, before the end.
    pub fn read(params: &Params, now_ns: i64, default_ns: i64) -> Result<Self, Failure> {
        let since_ns = match params.get("since") {
            "" => default_ns,
            text => match model::duration::parse_duration_ms(text) {
                Ok(ms) => ms.saturating_mul(1_000_000),
                Err(problem) => {
                    return Err(Failure::bad(format!("could not parse 'since' parameter: {problem}")));
                }
            },
        };
        let end_ns = time(params, "end", now_ns)?;
        let start_ns = time(params, "start", end_ns.min(now_ns).saturating_sub(since_ns))?;
        Ok(Self { start_ns, end_ns })
    }

    /// As [`Bounds::read`] with an hour before the end; what ends before it begins is refused.
    pub fn read_hour(params: &Params, now_ns: i64) -> Result<Self, Failure> {
        let bounds = Self::read(params, now_ns, HOUR_NS)?;
        if bounds.end_ns < bounds.start_ns { Err(Failure::bad(BAD_ORDER)) } else { Ok(bounds) }
    }

    /// As [`Bounds::read_hour`]; what ends when it begins is refused, too.
    pub fn ordered(params: &Params, now_ns: i64) -> Result<Self, Failure> {
        let bounds = Self::read_hour(params, now_ns)?;
        if bounds.end_ns == bounds.start_ns { Err(Failure::bad(BAD_ORDER)) } else { Ok(bounds) }
    }

    /// The bounds of requests for labels and series.
    pub fn of_labels(params: &Params, now_ns: i64) -> Result<Self, Failure> {
        let bounds = Self::read(params, now_ns, 6 * HOUR_NS)?;
        if bounds.end_ns < bounds.start_ns {
            let text = "this data is no longer available, it is past now - max_query_lookback (0s)";
            return Err(Failure::bad(text));
        }
        Ok(bounds)
    }

    pub fn range(self) -> LogRange {
        LogRange { start_ns: self.start_ns, end_ns: self.end_ns }
    }

    /// What may be asked of these bounds: without what is further back than is allowed. More than is allowed at once is
    /// refused.
    pub fn admitted(self, state: &LogState, ctx: &QueryContext) -> Result<Self, Failure> {
        let limits = state.limits_of(&ctx.tenant);
        let mut bounds = self;
        if limits.max_lookback_ns > 0 {
            let oldest_ns = state.oldest_ns(&limits);
            bounds.end_ns = bounds.end_ns.max(oldest_ns);
            bounds.start_ns = bounds.start_ns.max(oldest_ns);
        }
        let limit_ns = limits.max_length_ns;
        let length_ns = bounds.end_ns.saturating_sub(bounds.start_ns);
        if limit_ns == 0 || length_ns <= limit_ns {
            return Ok(bounds);
        }
        let (length, limit) = (
            model::duration::format_go_duration(length_ns),
            model::duration::format_duration_ms(limit_ns / 1_000_000),
        );
        Err(Failure::bad(format!(
            "the query time range exceeds the limit (query length: {length}, limit: {limit})"
        )))
    }

    /// The time between two points.
    pub fn step_ns(self, params: &Params) -> Result<i64, Failure> {
        let step_ns = match params.get("step") {
            "" => {
                let seconds = (self.end_ns.saturating_sub(self.start_ns)) / SECOND_NS;
                (seconds / DEFAULT_POINTS).max(1) * SECOND_NS
            }
            text => duration(text)?,
        };
        if step_ns <= 0 { Err(Failure::bad(BAD_STEP)) } else { Ok(step_ns) }
    }
}

/// A time: seconds, perhaps with a fraction, nanoseconds where there are more than ten digits, or as RFC 3339.
pub(super) fn time(params: &Params, name: &str, default_ns: i64) -> Result<i64, Failure> {
    let text = params.get(name);
    if text.is_empty() {
        return Ok(default_ns);
    }
    if text.contains('.')
        && let Ok(seconds) = model::number::parse_float(text)
    {
        return Ok((seconds * 1e9).round() as i64);
    }
    if let Ok(number) = text.parse::<i64>() {
        return Ok(if text.len() <= 10 { number.saturating_mul(SECOND_NS) } else { number });
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX));
    }
    Err(Failure::bad(format!(
        "could not parse '{name}' parameter: strconv.ParseInt: parsing {text:?}: invalid syntax"
    )))
}

/// A duration as seconds, perhaps with a fraction, or with units; in nanoseconds.
pub(super) fn duration(text: &str) -> Result<i64, Failure> {
    let bad = || Failure::bad(format!("cannot parse {text:?} to a valid duration"));
    if let Ok(seconds) = model::number::parse_float(text) {
        let ns = seconds * 1e9;
        return if ns.is_finite() && ns.abs() < i64::MAX as f64 { Ok(ns as i64) } else { Err(bad()) };
    }
    model::duration::parse_duration_ms(text).map(|ms| ms.saturating_mul(1_000_000)).map_err(|_| bad())
}

/// A whole number.
pub(super) fn integer(params: &Params, name: &str, default: i64) -> Result<i64, Failure> {
    match params.get(name) {
        "" => Ok(default),
        text => {
            text.parse().map_err(|_| Failure::bad(format!("strconv.Atoi: parsing {text:?}: invalid syntax")))
        }
    }
}

/// How many entries are wanted.
pub(super) fn limit(params: &Params, default: i64) -> Result<usize, Failure> {
    let limit = integer(params, "limit", default)?;
    match usize::try_from(limit) {
        Ok(limit) if limit > 0 => Ok(limit),
        _ => Err(Failure::bad("limit must be a positive value")),
    }
}

pub(super) fn direction(params: &Params) -> Result<Direction, Failure> {
    let text = params.get("direction");
    match text.to_ascii_lowercase().as_str() {
        "" | "backward" => Ok(Direction::Backward),
        "forward" => Ok(Direction::Forward),
        _ => Err(Failure::bad(format!("invalid direction '{text}'"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_nanoseconds_or_rfc_3339() {
        let read =
            |text: &str| time(&Params::parse(format!("t={text}")), "t", 0).map_err(|failure| failure.text);
        assert_eq!(read("1768478400"), Ok(1_768_478_400_000_000_000));
        assert_eq!(read("1768478400000000001"), Ok(1_768_478_400_000_000_001));
        assert_eq!(read("1768478400.5"), Ok(1_768_478_400_500_000_000));
        assert_eq!(read("2026-01-15T12:00:00Z"), Ok(1_768_478_400_000_000_000));
        assert!(read("1e9").unwrap_err().contains("strconv.ParseInt: parsing \"1e9\": invalid syntax"));
    }
}
