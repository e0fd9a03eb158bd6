//! Which features of the host's processor a guest is told of.
//!
//! KVM's own list is the beginning: what it cannot give is not in there. From it is taken what no job needs and somebody has
//! attacked others with, or what a guest could not use: performance counters, transactions, virtual machines in virtual machines, the
//! states of power saving. Then each processor is told who it is.

use kvm_bindings::kvm_cpuid_entry2;

/// One of the four in which CPUID answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Register {
    Eax,
    Ebx,
    Ecx,
    Edx,
}

impl Register {
    /// What it holds.
    pub(super) fn of(self, entry: &kvm_cpuid_entry2) -> u32 {
        let mut entry = *entry;
        *of(&mut entry, self)
    }
}

/// What is taken away: leaf, subleaf, register, bits.
const HIDDEN: [(u32, u32, Register, u32); 9] = [
    // Debug store, MONITOR, qualified debug store, VMX, SMX, SpeedStep, thermal monitor 2, silicon debug, performance capabilities.
    (1, 0, Register::Ecx, 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 11 | 1 << 15),
    // Debug store, thermal control by ACPI, thermal monitor, pending break.
    (1, 0, Register::Edx, 1 << 21 | 1 << 22 | 1 << 29 | 1 << 31),
    // SGX, HLE, RTM, MPX, processor trace: enclaves and transactions have been read through, the last two cost without a use.
    (7, 0, Register::Ebx, 1 << 2 | 1 << 4 | 1 << 11 | 1 << 14 | 1 << 25),
    // UMWAIT and TPAUSE, which keep a host's processor to themselves; launch configuration of SGX; shadow stacks, of whose pointer
    // KVM tells nobody who asks for all registers, so that no clone would have it.
    (7, 0, Register::Ecx, 1 << 5 | 1 << 7 | 1 << 30),
    // Stepping back from transactions, platform configuration, and what goes with shadow stacks.
    (7, 0, Register::Edx, 1 << 11 | 1 << 13 | 1 << 18 | 1 << 20),
    // Of power saving a guest has to know one thing: that its timer does not stop (bit 2).
    (6, 0, Register::Eax, !(1 << 2)),
    (6, 0, Register::Ebx, u32::MAX),
    (6, 0, Register::Ecx, u32::MAX),
    // SVM, instruction-based sampling, its lightweight brother, and the counters of AMD.
    (0x8000_0001, 0, Register::Ecx, 1 << 2 | 1 << 10 | 1 << 15 | 1 << 23 | 1 << 24 | 1 << 28),
];

/// Leaves that are emptied whole: MONITOR, performance counters, SGX, processor trace, SVM, AMD's counters and sampling.
const EMPTIED: [u32; 7] = [5, 0xA, 0x12, 0x14, 0x8000_000A, 0x8000_001B, 0x8000_0022];

const UNDER_A_HYPERVISOR: u32 = 1 << 31;
const DEADLINE_TIMER: u32 = 1 << 24;
const SEVERAL_PROCESSORS: u32 = 1 << 28;

/// Takes away what a guest is not told of, and tells the processor of this number who it is.
pub(super) fn restrict(entries: &mut [kvm_cpuid_entry2], number: u8, count: u8, has_deadline_timer: bool) {
    for entry in entries {
        let place = (entry.function, entry.index);
        for (_, _, register, bits) in HIDDEN.iter().filter(|hidden| (hidden.0, hidden.1) == place) {
            *of(entry, *register) &= !bits;
        }
        if EMPTIED.contains(&entry.function) {
            (entry.eax, entry.ebx, entry.ecx, entry.edx) = (0, 0, 0, 0);
        }
        match entry.function {
            1 => {
                entry.ecx |= UNDER_A_HYPERVISOR;
                // The timer stands in KVM's local APIC, whatever the host's processor has.
                entry.ecx = entry.ecx & !DEADLINE_TIMER | if has_deadline_timer { DEADLINE_TIMER } else { 0 };
                entry.edx = entry.edx & !SEVERAL_PROCESSORS | if 1 < count { SEVERAL_PROCESSORS } else { 0 };
                entry.ebx = entry.ebx & 0x0000_FFFF | u32::from(count) << 16 | u32::from(number) << 24;
            }
            // Caches: how many processors share each, less one, is the host's affair. Each of a guest's is a core of its own.
            4 if entry.eax & 0b1_1111 != 0 => {
                entry.eax = entry.eax & 0x0000_3FFF | u32::from(count.saturating_sub(1)) << 26;
            }
            0xB | 0x1F => topology(entry, number, count),
            // The same on AMD's processors.
            0x8000_0008 => entry.ecx = bits(count) << 12 | u32::from(count.saturating_sub(1)),
            0x8000_001D => entry.eax &= 0x0000_3FFF,
            0x8000_001E => (entry.eax, entry.ebx, entry.ecx) = (u32::from(number), u32::from(number), 0),
            _ => {}
        }
    }
}

/// The levels of a package: one thread in each core, and all cores in one package.
fn topology(entry: &mut kvm_cpuid_entry2, number: u8, count: u8) {
    const THREADS: u32 = 1;
    const CORES: u32 = 2;
    let (shift, processors, kind) = match entry.index {
        0 => (0, 1, THREADS),
        1 => (bits(count), u32::from(count), CORES),
        _ => (0, 0, 0),
    };
    (entry.eax, entry.ebx) = (shift, processors);
    (entry.ecx, entry.edx) = (kind << 8 | entry.index & 0xFF, u32::from(number));
}

/// How many bits the numbers of so many processors take.
fn bits(count: u8) -> u32 {
    u8::BITS.saturating_sub(count.saturating_sub(1).leading_zeros())
}

fn of(entry: &mut kvm_cpuid_entry2, register: Register) -> &mut u32 {
    match register {
        Register::Eax => &mut entry.eax,
        Register::Ebx => &mut entry.ebx,
        Register::Ecx => &mut entry.ecx,
        Register::Edx => &mut entry.edx,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(function: u32, index: u32) -> kvm_cpuid_entry2 {
        let (eax, ebx, ecx, edx) = (u32::MAX, u32::MAX, u32::MAX, u32::MAX);
        kvm_cpuid_entry2 { function, index, eax, ebx, ecx, edx, ..kvm_cpuid_entry2::default() }
    }

    #[test]
    fn no_guest_is_told_of_virtual_machines_transactions_or_counters() {
        let mut entries = [all(1, 0), all(7, 0), all(0xA, 0), all(0x8000_0001, 0)];
        restrict(&mut entries, 0, 1, true);
        let [basic, extended, counters, amd] = entries;
        assert_eq!(basic.ecx & (1 << 5 | 1 << 3), 0, "VMX and MONITOR: {:#x}", basic.ecx);
        assert_eq!(extended.ebx & (1 << 2 | 1 << 4 | 1 << 11), 0, "SGX and TSX: {:#x}", extended.ebx);
        assert_eq!((counters.eax, counters.edx), (0, 0));
        assert_eq!(amd.ecx & 1 << 2, 0, "SVM: {:#x}", amd.ecx);
        assert_ne!(extended.ebx & 1 << 5, 0, "AVX2 is for everybody: {:#x}", extended.ebx);
        assert_eq!((extended.ecx & 1 << 7, extended.edx & 1 << 20), (0, 0), "shadow stacks, which no snapshot has");
    }

    #[test]
    fn each_processor_is_told_who_it_is() {
        let mut entries = [all(1, 0), all(0xB, 0), all(0xB, 1), all(0xB, 2), all(0x8000_0008, 0), all(0x8000_001E, 0)];
        restrict(&mut entries, 2, 3, false);
        let [basic, thread, core, beyond, sizes, amd] = entries;
        assert_eq!((basic.ebx >> 24, basic.ebx >> 16 & 0xFF), (2, 3));
        assert_eq!(basic.ecx & DEADLINE_TIMER, 0);
        assert_eq!((thread.eax, thread.ebx, thread.edx), (0, 1, 2));
        assert_eq!((core.eax, core.ebx, core.ecx), (2, 3, 2 << 8 | 1));
        assert_eq!((sizes.ecx, amd.eax, amd.ebx, amd.ecx), (2 << 12 | 2, 2, 2, 0));
        assert_eq!((beyond.eax, beyond.ebx, beyond.ecx), (0, 0, 2));
    }

    #[test]
    fn the_timer_is_kvms_and_not_the_processors() {
        let mut entries = [kvm_cpuid_entry2 { function: 1, ..kvm_cpuid_entry2::default() }];
        restrict(&mut entries, 0, 1, true);
        assert_eq!(entries[0].ecx, DEADLINE_TIMER | UNDER_A_HYPERVISOR);
        assert_eq!(entries[0].edx, 0, "one processor is not several");
    }
}
