//! Other servers that are asked for browsers.

use api::server::{ClientDemand, Clients, Pem, ServerOptions, TlsOptions};
use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use serde_json::{Value, json};

use super::{CLOSED, Desk, serve, serve_at};
use crate::security::Authority;
use crate::server::server_options;

#[tokio::test]
async fn data_sources_are_asked_for_browsers() {
    let echo = any(|request: Request| async move {
        let told =
            |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap_or("").to_owned());
        let (authorization, tenant, cookie) = (told("authorization"), told("x-scope-orgid"), told("cookie"));
        let asked = format!("{} {}", request.method(), request.uri());
        axum::Json(
            json!({"asked": asked, "authorization": authorization, "tenant": tenant, "cookie": cookie}),
        )
    });
    let (upstream, _end) = serve(Router::new().fallback(echo)).await;
    let desk = Desk::start(CLOSED).await;
    let admin = desk.log_in("admin").await;
    let source = json!({
        "source": {"uid": "p", "name": "P", "kind": "prometheus", "url": format!("http://{upstream}/base/"),
                   "settings": {"basicAuthUser": "me", "httpHeaderName1": "X-Scope-OrgID"}},
        "secrets": {"basicAuthPassword": "secret", "httpHeaderValue1": "team-a"},
    });
    assert_eq!(desk.page(&admin, "POST", "/api/ui/datasources", &source).await.status, 201);
    let shown = desk.page(&admin, "GET", "/api/ui/datasources", &Value::Null).await;
    assert!(!shown.text().contains("\"secret\"") && !shown.text().contains("team-a"), "{}", shown.text());

    let viewer = desk.log_in("viewer").await;
    let answer = desk.page(&viewer, "GET", "/api/ui/proxy/p/api/v1/query?query=a%2Bb", &Value::Null).await;
    let told = answer.json();
    assert_eq!(told["asked"], "GET /base/api/v1/query?query=a%2Bb");
    assert_eq!((&told["authorization"], &told["tenant"]), (&json!("Basic bWU6c2VjcmV0"), &json!("team-a")));
    assert_eq!(told["cookie"], Value::Null);
    for (path, status) in [
        ("/api/ui/proxy/p/-/quit", 400),
        ("/api/ui/proxy/p/api/v1/%2e%2e/%2e%2e/-/quit", 400),
        ("/api/ui/proxy/p/api/v1/admin/tsdb/snapshot", 403),
        ("/api/ui/proxy/p/api/v1/query", 200),
    ] {
        assert_eq!(desk.page(&viewer, "POST", path, &Value::Null).await.status, status, "{path}");
    }

    // What is not stored can be tried, with secrets that are stored for the same address only.
    let tried =
        desk.page(&admin, "POST", "/api/ui/datasources/test", &json!({"source": source["source"]})).await;
    assert_eq!(
        (tried.status, &tried.json()["message"]),
        (200, &json!("the server answers")),
        "{}",
        tried.text()
    );
    let elsewhere =
        |url: String| json!({"source": {"uid": "p", "name": "P", "kind": "prometheus", "url": url}});
    for (url, status, why) in [
        (String::new(), 400, "is this server itself"),
        ("http://127.0.0.1:1".to_owned(), 502, "http://127.0.0.1:1/api/v1/status/buildinfo: "),
    ] {
        let answer = desk.page(&admin, "POST", "/api/ui/datasources/test", &elsewhere(url)).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.json()["error"].as_str().unwrap().contains(why), "{}", answer.text());
    }
    let told = Router::new().fallback(any(|request: Request| async move {
        assert_eq!(request.headers()["authorization"], "Basic bWU6", "the secret is for another address");
        (axum::http::StatusCode::FORBIDDEN, "not <you>")
    }));
    let (other, _other_end) = serve(told).await;
    let mut moved_away = source.clone();
    moved_away["source"]["url"] = json!(format!("http://{other}"));
    moved_away["secrets"] = json!({});
    let refused = desk.page(&admin, "POST", "/api/ui/datasources/test", &moved_away).await;
    assert!(refused.text().contains("answered with status 403 Forbidden: not <you>"), "{}", refused.text());

    // A data source that is changed is asked by its new settings, one that is not there says so.
    let moved = json!({"source": {"name": "P", "kind": "prometheus", "url": "http://127.0.0.1:1"}});
    assert_eq!(desk.page(&admin, "PUT", "/api/ui/datasources/p", &moved).await.status, 200);
    let gone = desk.page(&viewer, "GET", "/api/ui/proxy/p/api/v1/query", &Value::Null).await;
    assert_eq!(gone.status, 502);
}

#[tokio::test]
async fn data_sources_have_headers_and_certificates_as_grafana_names_them() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let (certificate, key) = authority.signed("metrics.example");
    let demand = Clients {
        demand: ClientDemand::RequireAndVerify,
        authorities: Some(Pem::Inline(clients.pem.clone())),
        allowed_names: Vec::new(),
    };
    let tls = TlsOptions { clients: demand, ..TlsOptions::new(Pem::Inline(certificate), Pem::Inline(key)) };
    let echo = any(|request: Request| async move {
        let of = |name: &str| -> Vec<String> {
            let values = request.headers().get_all(name).iter();
            values.map(|value| value.to_str().unwrap().to_owned()).collect()
        };
        axum::Json(json!({"a": of("x-a"), "b": of("x-b"), "accept": of("accept")}))
    });
    let options = ServerOptions { tls: Some(tls), ..server_options() };
    let (upstream, _end) = serve_at(options, Router::new().fallback(echo)).await;
    let desk = Desk::start(CLOSED).await;
    let admin = desk.log_in("admin").await;
    let (shown, shown_key) = clients.signed("client.example");
    let source = json!({
        "source": {
            "uid": "p", "name": "P", "kind": "prometheus", "url": format!("https://{upstream}"),
            "settings": {"tlsAuth": true, "tlsAuthWithCACert": true, "serverName": "metrics.example",
                         "httpHeaderName1": "X-A", "httpHeaderName2": "X-B", "httpHeaderName7": "X-B",
                         "httpHeaderName8": "Accept", "httpHeaderName9": ""},
        },
        "secrets": {"tlsCACert": authority.pem, "tlsClientCert": shown, "tlsClientKey": shown_key,
                    "httpHeaderValue1": "one", "httpHeaderValue2": "two", "httpHeaderValue7": "three",
                    "httpHeaderValue8": "text/plain"},
    });
    let made = desk.page(&admin, "POST", "/api/ui/datasources", &source).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let listed = desk.page(&admin, "GET", "/api/ui/datasources", &Value::Null).await;
    for told in [&made, &listed] {
        assert!(!told.text().contains("PRIVATE KEY") && !told.text().contains("three"), "{}", told.text());
    }
    let names: Vec<&str> = source["secrets"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(listed.json()[0]["secretNames"], json!(names));
    let viewer = desk.log_in("viewer").await;
    let ask = async || desk.page(&viewer, "GET", "/api/ui/proxy/p/api/v1/query", &Value::Null).await;
    let told = ask().await;
    assert_eq!(told.status, 200, "{}", told.text());
    assert_eq!(told.json(), json!({"a": ["one"], "b": ["two", "three"], "accept": ["text/plain"]}));

    // Each part counts.
    for (setting, value) in [
        ("tlsAuth", json!(false)),
        ("tlsAuthWithCACert", json!(false)),
        ("serverName", json!("other.example")),
    ] {
        let mut changed = source["source"].clone();
        changed["settings"][setting] = value;
        let body = json!({"source": changed});
        assert_eq!(desk.page(&admin, "PUT", "/api/ui/datasources/p", &body).await.status, 200);
        let refused = ask().await;
        assert_eq!(refused.status, 502, "{setting}: {}", refused.text());
    }
    // Secrets that were not named are there still.
    let body = json!({"source": source["source"]});
    assert_eq!(desk.page(&admin, "PUT", "/api/ui/datasources/p", &body).await.status, 200);
    assert_eq!(ask().await.status, 200);
}
