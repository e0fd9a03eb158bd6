//! The processes of one call of Firebox, by their roles, as they descend from each other.
//!
//! ```text
//! engine -- warden -- agent -- the processes of a step              in a jail
//! engine -- warden -- keeper -- agent -- the processes of a step    in a fence
//! engine -- warden -- monitor                                       of a microVM, which has its agent inside
//! ```
//!
//! Whoever is asked to kill one of them cannot hit a stranger: a process is held by a descriptor first, and is looked at
//! again then, since its number may have become another's in the meantime.

use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// What a process of Firebox's is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Engine,
    Warden,
    /// In a fence only.
    Keeper,
    /// Of a microVM only.
    Monitor,
    /// Also while it is still becoming one.
    Agent,
    Step,
}

/// Which roles there are, from the engine down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lineage {
    Jail,
    Fence,
    MicroVm,
}

impl Lineage {
    /// Every role that there is.
    pub(crate) fn roles(self) -> &'static [Role] {
        match self {
            Lineage::Jail => &[Role::Engine, Role::Warden, Role::Agent, Role::Step],
            Lineage::Fence => &[Role::Engine, Role::Warden, Role::Keeper, Role::Agent, Role::Step],
            Lineage::MicroVm => &[Role::Engine, Role::Warden, Role::Monitor],
        }
    }

    fn child_of(self, role: Role) -> Role {
        match (role, self) {
            (Role::Engine, _) => Role::Warden,
            (Role::Warden, Lineage::Fence) => Role::Keeper,
            (Role::Warden, Lineage::Jail) | (Role::Keeper, _) => Role::Agent,
            (Role::Warden, Lineage::MicroVm) => Role::Monitor,
            (Role::Agent | Role::Step | Role::Monitor, _) => Role::Step,
        }
    }
}

/// One process of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) role: Role,
    pub(crate) pid: u32,
    engine: u32,
}

/// All that descend from an engine which the caller has not waited for yet, and that engine.
pub(crate) fn family(engine: Pid, lineage: Lineage) -> Vec<Member> {
    let engine = engine.as_raw_nonzero().get().unsigned_abs();
    let mut found = vec![Member { role: Role::Engine, pid: engine, engine }];
    let mut next = 0;
    while let Some(Member { role, pid, .. }) = found.get(next).copied() {
        let role = lineage.child_of(role);
        found.extend(children(pid).into_iter().map(|pid| Member { role, pid, engine }));
        next += 1;
    }
    found
}

/// The monitor of the only microVM that a call has.
pub(crate) fn monitor_of(engine: Pid) -> Member {
    let monitor = family(engine, Lineage::MicroVm).into_iter().find(|member| member.role == Role::Monitor);
    monitor.expect("a microVM has a monitor")
}

impl Member {
    /// Whose child it is, if it lives.
    pub(crate) fn parent(&self) -> Option<u32> {
        parent(self.pid)
    }

    /// Kills it; false if it was gone already.
    pub(crate) fn kill(&self) -> bool {
        self.signal(Signal::KILL)
    }

    /// Sends it a signal; false if it was gone already.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        let Some(pid) = Pid::from_raw(self.pid as i32) else { return false };
        let Ok(held) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
        self.still_descends() && pidfd_send_signal(&held, signal).is_ok()
    }

    fn still_descends(&self) -> bool {
        let mut pid = self.pid;
        while pid != self.engine {
            match parent(pid) {
                Some(above) if 1 < above => pid = above,
                _ => return false,
            }
        }
        true
    }
}

/// The children of all threads of a process.
fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    lists.flat_map(|list| list.split_whitespace().filter_map(|child| child.parse().ok()).collect::<Vec<_>>()).collect()
}

/// The parent of a process that lives; one that is a zombie cannot be killed any more.
fn parent(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let ended = field("State:")?.starts_with(['Z', 'X']);
    field("PPid:")?.parse().ok().filter(|_| !ended)
}
