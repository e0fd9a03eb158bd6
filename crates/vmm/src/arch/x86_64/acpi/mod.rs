//! The tables by which a kernel learns what its machine consists of, as ACPI has them: processors and interrupt controllers,
//! the switch, and where devices stand.
//!
//! ```text
//! root pointer --> XSDT --> FADT (what is fixed: hardware-reduced, the switch, the reset) --> DSDT (devices, as byte code)
//!                     '---> MADT (processors and interrupt controllers)
//! ```
//!
//! All of them stand one after the other in [`layout::ACPI`], which no kernel takes for memory. What is in them is made of
//! constants of ours and two numbers, how many processors and how many devices; nothing a guest says ever comes in.

mod devices;

use acpi_tables::Aml;
use acpi_tables::fadt::{FADTBuilder, Flags, PmProfile};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};
use acpi_tables::madt::{EnabledStatus, IoApic, LocalInterruptController, MADT, ProcessorLocalApic};
use acpi_tables::rsdp::Rsdp;
use acpi_tables::sdt::Sdt;
use acpi_tables::xsdt::XSDT;

use super::layout;

/// Who made the tables.
const MAKER: [u8; 6] = *b"FIREBX";
const NAME: [u8; 8] = *b"MICROVM ";
const REVISION: u32 = 1;

/// Of the header that every table has.
const HEADER: u32 = 36;
/// The revision of byte code that counts with 64 bits.
const WIDE_BYTE_CODE: u8 = 2;

/// What has never been here: VGA, interrupts by message, power states of PCI Express, a clock in CMOS.
const ABSENT: u16 = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5;

/// The tables of a machine, to be put at [`layout::ACPI`]: the root pointer is at its start.
pub(super) fn tables(cpus: u8, devices: u32) -> Vec<u8> {
    let mut tables = Tables { bytes: vec![0; Rsdp::len()] };
    let devices = tables.add(&byte_code(devices));
    let fixed = tables.add(&fixed(devices));
    let processors = tables.add(&processors(cpus));
    let mut all = XSDT::new(MAKER, NAME, REVISION);
    all.add_entry(fixed);
    all.add_entry(processors);
    let all = tables.add(&all);
    let mut root = Vec::new();
    Rsdp::new(MAKER, all).to_aml_bytes(&mut root);
    tables.bytes.splice(..root.len(), root);
    tables.bytes
}

/// Tables, as they will stand in the guest's memory.
struct Tables {
    bytes: Vec<u8>,
}

impl Tables {
    /// Puts one behind the others, and tells its address.
    fn add(&mut self, table: &dyn Aml) -> u64 {
        /// None needs more.
        const ALIGNMENT: usize = 16;
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
        let address = layout::ACPI.start.saturating_add(self.bytes.len() as u64);
        table.to_aml_bytes(&mut self.bytes);
        address
    }
}

fn byte_code(devices: u32) -> Sdt {
    let mut table = Sdt::new(*b"DSDT", HEADER, WIDE_BYTE_CODE, MAKER, NAME, REVISION);
    table.append_slice(&devices::byte_code(devices));
    table
}

/// Hardware-reduced: no timers, events and buttons of old, and for the switch two registers of a byte.
fn fixed(devices: u64) -> impl Aml {
    let port = |number: u64| GAS::new(AddressSpace::SystemIo, 8, 0, AccessSize::ByteAccess, number);
    let mut table =
        FADTBuilder::new(MAKER, NAME, REVISION).dsdt_64(devices).preferred_pm_profile(PmProfile::Unspecified);
    for flag in [Flags::HwReducedAcpi, Flags::ResetRegSup, Flags::Headless, Flags::Wbinvd] {
        table = table.flag(flag);
    }
    // The fixed ones are not there.
    table = table.flag(Flags::PwrButton).flag(Flags::SlpButton);
    table.iapc_boot_arch = ABSENT.into();
    table.reset_reg = port(layout::RESET_PORT);
    table.reset_value = layout::RESET;
    table.sleep_control_reg = port(layout::POWER.start);
    table.sleep_status_reg = port(layout::POWER_STATUS);
    table.finalize()
}

fn processors(count: u8) -> MADT {
    let mut table = MADT::new(MAKER, NAME, REVISION, LocalInterruptController::Address(layout::LOCAL_APIC));
    for number in 0..count {
        table.add_structure(ProcessorLocalApic::new(number, number, EnabledStatus::Enabled));
    }
    table.add_structure(IoApic::new(0, layout::IO_APIC, 0));
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Settings;

    /// A table by its place: its name and its bytes, whose sum has to be nothing.
    fn table(all: &[u8], address: u64) -> (&[u8], &[u8]) {
        let from = &all[(address - layout::ACPI.start) as usize..];
        let length = u32::from_le_bytes(from[4..8].try_into().unwrap()) as usize;
        let table = &from[..length];
        assert_eq!(sum(table), 0, "{}", String::from_utf8_lossy(&table[..4]));
        (&table[..4], table)
    }

    fn sum(bytes: &[u8]) -> u8 {
        bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
    }

    fn number(bytes: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
    }

    /// From the root pointer on: FADT, DSDT and MADT.
    fn walk(all: &[u8]) -> [&[u8]; 3] {
        assert_eq!((&all[..8], sum(&all[..20]), sum(&all[..36])), (b"RSD PTR ".as_slice(), 0, 0));
        let (name, root) = table(all, number(all, 24));
        assert_eq!((name, root.len()), (b"XSDT".as_slice(), 36 + 2 * 8));
        let (name, fixed) = table(all, number(root, 36));
        assert_eq!((name, fixed.len()), (b"FACP".as_slice(), 276));
        let (name, processors) = table(all, number(root, 44));
        assert_eq!(name, b"APIC");
        let (name, devices) = table(all, number(fixed, 140));
        assert_eq!(name, b"DSDT");
        [fixed, devices, processors]
    }

    #[test]
    fn every_table_is_reached_from_the_root_and_sums_to_nothing() {
        for (cpus, devices) in [(1, 0), (1, 1), (2, 3), (32, 19)] {
            walk(&tables(cpus, devices));
        }
    }

    #[test]
    fn those_of_the_largest_machine_fit_where_they_are_put() {
        let devices = layout::INTERRUPTS - layout::VIRTIO_INTERRUPT;
        let length = tables(Settings::MOST_CPUS, devices).len() as u64;
        assert!(length <= layout::ACPI.end - layout::ACPI.start, "{length} bytes");
    }

    #[test]
    fn the_fixed_table_tells_the_switch_and_the_reset() {
        let all = tables(1, 0);
        let [fixed, ..] = walk(&all);
        let flags = u32::from_le_bytes(fixed[112..116].try_into().unwrap());
        assert_eq!(flags & (1 << 20 | 1 << 10), 1 << 20 | 1 << 10, "{flags:#x}");
        // The generic address of a port of 8 bits, and where it is.
        let port = |at: usize| (fixed[at..at + 4] == [1, 8, 0, 1]).then(|| number(fixed, at + 4));
        assert_eq!((port(116), fixed[128]), (Some(0x64), 0xFE));
        assert_eq!((port(244), port(256)), (Some(0x600), Some(0x601)));
    }

    #[test]
    fn each_processor_and_the_chips_are_told_of() {
        let all = tables(3, 0);
        let [.., processors] = walk(&all);
        assert_eq!(processors[36..40], 0xFEE0_0000_u32.to_le_bytes());
        let entries = (0..3).flat_map(|number: u8| [0, 8, number, number, 1, 0, 0, 0]);
        let chip = [1, 12, 0, 0, 0, 0, 0xC0, 0xFE, 0, 0, 0, 0];
        assert_eq!(processors[44..], entries.chain(chip).collect::<Vec<_>>());
    }
}
