//! A disk that is full at every step, on each of the two sides that an image travels between.

mod kit;

use std::fs;
use std::path::Path;
use std::time::Duration;

use firebox_image::{Bucket, ImageName, OciLayout, Patience, Record, Settings, Store};
use kit::s3::RealS3;
use kit::small::Small;
use kit::{Made, chain, has, take};

const BUCKET: &str = "images";

fn name() -> ImageName {
    "x".parse().unwrap()
}

/// An image in a store; none where what this takes is missing, which is said.
fn sender() -> Option<(Made, Store, Record)> {
    if !has(&["umoci"]) || !Small::may_be() {
        return None;
    }
    let made = Made::image();
    // With a layer that travels in more pieces than one.
    let large = made.directory.path().join("large");
    kit::run("sh", &["-ec", "head -c 9000000 /dev/urandom > $0", kit::text(&large)]);
    kit::run("umoci", &["insert", "--image", &format!("{}:x", made.oci().display()), kit::text(&large), "/large"]);
    let here = kit::store(made.directory.path());
    let record = take(&here, &OciLayout::directory(&made.oci(), Some("x")).unwrap(), "x").unwrap();
    Some((made, here, record))
}

fn open(place: &str, variables: Vec<(String, String)>) -> Bucket {
    let (silence, pause) = (Duration::from_secs(60), Duration::from_millis(20));
    let patience = Patience { silence, tries: 2, pause, rate: 8 << 10 };
    Bucket::open(&place.parse().unwrap(), &Settings { variables, endpoint: None, patience, parallel: 4 }).unwrap()
}

/// From one that holds next to nothing to one in which it goes well. True where it did.
fn at_every_size(at: &Path, mut go: impl FnMut(&Small<'_>, u64) -> bool) {
    let (mut failed, mut kib) = (0, 64);
    loop {
        let small = Small::mount(at, kib);
        if go(&small, kib) {
            break;
        }
        failed += 1;
        kib += kib / 2;
    }
    assert!(5 < failed, "{failed}");
}

#[test]
fn who_fetches_says_that_the_disk_is_full_and_goes_on_when_there_is_room() {
    let Some((made, here, record)) = sender() else { return };
    let Some(s3) = RealS3::start(made.directory.path()) else { return };
    s3.make_bucket(BUCKET);
    let bucket = open(BUCKET, s3.variables(&s3.host));
    bucket.upload(&here, &name(), false, &|_| ()).unwrap().unwrap();
    let at = made.directory.path().join("small");
    at_every_size(&at, |small, kib| {
        let there = match Store::open(&at.join("store"), None) {
            Ok(there) => there,
            Err(error) => {
                assert!(chain(&error).contains("No space left on device"), "{kib} KiB: {}", chain(&error));
                return false;
            }
        };
        let Err(error) = bucket.download(&there, &name(), None, &|_| ()) else { return true };
        assert!(chain(&error).contains("No space left on device"), "{kib} KiB: {}", chain(&error));
        assert_eq!(there.names().unwrap(), [], "{kib} KiB");
        assert_eq!(there.verify().unwrap().damages, [], "{kib} KiB");
        there.collect().unwrap_or_else(|error| panic!("{kib} KiB: {}", chain(&error)));
        small.grow(1 << 20);
        assert_eq!(bucket.download(&there, &name(), None, &|_| ()).unwrap(), record, "{kib} KiB, grown");
        assert_eq!(there.verify().unwrap().damages, [], "{kib} KiB, grown");
        false
    });
    assert_eq!(here.verify().unwrap().damages, []);
}

#[test]
fn who_sends_to_a_full_disk_leaves_no_name_there_and_goes_on_when_there_is_room() {
    let Some((made, here, record)) = sender() else { return };
    let at = made.directory.path().join("small");
    let sends = |small: &Small<'_>, kib: u64, bucket: &Bucket, folder: &Path, says: &str| {
        let Err(error) = bucket.upload(&here, &name(), false, &|_| ()) else { return true };
        assert!(chain(&error).contains(says), "{kib} KiB: {}", chain(&error));
        assert!(!folder.join("names/x").exists(), "{kib} KiB: half an image has no name");
        small.grow(1 << 20);
        bucket.upload(&here, &name(), false, &|_| ()).unwrap().unwrap();
        let there = Store::open(&made.directory.path().join(format!("there-{kib}")), None).unwrap();
        assert_eq!(bucket.download(&there, &name(), None, &|_| ()).unwrap(), record, "{kib} KiB, grown");
        assert_eq!(there.verify().unwrap().damages, [], "{kib} KiB, grown");
        fs::remove_dir_all(there.path()).unwrap();
        false
    };
    at_every_size(&at, |small, kib| {
        let shelf = at.join("shelf");
        fs::create_dir(&shelf).unwrap();
        let bucket = open(&format!("file://{}", shelf.display()), Vec::new());
        sends(small, kib, &bucket, &shelf, "No space left on device")
    });
    if !RealS3::may_be() {
        return;
    }
    at_every_size(&at, |small, kib| {
        // It says that something is wrong with it, or hangs up, and not why.
        let s3 = RealS3::start(&at).unwrap();
        let folder = s3.make_bucket(BUCKET);
        sends(small, kib, &open(BUCKET, s3.variables(&s3.host)), &folder, "`s3://images at http://127.0.0.1:")
    });
    assert_eq!(here.verify().unwrap().damages, []);
}
