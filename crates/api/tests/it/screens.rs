//! Who gets in, what they may do, and what is kept for them.

mod sources;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use api::screens::{AccessOptions, Screens, guard, routes};
use api::server::{Security, Server, ServerOptions};
use arc_swap::ArcSwap;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::any;
use base::SimClock;
use base64::Engine as _;
use serde_json::{Value, json};
use state::users::NewUser;
use state::{Role, Store};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::server::{Answer, exchange, server_options};

const PASSWORD: &str = "correct horse";

/// A server with a user of each role, and a page of its own for every path that is not the screens'.
struct Desk {
    address: SocketAddr,
    clock: Arc<SimClock>,
    _end: oneshot::Sender<()>,
    _dir: tempfile::TempDir,
}

/// Somebody's session in a browser.
struct Browser {
    cookie: String,
    csrf_token: String,
}

const AT_HOME: AccessOptions = AccessOptions {
    anonymous: Some(Role::Viewer),
    open_to_programs: true,
    secure_cookies: false,
    own_token: None,
};
const CLOSED: AccessOptions =
    AccessOptions { anonymous: None, open_to_programs: false, secure_cookies: true, own_token: None };

async fn serve(router: Router) -> (SocketAddr, oneshot::Sender<()>) {
    serve_at(server_options(), router).await
}

async fn serve_at(options: ServerOptions, router: Router) -> (SocketAddr, oneshot::Sender<()>) {
    let server = Server::bind(options, Arc::new(ArcSwap::from_pointee(Security::default()))).await.unwrap();
    let address = server.addresses()[0];
    let (end, ended) = oneshot::channel();
    tokio::spawn(server.run(router, async {
        let _ = ended.await;
    }));
    (address, end)
}

impl Desk {
    async fn start(options: AccessOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = SimClock::at(1_700_000_000_000);
        let count = AtomicU64::new(1);
        let random = Arc::new(move |buffer: &mut [u8]| {
            let seed = count.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            buffer.iter_mut().enumerate().for_each(|(i, byte)| *byte = (seed >> (i % 8 * 8)) as u8);
        });
        let store = Store::open(&dir.path().join("state.db"), clock.clone(), random).unwrap();
        for role in [Role::Viewer, Role::Editor, Role::Admin] {
            let login = role.as_str().to_owned();
            let new = NewUser { login, name: String::new(), role, password: PASSWORD.to_owned() };
            store.create_user(&new).unwrap();
        }
        let screens = Arc::new(Screens::new(store, options, clock.clone(), ("", "1.2.3")));
        let seats = Router::new().fallback(any(|| async { "served" }));
        let all = routes(&screens).fallback_service(seats);
        let router = Router::new().fallback_service(all).layer(from_fn_with_state(screens, guard));
        let (address, end) = serve(router).await;
        Self { address, clock, _end: end, _dir: dir }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let mut headers = headers.to_vec();
        headers.push(("Content-Type", "application/json"));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        exchange(stream, method, path, &headers, &body).await
    }

    async fn log_in(&self, login: &str) -> Browser {
        let credentials = json!({"login": login, "password": PASSWORD});
        let answer =
            self.send("POST", "/api/ui/login", &[("Sec-Fetch-Site", "same-origin")], &credentials).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        let csrf_token = answer.json()["csrfToken"].as_str().unwrap().to_owned();
        Browser { cookie, csrf_token }
    }

    /// What a page of this server sends for somebody who logged in.
    async fn page(&self, browser: &Browser, method: &str, path: &str, body: &Value) -> Answer {
        let headers = [
            ("Cookie", browser.cookie.as_str()),
            ("X-CSRF-Token", &browser.csrf_token),
            ("Origin", "http://test"),
            ("Sec-Fetch-Site", "same-origin"),
        ];
        self.send(method, path, &headers, body).await
    }
}

/// Every path of the screens and what stands for the seats, with the least role it needs; 0 is nobody's, 1 to 3
/// are viewers', editors' and administrators'.
const PATHS: [(&str, &str, usize); 79] = [
    ("GET", "/", 0),
    ("GET", "/assets/app.js", 0),
    ("GET", "/-/healthy", 0),
    ("GET", "/metrics", 0),
    ("GET", "/api/ui/session", 0),
    ("DELETE", "/api/ui/session", 1),
    ("PUT", "/api/ui/user/password", 1),
    ("GET", "/api/ui/user/sessions", 1),
    ("DELETE", "/api/ui/user/sessions", 1),
    ("GET", "/api/ui/user/preferences", 1),
    ("PUT", "/api/ui/user/preferences", 1),
    ("GET", "/api/ui/user/history", 1),
    ("POST", "/api/ui/user/history", 1),
    ("PUT", "/api/ui/user/history/1", 1),
    ("DELETE", "/api/ui/user/history/1", 1),
    ("PUT", "/api/ui/user/stars/x", 1),
    ("DELETE", "/api/ui/user/stars/x", 1),
    ("GET", "/api/ui/preferences", 1),
    ("PUT", "/api/ui/preferences", 3),
    ("GET", "/api/ui/users", 3),
    ("POST", "/api/ui/users", 3),
    ("PUT", "/api/ui/users/77", 3),
    ("DELETE", "/api/ui/users/77", 3),
    ("GET", "/api/ui/users/77/sessions", 3),
    ("DELETE", "/api/ui/users/77/sessions", 3),
    ("GET", "/api/ui/search", 1),
    ("GET", "/api/ui/tags", 1),
    ("POST", "/api/ui/dashboards", 2),
    ("GET", "/api/ui/dashboards/x", 1),
    ("DELETE", "/api/ui/dashboards/x", 2),
    ("GET", "/api/ui/dashboards/x/versions", 1),
    ("GET", "/api/ui/dashboards/x/versions/1", 1),
    ("POST", "/api/ui/dashboards/x/restore/1", 2),
    ("GET", "/api/ui/folders", 1),
    ("POST", "/api/ui/folders", 2),
    ("PUT", "/api/ui/folders/x", 2),
    ("PUT", "/api/ui/folders/x/parent", 2),
    ("PUT", "/api/ui/dashboards/x/folder", 2),
    ("DELETE", "/api/ui/folders/x", 2),
    ("GET", "/api/ui/datasources", 1),
    ("POST", "/api/ui/datasources", 3),
    ("PUT", "/api/ui/datasources/x", 3),
    ("DELETE", "/api/ui/datasources/x", 3),
    ("POST", "/api/ui/datasources/test", 3),
    ("GET", "/api/ui/proxy/x/api/v1/query", 1),
    ("POST", "/api/ui/proxy/x/api/v1/query", 1),
    ("DELETE", "/api/ui/proxy/x/api/v2/silence/1", 1),
    ("GET", "/api/v1/query", 1),
    ("POST", "/api/v1/query", 1),
    ("GET", "/api/v1/targets/relabel_steps", 1),
    ("GET", "/api/operations/targets", 1),
    ("GET", "/api/operations/metric_relabel_steps", 1),
    ("GET", "/api/operations/cardinality", 1),
    ("GET", "/api/operations/queries", 1),
    ("DELETE", "/api/operations/queries/1", 3),
    ("POST", "/api/v1/write", 2),
    ("POST", "/api/v1/admin/tsdb/snapshot", 3),
    ("POST", "/-/reload", 3),
    ("POST", "/-/quit", 3),
    ("GET", "/federate", 1),
    ("GET", "/api/v2/alerts", 1),
    ("GET", "/api/v2/explain", 1),
    ("GET", "/api/v2/routes", 1),
    ("GET", "/api/v2/notifications", 1),
    ("POST", "/api/v2/alerts", 2),
    ("POST", "/api/v2/silences", 2),
    ("DELETE", "/api/v2/silence/1", 2),
    ("GET", "/loki/api/v1/query_range", 1),
    ("GET", "/loki/api/v1/tail", 1),
    ("GET", "/loki/api/v1/storage", 1),
    ("GET", "/prometheus/api/v1/rules", 1),
    ("GET", "/prometheus/api/v1/alerts", 1),
    ("POST", "/loki/api/v1/push", 2),
    ("POST", "/otlp/v1/logs", 2),
    ("POST", "/loki/api/v1/rules/a", 2),
    ("DELETE", "/loki/api/v1/delete", 3),
    ("POST", "/flush", 3),
    ("GET", "/config", 3),
    ("PATCH", "/what/nobody/thought/of", 3),
];

#[tokio::test]
async fn every_path_refuses_who_may_not() {
    let desk = Desk::start(CLOSED).await;
    for (method, path, least) in PATHS {
        let answer = desk.send(method, path, &[], &Value::Null).await;
        assert_eq!(answer.status == 401, least > 0, "{method} {path} for nobody: {}", answer.status);
    }
    for (rank, login) in [(1, "viewer"), (2, "editor"), (3, "admin")] {
        for (method, path, least) in PATHS {
            // Anew each time: some of these paths end sessions.
            let browser = desk.log_in(login).await;
            let answer = desk.page(&browser, method, path, &Value::Null).await;
            assert_ne!(answer.status, 401, "{method} {path} for {login}: {}", answer.text());
            assert_eq!(answer.status == 403, least > rank, "{method} {path} for {login}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn at_home_anybody_may_look_and_programs_may_do_all() {
    let desk = Desk::start(AT_HOME).await;
    let silence = ("POST", "/api/v2/silences");
    assert_eq!(desk.send(silence.0, silence.1, &[], &Value::Null).await.status, 200);
    let own_page = [("Sec-Fetch-Site", "same-origin"), ("Origin", "http://test")];
    assert_eq!(desk.send("GET", "/api/v1/query", &own_page, &Value::Null).await.status, 200);
    let refused = desk.send(silence.0, silence.1, &own_page, &Value::Null).await;
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, None));
    let session = desk.send("GET", "/api/ui/session", &own_page, &Value::Null).await.json();
    assert_eq!((&session["user"], &session["role"]), (&Value::Null, &json!("viewer")));
}

#[tokio::test]
async fn pages_of_others_cannot_use_a_session() {
    let desk = Desk::start(CLOSED).await;
    let admin = desk.log_in("admin").await;
    let cookie = ("Cookie", admin.cookie.as_str());
    let token = ("X-CSRF-Token", admin.csrf_token.as_str());
    for headers in [
        vec![cookie],
        vec![cookie, ("X-CSRF-Token", "guessed")],
        vec![cookie, token, ("Sec-Fetch-Site", "cross-site")],
        vec![cookie, token, ("Sec-Fetch-Site", "same-site")],
        vec![cookie, token, ("Origin", "http://evil.example")],
        vec![cookie, token, ("Origin", "null")],
    ] {
        let answer = desk.send("POST", "/-/quit", &headers, &Value::Null).await;
        assert_eq!(answer.status, 403, "{headers:?}");
    }
    assert_eq!(
        desk.send("POST", "/-/quit", &[cookie, token, ("Origin", "http://test")], &Value::Null).await.status,
        200
    );
}

#[tokio::test]
async fn pages_of_others_cannot_use_an_open_server() {
    let open = AccessOptions { anonymous: Some(Role::Admin), ..AT_HOME };
    let desk = Desk::start(open).await;
    for headers in [vec![("Origin", "http://evil.example")], vec![("Sec-Fetch-Site", "cross-site")]] {
        assert_eq!(desk.send("POST", "/-/quit", &headers, &Value::Null).await.status, 403);
    }
    assert_eq!(desk.send("POST", "/-/quit", &[("Origin", "http://test")], &Value::Null).await.status, 200);
}

#[tokio::test]
async fn pages_of_others_cannot_follow_logs() {
    let desk = Desk::start(AT_HOME).await;
    let asked = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", "AAAA")];
    for path in ["/loki/api/v1/tail", "/api/ui/proxy/none/loki/api/v1/tail"] {
        let status = async |origin| {
            let headers = [&asked[..], &[("Origin", origin)]].concat();
            desk.send("GET", path, &headers, &Value::Null).await.status
        };
        assert_eq!(status("http://evil.example").await, 403, "{path}");
        assert_ne!(status("http://test").await, 403, "{path}");
    }
}

#[tokio::test]
async fn sessions_begin_and_end() {
    let desk = Desk::start(CLOSED).await;
    let viewer = desk.log_in("viewer").await;
    let session = desk.page(&viewer, "GET", "/api/ui/session", &Value::Null).await.json();
    assert_eq!((&session["user"]["login"], &session["version"]), (&json!("viewer"), &json!("1.2.3")));
    let out = desk.page(&viewer, "DELETE", "/api/ui/session", &Value::Null).await;
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(desk.page(&viewer, "GET", "/api/ui/search", &Value::Null).await.status, 401);

    let viewer = desk.log_in("viewer").await;
    desk.clock.advance(Duration::from_secs(8 * 24 * 3600));
    assert_eq!(desk.page(&viewer, "GET", "/api/ui/search", &Value::Null).await.status, 401);
}

#[tokio::test]
async fn cookies_are_for_this_server_alone() {
    let desk = Desk::start(CLOSED).await;
    let credentials = json!({"login": "viewer", "password": PASSWORD});
    let answer = desk.send("POST", "/api/ui/login", &[], &credentials).await;
    let cookie = answer.header("set-cookie").unwrap();
    for part in ["; HttpOnly", "; SameSite=Lax", "; Secure", "; Path=/;", "; Max-Age=2592000"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn guessing_passwords_takes_long() {
    let desk = Desk::start(CLOSED).await;
    let guess = json!({"login": "admin", "password": "a guess at it"});
    for _ in 0..5 {
        assert_eq!(desk.send("POST", "/api/ui/login", &[], &guess).await.status, 401);
    }
    let waiting =
        desk.send("POST", "/api/ui/login", &[], &json!({"login": "ADMIN", "password": PASSWORD})).await;
    assert_eq!(waiting.status, 429);
    assert!(waiting.text().contains("try again in"), "{}", waiting.text());
    // Others are not kept waiting, and the time passes.
    desk.log_in("viewer").await;
    desk.clock.advance(Duration::from_secs(301));
    desk.log_in("admin").await;
}

#[tokio::test]
async fn programs_give_name_and_password() {
    let desk = Desk::start(CLOSED).await;
    let basic = |login: &str, password: &str| {
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{login}:{password}")))
    };
    let asked = |authorization: String| {
        let desk = &desk;
        async move {
            desk.send("POST", "/api/v2/silences", &[("Authorization", &authorization)], &Value::Null)
                .await
                .status
        }
    };
    assert_eq!(asked(basic("editor", PASSWORD)).await, 200);
    assert_eq!(asked(basic("viewer", PASSWORD)).await, 403);
    assert_eq!(asked(basic("editor", "a wrong one")).await, 401);
    // What was right a moment ago is wrong as soon as it is changed.
    let admin = desk.log_in("admin").await;
    let users = desk.page(&admin, "GET", "/api/ui/users", &Value::Null).await.json();
    let editor = users.as_array().unwrap().iter().find(|user| user["login"] == "editor").unwrap();
    let path = format!("/api/ui/users/{}", editor["id"]);
    let changed = desk.page(&admin, "PUT", &path, &json!({"password": "another password"})).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(asked(basic("editor", PASSWORD)).await, 401);
    assert_eq!(asked(basic("editor", "another password")).await, 200);
    desk.page(&admin, "PUT", &path, &json!({"role": "viewer"})).await;
    assert_eq!(asked(basic("editor", "another password")).await, 403);
    let nobody = desk.send("GET", "/api/v1/query", &[], &Value::Null).await;
    assert_eq!(asked("Bearer of nothing".to_owned()).await, 401);
    assert_eq!(nobody.header("www-authenticate"), Some("Basic realm=\"bartizan\""));
}

#[tokio::test]
async fn the_process_may_ask_itself() {
    let desk = Desk::start(AccessOptions { own_token: Some("own".to_owned()), ..CLOSED }).await;
    for (authorization, status) in [("Bearer own", 200), ("Bearer other", 401), ("Basic own", 401)] {
        let answer =
            desk.send("POST", "/api/v2/alerts", &[("Authorization", authorization)], &Value::Null).await;
        assert_eq!(answer.status, status, "{authorization}");
    }
}

#[tokio::test]
async fn dashboards_are_kept_for_their_users() {
    let desk = Desk::start(CLOSED).await;
    let editor = desk.log_in("editor").await;
    let save = |version: i64| json!({"dashboard": {"uid": "a", "title": "<b>A</b>", "version": version, "tags": ["x"]}, "message": "first"});
    let saved = desk.page(&editor, "POST", "/api/ui/dashboards", &save(0)).await;
    assert_eq!((saved.status, &saved.json()["version"]), (200, &json!(1)), "{}", saved.text());
    let conflict = desk.page(&editor, "POST", "/api/ui/dashboards", &save(9)).await;
    assert_eq!(conflict.status, 409);
    assert_eq!(conflict.json()["error"], "the dashboard has been changed by someone else");
    desk.page(&editor, "PUT", "/api/ui/user/stars/a", &Value::Null).await;
    let found =
        desk.page(&editor, "GET", "/api/ui/search?query=a&tag=x&starred=true", &Value::Null).await.json();
    assert_eq!(found[0]["title"], "<b>A</b>");
    let viewer = desk.log_in("viewer").await;
    let found = desk.page(&viewer, "GET", "/api/ui/search?starred=true", &Value::Null).await.json();
    assert_eq!(found, json!([]));
    let got = desk.page(&viewer, "GET", "/api/ui/dashboards/a", &Value::Null).await.json();
    assert_eq!((&got["dashboard"]["version"], &got["updatedBy"]), (&json!(1), &json!("editor")));
    let versions = desk.page(&viewer, "GET", "/api/ui/dashboards/a/versions", &Value::Null).await.json();
    assert_eq!(versions[0]["message"], "first");
}

#[tokio::test]
async fn queries_that_were_run_are_kept_for_their_users() {
    let desk = Desk::start(AT_HOME).await;
    let (viewer, editor) = (desk.log_in("viewer").await, desk.log_in("editor").await);
    let path = "/api/ui/user/history";
    let run = json!({"datasource": "metrics", "queries": ["up", "down"]});
    let added = desk.page(&viewer, "POST", path, &run).await.json();
    assert_eq!((&added["queries"], &added["starred"]), (&run["queries"], &json!(false)));
    let own = format!("{path}/{}", added["id"]);
    let starred = json!({"starred": true, "comment": "look here"});
    assert_eq!(desk.page(&editor, "PUT", &own, &starred).await.status, 404);
    assert_eq!(desk.page(&editor, "DELETE", &own, &Value::Null).await.status, 404);
    assert_eq!(desk.page(&viewer, "PUT", &own, &starred).await.status, 200);
    desk.page(&viewer, "POST", path, &json!({"datasource": "logs", "queries": ["{a=\"b\"}"]})).await;
    let found = desk.page(&viewer, "GET", &format!("{path}?starred=true&search=HERE"), &Value::Null).await;
    let found = found.json();
    assert_eq!((found.as_array().unwrap().len(), &found[0]["comment"]), (1, &json!("look here")));
    assert_eq!(desk.page(&editor, "GET", path, &Value::Null).await.json(), json!([]));
    assert_eq!(desk.page(&viewer, "DELETE", &own, &Value::Null).await.status, 204);
    let left = desk.page(&viewer, "GET", path, &Value::Null).await.json();
    assert_eq!(left[0]["datasource"], "logs");
    let wrong = desk.page(&viewer, "POST", path, &json!({"datasource": "", "queries": []})).await;
    assert_eq!(wrong.status, 400, "{}", wrong.text());
    assert_eq!(desk.page(&viewer, "GET", &format!("{path}?limit=x"), &Value::Null).await.status, 400);
    // Who has not logged in may look at all, and nothing is kept for them.
    let nobody = [("Sec-Fetch-Site", "same-origin")];
    assert_eq!(desk.send("GET", path, &nobody, &Value::Null).await.status, 401);
}

#[tokio::test]
async fn administrators_see_and_end_sessions_of_others() {
    let desk = Desk::start(CLOSED).await;
    let (admin, first, second) =
        (desk.log_in("admin").await, desk.log_in("viewer").await, desk.log_in("viewer").await);
    let users = desk.page(&admin, "GET", "/api/ui/users", &Value::Null).await.json();
    let viewer = users.as_array().unwrap().iter().find(|user| user["login"] == "viewer").unwrap();
    let path = format!("/api/ui/users/{}/sessions", viewer["id"]);
    let sessions = desk.page(&admin, "GET", &path, &Value::Null).await.json();
    assert_eq!(sessions.as_array().unwrap().len(), 2);
    assert_eq!(desk.page(&admin, "DELETE", &path, &Value::Null).await.json(), json!({"ended": 2}));
    for ended in [first, second] {
        assert_eq!(desk.page(&ended, "GET", "/api/ui/search", &Value::Null).await.status, 401);
    }
    assert_eq!(desk.page(&admin, "GET", "/api/ui/search", &Value::Null).await.status, 200, "one's own stays");
}

#[tokio::test]
async fn wrong_bodies_are_told() {
    let desk = Desk::start(CLOSED).await;
    let admin = desk.log_in("admin").await;
    for (method, path, body, status, text) in [
        ("POST", "/api/ui/users", json!({"login": "x"}), 422, "missing field `role`"),
        (
            "POST",
            "/api/ui/users",
            json!({"login": "x", "role": "root", "password": "12345678"}),
            422,
            "unknown variant `root`",
        ),
        (
            "POST",
            "/api/ui/users",
            json!({"login": "x", "role": "viewer", "password": "1"}),
            400,
            "at least 8 characters",
        ),
        ("PUT", "/api/ui/users/99", json!({}), 404, "user not found"),
        ("POST", "/api/ui/dashboards", json!({"dashboard": 7}), 400, "a dashboard is a JSON object"),
        ("GET", "/api/ui/search?limit=many", Value::Null, 400, "limit \"many\" is no number"),
        ("GET", "/api/ui/nothing", Value::Null, 404, "there is no such path"),
        ("GET", "/api/ui/proxy/none/api/v1/query", Value::Null, 404, "data source not found"),
    ] {
        let answer = desk.page(&admin, method, path, &body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert!(answer.json()["error"].as_str().unwrap().contains(text), "{}", answer.text());
    }
}
