//! `changes` and `resets`: how often something happens between neighbouring samples of a window.

use model::SampleColumns;

use super::columns::{Positions, is_start_time_reset};
use super::range::{RangeContext, Scratch};
use crate::engine::value::{RangeExtension, RangeInput, StepVector};

/// How often the value changed.
pub(super) fn changes(input: &RangeInput<'_>, scratch: &mut Scratch, out: &mut StepVector) {
    count_events(input, &mut scratch.positions, out, |samples, i| {
        match (samples.histogram(i - 1), samples.histogram(i)) {
            (None, None) => {
                let (before, now) = (samples.values[i - 1], samples.values[i]);
                now != before && !(now.is_nan() && before.is_nan())
            }
            (Some(before), Some(now)) => before != now,
            _ => true,
        }
    });
}

/// How often the counter was reset.
pub(super) fn resets(
    context: &RangeContext<'_>,
    input: &RangeInput<'_>,
    scratch: &mut Scratch,
    out: &mut StepVector,
) {
    count_events(input, &mut scratch.positions, out, |samples, i| {
        let started_anew = || {
            context.start_timestamps
                && is_start_time_reset(
                    samples.start_timestamp_ms(i - 1),
                    samples.timestamps_ms[i - 1],
                    samples.start_timestamp_ms(i),
                    samples.timestamps_ms[i],
                )
        };
        match (samples.histogram(i - 1), samples.histogram(i)) {
            (None, None) => samples.values[i] < samples.values[i - 1] || started_anew(),
            (Some(before), Some(now)) => started_anew() || now.detect_reset(before),
            _ => true,
        }
    });
}

/// Finds once where an event separates a sample from the one before, then counts events per window.
fn count_events(
    input: &RangeInput<'_>,
    positions: &mut Vec<u32>,
    out: &mut StepVector,
    is_event: impl Fn(&SampleColumns, usize) -> bool,
) {
    let samples = input.samples;
    let (Some(first), Some(last)) = (input.windows.first(), input.windows.last()) else { return };
    positions.clear();
    positions.extend((first.lo + 1..last.hi).filter(|&i| is_event(samples, i as usize)));
    let mut events = Positions::new(positions);
    for (step, &window) in input.windows.iter().enumerate() {
        let (mut lo, hi) = (window.lo as usize, window.hi as usize);
        if lo == hi {
            continue;
        }
        if input.extension == RangeExtension::Anchored {
            // The window starts with the one sample at or before its start; what was loaded before
            // that does not belong to it.
            let start_ms = input.window_start_ms(step);
            let inside = lo + samples.timestamps_ms[lo..hi].partition_point(|&t| t <= start_ms);
            if inside == hi {
                continue;
            }
            lo = inside.saturating_sub(1).max(lo);
        }
        out.set_float(step, events.between(lo, hi).len() as f64);
    }
}
