//! The things on a host that can only be Firebox's, one line of text each.
//!
//! Other programs run at the same time, so a thing counts by its mark alone: a user id that Firebox leases to cells, or
//! a name of Firebox's. Namespaces carry no mark; all are listed, and only those that are new count. What belongs to
//! another call of Firebox is left out as far as that can be seen.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::processes::{Processes, is_ours};

/// Documented to stay: they hold locks, not data.
const LOCK_FILES: [&str; 2] = ["/run/firebox/uids", "/run/firebox/instances"];

pub(crate) fn things_of_firebox() -> BTreeSet<String> {
    let mut things = BTreeSet::new();
    let processes = Processes::now();
    for process in processes.possibly_ours() {
        if process.marked {
            things.insert(format!("process {} `{}`, uid {}", process.pid, process.name, process.uid));
        }
        add_mounts(process.pid, &mut things);
        add_namespaces(process.pid, &mut things);
    }
    add_cgroups(Path::new("/sys/fs/cgroup"), &processes, &mut things);
    for directory in ["/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/firebox"] {
        add_files(Path::new(directory), 3, &mut things);
    }
    add_sockets(&mut things);
    add_system_v_ipc(&mut things);
    things
}

fn add_mounts(pid: u32, things: &mut BTreeSet<String>) {
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    for mount in mounts.lines() {
        let mut fields = mount.split(' ');
        let (root, point) = (fields.nth(3).unwrap_or_default(), fields.next().unwrap_or_default());
        let source = mount.split_once(" - ").map_or("", |(_, after)| after);
        let marked = [root, point, source].iter().any(|text| text.contains("firebox"));
        // A namespace can outlive its processes as a mount of its file.
        if marked || source.starts_with("nsfs ") {
            things.insert(format!("mount {point} of {root} ({source})"));
        }
    }
}

fn add_namespaces(pid: u32, things: &mut BTreeSet<String>) {
    for kind in ["net", "pid", "mnt", "ipc", "uts", "user"] {
        if let Ok(link) = fs::read_link(format!("/proc/{pid}/ns/{kind}")) {
            things.insert(format!("namespace {}", link.display()));
        }
    }
    // Or as an open descriptor.
    for descriptor in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
        let target = fs::read_link(descriptor.path()).unwrap_or_default();
        let target = target.to_string_lossy();
        if ["net:[", "pid:[", "mnt:[", "ipc:[", "user:["].iter().any(|kind| target.starts_with(kind)) {
            things.insert(format!("namespace {target}"));
        }
    }
}

fn add_cgroups(directory: &Path, processes: &Processes, things: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let named = entry.file_name().to_string_lossy().starts_with("firebox-");
            if named && !beside_somebody_elses_firebox(directory, processes) {
                things.insert(format!("cgroup {}", entry.path().display()));
            }
            add_cgroups(&entry.path(), processes, things);
        }
    }
}

/// Firebox makes its groups below the one that it is in itself, and what these tests start is in groups of its own.
fn beside_somebody_elses_firebox(directory: &Path, processes: &Processes) -> bool {
    let members = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    let members: BTreeSet<u32> = members.lines().filter_map(|line| line.parse().ok()).collect();
    processes.iter().any(|p| members.contains(&p.pid) && p.marked && processes.is_somebody_elses(p))
}

fn add_files(directory: &Path, depth: u32, things: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        let named = entry.file_name().to_string_lossy().contains("firebox") || directory == Path::new("/run/firebox");
        let leased = is_ours(metadata.uid()) || is_ours(metadata.gid());
        let documented = LOCK_FILES.iter().any(|file| path.starts_with(file));
        // Build directories are full of files that are named after us, so below the top only owners count.
        if leased || (named && depth == 3 && !documented) {
            things.insert(format!("file {}, owner {}", path.display(), metadata.uid()));
        }
        if metadata.is_dir() && depth > 1 {
            add_files(&path, depth - 1, things);
        }
    }
}

fn add_sockets(things: &mut BTreeSet<String>) {
    let unix = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    for name in unix.lines().filter_map(|line| line.split_whitespace().nth(7)) {
        if name.contains("firebox") {
            things.insert(format!("unix socket {name}"));
        }
    }
    for protocol in ["tcp", "tcp6", "udp", "udp6"] {
        let table = fs::read_to_string(format!("/proc/net/{protocol}")).unwrap_or_default();
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if fields.get(7).and_then(|uid| uid.parse().ok()).is_some_and(is_ours) {
                things.insert(format!("{protocol} socket {}, uid {}", fields[1], fields[7]));
            }
        }
    }
}

fn add_system_v_ipc(things: &mut BTreeSet<String>) {
    for kind in ["shm", "msg", "sem"] {
        let table = fs::read_to_string(format!("/proc/sysvipc/{kind}")).unwrap_or_default();
        let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let header = lines.next().unwrap_or_default();
        for row in lines {
            let owner = header.iter().zip(&row).find(|(name, _)| **name == "uid").map_or("", |(_, owner)| *owner);
            if owner.parse().is_ok_and(is_ours) {
                things.insert(format!("System V {kind} {}, uid {owner}", row.get(1).unwrap_or(&"?")));
            }
        }
    }
}
