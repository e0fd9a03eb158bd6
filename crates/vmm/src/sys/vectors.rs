//! The registers of a processor for floating-point numbers and vectors (XSAVE), which KVM reads and writes by an address.

use kvm_bindings::kvm_xsave;

use super::Cpu;

impl Cpu {
    /// What they hold. It fails where that is more than the kernel's structure has room for: a processor has registers for tiles, of 8 KiB, only in a process
    /// that has asked for them, and none of ours does.
    pub(crate) fn vectors(&self) -> Result<kvm_xsave, kvm_ioctls::Error> {
        self.check_room()?;
        self.fd().get_xsave()
    }

    /// Has them hold that.
    pub(crate) fn set_vectors(&self, vectors: &kvm_xsave) -> Result<(), kvm_ioctls::Error> {
        self.check_room()?;
        // SAFETY: KVM reads as many bytes as it has said that such a state takes, which are no more than are there: that was just asked. What it makes of
        // them is between it and the guest's processor.
        unsafe { self.fd().set_xsave(vectors) }
    }

    fn check_room(&self) -> Result<(), kvm_ioctls::Error> {
        if size_of::<kvm_xsave>() < self.vectors_length { Err(kvm_ioctls::Error::new(E2BIG)) } else { Ok(()) }
    }
}

const E2BIG: i32 = 7;
