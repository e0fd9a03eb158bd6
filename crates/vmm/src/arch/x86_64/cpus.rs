//! The processors of a machine, made ready for their first instruction, or for the next one.

use kvm_bindings::{
    CpuId, KVM_MAX_CPUID_ENTRIES, KVM_MP_STATE_HALTED, KVM_MP_STATE_INIT_RECEIVED, KVM_MP_STATE_UNINITIALIZED,
    kvm_cpuid_entry2,
};

use kvm_ioctls::{Cap, VcpuFd};

use crate::hypervisor::Hypervisor;
use crate::memory::Memory;
use crate::sys::{Cpu, Vm};

use super::cpu_state::CpuState;
use super::features::{self, OtherProcessor};
use super::{cpuid, local_apic, long_mode, msrs};

/// Where the first processor begins. The others wait until it wakes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// The address of the first instruction.
    pub entry: u64,
    /// What it finds in `rsi`: Linux, the address of what it has to know at its start.
    pub argument: u64,
}

/// Why a processor could not be made ready, or its state not be told.
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
    /// KVM does not tell it.
    #[error("KVM does not tell what is in model-specific register {0:#x}")]
    Untold(u32),
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
    /// KVM can let a guest's time counter run at another speed than the host's.
    scales_time: bool,
    count: u8,
    /// What each that was made was told of itself. KVM would tell that otherwise: with what the guest has turned on since, and here and there with what
    /// it has by itself.
    told: Vec<CpuId>,
}

/// Counters whose speeds differ by less than a four-thousandth are alike: that much the host is wrong about its own, and clocks on a network put right.
const SAME_SPEED: u32 = 4_000;

/// Why a processor cannot go on as another one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotBe {
    #[error(transparent)]
    Other(#[from] OtherProcessor),
    #[error(transparent)]
    Setup(#[from] SetupError),
}

impl Cpus {
    pub(crate) fn new(hypervisor: &Hypervisor, count: u8) -> Result<Cpus, SetupError> {
        let supported = hypervisor.kvm().get_supported_cpuid(KVM_MAX_CPUID_ENTRIES);
        Ok(Cpus {
            supported: supported.map_err(SetupError::refused("tell the features"))?,
            has_deadline_timer: hypervisor.kvm().check_extension(Cap::TscDeadlineTimer),
            scales_time: hypervisor.kvm().check_extension(Cap::TscControl),
            count,
            told: Vec::new(),
        })
    }

    /// Makes one of them. The order matters: the local APIC comes with the processor when the chips are there, and model-specific
    /// registers are checked against CPUID.
    pub(crate) fn make(&mut self, vm: &Vm, number: u8) -> Result<Cpu, SetupError> {
        let cpu = vm.make_cpu(number).map_err(SetupError::refused("make one"))?;
        let told = self.tell(number);
        cpu.fd().set_cpuid2(&told).map_err(SetupError::refused("set the features"))?;
        msrs::set(cpu.fd())?;
        local_apic::connect(cpu.fd()).map_err(SetupError::refused("set the local APIC"))?;
        self.told.push(told);
        Ok(cpu)
    }

    /// What a processor is told of itself, on this host.
    fn tell(&self, number: u8) -> CpuId {
        let mut features = self.supported.clone();
        cpuid::restrict(features.as_mut_slice(), number, self.count, self.has_deadline_timer);
        features
    }

    /// The state of all, which are at rest.
    pub(crate) fn save(&self, hypervisor: &Hypervisor, cpus: &[Cpu]) -> Result<Vec<CpuState>, SetupError> {
        let listed = msrs::listed(hypervisor.kvm())?;
        cpus.iter().zip(&self.told).map(|(cpu, told)| CpuState::of(cpu, told, &listed)).collect()
    }

    /// Makes processors in the states that others like them were in, but for the time. They go on being told what those were told, which may be less than
    /// this host has.
    pub(crate) fn restore(
        &mut self,
        hypervisor: &Hypervisor,
        vm: &Vm,
        states: &[CpuState],
    ) -> Result<Vec<Cpu>, CannotBe> {
        let listed = msrs::listed(hypervisor.kvm())?;
        (0..).zip(states).map(|(number, state)| self.restore_one(vm, number, state, &listed)).collect()
    }

    fn restore_one(&mut self, vm: &Vm, number: u8, state: &CpuState, listed: &[u32]) -> Result<Cpu, CannotBe> {
        self.check_told(number, &state.told)?;
        if let Some(register) = state.unknown(listed) {
            return Err(OtherProcessor::Register(register).into());
        }
        let cpu = vm.make_cpu(number).map_err(SetupError::refused("make one"))?;
        self.set_speed(&cpu, state.counter_khz)?;
        let told = CpuId::from_entries(&state.told).map_err(|_| SetupError::TooMany("features"))?;
        cpu.fd().set_cpuid2(&told).map_err(SetupError::refused("set the features"))?;
        let theirs = state.model_specific(msrs::CAPABILITIES);
        let ours = msrs::read_one(cpu.fd(), msrs::CAPABILITIES)?.unwrap_or(0);
        if theirs & !ours != 0 {
            return Err(OtherProcessor::Flawed { theirs, ours }.into());
        }
        state.set(&cpu)?;
        self.told.push(told);
        Ok(cpu)
    }

    /// Whether the processor of that number can go on being told this here: there is all that it was told of, and it was told as guests of ours are, of nothing that is hidden from them.
    fn check_told(&self, number: u8, told: &[kvm_cpuid_entry2]) -> Result<(), OtherProcessor> {
        let here = self.tell(number);
        features::differ(told, here.as_slice())?;
        features::is_told_alike(told, here.as_slice())?;
        let mut restricted = told.to_vec();
        cpuid::restrict(&mut restricted, number, self.count, self.has_deadline_timer);
        match told.iter().zip(&restricted).find(|(told, restricted)| told != restricted) {
            Some((told, _)) => Err(OtherProcessor::Told(told.function)),
            None => Ok(()),
        }
    }

    /// Makes up for a time counter of another speed, as far as KVM can.
    fn set_speed(&self, cpu: &Cpu, theirs: u32) -> Result<(), CannotBe> {
        let ours = cpu.fd().get_tsc_khz().map_err(SetupError::refused("tell the speed of the time counter"))?;
        if theirs.abs_diff(ours) <= ours.checked_div(SAME_SPEED).unwrap_or(0) {
            return Ok(());
        }
        let set = if self.scales_time { cpu.fd().set_tsc_khz(theirs).is_ok() } else { false };
        if set { Ok(()) } else { Err(OtherProcessor::Speed { theirs, ours }.into()) }
    }

    /// Lets the time of all go on.
    pub(crate) fn start_time(&self, cpus: &[Cpu], states: &[CpuState]) -> Result<(), SetupError> {
        let mut all = cpus.iter().zip(states).enumerate();
        all.try_for_each(|(number, (cpu, state))| state.start_time(cpu.fd(), number == 0))
    }

    /// Tells the guest that it stood still, so that it does not take that for a processor that hangs. One that has not asked for KVM's clock is not told.
    pub(crate) fn tell_of_pause(&self, cpus: &[Cpu]) {
        cpus.iter().for_each(|cpu| _ = cpu.fd().kvmclock_ctrl());
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
