//! The thread of a destination: it reads the log, gathers samples in batches by shard, makes requests of full or old
//! ones and keeps the cursor.
//!
//! It is the only one that adds to queues. When they are full it stops reading: the log is the buffer. So a number of
//! shards is changed when all queues are empty, and nothing overtakes anything.

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
use super::queue::{Delivery, Outgoing, Phase, Shard};
use super::reader::{LogReader, Step, learn, learn_metadata};
use super::reshard::{self, Measured, Resharder};
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
    /// The record of its first sample, and when that was read.
    first: Option<(Position, Duration)>,
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
    caught_up: bool,
    /// The destination ended while a queue was waited for: nothing more is read.
    ended: bool,
    looked_at: Duration,
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
            caught_up: false,
            ended: false,
            looked_at: Duration::ZERO,
        };
        tailer.start_shards(tailer.options.shards.0);
        // From the first moment on, a crash must not lose what comes now.
        tailer.save_cursor();
        Ok(tailer)
    }

    /// Reads and sends until the phase says that it is over.
    pub fn run(mut self) {
        let learned = {
            let Self { reader, series, options, delivery, .. } = &mut self;
            let phase = &delivery.phase;
            let go_on = || *phase.borrow() < Phase::Closing;
            reader.learn_series(series, &options.rules, &delivery.metrics, &go_on)
        };
        if let Err(error) = learned {
            tracing::error!(remote_name = self.delivery.name, %error, "series of the log could not all be read");
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
                // The record is worked on while queues are waited for: it cannot stay in the reader's buffer.
                let record = record.to_vec();
                self.current = Some(at);
                let decoded = self.take(kind, &record);
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
            let at = self.current.unwrap_or_default();
            open.first = Some((at, self.delivery.clock.monotonic()));
        }
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
        let (lowest_ms, highest_ms) = open.batch.bounds_ms();
        let outgoing = Outgoing {
            body: self.encoder.encode(&open.batch, self.series.symbols()).into(),
            first,
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
            let is_old = open.first.is_some_and(|(_, since)| now >= since + self.options.batch_deadline);
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
        if now >= self.measured_at.at + reshard::INTERVAL {
            self.think_over_shards();
        }
        if let Some(wanted) = self.wanted_shards.take().filter(|_| !self.ended) {
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

    /// Everything before it was acknowledged or dropped.
    fn cursor(&self) -> Position {
        let queued = self.shards.iter().filter_map(|(queue, _)| queue.first());
        let open = self.shards.iter().filter_map(|(_, open)| open.first.map(|(at, _)| at));
        let read = self.current.unwrap_or_else(|| self.reader.position());
        queued.chain(open).fold(read, Position::min)
    }

    fn save_cursor_if_due(&mut self) {
        if self.saved.is_none_or(|(_, at)| self.now() >= at + CURSOR_INTERVAL) {
            self.save_cursor();
        }
    }

    fn save_cursor(&mut self) {
        let cursor = self.cursor();
        if self.saved.is_some_and(|(saved, _)| saved == cursor) {
            return;
        }
        match self.cursor_file.save(cursor) {
            Ok(()) => {
                self.save_failed = false;
                // Only what is remembered for good may be deleted from the log.
                self.hold.advance(cursor.segment);
                self.saved = Some((cursor, self.now()));
            }
            Err(error) => {
                if !self.save_failed {
                    tracing::error!(
                        remote_name = self.delivery.name,
                        %error,
                        "cursor cannot be written; after a restart samples would be sent again"
                    );
                }
                self.save_failed = true;
                if let Some((_, at)) = &mut self.saved {
                    *at = self.delivery.clock.monotonic();
                }
            }
        }
    }

    /// Segments this destination held too long are gone: go on behind them.
    fn note_lost(&mut self) {
        let lost_before = self.hold.lost_before();
        if self.reader.position().segment < lost_before {
            self.skip_to(lost_before);
        }
    }

    fn skip_to(&mut self, segment: u32) {
        match self.reader.skip_to(segment) {
            Ok(0) => {}
            Ok(skipped) => {
                self.metrics().lost_segments.add(u64::from(skipped));
                tracing::error!(
                    remote_name = self.delivery.name,
                    url = self.delivery.url,
                    segments = skipped,
                    "segments of the log are gone before they were sent: their samples are lost"
                );
                let Self { reader, series, options, delivery, .. } = self;
                if let Err(error) = reader.forget_series(series, &options.rules, &delivery.metrics) {
                    tracing::error!(remote_name = self.delivery.name, %error, "checkpoint could not be read");
                }
            }
            Err(error) => {
                tracing::error!(remote_name = self.delivery.name, %error, "log could not be listed");
            }
        }
    }

    fn after_failure(&mut self, error: &WalError) {
        let gone =
            matches!(error, WalError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound);
        if gone {
            let next = self.reader.position().segment + 1;
            if next <= self.reader.end().segment {
                return self.skip_to(next);
            }
        }
        tracing::error!(remote_name = self.delivery.name, %error, "log cannot be read; it is tried again");
        self.delivery.bell.wait_for_call(AFTER_FAILURE);
    }

    fn start_shards(&mut self, count: usize) {
        self.tasks.clear();
        self.shards.clear();
        for _ in 0..count.max(1) {
            let shard = Arc::new(Shard::default());
            self.tasks.push(self.runtime.spawn(self.delivery.clone().run(shard.clone())));
            self.shards.push((shard, Open { batch: Batch::new(self.delivery.message), first: None }));
        }
        self.metrics().levels.shards.set(count as f64);
    }

    fn measure(&self) -> Measurement {
        Measurement {
            at: self.now(),
            log_bytes: self.reader.written_bytes(),
            read_bytes: self.reader.read_bytes(),
            read: self.counts,
            ended: self.delivery.ended.load(Ordering::Relaxed),
            busy_ns: self.delivery.busy_ns.load(Ordering::Relaxed),
        }
    }

    fn think_over_shards(&mut self) {
        let (now, before) = (self.measure(), self.measured_at);
        self.measured_at = now;
        let measured = Measured {
            elapsed: now.at.saturating_sub(before.at),
            log_bytes: now.log_bytes - before.log_bytes,
            read_bytes: now.read_bytes.saturating_sub(before.read_bytes),
            read: now.read.samples - before.read.samples,
            dropped: now.read.dropped - before.read.dropped,
            sent: now.ended - before.ended,
            sending: Duration::from_nanos(now.busy_ns - before.busy_ns),
            backlog_bytes: self.reader.backlog_bytes(),
            queued: self.metrics().pending.total(),
        };
        let (wanted, shards) = self.resharder.tick(&measured, self.shards.len(), self.options.shards);
        self.metrics().levels.shards_desired.set(wanted);
        if shards == self.shards.len() {
            return;
        }
        let now_ms = i64::try_from(now.at.as_millis()).unwrap_or(i64::MAX);
        let recent_ms = now_ms - i64::try_from(reshard::INTERVAL.as_millis()).unwrap_or(0);
        let idle = self.delivery.last_end_ms.load(Ordering::Relaxed) < recent_ms;
        let waiting = now_ms < self.delivery.no_reshard_until_ms.load(Ordering::Relaxed);
        if idle || waiting {
            tracing::warn!(remote_name = self.delivery.name, shards, "not resharding while requests fail");
            return;
        }
        self.wanted_shards = Some(shards);
    }

    /// Changes the number of shards once everything queued is sent, so that a series' samples stay in order.
    fn reshard(&mut self, count: usize) {
        tracing::info!(remote_name = self.delivery.name, from = self.shards.len(), to = count, "resharding");
        if self.drain() {
            self.close_shards();
            self.start_shards(count);
        }
    }

    /// Sends off all batches and waits until all queues are empty; false when the destination ends before.
    fn drain(&mut self) -> bool {
        (0..self.shards.len()).for_each(|shard| self.encode(shard));
        let queues: Vec<_> = self.shards.iter().map(|(queue, _)| queue.clone()).collect();
        self.wait_until(|| queues.iter().all(|queue| queue.len() == 0))
    }

    fn close_shards(&mut self) {
        self.shards.iter().for_each(|(queue, _)| queue.close());
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
        let left: usize = self.shards.iter().map(|(queue, _)| queue.len()).sum();
        self.save_cursor();
        tracing::info!(
            remote_name = self.delivery.name,
            url = self.delivery.url,
            cursor = %self.cursor(),
            unsent_requests = left,
            "sending stopped"
        );
    }
}
