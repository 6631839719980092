//! TLS with certificates made for the occasion.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::server::{Server, client, get, ok};

/// A certificate and its key, as PEM.
struct Pair {
    cert: String,
    key: String,
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issue(authority: &CertifiedIssuer<'static, KeyPair>, name: &str) -> Pair {
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    Pair { cert: cert.pem(), key: key.serialize_pem() }
}

/// A certificate signed by itself and marked as an authority, as `openssl req -x509` makes it.
fn self_signed(name: &str) -> Pair {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    Pair { cert: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

fn server_config(pair: &Pair, clients: Option<&str>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain = vec![CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    Arc::new(builder.with_single_cert(chain, key).unwrap())
}

fn write(dir: &Path, name: &str, content: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn a_chain_to_the_given_authority_is_trusted_and_no_other() {
    let (ca, other) = (authority(), authority());
    let server = Server::start(Some(server_config(&issue(&ca, "localhost"), None)), |_| ok("in")).await;
    let url = format!("https://localhost:{}/", server.port);
    let dir = tempfile::tempdir().unwrap();
    let trusting = client(&format!("tls_config: {{ca_file: {}}}", write(dir.path(), "ca.pem", &ca.pem())));
    assert_eq!(get(&trusting, &url).await.unwrap().1, "in");
    let wary = client(&format!("tls_config: {{ca_file: {}}}", write(dir.path(), "other.pem", &other.pem())));
    let error = get(&wary, &url).await.unwrap_err().to_string();
    assert!(error.contains("tls: ") && error.contains("certificate"), "{error}");
    let careless = client("tls_config: {insecure_skip_verify: true}");
    assert_eq!(get(&careless, &url).await.unwrap().1, "in");
    // The default trusts the system's authorities, of which this is none.
    assert!(get(&client("scheme: https"), &url).await.is_err());
}

#[tokio::test]
async fn the_server_name_is_asked_for_and_checked() {
    let ca = authority();
    let mut server =
        Server::start(Some(server_config(&issue(&ca, "service.internal"), None)), |_| ok("in")).await;
    let url = format!("https://127.0.0.1:{}/", server.port);
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "ca.pem", &ca.pem());
    let named = client(&format!("tls_config: {{ca_file: {file}, server_name: service.internal}}"));
    assert_eq!(get(&named, &url).await.unwrap().1, "in");
    assert_eq!(server.next().await, "TLS name=service.internal client=false");
    let unnamed = client(&format!("tls_config: {{ca_file: {file}}}"));
    assert!(get(&unnamed, &url).await.is_err());
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_when_it_is_given_itself() {
    let pair = self_signed("localhost");
    let server = Server::start(Some(server_config(&pair, None)), |_| ok("in")).await;
    let dir = tempfile::tempdir().unwrap();
    let pinned = client(&format!("tls_config: {{ca_file: {}}}", write(dir.path(), "self.pem", &pair.cert)));
    assert_eq!(get(&pinned, &format!("https://localhost:{}/", server.port)).await.unwrap().1, "in");
    let error = get(&pinned, &format!("https://127.0.0.1:{}/", server.port)).await.unwrap_err().to_string();
    assert!(error.contains("not valid for"), "{error}");
    let other = client(&format!(
        "tls_config: {{ca_file: {}}}",
        write(dir.path(), "o.pem", &self_signed("localhost").cert)
    ));
    assert!(get(&other, &format!("https://localhost:{}/", server.port)).await.is_err());
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_read_anew_when_it_changes() {
    let (ca, old_ca) = (authority(), authority());
    let mut server =
        Server::start(Some(server_config(&issue(&ca, "localhost"), Some(&ca.pem()))), |_| ok("in")).await;
    let url = format!("https://localhost:{}/", server.port);
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (issue(&old_ca, "client"), issue(&ca, "client"));
    let ca_file = write(dir.path(), "ca.pem", &ca.pem());
    let (cert, key) = (write(dir.path(), "cert.pem", &old.cert), write(dir.path(), "key.pem", &old.key));
    let client = client(&format!("tls_config: {{ca_file: {ca_file}, cert_file: {cert}, key_file: {key}}}"));
    assert!(get(&client, &url).await.is_err());
    assert_eq!(server.next().await, "TLS failed");
    std::fs::remove_file(&cert).unwrap();
    write(dir.path(), "cert.pem", &new.cert);
    std::fs::remove_file(&key).unwrap();
    write(dir.path(), "key.pem", &new.key);
    assert_eq!(get(&client, &url).await.unwrap().1, "in");
    assert_eq!(server.next().await, "TLS name=localhost client=true");
}
