//! Flags of what is pushed to this server.

use clap::{ArgAction, Args};
use wire::remote_write::MessageType;

use super::{BytesArg, bytes};

/// Flags of what is pushed to this server.
#[derive(Args, Debug, Clone)]
pub struct ReceivingArgs {
    /// Enable API endpoints accepting remote write requests.
    #[arg(long = "web.enable-remote-write-receiver", action = ArgAction::SetTrue, overrides_with = "no_remote_write_receiver")]
    pub enable_remote_write_receiver: bool,
    #[arg(long = "no-web.enable-remote-write-receiver", hide = true)]
    no_remote_write_receiver: bool,

    /// Protobuf messages to accept as remote writes: prometheus.WriteRequest,
    /// io.prometheus.write.v2.Request. Can be repeated; both by default.
    #[arg(
        long = "web.remote-write-receiver.accepted-protobuf-messages",
        value_parser = message,
        default_values = ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"],
        value_name = "MESSAGE",
        value_delimiter = ','
    )]
    pub accepted_messages: Vec<MessageType>,

    /// Most bytes of a pushed request, before and after decompression, with a unit. Not a flag of
    /// Prometheus, which has a fixed 32MB.
    #[arg(long = "ingest.max-request-size", default_value = "32MB", value_parser = bytes, value_name = "BYTES")]
    pub max_request_size: BytesArg,

    /// Memory all pushed requests together may hold while they are taken in, with a unit; beyond it
    /// senders are asked to come again. Not a flag of Prometheus.
    #[arg(long = "ingest.max-memory", default_value = "512MB", value_parser = bytes, value_name = "BYTES")]
    pub max_memory: BytesArg,

    /// Series remembered for each tenant, so that the labels of pushed samples need not be read again; 32 to 64
    /// bytes each. Not a flag of Prometheus.
    #[arg(long = "ingest.max-cached-series", default_value_t = 4_000_000, hide = true)]
    pub max_cached_series: usize,

    /// Tenants told apart at a time. Not a flag of Prometheus.
    #[arg(long = "ingest.max-tenants", default_value_t = 1000, hide = true)]
    pub max_tenants: usize,
}

fn message(name: &str) -> Result<MessageType, String> {
    MessageType::from_name(name).ok_or_else(|| {
        let supported = MessageType::ALL.map(MessageType::as_str).join(", ");
        format!("unknown type for remote write protobuf message {name}, supported: {supported}")
    })
}
