//! Remote storage.

use std::collections::BTreeMap;

use model::labels::Quoted;

use super::foreign::Raw;
use super::http::HttpClientConfig;
use super::relabel::{NameValidation, RelabelConfig, validate_all};
use crate::decode::{At, Cx};
use crate::error::Fault;
use crate::scalar::{LabelMap, PromDuration, Secret, Url};
use crate::section::{Check, section};

section! {
    /// A server samples are sent to.
    pub struct RemoteWriteConfig ("remote_write", "config.plain") {
        /// Where samples are sent.
        set url: Url;
        /// How long a request may take.
        set remote_timeout: PromDuration = PromDuration::from_secs(30);
        /// Headers sent with each request.
        set headers: BTreeMap<String, String>;
        /// Rules applied to samples before they are sent.
        set write_relabel_configs: Vec<RelabelConfig>;
        /// The name in metrics and logs. Unique.
        set name: String;
        /// Whether exemplars are sent.
        set send_exemplars: bool;
        /// Whether native histograms are sent.
        set send_native_histograms: bool;
        /// Whether addresses of the server are taken in turn.
        set round_robin_dns: bool;
        /// The message: `prometheus.WriteRequest` or `io.prometheus.write.v2.Request`.
        set protobuf_message: String = MESSAGES[0].to_owned();
        /// Whether failed requests are logged in full.
        set failed_request_logging: bool;
        /// How to connect.
        inline http: HttpClientConfig = HttpClientConfig { enable_http2: false, ..HttpClientConfig::default() };
        /// The queue samples wait in.
        set queue_config: QueueConfig;
        /// How metadata is sent.
        set metadata_config: MetadataConfig;
        /// Signing of requests with AWS signature version 4.
        set sigv4: Option<SigV4Config>;
        /// Azure AD authentication (not supported yet).
        set azuread: Option<Raw>;
        /// Google IAM authentication (not supported yet).
        set google_iam: Option<Raw>;
    }
}

const MESSAGES: [&str; 2] = ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"];

section! {
    /// The queue of a remote write.
    pub struct QueueConfig ("queue_config", "config.QueueConfig") {
        /// Samples buffered per shard before reading blocks.
        set capacity: i64 = 10_000;
        /// The most shards.
        set max_shards: i64 = 50;
        /// The fewest shards.
        set min_shards: i64 = 1;
        /// The most samples of a request.
        set max_samples_per_send: i64 = 2000;
        /// How long a sample waits for its request to fill.
        set batch_send_deadline: PromDuration = PromDuration::from_secs(5);
        /// The first wait before a repetition; doubles each time.
        set min_backoff: PromDuration = PromDuration::from_ms(30);
        /// The longest wait before a repetition.
        set max_backoff: PromDuration = PromDuration::from_secs(5);
        /// Whether requests answered 429 are repeated.
        set retry_on_http_429: bool;
        /// The oldest sample worth sending; 0 for any.
        set sample_age_limit: PromDuration;
    }
}

section! {
    /// How metadata is sent.
    pub struct MetadataConfig ("metadata_config", "config.MetadataConfig") {
        /// Whether metadata is sent.
        always send: bool = true;
        /// How often metadata is sent.
        always send_interval: PromDuration = PromDuration::from_secs(60);
        /// The most entries of a request.
        set max_samples_per_send: i64 = 2000;
    }
}

section! {
    /// A server queries also read from.
    pub struct RemoteReadConfig ("remote_read", "config.plain") {
        /// Where samples are read.
        set url: Url;
        /// How long a request may take.
        set remote_timeout: PromDuration = PromDuration::from_secs(60);
        /// The largest frame of a streamed answer, in bytes.
        set chunked_read_limit: u64 = 50_000_000;
        /// Headers sent with each request.
        set headers: BTreeMap<String, String>;
        /// Whether also times are read that the local storage holds in full.
        set read_recent: bool;
        /// The name in metrics and logs. Unique.
        set name: String;
        /// How to connect.
        inline http: HttpClientConfig;
        /// Equality matchers a selector must have for the server to be asked.
        set required_matchers: LabelMap;
        /// Whether external labels are added to selectors.
        always filter_external_labels: bool = true;
    }
}

section! {
    /// How requests are signed with AWS signature version 4. What is missing is taken from the environment and the
    /// shared files of AWS's tools.
    pub struct SigV4Config ("sigv4", "sigv4.plain") {
        /// The region.
        set region: String;
        /// The access key.
        set access_key: String;
        /// The secret key.
        set secret_key: Secret;
        /// The profile of the shared files.
        set profile: String;
        /// The role to assume (not supported yet).
        set role_arn: String;
        /// The external ID to assume the role with.
        set external_id: String;
        /// Whether FIPS endpoints are used to assume the role.
        set use_fips_sts_endpoint: bool;
        /// The service requests are signed for; `aps` when empty.
        set service_name: String;
    }
}

impl Check for SigV4Config {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        if self.access_key.is_empty() != self.secret_key.expose().is_empty() {
            let message = "must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the SigV4 config";
            let key = if self.access_key.is_empty() { "secret_key" } else { "access_key" };
            return Err(at.fault(key, message).remedy("give both access_key and secret_key, or neither"));
        }
        if !self.external_id.is_empty() && self.role_arn.is_empty() {
            let message = "external_id can only be used with role_arn";
            return Err(at.fault("external_id", message).remedy("remove external_id"));
        }
        Ok(())
    }
}

/// Headers of remote requests that a user may not set; `authorization` has a message of its own.
const RESERVED: [&str; 16] = [
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
];

/// Fails when a header is one the client sets itself; `authorization` is the message for that header.
pub(crate) fn check_headers(
    headers: &BTreeMap<String, String>,
    at: At<'_>,
    authorization: &str,
) -> Result<(), Fault> {
    for header in headers.keys() {
        let lower = header.to_lowercase();
        let place = at.child("headers");
        if lower == "authorization" {
            return Err(place
                .fault(header, authorization)
                .remedy("move it into an authorization or basic_auth section"));
        }
        if RESERVED.contains(&lower.as_str()) {
            let message = format!("{header} is a reserved header. It must not be changed");
            return Err(place.fault(header, message).remedy("remove the header"));
        }
    }
    Ok(())
}

const AUTHORIZATION: &str = "authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, azuread or google_iam parameter";

impl Check for RemoteWriteConfig {
    fn check(&mut self, at: At<'_>, cx: &Cx<'_>) -> Result<(), Fault> {
        if self.url.as_str().is_empty() {
            return Err(at.fault("url", "url for remote_write is empty").remedy("add url"));
        }
        at.no_null_items("write_relabel_configs", "empty or null relabeling rule in remote write config")?;
        check_headers(&self.headers, at, AUTHORIZATION)?;
        if !MESSAGES.contains(&self.protobuf_message.as_str()) {
            let message = format!(
                "invalid protobuf_message value: unknown type for remote write protobuf message {}, supported: {}",
                self.protobuf_message,
                MESSAGES.join(", ")
            );
            let meant = crate::error::nearest(&self.protobuf_message, MESSAGES).unwrap_or(MESSAGES[0]);
            return Err(at.fault("protobuf_message", message).remedy(format!("did you mean {meant:?}?")));
        }
        if !at.has("enable_http2") {
            self.http.enable_http2 = false;
        }
        self.http.check(at, cx)?;
        self.queue_config.validate(at.child("queue_config"))?;
        self.check_one_authentication(at)
    }
}

impl RemoteWriteConfig {
    fn check_one_authentication(&self, at: At<'_>) -> Result<(), Fault> {
        let ways = ["basic_auth", "authorization", "oauth2", "sigv4", "azuread", "google_iam"];
        let set: Vec<&str> = ways.into_iter().filter(|way| at.value(way).is_some()).collect();
        match set.as_slice() {
            [_, .., last] => {
                let message = format!(
                    "at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam must be configured. Currently configured: [{}]",
                    set.join(" ")
                );
                Err(at.fault(last, message).remedy(format!("remove {last} or the others")))
            }
            _ => Ok(()),
        }
    }

    /// Checks the rules with the validation scheme in force.
    pub(crate) fn complete(&mut self, scheme: NameValidation, at: At<'_>) -> Result<(), Fault> {
        validate_all(&mut self.write_relabel_configs, scheme, at, "write_relabel_configs")
    }
}

impl QueueConfig {
    fn validate(&self, at: At<'_>) -> Result<(), Fault> {
        let wrong = [
            (self.max_shards <= 0, "max_shards", "must be positive"),
            (self.min_shards <= 0, "min_shards", "must be positive"),
            (self.min_shards > self.max_shards, "min_shards", "must not be greater than max_shards"),
            (self.max_samples_per_send <= 0, "max_samples_per_send", "must be positive"),
            (self.capacity <= 0, "capacity", "must be positive"),
            (self.max_backoff < self.min_backoff, "max_backoff", "must not be less than min_backoff"),
        ];
        match wrong.into_iter().find(|(wrong, ..)| *wrong) {
            Some((_, key, rule)) => Err(at
                .fault(key, format!("remote write queue {key} {rule}"))
                .remedy("correct the number, or remove the line for the default")),
            None => Ok(()),
        }
    }
}

impl Check for QueueConfig {}
impl Check for MetadataConfig {}

impl Check for RemoteReadConfig {
    fn check(&mut self, at: At<'_>, cx: &Cx<'_>) -> Result<(), Fault> {
        if self.url.as_str().is_empty() {
            return Err(at.fault("url", "url for remote_read is empty").remedy("add url"));
        }
        check_headers(&self.headers, at, AUTHORIZATION)?;
        self.http.check(at, cx)
    }
}

/// Fails when two sections of the list under `key` have one name; `what` is how the message calls them.
pub(crate) fn check_unique_names<'a>(
    names: impl Iterator<Item = &'a str>,
    at: At<'_>,
    key: &str,
    field: &str,
    what: &str,
) -> Result<(), Fault> {
    let mut seen = BTreeMap::new();
    for (i, name) in names.enumerate().filter(|(_, name)| !name.is_empty()) {
        let item = at.item(key, i);
        let fault =
            item.fault(field, format!("found multiple {what} configs with job name {}", Quoted(name)));
        if let Some(first) = seen.insert(name, fault.pos.line) {
            return Err(fault.remedy(format!("choose another name than the one on line {first}")));
        }
    }
    Ok(())
}
