//! Agent mode: scrape and forward, and store only what is not sent yet.

use config::Config;
use tsdb::AgentOptions;
use tsdb::wal::Compression;

use super::settings::Settings;
use crate::cli::prometheus::WalCompression;

/// The options the flags and the configuration ask for.
pub fn options(settings: &Settings, config: &Config) -> anyhow::Result<AgentOptions> {
    let args = &settings.args.agent;
    let defaults = AgentOptions::default();
    let or_default = |given: u64, default| if given == 0 { default } else { given };
    let ms = |duration: std::time::Duration, default_ms: i64| match i64::try_from(duration.as_millis()) {
        Ok(0) => default_ms,
        Ok(given_ms) => given_ms,
        Err(_) => i64::MAX,
    };
    let segment_bytes = args.wal_segment_size.value;
    Ok(AgentOptions {
        wal_compression: match (args.no_agent_wal_compression, args.agent_wal_compression_type) {
            (true, _) => Compression::None,
            (false, WalCompression::Snappy) => Compression::Snappy,
            (false, WalCompression::Zstd) => Compression::Zstd,
        },
        wal_segment_bytes: or_default(segment_bytes, defaults.wal_segment_bytes),
        truncate_interval_ms: ms(args.wal_truncate_frequency.value, defaults.truncate_interval_ms),
        min_idle_ms: ms(args.retention_min_time.value, defaults.min_idle_ms),
        max_idle_ms: ms(args.retention_max_time.value, defaults.max_idle_ms),
        no_lockfile: args.agent_no_lockfile,
        out_of_order_window_ms: config.file.storage.tsdb.out_of_order_time_window.as_ms(),
        series_limit: args.agent_max_series,
        metadata_records: settings.features.metadata_wal_records,
        start_timestamps: settings.features.st_storage,
        ..defaults
    })
}

/// Fails when the configuration asks for what an agent does not do.
pub fn check(config: &Config) -> anyhow::Result<()> {
    let file = &config.file;
    let alerting = !file.alerting.alertmanagers.is_empty() || !file.alerting.alert_relabel_configs.is_empty();
    let present = [
        ("alerting", alerting),
        ("rule_files", !file.rule_files.is_empty()),
        ("remote_read", !file.remote_read.is_empty()),
    ];
    match present.iter().find(|(_, present)| *present) {
        Some((field, _)) => anyhow::bail!("field {field} is not allowed in agent mode"),
        None => Ok(()),
    }
}
