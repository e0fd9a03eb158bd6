//! Whether KVM is here, and whether it runs the kernels of guests.

use firebox_vmm::{Hypervisor, Probe, probe};

/// Whether KVM is there at all; else that is said of this test.
pub(crate) fn has_kvm(test: &str) -> bool {
    let kvm = Hypervisor::open();
    kvm.as_ref().err().into_iter().for_each(|none| println!("skipped: {test}: {none}"));
    kvm.is_ok()
}

/// Whether a kernel runs on it; else that is said of this test.
pub(crate) fn runs_kernels(test: &str) -> bool {
    if !has_kvm(test) {
        return false;
    }
    let Probe::Emulated(speed) = probe() else { return true };
    println!("skipped: {test}: KVM emulates a guest's kernel here, at {:?} for each instruction", speed.kernel);
    false
}
