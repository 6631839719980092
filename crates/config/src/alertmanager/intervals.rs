//! Time intervals: when a route is muted, or the only times it is active.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::decode::{At, Cx, Setting, scalar_text};
use crate::error::Fault;
use crate::section::{Check, Shape, section};
use crate::yaml::{Node, Out};

section! {
    /// Times under a name.
    pub struct NamedInterval ("time interval", "config.plain") {
        /// The name routes use.
        always name: String;
        /// The times; the interval contains what any of them contains.
        always time_intervals: Vec<TimeInterval>;
    }
}

section! {
    /// Times that satisfy every condition that is given.
    pub struct TimeInterval ("times", "timeinterval.TimeInterval") {
        /// Times of day.
        set times: Vec<TimeRange>;
        /// Days of the week, for example `monday:friday`.
        set weekdays: Vec<WeekdayRange>;
        /// Days of the month; negative ones count from its end.
        set days_of_month: Vec<DayOfMonthRange>;
        /// Months, by name or number.
        set months: Vec<MonthRange>;
        /// Years.
        set years: Vec<YearRange>;
        /// The time zone all of it is meant in; UTC when absent.
        set location: Option<Location>;
    }
}

impl Check for NamedInterval {}
impl Check for TimeInterval {}

impl TimeInterval {
    /// Whether the moment is in the interval.
    pub fn contains_ms(&self, now_ms: i64) -> bool {
        let Ok(now) = jiff::Timestamp::from_millisecond(now_ms) else { return false };
        let zone = self.location.as_ref().map_or(TimeZone::UTC, |location| location.zone.clone());
        let now = now.to_zoned(zone);
        let date = now.date();
        let minute = i32::from(now.hour()) * 60 + i32::from(now.minute());
        let weekday = i32::from(now.weekday().to_sunday_zero_offset());
        any(&self.times, |range| (range.start_minute..range.end_minute).contains(&minute))
            && any(&self.days_of_month, |range| range.contains(date))
            && any(&self.months, |range| range.0.contains(date.month().into()))
            && any(&self.weekdays, |range| range.0.contains(weekday))
            && any(&self.years, |range| range.0.contains(date.year().into()))
    }
}

/// A condition that is not given holds always.
fn any<T>(ranges: &[T], holds: impl FnMut(&T) -> bool) -> bool {
    ranges.is_empty() || ranges.iter().any(holds)
}

/// A range of numbers with both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    /// The first.
    pub begin: i32,
    /// The last.
    pub end: i32,
}

impl Range {
    fn contains(self, number: i32) -> bool {
        (self.begin..=self.end).contains(&number)
    }

    /// Reads `a` or `a:b`.
    fn read(text: &str, member: impl Fn(&str) -> Result<i32, String>) -> Result<Self, String> {
        let lower = text.to_lowercase();
        let parts: Vec<&str> = lower.split(':').collect();
        match parts.as_slice() {
            [one] => member(one).map(|begin| Self { begin, end: begin }),
            [begin, end] => Ok(Self { begin: member(begin)?, end: member(end)? }),
            _ => Err(format!("couldn't parse range {lower}, invalid format")),
        }
    }

    fn show(self, name: impl Fn(i32) -> String) -> String {
        if self.begin == self.end {
            name(self.begin)
        } else {
            format!("{}:{}", name(self.begin), name(self.end))
        }
    }
}

fn number(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| format!("strconv.Atoi: parsing {}: invalid syntax", model::labels::Quoted(text)))
}

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The place of a name, counted from `first`.
fn name_at(names: &[&str], first: i32, name: &str) -> Option<i32> {
    (first..).zip(names).find(|(_, known)| **known == name).map(|(at, _)| at)
}

fn name_of(names: &[&str], first: i32, at: i32) -> String {
    let index = usize::try_from(at - first).ok();
    index.and_then(|i| names.get(i)).map_or_else(|| at.to_string(), |name| (*name).to_owned())
}

/// Defines a range that is read from one text.
macro_rules! text_range {
    ($(#[doc = $doc:literal])+ $name:ident, $shape:literal, $parse:expr, $show:expr) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name(pub Range);

        impl Setting for $name {
            fn zero() -> Self {
                Self::default()
            }

            fn decode(node: &Node, _: &Cx<'_>) -> Result<Self, Fault> {
                let parse: fn(&str) -> Result<Range, String> = $parse;
                let text = scalar_text(node, "string")?;
                parse(text)
                    .map(Self)
                    .map_err(|message| Fault::new(node.pos, message).remedy(concat!("write ", $shape)))
            }

            fn is_zero(&self) -> bool {
                false
            }

            fn emit(&self) -> Out {
                let show: fn(i32) -> String = $show;
                Out::Text(self.0.show(show))
            }

            fn shape() -> Shape {
                Shape::Scalar($shape)
            }
        }
    };
}

text_range! {
    /// Days of the week, Sunday being 0.
    WeekdayRange, "weekdays like monday:friday",
    |text| {
        let day = |name: &str| {
            name_at(&WEEKDAYS, 0, name).ok_or_else(|| format!("{name} is not a valid weekday"))
        };
        let range = Range::read(text, day)?;
        if range.begin > range.end {
            return Err("start day cannot be before end day".to_owned());
        }
        Ok(range)
    },
    |day| name_of(&WEEKDAYS, 0, day)
}

text_range! {
    /// Days of the month from 1; negative ones count from the end, -1 being the last.
    DayOfMonthRange, "days like 1:15 or -3:-1", parse_days, |day| day.to_string()
}

text_range! {
    /// Months from 1.
    MonthRange, "months like january:march or 1:3",
    |text| {
        let month = |name: &str| {
            name_at(&MONTHS, 1, name)
                .map_or_else(|| name.parse().map_err(|_| format!("{name} is not a valid month")), Ok)
        };
        let range = Range::read(text, month)?;
        if range.begin > range.end {
            let name = |month| name_at(&MONTHS, 1, &name_of(&MONTHS, 1, month)).map_or(String::new(), |_| name_of(&MONTHS, 1, month));
            return Err(format!("end month {} is before start month {}", name(range.end), name(range.begin)));
        }
        Ok(range)
    },
    |month| month.to_string()
}

text_range! {
    /// Years.
    YearRange, "years like 2030 or 2030:2033",
    |text| {
        let range = Range::read(text, number)?;
        if range.begin > range.end {
            return Err(format!("end year {} is before start year {}", range.end, range.begin));
        }
        Ok(range)
    },
    |year| year.to_string()
}

fn parse_days(text: &str) -> Result<Range, String> {
    /// Every month has these, so what is wrong among them is always wrong.
    const SHORTEST_MONTH: i32 = 28;
    let range = Range::read(text, number)?;
    for day in [range.begin, range.end] {
        if day == 0 || !(-31..=31).contains(&day) {
            return Err(format!("{day} is not a valid day of the month: out of range"));
        }
    }
    if range.begin < 0 && range.end > 0 {
        return Err("end day must be negative if start day is negative".to_owned());
    }
    let from_start = |day: i32| if day < 0 { SHORTEST_MONTH + day } else { day };
    if from_start(range.begin) > from_start(range.end) {
        return Err(format!("end day {} is always before start day {}", range.end, range.begin));
    }
    Ok(range)
}

impl DayOfMonthRange {
    /// Whether the day is in the range, as far as its month has such days.
    fn contains(&self, date: Date) -> bool {
        let last = i32::from(date.days_in_month());
        let from_start = |day: i32| if day < 0 { last + day + 1 } else { day };
        let (begin, end) = (from_start(self.0.begin), from_start(self.0.end));
        begin <= last && (begin.max(-last)..=end.clamp(-last, last)).contains(&date.day().into())
    }
}

/// A range of times of day, in minutes; the end is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeRange {
    /// The first minute.
    pub start_minute: i32,
    /// The minute behind the last; 1440 is the end of the day.
    pub end_minute: i32,
}

section! {
    /// A range of times of day.
    pub struct TimeRangeText ("time range", "timeinterval.yamlTimeRange") {
        /// The first minute, `HH:MM`.
        always start_time: String;
        /// The minute behind the last, `HH:MM`; `24:00` is the end of the day.
        always end_time: String;
    }
}

impl Check for TimeRangeText {}

fn minutes(text: &str) -> Result<i32, String> {
    let wrong = || format!("couldn't parse timestamp {text}, invalid format");
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !two_digits(hour) || !two_digits(minute) {
        return Err(wrong());
    }
    let read = |part: &str| part.parse::<i32>().map_err(|_| wrong());
    match (read(hour)?, read(minute)?) {
        (24, 0) => Ok(1440),
        (hour @ 0..24, minute @ 0..60) => Ok(hour * 60 + minute),
        _ => Err(wrong()),
    }
}

impl Setting for TimeRange {
    fn zero() -> Self {
        Self::default()
    }

    fn decode(node: &Node, cx: &Cx<'_>) -> Result<Self, Fault> {
        let text = TimeRangeText::decode(node, cx)?;
        let at = At { node };
        if text.start_time.is_empty() || text.end_time.is_empty() {
            return Err(at
                .fault("start_time", "both start and end times must be provided")
                .remedy("give start_time and end_time, each as HH:MM"));
        }
        let read = |key: &str, text: &str| {
            minutes(text).map_err(|message| at.fault(key, message).remedy("write it as HH:MM"))
        };
        let start_minute = read("start_time", &text.start_time)?;
        let end_minute = read("end_time", &text.end_time)?;
        if start_minute >= end_minute {
            return Err(at
                .fault("end_time", "start time cannot be equal or greater than end time")
                .remedy("split a range over midnight in two"));
        }
        Ok(Self { start_minute, end_minute })
    }

    fn is_zero(&self) -> bool {
        false
    }

    fn emit(&self) -> Out {
        let show = |minute: i32| format!("{:02}:{:02}", minute / 60, minute % 60);
        let text = TimeRangeText { start_time: show(self.start_minute), end_time: show(self.end_minute) };
        text.emit()
    }

    fn shape() -> Shape {
        TimeRangeText::shape()
    }
}

/// A time zone by its name in the IANA database.
#[derive(Debug, Clone, PartialEq)]
pub struct Location {
    /// The name as written.
    pub name: String,
    /// The zone.
    pub zone: TimeZone,
}

impl Setting for Location {
    fn zero() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }

    fn decode(node: &Node, _: &Cx<'_>) -> Result<Self, Fault> {
        let name = scalar_text(node, "string")?;
        let zone = match name {
            "" | "UTC" => Ok(TimeZone::UTC),
            "Local" => Ok(TimeZone::system()),
            name => TimeZone::get(name),
        };
        let zone = zone.map_err(|_| {
            Fault::new(node.pos, format!("unknown time zone {name}"))
                .remedy("write a name of the IANA database like Europe/Berlin")
        })?;
        Ok(Self { name: if name.is_empty() { "UTC".to_owned() } else { name.to_owned() }, zone })
    }

    fn is_zero(&self) -> bool {
        false
    }

    fn emit(&self) -> Out {
        Out::Text(self.name.clone())
    }

    fn shape() -> Shape {
        Shape::Scalar("time zone")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{Limits, parse_bytes};

    fn interval(yaml: &str) -> Result<TimeInterval, String> {
        let root = parse_bytes(yaml.as_bytes(), Limits::default()).map_err(|fault| fault.message)?;
        let cx = Cx::new("t.yml".as_ref());
        TimeInterval::decode(&root, &cx).map_err(|fault| fault.message)
    }

    fn ms(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn every_condition_must_hold() {
        let office =
            interval("times: [{start_time: '09:00', end_time: '17:00'}]\nweekdays: ['monday:friday']\n");
        let office = office.unwrap();
        assert!(office.contains_ms(ms("2026-11-20T09:00:00Z")));
        assert!(office.contains_ms(ms("2026-11-20T16:59:59Z")));
        assert!(!office.contains_ms(ms("2026-11-20T17:00:00Z")));
        assert!(!office.contains_ms(ms("2026-11-21T12:00:00Z")), "a Saturday");
    }

    #[test]
    fn days_count_from_the_end_of_the_month() {
        let last_days = interval("days_of_month: ['-3:-1']").unwrap();
        assert!(last_days.contains_ms(ms("2028-02-27T00:00:00Z")));
        assert!(!last_days.contains_ms(ms("2028-02-26T00:00:00Z")));
        let late = interval("days_of_month: ['29:31']").unwrap();
        assert!(!late.contains_ms(ms("2026-02-28T00:00:00Z")), "February has no 29th then");
        assert!(late.contains_ms(ms("2028-02-29T00:00:00Z")));
    }

    #[test]
    fn zones_shift_what_the_clock_shows() {
        let night =
            interval("times: [{start_time: '22:00', end_time: '24:00'}]\nlocation: Europe/Berlin").unwrap();
        assert!(night.contains_ms(ms("2026-01-10T21:30:00Z")));
        assert!(!night.contains_ms(ms("2026-07-10T22:30:00Z")), "half past midnight in summer");
        assert!(night.contains_ms(ms("2026-07-10T20:30:00Z")));
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            ("weekdays: [friday:monday]", "start day cannot be before end day"),
            ("weekdays: [freeday]", "freeday is not a valid weekday"),
            ("months: ['may:april']", "end month april is before start month may"),
            ("months: [maypril]", "maypril is not a valid month"),
            ("years: ['2030:2020']", "end year 2020 is before start year 2030"),
            ("days_of_month: ['0']", "0 is not a valid day of the month: out of range"),
            ("days_of_month: ['-3:3']", "end day must be negative if start day is negative"),
            ("days_of_month: ['30:-28']", "end day -28 is always before start day 30"),
            ("days_of_month: ['1:2:3']", "couldn't parse range 1:2:3, invalid format"),
            ("location: Mars/Olympus", "unknown time zone Mars/Olympus"),
            (
                "times: [{start_time: '9:00', end_time: '10:00'}]",
                "couldn't parse timestamp 9:00, invalid format",
            ),
            (
                "times: [{start_time: '10:00', end_time: '10:00'}]",
                "start time cannot be equal or greater than end time",
            ),
            ("times: [{start_time: '10:00'}]", "both start and end times must be provided"),
        ];
        for (yaml, message) in cases {
            assert_eq!(interval(yaml).unwrap_err(), message, "{yaml}");
        }
    }
}
