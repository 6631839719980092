//! Rules about logs: where they are, who is told, and where what they record goes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::LokiFile;
use super::storage::{AzureSection, Bucket, GcsSection, S3Section, azure_bucket, gcs_bucket, s3_bucket};
use super::values::LokiDuration;
use crate::decode::{At, Cx};
use crate::error::Fault;
use crate::scalar::{LabelMap, PromDuration, Secret};
use crate::section::{Check, section};
use crate::sections::alerting::AlertmanagerConfig;
use crate::sections::global::Defaults;
use crate::sections::http::{Authorization, BasicAuth, HttpClientConfig, TlsConfig};
use crate::sections::relabel::{NameValidation, RelabelConfig, validate_all};
use crate::sections::remote::{RemoteWriteConfig, check_unique_names};
use crate::sections::sd::{DnsSd, ServiceDiscovery, StaticGroup};
use crate::{Config, Url};

section! {
    /// Rules about logs: files below a folder for each tenant, and those that clients put through the API.
    pub struct RulerSection ("ruler", "ruler.Config") {
        /// Where users reach what they look at expressions with; links of alerts begin with it.
        set external_url: String;
        /// The data source links of alerts name.
        set datasource_uid: String;
        /// Labels of all alerts.
        set external_labels: LabelMap;
        /// How often groups are evaluated that do not say it.
        always evaluation_interval: LokiDuration = LokiDuration::from_secs(60);
        /// How often to look whether files changed.
        always poll_interval: LokiDuration = LokiDuration::from_secs(60);
        /// Where rules are that others bring.
        set storage: RulerStorage;
        /// The folder of rules that clients put; by default `rules` in `common.path_prefix`.
        set rule_path: String;
        /// URLs of the Alertmanagers, separated by commas.
        set alertmanager_url: String;
        /// Whether these URLs hold names of SRV records (`http://_http._tcp.alertmanager`).
        set enable_alertmanager_discovery: bool;
        /// How often such names are looked up.
        always alertmanager_refresh_interval: LokiDuration = LokiDuration::from_secs(60);
        /// Alerts that may wait for one Alertmanager.
        always notification_queue_capacity: u64 = 10_000;
        /// How long telling an Alertmanager may take.
        always notification_timeout: LokiDuration = LokiDuration::from_secs(10);
        /// How Alertmanagers are spoken to.
        set alertmanager_client: AlertmanagerClient;
        /// Rules applied to alerts before they are sent.
        set alert_relabel_configs: Vec<RelabelConfig>;
        /// How long an outage may be after which the state of alerts is taken up again.
        always for_outage_tolerance: LokiDuration = LokiDuration::from_secs(3600);
        /// How long, at least, an alert is pending after its state was taken up.
        always for_grace_period: LokiDuration = LokiDuration::from_secs(600);
        /// How long to wait before an alert is sent again.
        always resend_delay: LokiDuration = LokiDuration::from_secs(60);
        /// Whether clients may read and put rules.
        always enable_api: bool = true;
        /// What rules gave lately, and what is on its way to other servers.
        set wal: RulerWal;
        /// Where what rules record is sent.
        set remote_write: RulerRemoteWrite;
    }
}

section! {
    /// Where rules are that others bring: files in a folder, or groups in a bucket, below `rules/` as a Loki puts them there.
    pub struct RulerStorage ("ruler.storage", "rulestore.Config") {
        /// `local`, for a folder; `s3`, `gcs` or `azure`, for a bucket.
        set r#type: String;
        /// A folder.
        set local: RulerFolder;
        /// A bucket of S3; by default that of `common.storage`.
        set s3: Option<S3Section>;
        /// A bucket of Google Cloud Storage; by default that of `common.storage`.
        set gcs: Option<GcsSection>;
        /// A container of Azure Blob Storage; by default that of `common.storage`.
        set azure: Option<AzureSection>;
    }
}

section! {
    /// A folder with one for each tenant (`fake` without `auth_enabled`), in which each file is a namespace.
    pub struct RulerFolder ("ruler.storage.local", "local.Config") {
        /// The folder.
        set directory: String;
    }
}

section! {
    /// What rules gave lately.
    pub struct RulerWal ("ruler.wal", "instance.Config") {
        /// Its folder; by default `ruler-wal` in `common.path_prefix`.
        set dir: String;
    }
}

section! {
    /// How Alertmanagers are spoken to.
    pub struct AlertmanagerClient ("ruler.alertmanager_client", "ruler.NotifierConfig") {
        /// A file with the certificate of this client.
        set tls_cert_path: PathBuf;
        /// A file with its key.
        set tls_key_path: PathBuf;
        /// A file with the authorities that are believed.
        set tls_ca_path: PathBuf;
        /// The name the server's certificate must be for.
        set tls_server_name: String;
        /// Whether to believe any server.
        set tls_insecure_skip_verify: bool;
        /// The user's name.
        set basic_auth_username: String;
        /// The user's password.
        set basic_auth_password: Secret;
        /// The scheme of the header `Authorization`; `Bearer` by default.
        set r#type: String;
        /// What it holds.
        set credentials: Secret;
        /// A file with what it holds.
        set credentials_file: PathBuf;
    }
}

section! {
    /// Where what rules record is sent.
    pub struct RulerRemoteWrite ("ruler.remote_write", "ruler.RemoteWriteConfig") {
        /// Whether it is sent.
        always enabled: bool;
        /// A server, as in Prometheus's `remote_write`.
        set client: Option<RemoteWriteConfig>;
        /// Servers by a name, as in Prometheus's `remote_write`.
        set clients: BTreeMap<String, RemoteWriteConfig>;
        /// Whether requests say in the header `X-Scope-OrgID` whose rules it was.
        always add_org_id_header: bool = true;
    }
}

impl Check for RulerFolder {}
impl Check for RulerWal {}
impl Check for RulerSection {}

impl Check for RulerStorage {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        match self.r#type.as_str() {
            "" => Ok(()),
            "local" if self.local.directory.is_empty() => Err(at
                .fault("local", "nothing says where files with rules are")
                .remedy("add local.directory")),
            "local" | "s3" | "gcs" | "azure" => Ok(()),
            other => {
                let message = format!(
                    "rules in storage of type {other:?} cannot be honoured: they would not be evaluated"
                );
                Err(at.fault("type", message).remedy(
                    "write type: local, s3, gcs or azure with a section of that name, or leave storage out and put rules through the API",
                ))
            }
        }
    }
}

impl Check for AlertmanagerClient {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        let has_credentials =
            !self.credentials.expose().is_empty() || !self.credentials_file.as_os_str().is_empty();
        if has_credentials && !self.basic_auth_username.is_empty() {
            let message = "at most one of basic_auth and credentials can be used";
            return Err(at.fault("basic_auth_username", message).remedy("keep one of them"));
        }
        Ok(())
    }
}

impl Check for RulerRemoteWrite {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        if self.enabled && self.client.is_none() && self.clients.is_empty() {
            let message = "remote-write enabled but no clients URL are configured";
            return Err(at.fault("enabled", message).remedy("add a client to clients"));
        }
        Ok(())
    }
}

impl RulerRemoteWrite {
    fn servers(&self) -> Vec<RemoteWriteConfig> {
        if !self.enabled {
            return Vec::new();
        }
        let named = self.clients.iter().map(|(name, client)| {
            let name = if client.name.is_empty() { name.clone() } else { client.name.clone() };
            RemoteWriteConfig { name, ..client.clone() }
        });
        self.client.iter().cloned().chain(named).collect()
    }
}

impl AlertmanagerClient {
    fn http(&self) -> HttpClientConfig {
        let user = (!self.basic_auth_username.is_empty()).then(|| BasicAuth {
            username: self.basic_auth_username.clone(),
            password: self.basic_auth_password.clone(),
            ..BasicAuth::default()
        });
        let has_credentials =
            !self.credentials.expose().is_empty() || !self.credentials_file.as_os_str().is_empty();
        let authorization = has_credentials.then(|| {
            let default = Authorization::default();
            Authorization {
                r#type: if self.r#type.is_empty() { default.r#type.clone() } else { self.r#type.clone() },
                credentials: self.credentials.clone(),
                credentials_file: self.credentials_file.clone(),
                ..default
            }
        });
        HttpClientConfig {
            basic_auth: user,
            authorization,
            tls_config: TlsConfig {
                ca_file: self.tls_ca_path.clone(),
                cert_file: self.tls_cert_path.clone(),
                key_file: self.tls_key_path.clone(),
                server_name: self.tls_server_name.clone(),
                insecure_skip_verify: self.tls_insecure_skip_verify,
                ..TlsConfig::default()
            },
            ..HttpClientConfig::default()
        }
    }
}

/// What of rules is settled by more than their section.
#[derive(Debug, Clone)]
pub struct RulerPlaces {
    /// The folder of rules that clients put.
    pub own: PathBuf,
    /// A folder with one of files for each tenant.
    pub files: Option<PathBuf>,
    /// A bucket with groups of all tenants, in place of such a folder.
    pub bucket: Option<Bucket>,
    /// The folder of what rules gave.
    pub wal: PathBuf,
}

impl RulerSection {
    /// Completes the section, and checks what needs more than one key.
    pub(super) fn complete(&mut self, at: At<'_>) -> Result<(), Fault> {
        let scheme = NameValidation::Utf8;
        validate_all(&mut self.alert_relabel_configs, scheme, at, "alert_relabel_configs")?;
        let remote = at.child("remote_write");
        if let Some(client) = &mut self.remote_write.client {
            client.complete(scheme, remote.child("client"))?;
        }
        for (name, client) in &mut self.remote_write.clients {
            client.complete(scheme, remote.child("clients").child(name))?;
        }
        let servers = self.remote_write.servers();
        let names = servers.iter().map(|server| server.name.as_str());
        check_unique_names(names, remote, "clients", "name", "remote write")?;
        self.alertmanagers().map(drop).map_err(|problem| {
            at.fault("alertmanager_url", problem).remedy("write URLs, for example http://alertmanager:9093")
        })
    }

    /// The Alertmanagers, as Prometheus's configuration has them.
    fn alertmanagers(&self) -> Result<Vec<AlertmanagerConfig>, String> {
        let urls = self.alertmanager_url.split(',').map(str::trim).filter(|url| !url.is_empty());
        urls.map(|url| self.alertmanager(url)).collect()
    }

    fn alertmanager(&self, text: &str) -> Result<AlertmanagerConfig, String> {
        Url::parse(text)?;
        let wrong = || format!("{text:?} is not a URL of an Alertmanager");
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        if !matches!(scheme, "http" | "https") {
            return Err(wrong());
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) =
            authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        let mut http = self.alertmanager_client.http();
        if let Some(user) = user {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            let unescaped = super::storage::unescaped;
            http.basic_auth = Some(BasicAuth {
                username: unescaped(name),
                password: Secret::new(unescaped(password)),
                ..BasicAuth::default()
            });
        }
        let mut discovery = ServiceDiscovery::default();
        if self.enable_alertmanager_discovery {
            let refresh_ms =
                u64::try_from(self.alertmanager_refresh_interval.get().as_millis()).unwrap_or(60_000);
            discovery.dns_sd_configs.push(DnsSd {
                names: vec![host.to_owned()],
                refresh_interval: PromDuration::from_ms(refresh_ms),
                ..DnsSd::default()
            });
        } else {
            let has_port =
                host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
            let port = if scheme == "https" { 443 } else { 80 };
            let target = if has_port { host.to_owned() } else { format!("{host}:{port}") };
            discovery.static_configs.push(StaticGroup { targets: vec![target], ..StaticGroup::default() });
        }
        let timeout_ms = u64::try_from(self.notification_timeout.get().as_millis()).unwrap_or(10_000);
        Ok(AlertmanagerConfig {
            http,
            scheme: scheme.to_owned(),
            path_prefix: path.trim_end_matches('/').to_owned(),
            timeout: PromDuration::from_ms(timeout_ms),
            discovery,
            ..AlertmanagerConfig::default()
        })
    }

    /// What of it the parts read that take Prometheus's configuration: who is told, and where results are sent.
    pub fn as_prometheus(&self) -> Config {
        let mut config = Config::default();
        config.file.global.complete(&Defaults::default());
        // Checked when the file was read.
        config.file.alerting.alertmanagers = self.alertmanagers().unwrap_or_default();
        config.file.alerting.alert_relabel_configs = self.alert_relabel_configs.clone();
        config.file.remote_write = self.remote_write.servers();
        config.external_labels = self.external_labels.to_labels();
        config
    }
}

/// Where rules are.
pub(super) fn places(file: &LokiFile, at: At<'_>) -> Result<RulerPlaces, Fault> {
    let ruler = &file.ruler;
    let bucket = bucket(file, at.child("ruler").child("storage"))?;
    let within = |given: &str, name: &str| match given {
        "" => PathBuf::from(&file.common.path_prefix).join(name),
        given => PathBuf::from(given),
    };
    let common = file.common.storage.filesystem.as_ref().map_or("", |folder| &folder.rules_directory);
    let files = [ruler.storage.local.directory.as_str(), common].into_iter().find(|path| !path.is_empty());
    Ok(RulerPlaces {
        own: within(&ruler.rule_path, "rules"),
        files: files.map(PathBuf::from).filter(|_| bucket.is_none()),
        bucket,
        wal: within(&ruler.wal.dir, "ruler-wal"),
    })
}

/// The bucket rules are in, if they are.
fn bucket(file: &LokiFile, at: At<'_>) -> Result<Option<Bucket>, Fault> {
    let (own, common) = (&file.ruler.storage, &file.common.storage);
    let missing = || {
        let kind = &own.r#type;
        let message = format!("rules are to be in {kind:?}, and nothing says which bucket that is");
        at.fault("type", message).remedy(format!("add ruler.storage.{kind}"))
    };
    Ok(Some(match own.r#type.as_str() {
        "s3" => s3_bucket(own.s3.as_ref().or(common.s3.as_ref()).ok_or_else(missing)?, "", at)?,
        "gcs" => gcs_bucket(own.gcs.as_ref().or(common.gcs.as_ref()).ok_or_else(missing)?, "", at)?,
        "azure" => azure_bucket(own.azure.as_ref().or(common.azure.as_ref()).ok_or_else(missing)?, "", at)?,
        _ => return Ok(None),
    }))
}
