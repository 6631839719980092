//! Remote write: what the log gains goes to other stores.

use std::sync::Arc;

use api::state::Targets;
use base::clock::SharedClock;
use base::metrics::Registry;
use config::Config;
use remote::write::{Environment, FamilyMetadata, FamilySource, Options, RemoteWrite};
use tokio::runtime::Handle;
use tsdb::compact::retention::disk_bytes;

use super::scraping::Scraping;
use super::settings::Settings;
use super::storage::{self, Opened};
use super::system::Reloadable;

/// All destinations. Clones share them.
#[derive(Clone)]
pub struct Sending {
    write: Arc<RemoteWrite>,
    opened: Opened,
}

impl Sending {
    /// Nothing is sent until a configuration is applied.
    pub fn new(
        settings: &Settings,
        registry: &Registry,
        clock: SharedClock,
        opened: &Opened,
        scraping: &Scraping,
    ) -> Self {
        let options = Options {
            data_dir: settings.storage_path.clone(),
            flush_deadline: settings.args.sending.flush_deadline.value,
            type_and_unit_labels: settings.features.type_and_unit_labels,
        };
        let environment = Environment {
            clock,
            random: Arc::new(random),
            runtime: Handle::current(),
            families: Arc::new(ScrapedFamilies(scraping.clone())),
        };
        Self { write: Arc::new(RemoteWrite::new(options, environment, registry)), opened: opened.clone() }
    }

    /// Sends what is left, and ends.
    pub async fn stop(&self) {
        let write = self.write.clone();
        // A destination that ended by a defect was logged where it ended.
        let _ = tokio::task::spawn_blocking(move || write.stop()).await;
    }
}

impl Reloadable for Sending {
    /// Runs on a blocking thread, as reloads do.
    fn reload(&self, settings: &Settings, config: &Config) -> Result<(), String> {
        let Some(log) = self.opened.log() else { return Ok(()) };
        log.set_hold_bytes(hold_bytes(settings, config));
        self.write.apply(&config.file.remote_write, &config.external_labels, &log)
    }
}

/// How large the log may grow for destinations that have not got all of it: as the flag says, but never more than half of
/// what the storage may take on disk. Otherwise a dead destination would push out the history.
fn hold_bytes(settings: &Settings, config: &Config) -> u64 {
    let wanted = settings.args.sending.wal_hold_size.value;
    if settings.args.agent.agent {
        return wanted;
    }
    match storage::retention(settings, config).limit_bytes(disk_bytes(&settings.storage_path)) {
        0 => wanted,
        limit => wanted.min(limit / 2),
    }
}

/// The metadata of what is scraped.
struct ScrapedFamilies(Scraping);

impl FamilySource for ScrapedFamilies {
    fn families(&self) -> Vec<FamilyMetadata> {
        let all = self.0.metadata("").into_iter().map(|entry| FamilyMetadata {
            family: entry.family,
            metric_type: entry.metadata.metric_type,
            help: entry.metadata.help.to_string(),
            unit: entry.metadata.unit.to_string(),
        });
        all.collect()
    }
}

/// A number from 0 to 1, the latter excluded. Only spreads repetitions of requests.
pub(super) fn random() -> f64 {
    let mut bytes = [0_u8; 8];
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) {
        Ok(_) => (u64::from_le_bytes(bytes) >> 11) as f64 / (1_u64 << 53) as f64,
        Err(_) => 0.5,
    }
}
