//! A processor's first moment: already in 64-bit mode, with memory below 4 GiB at its own addresses.
//!
//! That is how Linux's 64-bit boot protocol wants it, and it spares a guest the way from 1978 to today.

#![cfg_attr(
    not(test),
    expect(clippy::arithmetic_side_effects, reason = "constants of ours are computed with, before there is a guest")
)]

use kvm_bindings::{kvm_dtable, kvm_fpu, kvm_regs, kvm_sregs};
use kvm_ioctls::VcpuFd;
use vm_memory::{Bytes, GuestAddress};

use crate::memory::Memory;

use super::cpus::{SetupError, Start};
use super::descriptors::{CODE, DATA, LENGTH, TABLE, TASK};
use super::layout::{DESCRIPTORS, PAGE_TABLES, STACK};

const PROTECTED: u64 = 1;
const EXTENSION_TYPE: u64 = 1 << 4;
const PAGING: u64 = 1 << 31;
const PHYSICAL_ADDRESS_EXTENSION: u64 = 1 << 5;
const LONG_MODE_ENABLED: u64 = 1 << 8;
const LONG_MODE_ACTIVE: u64 = 1 << 10;

/// Of an entry in a page table. Everything is for every ring: a guest that wants walls builds them itself.
const PRESENT_WRITABLE_USER: u64 = 0b111;
const LARGE: u64 = 1 << 7;
const PAGE: u64 = 0x1000;
const LARGE_PAGE: u64 = 2 << 20;
const ENTRIES: u64 = 512;
/// One directory maps a GiB; so many are there.
const DIRECTORIES: u64 = 4;

/// As it is after a reset: every exception masked, rounding to nearest, extended precision.
const FLOATING_POINT_CONTROL: u16 = 0x37F;
const VECTOR_CONTROL: u32 = 0x1F80;
/// The one flag that is always set.
const FLAGS: u64 = 1 << 1;

/// Makes a processor begin in 64-bit mode.
pub(super) fn begin(cpu: &VcpuFd, memory: &Memory, start: &Start) -> Result<(), SetupError> {
    write_tables(memory)?;
    let special = cpu.get_sregs().map_err(SetupError::refused("read the special registers"))?;
    cpu.set_sregs(&special_registers(special)).map_err(SetupError::refused("set the special registers"))?;
    let floating = kvm_fpu { fcw: FLOATING_POINT_CONTROL, mxcsr: VECTOR_CONTROL, ..kvm_fpu::default() };
    cpu.set_fpu(&floating).map_err(SetupError::refused("set the floating-point registers"))?;
    let Start { entry, argument } = *start;
    let general = kvm_regs { rip: entry, rsi: argument, rsp: STACK, rbp: STACK, rflags: FLAGS, ..kvm_regs::default() };
    cpu.set_regs(&general).map_err(SetupError::refused("set the registers"))
}

fn special_registers(before: kvm_sregs) -> kvm_sregs {
    let [_, _, code, data, task, ..] = TABLE;
    let (code, data, task) = (code.segment(CODE), data.segment(DATA), task.segment(TASK));
    kvm_sregs {
        cs: code,
        ds: data,
        es: data,
        fs: data,
        gs: data,
        ss: data,
        tr: task,
        gdt: kvm_dtable { base: DESCRIPTORS, limit: (TABLE.len() * LENGTH - 1) as u16, ..kvm_dtable::default() },
        // None: an exception before the guest has its own ends it, by a triple fault.
        idt: kvm_dtable::default(),
        cr0: before.cr0 | PROTECTED | EXTENSION_TYPE | PAGING,
        cr3: PAGE_TABLES,
        cr4: before.cr4 | PHYSICAL_ADDRESS_EXTENSION,
        efer: before.efer | LONG_MODE_ENABLED | LONG_MODE_ACTIVE,
        ..before
    }
}

fn write_tables(memory: &Memory) -> Result<(), SetupError> {
    let write = |address: u64, bytes: &[u8]| {
        memory.write_slice(bytes, GuestAddress(address)).map_err(|_| SetupError::TooLittleMemory { address })
    };
    write(DESCRIPTORS, &TABLE.map(|descriptor| descriptor.bytes()).concat())?;
    let (first, second) = (PAGE_TABLES, PAGE_TABLES + PAGE);
    let directories = second + PAGE;
    write(first, &(second | PRESENT_WRITABLE_USER).to_le_bytes())?;
    write(second, &entries(0..DIRECTORIES, |n| directories + n * PAGE))?;
    write(directories, &entries(0..DIRECTORIES * ENTRIES, |n| (n * LARGE_PAGE) | LARGE))
}

fn entries(numbers: std::ops::Range<u64>, entry: impl Fn(u64) -> u64) -> Vec<u8> {
    numbers.flat_map(|number| (entry(number) | PRESENT_WRITABLE_USER).to_le_bytes()).collect()
}
