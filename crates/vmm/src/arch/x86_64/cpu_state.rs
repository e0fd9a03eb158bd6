//! The state of a processor, all that KVM keeps of it: asked for when a machine is paused, and given to a new processor.
//!
//! What counts time is set last, and apart from the rest, when the processor is about to run ([`CpuState::start_time`]): so no time passes for a guest
//! while a machine is ready and waits.

use kvm_bindings::{
    CpuId, KVM_MAX_CPUID_ENTRIES, kvm_cpuid_entry2, kvm_debugregs, kvm_lapic_state, kvm_mp_state, kvm_msr_entry,
    kvm_regs, kvm_sregs, kvm_vcpu_events, kvm_xcrs, kvm_xsave,
};
use kvm_ioctls::VcpuFd;

use crate::snapshot::{Nonsense, Piece, Reader, Writer};
use crate::sys::Cpu;

use super::cpus::SetupError;
use super::msrs;

/// One processor, as it was when its machine was paused.
pub(crate) struct CpuState {
    /// What it was told of itself, by CPUID.
    pub(super) told: Vec<kvm_cpuid_entry2>,
    /// How often its counter of time (TSC) counts in a second, in thousands.
    pub(super) counter_khz: u32,
    /// How far that has counted.
    counter: u64,
    /// What of that its timer waits for; zero is none.
    deadline: u64,
    general: kvm_regs,
    special: kvm_sregs,
    extended: kvm_xcrs,
    /// Of floating-point numbers and vectors.
    vectors: Box<kvm_xsave>,
    debug: kvm_debugregs,
    apic: kvm_lapic_state,
    model_specific: Vec<kvm_msr_entry>,
    /// Interrupts and exceptions on their way.
    events: kvm_vcpu_events,
    /// Whether it runs, has halted, or was never woken.
    activity: kvm_mp_state,
}

impl CpuState {
    /// Asks KVM for it. The first question and the last change what they ask about: that about its activity takes in what other processors have sent
    /// it, and interrupts on their way are to be known when all else is.
    pub(super) fn of(cpu: &Cpu, told: &CpuId, listed: &[u32]) -> Result<CpuState, SetupError> {
        let fd = cpu.fd();
        let activity = fd.get_mp_state().map_err(SetupError::refused("tell the activity"))?;
        let general = fd.get_regs().map_err(SetupError::refused("tell the registers"))?;
        let special = fd.get_sregs().map_err(SetupError::refused("tell the special registers"))?;
        let extended = fd.get_xcrs().map_err(SetupError::refused("tell the extended control registers"))?;
        let vectors = Box::new(cpu.vectors().map_err(SetupError::refused("tell the vector registers"))?);
        let debug = fd.get_debug_regs().map_err(SetupError::refused("tell the debug registers"))?;
        let counter_khz = fd.get_tsc_khz().map_err(SetupError::refused("tell the speed of the time counter"))?;
        let apic = fd.get_lapic().map_err(SetupError::refused("tell the local APIC"))?;
        let model_specific = msrs::read(fd, listed)?;
        let [counter, deadline] = msrs::TIMES;
        let counter = msrs::read_one(fd, counter)?.ok_or(SetupError::Untold(counter))?;
        // Not every processor has one.
        let deadline = msrs::read_one(fd, deadline)?.unwrap_or(0);
        let events = fd.get_vcpu_events().map_err(SetupError::refused("tell the interrupts on their way"))?;
        let told = told.as_slice().to_vec();
        Ok(CpuState {
            told,
            counter_khz,
            counter,
            deadline,
            general,
            special,
            extended,
            vectors,
            debug,
            apic,
            model_specific,
            events,
            activity,
        })
    }

    /// What one of its model-specific registers holds; none is zero.
    pub(super) fn model_specific(&self, index: u32) -> u64 {
        self.model_specific.iter().find(|entry| entry.index == index).map_or(0, |entry| entry.data)
    }

    /// The first register of its model that is not among these, and holds something: KVM would take some for which a guest would be refused.
    pub(super) fn unknown(&self, listed: &[u32]) -> Option<u32> {
        let unknown = self.model_specific.iter().find(|entry| entry.data != 0 && !listed.contains(&entry.index));
        unknown.map(|entry| entry.index)
    }

    /// Gives it to a processor that is new and was told the same of itself, by which it has the same registers; but for what counts time. The special ones
    /// decide which of the others mean anything; and its activity is last, since interrupts on their way can change it.
    pub(super) fn set(&self, cpu: &Cpu) -> Result<(), SetupError> {
        let fd = cpu.fd();
        fd.set_sregs(&self.special).map_err(SetupError::refused("set the special registers"))?;
        if 0 < self.extended.nr_xcrs {
            fd.set_xcrs(&self.extended).map_err(SetupError::refused("set the extended control registers"))?;
        }
        cpu.set_vectors(&self.vectors).map_err(SetupError::refused("set the vector registers"))?;
        fd.set_regs(&self.general).map_err(SetupError::refused("set the registers"))?;
        fd.set_debug_regs(&self.debug).map_err(SetupError::refused("set the debug registers"))?;
        msrs::set_those_that_differ(fd, &self.model_specific)?;
        fd.set_vcpu_events(&self.events).map_err(SetupError::refused("set the interrupts on their way"))?;
        fd.set_mp_state(self.activity).map_err(SetupError::refused("set the activity"))
    }

    /// Lets its time go on from where it stood. `first` is whether it is the first of its machine.
    ///
    /// The timer of the local APIC begins to run when that is set, and one that waits for a time can be set when that is in force and the counter is right.
    pub(super) fn start_time(&self, cpu: &VcpuFd, first: bool) -> Result<(), SetupError> {
        let [counter, deadline] = msrs::TIMES;
        if first {
            // KVM takes a value within a second of what a counter shows for an attempt to make several alike, and leaves it as it is. It begins at
            // zero with its processor: so a clone that has waited about as long as its machine had run, which is no time and a moment where somebody
            // freezes one at its start, would see its time go back. The first is sent far away before; the others are meant to be alike, and are.
            msrs::set_one(cpu, counter, self.counter ^ FAR_AWAY)?;
        }
        msrs::set_one(cpu, counter, self.counter)?;
        cpu.set_lapic(&self.apic).map_err(SetupError::refused("set the local APIC"))?;
        if self.deadline != 0 {
            msrs::set_one(cpu, deadline, self.deadline)?;
        }
        Ok(())
    }
}

/// Hours, for any processor's counter.
const FAR_AWAY: u64 = 1 << 45;
/// KVM has fewer registers of a processor's model to show, and knows no more entries of CPUID.
const MOST_MODEL_SPECIFIC: u32 = 1024;
const MOST_TOLD: u32 = KVM_MAX_CPUID_ENTRIES as u32;

impl Piece for CpuState {
    fn write(&self, to: &mut Writer) {
        let CpuState {
            told,
            counter_khz,
            counter,
            deadline,
            general,
            special,
            extended,
            vectors,
            debug,
            apic,
            model_specific,
            events,
            activity,
        } = self;
        to.all(told.iter(), |to, entry| to.laid_out(entry));
        to.u32(*counter_khz);
        to.u64(*counter);
        to.u64(*deadline);
        to.laid_out(general);
        to.laid_out(special);
        to.laid_out(extended);
        to.laid_out(&**vectors);
        to.laid_out(debug);
        to.laid_out(apic);
        to.all(model_specific.iter(), |to, entry| to.laid_out(entry));
        to.laid_out(events);
        to.laid_out(activity);
    }

    fn read(from: &mut Reader<'_>) -> Result<CpuState, Nonsense> {
        Ok(CpuState {
            told: from.all("entries of CPUID", MOST_TOLD, Reader::laid_out)?,
            counter_khz: from.u32()?,
            counter: from.u64()?,
            deadline: from.u64()?,
            general: from.laid_out()?,
            special: from.laid_out()?,
            extended: from.laid_out()?,
            vectors: Box::new(from.laid_out()?),
            debug: from.laid_out()?,
            apic: from.laid_out()?,
            model_specific: from.all("model-specific registers", MOST_MODEL_SPECIFIC, Reader::laid_out)?,
            events: from.laid_out()?,
            activity: from.laid_out()?,
        })
    }
}
