//! Flags of OpenTelemetry metrics.

use clap::{ArgAction, Args};

/// Flags of OpenTelemetry metrics.
#[derive(Args, Debug, Clone)]
pub struct OtlpArgs {
    /// Enable API endpoint accepting OTLP write requests, over HTTP and gRPC.
    #[arg(long = "web.enable-otlp-receiver", action = ArgAction::SetTrue, overrides_with = "no_otlp_receiver")]
    pub enable_otlp_receiver: bool,
    #[arg(long = "no-web.enable-otlp-receiver", hide = true)]
    no_otlp_receiver: bool,

    /// Streams of deltas added up at once, with --enable-feature=otlp-deltatocumulative; points of more are
    /// refused. 0 for no limit. Not a flag of Prometheus.
    #[arg(long = "otlp.delta.max-streams", default_value_t = 1_000_000, hide = true)]
    pub max_delta_streams: usize,
}
