//! The kernel's generator of random numbers, for who may tell it what to draw from.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// `_IOW('R', 0x03, int [2])`: bytes to mix in, and how many bits of them count as random.
const RNDADDENTROPY: u64 = 0x4008_5203;
/// `_IO('R', 0x07)`: what is drawn next comes of what is mixed in now.
const RNDRESEEDCRNG: u64 = 0x5207;

/// The kernel's `struct rand_pool_info`, with its bytes behind it.
#[repr(C)]
struct Pool<const BYTES: usize> {
    bits: libc::c_int,
    length: libc::c_int,
    bytes: [u8; BYTES],
}

/// Mixes these bytes in, all of them as random.
pub(crate) fn mix_in<const BYTES: usize>(generator: impl AsFd, bytes: &[u8; BYTES]) -> io::Result<()> {
    let length = libc::c_int::try_from(BYTES).map_err(|_| io::ErrorKind::InvalidInput)?;
    let pool = Pool { bits: length.saturating_mul(8), length, bytes: *bytes };
    // SAFETY: The descriptor is open for as long as it is borrowed. The call reads `length`, and so many bytes behind it, all of which are in `pool`, without a
    // gap; it writes nothing, and keeps no address.
    let result = unsafe { libc::ioctl(generator.as_fd().as_raw_fd(), RNDADDENTROPY as _, &raw const pool) };
    told(result)
}

/// Has all that is drawn from now on come of what was mixed in.
pub(crate) fn reseed(generator: impl AsFd) -> io::Result<()> {
    // SAFETY: The descriptor is open for as long as it is borrowed, and the call takes no argument.
    told(unsafe { libc::ioctl(generator.as_fd().as_raw_fd(), RNDRESEEDCRNG as _) })
}

fn told(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
