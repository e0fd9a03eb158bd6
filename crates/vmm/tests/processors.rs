//! What a guest finds its processor to be: asked by instructions of a guest, since what a function of ours makes of a table says nothing about whether
//! KVM was told. No kernel is needed; where there is no KVM these tests are skipped, and say so.

mod kit;

use firebox_vmm::Ending;
use kit::{Assembler, PLENTY, assembler::Register};

const LOCAL_APIC: u64 = 0xFEE0_0000;
const MISCELLANEOUS: u32 = 0x1A0;
const MEMORY_TYPES: u32 = 0x2FF;

/// What a guest says of itself, in numbers of four bytes.
fn told(test: &str, cpus: u8, program: Assembler) -> Option<Vec<u32>> {
    let hypervisor = kit::hypervisor(test)?;
    let ran = kit::run(kit::machine(&hypervisor, cpus, &program.reset()), PLENTY);
    assert_eq!(ran.ending, Ending::Reset);
    let bytes = ran.log.bytes();
    Some(bytes.chunks(4).map(|number| u32::from_le_bytes(number.try_into().expect("a whole number"))).collect())
}

#[test]
fn it_is_told_of_a_hypervisor_and_of_nothing_that_was_taken_from_it() {
    const NAME: &str = "it_is_told_of_a_hypervisor_and_of_nothing_that_was_taken_from_it";
    let program = Assembler::new()
        .say_cpuid(1, Register::Ecx)
        .say_cpuid(7, Register::Ebx)
        .say_cpuid(7, Register::Ecx)
        .say_cpuid(0xA, Register::Eax)
        .say_cpuid(0x8000_0001, Register::Ecx)
        .say_cpuid(0x8000_000A, Register::Edx);
    let Some(told) = told(NAME, 1, program) else { return };
    let [basic, extended, waits, counters, amd, svm] = told[..] else { panic!("{told:x?}") };
    assert_eq!(basic >> 31, 1, "no hypervisor: {basic:#x}");
    assert_eq!(basic & (1 << 5 | 1 << 3), 0, "VMX or MONITOR: {basic:#x}");
    assert_eq!(extended & (1 << 2 | 1 << 4 | 1 << 11), 0, "SGX or transactions: {extended:#x}");
    assert_eq!(waits & 1 << 5, 0, "UMWAIT: {waits:#x}");
    assert_eq!((counters, svm), (0, 0), "counters, or what SVM can do");
    assert_eq!(amd & 1 << 2, 0, "SVM: {amd:#x}");
}

#[test]
fn it_knows_how_many_there_are_and_which_it_is() {
    const NAME: &str = "it_knows_how_many_there_are_and_which_it_is";
    let program = Assembler::new().say_cpuid(1, Register::Ebx).say_cpuid(1, Register::Edx);
    let Some(told) = told(NAME, 3, program) else { return };
    let [who, features] = told[..] else { panic!("{told:x?}") };
    assert_eq!((who >> 24, who >> 16 & 0xFF, features >> 28 & 1), (0, 3, 1));
}

#[test]
fn its_registers_are_set_as_a_kernel_expects_them() {
    const NAME: &str = "its_registers_are_set_as_a_kernel_expects_them";
    let program = Assembler::new()
        .say_model_specific(MISCELLANEOUS)
        .say_model_specific(MEMORY_TYPES)
        .load32(LOCAL_APIC + 0x350)
        .say_eax()
        .load32(LOCAL_APIC + 0x360)
        .say_eax();
    let Some(told) = told(NAME, 1, program) else { return };
    let [miscellaneous, types, first, second] = told[..] else { panic!("{told:x?}") };
    assert_eq!(miscellaneous & 1, 1, "copying is not fast: {miscellaneous:#x}");
    assert_eq!(types & 0xCFF, 1 << 11 | 6, "memory is not cached: {types:#x}");
    assert_eq!((first >> 8 & 0b111, second >> 8 & 0b111), (0b111, 0b100), "{first:#x} {second:#x}");
}
