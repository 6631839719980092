//! Export of the server's own traces.

use std::collections::BTreeMap;

use super::http::TlsConfig;
use super::remote::check_headers;
use crate::decode::{At, Cx};
use crate::error::Fault;
use crate::scalar::PromDuration;
use crate::section::{Check, choice, section};

section! {
    /// Where the server sends its own traces, by OTLP.
    pub struct TracingConfig ("tracing", "config.plain") {
        /// The protocol.
        set client_type: TracingClient = TracingClient::Grpc;
        /// Where traces are sent.
        set endpoint: String;
        /// The share of requests that are traced, from 0 to 1.
        set sampling_fraction: f64;
        /// Whether to connect without TLS.
        set insecure: bool;
        /// TLS of the connection.
        set tls_config: TlsConfig;
        /// Headers sent with each request.
        set headers: BTreeMap<String, String>;
        /// `gzip`, or absent for none.
        set compression: String;
        /// How long a request may take.
        set timeout: PromDuration;
    }
}

choice! {
    /// The protocol traces are sent with.
    pub enum TracingClient {
        /// OTLP over gRPC.
        Grpc = "grpc",
        /// OTLP over HTTP.
        Http = "http",
    }
    wrong |word| format!("expected tracing client type to be to be http or grpc, but got {word}")
}

impl Check for TracingConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        check_headers(&self.headers, at, "custom authorization header configuration is not yet supported")?;
        if self.endpoint.is_empty() {
            return Err(at
                .fault("endpoint", "tracing endpoint must be set")
                .remedy("add endpoint: host:port"));
        }
        if !matches!(self.compression.as_str(), "" | "gzip") {
            let message =
                format!("invalid compression type {} provided, valid options: gzip", self.compression);
            return Err(at.fault("compression", message).remedy("write gzip, or remove the line"));
        }
        Ok(())
    }
}
