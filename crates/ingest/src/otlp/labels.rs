//! The labels of a series while they are put together: names and values in one text that is used again.

use model::Labels;

/// Names and values in no order.
#[derive(Debug, Default)]
pub(super) struct LabelText {
    text: String,
    pairs: Vec<Pair>,
    sorted: Vec<Pair>,
}

#[derive(Debug, Clone, Copy)]
struct Pair {
    name: Place,
    value: Place,
}

/// Where in the text something lies.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: usize,
    end: usize,
}

impl LabelText {
    pub fn clear(&mut self) {
        self.text.clear();
        self.pairs.clear();
    }

    fn at(&self, place: Place) -> &str {
        &self.text[place.start..place.end]
    }

    fn keep(&mut self, text: &str) -> Place {
        let start = self.text.len();
        self.text.push_str(text);
        Place { start, end: self.text.len() }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.pairs.iter().position(|pair| self.at(pair.name) == name)
    }

    /// The value of `name`; empty without one.
    pub fn get(&self, name: &str) -> &str {
        self.position(name).map_or("", |at| self.at(self.pairs[at].value))
    }

    /// Sets `name`; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.position(name) {
            Some(at) if value.is_empty() => drop(self.pairs.swap_remove(at)),
            Some(at) => self.pairs[at].value = self.keep(value),
            None if value.is_empty() => {}
            None => {
                let pair = Pair { name: self.keep(name), value: self.keep(value) };
                self.pairs.push(pair);
            }
        }
    }

    /// Sets `name` unless it is set.
    pub fn set_if_absent(&mut self, name: &str, value: &str) {
        if self.position(name).is_none() {
            self.set(name, value);
        }
    }

    /// Puts a value behind the one there is, with a semicolon between them.
    pub fn join(&mut self, name: &str, value: &str) {
        let joined = format!("{};{value}", self.get(name));
        self.set(name, &joined);
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|pair| (self.at(pair.name), self.at(pair.value)))
    }

    /// The label set with these in place of what is there under their names. Nothing is changed.
    pub fn build(&mut self, more: &[(&str, &str)]) -> Labels {
        let len = self.text.len();
        let mut sorted = std::mem::take(&mut self.sorted);
        sorted.clear();
        sorted.extend(self.pairs.iter().filter(|p| more.iter().all(|(name, _)| *name != self.at(p.name))));
        for (name, value) in more.iter().filter(|(_, value)| !value.is_empty()) {
            let pair = Pair { name: self.keep(name), value: self.keep(value) };
            sorted.push(pair);
        }
        sorted.sort_unstable_by(|a, b| self.at(a.name).cmp(self.at(b.name)));
        let labels = Labels::from_sorted(sorted.iter().map(|p| (self.at(p.name), self.at(p.value))));
        self.sorted = sorted;
        self.text.truncate(len);
        labels
    }
}
