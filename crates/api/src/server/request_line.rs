//! Requests as clients in a hurry write them: `GET /api/v1/query?query=up{job="x"} HTTP/1.1`.
//!
//! Prometheus reads such targets, the HTTP library refuses them. [`Escaped`] is a stream that
//! percent-encodes what must not stand in a target and leaves all other bytes as they are. To know where
//! a target is, it follows the framing of HTTP/1; what it does not understand passes through unseen, and
//! is then the library's to refuse.

mod framing;

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::framing::Framing;

/// A stream whose request targets are fit to be read.
pub struct Escaped<S> {
    stream: S,
    framing: Framing,
    /// What was read, rewritten, and did not fit the reader's buffer.
    rewritten: Vec<u8>,
    taken: usize,
}

impl<S> Escaped<S> {
    /// Wraps a connection before its first byte is read.
    pub fn new(stream: S) -> Self {
        Self { stream, framing: Framing::default(), rewritten: Vec::new(), taken: 0 }
    }

    fn hand_out(&mut self, buffer: &mut ReadBuf<'_>) {
        let rest = &self.rewritten[self.taken..];
        let fitting = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..fitting]);
        self.taken += fitting;
        if self.taken == self.rewritten.len() {
            self.rewritten = Vec::new();
            self.taken = 0;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Escaped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = &mut *self;
        if !this.rewritten.is_empty() {
            this.hand_out(buffer);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        // Almost always nothing is to be done, and the bytes stay where they were read to.
        if let Some((from, rewritten)) = this.framing.rewrite(&buffer.filled()[before..]) {
            buffer.set_filled(before + from);
            this.rewritten = rewritten;
            this.hand_out(buffer);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Escaped<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;
