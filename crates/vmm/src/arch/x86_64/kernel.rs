//! A kernel in the guest's memory: from a bzImage, which unpacks itself there, or from an ELF program, which runs as it is.
//!
//! Whoever gives the file is trusted with what runs in the guest, and with nothing else: all that a file says of itself is checked
//! against the file and the guest's memory before a byte of it is used.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};

use linux_loader::elf::{EM_X86_64, Elf64_Ehdr, Elf64_Phdr, PT_LOAD};
use linux_loader::loader::bootparam::{XLF_KERNEL_64, setup_header};
use linux_loader::loader::{BzImage, Elf, Error as LoaderError, KernelLoader, bzimage, elf};
use vm_memory::{ByteValued, GuestAddress};

use crate::memory::Memory;

use super::layout;
use super::linux::BootError;

/// Where it is, and what it wants.
pub(super) struct Kernel {
    /// Its first instruction in 64-bit mode.
    pub(super) entry: u64,
    /// It needs the memory up to here.
    pub(super) end: u64,
    /// What it says of itself, which it is told again.
    pub(super) header: setup_header,
}

const ELF: [u8; 4] = [0x7F, b'E', b'L', b'F'];
/// Of 64 bits, the lowest byte first.
pub(super) const WIDE_LITTLE_ENDIAN: [u8; 2] = [2, 1];

/// The boot protocol of Linux 3.8, in which the 64-bit entry was promised.
const WITH_64_BIT_ENTRY: u16 = 0x020C;
/// Where that is in a bzImage, from the start of what is loaded.
const ENTRY_64: u64 = 0x200;
/// The last byte that an initramfs may have, where a kernel does not say: what bzImages have said for ever.
const INITRAMFS_MAX: u32 = 0x7FFF_FFFF;

impl Kernel {
    /// Puts it into memory that ends at `memory_end`.
    pub(super) fn load(memory: &Memory, memory_end: u64, file: &mut File) -> Result<Kernel, BootError> {
        let mut magic = ELF;
        file.rewind()?;
        file.read_exact(&mut magic).map_err(not_a_kernel_if_short)?;
        if magic == ELF { from_elf(memory, memory_end, file) } else { from_bzimage(memory, memory_end, file) }
    }
}

fn not_a_kernel_if_short(error: std::io::Error) -> BootError {
    if error.kind() == ErrorKind::UnexpectedEof { BootError::NotAKernel } else { BootError::Kernel(error) }
}

fn fits(end: Option<u64>, memory_end: u64) -> Result<u64, BootError> {
    let needs = end.unwrap_or(u64::MAX);
    if needs <= memory_end { Ok(needs) } else { Err(BootError::KernelTooLarge { needs, has: memory_end }) }
}

fn from_elf(memory: &Memory, memory_end: u64, file: &mut File) -> Result<Kernel, BootError> {
    let mut header = Elf64_Ehdr::default();
    file.rewind()?;
    file.read_exact(header.as_mut_slice()).map_err(not_a_kernel_if_short)?;
    let [_, _, _, _, class, order, ..] = header.e_ident;
    if [class, order] != WIDE_LITTLE_ENDIAN || header.e_machine != EM_X86_64 {
        return Err(BootError::NotAKernel);
    }
    let (mut start, mut end) = (u64::MAX, 0);
    for segment in segments(&header, file)? {
        start = start.min(segment.p_paddr);
        end = end.max(fits(segment.p_paddr.checked_add(segment.p_memsz.max(segment.p_filesz)), memory_end)?);
    }
    let entry = header.e_entry;
    if start < layout::PROGRAM || !(start..end).contains(&entry) {
        return Err(BootError::Misplaced { start, entry });
    }
    // An offset of nothing: without one, notes for another way to boot would be looked for.
    Elf::load(memory, Some(GuestAddress(0)), file, None).map_err(BootError::Damaged)?;
    let header = setup_header { initrd_addr_max: INITRAMFS_MAX, ..setup_header::default() };
    Ok(Kernel { entry, end, header })
}

/// What of the file is to be in memory.
fn segments(header: &Elf64_Ehdr, file: &mut File) -> Result<Vec<Elf64_Phdr>, BootError> {
    let damaged = |_| BootError::Damaged(LoaderError::Elf(elf::Error::ReadProgramHeader));
    file.seek(SeekFrom::Start(header.e_phoff)).map_err(damaged)?;
    let mut segments = Vec::new();
    for _ in 0..header.e_phnum {
        let mut segment = Elf64_Phdr::default();
        file.read_exact(segment.as_mut_slice()).map_err(damaged)?;
        if segment.p_type == PT_LOAD {
            segments.push(segment);
        }
    }
    Ok(segments)
}

fn from_bzimage(memory: &Memory, memory_end: u64, file: &mut File) -> Result<Kernel, BootError> {
    let length = file.seek(SeekFrom::End(0))?;
    fits(layout::PROGRAM.checked_add(length), memory_end)?;
    let loaded =
        BzImage::load(memory, Some(GuestAddress(layout::PROGRAM)), file, None).map_err(|error| match error {
            LoaderError::Bzimage(bzimage::Error::InvalidBzImage) => BootError::NotAKernel,
            other => BootError::Damaged(other),
        })?;
    let header = loaded.setup_header.unwrap_or_default();
    if header.version < WITH_64_BIT_ENTRY || header.xloadflags & XLF_KERNEL_64 == 0 {
        return Err(BootError::Old);
    }
    // It moves to where it wants to be, and unpacks itself from there on.
    let unpacked = header.pref_address.max(layout::PROGRAM).checked_add(header.init_size.into());
    let end = fits(unpacked, memory_end)?.max(loaded.kernel_end);
    Ok(Kernel { entry: layout::PROGRAM.saturating_add(ENTRY_64), end, header })
}
