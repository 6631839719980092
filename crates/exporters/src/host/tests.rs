use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base::SimClock;
use base::metrics::Value;

use super::*;

/// node_exporter's own fixture, or `None` (said on the test's output) when the data is absent, which
/// fails the test on CI.
fn conformance(test: &str) -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    let root = std::env::var_os("BARTIZAN_CONFORMANCE").map_or_else(default, PathBuf::from);
    let path = root.join("node-exporter");
    if !path.join("e2e-output.txt").exists() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{test}: {} is missing", path.display());
        println!("skipped {test}: {} is missing", path.display());
        return None;
    }
    Some(path)
}

/// Unpacks the text archive of a sysfs tree: files with so many lines, and links. Of node_exporter's
/// fixture only what the collectors read is unpacked.
fn unpack(archive: &str, into: &Path) {
    let wanted = ["sys/devices/system/clocksource/", "sys/devices/system/cpu/", "sys/block/", "/net/"];
    let mut lines = archive.lines();
    while let Some(line) = lines.next() {
        let Some(path) = line.strip_prefix("Path: ").filter(|path| wanted.iter().any(|w| path.contains(w)))
        else {
            continue;
        };
        let file = into.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        match lines.next().and_then(|line| line.split_once(": ")) {
            Some(("Lines", count)) => {
                let count: usize = count.parse().unwrap();
                let text: String = lines.by_ref().take(count).map(|line| format!("{line}\n")).collect();
                std::fs::write(file, text).unwrap();
            }
            Some(("SymlinkTo", target)) => std::os::unix::fs::symlink(target, file).unwrap(),
            other => panic!("{path}: {other:?}"),
        }
    }
}

/// What a family is published as: help, type, and values by labels.
#[derive(Debug, Default, PartialEq)]
struct Published {
    help: String,
    kind: String,
    values: BTreeMap<Vec<(String, String)>, u64>,
}

fn parse_exposition(text: &str) -> BTreeMap<String, Published> {
    let mut families: BTreeMap<String, Published> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            families.entry(name.to_owned()).or_default().help = help.to_owned();
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            families.entry(name.to_owned()).or_default().kind = kind.to_owned();
        } else if let Some((series, value)) = line.rsplit_once(' ') {
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let mut pairs = Vec::new();
            let mut rest = labels.trim_end_matches('}');
            while let Some((label, after)) = rest.split_once("=\"") {
                let (value, after) = after.split_once('"').unwrap();
                pairs.push((label.trim_start_matches(',').to_owned(), value.to_owned()));
                rest = after;
            }
            let value: f64 = value.parse().unwrap();
            families.entry(name.to_owned()).or_default().values.insert(pairs, value.to_bits());
        }
    }
    families
}

fn published(families: Vec<Family>) -> BTreeMap<String, Published> {
    let value = |value: &Value| match value {
        Value::Number(number) => number.to_bits(),
        other => panic!("{other:?} is no number"),
    };
    let family = |family: Family| {
        let values = family.points.iter().map(|point| (point.labels.clone(), value(&point.value))).collect();
        let kind = format!("{:?}", family.kind).to_lowercase();
        (family.name, Published { help: family.help, kind, values })
    };
    families.into_iter().map(family).collect()
}

fn gather(options: HostOptions) -> BTreeMap<String, Published> {
    let host = HostMetrics::new(options, SimClock::at(1_700_000_000_500)).unwrap();
    published(host.gather())
}

fn value(families: &BTreeMap<String, Published>, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels: Vec<_> = labels.iter().map(|&(n, v)| (n.to_owned(), v.to_owned())).collect();
    families.get(name)?.values.get(&labels).copied().map(f64::from_bits)
}

fn testdata(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/host").join(path)
}

fn fixture_options(sysfs: PathBuf) -> HostOptions {
    HostOptions { procfs: testdata("proc"), sysfs, udev_data: testdata("udev"), ..HostOptions::default() }
}

#[test]
fn families_equal_node_exporters() {
    let Some(reference) = conformance("families_equal_node_exporters") else { return };
    let tree = tempfile::tempdir().unwrap();
    unpack(&std::fs::read_to_string(reference.join("sys.ttar")).unwrap(), tree.path());
    let expected = parse_exposition(&std::fs::read_to_string(reference.join("e2e-output.txt")).unwrap());
    // As in the reference's own run.
    let net_devices_exclude = "^(dmz|int)$".to_owned();
    let ours = gather(HostOptions { net_devices_exclude, ..fixture_options(tree.path().join("sys")) });

    // The recorded output leaves out what differs between hosts: these are compared by help and type
    // where it has them, and their values below.
    let varies = |name: &str| {
        [
            "node_filesystem_",
            "node_scrape_",
            "node_time_seconds",
            "node_time_zone_",
            "node_uname_info",
            "node_network_receive_",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix))
            || name.starts_with("node_network_transmit_") && name != "node_network_transmit_queue_length"
    };
    let mut compared = 0;
    for (name, family) in ours.iter().filter(|(name, _)| !name.starts_with("node_filesystem_")) {
        let Some(reference) = expected.get(name) else {
            assert!(varies(name), "{name} is not among the reference's metrics");
            continue;
        };
        assert_eq!((&family.help, &family.kind), (&reference.help, &reference.kind), "{name}");
        if !varies(name) {
            assert_eq!(family.values, reference.values, "{name}");
            compared += 1;
        }
    }
    assert!(compared > 110, "only {compared} families compared");

    let ours: BTreeSet<_> = ours.keys().collect();
    let collected = [
        "node_cpu_core",
        "node_cpu_isolated",
        "node_cpu_package",
        "node_cpu_scaling",
        "node_cpu_seconds",
        "node_load",
        "node_vmstat",
        "node_filefd",
        "node_sockstat",
        "node_pressure",
    ];
    let missing: Vec<_> = expected
        .keys()
        .filter(|name| collected.iter().any(|prefix| name.starts_with(prefix)) && !ours.contains(name))
        .collect();
    assert!(missing.is_empty(), "not published: {missing:?}");
}

#[test]
fn traffic_is_read_column_by_column() {
    let ours = gather(fixture_options("/nonexistent".into()));
    let device = [("device", "vethe4e")];
    for (at, name) in RECEIVED_THEN_TRANSMITTED.iter().enumerate() {
        assert_eq!(
            value(&ours, &format!("node_network_{name}_total"), &device),
            Some(at as f64 + 1.0),
            "{name}"
        );
    }
    let options =
        HostOptions { net_devices_exclude: "^veth".into(), ..fixture_options("/nonexistent".into()) };
    assert_eq!(value(&gather(options), "node_network_receive_bytes_total", &device), None);
}

const RECEIVED_THEN_TRANSMITTED: [&str; 16] = [
    "receive_bytes",
    "receive_packets",
    "receive_errs",
    "receive_drop",
    "receive_fifo",
    "receive_frame",
    "receive_compressed",
    "receive_multicast",
    "transmit_bytes",
    "transmit_packets",
    "transmit_errs",
    "transmit_drop",
    "transmit_fifo",
    "transmit_colls",
    "transmit_carrier",
    "transmit_compressed",
];

#[test]
fn a_failing_collector_is_reported_and_spares_the_others() {
    let proc = tempfile::tempdir().unwrap();
    std::fs::write(proc.path().join("loadavg"), "0.5 many 0.1 1/2 3\n").unwrap();
    std::fs::write(proc.path().join("meminfo"), "MemTotal: 16 kB\nHugePages_Total: 3\n").unwrap();
    let ours = gather(HostOptions { procfs: proc.path().into(), ..fixture_options("/nonexistent".into()) });
    let success = |collector| value(&ours, "node_scrape_collector_success", &[("collector", collector)]);
    assert_eq!((success("loadavg"), success("cpu"), success("meminfo")), (Some(0.0), Some(0.0), Some(1.0)));
    assert_eq!(value(&ours, "node_memory_MemTotal_bytes", &[]), Some(16384.0));
    assert_eq!(value(&ours, "node_memory_HugePages_Total", &[]), Some(3.0));
    assert_eq!(value(&ours, "node_load1", &[]), None);
    assert_eq!(value(&ours, "node_time_seconds", &[]), Some(1_700_000_000.5));
}

#[test]
fn file_systems_are_asked_below_the_root_and_errors_are_labels() {
    let proc = tempfile::tempdir().unwrap();
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(proc.path().join("1")).unwrap();
    std::fs::create_dir(root.path().join("data")).unwrap();
    let mounts = format!(
        "1 0 8:1 / {root} rw - ext4 /dev/sda1 rw\n\
         2 1 8:2 / {root}/data ro,noatime shared:1 - xfs /dev/sdb1 rw\n\
         3 1 8:3 / {root}/gone rw - ext4 /dev/sdc1 rw\n\
         4 1 0:5 / {root}/sys rw - sysfs sysfs rw\n\
         5 1 0:6 / {root}/var/lib/docker/x rw - ext4 /dev/sdd1 rw\n\
         6 1 0:7 / {root}/cgroup rw - cgroup2 cgroup2 rw\n",
        root = root.path().display(),
    );
    std::fs::write(proc.path().join("1/mountinfo"), mounts).unwrap();
    let (procfs, rootfs) = (proc.path().into(), root.path().into());
    let ours = gather(HostOptions { procfs, rootfs, ..fixture_options("/nonexistent".into()) });
    let labels = |device: &'static str, error: &'static str, fs: &'static str, at: &'static str| {
        [("device", device), ("device_error", error), ("fstype", fs), ("mountpoint", at)]
    };
    let data = labels("/dev/sdb1", "", "xfs", "/data");
    assert_eq!(value(&ours, "node_filesystem_readonly", &data), Some(1.0));
    assert!(value(&ours, "node_filesystem_size_bytes", &data).is_some_and(|bytes| bytes > 0.0));
    let root = labels("/dev/sda1", "", "ext4", "/");
    assert_eq!(value(&ours, "node_filesystem_readonly", &root), Some(0.0));
    let gone = labels("/dev/sdc1", "no such file or directory", "ext4", "/gone");
    assert_eq!(value(&ours, "node_filesystem_device_error", &gone), Some(1.0));
    assert_eq!(value(&ours, "node_filesystem_size_bytes", &gone), None);
    assert_eq!(ours["node_filesystem_readonly"].values.len(), 3, "the rest is left out");
    let info = [("device", "/dev/sdb1"), ("major", "8"), ("minor", "2"), ("mountpoint", "/data")];
    assert_eq!(value(&ours, "node_filesystem_mount_info", &info), Some(1.0));
}

#[test]
fn this_host_can_be_read() {
    let ours = gather(HostOptions::default());
    for collector in ["cpu", "loadavg", "meminfo", "stat", "time", "uname", "vmstat"] {
        let success = value(&ours, "node_scrape_collector_success", &[("collector", collector)]);
        assert_eq!(success, Some(1.0), "{collector}");
    }
    assert!(value(&ours, "node_memory_MemTotal_bytes", &[]).is_some_and(|bytes| bytes > 0.0));
    assert_eq!(ours["node_uname_info"].values.len(), 1);
}
