//! The listener.

use super::values::LokiDuration;
use crate::decode::{At, Cx};
use crate::error::Fault;
use crate::section::{Check, choice, section};

section! {
    /// The listener.
    pub struct ServerSection ("server", "server.Config") {
        /// The address to listen on; all by default.
        always http_listen_address: String;
        /// The port.
        always http_listen_port: u16 = 3100;
        /// Connections at a time; 0 is the default of this program.
        always http_listen_conn_limit: u64;
        /// TLS.
        set http_tls_config: HttpTls;
        /// How long a request may take to arrive.
        always http_server_read_timeout: LokiDuration = LokiDuration::from_secs(30);
        /// Path before that of every route.
        set http_path_prefix: String;
        /// What is logged.
        always log_level: Level;
        /// How it is logged.
        always log_format: Format;
    }
}

impl Check for ServerSection {}

section! {
    /// TLS of the listener.
    pub struct HttpTls ("server.http_tls_config", "server.TLSConfig") {
        /// A file with the certificate.
        set cert_file: String;
        /// A file with its key.
        set key_file: String;
        /// Which certificates clients must show.
        set client_auth_type: String;
        /// A file with the authorities of clients.
        set client_ca_file: String;
    }
}

impl Check for HttpTls {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        match (self.cert_file.is_empty(), self.key_file.is_empty()) {
            (false, true) => Err(at.fault("cert_file", "a certificate needs its key").remedy("add key_file")),
            (true, false) => Err(at.fault("key_file", "a key needs its certificate").remedy("add cert_file")),
            _ => Ok(()),
        }
    }
}

choice! {
    /// What is logged.
    pub enum Level {
        /// Everything that is of interest.
        Info = "info",
        /// What developers want to know, too.
        Debug = "debug",
        /// What may be wrong.
        Warn = "warn",
        /// What is wrong.
        Error = "error",
    }
    wrong |word| format!("unrecognized log level {word:?}")
}

choice! {
    /// How it is logged.
    pub enum Format {
        /// `key=value`
        Logfmt = "logfmt",
        /// JSON
        Json = "json",
    }
    wrong |word| format!("unrecognized log format {word:?}")
}
