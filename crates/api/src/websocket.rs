//! WebSocket (RFC 6455) as far as live logs need it. The server's side: text out, and noticing that the client leaves; and the
//! way to agree to it, which whoever stands between a client and another server needs as well.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;

/// What a client's key is joined with, as the standard says.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes of one message from a client.
const MAX_MESSAGE_BYTES: u64 = 64 << 10;

const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;
const FINAL: u8 = 0x80;

/// The client does not ask for WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotAsked;

/// The key of a client that asks to talk WebSocket.
pub(crate) fn key(headers: &HeaderMap) -> Option<&HeaderValue> {
    let names = |name: header::HeaderName, wanted: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(wanted))
    };
    let is_websocket = names(header::UPGRADE, "websocket") && names(header::CONNECTION, "upgrade");
    headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| is_websocket)
}

/// Agrees to talk WebSocket: the answer, and the connection once it is sent.
pub(crate) fn accept(mut request: Request) -> Result<(Response, OnUpgrade), NotAsked> {
    let accepted = key(request.headers()).and_then(answer_to).ok_or(NotAsked)?;
    let mut answer = HeaderMap::new();
    answer.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(header::SEC_WEBSOCKET_ACCEPT, accepted);
    let upgrade = hyper::upgrade::on(&mut request);
    Ok(((StatusCode::SWITCHING_PROTOCOLS, answer).into_response(), upgrade))
}

/// What proves that a key was understood.
pub(crate) fn answer_to(key: &HeaderValue) -> Option<HeaderValue> {
    let joined = [key.as_bytes(), GUID.as_bytes()].concat();
    // The standard asks for SHA-1; nothing secret depends on it.
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &joined);
    HeaderValue::from_str(&STANDARD.encode(digest)).ok()
}

/// Writes messages.
pub(crate) struct Sender(WriteHalf<TokioIo<Upgraded>>);

/// Reads what the client sends.
pub(crate) struct Receiver(ReadHalf<TokioIo<Upgraded>>);

/// What a client sent that matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Received {
    /// It asks whether anybody is there.
    Ping(Vec<u8>),
    /// Anything else that needs no answer.
    Other,
    /// It leaves.
    Closed,
}

/// Both directions of a connection.
pub(crate) fn split(connection: Upgraded) -> (Sender, Receiver) {
    let (reader, writer) = tokio::io::split(TokioIo::new(connection));
    (Sender(writer), Receiver(reader))
}

fn head(kind: u8, len: usize) -> Vec<u8> {
    let mut head = vec![FINAL | kind];
    match len {
        0..=125 => head.push(len as u8),
        126..=0xffff => {
            head.push(126);
            head.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            head.push(127);
            head.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    head
}

impl Sender {
    async fn frame(&mut self, kind: u8, payload: &[u8]) -> std::io::Result<()> {
        self.0.write_all(&head(kind, payload.len())).await?;
        self.0.write_all(payload).await?;
        self.0.flush().await
    }

    pub async fn text(&mut self, text: &str) -> std::io::Result<()> {
        self.frame(TEXT, text.as_bytes()).await
    }

    pub async fn pong(&mut self, payload: &[u8]) -> std::io::Result<()> {
        self.frame(PONG, payload).await
    }

    /// Says why and goes.
    pub async fn close(mut self, code: u16, reason: &str) -> std::io::Result<()> {
        let mut payload = code.to_be_bytes().to_vec();
        // What goes with a goodbye has at most 125 bytes, and is text.
        let end = (0..=reason.len().min(120)).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
        payload.extend_from_slice(&reason.as_bytes()[..end]);
        self.frame(CLOSE, &payload).await?;
        self.0.shutdown().await
    }
}

impl Receiver {
    /// The next message; a broken connection is a closed one.
    pub async fn next(&mut self) -> Received {
        self.read().await.unwrap_or(Received::Closed)
    }

    async fn read(&mut self) -> std::io::Result<Received> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).await?;
        let len = match head[1] & 0x7f {
            126 => {
                let mut len = [0; 2];
                self.0.read_exact(&mut len).await?;
                u64::from(u16::from_be_bytes(len))
            }
            127 => {
                let mut len = [0; 8];
                self.0.read_exact(&mut len).await?;
                u64::from_be_bytes(len)
            }
            len => u64::from(len),
        };
        // Clients mask what they send; those that do not are none.
        if head[1] & 0x80 == 0 || len > MAX_MESSAGE_BYTES {
            return Ok(Received::Closed);
        }
        let mut mask = [0; 4];
        self.0.read_exact(&mut mask).await?;
        let mut payload = vec![0; len as usize];
        self.0.read_exact(&mut payload).await?;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        Ok(match head[0] & 0x0f {
            CLOSE => Received::Closed,
            PING => Received::Ping(payload),
            _ => Received::Other,
        })
    }
}

/// Hands on what a client sends, until it leaves or nobody listens. It is a task of its own: a message that comes in
/// pieces must be read to its end.
pub(crate) async fn read_all(mut receiver: Receiver, to: mpsc::Sender<Received>) {
    loop {
        let received = receiver.next().await;
        let is_last = received == Received::Closed;
        if to.send(received).await.is_err() || is_last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_answered_as_the_standard_says() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(answer_to(&key).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn lengths_are_written_in_three_sizes() {
        assert_eq!(head(TEXT, 5), [0x81, 5]);
        assert_eq!(head(TEXT, 300), [0x81, 126, 1, 44]);
        assert_eq!(head(TEXT, 70_000), [0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
    }
}
