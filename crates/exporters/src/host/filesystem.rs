//! Mounted file systems.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use base::metrics::Family;
use parking_lot::Mutex;
use rustix::fs::StatVfs;

use super::read::text;
use super::{Collected, Host, gauge};

/// Mount points whose last question has not been answered: a dead file server can hold it for ever.
/// They are reported and not asked again until it is.
#[derive(Debug, Clone, Default)]
pub(super) struct StuckMounts(Arc<Mutex<BTreeSet<PathBuf>>>);

/// How long a remote file system may take to answer.
const REMOTE_TIMEOUT: Duration = Duration::from_secs(5);

/// Types of file systems that live elsewhere and may not answer.
const REMOTE_TYPES: [&str; 9] = ["nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "lustre", "afs", "9p"];

/// One line of `mountinfo`.
#[derive(Debug, PartialEq)]
struct Mount {
    device: String,
    fs_type: String,
    mount_point: String,
    major: String,
    minor: String,
    read_only: bool,
}

struct Families {
    size: Family,
    free: Family,
    avail: Family,
    files: Family,
    files_free: Family,
    read_only: Family,
    device_error: Family,
    mount_info: Family,
}

pub(super) fn collect(host: &Host, stuck: &StuckMounts) -> Collected {
    // The first process sees the host's mounts; it may be hidden from this one.
    let mounts = text(&host.proc("1/mountinfo")).or_else(|_| text(&host.proc("self/mountinfo")))?;
    let mut families = Families::new();
    let mut seen = BTreeSet::new();
    for line in mounts.lines() {
        let Some(mut mount) = parse_mount(line) else { continue };
        mount.mount_point = below_root(host, &mount.mount_point);
        if host.mount_points_exclude.is_match(&mount.mount_point)
            || host.fs_types_exclude.is_match(&mount.fs_type)
        {
            continue;
        }
        // Mounted over one another, only the last shows; its statistics are those of all.
        if seen.insert((mount.device.clone(), mount.mount_point.clone())) {
            let statistics = stuck.statvfs(host.root(&mount.mount_point), &mount.fs_type);
            families.push(&mount, statistics);
        }
    }
    Ok(families.into_vec())
}

/// A mount point as the host knows it, without the prefix it has inside a container.
fn below_root(host: &Host, mount_point: &str) -> String {
    let root = host.options.rootfs.to_string_lossy();
    let root = root.trim_end_matches('/');
    match mount_point.strip_prefix(root).filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        Some("") => "/".to_owned(),
        Some(rest) => rest.to_owned(),
        None => mount_point.to_owned(),
    }
}

/// `36 35 98:0 /root /mount/point rw,noatime shared:1 - ext4 /dev/sda1 rw,errors=continue`, with any
/// number of optional fields before the dash.
fn parse_mount(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let left: Vec<_> = left.split(' ').collect();
    let mut right = right.split(' ');
    let (major, minor) = left.get(2)?.split_once(':')?;
    let (fs_type, device) = (right.next()?.to_owned(), unescaped(right.next()?));
    let options = [left.get(5).copied().unwrap_or_default(), right.next().unwrap_or_default()];
    Some(Mount {
        device,
        fs_type,
        mount_point: unescaped(left.get(4)?),
        major: major.to_owned(),
        minor: minor.to_owned(),
        read_only: options.iter().any(|options| options.split(',').any(|option| option == "ro")),
    })
}

/// The kernel writes white space and backslashes in octal.
fn unescaped(field: &str) -> String {
    field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

/// The system's words for an error, as label values of the field have them: in lower case, without the
/// number.
fn errno_text(errno: rustix::io::Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_ascii_lowercase()
}

impl StuckMounts {
    /// Asks a file system for its size; the error is the text of the `device_error` label.
    fn statvfs(&self, path: PathBuf, fs_type: &str) -> Result<StatVfs, String> {
        let ask = |path: &PathBuf| rustix::fs::statvfs(path).map_err(errno_text);
        if !REMOTE_TYPES.contains(&fs_type) && !fs_type.starts_with("fuse") {
            return ask(&path);
        }
        let timed_out = || "mountpoint timeout".to_owned();
        if !self.0.lock().insert(path.clone()) {
            return Err(timed_out());
        }
        let (answer, answered) = mpsc::channel();
        let (stuck, asked) = (self.clone(), path.clone());
        let spawned = std::thread::Builder::new().name("statvfs".into()).spawn(move || {
            let statistics = ask(&asked);
            stuck.0.lock().remove(&asked);
            // Nobody listens any more when it took too long.
            let _ = answer.send(statistics);
        });
        if let Err(error) = spawned {
            self.0.lock().remove(&path);
            return Err(error.to_string());
        }
        answered.recv_timeout(REMOTE_TIMEOUT).unwrap_or_else(|_| Err(timed_out()))
    }
}

impl Families {
    fn new() -> Self {
        let family = |name: &str, help: &str| gauge(format!("node_filesystem_{name}"), help);
        Self {
            size: family("size_bytes", "Filesystem size in bytes."),
            free: family("free_bytes", "Filesystem free space in bytes."),
            avail: family("avail_bytes", "Filesystem space available to non-root users in bytes."),
            files: family("files", "Filesystem total file nodes."),
            files_free: family("files_free", "Filesystem total free file nodes."),
            read_only: family("readonly", "Filesystem read-only status."),
            device_error: family(
                "device_error",
                "Whether an error occurred while getting statistics for the given device.",
            ),
            mount_info: family("mount_info", "Filesystem mount information."),
        }
    }

    fn push(&mut self, mount: &Mount, statistics: Result<StatVfs, String>) {
        let error = statistics.as_ref().err().map_or("", String::as_str);
        let labels = [
            ("device", mount.device.as_str()),
            ("device_error", error),
            ("fstype", &mount.fs_type),
            ("mountpoint", &mount.mount_point),
        ];
        let flag = |on: bool| if on { 1.0 } else { 0.0 };
        self.device_error.push(&labels, flag(statistics.is_err()));
        self.read_only.push(&labels, flag(mount.read_only));
        let info = [
            ("device", mount.device.as_str()),
            ("major", &mount.major),
            ("minor", &mount.minor),
            ("mountpoint", &mount.mount_point),
        ];
        self.mount_info.push(&info, 1.0);
        let Ok(statistics) = &statistics else { return };
        let bytes = |blocks: u64| blocks as f64 * statistics.f_frsize as f64;
        self.size.push(&labels, bytes(statistics.f_blocks));
        self.free.push(&labels, bytes(statistics.f_bfree));
        self.avail.push(&labels, bytes(statistics.f_bavail));
        self.files.push(&labels, statistics.f_files as f64);
        self.files_free.push(&labels, statistics.f_ffree as f64);
    }

    fn into_vec(self) -> Vec<Family> {
        let Self { size, free, avail, files, files_free, read_only, device_error, mount_info } = self;
        let mut families = vec![avail, device_error, files, files_free, free, mount_info, read_only, size];
        families.retain(|family| !family.points.is_empty());
        families
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_lines_are_read_with_any_optional_fields() {
        let expected = Mount {
            device: "//server/my share".into(),
            fs_type: "cifs".into(),
            mount_point: "/mnt/a b".into(),
            major: "0".into(),
            minor: "51".into(),
            read_only: true,
        };
        for optional in ["", "shared:1 ", "shared:1 master:2 "] {
            let line = format!(
                "36 35 0:51 / /mnt/a\\040b rw,noatime {optional}- cifs //server/my\\040share ro,user=x"
            );
            assert_eq!(parse_mount(&line).as_ref(), Some(&expected));
        }
        assert_eq!(parse_mount("36 35 0:51 / /mnt"), None);
    }
}
