//! Memory that pages are unpacked to, used again and again: fresh memory of some megabytes costs more time than a search
//! through it.

use parking_lot::Mutex;

/// Memory that is kept for later.
static FREE: Mutex<Free> = Mutex::new(Free { buffers: Vec::new(), bytes: 0 });
/// No more than this is kept.
const MAX_FREE_BYTES: usize = 10 << 20;
/// What is smaller is quickly had anew.
const MIN_BYTES: usize = 256 << 10;

struct Free {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

/// Bytes whose memory is given back when they are dropped.
#[derive(Debug, Default)]
pub struct Buffer(Vec<u8>);

impl Buffer {
    /// An empty buffer with room for that many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        if bytes >= MIN_BYTES {
            let mut free = FREE.lock();
            if let Some(at) = free.buffers.iter().position(|buffer| buffer.capacity() >= bytes) {
                let buffer = free.buffers.swap_remove(at);
                free.bytes -= buffer.capacity();
                return Self(buffer);
            }
        }
        Self(Vec::with_capacity(bytes))
    }

    /// The bytes, to be changed.
    pub fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl std::ops::Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.0.capacity() < MIN_BYTES {
            return;
        }
        let mut buffer = std::mem::take(&mut self.0);
        let mut free = FREE.lock();
        if free.bytes + buffer.capacity() <= MAX_FREE_BYTES {
            buffer.clear();
            free.bytes += buffer.capacity();
            free.buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_empty_when_it_comes_again() {
        for round in 0..40 {
            let buffers: Vec<Buffer> = (1..=9)
                .map(|n| {
                    let mut buffer = Buffer::with_capacity(n << 20);
                    assert!(buffer.is_empty() && buffer.0.capacity() >= n << 20);
                    buffer.bytes_mut().resize(round + 1, 7);
                    buffer
                })
                .collect();
            drop(buffers);
            let free = FREE.lock();
            assert!(free.bytes <= MAX_FREE_BYTES);
        }
    }
}
