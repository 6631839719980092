//! Messages for the operator.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;

use super::Shared;
use crate::envelope::{Pieces, success};
use crate::notifications::Listener;

/// `GET /notifications`
pub async fn notifications(State(state): State<Shared>) -> Response {
    success(&state.system.notifications().held())
}

/// `GET /notifications/live`: what holds and then every change, as server-sent events.
pub async fn live(State(state): State<Shared>) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    let Some(listener) = state.system.notifications().listen() else {
        return (StatusCode::NO_CONTENT, headers).into_response();
    };
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(forward(listener, sender));
    (headers, Body::new(Pieces(receiver))).into_response()
}

/// Sends messages until there are no more or the client goes away.
async fn forward(mut listener: Listener, sender: mpsc::Sender<Bytes>) {
    loop {
        let note = tokio::select! {
            () = sender.closed() => return,
            note = listener.next() => note,
        };
        let Some(text) = note.and_then(|note| serde_json::to_string(&note).ok()) else { return };
        if sender.send(Bytes::from(format!("data: {text}\n\n"))).await.is_err() {
            return;
        }
    }
}
