//! A disk that is full, at every step.

mod kit;

use firebox_image::{OciLayout, Store};
use kit::small::Small;
use kit::{Made, chain, has, take};

#[test]
fn a_full_disk_is_said_and_leaves_a_sound_store() {
    if !has(&["umoci"]) || !Small::may_be() {
        return;
    }
    let made = Made::image();
    let at = made.directory.path().join("small");
    let source = OciLayout::directory(&made.oci(), None).unwrap();
    let name = "x".parse().unwrap();
    let (mut failed, mut kib) = (0, 64);
    loop {
        let small = Small::mount(&at, kib);
        let opened = Store::open(&at.join("store"), None);
        let taken = match &opened {
            Ok(store) => take(store, &source, "x")
                .map_err(|error| chain(&error))
                .and_then(|_| store.filesystem_image(&name).map(|_| ()).map_err(|error| chain(&error))),
            Err(error) => Err(chain(error)),
        };
        let Err(error) = taken else { break };
        failed += 1;
        assert!(error.contains("No space left on device"), "{kib} KiB: {error}");
        if let Ok(store) = &opened {
            assert_eq!(store.verify().unwrap().damages, [], "{kib} KiB");
            // What could make room is not what lacks it.
            store.collect().unwrap_or_else(|error| panic!("{kib} KiB: {}", chain(&error)));
            // With room enough it goes on, and nothing that failed is in its way.
            small.grow(1 << 20);
            take(store, &source, "x").unwrap();
            store.filesystem_image(&name).unwrap();
            assert_eq!(store.verify().unwrap().damages, [], "{kib} KiB, grown");
        }
        kib += kib / 3;
    }
    assert!(5 < failed, "{failed}");
}
