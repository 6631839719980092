//! What is said about alerts. Alerts of one rule have most of it in common, word for word, so each text is kept once.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use crate::alert::Alert;

/// Texts by name, sorted by name; a text may be empty. Cloning is cheap.
#[derive(Clone, PartialEq, Eq)]
pub struct Annotations(Arc<[(Arc<str>, Arc<str>)]>);

impl Annotations {
    /// Names and texts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.0.iter().map(|(name, text)| (&**name, &**text))
    }

    /// The text of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(other, _)| (**other).cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Default for Annotations {
    fn default() -> Self {
        Self(Arc::new([]))
    }
}

impl fmt::Debug for Annotations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<N: Into<Arc<str>>, T: Into<Arc<str>>> FromIterator<(N, T)> for Annotations {
    /// Pairs in any order; the last of equal names wins.
    fn from_iter<I: IntoIterator<Item = (N, T)>>(pairs: I) -> Self {
        let mut pairs: Vec<(Arc<str>, Arc<str>)> =
            pairs.into_iter().map(|(name, text)| (name.into(), text.into())).collect();
        // A stable sort, backwards: of equal names the last comes first and stays.
        pairs.reverse();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.dedup_by(|later, kept| later.0 == kept.0);
        Self(pairs.into())
    }
}

/// Texts that are forgotten before the first look at which of them are still in use.
const FIRST_SWEEP: usize = 1024;

/// The texts of all alerts, each once.
#[derive(Debug, Default)]
pub struct SharedTexts {
    texts: HashSet<Arc<str>>,
    /// How many there were after the last look at which of them are still in use.
    used: usize,
}

impl SharedTexts {
    /// Has an alert share what it says with the one of its labels that is known, or else with any alert.
    pub fn share(&mut self, alert: &mut Alert, known: Option<&Alert>) {
        if let Some(known) = known.filter(|known| known.labels == alert.labels) {
            // What was allocated long ago stays where it is, however often the alert is sent.
            alert.labels = known.labels.clone();
        }
        match known.filter(|known| known.annotations == alert.annotations) {
            Some(known) => alert.annotations = known.annotations.clone(),
            None => {
                let shared = alert.annotations.0.iter().map(|(name, text)| (self.one(name), self.one(text)));
                alert.annotations = Annotations(shared.collect());
            }
        }
        match known.filter(|known| known.generator_url == alert.generator_url) {
            Some(known) => alert.generator_url = known.generator_url.clone(),
            None => alert.generator_url = self.one(&alert.generator_url),
        }
    }

    fn one(&mut self, text: &Arc<str>) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        // Each look is paid for by as many new texts as there are to look at.
        if self.texts.len() >= FIRST_SWEEP.max(self.used * 2) {
            self.forget_unused();
        }
        self.texts.insert(text.clone());
        text.clone()
    }

    /// Forgets texts that no alert says any more.
    pub fn forget_unused(&mut self) {
        self.texts.retain(|text| Arc::strong_count(text) > 1);
        self.texts.shrink_to(self.texts.len() * 2);
        self.used = self.texts.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::alert;

    fn saying(number: usize, text: &str) -> Alert {
        let number = number.to_string();
        let mut alert = alert(&[("alertname", "Down"), ("number", &number)], 0, 1);
        alert.annotations = [("summary", text), ("runbook", "read it")].into_iter().collect();
        alert.generator_url = "http://rules/down".into();
        alert
    }

    #[test]
    fn pairs_are_sorted_and_the_last_of_equal_names_wins() {
        let said: Annotations = [("b", "1"), ("a", ""), ("b", "2")].into_iter().collect();
        assert_eq!(said.iter().collect::<Vec<_>>(), [("a", ""), ("b", "2")]);
        assert_eq!((said.get("b"), said.get("c")), (Some("2"), None));
        assert!(!said.is_empty() && Annotations::default().is_empty());
    }

    #[test]
    fn equal_texts_are_kept_once_and_unused_ones_forgotten() {
        let mut texts = SharedTexts::default();
        let (mut one, mut other) = (saying(1, "down"), saying(2, "down too"));
        texts.share(&mut one, None);
        texts.share(&mut other, None);
        assert!(Arc::ptr_eq(&one.annotations.0[0].1, &other.annotations.0[0].1), "the runbook");
        assert!(Arc::ptr_eq(&one.generator_url, &other.generator_url));
        assert_eq!(other.annotations.get("summary"), Some("down too"));

        let mut again = saying(1, "down");
        texts.share(&mut again, Some(&one));
        assert!(Arc::ptr_eq(&again.annotations.0, &one.annotations.0));
        assert_eq!(again.labels.as_bytes().as_ptr(), one.labels.as_bytes().as_ptr());

        for i in 0..20 * FIRST_SWEEP {
            texts.share(&mut saying(3, &format!("down for {i} s")), None);
        }
        assert!(texts.texts.len() <= FIRST_SWEEP, "{}", texts.texts.len());
        assert!(texts.texts.contains("down"), "it is in use");
        drop((one, other, again));
        texts.forget_unused();
        assert!(texts.texts.is_empty());
    }
}
