//! The model-specific registers: those a kernel expects to find set, where all others are zero when a processor is made; and all there are, when a
//! processor is frozen.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use kvm_bindings::{KVM_MAX_MSR_ENTRIES, Msrs, kvm_msr_entry};
use kvm_ioctls::{Kvm, VcpuFd};

use super::cpus::SetupError;

const MISCELLANEOUS: u32 = 0x1A0;
/// Copying by `rep movs` is fast, and kernels choose it by this bit.
const FAST_STRINGS: u64 = 1;
const MEMORY_TYPES: u32 = 0x2FF;
/// The types of memory are in force, and what none of them is about may be cached, written back later.
const ENABLED_WRITE_BACK: u64 = 1 << 11 | 6;

/// What counts time is set apart from all others: the counter, and what of it the timer waits for.
pub(super) const TIMES: [u32; 2] = [0x10, 0x6E0];
/// What KVM keeps and does not list: the types of memory, by ranges and as a whole; and the errors of the machine.
const UNLISTED: [RangeInclusive<u32>; 6] =
    [0x200..=0x20F, 0x250..=0x250, 0x258..=0x259, 0x268..=0x26F, MEMORY_TYPES..=MEMORY_TYPES, 0x400..=0x47F];

/// Those of Hyper-V, which no guest of ours is told of. KVM lists them; to ask for them makes it keep more of a processor, and some tell how long the asking thread has run.
const HYPER_V: RangeInclusive<u32> = 0x4000_0000..=0x4000_01FF;
/// Which flaws a processor has not.
pub(super) const CAPABILITIES: u32 = 0x10A;

/// Sets what a kernel expects. After CPUID, which says which of them there are.
pub(super) fn set(cpu: &VcpuFd) -> Result<(), SetupError> {
    set_all(cpu, &[entry(MISCELLANEOUS, FAST_STRINGS), entry(MEMORY_TYPES, ENABLED_WRITE_BACK)])
}

/// All that KVM has for guests of ours, but for those that count time. Which of them a processor has, it says when it is asked.
pub(super) fn listed(kvm: &Kvm) -> Result<Vec<u32>, SetupError> {
    let listed = kvm.get_msr_index_list().map_err(SetupError::refused("list the model-specific registers"))?;
    let all: BTreeSet<u32> = listed.as_slice().iter().copied().chain(UNLISTED.into_iter().flatten()).collect();
    Ok(all.into_iter().filter(|index| !TIMES.contains(index) && !HYPER_V.contains(index)).collect())
}

/// What those of them hold that the processor has.
pub(super) fn read(cpu: &VcpuFd, listed: &[u32]) -> Result<Vec<kvm_msr_entry>, SetupError> {
    let mut read = Vec::with_capacity(listed.len());
    let mut left = listed;
    while !left.is_empty() {
        let asked: Vec<kvm_msr_entry> = left.iter().take(KVM_MAX_MSR_ENTRIES).map(|index| entry(*index, 0)).collect();
        let mut told = Msrs::from_entries(&asked).map_err(|_| SetupError::TooMany("model-specific registers"))?;
        let count = cpu.get_msrs(&mut told).map_err(SetupError::refused("tell model-specific registers"))?;
        read.extend(told.as_slice().iter().take(count));
        // KVM stops at the first that the processor has not, which is passed over.
        let next = if count < asked.len() { count.saturating_add(1) } else { count };
        left = left.get(next..).unwrap_or_default();
    }
    Ok(read)
}

/// What one holds, if the processor has it.
pub(super) fn read_one(cpu: &VcpuFd, index: u32) -> Result<Option<u64>, SetupError> {
    Ok(read(cpu, &[index])?.first().map(|entry| entry.data))
}

/// Sets one.
pub(super) fn set_one(cpu: &VcpuFd, index: u32, data: u64) -> Result<(), SetupError> {
    set_all(cpu, &[entry(index, data)])
}

/// Gives a new processor what another one held, where that is not what it holds anyway: so KVM is not asked for what makes no difference, some of which it
/// would have to find memory for, or would refuse.
pub(super) fn set_those_that_differ(cpu: &VcpuFd, entries: &[kvm_msr_entry]) -> Result<(), SetupError> {
    let indices: Vec<u32> = entries.iter().map(|entry| entry.index).collect();
    let has: BTreeMap<u32, u64> = read(cpu, &indices)?.iter().map(|entry| (entry.index, entry.data)).collect();
    // One that the new processor has not holds nothing.
    let differ = entries.iter().filter(|entry| has.get(&entry.index).copied().unwrap_or(0) != entry.data);
    set_all(cpu, &differ.copied().collect::<Vec<_>>())
}

fn set_all(cpu: &VcpuFd, entries: &[kvm_msr_entry]) -> Result<(), SetupError> {
    for entries in entries.chunks(KVM_MAX_MSR_ENTRIES) {
        let msrs = Msrs::from_entries(entries).map_err(|_| SetupError::TooMany("model-specific registers"))?;
        let set = cpu.set_msrs(&msrs).map_err(SetupError::refused("set model-specific registers"))?;
        // KVM stops at the first that it does not take.
        if let Some(refused) = entries.get(set) {
            return Err(SetupError::Register(refused.index));
        }
    }
    Ok(())
}

fn entry(index: u32, data: u64) -> kvm_msr_entry {
    kvm_msr_entry { index, data, ..kvm_msr_entry::default() }
}
