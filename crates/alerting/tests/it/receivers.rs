//! The other services: where each request goes, and what it holds.

use serde_json::{Value as Json, json};

use crate::support::{Received, Receiver, alert, runtime, start};

/// Tells one service once and returns the requests it got.
fn tell(receivers: &str, requests: usize, resolved: bool) -> Vec<Received> {
    let answer = |_: usize, request: &Received| {
        let body = match request.line.as_str() {
            line if line.contains("gettoken") => json!({"errcode": 0, "access_token": "t0"}),
            line if line.contains("/search") => json!({"issues": []}),
            _ => json!({"ok": true, "success": true, "errcode": 0}),
        };
        (200, body.to_string())
    };
    let receiver = Receiver::start(answer);
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let yaml = receivers.replace("URL", &format!("http://{}", receiver.address));
    let manager = start(dir.path(), &yaml, &runtime);
    manager.post(vec![alert("Down", false)]).unwrap();
    let mut got: Vec<Received> = (0..requests).map(|_| receiver.next()).collect();
    if resolved {
        manager.post(vec![alert("Down", true)]).unwrap();
        got = vec![receiver.next()];
    }
    got
}

fn first(receivers: &str) -> (String, Json) {
    let got = tell(receivers, 1, false).remove(0);
    (got.line.clone(), got.json())
}

#[test]
fn chats_get_their_documents() {
    let (line, body) = first("  discord_configs: [{webhook_url: 'URL/d', username: bot}]\n");
    assert_eq!((line.as_str(), &body["username"]), ("POST /d", &json!("bot")));
    assert_eq!(body["embeds"][0]["title"], "[FIRING:1] Down (api critical)");
    assert_eq!(body["embeds"][0]["color"], 0x99_2d22);

    let (_, body) = first("  msteams_configs: [{webhook_url: 'URL/t'}]\n");
    assert_eq!((&body["type"], &body["themeColor"]), (&json!("MessageCard"), &json!("8C1A1A")));

    let (_, body) = first("  msteamsv2_configs: [{webhook_url: 'URL/t2'}]\n");
    let card = &body["attachments"][0]["content"];
    assert_eq!((&card["type"], &card["body"][0]["color"]), (&json!("AdaptiveCard"), &json!("Attention")));

    let (_, body) = first(
        "  mattermost_configs: [{webhook_url: 'URL/m', channel: ops, priority: {priority: urgent, requested_ack: true}}]\n",
    );
    assert_eq!(body["priority"], json!({"priority": "urgent", "requested_ack": true}));
    assert_eq!(body["attachments"][0]["color"], "danger");

    let got =
        tell("  rocketchat_configs: [{api_url: 'URL/', token: tt, token_id: ti, channel: '#c'}]\n", 1, false);
    assert_eq!(got[0].line, "POST /api/v1/chat.postMessage");
    assert_eq!((got[0].header("x-auth-token"), got[0].header("x-user-id")), ("tt", "ti"));
    assert_eq!(got[0].json()["attachments"][0]["color"], "red");

    let (line, body) = first("  telegram_configs: [{api_url: 'URL', bot_token: abc, chat_id: -42}]\n");
    assert_eq!((line.as_str(), &body["chat_id"]), ("POST /botabc/sendMessage", &json!("-42")));
    assert!(body["text"].as_str().unwrap().contains("5 &lt; 6 &amp; so on"), "{body}");

    let got = tell(
        "  webex_configs: [{api_url: 'URL/w', room_id: r, http_config: {authorization: {credentials: k}}}]\n",
        1,
        false,
    );
    assert_eq!((got[0].header("authorization"), &got[0].json()["roomId"]), ("Bearer k", &json!("r")));

    let got =
        tell("  wechat_configs: [{api_url: 'URL/cgi/', api_secret: s, corp_id: c, agent_id: a}]\n", 2, false);
    assert_eq!(got[0].line, "GET /cgi/gettoken?corpid=c&corpsecret=s");
    assert_eq!(got[1].line, "POST /cgi/message/send?access_token=t0");
    assert_eq!((&got[1].json()["msgtype"], &got[1].json()["agentid"]), (&json!("text"), &json!("a")));
}

#[test]
fn services_that_call_people_open_and_close() {
    let (_, body) =
        first("  pagerduty_configs: [{url: 'URL/v2/enqueue', routing_key: rk, images: [{src: i}]}]\n");
    assert_eq!((&body["event_action"], &body["routing_key"]), (&json!("trigger"), &json!("rk")));
    assert_eq!(body["dedup_key"].as_str().unwrap().len(), 64);
    assert_eq!(body["payload"]["custom_details"]["num_firing"], 1);
    assert_eq!(body["payload"]["custom_details"]["firing"][0]["labels"]["alertname"], "Down");
    assert_eq!(body["images"], json!([{"src": "i", "alt": "", "href": ""}]));
    let closed = tell("  pagerduty_configs: [{url: 'URL/v2/enqueue', routing_key: rk}]\n", 1, true);
    assert_eq!(closed[0].json()["event_action"], "resolve");

    let yaml = "  opsgenie_configs: [{api_url: 'URL/', api_key: k, tags: 'a,b', update_alerts: true, responders: [{type: teams, name: 'x,y'}]}]\n";
    let got = tell(yaml, 3, false);
    assert_eq!((got[0].line.as_str(), got[0].header("authorization")), ("POST /v2/alerts", "GenieKey k"));
    let body = got[0].json();
    assert_eq!((&body["tags"], &body["details"]["job"]), (&json!(["a", "b"]), &json!("api")));
    assert_eq!(body["responders"], json!([{"name": "x", "type": "team"}, {"name": "y", "type": "team"}]));
    assert!(
        got[1].line.starts_with("PUT /v2/alerts/") && got[1].line.contains("/message?identifierType=alias")
    );
    let closed = tell("  opsgenie_configs: [{api_url: 'URL/', api_key: k}]\n", 1, true);
    assert!(closed[0].line.ends_with("/close?identifierType=alias"), "{}", closed[0].line);

    let (line, body) = first(
        "  victorops_configs: [{api_url: 'URL/alert/', api_key: k, routing_key: r, custom_fields: {a: '{{ .Status }}'}}]\n",
    );
    assert_eq!(
        (line.as_str(), &body["message_type"], &body["a"]),
        ("POST /alert/k/r", &json!("CRITICAL"), &json!("firing"))
    );

    let got = tell("  incidentio_configs: [{url: 'URL/i', alert_source_token: s}]\n", 1, false);
    assert_eq!((got[0].header("authorization"), &got[0].json()["version"]), ("Bearer s", &json!("1")));
}

#[test]
fn sns_gets_a_signed_form() {
    let yaml = "  sns_configs: [{api_url: URL, topic_arn: 'arn:x.fifo', sigv4: {region: eu-west-1, access_key: AK, secret_key: SK}, attributes: {team: a}}]\n";
    let got = tell(yaml, 1, false).remove(0);
    let signed = got.header("authorization");
    assert!(signed.starts_with("AWS4-HMAC-SHA256 Credential=AK/20"), "{got:?}");
    assert!(
        signed.contains("/eu-west-1/sns/aws4_request, SignedHeaders=content-type;host;x-amz-date, "),
        "{got:?}"
    );
    let form = String::from_utf8(got.body).unwrap();
    for part in [
        "Action=Publish",
        "TopicArn=arn%3Ax.fifo",
        "MessageGroupId=",
        "MessageAttributes.entry.1.Name=team",
        "Subject=%5BFIRING%3A1%5D+Down",
    ] {
        assert!(form.contains(part), "{form}");
    }
}

#[test]
fn jira_looks_for_an_issue_and_makes_one() {
    let got = tell(
        "  jira_configs: [{api_url: 'URL/rest/api/2', project: OPS, issue_type: Bug, labels: [l], fields: {customfield_1: {value: '{{ len .Alerts }}'}}}]\n",
        2,
        false,
    );
    assert_eq!(got[0].line, "POST /rest/api/2/search");
    let query = got[0].json()["jql"].as_str().unwrap().to_owned();
    assert!(query.starts_with("statusCategory != Done and project=\"OPS\" and labels=\"ALERT{"), "{query}");
    assert_eq!(got[1].line, "POST /rest/api/2/issue");
    let fields = &got[1].json()["fields"];
    assert_eq!((&fields["project"]["key"], &fields["priority"]["name"]), (&json!("OPS"), &json!("High")));
    assert_eq!(fields["customfield_1"]["value"], 1);
    assert_eq!(fields["labels"].as_array().unwrap().len(), 2);
}

#[test]
fn a_token_of_wechat_is_used_until_it_is_no_good_any_more() {
    let answer = |n: usize, request: &Received| {
        let body = match request.line.contains("gettoken") {
            true => json!({"errcode": 0, "access_token": format!("t{n}")}),
            // The third message finds its token expired.
            false if n == 3 => json!({"errcode": 42001, "errmsg": "expired"}),
            false => json!({"errcode": 0}),
        };
        (200, body.to_string())
    };
    let receiver = Receiver::start(answer);
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime();
    let yaml = format!(
        "  wechat_configs: [{{api_url: 'http://{}/cgi/', api_secret: s, corp_id: c, agent_id: a}}]\n",
        receiver.address
    );
    let manager = start(dir.path(), &yaml, &runtime);
    for name in ["A", "B", "C"] {
        manager.post(vec![alert(name, false)]).unwrap();
        if name == "A" {
            assert!(receiver.next().line.contains("gettoken"));
        }
        assert!(receiver.next().line.ends_with("access_token=t0"), "{name}");
    }
    assert!(receiver.next().line.contains("gettoken"));
    assert!(receiver.next().line.ends_with("access_token=t4"));
}
