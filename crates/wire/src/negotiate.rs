//! Which format a target is asked for, which one it answered with, and which one we answer with.

use std::fmt;

use crate::escape::Escaping;
use crate::quote::quoted;

/// A format a target may be asked for, as `scrape_protocols` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScrapeProtocol {
    /// Delimited protobuf.
    PrometheusProto,
    /// Prometheus text 0.0.4.
    PrometheusText0_0_4,
    /// Prometheus text 1.0.0.
    PrometheusText1_0_0,
    /// OpenMetrics 0.0.1.
    OpenMetricsText0_0_1,
    /// OpenMetrics 1.0.0.
    OpenMetricsText1_0_0,
}

impl ScrapeProtocol {
    /// All protocols.
    pub const ALL: [Self; 5] = [
        Self::PrometheusProto,
        Self::PrometheusText0_0_4,
        Self::PrometheusText1_0_0,
        Self::OpenMetricsText0_0_1,
        Self::OpenMetricsText1_0_0,
    ];

    /// The name in configuration files.
    pub fn name(self) -> &'static str {
        match self {
            Self::PrometheusProto => "PrometheusProto",
            Self::PrometheusText0_0_4 => "PrometheusText0.0.4",
            Self::PrometheusText1_0_0 => "PrometheusText1.0.0",
            Self::OpenMetricsText0_0_1 => "OpenMetricsText0.0.1",
            Self::OpenMetricsText1_0_0 => "OpenMetricsText1.0.0",
        }
    }

    /// The protocol configuration files call `name`.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name)
    }

    fn accepted(self) -> &'static str {
        match self {
            Self::PrometheusProto => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
            Self::PrometheusText0_0_4 => "text/plain;version=0.0.4",
            Self::PrometheusText1_0_0 => "text/plain;version=1.0.0",
            Self::OpenMetricsText0_0_1 => "application/openmetrics-text;version=0.0.1",
            Self::OpenMetricsText1_0_0 => "application/openmetrics-text;version=1.0.0",
        }
    }

    /// The format the protocol is a version of.
    pub fn media_type(self) -> MediaType {
        match self {
            Self::PrometheusProto => MediaType::Protobuf,
            Self::PrometheusText0_0_4 | Self::PrometheusText1_0_0 => MediaType::Text,
            Self::OpenMetricsText0_0_1 | Self::OpenMetricsText1_0_0 => MediaType::OpenMetrics,
        }
    }
}

/// The `Accept` header that asks for `protocols` in this order of preference.
pub fn accept_header(protocols: &[ScrapeProtocol], escaping: Escaping) -> String {
    let mut weight = ScrapeProtocol::ALL.len() + 1;
    let mut header = String::new();
    for protocol in protocols {
        header.push_str(protocol.accepted());
        let knows_escaping =
            matches!(protocol, ScrapeProtocol::PrometheusText1_0_0 | ScrapeProtocol::OpenMetricsText1_0_0);
        if knows_escaping {
            header.push_str(";escaping=");
            header.push_str(escaping.name());
        }
        header.push_str(&format!(";q=0.{weight},"));
        weight = weight.saturating_sub(1).max(1);
    }
    header + &format!("*/*;q=0.{weight}")
}

/// A format a parser exists for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// Prometheus text.
    Text,
    /// OpenMetrics text.
    OpenMetrics,
    /// Delimited protobuf.
    Protobuf,
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text/plain",
            Self::OpenMetrics => "application/openmetrics-text",
            Self::Protobuf => "application/vnd.google.protobuf",
        })
    }
}

/// A target did not say, or not clearly, which format it answers in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NegotiationError {
    /// No type and no fallback.
    #[error(
        "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target"
    )]
    Blank,
    /// No type; the fallback is used.
    #[error("non-compliant scrape target sending blank Content-Type, using fallback_scrape_protocol \"{0}\"")]
    BlankUsing(MediaType),
    /// Not a media type, and no fallback.
    #[error("cannot parse Content-Type {content_type} and no fallback_scrape_protocol for target\n{cause}")]
    Malformed {
        /// The header, quoted.
        content_type: String,
        /// What is wrong with it.
        cause: &'static str,
    },
    /// Not a media type; the fallback is used.
    #[error(
        "could not parse received Content-Type {content_type}, using fallback_scrape_protocol \"{fallback}\"\n{cause}"
    )]
    MalformedUsing {
        /// The header, quoted.
        content_type: String,
        /// The format assumed.
        fallback: MediaType,
        /// What is wrong with the header.
        cause: &'static str,
    },
    /// A type without parser, and no fallback.
    #[error("received unsupported Content-Type {0} and no fallback_scrape_protocol specified for target")]
    Unsupported(String),
    /// A type without parser; the fallback is used.
    #[error(
        "received unsupported Content-Type {content_type}, using fallback_scrape_protocol \"{fallback}\""
    )]
    UnsupportedUsing {
        /// The header, quoted.
        content_type: String,
        /// The format assumed.
        fallback: MediaType,
    },
}

/// The format of a response with this `Content-Type`, and a warning if the fallback decided.
pub fn choose_media_type(
    content_type: &str,
    fallback: Option<MediaType>,
) -> Result<(MediaType, Option<NegotiationError>), NegotiationError> {
    use NegotiationError as E;
    if content_type.is_empty() {
        return fallback.map(|f| (f, Some(E::BlankUsing(f)))).ok_or(E::Blank);
    }
    let shown = || quoted(content_type.as_bytes());
    match (parse_media_type(content_type), fallback) {
        (Err(cause), None) => Err(E::Malformed { content_type: shown(), cause }),
        (Err(cause), Some(fallback)) => {
            Ok((fallback, Some(E::MalformedUsing { content_type: shown(), fallback, cause })))
        }
        (Ok(media_type), fallback) => match (media_type.as_str(), fallback) {
            ("text/plain", _) => Ok((MediaType::Text, None)),
            ("application/openmetrics-text", _) => Ok((MediaType::OpenMetrics, None)),
            ("application/vnd.google.protobuf", _) => Ok((MediaType::Protobuf, None)),
            (_, Some(fallback)) => {
                Ok((fallback, Some(E::UnsupportedUsing { content_type: shown(), fallback })))
            }
            (_, None) => Err(E::Unsupported(shown())),
        },
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !br#"()<>@,;:\"/[]?="#.contains(&b))
}

/// The lower-case media type of a header; its parameters are only checked.
fn parse_media_type(header: &str) -> Result<String, &'static str> {
    let (media_type, mut parameters) = header.split_once(';').unwrap_or((header, ""));
    let media_type = media_type.trim().to_ascii_lowercase();
    let (kind, subtype) = match media_type.split_once('/') {
        Some((kind, subtype)) => (kind, Some(subtype)),
        None => (media_type.as_str(), None),
    };
    if !is_token(kind) {
        return Err("mime: no media type");
    }
    match subtype {
        Some(subtype) if is_token(subtype) => {}
        Some(subtype) if subtype.starts_with(|c: char| c.is_ascii_alphanumeric()) => {
            return Err("mime: unexpected content after media subtype");
        }
        Some(_) => return Err("mime: expected token after slash"),
        None => {}
    }
    let mut seen = Vec::new();
    while !parameters.trim().is_empty() {
        let (name, rest) = parameters.split_once('=').ok_or("mime: invalid media parameter")?;
        let name = name.trim().to_ascii_lowercase();
        let rest = rest.trim_start();
        let value_end = match rest.strip_prefix('"') {
            Some(quoted) => quoted.find('"').ok_or("mime: invalid media parameter")? + 2,
            None => rest.find(';').unwrap_or(rest.len()),
        };
        if !is_token(&name) || (!rest.starts_with('"') && !is_token(rest[..value_end].trim())) {
            return Err("mime: invalid media parameter");
        }
        if seen.contains(&name) {
            return Err("mime: duplicate parameter name");
        }
        seen.push(name);
        parameters = rest[value_end..].trim_start().strip_prefix(';').unwrap_or_default();
    }
    Ok(media_type)
}

/// A format we answer in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text0_0_4,
    /// Prometheus text 1.0.0.
    Text1_0_0,
    /// OpenMetrics 0.0.1.
    OpenMetrics0_0_1,
    /// OpenMetrics 1.0.0.
    OpenMetrics1_0_0,
    /// Delimited protobuf.
    Protobuf,
}

/// What a client asked for: a format and how names beyond the legacy characters are to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Negotiated {
    /// The format.
    pub format: Format,
    /// The escaping of names.
    pub escaping: Escaping,
}

impl Negotiated {
    /// The `Content-Type` header of the answer.
    pub fn content_type(self) -> String {
        let media_type = match self.format {
            Format::Text0_0_4 => "text/plain; version=0.0.4; charset=utf-8",
            Format::Text1_0_0 => "text/plain; version=1.0.0; charset=utf-8",
            Format::OpenMetrics0_0_1 => "application/openmetrics-text; version=0.0.1; charset=utf-8",
            Format::OpenMetrics1_0_0 => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        };
        format!("{media_type}; escaping={}", self.escaping.name())
    }
}

/// One range of an `Accept` header.
struct Range<'a> {
    media_type: String,
    parameters: Vec<(String, &'a str)>,
    quality: f64,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';');
        let media_type = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let mut range = Self { media_type, parameters: Vec::new(), quality: 1.0 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().trim_matches('"'));
            if name == "q" {
                range.quality = value.parse().unwrap_or(1.0);
            } else {
                range.parameters.push((name, value));
            }
        }
        range
    }

    fn get(&self, name: &str) -> &'a str {
        self.parameters.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    fn format(&self, open_metrics: bool) -> Option<Format> {
        let version = self.get("version");
        match (self.media_type.as_str(), version) {
            ("text/plain", "" | "0.0.4") => Some(Format::Text0_0_4),
            ("text/plain", "1.0.0") => Some(Format::Text1_0_0),
            ("application/openmetrics-text", "1.0.0") if open_metrics => Some(Format::OpenMetrics1_0_0),
            ("application/openmetrics-text", "" | "0.0.1") if open_metrics => Some(Format::OpenMetrics0_0_1),
            ("application/vnd.google.protobuf", _)
                if self.get("proto") == "io.prometheus.client.MetricFamily"
                    && self.get("encoding") == "delimited" =>
            {
                Some(Format::Protobuf)
            }
            _ => None,
        }
    }
}

/// The answer to an `Accept` header. OpenMetrics is offered only where `open_metrics` is set; text 0.0.4 is
/// the answer to all that asks for nothing we have.
pub fn negotiate(accept: &str, open_metrics: bool) -> Negotiated {
    let mut ranges: Vec<Range<'_>> = accept.split(',').map(Range::parse).collect();
    ranges.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    let mut escaping = Escaping::Underscores;
    for range in &ranges {
        escaping = Escaping::by_name(range.get("escaping")).unwrap_or(escaping);
        if let Some(format) = range.format(open_metrics) {
            return Negotiated { format, escaping };
        }
    }
    Negotiated { format: Format::Text0_0_4, escaping }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_asked_for_in_order() {
        let header = accept_header(
            &[ScrapeProtocol::OpenMetricsText1_0_0, ScrapeProtocol::PrometheusText0_0_4],
            Escaping::AllowUtf8,
        );
        let expected = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                        text/plain;version=0.0.4;q=0.5,*/*;q=0.4";
        assert_eq!(header, expected);
    }

    #[test]
    fn content_types_choose_a_parser_or_the_fallback() {
        let choose = |header: &str, fallback| match choose_media_type(header, fallback) {
            Ok((media_type, None)) => format!("{media_type}"),
            Ok((media_type, Some(warning))) => format!("{media_type}: {warning}"),
            Err(error) => format!("{error}"),
        };
        let text = Some(MediaType::Text);
        for (header, fallback, expected) in [
            ("text/plain; version=0.0.4", None, "text/plain"),
            (
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                None,
                "application/openmetrics-text",
            ),
            ("application/vnd.google.protobuf; proto=x", None, "application/vnd.google.protobuf"),
            ("", text, "sending blank Content-Type, using fallback_scrape_protocol \"text/plain\""),
            ("", None, "blank Content-Type and no fallback_scrape_protocol specified for target"),
            ("invalid/", None, "expected token after slash"),
            ("invalid/invalid/invalid", text, "unexpected content after media subtype"),
            ("/", text, "no media type"),
            ("application/openmetrics-text; charset=UTF-8; charset=utf-8", None, "duplicate parameter name"),
            ("text/html", None, "received unsupported Content-Type \"text/html\" and no fallback"),
            ("text/html", text, "\"text/html\", using fallback_scrape_protocol \"text/plain\""),
        ] {
            let got = choose(header, fallback);
            assert!(got.contains(expected), "{header:?}: {got}");
        }
    }

    #[test]
    fn answers_follow_the_accept_header() {
        for (accept, open_metrics, expected) in [
            ("", true, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
            ("*/*", true, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
            (
                "text/plain;version=0.0.4;q=0.3,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5",
                true,
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
            ),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3",
                false,
                "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
                false,
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; \
                 escaping=underscores",
            ),
        ] {
            assert_eq!(negotiate(accept, open_metrics).content_type(), expected);
        }
    }
}
