//! Memory: pages from the kernel, and the functions that compiled code calls without being asked.

use core::arch::asm;
use core::ffi::{c_char, c_int, c_void};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

/// Zeroed memory that lives as long as the process. Pages that are never touched cost nothing.
pub(crate) fn pages(length: usize) -> rustix::io::Result<&'static mut [u8]> {
    // SAFETY: a null address lets the kernel choose a range that nothing else uses.
    let start = unsafe {
        mmap_anonymous(core::ptr::null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
    }?;
    // SAFETY: the mapping is `length` bytes long, readable, writable, zeroed (so every byte is a valid `u8`), owned
    // by nobody else, and never unmapped.
    Ok(unsafe { core::slice::from_raw_parts_mut(start.cast::<u8>(), length) })
}

/// Copies bytes between ranges that do not overlap.
///
/// # Safety
/// As for C's `memcpy`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut c_void, from: *const c_void, length: usize) -> *mut c_void {
    // SAFETY: the caller's promise covers all that `rep movsb` reads and writes; the direction flag is clear by ABI.
    unsafe {
        asm!("rep movsb", inout("rcx") length => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags));
    }
    to
}

/// Copies bytes between ranges that may overlap.
///
/// # Safety
/// As for C's `memmove`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut c_void, from: *const c_void, length: usize) -> *mut c_void {
    if (to as usize).wrapping_sub(from as usize) >= length {
        // SAFETY: copying upwards never overwrites what is still to be read, as `to` is not inside the source.
        return unsafe { memcpy(to, from, length) };
    }
    // SAFETY: `to` lies inside the source, so copying downwards from the last byte never overwrites what is still
    // to be read; the direction flag is set for that and cleared again, as the ABI wants it.
    unsafe {
        asm!("std", "rep movsb", "cld", inout("rcx") length => _,
            inout("rdi") to.cast::<u8>().wrapping_add(length).wrapping_sub(1) => _,
            inout("rsi") from.cast::<u8>().wrapping_add(length).wrapping_sub(1) => _,
            options(nostack));
    }
    to
}

/// Fills a range with one byte.
///
/// # Safety
/// As for C's `memset`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut c_void, byte: c_int, length: usize) -> *mut c_void {
    // SAFETY: the caller's promise covers all that `rep stosb` writes; the direction flag is clear by ABI.
    unsafe {
        asm!("rep stosb", inout("rcx") length => _, inout("rdi") to => _, in("al") byte as u8,
            options(nostack, preserves_flags));
    }
    to
}

/// Compares two ranges.
///
/// # Safety
/// As for C's `memcmp`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(one: *const c_void, other: *const c_void, length: usize) -> c_int {
    for at in 0..length {
        // SAFETY: `at` is below `length`, and the caller promises that many readable bytes.
        let a = unsafe { one.cast::<u8>().wrapping_add(at).read_volatile() };
        // SAFETY: as above. Volatile, so that the compiler does not make this loop a call of `memcmp`.
        let b = unsafe { other.cast::<u8>().wrapping_add(at).read_volatile() };
        if a != b {
            return c_int::from(a) - c_int::from(b);
        }
    }
    0
}

/// Tells whether two ranges differ.
///
/// # Safety
/// As for C's `bcmp`.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(one: *const c_void, other: *const c_void, length: usize) -> c_int {
    // SAFETY: the same promise as `memcmp`'s.
    unsafe { memcmp(one, other, length) }
}

/// Counts the bytes before the first NUL.
///
/// # Safety
/// As for C's `strlen`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(string: *const c_char) -> usize {
    let mut length = 0;
    // SAFETY: the caller promises readable bytes up to a NUL, and none has come before this one. Volatile, so that the
    // compiler does not make this loop a call of `strlen`.
    while unsafe { string.wrapping_add(length).read_volatile() } != 0 {
        length += 1;
    }
    length
}
