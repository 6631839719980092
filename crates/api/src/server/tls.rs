//! TLS with certificates that are read again when their files change.
//!
//! In reading order: `clients` (whose certificates are accepted), `names` (what a certificate is for).

mod clients;
mod names;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub use self::clients::{ClientDemand, Clients};

/// PEM data, as a file or as it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// In a file, read again when it changes.
    File(PathBuf),
    /// Here.
    Inline(String),
}

impl std::fmt::Debug for Pem {
    /// Keeps inline data, which may be a key, out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.place())
    }
}

impl Pem {
    /// Where the data is, for the operator.
    fn place(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Inline(_) => "inline PEM".to_owned(),
        }
    }

    fn failed(&self, problem: &dyn std::fmt::Display) -> String {
        format!("{}: {problem}", self.place())
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let read = || match self {
            Self::File(path) => CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>(),
            Self::Inline(text) => CertificateDer::pem_slice_iter(text.as_bytes()).collect(),
        };
        let found = read().map_err(|error| self.failed(&error))?;
        if found.is_empty() { Err(self.failed(&"no certificate found")) } else { Ok(found) }
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, String> {
        let read = match self {
            Self::File(path) => PrivateKeyDer::from_pem_file(path),
            Self::Inline(text) => PrivateKeyDer::from_pem_slice(text.as_bytes()),
        };
        read.map_err(|error| self.failed(&error))
    }

    fn changed(&self) -> Option<SystemTime> {
        match self {
            Self::File(path) => std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok(),
            Self::Inline(_) => None,
        }
    }
}

/// The server's certificate and key, whom it asks for theirs, and what it speaks.
#[derive(Debug, Clone)]
pub struct TlsOptions {
    /// The certificate chain.
    pub certificate: Pem,
    /// The private key.
    pub key: Pem,
    /// Whose certificates are asked for and accepted.
    pub clients: Clients,
    /// Whether TLS 1.2 is spoken.
    pub tls12: bool,
    /// Whether TLS 1.3 is spoken.
    pub tls13: bool,
    /// Cipher suites of TLS 1.2 by their registered names, best first; empty for the library's choice.
    pub cipher_suites: Vec<String>,
    /// Curves by Go's names, best first; empty for the library's choice.
    pub curves: Vec<String>,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
}

impl TlsOptions {
    /// Both versions, with this certificate and without clients' certificates.
    pub fn new(certificate: Pem, key: Pem) -> Self {
        Self {
            certificate,
            key,
            clients: Clients::default(),
            tls12: true,
            tls13: true,
            cipher_suites: Vec::new(),
            curves: Vec::new(),
            http2: true,
        }
    }

    /// Whether a server could be started with these options; the error is for the operator.
    pub fn check(&self) -> Result<(), String> {
        acceptor(self).map(|_| ())
    }
}

/// An acceptor with these options; the error is for the operator.
pub fn acceptor(options: &TlsOptions) -> Result<tokio_rustls::TlsAcceptor, String> {
    let provider = Arc::new(provider(options)?);
    let versions: Vec<_> =
        [(options.tls12, &rustls::version::TLS12), (options.tls13, &rustls::version::TLS13)]
            .into_iter()
            .filter_map(|(spoken, version)| spoken.then_some(version))
            .collect();
    if versions.is_empty() {
        return Err("TLS: only versions 1.2 and 1.3 are supported".to_owned());
    }
    let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .map_err(|error| format!("TLS: {error}"))?;
    let builder = match options.clients.verifier(provider)? {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    let mut config = builder.with_cert_resolver(Arc::new(Reloading::new(options)?));
    config.alpn_protocols =
        if options.http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    Ok(tokio_rustls::TlsAcceptor::from(Arc::new(config)))
}

/// The cryptography, without what the operator does not want.
fn provider(options: &TlsOptions) -> Result<CryptoProvider, String> {
    let mut provider = ring::default_provider();
    if !options.cipher_suites.is_empty() {
        let all = std::mem::take(&mut provider.cipher_suites);
        let named = |name: &String| {
            all.iter().find(|suite| format!("{:?}", suite.suite()) == *name && suite.tls13().is_none())
        };
        let chosen: Vec<_> = options.cipher_suites.iter().filter_map(named).copied().collect();
        if chosen.is_empty() && options.tls12 && !options.tls13 {
            return Err(format!("cipher_suites: none of {:?} is supported", options.cipher_suites));
        }
        // Those of TLS 1.3 are no matter of choice.
        provider.cipher_suites = all.into_iter().filter(|suite| suite.tls13().is_some()).collect();
        provider.cipher_suites.extend(chosen);
    }
    if !options.curves.is_empty() {
        let all = std::mem::take(&mut provider.kx_groups);
        let group = |name: &str| match name {
            "CurveP256" => Some(rustls::NamedGroup::secp256r1),
            "CurveP384" => Some(rustls::NamedGroup::secp384r1),
            "X25519" => Some(rustls::NamedGroup::X25519),
            _ => None,
        };
        let wanted = options.curves.iter().filter_map(|name| group(name));
        provider.kx_groups =
            wanted.filter_map(|wanted| all.iter().find(|group| group.name() == wanted)).copied().collect();
        if provider.kx_groups.is_empty() {
            return Err(format!("curve_preferences: none of {:?} is supported", options.curves));
        }
    }
    Ok(provider)
}

/// Serves the certificate as it is now.
#[derive(Debug)]
struct Reloading {
    certificate: Pem,
    key: Pem,
    current: Mutex<(Stamp, Arc<CertifiedKey>)>,
}

type Stamp = (Option<SystemTime>, Option<SystemTime>);

impl Reloading {
    fn new(options: &TlsOptions) -> Result<Self, String> {
        let (certificate, key) = (options.certificate.clone(), options.key.clone());
        let stamp = (certificate.changed(), key.changed());
        let current = Mutex::new((stamp, load(&certificate, &key)?));
        Ok(Self { certificate, key, current })
    }
}

impl ResolvesServerCert for Reloading {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut current = self.current.lock();
        let now = (self.certificate.changed(), self.key.changed());
        if now != current.0 {
            current.0 = now;
            match load(&self.certificate, &self.key) {
                Ok(key) => current.1 = key,
                Err(error) => tracing::error!(error, "keeping the certificate loaded before"),
            }
        }
        Some(current.1.clone())
    }
}

fn load(certificate: &Pem, key: &Pem) -> Result<Arc<CertifiedKey>, String> {
    let chain = certificate.certificates()?;
    let signing = ring::sign::any_supported_type(&key.key()?).map_err(|error| key.failed(&error))?;
    let certified = CertifiedKey::new(chain, signing);
    certified
        .keys_match()
        .map_err(|error| format!("{} and {}: {error}", certificate.place(), key.place()))?;
    Ok(Arc::new(certified))
}
