use std::time::Duration;

use alerting::EngineOptions;
use axum::body::Body;
use axum::http::{Method, Request};
use base::clock::SimClock;
use base::metrics::Registry;
use config::alertmanager::MatcherMode;
use tower_service::Service as _;

use super::*;

const CONFIG: &str = r#"
route: {receiver: team, group_by: [alertname], routes: [{matchers: ['job="db"'], receiver: dba}]}
receivers: [{name: team, labels: {owner: me}}, {name: dba}]
inhibit_rules: [{source_matchers: ['severity="critical"'], target_matchers: ['severity="warning"'], equal: [job]}]
"#;

struct World {
    router: Router,
    clock: Arc<SimClock>,
    _dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("alertmanager.yml");
        std::fs::write(&file, CONFIG).unwrap();
        // 2026-11-21T00:00:00Z
        let clock = SimClock::at(1_795_219_200_000);
        let options = EngineOptions {
            config_file: file,
            storage_path: dir.path().join("data"),
            retention: Duration::from_secs(3600),
            maintenance_interval: Duration::from_secs(900),
            gc_interval: Duration::from_secs(1800),
            max_silences: 0,
            max_silence_bytes: 0,
            alerts_per_name: 0,
            max_alerts: 0,
            max_groups: 0,
            receivers_in_metrics: false,
            log_silences: false,
            start_delay: Duration::ZERO,
            external_url: "http://am".to_owned(),
            mode: MatcherMode::Fallback,
        };
        let manager = Alertmanager::open(options, clock.clone(), &Registry::new()).unwrap();
        let limits = RequestLimits::new(0, Duration::ZERO);
        Self {
            router: seat(manager, "", ByteBudget::unlimited(), limits, &Registry::new()),
            clock,
            _dir: dir,
        }
    }

    async fn ask(&mut self, method: Method, path: &str, body: Json) -> (StatusCode, Json) {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let response = self.router.call(request.body(body).unwrap()).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Json::Null))
    }

    async fn get(&mut self, path: &str) -> Json {
        let (status, body) = self.ask(Method::GET, path, Json::Null).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }
}

fn names(alerts: &Json) -> Vec<&str> {
    alerts.as_array().unwrap().iter().map(|alert| alert["labels"]["alertname"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn alerts_come_in_and_are_listed_with_their_state() {
    let mut world = World::new();
    let alerts = json!([
        {"labels": {"alertname": "Down", "job": "db", "severity": "critical", "empty": ""}, "startsAt": "2026-11-21T00:00:00Z", "generatorURL": "http://p"},
        {"labels": {"alertname": "Slow", "job": "db", "severity": "warning"}, "annotations": {"summary": "s"}},
        {"labels": {"alertname": "Other", "job": "web"}},
        {"labels": {"alertname": "Over"}, "endsAt": "2026-11-20T00:00:00Z"},
    ]);
    assert_eq!(world.ask(Method::POST, "/api/v2/alerts", alerts).await.0, StatusCode::OK);
    world.clock.advance(Duration::from_millis(5));
    let mut all = names(&world.get("/api/v2/alerts").await).join(" ");
    let mut sorted: Vec<&str> = all.split(' ').collect();
    sorted.sort_unstable();
    all = sorted.join(" ");
    assert_eq!(all, "Down Other Slow", "what is over is not listed");
    let slow = world.get("/api/v2/alerts?filter=alertname%3D%22Slow%22").await;
    assert_eq!(slow[0]["status"]["state"], "suppressed");
    assert_eq!(slow[0]["status"]["inhibitedBy"].as_array().unwrap().len(), 1);
    assert_eq!(slow[0]["endsAt"], "2026-11-21T00:05:00.000Z", "the timeout");
    assert_eq!(slow[0]["receivers"], json!([{"name": "dba"}]));
    assert_eq!(names(&world.get("/api/v2/alerts?inhibited=false&receiver=d.*").await), ["Down"]);
    assert_eq!(names(&world.get("/api/v2/alerts?receiver_matchers=owner%3Dme").await), ["Other"]);
    assert_eq!(names(&world.get("/api/v2/alerts?active=false").await), ["Slow"]);
    let groups = world.get("/api/v2/alerts/groups").await;
    let keys: Vec<&Json> =
        groups.as_array().unwrap().iter().map(|group| &group["labels"]["alertname"]).collect();
    assert_eq!(keys, ["Down", "Other", "Slow"]);
    assert_eq!(groups[0]["receiver"]["name"], "dba");
    let wrong = json!([{"labels": {}}, {"labels": {"alertname": "Fine"}}]);
    let (status, message) = world.ask(Method::POST, "/api/v2/alerts", wrong).await;
    assert_eq!(
        (status, message.as_str().unwrap()),
        (StatusCode::BAD_REQUEST, "at least one label pair required")
    );
    assert_eq!(
        names(&world.get("/api/v2/alerts?filter=alertname%3DFine").await),
        ["Fine"],
        "the good one is taken"
    );
}

#[tokio::test]
async fn silences_are_made_found_and_ended() {
    let mut world = World::new();
    let alert = json!([{"labels": {"alertname": "Down", "job": "web"}}]);
    world.ask(Method::POST, "/api/v2/alerts", alert).await;
    let silence = json!({
        "matchers": [{"name": "job", "value": "w.*", "isRegex": true}],
        "startsAt": "2026-11-21T00:00:00Z", "endsAt": "2026-11-21T01:00:00.5Z", "createdBy": "me", "comment": "c",
    });
    let (status, made) = world.ask(Method::POST, "/api/v2/silences", silence.clone()).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    let id = made["silenceID"].as_str().unwrap().to_owned();
    let found = world.get(&format!("/api/v2/silence/{id}")).await;
    assert_eq!(found["status"]["state"], "active");
    assert_eq!(found["endsAt"], "2026-11-21T01:00:00.500Z");
    assert_eq!(found["matchers"], json!([{"name": "job", "value": "w.*", "isRegex": true, "isEqual": true}]));
    assert_eq!(world.get("/api/v2/alerts").await[0]["status"]["silencedBy"], json!([id]));
    assert!(world.get("/api/v2/alerts?silenced=false").await.as_array().unwrap().is_empty());
    assert_eq!(world.get("/api/v2/silences?filter=job%3D~%22w.*%22").await[0]["id"], id);
    assert!(world.get("/api/v2/silences?filter=job%3D%22w.*%22").await.as_array().unwrap().is_empty());
    let path = format!("/api/v2/silence/{id}");
    assert_eq!(world.ask(Method::DELETE, &path, Json::Null).await.0, StatusCode::OK);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(world.get(&path).await["status"]["state"], "expired");
    assert!(world.get("/api/v2/silences?expired=false").await.as_array().unwrap().is_empty());
    let unknown = "/api/v2/silence/00000000-0000-4000-8000-000000000000";
    assert_eq!(world.ask(Method::DELETE, unknown, Json::Null).await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.ask(Method::GET, unknown, Json::Null).await.0, StatusCode::NOT_FOUND);
    let mut wrong = silence;
    wrong["endsAt"] = "2026-11-21T00:00:00Z".into();
    let (status, message) = world.ask(Method::POST, "/api/v2/silences", wrong).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(message, "Failed to create silence: start time must be before end time");
}

#[tokio::test]
async fn the_routing_tree_and_what_was_told_are_listed() {
    let mut world = World::new();
    let alerts = json!([
        {"labels": {"alertname": "Down", "job": "db"}}, {"labels": {"alertname": "Slow", "job": "db"}},
        {"labels": {"alertname": "Other"}},
    ]);
    world.ask(Method::POST, "/api/v2/alerts", alerts).await;
    let tree = world.get("/api/v2/routes").await;
    let root = &tree["root"];
    assert_eq!((&root["receiver"], &root["alerts"], &root["groups"]), (&json!("team"), &json!(1), &json!(1)));
    let child = &root["routes"][0];
    assert_eq!(child["matchers"], json!(["job=\"db\""]));
    assert_eq!((&child["alerts"], &child["groups"]), (&json!(2), &json!(2)));
    assert_eq!(child["groupBy"], json!(["alertname"]), "taken from above");
    assert_eq!(child["repeatIntervalSeconds"], 14_400.0);
    assert_eq!(tree["receivers"][1], json!({"name": "dba", "integrations": []}));
    let told = world.get("/api/v2/notifications?receiver=dba&failed=true").await;
    assert_eq!(told, json!({"attempts": [], "told": [], "total": {"attempts": 0, "told": 0}}));
    let wrong = world.ask(Method::GET, "/api/v2/notifications?limit=many", Json::Null).await;
    assert_eq!(wrong.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn status_receivers_and_explanations_are_told() {
    let mut world = World::new();
    let status = world.get("/api/v2/status").await;
    assert_eq!(status["cluster"]["status"], "disabled");
    assert!(status["config"]["original"].as_str().unwrap().contains("receiver: team"));
    let receivers = world.get("/api/v2/receivers").await;
    assert_eq!(receivers[0], json!({"name": "team", "labels": {"name": "team", "owner": "me"}}));
    let why = world.get("/api/v2/explain?labels=alertname%3DDown%2Cjob%3Ddb").await;
    assert_eq!(why[0]["isKnown"], false);
    assert_eq!(why[0]["routes"][0]["receiver"], "dba");
    assert_eq!(why[0]["routes"][0]["groupKey"], "{}/{job=\"db\"}:{alertname=\"Down\"}");
    assert_eq!(world.ask(Method::GET, "/api/v2/explain", Json::Null).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(world.ask(Method::GET, "/api/v1/alerts", Json::Null).await.0, StatusCode::GONE);
    assert_eq!(world.ask(Method::GET, "/-/healthy", Json::Null).await.0, StatusCode::OK);
    assert_eq!(world.ask(Method::POST, "/-/reload", Json::Null).await.0, StatusCode::OK);
}
