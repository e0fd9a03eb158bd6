//! What needs an unsafe word: memory handed to KVM, and a signal mask it has no safe wrapper for.
#![expect(unsafe_code, reason = "KVM is given memory by its address, and kvm-ioctls does not wrap KVM_SET_SIGNAL_MASK")]

mod signal_mask;
mod vm;

pub(crate) use vm::{Cpu, Vm};
