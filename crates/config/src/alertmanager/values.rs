//! Values with a notation of their own in an Alertmanager's configuration.

use std::fmt;
use std::time::Duration;

use model::labels::Quoted;

use crate::decode::{Cx, Setting, scalar_text, wrong_shape};
use crate::error::Fault;
use crate::scalar::{Secret, Url};
use crate::section::Shape;
use crate::yaml::{Node, Out};

/// What a masked secret looks like; a configuration read back from a server contains it.
pub(crate) const MASK: &str = "<secret>";

/// A URL of scheme `http` or `https` with a host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpUrl(String);

impl HttpUrl {
    /// A URL that is known to be good, for defaults.
    pub(crate) fn fixed(url: &str) -> Self {
        Self(url.to_owned())
    }

    /// Checks and keeps a URL; the error is the reference's message.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text)?;
        match url.scheme().as_str() {
            "http" | "https" if url.host().is_empty() => Err("missing host for URL".to_owned()),
            "http" | "https" => Ok(Self(text.to_owned())),
            other => Err(format!("unsupported scheme {} for URL", Quoted(other))),
        }
    }

    /// The URL as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for HttpUrl {
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
        Out::Text(self.0.clone())
    }

    fn shape() -> Shape {
        Shape::Scalar("URL")
    }
}

/// A URL that is itself a secret, as those of incoming webhooks are.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SecretUrl(Secret);

impl SecretUrl {
    /// The URL, for the one place that connects to it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// A URL that was checked elsewhere.
    pub(crate) fn of(url: &HttpUrl) -> Self {
        Self(Secret::new(url.as_str()))
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Setting for SecretUrl {
    fn zero() -> Self {
        Self::default()
    }

    fn decode(node: &Node, _: &Cx<'_>) -> Result<Self, Fault> {
        let text = scalar_text(node, "string")?;
        if text != MASK {
            // The message must not repeat the secret.
            HttpUrl::parse(text).map_err(|message| {
                let message = message.replace(&Quoted(text).to_string(), "\"<redacted>\"");
                Fault::new(node.pos, message).remedy("write a URL like https://host:port/path")
            })?;
        }
        Ok(Self(Secret::new(text)))
    }

    fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    fn emit(&self) -> Out {
        self.0.emit()
    }

    fn shape() -> Shape {
        Shape::Scalar("secret URL")
    }
}

/// A secret URL that may be a template; only one without `{{` is checked when the file is read.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct TemplateUrl(Secret);

impl TemplateUrl {
    /// The URL or template, for the one place that connects to it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for TemplateUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Setting for TemplateUrl {
    fn zero() -> Self {
        Self::default()
    }

    fn decode(node: &Node, _: &Cx<'_>) -> Result<Self, Fault> {
        let text = scalar_text(node, "string")?;
        if text.contains("{{") {
            check_template(text)
                .map_err(|error| Fault::new(node.pos, format!("invalid template syntax: {error}")))?;
        } else if !text.is_empty() && text != MASK {
            HttpUrl::parse(text).map_err(|message| {
                let message = message.replace(&Quoted(text).to_string(), "\"<redacted>\"");
                Fault::new(node.pos, format!("invalid URL: {message}"))
                    .remedy("write a URL like https://host:port/path")
            })?;
        }
        Ok(Self(Secret::new(text)))
    }

    fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    fn emit(&self) -> Out {
        self.0.emit()
    }

    fn shape() -> Shape {
        Shape::Scalar("secret URL or template")
    }
}

/// Whether a text parses as a template that uses only built-in functions.
pub(crate) fn check_template(text: &str) -> Result<(), String> {
    gotmpl::Templates::new(gotmpl::Functions::default()).parse("", text).map_err(|error| error.to_string())
}

/// A duration in Go's notation (`1h30m`, `1.5s`), or a number of nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GoDuration(Duration);

const GO_UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("\u{b5}s", 1e3),
    ("\u{3bc}s", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

impl GoDuration {
    /// A duration of whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Parses the notation; negative durations are not taken.
    pub fn parse(text: &str) -> Result<Self, String> {
        let invalid = || format!("time: invalid duration {}", Quoted(text));
        let mut rest = text.strip_prefix('+').unwrap_or(text);
        if rest == "0" {
            return Ok(Self::default());
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total_ns = 0.0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
            let number: f64 = rest[..digits].parse().map_err(|_| invalid())?;
            let letters = rest[digits..].find(|c: char| c.is_ascii_digit() || c == '.');
            let unit = &rest[digits..letters.map_or(rest.len(), |at| digits + at)];
            if unit.is_empty() {
                return Err(format!("time: missing unit in duration {}", Quoted(text)));
            }
            let known = GO_UNITS.iter().find(|(name, _)| *name == unit);
            let (_, unit_ns) = known
                .ok_or_else(|| format!("time: unknown unit {} in duration {}", Quoted(unit), Quoted(text)))?;
            total_ns += number * unit_ns;
            rest = &rest[digits + unit.len()..];
        }
        if total_ns >= i64::MAX as f64 {
            return Err(invalid());
        }
        Ok(Self(Duration::from_nanos(total_ns.round() as u64)))
    }
}

/// As Go prints durations: `1h30m0s`.
impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0.as_nanos();
        let fraction = |value: u128, unit_ns: u128, unit: &str| {
            let (whole, left) = (value / unit_ns, value % unit_ns);
            if left == 0 {
                return format!("{whole}{unit}");
            }
            let width = unit_ns.ilog10() as usize;
            format!("{whole}.{}{unit}", format!("{left:0width$}").trim_end_matches('0'))
        };
        match ns {
            0 => f.write_str("0s"),
            1..1000 => write!(f, "{ns}ns"),
            1000..1_000_000 => f.write_str(&fraction(ns, 1000, "\u{b5}s")),
            1_000_000..1_000_000_000 => f.write_str(&fraction(ns, 1_000_000, "ms")),
            _ => {
                let minutes = ns / 60_000_000_000;
                if minutes >= 60 {
                    write!(f, "{}h", minutes / 60)?;
                }
                if minutes > 0 {
                    write!(f, "{}m", minutes % 60)?;
                }
                f.write_str(&fraction(ns % 60_000_000_000, 1_000_000_000, "s"))
            }
        }
    }
}

impl Setting for GoDuration {
    fn zero() -> Self {
        Self::default()
    }

    fn decode(node: &Node, _: &Cx<'_>) -> Result<Self, Fault> {
        let text = scalar_text(node, "time.Duration")?;
        let nanoseconds: Result<u64, _> = text.parse();
        match nanoseconds {
            Ok(ns) => Ok(Self(Duration::from_nanos(ns))),
            Err(_) => Self::parse(text)
                .map_err(|_| wrong_shape(node, "time.Duration").remedy("write it like 10s or 1m30s")),
        }
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

/// A host and a port, as written; empty when nothing was.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostPort {
    /// The host, without the brackets of an IPv6 address.
    pub host: String,
    /// The port, a number or the name of a service.
    pub port: String,
}

impl HostPort {
    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.host.is_empty() && self.port.is_empty()
    }

    /// Parses `host:port`; the error is the reference's message.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fail = |reason: &str| Err(format!("address {text}: {reason}"));
        if text.is_empty() {
            return Ok(Self::default());
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                None => return fail("missing ']' in address"),
                Some((host, port)) => match port.strip_prefix(':') {
                    Some(port) => (host, port),
                    None => return fail("missing port in address"),
                },
            },
            None => match text.rsplit_once(':') {
                None => return fail("missing port in address"),
                Some((host, _)) if host.contains(':') => return fail("too many colons in address"),
                Some(parts) => parts,
            },
        };
        if port.is_empty() {
            return Err(format!("address {}: port cannot be empty", Quoted(text)));
        }
        Ok(Self { host: host.to_owned(), port: port.to_owned() })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            empty if empty.is_empty() => Ok(()),
            Self { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

impl Setting for HostPort {
    fn zero() -> Self {
        Self::default()
    }

    fn decode(node: &Node, _: &Cx<'_>) -> Result<Self, Fault> {
        Self::parse(scalar_text(node, "string")?)
            .map_err(|message| Fault::new(node.pos, message).remedy("write host:port"))
    }

    fn is_zero(&self) -> bool {
        self.is_empty()
    }

    fn emit(&self) -> Out {
        Out::Text(self.to_string())
    }

    fn shape() -> Shape {
        Shape::Scalar("host:port")
    }
}

/// A value of any shape, kept as a tree; texts in it may be templates.
#[derive(Debug, Clone, PartialEq)]
pub enum Any {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Any>),
    /// A mapping, in the order written.
    Map(Vec<(String, Any)>),
}

impl Setting for Any {
    fn zero() -> Self {
        Self::Null
    }

    fn decode(node: &Node, cx: &Cx<'_>) -> Result<Self, Fault> {
        use crate::yaml::Value;
        let item = |node: &Node| if node.is_null() { Ok(Self::Null) } else { Self::decode(node, cx) };
        Ok(match &node.value {
            Value::Null => Self::Null,
            Value::Sequence(items) => Self::List(items.iter().map(item).collect::<Result<_, _>>()?),
            Value::Mapping(entries) => {
                let mut map = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    map.push((scalar_text(key, "string")?.to_owned(), item(value)?));
                }
                Self::Map(map)
            }
            Value::Scalar(scalar) => match node.tag() {
                "!!bool" => Self::Bool(bool::decode(node, cx)?),
                "!!int" => i64::decode(node, cx).map_or_else(|_| Self::Text(scalar.text.clone()), Self::Int),
                "!!float" => {
                    f64::decode(node, cx).map_or_else(|_| Self::Text(scalar.text.clone()), Self::Float)
                }
                _ => Self::Text(scalar.text.clone()),
            },
        })
    }

    fn is_zero(&self) -> bool {
        *self == Self::Null
    }

    fn emit(&self) -> Out {
        match self {
            Self::Null => Out::Null,
            Self::Bool(value) => Out::Bare(value.to_string()),
            Self::Int(value) => Out::Bare(value.to_string()),
            Self::Float(value) => Out::Bare(value.to_string()),
            Self::Text(text) => Out::Text(text.clone()),
            Self::List(items) => Out::List(items.iter().map(Self::emit).collect()),
            Self::Map(entries) => {
                Out::Map(entries.iter().map(|(name, value)| (name.clone(), value.emit())).collect())
            }
        }
    }

    fn shape() -> Shape {
        Shape::Scalar("any value")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_read_and_printed() {
        let cases = [("10s", "10s"), ("1h30m", "1h30m0s"), ("1.5s", "1.5s"), ("250ms", "250ms"), ("0", "0s")];
        for (text, printed) in cases {
            assert_eq!(GoDuration::parse(text).unwrap().to_string(), printed, "{text}");
        }
        assert_eq!(GoDuration::parse("1d").unwrap_err(), "time: unknown unit \"d\" in duration \"1d\"");
        assert_eq!(GoDuration::parse("").unwrap_err(), "time: invalid duration \"\"");
    }

    #[test]
    fn addresses_are_split_at_the_port() {
        assert_eq!(HostPort::parse("[::1]:25").unwrap().to_string(), "[::1]:25");
        assert_eq!(HostPort::parse("mail:smtp").unwrap().port, "smtp");
        assert_eq!(HostPort::parse("mail").unwrap_err(), "address mail: missing port in address");
        assert_eq!(HostPort::parse("mail:").unwrap_err(), "address \"mail:\": port cannot be empty");
    }

    #[test]
    fn urls_need_a_scheme_and_a_host() {
        assert_eq!(HttpUrl::parse("ftp://x").unwrap_err(), "unsupported scheme \"ftp\" for URL");
        assert_eq!(HttpUrl::parse("http://").unwrap_err(), "missing host for URL");
    }
}
