//! Figures about the head, as the status API shows them.

use std::sync::atomic::Ordering;

use super::Head;

/// A name and a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelCount {
    /// A label name, a metric name or `name=value`.
    pub name: String,
    /// Series, values or bytes.
    pub value: u64,
}

/// Figures about the head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadStats {
    /// Series.
    pub series: u64,
    /// Chunks.
    pub chunks: i64,
    /// Distinct label pairs.
    pub label_pairs: u64,
    /// Earliest time; `i64::MAX` when empty.
    pub min_ms: i64,
    /// Latest time; `i64::MIN` when empty.
    pub max_ms: i64,
    /// Metrics with the most series.
    pub series_by_metric: Vec<LabelCount>,
    /// Label names with the most values.
    pub values_by_name: Vec<LabelCount>,
    /// Label names whose values take the most bytes, counted for every series.
    pub bytes_by_name: Vec<LabelCount>,
    /// Label pairs with the most series.
    pub series_by_pair: Vec<LabelCount>,
}

impl Head {
    /// Figures about the head, with the first `limit` of each list. `by_name` is the label whose values'
    /// series are counted, normally the metric name.
    pub fn stats(&self, by_name: &str, limit: usize) -> HeadStats {
        let state = self.inner.index.read();
        let index = &state.index;
        let (mut by_metric, mut values, mut bytes, mut by_pair) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut label_pairs = 0;
        for (name, of_name) in index.names() {
            label_pairs += of_name.values.len() as u64;
            values.push(LabelCount { name: name.to_owned(), value: of_name.values.len() as u64 });
            let mut size = 0;
            for (&symbol, list) in &of_name.values {
                let (value, series) = (index.symbols.text(symbol), list.as_slice().len() as u64);
                size += value.len() as u64 * series;
                if name == by_name {
                    by_metric.push(LabelCount { name: value.to_owned(), value: series });
                }
                offer(&mut by_pair, series, limit, || format!("{name}={value}"));
            }
            bytes.push(LabelCount { name: name.to_owned(), value: size });
        }
        let levels = &self.inner.metrics.levels;
        HeadStats {
            series: index.len() as u64,
            chunks: levels.chunks.load(Ordering::Relaxed),
            label_pairs,
            min_ms: self.min_ms(),
            max_ms: self.max_ms(),
            series_by_metric: largest(by_metric, limit),
            values_by_name: largest(values, limit),
            bytes_by_name: largest(bytes, limit),
            series_by_pair: largest(by_pair, limit),
        }
    }
}

/// Keeps a candidate only if it may be among the largest, so that no text is made for all label pairs.
fn offer(kept: &mut Vec<LabelCount>, value: u64, limit: usize, name: impl FnOnce() -> String) {
    const SLACK: usize = 4;
    if kept.len() >= limit.max(1) * SLACK {
        *kept = largest(std::mem::take(kept), limit);
    }
    if kept.len() < limit || kept.iter().any(|other| other.value < value) {
        kept.push(LabelCount { name: name(), value });
    }
}

fn largest(mut all: Vec<LabelCount>, limit: usize) -> Vec<LabelCount> {
    all.sort_by(|a, b| b.value.cmp(&a.value).then_with(|| a.name.cmp(&b.name)));
    all.truncate(limit);
    all
}
