//! An image of two layers, taken in and laid out in a directory of its own, its filesystem image made: or refused. Either way nothing beside
//! the store is touched, nothing is in it but directories, files and links of the image's, and all of it is bounded.
//!
//! The bytes are those of `layers`, which writes nothing and so tries more in a second.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some(layers) = firebox_image::fuzzing::two_layers(bytes) else { return Corpus::Reject };
    // In memory where there is some: a store has the disk know everything.
    let place = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory");
    let [lower, upper] = &layers;
    firebox_image::fuzzing::extract(place.path(), &[lower, upper]);
    Corpus::Keep
});
