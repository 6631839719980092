//! Prometheus's remote-write protocol, versions 1.0 and 2.0: the messages it carries.
//!
//! In reading order: [`MessageType`] (which of the two, and how HTTP names it), [`decode`] (from the bytes of
//! an uncompressed body to samples), [`encode`] (the way back).

pub mod decode;
pub mod encode;

use std::fmt;

/// The message a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// `prometheus.WriteRequest` of remote write 1.0.
    V1,
    /// `io.prometheus.write.v2.Request` of remote write 2.0.
    V2,
}

impl MessageType {
    /// Both, older first.
    pub const ALL: [Self; 2] = [Self::V1, Self::V2];

    /// The fully qualified name of the message.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "prometheus.WriteRequest",
            Self::V2 => "io.prometheus.write.v2.Request",
        }
    }

    /// The message of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|message| message.as_str() == name)
    }

    /// The content type a sender gives.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::V1 => "application/x-protobuf",
            Self::V2 => "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        }
    }

    /// The value of `X-Prometheus-Remote-Write-Version` a sender gives.
    pub const fn version(self) -> &'static str {
        match self {
            Self::V1 => "0.1.0",
            Self::V2 => "2.0.0",
        }
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Response header that tells how many float samples were written.
pub const SAMPLES_WRITTEN: &str = "x-prometheus-remote-write-samples-written";
/// Response header that tells how many histogram samples were written.
pub const HISTOGRAMS_WRITTEN: &str = "x-prometheus-remote-write-histograms-written";
/// Response header that tells how many exemplars were written.
pub const EXEMPLARS_WRITTEN: &str = "x-prometheus-remote-write-exemplars-written";
