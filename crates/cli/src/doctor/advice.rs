//! What to change where a safeguard is not what it could be.

use firebox_job::{CellKind, Safeguard};

use super::finding::{Finding, State};

const CONTROL_GROUPS: &str = "start firebox as root on a host whose control groups can be written to, or in a group that \
    was handed to you: `systemd-run --user --scope -p Delegate=yes firebox ...`";

/// A finding with its reason, and what can be done.
pub(super) fn explained(kind: CellKind, safeguard: Safeguard, state: State) -> Finding {
    let (why, change) = match state {
        State::Enforced => (None, None),
        State::Watched => (Some(watched(kind, safeguard)), change_of_watching(kind, safeguard)),
        State::Missing => (Some(missing(kind, safeguard)), change_of_missing(kind, safeguard)),
    };
    let (why, change) = (why.map(str::to_owned), change.map(str::to_owned));
    Finding { name: safeguard.name().to_owned(), state, why, change }
}

fn watched(kind: CellKind, safeguard: Safeguard) -> &'static str {
    match (kind, safeguard) {
        (_, Safeguard::Cpu) => "a job may use more CPUs at once; it is ended when it has used up its CPU time",
        (CellKind::Fence, Safeguard::Disk) => "a fence's files are on the host's file system, and counted now and then",
        (CellKind::Fence, _) => "a fence has nobody to enforce it; it is looked at every few milliseconds",
        _ => "there are no control groups for it here; it is looked at every few milliseconds",
    }
}

fn change_of_watching(kind: CellKind, safeguard: Safeguard) -> Option<&'static str> {
    match (kind, safeguard) {
        (CellKind::Fence, _) => Some("a jail enforces it, where namespaces are to be had"),
        (_, Safeguard::Memory | Safeguard::Tasks | Safeguard::Cpu) => Some(CONTROL_GROUPS),
        _ => None,
    }
}

fn missing(kind: CellKind, safeguard: Safeguard) -> &'static str {
    match (kind, safeguard) {
        (CellKind::Fence, Safeguard::Names) => "Landlock does not hide what can be asked without opening a file",
        (CellKind::Fence, Safeguard::HostName) => "it is told to everybody who asks",
        (CellKind::Fence, Safeguard::Inodes) => "a fence shares the host's own files",
        (_, Safeguard::OwnUser) => "a job has the user id of whoever starts firebox",
        (_, Safeguard::Landlock) => "the kernel has no Landlock, or was started without it; other layers hold the same",
        (_, Safeguard::Inodes) => "the kernel has no overlay file system for this user",
        _ => "what was tried has succeeded, which it must not: this firebox is broken, or the tools it tried with are",
    }
}

fn change_of_missing(kind: CellKind, safeguard: Safeguard) -> Option<&'static str> {
    match (kind, safeguard) {
        (CellKind::Fence, Safeguard::Names | Safeguard::HostName | Safeguard::Inodes) => {
            Some("a jail hides it, where namespaces are to be had")
        }
        (CellKind::Fence, Safeguard::OwnUser) => Some("a jail that root starts has one"),
        (_, Safeguard::OwnUser) => Some("start firebox as root"),
        (_, Safeguard::Landlock) => Some("use Linux 5.13 or newer, with `landlock` in its `lsm=`"),
        (_, Safeguard::Inodes) => Some("load the module: `modprobe overlay`"),
        _ => None,
    }
}
