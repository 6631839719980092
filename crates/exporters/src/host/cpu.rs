//! Time the processors spent.

use super::read::{number, text};
use super::{Collected, Host, counter};

/// The kernel counts time in ticks of this many a second, whatever its internal clock.
const TICKS_PER_SECOND: f64 = 100.0;
/// The columns of a processor's line in `/proc/stat`.
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
/// The columns behind those: time that is also part of `user` and `nice`.
const GUEST_MODES: [&str; 2] = ["user", "nice"];

pub(super) fn collect(host: &Host) -> Collected {
    let path = host.proc("stat");
    let stat = text(&path)?;
    let mut seconds = counter("node_cpu_seconds_total", "Seconds the CPUs spent in each mode.");
    let mut guest =
        counter("node_cpu_guest_seconds_total", "Seconds the CPUs spent in guests (VMs) for each mode.");
    for line in stat.lines() {
        let mut fields = line.split_ascii_whitespace();
        let Some(cpu) = fields.next().and_then(|name| name.strip_prefix("cpu")).filter(|cpu| !cpu.is_empty())
        else {
            continue;
        };
        // Old kernels have fewer columns: those missing are not published.
        let columns = MODES.map(|mode| (false, mode));
        let guest_columns = GUEST_MODES.map(|mode| (true, mode));
        for ((is_guest, mode), field) in columns.into_iter().chain(guest_columns).zip(fields) {
            let value = number(&path, "processor time", Some(field))? / TICKS_PER_SECOND;
            let family = if is_guest { &mut guest } else { &mut seconds };
            family.push(&[("cpu", cpu), ("mode", mode)], value);
        }
    }
    Ok(vec![guest, seconds])
}
