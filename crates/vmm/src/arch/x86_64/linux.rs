//! A Linux with all that it has to know at its start, in the guest's memory: Linux's boot protocol, by its 64-bit entry.
//!
//! ```text
//! zero page  what the machine has, where the rest is         command line
//! ACPI       processors, chips, devices                  BIOS: a way to begin anew
//! 1 MiB      the kernel, where it wants to be ... the initramfs, as high as it may be
//! ```

use std::fs::File;
use std::io::{self, Seek};

use linux_loader::cmdline::Cmdline;
use linux_loader::loader::{self, load_cmdline};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryRegion};

use crate::generation::GenerationError;
use crate::memory::Memory;

use super::acpi;
use super::bios;
use super::cpus::Start;
use super::kernel::Kernel;
use super::layout;
use super::words::WORDS;
use super::zero_page::{self, Initramfs};

/// What is to be booted. Files are read to their end, from their start.
#[derive(Debug)]
pub struct Linux<'a> {
    /// The kernel: a bzImage, which unpacks itself in the guest, or an ELF program as [`unpack`](super::unpack) makes it of one.
    pub kernel: File,
    /// The words it is started with, behind those that all are.
    pub command_line: &'a str,
    /// The files that it begins with.
    pub initramfs: Option<File>,
}

/// Why a Linux could not be put into a machine.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// Its file cannot be read.
    #[error("the kernel's file cannot be read: {0}")]
    Kernel(#[from] io::Error),
    /// That of its initramfs cannot be read.
    #[error("the initramfs cannot be read: {0}")]
    Initramfs(io::Error),
    /// It is something else.
    #[error("this is no Linux kernel for x86-64: give it a distribution's `vmlinuz`, or a `vmlinux`")]
    NotAKernel,
    /// It has no entry in 64-bit mode.
    #[error("this kernel cannot be started in 64-bit mode: give it one for x86-64, of Linux 3.8 or later")]
    Old,
    /// Less is there than it says.
    #[error("the kernel's file is damaged or not complete: fetch it again ({0})")]
    Damaged(loader::Error),
    /// It would lie on what it is told at its start, or begin outside of itself.
    #[error(
        "this kernel wants to be at {start:#x} and to begin at {entry:#x}: it has to be above {:#x} and to begin within itself",
        layout::PROGRAM
    )]
    Misplaced {
        /// Where it wants to be.
        start: u64,
        /// Where it wants to begin.
        entry: u64,
    },
    /// It does not fit.
    #[error("the kernel needs the guest's first {} MiB of memory, and the guest has {} there: give it more, or a smaller kernel", mib(*.needs), .has >> 20)]
    KernelTooLarge {
        /// Up to which address it needs memory.
        needs: u64,
        /// Up to which there is some, below the windows of devices.
        has: u64,
    },
    /// There is no place for it above the kernel.
    #[error(
        "the initramfs has {} MiB, and the guest's memory has {} for it above the kernel: give it more, or a smaller initramfs",
        mib(*.length),
        .room >> 20
    )]
    InitramfsTooLarge {
        /// How long it is.
        length: u64,
        /// How much room there is.
        room: u64,
    },
    /// Linux would not read all of it, or not as it was meant.
    #[error("the kernel's command line has to be printable ASCII of less than {room} bytes ({0})", room = layout::COMMAND_LINE_ROOM.saturating_sub(WORDS.len()))]
    CommandLine(linux_loader::cmdline::Error),
    /// What it has to know does not fit below the kernel.
    #[error("the guest has too little memory: there is none at {address:#x}, where a kernel is told of its machine")]
    TooLittleMemory {
        /// Where.
        address: u64,
    },
    /// It could not be told of its machine's generation.
    #[error(transparent)]
    Generation(#[from] GenerationError),
}

/// As whole MiB, none too few.
fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// Puts it into the memory of a machine with so many processors and virtio devices.
///
/// The kernel first: what it is told stands below it, and whatever its file says, is written later.
pub(crate) fn load(memory: &Memory, cpus: u8, devices: u32, linux: Linux<'_>) -> Result<Start, BootError> {
    let Linux { mut kernel, command_line, initramfs } = linux;
    let kernel = Kernel::load(memory, low_end(memory), &mut kernel)?;
    let initramfs = initramfs.map(|file| load_initramfs(memory, &kernel, file)).transpose()?;
    write_command_line(memory, command_line)?;
    write(memory, layout::ACPI.start, &acpi::tables(cpus, devices))?;
    write(memory, layout::BIOS_ENTRY, &bios::ENTRY)?;
    let page = zero_page::fill(&kernel, initramfs, memory);
    memory.write_obj(page, GuestAddress(layout::ZERO_PAGE)).map_err(too_little(layout::ZERO_PAGE))?;
    Ok(Start { entry: kernel.entry, argument: layout::ZERO_PAGE })
}

/// Where memory ends that is reached from its start: at the windows of devices, at the latest.
pub(super) fn low_end(memory: &Memory) -> u64 {
    memory.find_region(GuestAddress(0)).map_or(0, GuestMemoryRegion::len)
}

/// As high as it may be, so that the kernel has the room above itself.
fn load_initramfs(memory: &Memory, kernel: &Kernel, mut file: File) -> Result<Initramfs, BootError> {
    const PAGE: u64 = 0x1000;
    let length = file.seek(io::SeekFrom::End(0)).map_err(BootError::Initramfs)?;
    file.rewind().map_err(BootError::Initramfs)?;
    let end = low_end(memory).min(u64::from(kernel.header.initrd_addr_max).saturating_add(1));
    let room = end.saturating_sub(kernel.end);
    let too_large = BootError::InitramfsTooLarge { length, room };
    let Some(start) = end.checked_sub(length).map(|start| start & !PAGE.wrapping_sub(1)) else { return Err(too_large) };
    if start < kernel.end {
        return Err(too_large);
    }
    let bytes = usize::try_from(length).unwrap_or(usize::MAX);
    memory
        .read_exact_volatile_from(GuestAddress(start), &mut file, bytes)
        .map_err(|error| BootError::Initramfs(io::Error::other(error)))?;
    Ok(Initramfs { start, length })
}

fn write_command_line(memory: &Memory, words: &str) -> Result<(), BootError> {
    let mut line = Cmdline::new(layout::COMMAND_LINE_ROOM).map_err(BootError::CommandLine)?;
    line.insert_str(WORDS).map_err(BootError::CommandLine)?;
    line.insert_str(words).map_err(BootError::CommandLine)?;
    load_cmdline(memory, GuestAddress(layout::COMMAND_LINE), &line)
        .map_err(|_| BootError::TooLittleMemory { address: layout::COMMAND_LINE })
}

fn write(memory: &Memory, address: u64, bytes: &[u8]) -> Result<(), BootError> {
    memory.write_slice(bytes, GuestAddress(address)).map_err(too_little(address))
}

fn too_little<E>(address: u64) -> impl Fn(E) -> BootError {
    move |_| BootError::TooLittleMemory { address }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::memory::MemorySize;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    /// An ELF program for x86-64 of one segment: to be at `start`, so long in the file and in memory, and to begin at `entry`.
    fn elf(start: u64, in_file: u64, in_memory: u64, entry: u64) -> Vec<u8> {
        let mut bytes = vec![0; 0x78];
        bytes[..6].copy_from_slice(&[0x7F, b'E', b'L', b'F', 2, 1]);
        bytes[18] = 62;
        (bytes[32], bytes[54], bytes[56]) = (64, 56, 1);
        bytes[24..32].copy_from_slice(&entry.to_le_bytes());
        bytes[64] = 1;
        for (at, value) in [(72, 0x78), (88, start), (96, in_file), (104, in_memory)] {
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        bytes.resize(0x78 + 0x100, 0x90);
        bytes
    }

    /// A bzImage of one sector of set-up and so much behind it.
    fn bzimage(behind: usize) -> Vec<u8> {
        let mut bytes = vec![0x90; 1024 + behind];
        bytes[0x1F1] = 1;
        bytes[0x202..0x208].copy_from_slice(b"HdrS\x0F\x02");
        bytes[0x211] = 1;
        for (at, value) in
            [(0x214, 1_u32 << 20), (0x22C, 0x7FFF_FFFF), (0x236, 1), (0x258, 1 << 20), (0x25C, 0), (0x260, 1 << 20)]
        {
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    /// Into 4 MiB.
    fn boot(kernel: &[u8], initramfs: Option<usize>, command_line: &str) -> Result<(Start, Memory), BootError> {
        let memory = MemorySize::mib(4).unwrap().map().unwrap();
        let initramfs = initramfs.map(|length| file(&vec![b'i'; length]));
        let start = load(&memory, 1, 1, Linux { kernel: file(kernel), command_line, initramfs })?;
        Ok((start, memory))
    }

    fn refused(kernel: &[u8]) -> BootError {
        boot(kernel, None, "").err().unwrap()
    }

    fn read<const N: usize>(memory: &Memory, address: u64) -> [u8; N] {
        let mut bytes = [0; N];
        memory.read_slice(&mut bytes, GuestAddress(address)).unwrap();
        bytes
    }

    fn zero_page(memory: &Memory, field: u64) -> u32 {
        u32::from_le_bytes(read(memory, layout::ZERO_PAGE + field))
    }

    #[test]
    fn an_elf_program_is_put_where_it_wants_to_be() {
        let (start, memory) = boot(&elf(0x20_0000, 0x100, 0x1000, 0x20_0004), None, "quiet").unwrap();
        assert_eq!(start, Start { entry: 0x20_0004, argument: layout::ZERO_PAGE });
        assert_eq!((read(&memory, 0x20_00FF), read(&memory, 0x20_0100)), ([0x90], [0]));
        let said: [u8; WORDS.len() + " quiet\0".len()] = read(&memory, u64::from(zero_page(&memory, 0x228)));
        assert_eq!(said, *format!("{WORDS} quiet\0").as_bytes());
        assert_eq!((read(&memory, u64::from(zero_page(&memory, 0x70))), zero_page(&memory, 0x218)), (*b"RSD PTR ", 0));
    }

    #[test]
    fn a_bzimage_begins_at_its_64_bit_entry() {
        let (start, memory) = boot(&bzimage(0x400), None, "").unwrap();
        assert_eq!(start.entry, 0x10_0200);
        assert_eq!(read(&memory, 0x10_0000), [0x90; 0x400]);
        assert_eq!(read(&memory, layout::ZERO_PAGE + 0x202), *b"HdrS\x0F\x02");
    }

    #[test]
    fn an_initramfs_is_as_high_as_it_may_be() {
        for kernel in [elf(0x20_0000, 0x100, 0x1000, 0x20_0000), bzimage(0x400)] {
            let (_, memory) = boot(&kernel, Some(0x1234), "").unwrap();
            assert_eq!((zero_page(&memory, 0x218), zero_page(&memory, 0x21C)), ((4 << 20) - 0x2000, 0x1234));
            assert_eq!(read(&memory, (4 << 20) - 0x2000), [b'i'; 0x1234]);
        }
    }

    #[test]
    fn what_is_larger_than_the_memory_is_refused_with_what_it_needs() {
        let kernels =
            [elf(0x20_0000, 0x100, 0x20_0001, 0x20_0000), elf(0x40_0000, 0x100, 0x100, 0x40_0000), bzimage(3 << 20)];
        for kernel in kernels {
            let error = refused(&kernel);
            assert!(matches!(error, BootError::KernelTooLarge { has: 0x40_0000, .. }), "{error}");
            assert!(error.to_string().contains("first 5 MiB") && error.to_string().contains("has 4 there"), "{error}");
        }
        let unpacked = [&bzimage(0x400)[..0x260], &(4_u32 << 20).to_le_bytes(), &[0; 0x800]].concat();
        assert!(matches!(refused(&unpacked), BootError::KernelTooLarge { needs: 0x50_0000, .. }));
        assert!(matches!(
            refused(&elf(u64::MAX, 0x100, 2, u64::MAX)),
            BootError::KernelTooLarge { needs: u64::MAX, .. }
        ));
    }

    #[test]
    fn an_initramfs_that_would_lie_on_the_kernel_is_refused() {
        let kernel = elf(0x20_0000, 0x100, 0x10_0000, 0x20_0000);
        boot(&kernel, Some(1 << 20), "").unwrap();
        for length in [(1 << 20) + 1, 5 << 20] {
            let error = boot(&kernel, Some(length), "").err().unwrap();
            assert!(matches!(error, BootError::InitramfsTooLarge { room: 0x10_0000, .. }), "{error}");
        }
    }

    #[test]
    fn a_kernel_below_what_it_is_told_or_that_begins_elsewhere_is_refused() {
        for (start, entry) in [(0x7000, 0x7000), (0xF_F000, 0xF_F000), (0x20_0000, 0x1F_FFFF), (0x20_0000, 0x20_1000)] {
            let error = refused(&elf(start, 0x100, 0x1000, entry));
            assert!(matches!(error, BootError::Misplaced { .. }), "{start:#x} {entry:#x}: {error}");
        }
    }

    #[test]
    fn what_is_no_kernel_is_refused() {
        let mut for_arm = elf(0x20_0000, 0x100, 0x1000, 0x20_0000);
        for_arm[18] = 183;
        let mut narrow = elf(0x20_0000, 0x100, 0x1000, 0x20_0000);
        narrow[4] = 1;
        for kernel in [b"".as_slice(), b"\x7F", b"\x7FELF", b"#!/bin/sh\n", &[0; 4096], &for_arm, &narrow] {
            let error = refused(kernel);
            assert!(matches!(error, BootError::NotAKernel), "{error}");
        }
        let mut without_64_bits = bzimage(0x400);
        without_64_bits[0x236] = 0;
        assert!(matches!(refused(&without_64_bits), BootError::Old));
    }

    #[test]
    fn a_kernel_that_is_cut_short_anywhere_is_refused() {
        let whole = elf(0x20_0000, 0x100, 0x1000, 0x20_0000);
        for length in 0..whole.len() {
            refused(&whole[..length]);
        }
        let whole = bzimage(0);
        for length in 0..0x268 {
            refused(&whole[..length]);
        }
    }

    #[test]
    fn a_command_line_that_linux_would_not_read_as_it_is_meant_is_refused() {
        let kernel = bzimage(0x400);
        let room = 2047 - WORDS.len() - 1;
        boot(&kernel, None, &"a".repeat(room)).unwrap();
        for line in ["a".repeat(room + 1), "a\nb".to_owned(), "a\0b".to_owned(), "gr\u{fc}n".to_owned()] {
            let error = boot(&kernel, None, &line).err().unwrap();
            assert!(matches!(error, BootError::CommandLine(_)), "{error}");
        }
    }
    /// Numbers that lie at an end of something.
    fn at_an_end() -> impl Strategy<Value = u64> {
        let ends = prop::sample::select(vec![
            0,
            1,
            0x40,
            0x78,
            0x1000,
            1 << 20,
            2 << 20,
            4 << 20,
            1 << 31,
            1 << 32,
            1 << 63,
            u64::MAX,
        ]);
        (ends, -2..=2_i64).prop_map(|(end, more)| end.wrapping_add_signed(more))
    }

    proptest! {
        /// Whatever a file says of itself: it is refused, or begins within the guest's memory. Its 8 bytes at any place are changed.
        #[test]
        fn a_file_of_lies_never_does_more_than_fail(is_elf: bool, lies in prop::collection::vec((0..0x270_usize, at_an_end(), 1..=8_usize), 1..4)) {
            let mut kernel = if is_elf { elf(0x20_0000, 0x100, 0x1000, 0x20_0000) } else { bzimage(0x400) };
            for (at, lie, length) in lies {
                let places = kernel.iter_mut().skip(at);
                places.zip(lie.to_le_bytes()).take(length).for_each(|(place, byte)| *place = byte);
            }
            if let Ok((start, _)) = boot(&kernel, Some(0x1000), "quiet") {
                prop_assert!((layout::PROGRAM..4 << 20).contains(&start.entry), "{start:x?}");
            }
        }
    }
}
