//! Where in a connection's bytes the targets of requests are.

/// The longest header line that is looked at: those that matter here are short.
const MAX_LINE_BYTES: usize = 256;

/// Follows the requests of one connection.
#[derive(Debug, Default)]
pub struct Framing {
    state: State,
    body: Body,
    /// The header or chunk size line so far.
    line: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the method, or before it.
    #[default]
    Method,
    Target,
    /// Behind the target, to the end of the line.
    Version,
    Header,
    /// So many bytes of a body, or of a chunk of one, are still to come.
    Data {
        left: u64,
        chunked: bool,
    },
    /// The line end behind a chunk.
    ChunkEnd,
    ChunkSize,
    Trailer,
    /// Nothing is followed any more.
    Through,
}

/// What follows a request's headers.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Body {
    #[default]
    None,
    Length(u64),
    Chunked,
    /// Something else than HTTP/1, or nothing that can be told.
    Unknown,
}

/// Whether a byte must not stand in a target, and yet can be read as part of one.
fn needs_escape(byte: u8) -> bool {
    matches!(byte, b'"' | b'#' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80..)
}

impl Framing {
    /// Follows `bytes`. If there is anything to escape: where it begins, and all that follows, escaped.
    pub fn rewrite(&mut self, bytes: &[u8]) -> Option<(usize, Vec<u8>)> {
        let mut rewritten: Option<(usize, Vec<u8>)> = None;
        let mut at = 0;
        while at < bytes.len() {
            let run = self.skip(&bytes[at..]);
            if run > 0 {
                if let Some((_, out)) = &mut rewritten {
                    out.extend_from_slice(&bytes[at..at + run]);
                }
                at += run;
                continue;
            }
            let byte = bytes[at];
            if self.state == State::Target && needs_escape(byte) {
                let (_, out) =
                    rewritten.get_or_insert_with(|| (at, Vec::with_capacity(bytes.len() - at + 64)));
                out.extend_from_slice(format!("%{byte:02X}").as_bytes());
            } else {
                self.step(byte);
                if let Some((_, out)) = &mut rewritten {
                    out.push(byte);
                }
            }
            at += 1;
        }
        rewritten
    }

    /// Takes a run of bytes that need no look; how many.
    fn skip(&mut self, bytes: &[u8]) -> usize {
        match &mut self.state {
            State::Through => bytes.len(),
            State::Data { left, chunked } => {
                let run = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= run as u64;
                if *left == 0 {
                    self.state = if *chunked { State::ChunkEnd } else { State::Method };
                }
                run
            }
            _ => 0,
        }
    }

    fn step(&mut self, byte: u8) {
        match self.state {
            State::Method => self.method(byte),
            State::Target if byte == b' ' => self.state = State::Version,
            State::Target if byte == b'\n' => self.state = State::Through,
            State::Version if byte == b'\n' => {
                self.body = Body::None;
                self.state = State::Header;
            }
            State::Header | State::ChunkSize | State::Trailer => self.line(byte),
            State::ChunkEnd if byte == b'\n' => self.state = State::ChunkSize,
            State::ChunkEnd if byte != b'\r' => self.state = State::Through,
            _ => {}
        }
    }

    fn method(&mut self, byte: u8) {
        match byte {
            b' ' => {
                // The preface of HTTP/2 looks like a request, and a tunnel is not HTTP.
                let is_foreign = matches!(self.line.as_slice(), b"" | b"PRI" | b"CONNECT");
                self.state = if is_foreign { State::Through } else { State::Target };
                self.line.clear();
            }
            b'\r' | b'\n' if self.line.is_empty() => {}
            byte if byte.is_ascii_graphic() && self.line.len() < MAX_LINE_BYTES => self.line.push(byte),
            _ => self.state = State::Through,
        }
    }

    fn line(&mut self, byte: u8) {
        if byte != b'\n' {
            if self.line.len() < MAX_LINE_BYTES {
                self.line.push(byte);
            }
            return;
        }
        let mut line = std::mem::take(&mut self.line);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        self.state = match self.state {
            State::Header if line.is_empty() => match self.body {
                Body::None | Body::Length(0) => State::Method,
                Body::Length(left) => State::Data { left, chunked: false },
                Body::Chunked => State::ChunkSize,
                Body::Unknown => State::Through,
            },
            State::ChunkSize => match chunk_size(&line) {
                Some(0) => State::Trailer,
                Some(left) => State::Data { left, chunked: true },
                None => State::Through,
            },
            State::Trailer if line.is_empty() => State::Method,
            other => other,
        };
        if self.state == State::Header {
            self.header(&line);
        }
        line.clear();
        self.line = line;
    }

    fn header(&mut self, line: &[u8]) {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { return };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let found = if name.eq_ignore_ascii_case(b"content-length") {
            let digits =
                std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
            digits.and_then(|text| text.parse().ok()).map_or(Body::Unknown, Body::Length)
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if value.eq_ignore_ascii_case(b"chunked") { Body::Chunked } else { Body::Unknown }
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            Body::Unknown
        } else {
            return;
        };
        // Two opinions on where the body ends are one too many.
        self.body = if self.body == Body::None || self.body == found { found } else { Body::Unknown };
    }
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|&byte| byte == b';').next()?.trim_ascii();
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
