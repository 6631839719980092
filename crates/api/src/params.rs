//! Parameters of requests: query string and form body read as one, parsed as Prometheus parses them.

mod multipart;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{Method, header};
use model::{Matcher, TimeRange};
use promql::parser::ParseOptions;

use crate::error::ApiError;

/// The earliest time a request can name, in milliseconds.
pub const MIN_TIME_MS: i64 = (i64::MIN / 1000 + 62_135_596_801) * 1000;
/// The latest time a request can name, in milliseconds.
pub const MAX_TIME_MS: i64 = (i64::MAX / 1000 - 62_135_596_801) * 1000 + 999;
/// How clients that were given the bounds print them.
const MIN_TIME_TEXT: &str = "-292273086-05-16T16:47:06Z";
const MAX_TIME_TEXT: &str = "292277025-08-18T07:12:54.999999999Z";
/// The largest form body that is read.
const MAX_FORM_BYTES: usize = 10 << 20;

/// All parameters of one request. Those of a form body come before those of the query string, those of a
/// multipart form behind them.
#[derive(Debug, Clone, Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
    /// What is wrong with the first pair that cannot be read.
    malformed: Option<String>,
}

impl Params {
    /// Parses `name=value&...`. A pair that cannot be read is left out; only what must not go on without
    /// it asks for [`Params::well_formed`].
    pub fn parse(text: impl AsRef<[u8]>) -> Self {
        let mut params = Self::default();
        for pair in text.as_ref().split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
            match check_pair(pair) {
                Ok(()) => params.pairs.extend(url::form_urlencoded::parse(pair).into_owned()),
                Err(problem) => {
                    params.malformed.get_or_insert(problem);
                }
            }
        }
        params
    }

    /// Refuses a request of which some parameters could not be read.
    pub fn well_formed(&self) -> Result<(), ApiError> {
        match &self.malformed {
            Some(problem) => Err(ApiError::bad_data(format!("error parsing form values: {problem}"))),
            None => Ok(()),
        }
    }

    fn append(&mut self, other: Self) {
        self.pairs.extend(other.pairs);
        self.malformed = self.malformed.take().or(other.malformed);
    }

    /// The first value of `name`, or the empty string.
    pub fn get(&self, name: &str) -> &str {
        self.pairs.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }

    /// All values of `name`.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.pairs.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The time `name`, or `default_ms` when it is absent.
    pub fn time_or(&self, name: &str, default_ms: i64) -> Result<i64, ApiError> {
        match self.get(name) {
            "" => Ok(default_ms),
            text => parse_time(text).map_err(|problem| {
                ApiError::invalid_parameter(name, format!("invalid time value for '{name}': {problem}"))
            }),
        }
    }

    /// The time `name`, which must be there.
    pub fn time(&self, name: &str) -> Result<i64, ApiError> {
        parse_time(self.get(name)).map_err(|problem| ApiError::invalid_parameter(name, problem))
    }

    /// The duration `name` in milliseconds, which must be there.
    pub fn duration_ms(&self, name: &str) -> Result<i64, ApiError> {
        parse_duration_ms(self.get(name)).map_err(|problem| ApiError::invalid_parameter(name, problem))
    }

    /// The duration `name` in milliseconds, if it is there.
    pub fn optional_duration_ms(&self, name: &str) -> Result<Option<i64>, ApiError> {
        if self.get(name).is_empty() { Ok(None) } else { self.duration_ms(name).map(Some) }
    }

    /// `start` and `end`, all of time where they are absent.
    pub fn range(&self) -> Result<TimeRange, ApiError> {
        Ok(TimeRange::new(self.time_or("start", MIN_TIME_MS)?, self.time_or("end", MAX_TIME_MS)?))
    }

    /// `limit`; 0 for none.
    pub fn limit(&self) -> Result<usize, ApiError> {
        let text = self.get("limit");
        if text.is_empty() {
            return Ok(0);
        }
        let limit: i64 = parse_int(text).map_err(|problem| ApiError::invalid_parameter("limit", problem))?;
        usize::try_from(limit).map_err(|_| ApiError::invalid_parameter("limit", "limit must be non-negative"))
    }

    /// The whole number `name`, if it is there; `problem` is the error text otherwise.
    pub fn number(&self, name: &str, problem: &str) -> Result<Option<i64>, ApiError> {
        match self.get(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| ApiError::bad_data(problem)),
        }
    }

    /// The truth value `name`, if it is there.
    pub fn boolean(&self, name: &str) -> Option<Result<bool, ()>> {
        match self.get(name) {
            "" => None,
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(Ok(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(Ok(false)),
            _ => Some(Err(())),
        }
    }

    /// The selectors of `match[]`, each with a matcher that an absent label does not satisfy.
    pub fn matcher_sets(&self) -> Result<Vec<Vec<Matcher>>, ApiError> {
        let mut sets = Vec::new();
        for text in self.all("match[]") {
            let matchers = selector(text).map_err(ApiError::bad_data)?;
            if matchers.iter().all(Matcher::matches_empty) {
                return Err(ApiError::bad_data("match[] must contain at least one non-empty matcher"));
            }
            sets.push(matchers);
        }
        Ok(sets)
    }
}

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let mut query = Self::parse(request.uri().query().unwrap_or_default());
        let has_form = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let content_type = content_type.filter(|_| has_form).unwrap_or_default();
        let boundary = multipart::boundary(content_type).map(str::to_owned);
        if boundary.is_none() && !is_form(content_type) {
            return Ok(query);
        }
        let body: Bytes = axum::body::to_bytes(request.into_body(), MAX_FORM_BYTES)
            .await
            .map_err(|error| ApiError::bad_data(format!("error parsing form values: {error}")))?;
        if let Some(boundary) = boundary {
            // The other way round than with a plain form: this is how the reference has it.
            query.pairs.extend(multipart::fields(&body, &boundary));
            return Ok(query);
        }
        let mut params = Self::parse(&body);
        params.append(query);
        Ok(params)
    }
}

/// Whether a body of this type holds parameters.
fn is_form(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Whether a pair is one: percent signs stand before two hexadecimal digits, and semicolons, which some
/// take for separators, do not occur.
fn check_pair(pair: &[u8]) -> Result<(), String> {
    if pair.contains(&b';') {
        return Err("invalid semicolon separator in query".to_owned());
    }
    let is_hex = |at: usize| pair.get(at).is_some_and(u8::is_ascii_hexdigit);
    let percents = pair.iter().enumerate().filter(|&(_, &byte)| byte == b'%');
    for (at, _) in percents {
        if !(is_hex(at + 1) && is_hex(at + 2)) {
            let escape = String::from_utf8_lossy(&pair[at..pair.len().min(at + 3)]);
            return Err(format!("invalid URL escape {escape:?}"));
        }
    }
    Ok(())
}

/// The matchers of a metric selector, in the widest form of the language.
pub fn selector(text: &str) -> Result<Vec<Matcher>, String> {
    promql::parser::parse_selector(text, &ParseOptions::ALL).map_err(|error| error.to_string())
}

fn parse_int(text: &str) -> Result<i64, String> {
    text.parse().map_err(|error: std::num::ParseIntError| {
        use std::num::IntErrorKind::{NegOverflow, PosOverflow};
        let problem = match error.kind() {
            PosOverflow | NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.Atoi: parsing {text:?}: {problem}")
    })
}

/// A time as seconds since the Unix epoch, perhaps with a fraction, or as RFC 3339; in milliseconds.
pub fn parse_time(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = model::number::parse_float(text) {
        let (whole, fraction) = (seconds.trunc(), seconds.fract());
        // Saturates at the ends of time, which are far outside of any data.
        return Ok((whole as i64).saturating_mul(1000).saturating_add((fraction * 1000.0).round() as i64));
    }
    match text {
        MIN_TIME_TEXT => return Ok(MIN_TIME_MS),
        MAX_TIME_TEXT => return Ok(MAX_TIME_MS),
        _ => {}
    }
    match text.parse::<jiff::Timestamp>() {
        Ok(timestamp) if is_rfc3339(text) => Ok(timestamp.as_millisecond()),
        _ => Err(format!("cannot parse {text:?} to a valid timestamp")),
    }
}

/// Whether a time that can be read is written as RFC 3339 wants it: other ways are not for this API.
fn is_rfc3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends_well = matches!(bytes, [.., b'Z'] | [.., b'+' | b'-', _, _, b':', _, _]);
    bytes.len() >= 20 && bytes[4] == b'-' && bytes[10] == b'T' && bytes[19] != b':' && ends_well
}

/// A duration as seconds, perhaps with a fraction, or as `1h30m`; in milliseconds.
pub fn parse_duration_ms(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = model::number::parse_float(text) {
        let nanoseconds = seconds * 1e9;
        // What is not a number is below everything, and so refused where a duration must be positive.
        if nanoseconds.is_nan() {
            return Ok(i64::MIN / 1_000_000);
        }
        if nanoseconds.abs() > i64::MAX as f64 {
            return Err(format!("cannot parse {text:?} to a valid duration. It overflows int64"));
        }
        return Ok((nanoseconds as i64) / 1_000_000);
    }
    model::duration::parse_duration_ms(text).map_err(|_| format!("cannot parse {text:?} to a valid duration"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_rfc_3339() {
        assert_eq!(parse_time("1435781451.781"), Ok(1_435_781_451_781));
        assert_eq!(parse_time("2015-07-01T20:10:51.781Z"), Ok(1_435_781_451_781));
        assert_eq!(parse_time("2015-07-01T22:10:51.781+02:00"), Ok(1_435_781_451_781));
        for text in ["2015-07-01t20:10:51Z", "2015-07-01 20:10:51Z", "2015-07-01T20:10:51z", "2015-07-01"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
        assert_eq!(parse_time(MIN_TIME_TEXT), Ok(MIN_TIME_MS));
        assert_eq!(parse_time("yesterday"), Err("cannot parse \"yesterday\" to a valid timestamp".into()));
    }

    #[test]
    fn durations_are_seconds_or_units() {
        assert_eq!(parse_duration_ms("0.5"), Ok(500));
        assert_eq!(parse_duration_ms("1h30m"), Ok(5_400_000));
        assert!(parse_duration_ms("1e30").unwrap_err().ends_with("It overflows int64"));
    }

    #[test]
    fn the_form_comes_before_the_query_string() {
        let mut params = Params::parse("query=a&match[]=x");
        params.append(Params::parse("query=b&match[]=y"));
        assert_eq!(params.get("query"), "a");
        assert_eq!(params.all("match[]").collect::<Vec<_>>(), ["x", "y"]);
    }

    #[test]
    fn pairs_that_cannot_be_read_are_left_out() {
        let params = Params::parse("a=%zz&b=1;c&d=%41&e=%4");
        assert_eq!(params.pairs, [("d".to_owned(), "A".to_owned())]);
        let error = params.well_formed().unwrap_err();
        assert_eq!(error.message, "error parsing form values: invalid URL escape \"%zz\"");
        assert!(Params::parse("a=%25&&b").well_formed().is_ok());
        let types =
            ["application/X-www-form-urlencoded ; charset=utf-8", "application/x-www-form-urlencodedx"];
        assert_eq!(types.map(is_form), [true, false]);
    }

    #[test]
    fn a_selector_that_matches_everything_is_refused() {
        let error = Params::parse("match[]={a=~\".*\"}").matcher_sets().unwrap_err();
        assert_eq!(error.message, "match[] must contain at least one non-empty matcher");
    }
}
