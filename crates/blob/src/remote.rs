//! S3, Azure Blob Storage and Google Cloud Storage.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use base::clock::SharedClock;
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    PutPayload, PutResult, UpdateVersion,
};
use tokio::runtime::Handle;

use crate::bucket::{
    BlobError, Bucket, Object, ObjectInfo, PutIf, Upload, Version, check_key, check_prefix, part_of,
};
use crate::connector::Connector;

/// Which bucket, and how it is reached.
#[derive(Debug, Clone)]
pub struct RemoteOptions {
    /// `s3://bucket/prefix`, `az://container/prefix` or `gs://bucket/prefix`.
    pub url: String,
    /// Settings of the service under the names of `object_store`: `region`, `endpoint`, `access_key_id`, ...
    pub settings: Vec<(String, String)>,
    /// Whether to take credentials from the environment, as the tools of the service do.
    pub from_environment: bool,
    /// How long one request may take.
    pub timeout: Duration,
    /// How the server is recognised.
    pub tls: config::TlsConfig,
}

impl RemoteOptions {
    /// The bucket at `url`, with credentials from the environment.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            settings: Vec::new(),
            from_environment: true,
            timeout: Duration::from_secs(60),
            tls: config::TlsConfig::default(),
        }
    }
}

/// A bucket of a cloud. Its calls block, and must not be made on a thread of the runtime that drives it.
pub struct RemoteBucket {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    location: String,
    runtime: Handle,
}

/// Parts of an upload have this many bytes; S3 refuses less than 5 MiB.
const PART_BYTES: usize = 8 << 20;

impl RemoteBucket {
    /// The bucket the options name; `runtime` drives its connections. No request is made.
    pub fn open(options: &RemoteOptions, clock: SharedClock, runtime: Handle) -> Result<Self, BlobError> {
        let wrong = |error: &dyn std::fmt::Display| BlobError::failed(&options.url, error);
        let (scheme, rest) = options.url.split_once("://").ok_or_else(|| wrong(&"not a URL of a bucket"))?;
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        if !prefix.is_empty() {
            check_key(prefix)?;
        }
        let connector = Connector { clock, timeout: options.timeout, tls: options.tls.clone() };
        macro_rules! build {
            ($builder:ty, $name:ident) => {{
                let mut builder =
                    if options.from_environment { <$builder>::from_env() } else { <$builder>::new() };
                for (key, value) in &options.settings {
                    let key = key.parse().map_err(|error: Error| wrong(&error))?;
                    builder = builder.with_config(key, value);
                }
                let store = builder.$name(name).with_http_connector(connector).build();
                Arc::new(store.map_err(|error| wrong(&error))?) as Arc<dyn ObjectStore>
            }};
        }
        let store = match scheme {
            "s3" => build!(object_store::aws::AmazonS3Builder, with_bucket_name),
            "az" => build!(object_store::azure::MicrosoftAzureBuilder, with_container_name),
            "gs" => build!(object_store::gcp::GoogleCloudStorageBuilder, with_bucket_name),
            _ => return Err(wrong(&"buckets are s3://, az:// or gs://")),
        };
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self { store, prefix, location: options.url.clone(), runtime })
    }

    fn path(&self, key: &str) -> Result<Path, BlobError> {
        check_key(key)?;
        Path::parse(format!("{}{key}", self.prefix)).map_err(|error| BlobError::failed(key, error))
    }

    fn folder(&self, prefix: &str) -> Result<Option<Path>, BlobError> {
        check_prefix(prefix)?;
        match format!("{}{prefix}", self.prefix).trim_end_matches('/') {
            "" => Ok(None),
            folder => Path::parse(folder).map(Some).map_err(|error| BlobError::failed(prefix, error)),
        }
    }

    fn wait<T>(
        &self,
        key: &str,
        call: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, BlobError> {
        self.runtime.block_on(call).map_err(|error| failure(key, &error))
    }

    fn info(&self, meta: ObjectMeta) -> Option<ObjectInfo> {
        let key = meta.location.as_ref().strip_prefix(&self.prefix)?.to_owned();
        Some(ObjectInfo { key, size_bytes: meta.size, modified_ms: meta.last_modified.timestamp_millis() })
    }
}

fn failure(key: &str, error: &Error) -> BlobError {
    match error {
        Error::NotFound { .. } => BlobError::NotFound(key.to_owned()),
        Error::AlreadyExists { .. } | Error::Precondition { .. } => BlobError::Conflict(key.to_owned()),
        // What the service answered in the end, after tries of its own: time may help.
        Error::Generic { .. } | Error::JoinError { .. } => BlobError::unavailable(key, error),
        _ => BlobError::failed(key, error),
    }
}

/// Version and tag of an object in one text: a service needs one of them, or both.
fn version_of(tag: Option<&str>, version: Option<&str>) -> Version {
    Version(format!("{}\n{}", tag.unwrap_or(""), version.unwrap_or("")))
}

fn update_of(version: &Version) -> UpdateVersion {
    let (tag, version) = version.0.split_once('\n').unwrap_or((&version.0, ""));
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    UpdateVersion { e_tag: some(tag), version: some(version) }
}

impl Bucket for RemoteBucket {
    fn put(&self, key: &str, data: Bytes, condition: &PutIf) -> Result<Version, BlobError> {
        let mode = match condition {
            PutIf::Always => PutMode::Overwrite,
            PutIf::Absent => PutMode::Create,
            PutIf::Unchanged(version) => PutMode::Update(update_of(version)),
        };
        let path = self.path(key)?;
        let options = PutOptions { mode, ..PutOptions::default() };
        let result: PutResult =
            self.wait(key, self.store.put_opts(&path, PutPayload::from(data), options))?;
        Ok(version_of(result.e_tag.as_deref(), result.version.as_deref()))
    }

    fn upload(&self, key: &str) -> Result<Box<dyn Upload>, BlobError> {
        let path = self.path(key)?;
        let parts = self.wait(key, self.store.put_multipart(&path))?;
        Ok(Box::new(RemoteUpload {
            key: key.to_owned(),
            parts,
            filled: BytesMut::new(),
            is_finished: false,
            runtime: self.runtime.clone(),
        }))
    }

    fn get(&self, key: &str, limit_bytes: u64) -> Result<(Bytes, Version), BlobError> {
        let path = self.path(key)?;
        let get = async {
            let found = self.store.get(&path).await?;
            let meta = found.meta.clone();
            if meta.size > limit_bytes {
                return Ok((None, meta));
            }
            Ok((Some(found.bytes().await?), meta))
        };
        let (data, meta) = self.wait(key, get)?;
        let data = data.ok_or_else(|| BlobError::failed(key, format!("larger than {limit_bytes} bytes")))?;
        Ok((data, version_of(meta.e_tag.as_deref(), meta.version.as_deref())))
    }

    fn get_changed(
        &self,
        key: &str,
        limit_bytes: u64,
        known: &Version,
    ) -> Result<Option<(Bytes, Version)>, BlobError> {
        let Some(tag) = known.0.split('\n').next().filter(|tag| !tag.is_empty()) else {
            return self.get(key, limit_bytes).map(Some);
        };
        let path = self.path(key)?;
        let options = GetOptions { if_none_match: Some(tag.to_owned()), ..GetOptions::default() };
        let found = match self.runtime.block_on(self.store.get_opts(&path, options)) {
            Ok(found) => found,
            Err(Error::NotModified { .. }) => return Ok(None),
            Err(error) => return Err(failure(key, &error)),
        };
        let meta = found.meta.clone();
        if meta.size > limit_bytes {
            return Err(BlobError::failed(key, format!("larger than {limit_bytes} bytes")));
        }
        let version = version_of(meta.e_tag.as_deref(), meta.version.as_deref());
        if version == *known {
            return Ok(None);
        }
        Ok(Some((self.wait(key, found.bytes())?, version)))
    }

    fn open(&self, key: &str) -> Result<Arc<dyn Object>, BlobError> {
        let path = self.path(key)?;
        let meta = self.wait(key, self.store.head(&path))?;
        let (store, runtime) = (self.store.clone(), self.runtime.clone());
        Ok(Arc::new(RemoteObject { key: key.to_owned(), path, len_bytes: meta.size, store, runtime }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, BlobError> {
        let folder = self.folder(prefix)?;
        let listed: Vec<ObjectMeta> = self.wait(prefix, self.store.list(folder.as_ref()).try_collect())?;
        let mut found: Vec<ObjectInfo> = listed.into_iter().filter_map(|meta| self.info(meta)).collect();
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    fn list_folders(&self, prefix: &str) -> Result<Vec<String>, BlobError> {
        let folder = self.folder(prefix)?;
        let listed = self.wait(prefix, self.store.list_with_delimiter(folder.as_ref()))?;
        let name = |path: &Path| path.filename().map(str::to_owned);
        let mut names: Vec<String> = listed.common_prefixes.iter().filter_map(name).collect();
        names.sort();
        Ok(names)
    }

    fn delete(&self, key: &str) -> Result<(), BlobError> {
        let path = self.path(key)?;
        match self.wait(key, self.store.delete(&path)) {
            Err(BlobError::NotFound(_)) => Ok(()),
            other => other,
        }
    }

    fn location(&self) -> String {
        self.location.clone()
    }
}

struct RemoteObject {
    key: String,
    path: Path,
    len_bytes: u64,
    store: Arc<dyn ObjectStore>,
    runtime: Handle,
}

impl Object for RemoteObject {
    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, BlobError> {
        if range.start > range.end || range.end > self.len_bytes {
            let message = format!("bytes {range:?} of {} were asked for", self.len_bytes);
            return Err(BlobError::failed(&self.key, message));
        }
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let length = range.end - range.start;
        let data = self.runtime.block_on(self.store.get_range(&self.path, range));
        part_of(&self.key, &data.map_err(|error| failure(&self.key, &error))?, 0..length)
    }
}

struct RemoteUpload {
    key: String,
    parts: Box<dyn MultipartUpload>,
    filled: BytesMut,
    is_finished: bool,
    runtime: Handle,
}

impl RemoteUpload {
    fn send(&mut self) -> Result<(), BlobError> {
        let part = self.parts.put_part(self.filled.split().freeze().into());
        self.runtime.block_on(part).map_err(|error| failure(&self.key, &error))
    }
}

impl Upload for RemoteUpload {
    fn write(&mut self, data: Bytes) -> Result<(), BlobError> {
        self.filled.extend_from_slice(&data);
        if self.filled.len() >= PART_BYTES { self.send() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> Result<(), BlobError> {
        self.send()?;
        let done = self.runtime.block_on(self.parts.complete());
        self.is_finished = done.is_ok();
        done.map(drop).map_err(|error| failure(&self.key, &error))
    }
}

impl Drop for RemoteUpload {
    fn drop(&mut self) {
        if !self.is_finished {
            // Parts that stay behind are shown by no listing; services delete them by age.
            let _ = self.runtime.block_on(self.parts.abort());
        }
    }
}
