//! What tests of sources share: a store that knows each entry once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use wire::loki::{PushLabels, PushRequest};

use super::sink::{LogSink, Signal, SinkProblem};

type Stream = Vec<(String, String)>;
/// Time, line and stream.
type Entry = (i64, Vec<u8>, Stream);

/// Keeps entries by stream, time and line, as the store does.
#[derive(Default)]
pub struct Memory {
    entries: Mutex<BTreeMap<Entry, usize>>,
    pushes: Mutex<usize>,
    /// Whether it stores and then says it did not, like a process that is killed in between.
    pub loses_answers: AtomicBool,
    /// What ends a delivery that gets no answer.
    pub signal: Signal,
}

impl Memory {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// All lines of streams with this label, in order of time.
    pub fn lines(&self, name: &str, value: &str) -> Vec<String> {
        let entries = self.entries.lock();
        let is_wanted = |stream: &Stream| stream.iter().any(|(n, v)| n == name && v.ends_with(value));
        let of_stream = entries.keys().filter(|(_, _, stream)| is_wanted(stream));
        of_stream.map(|(_, line, _)| String::from_utf8(line.clone()).unwrap()).collect()
    }

    /// Entries that came more than once.
    pub fn repeated(&self) -> usize {
        self.entries.lock().values().filter(|&&count| count > 1).count()
    }

    /// Entries that came, as often as they came.
    pub fn delivered(&self) -> usize {
        self.entries.lock().values().sum()
    }

    pub fn pushes(&self) -> usize {
        *self.pushes.lock()
    }

    pub fn streams(&self) -> Vec<Stream> {
        let entries = self.entries.lock();
        let mut streams: Vec<Stream> = entries.keys().map(|(_, _, stream)| stream.clone()).collect();
        streams.sort();
        streams.dedup();
        streams
    }

    pub fn times(&self) -> Vec<i64> {
        self.entries.lock().keys().map(|(time, _, _)| *time).collect()
    }
}

impl LogSink for Memory {
    fn push(&self, request: PushRequest) -> Result<(), SinkProblem> {
        *self.pushes.lock() += 1;
        for stream in request.streams {
            let PushLabels::Pairs(mut labels) = stream.labels else { panic!("labels are pairs") };
            labels.sort();
            for entry in stream.entries {
                let key = (entry.timestamp_ns, entry.line.to_vec(), labels.clone());
                *self.entries.lock().entry(key).or_default() += 1;
            }
        }
        if self.loses_answers.load(Ordering::SeqCst) {
            self.signal.stop();
            return Err(SinkProblem::Later { text: "no answer".to_owned(), after: None });
        }
        Ok(())
    }
}
