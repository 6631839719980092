//! Alertmanager's flags, under their names, with their defaults.

pub mod cluster;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};
use config::alertmanager::MatcherMode;
use config::alertmanager::values::GoDuration;

use super::prometheus::{LogFormat, LogLevel};
use cluster::ClusterArgs;

/// Flags of the Alertmanager's seat.
#[derive(Args, Debug, Clone)]
#[command(next_line_help = true)]
pub struct AlertmanagerArgs {
    /// Alertmanager configuration file name.
    #[arg(long = "config.file", default_value = "alertmanager.yml", value_name = "FILE")]
    pub config_file: PathBuf,

    /// Base path for data storage.
    #[arg(long = "storage.path", default_value = "data/", value_name = "DIR")]
    pub storage_path: PathBuf,

    /// How long to keep silences and what was told.
    #[arg(long = "data.retention", default_value = "120h", value_parser = duration)]
    pub retention: Duration,

    /// How often what has expired is forgotten and snapshots are written.
    #[arg(long = "data.maintenance-interval", default_value = "15m", value_parser = duration)]
    pub maintenance_interval: Duration,

    /// Maximum number of silences, expired ones included; none if negative or zero.
    #[arg(long = "silences.max-silences", default_value_t = 0, allow_negative_numbers = true)]
    pub max_silences: i64,

    /// Maximum size of a silence in bytes; none if negative or zero.
    #[arg(long = "silences.max-silence-size-bytes", default_value_t = 0, allow_negative_numbers = true)]
    pub max_silence_bytes: i64,

    /// How often resolved alerts are forgotten.
    #[arg(long = "alerts.gc-interval", default_value = "30m", value_parser = duration)]
    pub gc_interval: Duration,

    /// Maximum number of alerts of one name; none if negative or zero.
    #[arg(long = "alerts.per-alertname-limit", default_value_t = 0, allow_negative_numbers = true)]
    pub alerts_per_name: i64,

    /// Maximum number of alerts; none if negative or zero. What is above is refused with status 429.
    #[arg(long = "alerts.max-alerts", default_value_t = 1_000_000, allow_negative_numbers = true)]
    pub max_alerts: i64,

    /// Maximum number of groups; none if negative or zero. What is above is not told.
    #[arg(long = "dispatch.max-groups", default_value_t = 200_000, allow_negative_numbers = true)]
    pub max_groups: i64,

    /// How long nothing is sent after the start.
    #[arg(long = "dispatch.start-delay", default_value = "0s", value_parser = duration)]
    pub start_delay: Duration,

    /// Address to listen on. Can be repeated.
    #[arg(long = "web.listen-address", default_value = ":9093", value_name = "ADDRESS")]
    pub listen_address: Vec<String>,

    /// Configuration file for TLS and authentication.
    #[arg(long = "web.config.file", default_value = "", hide_default_value = true, value_name = "FILE")]
    pub web_config_file: String,

    /// The URL under which this server is reachable from outside.
    #[arg(long = "web.external-url", default_value = "", hide_default_value = true, value_name = "URL")]
    pub external_url: String,

    /// Prefix of all routes; by default the path of --web.external-url.
    #[arg(long = "web.route-prefix", default_value = "", hide_default_value = true, value_name = "PATH")]
    pub route_prefix: String,

    /// Maximum number of GET requests processed concurrently. If negative or zero, the limit is the number of
    /// processors or 8, whichever is larger.
    #[arg(long = "web.get-concurrency", default_value_t = 0, allow_negative_numbers = true)]
    pub get_concurrency: i64,

    /// Timeout for HTTP requests. If zero, there is none.
    #[arg(long = "web.timeout", default_value = "0s", value_parser = duration)]
    pub web_timeout: Duration,

    /// Log each change of a silence.
    #[arg(long = "log.silences", action = ArgAction::SetTrue)]
    pub log_silences: bool,

    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,

    /// Features to switch on, separated by commas: classic-mode, utf8-strict-mode.
    #[arg(long = "enable-feature", default_value = "", hide_default_value = true, value_name = "NAMES")]
    pub enable_feature: String,

    /// Only log messages of this severity or above.
    #[arg(long = "log.level", value_enum, default_value = "info")]
    pub log_level: LogLevel,

    /// Form of log messages.
    #[arg(long = "log.format", value_enum, default_value = "logfmt")]
    pub log_format: LogFormat,

    /// Use the sockets that systemd hands over (LISTEN_FDS) instead of --web.listen-address.
    #[arg(long = "web.systemd-socket", action = ArgAction::SetTrue)]
    pub systemd_socket: bool,

    /// Taken and without effect here.
    #[command(flatten)]
    pub ignored: IgnoredArgs,
}

/// Flags that have no effect here, taken so that a command line need not change.
#[derive(Args, Debug, Clone)]
pub struct IgnoredArgs {
    #[arg(long = "dispatch.maintenance-interval", hide = true)]
    dispatch_maintenance_interval: Option<String>,
    #[arg(long = "auto-gomemlimit.ratio", hide = true)]
    memory_ratio: Option<f64>,
}

impl IgnoredArgs {
    /// The flags that were given, each with why it has no effect.
    pub fn warnings(&self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        if self.dispatch_maintenance_interval.is_some() {
            warnings.push(
                "--dispatch.maintenance-interval has no effect: a group ends as soon as it has no alerts",
            );
        }
        if self.memory_ratio.is_some() {
            warnings.push("--auto-gomemlimit.ratio has no effect: there is no garbage collector to limit");
        }
        warnings
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    GoDuration::parse(text).map(GoDuration::get)
}

impl AlertmanagerArgs {
    /// Whether a feature is switched on.
    pub fn has_feature(&self, name: &str) -> bool {
        self.enable_feature.split(',').any(|feature| feature == name)
    }

    /// The notation of matchers that the features ask for.
    pub fn matcher_mode(&self) -> anyhow::Result<MatcherMode> {
        let mut mode = MatcherMode::Fallback;
        for name in self.enable_feature.split(',').filter(|name| !name.is_empty()) {
            mode = match name {
                "classic-mode" => MatcherMode::Classic,
                "utf8-strict-mode" => MatcherMode::Utf8Strict,
                "receiver-name-in-metrics" => mode,
                "alert-names-in-metrics" | "auto-gomemlimit" | "auto-gomaxprocs" => {
                    tracing::warn!(feature = name, "the feature has no effect");
                    mode
                }
                other => anyhow::bail!("unknown option '{other}' for --enable-feature"),
            };
        }
        Ok(mode)
    }
}
