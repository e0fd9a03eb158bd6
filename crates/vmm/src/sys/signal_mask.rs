//! Which signals a processor hears of while its guest runs.

use vmm_sys_util::ioctl::ioctl_with_ref;
use vmm_sys_util::ioctl_iow_nr;

use super::Cpu;

/// The kernel's `struct kvm_signal_mask`, with a set of signals as long as the kernel's own behind it.
#[repr(C)]
struct SignalMask {
    length: u32,
    set: [u8; 8],
}

/// The part of it that counts for the number of the call.
#[repr(C)]
struct Header {
    _length: u32,
}

const KVM: u32 = 0xAE;
ioctl_iow_nr!(KVM_SET_SIGNAL_MASK, KVM, 0x8B, Header);

impl Cpu {
    /// Lets this signal end `KVM_RUN`, and no other. It is to be blocked otherwise: then one that came between two runs is still
    /// there at the next, and ends it at once. No handler ever runs, and none can be too late.
    pub(crate) fn hear_only(&self, signal: i32) -> Result<(), kvm_ioctls::Error> {
        // Signals are counted from 1, the bits of a mask from 0.
        let bit = u32::try_from(signal).ok().and_then(|signal| 1_u64.checked_shl(signal.checked_sub(1)?));
        let Some(bit) = bit else { return Err(kvm_ioctls::Error::new(EINVAL)) };
        let mask = SignalMask { length: size_of::<u64>() as u32, set: (!bit).to_ne_bytes() };
        // SAFETY: The descriptor is a processor's, and its owner is borrowed. The call reads `length`, and as many bytes behind it as that
        // says; both are in `mask`, without a gap, and the kernel keeps no address.
        let result = unsafe { ioctl_with_ref(self.fd(), KVM_SET_SIGNAL_MASK(), &mask) };
        if result == 0 { Ok(()) } else { Err(kvm_ioctls::Error::last()) }
    }
}

const EINVAL: i32 = 22;
