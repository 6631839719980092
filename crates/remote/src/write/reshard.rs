//! How many shards a destination needs, by measured rates.

use std::time::Duration;

/// How often the number is thought over.
pub const INTERVAL: Duration = Duration::from_secs(10);
/// How much the newest measurement counts.
const WEIGHT: f64 = 0.2;
/// Changes below this share are not worth it.
const TOLERANCE: f64 = 0.3;
/// The share of a backlog to be caught up with each second.
const CATCH_UP: f64 = 0.05;
/// With a delay above this, shards are not taken away.
const BEHIND_S: f64 = 10.0;

/// An exponentially weighted moving average of a rate per second.
#[derive(Debug, Default)]
struct Rate {
    value: Option<f64>,
}

impl Rate {
    fn tick(&mut self, amount: f64, seconds: f64) {
        let now = amount / seconds;
        match &mut self.value {
            Some(value) => *value += WEIGHT * (now - *value),
            None if amount > 0.0 => self.value = Some(now),
            None => {}
        }
    }

    fn get(&self) -> f64 {
        self.value.unwrap_or(0.0)
    }
}

/// What happened since the measurement before.
#[derive(Debug, Clone, Copy, Default)]
pub struct Measured {
    /// Time since the measurement before.
    pub elapsed: Duration,
    /// Bytes the log grew by.
    pub log_bytes: u64,
    /// Bytes of the log that were read.
    pub read_bytes: u64,
    /// Samples and exemplars in what was read.
    pub read: u64,
    /// Those of them that are not sent.
    pub dropped: u64,
    /// Samples and exemplars whose requests ended.
    pub sent: u64,
    /// Time those requests took together, repetitions included.
    pub sending: Duration,
    /// Bytes of the log still to be read.
    pub backlog_bytes: u64,
    /// Samples that wait in queues.
    pub queued: u64,
}

/// The averages behind the decision.
#[derive(Debug, Default)]
pub struct Resharder {
    log_bytes: Rate,
    dropped: Rate,
    sent: Rate,
    sending: Rate,
    /// Samples a byte of log holds.
    density: f64,
}

impl Resharder {
    /// The number of shards wanted, as a fraction, and the number there should be.
    pub fn tick(&mut self, measured: &Measured, shards: usize, bounds: (usize, usize)) -> (f64, usize) {
        let seconds = measured.elapsed.as_secs_f64().max(0.001);
        self.log_bytes.tick(measured.log_bytes as f64, seconds);
        self.dropped.tick(measured.dropped as f64, seconds);
        self.sent.tick(measured.sent as f64, seconds);
        self.sending.tick(measured.sending.as_secs_f64(), seconds);
        if measured.read_bytes > 0 && measured.read > 0 {
            let density = measured.read as f64 / measured.read_bytes as f64;
            self.density =
                if self.density == 0.0 { density } else { self.density + WEIGHT * (density - self.density) };
        }
        let (sent, dropped) = (self.sent.get(), self.dropped.get());
        if sent <= 0.0 {
            return (shards as f64, shards);
        }
        let kept_ratio = sent / (sent + dropped);
        let arriving = self.log_bytes.get() * self.density * kept_ratio;
        let pending = measured.backlog_bytes as f64 * self.density * kept_ratio + measured.queued as f64;
        let wanted = self.sending.get() / sent * (arriving + CATCH_UP * pending);
        let (lower, upper) = (shards as f64 * (1.0 - TOLERANCE), shards as f64 * (1.0 + TOLERANCE));
        let rounded = wanted.ceil();
        let delay_s = if arriving > 0.0 { pending / arriving } else { 0.0 };
        let within = (lower..=upper).contains(&rounded);
        if within || (rounded < shards as f64 && delay_s > BEHIND_S) {
            return (wanted, shards.clamp(bounds.0, bounds.1));
        }
        (wanted, (rounded as usize).clamp(bounds.0, bounds.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: (usize, usize) = (1, 50);

    /// Ten seconds at 10 000 samples a second of ten bytes each, all of them sent.
    fn steady(sending_s: f64, backlog_bytes: u64) -> Measured {
        Measured {
            elapsed: INTERVAL,
            log_bytes: 1_000_000,
            read_bytes: 1_000_000,
            read: 100_000,
            dropped: 0,
            sent: 100_000,
            sending: Duration::from_secs_f64(sending_s),
            backlog_bytes,
            queued: 0,
        }
    }

    #[test]
    fn shards_follow_the_time_requests_take() {
        let mut resharder = Resharder::default();
        assert_eq!(resharder.tick(&steady(5.0, 0), 1, BOUNDS), (0.5, 1));
        // 80 seconds of sending in ten need eight shards; the average gets there.
        let mut shards = 1;
        for _ in 0..20 {
            shards = resharder.tick(&steady(80.0, 0), shards, BOUNDS).1;
        }
        assert!((7..=8).contains(&shards), "{shards}");
        for _ in 0..30 {
            shards = resharder.tick(&steady(1.0, 0), shards, BOUNDS).1;
        }
        assert_eq!(shards, 1);
    }

    #[test]
    fn a_backlog_asks_for_more_and_keeps_what_there_is() {
        let mut resharder = Resharder::default();
        // 300 seconds behind: fifteen times the work each second for a while.
        let (wanted, shards) = resharder.tick(&steady(5.0, 30_000_000), 1, BOUNDS);
        assert!((wanted - 8.0).abs() < 1e-9, "{wanted}");
        assert_eq!(shards, 8);
        let mut idle = Resharder::default();
        assert_eq!(idle.tick(&steady(0.5, 1_500_000), 4, BOUNDS).1, 4);
        assert_eq!(idle.tick(&steady(0.5, 0), 4, BOUNDS).1, 1);
    }

    #[test]
    fn bounds_hold_and_nothing_sent_changes_nothing() {
        let mut resharder = Resharder::default();
        assert_eq!(resharder.tick(&Measured { elapsed: INTERVAL, ..Measured::default() }, 3, BOUNDS).1, 3);
        assert_eq!(resharder.tick(&steady(9_000.0, 0), 3, (2, 6)).1, 6);
        assert_eq!(Resharder::default().tick(&steady(0.001, 0), 5, (2, 6)).1, 2);
    }
}
