//! Days, by which entries are put into folders.

use std::fmt;

const DAY_NS: i64 = 86_400_000_000_000;

/// A day in UTC, as days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(pub i32);

impl Day {
    /// The day of an instant, nanoseconds since the epoch.
    pub fn of_ns(timestamp_ns: i64) -> Self {
        // 2^63 ns are less than 106,752 days.
        Self(timestamp_ns.div_euclid(DAY_NS) as i32)
    }

    /// Its first nanosecond.
    pub fn first_ns(self) -> i64 {
        i64::from(self.0).saturating_mul(DAY_NS)
    }

    /// Its last nanosecond.
    pub fn last_ns(self) -> i64 {
        self.first_ns().saturating_add(DAY_NS - 1)
    }

    /// The day of a date as [`fmt::Display`] writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        if (year.len(), month.len(), day.len()) != (4, 2, 2) {
            return None;
        }
        let parsed = Self::of_date(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
        (parsed.to_string() == text).then_some(parsed)
    }

    /// The proleptic Gregorian calendar, counted in years that begin in March, so that a leap day is a year's last.
    fn of_date(year: i32, month: i32, day: i32) -> Self {
        let year = if month <= 2 { year - 1 } else { year };
        let month = (month + 9) % 12;
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let of_year = (153 * month + 2) / 5 + day - 1;
        Self(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
    }

    fn date(self) -> (i32, i32, i32) {
        let days = self.0 + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        (era * 400 + year_of_era + i32::from(month <= 2), month, day)
    }
}

/// `2026-01-31`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_the_dates_of_the_calendar() {
        for (day, date) in
            [(0, "1970-01-01"), (-1, "1969-12-31"), (11_016, "2000-02-29"), (20_468, "2026-01-15")]
        {
            assert_eq!(Day(day).to_string(), date);
            assert_eq!(Day::parse(date), Some(Day(day)));
        }
        assert_eq!(Day::of_ns(-1), Day(-1));
        assert_eq!(Day::of_ns(Day(20_468).last_ns()), Day(20_468));
        for bad in ["2026-02-30", "2026-1-01", "x", "2026-01-01-01", "2026-13-01"] {
            assert_eq!(Day::parse(bad), None, "{bad}");
        }
        for day in (-106_751..106_751).step_by(97) {
            assert_eq!(Day::parse(&Day(day).to_string()), Some(Day(day)));
        }
    }
}
