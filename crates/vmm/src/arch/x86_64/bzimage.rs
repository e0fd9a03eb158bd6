//! A bzImage unpacked: the ELF program within, as large as it runs.
//!
//! A kernel that unpacks itself does so at each boot, and that is a large part of the boot. Unpacked once, it begins at once. What is lost is
//! the move to a place that nobody can guess: it runs where it was linked to.

use std::io::Read;

use flate2::read::GzDecoder;
use lz4_flex::frame::FrameDecoder;

use super::zeros;

/// Why a bzImage could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It is something else, or too old to say where its program is.
    #[error("this is no bzImage of Linux 2.6.24 or later: give it a distribution's `vmlinuz`")]
    NotABzImage,
    /// It ends before its program does.
    #[error("the bzImage is not complete: fetch it again")]
    Short,
    /// It is packed in a way that nobody here knows.
    #[error(
        "the bzImage is packed in an unknown way (it begins with {0:02x?}; gzip, LZ4 and Zstandard are known): boot it as it is, and it unpacks itself"
    )]
    Packed([u8; 4]),
    /// It says that it is larger than any kernel.
    #[error("the bzImage says that it unpacks to {0} bytes, and no kernel has more than {MOST}: fetch it again")]
    Large(u64),
    /// What is packed is damaged.
    #[error("the bzImage is damaged: fetch it again ({0})")]
    Damaged(std::io::Error),
    /// It unpacks to something else than it says.
    #[error(
        "the bzImage is damaged: fetch it again (it unpacks to {found} bytes that it says are {said}, or to no ELF program)"
    )]
    Other {
        /// How much it said.
        said: u64,
        /// How much there was, up to one byte more than that.
        found: u64,
    },
}

/// Several times what distributions' kernels have.
const MOST: u64 = 256 << 20;

/// Of the header that every bzImage has, at its place in the file.
const SETUP_SECTORS: usize = 0x1F1;
const MAGIC: usize = 0x202;
const VERSION: usize = 0x206;
const PAYLOAD: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24C;
/// The boot protocol that first told where the program is.
const WITH_PAYLOAD: u16 = 0x0208;
const SECTOR: usize = 512;
/// Behind what is packed, but for gzip, which has it itself: how much it unpacks to.
const SIZE_LENGTH: usize = 4;

/// Takes the program out of a bzImage, given whole, and makes it one that is loaded without its zeros.
pub fn unpack(bzimage: &[u8]) -> Result<Vec<u8>, UnpackError> {
    let payload = payload(bzimage)?;
    let (packed, size) = payload.split_last_chunk::<SIZE_LENGTH>().ok_or(UnpackError::Short)?;
    let size = u64::from(u32::from_le_bytes(*size));
    if MOST < size {
        return Err(UnpackError::Large(size));
    }
    let magic = *payload.first_chunk::<4>().ok_or(UnpackError::Short)?;
    let program = match magic {
        [0x1F, 0x8B, ..] => read(GzDecoder::new(payload), size),
        [0x02, 0x21, 0x4C, 0x18] => read(FrameDecoder::new(packed), size),
        [0x28, 0xB5, 0x2F, 0xFD] => {
            zstd::Decoder::with_buffer(packed).and_then(|packed| read(packed.single_frame(), size))
        }
        _ => return Err(UnpackError::Packed(magic)),
    };
    let mut program = program.map_err(UnpackError::Damaged)?;
    if program.len() as u64 != size || !program.starts_with(&[0x7F, b'E', b'L', b'F']) {
        return Err(UnpackError::Other { said: size, found: program.len() as u64 });
    }
    zeros::leave_out(&mut program);
    Ok(program)
}

/// What is packed in there.
fn payload(bzimage: &[u8]) -> Result<&[u8], UnpackError> {
    if field(bzimage, MAGIC) != Some(*b"HdrS") {
        return Err(UnpackError::NotABzImage);
    }
    let version = field(bzimage, VERSION).map(u16::from_le_bytes).ok_or(UnpackError::Short)?;
    if version < WITH_PAYLOAD {
        return Err(UnpackError::NotABzImage);
    }
    let [sectors] = field(bzimage, SETUP_SECTORS).ok_or(UnpackError::Short)?;
    // None means four, from before anyone counted; and the boot sector comes before all of them.
    let sectors = if sectors == 0 { 4 } else { usize::from(sectors) };
    let setup = sectors.saturating_add(1).saturating_mul(SECTOR);
    let number = |at| field(bzimage, at).and_then(|bytes| usize::try_from(u32::from_le_bytes(bytes)).ok());
    let start = number(PAYLOAD).and_then(|offset| offset.checked_add(setup)).ok_or(UnpackError::Short)?;
    let length = number(PAYLOAD_LENGTH).ok_or(UnpackError::Short)?;
    bzimage.get(start..).and_then(|rest| rest.get(..length)).ok_or(UnpackError::Short)
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// All there is, and no more than a byte above what was said.
fn read(packed: impl Read, size: u64) -> std::io::Result<Vec<u8>> {
    let mut program = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    packed.take(size.saturating_add(1)).read_to_end(&mut program)?;
    Ok(program)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::LazyLock;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    /// Something like a kernel.
    fn program() -> Vec<u8> {
        let numbers = (0..10_000_u32).flat_map(|number| (number / 3).to_le_bytes());
        b"\x7FELF".iter().copied().chain(numbers).collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    /// As kernels are packed: in the frames LZ4 had first, which nothing but kernels uses any more.
    fn lz4(bytes: &[u8]) -> Vec<u8> {
        let blocks = bytes.chunks(8 << 20).flat_map(|block| {
            let packed = lz4_flex::block::compress(block);
            (packed.len() as u32).to_le_bytes().into_iter().chain(packed)
        });
        [0x02, 0x21, 0x4C, 0x18].into_iter().chain(blocks).collect()
    }

    fn zstandard(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    /// A bzImage around what is packed, which says that it unpacks to so much.
    fn around(mut packed: Vec<u8>, size: usize) -> Vec<u8> {
        if !packed.starts_with(&[0x1F, 0x8B]) {
            packed.extend((size as u32).to_le_bytes());
        }
        const SETUP: usize = 2 * SECTOR;
        const BEFORE: usize = 0x300;
        let mut bzimage = vec![0; SETUP + BEFORE];
        bzimage[SETUP_SECTORS] = 1;
        bzimage[MAGIC..][..6].copy_from_slice(b"HdrS\x0F\x02");
        bzimage[PAYLOAD..][..4].copy_from_slice(&(BEFORE as u32).to_le_bytes());
        bzimage[PAYLOAD_LENGTH..][..4].copy_from_slice(&(packed.len() as u32).to_le_bytes());
        bzimage.extend(packed);
        bzimage.extend([0xCC; 99]);
        bzimage
    }

    static ALL: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
        let program = program();
        [gzip(&program), lz4(&program), zstandard(&program)].map(|packed| around(packed, program.len()))
    });

    #[test]
    fn a_program_comes_out_as_it_was_packed() {
        for bzimage in &*ALL {
            assert!(unpack(bzimage).unwrap() == program());
        }
    }

    #[test]
    fn what_is_cut_short_or_says_another_size_is_refused() {
        for bzimage in &*ALL {
            for length in (0..bzimage.len() - 99).step_by(97).chain([bzimage.len() - 100]) {
                assert!(unpack(&bzimage[..length]).is_err(), "{length}");
            }
        }
        let program = program();
        for size in [0, 4, program.len() - 1, program.len() + 1] {
            for packed in [lz4(&program), zstandard(&program)] {
                let error = unpack(&around(packed, size)).unwrap_err();
                assert!(matches!(error, UnpackError::Other { .. }), "{size}: {error}");
            }
        }
    }

    #[test]
    fn what_says_that_it_is_larger_than_any_kernel_is_refused_before_it_is_unpacked() {
        let error = unpack(&around(lz4(&program()), (256 << 20) + 1)).unwrap_err();
        assert!(matches!(error, UnpackError::Large(0x1000_0001)), "{error}");
    }

    #[test]
    fn what_is_no_bzimage_or_holds_something_else_is_refused() {
        assert!(matches!(unpack(b"\x7FELF"), Err(UnpackError::NotABzImage)));
        assert!(matches!(unpack(&[0; 4096]), Err(UnpackError::NotABzImage)));
        assert!(matches!(unpack(&around(lz4(b"#!/bin/sh"), 9)), Err(UnpackError::Other { said: 9, found: 9 })));
        let error = unpack(&around(b"\xFD7zXZ\0 and so on".to_vec(), 9)).unwrap_err();
        assert!(error.to_string().contains("[fd, 37, 7a, 58]"), "{error}");
    }

    proptest! {
        /// Whatever is changed: a program that begins as one, or an error, and never a panic.
        #[test]
        fn a_damaged_bzimage_never_does_more_than_fail(which in 0..3_usize, changes in prop::collection::vec((0..4096_usize, any::<u8>()), 1..8)) {
            let mut bzimage = ALL[which].clone();
            for (at, byte) in changes {
                let at = at % bzimage.len();
                bzimage[at] = byte;
            }
            if let Ok(program) = unpack(&bzimage) {
                prop_assert!(program.starts_with(b"\x7FELF"));
            }
        }
    }
}
