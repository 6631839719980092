//! Origins, users, headers, TLS and limits of connections.

use std::sync::Arc;
use std::time::Duration;

use api::server::{Security, ServerOptions, TlsFiles, User};
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
    let tls = TlsFiles {
        cert_file,
        key_file,
        client_ca_file: None,
        require_client_cert: false,
        only_tls13: false,
        http2: true,
    };
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
