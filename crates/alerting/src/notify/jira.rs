//! Jira: one issue for each group, found again by a label.

use std::time::Duration;

use config::alertmanager::receivers::duty::JiraConfig;
use httpclient::{Client, Method, header};
use serde_json::{Map, Value as Json, json};

use super::{Call, Render, SendError, cut};

/// What is to become of the issue of a group.
#[derive(Debug)]
pub(super) struct Plan {
    base: String,
    /// Where issues are looked for, and what for.
    search_url: String,
    search: Json,
    fields: Json,
    is_resolved: bool,
    /// Fields an issue keeps that is there already.
    kept_fields: Vec<&'static str>,
    resolve_transition: String,
    reopen_transition: String,
}

fn about(what: &str) -> impl FnOnce(SendError) -> SendError {
    move |error| SendError { message: format!("{what}: {}", error.message), ..error }
}

/// A text as a literal of Jira's query language.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The label by which an issue is found again.
fn label(render: &Render<'_>) -> String {
    format!("ALERT{{{}}}", render.key_hash())
}

/// What finds the issue of the group that is open, or was closed so lately that it is opened again.
fn search(config: &JiraConfig, render: &Render<'_>) -> Result<Json, SendError> {
    let mut query = String::new();
    if !config.wont_fix_resolution.is_empty() {
        // Unresolved issues are equal to no resolution, and unequal to none either.
        let resolution = quoted(&config.wont_fix_resolution);
        query.push_str(&format!("(resolution is EMPTY or resolution != {resolution}) and "));
    }
    let minutes = config.reopen_duration.get().as_secs() / 60;
    if !render.is_resolved() && !config.reopen_transition.is_empty() && minutes > 0 {
        query.push_str(&format!("(resolutiondate is EMPTY OR resolutiondate >= -{minutes}m) and "));
    } else {
        query.push_str("statusCategory != Done and ");
    }
    let project = render.text(&config.project)?;
    query.push_str(&format!(
        "project={} and labels={} order by status ASC,resolutiondate DESC",
        quoted(&project),
        quoted(&label(render))
    ));
    Ok(json!({"jql": query, "maxResults": 2, "fields": ["status"]}))
}

fn fields(config: &JiraConfig, render: &Render<'_>, is_version_3: bool) -> Result<Json, SendError> {
    let mut fields = Map::new();
    fields.insert("summary".to_owned(), cut(render.text(&config.summary.template)?, 255).into());
    fields.insert("project".to_owned(), json!({"key": render.text(&config.project)?}));
    fields.insert("issuetype".to_owned(), json!({"name": render.text(&config.issue_type)?}));
    let mut labels = vec![label(render)];
    for label in &config.labels {
        labels.push(render.text(label)?);
    }
    labels.sort();
    fields.insert("labels".to_owned(), json!(labels));
    let description = cut(render.text(&config.description.template)?, 32_767);
    if is_version_3 {
        // Version 3 takes documents, which the template has to write.
        if !description.trim().is_empty() {
            let document = serde_json::from_str(&description)
                .map_err(|_| SendError::fatal("description template: invalid JSON for API v3"))?;
            fields.insert("description".to_owned(), document);
        }
    } else if !description.is_empty() {
        fields.insert("description".to_owned(), description.into());
    }
    let priority = render.text(&config.priority)?;
    if !priority.is_empty() {
        fields.insert("priority".to_owned(), json!({"name": priority}));
    }
    for (name, value) in &config.fields {
        let value = render.any(value);
        fields.insert(
            name.clone(),
            value.map_err(|error| SendError::fatal(format!("fields template: {error}")))?,
        );
    }
    Ok(Json::Object(fields))
}

impl Plan {
    pub fn new(config: &JiraConfig, render: &Render<'_>) -> Result<Self, SendError> {
        let base = config.api_url.as_str().trim_end_matches('/').to_owned();
        let host =
            config::Url::parse(config.api_url.as_str()).map(|url| url.host().to_owned()).unwrap_or_default();
        let is_cloud =
            config.api_type == "cloud" || config.api_type == "auto" && host.ends_with("atlassian.net");
        let search_url = if is_cloud {
            format!("{base}/search/jql").replacen("/rest/api/2/", "/rest/api/3/", 1)
        } else {
            format!("{base}/search")
        };
        let updates = [("summary", &config.summary), ("description", &config.description)];
        let kept = updates.into_iter().filter(|(_, settings)| settings.enable_update == Some(false));
        Ok(Self {
            search_url,
            search: search(config, render)?,
            fields: fields(config, render, base.ends_with("/3"))?,
            base,
            is_resolved: render.is_resolved(),
            kept_fields: kept.map(|(field, _)| field).collect(),
            resolve_transition: config.resolve_transition.clone(),
            reopen_transition: config.reopen_transition.clone(),
        })
    }

    pub async fn send(&self, client: &Client, limit: Duration) -> Result<(), SendError> {
        let session = Session { plan: self, client, limit };
        let found = session.call_url(Method::POST, self.search_url.clone(), Some(&self.search)).await;
        let found = found.map_err(|error| error.perhaps_told(false));
        let found = found.map_err(about("failed to look up existing issues"))?;
        let issue = found["issues"].as_array().and_then(|issues| issues.first());
        let mut body = json!({"fields": self.fields});
        let Some(issue) = issue else {
            if self.is_resolved {
                return Ok(());
            }
            let made = session.call(Method::POST, "issue", Some(&body)).await;
            return made.map(|_| ()).map_err(about("failed to create the issue"));
        };
        let Some(key) = issue["key"].as_str().filter(|key| !key.is_empty()) else {
            return Err(SendError::passing("failed to look up existing issues: one has no key"));
        };
        if let Some(fields) = body["fields"].as_object_mut() {
            fields.retain(|name, _| !self.kept_fields.contains(&name.as_str()));
        }
        let updated = session.call(Method::PUT, &format!("issue/{key}"), Some(&body)).await;
        updated.map_err(about("failed to update the issue"))?;
        session.transition(issue, key).await.map_err(|error| error.perhaps_told(true))
    }
}

struct Session<'s> {
    plan: &'s Plan,
    client: &'s Client,
    limit: Duration,
}

impl Session<'_> {
    async fn call(&self, method: Method, path: &str, body: Option<&Json>) -> Result<Json, SendError> {
        self.call_url(method, format!("{}/{path}", self.plan.base), body).await
    }

    async fn call_url(&self, method: Method, url: String, body: Option<&Json>) -> Result<Json, SendError> {
        let mut call = Call::json(url, body.unwrap_or(&Json::Null)).retry_on(&[429]);
        call.method = method;
        if body.is_none() {
            call.body = Vec::new();
        }
        call.headers.push((header::ACCEPT_LANGUAGE, "en".to_owned()));
        call.send(self.client, self.limit).await
    }

    /// Resolves the issue with its alerts, or opens it again.
    async fn transition(&self, issue: &Json, key: &str) -> Result<(), SendError> {
        let category = issue["fields"]["status"]["statusCategory"]["key"].as_str();
        let name = match (category, self.plan.is_resolved) {
            (Some("done"), false) => &self.plan.reopen_transition,
            (Some(other), true) if other != "done" => &self.plan.resolve_transition,
            _ => return Ok(()),
        };
        if name.is_empty() {
            return Ok(());
        }
        let path = format!("issue/{key}/transitions");
        let known = self.call(Method::GET, &path, None).await?;
        let known = known["transitions"].as_array().map_or(&[][..], Vec::as_slice);
        let Some(transition) = known.iter().find(|transition| transition["name"] == name.as_str()) else {
            return Err(SendError::fatal(format!("can't find transition {name} for issue {key}")));
        };
        let body = json!({"transition": {"id": transition["id"]}});
        self.call(Method::POST, &path, Some(&body)).await.map(|_| ())
    }
}
