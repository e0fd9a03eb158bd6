//! Images that do not fit, and that say which size would do.

use super::*;

const MIB: u64 = 1 << 20;

/// What is said that an image needs which may take one MiB, of which nothing but documents is kept.
fn needed(bench: &Bench, shelf: &Shelf) -> u64 {
    let taken = bench.take_in_with("x", shelf, MIB);
    let Err(TakeInError::Size { needed, allowed: MIB }) = taken else { panic!("{taken:?}") };
    assert!(bench.store.names().unwrap().is_empty());
    needed
}

#[test]
fn an_image_that_does_not_fit_says_what_it_needs() {
    let layer = Maker::default().file("big", &vec![1; 3 << 20]).end();
    let bench = Bench::new();
    let taken = bench.take_in_with("x", &Shelf::of(&[layer]), 1 << 20).unwrap_err();

    assert_eq!(taken.to_string(), "the image needs 4 MiB, and 1 MiB is the most it may take");
    assert!(bench.store.names().unwrap().is_empty());
    bench.assert_nothing_is_left_after_collecting();
}

#[test]
fn one_that_is_far_too_large_to_unpack_says_what_it_needs() {
    let layer = Maker::default().file("a", &vec![1; 40 << 20]).file("b", &vec![2; 30 << 20]).end();
    let bench = Bench::new();
    let shelf = Shelf::packed(&[base(), layer], gzip);
    let needed = needed(&bench, &shelf);

    assert!((70 * MIB..71 * MIB).contains(&needed), "{needed}");
    assert!(bench.store.bytes().unwrap() < MIB, "what is compressed, and no file");
    assert!(bench.take_in_with("x", &shelf, needed - 1).is_err());
    bench.take_in_with("x", &shelf, needed).unwrap();
}

#[test]
fn one_that_is_far_too_large_to_transfer_says_what_it_needs_and_nothing_of_it_is_kept() {
    let bench = Bench::new();
    let shelf = Shelf::of(&[Maker::default().file("x", &vec![0; 70 << 20]).end()]);
    let needed = needed(&bench, &shelf);

    assert!((70 * MIB..71 * MIB).contains(&needed), "{needed}");
    assert_eq!(bench.store.bytes().unwrap(), 0);
    bench.take_in_with("x", &shelf, needed).unwrap();
}

#[test]
fn what_later_layers_remove_counts_as_far_as_it_has_to_be_unpacked() {
    let large = Maker::default().file("large", &vec![1; 9 << 20]).end();
    let gone = Maker::default().file(".wh.large", b"").end();
    let bench = Bench::new();
    let shelf = Shelf::of(&[large, gone]);
    let needed = needed(&bench, &shelf);

    assert_eq!(needed, (9 * MIB).div_ceil(4));
    assert!(bench.take_in_with("x", &shelf, needed - 1).is_err());
    bench.take_in_with("x", &shelf, needed).unwrap();
}

#[test]
fn what_becomes_no_file_is_bounded_as_well() {
    let mut behind_the_end = base();
    behind_the_end.resize(behind_the_end.len() + (80 << 20), 0);
    let whiteout = Maker::default().file(".wh.x", &vec![0; 80 << 20]).end();
    for layer in [behind_the_end, whiteout] {
        let bench = Bench::new();
        let shelf = Shelf::packed(&[layer], gzip);
        // All that its layers inflate to may come to eight times its size and 64 MiB more.
        let needed = needed(&bench, &shelf);
        assert!((2 * MIB..3 * MIB).contains(&needed), "{needed}");
        assert!(bench.store.bytes().unwrap() < MIB);
        assert!(bench.take_in_with("x", &shelf, needed - 1).is_err());
        bench.take_in_with("x", &shelf, needed).unwrap();
    }
}

#[test]
fn what_nobody_would_go_through_only_says_that_it_is_too_large() {
    let announced = Maker::default().pax(&[(b"size", b"30000000000")]).file("bomb", b"").end();
    let bench = Bench::new();
    let taken = bench.take_in_with("x", &Shelf::packed(&[announced], gzip), MIB).unwrap_err();
    assert!(matches!(&taken, TakeInError::Unpack { source: UnpackError::Exceeded(_), .. }), "{taken:?}");
    let cause = std::error::Error::source(&taken).unwrap().to_string();
    assert_eq!(cause, "its layers unpack to more than 4 MiB");

    let mut shelf = Shelf::of(&[base()]);
    let said = String::from_utf8(shelf.image.root.clone()).unwrap();
    let (size, lie) = (format!("\"size\":{}", base().len()), "\"size\":30000000000");
    assert!(said.contains(&size));
    shelf.image.root = said.replace(&size, lie).into_bytes();
    let taken = bench.take_in_with("x", &shelf, MIB);
    assert!(matches!(taken, Err(TakeInError::Transferred { most, .. }) if most == 69 * MIB), "{taken:?}");
    assert!(shelf.given.load(Ordering::Relaxed) < 10_000, "but for its configuration");
}

#[test]
fn one_that_is_too_large_and_broken_only_says_that_it_is_too_large() {
    let large = Maker::default().file("a", &vec![1; 9 << 20]).end();
    let broken = Maker::default().file("../x", b"").end();
    let bench = Bench::new();
    let taken = bench.take_in_with("x", &Shelf::of(&[large, broken]), MIB);
    assert!(matches!(taken, Err(TakeInError::Unpack { .. })), "{taken:?}");
}
