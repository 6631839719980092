//! The command line: one definition that parsing, help, the man page and completions come from.

pub mod alertmanager;
mod host_logs;
pub mod loki;
pub mod prometheus;

use clap::{Parser, Subcommand};

pub use self::alertmanager::AlertmanagerArgs;
pub use self::host_logs::HostLogArgs;
pub use self::loki::LokiArgs;
pub use self::prometheus::PrometheusArgs;

/// A complete monitoring stack in one binary.
#[derive(Parser, Debug)]
#[command(name = "bartizan", version, about, propagate_version = true, infer_subcommands = false)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run everything with an embedded default: scrape this process and this host, store, answer.
    Up(Box<UpArgs>),
    /// Take the seat of Prometheus: its flags, configuration file, data directory and API.
    Prometheus(Box<PrometheusArgs>),
    /// Take the seat of Alertmanager: its flags, configuration file, data directory and API.
    Alertmanager(Box<AlertmanagerArgs>),
    /// Take the seat of Loki in its single-binary form: its flags, configuration file and API.
    #[command(disable_version_flag = true)]
    Loki(Box<LokiArgs>),
    /// Look at alerts, silence them, and see why one is or is not told.
    #[command(subcommand)]
    Alerts(crate::alerts::AlertsCommand),
    /// Ask a running server.
    #[command(subcommand)]
    Query(crate::query::QueryCommand),
    /// Ask a running server for logs, or follow them: `bartizan logs '{job="varlogs"} |= "error"'`.
    Logs(Box<crate::logs::LogsArgs>),
    /// Check configuration files and expositions.
    #[command(subcommand)]
    Check(crate::check::CheckCommand),
    /// Look into a data directory.
    #[command(subcommand)]
    Tsdb(crate::inspect::TsdbCommand),
    /// Look into a bucket of logs.
    #[command(subcommand)]
    LogsBucket(crate::logs_bucket::LogsBucketCommand),
    /// Run scripted tests.
    #[command(subcommand)]
    Test(crate::script::TestCommand),
    /// Print the completion script of a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
}

/// Settings of the embedded default.
#[derive(clap::Args, Debug, Clone)]
pub struct UpArgs {
    /// Where data is kept.
    #[arg(long, default_value = "data", value_name = "DIR")]
    pub data_dir: std::path::PathBuf,
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:9090", value_name = "ADDRESS")]
    pub listen_address: String,
    /// Alertmanager's configuration file, for who is told of alerts; without one nobody is.
    #[arg(long, value_name = "FILE")]
    pub alertmanager_config: Option<std::path::PathBuf>,
    /// Alertmanagers that are told of alerts besides this process: http://host:9093/prefix, with name and password where
    /// they ask for them (http://name:password@host). Can be repeated. Each member of a cluster has to know all alerts,
    /// so name all others.
    #[arg(long = "alertmanager-url", value_name = "URL")]
    pub alertmanager_urls: Vec<url::Url>,
    /// The cluster.
    #[command(flatten)]
    pub cluster: alertmanager::cluster::ClusterArgs,
    /// Seconds between scrapes.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..))]
    pub scrape_interval_s: u64,
    /// How long to keep samples.
    #[arg(long, default_value = "15d", value_name = "DURATION")]
    pub retention: String,
    /// How long to keep logs; 0 is for ever.
    #[arg(long, default_value = "31d", value_name = "DURATION")]
    pub logs_retention: String,
    /// How long to keep the logs of some streams: '{app="debug"}=7d'. Can be repeated; the first that matches counts.
    #[arg(long, value_name = "SELECTOR=DURATION")]
    pub logs_retention_stream: Vec<String>,
    /// A day of logs that is over is compacted into as few objects as there can be, as well as they can be compressed,
    /// when nothing came for it for this long.
    #[arg(long, default_value = "1h", value_name = "DURATION")]
    pub logs_quiet_time: String,
    /// Bucket for logs in place of a folder: s3://bucket/prefix, az://container/prefix or gs://bucket/prefix.
    /// Credentials, region and endpoint are those of the environment, as the tools of the cloud read them.
    #[arg(long, value_name = "URL")]
    pub logs_bucket: Option<String>,
    /// What LogQL can do beyond Loki's: distinct (the stage `| distinct`), subqueries, at (`@`), count-values, or all.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub logql_features: Vec<String>,
    /// Files of rules in LogQL; a pattern. Can be repeated. Clients add others at /loki/api/v1/rules.
    #[arg(long, value_name = "FILE")]
    pub log_rules: Vec<std::path::PathBuf>,
    /// Folder with files that bring dashboards and data sources, laid out as Grafana's: dashboards/*.yaml,
    /// datasources/*.yaml.
    #[arg(long, value_name = "DIR")]
    pub provisioning: Option<std::path::PathBuf>,
    /// What may be done in a browser without logging in: none, viewer, editor or admin; by default viewer where only
    /// this host can connect, none elsewhere.
    #[arg(long, value_name = "ROLE")]
    pub anonymous_role: Option<String>,
    /// Whether programs (scrapers, senders, command lines) need the name and password of a user: open or login; by
    /// default open where only this host can connect, login elsewhere.
    #[arg(long, value_name = "WAY")]
    pub programs: Option<String>,
    #[command(flatten)]
    pub host_logs: HostLogArgs,
}
