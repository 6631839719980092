//! From matchers to series references.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use model::{MatchOp, Matcher};

use super::index_reader::IndexReader;
use super::postings::{Postings, intersect, union, without};
use crate::error::TsdbError;

/// A matcher over many values is applied series by series instead when the other matchers leave
/// fewer series than this part of the values.
const VALUES_PER_SERIES: usize = 8;

/// The series that satisfy all matchers, ascending. A label a series lacks has the empty value.
pub fn select_series(index: &IndexReader, matchers: &[Matcher]) -> Result<Vec<u32>, TsdbError> {
    let mut included = Vec::new();
    let mut excluding = Vec::new();
    let mut scanning = Vec::new();
    for matcher in matchers {
        if matcher.matches_empty() {
            if !matches_everything(matcher) {
                excluding.push(matcher);
            }
        } else if let Some(values) = listed_values(matcher) {
            let lists: Result<Vec<_>, _> = values.iter().map(|v| index.postings(&matcher.name, v)).collect();
            let mut lists = lists?;
            lists.retain(|list| !list.is_empty());
            match lists.len() {
                0 => return Ok(Vec::new()),
                1 => included.append(&mut lists),
                _ => included.push(Postings::Owned(union(lists))),
            }
        } else {
            scanning.push(matcher);
        }
    }
    // Labels with few values first: each one narrows what the next has to look at.
    scanning.sort_by_key(|matcher| index.value_count(&matcher.name));
    let mut ids = if included.is_empty() { None } else { Some(intersect(included)) };
    for matcher in scanning {
        ids = Some(match ids {
            Some(ids) if ids.is_empty() => return Ok(ids),
            Some(ids) if ids.len() * VALUES_PER_SERIES < index.value_count(&matcher.name) => {
                filter_series(index, ids, matcher)?
            }
            Some(ids) => intersect(vec![Postings::Owned(ids), matching_values(index, matcher, true)?]),
            None => matching_values(index, matcher, true)?.into_vec(),
        });
    }
    let mut ids = match ids {
        Some(ids) => ids,
        None => index.all_postings()?.into_vec(),
    };
    for matcher in excluding {
        if ids.is_empty() {
            break;
        }
        ids = match excluded_values(matcher) {
            Some(values) => {
                let mut left = ids;
                for value in values {
                    left = without(left, &index.postings(&matcher.name, value)?);
                }
                left
            }
            None if ids.len() * VALUES_PER_SERIES < index.value_count(&matcher.name) => {
                filter_series(index, ids, matcher)?
            }
            None => without(ids, &matching_values(index, matcher, false)?),
        };
    }
    Ok(ids)
}

/// Whether any value, and no value, satisfies the matcher.
fn matches_everything(matcher: &Matcher) -> bool {
    matcher.op == MatchOp::Regex && matcher.value == ".*"
}

/// The only values that can satisfy the matcher, where that is known.
fn listed_values(matcher: &Matcher) -> Option<Vec<&str>> {
    match matcher.op {
        MatchOp::Equal => Some(vec![&matcher.value]),
        MatchOp::Regex => set_of(matcher),
        MatchOp::NotEqual | MatchOp::NotRegex => None,
    }
}

/// The only values that do not satisfy the matcher, where that is known.
fn excluded_values(matcher: &Matcher) -> Option<Vec<&str>> {
    match matcher.op {
        MatchOp::NotEqual => Some(vec![&matcher.value]),
        MatchOp::NotRegex => set_of(matcher),
        MatchOp::Equal | MatchOp::Regex => None,
    }
}

fn set_of(matcher: &Matcher) -> Option<Vec<&str>> {
    let mut values: Vec<&str> = matcher.regex()?.set_matches()?.iter().map(String::as_str).collect();
    values.sort_unstable();
    values.dedup();
    Some(values)
}

/// The series that have a value which satisfies the matcher, or (`wanted` false) one which does not.
fn matching_values<'a>(
    index: &'a IndexReader,
    matcher: &Matcher,
    wanted: bool,
) -> Result<Postings<'a>, TsdbError> {
    let prefix = match (matcher.op, wanted) {
        (MatchOp::Regex, true) | (MatchOp::NotRegex, false) => {
            matcher.regex().map_or("", |regex| regex.prefix())
        }
        _ => "",
    };
    let mut lists = Vec::new();
    index.scan_values(&matcher.name, prefix, |value, postings| {
        if !value.starts_with(prefix) {
            return Ok(ControlFlow::Break(()));
        }
        if matcher.matches(value) == wanted {
            lists.push(postings()?);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Postings::Owned(union(lists)))
}

/// Applies the matcher to the labels of each series.
fn filter_series(index: &IndexReader, ids: Vec<u32>, matcher: &Matcher) -> Result<Vec<u32>, TsdbError> {
    let Some(name) = index.find_symbol(&matcher.name)? else {
        return Ok(if matcher.matches_empty() { ids } else { Vec::new() });
    };
    let mut known: HashMap<u32, bool> = HashMap::new();
    let mut kept = Vec::with_capacity(ids.len());
    for id in ids {
        let matches = match value_symbol(index, id, name)? {
            None => matcher.matches_empty(),
            Some(value) => match known.get(&value) {
                Some(&matches) => matches,
                None => {
                    let matches = matcher.matches(index.symbol(value)?);
                    known.insert(value, matches);
                    matches
                }
            },
        };
        if matches {
            kept.push(id);
        }
    }
    Ok(kept)
}

/// The value symbol of a series for the label with this name symbol.
fn value_symbol(index: &IndexReader, id: u32, name: u32) -> Result<Option<u32>, TsdbError> {
    let mut found = None;
    let read = index.series(id)?.labels(|n, v| {
        if n == name {
            found = Some(v);
        }
    });
    read.map_err(|error| index.bad_series(id, error))?;
    Ok(found)
}

/// The label names of the series that satisfy the matchers, sorted.
pub fn label_names(index: &IndexReader, matchers: &[Matcher]) -> Result<Vec<String>, TsdbError> {
    if matchers.is_empty() {
        return Ok(index.label_names().map(str::to_owned).collect());
    }
    let mut symbols = HashSet::new();
    for id in select_series(index, matchers)? {
        let read = index.series(id)?.labels(|name, _| {
            symbols.insert(name);
        });
        read.map_err(|error| index.bad_series(id, error))?;
    }
    sorted_symbols(index, symbols)
}

/// The values of label `name` among the series that satisfy the matchers, sorted; at most `limit`
/// when that is not 0.
pub fn label_values(
    index: &IndexReader,
    name: &str,
    matchers: &[Matcher],
    limit: usize,
) -> Result<Vec<String>, TsdbError> {
    let limit = if limit == 0 { usize::MAX } else { limit };
    // Every value in the table has a series, so matchers on this very label need no series.
    if matchers.iter().all(|matcher| matcher.name == name) {
        let mut values = Vec::new();
        index.scan_values(name, "", |value, _| {
            if matchers.iter().all(|matcher| matcher.matches(value)) {
                values.push(value.to_owned());
            }
            Ok(if values.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        return Ok(values);
    }
    let Some(wanted) = index.find_symbol(name)? else { return Ok(Vec::new()) };
    let mut symbols = HashSet::new();
    for id in select_series(index, matchers)? {
        symbols.extend(value_symbol(index, id, wanted)?);
    }
    let mut values = sorted_symbols(index, symbols)?;
    values.truncate(limit);
    Ok(values)
}

fn sorted_symbols(index: &IndexReader, symbols: HashSet<u32>) -> Result<Vec<String>, TsdbError> {
    // Symbols are numbered in the order of their strings.
    let mut symbols: Vec<u32> = symbols.into_iter().collect();
    symbols.sort_unstable();
    symbols.into_iter().map(|id| index.symbol(id).map(str::to_owned)).collect()
}
