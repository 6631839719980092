//! What the API says about itself, for programs that make clients from it: Swagger 2.0, the form in which
//! Alertmanager's is given, with the paths that are ours besides.

use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value as Json, json};

/// Where it is, below the API.
pub(super) const PATH: &str = "/swagger.json";

/// Answers with the description.
pub(super) async fn swagger() -> Response {
    axum::Json(description()).into_response()
}

fn text() -> Json {
    json!({"type": "string"})
}

fn flag() -> Json {
    json!({"type": "boolean"})
}

fn count() -> Json {
    json!({"type": "integer"})
}

fn moment() -> Json {
    json!({"type": "string", "format": "date-time"})
}

fn one_of(values: &[&str]) -> Json {
    json!({"type": "string", "enum": values})
}

fn list(items: Json) -> Json {
    json!({"type": "array", "items": items})
}

fn of(name: &str) -> Json {
    json!({"$ref": format!("#/definitions/{name}")})
}

fn labels() -> Json {
    json!({"type": "object", "additionalProperties": text()})
}

/// An object; what a field's name ends with `?` may be missing.
fn object<const N: usize>(fields: [(&str, Json); N]) -> Json {
    let required: Vec<&str> =
        fields.iter().map(|(name, _)| *name).filter(|name| !name.ends_with('?')).collect();
    let properties: Map<String, Json> =
        fields.into_iter().map(|(name, kind)| (name.trim_end_matches('?').to_owned(), kind)).collect();
    json!({"type": "object", "required": required, "properties": properties})
}

fn definitions() -> Json {
    json!({
        "labelSet": labels(),
        "matcher": object([
            ("name", text()), ("value", text()), ("isRegex", flag()),
            ("isEqual?", json!({"type": "boolean", "default": true})),
        ]),
        "matchers": {"type": "array", "minItems": 1, "items": of("matcher")},
        "silence": object([
            ("matchers", of("matchers")), ("startsAt", moment()), ("endsAt", moment()),
            ("createdBy", text()), ("comment", text()), ("annotations?", labels()),
        ]),
        "postableSilence": {"allOf": [object([("id?", text())]), of("silence")]},
        "gettableSilence": {"allOf": [object([
            ("id", text()), ("updatedAt", moment()),
            ("status", object([("state", one_of(&["expired", "active", "pending"]))])),
        ]), of("silence")]},
        "alert": object([
            ("labels", labels()), ("generatorURL?", json!({"type": "string", "format": "uri"})),
        ]),
        "postableAlert": {"allOf": [object([
            ("startsAt?", moment()), ("endsAt?", moment()), ("annotations?", labels()),
        ]), of("alert")]},
        "gettableAlert": {"allOf": [object([
            ("annotations", labels()), ("receivers", list(of("receiver"))), ("fingerprint", text()),
            ("startsAt", moment()), ("updatedAt", moment()), ("endsAt", moment()), ("status", of("alertStatus")),
        ]), of("alert")]},
        "alertStatus": object([
            ("state", one_of(&["unprocessed", "active", "suppressed"])), ("silencedBy", list(text())),
            ("inhibitedBy", list(text())), ("mutedBy", list(text())),
        ]),
        "alertGroup": object([
            ("labels", labels()), ("receiver", of("receiver")), ("routeLabels?", labels()),
            ("alerts", list(of("gettableAlert"))),
        ]),
        "receiver": object([("name", text()), ("labels?", labels())]),
        "status": object([
            ("cluster", object([
                ("name?", text()), ("status", one_of(&["ready", "settling", "disabled"])),
                ("peers?", list(object([("name", text()), ("address", text())]))),
            ])),
            ("versionInfo", object([
                ("version", text()), ("revision", text()), ("branch", text()), ("buildUser", text()),
                ("buildDate", text()), ("goVersion", text()),
            ])),
            ("config", object([("original", text())])),
            ("uptime", moment()),
        ]),
        "failure": object([("code", count()), ("message", text())]),
    })
}

fn parameter(name: &str, kind: &Json, says: &str) -> Json {
    let mut parameter = json!({"in": "query", "name": name, "required": false, "description": says});
    if let (Some(parameter), Some(kind)) = (parameter.as_object_mut(), kind.as_object()) {
        parameter.extend(kind.clone());
    }
    parameter
}

fn switch(name: &str, says: &str) -> Json {
    parameter(name, &json!({"type": "boolean", "default": true}), says)
}

fn matchers(name: &str, says: &str) -> Json {
    parameter(name, &json!({"type": "array", "items": text(), "collectionFormat": "multi"}), says)
}

fn of_alerts(more: [Json; 1]) -> Vec<Json> {
    let mut all = vec![
        switch("active", "Whether alerts are wanted that nothing suppresses."),
        switch("silenced", "Whether silenced alerts are wanted."),
        switch("inhibited", "Whether inhibited alerts are wanted."),
        matchers("filter", "Matchers on labels, all of which must hold: alertname=\"Down\"."),
        parameter("receiver", &text(), "A regular expression on the whole name of the receiver."),
        matchers("receiver_matchers", "Matchers on labels of receivers, all of which must hold."),
    ];
    all.extend(more);
    all
}

fn body(name: &str, schema: Json) -> Json {
    json!({"in": "body", "name": name, "required": true, "schema": schema})
}

/// What may be done at a path: what it is called and for, what it takes, and what comes back.
fn operation(id: &str, says: &str, parameters: &[Json], answer: Json, failures: &[u16]) -> Json {
    let mut answers = Map::new();
    let good = if answer.is_null() {
        json!({"description": "It was done."})
    } else {
        json!({"description": "What was asked for.", "schema": answer})
    };
    answers.insert("200".to_owned(), good);
    for status in failures {
        let answer = match status {
            404 => json!({"description": "There is none."}),
            422 => json!({"description": "Of the wrong form.", "schema": of("failure")}),
            _ => json!({"description": "What is wrong, in words.", "schema": text()}),
        };
        answers.insert(status.to_string(), answer);
    }
    json!({"operationId": id, "description": says, "parameters": parameters, "responses": answers})
}

fn paths() -> Json {
    let id = json!({"in": "path", "name": "silenceID", "required": true, "type": "string", "format": "uuid"});
    let explained = json!({"type": "object"});
    json!({
        "/status": {"get": operation("getStatus", "The configuration, the cluster and the version.", &[], of("status"), &[])},
        "/receivers": {"get": operation(
            "getReceivers", "All receivers.",
            &[matchers("receiver_matchers", "Matchers on their labels, all of which must hold.")],
            list(of("receiver")), &[400],
        )},
        "/silences": {
            "get": operation("getSilences", "Silences.", &[
                matchers("filter", "Matchers that the silence must have."),
                switch("active", "Whether those are wanted that hold now."),
                switch("pending", "Whether those are wanted that will hold."),
                switch("expired", "Whether those are wanted that are over."),
            ], list(of("gettableSilence")), &[400, 500]),
            "post": operation(
                "postSilences", "Makes a silence, or changes the one of its id.",
                &[body("silence", of("postableSilence"))],
                object([("silenceID", text())]), &[400, 404, 422, 500],
            ),
        },
        "/silence/{silenceID}": {
            "get": operation("getSilence", "A silence.", std::slice::from_ref(&id), of("gettableSilence"), &[404, 422, 500]),
            "delete": operation("deleteSilence", "Ends a silence.", &[id], Json::Null, &[404, 422, 500]),
        },
        "/alerts": {
            "get": operation(
                "getAlerts", "Alerts.",
                &of_alerts([switch("unprocessed", "Taken for clients that say it, and without effect.")]),
                list(of("gettableAlert")), &[400, 500],
            ),
            "post": operation(
                "postAlerts", "Takes alerts, new ones and those known.",
                &[body("alerts", list(of("postableAlert")))], Json::Null, &[400, 422, 429, 500],
            ),
        },
        "/alerts/groups": {"get": operation(
            "getAlertGroups", "Alerts in the groups in which they are told.",
            &of_alerts([switch("muted", "Whether groups are wanted that a time interval mutes.")]),
            list(of("alertGroup")), &[400, 500],
        )},
        "/explain": {"get": operation(
            "explain", "Why alerts are, or are not, told. Not known to Alertmanager.",
            &[parameter("labels", &text(), "Matchers on the labels of the alerts: alertname=\"Down\",job=\"api\".")],
            explained.clone(), &[400],
        )},
        "/routes": {"get": operation(
            "getRoutes", "The tree of routes. Not known to Alertmanager.", &[], explained.clone(), &[],
        )},
        "/notifications": {"get": operation(
            "getNotifications", "What was told of late. Not known to Alertmanager.", &[], explained, &[400],
        )},
        PATH: {"get": operation("getDescription", "This.", &[], json!({"type": "object"}), &[])},
    })
}

fn description() -> Json {
    json!({
        "swagger": "2.0",
        "info": {
            "title": "Alertmanager API",
            "description": "The API of Alertmanager, as Bartizan serves it.",
            "version": super::ALERTMANAGER_VERSION,
        },
        "basePath": "/api/v2/",
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "paths": paths(),
        "definitions": definitions(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All references below a value.
    fn references(value: &Json, found: &mut Vec<String>) {
        match value {
            Json::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Json::as_str).map(str::to_owned));
                fields.values().for_each(|value| references(value, found));
            }
            Json::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn it_describes_what_there_is_and_refers_to_nothing_else() {
        let description = description();
        let mut found = Vec::new();
        references(&description, &mut found);
        assert!(found.len() > 10);
        for reference in found {
            let name = reference.strip_prefix("#/definitions/").unwrap();
            assert!(description["definitions"][name].is_object(), "{name}");
        }
        for (path, operations) in description["paths"].as_object().unwrap() {
            let mut described: Vec<String> =
                operations.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
            described.sort();
            let path = path.replace("{silenceID}", "00000000-0000-4000-8000-000000000000");
            assert_eq!(described, super::super::guard::methods(&path), "{path}");
        }
    }
}
