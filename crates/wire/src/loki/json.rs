//! Requests in JSON.
//!
//! `{"streams": [{"stream": {"name": "value"}, "values": [["time", "line", {"name": "value"}]]}]}`. Unknown keys are
//! ignored, and so is what follows the first document.

use base::Reservation;
use bytes::Bytes;

use super::{MAX_STREAMS, Meter, PushEntry, PushError, PushLabels, PushRequest, PushStream};

/// How deep unknown values may nest.
const MAX_DEPTH: usize = 128;

type Result<T> = std::result::Result<T, PushError>;

/// Reads a request. `memory` is grown by what it takes besides the body.
pub fn decode(body: &[u8], memory: &mut Reservation) -> Result<PushRequest> {
    let mut cursor = Cursor::new(body, memory);
    let mut request = PushRequest::default();
    if cursor.peek().is_none() {
        return Err(PushError::Empty);
    }
    if cursor.null()? {
        return Ok(request);
    }
    cursor.object(|cursor, key| {
        if key != b"streams" {
            return cursor.skip(MAX_DEPTH);
        }
        if cursor.null()? {
            return Ok(());
        }
        cursor.array(|cursor| {
            if request.streams.len() >= MAX_STREAMS {
                return Err(cursor.error("too many streams"));
            }
            request.streams.push(stream(cursor)?);
            Ok(())
        })
    })?;
    cursor.meter.settle()?;
    Ok(request)
}

/// Reads a request as it was written before there was structured metadata:
/// `{"streams": [{"labels": "{a=\"b\"}", "entries": [{"ts": "RFC 3339", "line": "..."}]}]}`.
pub fn decode_legacy(body: &[u8], memory: &mut Reservation) -> Result<PushRequest> {
    let mut cursor = Cursor::new(body, memory);
    let mut request = PushRequest::default();
    if cursor.peek().is_none() {
        return Err(PushError::Empty);
    }
    cursor.object(|cursor, key| {
        if key != b"streams" {
            return cursor.skip(MAX_DEPTH);
        }
        cursor.array(|cursor| {
            if request.streams.len() >= MAX_STREAMS {
                return Err(cursor.error("too many streams"));
            }
            request.streams.push(legacy_stream(cursor)?);
            Ok(())
        })
    })?;
    cursor.meter.settle()?;
    Ok(request)
}

fn legacy_stream(cursor: &mut Cursor<'_, '_>) -> Result<PushStream> {
    cursor.meter.stream()?;
    let (mut labels, mut entries) = (String::from("{}"), Vec::new());
    cursor.object(|cursor, key| match key {
        b"labels" => {
            labels = String::from_utf8_lossy(&cursor.string()?).into_owned();
            cursor.meter.pair(labels.len())?;
            Ok(())
        }
        b"entries" => cursor.array(|cursor| {
            entries.push(legacy_entry(cursor)?);
            Ok(())
        }),
        _ => cursor.skip(MAX_DEPTH),
    })?;
    Ok(PushStream { labels: PushLabels::Text(labels), entries })
}

fn legacy_entry(cursor: &mut Cursor<'_, '_>) -> Result<PushEntry> {
    cursor.meter.entry()?;
    let mut entry = PushEntry::default();
    cursor.object(|cursor, key| match key {
        b"ts" | b"timestamp" => {
            let text = cursor.string()?;
            let at = std::str::from_utf8(&text).ok().and_then(|text| text.parse::<jiff::Timestamp>().ok());
            let ns = at.and_then(|at| i64::try_from(at.as_nanosecond()).ok());
            entry.timestamp_ns = ns.ok_or_else(|| cursor.error("time stamp is not in RFC 3339"))?;
            Ok(())
        }
        b"line" => {
            entry.line = cursor.line()?;
            Ok(())
        }
        _ => cursor.skip(MAX_DEPTH),
    })?;
    Ok(entry)
}

fn stream(cursor: &mut Cursor<'_, '_>) -> Result<PushStream> {
    cursor.meter.stream()?;
    let (mut labels, mut entries) = (Vec::new(), Vec::new());
    cursor.object(|cursor, key| match key {
        b"stream" => {
            labels = cursor.pairs(false)?;
            Ok(())
        }
        b"values" if !cursor.null()? => cursor.array(|cursor| {
            entries.push(entry(cursor)?);
            Ok(())
        }),
        b"values" => Ok(()),
        _ => cursor.skip(MAX_DEPTH),
    })?;
    Ok(PushStream { labels: PushLabels::Pairs(labels), entries })
}

fn entry(cursor: &mut Cursor<'_, '_>) -> Result<PushEntry> {
    cursor.meter.entry()?;
    let (mut entry, mut at) = (PushEntry::default(), 0);
    cursor.array(|cursor| {
        match at {
            0 => {
                let text = cursor.string()?;
                let number = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
                entry.timestamp_ns = number.ok_or_else(|| cursor.error("time stamp is not a number"))?;
            }
            1 => entry.line = cursor.line()?,
            2 => entry.metadata = cursor.pairs(true)?,
            _ => cursor.skip(MAX_DEPTH)?,
        }
        at += 1;
        Ok(())
    })?;
    if at == 0 {
        return Err(cursor.error("entry without time stamp"));
    }
    Ok(entry)
}

struct Cursor<'a, 'm> {
    body: &'a [u8],
    at: usize,
    meter: Meter<'m>,
}

impl<'a, 'm> Cursor<'a, 'm> {
    fn new(body: &'a [u8], memory: &'m mut Reservation) -> Self {
        Self { body, at: 0, meter: Meter::new(memory) }
    }

    fn error(&self, problem: &'static str) -> PushError {
        PushError::Json { problem, offset: self.at }
    }

    /// The next byte that is no blank.
    fn peek(&mut self) -> Option<u8> {
        while matches!(self.body.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.body.get(self.at).copied()
    }

    fn take(&mut self, byte: u8, problem: &'static str) -> Result<()> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.error(problem))
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<()> {
        if self.body[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.error("unknown word"))
        }
    }

    /// Takes a `null`.
    fn null(&mut self) -> Result<bool> {
        if self.peek() == Some(b'n') { self.word(b"null").map(|()| true) } else { Ok(false) }
    }

    fn object(&mut self, mut field: impl FnMut(&mut Self, &[u8]) -> Result<()>) -> Result<()> {
        self.take(b'{', "expected an object")?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.take(b':', "expected a colon")?;
            field(self, &key)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.error("expected a comma or the end of the object")),
            }
        }
    }

    fn array(&mut self, mut item: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.take(b'[', "expected an array")?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            item(self)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.error("expected a comma or the end of the array")),
            }
        }
    }

    /// An object of strings; unless that is strict, other values count as the text they are written as.
    fn pairs(&mut self, strict: bool) -> Result<Vec<(String, String)>> {
        let mut pairs = Vec::new();
        if self.null()? {
            return Ok(pairs);
        }
        let text = |bytes: Vec<u8>| {
            String::from_utf8(bytes)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
        };
        self.object(|cursor, key| {
            let value = if strict || cursor.peek() == Some(b'"') {
                cursor.string()?
            } else {
                let start = cursor.at;
                cursor.skip(MAX_DEPTH)?;
                cursor.body[start..cursor.at].to_vec()
            };
            cursor.meter.pair(key.len() + value.len())?;
            pairs.push((text(key.to_vec()), text(value)));
            Ok(())
        })?;
        Ok(pairs)
    }

    /// A line, in memory of its own.
    fn line(&mut self) -> Result<Bytes> {
        let line = self.string()?.into_boxed_slice();
        self.meter.charge(line.len())?;
        Ok(Bytes::from(line))
    }

    fn string(&mut self) -> Result<Vec<u8>> {
        self.take(b'"', "expected a string")?;
        let mut out = Vec::new();
        loop {
            let rest = &self.body[self.at..];
            let Some(len) = memchr::memchr2(b'"', b'\\', rest) else {
                self.at = self.body.len();
                return Err(self.error("string without end"));
            };
            out.extend_from_slice(&rest[..len]);
            self.at += len + 1;
            if rest[len] == b'"' {
                return Ok(out);
            }
            self.escape(&mut out)?;
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let Some(&byte) = self.body.get(self.at) else { return Err(self.error("string without end")) };
        self.at += 1;
        out.push(match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let high = self.hex()?;
                let mut code = high;
                if (0xd800..0xdc00).contains(&high) && self.body[self.at..].starts_with(b"\\u") {
                    let before = self.at;
                    self.at += 2;
                    let low = self.hex()?;
                    if (0xdc00..0xe000).contains(&low) {
                        code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                    } else {
                        self.at = before;
                    }
                }
                let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(self.error("unknown escape")),
        });
        Ok(())
    }

    fn hex(&mut self) -> Result<u32> {
        let digits =
            self.body.get(self.at..self.at + 4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let text = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let code = text.and_then(|text| u32::from_str_radix(text, 16).ok());
        let code = code.ok_or_else(|| self.error("escape without four digits"))?;
        self.at += 4;
        Ok(code)
    }

    fn skip(&mut self, depth: usize) -> Result<()> {
        let Some(deeper) = depth.checked_sub(1) else { return Err(self.error("nested too deep")) };
        match self.peek() {
            Some(b'{') => self.object(|cursor, _| cursor.skip(deeper)),
            Some(b'[') => self.array(|cursor| cursor.skip(deeper)),
            Some(b'"') => self.string().map(drop),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            Some(b'-' | b'0'..=b'9') => {
                let rest = &self.body[self.at..];
                let is_part = |b: &u8| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E');
                self.at += rest.iter().take_while(|b| is_part(b)).count();
                Ok(())
            }
            _ => Err(self.error("expected a value")),
        }
    }
}

#[cfg(test)]
mod tests {
    use base::ByteBudget;

    use super::*;

    fn decode(body: &[u8]) -> Result<PushRequest> {
        super::decode(body, &mut ByteBudget::unlimited().reserve(0).unwrap())
    }

    #[test]
    fn requests_are_read_and_extras_ignored() {
        let body = br#"{"x": [1, {"y": null}], "streams": [{"stream": {"a": "\u00e9\ud83d\ude00"}, "values": [["7", "l\n", {"m": "v"}, {}]], "z": -1.5e3}]} rest"#;
        let request = decode(body).unwrap();
        let entry = PushEntry {
            timestamp_ns: 7,
            line: Bytes::from_static(b"l\n"),
            metadata: vec![("m".into(), "v".into())],
        };
        let labels = PushLabels::Pairs(vec![("a".into(), "é😀".into())]);
        assert_eq!(request.streams, [PushStream { labels, entries: vec![entry] }]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(decode(b""), Err(PushError::Empty));
        assert_eq!(decode(b"null"), Ok(PushRequest::default()));
        for bad in [
            "hello",
            "\"x\"",
            "{\"streams\":[{\"values\":[[7,\"x\"]]}]}",
            "{\"streams\":[{\"values\":[[\"7\",null]]}]}",
            "{\"streams\":[{\"values\":[[\"\",\"x\"]]}]}",
            "{\"streams\":[{\"values\":[[\"7\",\"x\",{\"a\":1}]]}]}",
            "{\"streams\":[{\"values\":[[\"7\",\"x\"],]}]}",
            "{\"streams\":[{\"stream\":\"{}\"}]}",
            "{\"streams\":[{\"values\":[[\"7\",\"\\u12\"]]}]}",
        ] {
            assert!(matches!(decode(bad.as_bytes()), Err(PushError::Json { .. })), "{bad}");
        }
        let deep = format!("{{\"x\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(decode(deep.as_bytes()).is_err());
    }

    #[test]
    fn bodies_that_stand_for_much_memory_are_refused_before_it_is_taken() {
        let budget = ByteBudget::new("logs.max-push-memory", 1 << 20);
        let entries =
            format!("{{\"streams\":[{{\"values\":[{}]}}]}}", vec!["[\"1\",\"\"]"; 50_000].join(","));
        let streams = format!("{{\"streams\":[{}]}}", vec!["{}"; 50_000].join(","));
        let pair = "[\"1\",\"\",{\"a\":\"\",\"b\":\"\",\"c\":\"\",\"d\":\"\"}]";
        let pairs = format!("{{\"streams\":[{{\"values\":[{}]}}]}}", vec![pair; 10_000].join(","));
        for body in [entries, streams, pairs] {
            let mut memory = budget.reserve(0).unwrap();
            let refused = super::decode(body.as_bytes(), &mut memory);
            assert!(matches!(refused, Err(PushError::Memory(_))), "{refused:?}");
            assert!(memory.bytes() <= 1 << 20);
        }
        assert_eq!(budget.used_bytes(), 0);
    }
}
