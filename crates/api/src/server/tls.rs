//! TLS with certificates that are read again when their files change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Where the server's certificate and key lie, and whom it asks for theirs.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate chain, PEM.
    pub cert_file: PathBuf,
    /// The private key, PEM.
    pub key_file: PathBuf,
    /// Authorities whose certificates clients may show.
    pub client_ca_file: Option<PathBuf>,
    /// Whether a client without a certificate is refused.
    pub require_client_cert: bool,
    /// Whether only TLS 1.3 is spoken.
    pub only_tls13: bool,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
}

impl TlsFiles {
    /// Whether a server could be started with these files; the error is for the operator.
    pub fn check(&self) -> Result<(), String> {
        acceptor(self).map(|_| ())
    }
}

/// An acceptor for these files; the error is for the operator.
pub fn acceptor(files: &TlsFiles) -> Result<tokio_rustls::TlsAcceptor, String> {
    let provider = Arc::new(ring::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] =
        if files.only_tls13 { &[&rustls::version::TLS13] } else { rustls::ALL_VERSIONS };
    let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(|error| format!("TLS: {error}"))?;
    let builder = match &files.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(path)?), provider);
            let verifier =
                if files.require_client_cert { verifier } else { verifier.allow_unauthenticated() };
            let verifier = verifier.build().map_err(|error| format!("{}: {error}", path.display()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(Reloading::new(files)?));
    config.alpn_protocols =
        if files.http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    Ok(tokio_rustls::TlsAcceptor::from(Arc::new(config)))
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(store)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
    read().map_err(|error| format!("{}: {error}", path.display()))
}

/// Serves the certificate as it is on disk.
#[derive(Debug)]
struct Reloading {
    cert_file: PathBuf,
    key_file: PathBuf,
    current: Mutex<(Stamp, Arc<CertifiedKey>)>,
}

type Stamp = (Option<SystemTime>, Option<SystemTime>);

impl Reloading {
    fn new(files: &TlsFiles) -> Result<Self, String> {
        let (cert_file, key_file) = (files.cert_file.clone(), files.key_file.clone());
        let key = load(&cert_file, &key_file)?;
        let current = Mutex::new((stamp(&cert_file, &key_file), key));
        Ok(Self { cert_file, key_file, current })
    }
}

impl ResolvesServerCert for Reloading {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut current = self.current.lock();
        let now = stamp(&self.cert_file, &self.key_file);
        if now != current.0 {
            current.0 = now;
            match load(&self.cert_file, &self.key_file) {
                Ok(key) => current.1 = key,
                Err(error) => tracing::error!(error, "keeping the certificate loaded before"),
            }
        }
        Some(current.1.clone())
    }
}

fn stamp(cert_file: &Path, key_file: &Path) -> Stamp {
    let modified = |path: &Path| std::fs::metadata(path).and_then(|m| m.modified()).ok();
    (modified(cert_file), modified(key_file))
}

fn load(cert_file: &Path, key_file: &Path) -> Result<Arc<CertifiedKey>, String> {
    let chain = certificates(cert_file)?;
    let key =
        PrivateKeyDer::from_pem_file(key_file).map_err(|error| format!("{}: {error}", key_file.display()))?;
    let key = ring::sign::any_supported_type(&key).map_err(|e| format!("{}: {e}", key_file.display()))?;
    let certified = CertifiedKey::new(chain, key);
    certified
        .keys_match()
        .map_err(|error| format!("{} and {}: {error}", cert_file.display(), key_file.display()))?;
    Ok(Arc::new(certified))
}
