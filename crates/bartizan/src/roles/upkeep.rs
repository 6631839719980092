//! What is to be done from time to time: storage maintenance, and reload when the configuration changed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::settings::Settings;
use super::storage::Opened;
use super::system::System;

/// The running tasks.
pub struct Upkeep(Vec<JoinHandle<()>>);

/// Starts the tasks.
pub fn start(settings: &Settings, opened: Opened, system: Arc<System>) -> Upkeep {
    let mut tasks = vec![tokio::spawn(maintain(opened, settings.args.tuning.block_reload_interval()))];
    if let (Some(interval), Some(path)) = (settings.auto_reload, settings.config.path()) {
        tasks.push(tokio::spawn(reload_on_change(path.to_owned(), interval, system)));
    }
    Upkeep(tasks)
}

impl Upkeep {
    /// Ends the tasks; a step that runs is finished by the storage's own lock before it closes.
    pub async fn stop(self) {
        for task in self.0 {
            task.abort();
            // Aborted is how it is meant to end.
            let _ = task.await;
        }
    }
}

async fn maintain(opened: Opened, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let opened = opened.clone();
        let step = tokio::task::spawn_blocking(move || opened.maintain());
        match step.await {
            Ok(Err(error)) => tracing::error!(%error, "storage maintenance failed; it is tried again"),
            Ok(Ok(())) => {}
            Err(error) => tracing::error!(%error, "storage maintenance ended early; it is tried again"),
        }
    }
}

async fn reload_on_change(path: std::path::PathBuf, interval: Duration, system: Arc<System>) {
    let mut seen = content(&path, &system);
    let mut ticks = tokio::time::interval(interval.max(Duration::from_secs(1)));
    loop {
        ticks.tick().await;
        let now = content(&path, &system);
        if now == seen {
            continue;
        }
        seen = now;
        let system = system.clone();
        // The outcome is logged where it is found out.
        let _ = tokio::task::spawn_blocking(move || system.reload()).await;
    }
}

/// Everything the configuration is read from; a file that is not there is empty.
fn content(path: &Path, system: &System) -> Vec<u8> {
    let config = system.config();
    let mut all = std::fs::read(path).unwrap_or_default();
    for pattern in config.file.scrape_config_files.iter().chain(&config.file.rule_files) {
        for file in config::glob::glob(pattern).unwrap_or_default() {
            all.extend(std::fs::read(file).unwrap_or_default());
        }
    }
    all
}
