use tokio::io::AsyncReadExt;

use super::*;

/// What comes out when `pieces` come in one after the other, read with a buffer of `size` bytes.
async fn read(pieces: &[&[u8]], size: usize) -> String {
    let mut stream = scripted(pieces);
    let mut out = Vec::new();
    let mut buffer = vec![0; size];
    loop {
        match stream.read(&mut buffer).await.unwrap() {
            0 => return String::from_utf8_lossy(&out).into_owned(),
            n => out.extend_from_slice(&buffer[..n]),
        }
    }
}

/// A stream that gives one piece a read.
struct Script(std::collections::VecDeque<Vec<u8>>);

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if let Some(mut piece) = self.0.pop_front() {
            let fitting = piece.len().min(buffer.remaining());
            buffer.put_slice(&piece[..fitting]);
            if fitting < piece.len() {
                self.0.push_front(piece.split_off(fitting));
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn scripted(pieces: &[&[u8]]) -> Escaped<Script> {
    Escaped::new(Script(pieces.iter().map(|piece| piece.to_vec()).collect()))
}

const RAW: &str = "GET /q?query=up{job=~\"a|é\"}#x HTTP/1.1\r\nHost: {a}\r\n\r\n";
const ESCAPED: &str = "GET /q?query=up%7Bjob=~%22a%7C%C3%A9%22%7D%23x HTTP/1.1\r\nHost: {a}\r\n\r\n";

#[tokio::test]
async fn targets_are_escaped_and_nothing_else() {
    assert_eq!(read(&[RAW.as_bytes()], 4096).await, ESCAPED);
    let plain = "GET /%7B HTTP/1.1\r\nX: \"{}\"\r\n\r\n";
    assert_eq!(read(&[plain.as_bytes()], 4096).await, plain);
}

#[tokio::test]
async fn bodies_are_left_alone_and_what_follows_them_is_found() {
    let body = "GET {\"a\"} HTTP/1.1\r\n\r\n";
    let length = format!("POST /w HTTP/1.1\r\ncontent-LENGTH: {}\r\n\r\n{body}", body.len());
    let size = body.len();
    let chunked = format!(
        "POST /w HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{size:x};ext\r\n{body}\r\n{size:X}\r\n{body}\r\n0\r\nT: {{}}\r\n\r\n"
    );
    let all = format!("{RAW}{length}{RAW}{chunked}\r\n{RAW}");
    let expected = format!("{ESCAPED}{length}{ESCAPED}{chunked}\r\n{ESCAPED}");
    assert_eq!(read(&[all.as_bytes()], 4096).await, expected);
    assert_eq!(read(&[all.as_bytes()], 7).await, expected, "through a small buffer");
    let bytes: Vec<&[u8]> = all.as_bytes().chunks(1).collect();
    assert_eq!(read(&bytes, 4096).await, expected, "byte by byte");
    let pieces: Vec<&[u8]> = all.as_bytes().chunks(5).collect();
    assert_eq!(read(&pieces, 3).await, expected, "in pieces, through a tiny buffer");
}

#[tokio::test]
async fn what_is_not_understood_passes_unseen() {
    let starts = [
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "CONNECT a:80 HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "GET /\r\n",
        "\u{1}\r\n",
    ];
    for start in starts {
        let all = format!("{start}{RAW}");
        assert_eq!(read(&[all.as_bytes()], 4096).await, all, "{start:?}");
    }
}
