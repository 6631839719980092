//! Flags of Prometheus that change nothing here, so that a command line carries over as it is: what they
//! tune happens without being told, or belongs to a part this program does not have yet.

use clap::{ArgAction, ArgMatches, Args, parser::ValueSource};

use super::{DurationArg, duration};

/// Flags that are read, checked, shown by `/api/v1/status/flags` and otherwise without effect.
#[derive(Args, Debug, Clone)]
pub struct CompatibilityArgs {
    /// Path of console templates; consoles are not served.
    #[arg(long = "web.console.templates", default_value = "consoles", value_name = "DIR", hide = true)]
    console_templates: String,
    /// Path of console libraries; consoles are not served.
    #[arg(
        long = "web.console.libraries",
        default_value = "console_libraries",
        value_name = "DIR",
        hide = true
    )]
    console_libraries: String,

    /// Size of the queue of head chunks; chunks are written directly.
    #[arg(long = "storage.tsdb.head-chunks-write-queue-size", default_value_t = 0, hide = true)]
    head_chunks_write_queue_size: usize,
    /// Overlapping blocks are always allowed.
    #[arg(long = "storage.tsdb.allow-overlapping-blocks", action = ArgAction::SetTrue, hide = true)]
    allow_overlapping_blocks: bool,
    #[arg(long = "no-storage.tsdb.allow-overlapping-blocks", action = ArgAction::SetTrue, hide = true)]
    no_allow_overlapping_blocks: bool,

    /// Match the CPU quota of the container: it always does.
    #[arg(long = "auto-gomaxprocs", action = ArgAction::SetTrue, hide = true)]
    auto_gomaxprocs: bool,
    #[arg(long = "no-auto-gomaxprocs", action = ArgAction::SetTrue, hide = true)]
    no_auto_gomaxprocs: bool,
    /// Memory is not garbage-collected.
    #[arg(long = "auto-gomemlimit", action = ArgAction::SetTrue, hide = true)]
    auto_gomemlimit: bool,
    #[arg(long = "no-auto-gomemlimit", action = ArgAction::SetTrue, hide = true)]
    no_auto_gomemlimit: bool,
    /// Memory is not garbage-collected.
    #[arg(long = "auto-gomemlimit.ratio", default_value_t = 0.9, hide = true)]
    auto_gomemlimit_ratio: f64,
    /// Memory is not garbage-collected.
    #[arg(long = "auto-gomemlimit.refresh-interval", default_value = "0s", value_parser = duration, hide = true)]
    auto_gomemlimit_refresh_interval: DurationArg,
}

/// What a reader of the flags expects to happen and does not: the prefix of the flags and why.
const ABSENT: [(&str, &str); 1] = [("web.console.", "consoles are not served")];

/// A warning for each flag that was given although the part it belongs to is not there.
pub fn warnings(matches: &ArgMatches, flags: impl IntoIterator<Item = (String, String)>) -> Vec<String> {
    let given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    flags
        .into_iter()
        .filter(|(_, id)| given(id))
        .filter_map(|(name, _)| {
            let (_, reason) = ABSENT.iter().find(|(prefix, _)| name.starts_with(prefix))?;
            Some(format!("--{name} has no effect: {reason}"))
        })
        .collect()
}
