//! `sort` and relatives in instant queries.

use std::cmp::Ordering;
use std::sync::Arc;

use super::env::Env;
use super::error::EvalResult;
use super::operator::{HeldSeries, Materialized, Operator, SharedOperator, count_samples, hold_all};

/// What series are sorted by.
#[derive(Debug, Clone)]
pub(crate) enum SortBy {
    /// Their values, NaNs last. Histograms are left out.
    Value { descending: bool },
    /// The values of these labels, then all labels.
    Labels { names: Vec<String>, descending: bool },
}

/// The series of `input`, which has one step, in order.
pub(crate) fn open_sort(env: &Arc<Env>, input: &dyn Operator, by: &SortBy) -> EvalResult<SharedOperator> {
    let before = env.samples.current();
    let mut rows = hold_all(input, env, 1)?;
    let series = &mut rows.series;
    match by {
        SortBy::Value { descending } => {
            series.retain(|s| s.values.histogram(0).is_none());
            series.sort_by(|a, b| compare_values(a.values.values[0], b.values.values[0], *descending));
        }
        SortBy::Labels { names, descending } => {
            series.sort_by(|a, b| {
                let order = compare_labels(a, b, names);
                if *descending { order.reverse() } else { order }
            });
        }
    }
    env.samples.settle(before, count_samples(series))?;
    Ok(Materialized::new(rows).unique_without_metadata(input.is_unique_without_metadata()).shared())
}

fn compare_values(a: f64, b: f64, descending: bool) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) if descending => b.partial_cmp(&a).unwrap_or(Ordering::Equal),
        (false, false) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
        (a_is_nan, b_is_nan) => a_is_nan.cmp(&b_is_nan),
    }
}

fn compare_labels(a: &HeldSeries, b: &HeldSeries, names: &[String]) -> Ordering {
    names
        .iter()
        .map(|name| natural_order(a.labels.get_or_empty(name), b.labels.get_or_empty(name)))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| a.labels.cmp(&b.labels))
}

/// The order in which runs of digits compare as numbers: `a2` before `a10`.
fn natural_order(a: &str, b: &str) -> Ordering {
    let mut a_runs = runs(a);
    let mut b_runs = runs(b);
    loop {
        let (a_run, b_run) = match (a_runs.next(), b_runs.next()) {
            (None, None) => return a.cmp(b),
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a_run), Some(b_run)) => (a_run, b_run),
        };
        let order = match (a_run.parse::<i64>(), b_run.parse::<i64>()) {
            (Ok(a_number), Ok(b_number)) => a_number.cmp(&b_number),
            _ => a_run.cmp(b_run),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// The maximal runs of digits and of other characters.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let is_digit = rest.as_bytes().first()?.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != is_digit).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        Some(run)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_compare_as_numbers() {
        let sorted = ["", "2", "10", "a", "a1", "a1b", "a2", "a10", "b"];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(natural_order(a, b), i.cmp(&j), "{a:?} {b:?}");
            }
        }
        assert_eq!(natural_order("1", "01"), "1".cmp("01"));
    }

    #[test]
    fn nans_come_last_in_both_orders() {
        for descending in [false, true] {
            assert_eq!(compare_values(f64::NAN, 1.0, descending), Ordering::Greater);
            assert_eq!(compare_values(1.0, f64::NAN, descending), Ordering::Less);
        }
        assert_eq!(compare_values(1.0, 2.0, false), Ordering::Less);
        assert_eq!(compare_values(1.0, 2.0, true), Ordering::Greater);
    }
}
