//! What is published about sources of logs, under the names of Promtail and of Alloy.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::metrics::{Counter, Family, Kind, Registry};
use parking_lot::Mutex;

/// Counters of all sources. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct LogMetrics {
    files: Arc<Mutex<BTreeMap<String, OfFile>>>,
    sent_entries: Counter,
    sent_bytes: Counter,
    /// Batches of which some lines were refused for good.
    pub dropped: Counter,
    /// Entries that were cut off because they were too long.
    pub split: Counter,
    /// Files that lost what was read of them.
    pub truncated: Counter,
    /// Compressed files that cannot be read.
    pub damaged: Counter,
    /// Entries of the journal.
    pub journal_lines: Counter,
    /// Entries of the journal without a message.
    pub journal_without_message: Counter,
    /// Places of journal files that cannot be read.
    pub journal_damaged: Counter,
}

#[derive(Debug, Default, Clone, Copy)]
struct OfFile {
    read_bytes: u64,
    read_lines: u64,
    size: u64,
    is_active: bool,
}

impl LogMetrics {
    /// Counters that a registry publishes. `host` is a label, as in Promtail.
    pub fn new(registry: &Registry, host: &str) -> Self {
        let metrics = Self::default();
        let (shown, host) = (metrics.clone(), host.to_owned());
        registry.collect_with(move |families| shown.collect(&host, families));
        metrics
    }

    /// A batch was stored.
    pub fn sent(&self, entries: usize, bytes: usize) {
        self.sent_entries.add(entries as u64);
        self.sent_bytes.add(bytes as u64);
    }

    /// Something was read of a log and stored.
    pub fn read(&self, log: &str, bytes: usize, lines: usize, split: u64) {
        let mut files = self.files.lock();
        let file = files.entry(log.to_owned()).or_default();
        file.read_bytes += bytes as u64;
        file.read_lines += lines as u64;
        self.split.add(split);
    }

    /// The logs that are followed, and the sizes of their files.
    pub fn active<'a>(&self, sizes: impl Iterator<Item = (&'a str, u64)>) {
        let mut files = self.files.lock();
        files.values_mut().for_each(|file| file.is_active = false);
        for (log, size) in sizes {
            match files.get_mut(log) {
                Some(file) => (file.size, file.is_active) = (size, true),
                None => {
                    files.insert(log.to_owned(), OfFile { size, is_active: true, ..OfFile::default() });
                }
            }
        }
        // What is gone is not told any more.
        files.retain(|_, file| file.is_active);
    }

    fn collect(&self, host: &str, families: &mut Vec<Family>) {
        self.collect_files(families);
        let host = [("host", host)];
        let mut all = Vec::new();
        let mut counter = |name: &str, help: &str, labels: &[(&str, &str)], value: &Counter| {
            all.push(Family::new(name, help, Kind::Counter).with(labels, value.get() as f64));
        };
        counter("promtail_sent_entries_total", "Number of log entries stored.", &host, &self.sent_entries);
        counter(
            "promtail_sent_bytes_total",
            "Number of bytes of log entries stored.",
            &host,
            &self.sent_bytes,
        );
        counter(
            "bartizan_host_logs_refused_batches_total",
            "Batches of which some entries were refused for good.",
            &[],
            &self.dropped,
        );
        counter(
            "bartizan_host_logs_split_entries_total",
            "Entries that were cut off because they were too long; what was cut off is an entry of its own.",
            &[],
            &self.split,
        );
        counter(
            "bartizan_host_logs_truncated_files_total",
            "Files that were emptied after they were read.",
            &[],
            &self.truncated,
        );
        counter(
            "bartizan_host_logs_damaged_files_total",
            "Compressed files that cannot be read.",
            &[],
            &self.damaged,
        );
        for prefix in ["promtail", "loki_source"] {
            counter(
                &format!("{prefix}_journal_target_lines_total"),
                "Total number of successful journal lines read.",
                &[],
                &self.journal_lines,
            );
        }
        families.append(&mut all);
        for prefix in ["promtail", "loki_source"] {
            let name = format!("{prefix}_journal_target_parsing_errors_total");
            let help = "Total number of parsing errors while reading journal messages.";
            let mut family = Family::new(name, help, Kind::Counter);
            family.push(&[("error", "no_message")], self.journal_without_message.get() as f64);
            family.push(&[("error", "damaged")], self.journal_damaged.get() as f64);
            families.push(family);
        }
    }

    fn collect_files(&self, families: &mut Vec<Family>) {
        type Part = fn(&OfFile) -> u64;
        let parts: [(&str, &str, Kind, Part); 3] = [
            ("read_bytes_total", "Number of bytes read.", Kind::Gauge, |file| file.read_bytes),
            ("read_lines_total", "Number of lines read.", Kind::Counter, |file| file.read_lines),
            ("file_bytes_total", "Number of bytes total.", Kind::Gauge, |file| file.size),
        ];
        let files = self.files.lock();
        for prefix in ["promtail", "loki_source_file"] {
            for (name, help, kind, part) in &parts {
                let mut family = Family::new(format!("{prefix}_{name}"), *help, *kind);
                files.iter().for_each(|(path, file)| family.push(&[("path", path)], part(file) as f64));
                families.push(family);
            }
            let family =
                Family::new(format!("{prefix}_files_active_total"), "Number of active files.", Kind::Gauge);
            families.push(family.with(&[], files.len() as f64));
        }
    }
}
