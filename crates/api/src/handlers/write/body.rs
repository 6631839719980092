//! Bodies of what is pushed, in bounded memory.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base::budget::BudgetExceeded;
use base::{ByteBudget, Reservation};
use http_body_util::BodyExt;
use hyper::body::Body as HttpBody;

use super::plain;

/// The time a sender may take for a body: memory is not kept for those who dribble.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// What is made ready at once for a body whose length is announced.
const MAX_ANNOUNCED_BYTES: usize = 256 << 10;

/// A body and the share of memory it holds.
#[derive(Debug)]
pub struct ReceivedBody {
    /// The body as it came.
    pub bytes: Vec<u8>,
    memory: Reservation,
    /// Bytes the sender said there will be; 0 if it did not.
    announced: usize,
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyRefused {
    /// It is too large.
    #[error("request body exceeds the {0} bytes limit")]
    TooLarge(usize),
    /// Requests hold all the memory they may.
    #[error(transparent)]
    Memory(#[from] BudgetExceeded),
    /// It does not come.
    #[error("the request body did not arrive within {} seconds", BODY_TIMEOUT.as_secs())]
    TooSlow,
    /// The connection broke.
    #[error("{0}")]
    Broken(String),
}

impl IntoResponse for BodyRefused {
    fn into_response(self) -> Response {
        let status = match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Memory(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken(_) => StatusCode::BAD_REQUEST,
        };
        let mut response = plain(status, &self);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(1));
        }
        response
    }
}

/// Reads a body of at most `max_bytes`, its memory taken from `budget` as it arrives.
pub async fn read_body(
    request: Request,
    budget: &ByteBudget,
    max_bytes: usize,
) -> Result<ReceivedBody, BodyRefused> {
    let read = collect(request.into_body(), budget, max_bytes);
    tokio::time::timeout(BODY_TIMEOUT, read).await.unwrap_or(Err(BodyRefused::TooSlow))
}

async fn collect(mut body: Body, budget: &ByteBudget, max_bytes: usize) -> Result<ReceivedBody, BodyRefused> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > max_bytes {
        return Err(BodyRefused::TooLarge(max_bytes));
    }
    let mut received = ReceivedBody { bytes: Vec::new(), memory: budget.reserve(0)?, announced };
    received.make_room(announced.min(MAX_ANNOUNCED_BYTES))?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| BodyRefused::Broken(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > max_bytes - received.bytes.len() {
            return Err(BodyRefused::TooLarge(max_bytes));
        }
        received.push(&data)?;
    }
    Ok(received)
}

impl ReceivedBody {
    /// The body, and the share of memory it holds, which lasts as long as the body must.
    pub fn into_parts(self) -> (Vec<u8>, Reservation) {
        (self.bytes, self.memory)
    }

    /// Makes room for a body of `wanted` bytes.
    fn make_room(&mut self, wanted: usize) -> Result<(), BodyRefused> {
        let have = self.bytes.capacity();
        // While they move, the bytes are there twice.
        self.memory.grow(wanted)?;
        self.bytes.reserve_exact(wanted - self.bytes.len());
        self.memory.shrink_to(self.memory.bytes() - have);
        Ok(())
    }

    fn push(&mut self, data: &[u8]) -> Result<(), BodyRefused> {
        let needed = self.bytes.len() + data.len();
        if needed > self.bytes.capacity() {
            let doubled = self.bytes.capacity() * 2;
            let bounded = if self.announced > 0 { doubled.min(self.announced) } else { doubled };
            self.make_room(needed.max(bounded))?;
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use axum::body::Bytes;
    use hyper::body::Frame;

    use super::*;

    fn request(bytes: usize) -> Request {
        Request::new(Body::from(vec![7; bytes]))
    }

    #[tokio::test]
    async fn bodies_hold_their_share_until_they_are_dropped() {
        let budget = ByteBudget::new("ingest.max-memory", 3000);
        let first = read_body(request(2000), &budget, 4000).await.unwrap();
        assert_eq!(first.bytes, vec![7; 2000]);
        assert_eq!(budget.used_bytes(), 2000);
        let refused = read_body(request(1001), &budget, 4000).await.unwrap_err();
        assert!(refused.to_string().starts_with("ingest.max-memory: "), "{refused}");
        let response = refused.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        drop(first);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[tokio::test]
    async fn large_bodies_are_refused_announced_or_not() {
        let budget = ByteBudget::unlimited();
        let announced = read_body(request(4001), &budget, 4000).await.unwrap_err();
        assert_eq!(announced.to_string(), "request body exceeds the 4000 bytes limit");
        let streamed = read_body(Request::new(Body::new(TenAtATime(401))), &budget, 4000).await.unwrap_err();
        assert_eq!(streamed.into_response().status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    /// A body whose length is not known before.
    struct TenAtATime(u64);

    impl HttpBody for TenAtATime {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let frame = self.0.checked_sub(1).map(|left| {
                self.0 = left;
                Ok(Frame::data(Bytes::from_static(&[7; 10])))
            });
            Poll::Ready(frame)
        }
    }
}
