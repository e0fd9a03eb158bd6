//! What distributions pack by xz, and what they pack as everybody else does.

use std::io::{self, BufRead, Read};

use lzma_rust2::XzReader;

use crate::kernel::bounds::KernelBounds;
use crate::layer::inflate::inflate;

/// Reads what was packed by whichever way it was. The bytes say so themselves.
pub(super) fn unpacked<'a>(mut input: impl BufRead + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
    if input.fill_buf()?.starts_with(b"\xFD7zXZ\0") {
        // In one piece or several, as `xz` reads them.
        return Ok(Box::new(XzReader::new_mem_limit(input, true, KernelBounds::XZ_KIB)));
    }
    inflate(input)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use lzma_rust2::{XzOptions, XzWriter};

    use super::*;

    fn xz(bytes: &[u8], dictionary: u32) -> Vec<u8> {
        let mut options = XzOptions::with_preset(0);
        options.lzma_options.dict_size = dictionary;
        let mut xz = XzWriter::new(Vec::new(), options).unwrap();
        xz.write_all(bytes).unwrap();
        xz.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        unpacked(bytes)?.read_to_end(&mut all).map(|_| all)
    }

    #[test]
    fn every_way_of_packing_gives_the_same() {
        let plain: Vec<u8> = (0..300_000u32).map(|number| (number / 7) as u8).collect();
        let in_two = [xz(&plain[..1000], 1 << 16), xz(&plain[1000..], 1 << 16)].concat();
        for bytes in [&plain, &xz(&plain, 1 << 20), &in_two, &zstd::encode_all(&plain[..], 1).unwrap()] {
            assert_eq!(read(bytes).unwrap(), plain);
        }
    }

    #[test]
    fn what_was_cut_or_changed_is_an_error_and_not_an_end() {
        let plain: Vec<u8> = (0..100_000u32).map(|number| (number.wrapping_mul(number) / 7) as u8).collect();
        let whole = xz(&plain, 1 << 16);
        for length in (6..whole.len()).step_by(97).chain([whole.len() - 1]) {
            assert!(read(&whole[..length]).is_err(), "{length}");
        }
        let mut changed = whole.clone();
        changed[whole.len() / 2] ^= 1;
        assert!(read(&changed).is_err());
    }

    /// 1.5 GiB, in a field of one byte: it is not allocated before it is compared.
    #[test]
    fn what_asks_for_more_memory_than_anybody_packs_with_is_refused() {
        let mut greedy = xz(b"some bytes", 1 << 16);
        // The header of the block: its length, its flags, the filter's number, how many bytes say what it needs.
        assert_eq!(greedy[12..16], [2, 0, 0x21, 1]);
        greedy[16] = 37;
        let mut sum = crc_fast(&greedy[12..20]);
        greedy[20..24].copy_from_slice(&sum.to_le_bytes());
        let error = read(&greedy).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory, "{error}");
        sum ^= 1;
        greedy[20..24].copy_from_slice(&sum.to_le_bytes());
        assert_ne!(read(&greedy).unwrap_err().kind(), io::ErrorKind::OutOfMemory);
    }

    /// CRC-32, as in the header.
    fn crc_fast(bytes: &[u8]) -> u32 {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        crc.sum()
    }
}
