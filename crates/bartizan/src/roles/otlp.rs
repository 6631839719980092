//! OpenTelemetry metrics that are pushed to this server.

use std::sync::Arc;

use api::state::OtlpState;
use base::clock::SharedClock;
use base::metrics::Registry;
use config::{Config, OtlpConfig, TranslationStrategy};
use ingest::cache::SECRET_BYTES;
use ingest::otlp::settings::DeltaMode;
use ingest::otlp::{Options, OtlpReceiver, Promotion, Strategy, Translation};
use model::TenantId;
use wire::otlp::answer::{ExportResponse, Status};

use super::receiving::Receiving;
use super::settings::Settings;
use super::storage::Opened;
use super::system::Reloadable;

/// The receiver of OpenTelemetry metrics, if the flags enable it. Clones share it.
#[derive(Clone)]
pub struct Otlp(Option<Arc<Receiver>>);

/// The receiver as the API knows it.
struct Receiver(OtlpReceiver);

impl Otlp {
    /// A receiver that stores in `storage`.
    pub fn new(
        settings: &Settings,
        registry: &Registry,
        clock: SharedClock,
        storage: Opened,
    ) -> anyhow::Result<Self> {
        let (args, features) = (&settings.args, &settings.features);
        let delta = match (features.otlp_delta_to_cumulative, features.otlp_native_delta_ingestion) {
            (true, true) => anyhow::bail!(
                "cannot enable otlp-deltatocumulative and otlp-native-delta-ingestion features at the same time"
            ),
            (true, false) => DeltaMode::Accumulate,
            (false, true) => DeltaMode::Store,
            (false, false) => DeltaMode::Refuse,
        };
        if !args.otlp.enable_otlp_receiver {
            return Ok(Self(None));
        }
        let options = Options {
            delta,
            max_delta_streams: args.otlp.max_delta_streams,
            lookback: args.lookback_delta.value,
            type_and_unit_labels: features.type_and_unit_labels,
            zero_at_start: features.created_timestamp_zero_ingestion,
            append_metadata: features.metadata_wal_records,
            cached_series: args.receiving.max_cached_series,
        };
        let mut secret = Box::new([0; SECRET_BYTES]);
        rustix::rand::getrandom(&mut secret[..], rustix::rand::GetRandomFlags::empty())?;
        let receiver = OtlpReceiver::new(Arc::new(storage), options, secret, clock, registry);
        Ok(Self(Some(Arc::new(Receiver(receiver)))))
    }

    /// How the API reaches it. What is pushed by OTLP shares the memory of all that is pushed.
    pub fn state(&self, settings: &Settings, receiving: &Receiving) -> Option<Arc<OtlpState>> {
        let receiver = self.0.clone()?;
        let (budget, max_body_bytes) = receiving.memory(settings);
        Some(Arc::new(OtlpState { receiver, budget, max_body_bytes }))
    }
}

impl api::state::OtlpReceiver for Receiver {
    fn export(&self, tenant: &TenantId, request: &[u8]) -> Result<ExportResponse, Status> {
        self.0.export(tenant, request)
    }
}

impl Reloadable for Otlp {
    fn reload(&self, _: &Settings, config: &Config) -> Result<(), String> {
        if let Some(receiver) = &self.0 {
            receiver.0.apply(translation(&config.file.otlp));
        }
        Ok(())
    }
}

fn translation(section: &OtlpConfig) -> Translation {
    Translation {
        strategy: match section.translation_strategy {
            TranslationStrategy::UnderscoreEscapingWithSuffixes => Strategy::UnderscoreEscapingWithSuffixes,
            TranslationStrategy::UnderscoreEscapingWithoutSuffixes => {
                Strategy::UnderscoreEscapingWithoutSuffixes
            }
            TranslationStrategy::NoUtf8EscapingWithSuffixes => Strategy::NoUtf8EscapingWithSuffixes,
            TranslationStrategy::NoTranslation => Strategy::NoTranslation,
        },
        promotion: if section.promote_all_resource_attributes {
            Promotion::AllBut(section.ignore_resource_attributes.clone())
        } else {
            Promotion::Only(section.promote_resource_attributes.clone())
        },
        keep_identifying_resource_attributes: section.keep_identifying_resource_attributes,
        convert_histograms_to_nhcb: section.convert_histograms_to_nhcb,
        promote_scope_metadata: section.promote_scope_metadata,
        label_name_underscore_sanitization: section.label_name_underscore_sanitization,
        label_name_preserve_multiple_underscores: section.label_name_preserve_multiple_underscores,
    }
}
