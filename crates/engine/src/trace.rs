//! A name for a job whose user gave none.

use std::io;

use firebox_job::TraceId;
use rustix::rand::{GetRandomFlags, getrandom};

/// A name that no other job has: 128 random bits.
pub fn fresh_trace_id() -> io::Result<TraceId> {
    random_bytes().map(TraceId::from_random)
}

/// Sixteen bytes of the kernel's randomness.
pub fn random_bytes() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    let mut filled = 0;
    // So few bytes come at once, unless a signal arrives before the kernel's pool is ready.
    while filled < bytes.len() {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(read) => filled += read,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(bytes)
}
