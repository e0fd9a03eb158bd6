//! The model-specific registers a kernel expects to find set; all others are zero when a processor is made.

use kvm_bindings::{Msrs, kvm_msr_entry};
use kvm_ioctls::VcpuFd;

use super::cpus::SetupError;

const MISCELLANEOUS: u32 = 0x1A0;
/// Copying by `rep movs` is fast, and kernels choose it by this bit.
const FAST_STRINGS: u64 = 1;
const MEMORY_TYPES: u32 = 0x2FF;
/// The types of memory are in force, and what none of them is about may be cached, written back later.
const ENABLED_WRITE_BACK: u64 = 1 << 11 | 6;

/// Sets them. After CPUID, which says which of them there are.
pub(super) fn set(cpu: &VcpuFd) -> Result<(), SetupError> {
    let entry = |index, data| kvm_msr_entry { index, data, ..kvm_msr_entry::default() };
    let entries = [entry(MISCELLANEOUS, FAST_STRINGS), entry(MEMORY_TYPES, ENABLED_WRITE_BACK)];
    let msrs = Msrs::from_entries(&entries).map_err(|_| SetupError::TooMany("model-specific registers"))?;
    let set = cpu.set_msrs(&msrs).map_err(SetupError::refused("set model-specific registers"))?;
    match entries.get(set) {
        // KVM stops at the first that it does not take.
        Some(refused) => Err(SetupError::Register(refused.index)),
        None => Ok(()),
    }
}
