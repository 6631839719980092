//! What is pushed to this server: remote write.

use std::collections::HashMap;
use std::sync::Arc;

use api::state::{PushOutcome, PushProblem, RemoteWriteReceiver, RemoteWriteRequest, RemoteWriteState};
use base::ByteBudget;
use base::clock::SharedClock;
use base::metrics::Registry;
use config::{Config, LimitsConfig};
use ingest::cache::SECRET_BYTES;
use ingest::{Limits, LimitsBook, Options, PushError, Receiver};

use super::settings::Settings;
use super::storage::Opened;
use super::system::Reloadable;

/// The receiver of pushed samples. Clones share it.
#[derive(Clone)]
pub struct Receiving(Arc<Receiver>);

impl Receiving {
    /// A receiver that stores in `storage`.
    pub fn new(
        settings: &Settings,
        registry: &Registry,
        clock: SharedClock,
        storage: Opened,
    ) -> anyhow::Result<Self> {
        let (args, features) = (&settings.args.receiving, &settings.features);
        let options = Options {
            max_request_bytes: size(args.max_request_size.value),
            cached_series: args.max_cached_series,
            max_tenants: args.max_tenants,
            start_timestamps: features.st_storage,
            zero_at_start: features.created_timestamp_zero_ingestion,
            type_and_unit_labels: features.type_and_unit_labels,
            append_metadata: features.metadata_wal_records,
        };
        let budget = ByteBudget::new("ingest.max-memory", size(args.max_memory.value));
        let mut secret = [0; SECRET_BYTES];
        rustix::rand::getrandom(&mut secret, rustix::rand::GetRandomFlags::empty())?;
        let receiver = Receiver::new(Arc::new(storage), clock, options, budget, secret, registry);
        Ok(Self(Arc::new(receiver)))
    }

    /// The memory of all that is pushed, and the most bytes of one request.
    pub fn memory(&self, settings: &Settings) -> (ByteBudget, usize) {
        (self.0.budget().clone(), size(settings.args.receiving.max_request_size.value))
    }

    /// How the API reaches it, if the flags enable it.
    pub fn remote_write(&self, settings: &Settings) -> Option<RemoteWriteState> {
        let args = &settings.args.receiving;
        args.enable_remote_write_receiver.then(|| RemoteWriteState {
            receiver: Arc::new(self.clone()),
            accepted: args.accepted_messages.clone(),
            budget: self.0.budget().clone(),
            max_body_bytes: size(args.max_request_size.value),
        })
    }
}

/// Places in bodies are 32-bit.
fn size(bytes: u64) -> usize {
    usize::try_from(bytes.min(u64::from(u32::MAX))).unwrap_or(usize::MAX)
}

impl RemoteWriteReceiver for Receiving {
    fn remote_write(&self, request: RemoteWriteRequest<'_>) -> PushOutcome {
        let outcome = self.0.remote_write(&request.tenant, request.message, request.body);
        PushOutcome {
            samples: outcome.written.samples,
            histograms: outcome.written.histograms,
            exemplars: outcome.written.exemplars,
            problem: outcome.error.as_ref().map(problem),
        }
    }
}

/// A failure as the API tells it.
fn problem(error: &PushError) -> PushProblem {
    PushProblem { kind: error.kind(), message: error.to_string(), retry_after: error.retry_after() }
}

impl Reloadable for Receiving {
    fn reload(&self, _: &Settings, config: &Config) -> Result<(), String> {
        let default = limits(&config.file.limits, Limits::NONE);
        let own = config.file.overrides.iter();
        let tenants: HashMap<_, _> =
            own.map(|(tenant, own)| (tenant.as_str().into(), limits(own, default))).collect();
        self.0.set_limits(LimitsBook { default, tenants });
        Ok(())
    }
}

/// The limits a section sets; what it leaves open is as in `otherwise`.
fn limits(section: &LimitsConfig, otherwise: Limits) -> Limits {
    let max_request_bytes = section.max_request_size.map(config::ByteSize::bytes);
    Limits {
        ingestion_rate: section.ingestion_rate.unwrap_or(otherwise.ingestion_rate),
        ingestion_burst_size: section.ingestion_burst_size.unwrap_or(otherwise.ingestion_burst_size),
        max_series: section.max_global_series_per_user.unwrap_or(otherwise.max_series),
        max_label_names: section.max_label_names_per_series.unwrap_or(otherwise.max_label_names),
        max_label_name_length: section.max_label_name_length.unwrap_or(otherwise.max_label_name_length),
        max_label_value_length: section.max_label_value_length.unwrap_or(otherwise.max_label_value_length),
        max_request_bytes: max_request_bytes.unwrap_or(otherwise.max_request_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_override_leaves_open_is_as_for_all() {
        let all = LimitsConfig { ingestion_rate: Some(10.0), ..LimitsConfig::default() };
        let default = limits(&all, Limits::NONE);
        let own = LimitsConfig { max_global_series_per_user: Some(5), ..LimitsConfig::default() };
        assert_eq!(limits(&own, default), Limits { ingestion_rate: 10.0, max_series: 5, ..Limits::NONE });
    }
}
