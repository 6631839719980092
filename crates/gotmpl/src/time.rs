//! Times and durations with the methods Go gives them.

use std::any::Any;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use crate::value::{Object, Type, Value};

mod layout;

pub use layout::{MONTHS, WEEKDAYS, format};

/// A moment as templates see it, in a time zone.
#[derive(Debug, Clone)]
pub struct Time {
    at: Zoned,
}

impl Time {
    /// A moment in Universal Time.
    pub fn utc(at: Timestamp) -> Self {
        Self { at: at.to_zoned(TimeZone::UTC) }
    }

    /// A moment in the zone it carries.
    pub fn zoned(at: Zoned) -> Self {
        Self { at }
    }

    /// The moment Go prints for a time that was never set.
    pub fn zero() -> Self {
        Self::utc(Timestamp::from_second(-62_135_596_800).expect("year 1 is within range"))
    }

    /// Seconds since the Unix epoch as a moment in Universal Time.
    pub fn from_seconds(seconds: f64) -> Result<Self, String> {
        if !seconds.is_finite() {
            return Err("value is NaN or Inf".to_owned());
        }
        let nanoseconds = seconds * 1e9;
        if nanoseconds > i64::MAX as f64 || nanoseconds < i64::MIN as f64 {
            let shown = String::from_utf8_lossy(&crate::print(&[Value::Float(seconds)])).into_owned();
            return Err(format!(
                "{shown} cannot be represented as a nanoseconds timestamp since it overflows int64"
            ));
        }
        // Sample times have milliseconds, and what is finer is cut off.
        let ms = (nanoseconds as i64) / 1_000_000;
        Timestamp::from_millisecond(ms).map(Self::utc).map_err(|error| error.to_string())
    }

    /// The same moment in the zone `name`; an empty name is Universal Time, and so is the zone of this server.
    pub fn in_zone(&self, name: &str) -> Result<Self, String> {
        let zone = match name {
            "" | "UTC" | "Local" => TimeZone::UTC,
            name => TimeZone::get(name).map_err(|_| format!("unknown time zone {name}"))?,
        };
        Ok(Self { at: self.at.with_time_zone(zone) })
    }

    /// The moment.
    pub fn timestamp(&self) -> Timestamp {
        self.at.timestamp()
    }

    /// As a value.
    pub fn value(self) -> Value {
        Value::Object(Arc::new(self))
    }

    /// The moment written in one of Go's layouts.
    pub fn format(&self, layout: &str) -> String {
        format(&self.at, layout)
    }

    /// How much later this is than `other`.
    pub fn since(&self, other: &Self) -> Span {
        let nanoseconds = self.timestamp().as_nanosecond() - other.timestamp().as_nanosecond();
        let clamped = nanoseconds.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        Span { nanoseconds: clamped as i64 }
    }

    /// Years, months and days later; a day that a month has not is one of the next.
    fn added(&self, arguments: &[Value]) -> Result<Self, String> {
        let number = |i: usize| {
            let number =
                arguments.get(i).and_then(Value::as_integer).and_then(|number| i64::try_from(number).ok());
            number.ok_or("wrong type for value; expected int")
        };
        let (years, months, days) = (number(0)?, number(1)?, number(2)?);
        let at = &self.at;
        let span = jiff::Span::new().try_years(years).and_then(|span| span.try_months(months));
        let moved = span
            .and_then(|span| at.datetime().first_of_month().checked_add(span))
            .and_then(|first| {
                first.checked_add(jiff::Span::new().try_days(days.saturating_add(at.day().into()) - 1)?)
            })
            .and_then(|date| date.to_zoned(at.time_zone().clone()));
        moved.map(|at| Self { at }).map_err(|error| error.to_string())
    }

    /// The moment down to, or rounded to, multiples of a duration since the year 1.
    fn whole(&self, of: Span, rounds: bool) -> Result<Self, String> {
        if of.nanoseconds <= 0 {
            return Ok(self.clone());
        }
        let (unit, at) = (i128::from(of.nanoseconds), self.timestamp().as_nanosecond());
        let rest = (at - Self::zero().timestamp().as_nanosecond()).rem_euclid(unit);
        let by = if rounds && rest + rest >= unit { unit - rest } else { -rest };
        self.shifted(SignedDuration::from_nanos(i64::try_from(by).unwrap_or_default()))
    }

    /// What the zone is called.
    fn location(&self) -> Value {
        let zone = self.at.time_zone();
        let name = if *zone == TimeZone::UTC { "UTC" } else { zone.iana_name().unwrap_or_default() };
        Named { of: "*time.Location", text: name.to_owned(), number: None }.value()
    }

    fn shifted(&self, by: SignedDuration) -> Result<Self, String> {
        self.at.checked_add(by).map(|at| Self { at }).map_err(|error| error.to_string())
    }
}

/// The time an argument is.
pub fn time_of(value: &Value) -> Result<Time, String> {
    let found = match value {
        Value::Object(object) => object.as_any().and_then(|any| any.downcast_ref::<Time>()),
        _ => None,
    };
    let wrong = || format!("wrong type for value; expected time.Time; got {}", value.type_name());
    found.cloned().ok_or_else(wrong)
}

/// The duration an argument is.
fn span_of(value: Option<&Value>) -> Result<Span, String> {
    match value.map(Value::underlying) {
        Some(Value::Int(nanoseconds, Type::Int | Type::Int64)) => Ok(Span { nanoseconds }),
        _ => Err("wrong type for value; expected time.Duration".to_owned()),
    }
}

impl Object for Time {
    fn type_name(&self) -> &'static str {
        "time.Time"
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn equals(&self, other: &Value) -> Option<bool> {
        let other = time_of(other).ok()?;
        Some(self.timestamp() == other.timestamp() && self.at.time_zone() == other.at.time_zone())
    }

    fn text(&self) -> Option<String> {
        Some(self.format("2006-01-02 15:04:05.999999999 -0700 MST"))
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
        let int = |number: i64| Ok(Value::from(number));
        let int64 = |number: i64| Ok(Value::Int(number, Type::Int64));
        let named = |of, text: &str, number: i8| {
            Ok(Named { of, text: text.to_owned(), number: Some(number.into()) }.value())
        };
        let other = || arguments.first().map_or_else(|| Err("missing argument".to_owned()), time_of);
        let at = &self.at;
        let ns = self.timestamp().as_nanosecond();
        Some(match name {
            "Format" => match arguments.first().and_then(Value::as_bytes) {
                Some(layout) => Ok(self.format(&String::from_utf8_lossy(layout)).into()),
                None => Err("wrong type for value; expected string".to_owned()),
            },
            "String" => Ok(self.text().unwrap_or_default().into()),
            "UTC" => self.in_zone("").map(Time::value),
            "Local" => self.in_zone("").map(Time::value),
            "In" => match arguments.first().and_then(Value::as_bytes) {
                Some(zone) => self.in_zone(&String::from_utf8_lossy(zone)).map(Time::value),
                None => Err("wrong type for value; expected a time zone".to_owned()),
            },
            "Unix" => int64(ns.div_euclid(1_000_000_000) as i64),
            "UnixMilli" => int64(ns.div_euclid(1_000_000) as i64),
            "UnixMicro" => int64(ns.div_euclid(1_000) as i64),
            "UnixNano" => int64(ns as i64),
            "Year" => int(i64::from(at.year())),
            "Month" => {
                named("time.Month", layout::MONTHS[usize::from(at.month().unsigned_abs() - 1)], at.month())
            }
            "Weekday" => {
                let day = at.weekday().to_sunday_zero_offset();
                named("time.Weekday", layout::WEEKDAYS[usize::from(day.unsigned_abs())], day)
            }
            "Location" => Ok(self.location()),
            "Day" => int(i64::from(at.day())),
            "YearDay" => int(i64::from(at.day_of_year())),
            "Hour" => int(i64::from(at.hour())),
            "Minute" => int(i64::from(at.minute())),
            "Second" => int(i64::from(at.second())),
            "Nanosecond" => int(i64::from(at.subsec_nanosecond())),
            "IsZero" => Ok((self.timestamp() == Self::zero().timestamp()).into()),
            "Sub" => other().map(|other| self.since(&other).value()),
            "Before" => other().map(|other| (self.timestamp() < other.timestamp()).into()),
            "After" => other().map(|other| (self.timestamp() > other.timestamp()).into()),
            "Equal" => other().map(|other| (self.timestamp() == other.timestamp()).into()),
            "Compare" => other().map(|other| (self.timestamp().cmp(&other.timestamp()) as i64).into()),
            "AddDate" => self.added(arguments).map(Time::value),
            "Truncate" => {
                span_of(arguments.first()).and_then(|unit| self.whole(unit, false)).map(Time::value)
            }
            "Round" => span_of(arguments.first()).and_then(|unit| self.whole(unit, true)).map(Time::value),
            "Add" => span_of(arguments.first())
                .and_then(|span| self.shifted(SignedDuration::from_nanos(span.nanoseconds)))
                .map(Time::value),
            _ => return None,
        })
    }
}

/// A month, a day of the week or a zone: a name, and mostly a number.
#[derive(Debug)]
struct Named {
    of: &'static str,
    text: String,
    number: Option<i64>,
}

impl Named {
    fn value(self) -> Value {
        Value::Object(Arc::new(self))
    }
}

impl Object for Named {
    fn type_name(&self) -> &'static str {
        self.of
    }

    fn underlying(&self) -> Value {
        self.number.map_or(Value::Nil, Value::from)
    }

    fn text(&self) -> Option<String> {
        Some(self.text.clone())
    }

    fn call(&self, name: &str, _: &[Value]) -> Option<Result<Value, String>> {
        (name == "String").then(|| Ok(self.text.as_str().into()))
    }
}

/// A duration as templates see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Nanoseconds; negative for the past.
    pub nanoseconds: i64,
}

impl Span {
    /// A duration of seconds; one that is too long is as long as can be.
    pub fn from_seconds(seconds: f64) -> Self {
        Self { nanoseconds: (seconds * 1e9) as i64 }
    }

    /// As a value.
    pub fn value(self) -> Value {
        Value::Object(Arc::new(self))
    }

    /// Down to, or rounded to, multiples of a duration.
    fn whole(self, of: Self, rounds: bool) -> Self {
        let (ns, unit) = (i128::from(self.nanoseconds), i128::from(of.nanoseconds));
        if unit <= 0 {
            return self;
        }
        let rest = ns % unit;
        let away = if rounds && rest.abs() * 2 >= unit { unit * ns.signum() } else { 0 };
        let clamped = (ns - rest + away).clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        Self { nanoseconds: clamped as i64 }
    }
}

impl Object for Span {
    fn type_name(&self) -> &'static str {
        "time.Duration"
    }

    fn underlying(&self) -> Value {
        Value::Int(self.nanoseconds, Type::Int64)
    }

    fn text(&self) -> Option<String> {
        Some(model::duration::format_go_duration(self.nanoseconds))
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
        let ns = self.nanoseconds;
        if matches!(name, "Round" | "Truncate") {
            return Some(span_of(arguments.first()).map(|unit| self.whole(unit, name == "Round").value()));
        }
        Some(Ok(match name {
            "Hours" => Value::Float(ns as f64 / 3.6e12),
            "Minutes" => Value::Float(ns as f64 / 6e10),
            "Seconds" => Value::Float(ns as f64 / 1e9),
            "Milliseconds" => Value::Int(ns / 1_000_000, Type::Int64),
            "Microseconds" => Value::Int(ns / 1000, Type::Int64),
            "Nanoseconds" => Value::Int(ns, Type::Int64),
            "Abs" => Self { nanoseconds: ns.saturating_abs() }.value(),
            "String" => self.text().unwrap_or_default().into(),
            _ => return None,
        }))
    }
}
