//! Since when alerts are active, from before a restart: read back from the series written about it.

use std::collections::HashMap;
use std::time::Duration;

use model::{
    Labels, Matcher, Projection, SampleColumns, SelectRequest, SourceError, TimeRange, is_stale_nan,
};

use crate::alert::Alerting;
use crate::group::{Evaluator, Group};

/// Takes up the state of all alerts of a group as of `t_ms`. What cannot be read is logged, and its alerts begin
/// anew.
pub(crate) fn restore(group: &Group, evaluator: &Evaluator, t_ms: i64) {
    let began = evaluator.clock.monotonic();
    for rule in &group.rules {
        let Some(alerting) = rule.alerting() else { continue };
        // A rule that holds shorter than the grace period would fire later for having been restored.
        if alerting.hold_ms >= ms(evaluator.grace_period)
            && let Err(error) = restore_rule(alerting, evaluator, t_ms)
        {
            tracing::error!(group = group.name, alert = rule.name, %error, "failed to restore 'for' state");
        }
        alerting.set_restored();
    }
    let took = evaluator.clock.monotonic().saturating_sub(began);
    group.metrics.last_restore_duration.set(took.as_secs_f64());
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn restore_rule(alerting: &Alerting, evaluator: &Evaluator, t_ms: i64) -> Result<(), SourceError> {
    if alerting.is_empty() {
        return Ok(());
    }
    let range = TimeRange::new(t_ms.saturating_sub(ms(evaluator.outage_tolerance)), t_ms);
    let before = last_states(alerting, evaluator, range)?;
    alerting.for_each(|alert| {
        let labels = alert.labels.clone();
        if let Some(&(seen_ms, active_s)) = before.get(&labels) {
            let seen_ms = seen_ms.div_euclid(1000) * 1000;
            let active_ms = (active_s as i64).saturating_mul(1000);
            alert.active_at_ms =
                restored_ms(active_ms, seen_ms, t_ms, alerting.hold_ms, ms(evaluator.grace_period));
        }
    });
    Ok(())
}

/// Since when an alert counts as active that was active since `active_ms` and seen last at `seen_ms`.
fn restored_ms(active_ms: i64, seen_ms: i64, now_ms: i64, hold_ms: i64, grace_ms: i64) -> i64 {
    let remaining_ms = hold_ms - (seen_ms - active_ms);
    if remaining_ms <= 0 {
        // It fired, and does so again with the next evaluation that has it.
        active_ms
    } else if remaining_ms < grace_ms {
        // It fires after the grace period: what it depends on may not have been scraped yet.
        now_ms + grace_ms - hold_ms
    } else {
        // The outage counts for nothing.
        active_ms + (now_ms - seen_ms)
    }
}

/// The last time and value of the state of each alert, by the labels of the alert.
fn last_states(
    alerting: &Alerting,
    evaluator: &Evaluator,
    range: TimeRange,
) -> Result<HashMap<Labels, (i64, f64)>, SourceError> {
    let ctx = evaluator.limits.context(&evaluator.cancel);
    let matchers = alerting.state_labels().iter().map(|(name, value)| Matcher::equal(name, value)).collect();
    let request = SelectRequest { range, matchers, projection: Projection::All, sorted: false, limit: 0 };
    let series = evaluator.source.select(&request, &ctx)?;
    let (mut found, mut samples) = (HashMap::new(), SampleColumns::default());
    for i in 0..series.len() {
        samples.clear();
        series.read_last(i, range, &mut samples, &ctx)?;
        if let (Some(&t_ms), Some(&value)) = (samples.timestamps_ms.last(), samples.values.last())
            && !is_stale_nan(value)
        {
            found.insert(series.labels(i).without_name(), (t_ms, value));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::restored_ms;

    #[test]
    fn the_outage_does_not_count_and_the_grace_period_does() {
        const MINUTE: i64 = 60_000;
        let restored = |active, seen, now| {
            restored_ms(active * MINUTE, seen * MINUTE, now * MINUTE, 30 * MINUTE, 10 * MINUTE) / MINUTE
        };
        // It fired before: nothing changes.
        assert_eq!(restored(0, 30, 45), 0);
        // Five minutes were left: it fires ten minutes from now.
        assert_eq!(restored(0, 25, 45), 45 + 10 - 30);
        // Twenty minutes were left, and are left still.
        assert_eq!(restored(0, 10, 25), 15);
    }
}
