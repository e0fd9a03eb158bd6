//! The local APIC of a processor, with its two wires as the MultiProcessor Specification wants them at the start.

use kvm_bindings::kvm_lapic_state;
use kvm_ioctls::VcpuFd;

/// The entries for the two wires, among the registers: the byte of each that says what it delivers.
const WIRE_0: usize = 0x350 + MODE_BYTE;
const WIRE_1: usize = 0x360 + MODE_BYTE;
/// What a wire delivers: what the old controllers say, or an interrupt that cannot be masked.
const EXTERNAL: u8 = 0b111;
const NON_MASKABLE: u8 = 0b100;
/// That stands in bits 8 to 10.
const MODE_BYTE: usize = 1;
const MODE_MASK: u8 = 0b111;

/// Sets both wires of a processor.
pub(super) fn connect(cpu: &VcpuFd) -> Result<(), kvm_ioctls::Error> {
    let mut state = cpu.get_lapic()?;
    set_mode(&mut state, WIRE_0, EXTERNAL);
    set_mode(&mut state, WIRE_1, NON_MASKABLE);
    cpu.set_lapic(&state)
}

fn set_mode(state: &mut kvm_lapic_state, at: usize, mode: u8) {
    if let Some(byte) = state.regs.get_mut(at) {
        *byte = (byte.cast_unsigned() & !MODE_MASK | mode).cast_signed();
    }
}
