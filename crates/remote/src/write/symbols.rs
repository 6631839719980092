//! Interned bytes: labels, or for version 2.0 of the protocol strings, by number.

use hashbrown::HashTable;
use wire::remote_write::encode::Symbols;
use xxhash_rust::xxh3::xxh3_64;

/// Interned bytes and how often each is used. The number of what is used no more is given out again.
#[derive(Debug, Default)]
pub struct SymbolTable {
    bytes: Vec<Box<[u8]>>,
    uses: Vec<u32>,
    free: Vec<u32>,
    index: HashTable<u32>,
}

impl SymbolTable {
    /// The number of `bytes`, used once more.
    pub fn intern(&mut self, bytes: &[u8]) -> u32 {
        let hash = xxh3_64(bytes);
        let known = self.index.find(hash, |&id| *self.bytes[id as usize] == *bytes);
        if let Some(&id) = known {
            self.uses[id as usize] += 1;
            return id;
        }
        let id = match self.free.pop() {
            Some(id) => {
                self.bytes[id as usize] = bytes.into();
                self.uses[id as usize] = 1;
                id
            }
            None => {
                self.bytes.push(bytes.into());
                self.uses.push(1);
                self.bytes.len() as u32 - 1
            }
        };
        self.index.insert_unique(hash, id, |&id| xxh3_64(&self.bytes[id as usize]));
        id
    }

    /// Takes one use back. Nothing may refer to `id` any more that is not counted.
    pub fn release(&mut self, id: u32) {
        let uses = &mut self.uses[id as usize];
        *uses -= 1;
        if *uses > 0 {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes[id as usize]);
        if let Ok(entry) = self.index.find_entry(xxh3_64(&bytes), |&known| known == id) {
            entry.remove();
        }
        self.free.push(id);
    }

    /// Number of different symbols.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.index.len()
    }
}

impl Symbols for SymbolTable {
    #[inline]
    fn bytes(&self, id: u32) -> &[u8] {
        &self.bytes[id as usize]
    }

    fn bound(&self) -> u32 {
        self.bytes.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_have_one_number_until_all_uses_are_released() {
        let mut symbols = SymbolTable::default();
        let (a, b) = (symbols.intern(b"a"), symbols.intern(b"b"));
        assert_eq!((symbols.intern(b"a"), symbols.len()), (a, 2));
        symbols.release(a);
        assert_eq!(symbols.bytes(a), b"a");
        symbols.release(a);
        assert_eq!(symbols.len(), 1);
        assert_eq!((symbols.intern(b"c"), symbols.bound()), (a, 2));
        assert_eq!((symbols.bytes(a), symbols.bytes(b)), (&b"c"[..], &b"b"[..]));
    }
}
