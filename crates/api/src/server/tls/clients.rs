//! Whose certificates are accepted.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
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
        let (verifies, required) = match self.demand {
            ClientDemand::Nothing => return Ok(None),
            ClientDemand::Request => (false, false),
            ClientDemand::RequireAny => (false, true),
            ClientDemand::VerifyIfGiven => (true, false),
            ClientDemand::RequireAndVerify => (true, true),
        };
        let vouched = if verifies { Some(self.vouched(provider.clone())?) } else { None };
        Ok(Some(Arc::new(Verifier { provider, required, vouched, allowed: self.allowed_names.clone() })))
    }

    fn vouched(&self, provider: Arc<CryptoProvider>) -> Result<Vouched, String> {
        let authorities = self
            .authorities
            .as_ref()
            .ok_or("client certificates can only be verified with client_ca_file")?;
        let pinned = authorities.certificates()?;
        let mut roots = RootCertStore::empty();
        for certificate in &pinned {
            roots.add(certificate.clone()).map_err(|error| authorities.failed(&error))?;
        }
        let chains = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| authorities.failed(&error))?;
        Ok(Vouched { chains, pinned })
    }
}

/// The authorities that vouch for clients.
#[derive(Debug)]
struct Vouched {
    chains: Arc<dyn ClientCertVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

impl Vouched {
    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let verified = self.chains.verify_client_cert(end_entity, intermediates, now);
        let Err(Error::InvalidCertificate(CertificateError::Other(reason))) = &verified else {
            return verified.map(drop);
        };
        // Self-signed certificates are marked as authorities, and webpki refuses those as clients, after it
        // has checked the time of validity. One that is itself trusted is meant.
        let used_as_client = reason.to_string().contains("CaUsedAsEndEntity");
        let is_trusted = self.pinned.iter().any(|pinned| pinned == end_entity);
        if used_as_client && is_trusted { Ok(()) } else { verified.map(drop) }
    }
}

/// Checks clients' certificates. A client must own the key of the one it shows in any case.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    required: bool,
    /// Who must vouch for a certificate; `None` if any is accepted.
    vouched: Option<Vouched>,
    /// Names of which a certificate must have one; empty for any.
    allowed: Vec<String>,
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.vouched.as_ref().map_or(&[], |vouched| vouched.chains.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(vouched) = &self.vouched {
            vouched.verify(end_entity, intermediates, now)?;
        }
        // Names are compared as they are written: a wildcard stands for itself only.
        let is_allowed = |name| self.allowed.contains(name);
        if !self.allowed.is_empty() && !alternative_names(end_entity).iter().any(is_allowed) {
            return Err(Error::General("could not find allowed SANs in client certificate".to_owned()));
        }
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
