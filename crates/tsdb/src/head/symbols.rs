//! Strings of labels, each kept once, and the sets of label names series have.

use hashbrown::{HashMap, HashTable};

/// A string's number. Numbers of strings no longer used are given out again.
pub type Symbol = u32;

#[derive(Debug)]
struct Entry {
    text: Box<str>,
    hash: u32,
    uses: u32,
}

/// Interned strings with use counts.
#[derive(Debug, Default)]
pub struct Symbols {
    entries: Vec<Entry>,
    by_text: HashTable<Symbol>,
    free: Vec<Symbol>,
    bytes: usize,
}

fn hash_of(text: &str) -> u32 {
    xxhash_rust::xxh3::xxh3_64(text.as_bytes()) as u32
}

/// Spreads 32 hash bits over the 64 that hash tables look at.
pub(super) fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Symbols {
    /// The text of a symbol in use.
    #[inline]
    pub fn text(&self, symbol: Symbol) -> &str {
        &self.entries[symbol as usize].text
    }

    /// The symbol of a text, if it is in use.
    pub fn find(&self, text: &str) -> Option<Symbol> {
        let hash = hash_of(text);
        let same = |&symbol: &Symbol| &*self.entries[symbol as usize].text == text;
        self.by_text.find(spread(hash), same).copied()
    }

    /// The symbol of a text, with one more use.
    pub fn intern(&mut self, text: &str) -> Symbol {
        let hash = hash_of(text);
        let entries = &mut self.entries;
        let found = self.by_text.find(spread(hash), |&symbol| &*entries[symbol as usize].text == text);
        if let Some(&symbol) = found {
            entries[symbol as usize].uses += 1;
            return symbol;
        }
        self.bytes += text.len();
        let entry = Entry { text: text.into(), hash, uses: 1 };
        let symbol = match self.free.pop() {
            Some(symbol) => {
                entries[symbol as usize] = entry;
                symbol
            }
            None => {
                entries.push(entry);
                (entries.len() - 1) as Symbol
            }
        };
        self.by_text.insert_unique(spread(hash), symbol, |&symbol| spread(entries[symbol as usize].hash));
        symbol
    }

    /// One use less; the last one frees the symbol.
    pub fn release(&mut self, symbol: Symbol) {
        let entry = &mut self.entries[symbol as usize];
        entry.uses -= 1;
        if entry.uses > 0 {
            return;
        }
        let hash = entry.hash;
        self.bytes -= entry.text.len();
        entry.text = "".into();
        if let Ok(found) = self.by_text.find_entry(spread(hash), |&other| other == symbol) {
            found.remove();
        }
        self.free.push(symbol);
    }

    /// Bytes of all texts.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The label names of a series, in order: few sets are shared by all series.
#[derive(Debug, Default)]
pub struct Shapes {
    shapes: Vec<Shape>,
    by_names: HashMap<Box<[Symbol]>, u32>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Shape {
    names: Box<[Symbol]>,
    uses: u32,
}

impl Shapes {
    /// The names of a shape in use.
    #[inline]
    pub fn names(&self, shape: u32) -> &[Symbol] {
        &self.shapes[shape as usize].names
    }

    /// The shape with these names and one more use. `is_new` tells the caller to keep the names' symbols
    /// in use as long as the shape is.
    pub fn intern(&mut self, names: &[Symbol]) -> (u32, bool) {
        if let Some(&shape) = self.by_names.get(names) {
            self.shapes[shape as usize].uses += 1;
            return (shape, false);
        }
        let new = Shape { names: names.into(), uses: 1 };
        let shape = match self.free.pop() {
            Some(shape) => {
                self.shapes[shape as usize] = new;
                shape
            }
            None => {
                self.shapes.push(new);
                (self.shapes.len() - 1) as u32
            }
        };
        self.by_names.insert(names.into(), shape);
        (shape, true)
    }

    /// One use less; returns the names when that was the last.
    pub fn release(&mut self, shape: u32) -> Option<Box<[Symbol]>> {
        let entry = &mut self.shapes[shape as usize];
        entry.uses -= 1;
        if entry.uses > 0 {
            return None;
        }
        let names = std::mem::take(&mut entry.names);
        self.by_names.remove(&names);
        self.free.push(shape);
        Some(names)
    }

    /// Shapes in use.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &[Symbol])> {
        let used = self.shapes.iter().enumerate().filter(|(_, shape)| shape.uses > 0);
        used.map(|(i, shape)| (i as u32, &*shape.names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_lives_as_long_as_it_is_used() {
        let mut symbols = Symbols::default();
        let a = symbols.intern("a");
        assert_eq!(symbols.intern("a"), a);
        let b = symbols.intern("b");
        symbols.release(a);
        assert_eq!(symbols.find("a"), Some(a));
        symbols.release(a);
        assert_eq!(symbols.find("a"), None);
        assert_eq!(symbols.intern("c"), a);
        assert_eq!((symbols.text(a), symbols.text(b)), ("c", "b"));
        assert_eq!(symbols.bytes(), 2);
    }

    #[test]
    fn thousands_of_symbols_are_found_again() {
        let mut symbols = Symbols::default();
        let all: Vec<_> = (0..5_000).map(|i| symbols.intern(&format!("value-{i}"))).collect();
        for (i, &symbol) in all.iter().enumerate() {
            assert_eq!(symbols.find(&format!("value-{i}")), Some(symbol));
        }
    }
}
