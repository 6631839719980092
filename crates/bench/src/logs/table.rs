//! The report.

use std::fmt::Write as _;

use crate::report;
use crate::scenario::BenchError;

/// Figures in the order in which they were measured.
#[derive(Default)]
pub struct Table {
    rows: Vec<(String, f64, String)>,
    failures: usize,
}

impl Table {
    /// Adds a figure, and tells it.
    pub fn add(&mut self, name: &str, value: f64, what: &str) {
        eprintln!("bench: {name}: {}", report::number(value));
        self.rows.push((name.to_owned(), value, what.to_owned()));
    }

    /// Tells of a part that could not be measured, so that the rest can be.
    pub fn note(&mut self, part: &str, outcome: Result<(), BenchError>) {
        if let Err(error) = outcome {
            eprintln!("bench: {part}: {error}");
            self.rows.push((format!("{part}: could not be measured"), f64::NAN, error.to_string()));
            self.failures += 1;
        }
    }

    /// How many parts could not be measured.
    pub fn failures(&self) -> usize {
        self.failures
    }

    /// The report as Markdown.
    pub fn render(&self, scenario: &str, setting: &str) -> String {
        let mut text = report::head(scenario, setting);
        text.push_str("| figure | value | |\n|---|---:|---|\n");
        for (name, value, what) in &self.rows {
            let _ = writeln!(text, "| {name} | {} | {what} |", report::number(*value));
        }
        text
    }
}

/// The day of a second since the epoch, as `2026-01-15`.
pub fn date_of(second: u64) -> String {
    // Days of the civil calendar, years beginning in March.
    let days = (second / 86_400) as i64 + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_dates() {
        assert_eq!(date_of(0), "1970-01-01");
        assert_eq!(date_of(1_768_478_400), "2026-01-15");
        assert_eq!(date_of(1_709_164_800), "2024-02-29");
    }
}
