//! What stands between a job and the host, for each kind of cell: the one table of it.

use std::fmt;

use crate::CellKind;

/// Something that a cell does for its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each one's text says what it is")]
pub enum Safeguard {
    Files,
    Names,
    Inodes,
    Processes,
    Network,
    Ipc,
    HostName,
    SystemCalls,
    Privileges,
    OwnUser,
    Landlock,
    Memory,
    Tasks,
    Cpu,
    Disk,
}

impl Safeguard {
    /// All of them, in the order of the table.
    pub const ALL: [Safeguard; 15] = [
        Safeguard::Files,
        Safeguard::Names,
        Safeguard::Inodes,
        Safeguard::Processes,
        Safeguard::Network,
        Safeguard::Ipc,
        Safeguard::HostName,
        Safeguard::SystemCalls,
        Safeguard::Privileges,
        Safeguard::OwnUser,
        Safeguard::Landlock,
        Safeguard::Memory,
        Safeguard::Tasks,
        Safeguard::Cpu,
        Safeguard::Disk,
    ];

    /// The word for it, in data.
    pub fn name(self) -> &'static str {
        match self {
            Safeguard::Files => "files",
            Safeguard::Names => "names",
            Safeguard::Inodes => "inodes",
            Safeguard::Processes => "processes",
            Safeguard::Network => "network",
            Safeguard::Ipc => "ipc",
            Safeguard::HostName => "host_name",
            Safeguard::SystemCalls => "system_calls",
            Safeguard::Privileges => "privileges",
            Safeguard::OwnUser => "own_user",
            Safeguard::Landlock => "landlock",
            Safeguard::Memory => "memory",
            Safeguard::Tasks => "tasks",
            Safeguard::Cpu => "cpu",
            Safeguard::Disk => "disk",
        }
    }

    /// What it is, for people.
    pub fn text(self) -> &'static str {
        match self {
            Safeguard::Files => "files of the host cannot be opened",
            Safeguard::Names => "names of files of the host cannot be found out",
            Safeguard::Inodes => "files of the toolchain cannot be locked or watched",
            Safeguard::Processes => "processes of the host cannot be signalled",
            Safeguard::Network => "nothing on the network can be reached",
            Safeguard::Ipc => "shared memory and queues of the host are out of reach",
            Safeguard::HostName => "the host's name is not known",
            Safeguard::SystemCalls => "most of the kernel cannot be asked for anything",
            Safeguard::Privileges => "there are no privileges, and no way to any",
            Safeguard::OwnUser => "the job's user id is nobody else's",
            Safeguard::Landlock => "files and processes are bounded once more",
            Safeguard::Memory => "memory is bounded",
            Safeguard::Tasks => "processes and threads are bounded",
            Safeguard::Cpu => "CPUs at once are bounded",
            Safeguard::Disk => "files written are bounded",
        }
    }

    /// What does it in this kind of cell, at best; none where nothing does.
    pub fn done_by(self, kind: CellKind) -> Option<&'static str> {
        use CellKind::{Fence, Jail, MicroVm};
        match (self, kind) {
            (_, MicroVm) => Some("a virtual machine of its own"),
            (Safeguard::Files | Safeguard::Names, Jail) => Some("a root of its own, in a mount namespace"),
            (Safeguard::Inodes, Jail) => Some("a layer over each directory"),
            (Safeguard::Processes, Jail) => Some("a PID namespace"),
            (Safeguard::Network, Jail) => Some("a network namespace"),
            (Safeguard::Ipc, Jail) => Some("an IPC namespace"),
            (Safeguard::HostName, Jail) => Some("a UTS namespace"),
            (Safeguard::OwnUser, Jail) => Some("a leased user id"),
            (Safeguard::Memory | Safeguard::Tasks | Safeguard::Cpu, Jail) => Some("control groups"),
            (Safeguard::Disk, Jail) => Some("a file system of its own"),
            (Safeguard::Files | Safeguard::Processes, Fence) => Some("Landlock"),
            (Safeguard::Network | Safeguard::Ipc, Fence) => Some("seccomp"),
            (Safeguard::Memory | Safeguard::Tasks | Safeguard::Cpu | Safeguard::Disk, Fence) => Some("watching"),
            (Safeguard::Names | Safeguard::Inodes | Safeguard::HostName | Safeguard::OwnUser, Fence) => None,
            (Safeguard::SystemCalls, Jail | Fence) => Some("seccomp"),
            (Safeguard::Privileges, Jail | Fence) => Some("no new privileges, no capabilities"),
            (Safeguard::Landlock, Jail | Fence) => Some("Landlock"),
        }
    }
}

impl fmt::Display for Safeguard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
