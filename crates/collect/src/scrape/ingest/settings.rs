//! How the samples of one target are taken in.

use config::ScrapeConfig;
use wire::ParseOptions;

use super::value::Resolution;
use crate::scrape::ScrapeOptions;
use crate::scrape::rules::SampleRules;
use crate::scrape::target::Target;

/// What job, target and flags say about samples.
#[derive(Debug)]
pub(in crate::scrape) struct IngestSettings {
    pub rules: SampleRules,
    pub sample_limit: u64,
    pub(super) honor_timestamps: bool,
    pub(super) track_timestamps_staleness: bool,
    pub(super) resolution: Resolution,
    pub(super) parse: ParseOptions,
    pub(super) append_metadata: bool,
    pub(super) zero_at_start: bool,
    pub(super) start_timestamps: bool,
    pub(super) synthesize_start: bool,
}

impl IngestSettings {
    pub fn new(config: &ScrapeConfig, target: &Target, options: &ScrapeOptions) -> Self {
        let start_timestamps = options.start_timestamps || options.start_timestamp_zero_ingestion;
        Self {
            rules: SampleRules::new(config, target.labels()),
            sample_limit: config.sample_limit,
            honor_timestamps: config.honor_timestamps,
            track_timestamps_staleness: config.track_timestamps_staleness,
            resolution: Resolution::new(config),
            parse: ParseOptions {
                type_and_unit_labels: options.type_and_unit_labels,
                ignore_native_histograms: !target.native_histograms(),
                convert_classic_to_nhcb: target.convert_classic(),
                keep_classic: target.always_classic(),
                skip_created_series: start_timestamps,
                fallback: config.fallback_scrape_protocol.map(crate::scrape::fetch::media_type),
            },
            append_metadata: options.append_metadata,
            zero_at_start: options.start_timestamp_zero_ingestion,
            start_timestamps,
            synthesize_start: options.start_timestamp_synthesis,
        }
    }
}
