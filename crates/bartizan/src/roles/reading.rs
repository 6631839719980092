//! What queries read: the own storage, and the servers of `remote_read` beside it.

use std::sync::Arc;

use base::clock::SharedClock;
use base::metrics::Registry;
use config::Config;
use federation::FanOut;
use model::SeriesSource;
use remote::read::{ReadEnv, ReadMetrics};
use tokio::runtime::Handle;

use super::settings::Settings;
use super::storage::Opened;
use super::system::Reloadable;

/// All that queries read. Clones share it.
#[derive(Clone)]
pub struct Reading {
    all: Arc<FanOut>,
    env: ReadEnv,
}

impl Reading {
    /// Only the own storage, until a configuration is applied.
    pub fn new(settings: &Settings, registry: &Registry, clock: SharedClock, storage: &Opened) -> Self {
        // A while after the start the storage does not have everything yet.
        let margin = 2 * settings.args.min_block_duration.value;
        let margin_ms = i64::try_from(margin.as_millis()).unwrap_or(i64::MAX);
        let local = storage.clone();
        let now = clock.clone();
        let env = ReadEnv {
            clock,
            runtime: Handle::current(),
            metrics: ReadMetrics::new(registry),
            local_start: Arc::new(move || {
                let db = local.get()?;
                let start_ms = db.blocks().first().map_or_else(|| now.now_ms(), |block| block.min_ms);
                Some(start_ms.saturating_add(margin_ms))
            }),
        };
        Self { all: Arc::new(FanOut::new(Arc::new(storage.clone()))), env }
    }

    /// The own storage and the others as one.
    pub fn source(&self) -> Arc<dyn SeriesSource> {
        self.all.clone()
    }
}

impl Reloadable for Reading {
    fn reload(&self, _: &Settings, config: &Config) -> Result<(), String> {
        let sources = remote::read::sources(&config.file.remote_read, &config.external_labels, &self.env)?;
        self.all.set_secondaries(sources);
        Ok(())
    }
}
