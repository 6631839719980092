//! Silences.

use alerting::engine::SetSilenceError;
use alerting::silence::{Silence, SilenceError, SilenceState};
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use config::alertmanager::Matcher;
use jiff::Timestamp;
use model::matcher::MatchOp;
use serde_json::{Value as Json, json};

use super::query::Query;
use super::{Answer, Failure, Shared, read_body, read_labels, read_text, read_time, show_time};

fn show_matcher(matcher: &Matcher) -> Json {
    json!({
        "name": matcher.name,
        "value": matcher.value,
        "isRegex": matches!(matcher.op, MatchOp::Regex | MatchOp::NotRegex),
        "isEqual": matches!(matcher.op, MatchOp::Equal | MatchOp::Regex),
    })
}

fn show(silence: &Silence, now: Timestamp) -> Json {
    json!({
        "id": silence.id,
        "status": {"state": silence.state(now).as_str()},
        "matchers": silence.matcher_sets.iter().take(1).flatten().map(show_matcher).collect::<Vec<_>>(),
        "startsAt": show_time(silence.starts_at),
        "endsAt": show_time(silence.ends_at),
        "updatedAt": show_time(silence.updated_at),
        "createdBy": silence.created_by,
        "comment": silence.comment,
        "annotations": silence.annotations,
    })
}

/// Whether each matcher of a filter stands in one of the silence's sets.
fn is_asked_for(silence: &Silence, filter: &[Matcher]) -> bool {
    silence.matcher_sets.iter().any(|set| filter.iter().all(|matcher| set.contains(matcher)))
}

pub(super) async fn list(State(manager): Shared, RawQuery(raw): RawQuery) -> Answer {
    let query = Query::parse(raw.as_deref(), &["filter", "active", "pending", "expired"])?;
    let filter = query.matchers("filter", manager.options().mode).map_err(Failure::bad)?;
    let wanted = [
        (SilenceState::Active, query.flag("active")?),
        (SilenceState::Pending, query.flag("pending")?),
        (SilenceState::Expired, query.flag("expired")?),
    ];
    let now = manager.now();
    let mut found = manager.with_core(|core| {
        let fits = |silence: &&std::sync::Arc<Silence>| {
            wanted.contains(&(silence.state(now), true)) && is_asked_for(silence, &filter)
        };
        core.silences().iter().filter(fits).cloned().collect::<Vec<_>>()
    });
    // Active ones that end soon first, then those that begin soon, then those that ended lately.
    found.sort_by_key(|silence| {
        let state = silence.state(now);
        let key = match state {
            SilenceState::Active => silence.ends_at.as_nanosecond(),
            SilenceState::Pending => silence.starts_at.as_nanosecond(),
            SilenceState::Expired => -silence.ends_at.as_nanosecond(),
        };
        (state, key, silence.id.clone())
    });
    Ok(axum::Json(found.iter().map(|silence| show(silence, now)).collect()))
}

pub(super) async fn get(State(manager): Shared, Path(id): Path<String>) -> Answer {
    let silence = manager.with_core(|core| core.silences().get(&id).cloned());
    let silence = silence.ok_or_else(|| Failure::not_found(format!("silence {id} not found")))?;
    Ok(axum::Json(show(&silence, manager.now())))
}

pub(super) async fn expire(State(manager): Shared, Path(id): Path<String>) -> Result<StatusCode, Failure> {
    // It waits for the disk.
    let expired = tokio::task::spawn_blocking(move || manager.expire_silence(&id)).await;
    expired.map_err(|error| broken(&error))?.map_err(refused)?;
    Ok(StatusCode::OK)
}

pub(super) async fn set(State(manager): Shared, body: Bytes) -> Answer {
    let silence = read(&read_body(&body)?)?;
    if silence.starts_at >= silence.ends_at {
        return Err(Failure::bad("Failed to create silence: start time must be before end time"));
    }
    if silence.ends_at < manager.now() {
        return Err(Failure::bad("Failed to create silence: end time can't be in the past"));
    }
    let id = tokio::task::spawn_blocking(move || manager.set_silence(silence)).await;
    let id = id.map_err(|error| broken(&error))?.map_err(refused)?;
    Ok(axum::Json(json!({"silenceID": id})))
}

fn broken(error: &tokio::task::JoinError) -> Failure {
    Failure(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

fn refused(error: SetSilenceError) -> Failure {
    match &error {
        SetSilenceError::Silence(SilenceError::NotFound) => Failure::not_found(error.to_string()),
        SetSilenceError::Silence(_) => Failure::bad(error.to_string()),
        SetSilenceError::Storage(_) => Failure(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn read(body: &Json) -> Result<Silence, Failure> {
    if !body.is_object() {
        return Err(Failure::bad("silence in body must be of type object"));
    }
    for field in ["matchers", "startsAt", "endsAt", "createdBy", "comment"] {
        if body[field].is_null() {
            return Err(Failure::bad(format!("{field} in body is required")));
        }
    }
    let Some(items) = body["matchers"].as_array().filter(|items| !items.is_empty()) else {
        return Err(Failure::bad("matchers in body should have at least 1 items"));
    };
    let time = |field: &str| {
        let missing = || Failure::bad(format!("{field} in body is required"));
        read_time(&body[field], field)?.ok_or_else(missing)
    };
    let annotations = read_labels(&body["annotations"], "annotations")?;
    Ok(Silence {
        id: read_text(&body["id"], "id")?,
        matcher_sets: vec![items.iter().map(read_matcher).collect::<Result<_, _>>()?],
        starts_at: time("startsAt")?,
        ends_at: time("endsAt")?,
        updated_at: Timestamp::UNIX_EPOCH,
        created_by: read_text(&body["createdBy"], "createdBy")?,
        comment: read_text(&body["comment"], "comment")?,
        annotations: annotations.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    })
}

fn read_matcher(item: &Json) -> Result<Matcher, Failure> {
    let text = |field: &str| {
        let wrong = || Failure::bad(format!("matchers.{field} in body must be of type string"));
        item[field].as_str().ok_or_else(wrong)
    };
    let flag = |field: &str, default: Option<bool>| {
        let given = if item[field].is_null() { default } else { item[field].as_bool() };
        given.ok_or_else(|| Failure::bad(format!("matchers.{field} in body must be of type boolean")))
    };
    let op = match (flag("isEqual", Some(true))?, flag("isRegex", None)?) {
        (true, false) => MatchOp::Equal,
        (false, false) => MatchOp::NotEqual,
        (true, true) => MatchOp::Regex,
        (false, true) => MatchOp::NotRegex,
    };
    let (name, value) = (text("name")?, text("value")?);
    Matcher::new(op, name, value).map_err(|error| {
        let value = model::labels::Quoted(value);
        Failure::bad(format!(
            "invalid silence: invalid label matcher 0 in set 0: invalid regular expression {value}: {error}"
        ))
    })
}
