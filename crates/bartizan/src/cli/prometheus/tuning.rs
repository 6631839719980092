//! Flags few users need: how blocks are cut, joined and found, and when scrapes count as punctual.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};

use super::{BytesArg, DurationArg, bytes, duration};

/// The smallest file of chunks in a block.
const MIN_SEGMENT_BYTES: u64 = 1 << 20;
/// The shortest time between two looks at the blocks.
const MIN_RELOAD_INTERVAL: Duration = Duration::from_secs(1);

/// Flags few users need.
#[derive(Args, Debug, Clone)]
pub struct TuningArgs {
    /// Samples a head chunk is cut at.
    #[arg(long = "storage.tsdb.samples-per-chunk", default_value_t = 120, hide = true, value_parser = clap::value_parser!(u16).range(1..))]
    pub samples_per_chunk: u16,

    /// Largest file of chunks in a block, with a unit; at least 1MB, 512MB by default.
    #[arg(long = "storage.tsdb.max-block-chunk-segment-size", default_value = "0B", value_parser = chunk_segment_bytes, value_name = "BYTES", hide = true)]
    chunk_segment_size: BytesArg,

    /// Join overlapping blocks. Switch it off where another program does.
    #[arg(long = "storage.tsdb.allow-overlapping-compaction", action = ArgAction::SetTrue, overrides_with = "no_overlapping_compaction", hide = true)]
    overlapping_compaction: bool,
    #[arg(long = "no-storage.tsdb.allow-overlapping-compaction", action = ArgAction::SetTrue, hide = true)]
    no_overlapping_compaction: bool,

    /// JSON file that lists uploaded blocks, such as the Thanos shipper's. Blocks written from the head are
    /// joined only once they are in it; blocks that are joined already do not wait.
    #[arg(
        long = "storage.tsdb.delay-compact-file.path",
        default_value = "",
        hide_default_value = true,
        value_name = "FILE"
    )]
    uploads_file: String,

    /// How often to look for blocks that were added or removed by hand; at least 1s.
    #[arg(long = "storage.tsdb.block-reload-interval", default_value = "1m", value_parser = duration, hide = true)]
    block_reload_interval: DurationArg,

    /// Store scrapes that begin about when they are due at exactly that time.
    #[arg(long = "scrape.adjust-timestamps", action = ArgAction::SetTrue, overrides_with = "no_adjust_timestamps", hide = true)]
    adjust_timestamps: bool,
    #[arg(long = "no-scrape.adjust-timestamps", action = ArgAction::SetTrue, hide = true)]
    no_adjust_timestamps: bool,

    /// How late a scrape may begin and still be stored at the time it was due; at most a hundredth of its
    /// interval.
    #[arg(long = "scrape.timestamp-tolerance", default_value = "2ms", value_parser = go_duration, hide = true)]
    timestamp_tolerance: DurationArg,

    /// How often changes of discovered targets are taken up at most while they go on.
    #[arg(long = "scrape.discovery-reload-interval", default_value = "5s", value_parser = duration, hide = true)]
    discovery_reload_interval: DurationArg,
}

fn chunk_segment_bytes(text: &str) -> Result<BytesArg, String> {
    match bytes(text)? {
        size if size.value != 0 && size.value < MIN_SEGMENT_BYTES => {
            Err(format!("{text} is too small for a file of chunks: give 1MB or more"))
        }
        size => Ok(size),
    }
}

fn go_duration(text: &str) -> Result<DurationArg, String> {
    let ns = model::duration::parse_go_duration(text).map_err(|error| error.to_string())?;
    let ns = u64::try_from(ns).map_err(|_| format!("{text} is negative"))?;
    Ok(DurationArg { text: text.to_owned(), value: Duration::from_nanos(ns) })
}

impl TuningArgs {
    /// The largest file of chunks in a block, if it is given.
    pub fn chunk_segment_bytes(&self) -> Option<u64> {
        Some(self.chunk_segment_size.value).filter(|&size| size > 0)
    }

    /// Whether overlapping blocks are joined.
    pub fn compact_overlaps(&self) -> bool {
        !self.no_overlapping_compaction
    }

    /// The file that lists uploaded blocks, if blocks wait for that.
    pub fn uploads_file(&self) -> Option<PathBuf> {
        (!self.uploads_file.is_empty()).then(|| PathBuf::from(&self.uploads_file))
    }

    /// How often to look for blocks.
    pub fn block_reload_interval(&self) -> Duration {
        self.block_reload_interval.value.max(MIN_RELOAD_INTERVAL)
    }

    /// How late a scrape may be to be stored at the time it was due, if that is done.
    pub fn timestamp_tolerance(&self) -> Option<Duration> {
        (!self.no_adjust_timestamps).then_some(self.timestamp_tolerance.value)
    }

    /// How often changes of targets are taken up.
    pub fn discovery_reload_interval(&self) -> Duration {
        self.discovery_reload_interval.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::prometheus::{flag_values, parse_from};

    fn parse(arguments: &[&str]) -> TuningArgs {
        parse_from(arguments.iter().copied()).unwrap().0.tuning
    }

    #[test]
    fn defaults_are_prometheus_s() {
        let args = parse(&[]);
        assert!(args.compact_overlaps());
        assert_eq!((args.uploads_file(), args.chunk_segment_bytes()), (None, None));
        assert_eq!(args.block_reload_interval(), Duration::from_secs(60));
        assert_eq!(args.timestamp_tolerance(), Some(Duration::from_millis(2)));
        assert_eq!(args.discovery_reload_interval(), Duration::from_secs(5));
        let shown = flag_values(&parse_from([]).unwrap().1);
        assert_eq!(shown["scrape.adjust-timestamps"], "true");
        assert_eq!(shown["storage.tsdb.allow-overlapping-compaction"], "true");
    }

    #[test]
    fn each_can_be_changed() {
        let args = parse(&[
            "--no-storage.tsdb.allow-overlapping-compaction",
            "--storage.tsdb.delay-compact-file.path=thanos.shipper.json",
            "--storage.tsdb.block-reload-interval=10ms",
            "--storage.tsdb.max-block-chunk-segment-size=2MB",
            "--scrape.timestamp-tolerance=1.5ms",
            "--scrape.discovery-reload-interval=1m",
        ]);
        assert!(!args.compact_overlaps());
        assert_eq!(args.uploads_file(), Some("thanos.shipper.json".into()));
        assert_eq!(args.chunk_segment_bytes(), Some(2 << 20));
        assert_eq!(args.block_reload_interval(), Duration::from_secs(1), "less would be a burden");
        assert_eq!(args.timestamp_tolerance(), Some(Duration::from_micros(1500)));
        assert_eq!(args.discovery_reload_interval(), Duration::from_secs(60));
        assert_eq!(parse(&["--no-scrape.adjust-timestamps"]).timestamp_tolerance(), None);
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for flag in [
            "--storage.tsdb.max-block-chunk-segment-size=1KB",
            "--storage.tsdb.samples-per-chunk=0",
            "--scrape.timestamp-tolerance=-1s",
            "--scrape.timestamp-tolerance=5",
        ] {
            assert!(parse_from([flag]).is_err(), "{flag}");
        }
    }
}
