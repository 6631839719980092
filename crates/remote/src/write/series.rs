//! What a destination knows of the series in the log: their labels as they are sent, by reference.

use hashbrown::HashMap;
use model::{Labels, LabelsBuilder, MetricType};
use tsdb::wal::record::MetadataEntry;
use wire::remote_write::MessageType;
use wire::remote_write::encode::{SeriesMetadata, SeriesSymbols, put_label};
use xxhash_rust::xxh3::Xxh3Default;

use super::symbols::SymbolTable;

/// What is done to the labels of a series before it is sent.
#[derive(Debug, Clone)]
pub struct LabelRules {
    /// Added where a series has no label of the name.
    pub external: Labels,
    /// Then these are applied.
    pub relabel: Vec<config::RelabelConfig>,
}

impl LabelRules {
    /// The labels that are sent; `None` when the series is not.
    pub fn apply(&self, pairs: &[(&str, &str)]) -> Option<Labels> {
        if self.relabel.is_empty() {
            return Some(merge(pairs, &self.external)).filter(|labels| !labels.is_empty());
        }
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.set(name, value);
        }
        for (name, value) in &self.external {
            if builder.get(name).is_none() {
                builder.set(name, value);
            }
        }
        let kept = discovery::relabel::process(&mut builder, &self.relabel);
        kept.then(|| builder.build()).filter(|labels| !labels.is_empty())
    }
}

/// Both sorted lists as one; the first wins.
fn merge(pairs: &[(&str, &str)], external: &Labels) -> Labels {
    let mut added = external.iter().filter(|(name, _)| !pairs.iter().any(|(own, _)| own == name)).peekable();
    let mut own = pairs.iter().copied().peekable();
    Labels::from_sorted(std::iter::from_fn(|| match (own.peek(), added.peek()) {
        (Some(a), Some(b)) if a.0 < b.0 => own.next(),
        (Some(_), None) => own.next(),
        _ => added.next(),
    }))
}

/// What is known of a reference.
#[derive(Debug)]
pub enum Known<'a> {
    /// A series that is sent; the hash is of its labels in the log, so that no other rules make it another shard's.
    Sent(SeriesSymbols<'a>, u32),
    /// A series the rules drop.
    Dropped,
    /// The log never named it.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Unknown,
    Dropped,
    Sent,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// Where in `ids` its symbols stand.
    at: u32,
    len: u16,
    state: State,
    has_metadata: bool,
    bytes: u32,
    hash: u32,
    /// The last segment, or checkpoint, that names it.
    segment: u32,
}

/// Series of neighbouring references lie together: a scrape's samples come in the order of theirs.
const PAGE: usize = 256;
type Page = Box<[Entry; PAGE]>;

/// The series of one destination.
#[derive(Debug)]
pub struct SeriesTable {
    message: MessageType,
    /// Whether type and unit are labels of the series.
    type_and_unit_labels: bool,
    pages: HashMap<u64, u32>,
    slots: Vec<Page>,
    free_slots: Vec<u32>,
    last: (u64, u32),
    /// The symbols of all series, one after another.
    ids: Vec<u32>,
    unused_ids: usize,
    metadata: HashMap<u64, SeriesMetadata>,
    symbols: SymbolTable,
    /// Uses of symbols that are over for the table; batches may still hold them.
    retired: Vec<u32>,
    scratch: Vec<u8>,
    len: usize,
}

impl SeriesTable {
    /// An empty table for requests with this message.
    pub fn new(message: MessageType, type_and_unit_labels: bool) -> Self {
        Self {
            message,
            type_and_unit_labels,
            pages: HashMap::new(),
            slots: Vec::new(),
            free_slots: Vec::new(),
            last: (u64::MAX, 0),
            ids: Vec::new(),
            unused_ids: 0,
            metadata: HashMap::new(),
            symbols: SymbolTable::default(),
            retired: Vec::new(),
            scratch: Vec::new(),
            len: 0,
        }
    }

    /// The message requests carry.
    pub fn message(&self) -> MessageType {
        self.message
    }

    /// Number of series, dropped ones included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The symbols the series consist of.
    pub fn symbols(&self) -> &SymbolTable {
        &self.symbols
    }

    /// What is known of `series`.
    #[inline]
    pub fn get(&mut self, series: u64) -> Known<'_> {
        let page = series / PAGE as u64;
        if self.last.0 != page {
            match self.pages.get(&page) {
                Some(&slot) => self.last = (page, slot),
                None => return Known::Unknown,
            }
        }
        let entry = &self.slots[self.last.1 as usize][series as usize % PAGE];
        match entry.state {
            State::Unknown => Known::Unknown,
            State::Dropped => Known::Dropped,
            State::Sent => {
                let ids = &self.ids[entry.at as usize..entry.at as usize + usize::from(entry.len)];
                let metadata = if entry.has_metadata { self.metadata.get(&series).copied() } else { None };
                Known::Sent(SeriesSymbols { ids, bytes: entry.bytes, metadata }, entry.hash)
            }
        }
    }

    fn entry(&mut self, series: u64) -> &mut Entry {
        let page = series / PAGE as u64;
        let slot = match self.pages.get(&page) {
            Some(&slot) => slot,
            None => {
                let slot = self.free_slots.pop().unwrap_or_else(|| {
                    self.slots.push(Box::new([Entry::default(); PAGE]));
                    self.slots.len() as u32 - 1
                });
                self.pages.insert(page, slot);
                slot
            }
        };
        &mut self.slots[slot as usize][series as usize % PAGE]
    }

    /// Gives the symbols free that are used no more. The caller holds no batch that is not encoded yet.
    pub fn settle(&mut self) {
        while let Some(id) = self.retired.pop() {
            self.symbols.release(id);
        }
    }

    /// Notes that `segment` names `series`, which has these labels in the log.
    pub fn store(&mut self, series: u64, segment: u32, pairs: &[(&str, &str)], rules: &LabelRules) {
        let before = *self.entry(series);
        let labels = rules.apply(pairs);
        if before.state == State::Unknown {
            self.len += 1;
        }
        let segment = segment.max(before.segment);
        let Some(labels) = labels.filter(|labels| labels.len() * 2 <= usize::from(u16::MAX)) else {
            self.release(&before);
            *self.entry(series) = Entry { state: State::Dropped, segment, ..Entry::default() };
            return;
        };
        let at = self.ids.len();
        let bytes = self.add_symbols(&labels);
        let len = self.ids.len() - at;
        self.release(&before);
        let hash = hash_of(pairs);
        let entry = Entry {
            at: at as u32,
            len: len as u16,
            state: State::Sent,
            has_metadata: before.has_metadata,
            bytes,
            hash: (hash ^ hash >> 32) as u32,
            segment,
        };
        *self.entry(series) = entry;
        if self.type_and_unit_labels && self.message == MessageType::V2 {
            self.take_type_and_unit(series, &labels);
        }
    }

    fn add_symbols(&mut self, labels: &Labels) -> u32 {
        let mut bytes = 0;
        for (name, value) in labels {
            match self.message {
                MessageType::V1 => {
                    self.scratch.clear();
                    put_label(&mut self.scratch, name, value);
                    bytes += self.scratch.len();
                    self.ids.push(self.symbols.intern(&self.scratch));
                }
                MessageType::V2 => {
                    self.ids.push(self.symbols.intern(name.as_bytes()));
                    self.ids.push(self.symbols.intern(value.as_bytes()));
                }
            }
        }
        bytes as u32
    }

    fn release(&mut self, entry: &Entry) {
        if entry.state == State::Sent {
            let ids = entry.at as usize..entry.at as usize + usize::from(entry.len);
            self.retired.extend_from_slice(&self.ids[ids]);
            self.unused_ids += usize::from(entry.len);
        }
    }

    /// Whether `series` is known; if so, notes that `segment` names it.
    pub fn touch(&mut self, series: u64, segment: u32) -> bool {
        if !self.pages.contains_key(&(series / PAGE as u64)) {
            return false;
        }
        let entry = self.entry(series);
        entry.segment = entry.segment.max(segment);
        entry.state != State::Unknown
    }

    /// Notes metadata of a series.
    pub fn set_metadata(&mut self, entry: &MetadataEntry) {
        let labelled = self.metadata.get(&entry.series).copied().filter(|_| self.type_and_unit_labels);
        let help = self.symbols.intern(entry.help.as_bytes());
        let (metric_type, unit) = match labelled {
            // What the labels say is what belongs to this series.
            Some(known) => (known.metric_type, self.retain(known.unit)),
            None => (entry.metric_type, self.symbols.intern(entry.unit.as_bytes())),
        };
        self.replace_metadata(entry.series, SeriesMetadata { metric_type, help, unit });
    }

    fn take_type_and_unit(&mut self, series: u64, labels: &Labels) {
        let metric_type = type_of(labels.get_or_empty("__type__"));
        let unit = self.symbols.intern(labels.get_or_empty("__unit__").as_bytes());
        let help = match self.metadata.get(&series).copied() {
            Some(known) => self.retain(known.help),
            None => self.symbols.intern(b""),
        };
        self.replace_metadata(series, SeriesMetadata { metric_type, help, unit });
    }

    fn retain(&mut self, id: u32) -> u32 {
        use wire::remote_write::encode::Symbols;
        let bytes = self.symbols.bytes(id).to_vec();
        self.symbols.intern(&bytes)
    }

    fn replace_metadata(&mut self, series: u64, metadata: SeriesMetadata) {
        if let Some(before) = self.metadata.insert(series, metadata) {
            self.retired.extend([before.help, before.unit]);
        }
        self.entry(series).has_metadata = true;
    }

    /// Forgets the series that no segment from `segment` on names.
    pub fn forget_before(&mut self, segment: u32) {
        let numbers: Vec<(u64, u32)> = self.pages.iter().map(|(&page, &slot)| (page, slot)).collect();
        for (page, slot) in numbers {
            let mut used = false;
            for i in 0..PAGE {
                let entry = self.slots[slot as usize][i];
                if entry.state == State::Unknown && !entry.has_metadata {
                    continue;
                }
                if entry.segment >= segment {
                    used = true;
                    continue;
                }
                self.release(&entry);
                self.len -= usize::from(entry.state != State::Unknown);
                if entry.has_metadata
                    && let Some(metadata) = self.metadata.remove(&(page * PAGE as u64 + i as u64))
                {
                    self.retired.extend([metadata.help, metadata.unit]);
                }
                self.slots[slot as usize][i] = Entry::default();
            }
            if !used {
                self.pages.remove(&page);
                self.free_slots.push(slot);
            }
        }
        self.last = (u64::MAX, 0);
        if self.unused_ids > self.ids.len() / 2 {
            self.compact();
        }
    }

    /// Moves the symbols of all series together.
    fn compact(&mut self) {
        let mut ids = Vec::with_capacity(self.ids.len() - self.unused_ids);
        for entry in self.slots.iter_mut().flat_map(|page| page.iter_mut()) {
            if entry.state == State::Sent {
                let at = ids.len() as u32;
                ids.extend_from_slice(
                    &self.ids[entry.at as usize..entry.at as usize + usize::from(entry.len)],
                );
                entry.at = at;
            }
        }
        self.ids = ids;
        self.unused_ids = 0;
    }
}

fn hash_of(pairs: &[(&str, &str)]) -> u64 {
    let mut hash = Xxh3Default::new();
    for text in pairs.iter().flat_map(|&(name, value)| [name, value]) {
        hash.update(text.as_bytes());
        // No text has it: what stands on which side of it matters.
        hash.update(&[0xff]);
    }
    hash.digest()
}

fn type_of(name: &str) -> MetricType {
    let types = [
        MetricType::Counter,
        MetricType::Gauge,
        MetricType::Histogram,
        MetricType::GaugeHistogram,
        MetricType::Summary,
        MetricType::Info,
        MetricType::StateSet,
    ];
    types.into_iter().find(|metric_type| metric_type.as_str() == name).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use wire::remote_write::encode::Symbols;

    use super::*;

    fn rules(external: &[(&str, &str)]) -> LabelRules {
        LabelRules { external: Labels::from_pairs(external.iter().copied()), relabel: Vec::new() }
    }

    fn labels(table: &mut SeriesTable, series: u64) -> Option<Vec<String>> {
        let Known::Sent(found, _) = table.get(series) else { return None };
        let ids = found.ids.to_vec();
        let text = |id: u32| String::from_utf8(table.symbols.bytes(id).to_vec()).unwrap();
        Some(ids.into_iter().map(text).collect())
    }

    #[test]
    fn external_labels_fill_gaps_only() {
        let rules = rules(&[("a", "external"), ("m", "external"), ("z", "external")]);
        let sent = rules.apply(&[("b", "own"), ("m", "own")]).unwrap();
        assert_eq!(sent.to_string(), r#"{a="external", b="own", m="own", z="external"}"#);
    }

    #[test]
    fn series_that_no_segment_names_any_more_are_forgotten() {
        let mut table = SeriesTable::new(MessageType::V2, false);
        let rules = rules(&[]);
        for series in 0..1000_u64 {
            let value = series.to_string();
            table.store(series * 3, (series % 2) as u32, &[("__name__", "m"), ("i", &value)], &rules);
        }
        assert_eq!((table.len(), table.symbols().len()), (1000, 1003));
        assert!(table.touch(0, 2) && !table.touch(1, 2) && !table.touch(1 << 40, 2));
        table.forget_before(1);
        table.settle();
        assert_eq!((table.len(), table.symbols().len()), (501, 504));
        assert_eq!(labels(&mut table, 0).unwrap(), ["__name__", "m", "i", "0"]);
        assert_eq!(labels(&mut table, 3).unwrap(), ["__name__", "m", "i", "1"]);
        assert_eq!(labels(&mut table, 6), None);
        table.forget_before(9);
        table.settle();
        assert_eq!((table.len(), table.symbols().len(), table.ids.len()), (0, 0, 0));
        table.store(6, 9, &[("x", "y")], &rules);
        assert_eq!(labels(&mut table, 6).unwrap(), ["x", "y"]);
    }

    #[test]
    fn a_series_named_again_has_its_new_labels() {
        let mut table = SeriesTable::new(MessageType::V2, false);
        let rules = rules(&[]);
        table.store(5, 1, &[("a", "1")], &rules);
        table.set_metadata(&MetadataEntry {
            series: 5,
            metric_type: MetricType::Counter,
            unit: "s".to_owned(),
            help: "text".to_owned(),
        });
        table.store(5, 2, &[("a", "2")], &rules);
        assert_eq!(table.symbols().len(), 5);
        table.settle();
        assert_eq!(labels(&mut table, 5).unwrap(), ["a", "2"]);
        let Known::Sent(found, _) = table.get(5) else { panic!("not sent") };
        assert_eq!(found.metadata.unwrap().metric_type, MetricType::Counter);
        assert_eq!(table.symbols().len(), 4);
    }
}
