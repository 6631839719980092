//! From matchers to series.

use hashbrown::HashMap;
use model::{MatchOp, Matcher};

use super::index::{Index, NameIndex};
use super::postings::{Postings, intersect, subtract, union_disjoint};
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
            Some(so_far) => keep_values(index, table, so_far, (name, values), matcher),
            None => union_disjoint(lists_of_values(index, values, matcher, true).into_iter()),
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
            let lists = lists_of_values(index, values, matcher, false);
            if lists.len() <= FEW_LISTS {
                lists.into_iter().for_each(|list| subtract(&mut found, list));
            } else if found.len() < series_in(&lists) {
                found = filter_by_value(index, table, found, name, matcher, true);
            } else {
                subtract(&mut found, &union_disjoint(lists.into_iter()));
            }
        }
    }
    found
}

/// Up to so many lists, few series are rather searched for in each than looked at one by one.
const FEW_LISTS: usize = 8;

/// Keeps the series whose value of a name the matcher, which is false of the empty value, is true of.
fn keep_values(
    index: &Index,
    table: &SeriesTable,
    so_far: Vec<Slot>,
    (name, values): (Symbol, &NameIndex),
    matcher: &Matcher,
) -> Vec<Slot> {
    let finds_values = set_of(matcher).is_some_and(|literals| literals.len() <= FEW_LISTS);
    if !finds_values && so_far.len() < values.values.len() {
        return filter_by_value(index, table, so_far, name, matcher, false);
    }
    let lists = lists_of_values(index, values, matcher, true);
    if lists.len() <= FEW_LISTS {
        // The lists may be of all the head: nothing is done with all of what is in them.
        let parts: Vec<Vec<Slot>> = lists.into_iter().map(|list| intersect(&so_far, list)).collect();
        union_disjoint(parts.iter().map(Vec::as_slice))
    } else if so_far.len() < series_in(&lists) {
        filter_by_value(index, table, so_far, name, matcher, false)
    } else {
        intersect(&so_far, &union_disjoint(lists.into_iter()))
    }
}

fn series_in(lists: &[&[Slot]]) -> usize {
    lists.iter().map(|list| list.len()).sum()
}

/// The series of each value of a name that the matcher is true of, or false of.
fn lists_of_values<'i>(
    index: &'i Index,
    values: &'i NameIndex,
    matcher: &Matcher,
    wanted: bool,
) -> Vec<&'i [Slot]> {
    if let (true, Some(literals)) = (wanted && matcher.op == MatchOp::Regex, set_of(matcher)) {
        let mut distinct: Vec<_> =
            literals.iter().filter_map(|literal| index.symbols.find(literal)).collect();
        distinct.sort_unstable();
        distinct.dedup();
        return distinct
            .iter()
            .filter_map(|value| values.values.get(value))
            .map(Postings::as_slice)
            .collect();
    }
    let fits = |value: Symbol| matcher.matches(index.symbols.text(value)) == wanted;
    values.values.iter().filter(|&(&value, _)| fits(value)).map(|(_, list)| list.as_slice()).collect()
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
