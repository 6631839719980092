//! Silences.

use alerting::engine::SetSilenceError;
use alerting::silence::{Silence, SilenceError, SilenceState};
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::StatusCode;
use base::ByteBudget;
use config::alertmanager::Matcher;
use jiff::Timestamp;
use model::matcher::MatchOp;
use serde_json::{Value as Json, json};

use super::query::Query;
use super::read::{Part, Time, document, is_uuid};
use super::{Answer, Failure, Shared, body, computed, show_time};

fn show_matcher(matcher: &Matcher) -> Json {
    json!({
        "name": matcher.name,
        "value": matcher.value,
        "isRegex": matches!(matcher.op, MatchOp::Regex | MatchOp::NotRegex),
        "isEqual": matches!(matcher.op, MatchOp::Equal | MatchOp::Regex),
    })
}

pub(super) fn show(silence: &Silence, now: Timestamp) -> Json {
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
        (SilenceState::Active, query.flag("active")),
        (SilenceState::Pending, query.flag("pending")),
        (SilenceState::Expired, query.flag("expired")),
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

/// An id in a path.
fn check_id(id: &str) -> Result<(), Failure> {
    if is_uuid(id) { Ok(()) } else { Err(Failure::format("silenceID", "path", "uuid", id)) }
}

pub(super) async fn get(State(manager): Shared, Path(id): Path<String>) -> Answer {
    check_id(&id)?;
    let silence = manager.with_core(|core| core.silences().get(&id).cloned()).ok_or(Failure::Absent)?;
    Ok(axum::Json(show(&silence, manager.now())))
}

pub(super) async fn expire(State(manager): Shared, Path(id): Path<String>) -> Result<StatusCode, Failure> {
    check_id(&id)?;
    // It waits for the disk.
    let expired = computed(move || Ok(manager.expire_silence(&id))).await?;
    match expired {
        Err(SetSilenceError::Silence(SilenceError::NotFound)) => Err(Failure::Absent),
        expired => expired.map(|()| StatusCode::OK).map_err(refused),
    }
}

pub(super) async fn set(
    State(manager): Shared,
    State(budget): State<ByteBudget>,
    request: Request,
) -> Answer {
    let (body, _memory) = body(request, &budget).await?;
    computed(move || {
        let silence = read(Part::whole("silence", &document("silence", &body)?), &manager)?;
        if silence.starts_at >= silence.ends_at {
            return Err(Failure::bad("Failed to create silence: start time must be before end time"));
        }
        if silence.ends_at < manager.now() {
            return Err(Failure::bad("Failed to create silence: end time can't be in the past"));
        }
        let id = manager.set_silence(silence).map_err(refused)?;
        Ok(axum::Json(json!({"silenceID": id})))
    })
    .await
}

fn refused(error: SetSilenceError) -> Failure {
    match &error {
        SetSilenceError::Silence(SilenceError::NotFound) => {
            Failure::Text(StatusCode::NOT_FOUND, error.to_string())
        }
        SetSilenceError::Silence(_) => Failure::bad(error.to_string()),
        SetSilenceError::Storage(_) => Failure::broken(error),
    }
}

fn read(body: Part<'_>, manager: &alerting::Alertmanager) -> Result<Silence, Failure> {
    let (id, comment) = (body.field("id")?.text("id")?, body.field("comment")?.text("comment")?);
    let created_by = body.field("createdBy")?.text("createdBy")?;
    let (starts_at, ends_at) =
        (body.field("startsAt")?.time("startsAt")?, body.field("endsAt")?.time("endsAt")?);
    let annotations = body.field("annotations")?.texts("annotations")?;
    let list = body.field("matchers")?;
    let matchers: Vec<RawMatcher<'_>> =
        list.items("matchers")?.map(RawMatcher::read).collect::<Result<_, _>>()?;
    // All of it can be read; now what must be there, in the order of names.
    let comment = comment.ok_or_else(|| Failure::required("comment"))?;
    let created_by = created_by.ok_or_else(|| Failure::required("createdBy"))?;
    if ends_at == Time::Absent {
        return Err(Failure::required("endsAt"));
    }
    if list.is_absent() {
        return Err(Failure::required("matchers"));
    }
    if matchers.is_empty() {
        return Err(Failure::empty("matchers"));
    }
    let matchers: Vec<_> =
        matchers.iter().enumerate().map(|(i, raw)| raw.required(i)).collect::<Result<_, _>>()?;
    if starts_at == Time::Absent {
        return Err(Failure::required("startsAt"));
    }
    let matchers = matchers.into_iter().enumerate().map(|(i, raw)| matcher(i, raw));
    Ok(Silence {
        id: id.unwrap_or_default().to_owned(),
        matcher_sets: vec![matchers.collect::<Result<_, _>>()?],
        starts_at: starts_at.get().unwrap_or_else(|| manager.now()),
        ends_at: ends_at.get().unwrap_or(Timestamp::UNIX_EPOCH),
        updated_at: Timestamp::UNIX_EPOCH,
        created_by: created_by.to_owned(),
        comment: comment.to_owned(),
        annotations,
    })
}

/// A matcher as it stands in a body.
struct RawMatcher<'j> {
    name: Option<&'j str>,
    value: Option<&'j str>,
    is_regex: Option<bool>,
    is_equal: bool,
}

impl<'j> RawMatcher<'j> {
    fn read(item: Part<'j>) -> Result<Self, Failure> {
        Ok(Self {
            name: item.field("name")?.text("matchers.name")?,
            value: item.field("value")?.text("matchers.value")?,
            is_regex: item.field("isRegex")?.flag("matchers.isRegex")?,
            is_equal: item.field("isEqual")?.flag("matchers.isEqual")?.unwrap_or(true),
        })
    }

    /// Operator, name and value.
    fn required(&self, i: usize) -> Result<(MatchOp, &'j str, &'j str), Failure> {
        let missing = |field: &str| Failure::required(&format!("matchers.{i}.{field}"));
        let op = match (self.is_equal, self.is_regex.ok_or_else(|| missing("isRegex"))?) {
            (true, false) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Regex,
            (false, true) => MatchOp::NotRegex,
        };
        let name = self.name.ok_or_else(|| missing("name"))?;
        Ok((op, name, self.value.ok_or_else(|| missing("value"))?))
    }
}

fn matcher(i: usize, (op, name, value): (MatchOp, &str, &str)) -> Result<Matcher, Failure> {
    Matcher::new(op, name, value).map_err(|error| {
        let value = model::labels::Quoted(value);
        Failure::bad(format!(
            "invalid silence: invalid label matcher {i} in set 0: invalid regular expression {value}: {error}"
        ))
    })
}
