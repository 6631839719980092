//! Pressure stall information: time lost waiting for processors, memory, I/O and interrupts.

use std::io::ErrorKind;

use super::read::{CollectError, number, text};
use super::{Collected, Host, counter};

/// A resource, the line of its file (`some` or `full`), and the metric that publishes its total.
const TOTALS: [(&str, &str, &str, &str); 6] = [
    ("cpu", "some", "cpu_waiting", "Total time in seconds that processes have waited for CPU time"),
    ("io", "some", "io_waiting", "Total time in seconds that processes have waited due to IO congestion"),
    ("io", "full", "io_stalled", "Total time in seconds no process could make progress due to IO congestion"),
    ("memory", "some", "memory_waiting", "Total time in seconds that processes have waited for memory"),
    (
        "memory",
        "full",
        "memory_stalled",
        "Total time in seconds no process could make progress due to memory congestion",
    ),
    (
        "irq",
        "full",
        "irq_stalled",
        "Total time in seconds no process could make progress due to IRQ congestion",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    let mut families = Vec::new();
    for (resource, kind, metric, help) in TOTALS {
        let path = host.proc(&format!("pressure/{resource}"));
        let text = match text(&path) {
            Ok(text) => text,
            // Kernels differ in what they account for, and it can be switched off while they run.
            Err(CollectError::Read { source, .. })
                if source.kind() == ErrorKind::NotFound || source.raw_os_error() == Some(NOT_SUPPORTED) =>
            {
                continue;
            }
            Err(error) => return Err(error),
        };
        let line = text.lines().find(|line| line.split_ascii_whitespace().next() == Some(kind));
        let Some(line) = line else { continue };
        let total = line.split_ascii_whitespace().find_map(|field| field.strip_prefix("total="));
        // In two steps, as the field computes it, for equal rounding.
        let seconds = number(&path, "total", total)? / 1000.0 / 1000.0;
        families.push(counter(format!("node_pressure_{metric}_seconds_total"), help).with(&[], seconds));
    }
    if families.is_empty() {
        return Err(CollectError::Unavailable("pressure stall information"));
    }
    Ok(families)
}

/// `EOPNOTSUPP`.
const NOT_SUPPORTED: i32 = rustix::io::Errno::OPNOTSUPP.raw_os_error();
