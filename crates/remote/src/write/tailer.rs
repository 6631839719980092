//! The thread of a destination: it reads the log, gathers samples in batches by shard, makes requests of full or old
//! ones and keeps the cursor.
//!
//! It is the only one that adds to queues. When they are full it stops reading: the log is the buffer. So a number of
//! shards is changed when all queues are empty, and nothing overtakes anything.
//!
//! In reading order: [`Tailer`], `shards`, `keeping`.

mod keeping;
mod shards;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle;
use tsdb::wal::histogram::{AnyHistogram, for_each_histogram};
use tsdb::wal::record::{FloatSample, Kind, RecordError, for_each_exemplar, for_each_float};
use tsdb::wal::{Hold, LogTail, Position, WalError};
use wire::remote_write::MessageType;
use wire::remote_write::encode::{Batch, Counts, Encoder, HistogramRef};

use super::cursor::CursorFile;
use super::metrics::{DropReason, QueueMetrics};
use super::progress::{Place, ShardProgress};
use super::queue::{Delivery, Outgoing, Phase, Shard};
use super::reader::{LogReader, Step, learn, learn_metadata};
use super::reshard::{self, Resharder};
use super::series::{Known, LabelRules, SeriesTable};

/// Commits are gathered for this long before they are read.
const GATHER: Duration = Duration::from_millis(25);
/// How often the cursor is written, at most.
const CURSOR_INTERVAL: Duration = Duration::from_secs(1);
/// How long to wait after the log could not be read.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// How often batches and rates are looked after while there is always more to read.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Nothing is waited for longer than this without a look around.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What decides how samples become requests.
#[derive(Debug, Clone)]
pub struct TailerOptions {
    /// What is done to labels.
    pub rules: LabelRules,
    /// Whether type and unit are labels of the series.
    pub type_and_unit_labels: bool,
    /// Whether exemplars are sent.
    pub exemplars: bool,
    /// Whether native histograms are sent.
    pub histograms: bool,
    /// Samples of a request.
    pub batch_samples: usize,
    /// Requests that wait in a queue.
    pub queue_requests: usize,
    /// How long a sample waits for its request to be full.
    pub batch_deadline: Duration,
    /// Samples older than this are not sent; zero for no limit.
    pub sample_age_limit: Duration,
    /// Fewest and most shards.
    pub shards: (usize, usize),
}

/// A batch that gathers samples.
struct Open {
    batch: Batch,
    /// The place of its first sample, and when that was read.
    first: Option<(Place, Duration)>,
    /// The place of its last sample.
    last: Place,
    /// How far the shard was before a restart, until that is passed.
    resume: Option<ShardProgress>,
}

/// The thread's state.
pub struct Tailer {
    options: TailerOptions,
    delivery: Arc<Delivery>,
    runtime: Handle,
    reader: LogReader,
    series: SeriesTable,
    encoder: Encoder,
    shards: Vec<(Arc<Shard>, Open)>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    resharder: Resharder,
    wanted_shards: Option<usize>,
    measured_at: Measurement,
    counts: Read,
    cursor_file: CursorFile,
    /// The cursor as it is on disk, and when it was written.
    saved: Option<(Position, Duration)>,
    save_failed: bool,
    hold: Hold,
    /// The record being worked on.
    current: Option<Position>,
    /// The number of the next sample in it.
    index: u32,
    /// Whether any shard still is to pass what it did before a restart.
    resuming: bool,
    caught_up: bool,
    /// The destination ended while a queue was waited for: nothing more is read.
    ended: bool,
    looked_at: Duration,
    /// When the backlog was published last.
    published_at: Option<Duration>,
    /// The record being worked on: it cannot stay in the reader's buffer while queues are waited for.
    record: Vec<u8>,
}

/// What was read.
#[derive(Debug, Default, Clone, Copy)]
struct Read {
    samples: u64,
    dropped: u64,
}

/// Where the counters stood when the rates were measured last.
#[derive(Debug, Default, Clone, Copy)]
struct Measurement {
    at: Duration,
    log_bytes: u64,
    read_bytes: u64,
    read: Read,
    ended: u64,
    busy_ns: u64,
}

impl Tailer {
    /// A tailer that begins at the destination's cursor, or without one at the end of the log.
    pub fn new(
        options: TailerOptions,
        delivery: Arc<Delivery>,
        runtime: Handle,
        tail: LogTail,
        cursor_file: CursorFile,
    ) -> Result<Self, WalError> {
        let cursor = cursor_file.load().unwrap_or_else(|error| {
            // Sending from the oldest segment there is repeats samples, which a receiver can tell; starting at the
            // end would lose some.
            tracing::error!(
                remote_name = delivery.name,
                %error,
                "cursor cannot be read; what is left of the log is sent from its start"
            );
            Some(Position::default())
        });
        let hold =
            tail.hold(delivery.name.clone(), cursor.map_or(tail.end().segment, |cursor| cursor.segment));
        if cursor.is_some() {
            delivery.repeated_until.get_or_init(|| tail.end());
        }
        let unreadable = cursor == Some(Position::default());
        let (reader, start) = LogReader::new(tail.clone(), cursor)?;
        if start.lost_segments > 0 && !unreadable {
            delivery.metrics.lost_segments.add(u64::from(start.lost_segments));
            tracing::error!(
                remote_name = delivery.name,
                url = delivery.url,
                segments = start.lost_segments,
                "the log does not reach back to where sending stopped: the samples between are lost"
            );
        }
        let series = SeriesTable::new(delivery.message, options.type_and_unit_labels);
        let bell: Arc<dyn tsdb::wal::tail::Wake> = delivery.bell.clone();
        tail.subscribe(Arc::downgrade(&bell));
        let mut tailer = Self {
            options,
            delivery,
            runtime,
            reader,
            series,
            encoder: Encoder::new(),
            shards: Vec::new(),
            tasks: Vec::new(),
            resharder: Resharder::default(),
            wanted_shards: None,
            measured_at: Measurement::default(),
            counts: Read::default(),
            cursor_file,
            saved: None,
            save_failed: false,
            hold,
            current: None,
            index: 0,
            resuming: false,
            caught_up: false,
            ended: false,
            looked_at: Duration::ZERO,
            published_at: None,
            record: Vec::new(),
        };
        // From the first moment on, a crash must not lose what comes now.
        tailer.save_cursor();
        let known = if cursor == Some(start.at) { tailer.known_progress() } else { Vec::new() };
        tailer.resuming = !known.is_empty();
        match tailer.resuming {
            true => tailer.start_shards(&known),
            false => tailer.start_shards(&vec![ShardProgress::default(); tailer.options.shards.0.max(1)]),
        }
        Ok(tailer)
    }

    /// Reads and sends until the phase says that it is over.
    pub fn run(mut self) {
        let start = self.reader.position();
        let learned = {
            let Self { reader, series, options, delivery, .. } = &mut self;
            let phase = &delivery.phase;
            let go_on = || *phase.borrow() < Phase::Closing;
            reader.learn_series(series, &options.rules, &delivery.metrics, &go_on)
        };
        if let Err(error) = learned {
            tracing::error!(remote_name = self.delivery.name, %error, "series of the log could not all be read");
        }
        if self.reader.position() != start {
            // The segment was rewritten: places in it mean nothing any more.
            self.shards.iter_mut().for_each(|(_, open)| open.resume = None);
        }
        tracing::info!(
            remote_name = self.delivery.name,
            url = self.delivery.url,
            position = %self.reader.position(),
            series = self.series.len(),
            "sending the write-ahead log"
        );
        self.measured_at = self.measure();
        while self.phase() < Phase::Finishing {
            self.read_on();
            self.look_around();
            if self.phase() < Phase::Finishing {
                self.delivery.bell.wait_for_call(GATHER);
            }
            // The call may have told the end.
            if self.phase() < Phase::Finishing {
                self.delivery.bell.wait(self.next_look());
            }
        }
        self.finish();
    }

    fn phase(&self) -> Phase {
        *self.delivery.phase.borrow()
    }

    fn now(&self) -> Duration {
        self.delivery.clock.monotonic()
    }

    fn metrics(&self) -> &QueueMetrics {
        &self.delivery.metrics
    }

    /// Reads to the end of the log, or until the destination ends.
    fn read_on(&mut self) {
        while self.phase() < Phase::Closing && !self.ended {
            match self.read_one() {
                // Reading a backlog may take long.
                Ok(true) if self.now() >= self.looked_at + LOOK_INTERVAL => self.look_around(),
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return self.after_failure(&error),
            }
        }
    }

    /// Reads one record; false at the end of the log.
    fn read_one(&mut self) -> Result<bool, WalError> {
        let Self { reader, delivery, series, options, .. } = self;
        let (record, at) = match reader.next(&delivery.metrics)? {
            Step::End => {
                self.caught_up = true;
                if self.resuming {
                    self.end_resuming();
                }
                return Ok(false);
            }
            Step::NextSegment => {
                self.note_lost();
                let Self { reader, series, options, delivery, .. } = self;
                reader.forget_series(series, &options.rules, &delivery.metrics)?;
                return Ok(true);
            }
            Step::Record(record, at) => (record, at),
        };
        let watcher = &delivery.metrics.watcher;
        match Kind::of(record) {
            Some(Kind::Series) => {
                learn(series, &options.rules, (at.segment, false), record, &delivery.metrics)
            }
            Some(Kind::Metadata) => learn_metadata(series, record, &delivery.metrics),
            Some(Kind::Tombstones | Kind::MmapMarkers) | None => {}
            Some(Kind::Exemplars) if !options.exemplars => {}
            Some(kind) => {
                let counter = match kind {
                    Kind::Samples | Kind::SamplesWithStart => 1,
                    Kind::Exemplars => 3,
                    _ if !options.histograms => return Ok(true),
                    _ => 2,
                };
                watcher.records[counter].inc();
                watcher.pre_tailing.add(u64::from(!self.caught_up));
                self.record.clear();
                self.record.extend_from_slice(record);
                let record = std::mem::take(&mut self.record);
                (self.current, self.index) = (Some(at), 0);
                let decoded = self.take(kind, &record);
                self.record = record;
                if let Err(error) = decoded {
                    self.metrics().watcher.failures.inc();
                    tracing::warn!(%error, position = %at, "record of the write-ahead log does not decode");
                }
                if !self.ended {
                    self.current = None;
                }
            }
        }
        Ok(true)
    }

    fn take(&mut self, kind: Kind, record: &[u8]) -> Result<(), RecordError> {
        let oldest_ms = self.oldest_ms();
        match kind {
            Kind::Samples | Kind::SamplesWithStart => {
                for_each_float(record, |sample| self.take_float(sample, oldest_ms))
            }
            Kind::Exemplars => for_each_exemplar(record, |exemplar| {
                let counts = Counts { exemplars: 1, ..Counts::default() };
                let labels = &exemplar.labels;
                self.add(exemplar.series, exemplar.t_ms, oldest_ms, counts, |batch, series| {
                    batch.push_exemplar(series, exemplar.t_ms, exemplar.value, labels.iter());
                });
            }),
            _ => for_each_histogram(record, |sample| {
                let counts = Counts { histograms: 1, ..Counts::default() };
                if self.delivery.message == MessageType::V1 && sample.value.has_custom_buckets() {
                    // Numbers of samples are the same whatever is sent of them.
                    self.index += 1;
                    self.metrics().dropped(DropReason::CustomBuckets).add(counts);
                    return;
                }
                self.add(sample.series, sample.t_ms, oldest_ms, counts, |batch, series| {
                    let value = match &sample.value {
                        AnyHistogram::Integer(histogram) => HistogramRef::Integer(histogram),
                        AnyHistogram::Float(histogram) => HistogramRef::Float(histogram),
                    };
                    batch.push_histogram(series, sample.start_ms, sample.t_ms, value);
                });
            }),
        }
    }

    #[inline]
    fn take_float(&mut self, sample: FloatSample, oldest_ms: i64) {
        let counts = Counts { samples: 1, ..Counts::default() };
        self.add(sample.series, sample.t_ms, oldest_ms, counts, |batch, series| {
            batch.push_float(series, sample.start_ms, sample.t_ms, sample.value);
        });
    }

    /// Adds to the batch of the series' shard, and sends it off when it is full.
    #[inline]
    fn add(
        &mut self,
        reference: u64,
        t_ms: i64,
        oldest_ms: i64,
        counts: Counts,
        push: impl FnOnce(&mut Batch, wire::remote_write::encode::SeriesSymbols<'_>),
    ) {
        if self.ended {
            return;
        }
        let place = Place { record: self.current.unwrap_or_default(), index: self.index };
        self.index += 1;
        if self.resuming && !self.resumes_with(reference, place) {
            return;
        }
        self.counts.samples += 1;
        if t_ms < oldest_ms {
            return self.drop_one(DropReason::TooOld, counts);
        }
        let (series, hash) = match self.series.get(reference) {
            Known::Sent(series, hash) => (series, hash),
            Known::Dropped => return self.drop_one(DropReason::DroppedSeries, counts),
            Known::Unknown => return self.drop_one(DropReason::UnknownSeries, counts),
        };
        let shard = hash as usize % self.shards.len();
        let open = &mut self.shards[shard].1;
        if open.first.is_none() {
            open.first = Some((place, self.delivery.clock.monotonic()));
        }
        open.last = place;
        push(&mut open.batch, series);
        if open.batch.len() >= self.options.batch_samples {
            self.send_off(shard);
        }
    }

    #[cold]
    fn drop_one(&mut self, reason: DropReason, counts: Counts) {
        self.counts.dropped += 1;
        self.metrics().dropped(reason).add(counts);
    }

    fn oldest_ms(&self) -> i64 {
        let limit = self.options.sample_age_limit;
        if limit.is_zero() {
            return i64::MIN;
        }
        let limit_ms = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
        self.delivery.clock.now_ms().saturating_sub(limit_ms)
    }

    /// Waits for room in a shard's queue and adds its batch as a request. When the destination ends before there is
    /// room, the batch stays: the cursor then points at or before its first sample.
    fn send_off(&mut self, shard: usize) {
        let capacity = self.options.queue_requests;
        if self.shards[shard].0.len() > capacity {
            self.metrics().enqueue_retries.inc();
            let queue = self.shards[shard].0.clone();
            if !self.wait_until(|| queue.len() <= capacity) {
                return;
            }
        }
        self.encode(shard);
    }

    fn encode(&mut self, shard: usize) {
        let (queue, open) = &mut self.shards[shard];
        let Some((first, _)) = open.first.take() else { return };
        let is_repetition = open.resume.and_then(|resume| resume.last).is_some();
        let (lowest_ms, highest_ms) = open.batch.bounds_ms();
        let outgoing = Outgoing {
            body: self.encoder.encode(&open.batch, self.series.symbols()).into(),
            first,
            last: open.last,
            is_repetition,
            counts: open.batch.counts(),
            lowest_ms,
            highest_ms,
        };
        open.batch.clear();
        self.delivery.metrics.pending.add(outgoing.counts);
        self.delivery.metrics.highest_queued.raise(highest_ms);
        queue.push(outgoing);
    }

    /// Waits until `done`, keeping the cursor meanwhile; false when the destination ends before.
    fn wait_until(&mut self, done: impl Fn() -> bool) -> bool {
        let delivery = self.delivery.clone();
        delivery.reader_waits.store(true, Ordering::Release);
        let reached = loop {
            if self.phase() >= Phase::Closing {
                break false;
            }
            if done() {
                break true;
            }
            // With a failure at the end of a process, the task of a shard ends before its queue is empty.
            if self.phase() >= Phase::Finishing && self.tasks.iter().any(tokio::task::JoinHandle::is_finished)
            {
                break false;
            }
            self.save_cursor_if_due();
            self.publish_backlog_if_due();
            delivery.bell.wait_for_call(CURSOR_INTERVAL);
        };
        delivery.reader_waits.store(false, Ordering::Release);
        self.ended |= !reached;
        reached
    }

    /// Sends off old batches, and does what is due.
    fn look_around(&mut self) {
        let now = self.now();
        self.looked_at = now;
        for shard in 0..self.shards.len() {
            let (queue, open) = &self.shards[shard];
            let is_old = open.first.is_some_and(|(_, since)| now >= since + self.options.batch_deadline)
                // What belongs together has been read as soon as the end of the log is reached.
                && open.resume.is_none();
            // Behind requests that wait, a batch may as well grow.
            if is_old && queue.len() <= self.options.queue_requests {
                self.encode(shard);
            }
        }
        if self.shards.iter().all(|(_, open)| open.first.is_none()) {
            self.series.settle();
        }
        self.note_lost();
        self.save_cursor_if_due();
        self.publish_backlog_if_due();
        if now >= self.measured_at.at + reshard::INTERVAL {
            self.think_over_shards();
        }
        if let Some(wanted) = self.wanted_shards.take().filter(|_| !self.ended && !self.resuming) {
            self.reshard(wanted);
        }
    }

    /// How long until there is something to do.
    fn next_look(&self) -> Duration {
        let now = self.now();
        let oldest = self.shards.iter().filter_map(|(_, open)| open.first.map(|(_, since)| since)).min();
        let deadline = oldest.map(|since| (since + self.options.batch_deadline).saturating_sub(now));
        let cursor_is_old = self.saved.is_none_or(|(saved, _)| saved != self.cursor());
        let cursor = cursor_is_old.then_some(CURSOR_INTERVAL);
        let wait = [deadline, cursor].into_iter().flatten().min().unwrap_or(LONGEST_WAIT);
        wait.max(Duration::from_millis(1))
    }

    /// Sends what is left if there is time, waits for requests being sent, and keeps the cursor.
    fn finish(&mut self) {
        if self.phase() < Phase::Closing {
            self.read_on();
            self.drain();
        }
        self.close_shards();
        for task in std::mem::take(&mut self.tasks) {
            // A shard's task does not panic; if it did, its queue stays and the cursor with it.
            let _ = self.runtime.block_on(task);
        }
        self.save_cursor();
        let (cursor, mut left) = (self.cursor(), 0);
        for outgoing in self.shards.iter().flat_map(|(queue, _)| queue.give_up()) {
            self.metrics().pending.remove(outgoing.counts);
            left += 1;
        }
        tracing::info!(
            remote_name = self.delivery.name,
            url = self.delivery.url,
            %cursor,
            unsent_requests = left,
            "sending stopped"
        );
    }
}
