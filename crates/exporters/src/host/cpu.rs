//! Processors: time spent, throttling, isolation, frequency scaling.

use std::collections::BTreeSet;
use std::path::PathBuf;

use base::metrics::Family;

use super::read::{names, number, optional_text, text};
use super::{Collected, Host, counter, gauge};

/// The kernel counts time in ticks of this many a second, whatever its internal clock.
const TICKS_PER_SECOND: f64 = 100.0;
/// The columns of a processor's line in `/proc/stat`.
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
/// The columns behind those: time that is also part of `user` and `nice`.
const GUEST_MODES: [&str; 2] = ["user", "nice"];
/// Frequencies are in kilohertz.
const HERTZ: f64 = 1000.0;

/// `/proc/stat`, and what sysfs knows of throttling and isolation.
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
    let mut families = vec![guest, seconds, isolated(host)];
    families.extend(throttles(host));
    families.retain(|family| !family.points.is_empty());
    Ok(families)
}

/// The processors sysfs has, by number, with their directories.
fn processors(host: &Host) -> Vec<(String, PathBuf)> {
    let directory = host.sys("devices/system/cpu");
    let mut found: Vec<(u64, String)> = names(&directory)
        .unwrap_or_default()
        .iter()
        .filter_map(|name| {
            let number = name.strip_prefix("cpu")?;
            Some((number.parse().ok()?, number.to_owned()))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, cpu)| (cpu.clone(), directory.join(format!("cpu{cpu}")))).collect()
}

/// How often cores and packages were throttled. Threads of a core tell the same, and so do cores of a package.
fn throttles(host: &Host) -> [Family; 2] {
    let mut cores =
        counter("node_cpu_core_throttles_total", "Number of times this CPU core has been throttled.");
    let mut packages =
        counter("node_cpu_package_throttles_total", "Number of times this CPU package has been throttled.");
    let (mut seen_cores, mut seen_packages) = (BTreeSet::new(), BTreeSet::new());
    for (_, directory) in processors(host) {
        let read = |file: &str| optional_text(&directory.join(file));
        let (Some(package), Some(core)) = (read("topology/physical_package_id"), read("topology/core_id"))
        else {
            continue;
        };
        let count = |file: &str| read(file).and_then(|count| count.parse().ok());
        if let Some(count) = count("thermal_throttle/core_throttle_count")
            && seen_cores.insert((package.clone(), core.clone()))
        {
            cores.push(&[("core", core.as_str()), ("package", package.as_str())], count);
        }
        if let Some(count) = count("thermal_throttle/package_throttle_count")
            && seen_packages.insert(package.clone())
        {
            packages.push(&[("package", package.as_str())], count);
        }
    }
    [cores, packages]
}

/// The processors the scheduler leaves alone.
fn isolated(host: &Host) -> Family {
    let path = host.sys("devices/system/cpu/isolated");
    let mut family = gauge(
        "node_cpu_isolated",
        "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.",
    );
    for cpu in cpu_list(&optional_text(&path).unwrap_or_default()) {
        family.push(&[("cpu", &cpu.to_string())], 1.0);
    }
    family
}

/// The largest number of processors kernels are built for, well rounded up.
const MAX_PROCESSORS: u32 = 1 << 16;

/// The numbers of a list such as `0-3,8`; what is not one is left out.
fn cpu_list(text: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse().ok()?..=last.trim().parse::<u32>().ok()?.min(MAX_PROCESSORS))
    };
    text.split(',').filter_map(range).flatten().collect()
}

/// Files of a processor's frequency scaling, and what publishes them.
const FREQUENCIES: [(&str, &str, &str); 6] = [
    ("cpuinfo_cur_freq", "node_cpu_frequency_hertz", "Current CPU thread frequency in hertz."),
    ("cpuinfo_min_freq", "node_cpu_frequency_min_hertz", "Minimum CPU thread frequency in hertz."),
    ("cpuinfo_max_freq", "node_cpu_frequency_max_hertz", "Maximum CPU thread frequency in hertz."),
    ("scaling_cur_freq", "node_cpu_scaling_frequency_hertz", "Current scaled CPU thread frequency in hertz."),
    (
        "scaling_min_freq",
        "node_cpu_scaling_frequency_min_hertz",
        "Minimum scaled CPU thread frequency in hertz.",
    ),
    (
        "scaling_max_freq",
        "node_cpu_scaling_frequency_max_hertz",
        "Maximum scaled CPU thread frequency in hertz.",
    ),
];

/// `/sys/devices/system/cpu/cpu*/cpufreq`: frequencies, and the governor that chooses them. Hosts that do
/// not scale, as virtual machines, have none.
pub(super) fn frequencies(host: &Host) -> Collected {
    let mut families: Vec<Family> = FREQUENCIES.iter().map(|&(_, name, help)| gauge(name, help)).collect();
    let mut governors = gauge("node_cpu_scaling_governor", "Current enabled CPU frequency governor.");
    for (cpu, directory) in processors(host) {
        let read = |file: &str| optional_text(&directory.join("cpufreq").join(file));
        for (family, (file, ..)) in families.iter_mut().zip(FREQUENCIES) {
            if let Some(kilohertz) = read(file).and_then(|text| text.parse::<f64>().ok()) {
                family.push(&[("cpu", cpu.as_str())], kilohertz * HERTZ);
            }
        }
        let current = read("scaling_governor").unwrap_or_default();
        for governor in read("scaling_available_governors").unwrap_or_default().split_ascii_whitespace() {
            let is_current = if governor == current { 1.0 } else { 0.0 };
            governors.push(&[("cpu", cpu.as_str()), ("governor", governor)], is_current);
        }
    }
    families.push(governors);
    families.retain(|family| !family.points.is_empty());
    Ok(families)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors_are_numbers_and_ranges() {
        assert_eq!(cpu_list("1,3-5,9"), [1, 3, 4, 5, 9]);
        assert_eq!(cpu_list(""), [0_u32; 0]);
        assert_eq!(cpu_list("x,2"), [2]);
        assert_eq!(cpu_list("0-4294967295").len(), MAX_PROCESSORS as usize + 1);
    }
}
