//! A machine that KVM is making meanwhile.
//!
//! That takes KVM longer than all else that is done until a clone runs, and most of it is waiting: for a thread of the kernel's own, for its locks. So whoever has a snapshot
//! to read, and a processor to ask what it can do, begins with this.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use kvm_ioctls::{Error, Kvm, VmFd};

/// A machine without anything. One that is not finished is gone as soon as it is there.
#[derive(Debug)]
pub struct Begun {
    kvm: Arc<Kvm>,
    /// None where the host gives no thread for it.
    made: Option<JoinHandle<Result<VmFd, Error>>>,
}

impl Begun {
    pub(crate) fn by(kvm: &Arc<Kvm>) -> Begun {
        let (kvm, maker) = (kvm.clone(), kvm.clone());
        let made = Builder::new().spawn(move || maker.create_vm()).ok();
        Begun { kvm, made }
    }

    /// Waits until it is there.
    pub(crate) fn finish(self) -> Result<VmFd, Error> {
        let made = self.made.and_then(|made| made.join().ok());
        made.unwrap_or_else(|| self.kvm.create_vm())
    }
}
