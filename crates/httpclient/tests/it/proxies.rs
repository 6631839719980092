//! HTTP and SOCKS proxies.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::server::{Server, client, get, ok, read_request};

#[tokio::test]
async fn plain_requests_name_the_whole_url_to_the_proxy() {
    let mut proxy = Server::plain(|_| ok("from the proxy")).await;
    let client = client(&format!("proxy_url: http://me:pw@127.0.0.1:{}", proxy.port));
    assert_eq!(get(&client, "http://target.test/metrics").await.unwrap().1, "from the proxy");
    let asked = proxy.next().await;
    assert!(asked.starts_with("GET http://target.test/metrics HTTP/1.1\r\n"), "{asked}");
    // base64 of me:pw
    assert!(asked.contains("proxy-authorization: Basic bWU6cHc="), "{asked}");
}

#[tokio::test]
async fn tls_goes_through_a_tunnel() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let asked = read_request(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await.unwrap();
        asked
    });
    let client =
        client(&format!("proxy_url: http://127.0.0.1:{port}\nproxy_connect_header: {{X-Team: [a]}}"));
    let error = get(&client, "https://target.test/").await.unwrap_err().to_string();
    assert_eq!(error, "Get \"https://target.test/\": proxyconnect tcp: 407 Proxy Authentication Required");
    let asked = seen.await.unwrap();
    assert!(asked.starts_with("CONNECT target.test:443 HTTP/1.1\r\nHost: target.test:443\r\n"), "{asked}");
    assert!(asked.contains("X-Team: a\r\n"), "{asked}");
}

#[tokio::test]
async fn socks_proxies_resolve_names() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).await.unwrap();
        stream.write_all(&[5, 2]).await.unwrap();
        let mut login = [0; 7];
        stream.read_exact(&mut login).await.unwrap();
        stream.write_all(&[1, 0]).await.unwrap();
        let mut request = [0; 4 + 1 + 11 + 2];
        stream.read_exact(&mut request).await.unwrap();
        stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]).await.unwrap();
        let asked = read_request(&mut stream).await.unwrap();
        stream.write_all(ok("through socks").as_bytes()).await.unwrap();
        (login.to_vec(), request.to_vec(), asked)
    });
    let client = client(&format!("proxy_url: socks5://me:pw@127.0.0.1:{port}"));
    assert_eq!(get(&client, "http://target.test/x").await.unwrap().1, "through socks");
    let (login, request, asked) = seen.await.unwrap();
    assert_eq!(login, b"\x01\x02me\x02pw");
    assert_eq!(request, b"\x05\x01\x00\x03\x0btarget.test\x00\x50");
    assert!(asked.starts_with("GET /x HTTP/1.1\r\n"), "{asked}");
}
