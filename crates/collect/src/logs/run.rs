//! Threads that take turns until they are stopped.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use base::clock::SharedClock;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;

use super::files::{FileOptions, Files, Turn};
use super::journal::{Journal, JournalOptions};
use super::metrics::LogMetrics;
use super::positions::Positions;
use super::sink::{LogSink, Signal};

/// How often sources are looked at when the system does not tell of changes.
const POLL_EVERY: Duration = Duration::from_millis(250);
/// How often they are looked at when it does.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long small batches wait for more.
const LINGER: Duration = Duration::from_millis(100);
/// Batches below this are small.
const SMALL_BATCH_BYTES: usize = 64 << 10;
/// Pause after a failure of the own disk.
const FAILED_PAUSE: Duration = Duration::from_secs(5);
/// Directories the system is asked to watch.
const MAX_WATCHED: usize = 1024;

/// Which sources there are.
#[derive(Debug, Clone)]
pub struct HostLogsOptions {
    /// The file of positions.
    pub positions: PathBuf,
    /// Files, if any are followed.
    pub files: Option<FileOptions>,
    /// The journal, if it is read.
    pub journal: Option<JournalOptions>,
}

/// The running sources.
#[derive(Debug)]
pub struct HostLogs {
    signals: Vec<Signal>,
    threads: Vec<JoinHandle<()>>,
}

/// A source of logs.
trait Source {
    fn turn(&mut self, sink: &dyn LogSink, signal: &Signal) -> io::Result<Turn>;
    fn save(&mut self) -> io::Result<()>;
    fn directories(&self) -> BTreeSet<PathBuf>;
}

impl Source for Files {
    fn turn(&mut self, sink: &dyn LogSink, signal: &Signal) -> io::Result<Turn> {
        Self::turn(self, sink, signal)
    }

    fn save(&mut self) -> io::Result<()> {
        Self::save(self, true)
    }

    fn directories(&self) -> BTreeSet<PathBuf> {
        Self::directories(self)
    }
}

impl Source for Journal {
    fn turn(&mut self, sink: &dyn LogSink, signal: &Signal) -> io::Result<Turn> {
        Self::turn(self, sink, signal)
    }

    fn save(&mut self) -> io::Result<()> {
        Self::save(self, true)
    }

    fn directories(&self) -> BTreeSet<PathBuf> {
        Self::directories(self)
    }
}

impl HostLogs {
    /// Reads positions and begins to deliver.
    pub fn start(
        options: HostLogsOptions,
        sink: Arc<dyn LogSink>,
        clock: SharedClock,
        metrics: LogMetrics,
    ) -> io::Result<Self> {
        let positions = Arc::new(Mutex::new(Positions::open(&options.positions)?));
        let mut running = Self { signals: Vec::new(), threads: Vec::new() };
        if let Some(files) = options.files {
            let files = Files::new(files, clock.clone(), positions.clone(), metrics.clone());
            running.spawn("logs-files", files, sink.clone())?;
        }
        if let Some(journal) = options.journal {
            running.spawn("logs-journal", Journal::new(journal, clock, positions, metrics), sink)?;
        }
        Ok(running)
    }

    fn spawn(
        &mut self,
        name: &str,
        source: impl Source + Send + 'static,
        sink: Arc<dyn LogSink>,
    ) -> io::Result<()> {
        let signal = Signal::default();
        self.signals.push(signal.clone());
        let thread = std::thread::Builder::new().name(name.to_owned());
        self.threads.push(thread.spawn(move || run(source, &*sink, &signal))?);
        Ok(())
    }

    /// Notes what is stored and ends. Blocks for as long as a batch takes that is on its way.
    pub fn stop(self) {
        self.signals.iter().for_each(Signal::stop);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread that reads logs has panicked");
            }
        }
    }
}

fn run(mut source: impl Source, sink: &dyn LogSink, signal: &Signal) {
    let mut watch = Watch::new(signal.clone());
    while !signal.is_stopped() {
        match source.turn(sink, signal) {
            Ok(Turn::Delivered { bytes }) if bytes < SMALL_BATCH_BYTES => signal.pause(LINGER),
            Ok(Turn::Delivered { .. }) => {}
            Ok(Turn::Stopped) => break,
            Ok(Turn::Idle) => {
                watch.follow(source.directories());
                signal.wait(if watch.is_working() { LOOK_EVERY } else { POLL_EVERY });
                signal.pause(LINGER);
            }
            Err(error) => {
                tracing::error!(%error, "positions of logs cannot be written; no logs of this host are read");
                signal.pause(FAILED_PAUSE);
            }
        }
    }
    if let Err(error) = source.save() {
        tracing::warn!(%error, "positions of logs cannot be written at the end; entries are sent again, and stored once");
    }
}

/// Wakes when something changes in directories.
struct Watch {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl Watch {
    fn new(signal: Signal) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // That files are opened and closed, by us as well, is no change.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                signal.wake();
            }
        });
        let told = |error: &notify::Error| tracing::debug!(%error, "files are looked at from time to time");
        Self { watcher: watcher.inspect_err(told).ok(), watched: BTreeSet::new() }
    }

    fn is_working(&self) -> bool {
        self.watcher.is_some()
    }

    fn follow(&mut self, wanted: BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        for dir in self.watched.difference(&wanted) {
            // A directory that is gone is not watched any more anyway.
            let _ = watcher.unwatch(dir);
        }
        let mut failed = false;
        for dir in wanted.difference(&self.watched).take(MAX_WATCHED.saturating_sub(self.watched.len())) {
            failed |= watcher.watch(dir, RecursiveMode::NonRecursive).is_err();
        }
        self.watched = wanted;
        if failed {
            // Some changes would be missed: look at everything often instead.
            self.watcher = None;
        }
    }
}
