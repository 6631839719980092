//! Calendar parts of a time, in UTC and the Gregorian calendar extended to all of time.

use std::fmt;

const SECONDS_PER_DAY: i64 = 86_400;

/// The functions that take a calendar part out of a number of seconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DatePart {
    /// Days of the month it lies in: 28 to 31.
    DaysInMonth,
    /// 1 to 31.
    DayOfMonth,
    /// 0 (Sunday) to 6.
    DayOfWeek,
    /// 1 to 366.
    DayOfYear,
    /// 0 to 23.
    Hour,
    /// 0 to 59.
    Minute,
    /// 1 to 12.
    Month,
    /// The year.
    Year,
}

impl DatePart {
    /// The function of this name, if it is one of them.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "days_in_month" => Self::DaysInMonth,
            "day_of_month" => Self::DayOfMonth,
            "day_of_week" => Self::DayOfWeek,
            "day_of_year" => Self::DayOfYear,
            "hour" => Self::Hour,
            "minute" => Self::Minute,
            "month" => Self::Month,
            "year" => Self::Year,
            _ => return None,
        })
    }

    /// The part of a float, whose fraction is cut off. What is no time (NaN, beyond 64 bits) is taken
    /// as the latest time there is: so the reference's calendar wraps around.
    pub fn of_float(self, seconds: f64) -> f64 {
        // 2^63: the first float that an i64 cannot hold.
        let beyond = -(i64::MIN as f64);
        let in_range = -beyond <= seconds && seconds < beyond;
        self.of_seconds(if in_range { seconds as i64 } else { i64::MAX })
    }

    /// The part of an evaluation timestamp, as the functions without an argument take it.
    pub fn of_timestamp(self, t_ms: i64) -> f64 {
        self.of_seconds(t_ms / 1000)
    }

    /// The part of a number of seconds since the Unix epoch.
    pub fn of_seconds(self, seconds: i64) -> f64 {
        let in_day = seconds.rem_euclid(SECONDS_PER_DAY);
        let date = || Date::of_seconds(seconds);
        match self {
            Self::Hour => (in_day / 3600) as f64,
            Self::Minute => (in_day % 3600 / 60) as f64,
            // 1 January 1970 was a Thursday.
            Self::DayOfWeek => (seconds.div_euclid(SECONDS_PER_DAY) + 4).rem_euclid(7) as f64,
            Self::DayOfMonth => date().day as f64,
            Self::Month => date().month as f64,
            Self::Year => date().year as f64,
            Self::DayOfYear => date().day_of_year() as f64,
            Self::DaysInMonth => date().days_in_month() as f64,
        }
    }
}

/// A day of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Date {
    year: i64,
    month: i64,
    day: i64,
}

const DAYS_BEFORE_MONTH: [i64; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];

impl Date {
    /// Counts years from March on, so that a leap day is the last day of its year, in cycles of 400
    /// years, which all have 146 097 days.
    fn of_seconds(seconds: i64) -> Self {
        let days = seconds.div_euclid(SECONDS_PER_DAY) + 719_468;
        let cycle = days.div_euclid(146_097);
        let day_of_cycle = days.rem_euclid(146_097);
        let year_of_cycle =
            (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
        let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        Self {
            year: cycle * 400 + year_of_cycle + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
        }
    }

    fn is_leap_year(self) -> bool {
        self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0)
    }

    fn day_of_year(self) -> i64 {
        let leap_day = i64::from(self.is_leap_year() && self.month > 2);
        DAYS_BEFORE_MONTH[self.month as usize - 1] + leap_day + self.day
    }

    fn days_in_month(self) -> i64 {
        let leap_day = i64::from(self.is_leap_year() && self.month == 2);
        DAYS_BEFORE_MONTH[self.month as usize] - DAYS_BEFORE_MONTH[self.month as usize - 1] + leap_day
    }
}

/// Seconds since the Unix epoch as `2006-01-02T15:04:05Z`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rfc3339(pub(crate) i64);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Date { year, month, day } = Date::of_seconds(self.0);
        let in_day = self.0.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (in_day / 3600, in_day % 3600 / 60, in_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(seconds: i64) -> [f64; 8] {
        use DatePart::*;
        [Year, Month, DayOfMonth, DayOfWeek, DayOfYear, DaysInMonth, Hour, Minute]
            .map(|p| p.of_seconds(seconds))
    }

    #[test]
    fn known_dates() {
        assert_eq!(parts(0), [1970.0, 1.0, 1.0, 4.0, 1.0, 31.0, 0.0, 0.0]);
        assert_eq!(parts(-1), [1969.0, 12.0, 31.0, 3.0, 365.0, 31.0, 23.0, 59.0]);
        // 2000-02-29T12:34:56Z, a leap day of a century divisible by 400.
        assert_eq!(parts(951_827_696), [2000.0, 2.0, 29.0, 2.0, 60.0, 29.0, 12.0, 34.0]);
        // 2100-03-01T00:00:00Z: no leap year.
        assert_eq!(parts(4_107_542_400), [2100.0, 3.0, 1.0, 1.0, 60.0, 31.0, 0.0, 0.0]);
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut before = Date::of_seconds(-400 * 366 * SECONDS_PER_DAY);
        for day in (-400 * 366 + 1)..(400 * 366) {
            let date = Date::of_seconds(day * SECONDS_PER_DAY);
            let expected = if before.day < before.days_in_month() {
                Date { day: before.day + 1, ..before }
            } else if before.month < 12 {
                Date { month: before.month + 1, day: 1, ..before }
            } else {
                Date { year: before.year + 1, month: 1, day: 1 }
            };
            assert_eq!(date, expected);
            before = date;
        }
    }

    #[test]
    fn fractions_are_cut_off_and_no_time_is_the_latest() {
        assert_eq!(DatePart::Minute.of_float(119.99), 1.0);
        assert_eq!(DatePart::Year.of_float(f64::NAN), 292_277_026_596.0);
        assert_eq!(DatePart::Month.of_float(f64::NAN), 12.0);
        assert_eq!(DatePart::Year.of_float(f64::INFINITY), DatePart::Year.of_float(f64::NEG_INFINITY));
        assert_eq!(DatePart::Year.of_timestamp(1_000), 1970.0);
    }

    #[test]
    fn timestamps_as_text() {
        assert_eq!(Rfc3339(951_827_696).to_string(), "2000-02-29T12:34:56Z");
    }
}
