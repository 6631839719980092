//! What the receiver answers: how much was refused, or why everything was.

use crate::protobuf::{put_bytes, put_message, put_uint};

/// What became of a request that was accepted, at least in part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportResponse {
    /// Data points that were refused.
    pub rejected_data_points: i64,
    /// Why, or what else the sender should know; empty when there is nothing to say.
    pub error_message: String,
}

impl ExportResponse {
    /// Whether there is something to say.
    pub fn is_partial(&self) -> bool {
        self.rejected_data_points != 0 || !self.error_message.is_empty()
    }

    /// As a protobuf message: empty where everything was accepted.
    pub fn to_protobuf(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.is_partial() {
            put_message(&mut out, 1, |out| {
                put_uint(out, 1, self.rejected_data_points as u64);
                put_bytes(out, 2, self.error_message.as_bytes());
            });
        }
        out
    }

    /// As JSON: an empty object where everything was accepted.
    pub fn to_json(&self) -> String {
        if !self.is_partial() {
            return "{}".to_owned();
        }
        let mut partial = Vec::new();
        if self.rejected_data_points != 0 {
            // 64-bit numbers are texts in the JSON of protobuf.
            partial.push(format!("\"rejectedDataPoints\":\"{}\"", self.rejected_data_points));
        }
        if !self.error_message.is_empty() {
            partial.push(format!("\"errorMessage\":{}", json_text(&self.error_message)));
        }
        format!("{{\"partialSuccess\":{{{}}}}}", partial.join(","))
    }
}

/// The status codes of gRPC that the receiver answers, with their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Done.
    Ok = 0,
    /// The sender went away.
    Canceled = 1,
    /// The request is wrong: repeating it is of no use.
    InvalidArgument = 3,
    /// It took longer than the sender wanted to wait.
    DeadlineExceeded = 4,
    /// It is larger than a limit.
    ResourceExhausted = 8,
    /// There is no such method, or not such a compression.
    Unimplemented = 12,
    /// A defect.
    Internal = 13,
    /// Not now: the same request may be accepted later.
    Unavailable = 14,
}

/// Why a request was refused as a whole: `google.rpc.Status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What kind of failure it is.
    pub code: Code,
    /// What happened.
    pub message: String,
}

impl Status {
    /// As a protobuf message.
    pub fn to_protobuf(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_uint(&mut out, 1, self.code as u64);
        put_bytes(&mut out, 2, self.message.as_bytes());
        out
    }

    /// As JSON.
    pub fn to_json(&self) -> String {
        format!("{{\"code\":{},\"message\":{}}}", self.code as u8, json_text(&self.message))
    }
}

fn json_text(text: &str) -> String {
    super::AnyValue::Text(text).to_json()
}
