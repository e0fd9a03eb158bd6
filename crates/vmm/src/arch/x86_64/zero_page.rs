//! The page that tells a kernel what it was started with: Linux's `struct boot_params`.

use linux_loader::loader::bootparam::{LOADED_HIGH, boot_e820_entry, boot_params, setup_header};
use vm_memory::{Address, GuestMemoryBackend, GuestMemoryRegion};

use crate::memory::Memory;

use super::kernel::Kernel;
use super::layout;

/// Where an initramfs is. Below 4 GiB, all of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Initramfs {
    pub(super) start: u64,
    pub(super) length: u64,
}

/// Of what begins with a boot sector, and of Linux in particular.
const BOOT_SECTOR: u16 = 0xAA55;
const LINUX: u32 = u32::from_le_bytes(*b"HdrS");
/// A boot loader that has no number of its own.
const SOME_LOADER: u8 = 0xFF;

/// Kinds of memory: for any use, for none, and what ACPI's tables stand in.
const MEMORY: u32 = 1;
const RESERVED: u32 = 2;
const TABLES: u32 = 3;

/// The page for a kernel.
pub(super) fn fill(kernel: &Kernel, initramfs: Option<Initramfs>, memory: &Memory) -> boot_params {
    let initramfs = initramfs.unwrap_or(Initramfs { start: 0, length: 0 });
    let mut page = boot_params {
        hdr: setup_header {
            boot_flag: BOOT_SECTOR,
            header: LINUX,
            type_of_loader: SOME_LOADER,
            loadflags: kernel.header.loadflags | LOADED_HIGH,
            cmd_line_ptr: layout::COMMAND_LINE as u32,
            cmdline_size: layout::COMMAND_LINE_ROOM as u32,
            ramdisk_image: initramfs.start as u32,
            ramdisk_size: initramfs.length as u32,
            ..kernel.header
        },
        acpi_rsdp_addr: layout::ACPI.start,
        ..boot_params::default()
    };
    let map = map(memory);
    page.e820_entries = map.len() as u8;
    let mut table = page.e820_table;
    table.iter_mut().zip(map).for_each(|(entry, range)| *entry = range);
    page.e820_table = table;
    page
}

/// What is where in the guest's address space. Whatever is not in there is nothing, or a window of a device.
fn map(memory: &Memory) -> Vec<boot_e820_entry> {
    let entry =
        |start: u64, end: u64, kind| boot_e820_entry { addr: start, size: end.saturating_sub(start), r#type: kind };
    let mut map = vec![
        entry(0, layout::LOW_END, MEMORY),
        entry(layout::ACPI.start, layout::ACPI.end, TABLES),
        entry(layout::GENERATION, layout::BIOS.start, RESERVED),
        entry(layout::BIOS.start, layout::BIOS.end, RESERVED),
    ];
    for region in memory.iter() {
        // All but what has been told of.
        let start = region.start_addr().raw_value().max(layout::PROGRAM);
        map.push(entry(start, region.last_addr().raw_value().saturating_add(1), MEMORY));
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemorySize;

    fn told(mib: u64) -> Vec<(u64, u64, u32)> {
        let entries = map(&MemorySize::mib(mib).unwrap().map().unwrap());
        entries.iter().map(|entry| (entry.addr, entry.size, entry.r#type)).collect()
    }

    #[test]
    fn a_kernel_is_told_of_memory_and_of_no_window() {
        let low = [
            (0, 0xA_0000, MEMORY),
            (0xE_0000, 0xF000, TABLES),
            (0xE_F000, 0x1000, RESERVED),
            (0xF_0000, 0x1_0000, RESERVED),
        ];
        assert_eq!(told(512), [low.as_slice(), &[(1 << 20, 511 << 20, MEMORY)]].concat());
        let high = [(1 << 20, 3071 << 20, MEMORY), (4 << 30, 1 << 30, MEMORY)];
        assert_eq!(told(4096), [low.as_slice(), &high].concat());
    }

    #[test]
    fn what_a_kernel_says_of_itself_it_is_told_again() {
        let header = setup_header { version: 0x020F, xloadflags: 0x3F, loadflags: 2, ..setup_header::default() };
        let kernel = Kernel { entry: 0, end: 0, header };
        let initramfs = Initramfs { start: 0x7000_0000, length: 3 };
        let page = fill(&kernel, Some(initramfs), &MemorySize::LEAST.map().unwrap());
        let setup = page.hdr;
        assert_eq!(({ setup.version }, { setup.xloadflags }, setup.loadflags), (0x020F, 0x3F, 3));
        assert_eq!(({ setup.ramdisk_image }, { setup.ramdisk_size }, setup.type_of_loader), (0x7000_0000, 3, 0xFF));
        assert_eq!(({ setup.header }.to_le_bytes(), { setup.boot_flag }), (*b"HdrS", 0xAA55));
        assert_eq!({ page.acpi_rsdp_addr }, 0xE_0000);
    }
}
