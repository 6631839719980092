//! Typed configuration: the configuration files of Prometheus and of Alertmanager and the web
//! configuration file, with defaults, validation and errors that show file, line, source and remedy.
//!
//! It must not know what the settings are used for: it opens no sockets and starts nothing. In reading
//! order: [`yaml`] (text to tree with positions, and back), [`error`], [`decode`] (tree to values),
//! [`section`] (one definition gives struct, defaults, reader, writer and reference page), [`scalar`]
//! (durations, sizes, secrets), `sections` (the sections themselves), [`root`] (the whole file, loaded
//! and completed), [`unsupported`] (what is valid but cannot run yet), [`reference`](mod@reference)
//! (the generated documentation), [`glob`], [`alertmanager`] and [`loki`] (the configuration files of an Alertmanager and of a Loki).
//! [`provisioning`] (files that bring dashboards and data sources).
//!
//! ```no_run
//! let config = config::Config::load("prometheus.yml".as_ref(), &config::LoadOptions::default())?;
//! for job in &config.jobs {
//!     println!("{} every {}", job.job_name, job.scrape_interval);
//! }
//! # Ok::<(), config::ConfigError>(())
//! ```

pub mod alertmanager;
pub mod decode;
pub mod error;
pub mod glob;
pub mod loki;
pub mod provisioning;
pub mod reference;
pub mod root;
pub mod scalar;
pub mod section;
mod sections;
pub mod unsupported;
pub mod yaml;

pub use error::{ConfigError, Fault, Source};
pub use root::{Config, ConfigFile, LoadOptions};
pub use scalar::{ByteSize, LabelMap, PromDuration, Secret, Url};
pub use sections::alerting::{AlertingConfig, AlertmanagerApi, AlertmanagerConfig};
pub use sections::cluster::ClusterTlsConfig;
pub use sections::foreign::{Foreign, Raw};
pub use sections::global::{
    DEFAULT_SCRAPE_PROTOCOLS, Defaults, EscapingScheme, GlobalConfig, PROTO_FIRST_SCRAPE_PROTOCOLS,
    RuntimeConfig, ScrapeProtocol,
};
pub use sections::http::{
    Authorization, BasicAuth, HeaderConfig, HttpClientConfig, OAuth2, ProxyConfig, TlsConfig, TlsVersion,
};
pub use sections::limits::LimitsConfig;
pub use sections::otlp::{OtlpConfig, TranslationStrategy};
pub use sections::relabel::{LabelNames, NameValidation, Regex, RelabelAction, RelabelConfig, RelabelScheme};
pub use sections::remote::{MetadataConfig, QueueConfig, RemoteReadConfig, RemoteWriteConfig, SigV4Config};
pub use sections::scrape::ScrapeConfig;
pub use sections::sd::{DnsSd, FileSd, HttpSd, ServiceDiscovery, StaticGroup};
pub use sections::storage::{
    ChunkEncodingConfig, DEFAULT_MAX_EXEMPLARS, ExemplarsConfig, FloatEncoding, RetentionConfig,
    StorageConfig, TsdbConfig,
};
pub use sections::tracing::{TracingClient, TracingConfig};
pub use sections::web::{ClientAuth, HttpServerConfig, RateLimitConfig, TlsServerConfig, WebConfig};
pub use unsupported::{Consequence, Unsupported};
