//! Network interfaces and sockets.

use base::metrics::Family;

use super::read::{number, optional_text, text};
use super::{Collected, Host, counter, gauge, read};

const RECEIVED: [&str; 8] = ["bytes", "packets", "errs", "drop", "fifo", "frame", "compressed", "multicast"];
const TRANSMITTED: [&str; 8] = ["bytes", "packets", "errs", "drop", "fifo", "colls", "carrier", "compressed"];

impl Host {
    fn excludes_interface(&self, device: &str) -> bool {
        self.net_devices_exclude.as_ref().is_some_and(|exclude| exclude.is_match(device))
    }
}

/// `/proc/net/dev`: what went through each interface.
pub(super) fn traffic(host: &Host) -> Collected {
    let path = host.proc("net/dev");
    let received = RECEIVED.iter().map(|field| format!("receive_{field}"));
    let transmitted = TRANSMITTED.iter().map(|field| format!("transmit_{field}"));
    let family = |field: String| {
        counter(format!("node_network_{field}_total"), format!("Network device statistic {field}."))
    };
    let mut families: Vec<Family> = received.chain(transmitted).map(family).collect();
    let mut unhandled = family("receive_nohandler".to_owned());
    for line in text(&path)?.lines() {
        // Two lines of headings have no colon.
        let Some((device, counters)) = line.rsplit_once(':') else { continue };
        let device = device.trim();
        if host.excludes_interface(device) {
            continue;
        }
        for (family, field) in families.iter_mut().zip(counters.split_ascii_whitespace()) {
            family.push(&[("device", device)], number(&path, "interface counter", Some(field))?);
        }
        let statistic = host.sys(&format!("class/net/{device}/statistics/rx_nohandler"));
        if let Some(packets) = optional_text(&statistic).and_then(|text| text.parse().ok()) {
            unhandled.push(&[("device", device)], packets);
        }
    }
    families.push(unhandled);
    families.retain(|family| !family.points.is_empty());
    Ok(families)
}

/// Files under `/sys/class/net/<interface>`, the property that publishes each, and whether it counts.
const PROPERTIES: [(&str, &str, bool); 16] = [
    ("addr_assign_type", "address_assign_type", false),
    ("carrier", "carrier", false),
    ("carrier_changes", "carrier_changes_total", true),
    ("carrier_down_count", "carrier_down_changes_total", true),
    ("carrier_up_count", "carrier_up_changes_total", true),
    ("dev_id", "device_id", false),
    ("dormant", "dormant", false),
    ("flags", "flags", false),
    ("ifindex", "iface_id", false),
    ("iflink", "iface_link", false),
    ("link_mode", "iface_link_mode", false),
    ("mtu", "mtu_bytes", false),
    ("name_assign_type", "name_assign_type", false),
    ("netdev_group", "net_dev_group", false),
    ("type", "protocol_type", false),
    ("tx_queue_len", "transmit_queue_length", false),
];

/// The bit of an interface's flags that says it was switched on.
const FLAG_UP: u64 = 1;

/// `/sys/class/net`: what the interfaces are.
pub(super) fn interfaces(host: &Host) -> Collected {
    let directory = host.sys("class/net");
    let family = |property: &str, counts: bool| {
        let (name, help) =
            (format!("node_network_{property}"), format!("Network device property: {property}"));
        if counts { counter(name, help) } else { gauge(name, help) }
    };
    let mut families: Vec<Family> =
        PROPERTIES.iter().map(|&(_, property, counts)| family(property, counts)).collect();
    let mut speed = family("speed_bytes", false);
    let mut up = gauge("node_network_up", "Value is 1 if operstate is 'up', 0 otherwise.");
    let mut info =
        gauge("node_network_info", "Non-numeric data from /sys/class/net/<iface>, value is always 1.");
    for device in read::names(&directory)? {
        // Beside the interfaces there can be files, such as bonding's.
        if host.excludes_interface(&device) || !directory.join(&device).is_dir() {
            continue;
        }
        let read = |file: &str| optional_text(&directory.join(&device).join(file));
        let labels = [("device", device.as_str())];
        for (family, (file, _, _)) in families.iter_mut().zip(PROPERTIES) {
            // Reading some of them fails while the interface is down.
            if let Some(value) = read(file).as_deref().and_then(integer) {
                family.push(&labels, value as f64);
            }
        }
        // In megabits; -1 where the interface has no speed.
        if let Some(megabits) = read("speed").as_deref().and_then(integer).filter(|&speed| speed >= 0) {
            speed.push(&labels, megabits as f64 * 1e6 / 8.0);
        }
        let state = read("operstate").unwrap_or_default();
        up.push(&labels, if state == "up" { 1.0 } else { 0.0 });
        let flags = read("flags").as_deref().and_then(integer).unwrap_or(0);
        let is_up = flags.cast_unsigned() & FLAG_UP != 0;
        let labels = [
            ("address", read("address").unwrap_or_default()),
            ("adminstate", if is_up { "up" } else { "down" }.to_owned()),
            ("broadcast", read("broadcast").unwrap_or_default()),
            ("device", device.clone()),
            ("duplex", read("duplex").unwrap_or_default()),
            ("ifalias", read("ifalias").unwrap_or_default()),
            ("operstate", state),
        ];
        info.push(&labels.each_ref().map(|(name, value)| (*name, value.as_str())), 1.0);
    }
    families.extend([speed, up, info]);
    families.retain(|family| !family.points.is_empty());
    Ok(families)
}

/// A number as sysfs writes it: decimal, or hexadecimal with a prefix.
fn integer(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// `/proc/net/sockstat` and `sockstat6`.
pub(super) fn sockets(host: &Host) -> Collected {
    let page_bytes = rustix::param::page_size() as f64;
    let mut families = Vec::new();
    for (file, required) in [("net/sockstat", true), ("net/sockstat6", false)] {
        let path = host.proc(file);
        let text = match text(&path) {
            Ok(text) => text,
            Err(error) if required => return Err(error),
            // The host has no IPv6.
            Err(_) => continue,
        };
        for line in text.lines() {
            let Some((protocol, pairs)) = line.split_once(':') else { continue };
            let fields: Vec<_> = pairs.split_ascii_whitespace().collect();
            for pair in fields.chunks_exact(2) {
                let value = number(&path, "number of sockets", Some(pair[1]))?;
                let mut push = |field: &str, value: f64| {
                    let help = match protocol {
                        "sockets" => "Number of IPv4 sockets in use.".to_owned(),
                        _ => format!("Number of {protocol} sockets in state {field}."),
                    };
                    families.push(gauge(format!("node_sockstat_{protocol}_{field}"), help).with(&[], value));
                };
                push(pair[0], value);
                if pair[0] == "mem" {
                    push("mem_bytes", value * page_bytes);
                }
            }
        }
    }
    Ok(families)
}
