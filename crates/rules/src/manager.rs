//! Runs groups: each when it is due, from one reload of the configuration to the next.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use config::NameValidation;
use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::file::{FileOptions, RuleFile};
use crate::group::{Evaluator, Group, GroupDefaults};
use crate::restore::restore;

/// What a configuration says about rules.
#[derive(Debug, Clone)]
pub struct RuleSettings {
    /// The files, each once.
    pub files: Vec<PathBuf>,
    /// Contents that are not in files, by the name to show for each.
    pub embedded: Vec<(String, String)>,
    /// What groups take from the configuration.
    pub defaults: GroupDefaults,
    /// Which names are accepted.
    pub names: NameValidation,
}

/// The longest time until a group looks at the clock again.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// Runs groups.
pub struct Manager {
    evaluator: Arc<Evaluator>,
    /// Groups evaluated at once; more wait.
    slots: Arc<Semaphore>,
    running: Arc<Mutex<BTreeMap<(String, String), Running>>>,
    /// The groups as they are seen from outside: nobody who looks waits for a reload.
    shown: RwLock<Vec<Arc<Group>>>,
    /// Whether rules were loaded before: only the first ones take up what was before a restart.
    was_loaded: AtomicBool,
    stopped: watch::Sender<bool>,
    runtime: Handle,
}

struct Running {
    group: Arc<Group>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    fn ask_to_stop(&self) {
        self.group.stopping.store(true, Ordering::Release);
        self.stop.send_replace(true);
    }
}

impl Manager {
    /// A manager without groups, which lets `slots` groups be evaluated at once. Must be called within a tokio
    /// runtime.
    pub fn new(evaluator: Evaluator, slots: usize) -> Self {
        Self {
            evaluator: Arc::new(evaluator),
            slots: Arc::new(Semaphore::new(slots.max(1))),
            running: Arc::default(),
            shown: RwLock::default(),
            was_loaded: AtomicBool::new(false),
            stopped: watch::channel(false).0,
            runtime: Handle::current(),
        }
    }

    /// The groups, by file and name.
    pub fn groups(&self) -> Vec<Arc<Group>> {
        self.shown.read().clone()
    }

    /// Makes the rules those of `settings`: groups that did not change go on, changed ones take over what the
    /// ones before knew. Rules that do not load change nothing; their faults are logged. It blocks, at most until
    /// the running evaluations have ended.
    pub fn update(&self, settings: &RuleSettings) -> Result<(), String> {
        if *self.stopped.borrow() {
            return Ok(());
        }
        let files = self.load(settings)?;
        let was_loaded = self.was_loaded.load(Ordering::Acquire);
        let mut running = self.running.lock();
        // Whoever ended all groups meanwhile looks for them only once.
        if *self.stopped.borrow() {
            return Ok(());
        }
        let mut old = std::mem::take(&mut *running);
        let mut changed: Vec<(Arc<Group>, Option<Running>, bool)> = Vec::new();
        for (file, content) in &files {
            for spec in &content.groups {
                let key = (file.clone(), spec.name.clone());
                let before = old.remove(&key);
                match before {
                    Some(before) if before.group.is_same(spec, &settings.defaults) => {
                        running.insert(key, before);
                        continue;
                    }
                    _ => {}
                }
                // A group that changes before its alerts are as they were before a restart still waits for that.
                let restored =
                    was_loaded && !before.as_ref().is_some_and(|before| before.group.awaits_restore());
                // The expressions were checked when the file was loaded.
                match Group::new(file, spec, &settings.defaults, &self.evaluator, restored) {
                    Ok(group) => changed.push((Arc::new(group), before, !restored)),
                    Err(fault) => tracing::error!(file, group = spec.name, %fault, "group left out"),
                }
            }
        }
        let replaced = changed.iter().filter_map(|(_, before, _)| before.as_ref());
        replaced.chain(old.values()).for_each(Running::ask_to_stop);
        for (group, before, restores) in changed {
            if let Some(before) = before {
                let from = before.group.clone();
                self.wait(before);
                group.take_over(&from);
            }
            running.insert((group.file.clone(), group.name.clone()), self.start(group, restores));
        }
        for (_, gone) in old {
            let group = gone.group.clone();
            self.wait(gone);
            self.evaluator.metrics.forget(&group.key());
            self.end(group);
        }
        *self.shown.write() = running.values().map(|running| running.group.clone()).collect();
        self.was_loaded.store(true, Ordering::Release);
        Ok(())
    }

    fn load(&self, settings: &RuleSettings) -> Result<BTreeMap<String, RuleFile>, String> {
        let options = FileOptions {
            language: &*self.evaluator.language,
            names: settings.names,
            ignore_unknown_fields: false,
        };
        let (mut files, mut failed) = (BTreeMap::new(), false);
        let in_files =
            settings.files.iter().map(|path| (path.display().to_string(), RuleFile::load(path, &options)));
        let embedded =
            settings.embedded.iter().map(|(name, text)| (name.clone(), RuleFile::parse(text, &options)));
        for (name, outcome) in in_files.chain(embedded) {
            match outcome {
                Ok(file) => {
                    file.warnings.iter().for_each(|warning| tracing::warn!(file = name, "{warning}"));
                    files.insert(name, file);
                }
                Err(faults) => {
                    failed = true;
                    for fault in faults {
                        tracing::error!(file = name, %fault, "loading groups failed");
                    }
                }
            }
        }
        if failed { Err("error loading rules, previous rule set restored".to_owned()) } else { Ok(files) }
    }

    fn wait(&self, running: Running) {
        // A group that ended by a defect was logged where it ended.
        let _ = self.runtime.block_on(running.task);
    }

    fn start(&self, group: Arc<Group>, restores: bool) -> Running {
        let (stop, stopping) = watch::channel(false);
        let work = Work {
            group: group.clone(),
            evaluator: self.evaluator.clone(),
            slots: self.slots.clone(),
            stopping,
        };
        Running { group, stop, task: self.runtime.spawn(work.run(restores)) }
    }

    /// Marks the series of a group that is no more as ended, but not before rules that write them elsewhere now
    /// have been evaluated.
    fn end(&self, group: Arc<Group>) {
        let evaluator = self.evaluator.clone();
        let mut stopped = self.stopped.subscribe();
        let now_ms = evaluator.clock.now_ms();
        group.end_all();
        let pause = Duration::from_millis(2 * group.interval_ms.unsigned_abs());
        self.runtime.spawn(async move {
            let stopped = tokio::time::timeout(pause, stopped.wait_for(|&stopped| stopped)).await.is_ok();
            if !stopped {
                let marking = move || group.mark_ended(&evaluator, now_ms);
                // Only a defect ends it early, and that is logged where it happens.
                let _ = tokio::task::spawn_blocking(marking).await;
            }
        });
    }

    /// Ends all groups; queries that run are ended too.
    pub async fn stop(&self) {
        self.stopped.send_replace(true);
        // First of all: a reload may hold the groups while it waits for queries that are ended by this.
        self.evaluator.cancel.cancel();
        let groups = self.running.clone();
        let taken = tokio::task::spawn_blocking(move || std::mem::take(&mut *groups.lock())).await;
        let Ok(running) = taken else { return };
        running.values().for_each(Running::ask_to_stop);
        for (_, group) in running {
            let _ = group.task.await;
        }
    }
}

/// The groups of files in the order they are written, without anything that runs: for tests of rules.
pub fn load_groups(
    files: &[(String, RuleFile)],
    defaults: &GroupDefaults,
    evaluator: &Evaluator,
) -> Result<Vec<Arc<Group>>, String> {
    let mut groups: Vec<Arc<Group>> = Vec::new();
    for (file, content) in files {
        for spec in &content.groups {
            let group = Group::new(file, spec, defaults, evaluator, true);
            let group = group.map_err(|fault| format!("{file}: {fault}"))?;
            // A file that is named twice counts once.
            groups.retain(|other| (&other.file, &other.name) != (&group.file, &group.name));
            groups.push(Arc::new(group));
        }
    }
    Ok(groups)
}

/// When a group is due.
#[derive(Debug, Clone, Copy)]
struct Ticks {
    due_ms: i64,
    interval_ms: i64,
}

impl Ticks {
    /// The next time a group is due that was due last at `self.due_ms`, with the number of times it missed because
    /// it is `now_ms` already.
    fn next(self, now_ms: i64) -> (Self, u64) {
        let late = (now_ms - self.due_ms).div_euclid(self.interval_ms) - 1;
        let missed = late.max(0);
        (Self { due_ms: self.due_ms + (missed + 1) * self.interval_ms, ..self }, missed.unsigned_abs())
    }
}

/// What runs one group.
struct Work {
    group: Arc<Group>,
    evaluator: Arc<Evaluator>,
    slots: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

impl Work {
    async fn run(mut self, restores: bool) {
        let (group, clock) = (self.group.clone(), self.evaluator.clock.clone());
        let interval_ms = group.interval_ms;
        let mut ticks = Ticks { due_ms: group.slot_before(clock.now_ms()) + interval_ms, interval_ms };
        // Only after two evaluations there is what alerts depend on: scraped samples, then recorded ones.
        let mut until_restored = if restores { Some(2) } else { None };
        while self.wait_until(ticks.due_ms).await {
            if !self.evaluate(ticks.due_ms).await {
                return;
            }
            if let Some(left) = &mut until_restored {
                *left -= 1;
                if *left == 0 {
                    until_restored = None;
                    self.restore().await;
                }
            }
            let (next, missed) = ticks.next(clock.now_ms());
            group.metrics.missed.add(missed);
            group.metrics.scheduled.add(missed);
            ticks = next;
        }
    }

    /// Waits; false when the group is to stop. It looks at the clock now and then: after a pause of the machine, or
    /// a step of the clock, the time left is another one.
    async fn wait_until(&mut self, due_ms: i64) -> bool {
        loop {
            let left_ms = due_ms - self.evaluator.clock.now_ms();
            let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
            tokio::select! {
                biased;
                _ = self.stopping.wait_for(|&stop| stop) => return false,
                () = tokio::time::sleep(left.min(LONGEST_SLEEP)) => {}
            }
            if left <= LONGEST_SLEEP {
                return true;
            }
        }
    }

    /// One evaluation; false when the group is to stop.
    async fn evaluate(&mut self, due_ms: i64) -> bool {
        let slots = self.slots.clone();
        let slot = tokio::select! {
            biased;
            _ = self.stopping.wait_for(|&stop| stop) => return false,
            slot = slots.acquire_owned() => slot,
        };
        let (group, evaluator) = (self.group.clone(), self.evaluator.clone());
        let work = tokio::task::spawn_blocking(move || {
            group.evaluate(&evaluator, due_ms);
            drop(slot);
        });
        if let Err(error) = work.await {
            tracing::error!(group = self.group.name, %error, "evaluation of a group ended by a defect");
        }
        true
    }

    async fn restore(&self) {
        let (group, evaluator) = (self.group.clone(), self.evaluator.clone());
        let work = move || restore(&group, &evaluator, evaluator.clock.now_ms());
        if let Err(error) = tokio::task::spawn_blocking(work).await {
            tracing::error!(group = self.group.name, %error, "restoring alerts ended by a defect");
        }
    }
}

#[cfg(test)]
mod tests;
