//! Remote read, as others read from this server.

use clap::Args;

/// Flags of remote read.
#[derive(Args, Debug, Clone)]
pub struct ReadArgs {
    /// Most samples of one remote read query; 0 for no limit. Answers streamed as chunks are not limited.
    #[arg(long = "storage.remote.read-sample-limit", default_value = "5e7", value_parser = count)]
    pub read_sample_limit: usize,

    /// Most remote reads that run at once; 0 for no limit.
    #[arg(long = "storage.remote.read-concurrent-limit", default_value = "10", value_parser = count)]
    pub read_concurrent_limit: usize,

    /// Most bytes of a frame of a remote read answer that is streamed.
    #[arg(long = "storage.remote.read-max-bytes-in-frame", default_value = "1048576", value_parser = count)]
    pub read_max_bytes_in_frame: usize,
}

/// A number of things, also as `5e7`.
fn count(text: &str) -> Result<usize, String> {
    match text.parse::<f64>() {
        Ok(number) if number >= 0.0 && number < usize::MAX as f64 => Ok(number as usize),
        _ => Err(format!("{text:?} is not a number of things")),
    }
}
