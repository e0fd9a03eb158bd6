//! Two layers of an image, one upon the other: each is refused or read, no path of theirs leads out, what is written down of them is read
//! back as it was, and merged they have no more entries than they could name.
//!
//! The first byte says how many blocks the lower one has. Check sums are put right, since nobody would find one by chance.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

const BLOCK: usize = 512;
/// Where the check sum of a header stands.
const SUM: std::ops::Range<usize> = 148..156;
/// An entry, and as many directories as may lie above it.
const MOST: usize = 1 + 256;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some((&lower, blocks)) = bytes.split_first() else { return Corpus::Reject };
    let mut blocks = blocks.to_vec();
    blocks.chunks_exact_mut(BLOCK).for_each(put_right);
    let (lower, upper) = blocks.split_at((usize::from(lower) * BLOCK).min(blocks.len()));
    if let Some(entries) = firebox_image::fuzzing::entries(&[lower, upper]) {
        assert!(entries as usize <= 1 + blocks.len().div_ceil(BLOCK) * MOST, "{entries} entries");
    }
    Corpus::Keep
});

/// But for a block of nothing, which ends an archive.
fn put_right(block: &mut [u8]) {
    if block.iter().all(|byte| *byte == 0) {
        return;
    }
    block[SUM].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
