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
    if let Some(Ok(at)) = is_rfc_3339(text).then(|| text.parse::<jiff::Timestamp>()) {
        return Ok(i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX));
    }
    let problem = no_integer(text);
    Err(Failure::bad(format!(
        "could not parse '{name}' parameter: strconv.ParseInt: parsing {text:?}: {problem}"
    )))
}

/// Whether a text has the shape of `2026-01-15T12:00:00.5+01:00`; the reader of times takes others, too.
fn is_rfc_3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    let has_offset = bytes
        .len()
        .checked_sub(6)
        .is_some_and(|at| matches!(bytes[at], b'+' | b'-') && bytes[at + 3] == b':');
    bytes.get(10) == Some(&b'T') && (text.ends_with('Z') || has_offset)
}

/// What is wrong with a text that is no whole number of 64 bits.
fn no_integer(text: &str) -> &'static str {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if is_number { "value out of range" } else { "invalid syntax" }
}

/// A duration as seconds, perhaps with a fraction, or with units; in nanoseconds.
pub(super) fn duration(text: &str) -> Result<i64, Failure> {
    let bad = || Failure::bad(format!("cannot parse {text:?} to a valid duration"));
    if let Ok(seconds) = model::number::parse_float(text) {
        let ns = seconds * 1e9;
        let overflows = || format!("cannot parse {text:?} to a valid duration. It overflows int64");
        return if ns.is_nan() || ns.abs() < i64::MAX as f64 {
            Ok(ns as i64)
        } else {
            Err(Failure::bad(overflows()))
        };
    }
    model::duration::parse_duration_ms(text).map(|ms| ms.saturating_mul(1_000_000)).map_err(|_| bad())
}

/// A whole number.
pub(super) fn integer(params: &Params, name: &str, default: i64) -> Result<i64, Failure> {
    match params.get(name) {
        "" => Ok(default),
        text => {
            let failed = |_| Failure::bad(format!("strconv.Atoi: parsing {text:?}: {}", no_integer(text)));
            text.parse().map_err(failed)
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
        assert_eq!(read("2026-01-15T13:00:00%2B01:00"), Ok(1_768_478_400_000_000_000));
        let failed = |text: &str, problem: &str| {
            let told =
                format!("could not parse 't' parameter: strconv.ParseInt: parsing {text:?}: {problem}");
            assert_eq!(read(text).unwrap_err(), told);
        };
        for text in ["1e9", "2026-01-15", "2026-01-15 12:00:00Z", "2026-01-15T12:00:00", "now"] {
            failed(text, "invalid syntax");
        }
        failed("18446744073709551616", "value out of range");
    }

    #[test]
    fn numbers_that_are_too_large_are_told_so() {
        let read =
            |text: &str| integer(&Params::parse(format!("n={text}")), "n", 1).map_err(|failure| failure.text);
        assert_eq!((read(""), read("-7")), (Ok(1), Ok(-7)));
        let told = |text: &str, problem: &str| Err(format!("strconv.Atoi: parsing {text:?}: {problem}"));
        assert_eq!(read("99999999999999999999"), told("99999999999999999999", "value out of range"));
        assert_eq!(read("1.5"), told("1.5", "invalid syntax"));
        let told = |text: &str| duration(text).map_err(|failure| failure.text);
        assert_eq!((told("1.5"), told("1m")), (Ok(1_500_000_000), Ok(60_000_000_000)));
        assert_eq!(
            told("1e30"),
            Err("cannot parse \"1e30\" to a valid duration. It overflows int64".to_owned())
        );
        assert_eq!(told("x"), Err("cannot parse \"x\" to a valid duration".to_owned()));
    }
}
