//! The description as an OpenAPI document.

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::{Answer, Endpoint, Kind, Parameter, Verbs, schemas, yaml};
use crate::state::ApiOptions;

/// The version of OpenAPI a document follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 3.1, which most tools read.
    V31,
    /// 3.2, which has words for streams of events.
    V32,
}

impl Version {
    /// The version a client asks for.
    pub fn from_parameter(text: &str) -> Self {
        if matches!(text, "3.2" | "3.2.0") { Self::V32 } else { Self::V31 }
    }
}

/// Subjects in the order they are listed in.
const SUBJECTS: [(&str, &str); 13] = [
    ("query", "Expressions."),
    ("labels", "Names and values of labels."),
    ("series", "Series."),
    ("metadata", "What is known about metrics."),
    ("targets", "Targets and scrape pools."),
    ("rules", "Recording and alerting rules."),
    ("alerts", "Alerts, and who is told of them."),
    ("status", "The server."),
    ("features", "What is switched on."),
    ("notifications", "Messages for the operator."),
    ("remote", "Samples from and for other servers."),
    ("otlp", "OpenTelemetry."),
    ("admin", "Administration of the storage."),
];

/// The document that describes `endpoints`, as YAML.
pub fn render(endpoints: &[Endpoint], options: &ApiOptions, program: &str, version: Version) -> String {
    yaml::to_yaml(&document(endpoints, options, program, version))
}

fn document(endpoints: &[Endpoint], options: &ApiOptions, program: &str, version: Version) -> Value {
    // A stream of events cannot be said in 3.1.
    let is_sayable = |e: &&Endpoint| version == Version::V32 || e.answer != Answer::Events;
    let paths: Map<String, Value> =
        endpoints.iter().filter(is_sayable).map(|e| (e.path.to_owned(), path_item(e))).collect();
    let root = options.external_url.as_str().trim_end_matches('/');
    let tags = SUBJECTS.map(|(name, description)| json!({ "name": name, "description": description }));
    json!({
        "openapi": if version == Version::V32 { "3.2.0" } else { "3.1.0" },
        "info": {
            "title": "Bartizan: the Prometheus HTTP API",
            "description": "Queries of metrics, and what the server knows about itself.",
            "version": program,
        },
        "servers": [{ "url": format!("{root}/api/v1") }],
        "tags": tags,
        "paths": paths,
        "components": { "schemas": schemas::all() },
    })
}

fn path_item(endpoint: &Endpoint) -> Value {
    let in_path: Vec<Value> =
        endpoint.parameters.iter().filter(|p| p.kind == Kind::Segment).map(parameter).collect();
    let mut item = Map::new();
    for method in endpoint.verbs.methods() {
        item.insert(method.as_str().to_lowercase(), operation(endpoint, method));
    }
    if !in_path.is_empty() {
        item.insert("parameters".to_owned(), in_path.into());
    }
    item.into()
}

fn operation(endpoint: &Endpoint, method: &Method) -> Value {
    let words: Vec<&str> =
        endpoint.path.split(['/', '{', '}', '.']).filter(|word| !word.is_empty()).collect();
    let is_first = endpoint.verbs.methods().first() == Some(method);
    let id = match is_first {
        true => words.join("-"),
        false => format!("{}-{}", words.join("-"), method.as_str().to_lowercase()),
    };
    let mut operation = json!({
        "tags": [endpoint.subject],
        "summary": endpoint.summary,
        "operationId": id,
        "responses": responses(endpoint),
    });
    let parameters: Vec<&Parameter> =
        endpoint.parameters.iter().filter(|p| p.kind != Kind::Segment).collect();
    let takes_form = *method == Method::POST && endpoint.verbs == Verbs::GetPost;
    if takes_form {
        operation["requestBody"] = form(&parameters);
    } else if !parameters.is_empty() {
        operation["parameters"] = parameters.into_iter().map(parameter).collect();
    }
    if let Answer::Exchange(taken, _) = endpoint.answer
        && !taken.is_empty()
    {
        operation["requestBody"] = json!({ "required": true, "content": { taken: { "schema": binary() } } });
    }
    operation
}

fn parameter(parameter: &Parameter) -> Value {
    json!({
        "name": parameter.name,
        "in": if parameter.kind == Kind::Segment { "path" } else { "query" },
        "description": parameter.about,
        "required": parameter.required,
        "schema": parameter_schema(parameter.kind),
    })
}

fn form(parameters: &[&Parameter]) -> Value {
    let properties: Map<String, Value> = parameters
        .iter()
        .map(|p| {
            let mut schema = parameter_schema(p.kind);
            schema["description"] = p.about.into();
            (p.name.to_owned(), schema)
        })
        .collect();
    let required: Vec<&str> = parameters.iter().filter(|p| p.required).map(|p| p.name).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    json!({ "content": { "application/x-www-form-urlencoded": { "schema": schema } } })
}

fn parameter_schema(kind: Kind) -> Value {
    match kind {
        Kind::Text | Kind::Segment => json!({ "type": "string" }),
        Kind::Choice(values) => json!({ "type": "string", "enum": values }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Time => json!({ "oneOf": [{ "type": "string", "format": "date-time" }, { "type": "number" }] }),
        Kind::Duration => {
            json!({ "oneOf": [{ "type": "string", "format": "duration" }, { "type": "number" }] })
        }
        Kind::Count => json!({ "type": "integer", "minimum": 0 }),
        Kind::Flag => json!({ "type": "boolean" }),
    }
}

fn binary() -> Value {
    json!({ "type": "string", "format": "binary" })
}

fn responses(endpoint: &Endpoint) -> Value {
    let done = |description: &str| json!({ "description": description });
    let with = |media_type: &str, schema: Value| json!({ "description": "Success.", "content": { media_type: { "schema": schema } } });
    let enveloped = |data: &str| with("application/json", schemas::envelope(data));
    let mut responses = match endpoint.answer {
        Answer::Data(data) => json!({ "200": enveloped(data) }),
        Answer::MaybeData(data) => {
            json!({ "200": enveloped(data), "204": done("There is nothing to find.") })
        }
        Answer::Nothing | Answer::Exchange(_, "") => json!({ "204": done("Done.") }),
        Answer::Lines => json!({ "200": with("application/x-ndjson", json!({ "type": "string" })) }),
        Answer::Events => json!({
            "200": {
                "description": "A message is an event; the connection stays open.",
                "content": { "text/event-stream": { "itemSchema": {
                    "type": "object",
                    "required": ["data"],
                    "properties": { "data": {
                        "type": "string",
                        "contentMediaType": "application/json",
                        "contentSchema": schemas::reference("Notification"),
                    } },
                } } },
            },
            "204": done("Too many clients listen already."),
        }),
        Answer::Exchange(_, given) => json!({ "200": with(given, binary()) }),
    };
    responses["default"] = match endpoint.answer {
        Answer::Exchange(..) => done("What went wrong, as plain text."),
        _ => json!({
            "description": "What went wrong.",
            "content": { "application/json": { "schema": schemas::reference("Error") } },
        }),
    };
    responses
}
