//! Whose certificates are accepted.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::Pem;
use super::names::alternative_names;

/// Whether clients must show a certificate, and whether somebody must vouch for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientDemand {
    /// None is asked for.
    #[default]
    Nothing,
    /// One is asked for, and may be any.
    Request,
    /// One is needed, and may be any.
    RequireAny,
    /// One that is shown is verified.
    VerifyIfGiven,
    /// One is needed and verified.
    RequireAndVerify,
}

/// What is demanded of clients.
#[derive(Debug, Clone, Default)]
pub struct Clients {
    /// Whether they must show a certificate.
    pub demand: ClientDemand,
    /// The authorities that vouch for certificates.
    pub authorities: Option<Pem>,
    /// Names of which a certificate that is shown must have one; empty for any.
    pub allowed_names: Vec<String>,
}

impl Clients {
    /// What checks certificates; `None` if none are asked for.
    pub(super) fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
        let inner = match self.demand {
            ClientDemand::Nothing => return Ok(None),
            ClientDemand::Request => AnyClient::new(provider, false),
            ClientDemand::RequireAny => AnyClient::new(provider, true),
            ClientDemand::VerifyIfGiven => self.verified(provider, false)?,
            ClientDemand::RequireAndVerify => self.verified(provider, true)?,
        };
        if self.allowed_names.is_empty() {
            return Ok(Some(inner));
        }
        Ok(Some(Arc::new(Named { inner, allowed: self.allowed_names.clone() })))
    }

    fn verified(
        &self,
        provider: Arc<CryptoProvider>,
        required: bool,
    ) -> Result<Arc<dyn ClientCertVerifier>, String> {
        let authorities = self
            .authorities
            .as_ref()
            .ok_or("client certificates can only be verified with client_ca_file")?;
        let mut roots = RootCertStore::empty();
        for certificate in authorities.certificates()? {
            roots.add(certificate).map_err(|error| authorities.failed(&error))?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = if required { verifier } else { verifier.allow_unauthenticated() };
        Ok(verifier.build().map_err(|error| authorities.failed(&error))?)
    }
}

/// Accepts every certificate whose key the client owns.
#[derive(Debug)]
struct AnyClient {
    provider: Arc<CryptoProvider>,
    required: bool,
}

impl AnyClient {
    fn new(provider: Arc<CryptoProvider>, required: bool) -> Arc<dyn ClientCertVerifier> {
        Arc::new(Self { provider, required })
    }
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
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

/// Accepts of the certificates another verifier accepts those with an allowed name.
#[derive(Debug)]
struct Named {
    inner: Arc<dyn ClientCertVerifier>,
    allowed: Vec<String>,
}

impl ClientCertVerifier for Named {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now)?;
        // Names are compared as they are written: a wildcard stands for itself only.
        if alternative_names(end_entity).iter().any(|name| self.allowed.contains(name)) {
            return Ok(verified);
        }
        Err(Error::General("could not find allowed SANs in client certificate".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
