//! Options of every outgoing HTTP connection.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::decode::{At, Cx, Setting};
use crate::error::{ConfigError, Fault, Source};
use crate::scalar::{Secret, Url};
use crate::section::{Check, choice, section};
use crate::yaml::{Limits, parse_bytes};

section! {
    /// How to connect and authenticate to an HTTP server. These fields stand directly in the section that uses them.
    pub struct HttpClientConfig ("HTTP client", "config.HTTPClientConfig") {
        /// HTTP basic authentication.
        set basic_auth: Option<BasicAuth>;
        /// The `Authorization` header.
        set authorization: Option<Authorization>;
        /// OAuth 2.0 client credentials.
        set oauth2: Option<OAuth2>;
        /// Deprecated: a bearer token; use `authorization`.
        set bearer_token: Secret;
        /// Deprecated: a file with a bearer token, read anew when it changes; use `authorization`.
        set bearer_token_file: PathBuf;
        /// TLS of the connection.
        set tls_config: TlsConfig;
        /// Whether redirects are followed.
        always follow_redirects: bool = true;
        /// Whether HTTP/2 may be used.
        always enable_http2: bool = true;
        /// The proxy to connect through.
        inline proxy: ProxyConfig;
        /// Headers sent with each request.
        set http_headers: BTreeMap<String, HeaderConfig>;
    }
}

section! {
    /// User name and password.
    pub struct BasicAuth ("Basic authentication", "config.BasicAuth") {
        /// The user name.
        set username: String;
        /// A file with the user name, read anew when it changes.
        set username_file: PathBuf;
        /// The name of a secret with the user name; needs a secret manager, which is not supported.
        set username_ref: String;
        /// The password.
        set password: Secret;
        /// A file with the password, read anew when it changes.
        set password_file: PathBuf;
        /// The name of a secret with the password; needs a secret manager, which is not supported.
        set password_ref: String;
    }
}

section! {
    /// An `Authorization` header.
    pub struct Authorization ("Authorization", "config.Authorization") {
        /// The authentication scheme.
        set r#type: String = "Bearer".to_owned();
        /// The credentials.
        set credentials: Secret;
        /// A file with the credentials, read anew when it changes.
        set credentials_file: PathBuf;
        /// The name of a secret with the credentials; needs a secret manager, which is not supported.
        set credentials_ref: String;
    }
}

section! {
    /// OAuth 2.0 client credentials: a token is fetched from the token URL and used until it expires.
    pub struct OAuth2 ("OAuth 2.0", "config.plain") {
        /// The client's id.
        always client_id: String;
        /// The client's secret.
        set client_secret: Secret;
        /// A file with the client's secret, read anew when it changes.
        set client_secret_file: PathBuf;
        /// The name of a secret with the client's secret; needs a secret manager, which is not supported.
        set client_secret_ref: String;
        /// The id of the key a JWT grant is signed with.
        set client_certificate_key_id: String;
        /// The key a JWT grant is signed with.
        set client_certificate_key: Secret;
        /// A file with the key a JWT grant is signed with.
        set client_certificate_key_file: PathBuf;
        /// The name of a secret with the key a JWT grant is signed with.
        set client_certificate_key_ref: String;
        /// The grant: `client_credentials`, or a JWT grant, which is not supported.
        set grant_type: String;
        /// The issuer of a JWT grant.
        set iss: String;
        /// The audience of a JWT grant.
        set audience: String;
        /// The signature algorithm of a JWT grant.
        set signature_algorithm: String;
        /// Further claims of a JWT grant.
        set claims: BTreeMap<String, String>;
        /// The scopes to ask for.
        set scopes: Vec<String>;
        /// Where tokens are fetched.
        always token_url: String;
        /// Further parameters of the token request.
        set endpoint_params: BTreeMap<String, String>;
        /// TLS of the connection to the token URL.
        set tls_config: TlsConfig;
        /// The proxy to the token URL.
        inline proxy: ProxyConfig;
    }
}

section! {
    /// TLS of a client connection. Files are read anew when they change.
    pub struct TlsConfig ("TLS client", "config.plain") {
        /// Certificates of trusted authorities, as PEM.
        set ca: String;
        /// The client's certificate, as PEM.
        set cert: String;
        /// The client's key, as PEM.
        set key: Secret;
        /// A file with certificates of trusted authorities.
        set ca_file: PathBuf;
        /// A file with the client's certificate.
        set cert_file: PathBuf;
        /// A file with the client's key.
        set key_file: PathBuf;
        /// The name of a secret with the authorities; needs a secret manager, which is not supported.
        set ca_ref: String;
        /// The name of a secret with the certificate; needs a secret manager, which is not supported.
        set cert_ref: String;
        /// The name of a secret with the key; needs a secret manager, which is not supported.
        set key_ref: String;
        /// The name the server's certificate must be for, if not the host's.
        set server_name: String;
        /// Whether any certificate of the server is accepted. Dangerous.
        always insecure_skip_verify: bool;
        /// The lowest TLS version accepted. TLS 1.0 and 1.1 are never offered.
        set min_version: Option<TlsVersion>;
        /// The highest TLS version accepted.
        set max_version: Option<TlsVersion>;
    }
}

choice! {
    /// A TLS version.
    pub enum TlsVersion {
        /// TLS 1.0
        Tls10 = "TLS10",
        /// TLS 1.1
        Tls11 = "TLS11",
        /// TLS 1.2
        Tls12 = "TLS12",
        /// TLS 1.3
        Tls13 = "TLS13",
    }
    wrong |word| format!("unknown TLS version: {word}")
}

section! {
    /// The proxy of an outgoing connection.
    pub struct ProxyConfig ("Proxy", "config.ProxyConfig") {
        /// The proxy's URL: `http`, `https`, `socks5` or `socks5h`.
        set proxy_url: Url;
        /// Hosts, domains, addresses and networks reached without the proxy, separated by commas.
        set no_proxy: String;
        /// Whether `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` of the environment are used.
        set proxy_from_environment: bool;
        /// Headers sent to the proxy with CONNECT requests.
        set proxy_connect_header: BTreeMap<String, Vec<Secret>>;
    }
}

section! {
    /// The values of one header.
    pub struct HeaderConfig ("HTTP header", "config.Header") {
        /// Values.
        set values: Vec<String>;
        /// Values that are not shown.
        set secrets: Vec<Secret>;
        /// Files with a value each, read anew when they change.
        set files: Vec<PathBuf>;
    }
}

/// Headers that a user may not set, in lower case: the client manages them.
const RESERVED_HEADERS: [&str; 18] = [
    "authorization",
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
    "x-prometheus-scrape-timeout-seconds",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
];

/// Whether a user may not set `header` because the client manages it.
pub(crate) fn is_reserved_header(header: &str) -> bool {
    RESERVED_HEADERS.contains(&header.to_lowercase().as_str())
}

/// Fails when more than one of `keys` is set; `message` says what may be.
fn at_most_one(at: At<'_>, keys: &[(&str, bool)], message: &str) -> Result<(), Fault> {
    let set: Vec<&str> = keys.iter().filter(|(_, set)| *set).map(|(key, _)| *key).collect();
    match set.as_slice() {
        [first, .., last] => Err(at.fault(last, message).remedy(format!("remove {first} or {last}"))),
        _ => Ok(()),
    }
}

impl Check for HttpClientConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        let token = !self.bearer_token.expose().is_empty();
        let token_file = !self.bearer_token_file.as_os_str().is_empty();
        let (basic, oauth2) = (self.basic_auth.is_some(), self.oauth2.is_some());
        let tokens = [("bearer_token", token), ("bearer_token_file", token_file)];
        at_most_one(at, &tokens, "at most one of bearer_token & bearer_token_file must be configured")?;
        let ways = [
            ("basic_auth", basic),
            ("oauth2", oauth2),
            ("bearer_token", token),
            ("bearer_token_file", token_file),
        ];
        if (basic || oauth2) && (token || token_file) {
            at_most_one(
                at,
                &ways,
                "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured",
            )?;
        }
        if self.authorization.is_some() && (token || token_file) {
            let message = "authorization is not compatible with bearer_token & bearer_token_file";
            at_most_one(at, &[("authorization", true), tokens[0], tokens[1]], message)?;
        }
        let ways =
            [("basic_auth", basic), ("oauth2", oauth2), ("authorization", self.authorization.is_some())];
        at_most_one(at, &ways, "at most one of basic_auth, oauth2 & authorization must be configured")?;
        if token || token_file {
            // The old spelling of the same thing.
            self.authorization = Some(Authorization {
                credentials: std::mem::take(&mut self.bearer_token),
                credentials_file: std::mem::take(&mut self.bearer_token_file),
                ..Authorization::default()
            });
        }
        if let Some(name) = self.http_headers.keys().find(|name| is_reserved_header(name)) {
            let headers = at.child("http_headers");
            return Err(headers
                .fault(name, format!("setting header {:?} is not allowed", canonical_header(name)))
                .remedy("remove the header: the client sets it itself"));
        }
        self.proxy.validate(at)
    }
}

impl HttpClientConfig {
    /// Reads a file with the options of an HTTP client and nothing else.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let bytes = std::fs::read(file).map_err(|error| ConfigError::unreadable(file, &error))?;
        let source = Source::new(file, String::from_utf8_lossy(&bytes));
        let failed = |fault: Fault| ConfigError::new(&source, &[fault]);
        let root = parse_bytes(&bytes, Limits::default()).map_err(failed)?;
        if root.is_null() {
            return Ok(Self::default());
        }
        let cx = Cx::new(file);
        let decoded = Self::decode(&root, &cx);
        cx.finish(decoded).map_err(|faults| ConfigError::new(&source, &faults))
    }
}

/// `content-type` as `Content-Type`.
fn canonical_header(name: &str) -> String {
    let word = |word: &str| {
        let mut chars = word.chars();
        chars.next().map_or(String::new(), |first| {
            first.to_uppercase().collect::<String>() + &chars.as_str().to_lowercase()
        })
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

impl Check for BasicAuth {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        let names = ["username", "username_file", "username_ref"].map(|key| (key, at.value(key).is_some()));
        at_most_one(
            at,
            &names,
            "at most one of basic_auth username, username_file & username_ref must be configured",
        )?;
        let passwords =
            ["password", "password_file", "password_ref"].map(|key| (key, at.value(key).is_some()));
        at_most_one(
            at,
            &passwords,
            "at most one of basic_auth password, password_file & password_ref must be configured",
        )
    }
}

impl Check for Authorization {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        let keys =
            ["credentials", "credentials_file", "credentials_ref"].map(|key| (key, at.value(key).is_some()));
        at_most_one(
            at,
            &keys,
            "at most one of authorization credentials & credentials_file must be configured",
        )?;
        self.r#type = self.r#type.trim().to_owned();
        if self.r#type.is_empty() {
            self.r#type = "Bearer".to_owned();
        }
        if self.r#type.eq_ignore_ascii_case("basic") {
            let message = "authorization type cannot be set to \"basic\", use \"basic_auth\" instead";
            return Err(at
                .fault("type", message)
                .remedy("write a basic_auth section with username and password"));
        }
        Ok(())
    }
}

impl OAuth2 {
    /// Whether the configuration asks for a JWT grant.
    pub fn is_jwt_grant(&self) -> bool {
        self.grant_type.contains("jwt-bearer")
    }
}

impl Check for OAuth2 {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        if self.client_id.is_empty() && !self.is_jwt_grant() {
            return Err(at.fault("client_id", "oauth2 client_id must be configured").remedy("add client_id"));
        }
        if self.token_url.is_empty() {
            return Err(at.fault("token_url", "oauth2 token_url must be configured").remedy("add token_url"));
        }
        let keys = ["client_secret", "client_secret_file", "client_secret_ref"]
            .map(|key| (key, at.value(key).is_some()));
        at_most_one(
            at,
            &keys,
            "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be configured",
        )?;
        self.proxy.validate(at)
    }
}

impl Check for TlsConfig {
    fn check(&mut self, at: At<'_>, _: &Cx<'_>) -> Result<(), Fault> {
        for (keys, message) in [
            (["ca", "ca_file", "ca_ref"], "at most one of ca, ca_file & ca_ref must be configured"),
            (
                ["cert", "cert_file", "cert_ref"],
                "at most one of cert, cert_file & cert_ref must be configured",
            ),
            (["key", "key_file", "key_ref"], "at most one of key and key_file must be configured"),
        ] {
            at_most_one(at, &keys.map(|key| (key, at.value(key).is_some())), message)?;
        }
        let has = |keys: [&str; 3]| keys.iter().any(|key| at.value(key).is_some());
        match (has(["cert", "cert_file", "cert_ref"]), has(["key", "key_file", "key_ref"])) {
            (true, false) => {
                let message = "exactly one of key or key_file must be configured when a client certificate is configured";
                let key = if at.has("cert_file") { "cert_file" } else { "cert" };
                Err(at.fault(key, message).remedy("add key_file"))
            }
            (false, true) => {
                let message =
                    "exactly one of cert or cert_file must be configured when a client key is configured";
                let key = if at.has("key_file") { "key_file" } else { "key" };
                Err(at.fault(key, message).remedy("add cert_file"))
            }
            _ => Ok(()),
        }
    }
}

impl ProxyConfig {
    fn validate(&self, at: At<'_>) -> Result<(), Fault> {
        let url = !self.proxy_url.as_str().is_empty();
        let fail = |key: &str, message: &str| {
            Err(at.fault(key, message).remedy(format!("remove {key}, or set what it needs")))
        };
        if !self.proxy_connect_header.is_empty() && !self.proxy_from_environment && !url {
            return fail(
                "proxy_connect_header",
                "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured",
            );
        }
        if self.proxy_from_environment && url {
            return fail(
                "proxy_url",
                "if proxy_from_environment is configured, proxy_url must not be configured",
            );
        }
        if self.proxy_from_environment && !self.no_proxy.is_empty() {
            return fail(
                "no_proxy",
                "if proxy_from_environment is configured, no_proxy must not be configured",
            );
        }
        if !url && !self.no_proxy.is_empty() {
            return fail("no_proxy", "if no_proxy is configured, proxy_url must also be configured");
        }
        Ok(())
    }
}

impl Check for ProxyConfig {}
impl Check for HeaderConfig {}
