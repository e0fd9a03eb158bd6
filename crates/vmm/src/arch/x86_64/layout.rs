//! Where everything stands in the guest's physical address space, and among its ports.
//!
//! ```text
//! 0           what the first instruction needs: descriptors, page tables, the stack; what Linux is told at its start
//! 0xE0000     ACPI's tables: no memory for the guest
//! 0xEF000     the identifier of the machine's generation, in a page of its own: likewise
//! 0xF0000     what is left of the BIOS: its entry
//! 1 MiB       programs and kernels
//! 3 GiB       the end of low memory; the windows of devices from here to 4 GiB
//! 4 GiB       the rest of the memory
//! ```

use std::ops::Range;

/// The table of segment descriptors.
pub(super) const DESCRIPTORS: u64 = 0x500;
/// The six pages of the page tables.
pub(super) const PAGE_TABLES: u64 = 0x9000;
/// The stack of the first program grows down from here.
pub const STACK: u64 = 0x8_0000;
/// The page that tells Linux what it was started with.
pub(super) const ZERO_PAGE: u64 = 0x7000;
/// Linux's command line.
pub(super) const COMMAND_LINE: u64 = 0x2_0000;
/// As much as Linux reads of it, with the zero at its end.
pub(super) const COMMAND_LINE_ROOM: usize = 2048;
/// The end of the memory that PCs have always had; from here to 1 MiB there has never been any.
pub(super) const LOW_END: u64 = 0xA_0000;
/// ACPI's tables, the root pointer first: where BIOSes leave it, too.
pub(super) const ACPI: Range<u64> = 0xE_0000..GENERATION;
/// The identifier of the machine's generation, in a page in which there is nothing else, as its specification wants it.
pub const GENERATION: u64 = 0xE_F000;
/// Where PCs have their BIOS, and where that begins.
pub(super) const BIOS: Range<u64> = 0xF_0000..0x10_0000;
pub(super) const BIOS_ENTRY: u64 = 0xF_FFF0;
/// Where programs are loaded; below stands what BIOSes left on real machines.
pub const PROGRAM: u64 = 0x10_0000;

/// Where memory must not be: devices have their windows here.
pub(crate) const GAP: Range<u64> = 0xC000_0000..0x1_0000_0000;
/// The windows of virtio devices, one after the other.
pub const VIRTIO: u64 = 0xD000_0000;
/// How long each of them is.
pub const VIRTIO_WINDOW: u64 = 0x1000;
/// The chips' own windows, where KVM puts them.
pub(super) const IO_APIC: u32 = 0xFEC0_0000;
pub(super) const LOCAL_APIC: u32 = 0xFEE0_0000;
/// Three pages that Intel's processors need for the real mode of a guest; no device may stand there.
pub(super) const TASK_STATE: usize = 0xFFFB_D000;

/// The interrupt that says a machine is of another generation. Those before it belong to old hardware.
pub const GENERATION_INTERRUPT: u32 = 5;
/// The interrupt of the first virtio device.
pub const VIRTIO_INTERRUPT: u32 = 6;
/// The input pins of the I/O APIC are the interrupts there are.
pub(crate) const INTERRUPTS: u32 = 24;

/// The first serial port.
pub const SERIAL: Range<u64> = 0x3F8..0x400;
/// Its interrupt, on every PC.
pub(crate) const SERIAL_INTERRUPT: u32 = 4;
/// The keyboard controller, which resets the machine.
pub const KEYBOARD: Range<u64> = 0x60..0x65;
/// Its port for commands, and the one command it knows.
pub(super) const RESET_PORT: u64 = 0x64;
pub(super) const RESET: u8 = 0xFE;
/// Where a guest that is timed says that it begins with something, and at last that it is done.
pub(crate) const STOPWATCH: u64 = 0x700;
/// The ports of the switch that takes the power away, as ACPI's sleep registers: first control, then status.
pub const POWER: Range<u64> = 0x600..0x602;
pub(super) const POWER_STATUS: u64 = 0x601;
/// The sleep that the power is taken away by.
pub(super) const POWER_OFF_SLEEP: u8 = 5;
/// What has to be written to control: that sleep, and the bit that begins it.
pub const POWER_OFF: u8 = POWER_OFF_SLEEP << 2 | 1 << 5;

/// The window of the virtio device of that number.
pub(crate) fn virtio_window(number: u32) -> Range<u64> {
    let start = VIRTIO.saturating_add(u64::from(number).saturating_mul(VIRTIO_WINDOW));
    start..start.saturating_add(VIRTIO_WINDOW)
}
