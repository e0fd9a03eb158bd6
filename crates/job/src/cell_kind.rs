//! The kinds of cell a job can run in.

use std::fmt;

/// The kinds of cell, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CellKind {
    /// A virtual machine under KVM.
    MicroVm,
    /// Linux namespaces, seccomp, Landlock and a cgroup.
    Jail,
    /// Landlock, seccomp, rlimits and a subreaper.
    Fence,
}

impl CellKind {
    /// All of them, strongest first.
    pub const ALL: [CellKind; 3] = [CellKind::MicroVm, CellKind::Jail, CellKind::Fence];

    /// The word for it, everywhere.
    pub fn name(self) -> &'static str {
        match self {
            CellKind::MicroVm => "microvm",
            CellKind::Jail => "jail",
            CellKind::Fence => "fence",
        }
    }
}

impl fmt::Display for CellKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
