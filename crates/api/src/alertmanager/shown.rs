//! Alerts and groups as they are listed. There may be very many: they are written out as they stand, without a document
//! of them all in memory.

use std::cell::Cell;
use std::collections::BTreeMap;

use alerting::alert::{Alert, Fingerprint};
use alerting::core::Suppression;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use model::Labels;
use serde::ser::SerializeSeq as _;
use serde::{Serialize, Serializer};

use super::Failure;

/// A document that is written already.
#[derive(Debug)]
pub(super) struct Written(Vec<u8>);

impl Written {
    /// The document of some content. It computes.
    pub fn of(content: &impl Serialize) -> Result<Self, Failure> {
        serde_json::to_vec(content).map(Self).map_err(Failure::broken)
    }
}

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/json")], self.0).into_response()
    }
}

/// A list whose items are made when they are written.
pub(super) struct Listed<I>(Cell<Option<I>>);

impl<I: Iterator<Item: Serialize>> Listed<I> {
    /// Of these items.
    pub fn new(items: I) -> Self {
        Self(Cell::new(Some(items)))
    }
}

impl<I: Iterator<Item: Serialize>> Serialize for Listed<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        self.0.take().into_iter().flatten().try_for_each(|item| list.serialize_element(&item))?;
        list.end()
    }
}

/// An alert.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownAlert<'a> {
    #[serde(serialize_with = "annotations")]
    annotations: &'a Alert,
    #[serde(serialize_with = "time")]
    ends_at: Timestamp,
    #[serde(serialize_with = "text")]
    fingerprint: Fingerprint,
    receivers: Vec<Named<'a>>,
    #[serde(serialize_with = "time")]
    starts_at: Timestamp,
    status: Status<'a>,
    #[serde(serialize_with = "time")]
    updated_at: Timestamp,
    #[serde(rename = "generatorURL", skip_serializing_if = "str::is_empty")]
    generator_url: &'a str,
    #[serde(serialize_with = "labels")]
    labels: &'a Labels,
}

/// A group.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownGroup<'a> {
    pub alerts: Vec<ShownAlert<'a>>,
    #[serde(serialize_with = "labels")]
    pub labels: &'a Labels,
    pub receiver: Named<'a>,
    pub route_labels: BTreeMap<String, String>,
}

/// A receiver.
#[derive(Serialize)]
pub(super) struct Named<'a> {
    pub name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    inhibited_by: Vec<String>,
    muted_by: &'a [String],
    silenced_by: &'a [String],
    state: &'static str,
}

impl<'a> ShownAlert<'a> {
    /// An alert with what keeps it from being told and who is told of it.
    pub fn new(
        alert: &'a Alert,
        by: &'a Suppression,
        receivers: impl IntoIterator<Item = &'a str>,
        muted_by: &'a [String],
    ) -> Self {
        let inhibited_by: Vec<String> =
            by.inhibited_by.iter().map(|inhibition| inhibition.source.to_string()).collect();
        let is_suppressed = !by.silenced_by.is_empty() || !inhibited_by.is_empty() || !muted_by.is_empty();
        Self {
            annotations: alert,
            ends_at: alert.ends_at.unwrap_or(alert.starts_at),
            fingerprint: alert.fingerprint(),
            receivers: receivers.into_iter().map(|name| Named { name }).collect(),
            starts_at: alert.starts_at,
            status: Status {
                inhibited_by,
                muted_by,
                silenced_by: &by.silenced_by,
                state: if is_suppressed { "suppressed" } else { "active" },
            },
            updated_at: alert.updated_at,
            generator_url: &alert.generator_url,
            labels: &alert.labels,
        }
    }
}

fn annotations<S: Serializer>(alert: &Alert, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(alert.annotations.iter())
}

fn labels<S: Serializer>(labels: &Labels, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(labels.iter())
}

fn time<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.3}"))
}

fn text<S: Serializer>(shown: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(shown)
}
