//! A virtual machine of KVM together with the memory it was given.
//!
//! KVM keeps the addresses of that memory for as long as any descriptor of the machine or of one of its processors is open, and writes
//! there whenever a processor runs. So machine and processors own the memory as well, and give it back after their descriptor.

use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::{Cap, VcpuFd, VmFd};
use vm_memory::{Address, GuestMemoryBackend, GuestMemoryRegion};

use crate::memory::Memory;

/// A machine, and its memory.
pub(crate) struct Vm {
    // In this order: fields are dropped as they are written down.
    fd: VmFd,
    memory: Memory,
}

/// A processor of a machine, and that machine's memory.
pub(crate) struct Cpu {
    fd: VcpuFd,
    _memory: Memory,
    /// How many bytes KVM reads and writes for its vector registers.
    pub(super) vectors_length: usize,
}

impl Vm {
    /// Gives a new machine its memory.
    pub(crate) fn new(fd: VmFd, memory: Memory) -> Result<Vm, kvm_ioctls::Error> {
        for (slot, region) in (0..).zip(memory.iter()) {
            let start = region.start_addr();
            let Ok(host) = memory.get_host_address(start) else { return Err(kvm_ioctls::Error::new(EFAULT)) };
            let region = kvm_userspace_memory_region {
                slot,
                flags: 0,
                guest_phys_addr: start.raw_value(),
                memory_size: region.len(),
                userspace_addr: host.addr() as u64,
            };
            // SAFETY: The addresses are those of a mapping of exactly that length, which stays where it is for as long as `memory` or a
            // copy of it lives: `Vm` and every `Cpu` has one, and drops it after its descriptor. Nothing of ours takes a reference into
            // it: `vm-memory` reads and writes it by volatile accesses, so the guest may change it at any time. Slots differ, and
            // `vm-memory` refuses regions that overlap.
            unsafe { fd.set_user_memory_region(region) }?;
        }
        Ok(Vm { fd, memory })
    }

    pub(crate) fn fd(&self) -> &VmFd {
        &self.fd
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Makes the processor of that number.
    pub(crate) fn make_cpu(&self, number: u8) -> Result<Cpu, kvm_ioctls::Error> {
        let fd = self.fd.create_vcpu(number.into())?;
        // Older kernels have no word for it, and the length of the structure alone.
        let vectors_length = usize::try_from(self.fd.check_extension_int(Cap::Xsave2)).unwrap_or(usize::MAX);
        Ok(Cpu { fd, _memory: self.memory.clone(), vectors_length })
    }
}

impl Cpu {
    pub(crate) fn fd(&self) -> &VcpuFd {
        &self.fd
    }

    pub(crate) fn fd_mut(&mut self) -> &mut VcpuFd {
        &mut self.fd
    }
}

/// A region that is not where it says it is; `vm-memory` has none such.
const EFAULT: i32 = 14;
