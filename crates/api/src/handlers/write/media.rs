//! Which message a request says it carries. Texts are Prometheus's.

use axum::http::{HeaderMap, header};
use wire::remote_write::MessageType;

const MEDIA_TYPE: &str = "application/x-protobuf";

/// The message, if the server accepts it and its encoding.
pub fn message_type(headers: &HeaderMap, accepted: &[MessageType]) -> Result<MessageType, String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let encoding = text(header::CONTENT_ENCODING);
    if !matches!(encoding, "" | "snappy") {
        return Err(format!(
            "{encoding} encoding (compression) is not accepted by this server; only snappy is acceptable"
        ));
    }
    // Old senders may say nothing: then it is the first version.
    let message = match text(header::CONTENT_TYPE) {
        "" => MessageType::V1,
        content_type => parse(content_type.trim())?,
    };
    if accepted.contains(&message) {
        return Ok(message);
    }
    Err(format!("{message} protobuf message is not accepted by this server; only accepts {}", list(accepted)))
}

fn list(messages: &[MessageType]) -> String {
    messages.iter().map(|message| message.as_str()).collect::<Vec<_>>().join(", ")
}

fn parse(content_type: &str) -> Result<MessageType, String> {
    let mut parts = content_type.split(';');
    if parts.next() != Some(MEDIA_TYPE) {
        return Err(format!(
            "expected {MEDIA_TYPE} as the first (media) part, got {content_type} content-type"
        ));
    }
    for parameter in parts {
        let mut pair = parameter.split('=');
        let (Some(name), Some(value), None) = (pair.next(), pair.next(), pair.next()) else {
            return Err(format!(
                "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters to be key-values, got \
                 {parameter} in {content_type} content-type"
            ));
        };
        if name == "proto" {
            return MessageType::from_name(value).ok_or_else(|| {
                format!(
                    "got {content_type} content type; unknown type for remote write protobuf message {value}, \
                     supported: {}",
                    list(&MessageType::ALL)
                )
            });
        }
    }
    Ok(MessageType::V1)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn told(content_type: &'static str, encoding: &'static str) -> Result<MessageType, String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        message_type(&headers, &MessageType::ALL)
    }

    #[test]
    fn the_message_is_named_by_a_parameter_and_the_first_version_by_none() {
        assert_eq!(message_type(&HeaderMap::new(), &MessageType::ALL), Ok(MessageType::V1));
        assert_eq!(told("application/x-protobuf", "snappy"), Ok(MessageType::V1));
        assert_eq!(told("application/x-protobuf;proto=prometheus.WriteRequest", ""), Ok(MessageType::V1));
        assert_eq!(told(MessageType::V2.content_type(), "snappy"), Ok(MessageType::V2));
        assert_eq!(
            told("application/x-protobuf;a=b;proto=io.prometheus.write.v2.Request", ""),
            Ok(MessageType::V2)
        );
    }

    #[test]
    fn what_is_not_accepted_is_told_in_known_words() {
        assert_eq!(
            told("application/x-protobuf", "gzip").unwrap_err(),
            "gzip encoding (compression) is not accepted by this server; only snappy is acceptable"
        );
        assert_eq!(
            told("yolo", "snappy").unwrap_err(),
            "expected application/x-protobuf as the first (media) part, got yolo content-type"
        );
        assert_eq!(
            told("application/x-protobuf;proto=yolo", "snappy").unwrap_err(),
            "got application/x-protobuf;proto=yolo content type; unknown type for remote write protobuf message \
             yolo, supported: prometheus.WriteRequest, io.prometheus.write.v2.Request"
        );
        assert!(told("application/x-protobuf;yolo", "").unwrap_err().contains("got yolo in application"));
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MessageType::V2.content_type()));
        assert_eq!(
            message_type(&headers, &[MessageType::V1]).unwrap_err(),
            "io.prometheus.write.v2.Request protobuf message is not accepted by this server; only accepts \
             prometheus.WriteRequest"
        );
    }
}
