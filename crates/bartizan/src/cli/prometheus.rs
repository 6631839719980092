//! Prometheus's flags, under their names, with their defaults.

mod agent;
mod alerting;
mod compatibility;
mod otlp;
mod reading;
mod receiving;
mod sending;
mod tuning;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, CommandFactory, FromArgMatches, ValueEnum};

pub use agent::{AgentArgs, MISPLACED_STATUS};
use alerting::AlertingArgs;
use compatibility::CompatibilityArgs;
pub use otlp::OtlpArgs;
pub use reading::ReadArgs;
pub use receiving::ReceivingArgs;
pub use sending::SendingArgs;
use tuning::TuningArgs;

/// The longest delay of compactions, in percent of the range of the head.
pub const DEFAULT_DELAY_PERCENT: i64 = 10;

/// Flags of the server; values keep the form in which `/api/v1/status/flags` shows them.
#[derive(Args, Debug, Clone)]
#[command(next_line_help = true)]
pub struct PrometheusArgs {
    /// Prometheus configuration file path.
    #[arg(long = "config.file", default_value = "prometheus.yml", value_name = "FILE")]
    pub config_file: PathBuf,

    /// Reload the configuration file automatically when it changes.
    #[arg(long = "config.auto-reload", action = ArgAction::SetTrue, overrides_with = "no_auto_reload")]
    pub auto_reload: bool,
    #[arg(long = "no-config.auto-reload", hide = true)]
    no_auto_reload: bool,

    /// How often to look whether the configuration file changed, with --config.auto-reload.
    #[arg(long = "config.auto-reload-interval", default_value = "30s", value_parser = duration)]
    pub auto_reload_interval: DurationArg,

    /// Address to listen on for the UI, the API and telemetry. Can be repeated.
    #[arg(long = "web.listen-address", default_value = "0.0.0.0:9090", value_name = "ADDRESS")]
    pub listen_address: Vec<String>,

    /// Configuration file for TLS and authentication.
    #[arg(long = "web.config.file", default_value = "", hide_default_value = true, value_name = "FILE")]
    pub web_config_file: String,

    /// Maximum duration before timing out the read of a request, and closing idle connections.
    #[arg(long = "web.read-timeout", default_value = "5m", value_parser = duration)]
    pub read_timeout: DurationArg,

    /// Maximum number of simultaneous connections across all listeners.
    #[arg(long = "web.max-connections", default_value_t = 512)]
    pub max_connections: usize,

    /// Maximum number of subscribers of live notifications.
    #[arg(long = "web.max-notifications-subscribers", default_value_t = 16)]
    pub max_notifications_subscribers: usize,

    /// The URL under which this server is reachable from outside, if a proxy stands before it.
    #[arg(long = "web.external-url", default_value = "", hide_default_value = true, value_name = "URL")]
    pub external_url: String,

    /// Prefix of all routes; by default the path of --web.external-url.
    #[arg(long = "web.route-prefix", default_value = "", hide_default_value = true, value_name = "PATH")]
    pub route_prefix: String,

    /// Directory of static files served at /user.
    #[arg(long = "web.user-assets", default_value = "", hide_default_value = true, value_name = "DIR")]
    pub user_assets: String,

    /// Enable shutdown and reload by HTTP request.
    #[arg(long = "web.enable-lifecycle", action = ArgAction::SetTrue, overrides_with = "no_lifecycle")]
    pub enable_lifecycle: bool,
    #[arg(long = "no-web.enable-lifecycle", hide = true)]
    no_lifecycle: bool,

    /// Enable API endpoints for administration.
    #[arg(long = "web.enable-admin-api", action = ArgAction::SetTrue, overrides_with = "no_admin_api")]
    pub enable_admin_api: bool,
    #[arg(long = "no-web.enable-admin-api", hide = true)]
    no_admin_api: bool,

    /// Title of the pages of this server.
    #[arg(
        long = "web.page-title",
        default_value = "Prometheus Time Series Collection and Processing Server",
        value_name = "TEXT"
    )]
    pub page_title: String,

    /// Regex of the origins that may call from a browser. It is fully anchored.
    #[arg(long = "web.cors.origin", default_value = ".*", value_name = "REGEX")]
    pub cors_origin: String,

    /// Upper bound of "limit" in searches; 0 for none.
    #[arg(long = "web.search.max-limit", default_value_t = 10_000)]
    pub search_max_limit: usize,

    /// Base path of the metrics storage.
    #[arg(long = "storage.tsdb.path", default_value = "data/", value_name = "DIR")]
    pub storage_path: PathBuf,

    /// How long to keep samples; 15d if neither time nor size is given.
    #[arg(long = "storage.tsdb.retention.time", default_value = "0s", value_parser = duration)]
    pub retention_time: DurationArg,

    /// How many bytes of blocks to keep, with a unit (B, KB, MB, GB, TB, PB, EB); 0 for no limit.
    #[arg(long = "storage.tsdb.retention.size", default_value = "0B", value_parser = bytes, value_name = "BYTES")]
    pub retention_size: BytesArg,

    /// Do not create a lock file in the data directory.
    #[arg(long = "storage.tsdb.no-lockfile", action = ArgAction::SetTrue, overrides_with = "no_no_lockfile")]
    pub no_lockfile: bool,
    #[arg(long = "no-storage.tsdb.no-lockfile", hide = true)]
    no_no_lockfile: bool,

    /// Compress the write-ahead log.
    #[arg(long = "storage.tsdb.wal-compression", action = ArgAction::SetTrue, overrides_with = "no_wal_compression")]
    wal_compression: bool,
    #[arg(long = "no-storage.tsdb.wal-compression")]
    pub no_wal_compression: bool,

    /// How the write-ahead log is compressed.
    #[arg(long = "storage.tsdb.wal-compression-type", default_value = "snappy", hide = true)]
    pub wal_compression_type: WalCompression,

    /// Size of the segments of the write-ahead log, with a unit.
    #[arg(long = "storage.tsdb.wal-segment-size", default_value = "128MB", value_parser = bytes, hide = true)]
    pub wal_segment_size: BytesArg,

    /// Shortest range of a block.
    #[arg(long = "storage.tsdb.min-block-duration", default_value = "2h", value_parser = duration, hide = true)]
    pub min_block_duration: DurationArg,

    /// Longest range of a block; by default a tenth of the retention, at most 31d.
    #[arg(long = "storage.tsdb.max-block-duration", default_value = "0s", value_parser = duration, hide = true)]
    pub max_block_duration: DurationArg,

    /// The longest random delay of compactions with --enable-feature=delayed-compaction, in percent of
    /// the range of the head.
    #[arg(long = "storage.tsdb.delayed-compaction.max-percent", default_value_t = DEFAULT_DELAY_PERCENT, hide = true, allow_negative_numbers = true)]
    pub compaction_delay_percent: i64,

    /// How many series the head may hold; more are refused, those there are still fed. 0 for no limit.
    /// Not a flag of Prometheus.
    #[arg(long = "storage.tsdb.max-series", default_value_t = 0)]
    pub max_series: usize,

    /// How far back a query looks for the last sample of a series.
    #[arg(long = "query.lookback-delta", default_value = "5m", value_parser = duration)]
    pub lookback_delta: DurationArg,

    /// Maximum time a query may take.
    #[arg(long = "query.timeout", default_value = "2m", value_parser = duration)]
    pub query_timeout: DurationArg,

    /// Maximum number of queries executed at once.
    #[arg(long = "query.max-concurrency", default_value_t = 20)]
    pub query_max_concurrency: usize,

    /// Maximum number of samples a single query may hold in memory.
    #[arg(long = "query.max-samples", default_value_t = 50_000_000)]
    pub query_max_samples: u64,

    /// Memory all queries together may hold, with a unit; those of rules have a quarter of it on top. Not a flag of Prometheus.
    #[arg(long = "query.max-memory", default_value = "2GB", value_parser = bytes, value_name = "BYTES")]
    pub query_max_memory: BytesArg,

    /// Comma-separated names of features to enable. Can be repeated.
    #[arg(long = "enable-feature", value_delimiter = ',', value_name = "FEATURE")]
    pub enable_feature: Vec<String>,

    /// Only log messages with the given severity or above.
    #[arg(long = "log.level", default_value = "info")]
    pub log_level: LogLevel,

    /// Output format of log messages.
    #[arg(long = "log.format", default_value = "logfmt")]
    pub log_format: LogFormat,

    #[command(flatten)]
    pub tuning: TuningArgs,

    #[command(flatten)]
    pub receiving: ReceivingArgs,

    #[command(flatten)]
    pub otlp: OtlpArgs,

    #[command(flatten)]
    pub reading: ReadArgs,

    #[command(flatten)]
    pub sending: SendingArgs,

    #[command(flatten)]
    pub agent: AgentArgs,

    #[command(flatten)]
    pub alerting: AlertingArgs,

    #[command(flatten)]
    compatibility: CompatibilityArgs,
}

/// A duration and the text it was given as.
#[derive(Debug, Clone)]
pub struct DurationArg {
    text: String,
    /// The duration.
    pub value: Duration,
}

fn duration(text: &str) -> Result<DurationArg, String> {
    let ms =
        if text == "0" { 0 } else { model::duration::parse_duration_ms(text).map_err(|e| e.to_string())? };
    Ok(DurationArg { text: text.to_owned(), value: Duration::from_millis(ms.unsigned_abs()) })
}

impl std::fmt::Display for DurationArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// A number of bytes and the text it was given as.
#[derive(Debug, Clone)]
pub struct BytesArg {
    text: String,
    /// The number of bytes.
    pub value: u64,
}

/// Units are powers of two, as Prometheus reads them.
fn bytes(text: &str) -> Result<BytesArg, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" if digits == "0" => 0,
        "B" => 0,
        "KB" | "KIB" => 10,
        "MB" | "MIB" => 20,
        "GB" | "GIB" => 30,
        "TB" | "TIB" => 40,
        "PB" | "PIB" => 50,
        "EB" | "EIB" => 60,
        _ => return Err(format!("{text:?} needs one of the units B, KB, MB, GB, TB, PB, EB")),
    };
    let number: f64 = digits.parse().map_err(|_| format!("{digits:?} is not a number of bytes"))?;
    let value = number * (1_u64 << shift) as f64;
    if !(0.0..=u64::MAX as f64).contains(&value) {
        return Err(format!("{text:?} is out of range"));
    }
    Ok(BytesArg { text: text.to_owned(), value: value as u64 })
}

impl std::fmt::Display for BytesArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// Compression of the write-ahead log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WalCompression {
    /// Fast, readable by every version of Prometheus.
    Snappy,
    /// Smaller, readable by Prometheus 2.45 and later.
    Zstd,
}

/// Severity of log messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// Form of log messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// `key=value` pairs.
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// Switches that are on unless they are switched off.
const ON_BY_DEFAULT: [&str; 7] = [
    "alertmanager.drain-notification-queue-on-shutdown",
    "auto-gomaxprocs",
    "auto-gomemlimit",
    "scrape.adjust-timestamps",
    "storage.agent.wal-compression",
    "storage.tsdb.allow-overlapping-compaction",
    "storage.tsdb.wal-compression",
];

/// All flags and their values by name, as `/api/v1/status/flags` shows them.
pub fn flag_values(matches: &clap::ArgMatches) -> BTreeMap<String, String> {
    let command = FlagsOnly::command();
    let is_set = |id: &str| matches.get_flag(id);
    let mut flags = BTreeMap::new();
    for arg in command.get_arguments() {
        let Some(name) = arg.get_long().filter(|name| !name.starts_with("no-")) else { continue };
        let id = arg.get_id().as_str();
        let value = match arg.get_action() {
            ArgAction::SetTrue if ON_BY_DEFAULT.contains(&name) => {
                let off = command
                    .get_arguments()
                    .find(|a| a.get_long().and_then(|l| l.strip_prefix("no-")) == Some(name));
                (!off.is_some_and(|off| is_set(off.get_id().as_str()))).to_string()
            }
            ArgAction::SetTrue => is_set(id).to_string(),
            _ => {
                let given = matches.try_get_raw(id).ok().flatten();
                let texts =
                    given.map(|raw| raw.map(|v| v.to_string_lossy().into_owned()).collect::<Vec<_>>());
                texts.unwrap_or_default().join(",")
            }
        };
        flags.insert(name.to_owned(), value);
    }
    flags
}

/// What to tell about flags that were given and have no effect.
pub fn flag_warnings(matches: &clap::ArgMatches) -> Vec<String> {
    compatibility::warnings(matches, names_and_ids())
}

/// The refusal of flags that do not go with server or agent mode, if such were given.
pub fn misplaced_flags(matches: &clap::ArgMatches) -> Option<String> {
    agent::misplaced(matches, &names_and_ids())
}

fn names_and_ids() -> Vec<(String, String)> {
    let command = FlagsOnly::command();
    let named = |arg: &clap::Arg| Some((arg.get_long()?.to_owned(), arg.get_id().to_string()));
    command.get_arguments().filter_map(named).collect()
}

/// The flags as a command of their own.
#[derive(clap::Parser, Debug)]
struct FlagsOnly {
    #[command(flatten)]
    args: PrometheusArgs,
}

/// Parses flags that do not come from the command line.
pub fn parse_from<'a>(
    flags: impl IntoIterator<Item = &'a str>,
) -> Result<(PrometheusArgs, clap::ArgMatches), clap::Error> {
    let matches = FlagsOnly::command().try_get_matches_from(std::iter::once("prometheus").chain(flags))?;
    Ok((FlagsOnly::from_arg_matches(&matches)?.args, matches))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<PrometheusArgs, clap::Error> {
        Ok(parse_from(arguments.iter().copied())?.0)
    }

    #[test]
    fn flags_take_prometheus_forms() {
        let args = parse(&[
            "--storage.tsdb.retention.time=30d",
            "--storage.tsdb.retention.size=512MB",
            "--web.enable-lifecycle",
            "--web.listen-address=127.0.0.1:1",
            "--web.listen-address=127.0.0.1:2",
            "--enable-feature=a,b",
            "--enable-feature=c",
        ])
        .unwrap();
        assert_eq!(args.retention_time.value, Duration::from_secs(30 * 86_400));
        assert_eq!(args.retention_size.value, 512 << 20);
        assert!(args.enable_lifecycle);
        assert_eq!(args.listen_address, ["127.0.0.1:1", "127.0.0.1:2"]);
        assert_eq!(args.enable_feature, ["a", "b", "c"]);
    }

    /// All flags of Prometheus 3.14, hidden ones too, but the one that writes its documentation.
    const FLAGS: &str = "agent alertmanager.drain-notification-queue-on-shutdown \
        alertmanager.notification-batch-size alertmanager.notification-queue-capacity auto-gomaxprocs \
        auto-gomemlimit auto-gomemlimit.ratio auto-gomemlimit.refresh-interval config.auto-reload \
        config.auto-reload-interval config.file enable-feature log.format log.level query.lookback-delta \
        query.max-concurrency query.max-samples query.timeout rules.alert.for-grace-period \
        rules.alert.for-outage-tolerance rules.alert.resend-delay rules.max-concurrent-evals \
        scrape.adjust-timestamps scrape.discovery-reload-interval scrape.timestamp-tolerance \
        storage.agent.checkpoint-batch-size storage.agent.checkpoint-from-in-memory-series \
        storage.agent.no-lockfile storage.agent.path storage.agent.retention.max-time \
        storage.agent.retention.min-time storage.agent.wal-compression storage.agent.wal-compression-type \
        storage.agent.wal-segment-size storage.agent.wal-truncate-frequency storage.remote.flush-deadline \
        storage.remote.read-concurrent-limit storage.remote.read-max-bytes-in-frame \
        storage.remote.read-sample-limit storage.tsdb.allow-overlapping-compaction \
        storage.tsdb.block-reload-interval storage.tsdb.delay-compact-file.path \
        storage.tsdb.delayed-compaction.max-percent storage.tsdb.head-chunks-write-queue-size \
        storage.tsdb.max-block-chunk-segment-size storage.tsdb.max-block-duration \
        storage.tsdb.min-block-duration storage.tsdb.no-lockfile storage.tsdb.path \
        storage.tsdb.retention.size storage.tsdb.retention.time storage.tsdb.samples-per-chunk \
        storage.tsdb.wal-compression storage.tsdb.wal-compression-type storage.tsdb.wal-segment-size \
        web.config.file web.console.libraries web.console.templates web.cors.origin web.enable-admin-api \
        web.enable-lifecycle web.enable-otlp-receiver web.enable-remote-write-receiver web.external-url \
        web.listen-address web.max-connections web.max-notifications-subscribers web.page-title \
        web.read-timeout web.remote-write-receiver.accepted-protobuf-messages web.route-prefix \
        web.search.max-limit web.user-assets";

    #[test]
    fn every_flag_of_prometheus_is_taken() {
        let command = FlagsOnly::command();
        let known: Vec<_> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
        let missing: Vec<_> = FLAGS.split_whitespace().filter(|flag| !known.contains(flag)).collect();
        assert!(missing.is_empty(), "{missing:?}");
        // Switches can be negated, as Prometheus's can.
        let switches = command.get_arguments().filter(|arg| matches!(arg.get_action(), ArgAction::SetTrue));
        let names: Vec<_> = switches.filter_map(clap::Arg::get_long).collect();
        let positive = names.iter().filter(|name| !name.starts_with("no-"));
        let stuck: Vec<_> = positive.filter(|name| !names.contains(&format!("no-{name}").as_str())).collect();
        assert!(stuck.is_empty(), "{stuck:?}");
    }

    #[test]
    fn an_unknown_flag_is_an_error_with_a_suggestion() {
        let error = parse(&["--storage.tsdb.pth=x"]).unwrap_err().to_string();
        assert!(error.contains("--storage.tsdb.path"), "{error}");
    }

    #[test]
    fn flags_of_the_other_mode_are_refused() {
        let misplaced = |flags: &[&str]| misplaced_flags(&parse_from(flags.iter().copied()).unwrap().1);
        assert_eq!(misplaced(&["--query.timeout=1m", "--storage.tsdb.path=x"]), None);
        assert_eq!(misplaced(&["--agent", "--storage.agent.path=x", "--web.enable-lifecycle"]), None);
        assert_eq!(
            misplaced(&["--agent", "--storage.tsdb.path=x", "--no-storage.tsdb.wal-compression"]).unwrap(),
            r#"The following flag(s) can not be used in agent mode: ["--storage.tsdb.path" "--storage.tsdb.wal-compression"]"#
        );
        assert_eq!(
            misplaced(&["--storage.agent.path=x"]).unwrap(),
            r#"The following flag(s) can only be used in agent mode: ["--storage.agent.path"]"#
        );
    }

    #[test]
    fn a_flag_can_be_switched_off_again() {
        assert!(!parse(&["--web.enable-admin-api", "--no-web.enable-admin-api"]).unwrap().enable_admin_api);
    }

    #[test]
    fn flags_of_parts_that_are_absent_are_taken_with_a_warning() {
        let (_, matches) = parse_from(["--web.console.templates=x", "--auto-gomemlimit"]).unwrap();
        assert_eq!(
            flag_warnings(&matches),
            ["--web.console.templates has no effect: consoles are not served"]
        );
        assert!(flag_warnings(&parse_from([]).unwrap().1).is_empty());
    }

    #[test]
    fn switches_that_are_on_by_default_are_shown_so() {
        let shown = |flags: &[&str]| {
            let (_, matches) = parse_from(flags.iter().copied()).unwrap();
            flag_values(&matches).remove("storage.tsdb.wal-compression").unwrap()
        };
        assert_eq!(shown(&[]), "true");
        assert_eq!(shown(&["--no-storage.tsdb.wal-compression"]), "false");
    }

    #[test]
    fn flag_values_are_shown_as_given() {
        let (_, matches) = parse_from([]).unwrap();
        let flags = flag_values(&matches);
        assert_eq!(flags["query.timeout"], "2m");
        assert_eq!(flags["web.enable-lifecycle"], "false");
        assert!(!flags.keys().any(|name| name.starts_with("no-")));
    }
}
