//! A guest of a few instructions that drives a virtio device: registers through real exits, interrupts through real chips.

use firebox_vmm::virtio::Device;
use firebox_vmm::{Machine, layout};

use super::Assembler;

pub(crate) const TABLE: u64 = 0x1_0000;
pub(crate) const AVAILABLE: u64 = 0x1_1000;
pub(crate) const USED: u64 = 0x1_2000;
pub(crate) const HEADER: u64 = 0x2_0000;
pub(crate) const ANSWER: u64 = 0x2_0100;
pub(crate) const DATA: u64 = 0x2_1000;

/// Where the guest notes why it was interrupted.
pub(crate) const NOTE: u64 = 0x3_0000;
pub(crate) const INTERRUPT_TABLE: u64 = 0x3_1000;
pub(crate) const INTERRUPT_TABLE_REGISTER: u64 = 0x3_2000;
pub(crate) const HANDLER: u64 = layout::PROGRAM + 0x1000;
pub(crate) const VECTOR: u8 = 0x30;

pub(crate) const LOCAL_APIC: u64 = 0xFEE0_0000;
pub(crate) const IO_APIC: u64 = 0xFEC0_0000;

/// The whole way from a reset to a device that works.
pub(crate) fn set_up(window: u64) -> Assembler {
    let registers = [
        (0x70, 0),
        (0x70, 1),
        (0x70, 3),
        (0x24, 1),
        (0x20, 1),
        (0x70, 0xB),
        (0x30, 0),
        (0x38, 8),
        (0x80, TABLE as u32),
        (0x90, AVAILABLE as u32),
        (0xA0, USED as u32),
        (0x44, 1),
        (0x70, 0xF),
    ];
    registers.into_iter().fold(Assembler::new(), |code, (register, value)| code.store32(window + register, value))
}

/// Lets the first device's interrupt come.
pub(crate) fn hear_interrupts(code: Assembler) -> Assembler {
    hear_interrupt(code, layout::VIRTIO_INTERRUPT)
}

/// Lets an interrupt come, at `VECTOR`, and from one chip: the two old controllers hear of it as well, and are told to
/// keep silent, as every kernel does.
pub(crate) fn hear_interrupt(code: Assembler, interrupt: u32) -> Assembler {
    let entry = 0x10 + 2 * interrupt;
    code.load_interrupt_table(INTERRUPT_TABLE_REGISTER)
        .out8(0x21, 0xFF)
        .out8(0xA1, 0xFF)
        .store32(LOCAL_APIC + 0xF0, 0x1FF)
        .store32(IO_APIC, entry)
        .store32(IO_APIC + 0x10, VECTOR.into())
        .store32(IO_APIC, entry + 1)
        .store32(IO_APIC + 0x10, 0)
}

/// A machine with one device, its handler of interrupts, and one request in its queue.
pub(crate) fn machine(
    test: &str,
    device: Box<dyn Device>,
    request: &[(u64, u32, u16)],
    program: &Assembler,
) -> Option<Machine> {
    let mut machine = super::machine(&super::hypervisor(test)?, 1, program);
    assert_eq!(machine.add_virtio(device).unwrap(), layout::VIRTIO);
    load_handler(&machine);
    load_request(&machine, request);
    Some(machine)
}

/// What happens at [`VECTOR`] when a device is heard.
pub(crate) fn load_handler(machine: &Machine) {
    let handler = Assembler::new()
        .copy32(layout::VIRTIO + 0x60, NOTE)
        .store32(layout::VIRTIO + 0x64, 1)
        .store32(LOCAL_APIC + 0xB0, 0)
        .return_from_interrupt();
    load_handler_of(machine, &handler);
}

/// This happens at [`VECTOR`].
pub(crate) fn load_handler_of(machine: &Machine, handler: &Assembler) {
    machine.load(HANDLER, handler.code()).unwrap();
    let [a, b, c, d, ..] = HANDLER.to_le_bytes();
    let gate = [a, b, 0x10, 0, 0, 0x8E, c, d, 0, 0, 0, 0, 0, 0, 0, 0];
    machine.load(INTERRUPT_TABLE + 16 * u64::from(VECTOR), &gate).unwrap();
    let register = [0xFFF_u16.to_le_bytes().as_slice(), &INTERRUPT_TABLE.to_le_bytes()].concat();
    machine.load(INTERRUPT_TABLE_REGISTER, &register).unwrap();
}

/// The first in the queue.
pub(crate) fn load_request(machine: &Machine, request: &[(u64, u32, u16)]) {
    for (place, (address, length, flags)) in (0..).zip(request) {
        let next: u16 = place + 1;
        let flags = flags | u16::from(usize::from(next) < request.len());
        let mut bytes = [address.to_le_bytes().as_slice(), &length.to_le_bytes()].concat();
        bytes.extend([flags.to_le_bytes(), next.to_le_bytes()].concat());
        machine.load(TABLE + u64::from(place) * 16, &bytes).unwrap();
    }
    machine.load(AVAILABLE + 2, &1_u16.to_le_bytes()).unwrap();
}
