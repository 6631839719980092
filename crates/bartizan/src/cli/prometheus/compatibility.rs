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

    /// How long an outage may be for the "for" state of alerts to be restored.
    #[arg(long = "rules.alert.for-outage-tolerance", default_value = "1h", value_parser = duration)]
    for_outage_tolerance: DurationArg,
    /// Shortest time between an alert and its restored "for" state.
    #[arg(long = "rules.alert.for-grace-period", default_value = "10m", value_parser = duration)]
    for_grace_period: DurationArg,
    /// Shortest time before an alert is sent to Alertmanager again.
    #[arg(long = "rules.alert.resend-delay", default_value = "1m", value_parser = duration)]
    resend_delay: DurationArg,
    /// How many independent rules may be evaluated at once.
    #[arg(long = "rules.max-concurrent-evals", default_value_t = 4)]
    max_concurrent_evals: i64,
    /// Capacity of the queue of notifications to Alertmanager.
    #[arg(long = "alertmanager.notification-queue-capacity", default_value_t = 10_000)]
    notification_queue_capacity: i64,
    /// Most notifications sent to Alertmanager at once.
    #[arg(long = "alertmanager.notification-batch-size", default_value_t = 256)]
    notification_batch_size: i64,
    /// Send outstanding notifications when stopping.
    #[arg(long = "alertmanager.drain-notification-queue-on-shutdown", action = ArgAction::SetTrue)]
    drain_notification_queue: bool,
    #[arg(long = "no-alertmanager.drain-notification-queue-on-shutdown", action = ArgAction::SetTrue, hide = true)]
    no_drain_notification_queue: bool,

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
const ABSENT: [(&str, &str); 3] = [
    ("rules.", "rules are not evaluated"),
    ("alertmanager.", "alerts are not sent"),
    ("web.console.", "consoles are not served"),
];

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
