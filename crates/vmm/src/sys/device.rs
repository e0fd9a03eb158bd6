//! KVM's device as somebody else has opened it.

use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};

use kvm_ioctls::Kvm;

/// KVM, of an open `/dev/kvm`. Of another file it is one on which every call fails.
pub(crate) fn kvm(device: OwnedFd) -> Kvm {
    // SAFETY: The descriptor is open and ours alone, and with this it is `Kvm`'s, which closes it. The calls that `Kvm` makes pass addresses
    // by numbers that no other device knows; and all of its memory is its own.
    unsafe { Kvm::from_raw_fd(device.into_raw_fd()) }
}
