//! A package that is said to hold a kernel: it is refused, or each module that a guest would load is of that kernel, loaded once, and after
//! all that it needs.
//!
//! The first byte says whether the rest is the package, or the archive of files within: then its check sums are put right, since nobody would
//! find one by chance.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

const BLOCK: usize = 512;
/// Where the check sum of a header stands.
const SUM: std::ops::Range<usize> = 148..156;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some((&kind, rest)) = bytes.split_first() else { return Corpus::Reject };
    if kind % 2 == 0 {
        firebox_image::fuzzing::modules(rest);
    } else {
        let mut blocks = rest.to_vec();
        blocks.chunks_exact_mut(BLOCK).for_each(put_right);
        firebox_image::fuzzing::modules(&firebox_image::fuzzing::package(&blocks));
    }
    Corpus::Keep
});

/// Only of what says that it is a header.
fn put_right(block: &mut [u8]) {
    if &block[257..262] != b"ustar" {
        return;
    }
    block[SUM].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
