//! The same promises, of a real server that speaks Azure Blob Storage.

use std::io::{Read, Write};
use std::net::TcpStream;

use base::SystemClock;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use testkit::azure::{ACCOUNT, AzureServer, KEY};

use super::{counts_together, keeps_the_promises, takes_what_is_larger_than_a_part};
use crate::{BlobError, Bucket, RemoteBucket, RemoteOptions};

/// Makes a container: requests that make one are signed as others are, and no part of what a bucket does.
fn make_container(server: &AzureServer, name: &str) {
    let headers = "x-ms-date:Sat, 21 Nov 2026 00:00:00 GMT\nx-ms-version:2021-08-06\n";
    let text = format!("PUT\n\n\n\n\n\n\n\n\n\n\n\n{headers}/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container");
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &STANDARD.decode(KEY).unwrap());
    let signature = STANDARD.encode(ring::hmac::sign(&key, text.as_bytes()));
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    write!(
        stream,
        "PUT /{ACCOUNT}/{name}?restype=container HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
         Content-Length: 0\r\nAuthorization: SharedKey {ACCOUNT}:{signature}\r\n{}\r\n",
        headers.replace(':', ": ").replace("00: 00: 00", "00:00:00").replace('\n', "\r\n")
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

#[test]
fn an_azure_server_keeps_the_promises() {
    let Some(server) = AzureServer::start("an_azure_server_keeps_the_promises") else { return };
    make_container(&server, "logs");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let open = |url: &str| {
        let options = RemoteOptions {
            settings: vec![
                setting("endpoint", &server.endpoint()),
                setting("allow_http", "true"),
                setting("account_name", ACCOUNT),
                setting("account_key", KEY),
            ],
            from_environment: false,
            ..RemoteOptions::new(url)
        };
        RemoteBucket::open(&options, SystemClock::shared(), runtime.handle().clone()).unwrap()
    };
    let bucket = open("az://logs/some/prefix");
    keeps_the_promises(&bucket);
    counts_together(&bucket);
    takes_what_is_larger_than_a_part(&bucket);
    assert!(matches!(open("az://nowhere").get("x", 10), Err(BlobError::NotFound(_))));
}
