//! What a target says about its metric families, for the API and the write-ahead log.

use std::collections::HashMap;
use std::sync::Arc;

use model::{Metadata, MetricType};
use parking_lot::Mutex;

/// Shares equal texts among all targets: a thousand targets of one kind have one copy of each help text.
#[derive(Debug, Clone, Default)]
pub(super) struct TextPool(Arc<Mutex<TextPoolState>>);

#[derive(Debug, Default)]
struct TextPoolState {
    texts: hashbrown::HashSet<Arc<str>>,
    /// Unused texts are looked for when the pool has grown to this size.
    sweep_at: usize,
}

impl TextPool {
    pub fn share(&self, text: &str) -> Arc<str> {
        let mut state = self.0.lock();
        if let Some(known) = state.texts.get(text) {
            return known.clone();
        }
        if state.texts.len() >= state.sweep_at {
            state.texts.retain(|text| Arc::strong_count(text) > 1);
            state.sweep_at = (state.texts.len() * 2).max(1024);
        }
        let shared: Arc<str> = text.into();
        state.texts.insert(shared.clone());
        shared
    }
}

/// Metadata of the families of one target.
#[derive(Debug)]
pub(super) struct MetadataCache {
    families: HashMap<Arc<str>, Family>,
    texts: TextPool,
    iteration: u64,
    /// Families after the last success.
    successful_len: usize,
}

#[derive(Debug, Clone)]
struct Family {
    metric_type: MetricType,
    unit: Arc<str>,
    help: Arc<str>,
    seen: u64,
    changed: u64,
}

/// Scrapes a family's metadata outlives the family.
const KEPT_SCRAPES: u64 = 10;

impl MetadataCache {
    pub fn new(texts: TextPool) -> Self {
        Self { families: HashMap::new(), texts, iteration: 1, successful_len: 0 }
    }

    fn update(&mut self, name: &str, change: impl FnOnce(&mut Family, &TextPool) -> bool) {
        let iteration = self.iteration;
        if !self.families.contains_key(name) {
            let empty = self.texts.share("");
            let family = Family {
                metric_type: MetricType::Unknown,
                unit: empty.clone(),
                help: empty,
                seen: 0,
                changed: 0,
            };
            self.families.insert(self.texts.share(name), family);
        }
        let Some(family) = self.families.get_mut(name) else { return };
        family.seen = iteration;
        if change(family, &self.texts) {
            family.changed = iteration;
        }
    }

    pub fn set_type(&mut self, name: &str, metric_type: MetricType) {
        self.update(name, |family, _| std::mem::replace(&mut family.metric_type, metric_type) != metric_type);
    }

    pub fn set_help(&mut self, name: &str, help: &str) {
        self.update(name, |family, texts| replace_text(&mut family.help, help, texts));
    }

    pub fn set_unit(&mut self, name: &str, unit: &str) {
        self.update(name, |family, texts| replace_text(&mut family.unit, unit, texts));
    }

    /// Metadata of a family, and whether this scrape changed it.
    pub fn get(&self, name: &str) -> Option<(Metadata, bool)> {
        let family = self.families.get(name)?;
        Some((family.metadata(), family.changed == self.iteration))
    }

    /// Whether this scrape changed a family's metadata.
    pub fn is_changed(&self, name: &str) -> bool {
        self.families.get(name).is_some_and(|family| family.changed == self.iteration)
    }

    /// All families, in no particular order.
    pub fn list(&self) -> Vec<(String, Metadata)> {
        self.families.iter().map(|(name, family)| (name.to_string(), family.metadata())).collect()
    }

    /// Number of families.
    pub fn len(&self) -> usize {
        self.families.len()
    }

    /// Bytes of the texts.
    pub fn size_bytes(&self) -> usize {
        let size = |f: &Family| f.help.len() + f.unit.len() + f.metric_type.as_str().len();
        self.families.values().map(size).sum()
    }

    /// Ends a scrape; families not shown for long are forgotten by a success, or once failing scrapes have
    /// piled up too many.
    pub fn finish(&mut self, succeeded: bool) {
        let overflows = self.families.len() > self.successful_len * 2 + 1000;
        if succeeded || overflows {
            let iteration = self.iteration;
            self.families.retain(|_, family| iteration - family.seen <= KEPT_SCRAPES);
        }
        if succeeded {
            self.successful_len = self.families.len();
        }
        self.iteration += 1;
    }
}

impl Family {
    fn metadata(&self) -> Metadata {
        Metadata { metric_type: self.metric_type, unit: (&*self.unit).into(), help: (&*self.help).into() }
    }
}

fn replace_text(text: &mut Arc<str>, new: &str, texts: &TextPool) -> bool {
    let changes = **text != *new;
    if changes {
        *text = texts.share(new);
    }
    changes
}

/// Whether a series of this name belongs to a family of this name and type. Targets may omit metadata, so
/// that the family declared last need not be that of the series at hand.
pub(super) fn is_part_of_family(series: &str, family: &str, metric_type: MetricType) -> bool {
    let strip = |name: &'_ str, suffixes: &[&str]| -> usize {
        suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name).len()
    };
    let (family_len, suffixes): (usize, &[&str]) = match metric_type {
        MetricType::Counter => (strip(family, &["_total"]), &["_total"]),
        MetricType::Info => (strip(family, &["_info"]), &["_info"]),
        MetricType::Histogram => (family.len(), &["_bucket", "_sum", "_count"]),
        MetricType::GaugeHistogram => (family.len(), &["_bucket", "_gsum", "_gcount"]),
        MetricType::Summary => (family.len(), &["_sum", "_count"]),
        MetricType::Unknown | MetricType::Gauge | MetricType::StateSet => (family.len(), &[]),
    };
    series[..strip(series, suffixes)] == family[..family_len]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_noticed_and_old_families_forgotten() {
        let texts = TextPool::default();
        let mut cache = MetadataCache::new(texts.clone());
        cache.set_type("a", MetricType::Counter);
        cache.set_help("a", "Help.");
        assert!(cache.is_changed("a"));
        cache.finish(true);
        cache.set_help("a", "Help.");
        assert!(!cache.is_changed("a"));
        let expected = Metadata { metric_type: MetricType::Counter, unit: "".into(), help: "Help.".into() };
        assert_eq!(cache.get("a"), Some((expected, false)));
        for _ in 0..12 {
            cache.finish(true);
        }
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn failing_scrapes_do_not_pile_up_families() {
        let mut cache = MetadataCache::new(TextPool::default());
        for scrape in 0..100 {
            (0..200).for_each(|i| cache.set_help(&format!("family_{scrape}_{i}"), "Help."));
            cache.finish(false);
        }
        assert!(cache.len() <= 200 * (KEPT_SCRAPES as usize + 1), "{}", cache.len());
    }

    #[test]
    fn equal_texts_are_one_allocation() {
        let texts = TextPool::default();
        assert!(Arc::ptr_eq(&texts.share("x"), &texts.share("x")));
    }

    #[test]
    fn series_belong_to_the_family_their_suffix_says() {
        for (series, family, metric_type, expected) in [
            ("a_total", "a", MetricType::Counter, true),
            ("a_total", "a_total", MetricType::Counter, true),
            ("a_bucket", "a", MetricType::Histogram, true),
            ("a_bucket", "a", MetricType::Gauge, false),
            ("ab", "a", MetricType::Counter, false),
            ("a_info", "a", MetricType::Info, true),
            ("a_gsum", "a", MetricType::GaugeHistogram, true),
        ] {
            assert_eq!(is_part_of_family(series, family, metric_type), expected, "{series} {family}");
        }
    }
}
