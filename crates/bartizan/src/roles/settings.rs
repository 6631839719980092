//! Settings of all roles, from either command line.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use config::{Config, LoadOptions};

use super::features::Features;
use super::log_rules::LogRuleSettings;
use super::logs::LogSettings;
use super::logs::place::BucketPlace;
use super::screens::ScreenSettings;
use crate::cli::prometheus::{self, WalCompression};
use crate::cli::{PrometheusArgs, UpArgs};

/// How long a day of logs is quiet before it is compacted for good, as `--logs-quiet-time` says.
pub fn quiet_time(text: &str) -> anyhow::Result<Duration> {
    let ms = model::duration::parse_duration_ms(text).with_context(|| format!("--logs-quiet-time={text}"))?;
    Ok(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}

/// Where the configuration comes from.
#[derive(Debug, Clone)]
pub enum ConfigSource {
    /// A file, read again on reload.
    File(PathBuf),
    /// The embedded default.
    Embedded(String),
}

/// Settings of all roles.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The configuration.
    pub config: ConfigSource,
    /// How often to look whether the configuration changed, if at all.
    pub auto_reload: Option<Duration>,
    /// The data directory.
    pub storage_path: PathBuf,
    /// Where logs are kept, if they are.
    pub logs: Option<LogSettings>,
    /// Which logs of this host are collected, if any are.
    pub host_logs: Option<collect::logs::HostLogsOptions>,
    /// Where rules about logs come from, if there are any logs.
    pub log_rules: Option<LogRuleSettings>,
    /// Alertmanager's settings, if it runs beside everything else.
    pub alerts: Option<super::alertmanager::AlertSettings>,
    /// Users and dashboards, if there are any.
    pub screens: Option<ScreenSettings>,
    /// Whether this host's metrics are served at [`HOST_METRICS_PATH`].
    pub host_metrics: bool,
    /// The flags, parsed.
    pub args: PrometheusArgs,
    /// The flags as `/api/v1/status/flags` shows them.
    pub flags: BTreeMap<String, String>,
    /// What is switched on.
    pub features: Features,
    /// Where users reach the server.
    pub external_url: url::Url,
    /// Path of all routes, without a trailing slash.
    pub route_prefix: String,
}

/// Where the embedded default serves this host's metrics.
pub const HOST_METRICS_PATH: &str = "/host/metrics";

impl Settings {
    /// The settings Prometheus's flags ask for.
    pub fn of_prometheus(args: &PrometheusArgs, flags: BTreeMap<String, String>) -> anyhow::Result<Self> {
        check_segment_bytes("storage.tsdb.wal-segment-size", args.wal_segment_size.value)?;
        check_segment_bytes("storage.agent.wal-segment-size", args.agent.wal_segment_size.value)?;
        let external_url = external_url(args)?;
        let prefix = match args.route_prefix.as_str() {
            "" => external_url.path().to_owned(),
            given => given.to_owned(),
        };
        let trimmed = prefix.trim_matches('/');
        let features = Features::from_names(&args.enable_feature);
        for unknown in &features.unknown {
            tracing::warn!(feature = unknown, "unknown option for --enable-feature");
        }
        Ok(Self {
            config: ConfigSource::File(args.config_file.clone()),
            auto_reload: (args.auto_reload || features.auto_reload)
                .then_some(args.auto_reload_interval.value),
            storage_path: if args.agent.agent { &args.agent.path } else { &args.storage_path }.clone(),
            logs: None,
            host_logs: None,
            log_rules: None,
            alerts: None,
            screens: None,
            host_metrics: false,
            flags,
            features,
            external_url,
            route_prefix: if trimmed.is_empty() { String::new() } else { format!("/{trimmed}") },
            args: args.clone(),
        })
    }

    /// The settings of the embedded default.
    pub fn of_up(up: &UpArgs) -> anyhow::Result<Self> {
        for url in &up.alertmanager_urls {
            let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
            anyhow::ensure!(is_web, "--alertmanager-url: give a URL of scheme http or https");
        }
        let retention = format!("--storage.tsdb.retention.time={}", up.retention);
        let listen = format!("--web.listen-address={}", up.listen_address);
        let path = format!("--storage.tsdb.path={}", up.data_dir.display());
        let flags = [&retention, &listen, &path].map(String::as_str);
        let receiving = [
            "--web.enable-remote-write-receiver",
            "--web.enable-otlp-receiver",
            "--enable-feature=exemplar-storage",
        ];
        let (args, matches) = prometheus::parse_from(flags.into_iter().chain(receiving))?;
        let mut settings = Self::of_prometheus(&args, prometheus::flag_values(&matches))?;
        settings.host_metrics = true;
        let retention_ms = model::duration::parse_duration_ms(&up.logs_retention)
            .with_context(|| format!("--logs-retention={}", up.logs_retention))?;
        let retention = Duration::from_millis(u64::try_from(retention_ms).unwrap_or(0));
        let retention = Some(retention).filter(|retention| !retention.is_zero());
        let (anonymous, programs) = (up.anonymous_role.as_deref(), up.programs.as_deref());
        let access = ScreenSettings::access(&up.listen_address, anonymous, programs)?;
        settings.config = ConfigSource::Embedded(embedded(up, access.own_token.as_deref()));
        settings.screens = Some(ScreenSettings {
            path: up.data_dir.join("state.db"),
            provisioning: up.provisioning.clone(),
            access,
        });
        settings.alerts = Some(super::alertmanager::AlertSettings {
            config_file: up.alertmanager_config.clone(),
            path: up.data_dir.join("alerts"),
            cluster: up.cluster.is_wanted().then(|| up.cluster.clone()),
        });
        settings.log_rules = Some(LogRuleSettings {
            path: up.data_dir.join("log-rules"),
            files: up.log_rules.clone(),
            elsewhere: None,
        });
        settings.host_logs = super::host_logs::options(&up.host_logs, &up.data_dir.join("logs"))?;
        let mut logs = LogSettings::in_folder(&up.data_dir.join("logs"), retention);
        logs.keep_streams(&up.logs_retention_stream)?;
        logs.quiet_after = quiet_time(&up.logs_quiet_time)?;
        logs.options.language = logql::Features::from_names(up.logql_features.iter().map(String::as_str))
            .map_err(|problem| anyhow::anyhow!("--logql-features: {problem}"))?;
        if let Some(url) = &up.logs_bucket {
            logs.bucket = BucketPlace::Remote(Box::new(blob::RemoteOptions::new(url)));
        }
        settings.logs = Some(logs);
        Ok(settings)
    }

    /// The longest delay of compactions, in percent of the range of the head.
    pub fn compaction_delay_percent(&self) -> i64 {
        match self.args.compaction_delay_percent {
            percent @ 1..=100 => percent,
            percent => {
                let default = prometheus::DEFAULT_DELAY_PERCENT;
                tracing::warn!(
                    percent,
                    default,
                    "--storage.tsdb.delayed-compaction.max-percent must be from 1 to 100; the default is taken"
                );
                default
            }
        }
    }

    /// How the write-ahead log is compressed.
    pub fn wal_compression(&self) -> tsdb::wal::Compression {
        match (self.args.no_wal_compression, self.args.wal_compression_type) {
            (true, _) => tsdb::wal::Compression::None,
            (false, WalCompression::Snappy) => tsdb::wal::Compression::Snappy,
            (false, WalCompression::Zstd) => tsdb::wal::Compression::Zstd,
        }
    }
}

/// Segments of the log: large enough to be few, small enough to be deleted soon.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = (10 << 20)..=(256 << 20);

/// Zero stands for the default.
fn check_segment_bytes(flag: &str, bytes: u64) -> anyhow::Result<()> {
    anyhow::ensure!(
        bytes == 0 || SEGMENT_BYTES.contains(&bytes),
        "flag '{flag}' must be set between 10MB and 256MB"
    );
    Ok(())
}

/// The configuration of the embedded default: this process and this host.
fn embedded(up: &UpArgs, own_token: Option<&str>) -> String {
    let (interval_s, address) = (up.scrape_interval_s, reachable(&up.listen_address));
    let authorization =
        own_token.map_or_else(String::new, |token| format!("authorization: {{credentials: {token}}}\n    "));
    let others: String = up.alertmanager_urls.iter().map(other_alertmanager).collect();
    format!(
        "global:\n  scrape_interval: {interval_s}s\n  scrape_timeout: {}s\nalerting:\n  alertmanagers:\n  - {authorization}static_configs:\n    - targets: ['{address}']\n{others}scrape_configs:\n\
         - job_name: bartizan\n  static_configs:\n  - targets: ['{address}']\n\
         - job_name: node\n  metrics_path: {HOST_METRICS_PATH}\n  static_configs:\n  - targets: ['{address}']\n",
        interval_s.min(10)
    )
}

/// The section of an Alertmanager elsewhere. JSON is YAML, with every text quoted.
fn other_alertmanager(url: &url::Url) -> String {
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let port = url.port_or_known_default().unwrap_or(80);
    let mut section = serde_json::json!({
        "scheme": url.scheme(),
        "path_prefix": url.path().trim_end_matches('/'),
        "static_configs": [{"targets": [format!("{}:{port}", url.host_str().unwrap_or_default())]}],
    });
    if !url.username().is_empty() {
        let password = decoded(url.password().unwrap_or_default());
        section["basic_auth"] =
            serde_json::json!({"username": decoded(url.username()), "password": password});
    }
    format!("  - {section}\n")
}

/// The address under which this process reaches itself.
fn reachable(listen_address: &str) -> String {
    match listen_address.rsplit_once(':') {
        Some(("" | "0.0.0.0" | "[::]", port)) => format!("127.0.0.1:{port}"),
        _ => listen_address.to_owned(),
    }
}

fn external_url(args: &PrometheusArgs) -> anyhow::Result<url::Url> {
    let given = args.external_url.trim_end_matches('/');
    if given.is_empty() {
        let port = args.listen_address.first().and_then(|a| a.rsplit(':').next()).unwrap_or("9090");
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy().into_owned();
        let guess = format!("http://{host}:{port}/");
        // A host name that is no URL host is replaced by the loopback one.
        return url::Url::parse(&guess)
            .or_else(|_| url::Url::parse(&format!("http://localhost:{port}/")))
            .with_context(|| {
                let given = args.listen_address.first().map_or("", String::as_str);
                format!("--web.listen-address={given}: give HOST:PORT or :PORT, with a port up to 65535")
            });
    }
    let full = if given.contains("://") { given.to_owned() } else { format!("http://{given}") };
    url::Url::parse(&full).with_context(|| format!("--web.external-url={given}: not a URL"))
}

impl ConfigSource {
    /// Reads and validates the configuration.
    pub(super) fn read(&self, settings: &Settings) -> anyhow::Result<Config> {
        let options = LoadOptions { defaults: settings.features.config_defaults(), ..LoadOptions::default() };
        let loaded = match self {
            Self::File(path) => Config::load(path, &options),
            Self::Embedded(text) => Config::from_bytes("embedded".as_ref(), text.as_bytes(), &options),
        };
        Ok(loaded?)
    }

    /// Where it comes from, for messages.
    pub(super) fn told(&self) -> String {
        match self {
            Self::File(path) => format!("loading the configuration (--config.file={})", path.display()),
            Self::Embedded(_) => "loading the embedded configuration".to_owned(),
        }
    }

    /// The file, if there is one.
    pub(super) fn path(&self) -> Option<&std::path::Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Embedded(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn the_embedded_default_is_a_valid_configuration() {
        let other = "--alertmanager-url=https://ops:p%40ss@am.example/alerts/";
        let line = ["bartizan", "up", "--listen-address=0.0.0.0:9090", other];
        let crate::cli::Command::Up(up) = crate::cli::Cli::parse_from(line).command else { panic!("not up") };
        let settings = Settings::of_up(&up).unwrap();
        let config = settings.config.read(&settings).unwrap();
        let jobs: Vec<_> = config.jobs.iter().map(|job| job.job_name.as_str()).collect();
        assert_eq!(jobs, ["bartizan", "node"]);
        assert_eq!(config.jobs[1].discovery.static_configs[0].targets, ["127.0.0.1:9090"]);
        // Screens lead from series to traces by them.
        assert!(settings.features.exemplar_storage && config.file.storage.max_exemplars() > 0);
        // Others reach this address, so whoever tells alerts has to say who they are, this process too.
        let token = settings.screens.unwrap().access.own_token.unwrap();
        let authorization = config.file.alerting.alertmanagers[0].http.authorization.as_ref().unwrap();
        assert_eq!(authorization.credentials.expose(), token);
        let other = &config.file.alerting.alertmanagers[1];
        let basic = other.http.basic_auth.as_ref().unwrap();
        assert_eq!((basic.username.as_str(), basic.password.expose()), ("ops", "p@ss"));
        assert_eq!(other.discovery.static_configs[0].targets, ["am.example:443"]);
        assert_eq!((other.scheme.as_str(), other.path_prefix.as_str()), ("https", "/alerts"));
    }
}
