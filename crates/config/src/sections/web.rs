//! The web configuration file: TLS, headers and users of the server's own HTTP listener.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::http::TlsVersion;
use crate::decode::{At, Cx, Setting};
use crate::error::{ConfigError, Fault, Source};
use crate::scalar::{PromDuration, Secret};
use crate::section::{Check, choice, section};
use crate::yaml::{Limits, parse};

section! {
    /// The file of `--web.config.file`. It is read anew for every connection, so a change needs no restart.
    pub struct WebConfig ("Web configuration file", "web.Config") {
        /// TLS of the listener; absent, the listener speaks plain HTTP.
        set tls_server_config: Option<TlsServerConfig>;
        /// Protocol and headers of the listener.
        set http_server_config: HttpServerConfig;
        /// User names and bcrypt hashes of their passwords; empty for no authentication.
        set basic_auth_users: BTreeMap<String, Secret>;
        /// The most requests over time.
        set rate_limit: Option<RateLimitConfig>;
    }
}

section! {
    /// TLS of the listener. Files are read anew for every connection.
    pub struct TlsServerConfig ("tls_server_config", "web.TLSConfig") {
        /// The certificate, as PEM.
        set cert: String;
        /// The key, as PEM.
        set key: Secret;
        /// A file with the certificate.
        set cert_file: PathBuf;
        /// A file with the key.
        set key_file: PathBuf;
        /// Whether clients must show a certificate.
        set client_auth_type: Option<ClientAuth>;
        /// Certificates of authorities trusted for clients, as PEM.
        set client_ca: String;
        /// A file with certificates of authorities trusted for clients.
        set client_ca_file: PathBuf;
        /// Names of which a client's certificate must have one.
        set client_allowed_sans: Vec<String>;
        /// Cipher suites of TLS 1.2; absent, the library's choice.
        set cipher_suites: Vec<String>;
        /// Elliptic curves; absent, the library's choice.
        set curve_preferences: Vec<String>;
        /// The lowest TLS version.
        set min_version: Option<TlsVersion>;
        /// The highest TLS version.
        set max_version: Option<TlsVersion>;
        /// Whether the server's order of cipher suites counts.
        set prefer_server_cipher_suites: bool = true;
    }
}

section! {
    /// Protocol and headers of the listener.
    pub struct HttpServerConfig ("http_server_config", "web.HTTPConfig") {
        /// Whether HTTP/2 is offered; only with TLS.
        set http2: bool = true;
        /// Headers added to every answer.
        set headers: BTreeMap<String, String>;
    }
}

section! {
    /// The most requests over time.
    pub struct RateLimitConfig ("rate_limit", "web.RateLimiterConfig") {
        /// Requests let through at once.
        set burst: i64 = 1;
        /// The time one request needs to be earned back; 0 for no limit.
        set interval: PromDuration;
    }
}

choice! {
    /// Whether clients must show a certificate.
    pub enum ClientAuth {
        /// No certificate is asked for.
        NoClientCert = "NoClientCert",
        /// One is asked for but not needed or checked.
        RequestClientCert = "RequestClientCert",
        /// Any certificate is needed.
        RequireAnyClientCert = "RequireAnyClientCert",
        /// The same under an older name.
        RequireClientCert = "RequireClientCert",
        /// One that is shown is checked.
        VerifyClientCertIfGiven = "VerifyClientCertIfGiven",
        /// A certificate is needed and checked.
        RequireAndVerifyClientCert = "RequireAndVerifyClientCert",
    }
    wrong |word| format!("invalid ClientAuth: {word}")
}

/// Headers an operator may set, each with the values allowed; empty for any.
const HEADERS: [(&str, &[&str]); 6] = [
    ("Cache-Control", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-XSS-Protection", &[]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("Strict-Transport-Security", &[]),
    ("Content-Security-Policy", &[]),
];

impl Check for HttpServerConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        let place = at.child("headers");
        for (name, value) in &self.headers {
            let known = HEADERS.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
            let Some((header, allowed)) = known else {
                let names: Vec<&str> = HEADERS.iter().map(|(header, _)| *header).collect();
                return Err(place
                    .fault(name, format!("HTTP header {name:?} can not be configured"))
                    .remedy(format!("configurable are: {}", names.join(", "))));
            };
            if !value.is_empty() && !allowed.is_empty() && !allowed.contains(&value.to_lowercase().as_str()) {
                return Err(place
                    .fault(
                        name,
                        format!(
                            "invalid value for {header}. Expected one of: {allowed:?}, but got: {value:?}"
                        ),
                    )
                    .remedy(format!("write one of: {}", allowed.join(", "))));
            }
        }
        Ok(())
    }
}

impl Check for TlsServerConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        let set = |key: &str| !at.text(key).is_empty();
        if !set("cert") && !set("cert_file") {
            return Err(at
                .fault("cert_file", "missing one of cert or cert_file")
                .remedy("add cert_file and key_file"));
        }
        if !set("key") && !set("key_file") {
            return Err(at.fault("key_file", "missing one of key or key_file").remedy("add key_file"));
        }
        for (inline, file) in [("cert", "cert_file"), ("key", "key_file"), ("client_ca", "client_ca_file")] {
            if set(inline) && set(file) {
                return Err(at
                    .fault(inline, format!("cannot set both {inline} and {file}"))
                    .remedy(format!("remove {inline} or {file}")));
            }
        }
        let authority = set("client_ca") || set("client_ca_file");
        let verifies = matches!(
            self.client_auth_type,
            Some(ClientAuth::RequireAndVerifyClientCert | ClientAuth::VerifyClientCertIfGiven)
        );
        let checks = matches!(
            self.client_auth_type,
            Some(ClientAuth::RequireAnyClientCert | ClientAuth::RequireClientCert)
        ) || verifies;
        if verifies && !authority {
            return Err(at
                .fault("client_auth_type", "client CA's have been configured without a Client Auth Policy")
                .remedy("add client_ca_file"));
        }
        if authority && matches!(self.client_auth_type, None | Some(ClientAuth::NoClientCert)) {
            return Err(at
                .fault("client_ca_file", "client CA's have been configured without a Client Auth Policy")
                .remedy("add client_auth_type: RequireAndVerifyClientCert"));
        }
        if !self.client_allowed_sans.is_empty() && !checks {
            return Err(at
                .fault(
                    "client_allowed_sans",
                    "client allowed SANs have been configured without a Client Auth Policy",
                )
                .remedy("add client_auth_type: RequireAndVerifyClientCert"));
        }
        if self.min_version > self.max_version && self.max_version.is_some() {
            return Err(at.fault("min_version", "min_version is above max_version").remedy("swap them"));
        }
        Ok(())
    }
}

impl Check for RateLimitConfig {}

impl Check for WebConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        let users = at.child("basic_auth_users");
        for (user, hash) in &self.basic_auth_users {
            let hash = hash.expose();
            let bcrypt = hash.len() == 60
                && ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|start| hash.starts_with(start));
            if !bcrypt {
                return Err(users
                    .fault(user, format!("the password of user {user:?} is not a bcrypt hash"))
                    .remedy(format!("write what `htpasswd -nBC 10 {user}` prints behind the colon")));
            }
        }
        Ok(())
    }
}

impl WebConfig {
    /// Reads a web configuration file.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let bytes = std::fs::read(file).map_err(|error| ConfigError::unreadable(file, &error))?;
        Self::from_text(file, &String::from_utf8_lossy(&bytes))
    }

    /// Reads a web configuration from text; `file` names it in errors, and relative paths start there.
    pub fn from_text(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let source = Source::new(file, text);
        let failed = |fault: Fault| ConfigError::new(&source, &[fault]);
        let root = parse(text, Limits::default()).map_err(failed)?;
        if root.is_null() {
            return Ok(Self::default());
        }
        let cx = Cx::new(file);
        let decoded = Self::decode(&root, &cx);
        cx.finish(decoded).map_err(|faults| ConfigError::new(&source, &faults))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";

    fn load(text: &str) -> Result<WebConfig, ConfigError> {
        WebConfig::from_text(Path::new("/etc/web.yml"), text)
    }

    #[test]
    fn a_complete_file_loads() {
        let text = format!(
            "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  min_version: TLS12\n\
             http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n\
             basic_auth_users:\n  alice: {HASH}\n"
        );
        let config = load(&text).unwrap();
        let tls = config.tls_server_config.unwrap();
        assert_eq!(tls.cert_file, PathBuf::from("/etc/server.crt"));
        assert_eq!(tls.min_version, Some(TlsVersion::Tls12));
        assert!(!config.http_server_config.http2);
        assert_eq!(config.basic_auth_users["alice"].expose(), HASH);
        assert_eq!(load("").unwrap(), WebConfig::default());
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_line() {
        let cases = [
            ("tls_server_config:\n  key_file: k\n", "missing one of cert or cert_file", 2),
            ("tls_server_config:\n  cert_file: c\n", "missing one of key or key_file", 2),
            (
                "http_server_config:\n  headers:\n    X-Own: a\n",
                "HTTP header \"X-Own\" can not be configured",
                3,
            ),
            (
                "http_server_config:\n  headers:\n    X-Frame-Options: maybe\n",
                "invalid value for X-Frame-Options",
                3,
            ),
            ("basic_auth_users:\n  bob: secret\n", "is not a bcrypt hash", 2),
            ("tls_config: {}\n", "field tls_config not found in type web.Config", 1),
            (
                "tls_server_config:\n  cert_file: c\n  key_file: k\n  client_ca_file: x\n",
                "without a Client Auth Policy",
                4,
            ),
            (
                "tls_server_config:\n  cert_file: c\n  key_file: k\n  client_auth_type: Maybe\n",
                "invalid ClientAuth: Maybe",
                4,
            ),
        ];
        for (text, message, line) in cases {
            let error = load(text).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
            assert_eq!(error.line(), line, "{error}");
            assert!(error.to_string().contains("remedy:"), "{error}");
        }
    }
}
