//! What strangers write of images: indexes, manifests and configurations, records of buckets, archives of images, what registries answer,
//! what mirrors list, what is under names. Each is refused or read, and then as it is written, bounded by its own length, and leading nowhere
//! else.
//!
//! The first byte says which.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

// Tests do the same with the seeds on the stable compiler: what bytes mean is said in one place.
fuzz_target!(|bytes: &[u8]| -> Corpus {
    if firebox_image::fuzzing::document(bytes) { Corpus::Keep } else { Corpus::Reject }
});
