//! Every kind of register that there is, set by a guest before it is frozen and asked for by its clone: by instructions, since a state that was read and written
//! by the same function of ours would say nothing.

#![expect(clippy::print_stdout, reason = "what was left out is told")]

mod kit;

use firebox_vmm::{Bytes, CpuFault, Ending, GuestAddress, Hypervisor, Ran, Stopped};
use kit::counting::{self, AT_THE_PROGRAM, PAUSE};
use kit::frozen::Frozen;
use kit::virtio_guest::{IO_APIC, LOCAL_APIC};
use kit::{Assembler, PLENTY};

const HERE: u64 = 0x5_0000;
const GO: u64 = 0x5_0004;
const NUMBER: u64 = 0x5_0010;
const SCRATCH: u64 = 0x3FF;
const OLD_CONTROLLER: u64 = 0x21;

/// A register: how it is set to what `eax` holds, how that is got back, and what to.
type Register = (&'static str, fn(Assembler) -> Assembler, fn(Assembler) -> Assembler, u32);

/// `mov [rbx], eax`, with where a number is in memory.
fn to_memory(code: Assembler) -> Assembler {
    code.store_eax(NUMBER)
}

const REGISTERS: [Register; 16] = [
    ("a general one", |code| code.raw(&[0x41, 0x89, 0xC4]), |code| code.raw(&[0x44, 0x89, 0xE0]), 1), // r12d
    ("of vectors", |code| code.raw(&[0x66, 0x0F, 0x6E, 0xD8]), |code| code.raw(&[0x66, 0x0F, 0x7E, 0xD8]), 0x1234_5678), // xmm3
    // fild dword [rbx]; fistp dword [rbx]
    (
        "of floating point",
        |code| to_memory(code).raw(&[0xDB, 0x03]),
        |code| to_memory(code).raw(&[0xDB, 0x1B, 0x8B, 0x03]),
        77,
    ),
    ("of debugging", |code| code.raw(&[0x0F, 0x23, 0xC0]), |code| code.raw(&[0x0F, 0x21, 0xC0]), 0x8_0000), // dr0
    ("of page faults", |code| code.raw(&[0x0F, 0x22, 0xD0]), |code| code.raw(&[0x0F, 0x20, 0xD0]), 0xABCD_0000), // cr2
    ("of priority", |code| code.raw(&[0x44, 0x0F, 0x22, 0xC0]), |code| code.raw(&[0x44, 0x0F, 0x20, 0xC0]), 5), // cr8
    ("of system calls", |code| set(code, 0xC000_0081), |code| get(code, 0xC000_0081), 0x1111),
    ("of a kernel's gs", |code| set(code, 0xC000_0102), |code| get(code, 0xC000_0102), 0x2222),
    ("of fs", |code| set(code, 0xC000_0100), |code| get(code, 0xC000_0100), 0x3333),
    ("of its entry", |code| set(code, 0x176), |code| get(code, 0x176), 0x4444),
    ("of types of pages", |code| set(code, 0x277), |code| get(code, 0x277), 0x0007_0106),
    ("of types of memory", |code| set(code, 0x200), |code| get(code, 0x200), 0x4000_0006),
    // What an interrupt to itself by the local APIC would be; masked.
    ("of the local APIC", |code| code.store_eax(LOCAL_APIC + 0x370), |code| code.load32(LOCAL_APIC + 0x370), 0x1_0055),
    // The vector of the last pin; masked.
    ("of the I/O APIC", |code| pin(code).store_eax(IO_APIC + 0x10), |code| pin(code).load32(IO_APIC + 0x10), 0x1_0066),
    ("of the old controllers", |code| out(code, OLD_CONTROLLER), |code| code.in8(OLD_CONTROLLER), 0xA5),
    ("of the serial port", |code| out(code, SCRATCH), |code| code.in8(SCRATCH), 0x5C),
];

/// `mov ecx, index; xor edx, edx; wrmsr`
fn set(code: Assembler, index: u32) -> Assembler {
    code.raw(&[0xB9]).raw(&index.to_le_bytes()).raw(&[0x31, 0xD2, 0x0F, 0x30])
}

fn get(code: Assembler, index: u32) -> Assembler {
    code.raw(&[0xB9]).raw(&index.to_le_bytes()).raw(&[0x0F, 0x32])
}

/// Chooses the entry of the last pin, without touching `eax`: `mov ecx, eax; …; mov eax, ecx`.
fn pin(code: Assembler) -> Assembler {
    code.raw(&[0x89, 0xC1]).store32(IO_APIC, 0x10 + 2 * 23).raw(&[0x89, 0xC8])
}

/// `mov edx, port; out dx, al`
fn out(code: Assembler, port: u64) -> Assembler {
    code.raw(&[0xBA]).raw(&(port as u32).to_le_bytes()).raw(&[0xEE])
}

/// What a clone finds in a register. Nothing where KVM emulates a guest's kernel and does not know the instruction.
fn found(hypervisor: &Hypervisor, (_, set, get, to): &Register) -> Option<u32> {
    // Vectors on: mov rax, cr4; or eax, 0x600; mov cr4, rax. Then it says that it is there, and when it is told to go on, what it has.
    let code = Assembler::new().raw(&[0x0F, 0x20, 0xE0, 0x0D, 0, 6, 0, 0, 0x0F, 0x22, 0xE0]);
    let code = set(code.raw(&[0xB8]).raw(&to.to_le_bytes())).out8(PAUSE, 0).wait_here(HERE, GO);
    let mut machine = kit::machine(hypervisor, 1, &get(code.raw(&[0x31, 0xC0])).say_eax().reset());
    counting::add_pause_port(&mut machine);
    let paused = match machine.run(&AT_THE_PROGRAM, PLENTY).unwrap() {
        Stopped::Paused(paused) => paused,
        Stopped::Ended(Ran { ending: Ending::Fault(CpuFault::Internal), .. }) => return None,
        Stopped::Ended(ran) => panic!("{:?}", ran.ending),
    };
    let clone = Frozen::of(hypervisor, &paused).prepare(hypervisor);
    clone.memory().write_obj(1_u32, GuestAddress(GO)).unwrap();
    let ran = clone.go(PLENTY).unwrap().ended().unwrap();
    assert_eq!(ran.ending, Ending::Reset);
    Some(u32::from_le_bytes(ran.log.bytes().try_into().unwrap()))
}

#[test]
fn every_kind_of_register_holds_in_the_clone_what_it_held() {
    const NAME: &str = "every_kind_of_register_holds_in_the_clone_what_it_held";
    let Some(hypervisor) = kit::hypervisor(NAME) else { return };
    for register in &REGISTERS {
        let (what, .., expected) = register;
        match found(&hypervisor, register) {
            Some(found) => assert_eq!(found, *expected, "the register {what} has {found:#x} instead of {expected:#x}"),
            None => println!("skipped: {NAME}: the register {what}: KVM does not emulate what it is set by"),
        }
    }
}
