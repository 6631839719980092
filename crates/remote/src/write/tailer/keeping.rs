//! What is kept: the cursor on disk, and with it the part of the log that is still needed.

use tsdb::wal::{Position, WalError};

use super::{AFTER_FAILURE, CURSOR_INTERVAL, Tailer};

impl Tailer {
    /// Everything before it was acknowledged or dropped.
    pub(super) fn cursor(&self) -> Position {
        let queued = self.shards.iter().filter_map(|(queue, _)| queue.first());
        let open = self.shards.iter().filter_map(|(_, open)| open.first.map(|(at, _)| at.record));
        let read = self.current.unwrap_or_else(|| self.reader.position());
        queued.chain(open).fold(read, Position::min)
    }

    pub(super) fn save_cursor_if_due(&mut self) {
        if self.saved.is_none_or(|(_, at)| self.now() >= at + CURSOR_INTERVAL) {
            self.save_cursor();
        }
    }

    pub(super) fn publish_backlog_if_due(&mut self) {
        let now = self.now();
        if self.published_at.is_some_and(|at| now < at + CURSOR_INTERVAL) {
            return;
        }
        self.published_at = Some(now);
        let levels = &self.metrics().levels;
        levels.wal_backlog_bytes.set(self.reader.backlog_bytes() as f64);
        levels.wal_hold_limit_bytes.set(self.reader.limit_bytes() as f64);
    }

    pub(super) fn save_cursor(&mut self) {
        let cursor = self.cursor();
        if self.saved.is_some_and(|(saved, _)| saved == cursor) {
            return;
        }
        match self.cursor_file.save(cursor) {
            Ok(()) => {
                self.save_failed = false;
                // Only what is remembered for good may be deleted from the log.
                self.hold.advance(cursor.segment);
                self.saved = Some((cursor, self.now()));
            }
            Err(error) => {
                if !self.save_failed {
                    tracing::error!(
                        remote_name = self.delivery.name,
                        %error,
                        "cursor cannot be written; after a restart samples would be sent again"
                    );
                }
                self.save_failed = true;
                if let Some((_, at)) = &mut self.saved {
                    *at = self.delivery.clock.monotonic();
                }
            }
        }
    }

    /// Segments this destination held too long are gone: go on behind them.
    pub(super) fn note_lost(&mut self) {
        let lost_before = self.hold.lost_before();
        if self.reader.position().segment < lost_before {
            self.skip_to(lost_before);
        }
    }

    pub(super) fn skip_to(&mut self, segment: u32) {
        match self.reader.skip_to(segment) {
            Ok(0) => {}
            Ok(skipped) => {
                self.metrics().lost_segments.add(u64::from(skipped));
                tracing::error!(
                    remote_name = self.delivery.name,
                    url = self.delivery.url,
                    segments = skipped,
                    "segments of the log are gone before they were sent: their samples are lost"
                );
                let Self { reader, series, options, delivery, .. } = self;
                if let Err(error) = reader.forget_series(series, &options.rules, &delivery.metrics) {
                    tracing::error!(remote_name = self.delivery.name, %error, "checkpoint could not be read");
                }
            }
            Err(error) => {
                tracing::error!(remote_name = self.delivery.name, %error, "log could not be listed");
            }
        }
    }

    pub(super) fn after_failure(&mut self, error: &WalError) {
        let gone =
            matches!(error, WalError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound);
        if gone {
            let next = self.reader.position().segment + 1;
            if next <= self.reader.end().segment {
                return self.skip_to(next);
            }
        }
        tracing::error!(remote_name = self.delivery.name, %error, "log cannot be read; it is tried again");
        self.delivery.bell.wait_for_call(AFTER_FAILURE);
    }
}
