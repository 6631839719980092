//! Block devices.

use base::metrics::Family;

use super::read::{number, optional_text, text};
use super::{Collected, Host, counter, gauge};

/// Sectors in these statistics have 512 bytes whatever the device's are.
const SECTOR_BYTES: f64 = 512.0;
const SECONDS_PER_MS: f64 = 0.001;

/// The columns of `/proc/diskstats` behind the device's name: metric, help, factor, and whether it goes
/// down too. Kernels from 4.18 have the discards, from 5.5 the flushes.
const COLUMNS: [(&str, &str, f64, bool); 17] = [
    ("reads_completed_total", "The total number of reads completed successfully.", 1.0, false),
    ("reads_merged_total", "The total number of reads merged.", 1.0, false),
    ("read_bytes_total", "The total number of bytes read successfully.", SECTOR_BYTES, false),
    ("read_time_seconds_total", "The total number of seconds spent by all reads.", SECONDS_PER_MS, false),
    ("writes_completed_total", "The total number of writes completed successfully.", 1.0, false),
    ("writes_merged_total", "The number of writes merged.", 1.0, false),
    ("written_bytes_total", "The total number of bytes written successfully.", SECTOR_BYTES, false),
    (
        "write_time_seconds_total",
        "This is the total number of seconds spent by all writes.",
        SECONDS_PER_MS,
        false,
    ),
    ("io_now", "The number of I/Os currently in progress.", 1.0, true),
    ("io_time_seconds_total", "Total seconds spent doing I/Os.", SECONDS_PER_MS, false),
    ("io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os.", SECONDS_PER_MS, false),
    ("discards_completed_total", "The total number of discards completed successfully.", 1.0, false),
    ("discards_merged_total", "The total number of discards merged.", 1.0, false),
    ("discarded_sectors_total", "The total number of sectors discarded successfully.", 1.0, false),
    (
        "discard_time_seconds_total",
        "This is the total number of seconds spent by all discards.",
        SECONDS_PER_MS,
        false,
    ),
    ("flush_requests_total", "The total number of flush requests completed successfully", 1.0, false),
    (
        "flush_requests_time_seconds_total",
        "This is the total number of seconds spent by all flush requests.",
        SECONDS_PER_MS,
        false,
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    let path = host.proc("diskstats");
    let mut families: Vec<Family> = COLUMNS
        .iter()
        .map(|&(name, help, _, is_gauge)| {
            let name = format!("node_disk_{name}");
            if is_gauge { gauge(name, help) } else { counter(name, help) }
        })
        .collect();
    let mut info = gauge("node_disk_info", "Info of /sys/block/<block_device>.");
    for line in text(&path)?.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (Some(major), Some(minor), Some(device)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        if host.disk_exclude.is_match(device) {
            continue;
        }
        for ((family, &(_, _, factor, _)), field) in families.iter_mut().zip(&COLUMNS).zip(fields) {
            family.push(&[("device", device)], number(&path, "disk counter", Some(field))? * factor);
        }
        push_info(host, &mut info, device, major, minor);
    }
    families.push(info);
    families.retain(|family| !family.points.is_empty());
    Ok(families)
}

/// What udev and sysfs know of a device. Without udev (in most containers) those labels are empty.
fn push_info(host: &Host, info: &mut Family, device: &str, major: &str, minor: &str) {
    let udev = optional_text(&host.options.udev_data.join(format!("b{major}:{minor}"))).unwrap_or_default();
    let property = |name: &str| {
        let value = |line: &'_ str| {
            let (key, value) = line.strip_prefix("E:")?.split_once('=')?;
            (key == name).then(|| value.to_owned())
        };
        udev.lines().find_map(value).unwrap_or_default()
    };
    let serial = Some(property("SCSI_IDENT_SERIAL"))
        .filter(|serial| !serial.is_empty())
        .unwrap_or_else(|| property("ID_SERIAL_SHORT"));
    let rotational = optional_text(&host.sys(&format!("block/{device}/queue/rotational")));
    let labels = [
        ("device", device),
        ("major", major),
        ("minor", minor),
        ("model", &property("ID_MODEL")),
        ("path", &property("ID_PATH")),
        ("revision", &property("ID_REVISION")),
        ("rotational", rotational.as_deref().unwrap_or("0")),
        ("serial", &serial),
        ("wwn", &property("ID_WWN")),
    ];
    info.push(&labels, 1.0);
}
