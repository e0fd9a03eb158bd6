//! The processors of a machine, made ready for their first instruction.

use kvm_bindings::{
    CpuId, KVM_MAX_CPUID_ENTRIES, KVM_MP_STATE_HALTED, KVM_MP_STATE_INIT_RECEIVED, KVM_MP_STATE_UNINITIALIZED,
};

use kvm_ioctls::{Cap, VcpuFd};

use crate::hypervisor::Hypervisor;
use crate::memory::Memory;
use crate::sys::{Cpu, Vm};

use super::{cpuid, local_apic, long_mode, msrs};

/// Where the first processor begins. The others wait until it wakes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// The address of the first instruction.
    pub entry: u64,
    /// What it finds in `rsi`: Linux, the address of what it has to know at its start.
    pub argument: u64,
}

/// Why a processor could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// KVM refused a step.
    #[error("KVM refuses to {step} of a virtual processor: {source}")]
    Refused {
        /// Which step.
        step: &'static str,
        /// What it said.
        source: kvm_ioctls::Error,
    },
    /// KVM does not take the value of a model-specific register.
    #[error("KVM does not let model-specific register {0:#x} be set as a kernel needs it")]
    Register(u32),
    /// There are more of something than KVM has room for.
    #[error("there are more {0} than KVM takes")]
    TooMany(&'static str),
    /// What the first instruction needs does not fit.
    #[error("the guest has too little memory: there is none at {address:#x}, where its page tables have to be")]
    TooLittleMemory {
        /// Where.
        address: u64,
    },
}

impl SetupError {
    pub(super) fn refused(step: &'static str) -> impl Fn(kvm_ioctls::Error) -> SetupError {
        move |source| SetupError::Refused { step, source }
    }
}

/// What the processors of a machine have in common.
pub(crate) struct Cpus {
    supported: CpuId,
    has_deadline_timer: bool,
    count: u8,
}

impl Cpus {
    pub(crate) fn new(hypervisor: &Hypervisor, count: u8) -> Result<Cpus, SetupError> {
        let supported = hypervisor.kvm().get_supported_cpuid(KVM_MAX_CPUID_ENTRIES);
        Ok(Cpus {
            supported: supported.map_err(SetupError::refused("tell the features"))?,
            has_deadline_timer: hypervisor.kvm().check_extension(Cap::TscDeadlineTimer),
            count,
        })
    }

    /// Makes one of them. The order matters: the local APIC comes with the processor when the chips are there, and model-specific
    /// registers are checked against CPUID.
    pub(crate) fn make(&self, vm: &Vm, number: u8) -> Result<Cpu, SetupError> {
        let cpu = vm.make_cpu(number).map_err(SetupError::refused("make one"))?;
        let mut features = self.supported.clone();
        cpuid::restrict(features.as_mut_slice(), number, self.count, self.has_deadline_timer);
        cpu.fd().set_cpuid2(&features).map_err(SetupError::refused("set the features"))?;
        msrs::set(cpu.fd())?;
        local_apic::connect(cpu.fd()).map_err(SetupError::refused("set the local APIC"))?;
        Ok(cpu)
    }

    /// Makes the first of them begin.
    pub(crate) fn begin(&self, first: &Cpu, memory: &Memory, start: &Start) -> Result<(), SetupError> {
        long_mode::begin(first.fd(), memory, start)
    }
}

/// Whether a processor waits for something that cannot come: it has halted with interrupts off, or nobody has ever woken it.
///
/// With its interrupt controllers in the kernel, KVM does not tell: it lets such a processor sleep for ever.
pub(crate) fn waits_for_nothing(cpu: &VcpuFd) -> Result<bool, kvm_ioctls::Error> {
    const INTERRUPTS_ON: u64 = 1 << 9;
    Ok(match cpu.get_mp_state()?.mp_state {
        KVM_MP_STATE_HALTED => cpu.get_regs()?.rflags & INTERRUPTS_ON == 0,
        KVM_MP_STATE_UNINITIALIZED | KVM_MP_STATE_INIT_RECEIVED => true,
        _ => false,
    })
}
