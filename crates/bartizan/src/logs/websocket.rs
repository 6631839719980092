//! The client's side of WebSocket (RFC 6455), as far as live logs need it: text in, and answering pings.

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use httpclient::{Client, HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What the key is joined with, as the standard says.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes of one message.
const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// How long a server may take to agree.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// A connection that speaks WebSocket.
pub(super) struct Connection<S> {
    stream: S,
    partial: Vec<u8>,
}

/// Asks a server to speak WebSocket.
pub(super) async fn connect(
    client: &Client,
    url: &url::Url,
    headers: &HeaderMap,
) -> anyhow::Result<Result<Connection<impl AsyncRead + AsyncWrite + Unpin>, (StatusCode, Vec<u8>)>> {
    let key = STANDARD.encode(random::<16>()?);
    let value = HeaderValue::from_static;
    let request = Request::get(url.as_str(), TIMEOUT)
        .headers(headers)
        .header(header::CONNECTION, value("Upgrade"))
        .header(header::UPGRADE, value("websocket"))
        .header(HeaderName::from_static("sec-websocket-version"), value("13"))
        .header(HeaderName::from_static("sec-websocket-key"), HeaderValue::from_str(&key)?);
    let mut response = client.send(request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let mut body = Vec::new();
        response.read_body(&mut body, 1 << 20).await?;
        return Ok(Err((response.status(), body)));
    }
    let accepted = response.header(HeaderName::from_static("sec-websocket-accept"));
    if accepted != Some(&answer_to(&key)) {
        bail!("the server does not speak WebSocket");
    }
    Ok(Ok(Connection { stream: response.upgrade().await?, partial: Vec::new() }))
}

/// What proves that a key was understood.
fn answer_to(key: &str) -> String {
    // The standard asks for SHA-1; nothing secret depends on it.
    let digest =
        ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    STANDARD.encode(digest)
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)
        .map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?;
    Ok(bytes)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// The next text; none when the server has ended the conversation, which is an error if it says why.
    pub async fn next(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        loop {
            let Some((kind, is_final, payload)) = self.frame().await? else { return Ok(None) };
            match kind {
                TEXT | CONTINUATION => {
                    anyhow::ensure!(
                        self.partial.len() + payload.len() <= MAX_MESSAGE_BYTES,
                        "the server sent a message of more than {MAX_MESSAGE_BYTES} bytes"
                    );
                    self.partial.extend_from_slice(&payload);
                    if is_final {
                        return Ok(Some(std::mem::take(&mut self.partial)));
                    }
                }
                PING => self.send(PONG, &payload).await?,
                CLOSE => {
                    // It may have gone already.
                    let _ = self.send(CLOSE, payload.get(..2).unwrap_or_default()).await;
                    let (code, reason) = payload.split_at_checked(2).unwrap_or((&[3, 232], b""));
                    let code = u16::from_be_bytes([code[0], code[1]]);
                    if code == 1000 || (code == 1001 && reason.is_empty()) {
                        return Ok(None);
                    }
                    bail!("the server ended the tail ({code}): {}", String::from_utf8_lossy(reason));
                }
                _ => {}
            }
        }
    }

    /// The kind of the next frame, whether it is the last of a message, and what it holds.
    async fn frame(&mut self) -> anyhow::Result<Option<(u8, bool, Vec<u8>)>> {
        let mut head = [0; 2];
        match self.stream.read_exact(&mut head).await {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error).context("reading what the server sends"),
        }
        let len = match head[1] & !MASKED {
            126 => u64::from(self.stream.read_u16().await?),
            127 => self.stream.read_u64().await?,
            len => u64::from(len),
        };
        anyhow::ensure!(head[1] & MASKED == 0, "the server masks what it sends");
        let len = usize::try_from(len).ok().filter(|len| *len <= MAX_MESSAGE_BYTES);
        let Some(len) = len else {
            bail!("the server sent a message of more than {MAX_MESSAGE_BYTES} bytes")
        };
        let mut payload = vec![0; len];
        self.stream.read_exact(&mut payload).await?;
        Ok(Some((head[0] & 0x0f, head[0] & FINAL != 0, payload)))
    }

    /// Clients mask what they send.
    async fn send(&mut self, kind: u8, payload: &[u8]) -> anyhow::Result<()> {
        let payload = &payload[..payload.len().min(125)];
        let mask = random::<4>()?;
        let mut frame = vec![FINAL | kind, MASKED | payload.len() as u8];
        frame.extend_from_slice(&mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.stream.write_all(&frame).await?;
        Ok(self.stream.flush().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_come_whole_and_pings_are_answered() {
        let (stream, mut server) = tokio::io::duplex(1 << 20);
        let mut connection = Connection { stream, partial: Vec::new() };
        server.write_all(&[0x01, 2, b'a', b'b', 0x89, 1, b'p', 0x80, 1, b'c']).await.unwrap();
        let long = [&[0x81, 126, 1, 0][..], &[b'x'; 256]].concat();
        server.write_all(&long).await.unwrap();
        server.write_all(&[0x88, 6, 3, 243, b'o', b'o', b'p', b's']).await.unwrap();
        assert_eq!(connection.next().await.unwrap().unwrap(), b"abc");
        assert_eq!(connection.next().await.unwrap().unwrap().len(), 256);
        assert!(connection.next().await.unwrap_err().to_string().contains("(1011): oops"));
        let mut pong = [0; 7];
        server.read_exact(&mut pong).await.unwrap();
        assert_eq!((pong[0], pong[1], pong[6] ^ pong[2]), (FINAL | PONG, MASKED | 1, b'p'));
        drop(server);
        assert!(connection.next().await.unwrap().is_none());
    }

    #[test]
    fn the_answer_to_a_key_is_that_of_the_standard() {
        assert_eq!(answer_to("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
