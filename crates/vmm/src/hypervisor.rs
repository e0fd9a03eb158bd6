//! KVM, as this host has it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use kvm_ioctls::Kvm;

use crate::arch::NEEDED;
use crate::begun::Begun;
use crate::sys;

/// Where it is.
const DEVICE: &str = "/dev/kvm";
/// The only version there has been since Linux 2.6.22.
const VERSION: i32 = 12;
/// An open `/dev/kvm` that has what a machine needs.
#[derive(Debug)]
pub struct Hypervisor(Arc<Kvm>);

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum NoKvm {
    /// There is no such device.
    #[error("this host has no {DEVICE}")]
    Missing,
    /// It is there, and not for us.
    #[error("{DEVICE} is there, but this user may not open it")]
    Forbidden,
    /// It cannot be opened for another reason.
    #[error("cannot open {DEVICE}: {0}")]
    Unopened(io::Error),
    /// It is something else, or very old.
    #[error("{DEVICE} is of version {0}, and not {VERSION}")]
    Version(i32),
    /// It is there, and lacks something.
    #[error("KVM lacks {0} on this host")]
    Lacks(&'static str),
}

impl Hypervisor {
    /// Opens it, with the caller's rights. That it is there does not say that guests run well: [`probe`](crate::probe) does.
    pub fn open() -> Result<Hypervisor, NoKvm> {
        Hypervisor::check(Kvm::new().map_err(|error| NoKvm::of(io::Error::from_raw_os_error(error.errno())))?)
    }

    /// Takes over what somebody else has opened, for a process that can open nothing.
    pub fn from_descriptor(device: OwnedFd) -> Result<Hypervisor, NoKvm> {
        Hypervisor::check(sys::kvm(device))
    }

    fn check(kvm: Kvm) -> Result<Hypervisor, NoKvm> {
        match kvm.get_api_version() {
            VERSION => {}
            other => return Err(NoKvm::Version(other)),
        }
        match NEEDED.iter().find(|(cap, _)| !kvm.check_extension(*cap)) {
            Some((_, what)) => Err(NoKvm::Lacks(what)),
            None => Ok(Hypervisor(Arc::new(kvm))),
        }
    }

    /// Has a machine made while its caller does something else: a thread of this process's waits for KVM.
    pub fn begin(&self) -> Begun {
        Begun::by(&self.0)
    }

    pub(crate) fn kvm(&self) -> &Kvm {
        &self.0
    }
}

impl NoKvm {
    fn of(error: io::Error) -> NoKvm {
        const NO_SUCH_DEVICE: i32 = 19; // ENODEV: the file is there, no driver is behind it
        const NO_SUCH_ADDRESS: i32 = 6; // ENXIO: likewise
        match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::NotFound, _) | (_, Some(NO_SUCH_DEVICE | NO_SUCH_ADDRESS)) => NoKvm::Missing,
            (io::ErrorKind::PermissionDenied, _) => NoKvm::Forbidden,
            _ => NoKvm::Unopened(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_forbidden_are_told_apart() {
        for (errno, expected) in
            [(2, "no /dev/kvm"), (19, "no /dev/kvm"), (13, "may not"), (1, "may not"), (24, "cannot open")]
        {
            let said = NoKvm::of(io::Error::from_raw_os_error(errno)).to_string();
            assert!(said.contains(expected), "{errno}: {said}");
        }
    }
}
