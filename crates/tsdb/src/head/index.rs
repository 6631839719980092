//! Which series exist: labels to series and back, and the lists that matchers start from.

use hashbrown::{HashMap, HashTable};
use model::Labels;

use super::postings::Postings;
use super::symbols::{Shapes, Symbol, Symbols, spread};
use super::table::{SeriesTable, Slot, locate};

/// A label set as kept with a series: its shape, then one value per name of the shape.
pub type EncodedLabels = Box<[u32]>;

#[derive(Debug, Clone, Copy)]
struct Entry {
    hash: u32,
    slot: Slot,
}

/// The index of the head. Callers hold it under one lock, which is taken before any page lock.
#[derive(Debug, Default)]
pub struct Index {
    /// Label strings.
    pub symbols: Symbols,
    /// Sets of label names.
    pub shapes: Shapes,
    by_labels: HashTable<Entry>,
    names: HashMap<Symbol, NameIndex>,
}

/// The values of one label name.
#[derive(Debug, Default)]
pub struct NameIndex {
    /// The series of each value.
    pub values: HashMap<Symbol, Postings>,
}

impl Index {
    /// The series with these labels.
    pub fn find(&self, labels: &Labels, table: &SeriesTable) -> Option<Slot> {
        let hash = labels.hash64() as u32;
        let same = |entry: &Entry| {
            let (page, at) = locate(entry.slot);
            entry.hash == hash
                && table.page(page).is_some_and(|page| match &page.series.read()[at].cold {
                    Some(cold) => self.equals(&cold.labels, labels),
                    None => false,
                })
        };
        self.by_labels.find(spread(hash), same).map(|entry| entry.slot)
    }

    fn equals(&self, encoded: &[u32], labels: &Labels) -> bool {
        let Some((&shape, values)) = encoded.split_first() else { return labels.is_empty() };
        let names = self.shapes.names(shape);
        let mut pairs = labels.iter();
        for (&name, &value) in names.iter().zip(values) {
            match pairs.next() {
                Some((n, v)) if v == self.symbols.text(value) && n == self.symbols.text(name) => {}
                _ => return false,
            }
        }
        pairs.next().is_none()
    }

    /// Adds a series that is not yet there. The caller puts the returned labels into its slot.
    pub fn insert(&mut self, labels: &Labels, slot: Slot) -> EncodedLabels {
        let mut names = [0; 64];
        let mut many_names = Vec::new();
        let mut values = Vec::with_capacity(16);
        values.push(0);
        let mut count = 0;
        for (name, value) in labels {
            let name = self.symbols.intern(name);
            if count < names.len() {
                names[count] = name;
            } else {
                many_names.push(name);
            }
            count += 1;
            values.push(self.symbols.intern(value));
        }
        let all_names;
        let names = if many_names.is_empty() {
            &names[..count]
        } else {
            all_names = names.iter().chain(&many_names).copied().collect::<Vec<_>>();
            &all_names
        };
        let (shape, is_new) = self.shapes.intern(names);
        if !is_new {
            // A shape keeps its names in use once, however many series have it.
            names.iter().for_each(|&name| self.symbols.release(name));
        }
        values[0] = shape;
        for (&name, &value) in names.iter().zip(&values[1..]) {
            let postings = &mut self.names.entry(name).or_default().values;
            postings.entry(value).and_modify(|list| list.push(slot)).or_insert(Postings::One(slot));
        }
        let entry = Entry { hash: labels.hash64() as u32, slot };
        self.by_labels.insert_unique(spread(entry.hash), entry, |entry| spread(entry.hash));
        values.into_boxed_slice()
    }

    /// Takes a series out of the lookup by labels: it is not found any more, though lists still name it.
    pub fn unlink(&mut self, encoded: &[u32], slot: Slot) {
        let hash = self.labels(encoded).hash64() as u32;
        if let Ok(found) = self.by_labels.find_entry(spread(hash), |entry| entry.slot == slot) {
            found.remove();
        }
    }

    /// Takes series, already unlinked, out of the lists and frees their strings. `is_live` tells which
    /// slots still hold a series.
    pub fn forget(&mut self, series: &[EncodedLabels], is_live: impl Fn(Slot) -> bool) {
        let mut touched: HashMap<Symbol, hashbrown::HashSet<Symbol>> = HashMap::new();
        for encoded in series {
            let Some((&shape, values)) = encoded.split_first() else { continue };
            for (&name, &value) in self.shapes.names(shape).iter().zip(values) {
                touched.entry(name).or_default().insert(value);
            }
        }
        for (name, values) in touched {
            let Some(index) = self.names.get_mut(&name) else { continue };
            for value in values {
                if let Some(list) = index.values.get_mut(&value)
                    && !list.retain(&is_live)
                {
                    index.values.remove(&value);
                }
            }
            if index.values.is_empty() {
                self.names.remove(&name);
            } else if index.values.capacity() > index.values.len() * 4 {
                index.values.shrink_to_fit();
            }
        }
        for encoded in series {
            let Some((&shape, values)) = encoded.split_first() else { continue };
            values.iter().for_each(|&value| self.symbols.release(value));
            if let Some(names) = self.shapes.release(shape) {
                names.iter().for_each(|&name| self.symbols.release(name));
            }
        }
    }

    /// Restores the order of all lists after series were added in any order.
    pub fn sort_postings(&mut self) {
        for index in self.names.values_mut() {
            index.values.values_mut().for_each(Postings::sort);
        }
    }

    /// The label set of a series.
    pub fn labels(&self, encoded: &[u32]) -> Labels {
        Labels::from_sorted(self.pairs(encoded))
    }

    /// Names and values of a series, by name.
    pub fn pairs<'a>(&'a self, encoded: &'a [u32]) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
        let (names, values) = match encoded.split_first() {
            Some((&shape, values)) => (self.shapes.names(shape), values),
            None => (&[][..], &[][..]),
        };
        names.iter().zip(values).map(|(&name, &value)| (self.symbols.text(name), self.symbols.text(value)))
    }

    /// The value of one label of a series.
    pub fn value_of(&self, encoded: &[u32], name: Symbol) -> Option<Symbol> {
        let (&shape, values) = encoded.split_first()?;
        let at = self.shapes.names(shape).iter().position(|&n| n == name)?;
        values.get(at).copied()
    }

    /// The values of a label name.
    pub fn name(&self, name: &str) -> Option<(Symbol, &NameIndex)> {
        let symbol = self.symbols.find(name)?;
        Some((symbol, self.names.get(&symbol)?))
    }

    /// All label names.
    pub fn names(&self) -> impl Iterator<Item = (&str, &NameIndex)> {
        self.names.iter().map(|(&name, index)| (self.symbols.text(name), index))
    }

    /// The series of a label pair.
    pub fn postings(&self, name: &str, value: &str) -> &[Slot] {
        let list = self.name(name).and_then(|(_, index)| {
            let value = self.symbols.find(value)?;
            index.values.get(&value)
        });
        list.map_or(&[], Postings::as_slice)
    }

    /// Whether there is no series.
    pub fn is_empty(&self) -> bool {
        self.by_labels.is_empty()
    }

    /// Number of series.
    pub fn len(&self) -> usize {
        self.by_labels.len()
    }
}
