//! The envelope of answers: `{"status":"success","data":...,"warnings":[...],"infos":[...]}`.

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::json;

/// Warnings and infos that go with an answer.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// The answer may be wrong.
    pub warnings: Vec<String>,
    /// The query may not be what was meant.
    pub infos: Vec<String>,
}

impl Notes {
    /// Notes with these warnings.
    pub fn warnings(warnings: Vec<String>) -> Self {
        Self { warnings, infos: Vec::new() }
    }

    /// Adds that the answer was cut.
    pub fn add_truncated(&mut self) {
        self.warnings.push("results truncated due to limit".to_owned());
    }
}

/// A successful answer with small data.
pub fn success(data: &impl Serialize) -> Response {
    success_with(data, &Notes::default())
}

/// A successful answer with small data and notes.
pub fn success_with(data: &impl Serialize, notes: &Notes) -> Response {
    match serde_json::to_vec(data) {
        Ok(data) => {
            let mut body = open();
            body.extend_from_slice(&data);
            close(&mut body, notes);
            json_response(Body::from(body))
        }
        Err(error) => crate::ApiError::internal(format!("encoding the answer: {error}")).into_response(),
    }
}

/// A successful answer whose data `write` appends to a buffer.
pub fn success_written(notes: &Notes, write: impl FnOnce(&mut Vec<u8>)) -> Response {
    let mut body = open();
    write(&mut body);
    close(&mut body, notes);
    json_response(Body::from(body))
}

/// Bytes gathered before they are sent on.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces that wait for a slow client; the writer waits when there are more.
const PIECES_WAITING: usize = 4;
/// Memory an answer takes while it is written and sent: what waits, what is written and what is sent.
pub const ANSWER_BYTES: usize = (PIECES_WAITING + 2) * PIECE_BYTES;

/// A successful answer whose data is written while it is sent, in bounded memory. `write` runs on a
/// blocking thread; it calls the sink whenever the buffer may be taken.
pub async fn success_streamed(
    notes: Notes,
    write: impl FnOnce(&mut Vec<u8>, &mut dyn FnMut(&mut Vec<u8>)) + Send + 'static,
) -> Response {
    let (begun, answer) = oneshot::channel();
    let writing = tokio::task::spawn_blocking(move || write_success(begun, notes, write));
    match (answer.await, writing) {
        (Ok(answer), _) => answer,
        (Err(_), writing) => {
            let failure = writing.await.err().map_or_else(String::new, |error| error.to_string());
            crate::ApiError::internal(format!("encoding the answer: {failure}")).into_response()
        }
    }
}

/// As [`success_streamed`], on this thread, which may block. `begun` is told the answer as soon as its first
/// piece is there: short ones are whole by then.
pub fn write_success(
    begun: oneshot::Sender<Response>,
    notes: Notes,
    write: impl FnOnce(&mut Vec<u8>, &mut dyn FnMut(&mut Vec<u8>)),
) {
    let mut begun = Some(begun);
    let mut sender: Option<mpsc::Sender<Bytes>> = None;
    let mut buffer = open();
    let mut send = |buffer: &mut Vec<u8>| {
        if buffer.len() < PIECE_BYTES {
            return;
        }
        let piece = std::mem::replace(buffer, Vec::with_capacity(PIECE_BYTES * 5 / 4));
        let sender = sender.get_or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(PIECES_WAITING);
            // A client that went away takes no answer and no more of it; the rest is written into nothing.
            if let Some(begun) = begun.take() {
                drop(begun.send(json_response(Body::new(Pieces(receiver)))));
            }
            sender
        });
        let _ = sender.blocking_send(Bytes::from(piece));
    };
    write(&mut buffer, &mut send);
    close(&mut buffer, &notes);
    match (sender, begun) {
        (Some(sender), _) => drop(sender.blocking_send(Bytes::from(buffer))),
        (None, Some(begun)) => drop(begun.send(json_response(Body::from(buffer)))),
        (None, None) => {}
    }
}

/// The pieces of a streamed answer as a body.
pub(crate) struct Pieces(pub(crate) mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|bytes| Ok(hyper::body::Frame::data(bytes))))
    }
}

/// A body whose memory `held` stands for, until all of it was taken to be sent.
pub(crate) fn held_body(bytes: Vec<u8>, held: impl Send + Unpin + 'static) -> Body {
    Body::new(HeldBody { bytes: Bytes::from(bytes), _held: held })
}

struct HeldBody<H> {
    bytes: Bytes,
    _held: H,
}

impl<H: Unpin> hyper::body::Body for HeldBody<H> {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        // In pieces: the next is asked for when there is room for it.
        let piece_bytes = self.bytes.len().min(PIECE_BYTES);
        let piece = self.bytes.split_to(piece_bytes);
        std::task::Poll::Ready((!piece.is_empty()).then(|| Ok(hyper::body::Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        hyper::body::SizeHint::with_exact(self.bytes.len() as u64)
    }
}

fn open() -> Vec<u8> {
    b"{\"status\":\"success\",\"data\":".to_vec()
}

fn close(body: &mut Vec<u8>, notes: &Notes) {
    for (name, texts) in [("warnings", &notes.warnings), ("infos", &notes.infos)] {
        if !texts.is_empty() {
            body.extend_from_slice(format!(",\"{name}\":").as_bytes());
            json::array(body, texts, |out, text| json::string(out, text));
        }
    }
    body.push(b'}');
}

fn json_response(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
