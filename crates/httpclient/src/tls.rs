//! TLS options to a rustls configuration.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use config::{TlsConfig, TlsVersion};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::error::ClientError;
use crate::files::{Signature, read};

/// A rustls configuration, and the state of the files it was built from.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) rustls: Arc<ClientConfig>,
    pub(crate) files: Vec<Option<Signature>>,
}

/// The state of the files that `config` names.
pub(crate) fn signatures(config: &TlsConfig) -> Vec<Option<Signature>> {
    let files = [&config.ca_file, &config.cert_file, &config.key_file];
    files.into_iter().filter(|file| !file.as_os_str().is_empty()).map(|file| Signature::of(file)).collect()
}

/// Builds a configuration; `alpn` are the protocols offered.
pub(crate) fn build(config: &TlsConfig, alpn: &[&[u8]]) -> Result<Built, ClientError> {
    // Taken before the files are read: a change in between makes the next request build anew.
    let files = signatures(config);
    if ![&config.ca_ref, &config.cert_ref, &config.key_ref].into_iter().all(String::is_empty) {
        return Err(ClientError::Tls(
            "cannot look up TLS secrets: no secret manager is configured".to_owned(),
        ));
    }
    let failed = |error: Error| ClientError::Tls(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_protocol_versions(&versions(config)?).map_err(failed)?;
    let trust = if config.insecure_skip_verify { Trust::Any } else { trust(config, provider.clone())? };
    let verifier = Arc::new(Verifier { provider, trust });
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut rustls = match client_certificate(config)? {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(failed)?,
        None => builder.with_no_client_auth(),
    };
    rustls.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Built { rustls: Arc::new(rustls), files })
}

fn versions(config: &TlsConfig) -> Result<Vec<&'static rustls::SupportedProtocolVersion>, ClientError> {
    let known = [(TlsVersion::Tls12, &rustls::version::TLS12), (TlsVersion::Tls13, &rustls::version::TLS13)];
    let fits = |version: TlsVersion| {
        config.min_version.is_none_or(|min| version >= min)
            && config.max_version.is_none_or(|max| version <= max)
    };
    let chosen: Vec<_> =
        known.into_iter().filter(|(version, _)| fits(*version)).map(|(_, version)| version).collect();
    if chosen.is_empty() {
        return Err(ClientError::Tls(
            "tls: only TLS 1.2 and 1.3 are supported; raise max_version to TLS12 or more".to_owned(),
        ));
    }
    Ok(chosen)
}

fn content(given: &str, what: &'static str, file: &Path) -> Result<Vec<u8>, ClientError> {
    if file.as_os_str().is_empty() { Ok(given.as_bytes().to_vec()) } else { read(what, file) }
}

fn trust(config: &TlsConfig, provider: Arc<CryptoProvider>) -> Result<Trust, ClientError> {
    let own = content(&config.ca, "ca_file", &config.ca_file)?;
    let failed = |error: &dyn std::fmt::Display| {
        ClientError::Tls(format!("cannot use the trusted certificates: {error}"))
    };
    if own.is_empty() {
        let inner = WebPkiServerVerifier::builder_with_provider(system_roots()?, provider);
        return inner.build().map(Trust::Chains).map_err(|error| failed(&error));
    }
    let pinned: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&own).collect::<Result<_, _>>().map_err(|error| failed(&error))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(pinned.iter().cloned());
    if roots.is_empty() {
        return Err(ClientError::Tls(format!(
            "unable to use specified CA cert {}",
            config.ca_file.display()
        )));
    }
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    Ok(Trust::Pinned(inner.build().map_err(|error| failed(&error))?, pinned))
}

/// The operating system's trusted authorities, loaded once.
fn system_roots() -> Result<Arc<RootCertStore>, ClientError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            // The verifier refuses to be built without any root. One that signs nothing keeps plain
            // HTTP and `insecure_skip_verify` working on a machine without certificates.
            roots.roots.push(rustls_pki_types::TrustAnchor {
                subject: Vec::new().into(),
                subject_public_key_info: Vec::new().into(),
                name_constraints: None,
            });
        }
        Arc::new(roots)
    });
    Ok(roots.clone())
}

type ClientCertificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn client_certificate(config: &TlsConfig) -> Result<Option<ClientCertificate>, ClientError> {
    let cert = content(&config.cert, "cert_file", &config.cert_file)?;
    let key = content(config.key.expose(), "key_file", &config.key_file)?;
    if cert.is_empty() && key.is_empty() {
        return Ok(None);
    }
    let failed = |error: &dyn std::fmt::Display| {
        ClientError::Tls(format!("unable to use specified client cert & key: {error}"))
    };
    let chain = CertificateDer::pem_slice_iter(&cert)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| failed(&error))?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| failed(&error))?;
    if chain.is_empty() { Err(failed(&"no certificate found")) } else { Ok(Some((chain, key))) }
}

/// Which servers are trusted. Signatures are checked in any case: a server must own the key it shows.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    trust: Trust,
}

#[derive(Debug)]
enum Trust {
    /// Any, as `insecure_skip_verify` asks.
    Any,
    /// Those with a chain to a trusted authority.
    Chains(Arc<WebPkiServerVerifier>),
    /// Those too whose own certificate is among the trusted ones: self-signed certificates are marked as
    /// authorities, and webpki refuses those as servers.
    Pinned(Arc<WebPkiServerVerifier>, Vec<CertificateDer<'static>>),
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let (chains, pinned) = match &self.trust {
            Trust::Any => return Ok(ServerCertVerified::assertion()),
            Trust::Chains(chains) => (chains, &[][..]),
            Trust::Pinned(chains, pinned) => (chains, &pinned[..]),
        };
        let verified = chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let Err(Error::InvalidCertificate(CertificateError::Other(reason))) = &verified else {
            return verified;
        };
        // webpki checks the time of validity before it looks at what the certificate may be used for, so
        // only the name is left to check.
        let used_as_server = reason.to_string().contains("CaUsedAsEndEntity");
        if !used_as_server || !pinned.iter().any(|pinned| pinned == end_entity) {
            return verified;
        }
        rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
