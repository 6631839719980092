//! Requests, authentication, headers, redirects, limits and failures over plain HTTP.

use std::time::Duration;

use httpclient::{ClientError, Request};

use crate::server::{Server, client, get, ok, try_client};

fn echo(_: &str) -> String {
    ok("hello")
}

#[tokio::test]
async fn connections_are_kept_and_secrets_read_anew() {
    let mut server = Server::plain(echo).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "first\n").unwrap();
    let client = client(&format!("basic_auth: {{username: user, password_file: {}}}", file.display()));
    assert_eq!(get(&client, &server.url("/a?b=c")).await.unwrap(), (200, "hello".to_owned()));
    let asked = server.next().await;
    assert!(asked.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{asked}");
    // base64 of user:first
    assert!(asked.contains("authorization: Basic dXNlcjpmaXJzdA=="), "{asked}");
    std::fs::write(&file, "second-one\n").unwrap();
    get(&client, &server.url("/")).await.unwrap();
    assert!(server.next().await.contains("authorization: Basic dXNlcjpzZWNvbmQtb25l"));
    std::fs::remove_file(&file).unwrap();
    let error = get(&client, &server.url("/")).await.unwrap_err();
    assert!(error.to_string().starts_with("unable to read password_file"), "{error}");
}

#[tokio::test]
async fn bearer_tokens_and_configured_headers_are_sent() {
    let mut server = Server::plain(echo).await;
    let bearer =
        client("authorization: {credentials: abc}\nhttp_headers: {X-One: {values: [a], secrets: [b]}}");
    get(&bearer, &server.url("/")).await.unwrap();
    let asked = server.next().await;
    for line in ["authorization: Bearer abc\r\n", "x-one: a\r\n", "x-one: b\r\n"] {
        assert!(asked.contains(line), "{line} is missing in {asked}");
    }
    let custom = client("authorization: {type: Token, credentials: abc}");
    get(&custom, &server.url("/")).await.unwrap();
    assert!(server.next().await.contains("authorization: Token abc\r\n"));
    let in_url = format!("http://me:pw@127.0.0.1:{}/", server.port);
    get(&client("scheme: http"), &in_url).await.unwrap();
    // base64 of me:pw
    assert!(server.next().await.contains("authorization: Basic bWU6cHc="));
}

fn redirecting(asked: &str) -> String {
    let hop =
        |to: &str, status: &str| format!("HTTP/1.1 {status}\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    match asked.split(' ').nth(1) {
        Some("/start") => hop("/second", "302 Found"),
        Some("/second") => hop("end", "307 Temporary Redirect"),
        Some("/loop") => hop("/loop", "301 Moved Permanently"),
        Some("/away") => {
            let host = asked.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
            hop(&format!("http://localhost:{}/end", host.rsplit(':').next().unwrap()), "302 Found")
        }
        _ => ok("end"),
    }
}

#[tokio::test]
async fn redirects_are_followed_within_bounds_and_only_if_allowed() {
    let mut server = Server::plain(redirecting).await;
    let follow = client("authorization: {credentials: abc}");
    assert_eq!(get(&follow, &server.url("/start")).await.unwrap().1, "end");
    for _ in 0..3 {
        assert!(server.next().await.contains("authorization: Bearer abc"));
    }
    let error = get(&follow, &server.url("/loop")).await.unwrap_err();
    assert!(error.to_string().ends_with("stopped after 10 redirects"), "{error}");
    let stay = client("follow_redirects: false");
    assert_eq!(get(&stay, &server.url("/start")).await.unwrap().0, 302);
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_host() {
    let mut server = Server::plain(redirecting).await;
    let client = client("authorization: {credentials: abc}\nhttp_headers: {X-Key: {secrets: [def]}}");
    assert_eq!(get(&client, &server.url("/away")).await.unwrap().1, "end");
    assert!(server.next().await.contains("Bearer abc"));
    let away = server.next().await;
    assert!(away.contains("host: localhost") && !away.contains("abc") && !away.contains("def"), "{away}");
}

#[tokio::test]
async fn bodies_are_capped() {
    let server = Server::plain(|_| ok(&"x".repeat(1000))).await;
    let client = client("scheme: http");
    let mut response = client.send(Request::get(server.url("/"), Duration::from_secs(20))).await.unwrap();
    let mut body = Vec::new();
    let error = response.read_body(&mut body, 999).await.unwrap_err();
    assert!(matches!(error, ClientError::BodyTooLarge { limit_bytes: 999 }));
    assert_eq!(body.len(), 999);
    let mut response = client.send(Request::get(server.url("/"), Duration::from_secs(20))).await.unwrap();
    let mut body = b"kept:".to_vec();
    response.read_body(&mut body, 1000).await.unwrap();
    assert_eq!(body.len(), 1005);
}

#[tokio::test]
async fn failures_name_method_url_and_cause_but_no_password() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let client = client("scheme: http");
    let error = get(&client, &format!("http://u:secret@127.0.0.1:{port}/m")).await.unwrap_err().to_string();
    let expected = format!(
        "Get \"http://u:xxxxx@127.0.0.1:{port}/m\": dial tcp 127.0.0.1:{port}: connect: connection refused"
    );
    assert_eq!(error, expected);
    let error = get(&client, "ftp://x/").await.unwrap_err().to_string();
    assert_eq!(error, "Get \"ftp://x/\": unsupported protocol scheme \"ftp\"");
}

#[tokio::test]
async fn a_silent_server_ends_in_a_timeout() {
    // Accepts through the backlog and never answers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let client = client("scheme: http");
    let error = client.send(Request::get(&url, Duration::from_millis(20))).await.unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(error.to_string(), format!("Get \"{url}\": context deadline exceeded"));
}

#[tokio::test]
async fn a_body_that_stops_ends_in_a_timeout() {
    let server = Server::plain(|_| "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_owned()).await;
    let client = client("scheme: http");
    let mut response = client.send(Request::get(server.url("/"), Duration::from_millis(300))).await.unwrap();
    let error = response.read_body(&mut Vec::new(), 100).await.unwrap_err();
    assert!(matches!(error, ClientError::BodyTimeout));
}

#[test]
fn what_cannot_work_is_refused_when_the_client_is_built() {
    let cases = [
        ("basic_auth: {username: a, password_ref: x}", "no secret manager is configured"),
        ("tls_config: {ca_file: /nonexistent}", "unable to read ca_file /nonexistent"),
        ("tls_config: {ca: nonsense}", "unable to use specified CA cert"),
        ("tls_config: {max_version: TLS11}", "only TLS 1.2 and 1.3 are supported"),
        ("proxy_url: ftp://x", "scheme must be http, https, socks5 or socks5h"),
    ];
    for (options, message) in cases {
        let error = try_client(options).unwrap_err().to_string();
        assert!(error.contains(message), "{options}: {error}");
    }
}
