//! Kernels of a few instructions, as files.

use std::fs::File;
use std::io::Write;

/// An ELF program of one segment, that wants to be there and begins with its first instruction.
pub(crate) fn elf(place: u64, code: &[u8]) -> Vec<u8> {
    let length = code.len() as u64;
    let mut bytes = b"\x7FELF\x02\x01".to_vec();
    bytes.resize(0x78, 0);
    (bytes[18], bytes[32], bytes[54], bytes[56], bytes[64]) = (62, 64, 56, 1, 1);
    for (at, value) in [(24, place), (72, 0x78), (88, place), (96, length), (104, length)] {
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    bytes.extend_from_slice(code);
    bytes
}

/// A file in which nothing else is.
pub(crate) fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}
