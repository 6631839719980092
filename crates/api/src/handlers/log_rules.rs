//! Rules about logs: `/loki/api/v1/rules`, read and write, its older place `/api/prom/rules`, and what is evaluated in
//! Prometheus's shape at `/prometheus/api/v1/rules` and `/prometheus/api/v1/alerts`.
//!
//! It meets rules in [`LogRules`]. Rules as they are written are YAML, failures of those paths plain text.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base::ErrorKind;
use bytes::Bytes;
use model::TenantId;
use serde_json::json;

use super::loki::check_tenant;
use super::rules::{alerts_answer, rules_answer};
use super::write::{plain, tenant_of};
use crate::error::ApiError;
use crate::params::Params;
use crate::state::RuleGroupView;

/// Bytes of a group, as YAML.
const MAX_GROUP_BYTES: usize = 4 << 20;

/// Why rules are as they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRulesProblem {
    /// What the client can do.
    pub kind: ErrorKind,
    /// What is wrong.
    pub text: String,
}

/// Rules about logs.
pub trait LogRules: Send + Sync {
    /// The groups of a tenant by namespace as YAML; only those of `namespace`, if it is given. `None` where there are
    /// none.
    fn namespaces_yaml(
        &self,
        tenant: &TenantId,
        namespace: Option<&str>,
    ) -> Result<Option<String>, LogRulesProblem>;
    /// A group as YAML; `None` where there is none.
    fn group_yaml(
        &self,
        tenant: &TenantId,
        namespace: &str,
        group: &str,
    ) -> Result<Option<String>, LogRulesProblem>;
    /// Puts the group that is written in `yaml` in the place of the one of its name, or adds it. Blocks until it is
    /// durable.
    fn put(&self, tenant: &TenantId, namespace: &str, yaml: &str) -> Result<(), LogRulesProblem>;
    /// Removes a group, or all of a namespace. Blocks until that is durable.
    fn remove(&self, tenant: &TenantId, namespace: &str, group: Option<&str>) -> Result<(), LogRulesProblem>;
    /// The groups that are evaluated, with namespaces as files; with `with_alerts`, the alerts of each rule too.
    fn groups(&self, tenant: &TenantId, with_alerts: bool) -> Vec<RuleGroupView>;
}

/// What the handlers need.
#[derive(Clone)]
pub struct LogRulesState {
    /// The rules.
    pub rules: Arc<dyn LogRules>,
    /// Whether requests say whose rules they are about.
    pub multi_tenant: bool,
    /// Whose they are about where they do not.
    pub only_tenant: TenantId,
}

/// The paths of rules about logs.
pub fn router(state: LogRulesState) -> Router {
    let one = get(group).delete(remove_group);
    let some = get(namespace).post(put).delete(remove_namespace);
    let written = Router::new()
        .route("/rules", get(all))
        .route("/rules/{namespace}", some)
        .route("/rules/{namespace}/{group}", one);
    let evaluated = Router::new().route("/rules", get(evaluated)).route("/alerts", get(alerts));
    Router::new()
        .nest("/loki/api/v1", written.clone())
        .nest("/api/prom", written)
        .nest("/prometheus/api/v1", evaluated)
        .layer(DefaultBodyLimit::max(MAX_GROUP_BYTES))
        .with_state(state)
}

impl LogRulesState {
    fn tenant(&self, headers: &HeaderMap) -> Result<TenantId, Failure> {
        match (self.multi_tenant, headers.get("x-scope-orgid").is_none_or(|name| name.is_empty())) {
            (false, _) => Ok(self.only_tenant.clone()),
            (true, true) => Err(Failure(StatusCode::UNAUTHORIZED, "no org id".to_owned())),
            (true, false) => {
                let tenant = tenant_of(headers);
                check_tenant(&tenant.0).map_err(|problem| Failure(StatusCode::BAD_REQUEST, problem))?;
                Ok(tenant)
            }
        }
    }

    /// Does what waits for the disk, or takes its time, where that is allowed.
    async fn work<T: Send + 'static>(
        &self,
        headers: &HeaderMap,
        work: impl FnOnce(&dyn LogRules, &TenantId) -> Result<T, LogRulesProblem> + Send + 'static,
    ) -> Result<T, Failure> {
        let (tenant, rules) = (self.tenant(headers)?, self.rules.clone());
        let done = tokio::task::spawn_blocking(move || work(&*rules, &tenant)).await;
        let done = done.map_err(|error| Failure(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        done.map_err(Failure::from)
    }
}

/// A failure: a status and a text.
struct Failure(StatusCode, String);

impl From<LogRulesProblem> for Failure {
    fn from(problem: LogRulesProblem) -> Self {
        let status = match problem.kind {
            ErrorKind::InvalidInput | ErrorKind::LimitExceeded => StatusCode::BAD_REQUEST,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, problem.text)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        plain(self.0, self.1)
    }
}

fn yaml(text: Option<String>, missing: &str) -> Result<Response, Failure> {
    let text = text.ok_or_else(|| Failure(StatusCode::NOT_FOUND, missing.to_owned()))?;
    Ok(([(header::CONTENT_TYPE, "application/yaml")], text).into_response())
}

fn accepted() -> Response {
    let body = json!({ "status": "success", "data": null, "errorType": "", "error": "" });
    (StatusCode::ACCEPTED, axum::Json(body)).into_response()
}

/// `GET /rules`
async fn all(State(state): State<LogRulesState>, headers: HeaderMap) -> Result<Response, Failure> {
    let text = state.work(&headers, |rules, tenant| rules.namespaces_yaml(tenant, None)).await?;
    yaml(text, "no rule groups found")
}

/// `GET /rules/{namespace}`
async fn namespace(
    State(state): State<LogRulesState>,
    Path(namespace): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let ask = move |rules: &dyn LogRules, tenant: &TenantId| rules.namespaces_yaml(tenant, Some(&namespace));
    yaml(state.work(&headers, ask).await?, "no rule groups found")
}

/// `GET /rules/{namespace}/{group}`
async fn group(
    State(state): State<LogRulesState>,
    Path((namespace, group)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let ask = move |rules: &dyn LogRules, tenant: &TenantId| rules.group_yaml(tenant, &namespace, &group);
    yaml(state.work(&headers, ask).await?, "group does not exist")
}

/// `POST /rules/{namespace}`
async fn put(
    State(state): State<LogRulesState>,
    Path(namespace): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    let put = move |rules: &dyn LogRules, tenant: &TenantId| {
        let refused = |text: &str| LogRulesProblem { kind: ErrorKind::InvalidInput, text: text.to_owned() };
        let text =
            std::str::from_utf8(&body).map_err(|_| refused("unable to decode rule group: not UTF-8"))?;
        rules.put(tenant, &namespace, text)
    };
    state.work(&headers, put).await?;
    Ok(accepted())
}

/// `DELETE /rules/{namespace}/{group}`
async fn remove_group(
    State(state): State<LogRulesState>,
    Path((namespace, group)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let remove =
        move |rules: &dyn LogRules, tenant: &TenantId| rules.remove(tenant, &namespace, Some(&group));
    state.work(&headers, remove).await?;
    Ok(accepted())
}

/// `DELETE /rules/{namespace}`
async fn remove_namespace(
    State(state): State<LogRulesState>,
    Path(namespace): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let remove = move |rules: &dyn LogRules, tenant: &TenantId| rules.remove(tenant, &namespace, None);
    state.work(&headers, remove).await?;
    Ok(accepted())
}

/// `GET /prometheus/api/v1/rules`
async fn evaluated(
    State(state): State<LogRulesState>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Failure> {
    let ask = move |rules: &dyn LogRules, tenant: &TenantId| {
        Ok(rules_answer(&params, |with_alerts| rules.groups(tenant, with_alerts)))
    };
    Ok(state.work(&headers, ask).await?.unwrap_or_else(ApiError::into_response))
}

/// `GET /prometheus/api/v1/alerts`
async fn alerts(State(state): State<LogRulesState>, headers: HeaderMap) -> Result<Response, Failure> {
    state.work(&headers, |rules, tenant| Ok(alerts_answer(&rules.groups(tenant, true)))).await
}
