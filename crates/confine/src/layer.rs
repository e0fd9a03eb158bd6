//! The layers that stand around a job, each with one name.
//!
//! The names are what a testing build is told to leave out by: see [`leave_out`](crate::leave_out).

use core::fmt;

/// One kind of protection, in a jail, in a fence or in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Which system calls may be made.
    Seccomp,
    /// Which files a jail may reach, once more than its mounts say it.
    Landlock,
    /// No program gains a privilege by being executed.
    NoNewPrivileges,
    /// All capabilities are gone, from every set.
    Capabilities,
    /// Limits of the kernel on each process.
    Rlimits,
    /// Nobody may look into a process of ours.
    Dumps,
    /// Which descriptors are handed on.
    Descriptors,
    /// A process ends with the one that made it.
    ParentDeath,
    /// One uid is all there is.
    UserNamespace,
    /// On the host, the uid of a jail is nobody else's.
    LeasedUid,
    /// What is mounted for a jail is in nobody else's way.
    MountNamespace,
    /// A jail's root is attached nowhere.
    DetachedRoot,
    /// Nothing of a jail's view can be changed.
    ReadOnlyView,
    /// Set-user-id bits count on no file system of a jail.
    NoSetUserId,
    /// What a jail opens are not the host's inodes.
    Overlay,
    /// `/proc` tells of processes and not of the host.
    ProcSubset,
    /// A jail's processes are all that it can see and signal.
    PidNamespace,
    /// Shared memory, semaphores and queues of a jail are its own.
    IpcNamespace,
    /// A jail has a loopback of its own and nothing else.
    NetworkNamespace,
    /// A jail has a host name of its own.
    UtsNamespace,
    /// A jail does not see where in the host's control groups it is.
    CgroupNamespace,
    /// The memory of a step, held by its control group.
    MemoryGroup,
    /// The tasks of a step, held by its control group and by an rlimit of its user namespace.
    Tasks,
    /// The CPUs of a step, held by its control group.
    CpuGroup,
    /// The bytes of a jail's file system.
    DiskSize,
    /// The files of a jail's file system.
    Inodes,
    /// All that a step started ends with it.
    KillingEveryone,
    /// Which files a fence may reach.
    FilesDomain,
    /// No signal of a fence's step reaches the agent.
    StepsDomain,
    /// All of a fence is ended when its agent is gone.
    KeepersDomain,
    /// Memory, tasks and disk are looked at where the kernel does not hold them.
    Watching,
}

impl Layer {
    /// All of them, in their order.
    pub const ALL: [Layer; 31] = [
        Layer::Seccomp,
        Layer::Landlock,
        Layer::NoNewPrivileges,
        Layer::Capabilities,
        Layer::Rlimits,
        Layer::Dumps,
        Layer::Descriptors,
        Layer::ParentDeath,
        Layer::UserNamespace,
        Layer::LeasedUid,
        Layer::MountNamespace,
        Layer::DetachedRoot,
        Layer::ReadOnlyView,
        Layer::NoSetUserId,
        Layer::Overlay,
        Layer::ProcSubset,
        Layer::PidNamespace,
        Layer::IpcNamespace,
        Layer::NetworkNamespace,
        Layer::UtsNamespace,
        Layer::CgroupNamespace,
        Layer::MemoryGroup,
        Layer::Tasks,
        Layer::CpuGroup,
        Layer::DiskSize,
        Layer::Inodes,
        Layer::KillingEveryone,
        Layer::FilesDomain,
        Layer::StepsDomain,
        Layer::KeepersDomain,
        Layer::Watching,
    ];

    /// Its one name.
    pub const fn name(self) -> &'static str {
        match self {
            Layer::Seccomp => "seccomp",
            Layer::Landlock => "landlock",
            Layer::NoNewPrivileges => "no-new-privileges",
            Layer::Capabilities => "capabilities",
            Layer::Rlimits => "rlimits",
            Layer::Dumps => "dumps",
            Layer::Descriptors => "descriptors",
            Layer::ParentDeath => "parent-death",
            Layer::UserNamespace => "user-namespace",
            Layer::LeasedUid => "leased-uid",
            Layer::MountNamespace => "mount-namespace",
            Layer::DetachedRoot => "detached-root",
            Layer::ReadOnlyView => "read-only-view",
            Layer::NoSetUserId => "no-set-user-id",
            Layer::Overlay => "overlay",
            Layer::ProcSubset => "proc-subset",
            Layer::PidNamespace => "pid-namespace",
            Layer::IpcNamespace => "ipc-namespace",
            Layer::NetworkNamespace => "network-namespace",
            Layer::UtsNamespace => "uts-namespace",
            Layer::CgroupNamespace => "cgroup-namespace",
            Layer::MemoryGroup => "memory-group",
            Layer::Tasks => "tasks",
            Layer::CpuGroup => "cpu-group",
            Layer::DiskSize => "disk-size",
            Layer::Inodes => "inodes",
            Layer::KillingEveryone => "killing-everyone",
            Layer::FilesDomain => "files-domain",
            Layer::StepsDomain => "steps-domain",
            Layer::KeepersDomain => "keepers-domain",
            Layer::Watching => "watching",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_stands_at_its_place_under_a_name_of_its_own() {
        for (place, layer) in Layer::ALL.into_iter().enumerate() {
            assert_eq!(layer as usize, place, "{layer}");
            let namesakes = Layer::ALL.into_iter().filter(|other| other.name() == layer.name());
            assert_eq!(namesakes.count(), 1, "{layer}");
        }
    }
}
