//! `| level="error" and took>5s`

use std::borrow::Cow;

use model::Matcher;
use model::duration::parse_go_duration;

use super::ip::Addresses;
use crate::ast::{Comparison, LabelFilter};
use crate::labels::{ERROR, ERROR_DETAILS, RowLabels};
use crate::units::parse_bytes_text;

/// What a line is marked with whose label cannot be compared.
const FILTER_ERROR: &str = "LabelFilterErr";

/// A condition on labels, ready to run.
#[derive(Debug)]
pub(crate) enum Filter {
    Text(Matcher),
    Number(Comparison<f64>),
    Duration(Comparison<i64>),
    Bytes(Comparison<u64>),
    Ip { name: String, addresses: Addresses, negated: bool },
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
}

impl Filter {
    pub fn new(filter: &LabelFilter) -> Result<Self, String> {
        Ok(match filter {
            LabelFilter::Text(matcher) => Self::Text(matcher.clone()),
            LabelFilter::Number(comparison) => Self::Number(comparison.clone()),
            LabelFilter::Duration(comparison) => Self::Duration(comparison.clone()),
            LabelFilter::Bytes(comparison) => Self::Bytes(comparison.clone()),
            LabelFilter::Ip { name, pattern, negated } => {
                Self::Ip { name: name.clone(), addresses: Addresses::new(pattern)?, negated: *negated }
            }
            LabelFilter::And(left, right) => {
                Self::And(Box::new(Self::new(left)?), Box::new(Self::new(right)?))
            }
            LabelFilter::Or(left, right) => Self::Or(Box::new(Self::new(left)?), Box::new(Self::new(right)?)),
        })
    }

    /// Whether a line passes. Lines whose labels cannot be compared pass with an error.
    pub fn matches(&self, labels: &mut RowLabels) -> bool {
        match self {
            Self::Text(matcher) => matcher.matches(&value_of(labels, &matcher.name)),
            Self::Number(comparison) => compare(labels, comparison, |text| {
                model::number::parse_float(text).map_err(|problem| problem.to_string())
            }),
            Self::Duration(comparison) => compare(labels, comparison, |text| {
                parse_go_duration(text).map_err(|problem| problem.to_string())
            }),
            Self::Bytes(comparison) => compare(labels, comparison, parse_bytes_text),
            Self::Ip { name, addresses, negated } => {
                labels.get(name).is_some_and(|value| addresses.contains_text(value) != *negated)
            }
            Self::And(left, right) => left.matches(labels) && right.matches(labels),
            Self::Or(left, right) => left.matches(labels) || right.matches(labels),
        }
    }
}

fn value_of<'a>(labels: &'a RowLabels, name: &str) -> Cow<'a, str> {
    Cow::Borrowed(
        match name {
            ERROR => labels.error(),
            ERROR_DETAILS => labels.details(),
            _ => labels.get(name),
        }
        .unwrap_or_default(),
    )
}

fn compare<T: PartialOrd>(
    labels: &mut RowLabels,
    comparison: &Comparison<T>,
    read: impl Fn(&str) -> Result<T, String>,
) -> bool {
    let Some(text) = labels.get(&comparison.name) else { return false };
    match read(text) {
        Ok(value) => comparison.op.holds(value.partial_cmp(&comparison.value)),
        Err(problem) => {
            labels.set_error(FILTER_ERROR, Some(problem));
            true
        }
    }
}
