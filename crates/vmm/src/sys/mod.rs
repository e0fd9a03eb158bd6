//! What needs an unsafe word: a device that was handed over, memory handed to KVM, advice about it, a signal mask that has no safe wrapper, and vector registers.
#![expect(
    unsafe_code,
    reason = "KVM is taken over by its number, KVM and `madvise` are given memory by its address, registers too, and kvm-ioctls does not wrap KVM_SET_SIGNAL_MASK"
)]

mod device;
mod huge_pages;
mod signal_mask;
mod vectors;
mod vm;

pub(crate) use device::kvm;
pub(crate) use huge_pages::prefer_huge_pages;
pub(crate) use vm::{Cpu, Vm};
