//! What the language can do beyond the reference, each on its own and off by default: with everything off, queries mean
//! and fail as they do there.

/// What is switched on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features {
    /// `| distinct a, b` as the last stage of a query of lines: of lines with equal values of these labels, the first one.
    pub distinct: bool,
    /// `max_over_time(rate({...}[1m])[1h:5m])`: functions over the values a query has at many times.
    pub subqueries: bool,
    /// `rate({...}[5m] @ 1700000000)`, `@ start()`, `@ end()`: the range lies at a fixed time.
    pub at_modifier: bool,
    /// `count_values("label", ...)`: how many series have each value.
    pub count_values: bool,
}

impl Features {
    /// All names, as users switch them on.
    pub const NAMES: [&'static str; 4] = ["distinct", "subqueries", "at", "count-values"];

    /// Everything is on.
    pub const ALL: Self = Self { distinct: true, subqueries: true, at_modifier: true, count_values: true };

    /// What these names, or `all`, switch on; the error names one that means nothing.
    pub fn from_names<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Self, String> {
        let mut features = Self::default();
        for name in names {
            match name {
                "all" => features = Self::ALL,
                "distinct" => features.distinct = true,
                "subqueries" => features.subqueries = true,
                "at" => features.at_modifier = true,
                "count-values" => features.count_values = true,
                _ => return Err(format!("{name:?} is none of all, {}", Self::NAMES.join(", "))),
            }
        }
        Ok(features)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_switches_one_thing_on() {
        assert_eq!(Features::from_names(Features::NAMES), Ok(Features::ALL));
        assert_eq!(Features::from_names(["all"]), Ok(Features::ALL));
        assert_eq!(Features::from_names([]), Ok(Features::default()));
        let at = Features::from_names(["at"]).unwrap();
        assert!(at.at_modifier && !at.distinct && !at.subqueries && !at.count_values);
        assert!(Features::from_names(["no"]).unwrap_err().contains("distinct, subqueries, at, count-values"));
    }
}
