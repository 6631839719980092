//! Trouble that comes many times over, told in a line: a damaged log must not fill the disk with its description.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

/// How often something happened, and the first time as an example.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    count: u64,
    first: String,
}

impl Tally {
    /// It happened; `describe` is only asked the first time.
    pub(crate) fn add(&mut self, describe: impl FnOnce() -> String) {
        if self.count == 0 {
            self.first = describe();
        }
        self.count += 1;
    }

    /// Takes over what another one counted.
    pub(crate) fn merge(&mut self, other: Self) {
        if self.count == 0 {
            self.first = other.first;
        }
        self.count += other.count;
    }

    /// How often, and the example; `None` if it never happened.
    pub(crate) fn found(&self) -> Option<(u64, &str)> {
        (self.count > 0).then_some((self.count, self.first.as_str()))
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first)?;
        if self.count > 1 {
            write!(f, ", and {} more", self.count - 1)?;
        }
        Ok(())
    }
}

/// Trouble that lasts, such as a full disk: it is told when it begins.
#[derive(Debug, Default)]
pub(crate) struct Spell(AtomicBool);

impl Spell {
    /// There is trouble; whether it is news.
    pub(crate) fn begins(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }

    /// There is none now.
    pub(crate) fn ends(&self) {
        // Mostly there was none before: reading first keeps the cache line shared.
        if self.0.load(Ordering::Relaxed) {
            self.0.store(false, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_keeps_the_first_and_counts_the_rest() {
        let (mut all, mut later) = (Tally::default(), Tally::default());
        assert_eq!(all.found(), None);
        all.merge(Tally::default());
        later.add(|| "b".to_owned());
        all.add(|| "a".to_owned());
        assert_eq!(all.to_string(), "a");
        all.add(|| unreachable!("only the first is described"));
        all.merge(later);
        assert_eq!((all.found(), all.to_string()), (Some((3, "a")), "a, and 2 more".to_owned()));
    }

    #[test]
    fn a_spell_is_news_once() {
        let spell = Spell::default();
        assert_eq!([spell.begins(), spell.begins()], [true, false]);
        spell.ends();
        assert!(spell.begins());
    }
}
