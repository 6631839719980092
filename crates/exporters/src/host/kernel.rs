//! Load, interrupts, processes, file descriptors, clock and the kernel's name.

use base::clock::SharedClock;
use base::metrics::Family;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::read::{names, number, optional_text, text};
use super::{Collected, Host, counter, gauge};

/// `/proc/loadavg`.
pub(super) fn load(host: &Host) -> Collected {
    let path = host.proc("loadavg");
    let text = text(&path)?;
    let mut fields = text.split_ascii_whitespace();
    let mut families = Vec::new();
    for (name, help) in [
        ("node_load1", "1m load average."),
        ("node_load5", "5m load average."),
        ("node_load15", "15m load average."),
    ] {
        families.push(gauge(name, help).with(&[], number(&path, "load", fields.next())?));
    }
    Ok(families)
}

/// `/proc/stat`, but for the processors.
pub(super) fn stat(host: &Host) -> Collected {
    let path = host.proc("stat");
    let text = text(&path)?;
    let mut families = Vec::new();
    for line in text.lines() {
        let mut fields = line.split_ascii_whitespace();
        let family = match fields.next() {
            Some("intr") => counter("node_intr_total", "Total number of interrupts serviced."),
            Some("ctxt") => counter("node_context_switches_total", "Total number of context switches."),
            Some("btime") => gauge("node_boot_time_seconds", "Node boot time, in unixtime."),
            Some("processes") => counter("node_forks_total", "Total number of forks."),
            Some("procs_running") => gauge("node_procs_running", "Number of processes in runnable state."),
            Some("procs_blocked") => {
                gauge("node_procs_blocked", "Number of processes blocked waiting for I/O to complete.")
            }
            _ => continue,
        };
        // Of a line of many numbers the first is the total.
        families.push(family.with(&[], number(&path, "counter", fields.next())?));
    }
    Ok(families)
}

/// `/proc/sys/fs/file-nr`.
pub(super) fn file_descriptors(host: &Host) -> Collected {
    let path = host.proc("sys/fs/file-nr");
    let text = text(&path)?;
    let fields: Vec<_> = text.split_ascii_whitespace().collect();
    let mut families = Vec::new();
    for (name, at) in [("allocated", 0), ("maximum", 2)] {
        let value = number(&path, "number of files", fields.get(at).copied())?;
        let help = format!("File descriptor statistics: {name}.");
        families.push(gauge(format!("node_filefd_{name}"), help).with(&[], value));
    }
    Ok(families)
}

/// The system's time, and the clocks the kernel can take it from.
pub(super) fn time(host: &Host, clock: &SharedClock) -> Collected {
    let now = clock.now_ms() as f64 / 1000.0;
    let seconds = gauge("node_time_seconds", "System time in seconds since epoch (1970).").with(&[], now);
    let mut available = gauge(
        "node_time_clocksource_available_info",
        "Available clocksources read from '/sys/devices/system/clocksource'.",
    );
    let mut current = gauge(
        "node_time_clocksource_current_info",
        "Current clocksource read from '/sys/devices/system/clocksource'.",
    );
    let sources = host.sys("devices/system/clocksource");
    for directory in names(&sources).unwrap_or_default() {
        let Some(device) = directory.strip_prefix("clocksource") else { continue };
        let read = |file| optional_text(&sources.join(&directory).join(file)).unwrap_or_default();
        for source in read("available_clocksource").split_ascii_whitespace() {
            available.push(&[("clocksource", source), ("device", device)], 1.0);
        }
        for source in read("current_clocksource").split_ascii_whitespace() {
            current.push(&[("clocksource", source), ("device", device)], 1.0);
        }
    }
    let zone = time_zone(&TimeZone::try_system().unwrap_or(TimeZone::UTC), clock.now_ms());
    Ok(vec![available, current, seconds, zone])
}

/// How far local time is from UTC now, and what it is called.
fn time_zone(zone: &TimeZone, now_ms: i64) -> Family {
    let now = Timestamp::from_millisecond(now_ms).unwrap_or_default();
    let local = zone.to_offset_info(now);
    gauge("node_time_zone_offset_seconds", "System time zone offset in seconds.")
        .with(&[("time_zone", local.abbreviation())], f64::from(local.offset().seconds()))
}

/// The kernel's name and version.
pub(super) fn uname() -> Collected {
    let uname = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let family = gauge("node_uname_info", "Labeled system information as provided by the uname system call.");
    let labels = [
        ("domainname", text(uname.domainname())),
        ("machine", text(uname.machine())),
        ("nodename", text(uname.nodename())),
        ("release", text(uname.release())),
        ("sysname", text(uname.sysname())),
        ("version", text(uname.version())),
    ];
    Ok(vec![family.with(&labels.each_ref().map(|(name, value)| (*name, value.as_str())), 1.0)])
}

#[cfg(test)]
mod tests {
    use base::metrics::Value;

    use super::*;

    #[test]
    fn the_time_zone_follows_summer_time() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        for (now_ms, name, offset) in
            [(1_700_000_000_000, "CET", 3600.0), (1_690_000_000_000, "CEST", 7200.0)]
        {
            let family = time_zone(&berlin, now_ms);
            let labels = vec![("time_zone".to_owned(), name.to_owned())];
            assert_eq!(
                (&family.points[0].labels, &family.points[0].value),
                (&labels, &Value::Number(offset))
            );
        }
    }
}
