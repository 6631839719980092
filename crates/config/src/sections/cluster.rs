//! The file of `--cluster.tls-config`: TLS between the members of a cluster of Alertmanagers.

use std::path::Path;

use super::http::TlsConfig;
use super::web::TlsServerConfig;
use crate::decode::{At, Cx, Setting};
use crate::error::{ConfigError, Fault, Source};
use crate::section::{Check, section};
use crate::yaml::{Limits, parse};

section! {
    /// TLS between the members of a cluster. Each is server to some of the others, and client to the rest.
    pub struct ClusterTlsConfig ("Cluster TLS configuration file", "cluster.TLSTransportConfig") {
        /// What this member shows to those that connect to it, and asks of them.
        set tls_server_config: Option<TlsServerConfig>;
        /// What this member shows to those it connects to, and asks of them.
        set tls_client_config: TlsConfig;
    }
}

impl Check for ClusterTlsConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        if self.tls_server_config.is_none() {
            return Err(at
                .fault("tls_server_config", "missing 'tls_server_config' entry in the TLS configuration")
                .remedy("add tls_server_config with cert_file and key_file"));
        }
        Ok(())
    }
}

impl ClusterTlsConfig {
    /// Reads a file; relative paths in it start where it lies.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let bytes = std::fs::read(file).map_err(|error| ConfigError::unreadable(file, &error))?;
        let text = String::from_utf8_lossy(&bytes);
        let source = Source::new(file, text.as_ref());
        let failed = |fault: Fault| ConfigError::new(&source, &[fault]);
        let root = parse(&text, Limits::default()).map_err(failed)?;
        let cx = Cx::new(file);
        let decoded = Self::decode(&root, &cx);
        cx.finish(decoded).map_err(|faults| ConfigError::new(&source, &faults))
    }
}
