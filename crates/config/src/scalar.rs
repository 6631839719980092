//! Scalars with a notation of their own: durations, sizes, secrets, URLs, label sets.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use model::Labels;
use model::labels::Quoted;

use crate::decode::{Cx, Setting, quote_bytes, scalar_text, wrong_shape};
use crate::error::Fault;
use crate::section::Shape;
use crate::yaml::{Node, Out, Value};

/// A duration in Prometheus's notation (`1h30m`, `15s`, `500ms`), in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct PromDuration(Duration);

/// Units in the order they must be written, in milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

impl PromDuration {
    /// A duration of `ms` milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// A duration of `s` seconds.
    pub const fn from_secs(s: u64) -> Self {
        Self(Duration::from_secs(s))
    }

    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Milliseconds.
    pub fn as_ms(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }

    /// Parses the notation; the error is the reference's message.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "0" => return Ok(Self::default()),
            "" => return Err("empty duration string".to_owned()),
            _ => {}
        }
        let invalid = || format!("not a valid duration string: {}", Quoted(text));
        let (mut rest, mut total_ms, mut unit_at) = (text, 0u64, 0);
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let letters = rest[digits..].bytes().take_while(u8::is_ascii_lowercase).count();
            let (number, unit) = (&rest[..digits], &rest[digits..digits + letters]);
            let at = UNITS[unit_at..].iter().position(|(name, _)| *name == unit).ok_or_else(invalid)?;
            if digits == 0 {
                return Err(invalid());
            }
            let out_of_range = || "duration out of range".to_owned();
            let number: u64 = number.parse().map_err(|_| out_of_range())?;
            let part = number.checked_mul(UNITS[unit_at + at].1).ok_or_else(out_of_range)?;
            total_ms = total_ms.checked_add(part).ok_or_else(out_of_range)?;
            unit_at += at + 1;
            rest = &rest[digits + letters..];
        }
        // The reference counts nanoseconds in 64 signed bits.
        if total_ms > i64::MAX as u64 / 1_000_000 {
            Err("duration out of range".to_owned())
        } else {
            Ok(Self::from_ms(total_ms))
        }
    }
}

impl fmt::Display for PromDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if left == 0 {
            return f.write_str("0s");
        }
        for (name, unit_ms) in UNITS {
            // Years and weeks are only used when nothing is left over: "90d", not "12w6d".
            let exact_only = matches!(name, "y" | "w");
            if left >= unit_ms && (!exact_only || left.is_multiple_of(unit_ms)) {
                write!(f, "{}{name}", left / unit_ms)?;
                left %= unit_ms;
            }
        }
        Ok(())
    }
}

impl Setting for PromDuration {
    fn zero() -> Self {
        Self::default()
    }

    fn decode(node: &Node, _: &Cx<'_>) -> Result<Self, Fault> {
        let text = scalar_text(node, "string")?;
        Self::parse(text).map_err(|message| {
            let number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let remedy = if number {
                format!("add a unit, for example {text}s")
            } else {
                "write it like 15s, 1m or 1h30m".to_owned()
            };
            Fault::new(node.pos, message).remedy(remedy)
        })
    }

    fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    fn emit(&self) -> Out {
        Out::Bare(self.to_string())
    }

    fn shape() -> Shape {
        Shape::Scalar("duration")
    }
}

/// A size in bytes with a unit (`15MB`, `1.5GiB`); all units count in powers of 1024, as the reference's
/// configuration does. Negative sizes parse; whoever holds one says whether it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ByteSize(pub i64);

const PREFIXES: [&str; 7] = ["", "K", "M", "G", "T", "P", "E"];

impl ByteSize {
    /// Bytes; a negative size is none.
    pub fn bytes(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }

    /// Parses the notation; the error is the reference's message.
    pub fn parse(text: &str) -> Result<Self, String> {
        let invalid = || format!("units: invalid {text}");
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Ok(Self(0));
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total = 0f64;
        while !rest.is_empty() {
            let number_len = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
            let (number, behind) = rest.split_at(number_len);
            let number: f64 = number.parse().map_err(|_| invalid())?;
            let unit_len = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
            let (unit, next) = behind.split_at(unit_len);
            let power = PREFIXES.iter().position(|prefix| {
                let with_prefix = unit.strip_prefix(prefix).unwrap_or("?");
                with_prefix == "B" || (!prefix.is_empty() && with_prefix == "iB")
            });
            let power = power.ok_or_else(|| format!("units: unknown unit {unit} in {text}"))?;
            total += number * 1024f64.powi(i32::try_from(power).unwrap_or(0));
            rest = next;
        }
        if total >= i64::MAX as f64 {
            return Err(invalid());
        }
        let bytes = total as i64;
        Ok(Self(if negative { -bytes } else { bytes }))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let mut left = self.0;
        for (i, prefix) in PREFIXES.iter().enumerate() {
            if left % 1024 != 0 || i == 0 && left == 0 {
                let suffix = if i == 0 { "B" } else { "iB" };
                parts.push(format!("{}{prefix}{suffix}", left % 1024));
            }
            left /= 1024;
            if left == 0 {
                break;
            }
        }
        parts.iter().rev().try_for_each(|part| f.write_str(part))
    }
}

impl Setting for ByteSize {
    fn zero() -> Self {
        Self(0)
    }

    fn decode(node: &Node, _: &Cx<'_>) -> Result<Self, Fault> {
        let text = scalar_text(node, "string")?;
        Self::parse(text).map_err(|message| {
            let number = text.bytes().all(|b| b.is_ascii_digit());
            let remedy = if number {
                format!("add a unit, for example {text}B or {text}MB")
            } else {
                "write it like 512KB, 15MB or 1GB".to_owned()
            };
            Fault::new(node.pos, message).remedy(remedy)
        })
    }

    fn is_zero(&self) -> bool {
        self.0 == 0
    }

    fn emit(&self) -> Out {
        Out::Bare(self.to_string())
    }

    fn shape() -> Shape {
        Shape::Scalar("size")
    }
}

/// A string that is never shown: not in logs, not in the configuration written back.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Secret(String);

impl Secret {
    /// A secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "<secret>" })
    }
}

impl Setting for Secret {
    fn zero() -> Self {
        Self::default()
    }

    fn decode(node: &Node, _: &Cx<'_>) -> Result<Self, Fault> {
        scalar_text(node, "string").map(Self::new)
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn emit(&self) -> Out {
        if self.0.is_empty() { Out::Null } else { Out::Text("<secret>".to_owned()) }
    }

    fn shape() -> Shape {
        Shape::Scalar("secret")
    }
}

/// A URL as written. It is taken apart as leniently as the reference does: `localhost:9090` is a URL
/// of the scheme `localhost`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Url(String);

impl Url {
    /// Checks and keeps a URL; the error is the reference's message.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |reason: &str| Err(format!("parse {}: {reason}", Quoted(text)));
        if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
            return wrong("net/url: invalid control character in URL");
        }
        if text.starts_with(':') {
            return wrong("missing protocol scheme");
        }
        let url = Self(text.to_owned());
        if url.host().contains(' ') {
            return wrong("invalid character \" \" in host name");
        }
        let port =
            url.host().rsplit_once(':').filter(|(host, _)| !host.starts_with('[') || host.ends_with(']'));
        match port {
            Some((_, port)) if !port.bytes().all(|b| b.is_ascii_digit()) => {
                wrong(&format!("invalid port {} after host", Quoted(&format!(":{port}"))))
            }
            _ => Ok(url),
        }
    }

    /// The URL as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The scheme in lower case; empty when there is none.
    pub fn scheme(&self) -> String {
        match self.0.split_once(':') {
            Some((scheme, _)) if is_scheme(scheme) => scheme.to_lowercase(),
            _ => String::new(),
        }
    }

    /// Host and port; empty when there is none.
    pub fn host(&self) -> &str {
        let authority = self.authority();
        authority.rsplit_once('@').map_or(authority, |(_, host)| host)
    }

    fn authority(&self) -> &str {
        let behind = match self.0.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => rest,
            _ => self.0.as_str(),
        };
        let authority = behind.strip_prefix("//").unwrap_or_default();
        authority.split(['/', '?', '#']).next().unwrap_or_default()
    }

    /// The URL with its password, if it has one, as `xxxxx`.
    pub fn redacted(&self) -> String {
        let authority = self.authority();
        match authority.rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?.0, host))) {
            Some((user, host)) => self.0.replacen(authority, &format!("{user}:xxxxx@{host}"), 1),
            None => self.0.clone(),
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl Setting for Url {
    fn zero() -> Self {
        Self::default()
    }

    fn decode(node: &Node, _: &Cx<'_>) -> Result<Self, Fault> {
        let text = scalar_text(node, "string")?;
        Self::parse(text).map_err(|message| {
            Fault::new(node.pos, message).remedy("write a URL like https://host:port/path")
        })
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn emit(&self) -> Out {
        Out::Text(self.redacted())
    }

    fn shape() -> Shape {
        Shape::Scalar("URL")
    }
}

/// Labels of a configuration file: names are checked, values may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelMap(pub BTreeMap<String, String>);

impl LabelMap {
    /// As a label set; empty values vanish.
    pub fn to_labels(&self) -> Labels {
        Labels::from_pairs(&self.0)
    }
}

/// Whether a name can be a label name at all: not empty. (Text is UTF-8 by construction.)
pub fn is_valid_label_name(name: &str) -> bool {
    !name.is_empty()
}

impl Setting for LabelMap {
    fn zero() -> Self {
        Self::default()
    }

    fn decode(node: &Node, cx: &Cx<'_>) -> Result<Self, Fault> {
        let Value::Mapping(entries) = &node.value else {
            return Err(wrong_shape(node, "map[string]string").remedy("write `name: value` lines"));
        };
        let mut labels = BTreeMap::new();
        for (key, value) in entries {
            let name = match scalar_text(key, "string") {
                Ok(name) if is_valid_label_name(name) => name.to_owned(),
                Err(fault) if fault.unmarshal => return Err(fault),
                _ => {
                    return Err(Fault::new(
                        key.pos,
                        format!("{} is not a valid label name", quote_bytes(key)),
                    )
                    .remedy("write a name of UTF-8 text, not empty"));
                }
            };
            let value = match scalar_text(value, "string") {
                _ if value.is_null() => String::new(),
                Ok(value) => value.to_owned(),
                Err(fault) if fault.unmarshal => return Err(fault),
                Err(_) => {
                    return Err(Fault::new(
                        value.pos,
                        format!("{} is not a valid label value", quote_bytes(value)),
                    )
                    .remedy("write a value of UTF-8 text"));
                }
            };
            if labels.insert(name.clone(), value).is_some() {
                cx.note(
                    Fault::unmarshal(key.pos, format!("key {name:?} already set in map"))
                        .remedy("keep one of them"),
                );
            }
        }
        Ok(Self(labels))
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn emit(&self) -> Out {
        self.0.emit()
    }

    fn shape() -> Shape {
        Shape::Scalar("labels")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_and_print_as_in_the_reference() {
        let cases = [
            ("0", "0s"),
            ("0s", "0s"),
            ("15s", "15s"),
            ("324ms", "324ms"),
            ("4d1h", "4d1h"),
            ("14d", "2w"),
            ("3w2d1h", "23d1h"),
            ("10y", "10y"),
            ("1h30m", "1h30m"),
            ("90s", "1m30s"),
            ("8w5d", "61d"),
        ];
        for (text, printed) in cases {
            assert_eq!(PromDuration::parse(text).unwrap().to_string(), printed, "{text}");
        }
        for text in
            ["1", "1y1m1d", "-1w", "1.5d", "d", "294y", "200y10400w", "107675d", "2584200h", "", "1s1s"]
        {
            assert!(PromDuration::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_count_in_powers_of_1024() {
        let cases = [
            ("15MB", 15 << 20, "15MiB"),
            ("1KiB", 1024, "1KiB"),
            ("1.5GB", 3 << 29, "1GiB512MiB"),
            ("100B", 100, "100B"),
            ("0", 0, "0B"),
            ("-1MB", -(1 << 20), "-1MiB"),
        ];
        for (text, bytes, printed) in cases {
            let size = ByteSize::parse(text).unwrap();
            assert_eq!((size.0, size.to_string().as_str()), (bytes, printed), "{text}");
        }
        assert_eq!(ByteSize::parse("100").unwrap_err(), "units: unknown unit  in 100");
        assert!(ByteSize::parse("16EB").is_err());
    }

    #[test]
    fn urls_come_apart_leniently_and_hide_passwords() {
        let url = Url::parse("https://user:pw@host:1/path?q").unwrap();
        assert_eq!((url.scheme().as_str(), url.host()), ("https", "host:1"));
        assert_eq!(url.to_string(), "https://user:xxxxx@host:1/path?q");
        assert_eq!(Url::parse("localhost:9090").unwrap().scheme(), "localhost");
        assert_eq!(Url::parse("http://").unwrap().host(), "");
        assert_eq!(Url::parse("://invalid").unwrap_err(), "parse \"://invalid\": missing protocol scheme");
        assert!(Url::parse("http://h:x/").is_err());
    }

    #[test]
    fn a_secret_does_not_show() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "<secret>");
    }
}
