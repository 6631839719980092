//! What stands around the handlers: the description of the API, odd requests, files, live messages.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use api::ApiOptions;
use api::server::Security;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{TestServer, options, server_options};

/// Paths of an OpenAPI document and their methods, read from its lines.
fn described(yaml: &str, indent: usize) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    let mut path = None;
    let lines = yaml.lines().skip_while(|line| *line != "paths:").skip(1);
    for line in lines.take_while(|line| line.starts_with(' ')) {
        let depth = line.len() - line.trim_start().len();
        let Some(name) = line.trim().strip_suffix(':') else { continue };
        if depth == indent {
            path = Some(name.to_owned());
        } else if depth == 2 * indent && ["get", "post", "put", "delete"].contains(&name) {
            found.insert((path.clone().unwrap(), name.to_owned()));
        }
    }
    found
}

#[tokio::test]
async fn every_described_path_is_served_and_no_other_method() {
    let server = TestServer::start().await;
    let document = server.get("/api/v1/openapi.yaml?openapi_version=3.2").await;
    assert_eq!(document.header("content-type"), Some("application/yaml; charset=utf-8"));
    assert!(document.text().contains("openapi: \"3.2.0\""));
    let all = described(document.text(), 2);
    assert!(all.len() > 45, "{all:?}");
    for (path, method) in &all {
        // A stream that stays open is for another test.
        if path == "/notifications/live" {
            continue;
        }
        let path = format!("/api/v1{}", path.replace("{name}", "job"));
        let answer = server.send(&method.to_uppercase(), &path, &[], "").await;
        let is_served = !matches!(answer.status, 404 | 405) || answer.text().contains("needs to be enabled");
        assert!(is_served, "{method} {path}: {} {}", answer.status, answer.text());
        let refused = server.send("DELETE", &path, &[], "").await;
        assert_eq!((refused.status, refused.text()), (405, "Method Not Allowed\n"), "{path}");
        let allowed = refused.header("allow").unwrap();
        assert!(allowed.contains(&method.to_uppercase()), "{path} allows {allowed}");
    }
    let older = server.get("/api/v1/openapi.yaml").await;
    assert!(older.text().contains("openapi: \"3.1.0\"") && !older.text().contains("/notifications/live"));
    server.stop().await;
}

#[tokio::test]
async fn everything_the_reference_describes_is_described() {
    let manifest = env!("CARGO_MANIFEST_DIR");
    let root = std::env::var("BARTIZAN_CONFORMANCE")
        .map_or_else(|_| PathBuf::from(manifest).join("../../../shared/conformance"), PathBuf::from);
    let Ok(golden) = std::fs::read_to_string(root.join("prometheus-api/openapi_3.2_golden.yaml")) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no conformance data in {}", root.display());
        println!("skipped everything_the_reference_describes_is_described: no conformance data");
        return;
    };
    let server = TestServer::start().await;
    let document = server.get("/api/v1/openapi.yaml?openapi_version=3.2").await;
    let (ours, theirs) = (described(document.text(), 2), described(&golden, 4));
    assert!(theirs.len() > 40);
    let missing: Vec<_> = theirs.difference(&ours).collect();
    assert!(missing.is_empty(), "{missing:?}");
    server.stop().await;
}

#[tokio::test]
async fn targets_need_not_be_escaped() {
    let server = TestServer::start().await;
    server.append("up{job=\"ä b\"}", &[(1_000, 1.0)]);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // A body that looks like a request stands between two requests on one connection.
    let body = "query=1&x={GET \"/\" HTTP/1.1}";
    let length = body.len();
    let requests = format!(
        "GET /api/v1/query?query=up{{job=\"ä+b\"}}&time=1 HTTP/1.1\r\nHost: x\r\n\r\n\
         POST /api/v1/query?time={{}} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}\
         GET /api/v1/query?query=vector(1)>\"a\" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(requests.as_bytes()).await.unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 3, "{answers}");
    assert!(
        answers.contains("{\"metric\":{\"__name__\":\"up\",\"job\":\"ä b\"},\"value\":[1,\"1\"]}"),
        "{answers}"
    );
    assert!(answers.contains("cannot parse \\\"{}\\\" to a valid timestamp"), "{answers}");
    assert!(answers.contains("binary expression must contain only scalar and instant vector"), "{answers}");
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_said_plainly() {
    let server = TestServer::start().await;
    for path in ["/nope", "/api/v1/nope", "/api/v2", "/user/a.txt"] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.text()), (404, "404 page not found\n"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    let refused = server.send("PUT", "/-/healthy", &[], "").await;
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
    let methods = server.send("OPTIONS", "/metrics", &[], "").await;
    assert_eq!((methods.status, methods.header("allow")), (200, Some("GET, HEAD, OPTIONS")));
    let methods = server.send("OPTIONS", "/api/v1/query", &[], "").await;
    assert_eq!((methods.status, methods.header("allow")), (204, Some("GET, HEAD, OPTIONS, POST")));
    let moved = server.get("//api/v1//query?query=1").await;
    assert_eq!((moved.status, moved.header("location")), (301, Some("/api/v1/query?query=1")));
    let moved = server.get("/federate/?match[]=up").await;
    assert_eq!((moved.status, moved.header("location")), (301, Some("/federate?match[]=up")));
    assert_eq!(server.get("/-/healthy/").await.header("location"), Some("/-/healthy"));
    let version = server.get("/version").await;
    assert_eq!((version.status, &version.json()["version"]), (200, &json!("3.14.0")));
    server.stop().await;
}

#[tokio::test]
async fn other_origins_are_told_what_they_may() {
    let server = TestServer::start().await;
    let path = "/api/v1/query?query=1";
    assert_eq!(server.get(path).await.header("vary"), Some("Origin"));
    let evil = server.send("GET", path, &[("Origin", "http://evil")], "").await;
    assert_eq!(evil.header("access-control-allow-origin"), None);
    assert_eq!(evil.header("access-control-allow-methods"), Some("GET, POST, OPTIONS"));
    let good = server.send("GET", path, &[("Origin", "http://a.example")], "").await;
    assert_eq!(good.header("access-control-allow-origin"), Some("http://a.example"));
    server.stop().await;
}

#[tokio::test]
async fn forms_are_read_as_written() {
    let server = TestServer::start().await;
    let send = async |content_type: &str, body: &str| {
        let headers = [("Content-Type", content_type)];
        server.send("POST", "/api/v1/query?time=1", &headers, body).await
    };
    let parts = "--b\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\n7\r\n--b--\r\n";
    assert_eq!(send("multipart/form-data; boundary=b", parts).await.data()["result"], json!([1, "7"]));
    let form = "Application/X-WWW-Form-Urlencoded; charset=utf-8";
    assert_eq!(send(form, "query=2").await.data()["result"], json!([1, "2"]));
    for (content_type, body) in [
        ("application/json", "query=2"),
        ("application/x-www-form-urlencodedx", "query=2"),
        (form, "query=%zz"),
        (form, "query=2;a=b"),
    ] {
        let error = send(content_type, body).await.error();
        assert!(error.2.contains("no expression found in input"), "{content_type} {body}: {error:?}");
    }
    let refused = server.get("/api/v1/series?match[]=up&x=%zz").await.error();
    assert_eq!(refused.2, "error parsing form values: invalid URL escape \"%zz\"");
    server.stop().await;
}

#[tokio::test]
async fn parameters_are_refused_as_the_reference_does() {
    let server = TestServer::start().await;
    let cases = [
        (
            "/labels?limit=99999999999999999999",
            "invalid parameter \"limit\": strconv.Atoi: parsing \"99999999999999999999\": value out of range",
        ),
        (
            "/query_range?query=1&start=1&end=2&step=NaN",
            "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer",
        ),
        (
            "/query?query=1&time=2023-11-14t22:43:20z",
            "invalid parameter \"time\": invalid time value for 'time': cannot parse \"2023-11-14t22:43:20z\" to a valid timestamp",
        ),
        ("/rules?type=x", "invalid parameter \"type\": not supported value \"x\""),
        ("/rules?group_limit=0", "invalid parameter \"group_limit\": group_limit needs to be greater than 0"),
        (
            "/rules?group_next_token=x",
            "invalid parameter \"group_next_token\": group_limit needs to be present in order to paginate over the groups",
        ),
        (
            "/rules?exclude_alerts=x",
            "invalid parameter \"exclude_alerts\": error converting exclude_alerts: strconv.ParseBool: parsing \"x\": invalid syntax",
        ),
    ];
    for (path, expected) in cases {
        let error = server.get(&format!("/api/v1{path}")).await.error();
        assert_eq!(error, (400, "bad_data".to_owned(), expected.to_owned()), "{path}");
    }
    // Scalars are written out, samples are not.
    assert_eq!(
        server.get("/api/v1/query?query=1e21&time=1").await.data()["result"][1],
        "1000000000000000000000"
    );
    let vector = server.get("/api/v1/query?query=vector(1e21)&time=1").await.data();
    assert_eq!(vector["result"][0]["value"][1], "1e+21");
    server.stop().await;
}

#[tokio::test]
async fn no_matchers_name_no_series() {
    let server = TestServer::start().await;
    server.append("up", &[(crate::server::NOW_MS, 1.0)]);
    let deleted = server.post("/api/v1/admin/tsdb/delete_series", "match[]={}").await;
    assert_eq!((deleted.status, server.calls.done.lock().len()), (204, 0));
    assert_eq!(server.get("/federate?match[]={}").await.text(), "");
    server.stop().await;
}

#[tokio::test]
async fn files_of_the_user_are_served() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("index.html"), "<p>hello").unwrap();
    let options = ApiOptions { user_assets: Some(directory.path().to_owned()), ..options() };
    let server = TestServer::start_with(options, server_options(), Security::default()).await;
    let page = server.get("/user/").await;
    assert_eq!((page.status, page.text()), (200, "<p>hello"));
    assert_eq!(page.header("content-type"), Some("text/html"));
    assert_eq!(server.get("/user/%2e%2e/secret").await.status, 404);
    assert_eq!(server.get("/user/none").await.text(), "404 page not found\n");
    server.stop().await;
}

#[tokio::test]
async fn live_messages_come_as_they_happen() {
    let server = TestServer::start().await;
    server.notifications.post("starting");
    let live = async || {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET /api/v1/notifications/live HTTP/1.0\r\n\r\n").await.unwrap();
        stream
    };
    let mut stream = live().await;
    let mut text = String::new();
    let mut read_until = async |wanted: &str| {
        let reading = async {
            while !text.contains(wanted) {
                let mut buffer = [0; 1024];
                let n = stream.read(&mut buffer).await.unwrap();
                assert!(n > 0, "the stream ended: {text}");
                text.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
            }
        };
        tokio::time::timeout(Duration::from_secs(30), reading).await.unwrap();
    };
    read_until("data: {\"text\":\"starting\",\"date\":\"1970-01-01T00:30:00Z\",\"active\":true}\n\n").await;
    server.notifications.post("failed");
    read_until("{\"text\":\"failed\",\"date\":\"1970-01-01T00:30:00Z\",\"active\":true}\n\n").await;
    server.notifications.withdraw("starting");
    read_until("{\"text\":\"starting\",\"date\":\"1970-01-01T00:30:00Z\",\"active\":false}\n\n").await;
    let held = server.get("/api/v1/notifications").await.data();
    assert_eq!(held, json!([{ "text": "failed", "date": "1970-01-01T00:30:00Z", "active": true }]));

    // Two may listen; a third is told so.
    let mut second = live().await;
    let mut head = [0; 12];
    second.read_exact(&mut head).await.unwrap();
    assert_eq!(server.get("/api/v1/notifications/live").await.status, 204);
    // Listeners do not keep the server from ending.
    server.notifications.close();
    server.stop().await;
}
