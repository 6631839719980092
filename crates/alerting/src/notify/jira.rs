//! Jira: one issue for each group, found again by a label.

use std::time::Duration;

use config::alertmanager::receivers::duty::JiraConfig;
use httpclient::{Client, Method, header};
use serde_json::{Map, Value as Json, json};

use super::{Call, Render, SendError, cut};

struct Session<'s> {
    config: &'s JiraConfig,
    render: &'s Render<'s>,
    client: &'s Client,
    limit: Duration,
}

pub(super) async fn send(
    config: &JiraConfig,
    render: &Render<'_>,
    client: &Client,
    limit: Duration,
) -> Result<(), SendError> {
    let session = Session { config, render, client, limit };
    let about = |what: &str| {
        let what = what.to_owned();
        move |error: SendError| SendError { message: format!("{what}: {}", error.message), ..error }
    };
    let issue = session.find().await.map_err(about("failed to look up existing issues"))?;
    let mut body = json!({"fields": session.fields()?});
    match &issue {
        None if render.is_resolved() => Ok(()),
        None => {
            session
                .call(Method::POST, "issue", Some(&body))
                .await
                .map_err(about("failed to create the issue"))?;
            Ok(())
        }
        Some(issue) => {
            let key = issue["key"].as_str().unwrap_or_default();
            for (field, settings) in [("summary", &config.summary), ("description", &config.description)] {
                if settings.enable_update == Some(false)
                    && let Some(fields) = body["fields"].as_object_mut()
                {
                    fields.remove(field);
                }
            }
            let path = format!("issue/{key}");
            session
                .call(Method::PUT, &path, Some(&body))
                .await
                .map_err(about("failed to update the issue"))?;
            session.transition(issue, key).await
        }
    }
}

/// A text as a literal of Jira's query language.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl Session<'_> {
    fn label(&self) -> String {
        format!("ALERT{{{}}}", self.render.key_hash())
    }

    fn base(&self) -> &str {
        self.config.api_url.as_str().trim_end_matches('/')
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Json>) -> Result<Json, SendError> {
        self.call_url(method, format!("{}/{path}", self.base()), body).await
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

    /// The issue of the group that is open, or was closed so lately that it is opened again.
    async fn find(&self) -> Result<Option<Json>, SendError> {
        let config = self.config;
        let mut query = String::new();
        if !config.wont_fix_resolution.is_empty() {
            // Unresolved issues are equal to no resolution, and unequal to none either.
            let resolution = quoted(&config.wont_fix_resolution);
            query.push_str(&format!("(resolution is EMPTY or resolution != {resolution}) and "));
        }
        let minutes = config.reopen_duration.get().as_secs() / 60;
        if !self.render.is_resolved() && !config.reopen_transition.is_empty() && minutes > 0 {
            query.push_str(&format!("(resolutiondate is EMPTY OR resolutiondate >= -{minutes}m) and "));
        } else {
            query.push_str("statusCategory != Done and ");
        }
        let project = self.render.text(&config.project)?;
        query.push_str(&format!(
            "project={} and labels={} order by status ASC,resolutiondate DESC",
            quoted(&project),
            quoted(&self.label())
        ));
        let body = json!({"jql": query, "maxResults": 2, "fields": ["status"]});
        let host =
            config::Url::parse(config.api_url.as_str()).map(|url| url.host().to_owned()).unwrap_or_default();
        let is_cloud =
            config.api_type == "cloud" || config.api_type == "auto" && host.ends_with("atlassian.net");
        let url = if is_cloud {
            format!("{}/search/jql", self.base()).replacen("/rest/api/2/", "/rest/api/3/", 1)
        } else {
            format!("{}/search", self.base())
        };
        let answer = self.call_url(Method::POST, url, Some(&body)).await?;
        Ok(answer["issues"].as_array().and_then(|issues| issues.first()).cloned())
    }

    fn fields(&self) -> Result<Json, SendError> {
        let (config, render) = (self.config, self.render);
        let mut fields = Map::new();
        fields.insert("summary".to_owned(), cut(render.text(&config.summary.template)?, 255).into());
        fields.insert("project".to_owned(), json!({"key": render.text(&config.project)?}));
        fields.insert("issuetype".to_owned(), json!({"name": render.text(&config.issue_type)?}));
        let mut labels = vec![self.label()];
        for label in &config.labels {
            labels.push(render.text(label)?);
        }
        labels.sort();
        fields.insert("labels".to_owned(), json!(labels));
        let description = cut(render.text(&config.description.template)?, 32_767);
        if self.base().ends_with("/3") {
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
            let value = render.templates.any(value, &render.data);
            fields.insert(
                name.clone(),
                value.map_err(|error| SendError::fatal(format!("fields template: {error}")))?,
            );
        }
        Ok(Json::Object(fields))
    }

    /// Resolves the issue with its alerts, or opens it again.
    async fn transition(&self, issue: &Json, key: &str) -> Result<(), SendError> {
        let category = issue["fields"]["status"]["statusCategory"]["key"].as_str();
        let name = match (category, self.render.is_resolved()) {
            (Some("done"), false) => &self.config.reopen_transition,
            (Some(other), true) if other != "done" => &self.config.resolve_transition,
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
