//! Origins, users, headers, TLS and limits of connections.

use std::sync::Arc;
use std::time::Duration;

use api::server::{ClientDemand, Clients, Pem, Security, ServerOptions, TlsOptions, User};
use axum::http::{HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{TestServer, exchange, options, server_options};

#[tokio::test]
async fn browsers_of_allowed_origins_may_call() {
    let server = TestServer::start().await;
    let origin = [("Origin", "https://a.example")];
    let answer = server.send("GET", "/api/v1/query?query=1", &origin, "").await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://a.example"));
    let answer = server.send("OPTIONS", "/api/v1/query", &origin, "").await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET, POST, OPTIONS"));
    let answer =
        server.send("GET", "/api/v1/query?query=1", &[("Origin", "https://a.example.org")], "").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, None));
    server.stop().await;
}

#[tokio::test]
async fn only_known_users_are_served() {
    let password_hash = bcrypt::hash("secret", 4).unwrap();
    let users = vec![User { name: "me".to_owned(), password_hash }];
    let header = (HeaderName::from_static("x-frame-options"), HeaderValue::from_static("deny"));
    let security = Security { users, headers: vec![header] };
    let server = TestServer::start_with(options(), server_options(), security).await;
    let refused = server.get("/-/healthy").await;
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Basic")));
    assert_eq!(refused.header("x-frame-options"), Some("deny"));
    // "me:secret", "me:wrong" and "you:secret".
    for (credentials, status) in [("bWU6c2VjcmV0", 200), ("bWU6d3Jvbmc=", 401), ("eW91OnNlY3JldA==", 401)] {
        let authorization = format!("Basic {credentials}");
        for _ in 0..2 {
            let answer = server.send("GET", "/-/healthy", &[("Authorization", &authorization)], "").await;
            assert_eq!(answer.status, status, "{credentials}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn tls_serves_the_certificate_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert_file, key_file) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert_file, certificate.cert.pem()).unwrap();
    std::fs::write(&key_file, certificate.signing_key.serialize_pem()).unwrap();
    let tls = TlsOptions::new(Pem::File(cert_file), Pem::File(key_file));
    let listen = ServerOptions { tls: Some(tls), ..server_options() };
    let server = TestServer::start_with(options(), listen, Security::default()).await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(server.address).await.unwrap();
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let stream = connector.connect(name, stream).await.unwrap();
    assert_eq!(exchange(stream, "GET", "/-/healthy", &[], "").await.status, 200);
    server.stop().await;
}

/// An authority, and certificates it has signed.
pub struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pub pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: rcgen::Issuer::new(params, key), pem }
    }

    /// Certificate and key as PEM.
    pub fn signed(&self, name: &str) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// Whether the server answers a client with this certificate.
async fn is_answered(server: &TestServer, root: &str, client: Option<&(String, String)>) -> bool {
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate(root)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match client {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![certificate(chain)], key).unwrap()
        }
    };
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(server.address).await.unwrap();
    let Ok(mut stream) = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await else {
        return false;
    };
    let request = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut answer = Vec::new();
    // With TLS 1.3 a client learns only from what follows that it was refused.
    let _ = stream.write_all(request).await;
    let _ = stream.read_to_end(&mut answer).await;
    answer.starts_with(b"HTTP/1.1 200 ")
}

#[tokio::test]
async fn clients_show_certificates_as_demanded() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (certificate, key) = authority.signed("localhost");
    let (known, other) = (authority.signed("known.example"), authority.signed("other.example"));
    let foreign = stranger.signed("known.example");
    let shown = [None, Some(&known), Some(&other), Some(&foreign)];
    for (demand, names, expected) in [
        (ClientDemand::Nothing, &[][..], [true, true, true, true]),
        (ClientDemand::Request, &[], [true, true, true, true]),
        (ClientDemand::RequireAny, &[], [false, true, true, true]),
        (ClientDemand::RequireAny, &["known.example"], [false, true, false, true]),
        (ClientDemand::VerifyIfGiven, &[], [true, true, true, false]),
        (ClientDemand::VerifyIfGiven, &["known.example"], [true, true, false, false]),
        (ClientDemand::RequireAndVerify, &[], [false, true, true, false]),
        (ClientDemand::RequireAndVerify, &["x", "other.example"], [false, false, true, false]),
    ] {
        let clients = Clients {
            demand,
            authorities: Some(Pem::Inline(authority.pem.clone())),
            allowed_names: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        let certificate = Pem::Inline(certificate.clone());
        let tls = TlsOptions { clients, ..TlsOptions::new(certificate, Pem::Inline(key.clone())) };
        let listen = ServerOptions { tls: Some(tls), ..server_options() };
        let server = TestServer::start_with(options(), listen, Security::default()).await;
        for (client, expected) in shown.iter().zip(expected) {
            let answered = is_answered(&server, &authority.pem, *client).await;
            assert_eq!(answered, expected, "{demand:?} {names:?} {}", client.is_some());
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_self_signed_client_certificate_may_vouch_for_itself() {
    let self_signed = || {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let (trusted, other, authority) = (self_signed(), self_signed(), Authority::new());
    let (certificate, key) = authority.signed("localhost");
    let clients = Clients {
        demand: ClientDemand::RequireAndVerify,
        authorities: Some(Pem::Inline(trusted.0.clone())),
        ..Clients::default()
    };
    let tls = TlsOptions { clients, ..TlsOptions::new(Pem::Inline(certificate), Pem::Inline(key)) };
    let listen = ServerOptions { tls: Some(tls), ..server_options() };
    let server = TestServer::start_with(options(), listen, Security::default()).await;
    assert!(is_answered(&server, &authority.pem, Some(&trusted)).await);
    assert!(!is_answered(&server, &authority.pem, Some(&other)).await);
    server.stop().await;
}

#[test]
fn what_tls_cannot_do_is_told() {
    let authority = Authority::new();
    let (certificate, key) = authority.signed("localhost");
    let good = TlsOptions::new(Pem::Inline(certificate), Pem::Inline(key));
    assert_eq!(good.check(), Ok(()));
    let with_suites = |suites: &[&str]| TlsOptions {
        cipher_suites: suites.iter().map(|suite| (*suite).to_owned()).collect(),
        tls13: false,
        ..good.clone()
    };
    assert_eq!(with_suites(&["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]).check(), Ok(()));
    let (_, other_key) = authority.signed("localhost");
    for (options, problem) in [
        (with_suites(&["TLS_RSA_WITH_RC4_128_SHA"]), "cipher_suites: none of"),
        (TlsOptions { curves: vec!["CurveP521".to_owned()], ..good.clone() }, "curve_preferences: none of"),
        (TlsOptions { tls12: false, tls13: false, ..good.clone() }, "TLS: only versions 1.2 and 1.3"),
        (
            TlsOptions { certificate: Pem::Inline("x".to_owned()), ..good.clone() },
            "inline PEM: no certificate",
        ),
        (TlsOptions { key: Pem::Inline(other_key), ..good.clone() }, "inline PEM and inline PEM: "),
    ] {
        let error = options.check().unwrap_err();
        assert!(error.starts_with(problem), "{error}");
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_and_silent_ones_end() {
    let listen =
        ServerOptions { max_connections: 1, read_timeout: Duration::from_millis(200), ..server_options() };
    let server = TestServer::start_with(options(), listen, Security::default()).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    silent.write_all(b"GET /-/healthy HTTP/1.1\r\n").await.unwrap();
    // It is answered once the silent one has run into the timeout.
    assert_eq!(server.get("/-/healthy").await.status, 200);
    let mut rest = Vec::new();
    let _ = silent.read_to_end(&mut rest).await;
    server.stop().await;
}
