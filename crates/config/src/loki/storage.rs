//! Where objects are.

use std::path::PathBuf;

use super::LokiFile;
use super::values::LokiDuration;
use crate::decode::{At, Cx};
use crate::error::Fault;
use crate::scalar::Secret;
use crate::section::{Check, section};

section! {
    /// What several sections start from.
    pub struct CommonSection ("common", "common.Config") {
        /// The folder of everything on disk that has no other.
        always path_prefix: String;
        /// The bucket.
        set storage: CommonStorage;
    }
}

impl Check for CommonSection {}

section! {
    /// The bucket: one of these.
    pub struct CommonStorage ("common.storage", "common.Storage") {
        /// A folder.
        set filesystem: Option<CommonFolder>;
        /// A bucket of S3.
        set s3: Option<S3Section>;
        /// A bucket of Google Cloud Storage.
        set gcs: Option<GcsSection>;
        /// A container of Azure Blob Storage.
        set azure: Option<AzureSection>;
    }
}

impl Check for CommonStorage {}

section! {
    /// A folder.
    pub struct CommonFolder ("common.storage.filesystem", "common.FilesystemConfig") {
        /// The folder of objects.
        set chunks_directory: String;
        /// A folder with one of files with rules for each tenant.
        set rules_directory: String;
    }
}

impl Check for CommonFolder {}

section! {
    /// The buckets.
    pub struct StorageSection ("storage_config", "storage.Config") {
        /// A bucket of S3.
        set aws: Option<S3Section>;
        /// A bucket of Google Cloud Storage.
        set gcs: Option<GcsSection>;
        /// A container of Azure Blob Storage.
        set azure: Option<AzureSection>;
        /// A folder.
        set filesystem: Option<FolderSection>;
        /// What all keys of objects begin with.
        set object_prefix: String;
    }
}

impl Check for StorageSection {}

section! {
    /// A folder.
    pub struct FolderSection ("storage_config.filesystem", "local.FSConfig") {
        /// The folder of objects.
        set directory: String;
    }
}

impl Check for FolderSection {}

section! {
    /// A bucket of S3, or of a server that speaks it.
    pub struct S3Section ("s3", "aws.S3Config") {
        /// A URL with everything: `s3://key:secret@region/bucket`, or with a host in place of the region.
        set s3: Secret;
        /// The bucket; there can be only one.
        set bucketnames: String;
        /// Where the server is, unless it is Amazon's.
        set endpoint: String;
        /// The region.
        set region: String;
        /// The key; without one, credentials come from the environment.
        set access_key_id: String;
        /// Its secret.
        set secret_access_key: Secret;
        /// A token of a session.
        set session_token: Secret;
        /// Whether to speak HTTP without TLS.
        set insecure: bool;
        /// Whether the bucket stands in the path, not in the name of the host.
        set s3forcepathstyle: bool;
        /// How the server is spoken to.
        set http_config: S3Http;
    }
}

impl Check for S3Section {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        if self.bucketnames.contains(',') {
            let message = "several buckets cannot be honoured: objects are in one";
            return Err(at.fault("bucketnames", message).remedy("name one bucket"));
        }
        Ok(())
    }
}

section! {
    /// How the server is spoken to.
    pub struct S3Http ("s3.http_config", "aws.HTTPConfig") {
        /// How long a request may take; 0 is the default of this program.
        set timeout: LokiDuration;
        /// Whether to believe any server.
        set insecure_skip_verify: bool;
        /// A file with the authorities that are believed.
        set ca_file: String;
    }
}

impl Check for S3Http {}

section! {
    /// A bucket of Google Cloud Storage.
    pub struct GcsSection ("gcs", "gcp.GCSConfig") {
        /// The bucket.
        set bucket_name: String;
        /// A service account as JSON; without one, credentials come from the environment.
        set service_account: Secret;
        /// How long a request may take; 0 is the default of this program.
        set request_timeout: LokiDuration;
    }
}

impl Check for GcsSection {}

section! {
    /// A container of Azure Blob Storage.
    pub struct AzureSection ("azure", "azure.BlobStorageConfig") {
        /// The account.
        set account_name: String;
        /// Its key; without one, credentials come from the environment.
        set account_key: Secret;
        /// The container.
        set container_name: String;
        /// Where the account is, after its name; `blob.core.windows.net` by default.
        set endpoint_suffix: String;
        /// Whether to use the identity of the machine.
        set use_managed_identity: bool;
        /// The client of a service principal.
        set client_id: String;
        /// Its secret.
        set client_secret: Secret;
        /// Its tenant.
        set tenant_id: String;
    }
}

impl Check for AzureSection {}

/// Where objects are.
#[derive(Debug, Clone, PartialEq)]
pub enum ObjectPlace {
    /// In a folder.
    Folder(PathBuf),
    /// In a bucket.
    Bucket(Bucket),
}

/// A bucket of a cloud.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
    pub url: String,
    /// Settings by the names the clients of clouds know: `region`, `endpoint`, `access_key_id`, ...
    pub settings: Vec<(String, Secret)>,
    /// Whether credentials come from the environment.
    pub from_environment: bool,
    /// How long a request may take; 0 is a default.
    pub timeout: LokiDuration,
    /// Whether any server is believed.
    pub insecure_skip_verify: bool,
    /// A file with the authorities that are believed.
    pub ca_file: String,
}

/// The bucket that the last period of the schema names, or the only one there is.
pub(super) fn place(file: &LokiFile, at: At<'_>) -> Result<ObjectPlace, Fault> {
    let periods = file.schema_config.as_ref().map_or(&[][..], |schema| &schema.configs);
    let named = periods.iter().max_by(|a, b| a.from.cmp(&b.from)).map(|period| period.object_store.as_str());
    let (common, own) = (&file.common.storage, &file.storage_config);
    let (s3, gcs, azure) = (
        own.aws.as_ref().or(common.s3.as_ref()),
        own.gcs.as_ref().or(common.gcs.as_ref()),
        own.azure.as_ref().or(common.azure.as_ref()),
    );
    let kind = match named.unwrap_or_default() {
        "" if s3.is_some() => "s3",
        "" if gcs.is_some() => "gcs",
        "" if azure.is_some() => "azure",
        "" => "filesystem",
        named => named,
    };
    let prefix = own.object_prefix.trim_matches('/');
    let missing = |section: &str| {
        let message = format!("objects are to be in {kind:?}, and {section} says nothing of it");
        at.fault("schema_config", message).remedy(format!("add {section}"))
    };
    Ok(ObjectPlace::Bucket(match kind {
        "filesystem" => return folder(file, at).map(ObjectPlace::Folder),
        "s3" | "aws" => {
            s3_bucket(s3.ok_or_else(|| missing("storage_config.aws or common.storage.s3"))?, prefix, at)?
        }
        "gcs" | "gcp" | "gcp-columnkey" => {
            gcs_bucket(gcs.ok_or_else(|| missing("storage_config.gcs or common.storage.gcs"))?, prefix, at)?
        }
        "azure" => azure_bucket(
            azure.ok_or_else(|| missing("storage_config.azure or common.storage.azure"))?,
            prefix,
            at,
        )?,
        other => {
            let message = format!("object store {other:?} cannot be honoured");
            return Err(at.fault("schema_config", message).remedy("use filesystem, s3, gcs or azure"));
        }
    }))
}

fn folder(file: &LokiFile, at: At<'_>) -> Result<PathBuf, Fault> {
    let own = file.storage_config.filesystem.as_ref().map(|folder| folder.directory.as_str());
    let common = file.common.storage.filesystem.as_ref().map(|folder| folder.chunks_directory.as_str());
    let given = own.into_iter().chain(common).find(|path| !path.is_empty());
    match (given, file.common.path_prefix.as_str()) {
        (Some(path), _) => Ok(PathBuf::from(path)),
        (None, "") => Err(at
            .fault("common", "nothing says where objects are")
            .remedy("write common.path_prefix, or a section of common.storage")),
        (None, prefix) => Ok(PathBuf::from(prefix).join("chunks")),
    }
}

/// A URL of a bucket with what all keys begin with.
fn url(scheme: &str, name: &str, prefix: &str) -> String {
    if prefix.is_empty() { format!("{scheme}://{name}") } else { format!("{scheme}://{name}/{prefix}") }
}

/// Settings without those that say nothing.
fn given<'s>(settings: impl IntoIterator<Item = (&'static str, &'s str)>) -> Vec<(String, Secret)> {
    let said = settings.into_iter().filter(|(_, value)| !value.is_empty());
    said.map(|(key, value)| (key.to_owned(), Secret::new(value))).collect()
}

pub(super) fn s3_bucket(section: &S3Section, prefix: &str, at: At<'_>) -> Result<Bucket, Fault> {
    let parts = S3Url::read(section.s3.expose()).ok_or_else(|| {
        at.fault("storage_config", "the URL of the bucket is none")
            .remedy("write s3://key:secret@region/bucket")
    })?;
    let first = |own: &str, other: &str| if own.is_empty() { other.to_owned() } else { own.to_owned() };
    let bucket = first(&section.bucketnames, &parts.bucket);
    if bucket.is_empty() {
        return Err(at.fault("storage_config", "no bucket is named").remedy("add bucketnames"));
    }
    let scheme = if section.insecure || parts.insecure { "http" } else { "https" };
    let endpoint = match first(&section.endpoint, &parts.endpoint) {
        host if host.is_empty() || host.contains("://") => host,
        // Amazon's own hosts are known by their region.
        host if host.ends_with(".amazonaws.com") => String::new(),
        host => format!("{scheme}://{host}"),
    };
    let key = first(&section.access_key_id, &parts.key);
    let allows_http = if endpoint.starts_with("http://") { "true" } else { "" };
    let path_style = !endpoint.is_empty() || section.s3forcepathstyle;
    let settings = given([
        ("region", first(&section.region, &parts.region).as_str()),
        ("endpoint", &endpoint),
        ("access_key_id", &key),
        ("secret_access_key", &first(section.secret_access_key.expose(), &parts.secret)),
        ("session_token", section.session_token.expose()),
        ("allow_http", allows_http),
        ("virtual_hosted_style_request", if path_style { "false" } else { "true" }),
    ]);
    Ok(Bucket {
        url: url("s3", &bucket, prefix),
        settings,
        from_environment: key.is_empty(),
        timeout: section.http_config.timeout,
        insecure_skip_verify: section.http_config.insecure_skip_verify,
        ca_file: section.http_config.ca_file.clone(),
    })
}

/// `s3://key:secret@host/bucket`; a host without a dot is a region.
#[derive(Default)]
struct S3Url {
    key: String,
    secret: String,
    region: String,
    endpoint: String,
    bucket: String,
    insecure: bool,
}

impl S3Url {
    fn read(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let (scheme, rest) = text.split_once("://")?;
        let (authority, bucket) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (key, secret) = user.split_once(':').unwrap_or((user, ""));
        let is_region = !host.contains(['.', ':']) && host != "localhost";
        Some(Self {
            key: unescaped(key),
            secret: unescaped(secret),
            region: if is_region { host.to_owned() } else { String::new() },
            endpoint: if is_region { String::new() } else { host.to_owned() },
            bucket: bucket.trim_matches('/').to_owned(),
            insecure: scheme == "http",
        })
    }
}

/// A part of a URL with `%XX` as the bytes they stand for.
pub(super) fn unescaped(text: &str) -> String {
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::new(), 0);
    while let Some(&byte) = bytes.get(at) {
        let digits = text.get(at + 1..at + 3).filter(|_| byte == b'%');
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(escaped) => {
                out.push(escaped);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

pub(super) fn gcs_bucket(section: &GcsSection, prefix: &str, at: At<'_>) -> Result<Bucket, Fault> {
    if section.bucket_name.is_empty() {
        return Err(at.fault("storage_config", "no bucket is named").remedy("add bucket_name"));
    }
    let account = section.service_account.expose();
    Ok(Bucket {
        url: url("gs", &section.bucket_name, prefix),
        settings: given([("service_account_key", account)]),
        from_environment: account.is_empty(),
        timeout: section.request_timeout,
        insecure_skip_verify: false,
        ca_file: String::new(),
    })
}

pub(super) fn azure_bucket(section: &AzureSection, prefix: &str, at: At<'_>) -> Result<Bucket, Fault> {
    if section.container_name.is_empty() {
        return Err(at.fault("storage_config", "no container is named").remedy("add container_name"));
    }
    let endpoint = match section.endpoint_suffix.trim_matches('.') {
        "" | "blob.core.windows.net" => String::new(),
        suffix => format!("https://{}.{suffix}", section.account_name),
    };
    let has_own = !section.account_key.expose().is_empty() || !section.client_secret.expose().is_empty();
    Ok(Bucket {
        url: url("az", &section.container_name, prefix),
        settings: given([
            ("account_name", section.account_name.as_str()),
            ("account_key", section.account_key.expose()),
            ("client_id", &section.client_id),
            ("client_secret", section.client_secret.expose()),
            ("authority_id", &section.tenant_id),
            ("endpoint", &endpoint),
        ]),
        from_environment: !has_own,
        timeout: LokiDuration::default(),
        insecure_skip_verify: false,
        ca_file: String::new(),
    })
}
