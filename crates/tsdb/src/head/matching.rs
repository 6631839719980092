//! From matchers to series.

use hashbrown::HashMap;
use model::{MatchOp, Matcher};

use super::index::{Index, NameIndex};
use super::postings::{intersect, subtract, union_disjoint};
use super::symbols::Symbol;
use super::table::{SeriesTable, Slot};

/// The series all matchers are true of, ascending. Slots whose series are gone may be among them.
pub fn matching_series(index: &Index, table: &SeriesTable, matchers: &[Matcher]) -> Vec<Slot> {
    // An absent label is an empty one: a matcher that is true of the empty value excludes series, all
    // others select some.
    let (excluding, selecting): (Vec<_>, Vec<_>) = matchers.iter().partition(|m| m.matches_empty());
    let mut found: Option<Vec<Slot>> = None;
    let (exact, scanning): (Vec<_>, Vec<_>) = selecting.into_iter().partition(|m| m.op == MatchOp::Equal);
    let mut lists: Vec<_> = exact.iter().map(|m| index.postings(&m.name, &m.value)).collect();
    lists.sort_by_key(|list| list.len());
    for list in lists {
        let so_far = match found {
            Some(so_far) => intersect(&so_far, list),
            None => list.to_vec(),
        };
        if so_far.is_empty() {
            return so_far;
        }
        found = Some(so_far);
    }
    for matcher in scanning {
        let Some((name, values)) = index.name(&matcher.name) else { return Vec::new() };
        found = Some(match found {
            Some(so_far) if so_far.len() < values.values.len() => {
                filter_by_value(index, table, so_far, name, matcher, false)
            }
            Some(so_far) => intersect(&so_far, &series_of_values(index, values, matcher, true)),
            None => series_of_values(index, values, matcher, true),
        });
        if found.as_ref().is_some_and(Vec::is_empty) {
            return Vec::new();
        }
    }
    let mut found = found.unwrap_or_else(|| table.live_slots());
    for matcher in excluding {
        let Some((name, values)) = index.name(&matcher.name) else { continue };
        if matcher.op == MatchOp::NotEqual {
            subtract(&mut found, index.postings(&matcher.name, &matcher.value));
        } else if found.len() < values.values.len() {
            found = filter_by_value(index, table, found, name, matcher, true);
        } else {
            subtract(&mut found, &series_of_values(index, values, matcher, false));
        }
    }
    found
}

/// The series whose value of a name the matcher is true of, or false of.
fn series_of_values(index: &Index, values: &NameIndex, matcher: &Matcher, wanted: bool) -> Vec<Slot> {
    if let (true, Some(literals)) = (wanted && matcher.op == MatchOp::Regex, set_of(matcher)) {
        let mut distinct: Vec<_> =
            literals.iter().filter_map(|literal| index.symbols.find(literal)).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let lists = distinct.iter().filter_map(|value| values.values.get(value));
        return union_disjoint(lists.map(|list| list.as_slice()));
    }
    let fits = |value: Symbol| matcher.matches(index.symbols.text(value)) == wanted;
    let lists = values.values.iter().filter(|&(&value, _)| fits(value));
    union_disjoint(lists.map(|(_, list)| list.as_slice()))
}

fn set_of(matcher: &Matcher) -> Option<&[String]> {
    matcher.regex()?.set_matches()
}

/// Keeps the series whose value of `name` the matcher is true of; cheaper than the lists of all values
/// when few series are left.
fn filter_by_value(
    index: &Index,
    table: &SeriesTable,
    slots: Vec<Slot>,
    name: Symbol,
    matcher: &Matcher,
    when_absent: bool,
) -> Vec<Slot> {
    let mut verdicts: HashMap<Symbol, bool> = HashMap::new();
    let mut kept = Vec::with_capacity(slots.len());
    table.for_each(&slots, |_, slot, series, _| {
        let Some(cold) = &series.cold else { return };
        let keep = match index.value_of(&cold.labels, name) {
            Some(value) => {
                *verdicts.entry(value).or_insert_with(|| matcher.matches(index.symbols.text(value)))
            }
            None => when_absent,
        };
        if keep {
            kept.push(slot);
        }
    });
    kept
}
