//! Memory and paging.

use base::metrics::{Family, Kind};

use super::read::{number, text};
use super::{Collected, Host};

/// `/proc/meminfo`, a family for each line, in bytes where the kernel gives KiB.
pub(super) fn collect(host: &Host) -> Collected {
    let path = host.proc("meminfo");
    let mut families = Vec::new();
    for line in text(&path)?.lines() {
        let Some((key, rest)) = line.split_once(':') else { continue };
        let mut fields = rest.split_ascii_whitespace();
        let mut value = number(&path, "amount of memory", fields.next())?;
        // `Active(anon)` becomes `Active_anon`.
        let mut field = key.replace('(', "_").replace(')', "");
        if fields.next() == Some("kB") {
            value *= 1024.0;
            field.push_str("_bytes");
        }
        let kind = if field.ends_with("_total") { Kind::Counter } else { Kind::Gauge };
        let help = format!("Memory information field {field}.");
        families.push(Family::new(format!("node_memory_{field}"), help, kind).with(&[], value));
    }
    Ok(families)
}

/// The selected fields of `/proc/vmstat`.
pub(super) fn vmstat(host: &Host) -> Collected {
    let path = host.proc("vmstat");
    let mut families = Vec::new();
    for line in text(&path)?.lines() {
        let mut fields = line.split_ascii_whitespace();
        let Some(field) = fields.next().filter(|field| host.vmstat_fields.is_match(field)) else { continue };
        let value = number(&path, "counter", fields.next())?;
        let help = format!("/proc/vmstat information field {field}.");
        families.push(Family::new(format!("node_vmstat_{field}"), help, Kind::Untyped).with(&[], value));
    }
    Ok(families)
}
