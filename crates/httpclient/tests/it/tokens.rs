//! OAuth 2.0 client credentials.

use std::time::Duration;

use base::SimClock;
use httpclient::{Client, Request};

use crate::server::{Server, get, ok};

fn token(asked: &str) -> String {
    let id = if asked.contains("again") { "never" } else { "one" };
    ok(&format!(r#"{{"access_token": "tok-{id}", "token_type": "bearer", "expires_in": 3600}}"#))
}

fn client(token_url: &str, clock: std::sync::Arc<SimClock>) -> Client {
    let text = format!(
        "scrape_configs:\n- job_name: a\n  oauth2:\n    client_id: 'me&you'\n    client_secret: s3\n    token_url: {token_url}\n    scopes: [a, b]\n    endpoint_params: {{audience: x}}\n"
    );
    let config =
        config::Config::from_bytes("p.yml".as_ref(), text.as_bytes(), &config::LoadOptions::default())
            .unwrap();
    Client::new(&config.jobs[0].http, clock).unwrap()
}

#[tokio::test]
async fn a_token_is_fetched_once_and_again_when_it_expires() {
    let (mut tokens, mut target) = (Server::plain(token).await, Server::plain(|_| ok("in")).await);
    let clock = SimClock::at(1_000_000);
    let client = client(&tokens.url("/token"), clock.clone());
    for _ in 0..2 {
        assert_eq!(get(&client, &target.url("/")).await.unwrap().1, "in");
        assert!(target.next().await.contains("authorization: Bearer tok-one\r\n"));
    }
    let asked = tokens.next().await;
    assert!(asked.starts_with("POST /token HTTP/1.1\r\n"), "{asked}");
    // base64 of me%26you:s3
    assert!(asked.contains("authorization: Basic bWUlMjZ5b3U6czM="), "{asked}");
    assert!(asked.ends_with("grant_type=client_credentials&scope=a+b&audience=x"), "{asked}");
    assert!(tokens.asked.try_recv().is_err(), "the token was fetched twice");
    clock.advance(Duration::from_secs(3591));
    get(&client, &target.url("/")).await.unwrap();
    assert!(tokens.asked.try_recv().is_ok(), "the token was not renewed");
}

#[tokio::test]
async fn a_refused_token_says_why() {
    let tokens =
        Server::plain(|_| "HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\ngo away!\n".to_owned())
            .await;
    let client = client(&tokens.url("/token"), SimClock::at(0));
    let request = Request::get("http://127.0.0.1:1/", Duration::from_secs(20));
    let error = client.send(request).await.unwrap_err().to_string();
    assert_eq!(error, "oauth2: cannot fetch token: 401 Unauthorized\nResponse: go away!\n");
}
