//! Flags of remote write.

use clap::Args;

use super::{BytesArg, DurationArg, bytes, duration};

/// Flags of remote write.
#[derive(Args, Debug, Clone)]
pub struct SendingArgs {
    /// How long sending what is left may take at the end, or when the configuration changes.
    #[arg(long = "storage.remote.flush-deadline", default_value = "1m", value_parser = duration, value_name = "DURATION")]
    pub flush_deadline: DurationArg,

    /// How large the write-ahead log may grow, with a unit, to keep what a destination of remote_write has not got
    /// yet; beyond that, or half of the storage's size limit, the oldest samples are lost to it. Not a flag of
    /// Prometheus.
    #[arg(long = "storage.remote.wal-hold-size", default_value = "16GB", value_parser = bytes, value_name = "BYTES")]
    pub wal_hold_size: BytesArg,
}
