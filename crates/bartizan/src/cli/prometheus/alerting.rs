//! Flags of the evaluation of rules and of the delivery of alerts.

use clap::{ArgAction, Args};

use super::{DurationArg, duration};

/// How rules are evaluated and alerts are delivered.
#[derive(Args, Debug, Clone)]
pub struct AlertingArgs {
    /// How long an outage may be for the "for" state of alerts to be restored.
    #[arg(long = "rules.alert.for-outage-tolerance", default_value = "1h", value_parser = duration)]
    pub for_outage_tolerance: DurationArg,
    /// Shortest time between an alert and its restored "for" state.
    #[arg(long = "rules.alert.for-grace-period", default_value = "10m", value_parser = duration)]
    pub for_grace_period: DurationArg,
    /// Shortest time before an alert is sent to Alertmanager again.
    #[arg(long = "rules.alert.resend-delay", default_value = "1m", value_parser = duration)]
    pub resend_delay: DurationArg,
    /// How many independent rules may be evaluated at once.
    #[arg(long = "rules.max-concurrent-evals", default_value_t = 4)]
    max_concurrent_evals: i64,
    /// Capacity of the queue of notifications to each Alertmanager.
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
}

impl AlertingArgs {
    /// Rules beyond the first one of each group that may be evaluated at once.
    pub fn max_concurrent_evals(&self) -> usize {
        usize::try_from(self.max_concurrent_evals).unwrap_or(0)
    }

    /// Alerts that may wait for one Alertmanager.
    pub fn queue_capacity(&self) -> usize {
        usize::try_from(self.notification_queue_capacity).unwrap_or(0)
    }

    /// The most alerts of one request.
    pub fn batch_size(&self) -> usize {
        usize::try_from(self.notification_batch_size).ok().filter(|&size| size > 0).unwrap_or(256)
    }

    /// Whether what waits is sent when stopping; it is unless that is switched off.
    pub fn drain_on_shutdown(&self) -> bool {
        self.drain_notification_queue || !self.no_drain_notification_queue
    }
}
