//! WebSockets to data sources: live logs of other servers.
//!
//! Both sides agree as they would with each other, so that nothing of what they say has to be understood here: bytes are
//! passed on, a buffer's worth at a time. Who reads slowly makes the other side wait.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::super::{Failure, Screens};
use super::{Target, returned, unanswered};
use crate::websocket::{accept, answer_to, key};

/// Connections that are passed on at a time, for all data sources.
pub(crate) const MAX_CONNECTIONS: usize = 256;
/// Bytes on their way in one direction.
const BUFFER_BYTES: usize = 16 << 10;
/// How long a side may take to read what waits for it.
const STALLED: Duration = Duration::from_secs(30);
/// How long one side may go on after the other has ended: to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// Connects a client that asks for it with a data source, at this address and with these headers.
pub(super) async fn pass(
    screens: &Arc<Screens>,
    target: &Target,
    request: Request,
    uid: &str,
    (url, mut sent): (String, HeaderMap),
) -> Result<Response, Failure> {
    let full =
        |_| Failure(StatusCode::TOO_MANY_REQUESTS, format!("{MAX_CONNECTIONS} connections are open already"));
    let place = screens.live.clone().try_acquire_owned().map_err(full)?;
    let key = key(request.headers()).cloned().ok_or_else(|| Failure::bad("no WebSocket is asked for"))?;
    sent.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    sent.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    sent.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    sent.insert(header::SEC_WEBSOCKET_KEY, key.clone());
    let asked = httpclient::Request::new(Method::GET, url, target.timeout).headers(&sent);
    let answer = target.live_client.send(asked).await.map_err(|error| unanswered(uid, &error))?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(returned(answer));
    }
    let bad = |why: &str| Failure(StatusCode::BAD_GATEWAY, format!("data source {uid:?}: {why}"));
    if answer.headers().get(header::SEC_WEBSOCKET_ACCEPT) != answer_to(&key).as_ref() {
        return Err(bad("the server does not speak WebSocket"));
    }
    let server = answer.upgrade().await.map_err(|error| bad(&error.to_string()))?;
    let (response, upgrade) = accept(request).map_err(|_| Failure::bad("no WebSocket is asked for"))?;
    tokio::spawn(async move {
        let _place = place;
        if let Ok(client) = upgrade.await {
            join(TokioIo::new(client), server).await;
        }
    });
    Ok(response.into_response())
}

/// Passes on what either side sends until one of them ends; soon after it, the other is ended, too.
async fn join(client: impl AsyncRead + AsyncWrite, server: impl AsyncRead + AsyncWrite) {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    let (up, down) = (pump(from_client, to_server), pump(from_server, to_client));
    tokio::pin!(up, down);
    // Who sees the other side end says goodbye and goes. Where a connection broke there is nothing to wait for.
    tokio::select! {
        ended = &mut up => if ended.is_ok() { drop(tokio::time::timeout(GOODBYE, down).await) },
        ended = &mut down => if ended.is_ok() { drop(tokio::time::timeout(GOODBYE, up).await) },
    }
}

/// Passes on what one side sends until it ends, and then tells the other.
async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = from.read(&mut buffer).await?;
        let passing = async {
            if read == 0 {
                return to.shutdown().await;
            }
            to.write_all(&buffer[..read]).await?;
            to.flush().await
        };
        tokio::time::timeout(STALLED, passing).await??;
        if read == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_one_side_sends_the_other_gets_and_both_end() {
        let ((mut client, near), (far, mut server)) = (tokio::io::duplex(64), tokio::io::duplex(64));
        let joined = tokio::spawn(join(near, far));
        let long = vec![7; 100_000];
        let (sent, mut got) = (long.clone(), vec![0; 100_000]);
        let (written, read) = tokio::join!(server.write_all(&sent), client.read_exact(&mut got));
        assert!(written.is_ok() && read.is_ok() && got == long);
        client.write_all(b"bye").await.unwrap();
        drop(client);
        let mut rest = Vec::new();
        server.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"bye");
        // It does not go, but nobody waits for it for long.
        joined.await.unwrap();
        assert!(server.write_all(&sent).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_does_not_read_is_left() {
        let ((client, near), (far, mut server)) = (tokio::io::duplex(64), tokio::io::duplex(64));
        let joined = tokio::spawn(join(near, far));
        let sent = vec![7; 1 << 20];
        assert!(server.write_all(&sent).await.is_err(), "a buffer's worth is taken, and no more");
        joined.await.unwrap();
        drop(client);
    }
}
